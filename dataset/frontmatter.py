"""What a page says of itself in a YAML frontmatter: its title, address and date."""

import re
from dataclasses import dataclass
from typing import Any

import yaml

from dataset.dates import first_date

_FRONTMATTER = re.compile(r"\A---[ \t]*\n(.{0,16000}?)\n---[ \t]*\n", re.DOTALL)
"""Of a length that a person writes: reading YAML costs time, and a page may be hostile."""
_TAG = re.compile(r"(?:^|[:\-?,\[{])[ \t]*!", re.MULTILINE)
"""A value with a type of its own: no page needs one."""
_ADDRESSES = ("url", "source_url", "source", "canonical_url", "permalink")
_DATES = (
    *("changed", "last_modified", "last-modified", "lastmod", "last_updated", "lastUpdated"),
    *("updated", "modified", "date"),
)
"""The names under which pages of other systems carry the day of their last change, best first."""


@dataclass(frozen=True, slots=True)
class Frontmatter:
    """What stands before a page's text; "" for what does not."""

    title: str = ""
    url: str = ""
    changed: str = ""
    """ISO 8601."""


def split_frontmatter(text: str) -> tuple[Frontmatter, str]:
    """Take the frontmatter off a page; what cannot be read as one is text."""
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
    """Read a head as texts and lists and maps of texts; None where it is none."""
    if _TAG.search(head):
        return None
    try:
        # The base loader makes texts alone: no dates, no numbers, no merges that multiply.
        fields = yaml.load(head, yaml.BaseLoader)  # noqa: S506  # it makes no objects
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


def web_address(url: str) -> str:
    """The address, or "" for one that is not on the web."""
    return url if url.startswith(("http://", "https://")) else ""


def _line(value: object) -> str:
    """A text in one line, without halves of characters; "" for what is no text."""
    if not isinstance(value, str) or value in ("null", "~"):
        return ""
    return " ".join(value.encode(errors="ignore").decode().split())
