"""Reads a page's frontmatter, in YAML or TOML: its title, address and date."""

import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

import yaml

from dataset.dates import first_date
from dataset.web_address import is_web_address

_FRONTMATTER = re.compile(
    r"\A(?P<fence>---|\+\+\+)[ \t]*\n(?![ \t]*\n)(?P<head>.{0,16000}?)"
    r"\n(?:(?P=fence)|\.\.\.)[ \t]*(?:\n|\Z)",
    re.DOTALL,
)
"""Bounded in length, since parsing YAML is slow and a page may be hostile."""
_TAG = re.compile(r"(?:^|[:\-?,\[{])[ \t]*!", re.MULTILINE)
"""A YAML tag, which gives a value a custom type; no page needs one."""
_FIELD = re.compile(r"(?P<name>[\w-]{1,60}):(?:[ \t](?P<value>.*))?")
_QUOTED = re.compile(r"""(["'])(?P<value>.*)\1""")
_NESTED = ("[", "{", "&", "*", "|", ">")
"""How values start that are no text of one line."""
_CONTINUED = re.compile(r"[ \t]+\S.*|-(?:[ \t].*)?|#.*|[ \t]*|[^\s:#][^\n:]{0,60}:[^\n]*")
"""A line of a nested value, a list, a comment, a blank one, or a field of another kind."""
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
    """Separate the frontmatter from the text; what is none counts as text."""
    found = _FRONTMATTER.match(text)
    if not found:
        return Frontmatter(), text
    read_fields = _toml_fields if found["fence"] == "+++" else _yaml_fields
    fields = read_fields(found["head"])
    if fields is None:
        return Frontmatter(), text
    addresses = (web_address(_line(fields.get(name))) for name in _ADDRESSES)
    read = Frontmatter(
        title=_line(fields.get("title")),
        url=next((url for url in addresses if url), ""),
        changed=first_date(fields.get(name) for name in _DATES),
    )
    return read, text[found.end() :]


def with_changed_body(text: str, change: Callable[[str], str]) -> str:
    """Change the text below the frontmatter."""
    body = split_frontmatter(text)[1]
    return text[: len(text) - len(body)] + change(body)


def _yaml_fields(head: str) -> dict[Any, Any] | None:
    """Parse YAML into strings and lists and maps of strings, or else read it line by line."""
    try:
        # The base loader creates strings only: no dates, no numbers, no merge keys that multiply.
        fields = None if _TAG.search(head) else yaml.load(head, yaml.BaseLoader)  # noqa: S506
    except (yaml.YAMLError, ValueError, RecursionError):
        fields = None
    return fields if isinstance(fields, dict) else _fields_by_line(head)


def _fields_by_line(head: str) -> dict[str, str] | None:
    """The fields that a line states each, as in `title: A: b`; None if a line is no field."""
    fields: dict[str, str] = {}
    for line in head.split("\n"):
        if field := _FIELD.fullmatch(line):
            value = (field["value"] or "").strip()
            quoted = _QUOTED.fullmatch(value)
            text = quoted["value"] if quoted else value
            fields[field["name"]] = "" if text.startswith(_NESTED) else text
        elif not _CONTINUED.fullmatch(line):
            return None
    return fields or None


def _toml_fields(head: str) -> dict[str, Any] | None:
    """Parse TOML, its dates as text; None if it is invalid."""
    try:
        fields = tomllib.loads(head)
    except (tomllib.TOMLDecodeError, RecursionError):
        return None
    dated = (name for name, value in fields.items() if isinstance(value, date))
    return fields | {name: fields[name].isoformat() for name in dated}


def web_address(url: str) -> str:
    """The address if it is a valid one of http or https, else ""."""
    return url if is_web_address(url) else ""


def _line(value: object) -> str:
    """The value on one line, without lone surrogates; "" if it is not a string."""
    if not isinstance(value, str) or value in ("null", "~"):
        return ""
    return " ".join(value.encode(errors="ignore").decode().split())
