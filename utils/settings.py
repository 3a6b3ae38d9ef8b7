"""All settings, read from the environment, `.env` and secret files; nothing else reads them.

`.env.example` lists them with a comment each; a test keeps the two equal.
"""

import contextlib
import difflib
import re
import shlex
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from dotenv.parser import parse_stream
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
from utils.proxies import prepare_proxies
from utils.rates import format_rates, parse_rates

VERSION = "1"
"""Version of the project, as `--version` and the API's description state it."""
PROJECT_ROOT = Path(__file__).resolve().parent.parent
DEFAULT_DATASET = PROJECT_ROOT / "dataset" / "sagemaker_documentation"
DEFAULT_EMBEDDING_MODEL = "sentence-transformers/all-mpnet-base-v2"
DEFAULT_MODEL_FOLDER = PROJECT_ROOT / "all-mpnet-base-v2"
DEFAULT_ADAPTER = PROJECT_ROOT / "database" / "embedding" / "adapters" / "sagemaker.safetensors"
SECRETS_FOLDERS = (Path("/run/chroma-gateway"), Path("/run/secrets"))
"""Folders of secret files, each named as its setting in lower case: the token that chroma-gateway
generated, and the secrets that Docker and Kubernetes mount."""
MIN_KEY_CHARACTERS = 16
COMPOSE_VARIABLES = {
    *("WORKER_PORT", "CHROMA_MEMORY", "BUILDER_MEMORY", "WORKER_MEMORY", "GPU_WORKER_MEMORY"),
    *("OLLAMA_MEMORY", "PYTHON_IMAGE", "NGINX_IMAGE", "CHROMA_IMAGE", "OLLAMA_IMAGE"),
    *("EXTRA_PACKAGES", "TORCH_CPU_INDEX"),
}
"""Names that `.env` may set for the compose files and the Makefile alone."""
DEFAULTS_WITH_OLLAMA = {
    "inference_timeout": 180.0,
    "inference_concurrency": 1,
    "inference_max_tokens": 512,
    "prompt_max_tokens": 2500,
}
"""What these settings are with OLLAMA_URL, unless they are set to something else than their own
defaults: a small model on a CPU reads some 50 tokens per second, and writes some 10."""
_OTHER_PROGRAMS = re.compile(r"(COMPOSE|DOCKER|BUILDKIT|HF|PIP)_|\w+_PROXY$")
_OLD_SPELLING = "INFERECE_MODEL"
_HOST_PATTERN = re.compile(r"\*|(\*\.)?[\w-]+(\.[\w-]+)*", re.ASCII)
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/?#@*]+/?")

Device = Literal["auto", "cpu", "cuda"]
Backend = Literal["auto", "openvino", "torch"]


def is_server(database: str) -> bool:
    """Return whether this is the address of a Chroma server rather than an index folder."""
    return database.startswith(("http://", "https://"))


def _is_address(text: str) -> bool:
    try:
        (HttpUrl(text).host or "").encode("idna")  # as a lookup of the name does
    except ValueError:
        return False
    return is_server(text)  # HttpUrl also takes spaces, backslashes and missing slashes


def _from_root(value: str | Path) -> str:
    """Resolve a relative path from the project's root, whatever the current directory is."""
    return str(PROJECT_ROOT / Path(value).expanduser())


def _database_from_root(value: str) -> str:
    return value if is_server(value) else _from_root(value)


def _separated(value: object) -> object:
    """Split a comma-separated list."""
    if isinstance(value, str):
        return tuple(name.strip() for name in value.split(",") if name.strip())
    return value


def _allowed_host(entry: str) -> str:
    """Normalize an entry of ALLOWED_HOSTS as browsers send it."""
    entry = entry.lower()
    if _ORIGIN.fullmatch(entry):
        return entry.removesuffix("/")
    with contextlib.suppress(UnicodeError):
        name = entry.removesuffix(".").encode("idna").decode()
        if _HOST_PATTERN.fullmatch(name):
            return name
    raise ValueError(
        f"{entry} is neither a host name without a port (docs.example.com, *.example.com or * for "
        "any) nor an origin of web pages (https://chat.example.com)"
    )


def _path_from_root(value: str | Path | None) -> str | None:
    return None if value is None else _from_root(value)


def _adapter_from_root(value: str | Path | None) -> str | None:
    return None if value == "none" else _path_from_root(value)


RootedPath = Annotated[Path, BeforeValidator(_from_root)]
OptionalPath = Annotated[Path | None, BeforeValidator(_path_from_root)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_separated)]
Secrets = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_separated)]


class Settings(BaseSettings):
    """The settings; a field's name in upper case is its name in the environment."""

    model_config = SettingsConfigDict(
        env_file=PROJECT_ROOT / ".env",
        env_ignore_empty=True,
        extra="ignore",
        populate_by_name=True,
        hide_input_in_errors=True,
    )

    product_name: str = Field(default="Amazon SageMaker", max_length=100)
    corpus_description: str = Field(
        default="the AWS documentation of Amazon SageMaker", max_length=300
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
    embedding_adapter: Annotated[Path | None, BeforeValidator(_adapter_from_root)] = DEFAULT_ADAPTER
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
    ollama_url: str | None = None
    """None if another language model is set: see `_use_ollama`."""
    ollama_model: str = Field(default="granite4.1:3b", min_length=1)
    inference_timeout: float = Field(default=30.0, gt=0, allow_inf_nan=False)
    inference_concurrency: int = Field(default=256, ge=1)
    inference_max_tokens: int = Field(default=1024, ge=16)
    prompt_max_tokens: int = Field(default=5000, ge=1000)
    max_search_rounds: int = Field(default=1, ge=0, le=5)
    breaker_failures: int = Field(default=5, ge=1)
    breaker_seconds: float = Field(default=15.0, gt=0, allow_inf_nan=False)
    answer_cache_size: int = Field(default=1000, ge=0)
    answer_cache_seconds: float = Field(default=3600.0, gt=0, allow_inf_nan=False)

    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_questions: bool = False
    audit_log: OptionalPath = None

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    max_connections: int = Field(default=1000, ge=1)
    max_connections_per_address: int = Field(default=500, ge=1)
    max_wait_seconds: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    max_question_characters: int = Field(default=4000, ge=1)
    max_body_bytes: int = Field(default=1_048_576, ge=1024)
    admin_key: SecretStr | None = None
    read_keys: Secrets = ()
    oidc_issuer: str | None = None
    oidc_audience: str = "sagemaker-docs"
    oidc_role_claim: str = Field(default="roles", min_length=1)
    trusted_proxies: Names = ()
    address_limits: str = (
        "requests 300/minute 20000/day, calls 20/minute 500/day, tokens 3000000/day"
    )
    key_limits: str = "requests 3000/minute, calls 300/minute 20000/day, tokens 100000000/day"
    token_budget: int | None = Field(default=None, ge=1)
    token_budget_file: RootedPath = Field(default=Path("database/token_budget.sqlite3"))
    redis_url: SecretStr | None = None
    keys_file: OptionalPath = None
    max_upload_bytes: int = Field(default=33_554_432, ge=1024)
    conversion_seconds: float = Field(default=60.0, gt=0, allow_inf_nan=False)
    conversion_memory_bytes: int = Field(default=1_073_741_824, ge=268_435_456)
    top_k: int = Field(default=8, ge=1, le=100)
    max_docs: int = Field(default=5, ge=1, le=100)
    min_confidence: float | None = Field(default=None, ge=0, le=1)
    shutdown_seconds: int = Field(default=35, ge=0)
    model_alias: str = Field(
        default="sagemaker-docs", max_length=100, pattern=r"^\w[\w.:-]*(/\w[\w.:-]*)*$"
    )
    allowed_hosts: Names = ()

    @field_validator(
        "mistral_api_key", "inference_api_key", "embedding_api_key", "chroma_token", "admin_key"
    )
    @classmethod
    def _refuse_placeholder(cls, secret: SecretStr | None) -> SecretStr | None:
        text = secret.get_secret_value().strip() if secret else ""
        if text.startswith(("{", "<", "your")) or text.lower() in {"changeme", "xxx", "..."}:
            raise ValueError("is still the example's placeholder; set the real one or remove it")
        return SecretStr(text) if text else None

    @field_validator("admin_key")
    @classmethod
    def _check_length(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret and len(secret.get_secret_value()) < MIN_KEY_CHARACTERS:
            raise ValueError(
                f"must have at least {MIN_KEY_CHARACTERS} characters, so that it cannot be guessed "
                "(openssl rand -hex 24)"
            )
        return secret

    @field_validator("read_keys")
    @classmethod
    def _check_read_keys(cls, secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        checked = (cls._check_length(cls._refuse_placeholder(secret)) for secret in secrets)
        return tuple(secret for secret in checked if secret)

    @field_validator("product_name", "corpus_description")
    @classmethod
    def _check_line(cls, text: str) -> str:
        text = text.strip()
        if not text or not text.isprintable():
            raise ValueError("must be one line of printable text")
        return text

    @field_validator("mistral_base_url")
    @classmethod
    def _check_base_url(cls, url: str) -> str:
        url = url.rstrip("/")
        if not _is_address(url) or not url.endswith("/v1"):
            raise ValueError("must be an http(s) address that ends in /v1")
        return url

    @field_validator("database")
    @classmethod
    def _check_database(cls, database: str) -> str:
        if is_server(database) and not _is_address(database):
            raise ValueError("must be a folder, or http://host:port of a server")
        return database

    @field_validator("snapshot_url")
    @classmethod
    def _check_snapshot(cls, url: str | None) -> str | None:
        try:
            urlsplit(url or "")
        except ValueError:
            raise ValueError("must be a folder, or an s3://, gs:// or https:// address") from None
        return url

    @field_validator("oidc_issuer")
    @classmethod
    def _check_issuer(cls, issuer: str | None) -> str | None:
        if issuer and not _is_address(issuer):
            raise ValueError("must be the http(s) address that tokens name as their issuer")
        return issuer

    @field_validator("inference_base_url", "embedding_base_url", "ollama_url")
    @classmethod
    def _check_address(cls, url: str | None) -> str | None:
        if url is None:
            return None
        if not _is_address(url):
            raise ValueError("must be an http(s) address")
        return url.rstrip("/")

    @field_validator("allowed_hosts")
    @classmethod
    def _check_hosts(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(_allowed_host, entries))

    @field_validator("address_limits", "key_limits")
    @classmethod
    def _check_rates(cls, text: str) -> str:
        return format_rates(parse_rates(text))

    @field_validator("redis_url")
    @classmethod
    def _check_redis(cls, url: SecretStr | None) -> SecretStr | None:
        if url and not url.get_secret_value().startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("must be an address such as redis://host:6379")
        return url

    @field_validator("trusted_proxies")
    @classmethod
    def _check_proxies(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        for entry in entries:
            try:
                ip_network(entry)
            except ValueError:
                raise ValueError(
                    f"{entry} is neither an IP address nor a network (192.0.2.7, 10.0.0.0/8)"
                ) from None
        return entries

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        if self.embedding_device == "cuda" and self.embedding_backend == "openvino":
            raise ValueError(
                "EMBEDDING_BACKEND=openvino (--backend) runs on the CPU and EMBEDDING_DEVICE "
                "(--device) is cuda; set EMBEDDING_DEVICE=cpu"
            )
        return self

    @model_validator(mode="after")
    def _use_ollama(self) -> Self:
        """Without another language model, it is OLLAMA_MODEL, with the defaults of a slow one."""
        own_default = {name: field.default for name, field in type(self).model_fields.items()}
        if self.mistral_api_key or self.inference_model != own_default["inference_model"]:
            self.ollama_url = None
        if self.ollama_url:
            self.inference_model = f"ollama:{self.ollama_model}"
            self.inference_base_url = self.ollama_url
            for name, default in DEFAULTS_WITH_OLLAMA.items():
                if getattr(self, name) == own_default[name]:
                    setattr(self, name, default)
        return self


def load_settings(**options: Any) -> Settings:
    """Read and validate the settings, and prepare the proxies for their addresses.

    Args:
        options: Command-line options by the name of their setting; those that are given, that is
            neither None nor "", override the setting.

    Raises:
        SettingsError: one line that names the first invalid or unknown setting or proxy.
    """
    env_file = Settings.model_config.get("env_file")
    overrides = {name: value for name, value in options.items() if value not in (None, "")}
    try:
        if isinstance(env_file, Path) and env_file.is_file():
            _reject_unknown_names(env_file)
        folders = [folder for folder in SECRETS_FOLDERS if folder.is_dir()]
        settings = Settings(_secrets_dir=folders, **overrides)
    except (OSError, SourceError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        raise SettingsError(f"Cannot read a settings or secret file: {cause}.") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{env_file} is not UTF-8 text; save it as UTF-8.") from None
    except ValidationError as error:
        place, reason = first_invalid(error)
        name = f"{place[0].upper()}: " if place else ""
        raise SettingsError(f"{name}{reason}. See .env.example.") from None
    texts = [value for _, value in settings if isinstance(value, str)]
    prepare_proxies(filter(is_server, texts))
    return settings


def first_invalid(error: ValidationError) -> tuple[tuple[str, ...], str]:
    """The place of the first invalid field, from the outermost one on, and the reason."""
    first = error.errors(include_url=False, include_input=False)[0]
    return tuple(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")


def _reject_unknown_names(env_file: Path) -> None:
    known = {name.upper() for name in Settings.model_fields} | {_OLD_SPELLING} | COMPOSE_VARIABLES
    with env_file.open(encoding="utf-8") as stream:
        for line in parse_stream(stream):
            if line.error:
                raise SettingsError(f"{env_file}, line {line.original.line}: not NAME=value.")
            name = (line.key or "").upper()
            if not name or name in known or _OTHER_PROGRAMS.match(name):
                continue
            nearest = difflib.get_close_matches(name, known, n=1)
            advice = f"did you mean {nearest[0]}?" if nearest else "remove it."
            raise SettingsError(f"{line.key}: no such setting, in {env_file}; {advice}")


def in_container() -> bool:
    """True in the containers of docker compose, where there is no make."""
    return SECRETS_FOLDERS[0].is_dir()


def build_command(database: str = "", *, model: str = "", documents: str = "") -> str:
    """Return the command that builds the index on this machine, as error messages advise it.

    Args:
        database: Index folder or server; the settings' one if "".
        model: Embedding model; the one that `make run` builds with if "".
        documents: Folder of documents; the default one if "".
    """
    if in_container():
        return "docker compose run --rm db_builder"
    variables = {"DATASET": documents, "DATABASE": database, "MODEL": model}
    if database == _database_from_root(Settings.model_fields["database"].default):
        del variables["DATABASE"]
    given = [f"{name}={shlex.quote(value)}" for name, value in variables.items() if value]
    return " ".join(["make index", *given])


def setting_default(name: str) -> str:
    """Describe an option's default for --help: its setting, and that setting's own default."""
    default = Settings.model_fields[name].default
    place = default.relative_to(PROJECT_ROOT) if default == DEFAULT_MODEL_FOLDER else default
    return f"default: {name.upper()}, which is {place} unless set"
