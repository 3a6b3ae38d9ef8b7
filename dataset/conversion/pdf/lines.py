"""Composes the lines of a PDF page: words on one baseline, without a wide gap between them."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from dataset.conversion.pdf.drawing import Box
from dataset.conversion.pdf.words import SLANTED, Word

_GAP = 0.9
"""Of the font size: a wider gap separates columns and cells."""
_BESIDE = 0.5
"""Of the font size: a script is nearer to its base."""
_SPACE = 0.15
"""Of the font size: the least space between a script and its base; PDFium always states one."""
_SMALL = 0.87
_SMALLEST = 0.45
_SHIFT = 0.12
_SHIFT_AT_FULL_SIZE = 0.25
"""Of the font size: how far a script's baseline is from that of its base."""

_COUNTS = re.compile(r"\(?\w{1,4}[.)]")
"""A mark that may be so wide that its item touches it."""


@dataclass(slots=True)
class TextRun:
    """Consecutive characters in the same typeface."""

    text: str
    code: bool = False
    bold: bool = False
    link: str = ""
    script: int = 0
    """1 for a superscript, -1 for a subscript."""


@dataclass(slots=True)
class Line:
    """Characters on one baseline, without a wide gap between them."""

    runs: list[TextRun]
    box: Box
    size: float
    page: int
    aside: bool = False
    """True if it is no part of the text around it: a stamp up the margin, a footnote."""
    field: bool = False
    """True for the value of a form field."""

    @property
    def text(self) -> str:
        """Its text."""
        return "".join(run.text for run in self.runs)

    @property
    def code(self) -> bool:
        """True if all of it is in a monospaced font."""
        return all(run.code for run in self.runs if run.text.strip())

    @property
    def bold(self) -> bool:
        """True if all of it is bold."""
        return all(run.bold for run in self.runs if run.text.strip())


def is_level(one: Line, other: Line) -> bool:
    """True if two lines have about the same height on the page."""
    return abs(one.box.bottom - other.box.bottom) < one.size / 2


def level_rows(lines: Iterable[Line]) -> list[list[Line]]:
    """Lines by their height, from top to bottom, and each row from left to right."""
    rows: list[list[Line]] = []
    for line in sorted(lines, key=lambda line: -line.box.bottom):
        first = rows[-1][0] if rows else None
        if first and first.box.bottom - line.box.bottom <= min(first.size, line.size) / 2:
            rows[-1].append(line)
        else:
            rows.append([line])
    return [sorted(row, key=lambda line: line.box.left) for row in rows]


def join_addresses(lines: Sequence[Line]) -> None:
    """Join each line that ends within an address, shown as a link, with the next one."""
    above = lines[0]
    for line in lines[1:]:
        last, first = above.runs[-1], line.runs[0]
        shown = last.text.rstrip() + first.text.lstrip()
        if last.link == first.link and _is_address(shown.strip(), first.link):
            last.text = shown
            above.runs += line.runs[1:]
            line.runs = []
        else:
            above = line


def _is_address(text: str, link: str) -> bool:
    """True if a text shows the address that it links to, and not a word of it."""
    return text in link and ("://" in text or text.startswith("www."))


def lines_of(words: Iterable[Word], number: int, uprights: Sequence[Box]) -> Iterator[Line]:
    """Compose a page's words of one direction; vertical rules separate cells."""
    line: list[Word] = []
    for word in words:
        if line and _is_split(line, word, uprights):
            yield _line(line, number)
            line = []
        line.append(word)
    if line:
        yield _line(line, number)


def _is_split(line: Sequence[Word], word: Word, uprights: Sequence[Box]) -> bool:
    if word.typeface.turn == SLANTED:
        return word.broken
    last = line[-1]
    height = max(min(word.typeface.size, last.typeface.size), 1.0)
    middle = (word.box.bottom + word.box.top) / 2
    up = abs(middle - (last.box.bottom + last.box.top) / 2)
    ahead = word.box.left - last.box.right
    broken = word.broken and not _adjoins(last, word)
    apart = broken or up > height or ahead > _GAP * height or ahead < -height
    if apart and not any(_is_beside(one, word) for one in line[-2:]):
        return True
    return any(
        last.box.right - 1 <= rule.left <= word.box.left + 1 and rule.bottom <= middle <= rule.top
        for rule in uprights
    )


def _adjoins(last: Word, word: Word) -> bool:
    """True if no space is between two words on one baseline."""
    size = min(last.typeface.size, word.typeface.size)
    level = abs(word.baseline - last.baseline) < _SHIFT * size
    return level and abs(word.box.left - last.box.right) < _SPACE * size


def _is_beside(last: Word, word: Word) -> bool:
    """True if one of two words is a script of the other."""
    size = max(last.typeface.size, word.typeface.size)
    near = abs(word.box.left - last.box.right) < _BESIDE * size
    return near and bool(_script(last, word) or _script(word, last))


def _script(base: Word, word: Word) -> int:
    """1 if a word is raised beside a base, -1 if lowered, by its size and its baseline."""
    size = max(base.typeface.size, 1.0)
    scale, up = word.typeface.size / size, (word.baseline - base.baseline) / size
    least = _SHIFT if scale < _SMALL else _SHIFT_AT_FULL_SIZE
    slanted = word.typeface.turn == SLANTED
    if slanted or not _SMALLEST < scale <= 1 or not least < abs(up) < 1:
        return 0
    return 1 if up > 0 else -1


def _line(words: list[Word], number: int) -> Line:
    sizes = Counter[float]()
    for word in words:
        sizes[word.typeface.size] += len(word.text)
    size = sizes.most_common(1)[0][0]
    mark, scripts = _mark(words, size), _scripts(words, size)
    spaced = [word.spaced for word in words]
    links = [word.link for word in words]
    for at in range(1, len(words)):
        last, word = words[at - 1 : at + 1]
        if scripts[at] != scripts[at - 1]:
            gap = word.box.left - last.box.right
            spaced[at] = spaced[at] and gap > _SPACE * size
        elif word.broken and _adjoins(last, word):
            spaced[at] = False
        if scripts[at] < 0:  # it may reach into a link of the next line
            links[at] = links[at - 1]
    if mark:
        spaced[1] = True
    runs: list[TextRun] = []
    for alike, group in groupby(
        zip(words, links, scripts, spaced, strict=True),
        lambda one: (one[0].typeface.code, one[0].typeface.bold, one[1], one[2]),
    ):
        text = "".join(f" {word.text}" if space else word.text for word, _, _, space in group)
        if runs and text.startswith(" "):
            runs[-1].text += " "
        runs.append(TextRun(text.removeprefix(" "), *alike))
    shown = zip(words, scripts, strict=True)
    level = [word.box for word, script in shown if not script and word is not mark]
    box, across = Box.around(level), Box.around([word.box for word in words])
    return Line(runs, Box(across.left, box.bottom, across.right, box.top), size, number)


def _scripts(words: Sequence[Word], size: float) -> list[int]:
    """For each word of a line whether it is a superscript or a subscript."""
    base = next(word for word in words if word.typeface.size == size)
    mark = _mark(words, size)
    scripts: list[int] = []
    for word in words:
        script = _script(base, word) if word is not base else 0
        scripts.append(script)
        if not script and word is not mark:
            base = word
    return scripts


def _mark(words: Sequence[Word], size: float) -> Word | None:
    """The mark of a list that is larger than its item, and has its own baseline."""
    first = words[0]
    if first.typeface.size <= size or not _script(first, words[1]):
        return None
    apart = abs(words[1].box.left - first.box.right) > _SPACE * size
    up = abs(words[1].baseline - first.baseline)
    counts = up < _SHIFT_AT_FULL_SIZE * size and _COUNTS.fullmatch(first.text)
    return first if apart or counts else None
