"""Embedding models behind an API, named `provider:model` as in LangChain.

There are no weights to hash and no tokenizer to count with. So the revision is derived from name
and address, the dimension is that of a test embedding, and bytes give an upper bound of tokens.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Self

from pydantic import SecretStr

from database.embedding.api.clients import PROVIDERS, connect_provider
from database.embedding.api.embeddings import REQUEST_BYTES, ApiEmbeddings, Pace
from utils.errors import SettingsError
from utils.settings import Settings

BYTES_A_TOKEN = 3
"""Bytes of a text that count as one token. MiniLM's tokens have 3.9 bytes on average in the
Developer Guide's chunks, and 1.8 in the densest. A chunk then has at most 1,536 bytes, and so at
most 1,536 tokens of any vocabulary."""

BUILD_SECONDS = 600.0
"""Maximum time of one request of a build, including retries of transient failures."""
BUILD_ATTEMPT_SECONDS = 120.0
"""Of one attempt of a build; a local server without a GPU needs long for a full batch."""
ATTEMPT_SHARE = 0.5
"""The share of a question's time that one attempt may take, so that a second one fits."""


@dataclass(frozen=True)
class ApiModel:
    """A model behind an API; the counterpart of `LocalModel`."""

    pooling: ClassVar[str] = "api"
    """The API pools the token vectors."""
    max_tokens: ClassVar[int] = 512
    """Tokens of a text, counted as below, that every model reads. Most read 2,048 or more, but
    longer passages are no easier to find or to read."""
    max_chunk_tokens: ClassVar[int] = max_tokens
    """Tokens of the longest chunk."""

    name: str
    address: str
    key: SecretStr | None
    pace: Pace

    @classmethod
    def from_settings(cls, name: str, settings: Settings, *, building: bool) -> Self:
        """Create the model that a name and the settings describe, without a request.

        Args:
            name: `provider:model`.
            settings: Address, key and limits of its API.
            building: True to retry for minutes and to obey the rate limit, as a question cannot.

        Raises:
            SettingsError: the provider is unknown, or its key is missing or malformed.
        """
        provider, _, model = name.partition(":")
        if provider not in PROVIDERS or not model:
            raise SettingsError(
                f"EMBEDDING_MODEL_NAME: {name!r} is not a model of an API; those are named "
                f"{', '.join(f'{known}:MODEL' for known in PROVIDERS)}. Most other providers offer "
                "OpenAI's API: name their models openai:MODEL and set EMBEDDING_BASE_URL."
            )
        address, key = _access(provider, settings)
        if key is None and PROVIDERS[provider].needs_key and not settings.embedding_base_url:
            raise SettingsError(f"EMBEDDING_API_KEY: {name} needs the key of its API; set it.")
        if key and not (key.get_secret_value().isascii() and key.get_secret_value().isprintable()):
            raise SettingsError(
                "EMBEDDING_API_KEY: contains characters that no key has; copy it again."
            )
        return cls(name, address, key, _pace(settings, building=building))

    @staticmethod
    def settings_hint(name: str) -> str:
        """What to set so that the service uses the model of this name."""
        return f"EMBEDDING_MODEL_NAME={name} and EMBEDDING_BASE_URL as for the build"

    @property
    def revision(self) -> str:
        """The name, and whether the provider's own API or another server serves it.

        Unlike a hash of weights, it does not change if a provider replaces the weights of a name.
        The address is not included, since a server may move.
        """
        provider = PROVIDERS[self.name.partition(":")[0]]
        elsewhere = provider.needs_key and self.address != provider.address
        return f"api {self.name}{' elsewhere' if elsewhere else ''}"

    @property
    def dimension(self) -> int:
        """Length of its vectors; the first call sends a request.

        Raises:
            EmbeddingApiError: the API does not answer.
            ModelError: a package is missing.
        """
        return self.load_embeddings().dimension

    @staticmethod
    def count_tokens(text: str) -> int:
        """An upper bound of a text's tokens, from its bytes: the tokenizer is unknown."""
        return -(-len(text.encode()) // BYTES_A_TOKEN)

    def window(self, chunk_size: int, default: int) -> int:
        """Chunks to embed and store at a time: one request's, because requests cost money."""
        fitting = max(1, REQUEST_BYTES // (chunk_size * BYTES_A_TOKEN))
        return min(fitting, self.pace.batch_size)

    def load_embeddings(self, **_options: object) -> ApiEmbeddings:
        """The API's embeddings: the same object each time, with its connections and pauses.

        Raises:
            ModelError: a package is missing.
        """
        return _embeddings(self)

    def prepare(self, **_options: object) -> None:
        """Do nothing: there are no files to export."""


def _access(provider: str, settings: Settings) -> tuple[str, SecretStr | None]:
    """Address and key; Mistral's default to those of the language model."""
    address, key = settings.embedding_base_url, settings.embedding_api_key
    if provider == "mistralai" and key is None:
        return address or settings.mistral_base_url, settings.mistral_api_key
    return address or PROVIDERS[provider].address, key


def _pace(settings: Settings, *, building: bool) -> Pace:
    if building:
        return Pace(
            seconds=BUILD_SECONDS,
            attempt_seconds=BUILD_ATTEMPT_SECONDS,
            batch_size=settings.embedding_batch_size,
            requests_per_minute=settings.embedding_requests_per_minute,
        )
    return Pace(
        seconds=settings.embedding_timeout,
        attempt_seconds=settings.embedding_timeout * ATTEMPT_SHARE,
        batch_size=settings.embedding_batch_size,
    )


@lru_cache(maxsize=4)
def _embeddings(model: ApiModel) -> ApiEmbeddings:
    provider, _, name = model.name.partition(":")
    key = model.key.get_secret_value() if model.key else None
    seconds = model.pace.attempt_seconds
    client = connect_provider(provider, name, address=model.address, key=key, seconds=seconds)
    return ApiEmbeddings(model.name, client, model.pace)
