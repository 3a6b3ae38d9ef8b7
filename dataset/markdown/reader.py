r"""Reads a markdown document as sections of blocks, cleaned up for readers.

A CommonMark parser finds the blocks; their inline markup is then reduced to what a reader needs.
AWS escapes all punctuation (`\-`, `\.`), names its anchors with `<a name="...">` and repeats
navigation lists under `**Topics**`: all of that is removed.
"""

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby, zip_longest
from typing import Any, Literal

from markdown_it import MarkdownIt
from markdown_it.token import Token

from dataset.markdown.inline import EMPHASIS, MARKUP, InlineReader
from dataset.markdown.syntax import LINK, is_table_rule
from dataset.markdown.writer import fenced_code

BlockKind = Literal["text", "list", "code", "table"]
_KINDS: dict[str, BlockKind] = {
    "bullet_list_open": "list",
    "ordered_list_open": "list",
    "table_open": "table",
}

_EMPHASIS = re.compile(EMPHASIS)
_CELL_BORDER = re.compile(r"(?<![ \t])[ \t]*\\?\|[ \t]*")
_LINE_MARK = re.compile(r"^[ \t]*(?:(?:`{3,}|~{3,}).*\n?|[+*-][ \t]+)", re.MULTILINE)
_ITEM_START = re.compile(r"[ \t]*(?:[+*-]|\d{1,9}[.)])[ \t]")
_LINK_ITEM = re.compile(rf"[ \t]*(?:[+*-]|\d{{1,9}}[.)])[ \t]+{LINK}[ \t]*\Z", re.DOTALL)
_RUN = re.compile(r"([^\w\s])\1{2,}")
"""Lines drawn by repeating one character."""
_MAX_HEADING_CHARACTERS = 120
"""Each breadcrumb below a heading repeats it; a longer one is cut there, and whole in the text."""
_MAX_MISSING_CELLS = 4096
_MAX_LINK_SHARE = 0.85
"""A page with a larger share of its characters in links is only a list of links."""


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, list, code block or table, cleaned up for readers."""

    kind: BlockKind
    text: str
    only_links: bool = field(default=False, compare=False)
    """True for a list whose items are links and nothing else."""


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
    environment: dict[str, Any] = {}
    tokens = commonmark_parser(inline=False).parse(text, environment)
    defined = link_definitions(environment)
    inline = InlineReader({one["label"]: one["href"] for one in reversed(defined)})
    # CommonMark takes a short footnote for the address of a link.
    notes = sorted(one["map"] for one in defined if one["label"].startswith("^"))
    for token, children in _top_level(tokens):
        if not token.map:
            continue
        while notes and notes[0][0] < token.map[0]:
            found[-1].blocks.append(_footnote(lines, notes.pop(0), inline))
        source = lines[token.map[0] : token.map[1]]
        if token.type == "heading_open":
            level, (title, anchor) = int(token.tag[1]), inline.heading(children[0].content)
            open_headings = [(at, name) for at, name in open_headings if at < level]
            open_headings.append((level, _shortened(title)))
            found.append(Section(tuple(name for _, name in open_headings), anchor))
            if len(title) > _MAX_HEADING_CHARACTERS:
                found[-1].blocks.append(Block("text", title))
        elif block := _block(token, children, source, inline):
            found[-1].blocks.append(block)
    found[-1].blocks.extend(_footnote(lines, place, inline) for place in notes)
    if any(section.blocks for section in found):
        for section, following in zip_longest(found, found[1:]):
            if _is_lone(section, following):
                section.blocks.append(Block("text", section.headings[-1]))
    found = [_without_topics(section) for section in found]
    return [] if _only_links(text, found) else found


def plain_text(text: str) -> str:
    """Remove the markup, since every `|` and `*` costs an embedding model tokens."""
    text = "\n".join(line for line in text.split("\n") if not is_table_rule(line))
    text = _LINE_MARK.sub("", text)
    text = MARKUP.sub(lambda found: found["code"] or found["words"] or found["target"] or "", text)
    text = _EMPHASIS.sub(r"\g<emphasised>", text)
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


def link_definitions(environment: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The definitions of links that a parser found; the first one of a label counts."""
    first = environment.get("references", {})
    again = environment.get("duplicate_refs", [])
    return [*({"label": label, **one} for label, one in first.items()), *again]


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


def _shortened(heading: str) -> str:
    if len(heading) <= _MAX_HEADING_CHARACTERS:
        return heading
    return heading[: _MAX_HEADING_CHARACTERS - 1].rsplit(" ", 1)[0] + "…"


def _block(
    token: Token, children: list[Token], source: list[str], inline: InlineReader
) -> Block | None:
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
    kind = _KINDS.get(token.type, "text")
    if kind == "table":
        source = [line if line.lstrip().startswith("|") else f"| {line}" for line in source]
    text = _readable(source, code_lines, inline)
    only_links = kind == "list" and all(map(_LINK_ITEM.match, _items(source)))
    return Block(kind, text, only_links) if text else None


def _is_lone(section: Section, following: Section | None) -> bool:
    """True for a heading with nothing below it, such as that of a slide: it is the text."""
    has_parts = following is not None and len(following.headings) > len(section.headings)
    return any(section.headings[-1:]) and not section.blocks and not has_parts


def _footnote(lines: list[str], place: list[int], inline: InlineReader) -> Block:
    return Block("text", inline.read("\n".join(lines[slice(*place)])).strip())


def _items(source: list[str]) -> list[str]:
    """The items of a list, nested ones included; a line that continues an item belongs to it."""
    items: list[str] = []
    for line in source:
        if _ITEM_START.match(line) or not items:
            items.append(line)
        else:
            items[-1] += f"\n{line}"
    return [item.rstrip() for item in items]


def _readable(source: list[str], code: set[int], inline: InlineReader) -> str:
    """Clean up the lines outside code; lines of code stay as they are."""
    parts: list[str] = []
    for is_code, places in groupby(range(len(source)), code.__contains__):
        lines = [source[at] for at in places]
        parts += lines if is_code else [inline.read("\n".join(lines))]
    return "\n".join(part for part in parts if part.strip()).strip()


def _without_topics(section: Section) -> Section:
    """Remove `**Topics**` and the list of pages below it, if its items are links."""
    kept: list[Block] = []
    after_title = False
    for block, following in zip_longest(section.blocks, section.blocks[1:]):
        is_title = block.text.strip("*: \n") in ("Topics", "Contents", "Topic")
        if is_title:
            is_navigation = following is None or following.only_links
        else:
            is_navigation = after_title and block.only_links
        if not is_navigation:
            kept.append(block)
        after_title = is_title
    return Section(section.headings, section.anchor, kept)


def _only_links(text: str, found: list[Section]) -> bool:
    if not any(section.blocks for section in found):
        return True
    body = re.sub(r"^#.*$|^\*\*Topics\*\*$|[\s+*-]", "", text, flags=re.MULTILINE)
    words = [found["words"] for found in MARKUP.finditer(body) if found["words"] is not None]
    linked = sum(map(len, words))
    unlinked = len(MARKUP.sub(lambda found: "" if found["words"] is not None else found[0], body))
    return bool(words) and linked > _MAX_LINK_SHARE * (linked + unlinked)
