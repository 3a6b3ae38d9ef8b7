"""Writes an answer's text: prompts the language model, which may search again, or quotes."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

from langchain_core.messages import BaseMessage

from database.searching.passage import Findings, Passage, merge_passages
from inference_worker.answer import (
    EXTRACTIVE,
    Coverage,
    FinishReason,
    PassagesFound,
    SearchQuery,
    Token,
    TokenUsage,
    Turn,
)
from inference_worker.answering.metrics import Metrics
from inference_worker.generation.language_model import Generation, LanguageModel
from inference_worker.generation.prompt import Prompt, write_prompt
from inference_worker.generation.provider_errors import PromptTooLongError
from inference_worker.generation.reply import ReplyParser
from inference_worker.generation.token_counter import count_tokens
from inference_worker.grounding.citations import CitationFilter
from inference_worker.quoting.extractive_answer import extract_answer
from utils.errors import DocsQAError, GenerationError

log = logging.getLogger(__name__)

PASSAGES_PER_QUERY = 6
"""How many passages are added for a query of the language model."""

Pieces = AsyncGenerator[str, None]
WriterEvents = AsyncGenerator[PassagesFound | Token, None]
Search = Callable[[str], Awaitable[Findings]]


@dataclass(slots=True)
class Draft:
    """An answer while it is being written."""

    question: str
    history: Sequence[Turn]
    findings: Findings
    """The first search's."""
    searches: list[SearchQuery]
    passages: list[Passage]
    """The passages to answer from: of the first search, then of further ones."""
    text: str = ""
    generator: str = EXTRACTIVE
    degraded_reason: str | None = None
    finish_reason: FinishReason = "stop"
    coverage: Coverage | None = None
    removed_citations: int = 0
    usage: TokenUsage | None = None

    @property
    def answerable(self) -> bool:
        """Whether the passages answer: as the model reports, else as the search estimates."""
        return self.findings.answerable if self.coverage is None else self.coverage != "none"

    @property
    def found(self) -> PassagesFound:
        """The event for the passages so far."""
        return PassagesFound(replace(self.findings, passages=self.passages), tuple(self.searches))


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes drafts; without a language model, quotes the passages."""

    llm: LanguageModel | None
    max_prompt_tokens: int
    max_search_rounds: int
    min_confidence: float
    """Minimum confidence to ask the language model."""
    metrics: Metrics
    in_thread: Callable[..., Awaitable[Any]]

    async def write(
        self, draft: Draft, search: Search, *, top_k: int, streaming: bool
    ) -> WriterEvents:
        """Write the draft's text; yield its pieces, and the passages after each further search.

        Args:
            draft: Has the passages of the first search.
            search: Searches for a query of the language model.
            top_k: How many passages are quoted from without a language model.
            streaming: Request the text in pieces.
        """
        streamed = False
        if self.llm and draft.passages and self._is_near(draft):
            try:
                async with aclosing(self._generate(self.llm, draft, search, streaming)) as events:
                    async for event in events:
                        streamed = streamed or isinstance(event, Token)
                        yield event
            except GenerationError as error:
                draft.degraded_reason = str(error)
                self.metrics.llm_failures.labels(str(error)).inc()
                log.warning("Answering without the language model: %s", error)
            else:
                return
        # Of the first search: a model that failed may have searched off the point.
        draft.passages = draft.findings.passages[:top_k]
        await self._quote(draft)
        if not streamed:  # tokens of an interrupted text cannot be retracted
            for line in draft.text.splitlines(keepends=True):
                yield Token(line)

    def _is_near(self, draft: Draft) -> bool:
        """True if the passages may answer; those of a question in another language may always."""
        return draft.findings.confidence >= self.min_confidence or not draft.question.isascii()

    async def _quote(self, draft: Draft) -> None:
        draft.generator, draft.finish_reason, draft.coverage = EXTRACTIVE, "stop", None
        draft.removed_citations = 0
        if draft.findings.answerable:
            query = draft.searches[0].query
            draft.text = await self.in_thread(extract_answer, query, draft.passages)
        else:
            draft.text = not_covered_text(draft.passages)

    async def _generate(
        self, llm: LanguageModel, draft: Draft, search: Search, streaming: bool
    ) -> WriterEvents:
        """Prompt the language model; search for the queries it requests, and prompt it again."""
        deadline = llm.deadline()
        for searched in range(self.max_search_rounds + 1):
            call = _Call(
                may_search=searched < self.max_search_rounds,
                max_tokens=self.max_prompt_tokens * (searched + 1),
                deadline=deadline,
                streaming=streaming,
            )
            async with aclosing(self._prompted(llm, draft, call)) as pieces:
                async for piece in pieces:
                    yield Token(piece)
            if not call.reply.is_request:
                return
            if call.may_search:
                await self._search_again(draft, call.reply.queries, search)
                yield draft.found
        raise GenerationError("the language model requested a search instead of answering")

    async def _search_again(self, draft: Draft, queries: Sequence[str], search: Search) -> None:
        """Add the passages found for the model's queries; those it has keep their numbers."""
        draft.searches += (SearchQuery(query, "model") for query in queries)
        try:
            found = await asyncio.gather(*map(search, queries))
        except DocsQAError as error:
            log.warning("Answering without a further search: %s", error)
            return
        draft.passages = merge_passages(draft.passages, *(each.passages for each in found))

    async def _prompted(self, llm: LanguageModel, draft: Draft, call: "_Call") -> Pieces:
        """Prompt the language model; with half the passages if the prompt is too long for it."""
        while True:
            prompt: Prompt = await self.in_thread(
                write_prompt,
                draft.question,
                draft.passages,
                draft.history,
                may_search=call.may_search,
                max_tokens=call.max_tokens,
                count_tokens=count_tokens,
            )
            draft.passages = draft.passages[: prompt.passages]
            try:
                generated = _pieces(llm, prompt.messages, call)
                async with aclosing(self._attempt(draft, call.reply, generated)) as pieces:
                    async for piece in pieces:
                        yield piece
            except PromptTooLongError:
                if len(draft.passages) == 1:
                    raise
                draft.passages = draft.passages[: len(draft.passages) // 2]
            else:
                return

    async def _attempt(
        self, draft: Draft, reply: ReplyParser, generated: AsyncGenerator[str | Generation, None]
    ) -> Pieces:
        """Yield the answer's text: without protocol lines and citations of missing passages."""
        citations = CitationFilter(len(draft.passages))
        text = ""
        async with aclosing(generated) as pieces:
            async for piece in pieces:
                if isinstance(piece, Generation):
                    self._record(draft, piece)
                    checked = citations.feed(reply.finish()) + citations.finish()
                else:
                    checked = citations.feed(reply.feed(piece))
                checked = checked if text else checked.lstrip()
                text += checked
                if checked:
                    yield checked
        if not text.strip() and not reply.is_request:
            raise GenerationError("the language model gave an empty answer")
        draft.text, draft.coverage = text, reply.coverage
        draft.removed_citations = citations.removed

    def _record(self, draft: Draft, generation: Generation) -> None:
        """Record who wrote, and what it cost: an answer may take several calls."""
        draft.generator, draft.finish_reason = generation.model, generation.finish_reason
        if usage := generation.usage:
            self.metrics.record_tokens(usage)
            draft.usage = usage + draft.usage if draft.usage else usage


@dataclass(frozen=True, slots=True)
class _Call:
    """One round: a call of the language model, and its reply."""

    may_search: bool
    max_tokens: int
    deadline: float
    streaming: bool
    reply: ReplyParser = field(default_factory=ReplyParser)


async def _pieces(
    llm: LanguageModel, messages: Sequence[BaseMessage], call: _Call
) -> AsyncGenerator[str | Generation, None]:
    """The generated text, in pieces if streaming; the Generation itself is last."""
    if call.streaming:
        async with aclosing(llm.stream(messages, call.deadline)) as pieces:
            async for piece in pieces:
                yield piece
    else:
        generation = await llm.generate(messages, call.deadline)
        yield generation.text
        yield generation


def not_covered_text(passages: Sequence[Passage]) -> str:
    """The answer to a question that the documentation does not cover."""
    titles = list(dict.fromkeys(passage.chunk.title for passage in passages))
    if not titles:
        return "No document matches what was asked for."
    nearest = ", ".join(titles[:3])
    return f"The documentation does not seem to cover this. The nearest pages are {nearest}."


def document_names(passages: Sequence[Passage]) -> list[str]:
    """The passages' documents, unique, in the order of the passages."""
    return list(dict.fromkeys(passage.chunk.document for passage in passages))
