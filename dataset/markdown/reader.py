r"""Reads a markdown document as sections of blocks, cleaned up for readers.

A CommonMark parser finds the blocks; their inline markup is then reduced to what a reader needs.
AWS escapes all punctuation (`\-`, `\.`), names its anchors with `<a name="...">` and repeats
navigation lists under `**Topics**`: all of that is removed.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from typing import Any, Literal

from markdown_it import MarkdownIt
from markdown_it.token import Token

from dataset.markdown.syntax import CODE_SPAN, ESCAPE, IMAGE, LINK, is_table_rule
from dataset.markdown.writer import fenced_code

BlockKind = Literal["text", "list", "code", "table"]
_KINDS: dict[str, BlockKind] = {
    "bullet_list_open": "list",
    "ordered_list_open": "list",
    "table_open": "table",
}

_INLINE = re.compile(
    f"{CODE_SPAN}|{ESCAPE}"
    r"|(?P<tag><a\s+(?:name|id)\s*=[^<>]{0,200}>|</a>|<!--.{0,2000}?-->)"
    r"|(?P<space><br\s*/?>|&nbsp;)"
    f"|{IMAGE}|{LINK}",
    re.DOTALL,
)
_MARKUP = re.compile(f"{CODE_SPAN}|{LINK}", re.DOTALL)
_EMPHASIS = re.compile(r"(?<![\w*])(\*{1,3})(?=[^\s*])([^*\n]{1,500})(?<=[^\s*])\1(?![\w*])")
_ANCHOR = re.compile(r"""<a\s+(?:name|id)\s*=\s*["']?([^"'<>\s]{1,200})""")
_CELL_BORDER = re.compile(r"(?<![ \t])[ \t]*\|[ \t]*")
_LINE_MARK = re.compile(r"^[ \t]*(?:`{3,}.*\n?|[+*-][ \t]+)", re.MULTILINE)
_RUN = re.compile(r"([^\w\s])\1{2,}")
"""Lines drawn by repeating one character."""
_IMAGE_WITHOUT_WORDS = re.compile(r"[\[\]]|Image|NOT AVAILABLE")
_MAX_MISSING_CELLS = 4096
_MAX_HEADING_CHARACTERS = 120
"""Characters; each breadcrumb below a heading repeats it."""
_MAX_LINK_SHARE = 0.85
"""A page with a larger share of its characters in links is only a list of links."""


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, list, code block or table, cleaned up for readers."""

    kind: BlockKind
    text: str


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and the blocks up to the next heading."""

    headings: tuple[str, ...]
    """The path of headings, outermost first; empty above the first heading."""
    anchor: str
    blocks: list[Block] = field(default_factory=list)


def sections(text: str) -> list[Section]:
    """Split a page into sections, without navigation; [] for a page that only lists links."""
    lines = text.split("\n")
    found = [Section((), "")]
    open_headings: list[tuple[int, str]] = []
    for token, children in _top_level(commonmark_parser(inline=False).parse(text)):
        if not token.map:
            continue
        source = lines[token.map[0] : token.map[1]]
        if token.type == "heading_open":
            level, (title, anchor) = int(token.tag[1]), _heading(children[0].content)
            open_headings = [(at, name) for at, name in open_headings if at < level]
            open_headings.append((level, title))
            found.append(Section(tuple(name for _, name in open_headings), anchor))
        elif block := _block(token, children, source):
            found[-1].blocks.append(block)
    found = [_without_topics(section) for section in found]
    return [] if _only_links(text, found) else found


def plain_text(text: str) -> str:
    """Remove the markup, since every `|` and `*` costs an embedding model tokens."""
    text = "\n".join(line for line in text.split("\n") if not is_table_rule(line))
    text = _LINE_MARK.sub("", text)
    text = _MARKUP.sub(lambda found: found["code"] or found["words"] or found["target"] or "", text)
    text = _EMPHASIS.sub(r"\2", text)
    text = _CELL_BORDER.sub(" ", text)
    return _RUN.sub(r"\1", text)


@cache
def commonmark_parser(*, inline: bool) -> MarkdownIt:
    """A parser of CommonMark with tables; without inline markup it takes a third of the time."""
    # The parser adds the cells that a row lacks: a few kilobytes could become a hundred megabytes.
    table: Any = sys.modules["markdown_it.rules_block.table"]
    table.MAX_AUTOCOMPLETED_CELLS = _MAX_MISSING_CELLS
    parser = MarkdownIt("commonmark").enable("table")
    return parser if inline else parser.disable("inline")


def _top_level(tokens: list[Token]) -> Iterator[tuple[Token, list[Token]]]:
    """Yield each outermost block with the tokens inside it."""
    inside: list[Token] = []
    opened: Token | None = None
    for token in tokens:
        if token.level == 0 and token.nesting == 0:
            yield token, []
        elif token.level == 0 and token.nesting == 1:
            opened, inside = token, []
        elif token.level == 0 and opened:
            yield opened, inside
        else:
            inside.append(token)


def _block(token: Token, children: list[Token], source: list[str]) -> Block | None:
    if token.type in ("fence", "code_block"):
        code = fenced_code(token.content, token.info.strip())
        return Block("code", code) if code else None
    if token.type == "hr":
        return None
    start = token.map[0] if token.map else 0
    code_lines = {
        line - start
        for child in children
        if child.type in ("fence", "code_block") and child.map
        for line in range(*child.map)
    }
    text = _readable(source, code_lines)
    return Block(_KINDS.get(token.type, "text"), text) if text else None


def _readable(source: list[str], code: set[int]) -> str:
    """Clean up the lines outside code; lines of code stay as they are."""
    parts: list[str] = []
    for is_code, places in groupby(range(len(source)), code.__contains__):
        lines = [source[at] for at in places]
        parts += lines if is_code else [_clean("\n".join(lines))]
    return "\n".join(part for part in parts if part.strip()).strip()


def _clean(text: str) -> str:
    text = _INLINE.sub(_readable_inline, text)
    return "\n".join(line.rstrip() for line in text.split("\n"))


def _readable_inline(found: re.Match[str]) -> str:
    """The readable text of a piece of inline markup."""
    if found["code"]:
        return found[0]
    if found["escaped"]:
        return found["escaped"]
    if found["space"]:
        return " "
    if found["alt"] is not None:
        words = _INLINE.sub(_readable_inline, found["alt"])
        return words if _IMAGE_WITHOUT_WORDS.sub("", words).strip(" .") else ""
    if found["words"] is None:
        return ""
    words = _INLINE.sub(_readable_inline, found["words"])
    target = found["target_bracketed"] or found["target"] or ""
    if not target.startswith(("http://", "https://")) or not words:
        return words
    return target if words == target else f"[{words}]({target})"


def _heading(line: str) -> tuple[str, str]:
    """A heading's text and the name of its anchor."""
    anchor = _ANCHOR.search(line)
    words = _MARKUP.sub(lambda found: found["words"] or found[0], _clean(line))
    words = " ".join(_EMPHASIS.sub(r"\2", words).split())
    if len(words) > _MAX_HEADING_CHARACTERS:
        words = words[: _MAX_HEADING_CHARACTERS - 1].rsplit(" ", 1)[0] + "…"
    return words, anchor.group(1) if anchor else ""


def _without_topics(section: Section) -> Section:
    """Remove `**Topics**` and the list of pages below it."""
    kept: list[Block] = []
    after_topics = False
    for block in section.blocks:
        navigation = block.text.strip("*: \n") in ("Topics", "Contents", "Topic")
        if not navigation and not (after_topics and block.kind == "list"):
            kept.append(block)
        after_topics = navigation
    return Section(section.headings, section.anchor, kept)


def _only_links(text: str, found: list[Section]) -> bool:
    if not any(section.blocks for section in found):
        return True
    body = re.sub(r"^#.*$|^\*\*Topics\*\*$|[\s+*-]", "", text, flags=re.MULTILINE)
    linked = sum(len(found[0]) for found in _MARKUP.finditer(body) if found["words"] is not None)
    return linked > _MAX_LINK_SHARE * len(body)
