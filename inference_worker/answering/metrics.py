"""What the service counts and times, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from inference_worker.answer import Answer, TokenUsage
from inference_worker.answering.cache import AnswerCache
from inference_worker.generation.language_model import LanguageModel
from utils.errors import GenerationError

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0)


class Metrics:
    """A registry of its own: two services in one process do not count for each other."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._answers = Counter(
            "docsqa_answers",
            "Answers given.",
            ["generator", "answerable", "degraded", "cached"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "docsqa_answer_seconds",
            "From a question to its whole answer.",
            ["generator", "cached"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._first_token = Histogram(
            "docsqa_first_token_seconds",
            "From a question to the first piece of its answer.",
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._tokens = Counter(
            "docsqa_llm_tokens",
            "Tokens taken, in the provider's own figures.",
            ["direction"],
            registry=self._registry,
        )
        self._failures = Counter(
            "docsqa_llm_failures",
            "Answers that the language model should have written and did not.",
            ["reason"],
            registry=self._registry,
        )
        self._unsupported = Counter(
            "docsqa_answers_unsupported",
            "Answers that say something checkable which stands in no passage.",
            registry=self._registry,
        )
        self._requests = Histogram(
            "docsqa_request_seconds",
            "From a request to the end of its response.",
            ["route", "status"],
            buckets=_SECONDS,
            registry=self._registry,
        )

    def watch(self, cache: AnswerCache, llm: LanguageModel | None) -> None:
        """Show how these stand whenever the metrics are read."""
        self._gauge("docsqa_answers_shared", "Answers under way that may be shared.").set_function(
            lambda: cache.under_way
        )
        if llm:
            self._gauge("docsqa_llm_calls", "Calls under way.").set_function(
                lambda: llm.slots.taken
            )
            self._gauge(
                "docsqa_llm_circuit_open", "1 while the language model is left alone."
            ).set_function(lambda: llm.breaker.is_open)

    def answered(self, answer: Answer, seconds: float) -> None:
        """An answer was given."""
        cached = str(answer.cached).lower()
        self._answers.labels(
            answer.generator,
            str(answer.answerable).lower(),
            str(answer.degraded).lower(),
            cached,
        ).inc()
        self._seconds.labels(answer.generator, cached).observe(seconds)
        if answer.grounding.unsupported:
            self._unsupported.inc()

    def took(self, usage: TokenUsage) -> None:
        """A call to the language model ended; answers that share it take nothing more."""
        self._tokens.labels("input").inc(usage.input_tokens)
        self._tokens.labels("output").inc(usage.output_tokens)

    def began(self, seconds: float) -> None:
        """The first piece of an answer went out."""
        self._first_token.observe(seconds)

    def language_model_failed(self, error: GenerationError) -> None:
        """The language model gave no usable answer."""
        self._failures.labels(str(error)).inc()

    def responded(self, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        self._requests.labels(route, str(status)).observe(seconds)

    def exposition(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self._registry)

    def _gauge(self, name: str, description: str) -> Gauge:
        return Gauge(name, description, registry=self._registry)
