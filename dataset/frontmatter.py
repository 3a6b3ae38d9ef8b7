"""What a page says of itself in a YAML frontmatter: its title, address and date."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

import yaml

_FRONTMATTER = re.compile(r"\A---[ \t]*\n(.*?)\n---[ \t]*\n", re.DOTALL)
_DATES = ("changed", "last_modified", "lastmod", "updated", "date")
"""The names under which pages of other systems carry the day of their last change, best first."""


@dataclass(frozen=True, slots=True)
class Frontmatter:
    """What stands before a page's text; "" for what does not."""

    title: str = ""
    url: str = ""
    changed: str = ""
    """ISO 8601."""


def split_off(text: str) -> tuple[Frontmatter, str]:
    """Take the frontmatter off a page; what cannot be read as one is text."""
    found = _FRONTMATTER.match(text)
    if not found:
        return Frontmatter(), text
    try:
        fields = yaml.safe_load(found.group(1))
    except (yaml.YAMLError, ValueError, RecursionError):  # ValueError: a date that is none
        return Frontmatter(), text
    if not isinstance(fields, dict):
        return Frontmatter(), text
    dates = (iso(fields[name]) for name in _DATES if name in fields)
    read = Frontmatter(
        title=_line(fields.get("title")),
        url=web_address(_line(fields.get("url"))),
        changed=next((changed for changed in dates if changed), ""),
    )
    return read, text[found.end() :]


def web_address(url: str) -> str:
    """The address, or "" for one that is not on the web."""
    return url if url.startswith(("http://", "https://")) else ""


def iso(value: object) -> str:
    """A date or an instant (UTC) in ISO 8601; "" for what is neither."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            return ""
        if value.time() == time() and value.tzinfo is None:
            value = value.date()
    if isinstance(value, datetime):
        try:
            known = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        except OverflowError:  # the last hours of the calendar, in another zone
            return ""
        return known.isoformat(timespec="seconds").replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else ""


def _line(value: object) -> str:
    return " ".join(str(value).split()) if isinstance(value, str | int | float) else ""
