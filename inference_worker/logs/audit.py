"""The audit log: changes of documents and keys, refused keys, and the settings at each start."""

import logging
import re
from typing import Any

from inference_worker.logs.request_fields import log_fields
from utils.settings import Settings

AUDIT = "audit"
"""Name of the logger."""
_CREDENTIALS = re.compile(r"(://)[^?\s]*@")
_log = logging.getLogger(AUDIT)


def audit(event: str, **fields: Any) -> None:
    """Record an event; of a request, with its key, its address and its id."""
    _log.info(event, extra={**log_fields("key", "address", "request_id"), **fields})


def changed_settings(settings: Settings) -> dict[str, str]:
    """The settings that differ from their defaults; of secrets, only that they are set."""
    shown = settings.model_dump(mode="json")
    return {
        name.upper(): without_credentials(str(shown[name]))
        for name, field in Settings.model_fields.items()
        if getattr(settings, name) != field.get_default(call_default_factory=True)
    }


def without_credentials(text: str) -> str:
    """An address without user, password and query; other text as it is."""
    return _CREDENTIALS.sub(r"\1...@", text).partition("?")[0] if "://" in text else text
