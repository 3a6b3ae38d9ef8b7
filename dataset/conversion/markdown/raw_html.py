"""Converts the blocks of HTML within markdown; runs in the process that parses untrusted files."""

import re
from collections.abc import Iterator

from markdown_it.token import Token

from dataset.conversion.html.controls import without_controls
from dataset.conversion.html.reader import markdown_of
from dataset.conversion.html.tree import parse_html
from dataset.conversion.plain_text import decode_text
from dataset.conversion.result import Converted
from dataset.frontmatter import with_changed_body
from dataset.markdown.reader import commonmark_parser
from dataset.markdown.syntax import prose_and_code

_ELEMENT_NAMES = """
    a abbr address article aside b blockquote body br button caption center cite code col
    colgroup dd del details dfn dialog div dl dt em fieldset figcaption figure font footer form h1
    h2 h3 h4 h5 h6 head header hr html i iframe img input ins kbd label legend li link main mark
    menu meta nav noscript ol option p picture pre q rp rt ruby s samp script section select small
    source span strong style sub summary sup svg table tbody td template textarea tfoot th thead
    time title tr u ul var video wbr
"""
_ELEMENTS = frozenset(_ELEMENT_NAMES.split())
"""The elements of HTML; another name between angle brackets is a placeholder."""
_TAG_NAME = re.compile(r"<(?=/?([A-Za-z][\w-]*))")
_MAY_BE_BLOCK = re.compile(r"^[ \t>*+\-.)\d]*</?([A-Za-z][\w-]*)", re.MULTILINE)
_ONLY_ANCHOR = re.compile(r"\s*(?:</?a(?:\s[^<>]*)?>\s*|<!--.*?-->\s*)+", re.DOTALL)
_TABLE_TAG = re.compile(r"<(?P<end>/?)table\b", re.IGNORECASE)
_BLANK_LINES = re.compile(r"\n(?:[ \t]*\n)+")
_MARK = re.compile(r"[^\s>]")


def has_html_blocks(text: str) -> bool:
    """True if markdown contains HTML that must be converted: more than anchors and placeholders."""
    names = (found[1].lower() for found in _MAY_BE_BLOCK.finditer(text))
    return any(name in _ELEMENTS for name in names) and bool(list(_html_blocks(text)))


def read_raw_html(content: bytes, _: str) -> Converted:
    """Convert a page of markdown: its blocks of HTML become markdown."""
    return Converted(with_changed_body(decode_text(content), converted_html))


def converted_html(text: str) -> str:
    """Convert the blocks of HTML in markdown without front matter."""
    text = _joined_tables(text)
    lines = text.split("\n")
    for token in reversed(list(_html_blocks(text))):
        first, end = token.map or (0, 0)
        before = lines[first][: lines[first].find("<")]
        margin = _MARK.sub(" ", before)
        written = _converted_block(token.content, before, margin)
        # A blank line above and below, where there is none.
        if before == margin and first and lines[first - 1].strip(" \t>"):
            written.insert(0, margin.rstrip())
        if "".join(lines[end : end + 1]).strip(" \t>"):
            written.append(margin.rstrip())
        lines[first:end] = written
    return "\n".join(lines)


def _converted_block(html: str, before: str, margin: str) -> list[str]:
    """Convert a block that follows the marks `before`; further lines follow the `margin`."""
    page = parse_html(_TAG_NAME.sub(_escaped_unless_known, html))
    markdown = markdown_of(without_controls(page.body)).rstrip()
    first, *more = markdown.split("\n")
    return [f"{before}{first}".rstrip(), *(f"{margin}{line}".rstrip() for line in more)]


def _html_blocks(text: str) -> Iterator[Token]:
    for token in commonmark_parser(inline=False).parse(text):
        if token.type == "html_block" and token.map and not _ONLY_ANCHOR.fullmatch(token.content):
            name = _TAG_NAME.search(token.content)
            if name is None or name[1].lower() in _ELEMENTS:
                yield token


def _escaped_unless_known(tag: re.Match[str]) -> str:
    return "<" if tag[1].lower() in _ELEMENTS else "&lt;"


def _joined_tables(text: str) -> str:
    """Remove blank lines within tables: CommonMark ends a block of HTML there."""
    parts: list[str] = []
    depth = at = 0
    for place, is_end in _table_tags(text):
        before = text[at:place]
        parts.append(_BLANK_LINES.sub("\n", before) if depth else before)
        at = place
        depth = max(depth - 1, 0) if is_end else depth + 1
    return "".join([*parts, text[at:]])


def _table_tags(text: str) -> Iterator[tuple[int, bool]]:
    """Yield the place of each tag of a table outside code; True for an end tag."""
    at = 0
    for part, is_prose in prose_and_code(text):
        if is_prose:
            yield from ((at + tag.start(), bool(tag["end"])) for tag in _TABLE_TAG.finditer(part))
        at += len(part)
