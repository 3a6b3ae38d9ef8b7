"""Writes an answer's text: prompts the language model, or quotes the passages."""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import BaseMessage

from database.searching.passage import Findings, Passage
from inference_worker.answer import EXTRACTIVE, TokenUsage, Turn
from inference_worker.answering.metrics import Metrics
from inference_worker.generation.language_model import Generation, LanguageModel
from inference_worker.generation.prompt import Prompt, write_prompt
from inference_worker.generation.provider_errors import PromptTooLongError
from inference_worker.generation.token_counter import count_tokens
from inference_worker.grounding.citations import CitationFilter
from inference_worker.quoting.extractive_answer import extract_answer
from utils.errors import GenerationError

log = logging.getLogger(__name__)

Pieces = AsyncGenerator[str, None]


@dataclass(slots=True)
class Draft:
    """An answer while it is being written."""

    question: str
    history: Sequence[Turn]
    query: str
    """The question, and the earlier ones that it continues."""
    findings: Findings
    text: str = ""
    generator: str = EXTRACTIVE
    degraded_reason: str | None = None
    truncated: bool = False
    removed_citations: int = 0
    usage: TokenUsage | None = None

    @property
    def passages(self) -> list[Passage]:
        """The passages to answer from."""
        return self.findings.passages


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes drafts; without a language model, quotes the passages."""

    llm: LanguageModel | None
    max_prompt_tokens: int
    metrics: Metrics
    in_thread: Callable[..., Awaitable[Any]]

    async def write(self, draft: Draft, *, streaming: bool) -> Pieces:
        """Write the draft's text, and yield its pieces as they arrive."""
        streamed = False
        if self.llm and draft.findings.answerable and draft.passages:
            try:
                async with aclosing(self._generate(self.llm, draft, streaming)) as pieces:
                    async for piece in pieces:
                        streamed = True
                        yield piece
            except GenerationError as error:
                draft.degraded_reason = str(error)
                self.metrics.llm_failures.labels(str(error)).inc()
                log.warning("Answering without the language model: %s", error)
            else:
                return
        await self._quote(draft)
        if not streamed:  # tokens of an interrupted text cannot be retracted
            for line in draft.text.splitlines(keepends=True):
                yield line

    async def _quote(self, draft: Draft) -> None:
        if draft.findings.answerable:
            draft.text = await self.in_thread(extract_answer, draft.query, draft.passages)
        else:
            draft.text = not_covered_text(document_names(draft.passages))

    async def _generate(self, llm: LanguageModel, draft: Draft, streaming: bool) -> Pieces:
        """Prompt the language model; with half the passages if the prompt is too long for it."""
        shown, deadline = draft.passages, llm.deadline()
        while True:
            prompt: Prompt = await self.in_thread(
                write_prompt,
                draft.question,
                shown,
                draft.history,
                max_tokens=self.max_prompt_tokens,
                count_tokens=count_tokens,
            )
            shown = shown[: prompt.passages]
            try:
                async with aclosing(
                    self._attempt(draft, prompt, _pieces(llm, prompt.messages, deadline, streaming))
                ) as pieces:
                    async for piece in pieces:
                        yield piece
            except PromptTooLongError:
                if len(shown) == 1:
                    raise
                shown = shown[: len(shown) // 2]
            else:
                return

    async def _attempt(
        self, draft: Draft, prompt: Prompt, generated: AsyncGenerator[str | Generation, None]
    ) -> Pieces:
        """Yield the generated text without citations of passages that are not in the prompt."""
        citations = CitationFilter(prompt.passages)
        text = model = ""
        async with aclosing(generated) as pieces:
            async for piece in pieces:
                if isinstance(piece, Generation):
                    model = piece.model
                    draft.usage, draft.truncated = piece.usage, piece.truncated
                    checked = citations.finish()
                else:
                    checked = citations.feed(piece)
                checked = checked if text else checked.lstrip()
                text += checked
                if checked:
                    yield checked
        if not text.strip():
            raise GenerationError("the language model gave an empty answer")
        draft.text, draft.generator = text, model
        draft.removed_citations = citations.removed
        if draft.usage:
            self.metrics.record_tokens(draft.usage)


async def _pieces(
    llm: LanguageModel, messages: Sequence[BaseMessage], deadline: float, streaming: bool
) -> AsyncGenerator[str | Generation, None]:
    """The generated text, in pieces if streaming; the Generation itself is last."""
    if streaming:
        async with aclosing(llm.stream(messages, deadline)) as pieces:
            async for piece in pieces:
                yield piece
    else:
        generation = await llm.generate(messages, deadline)
        yield generation.text
        yield generation


def not_covered_text(docs: Sequence[str]) -> str:
    """The answer to a question that the documentation does not cover."""
    if not docs:
        return "No document matches what was asked for."
    nearest = ", ".join(docs[:3])
    return f"The documentation does not seem to cover this. The nearest pages are {nearest}."


def document_names(passages: Sequence[Passage]) -> list[str]:
    """The passages' documents, unique, in the order of the passages."""
    return list(dict.fromkeys(passage.chunk.document for passage in passages))
