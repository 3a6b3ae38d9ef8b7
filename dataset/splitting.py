"""Splits a document into chunks that the embedding model reads whole.

A chunk never crosses a heading. Within a section, blocks are packed as long as they fit: code and
tables stay whole where they can, a list parts between its items, a table between its rows (its
head repeated), prose between sentences.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from dataset.chunks import Chunk
from dataset.documents import Document
from dataset.markdown import Block, Section, plain_text, sections

CHUNKER_VERSION = 1
"""Raise it with every change that gives other chunks: indexes built before are then rebuilt."""

CountTokens = Callable[[str], int]

_SENTENCE_END = re.compile(r"(?<=[.!?:])\s+(?=[A-Z0-9\"'(\[`*])")
_LIST_ITEM = re.compile(r"\n(?=(?:[+*-]|\d+[.)])\s)")
_HEAD_ROWS = 2
"""A markdown table's header and the rule under it."""


@dataclass(frozen=True, slots=True)
class ChunkSize:
    """How long a chunk may be, in tokens of the embedding model."""

    tokens: int
    """Breadcrumb and text together, without the model's own special tokens."""
    overlap: int
    """What a chunk repeats of the end of the one before, when a section had to be cut."""


@dataclass(frozen=True, slots=True)
class _Unit:
    """A piece of text that is not cut further."""

    text: str
    tokens: int
    glue: str
    """What stands between it and the unit before."""
    repeatable: bool
    """Whether the next chunk may repeat it as overlap."""


def split(document: Document, size: ChunkSize, count_tokens: CountTokens) -> list[Chunk]:
    """Split one document; [] for a page that only lists links or holds no text."""
    found = sections(document.text)
    title = document.title or _title(document, found)
    texts: list[tuple[Section, tuple[str, ...], str]] = []
    for section in found:
        headings = _fitting_headings(title, section, size, count_tokens)
        budget = size.tokens - count_tokens(_breadcrumb(title, headings))
        units = [unit for block in section.blocks for unit in _units(block, budget, count_tokens)]
        texts += [(section, headings, text) for text in _pack(units, budget, size.overlap)]
    return [
        Chunk(
            id=f"{document.name}#{document.content_hash[:16]}-{ordinal}",
            document=document.name,
            document_hash=document.content_hash,
            title=title,
            headings=headings,
            anchor=section.anchor,
            url=_url(document.url, section.anchor),
            ordinal=ordinal,
            siblings=len(texts),
            text=text,
        )
        for ordinal, (section, headings, text) in enumerate(texts)
    ]


def _title(document: Document, found: list[Section]) -> str:
    """The first heading; for a page without one, its file's name."""
    headings = (section.headings[0] for section in found if section.headings)
    return next(headings, PurePosixPath(document.name).stem)


def _url(url: str, anchor: str) -> str:
    return f"{url}#{anchor}" if url and anchor else url


def _breadcrumb(title: str, headings: tuple[str, ...]) -> str:
    return " > ".join((title, *headings))


def _fitting_headings(
    title: str, section: Section, size: ChunkSize, count_tokens: CountTokens
) -> tuple[str, ...]:
    """The headings below the title; the outer ones go where they would crowd out the text."""
    headings = section.headings
    if headings and headings[0] == title:
        headings = headings[1:]
    while headings and count_tokens(_breadcrumb(title, headings)) > size.tokens // 2:
        headings = headings[1:]
    return headings


def _units(block: Block, budget: int, count_tokens: CountTokens) -> Iterator[_Unit]:
    """Cut a block into pieces that each fit a chunk, along the seams of its kind."""
    tokens = count_tokens(_embedded(block.text))
    if tokens <= budget and block.kind in ("code", "table"):
        yield _Unit(block.text, tokens, "\n\n", repeatable=False)
    elif block.kind == "code":
        yield from _code_units(block.text, budget, count_tokens)
    elif block.kind == "table":
        yield from _table_units(block.text, budget, count_tokens)
    elif block.kind == "list":
        glue = "\n\n"
        for item in _LIST_ITEM.split(block.text):
            yield from _text_units(item, budget, count_tokens, glue)
            glue = "\n"
    else:
        yield from _text_units(block.text, budget, count_tokens, "\n\n")


def _text_units(text: str, budget: int, count_tokens: CountTokens, glue: str) -> Iterator[_Unit]:
    """Whole if it fits, else by sentences, else by words."""
    tokens = count_tokens(_embedded(text))
    if tokens <= budget:
        yield _Unit(text, tokens, glue, repeatable=True)
        return
    for sentence in _SENTENCE_END.split(text):
        for piece in _words(sentence, budget, count_tokens):
            yield _Unit(piece, count_tokens(_embedded(piece)), glue, repeatable=True)
            glue = " "


def _code_units(text: str, budget: int, count_tokens: CountTokens) -> Iterator[_Unit]:
    """Parts of a code block between its lines, each fenced again."""
    opening, *lines, closing = text.split("\n")
    fence = count_tokens(opening) + count_tokens(closing)
    for part in _grouped(lines, budget - fence, count_tokens):
        fenced = "\n".join((opening, *part, closing))
        yield _Unit(fenced, count_tokens(fenced), "\n\n", repeatable=False)


def _table_units(text: str, budget: int, count_tokens: CountTokens) -> Iterator[_Unit]:
    """Parts of a table between its rows, each under the table's head."""
    lines = text.split("\n")
    head, rows = lines[:_HEAD_ROWS], lines[_HEAD_ROWS:]
    head_tokens = count_tokens(_embedded("\n".join(head)))
    if head_tokens > budget // 2:
        head, head_tokens, rows = [], 0, lines
    for part in _grouped(rows, budget - head_tokens, count_tokens):
        rows_under_head = "\n".join((*head, *part))
        tokens = count_tokens(_embedded(rows_under_head))
        yield _Unit(rows_under_head, tokens, "\n\n", repeatable=False)


def _grouped(lines: list[str], budget: int, count_tokens: CountTokens) -> Iterator[list[str]]:
    """Lines in groups that fit; a line that does not fit alone is cut between words."""
    group: list[str] = []
    used = 0
    for line in lines:
        for piece in _words(line, budget, count_tokens):
            tokens = count_tokens(_embedded(piece))
            if group and used + tokens > budget:
                yield group
                group, used = [], 0
            group.append(piece)
            used += tokens
    if group:
        yield group


def _words(text: str, budget: int, count_tokens: CountTokens) -> Iterator[str]:
    """The text, halved between words (or characters, in a single word) until each part fits."""
    if len(text) < 2 or count_tokens(_embedded(text)) <= budget:
        yield text
        return
    middle = len(text) // 2
    space = text.rfind(" ", 0, middle)
    at = space if text[:space].strip() and space > 0 else middle
    yield from _words(text[:at], budget, count_tokens)
    yield from _words(text[at:].lstrip() or text[at:], budget, count_tokens)


def _pack(units: list[_Unit], budget: int, overlap: int) -> Iterator[str]:
    """Join units in order into texts that fit the budget."""
    packed: list[_Unit] = []
    used = 0
    for unit in units:
        if packed and used + unit.tokens > budget:
            yield _join(packed)
            packed = _repeated(packed, min(overlap, budget - unit.tokens))
            used = sum(each.tokens for each in packed)
        packed.append(unit)
        used += unit.tokens
    if packed:
        yield _join(packed)


def _repeated(packed: list[_Unit], tokens: int) -> list[_Unit]:
    """The last units of a chunk that the next one repeats."""
    kept: list[_Unit] = []
    for unit in reversed(packed):
        tokens -= unit.tokens
        if tokens < 0 or not unit.repeatable:
            break
        kept.insert(0, unit)
    return kept


def _join(units: list[_Unit]) -> str:
    return units[0].text + "".join(unit.glue + unit.text for unit in units[1:])


def _embedded(text: str) -> str:
    """The text as Chunk.text_to_embed will show it to the model."""
    return plain_text(text)
