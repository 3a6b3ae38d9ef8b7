"""Creates the language model that the settings name: Mistral's, or any that LangChain supports."""

import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx

from inference_worker.generation.language_model import ATTEMPT_SHARE, LanguageModel
from inference_worker.generation.mistral import connection_limits, mistral_chat
from utils.errors import SettingsError
from utils.settings import Settings

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

_MISTRAL = "mistralai"
_NO_KEY = "none"
"""Placeholder for servers without keys: the clients require one."""
_OLLAMA, _OPENAI = "ollama", "openai"
_MORE_TOKENS = 1.25
"""How many tokens a model may count for one of ours: 1.15 were measured (`count_tokens`)."""


def language_model_from(settings: Settings) -> LanguageModel | None:
    """Create the language model; None if it is Mistral's and there is no key.

    Raises:
        SettingsError: the model cannot be created; the message states what to set or install.
    """
    provider, colon, model = settings.inference_model.partition(":")
    if not colon or provider == "ft":  # a bare name is Mistral's, and so is a fine-tuned `ft:...`
        provider, model = _MISTRAL, settings.inference_model
    if provider == _MISTRAL:
        if settings.mistral_api_key is None:
            return None
        chat, close = mistral_chat(settings, model)
    else:
        chat = _from_factory(settings, provider, model)
        close = partial(_close, chat)
    return LanguageModel(chat, settings, close)


def _from_factory(settings: Settings, provider: str, model: str) -> "BaseChatModel":
    from langchain.chat_models import init_chat_model

    options = _options(settings, provider)
    try:
        chat: BaseChatModel = init_chat_model(model, model_provider=provider, **options)
    except ImportError as error:
        package = f"langchain-{provider.replace('_', '-')}"
        with contextlib.suppress(IndexError):
            package = str(error).split("pip install ")[1].split("`")[0].strip(" .'\"")
        raise SettingsError(
            f"INFERENCE_MODEL={settings.inference_model} needs a package that is not installed: "
            f"pip install {package}"
        ) from None
    except Exception as error:  # noqa: BLE001 - each provider raises its own
        # Without its cause: it may quote the key.
        raise SettingsError(
            f"INFERENCE_MODEL={settings.inference_model}: LangChain cannot create it "
            f"({type(error).__name__}). Write provider:model, such as openai:gpt-4.1, and set its "
            "address and key with INFERENCE_BASE_URL and INFERENCE_API_KEY."
        ) from None
    return chat


async def _close(chat: "BaseChatModel") -> None:
    """Close a provider's client, which LangChain does not expose.

    Anthropic's is shared by all models of one address: close it only when the process ends.
    """
    for name in ("root_async_client", "_async_client"):
        client = getattr(chat, name, None)
        if client is not None:
            await client.close()


def _options(settings: Settings, provider: str) -> dict[str, Any]:
    """The factory's arguments; providers name the limit of an answer's length differently."""
    attempt = settings.inference_timeout * ATTEMPT_SHARE
    options: dict[str, Any] = {"temperature": 0.0}
    if settings.inference_base_url:
        options["base_url"] = settings.inference_base_url
    if provider == _OLLAMA:
        rounds = settings.max_search_rounds + 1
        client: dict[str, Any] = {"timeout": attempt}
        if key := settings.inference_api_key:
            client["headers"] = {"Authorization": f"Bearer {key.get_secret_value()}"}
        return options | {
            "num_predict": settings.inference_max_tokens,
            # Ollama's default is a few thousand, beyond which it truncates silently.
            "num_ctx": int(settings.prompt_max_tokens * rounds * _MORE_TOKENS)
            + settings.inference_max_tokens,
            "client_kwargs": client,
        }
    options |= {"max_tokens": settings.inference_max_tokens, "max_retries": 0, "timeout": attempt}
    if provider == _OPENAI:
        # LangChain's own client is shared with all models of the same address, even when closed;
        # with a client of ours or another address, usage in streams must be requested.
        http = httpx.AsyncClient(limits=connection_limits(settings))  # OpenAI's sets the timeouts
        options |= {"stream_usage": True, "http_async_client": http}
    if settings.inference_api_key:
        options["api_key"] = settings.inference_api_key
    elif settings.inference_base_url:
        options["api_key"] = _NO_KEY
    else:
        raise SettingsError(
            f"INFERENCE_API_KEY: not set, and INFERENCE_MODEL={settings.inference_model} needs the "
            f"key of {provider}'s API. Set it; or INFERENCE_BASE_URL, for a server without keys."
        )
    return options
