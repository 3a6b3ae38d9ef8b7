"""Every setting, read from the environment, `.env` and secret files in one place.

`.env.example` lists them all with a comment; a test holds the two equal.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AliasChoices,
    BeforeValidator,
    Field,
    HttpUrl,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from pydantic_settings import SettingsError as SourceError

from utils.errors import SettingsError

PROJECT_ROOT = Path(__file__).resolve().parent.parent
DEFAULT_DATASET = PROJECT_ROOT / "dataset" / "sagemaker_documentation"
DEFAULT_EMBEDDING_MODEL = "sentence-transformers/all-mpnet-base-v2"
DEFAULT_MODEL_FOLDER = PROJECT_ROOT / "all-mpnet-base-v2"
SECRETS_FOLDERS = (Path("/run/chroma-gateway"), Path("/run/secrets"))
"""Where containers find secrets as files, named like the setting in lower case. Docker and
Kubernetes mount theirs at the second; the first holds the token that the gateway made."""

Device = Literal["auto", "cpu", "cuda"]
Backend = Literal["auto", "openvino", "torch"]


def is_server(database: str) -> bool:
    """Tell a Chroma server's address from an index folder."""
    return database.startswith(("http://", "https://"))


def _from_root(value: str | Path) -> str:
    """Read a relative path as one below the project's root, wherever the command was started."""
    return str(PROJECT_ROOT / Path(value).expanduser())


def _database_from_root(value: str) -> str:
    return value if is_server(value) else _from_root(value)


def _separated(value: object) -> object:
    """Read names that commas separate."""
    if isinstance(value, str):
        return tuple(name.strip() for name in value.split(",") if name.strip())
    return value


RootedPath = Annotated[Path, BeforeValidator(_from_root)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_separated)]


class Settings(BaseSettings):
    """The settings of every command; field names in upper case are the environment's names."""

    model_config = SettingsConfigDict(
        env_file=PROJECT_ROOT / ".env",
        env_ignore_empty=True,
        extra="ignore",
        populate_by_name=True,
        hide_input_in_errors=True,
    )

    database: Annotated[str, BeforeValidator(_database_from_root)] = Field(
        default="database/chroma", validate_default=True
    )
    chroma_token: SecretStr | None = None
    snapshot_url: str | None = None
    snapshot_sha256: str | None = Field(default=None, pattern=r"^[0-9a-fA-F]{64}$")
    chroma_timeout: float = Field(default=10.0, gt=0, allow_inf_nan=False)

    embedding_model_name: str | None = None
    embedding_model_path: RootedPath = DEFAULT_MODEL_FOLDER
    embedding_device: Device = "auto"
    embedding_backend: Backend = "auto"
    embedding_cache_path: RootedPath = Field(default=Path("database/openvino"))
    embedding_api_key: SecretStr | None = None
    embedding_base_url: str | None = None
    embedding_timeout: float = Field(default=10.0, gt=0, allow_inf_nan=False)
    embedding_batch_size: int = Field(default=64, ge=1, le=2048)
    embedding_requests_per_minute: int = Field(default=60, ge=1)

    mistral_api_key: SecretStr | None = None
    mistral_base_url: str = "https://api.mistral.ai/v1"
    inference_model: str = Field(
        default="mistral-large-latest",
        validation_alias=AliasChoices("inference_model", "inferece_model"),
    )
    inference_base_url: str | None = None
    inference_api_key: SecretStr | None = None
    inference_timeout: float = Field(default=30.0, gt=0, allow_inf_nan=False)
    inference_concurrency: int = Field(default=256, ge=1)
    inference_max_tokens: int = Field(default=1024, ge=16)
    prompt_max_tokens: int = Field(default=6000, ge=1000)
    breaker_failures: int = Field(default=5, ge=1)
    breaker_seconds: float = Field(default=15.0, gt=0, allow_inf_nan=False)
    answer_cache_size: int = Field(default=1000, ge=0)
    answer_cache_seconds: float = Field(default=3600.0, gt=0, allow_inf_nan=False)

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    max_question_characters: int = Field(default=4000, ge=1)
    max_body_bytes: int = Field(default=1_048_576, ge=1024)
    admin_key: SecretStr | None = None
    max_upload_bytes: int = Field(default=33_554_432, ge=1024)
    conversion_seconds: float = Field(default=60.0, gt=0, allow_inf_nan=False)
    conversion_memory_bytes: int = Field(default=1_073_741_824, ge=268_435_456)
    top_k: int = Field(default=8, ge=1, le=100)
    max_docs: int = Field(default=5, ge=1, le=100)
    min_confidence: float | None = Field(default=None, ge=0, le=1)
    shutdown_seconds: int = Field(default=35, ge=0)
    mcp_allowed_hosts: Names = ("inference_worker",)
    mcp_allowed_origins: Names = ()

    @field_validator(
        "mistral_api_key", "inference_api_key", "embedding_api_key", "chroma_token", "admin_key"
    )
    @classmethod
    def _refuse_placeholder(cls, secret: SecretStr | None) -> SecretStr | None:
        text = secret.get_secret_value().strip() if secret else ""
        if text.startswith(("{", "<", "your")) or text.lower() in {"changeme", "xxx", "..."}:
            raise ValueError("still holds the example's placeholder; set the real one or remove it")
        return SecretStr(text) if text else None

    @field_validator("mistral_base_url")
    @classmethod
    def _check_base_url(cls, url: str) -> str:
        url = url.rstrip("/")
        if not is_server(url) or not url.endswith("/v1"):
            raise ValueError("must be an http(s) address that ends in /v1")
        return url

    @field_validator("inference_base_url", "embedding_base_url")
    @classmethod
    def _check_address(cls, url: str | None) -> str | None:
        if url is None:
            return None
        try:
            HttpUrl(url)
        except ValueError:
            raise ValueError("must be an http(s) address") from None
        return url.rstrip("/")

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        if self.embedding_device == "cuda" and self.embedding_backend == "openvino":
            raise ValueError("EMBEDDING_BACKEND=openvino runs on the CPU: set EMBEDDING_DEVICE=cpu")
        return self


def load_settings() -> Settings:
    """Read the settings.

    Raises:
        SettingsError: one line that names the first wrong setting and says what is wrong.
    """
    try:
        folders = [folder for folder in SECRETS_FOLDERS if folder.is_dir()]
        return Settings(_secrets_dir=folders)
    except (OSError, SourceError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        raise SettingsError(f"A secret's file cannot be read: {cause}.") from None
    except UnicodeDecodeError:
        raise SettingsError(
            f"{PROJECT_ROOT / '.env'} is not UTF-8 text; save it as such."
        ) from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = str(first["loc"][0]).upper() if first["loc"] else "settings"
        reason = first["msg"].removeprefix("Value error, ")
        raise SettingsError(f"{name}: {reason}. See .env.example.") from None
