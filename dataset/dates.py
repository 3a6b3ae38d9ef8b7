"""Dates as files carry them, in ISO 8601."""

import re
from datetime import UTC, datetime, time

_PDF_DATE = re.compile(
    r"D:(?P<day>\d{8})(?P<time>\d{6})?(?:Z|(?P<zone>[+-]\d{2})'?(?P<minutes>\d{2})?'?)?.*", re.ASCII
)


def iso_date(said: str) -> str:
    """A date as it is, an instant in UTC; "" for what is neither.

    Args:
        said: In ISO 8601, or as PDF writes it (`D:20260102030405+01'00'`).
    """
    said = said.strip()
    if pdf := _PDF_DATE.fullmatch(said):
        zone = f"{pdf['zone']}{pdf['minutes'] or '00'}" if pdf["zone"] else ""
        said = f"{pdf['day']}T{pdf['time']}{zone}" if pdf["time"] else pdf["day"]
    try:
        moment = datetime.fromisoformat(said)
        if moment.tzinfo is None and moment.time() == time():
            return moment.date().isoformat()
        known = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return ""
    return f"{known:%Y-%m-%dT%H:%M:%SZ}" if known.year >= 1000 else ""
