"""The service's Prometheus metrics."""

from collections.abc import Callable
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from inference_worker.answer import Answer, TokenUsage
from inference_worker.answering.cache import AnswerCache
from inference_worker.generation.language_model import LanguageModel
from inference_worker.limits.spending import TokenBudget

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0)


class Metrics:
    """Has a registry of its own, so that two services in one process do not share counts."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        counter = partial(Counter, registry=self._registry)
        timer = partial(Histogram, buckets=_SECONDS, registry=self._registry)
        self._answers = counter(
            "docsqa_answers", "Answers given.", ["generator", "answerable", "degraded", "cached"]
        )
        self._seconds = timer(
            "docsqa_answer_seconds",
            "From a question to its complete answer.",
            ["generator", "cached"],
        )
        self.first_token_seconds = timer(
            "docsqa_first_token_seconds", "From a question to the first token of its answer."
        )
        self._tokens = counter(
            "docsqa_llm_tokens", "Tokens used, as the provider counts them.", ["direction"]
        )
        self.llm_failures = counter(
            "docsqa_llm_failures", "Answers that the language model failed to write.", ["reason"]
        )
        self._unsupported = counter(
            "docsqa_answers_unsupported",
            "Answers with a checkable statement that occurs in no passage.",
        )
        self.request_seconds = timer(
            "docsqa_request_seconds",
            "From a request to the end of its response.",
            ["route", "status"],
        )
        self._refusals = counter(
            "docsqa_refusals", "Requests and connections refused or closed by a limit.", ["reason"]
        )

    def count_refusal(self, reason: str) -> None:
        """Count a request or connection that a limit refused or closed."""
        self._refusals.labels(reason).inc()

    def register_gauges(self, cache: AnswerCache, llm: LanguageModel | None) -> None:
        """Add the gauges that are read from these when the metrics are requested."""
        self._gauge("docsqa_answers_shared", "Answers in progress.", lambda: cache.in_progress)
        if llm:
            self._gauge("docsqa_llm_calls", "Calls in progress.", lambda: llm.concurrency.in_use)
            self._gauge(
                "docsqa_llm_circuit_open",
                "1 while the circuit breaker blocks calls.",
                lambda: llm.breaker.is_open,
            )

    def register_budget(self, budget: TokenBudget | None) -> None:
        """Add the gauges of the token budget, if there is one."""
        if budget:
            self._gauge(
                "docsqa_token_budget",
                "Tokens that all answers of a month may use (TOKEN_BUDGET).",
                lambda: budget.monthly,
            )
            self._gauge(
                "docsqa_token_budget_spent",
                "Tokens of it used this month, as of the last call.",
                lambda: budget.spent,
            )

    def record_answer(self, answer: Answer, seconds: float) -> None:
        """Count and time a complete answer."""
        cached = str(answer.cached).lower()
        self._answers.labels(
            answer.generator, str(answer.answerable).lower(), str(answer.degraded).lower(), cached
        ).inc()
        self._seconds.labels(answer.generator, cached).observe(seconds)
        if answer.grounding.unsupported:
            self._unsupported.inc()

    def record_tokens(self, usage: TokenUsage) -> None:
        """Count the tokens of one call, however many questions share its answer."""
        self._tokens.labels("input").inc(usage.input_tokens)
        self._tokens.labels("output").inc(usage.output_tokens)

    def exposition(self) -> bytes:
        """The metrics in Prometheus' text format."""
        return generate_latest(self._registry)

    def _gauge(self, name: str, description: str, value: Callable[[], float]) -> None:
        Gauge(name, description, registry=self._registry).set_function(value)
