"""Resolves reference links, whose addresses are defined elsewhere in a text."""

import re
from collections.abc import Mapping
from typing import Any

from markdown_it.common.utils import normalizeReference

from dataset.markdown.reader import commonmark_parser, link_definitions
from dataset.markdown.syntax import CODE_SPAN, ESCAPE, LINK, REFERENCE

_REFERENCE = re.compile(f"{CODE_SPAN}|{ESCAPE}|{LINK}|{REFERENCE}", re.DOTALL)
_WITH_INLINE = ("paragraph_open", "heading_open", "table_open")


def resolved_references(text: str) -> str:
    """Write the addresses into the links and drop the definitions.

    Texts that were rendered one by one can then be joined, also if they define the same labels.
    """
    environment: dict[str, Any] = {}
    tokens = commonmark_parser(inline=False).parse(text, environment)
    links = [one for one in link_definitions(environment) if not one["label"].startswith("^")]
    addresses = {one["label"]: one["href"] for one in reversed(links)}
    lines = text.split("\n")
    for token in tokens:
        if token.type in _WITH_INLINE and token.map:
            place = slice(*token.map)
            lines[place] = _resolved("\n".join(lines[place]), addresses).split("\n")
    dropped = {line for one in links for line in range(*one["map"])}
    return "\n".join(line for at, line in enumerate(lines) if at not in dropped)


def _resolved(text: str, addresses: Mapping[str, str]) -> str:
    def linked(found: re.Match[str]) -> str:
        if found["words"]:  # the words of a link may be a picture
            return f"[{_resolved(found['words'], addresses)}{found[0][len(found['words']) + 1 :]}"
        words = found["shortcut"] or found["referring"]
        address = addresses.get(normalizeReference(found["reference"] or words or ""))
        if words is None or address is None:
            return found[0]
        return f"{found['shown'] or ''}[{_resolved(words, addresses)}](<{address}>)"

    return _REFERENCE.sub(linked, text)
