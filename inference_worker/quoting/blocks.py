"""Extracts the blocks of passages that can be quoted: paragraphs, list items, rows and code.

Nothing is reworded: outside of code, links become their text, and images, HTML tags and line breaks
are removed. Left out is what does not answer by itself: headings, lists of links, references to
other pages, questions, and announcements of what does not follow.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, zip_longest
from textwrap import dedent, indent

from database.searching.passage import Passage
from dataset.markdown.syntax import CODE_SPAN, IMAGE, LINK, SourceBlock, blocks
from dataset.sentences import sentences

MAX_LEAD_CHARACTERS = 300
"""Of a longer paragraph or item that leads into a list, only the last sentence is the lead-in."""
MAX_ITEM_CHARACTERS = 600
"""Of a longer list item, the nested ones are quoted by themselves, under the end of its text."""

_MARKUP = re.compile(
    rf"(?P<span>{CODE_SPAN})|{IMAGE}|\\?\[Image NOT FOUND\\?\]|{LINK}"
    r"|(?P<tag></?(?:a|br|p|div|span|b|i|em|strong|sup|sub)\b[^<>]{0,500}>)"
    r"|https?://[^\s<>()]{1,300}/API_(?P<operation>\w{1,100})\.html(?:#[\w-]{0,100})?",
    re.DOTALL,
)
_LINK_IN_CODE = re.compile(r"\[([^\[\]]{1,200})\]\(https?://[^()\s]{1,500}\)")
"""AWS's markdown writes linked names in code like this."""
_REMOVED_IMAGE = "\0"
_IMAGE_PLACE = re.compile(rf" ?\( ?{_REMOVED_IMAGE} ?\)|{_REMOVED_IMAGE}")
_ONLY_LINK = re.compile(rf"\s{{0,9}}{LINK}[\s.]{{0,9}}", re.DOTALL)
_ADDRESS = re.compile(r"^https?://\S*/(?:API_)?([\w.-]+?)(?:\.html)?(?:#\S*)?$")
_PATTERN = re.compile(r" Pattern: `[^`]*`\.")
_SPEAKER = re.compile(r"^[QA]: ")

_MENU = re.compile(
    r"\W*(?:(?:related )?(?:topics|information|pages|resources|links)|in this section|see also"
    r"|learn more|more information|next steps)\W*",
    re.IGNORECASE,
)
"""The heading or lead-in of a list of other pages."""
_ASIDE = re.compile(r"(?:note|important|tip|warning|caution)s?", re.IGNORECASE)
"""Labels of the next paragraph, not headings."""
_LABEL_LEVEL = 9
"""Of a bold line used as a heading: below all headings, 1 to 6."""
_LEADS_ON = re.compile(r":$|\b(?:the following|as follows|below)\b", re.IGNORECASE)
"""A sentence that announces the list, table or code that follows it."""
_ANNOUNCES = re.compile(
    r":$|\bfollowing (?:\w+ )?(?:screenshot|image|diagram|figure|picture|video|table|example|code"
    r"|command|list|procedure|step|topic|section|page)s?\b",
    re.IGNORECASE,
)
"""A sentence that is not understood without what it announces."""
_POINTER = re.compile(
    r"\W{0,9}(?:(?i:for (?:more|additional|further|detailed)\b|to learn more\b|see also\b"
    r"|you can (?:also )?find (?:more|additional)\b)"
    r"|(?:(?i:for|to)\b.{0,160}?,? )?(?i:see|refer to|visit) (?:the )?[A-Z`\"“][^.;]{2,200}\.?$)",
    re.DOTALL,
)
_WHOLE_START = re.compile(r"[\"'(\[*_“]*(?:[A-Z0-9`]|[a-z]+(?:[._:-]\w|[A-Z]))")
_WHOLE_END = re.compile(r"[.!?:][\"')\]*_`”]*$")
_MAX_WHOLE_CODE = 500
"""Characters; longer code at the edge of a passage may be a part."""
_MAX_CUT_CHARACTERS = 300
"""Only a longer sentence may have been cut by the chunk's end."""


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
    is_omitted: bool = False
    """True if it is a part of its group that must not be quoted, such as one quoted elsewhere."""

    @property
    def is_row(self) -> bool:
        """True for a row of a table."""
        return self.lead.startswith("|")

    @property
    def with_lead(self) -> str:
        """The block and what leads into it."""
        return f"{self.lead}\n{self.text}" if self.lead else self.text


def extract_blocks(passages: Sequence[Passage]) -> list[QuotableBlock]:
    """The blocks of all passages, in order; of equal ones, all but the first are omitted."""
    found: list[QuotableBlock] = []
    known: set[str] = set()
    for at, passage in enumerate(passages):
        for block in _Extractor(at, passage).blocks():
            found.append(replace(block, is_omitted=True) if block.with_lead in known else block)
            known.add(block.with_lead)
    return found


def quotable_text(markdown: str) -> str:
    """Replace links by their text; remove images, HTML tags and line breaks, but not in code."""
    text = " ".join(_MARKUP.sub(_plain, " ".join(markdown.split())).split())
    return _SPEAKER.sub("", " ".join(_IMAGE_PLACE.sub("", text).split()))


def is_pointer(sentence: str) -> bool:
    """True if a sentence only refers to another page."""
    return bool(_POINTER.match(sentence))


def _plain(found: re.Match[str]) -> str:
    if found["span"]:
        return _LINK_IN_CODE.sub(r"\1", found["span"])
    if found["tag"]:
        return " "
    if found["operation"]:
        return f"`{found['operation']}`"
    words: str | None = found["words"]
    if words is None:
        return _REMOVED_IMAGE
    address = _ADDRESS.match(words)
    return f"`{address[1]}`" if address else words


@dataclass(slots=True)
class _Item:
    """An item of the open list, with the blocks in it."""

    block: SourceBlock
    markdown: str
    text: str


class _Extractor:
    """Reads a passage block by block; a list stays open until a block outside of it."""

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
        self._parts = list(blocks(passage.text))
        first = self._parts[0].kind if self._parts else ""
        self._begins_inside = passage.begins_inside
        self._ends_inside = passage.ends_inside
        self._is_cut_before = passage.begins_inside and first in ("item", "table_head")

    def blocks(self) -> Iterator[QuotableBlock]:
        """Yield the blocks in order."""
        for at, (block, following) in enumerate(zip_longest(self._parts, self._parts[1:])):
            markdown = self._source[block.span]
            if self._lead.startswith("|") and block.kind not in ("row", "table_rule"):
                self._begin_group()
            if self._extends_list(block, markdown, following):
                continue
            yield from self._close_list()
            if block.kind in ("heading", "label"):
                self._add_heading(block, markdown)
            elif block.kind == "text":
                yield from self._paragraph(block, quotable_text(markdown), following)
            elif block.kind == "table_head":
                self._begin_group(quotable_text(markdown))
            elif block.kind == "table_rule" and self._lead:
                self._lead += f"\n{markdown.strip()}"
            elif block.kind == "row" and self._lead.startswith("|"):
                yield from self._cut_before()
                yield self._block(quotable_text(markdown))
                if self._ends_inside and following is None:
                    yield self._block("", is_omitted=True)
            elif block.kind == "code":
                if not self._is_cut_code(at):
                    yield self._block(_dedented(markdown))
                self._begin_group()
        yield from self._close_list(is_last=True)

    def _is_cut_code(self, at: int) -> bool:
        """Whether code may be a piece of a longer one, which was split between chunks."""
        block = self._parts[at]
        beside = self._parts[max(0, at - 1) : at] + self._parts[at + 1 : at + 2]
        is_last = block is self._parts[-1]
        is_at_edge = (self._begins_inside and at == 0) or (self._ends_inside and is_last)
        is_long = block.end - block.start > _MAX_WHOLE_CODE
        is_in_pieces = any(each.kind == "code" for each in beside)
        return not block.is_closed or is_in_pieces or (is_at_edge and is_long)

    def _cut_before(self) -> Iterator[QuotableBlock]:
        """Yield a mark of omission if the passage begins in the middle of its list or table."""
        if self._is_cut_before:
            self._is_cut_before = False
            yield self._block("", is_omitted=True)

    def _begin_group(self, lead: str = "") -> None:
        self._group += 1
        self._lead = lead

    def _block(self, text: str, *, is_omitted: bool = False) -> QuotableBlock:
        return QuotableBlock(self._at, self._group, self._path, self._lead, text, is_omitted)

    def _add_heading(self, block: SourceBlock, markdown: str) -> None:
        self._begin_group()
        label = block.kind == "label"
        text = quotable_text(markdown.strip().removesuffix(":")[2:-2] if label else markdown)
        text = text.strip("[]: ")
        level = _LABEL_LEVEL if label else len(block.mark)
        if not _ASIDE.fullmatch(text):
            above = [each for each in self._headings if each[0] < level]
            self._headings = [*above, (level, text)]
            self._path = tuple(text for _, text in self._headings)

    def _paragraph(
        self, block: SourceBlock, text: str, following: SourceBlock | None
    ) -> Iterator[QuotableBlock]:
        """Yield a paragraph; an end that leads into what follows is quoted with that."""
        self._begin_group()
        split = sentences(text)
        is_lead = following is not None and following.kind in ("item", "code")
        if split and is_lead and _LEADS_ON.search(split[-1]):
            lead = _end_of(text)
            split = [] if lead == text else split[:-1]
        else:
            lead = ""
            split = split[: len(split) - bool(split and _ANNOUNCES.search(split[-1]))]
        is_cut = (block.start == 0 and not _WHOLE_START.match(text)) or (
            block.end == len(self._source)
            and len(text) > _MAX_CUT_CHARACTERS
            and not _WHOLE_END.search(text)
        )
        if split and not (is_cut or all(each.endswith("?") or is_pointer(each) for each in split)):
            yield self._block(" ".join(split))
        self._begin_group(lead)

    def _extends_list(
        self, block: SourceBlock, markdown: str, following: SourceBlock | None
    ) -> bool:
        """Add a block to the open list if it belongs to it; an item opens one."""
        if block.kind == "item":
            self._items.append(_Item(block, markdown, quotable_text(markdown)))
            return True
        if not self._items:
            return False
        last = self._items[-1]
        if block.kind == "code":
            is_between = following is not None and following.kind == "item"
            is_step = last.block.mark[0].isdigit() and is_between
            if block.is_closed and (markdown[:1].isspace() or is_step):
                last.text += f"\n{indent(_dedented(markdown), '   ')}"
                return True
            return False
        if block.indent or (block.kind == "text" and not block.after_blank):
            is_sentence = block.kind == "text" and "\n" not in last.text
            last.text += (" " if is_sentence else "\n   ") + quotable_text(markdown)
            return True
        return False

    def _close_list(self, *, is_last: bool = False) -> Iterator[QuotableBlock]:
        """Yield the items of the open list, unless it is a menu of other pages."""
        items, self._items = self._items, []
        if not items:
            return
        is_menu = all(_ONLY_LINK.fullmatch(item.markdown) for item in items) or any(
            _MENU.fullmatch(text) for text in (self._lead, *self._path[-1:])
        )
        if not is_menu:
            is_cut = self._is_cut_before
            yield from self._cut_before()
            nested: list[tuple[str, list[_Item]]] = []
            for text, within in _outline(items, is_numbered=not is_cut):
                whole = "\n".join([text, *_indented(within)])
                if not within or len(whole) <= MAX_ITEM_CHARACTERS:
                    yield self._block(whole)
                else:
                    yield self._block(text, is_omitted=text.endswith(":"))
                    nested.append((text, within))
            if is_last and self._ends_inside:
                yield self._block("", is_omitted=True)
            for text, within in nested:
                self._begin_group(_end_of(text.partition(" ")[2]))
                yield from (self._block("\n".join([each, *_indented(under)]))
                            for each, under in _outline(within))  # fmt: skip
        self._begin_group()


def _outline(
    items: Sequence[_Item], *, is_numbered: bool = True
) -> Iterator[tuple[str, list[_Item]]]:
    """The outermost items with their marks, each with the items nested in it.

    Markdown may number all items alike: they are counted, unless the first ones are missing.
    """
    top = min(item.block.indent for item in items)
    starts = [at for at, item in enumerate(items) if item.block.indent == top or not at]
    marks = [items[at].block.mark for at in starts]
    first = int(marks[0][:-1]) if marks[0][0].isdigit() else 0
    for number, (start, end) in enumerate(pairwise([*starts, len(items)]), start=first):
        item = items[start]
        mark = f"{number}." if is_numbered and item.block.mark[0].isdigit() else "-"
        yield f"{mark} {_without_pointers(item.text)}", list(items[start + 1 : end])


def _indented(items: Sequence[_Item]) -> Iterator[str]:
    """The lines of nested items."""
    for text, within in _outline(items) if items else ():
        yield indent(text, "   ")
        yield from (indent(line, "   ") for line in _indented(within))


def _end_of(text: str) -> str:
    """The text if it is short, else its last sentence."""
    return text if len(text) <= MAX_LEAD_CHARACTERS else sentences(text)[-1]


def _dedented(code: str) -> str:
    """Remove the indentation of code in a list."""
    return dedent(code.replace("\t", "    ")).strip()


def _without_pointers(item: str) -> str:
    """Remove an API field's pattern, and references to other pages at an item's end."""
    if "\n" in item:
        return item
    kept = sentences(_PATTERN.sub("", item))
    while len(kept) > 1 and is_pointer(kept[-1]):
        kept.pop()
    return " ".join(kept)
