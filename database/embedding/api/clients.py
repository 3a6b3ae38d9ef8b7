"""LangChain's clients of embedding APIs, with what each needs to be plain and predictable.

All of them retry in their own ways, read settings from the environment, and put the upstream body
in their exceptions. So their retrying is off, the settings are passed, and what they raise becomes
one of three things here: a refusal by its status, an API out of reach, an answer nobody can read.
"""

import importlib.util
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
from langchain_core.embeddings import Embeddings

from dataset.web.http.retry_after import retry_after_seconds
from utils.errors import ModelError

if TYPE_CHECKING:
    from openai.resources import Embeddings as OpenAIAnswers

CONNECT_SECONDS = 5.0
_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What the clients raise on a body of another shape, since they check little."""


class ProviderRefusedError(Exception):
    """The API answered with another status than success; its body is not kept."""

    def __init__(self, status: int, retry_after: str) -> None:
        super().__init__(f"status {status}")
        self.status = status
        self.pause = retry_after_seconds(retry_after)
        """Seconds that the API asks to be left alone."""


class ProviderUnreachableError(Exception):
    """No answer: no connection, a connection that broke, or a time-out."""


class ProviderUnreadableError(Exception):
    """An answer of another shape than an embedding API's."""


@dataclass(frozen=True, slots=True)
class EmbeddingClient:
    """One API's model, ready to be asked."""

    embeddings: Embeddings
    close: Callable[[], None]
    unreachable: tuple[type[Exception], ...]
    """What the client raises where there is no answer."""

    def ask(self, texts: list[str]) -> list[list[float]]:
        """Embed texts in one request.

        Raises:
            RefusedError, UnreachableError, UnreadableError: without anything of the API's body.
        """
        try:
            return self.embeddings.embed_documents(texts)
        except ProviderRefusedError:
            raise
        except Exception as error:
            # Nothing is chained: the causes quote the body.
            status, headers = _refusal(error)
            if status >= httpx.codes.MULTIPLE_CHOICES:
                raise ProviderRefusedError(status, headers.get("Retry-After", "")) from None
            if isinstance(error, (httpx.DecodingError, *_UNREADABLE)):
                raise ProviderUnreadableError from None
            if isinstance(error, self.unreachable):
                raise ProviderUnreachableError from None
            if status:  # success, and still not what the client can read
                raise ProviderUnreadableError from None
            raise


def connect_provider(
    provider: str, model: str, *, address: str, key: str | None, seconds: float
) -> EmbeddingClient:
    """Make the client of a provider's model.

    Args:
        provider: A key of PROVIDERS.
        model: The model's name there.
        address: Where the API is.
        key: The key; None for an API that asks for none.
        seconds: How long one request may wait for an answer.

    Raises:
        ModelError: a package is missing.
    """
    packages = ("langchain", PROVIDERS[provider].package)
    missing = [name for name in packages if not importlib.util.find_spec(name.replace("-", "_"))]
    if missing:
        raise ModelError(
            f"{provider}:{model} needs a package that is not installed: "
            f"pip install {' '.join(missing)}"
        )
    return PROVIDERS[provider].connect(model, address, key, seconds)


def _refusal(error: Exception) -> tuple[int, Any]:
    """The status and headers that an exception carries; 0 where it carries none."""
    response = getattr(error, "response", None)
    status = getattr(error, "status_code", getattr(response, "status_code", 0))
    return int(status or 0), getattr(response, "headers", {})


def _look_at(response: httpx.Response) -> None:
    """Refuse a failure before its body is read, so that no exception can quote it."""
    if response.is_error:
        raise ProviderRefusedError(response.status_code, response.headers.get("Retry-After", ""))


def _timeout(seconds: float) -> httpx.Timeout:
    return httpx.Timeout(seconds, connect=min(CONNECT_SECONDS, seconds))


def _mistralai(model: str, address: str, key: str | None, seconds: float) -> EmbeddingClient:
    from langchain.embeddings import init_embeddings
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    http = httpx.Client(
        base_url=address,
        headers={"Accept": "application/json"} | _bearer(key),
        timeout=_timeout(seconds),
        event_hooks={"response": [_look_at]},
    )
    # It logs every failure with a stack trace; ours are told in a line each.
    logging.getLogger("langchain_mistralai.embeddings").disabled = True
    embeddings = init_embeddings(
        model,
        provider="mistralai",
        api_key=key or "",
        client=http,
        max_retries=None,
        # Without one it downloads Mixtral's, to split requests that were split before. To this
        # one every text is a single token.
        tokenizer=Tokenizer(WordLevel({"": 0}, unk_token="")),
    )
    return EmbeddingClient(embeddings, http.close, (httpx.RequestError,))


def _openai(model: str, address: str, key: str | None, seconds: float) -> EmbeddingClient:
    from langchain.embeddings import init_embeddings
    from openai import APIConnectionError, OpenAI

    api = OpenAI(base_url=address, api_key=key or "none", timeout=seconds, max_retries=0)
    embeddings = init_embeddings(
        model,
        provider="openai",
        client=_AsJson(api.embeddings),
        base_url=address,
        api_key=key or "none",
        openai_proxy=None,
        # Else it sends token ids of a vocabulary it downloads: OpenAI's models alone know them.
        check_embedding_ctx_length=False,
        chunk_size=2048,  # no splitting of what was split before
        # Else the client asks for base64, which not every server that speaks this API knows.
        model_kwargs={"encoding_format": "float"},
    )
    return EmbeddingClient(embeddings, api.close, (APIConnectionError,))


class _AsJson:
    """OpenAI's client with its answers as plain JSON.

    Read into its own types, an answer of another shape is a warning that quotes it.
    """

    def __init__(self, embeddings: "OpenAIAnswers") -> None:
        self._embeddings = embeddings

    def create(self, **fields: Any) -> Any:
        """Embed; what LangChain calls."""
        return self._embeddings.with_raw_response.create(**fields).http_response.json()


def _ollama(model: str, address: str, key: str | None, seconds: float) -> EmbeddingClient:
    from langchain.embeddings import init_embeddings

    embeddings: Any = init_embeddings(
        model,
        provider="ollama",
        base_url=address,
        client_kwargs={"headers": _bearer(key), "timeout": _timeout(seconds)},
        sync_client_kwargs={"event_hooks": {"response": [_look_at]}},
    )
    close = embeddings._client.close  # noqa: SLF001  # there is no other way to it
    return EmbeddingClient(embeddings, close, (httpx.RequestError, ConnectionError))


def _bearer(key: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"} if key else {}


@dataclass(frozen=True, slots=True)
class EmbeddingProvider:
    """How a provider's models are reached."""

    package: str
    """LangChain's package for it."""
    address: str
    """Its own API's."""
    needs_key: bool
    """Whether its own API asks for one."""
    connect: Callable[[str, str, str | None, float], EmbeddingClient]


PROVIDERS = {
    "mistralai": EmbeddingProvider(
        "langchain-mistralai", "https://api.mistral.ai/v1", True, _mistralai
    ),
    "openai": EmbeddingProvider("langchain-openai", "https://api.openai.com/v1", True, _openai),
    "ollama": EmbeddingProvider("langchain-ollama", "http://127.0.0.1:11434", False, _ollama),
}
