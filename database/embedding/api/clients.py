"""LangChain's clients of embedding APIs, with retries off and one type of error.

Each client retries in its own way, reads settings from the environment, and quotes the response
body in its exceptions. Here, retries are off, settings are passed explicitly, and every error is a
ProviderError, which only has a status.
"""

import importlib.util
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import httpx
from langchain_core.embeddings import Embeddings

from dataset.web.http.responses import retry_after_seconds
from utils.errors import ModelError

if TYPE_CHECKING:
    from openai.resources import Embeddings as OpenAIAnswers

CONNECT_SECONDS = 5.0
UNREACHABLE = 0
"""No answer: no connection, a broken connection, or a timeout."""
UNREADABLE = 200
"""The answer is not that of an embedding API."""
_RAISED_IF_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""Raised by the clients, which validate little, for a body of another shape."""


class ProviderError(Exception):
    """A request failed; nothing of the response body is kept."""

    def __init__(self, status: int, retry_after: str = "") -> None:
        super().__init__(f"status {status}")
        self.status = status
        """The error status of the answer, or UNREACHABLE or UNREADABLE."""
        self.pause = retry_after_seconds(retry_after)
        """Seconds to wait, from Retry-After."""


@dataclass(frozen=True, slots=True)
class EmbeddingClient:
    """A client of one model of an API."""

    embeddings: Embeddings
    close: Callable[[], None]
    unreachable: tuple[type[Exception], ...]
    """Raised by the client if there is no answer."""
    address: str = ""
    """Base URL of the API."""

    def embed(self, texts: list[str]) -> list[list[float]]:
        """Embed texts in one request.

        Raises:
            ProviderError: there is no answer, or it has no embeddings.
        """
        try:
            return self.embeddings.embed_documents(texts)
        except ProviderError:
            raise
        except Exception as error:
            # Nothing is chained: the causes quote the body.
            status, headers = _refusal(error)
            if status >= httpx.codes.MULTIPLE_CHOICES:
                raise ProviderError(status, headers.get("Retry-After", "")) from None
            if status or isinstance(error, (httpx.DecodingError, *_RAISED_IF_UNREADABLE)):
                raise ProviderError(UNREADABLE) from None
            if isinstance(error, self.unreachable):
                raise ProviderError(UNREACHABLE) from None
            raise


def connect_provider(
    provider: str, model: str, *, address: str, key: str | None, seconds: float
) -> EmbeddingClient:
    """Create the client of a provider's model.

    Args:
        provider: A key of PROVIDERS.
        model: The model's name there.
        address: Base URL of the API.
        key: The API key; None for an API without keys.
        seconds: Timeout of one request.

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
    return replace(PROVIDERS[provider].connect(model, address, key, seconds), address=address)


def _refusal(error: Exception) -> tuple[int, Any]:
    """Status and headers of an exception's response; status 0 if it has none."""
    response = getattr(error, "response", None)
    status = getattr(error, "status_code", getattr(response, "status_code", 0))
    return int(status or 0), getattr(response, "headers", {})


def _raise_for_status(response: httpx.Response) -> None:
    """Raise on an error status before the body is read, so that no exception can quote it."""
    if response.is_error:
        raise ProviderError(response.status_code, response.headers.get("Retry-After", ""))


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
        event_hooks={"response": [_raise_for_status]},
    )
    # It logs each failure with a stack trace; we log one line.
    logging.getLogger("langchain_mistralai.embeddings").disabled = True
    embeddings = init_embeddings(
        model,
        provider="mistralai",
        api_key=key or "",
        client=http,
        max_retries=None,
        # By default it downloads Mixtral's tokenizer to split requests, which are already split.
        # For this one every text is a single token.
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
        # Otherwise it sends token ids, which only OpenAI's own models understand.
        check_embedding_ctx_length=False,
        chunk_size=2048,  # requests are already split
        # Otherwise it requests base64, which not every compatible server supports.
        model_kwargs={"encoding_format": "float"},
    )
    return EmbeddingClient(embeddings, api.close, (APIConnectionError,))


class _AsJson:
    """OpenAI's client, returning plain JSON.

    Its own types emit a warning that quotes the body if the answer has another shape.
    """

    def __init__(self, embeddings: "OpenAIAnswers") -> None:
        self._embeddings = embeddings

    def create(self, **fields: Any) -> Any:
        """Called by LangChain to embed."""
        return self._embeddings.with_raw_response.create(**fields).http_response.json()


def _ollama(model: str, address: str, key: str | None, seconds: float) -> EmbeddingClient:
    from langchain.embeddings import init_embeddings

    embeddings: Any = init_embeddings(
        model,
        provider="ollama",
        base_url=address,
        client_kwargs={"headers": _bearer(key), "timeout": _timeout(seconds)},
        sync_client_kwargs={"event_hooks": {"response": [_raise_for_status]}},
    )
    close = embeddings._client.close  # noqa: SLF001  # not exposed otherwise
    return EmbeddingClient(embeddings, close, (httpx.RequestError, ConnectionError))


def _bearer(key: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"} if key else {}


@dataclass(frozen=True, slots=True)
class EmbeddingProvider:
    """How to reach a provider's models."""

    package: str
    """LangChain's integration package."""
    address: str
    """Base URL of the provider's own API."""
    needs_key: bool
    """True if the provider's own API requires a key."""
    connect: Callable[[str, str, str | None, float], EmbeddingClient]


PROVIDERS = {
    "mistralai": EmbeddingProvider(
        "langchain-mistralai", "https://api.mistral.ai/v1", True, _mistralai
    ),
    "openai": EmbeddingProvider("langchain-openai", "https://api.openai.com/v1", True, _openai),
    "ollama": EmbeddingProvider("langchain-ollama", "http://127.0.0.1:11434", False, _ollama),
}
