"""Finds what MDX has beside the prose: tags and elements of JSX, imports, exports, comments."""

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

_ATTRIBUTE = (
    r"""[\w:.-]+(?:=(?:"[^"]{0,500}"|'[^']{0,500}'|\{(?:[^{}]|\{[^{}]{0,500}\}){0,1000}\}))?"""
    r"|\{[^{}]{0,500}\}"
)
JSX_TAG = re.compile(
    rf"<(?P<end>/?)(?P<name>(?=[A-Z][\w.]*[a-z])[A-Z][\w.]{{0,60}})(?P<attributes>(?:\s+(?:{_ATTRIBUTE})){{0,30}})"
    r"\s*(?P<single>/?)>"
)
_TAG_START = re.compile(r"^ {0,3}<[A-Z]", re.MULTILINE)
_SHOWN_ATTRIBUTE = re.compile(
    r"""\b(?:title|label|header|heading|summary|caption|alt|text|name|description)=["']([^"']+)["']"""
)
_VALUE = re.compile(r"""\bvalue=["']([^"']+)["']""")
_CODE_INDENT = 4
_NAMES = r"(?:[\w$]+|\*\s+as\s+[\w$]+|\{[^{}]{0,1000}\})"
_IMPORT = re.compile(
    rf"""^import[ \t]+(?:type[ \t]+)?(?:{_NAMES}(?:\s*,\s*{_NAMES})?\s+from[ \t]+)?"""
    r"""["'][^"'\n]+["'];?[ \t]*$"""
)
_MAX_IMPORT_LINES = 50
_EXPORT = re.compile(r"^export[ \t]+(?:default|const|let|var|function|async)\b")


@dataclass(frozen=True, slots=True)
class JsxElement:
    """A JSX element whose tags stand on lines of their own."""

    label: str
    body: slice
    """The lines between its tags."""
    end: int
    """The line after it."""


def jsx_elements(lines: Sequence[str]) -> dict[int, JsxElement]:
    """The JSX elements whose tags stand on lines of their own, by their first line.

    A tag without attributes that nothing closes may be a placeholder such as `<Name>`.
    """
    text = "\n".join(lines)
    found: dict[int, JsxElement] = {}
    if not _TAG_START.search(text):
        return found
    starts = [0, *accumulate(len(line) + 1 for line in lines)]
    opened: dict[str, list[re.Match[str]]] = {}
    for tag in JSX_TAG.finditer(text):
        if not _is_alone(tag):
            continue
        name, last = tag["name"], bisect_right(starts, tag.end() - 1) - 1
        if tag["end"] and opened.get(name):
            first = opened[name].pop()
            found |= _element(first, starts, last)
        elif tag["single"] or "=" in tag["attributes"]:
            found |= _element(tag, starts, last)
        if not tag["end"] and not tag["single"]:
            opened.setdefault(name, []).append(tag)
    return found


def _element(tag: re.Match[str], starts: Sequence[int], last: int) -> dict[int, JsxElement]:
    """The element of a start tag that ends with the line `last`, with its first line."""
    first = bisect_right(starts, tag.start()) - 1
    inside = bisect_right(starts, tag.end() - 1)
    return {first: JsxElement(label_of_element(tag), slice(inside, last), last + 1)}


def _is_alone(tag: re.Match[str]) -> bool:
    """True for a tag with nothing else on its lines, which are not indented as code is."""
    before = tag.string[tag.string.rfind("\n", 0, tag.start()) + 1 : tag.start()]
    after = tag.string[tag.end() : _end_of_line(tag.string, tag.end())]
    return not before.strip() and len(before) < _CODE_INDENT and not after.strip()


def _end_of_line(text: str, at: int) -> int:
    end = text.find("\n", at)
    return end if end >= 0 else len(text)


def label_of_element(tag: re.Match[str]) -> str:
    """What the page shows of a tag; a tab without a label shows its value."""
    shown = shown_attributes(tag["attributes"])
    value = _VALUE.search(tag["attributes"])
    return value[1] if tag["name"] == "TabItem" and value and not shown else shown


def shown_attributes(attributes: str) -> str:
    """The texts among a tag's attributes, such as its title."""
    return ", ".join(_SHOWN_ATTRIBUTE.findall(attributes))


def end_of_mdx_code(lines: Sequence[str], start: int) -> int:
    """The line after an import, export or comment of MDX; 0 if none begins here."""
    first = lines[start]
    if first.startswith("{/*"):
        ends = (at for at in range(start, len(lines)) if lines[at].rstrip().endswith("*/}"))
        return next(ends, -1) + 1
    if first.startswith("import "):
        stop = min(start + _MAX_IMPORT_LINES, len(lines))
        ends = (at for at in range(start, stop) if _IMPORT.match(" ".join(lines[start : at + 1])))
        return next(ends, -1) + 1
    if not _EXPORT.match(first):
        return 0
    depth = 0
    for at in range(start, len(lines)):
        depth += sum(map(lines[at].count, "{([")) - sum(map(lines[at].count, "})]"))
        if depth <= 0 and (
            lines[at].rstrip().endswith((";", "}", ")", "]")) or not lines[at].strip()
        ):
            return at + 1
    return len(lines)
