"""Converts a PDF's lines: headings by their font size, paragraphs by their spacing."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf

from dataset.conversion.pdf.hyphens import LineJoiner
from dataset.conversion.pdf.lines import Line, join_addresses
from dataset.conversion.pdf.tables.table import Table
from dataset.markdown import writer

_BULLET = re.compile(r"\s*[•◦▪▫‣●○■□➢➤✓✔\uf0b7\uf0a7\uf0d8\uf076\u2043\u2013\u2014·-]\s+(?=\S)")
_NUMBER = re.compile(r"\s*\(?(\d{1,3})[.)]\s+(?=\S)")
_ITEM = re.compile(r"(?:-|\d+\.) ")
_ENDS_SENTENCE = re.compile(r"[.!?:;\u3002\uff01\uff1f]['\")\]]?\s*$")
_MAX_LEADING = 2.6
_LARGER = 1.12
"""Minimum font size of a heading, by that of the text."""
_MAX_HEADING_CHARACTERS = 120
"""As of the reader, which cuts longer ones."""
_MAX_BOLD_HEADING_CHARACTERS = 90
_MAX_LEVELS = 5
_MAX_CODE_COLUMN = 120
_WIDTH_OF_CODE = 0.6
"""Width of a monospaced character, by its font size."""


@dataclass(frozen=True, slots=True)
class Measures:
    """Font sizes and spacing of the whole document."""

    body: float
    """Font size of the text."""
    leading: float
    """Distance between two lines of the text, by its font size."""
    sizes: tuple[float, ...]
    """Font sizes of the headings, largest first."""


def measures(pages: Sequence[Sequence[Line]]) -> Measures:
    """Measure the font sizes of text and headings, and the line spacing."""
    letters: Counter[float] = Counter()
    leadings: Counter[float] = Counter()
    for lines in pages:
        for line in lines:
            letters[line.size] += 0 if line.code else len(line.text)
        for one, other in pairwise(lines):
            down = one.box.bottom - other.box.bottom
            within = one.size == other.size and not _ENDS_SENTENCE.search(one.text)
            if within and 0 < down < _MAX_LEADING * one.size:
                leadings[round(down / one.size, 1)] += 1
    body = letters.most_common(1)[0][0] if letters else 10.0
    titles = (line for lines in pages for line in lines if _is_title(line.text))
    larger = {line.size for line in titles if line.size >= _LARGER * body}
    leading = leadings.most_common(1)[0][0] if leadings else 1.2
    return Measures(body, leading, tuple(sorted(larger, reverse=True)))


@dataclass(slots=True)
class _Block:
    """Consecutive lines of one heading, paragraph, item or code block."""

    kind: str
    mark: str = ""
    """Of an item or heading: `-`, `1.`, `##`."""
    lines: list[Line] = field(default_factory=list)
    right: float = -inf
    """Where its longest line ends."""

    def append(self, line: Line) -> None:
        self.lines.append(line)
        self.right = max(self.right, line.box.right)


def markdown_blocks(
    items: Iterable[Line | Table], measured: Measures, joiner: LineJoiner
) -> list[str]:
    """Convert lines and tables in reading order to blocks of markdown."""
    written: list[str] = []
    in_list: list[float] = []
    for block in _blocks(items, measured):
        if isinstance(block, Table):
            written.append(block.markdown)
        elif block.kind == "item":
            indent = _indent(block.lines[0].box.left, in_list)
            text = f"{'  ' * indent}{block.mark} {_paragraph(block, joiner)}"
            if indent or (written and _ITEM.match(written[-1])):
                written[-1] += f"\n{text}"
            else:
                written.append(text)
            continue
        elif text := _written(block, measured, joiner):
            written.append(text)
        in_list.clear()
    return written


def _blocks(items: Iterable[Line | Table], measured: Measures) -> list[_Block | Table]:
    """Group lines; what stands aside does not end the block before it."""
    blocks: list[_Block | Table] = []
    last: _Block | None = None
    aside: _Block | None = None
    for item in items:
        if isinstance(item, Table):
            blocks.append(item)
            last = None
            continue
        block = aside if item.aside else last
        if block is None or not _continues(block, item, measured):
            block = _begun(item, block, measured)
            blocks.append(block)
        block.append(item)
        if item.aside:
            aside = block
        else:
            last = block
    return blocks


def _begun(line: Line, last: _Block | None, measured: Measures) -> _Block:
    if line.aside or line.field:
        return _Block("paragraph")
    if line.code:
        return _Block("code")
    if line.size in measured.sizes and _is_title(line.text):
        level = min(measured.sizes.index(line.size) + 1, _MAX_LEVELS)
        return _Block("heading", "#" * level)
    if mark := _item_mark(line):
        return _Block("item", mark)
    if line.bold and len(line.text) < _MAX_BOLD_HEADING_CHARACTERS and _is_title(line.text):
        level = min(len(measured.sizes) + 1, _MAX_LEVELS + 1)
        if not line.text.rstrip().endswith((".", ",", ";")) and not _close(last, line, measured):
            return _Block("heading", "#" * level)
    return _Block("paragraph")


def _continues(block: _Block, line: Line, measured: Measures) -> bool:
    last = block.lines[-1]
    if line.field or last.field:
        return _is_right_of(last, line)
    if line.aside:
        alike = line.page == last.page and line.size == last.size
        return alike and not line.text.startswith("[^")
    if block.kind == "code":
        return line.code and line.page == last.page and _down(last, line) < 3 * last.size
    if line.code or abs(line.size - last.size) > 1:
        return False
    if block.kind == "heading":
        alike = line.size == last.size and line.bold == last.bold
        return alike and line.size in measured.sizes and _close(block, line, measured)
    if _item_mark(line) or (line.bold and not last.bold):
        return False
    if not _close(block, line, measured):
        # The sentence may continue in the next column or on the next page.
        moved = line.page != last.page or line.box.bottom > last.box.top
        return moved and not _ENDS_SENTENCE.search(last.text) and line.text.lstrip()[:1].islower()
    if block.kind == "item":
        return line.box.left > block.lines[0].box.left + 0.3 * line.size
    indented = line.box.left > last.box.left + 0.8 * line.size
    return not (indented and _ENDS_SENTENCE.search(last.text))


def _item_mark(line: Line) -> str:
    """The mark of the list item that a line begins; "" for any other line."""
    if _BULLET.match(line.text):
        return "-"
    number = _NUMBER.match(line.text)
    return f"{number[1]}." if number else ""


def _close(block: _Block | None, line: Line, measured: Measures) -> bool:
    """True if a line is where the paragraph's next one would be."""
    if block is None or block.lines[-1].page != line.page:
        return False
    last = block.lines[-1]
    if _is_right_of(last, line):
        ahead = line.box.left - last.box.right
        return ahead >= 0 and (line.box.right <= block.right + 1 or ahead < 3 * line.size)
    return 0 < _down(last, line) <= (measured.leading + 0.25) * max(line.size, last.size)


def _is_right_of(last: Line, line: Line) -> bool:
    middle = (line.box.bottom + line.box.top) / 2
    level = last.box.bottom < middle < last.box.top
    return line.page == last.page and level and line.box.left > last.box.left


def _down(last: Line, line: Line) -> float:
    return last.box.bottom - line.box.bottom


def _is_title(text: str) -> bool:
    return 1 < len(text.strip()) < _MAX_HEADING_CHARACTERS and any(one.isalpha() for one in text)


def _indent(left: float, in_list: list[float]) -> int:
    """The nesting level of a list item, by the position of its mark."""
    while in_list and left < in_list[-1] - 3:
        in_list.pop()
    if not in_list or left > in_list[-1] + 6:
        in_list.append(left)
    return len(in_list) - 1


def _written(block: _Block, measured: Measures, joiner: LineJoiner) -> str:
    if block.kind == "code":
        return _code(block.lines, measured)
    if len(" ".join(line.text for line in block.lines)) > _MAX_HEADING_CHARACTERS:
        block.kind = "paragraph"
    text = _paragraph(block, joiner)
    heading = block.kind == "heading" and text
    return f"{block.mark} {' '.join(text.split())}" if heading else text


def _paragraph(block: _Block, joiner: LineJoiner) -> str:
    text = ""
    join_addresses(block.lines)
    for at, line in enumerate(block.lines):
        words = _words(line)
        if at == 0 and block.kind == "item":
            words = (_BULLET if block.mark == "-" else _NUMBER).sub("", words, count=1)
        text = joiner.join(text, words.strip())
    return writer.escape_line_starts(text) if block.kind == "paragraph" else text


def _words(line: Line) -> str:
    parts: list[str] = []
    for run in line.runs:
        if run.code and any(one.isalnum() for one in run.text):
            before, inside, after = writer.split_edges(run.text)
            parts.append(f"{before}{writer.web_link(writer.code(inside), run.link)}{after}")
        else:
            parts.append(writer.web_link(writer.escape(run.text), run.link))
    return "".join(parts)


def _code(lines: Sequence[Line], measured: Measures) -> str:
    left = min(line.box.left for line in lines)
    written: list[str] = []
    last: Line | None = None
    for line in lines:
        column = round((line.box.left - left) / (_WIDTH_OF_CODE * line.size))
        indent = min(max(column, 0), _MAX_CODE_COLUMN)
        if last is not None and _down(last, line) < line.size / 2:
            written[-1] = f"{written[-1]} ".ljust(indent) + line.text.strip()
        else:
            if last is not None and _down(last, line) > 1.6 * measured.leading * line.size:
                written.append("")
            written.append(" " * indent + line.text.strip())
        last = line
    return writer.fenced_code("\n".join(written).strip("\n"))
