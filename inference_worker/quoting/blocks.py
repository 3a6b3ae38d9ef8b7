"""Extracts the blocks of passages that can be quoted: paragraphs, list items, rows and code.

Nothing is reworded: links become their text, and images, HTML tags and line breaks are removed.
Left out is what does not answer by itself: headings, lists of links, references to other pages,
questions, and lead-ins without the list that they announce.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from textwrap import dedent, indent

from database.searching.passage import Passage
from dataset.markdown.syntax import IMAGE, LINK, SourceBlock, blocks
from dataset.sentences import sentences

MAX_LEAD_CHARACTERS = 300
"""Of a longer paragraph that ends in a colon, only the last sentence leads into the list."""

MAX_ITEM_CHARACTERS = 600
"""Of a longer list item, the nested ones are quoted by themselves, under the end of its text."""

_MENU = re.compile(
    r"(?:\W*(?:topics|see also|related|learn more|more information|next steps)\b)", re.IGNORECASE
)
_IMAGE = re.compile(rf"{IMAGE}|\\?\[Image NOT FOUND\\?\]", re.DOTALL)
"""Also the text that AWS's markdown has in place of some."""
_LINK = re.compile(LINK, re.DOTALL)
_ONLY_LINK = re.compile(rf"\s*{LINK}[\s.]*", re.DOTALL)
_ADDRESS = re.compile(r"^https?://\S*/(?:API_)?([\w.-]+?)(?:\.html)?(?:#\S*)?$")
_TAG = re.compile(r"</?(?:a|br|p|div|span|b|i|em|strong|sup|sub)\b[^<>]*>", re.IGNORECASE)
_PATTERN = re.compile(r" Pattern: `[^`]*`\.")
_SPEAKER = re.compile(r"^[QA]: ")
_EMPTY = re.compile(r"\s*\(\s*\)")
_WHOLE_START = re.compile(r"^[\"'(\[*_“]*(?:[A-Z0-9`]|[a-z]+(?:[._:-]\w|[A-Z]))")
_WHOLE_END = re.compile(r"[.!?:][\"')\]*_`”]*$")
_ASIDE = re.compile(r"(?:note|important|tip|warning|caution)s?", re.IGNORECASE)
"""Labels of the next paragraph, not headings."""
_LABEL_LEVEL = 9
"""Of a bold line used as a heading: below all headings, 1 to 6."""
_LEADS_ON = re.compile(r":$|\b(?:the following|as follows|shown below)\b", re.IGNORECASE)
"""A sentence that announces a list, table or code."""
_MAX_CUT_CHARACTERS = 300
"""Only a longer sentence may have been cut by the chunk's end."""
_POINTER = re.compile(
    r"^(?:\*\*)?(?:(?:for|to)\b.{0,160}?\b(?:see|refer to|visit|go to|consult|read)\b"
    r"|(?:also |please )?(?:see|refer to|visit)\b|to learn more\b"
    r"|use the following (?:topics|sections|pages)\b"
    r"|you can (?:also )?find (?:more|the)|for (?:more|additional|further|detailed)\b)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class QuotableBlock:
    """A block of a passage: markdown that can be quoted under its headings."""

    passage: int
    """Index of its passage."""
    group: int
    """The paragraph, list, table or code that it belongs to; unique within the passage."""
    path: tuple[str, ...]
    """The headings above it, below the document's title."""
    lead: str
    """The sentence or the table's head above it, without which it is not understood; or ""."""
    text: str

    @property
    def is_row(self) -> bool:
        """True for a row of a table."""
        return self.lead.startswith("|")

    @property
    def with_lead(self) -> str:
        """The block and what leads into it."""
        return f"{self.lead}\n{self.text}" if self.lead else self.text


def extract_blocks(passages: Sequence[Passage]) -> list[QuotableBlock]:
    """The blocks of all passages, in order; each text only once."""
    found: dict[str, QuotableBlock] = {}
    for at, passage in enumerate(passages):
        for block in _Extractor(at, passage).blocks():
            found.setdefault(block.with_lead, block)
    return list(found.values())


def quotable_text(markdown: str) -> str:
    """Replace links by their text; remove images, HTML tags and line breaks."""
    text = _LINK.sub(_link_text, _IMAGE.sub("", markdown))
    return _SPEAKER.sub("", " ".join(_EMPTY.sub("", _TAG.sub(" ", text)).split()))


def is_pointer(sentence: str) -> bool:
    """True if a sentence only refers to another page."""
    return bool(_POINTER.search(sentence))


def _link_text(link: re.Match[str]) -> str:
    address = _ADDRESS.match(link["words"])
    return f"`{address[1]}`" if address else link["words"]


@dataclass(slots=True)
class _Item:
    """An item of the open list, nested ones and code included."""

    block: SourceBlock
    markdown: str
    text: str


class _Extractor:
    """Reads a passage block by block; a list stays open until another block ends it."""

    def __init__(self, at: int, passage: Passage) -> None:
        self._at = at
        self._source = passage.text
        above = passage.chunk.headings if passage.begins_under is None else passage.begins_under
        self._path = tuple(above)
        self._headings = list(enumerate(above, start=2))
        """Levels and texts of the headings above the current block."""
        self._lead = ""
        self._group = 0
        self._items: list[_Item] = []

    def blocks(self) -> Iterator[QuotableBlock]:
        """Yield the blocks in order."""
        for block in blocks(self._source):
            markdown = self._source[block.span]
            if self._extends_list(block, markdown):
                continue
            yield from self._close_list()
            if block.kind in ("heading", "label"):
                self._add_heading(block, markdown)
            elif block.kind == "text":
                yield from self._paragraph(block, quotable_text(markdown))
            elif block.kind == "table_head":
                self._group += 1
                self._lead = quotable_text(markdown)
            elif block.kind == "table_rule" and self._lead:
                self._lead += f"\n{markdown.strip()}"
            elif block.kind == "row" and self._lead.startswith("|"):
                yield self._block(quotable_text(markdown))
            elif block.kind == "code":
                yield from self._code(block, markdown)
        yield from self._close_list()

    def _block(self, text: str) -> QuotableBlock:
        return QuotableBlock(self._at, self._group, self._path, self._lead, text)

    def _add_heading(self, block: SourceBlock, markdown: str) -> None:
        label = block.kind == "label"
        text = quotable_text(markdown.strip().removesuffix(":")[2:-2] if label else markdown)
        self._lead = ""
        if _ASIDE.fullmatch(text):
            return
        level = _LABEL_LEVEL if label else len(block.mark)
        above = [each for each in self._headings if each[0] < level]
        self._headings = [*above, (level, text.strip("[] "))]
        self._path = tuple(text for _, text in self._headings)

    def _paragraph(self, block: SourceBlock, text: str) -> Iterator[QuotableBlock]:
        """Yield a paragraph; its end may lead into a list, and is quoted with that."""
        self._group += 1
        self._lead = ""
        split = sentences(text)
        if split and _LEADS_ON.search(split[-1]):
            self._lead = _end_of(text)
            split = [] if self._lead == text else split[:-1]
        is_cut = (block.start == 0 and not _WHOLE_START.match(text)) or (
            block.end == len(self._source)
            and len(text) > _MAX_CUT_CHARACTERS
            and not _WHOLE_END.search(text)
        )
        if split and not (is_cut or all(each.endswith("?") or is_pointer(each) for each in split)):
            lead, self._lead = self._lead, ""
            yield self._block(" ".join(split))
            self._lead = lead
            self._group += bool(lead)

    def _code(self, block: SourceBlock, markdown: str) -> Iterator[QuotableBlock]:
        """Yield code, unless its end is in another chunk."""
        if block.is_closed:
            yield self._block(_dedented(markdown))
        self._lead = ""
        self._group += 1

    def _extends_list(self, block: SourceBlock, markdown: str) -> bool:
        """Add a block to the open list if it belongs to it; an item opens one."""
        if block.kind == "item":
            self._items.append(_Item(block, markdown, quotable_text(markdown)))
            return True
        if not self._items:
            return False
        if block.kind == "text" and (block.indent or not block.after_blank):
            self._items[-1].text += f" {quotable_text(markdown)}"
            return True
        if block.kind == "code" and block.is_closed and markdown[:1].isspace():
            self._items[-1].text += f"\n{indent(_dedented(markdown), '   ')}\n  "
            return True
        return False

    def _close_list(self) -> Iterator[QuotableBlock]:
        """Yield the items of the open list, unless it is a menu of other pages."""
        items, self._items = self._items, []
        if not items:
            return
        is_menu = all(_ONLY_LINK.fullmatch(item.markdown) for item in items) or any(
            _MENU.match(text) for text in (self._lead, *self._path[-1:])
        )
        self._group += not self._lead
        if not is_menu:
            yield from self._list(items)
        self._lead = ""
        self._group += 1

    def _list(self, items: list[_Item]) -> Iterator[QuotableBlock]:
        """Yield the items; of one that is long with those nested in it, each by itself."""
        top = min(item.block.indent for item in items)
        starts = [at for at, item in enumerate(items) if item.block.indent == top or not at]
        for number, (start, end) in enumerate(pairwise([*starts, len(items)]), start=1):
            item, nested = items[start], items[start + 1 : end]
            mark = f"{number}." if item.block.mark[0].isdigit() else "-"
            text = f"{mark} {_without_pointers(item.text)}".rstrip()
            lines = [text, *(f"   - {_without_pointers(each.text)}" for each in nested)]
            whole = "\n".join(lines)
            if not nested or len(whole) <= MAX_ITEM_CHARACTERS:
                yield self._block(whole)
                continue
            if not text.endswith(":"):
                yield self._block(text)
            lead, self._lead = self._lead, _end_of(item.text)
            self._group += 1
            yield from self._list(nested)
            self._lead = lead
            self._group += 1


def _end_of(text: str) -> str:
    """The text if it is short, else its last sentence."""
    return text if len(text) <= MAX_LEAD_CHARACTERS else sentences(text)[-1]


def _dedented(code: str) -> str:
    """Remove the indentation of code in a list."""
    return dedent(code.replace("\t", "    ")).strip()


def _without_pointers(item: str) -> str:
    """Remove an API field's pattern, and references to other pages at an item's end."""
    kept = sentences(_PATTERN.sub("", item)) if "\n" not in item else [item]
    while len(kept) > 1 and is_pointer(kept[-1]):
        kept.pop()
    return " ".join(kept)
