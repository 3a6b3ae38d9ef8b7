"""Reads a page's YAML frontmatter: its title, address and date."""

import re
from dataclasses import dataclass
from typing import Any

import yaml

from dataset.dates import first_date

_FRONTMATTER = re.compile(r"\A---[ \t]*\n(.{0,16000}?)\n---[ \t]*\n", re.DOTALL)
"""Bounded in length, since parsing YAML is slow and a page may be hostile."""
_TAG = re.compile(r"(?:^|[:\-?,\[{])[ \t]*!", re.MULTILINE)
"""A YAML tag, which gives a value a custom type; no page needs one."""
_ADDRESSES = ("url", "source_url", "source", "canonical_url", "permalink")
_DATES = (
    *("changed", "last_modified", "last-modified", "lastmod", "last_updated", "lastUpdated"),
    *("updated", "modified", "date"),
)
"""Fields for the last change in various publishing systems, by precedence."""


@dataclass(frozen=True, slots=True)
class Frontmatter:
    """A page's metadata; "" for a missing field."""

    title: str = ""
    url: str = ""
    changed: str = ""
    """ISO 8601."""


def split_frontmatter(text: str) -> tuple[Frontmatter, str]:
    """Separate the frontmatter from the text; an invalid one counts as text."""
    found = _FRONTMATTER.match(text)
    if not found:
        return Frontmatter(), text
    fields = _fields(found.group(1))
    if fields is None:
        return Frontmatter(), text
    addresses = (web_address(_line(fields.get(name))) for name in _ADDRESSES)
    read = Frontmatter(
        title=_line(fields.get("title")),
        url=next((url for url in addresses if url), ""),
        changed=first_date(fields.get(name) for name in _DATES),
    )
    return read, text[found.end() :]


def _fields(head: str) -> dict[Any, Any] | None:
    """Parse YAML into strings and lists and maps of strings; None if it is invalid."""
    if _TAG.search(head):
        return None
    try:
        # The base loader creates strings only: no dates, no numbers, no merge keys that multiply.
        fields = yaml.load(head, yaml.BaseLoader)  # noqa: S506  # it creates no objects
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


def web_address(url: str) -> str:
    """The address if it is http or https, else ""."""
    return url if url.startswith(("http://", "https://")) else ""


def _line(value: object) -> str:
    """The value on one line, without lone surrogates; "" if it is not a string."""
    if not isinstance(value, str) or value in ("null", "~"):
        return ""
    return " ".join(value.encode(errors="ignore").decode().split())
