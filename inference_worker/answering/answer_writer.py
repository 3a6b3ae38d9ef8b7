"""Writes an answer's text: prompts the language model, which may search again, or quotes."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import BaseMessage

from database.searching.confidence import shipped_model
from database.searching.passage import Findings, merge_passages
from database.searching.terms import terms_of, words
from inference_worker.answer import EXTRACTIVE, PassagesFound, SearchQuery, Token
from inference_worker.answering.draft import Draft, not_covered_text
from inference_worker.answering.metrics import Metrics
from inference_worker.answering.quoted_text import inactive_text
from inference_worker.generation.language_model import Generation, LanguageModel
from inference_worker.generation.leak_detector import LeakDetector
from inference_worker.generation.prompt import Prompt, write_instructions, write_prompt
from inference_worker.generation.provider_errors import PromptTooLongError
from inference_worker.generation.reply import ReplyParser
from inference_worker.generation.token_counter import count_tokens
from inference_worker.grounding.active_content import ActiveContentFilter
from inference_worker.grounding.citations import CitationFilter
from inference_worker.grounding.visible_text import VisibleText
from inference_worker.quoting.block_ranking import CosinesOf
from inference_worker.quoting.extractive_answer import extract_answer
from utils.errors import DocsQAError, GenerationError
from utils.settings import Settings

log = logging.getLogger(__name__)

PASSAGES_PER_QUERY = 6
"""How many passages are added for a query of the language model."""

Writing = AsyncGenerator[PassagesFound | Token, None]
Search = Callable[[str], Awaitable[Findings]]


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes drafts; without a language model, quotes the passages."""

    llm: LanguageModel | None
    settings: Settings
    metrics: Metrics
    cosines: CosinesOf
    in_thread: Callable[..., Awaitable[Any]]

    async def write(self, draft: Draft, search: Search, *, top_k: int, streaming: bool) -> Writing:
        """Write the draft's text; yield its passages, before they are used, and the text's pieces.

        Args:
            draft: Has the passages of the first search.
            search: Searches for a query of the language model.
            top_k: How many passages are quoted from without a language model.
            streaming: Request the text in pieces.
        """
        streamed, found = False, None
        if self.llm and self.llm.is_offered and draft.passages and self._is_near(draft):
            try:
                async with aclosing(self._generate(self.llm, draft, search, streaming)) as events:
                    async for event in events:
                        if isinstance(event, Token):
                            streamed = True
                        else:
                            found = event
                        yield event
            except GenerationError as error:
                draft.degraded_reason = str(error)
                self.metrics.llm_failures.labels(str(error)).inc()
                log.warning("Answering without the language model: %s", error)
            else:
                return
        # Quote from the first search: a model that failed may have requested unrelated searches.
        draft.passages, draft.added = draft.findings.passages[:top_k], 0
        await self._quote(draft)
        if found is None or found.findings.passages != draft.passages:
            yield draft.found
        if not streamed:  # tokens of an interrupted text cannot be retracted
            for line in draft.text.splitlines(keepends=True):
                yield Token(line)

    def _is_near(self, draft: Draft) -> bool:
        """True if the passages may answer; if the question is not in English, always."""
        confidence = draft.findings.confidence
        if self.settings.min_confidence is not None:
            return confidence >= self.settings.min_confidence
        # The search's terms are English: its confidence is unreliable for other languages.
        return confidence >= shipped_model().call_threshold or not _is_english(draft.question)

    async def _quote(self, draft: Draft) -> None:
        draft.generator, draft.finish_reason, draft.coverage = EXTRACTIVE, "stop", None
        draft.removed_citations, draft.inactive = 0, ()
        draft.is_refusal = not draft.findings.answerable
        if draft.is_refusal:
            draft.text = not_covered_text(draft.passages, self.settings.corpus_description)
            if draft.degraded_reason:
                draft.text += f"\n\n(Judged by the search alone, because {draft.degraded_reason}.)"
        else:
            quotation = await self.in_thread(
                extract_answer, draft.query, draft.passages, self._cosines
            )
            quoted = inactive_text(quotation, draft.passages)
            draft.text, draft.inactive = quoted.text, quoted.inactive
            if quoted.citations:
                draft.text += f"\n\n{self._origin(draft)}"
            draft.passages, draft.quoted = quotation.passages, quoted.citations

    def _origin(self, draft: Draft) -> str:
        """The line that states that no language model wrote the text, and why."""
        corpus = self.settings.corpus_description
        if draft.degraded_reason:
            return f"(Quoted from {corpus}, because {draft.degraded_reason}.)"
        return (
            f"(Quoted from {corpus}. With an API key for a language model, the model would write "
            "the answer.)"
        )

    def _cosines(self, question: str, texts: Sequence[str]) -> Sequence[float]:
        """The cosines of a question to texts; all equal if they cannot be embedded."""
        try:
            return self.cosines(question, texts)
        except DocsQAError as error:
            log.warning("Choosing what to quote by words alone: %s", error)
            return [0.0] * len(texts)

    async def _generate(
        self, llm: LanguageModel, draft: Draft, search: Search, streaming: bool
    ) -> Writing:
        """Prompt the language model; search for the queries it requests, and prompt it again."""
        deadline, rounds = llm.deadline(), self.settings.max_search_rounds
        for searched in range(rounds + 1):
            max_tokens = self.settings.prompt_max_tokens * (searched + 1)
            reply = ReplyParser(may_search=searched < rounds)
            call = _Call(reply, max_tokens, deadline, streaming)
            async with aclosing(self._prompted(llm, draft, call)) as events:
                async for event in events:
                    yield event
            if not reply.is_request:
                return
            await self._search_again(draft, reply.queries, search)

    async def _search_again(self, draft: Draft, queries: Sequence[str], search: Search) -> None:
        """Add the passages found for the model's queries; those it has keep their numbers."""
        known = {each.query.casefold() for each in draft.searches}
        queries = [query for query in queries if query.casefold() not in known]
        results = await asyncio.gather(*map(search, queries), return_exceptions=True)
        found: list[Findings] = []
        for query, result in zip(queries, results, strict=True):
            if isinstance(result, Findings):
                draft.searches.append(SearchQuery(query, "model"))
                found.append(result)
            elif isinstance(result, DocsQAError):
                log.warning("Answering without a further search: %s", result)
                draft.has_failed_search = True
            else:
                raise result
        before = len(draft.passages)
        draft.passages = merge_passages(draft.passages, *(each.passages for each in found))
        draft.added = len(draft.passages) - before

    async def _prompted(self, llm: LanguageModel, draft: Draft, call: "_Call") -> Writing:
        """Prompt the language model; with fewer passages if the prompt is too long for it."""
        while True:
            prompt: Prompt = await self.in_thread(
                write_prompt,
                draft.question,
                draft.passages,
                draft.history,
                instructions=self._instructions(),
                may_search=call.reply.may_search,
                max_tokens=call.max_tokens,
                count_tokens=count_tokens,
            )
            draft.added = max(0, draft.added - (len(draft.passages) - prompt.passages))
            draft.passages = draft.passages[: prompt.passages]
            yield draft.found
            try:
                generated = _pieces(llm, prompt.messages, call)
                async with aclosing(self._attempt(draft, call.reply, generated)) as pieces:
                    async for piece in pieces:
                        yield Token(piece)
            except PromptTooLongError:
                if len(draft.passages) == 1:
                    raise
                draft.shorten()
            else:
                return

    def _instructions(self) -> str:
        return write_instructions(self.settings.product_name, self.settings.corpus_description)

    async def _attempt(
        self, draft: Draft, reply: ReplyParser, generated: AsyncGenerator[str | Generation, None]
    ) -> AsyncGenerator[str, None]:
        """Yield the answer's text: without protocol lines, false citations and active content.

        Raises:
            GenerationError: the reply is empty, or repeats the instructions.
        """
        visible, leaks = VisibleText(), LeakDetector(self._instructions())
        citations, active = CitationFilter(len(draft.passages)), ActiveContentFilter(draft.passages)
        text, begun = "", False
        async with aclosing(generated) as pieces:
            async for piece in pieces:
                if isinstance(piece, Generation):
                    self._record(draft, piece)
                    cited = citations.feed(reply.finish()) + citations.finish()
                else:
                    shown = leaks.checked(visible.feed(piece))
                    cited = citations.feed(reply.feed(shown))
                checked = active.feed(cited if begun else cited.lstrip())
                begun = begun or bool(cited.strip())
                if isinstance(piece, Generation):
                    checked += active.finish()
                text += checked
                if checked:
                    yield checked
        if reply.coverage == "none" and not text.strip():
            draft.is_refusal = True
            text = not_covered_text(draft.passages, self.settings.corpus_description)
            yield text
        if not text.strip() and not reply.is_request:
            raise GenerationError("the language model gave an empty answer")
        draft.text, draft.coverage = text, reply.coverage
        draft.removed_citations, draft.inactive = citations.removed, active.shown

    def _record(self, draft: Draft, generation: Generation) -> None:
        """Record who wrote, and what it cost: an answer may take several calls."""
        draft.generator, draft.finish_reason = generation.model, generation.finish_reason
        if usage := generation.usage:
            self.metrics.record_tokens(usage)
            draft.usage = usage + draft.usage if draft.usage else usage


@dataclass(frozen=True, slots=True)
class _Call:
    """One call of the language model, and its reply."""

    reply: ReplyParser
    max_tokens: int
    deadline: float
    streaming: bool


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


def _is_english(question: str) -> bool:
    """Whether half of the words are stop words of English, or at least three and a third."""
    found = words(question)
    stop_words = sum(not terms_of(word) for word in found)
    return 0 < len(found) <= 2 * stop_words or stop_words >= max(3, len(found) / 3)
