"""The answer flow: retrieve, prompt, generate, ground."""

import asyncio
import hashlib
import logging
import math
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import ParamSpec, TypeVar

from database.reading.reader import Reader
from database.searching.confidence import ConfidenceFeatures
from database.searching.filters import EVERYTHING, Filters
from database.searching.passage import Findings, merge_passages
from dataset.chunks import Chunk
from inference_worker.answer import (
    EXTRACTIVE,
    Answer,
    CorpusInfo,
    Events,
    Grounding,
    SearchQuery,
    Token,
    Turn,
)
from inference_worker.answering.answer_writer import PASSAGES_PER_QUERY, Writer
from inference_worker.answering.cache import AnswerCache, compatibility_form, normalize_question
from inference_worker.answering.draft import Draft, document_names
from inference_worker.answering.follow_up import retrieval_queries
from inference_worker.answering.metrics import Metrics
from inference_worker.answering.small_talk import small_talk_reply
from inference_worker.concurrency_limit import ConcurrencyLimit
from inference_worker.generation.language_model import LanguageModel
from inference_worker.generation.token_counter import count_tokens
from inference_worker.grounding.check import ground, merge_unsupported
from inference_worker.logs.request_fields import add_log_fields
from utils.priority import yield_to_event_loop
from utils.settings import Settings

log = logging.getLogger(__name__)

MAX_PROMPT_PASSAGES = 40
"""How many passages are searched for a language model; PROMPT_MAX_TOKENS limits it further."""

_WORK_SECONDS = 0.02
"""Expected duration of a search, until some were measured."""
_NO_SEARCH = Findings([], 1.0, answerable=True, features=ConfidenceFeatures(0.0, 0.0, 0.0, 0.0))

P = ParamSpec("P")
T = TypeVar("T")


class Answerer:
    """Answers questions from the index; without a language model, quotes the passages."""

    def __init__(
        self,
        reader: Reader,
        llm: LanguageModel | None,
        settings: Settings,
        metrics: Metrics | None = None,
    ) -> None:
        self._reader = reader
        self._llm = llm
        self._settings = settings
        self._metrics = metrics or Metrics()
        self._writer = Writer(llm, settings, self._metrics, reader.cosines, self._in_thread)
        self._cache = AnswerCache(
            settings.answer_cache_size if llm else 0, settings.answer_cache_seconds
        )
        self._metrics.register_gauges(self._cache, llm)
        # A search spends its time on embedding, which occupies a core: more than two threads per
        # core would only make every search wait for all the others.
        threads = 2 * (os.cpu_count() or 1)
        self._threads = ThreadPoolExecutor(
            threads, thread_name_prefix="search", initializer=yield_to_event_loop
        )
        self.capacity = ConcurrencyLimit(threads, _WORK_SECONDS)
        """Of the threads, for which all searches and answers wait."""

    async def prepare(self) -> None:
        """Load what the first answer would otherwise wait for."""
        if self._llm:
            await self._in_thread(count_tokens, "")

    async def search(
        self, question: str, top_k: int | None = None, filters: Filters = EVERYTHING
    ) -> Findings:
        """Find the passages that answer the question best.

        Raises:
            DocsQAError: the index cannot be read, or too many searches wait.
        """
        top_k = top_k or self._settings.top_k
        work = partial(self._reader.search, question, top_k, filters)
        return await self._run(work, self._settings.max_wait_seconds)

    async def document(self, name: str) -> list[Chunk]:
        """The chunks of one document in order; empty if the index has no such document.

        Raises:
            DocsQAError: the index cannot be read.
        """
        return await self._run(partial(self._reader.document, name), patience=math.inf)

    async def answer(
        self,
        question: str,
        top_k: int | None = None,
        history: Sequence[Turn] = (),
        filters: Filters = EVERYTHING,
    ) -> Answer:
        """Answer a question. A language model that fails is no error: the passages are quoted.

        Raises:
            DocsQAError: the index cannot be read.
        """
        events_of = self.events(question, top_k, history, filters, streaming=False)
        async with aclosing(events_of) as events:
            async for event in events:
                if isinstance(event, Answer):
                    return event
        raise AssertionError("the flow ends with an answer or an exception")

    async def events(
        self,
        question: str,
        top_k: int | None = None,
        history: Sequence[Turn] = (),
        filters: Filters = EVERYTHING,
        *,
        streaming: bool = True,
    ) -> Events:
        """Answer a question in events: PassagesFound, Tokens, the Answer.

        With `streaming`, the language model's text is requested in pieces.

        Raises:
            DocsQAError: the index cannot be read; before the first event.
        """
        start = time.perf_counter()
        question = compatibility_form(question)
        history = [Turn(turn.role, compatibility_form(turn.text)) for turn in history]
        revision = self._revision()
        # Of a conversation its digest, as it may be long.
        conversation = hashlib.sha256(repr((normalize_question(question), history)).encode())
        key = (revision, filters, top_k, conversation.digest())
        run = partial(self._flow, question, top_k, history, filters, streaming)

        def is_cacheable(answer: Answer) -> bool:
            # Quoting again costs nothing, and the cause of a failure may have passed.
            written = answer.generator != EXTRACTIVE and answer.finish_reason == "stop"
            return written and not answer.has_failed_search and self._revision() == revision

        first_token = True
        events_of = self._cache.events(key, run, is_cacheable=is_cacheable, whole=not streaming)
        async with aclosing(events_of) as events:
            async for event in events:
                seconds = time.perf_counter() - start
                if isinstance(event, Token) and first_token:
                    first_token = False
                    self._metrics.first_token_seconds.observe(seconds)
                elif isinstance(event, Answer):
                    self._metrics.record_answer(event, seconds)
                    self._log_answer(question, event)
                yield event

    def _log_answer(self, question: str, answer: Answer) -> None:
        """Add the answer to the request's line in the log."""
        add_log_fields(
            generator=answer.generator,
            coverage=answer.coverage or "",
            confidence=round(answer.confidence, 3),
            cached=answer.cached,
            degraded=answer.degraded_reason or "",
            input_tokens=answer.usage.input_tokens if answer.usage else 0,
            output_tokens=answer.usage.output_tokens if answer.usage else 0,
            **{f"{stage}_ms": milliseconds for stage, milliseconds in answer.timings.items()},
        )
        if self._settings.log_questions:
            add_log_fields(question=question)

    async def _flow(
        self,
        question: str,
        top_k: int | None,
        history: Sequence[Turn],
        filters: Filters,
        streaming: bool,
    ) -> Events:
        start = time.perf_counter()
        max_quoted = top_k or self._settings.top_k

        # Greetings and questions about the service itself need no documents.
        settings = self._settings
        subject = settings.product_name, settings.corpus_description
        reply = small_talk_reply(question, *subject, is_follow_up=bool(history))
        if reply:
            draft = Draft(question, history, question, _NO_SEARCH, [], [], text=reply)
            yield draft.found
            yield Token(reply)
            yield self._answer(draft, Grounding(), max_quoted, {"total": _since(start)})
            return

        # Retrieve: a follow-up is searched together with the questions that it continues.
        queries = retrieval_queries(question, history)
        max_prompted = top_k or max(MAX_PROMPT_PASSAGES, max_quoted)
        is_prompted = self._llm and self._llm.is_offered
        max_found = max_prompted if is_prompted else max_quoted
        found = await asyncio.gather(*(self.search(each, max_found, filters) for each in queries))
        findings = _merged(*found, limit=max_found)
        retrieved = time.perf_counter()
        searches = [SearchQuery(query, "user") for query in queries]
        draft = Draft(question, history, queries[0], findings, findings.passages, searches)

        # Prompt and generate: the language model writes from the passages, perhaps after further
        # searches; or they are quoted.
        search = partial(self._search_again, filters=filters)
        writing = self._writer.write(draft, search, top_k=max_quoted, streaming=streaming)
        async with aclosing(writing) as events:
            async for event in events:
                yield event
        generated = time.perf_counter()

        # Ground: check each statement of the text against the passages.
        draft.text = draft.text.rstrip()
        grounding = await self._ground(draft)

        milliseconds = {
            "retrieve": _since(start, retrieved),
            "generate": _since(retrieved, generated),
            "ground": _since(generated),
            "total": _since(start),
        }
        yield self._answer(draft, grounding, max_quoted, milliseconds)

    async def _search_again(self, query: str, filters: Filters) -> Findings:
        """Search for an answer that was admitted before: it is not refused."""
        return await self._in_thread(self._reader.search, query, PASSAGES_PER_QUERY, filters)

    async def _ground(self, draft: Draft) -> Grounding:
        if draft.is_refusal:
            return Grounding()
        if draft.generator == EXTRACTIVE:
            used = [each.number for each in draft.quoted]
            return Grounding(draft.quoted, used, unsupported=draft.inactive)
        grounding = await self._in_thread(ground, draft.text, draft.passages, draft.query)
        return replace(
            grounding,
            removed_citations=draft.removed_citations,
            unsupported=merge_unsupported(draft.inactive, grounding.unsupported),
        )

    def _answer(
        self, draft: Draft, grounding: Grounding, top_k: int, timings: dict[str, float]
    ) -> Answer:
        """The answer, with the best `top_k` passages and as many more as its checks refer to."""
        used = [draft.passages[number - 1] for number in grounding.used]
        last = max((top_k, *grounding.passage_numbers))
        return Answer(
            text=draft.text,
            docs=document_names([*used, *draft.passages])[: self._settings.max_docs],
            passages=draft.passages[:last],
            grounding=grounding,
            generator=draft.generator,
            degraded_reason=draft.degraded_reason,
            answerable=_is_answerable(draft, grounding),
            confidence=draft.findings.confidence,
            usage=draft.usage,
            finish_reason=draft.finish_reason,
            coverage=draft.coverage,
            searches=tuple(draft.searches),
            has_failed_search=draft.has_failed_search,
            cached=False,
            corpus=self._corpus(),
            timings=timings,
        )

    def invalidate(self, document: str) -> int:
        """Remove the cached answers written from a document; return how many remain."""
        return self._cache.invalidate(
            lambda found: any(each.chunk.document == document for each in found.findings.passages)
        )

    def _revision(self) -> tuple[str, int] | None:
        """Name and revision of the live index."""
        snapshot = self._reader.state
        return (snapshot.live.name, snapshot.live.revision) if snapshot else None

    def _corpus(self) -> CorpusInfo | None:
        snapshot = self._reader.state
        if snapshot is None:
            return None
        fingerprint = snapshot.fingerprint
        return CorpusInfo(
            revision=snapshot.live.revision,
            built_at=fingerprint.built_at,
            documents=fingerprint.documents,
            sources=fingerprint.sources,
        )

    async def _in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Compute a part of an answer in a thread, before the searches that wait."""
        return await self._run(partial(work, *args, **kwargs), math.inf, continues=True)

    async def _run(self, work: Callable[[], T], patience: float, *, continues: bool = False) -> T:
        """Compute in a thread, if that is expected to finish within `patience` seconds.

        Raises:
            OverloadedError: it is not.
        """
        async with self.capacity.slot(patience, continues=continues):
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def aclose(self) -> None:
        """Release threads and connections."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._llm:
            await self._llm.aclose()


def _since(start: float, end: float | None = None) -> float:
    """Milliseconds from a time of `perf_counter`, until now by default."""
    return round(((end or time.perf_counter()) - start) * 1000, 2)


def _merged(first: Findings, *others: Findings, limit: int) -> Findings:
    """The first search's findings; with others, each of their passages after two of the first's."""
    if not others:
        return first
    ranked = (first.passages[::2], first.passages[1::2], *(each.passages for each in others))
    return replace(first, passages=merge_passages([], *ranked)[:limit])


def _is_answerable(draft: Draft, grounding: Grounding) -> bool:
    """Whether the passages answer: as the model reports or shows, else as the search estimates."""
    if draft.coverage is not None:
        return draft.coverage != "none"
    is_cited = draft.generator != EXTRACTIVE and bool(grounding.citations)
    return is_cited or draft.findings.answerable
