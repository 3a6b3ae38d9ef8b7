"""What of a passage's markdown can be quoted: whole sentences, list items and short code."""

import re
from dataclasses import dataclass, field

from dataset.sentences import sentences

MAX_ITEM_CHARACTERS = 350
"""Characters; a longer list item is quoted by the sentence."""
MAX_LIST_CHARACTERS = 550
MAX_ITEMS = 8

_FENCE = re.compile(r"^\s*(`{3,}|~{3,})")
_HEADING = re.compile(r"^\s*#{1,6}\s+(.*)")
_LABEL = re.compile(r"^\s*\*\*([^*]+)\*\*:?\s*$")
_ITEM = re.compile(r"^(\s*)([+*-]|\d+[.)])\s+(.*)")
_MENU = re.compile(r"topics|see also|related|learn more|more information|next steps", re.IGNORECASE)

_IMAGE = re.compile(r"!\[(?:[^\[\]]|\[[^\]]*\])*\]\([^)]*\)")
_LINK = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])+)\]\([^()\s]*(?:\([^)]*\)[^()\s]*)*\)")
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
_SHOWS = re.compile(
    r"\?$|\bthe following\b|\b(?:shown|listed|described) below\b"
    r"|\bas follows\b|\b(?:this|the next|these) (?:section|topic|guide|page|table|example)s?\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Quote:
    """Words of a passage that can stand alone."""

    text: str
    heading: str
    """The heading or label above it."""
    block: int
    """Which block of the passage it is from: sentences of one block belong together."""
    place: int
    """Its place in the block."""
    pointer: bool = False
    """It only says where to read or what follows."""
    item: bool = False
    """It is a list's item, whole."""


@dataclass(slots=True)
class QuotableList:
    """A list with the sentence that leads to it."""

    ordered: bool
    heading: str
    block: int
    intro: str = ""
    items: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class QuotableRow:
    """A table's row: what it is about, and what it says."""

    name: str
    text: str


@dataclass(slots=True)
class Quotable:
    """All that one passage offers, in its order."""

    quotes: list[Quote] = field(default_factory=list)
    lists: list[QuotableList] = field(default_factory=list)
    rows: list[QuotableRow] = field(default_factory=list)
    code: list[str] = field(default_factory=list)


def quotable(text: str) -> Quotable:
    """Take a passage apart."""
    reader = _Reader()
    for line in text.splitlines():
        reader.read(line)
    return reader.finish()


def plain_sentence(text: str) -> str:
    """Leave of markdown what a sentence needs: links become their text, images go."""
    text = _LINK.sub(_link_text, _IMAGE.sub("", text))
    return _SPEAKER.sub("", " ".join(_EMPTY.sub("", _TAG.sub(" ", text)).split()))


def is_whole(sentence: str) -> bool:
    """Tell a sentence from a fragment, a chunk's cut edge or a lead-in without its list."""
    return bool(
        _WHOLE_START.match(sentence)
        and _WHOLE_END.search(sentence)
        and len(sentence.split()) >= 4
        and sentence.count("`") % 2 == 0
    )


def _link_text(link: re.Match[str]) -> str:
    address = _ADDRESS.match(link[1])
    return f"`{address[1]}`" if address else link[1]


class _Reader:
    """Reads a passage line by line; what is open is a paragraph, a list or a code block."""

    def __init__(self) -> None:
        self._result = Quotable()
        self._heading = ""
        self._block = 0
        self._paragraph: list[str] = []
        self._items: list[tuple[int, list[str]]] = []
        self._ordered = False
        self._after_blank = False
        self._fence = ""
        self._code: list[str] = []
        self._lead = ""

    def read(self, line: str) -> None:
        if self._fence:
            self._read_code(line)
        elif fence := _FENCE.match(line):
            self._fence, self._code = fence[1], [line.strip()]
            self._close_paragraph()
        elif not line.strip():
            self._close_paragraph()
            self._after_blank = True
        elif line.lstrip().startswith("|"):
            self._close()
            self._read_row(line)
        elif heading := _HEADING.match(line) or _LABEL.match(line):
            self._close()
            self._heading, self._lead = plain_sentence(heading[1]), ""
        else:
            self._read_text(line)
            self._after_blank = False

    def finish(self) -> Quotable:
        # A code block that is still open was cut in half with the chunk: it is dropped.
        self._close()
        return self._result

    def _read_code(self, line: str) -> None:
        self._code.append(line)
        if line.strip().startswith(self._fence):
            indent = len(line) - len(line.lstrip())
            block = [self._code[0], *(each[indent:] for each in self._code[1:])]
            self._result.code.append("\n".join(block))
            self._fence = ""

    def _read_row(self, line: str) -> None:
        cells = [plain_sentence(cell) for cell in line.strip().strip("|").split("|")]
        words = [cell for cell in cells[1:] if cell]
        if len(cells) >= 2 and words and not set(line) <= set("|-: \t"):
            self._result.rows.append(QuotableRow(cells[0].strip("`* "), "; ".join(words)))

    def _read_text(self, line: str) -> None:
        if item := _ITEM.match(line):
            self._close_paragraph()
            self._ordered = self._ordered if self._items else item[2][0].isdigit()
            self._items.append((len(item[1]), [item[3]]))
        elif self._items and (line[0].isspace() or not self._after_blank):
            self._items[-1][1].append(line)
        else:
            self._close_items()
            self._paragraph.append(line)

    def _close(self) -> None:
        self._close_paragraph()
        self._close_items()

    def _close_paragraph(self) -> None:
        if not self._paragraph:
            return
        text, self._paragraph = plain_sentence(" ".join(self._paragraph)), []
        split = sentences(text)
        self._add(split)
        self._block += 1
        self._lead = split[-1] if split and split[-1].endswith(":") else ""

    def _close_items(self) -> None:
        items, self._items = self._items, []
        if items and not (_MENU.search(self._heading) or _MENU.search(self._lead)):
            texts = [_without_pointers(plain_sentence(" ".join(lines))) for _, lines in items]
            top = min(indent for indent, _ in items)
            listing = QuotableList(
                ordered=self._ordered,
                heading=self._heading,
                block=self._block,
                intro=self._lead,
                items=[
                    text for text, (indent, _) in zip(texts, items, strict=True) if indent == top
                ],
            )
            self._result.lists.append(listing)
            self._add_whole(listing)
            for item, text in enumerate(texts):
                short = len(text) <= MAX_ITEM_CHARACTERS
                self._add([text] if short else sentences(text), item * 10, item=short)
        self._block += bool(items)
        self._lead = ""

    def _add_whole(self, listing: QuotableList) -> None:
        """Offer a short list with its lead-in as one quote."""
        lines = [listing.intro, "", *(f"- {item}" for item in listing.items)]
        text = "\n".join(lines)
        whole = _WHOLE_START.match(listing.intro) and all(
            item and not item.endswith(":") for item in listing.items
        )
        if whole and len(text) <= MAX_LIST_CHARACTERS and 2 <= len(listing.items) <= MAX_ITEMS:
            self._result.quotes.append(Quote(text, self._heading, self._block, -1))

    def _add(self, split: list[str], first: int = 0, *, item: bool = False) -> None:
        for place, sentence in enumerate(split, start=first):
            if is_whole(sentence):
                pointer = bool(_POINTER.search(sentence) or _SHOWS.search(sentence))
                quote = Quote(sentence, self._heading, self._block, place, pointer, item)
                self._result.quotes.append(quote)


def _without_pointers(item: str) -> str:
    """Take from an item what only says where to read on, and the pattern of an API's field."""
    kept = sentences(_PATTERN.sub("", item))
    while len(kept) > 1 and _POINTER.search(kept[-1]):
        kept.pop()
    return " ".join(kept)
