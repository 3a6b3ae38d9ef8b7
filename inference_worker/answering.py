"""The answer flow: retrieve, prompt, generate; and the extractive answer where that fails."""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import ParamSpec, TypeVar

from database.passages import Findings, Passage
from database.retriever import Retriever
from inference_worker.extractive import extract_answer
from inference_worker.mistral import Mistral
from inference_worker.prompt import build_messages
from utils.errors import GenerationError

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

EXTRACTIVE = "extractive"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a question gets back."""

    text: str
    docs: list[str]
    """Names of the documents to read, best first, each once."""
    passages: list[Passage]
    """The passages the answer rests on; `[n]` in the text means the n-th of them."""
    generator: str
    """Who wrote the text: the language model's name, or "extractive"."""
    degraded_reason: str | None
    """Why the language model did not write it, where it should have; else None."""
    answerable: bool
    """Whether the documentation answers the question, as far as the search can tell."""
    confidence: float
    """Probability that it does, 0 to 1."""
    timings: dict[str, float]
    """Milliseconds by stage."""

    @property
    def degraded(self) -> bool:
        """Whether the language model failed and the passages were quoted instead."""
        return self.degraded_reason is not None


class Answerer:
    """Answers questions from the index."""

    def __init__(
        self, retriever: Retriever, llm: Mistral | None, *, top_k: int, max_docs: int
    ) -> None:
        self._retriever = retriever
        self._llm = llm
        self._top_k = top_k
        self._max_docs = max_docs
        # Embedding is what a search spends its time on, and it fills a core: more threads than
        # twice the cores only make every search wait for all the others.
        self._threads = ThreadPoolExecutor(2 * (os.cpu_count() or 1), thread_name_prefix="search")

    async def search(self, question: str, top_k: int | None = None) -> Findings:
        """Find the passages that answer the question best, and how probable it is that they do.

        Raises:
            DocsQAError: the index cannot be read.
        """
        return await self._in_thread(self._retriever.search, question, top_k or self._top_k)

    async def answer(self, question: str, top_k: int | None = None) -> Answer:
        """Answer a question from the passages found; say so where they do not answer it.

        Raises:
            DocsQAError: the index cannot be read. A language model that fails is no error.
        """
        start = time.perf_counter()
        findings = await self.search(question, top_k)
        retrieved = time.perf_counter()
        docs = documents(findings.passages, self._max_docs)
        if findings.answerable:
            text, generator, degraded_reason = await self._generate(question, findings.passages)
        else:
            text, generator, degraded_reason = not_covered(docs), EXTRACTIVE, None
        end = time.perf_counter()
        return Answer(
            text=text,
            docs=docs,
            passages=findings.passages,
            generator=generator,
            degraded_reason=degraded_reason,
            answerable=findings.answerable,
            confidence=findings.confidence,
            timings={
                "retrieve": round((retrieved - start) * 1000, 2),
                "generate": round((end - retrieved) * 1000, 2),
                "total": round((end - start) * 1000, 2),
            },
        )

    async def _generate(
        self, question: str, passages: list[Passage]
    ) -> tuple[str, str, str | None]:
        """The answer's text, who wrote it, and why not the language model if it failed."""
        reason = None
        if self._llm and passages:
            try:
                generation = await self._llm.generate(build_messages(question, passages))
            except GenerationError as error:
                reason = str(error)
                log.warning("Answering without the language model: %s", reason)
            else:
                return generation.text, generation.model, None
        return await self._in_thread(extract_answer, question, passages), EXTRACTIVE, reason

    async def _in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do what takes milliseconds of computing without holding up the event loop."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(work, *args, **kwargs))

    async def aclose(self) -> None:
        """Let go of threads and connections."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._llm:
            await self._llm.aclose()


def not_covered(docs: Sequence[str]) -> str:
    """Say that the documentation does not answer, and what in it comes nearest."""
    nearest = f" The nearest pages are {', '.join(docs[:3])}." if docs else ""
    return f"The documentation does not seem to cover this.{nearest}"


def documents(passages: list[Passage], limit: int) -> list[str]:
    """Name the passages' documents, best first, each once."""
    return list(dict.fromkeys(passage.chunk.document for passage in passages))[:limit]
