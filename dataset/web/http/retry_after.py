"""The Retry-After header (RFC 9110, 10.2.3)."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_MAX_SECONDS = 1e9


def retry_after_seconds(retry_after: str, default: float = 0.0) -> float:
    """Parse a delay in seconds or an HTTP date; `default` for neither, 0 for a date in the past."""
    text = retry_after.strip()
    if text.isascii() and text.isdecimal():
        return min(float(text), _MAX_SECONDS)
    try:
        until = parsedate_to_datetime(text)
        until = until if until.tzinfo else until.replace(tzinfo=UTC)
        return max(0.0, (until - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError, IndexError, OverflowError):
        return default
