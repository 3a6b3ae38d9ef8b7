"""Extracts what can be quoted from a passage: whole sentences, list items, rows and code."""

import re
from dataclasses import dataclass, field

from dataset.markdown.syntax import IMAGE, LINK, SourceBlock, blocks
from dataset.sentences import sentences

MAX_ITEM_CHARACTERS = 350
"""Of a list item quoted whole; a longer one is quoted by the sentence."""
MAX_LIST_CHARACTERS = 550
MAX_ITEMS = 8

_MENU = re.compile(r"topics|see also|related|learn more|more information|next steps", re.IGNORECASE)

_IMAGE = re.compile(IMAGE, re.DOTALL)
_LINK = re.compile(LINK, re.DOTALL)
_ADDRESS = re.compile(r"^https?://\S*/(?:API_)?([\w.-]+?)(?:\.html)?(?:#\S*)?$")
_TAG = re.compile(r"</?(?:a|br|p|div|span|b|i|em|strong|sup|sub)\b[^<>]*>", re.IGNORECASE)
_PATTERN = re.compile(r" Pattern: `[^`]*`\.")
_SPEAKER = re.compile(r"^[QA]: ")
_EMPTY = re.compile(r"\s*\(\s*\)")

_WHOLE_START = re.compile(r"^[\"'(\[*_“]*(?:[A-Z0-9`]|[a-z]+(?:[._:-]\w|[A-Z]))")
_WHOLE_END = re.compile(r"[.!?][\"')\]*_`”]*$")
_POINTER = re.compile(
    r"^(?:\*\*)?(?:(?:for|to)\b.{0,160}?\b(?:see|refer to|visit|go to|consult|read)\b"
    r"|(?:also |please )?(?:see|refer to|visit)\b|to learn more\b"
    r"|you can (?:also )?find (?:more|the)|for (?:more|additional|further|detailed)\b)",
    re.IGNORECASE,
)
_REFERS_TO_PAGE = re.compile(
    r"\?$|\bthe following\b|\b(?:shown|listed|described) below\b"
    r"|\bas follows\b|\b(?:this|the next|these) (?:section|topic|guide|page|table|example)s?\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Quote:
    """A sentence, list item or short list that can stand alone."""

    text: str
    heading: str
    """The nearest heading or label above it."""
    block: int
    """Number of its block in the passage; sentences of one block belong together."""
    place: int
    """Its position in the block."""
    pointer: bool = False
    """True if it only refers to another page or to what follows."""
    item: bool = False
    """True if it is a whole list item."""

    @property
    def is_list(self) -> bool:
        """True for a whole list."""
        return "\n" in self.text


@dataclass(slots=True)
class QuotableList:
    """A list with its lead-in sentence."""

    ordered: bool
    block: int
    intro: str = ""
    items: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Quotable:
    """Everything quotable in a passage, in order."""

    quotes: list[Quote] = field(default_factory=list)
    lists: list[QuotableList] = field(default_factory=list)
    rows: list[tuple[str, str]] = field(default_factory=list)
    """Of tables: the first cell of each row, and its other cells."""
    code: list[str] = field(default_factory=list)


def quotable(text: str) -> Quotable:
    """Extract what can be quoted from a passage's markdown."""
    reader = _Reader(text)
    for block in blocks(text):
        reader.add(block)
    reader.close_list()
    return reader.result


def plain_sentence(text: str) -> str:
    """Replace links by their text; remove images, HTML tags and line breaks."""
    text = _LINK.sub(_link_text, _IMAGE.sub("", text))
    return _SPEAKER.sub("", " ".join(_EMPTY.sub("", _TAG.sub(" ", text)).split()))


def is_whole(sentence: str) -> bool:
    """False for a fragment, a sentence cut at a chunk's edge, or a lead-in without its list."""
    return bool(
        _WHOLE_START.match(sentence)
        and _WHOLE_END.search(sentence)
        and len(sentence.split()) >= 4
        and sentence.count("`") % 2 == 0
    )


def _link_text(link: re.Match[str]) -> str:
    address = _ADDRESS.match(link["words"])
    return f"`{address[1]}`" if address else link["words"]


class _Reader:
    """Collects quotes block by block; a list stays open until another block ends it."""

    def __init__(self, text: str) -> None:
        self.result = Quotable()
        self._text = text
        self._heading = ""
        self._block = 0
        self._items: list[tuple[SourceBlock, str]] = []
        self._lead = ""

    def add(self, block: SourceBlock) -> None:
        """Process the next block."""
        text = self._text[block.span]
        if block.kind == "code":
            # Code without its closing fence was cut in half with the chunk.
            if block.is_closed:
                self.result.code.append(_without_indent(text))
        elif block.kind == "item":
            self._items.append((block, text))
        elif block.kind == "text" and self._items and (block.indent or not block.after_blank):
            opened, above = self._items[-1]
            self._items[-1] = opened, f"{above} {text}"
        else:
            self.close_list()
            if block.kind in ("heading", "label"):
                bold = text.strip().removesuffix(":")[2:-2]
                self._heading = plain_sentence(bold if block.kind == "label" else text)
                self._lead = ""
            elif block.kind == "text":
                self._add_paragraph(text)
            elif block.kind in ("table_head", "row"):
                self._add_row(text)

    def _add_row(self, line: str) -> None:
        cells = [plain_sentence(cell) for cell in line.strip().strip("|").split("|")]
        words = [cell for cell in cells[1:] if cell]
        if words and line.strip("|-: \t\r\n"):
            self.result.rows.append((cells[0].strip("`* "), "; ".join(words)))

    def _add_paragraph(self, text: str) -> None:
        split = sentences(plain_sentence(text))
        self._add(split)
        self._block += 1
        self._lead = split[-1] if split and split[-1].endswith(":") else ""

    def close_list(self) -> None:
        """Add the list that is open, if there is one."""
        items, self._items = self._items, []
        if items and not (_MENU.search(self._heading) or _MENU.search(self._lead)):
            texts = [_without_pointers(plain_sentence(text)) for _, text in items]
            top = min(block.indent for block, _ in items)
            listing = QuotableList(
                ordered=items[0][0].mark[0].isdigit(),
                block=self._block,
                intro=self._lead,
                items=[
                    text
                    for text, (block, _) in zip(texts, items, strict=True)
                    if block.indent == top
                ],
            )
            self.result.lists.append(listing)
            self._add_whole(listing)
            for item, text in enumerate(texts):
                short = len(text) <= MAX_ITEM_CHARACTERS
                self._add([text] if short else sentences(text), item * 10, item=short)
        self._block += bool(items)
        self._lead = ""

    def _add_whole(self, listing: QuotableList) -> None:
        """Add a short list with its lead-in as one quote."""
        lines = [listing.intro, "", *(f"- {item}" for item in listing.items)]
        text = "\n".join(lines)
        whole = _WHOLE_START.match(listing.intro) and all(
            item and not item.endswith(":") for item in listing.items
        )
        if whole and len(text) <= MAX_LIST_CHARACTERS and 2 <= len(listing.items) <= MAX_ITEMS:
            self.result.quotes.append(Quote(text, self._heading, self._block, -1))

    def _add(self, split: list[str], first: int = 0, *, item: bool = False) -> None:
        for place, sentence in enumerate(split, start=first):
            if is_whole(sentence):
                pointer = bool(_POINTER.search(sentence) or _REFERS_TO_PAGE.search(sentence))
                quote = Quote(sentence, self._heading, self._block, place, pointer, item)
                self.result.quotes.append(quote)


def _without_indent(code: str) -> str:
    """Remove the closing fence's indentation from every line of fenced code."""
    opening, *lines = code.splitlines()
    indent = len(lines[-1]) - len(lines[-1].lstrip())
    return "\n".join((opening.strip(), *(line[indent:] for line in lines)))


def _without_pointers(item: str) -> str:
    """Remove an API field's pattern, and references to other pages at an item's end."""
    kept = sentences(_PATTERN.sub("", item))
    while len(kept) > 1 and _POINTER.search(kept[-1]):
        kept.pop()
    return " ".join(kept)
