"""Finds the links of a markdown page and makes them absolute."""

import re
from collections.abc import Callable, Iterator
from urllib.parse import urljoin

from dataset.markdown.syntax import (
    CODE_SPAN,
    ESCAPE,
    LINK_DEFINITION,
    prose_and_code,
    target_pattern,
)

_LINK = re.compile(
    rf"{CODE_SPAN}|{ESCAPE}"
    rf"|(?P<before>\]\([ \t]{{0,9}}|{LINK_DEFINITION})(?!<[^<>\n]{{0,2000}}(?:[<\n]|\Z))"
    rf"{target_pattern('target', 2000)}"
    r"|<(?P<auto>https?://[^<>\s]{1,2000})>",
    re.MULTILINE | re.DOTALL,
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


def link_targets(text: str) -> Iterator[str]:
    """Yield the targets of a page's links, as written, in order."""
    for part, is_prose in prose_and_code(text):
        if is_prose:
            for found in _LINK.finditer(part):
                if target := found["target_bracketed"] or found["target"] or found["auto"]:
                    yield target


def absolute_links(text: str, base: str, spelled: Callable[[str], str] = str) -> str:
    """Make a page's links absolute; everything else, code included, stays as it is.

    `base` is the page's address; `spelled` maps a target to the address under which people read it.
    """

    def linked(found: re.Match[str]) -> str:
        target = found["target_bracketed"] or found["target"]
        if not target:
            return found[0]
        try:
            address = spelled(target if _SCHEME.match(target) else urljoin(base, target))
        except ValueError:
            return found[0]
        return found["before"] + (f"<{address}>" if found["target_bracketed"] else address)

    parts = prose_and_code(text)
    return "".join(_LINK.sub(linked, part) if is_prose else part for part, is_prose in parts)
