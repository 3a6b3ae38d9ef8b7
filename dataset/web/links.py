"""The links of a markdown page: where they lead, whatever page they are read on."""

import re
from collections.abc import Callable, Iterator
from urllib.parse import urljoin

_FENCE = re.compile(r" {0,3}(?P<fence>`{3,}|~{3,})")
_INLINE = re.compile(
    r"(?P<code>(?<!`)(?P<ticks>`{1,8})(?!`).{1,1000}?(?<!`)(?P=ticks)(?!`))"
    r"|(?P<escaped>\\.)"
    r"|(?P<before>\]\([ \t]{0,9}|^ {0,3}\[[^\[\]\n]{1,200}\]:[ \t]{1,9})"
    r"(?:<(?P<bracketed>[^<>\n]{1,2000})>|(?P<bare>(?:[^()\s<>]|\([^()\s<>]{0,200}\)){1,2000}))"
    r"|<(?P<auto>https?://[^<>\s]{1,2000})>",
    re.MULTILINE | re.DOTALL,
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


def link_targets(text: str) -> Iterator[str]:
    """Name what a page links to, as written, in order."""
    for part, is_prose in _parts(text):
        if is_prose:
            for found in _INLINE.finditer(part):
                if target := found["bracketed"] or found["bare"] or found["auto"]:
                    yield target


def absolute_links(text: str, base: str, spelled: Callable[[str], str] = str) -> str:
    """Make a page's links absolute; code, and whatever else is no link, stays as it is.

    Args:
        text: Markdown.
        base: The page's address.
        spelled: Gives the address under which a person reads what a link leads to.
    """

    def linked(found: re.Match[str]) -> str:
        target = found["bracketed"] or found["bare"]
        if not target:
            return found[0]
        try:
            leads_to = spelled(target if _SCHEME.match(target) else urljoin(base, target))
        except ValueError:
            return found[0]
        return (
            f"{found['before']}<{leads_to}>" if found["bracketed"] else found["before"] + leads_to
        )

    parts = _parts(text)
    return "".join(_INLINE.sub(linked, part) if is_prose else part for part, is_prose in parts)


def without_fenced_code(text: str) -> str:
    """A page without its fenced code."""
    return "".join(part for part, is_prose in _parts(text) if is_prose)


def _parts(text: str) -> Iterator[tuple[str, bool]]:
    """Part a page into fenced code and the prose around it, told by True."""
    lines: list[str] = []
    fence = ""
    for line in text.splitlines(keepends=True):
        found = _FENCE.match(line)
        if not fence and found:
            yield "".join(lines), True
            lines, fence = [line], found["fence"]
        elif fence and found and found["fence"].startswith(fence) and not _after(found, line):
            yield "".join((*lines, line)), False
            lines, fence = [], ""
        else:
            lines.append(line)
    yield "".join(lines), not fence


def _after(found: re.Match[str], line: str) -> str:
    return line[found.end() :].strip()
