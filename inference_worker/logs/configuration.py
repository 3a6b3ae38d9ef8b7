"""Configures the log: its level, its form, and where the audit log goes."""

import json
import logging
import re
from logging.handlers import WatchedFileHandler
from pathlib import Path

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

from inference_worker.logs.audit import AUDIT
from inference_worker.logs.request_fields import log_fields
from utils.errors import SettingsError
from utils.settings import Settings

_PLAIN = re.compile(r"[\w.:/@+*-]+")
_RECORD_ATTRIBUTES = (*RESERVED_ATTRS, "color_message")
"""What logging and uvicorn set on records; all else is a field."""
_VERBOSE = ("httpx", "httpx2", "mcp")
"""Loggers that write a line for each of their requests."""


def begin_logs() -> None:
    """Write the log as text until the settings are known: reading them is logged, too."""
    handler = logging.StreamHandler()
    handler.setFormatter(TextFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def configure_logs(settings: Settings) -> None:
    """Write the log to stderr, and the audit log to its file.

    Raises:
        SettingsError: AUDIT_LOG cannot be written.
    """
    handler = _prepared(logging.StreamHandler(), settings)
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    for verbose in _VERBOSE:
        logging.getLogger(verbose).setLevel(logging.WARNING)
    audit = logging.getLogger(AUDIT)
    audit.setLevel(logging.INFO)
    if settings.audit_log:
        audit.handlers = [_prepared(AuditFile(settings.audit_log), settings)]
        audit.propagate = False


class AuditFile(WatchedFileHandler):
    """A file that may be rotated; write errors are reported on stderr and stop nothing."""

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            SettingsError: it cannot be written.
        """
        try:
            super().__init__(path, encoding="utf-8")
        except OSError as error:
            raise SettingsError(f"AUDIT_LOG: cannot write {path}: {error.strerror}.") from None

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, to a new file if this one was moved away."""
        try:
            super().emit(record)
        except OSError:
            self.handleError(record)


def _prepared(handler: logging.Handler, settings: Settings) -> logging.Handler:
    handler.setFormatter(_json_formatter() if settings.log_format == "json" else TextFormatter())
    handler.addFilter(_add_request_id)
    return handler


def _add_request_id(record: logging.LogRecord) -> bool:
    """Add the id of the request in whose context a line is written."""
    if not hasattr(record, "request_id"):
        record.__dict__.update(log_fields("request_id"))
    return True


def _json_formatter() -> JsonFormatter:
    return JsonFormatter(
        ["levelname", "name", "message"],
        rename_fields={"levelname": "level", "name": "logger", "exc_info": "exception"},
        reserved_attrs=_RECORD_ATTRIBUTES,
        timestamp="time",
        json_ensure_ascii=False,
    )


class TextFormatter(logging.Formatter):
    """Time, level and message; then the fields, as name=value."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """One line, whatever the fields contain."""
        fields = [
            f"{name}={_quoted(value)}"
            for name, value in vars(record).items()
            if name not in _RECORD_ATTRIBUTES and value != ""
        ]
        return " ".join([super().formatMessage(record), *fields])


def _quoted(value: object) -> str:
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)
