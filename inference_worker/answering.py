"""The answer flow: retrieve, prompt, generate, ground; and quoting where no model can write."""

import asyncio
import logging
import os
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import ParamSpec, TypeVar

from langchain_core.messages import BaseMessage

from database.passages import Findings, Passage
from database.retriever import Retriever
from dataset.chunks import Chunk
from inference_worker.answer_cache import AnswerCache, normalized
from inference_worker.answers import (
    EXTRACTIVE,
    Answer,
    Corpus,
    Event,
    Found,
    Grounding,
    Token,
    Turn,
    Usage,
)
from inference_worker.follow_up import retrieval_question
from inference_worker.generation.failures import PromptTooLongError
from inference_worker.generation.language_model import Generation, LanguageModel
from inference_worker.generation.prompt import VERSION, write_prompt
from inference_worker.generation.token_counter import TokenCounter
from inference_worker.grounding.check import ground
from inference_worker.grounding.citations import CitationFilter
from inference_worker.metrics import Metrics
from inference_worker.quoting.extractive import extract_answer
from utils.errors import GenerationError
from utils.settings import Settings

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

Events = AsyncGenerator[Event, None]


@dataclass(slots=True)
class _Draft:
    """An answer while it is being written."""

    question: str
    history: Sequence[Turn]
    searched: str
    """What was searched for: the question, and what it leans on."""
    findings: Findings
    text: str = ""
    generator: str = EXTRACTIVE
    degraded_reason: str | None = None
    truncated: bool = False
    removed_citations: int = 0
    usage: Usage | None = None
    grounding: Grounding = field(default_factory=Grounding)

    @property
    def passages(self) -> list[Passage]:
        return self.findings.passages


class Answerer:
    """Answers questions from the index.

    Args:
        retriever: Finds passages.
        llm: Writes answers; without one they are quoted.
        settings: Limits, and what is kept of earlier answers.
        metrics: Counts what happens.
    """

    def __init__(
        self,
        retriever: Retriever,
        llm: LanguageModel | None,
        settings: Settings,
        metrics: Metrics | None = None,
    ) -> None:
        self._retriever = retriever
        self._llm = llm
        self._settings = settings
        self._metrics = metrics or Metrics()
        self._count_tokens = TokenCounter()
        self._cache = AnswerCache(
            settings.answer_cache_size if llm else 0, settings.answer_cache_seconds
        )
        self._metrics.watch(self._cache, llm)
        # Embedding is what a search spends its time on, and it fills a core: more threads than
        # twice the cores only make every search wait for all the others.
        self._threads = ThreadPoolExecutor(2 * (os.cpu_count() or 1), thread_name_prefix="search")

    async def search(self, question: str, top_k: int | None = None) -> Findings:
        """Find the passages that answer the question best, and how probable it is that they do.

        Raises:
            DocsQAError: the index cannot be read.
        """
        top_k = top_k or self._settings.top_k
        return await self._in_thread(self._retriever.search, question, top_k)

    async def document(self, name: str) -> list[Chunk]:
        """The chunks of one document in order; none where the index has no such document.

        Raises:
            DocsQAError: the index cannot be read.
        """
        return await self._in_thread(self._retriever.document, name)

    async def answer(
        self, question: str, top_k: int | None = None, history: Sequence[Turn] = ()
    ) -> Answer:
        """Answer a question from the passages found; say so where they do not answer it.

        Raises:
            DocsQAError: the index cannot be read. A language model that fails is no error.
        """
        async with aclosing(self.events(question, top_k, history, streaming=False)) as events:
            async for event in events:
                if isinstance(event, Answer):
                    return event
        raise AssertionError("the flow ends with an answer or an exception")

    async def events(
        self,
        question: str,
        top_k: int | None = None,
        history: Sequence[Turn] = (),
        *,
        streaming: bool = True,
    ) -> Events:
        """Answer a question, and tell how it comes about: one Found, Tokens, the Answer.

        Args:
            question: What is asked.
            top_k: How many passages to write from; the setting unless given.
            history: What was said before, for a question that leans on it.
            streaming: Whether the language model's words are wanted as they come.

        Raises:
            DocsQAError: the index cannot be read; before the first event.
        """
        start = time.perf_counter()
        revision = self._revision()
        key = (revision, *self._key(question, top_k, history))
        make = partial(self._flow, question, top_k, history, streaming)

        def keep(answer: Answer) -> bool:
            """What is quoted costs nothing to make again, and a failure may have passed."""
            written = answer.generator != EXTRACTIVE and not answer.truncated
            return written and self._revision() == revision

        said = False
        async with aclosing(
            self._cache.events(key, make, keep=keep, whole=not streaming)
        ) as events:
            async for event in events:
                seconds = time.perf_counter() - start
                if isinstance(event, Token) and not said:
                    said = True
                    self._metrics.began(seconds)
                elif isinstance(event, Answer):
                    self._metrics.answered(event, seconds)
                yield event

    async def _flow(
        self, question: str, top_k: int | None, history: Sequence[Turn], streaming: bool
    ) -> Events:
        """Retrieve, prompt, generate, ground."""
        start = time.perf_counter()
        searched = retrieval_question(question, history)
        findings = await self.search(searched, top_k)
        found = time.perf_counter()
        yield Found(findings)
        draft = _Draft(question, history, searched, findings)
        async with aclosing(self._write(draft, streaming)) as pieces:
            async for piece in pieces:
                yield Token(piece)
        written = time.perf_counter()
        draft.text = draft.text.rstrip()
        if findings.answerable:
            grounding = await self._in_thread(ground, draft.text, draft.passages)
            quoted = draft.generator == EXTRACTIVE
            draft.grounding = replace(
                grounding,
                removed_citations=draft.removed_citations,
                # A quoted paragraph is from one passage, which is cited at its end.
                uncited_sentences=0 if quoted else grounding.uncited_sentences,
            )
        end = time.perf_counter()
        yield self._finished(
            draft,
            {
                "retrieve": round((found - start) * 1000, 2),
                "generate": round((written - found) * 1000, 2),
                "ground": round((end - written) * 1000, 2),
                "total": round((end - start) * 1000, 2),
            },
        )

    async def _write(self, draft: _Draft, streaming: bool) -> AsyncGenerator[str, None]:
        """Write the draft's text, and give it as it comes."""
        said = False
        if self._llm and draft.findings.answerable and draft.passages:
            try:
                async with aclosing(self._generate(self._llm, draft, streaming)) as pieces:
                    async for piece in pieces:
                        said = True
                        yield piece
            except GenerationError as error:
                draft.degraded_reason = str(error)
                self._metrics.language_model_failed(error)
                log.warning("Answering without the language model: %s", error)
            else:
                return
        draft.generator, draft.removed_citations = EXTRACTIVE, 0
        if draft.findings.answerable:
            draft.text = await self._in_thread(extract_answer, draft.searched, draft.passages)
        else:
            draft.text = not_covered(documents(draft.passages))
        if not said:  # what was said of a text that broke off cannot be taken back by saying more
            for line in draft.text.splitlines(keepends=True):
                yield line

    async def _generate(
        self, llm: LanguageModel, draft: _Draft, streaming: bool
    ) -> AsyncGenerator[str, None]:
        """Have the language model write; what it cites beyond its passages is taken out."""
        shown = draft.passages
        while True:
            prompt = await self._in_thread(
                write_prompt,
                draft.question,
                shown,
                draft.history,
                max_tokens=self._settings.prompt_max_tokens,
                count_tokens=self._count_tokens,
            )
            shown = shown[: prompt.passages]
            citations = CitationFilter(len(shown))
            draft.text = ""
            try:
                async with aclosing(_pieces(llm, prompt.messages, streaming)) as pieces:
                    async for piece in pieces:
                        if isinstance(piece, Generation):
                            draft.usage, draft.truncated = piece.usage, piece.truncated
                            text = citations.finish()
                        else:
                            text = citations.feed(piece)
                        text = text if draft.text else text.lstrip()
                        draft.text += text
                        if text:
                            yield text
            except PromptTooLongError:
                if len(shown) == 1:
                    raise
                shown = shown[: len(shown) // 2]
                continue
            draft.generator, draft.removed_citations = llm.name, citations.removed
            if draft.usage:
                self._metrics.took(draft.usage)
            return

    def _finished(self, draft: _Draft, timings: dict[str, float]) -> Answer:
        used = [draft.passages[number - 1] for number in draft.grounding.used]
        return Answer(
            text=draft.text,
            docs=documents([*used, *draft.passages])[: self._settings.max_docs],
            passages=draft.passages,
            grounding=draft.grounding,
            generator=draft.generator,
            degraded_reason=draft.degraded_reason,
            answerable=draft.findings.answerable,
            confidence=draft.findings.confidence,
            usage=draft.usage,
            truncated=draft.truncated,
            cached=False,
            corpus=self._corpus(),
            timings=timings,
        )

    def _revision(self) -> tuple[str, int] | None:
        """Which index is live."""
        snapshot = self._retriever.snapshot
        return (snapshot.live.name, snapshot.live.revision) if snapshot else None

    def _corpus(self) -> Corpus | None:
        """What the live index holds, and as of when."""
        snapshot = self._retriever.snapshot
        if snapshot is None:
            return None
        fingerprint = snapshot.fingerprint
        return Corpus(
            revision=snapshot.live.revision,
            built_at=fingerprint.built_at,
            documents=fingerprint.documents,
            sources=fingerprint.sources,
        )

    def _key(self, question: str, top_k: int | None, history: Sequence[Turn]) -> tuple[object, ...]:
        """All that decides an answer."""
        return (
            normalized(question),
            tuple((turn.role, normalized(turn.text)) for turn in history),
            top_k or self._settings.top_k,
            self._llm and self._llm.name,
            VERSION,
            self._settings.inference_max_tokens,
            self._settings.prompt_max_tokens,
        )

    async def _in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do what takes milliseconds of computing without holding up the event loop."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(work, *args, **kwargs))

    async def aclose(self) -> None:
        """Let go of threads and connections."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._llm:
            await self._llm.aclose()


async def _pieces(
    llm: LanguageModel, messages: Sequence[BaseMessage], streaming: bool
) -> AsyncGenerator[str | Generation, None]:
    """What the language model writes: as it comes, or at once; what it took comes last."""
    if streaming:
        async with aclosing(llm.stream(messages)) as pieces:
            async for piece in pieces:
                yield piece
    else:
        generation = await llm.generate(messages)
        yield generation.text
        yield generation


def not_covered(docs: Sequence[str]) -> str:
    """Say that the documentation does not answer, and what in it comes nearest."""
    nearest = f" The nearest pages are {', '.join(docs[:3])}." if docs else ""
    return f"The documentation does not seem to cover this.{nearest}"


def documents(passages: Sequence[Passage]) -> list[str]:
    """Name the passages' documents in their order, each once."""
    return list(dict.fromkeys(passage.chunk.document for passage in passages))
