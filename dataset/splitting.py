"""Splits a document into chunks that fit the embedding model's input.

A chunk never crosses a heading. Within a section, blocks are packed into a chunk while they fit.
Code and tables stay whole if they fit; otherwise code is cut between lines, a table between rows
(its head is repeated), a list between items and prose between sentences.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from dataset.chunks import Chunk
from dataset.documents import Document
from dataset.markdown.reader import Block, Section, plain_text, sections
from dataset.markdown.syntax import find_fenced_code
from dataset.sentences import chunking_sentences

CHUNKER_VERSION = 3
"""Increment it with every change that alters chunks, so that existing indexes are rebuilt."""

CountTokens = Callable[[str], int]

_LIST_ITEM = re.compile(r"\n(?=(?:[+*-]|\d+[.)])\s)")
_FIELDS = re.compile(r"[+*-] \*\*[\w.]+\*\* \(")
"""An item of a list of API fields: `- **Name** (type, ...): ...`. Fields are unrelated to each
other, so chunks of them are half as long: a chunk of five fields ranked low for each of them."""
_SPACE = re.compile(r"[ \t\n]")
_CLAUSE_END = re.compile(r"(?<=[\u3001\u3002\uff0c\uff1b\uff1a\uff01\uff1f])")
_WORD = r"[^\W\u0e00-\u0fff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]"
"""A character of a script that separates its words by spaces."""
_BETWEEN_WORDS = re.compile(rf"(?<!{_WORD})|(?!{_WORD})")
_ENDS_WIDE = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]\Z")
_HEAD_ROWS = 2
"""A table's header and the rule below it."""


@dataclass(frozen=True, slots=True)
class ChunkSize:
    """The length of chunks, in tokens of the embedding model."""

    tokens: int
    """Maximum of breadcrumb and text together, without special tokens."""
    overlap: int
    """Maximum that a chunk repeats from the end of the previous chunk of its section."""


@dataclass(frozen=True, slots=True)
class _Unit:
    """A piece of text that fits a chunk."""

    text: str
    tokens: int
    glue: str
    """Separator from the previous unit."""
    repeatable: bool
    """True if the next chunk may repeat it as overlap."""


def split_document(document: Document, size: ChunkSize, count_tokens: CountTokens) -> list[Chunk]:
    """Split one document; [] for a page without text or with only a list of links."""
    # Read the sections, without navigation
    found = sections(document.text)
    first_headings = (section.headings[0] for section in found if section.headings)
    title = document.title or next(first_headings, PurePosixPath(document.name).stem)
    title = _shortened(title, size.tokens // 3, count_tokens)

    # Cut each section's blocks into units that fit, and pack the units into texts
    texts: list[tuple[Section, tuple[str, ...], str]] = []
    for section in found:
        headings = _fitting_headings(title, section, size, count_tokens)
        budget = size.tokens - count_tokens(_breadcrumb(title, headings))
        if any(_FIELDS.match(block.text) for block in section.blocks):
            budget //= 2
        cutter = _Cutter(budget, count_tokens)
        unread = [name for name in section.headings[-1:] if name not in (title, *headings)]
        blocks = [*(Block("text", name) for name in unread), *section.blocks]
        units = (unit for block in blocks for unit in cutter.units(block))
        texts += [(section, headings, text) for text in cutter.pack(units, size.overlap)]

    # Make each text a chunk that knows its place in the document
    return [
        Chunk(
            id=f"{document.name}#{document.content_hash[:16]}-{ordinal}",
            document=document.name,
            document_hash=document.content_hash,
            title=title,
            headings=headings,
            anchor=section.anchor,
            url=document.url + (f"#{section.anchor}" if document.url and section.anchor else ""),
            ordinal=ordinal,
            siblings=len(texts),
            text=text,
            format=document.format,
            changed=document.changed,
        )
        for ordinal, (section, headings, text) in enumerate(texts)
    ]


def _shortened(text: str, tokens: int, count_tokens: CountTokens) -> str:
    """The text, truncated if it is longer than the given number of tokens."""
    if count_tokens(text) <= tokens:
        return text
    kept = text
    while len(kept) > 1 and count_tokens(kept) >= tokens:
        kept = kept[: len(kept) * 3 // 4]
    return kept.strip() + "…"


def _breadcrumb(title: str, headings: tuple[str, ...]) -> str:
    return " > ".join((title, *headings))


def _fitting_headings(
    title: str, section: Section, size: ChunkSize, count_tokens: CountTokens
) -> tuple[str, ...]:
    """The headings below the title, without outer ones that would take half of the chunk."""
    headings = section.headings
    if headings and headings[0] == title:
        headings = headings[1:]
    while headings and count_tokens(_breadcrumb(title, headings)) > size.tokens // 2:
        headings = headings[1:]
    return headings


@dataclass(frozen=True, slots=True)
class _Cutter:
    """Cuts blocks into units that fit a chunk, and packs units into texts."""

    budget: int
    """Tokens for the text of a chunk."""
    count_tokens: CountTokens

    def units(self, block: Block) -> Iterator[_Unit]:
        """Cut a block at the boundaries of its kind."""
        if block.kind == "list":
            glue = "\n\n"
            for item in _LIST_ITEM.split(block.text):
                yield from self._text_units(item, glue)
                glue = "\n"
        elif block.kind == "text":
            yield from self._text_units(block.text, "\n\n")
        elif (tokens := self._tokens(block.text)) <= self.budget:
            yield _Unit(block.text, tokens, "\n\n", repeatable=False)
        elif block.kind == "code":
            yield from self._code_units(block.text)
        else:
            yield from self._table_units(block.text)

    def pack(self, units: Iterable[_Unit], overlap: int) -> Iterator[str]:
        """Join consecutive units into texts that fit the budget."""
        packed: list[_Unit] = []
        used = 0
        for unit in units:
            if packed and used + unit.tokens > self.budget:
                yield from self._joined(packed)
                packed = _repeated(packed, min(overlap, self.budget - unit.tokens))
                used = sum(each.tokens for each in packed)
            packed.append(unit)
            used += unit.tokens
        if packed:
            yield from self._joined(packed)

    def _tokens(self, text: str) -> int:
        return self.count_tokens(plain_text(text))

    def _text_units(self, text: str, glue: str) -> Iterator[_Unit]:
        """Cut at lines (code in a list stays whole), else sentences, else words, until it fits."""
        tokens = self._tokens(text)
        if tokens <= self.budget:
            yield _Unit(text, tokens, glue, repeatable=True)
            return
        for part, is_code in _lines_and_code(text):
            tokens = self._tokens(part)
            if tokens <= self.budget:
                yield _Unit(part, tokens, glue, repeatable=not is_code)
            elif is_code:
                yield from self._code_units(part.strip())
            else:
                yield from self._sentence_units(part, glue)
            glue = "\n"

    def _sentence_units(self, line: str, glue: str) -> Iterator[_Unit]:
        inside = False
        for sentence in chunking_sentences(line):
            for piece, tokens in self._words(sentence, self.budget, inside=inside):
                yield _Unit(piece, tokens, glue, repeatable=True)
                # Scripts without spaces between their words have none between sentences.
                glue, inside = "" if _ENDS_WIDE.search(piece) else " ", True

    def _code_units(self, text: str) -> Iterator[_Unit]:
        """Cut a code block between lines; each part gets its own fences."""
        opening, *lines, closing = text.split("\n")
        for part, tokens in self._grouped(lines, self.budget):
            yield _Unit("\n".join((opening, *part, closing)), tokens, "\n\n", repeatable=False)

    def _table_units(self, text: str) -> Iterator[_Unit]:
        """Cut a table between rows; each part gets the table's head."""
        lines = text.split("\n")
        head, rows = lines[:_HEAD_ROWS], lines[_HEAD_ROWS:]
        head_tokens = self._tokens("\n".join(head))
        if head_tokens > self.budget // 2:
            head, head_tokens, rows = [], 0, lines
        for part, tokens in self._grouped(rows, self.budget - head_tokens):
            yield _Unit("\n".join((*head, *part)), head_tokens + tokens, "\n\n", repeatable=False)

    def _grouped(self, lines: list[str], budget: int) -> Iterator[tuple[list[str], int]]:
        """Group lines that fit together, with their tokens; a longer line is cut between words."""
        group: list[str] = []
        used = 0
        for line in lines:
            for piece, tokens in self._words(line, budget):
                if group and used + tokens > budget:
                    yield group, used
                    group, used = [], 0
                group.append(piece)
                used += tokens
        if group:
            yield group, used

    def _words(self, text: str, budget: int, *, inside: bool = False) -> Iterator[tuple[str, int]]:
        """Halve the text between words (or within a word) until each part fits; with its tokens.

        For a part from `inside` a line, a leading dash counts as text, not as a list mark.
        """
        tokens = self.count_tokens(plain_text(f".{text}")[1:] if inside else plain_text(text))
        if tokens <= budget or len(text) <= 1:
            yield text, tokens
            return
        at = _boundary(text)
        yield from self._words(text[:at], budget, inside=inside)
        yield from self._words(text[at:].lstrip() or text[at:], budget, inside=True)

    def _joined(self, units: list[_Unit]) -> Iterator[str]:
        """Join units into one text, or several if joining created markup that makes it too long."""
        text = units[0].text + "".join(unit.glue + unit.text for unit in units[1:])
        if self._tokens(text) <= self.budget:
            yield text
        elif len(units) > 1:
            middle = len(units) // 2
            yield from self._joined(units[:middle])
            yield from self._joined(units[middle:])
        else:
            yield from (piece for piece, _ in self._words(text, self.budget))


def _boundary(text: str) -> int:
    """The last place before the middle of a text, or else in it, that is not within a word."""
    middle = len(text) // 2
    for between in (_SPACE, _CLAUSE_END, _BETWEEN_WORDS):
        # One character more, so that the end of the range does not look like the end of a word.
        found = [place.start() for place in between.finditer(text, 1, middle + 2)]
        before = next((at for at in reversed(found) if at <= middle), 0)
        if text[:before].strip():
            return before
    later = _BETWEEN_WORDS.search(text, middle)
    return later.start() if later and later.start() < len(text) else middle


def _lines_and_code(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the text's lines; those of a code block fenced with backticks together, as True."""
    at = 0
    for code in find_fenced_code(text):
        if code.is_closed:
            yield from ((line, False) for line in text[at : code.start].split("\n")[:-1])
            yield text[code.start : code.end].removesuffix("\n"), True
            at = code.end
    if not at or text[at - 1] == "\n":
        yield from ((line, False) for line in text[at:].split("\n"))


def _repeated(packed: list[_Unit], tokens: int) -> list[_Unit]:
    """The last units of a chunk, which the next chunk repeats."""
    kept: list[_Unit] = []
    for unit in reversed(packed):
        tokens -= unit.tokens
        if tokens < 0 or not unit.repeatable:
            break
        kept.insert(0, unit)
    return kept
