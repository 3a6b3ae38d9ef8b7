r"""Reads markdown as sections of blocks, in the words a reader should see.

AWS escapes all punctuation (`\-`, `\.`), names its anchors with `<a name="...">` and repeats
navigation lists under `**Topics**`; none of that survives here.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from markdown_it import MarkdownIt
from markdown_it.token import Token

from dataset.markdown_writer import fenced_code

BlockKind = Literal["text", "list", "code", "table"]

# Every repetition has an upper bound or cannot overlap its neighbours: a hostile page costs time in
# proportion to its size.
_WORDS = r"(?:\\.|[^\[\]\\]|\[[^\[\]]{0,200}\]){0,500}"
_TARGET = (
    r"\(\s{{0,100}}(?:<(?P<{0}_bracketed>[^<>\n]{{0,500}})>|(?P<{0}>(?:[^()\s]|\([^()\s]{{0,200}}\)){{0,500}}))"
    r"(?:\s{{1,100}}(?:\"[^\"]{{0,300}}\"|'[^']{{0,300}}'))?\s{{0,100}}\)"
)
_CODE = r"(?<!`)(?P<ticks>`{1,8})(?!`)(?P<code>.{1,1000}?)(?<!`)(?P=ticks)(?!`)"
_LINK = r"\[(?P<words>" + _WORDS + r")\]" + _TARGET.format("target")
_INLINE = re.compile(
    _CODE
    + r"|\\(?P<escaped>[!-/:-@\[-`{-~])"
    + r"|(?P<tag><a\s+(?:name|id)\s*=[^<>]{0,200}>|</a>|<!--.{0,2000}?-->)"
    + r"|(?P<space><br\s*/?>|&nbsp;)"
    + r"|!\[(?P<alt>"
    + _WORDS
    + r")\]"
    + _TARGET.format("image")
    + "|"
    + _LINK,
    re.DOTALL,
)
_MARKUP = re.compile(_CODE + "|" + _LINK, re.DOTALL)
_EMPHASIS = re.compile(r"(?<![\w*])(\*{1,3})(?=[^\s*])([^*\n]{1,500})(?<=[^\s*])\1(?![\w*])")
_ANCHOR = re.compile(r"""<a\s+(?:name|id)\s*=\s*["']?([^"'<>\s]{1,200})""")
_CELL_BORDER = re.compile(r"(?<![ \t])[ \t]*\|[ \t]*")
_LINE_MARK = re.compile(r"^[ \t]*(?:`{3,}.*\n?|[+*-][ \t]+)", re.MULTILINE)
_RUN = re.compile(r"([^\w\s])\1{2,}")
"""Ruled lines drawn with one character."""
_IMAGE_WITHOUT_WORDS = re.compile(r"[\[\]]|Image|NOT AVAILABLE")
_MAX_MISSING_CELLS = 4096
_HEADING_LIMIT = 120
"""Characters of a heading worth repeating in every breadcrumb below it."""
_LINK_SHARE = 0.85
"""Above this share of its characters inside links, a page is a list of links."""


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, list, code block or table, as a reader should see it."""

    kind: BlockKind
    text: str


@dataclass(frozen=True, slots=True)
class Section:
    """The blocks under one heading, up to the next one."""

    headings: tuple[str, ...]
    """The headings above, outermost first; empty before the first one."""
    anchor: str
    blocks: list[Block] = field(default_factory=list)


def sections(text: str) -> list[Section]:
    """Read a page as its sections, navigation left out; [] for a page that only lists links."""
    lines = text.split("\n")
    found = [Section((), "")]
    open_headings: list[tuple[int, str]] = []
    for token, children in _top_level(_parser().parse(text)):
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
    """Keep the words and drop the markup: an embedding model spends tokens on every `|` and `*`."""
    text = "\n".join(line for line in text.split("\n") if not _is_table_rule(line))
    text = _LINE_MARK.sub("", text)
    text = _MARKUP.sub(lambda found: found["code"] or found["words"] or found["target"] or "", text)
    text = _EMPHASIS.sub(r"\2", text)
    text = _CELL_BORDER.sub(" ", text)
    return _RUN.sub(r"\1", text)


def _is_table_rule(line: str) -> bool:
    return "|" in line and "--" in line and not line.strip(" \t:|-")


@cache
def _parser() -> MarkdownIt:
    # A table may leave cells out, and each is made up for: of some kilobytes, a hundred megabytes.
    table: Any = sys.modules["markdown_it.rules_block.table"]
    table.MAX_AUTOCOMPLETED_CELLS = _MAX_MISSING_CELLS
    # Blocks are enough here: inline parsing would triple the time.
    return MarkdownIt("commonmark").enable("table").disable("inline")


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
    kinds: dict[str, BlockKind] = {
        "bullet_list_open": "list",
        "ordered_list_open": "list",
        "table_open": "table",
    }
    return Block(kinds.get(token.type, "text"), text) if text else None


def _readable(source: list[str], code: set[int]) -> str:
    """Clean the lines outside code, and leave those inside as they are."""
    parts: list[str] = []
    prose: list[str] = []
    for at, line in enumerate(source):
        if at in code:
            parts += [_clean("\n".join(prose)), line] if prose else [line]
            prose = []
        else:
            prose.append(line)
    parts.append(_clean("\n".join(prose)))
    return "\n".join(part for part in parts if part.strip()).strip()


def _clean(text: str) -> str:
    text = _INLINE.sub(_words_of, text)
    return "\n".join(line.rstrip() for line in text.split("\n"))


def _words_of(found: re.Match[str]) -> str:
    """What a reader should see of a piece of inline markup."""
    if found["code"]:
        return found[0]
    if found["escaped"]:
        return found["escaped"]
    if found["space"]:
        return " "
    if found["alt"] is not None:
        words = _INLINE.sub(_words_of, found["alt"])
        return words if _IMAGE_WITHOUT_WORDS.sub("", words).strip(" .") else ""
    if found["words"] is None:
        return ""
    words = _INLINE.sub(_words_of, found["words"])
    target = found["target_bracketed"] or found["target"] or ""
    if not target.startswith(("http://", "https://")) or not words:
        return words
    return target if words == target else f"[{words}]({target})"


def _heading(line: str) -> tuple[str, str]:
    """The words of a heading and the name of its anchor."""
    anchor = _ANCHOR.search(line)
    words = _MARKUP.sub(lambda found: found["words"] or found[0], _clean(line))
    words = " ".join(_EMPHASIS.sub(r"\2", words).split())
    if len(words) > _HEADING_LIMIT:
        words = words[: _HEADING_LIMIT - 1].rsplit(" ", 1)[0] + "…"
    return words, anchor.group(1) if anchor else ""


def _without_topics(section: Section) -> Section:
    """Drop `**Topics**` and the list of pages under it."""
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
    return linked > _LINK_SHARE * len(body)
