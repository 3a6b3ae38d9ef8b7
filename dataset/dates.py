"""Dates and instants in ISO 8601, as documents, lists of pages and requests state them."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, time

_PDF_DATE = re.compile(
    r"D:(?P<day>\d{8})(?P<time>\d{6})?(?:Z|(?P<zone>[+-]\d{2})'?(?P<minutes>\d{2})?'?)?.*", re.ASCII
)


def parse_instant(text: str) -> datetime:
    """Parse a date (its first moment) or a time, in UTC unless it states a zone.

    Raises:
        ValueError: it is neither.
    """
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def iso_instant(moment: datetime) -> str:
    """Format a time, in UTC unless it has a zone, such that later ones sort after earlier ones."""
    known = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    return known.isoformat(timespec="seconds").replace("+00:00", "Z")


def iso_date(value: object) -> str:
    """Normalize a date, or a time as an instant in UTC; "" for anything else."""
    if not isinstance(value, str):
        return ""
    try:
        moment = datetime.fromisoformat(value.strip())
        if moment.tzinfo is None and moment.time() == time():
            return moment.date().isoformat()
        return iso_instant(moment)
    except (ValueError, OverflowError):
        return ""


def pdf_date(text: str) -> str:
    """Normalize a date as PDF writes it (`D:20260102030405+01'00'`), or as `iso_date` does."""
    text = text.strip()
    if found := _PDF_DATE.fullmatch(text):
        zone = f"{found['zone']}{found['minutes'] or '00'}" if found["zone"] else ""
        text = f"{found['day']}T{found['time']}{zone}" if found["time"] else found["day"]
    return iso_date(text)


def first_date(values: Iterable[object]) -> str:
    """The first of several values that is a date, normalized; "" if none is."""
    return next((date for date in map(iso_date, values) if date), "")
