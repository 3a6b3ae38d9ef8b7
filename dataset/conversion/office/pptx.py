"""Converts PowerPoint files: a heading per slide, its text, tables, charts and notes.

The parts are parsed here: python-pptx depends on image and spreadsheet writers (40 MB), and gives
neither the text of SmartArt nor which paragraphs are list items.
"""

import re
from collections.abc import Iterator
from itertools import groupby
from xml.etree.ElementTree import Element

from dataset.conversion.error_texts import NO_TEXT, unreadable
from dataset.conversion.metadata import office_document
from dataset.conversion.numerals import numeral
from dataset.conversion.office.charts import chart_data, drawn_lines
from dataset.conversion.office.formulas import formula_text
from dataset.conversion.office.namespaces import A14, DIAGRAM, MC, A, C, P, R
from dataset.conversion.result import Converted
from dataset.conversion.zip_container import ZipContainer
from dataset.markdown.writer import block_cell, escape, lowered, pipe_table, raised, web_link
from utils.errors import DocumentError

_TITLES = ("title", "ctrTitle")
_SURROUNDINGS = ("dt", "ftr", "sldNum", "hdr")
_BULLETS = {f"{A}pPr/{A}buNone": "", f"{A}pPr/{A}buChar": "-"}
_KINDS = (
    ("alphaLc", "lowerLetter"),
    ("alphaUc", "upperLetter"),
    ("romanLc", "lowerRoman"),
    ("romanUc", "upperRoman"),
)
"""Automatic numbers that are no digits, by the start of their type."""
_FILE_NAME = re.compile(r"\S+\.\w{3,4}|(?:picture|image|grafik|bild) \d+", re.IGNORECASE)


def read_pptx(content: bytes, _: str) -> Converted:
    """Convert a presentation."""
    container = ZipContainer(content, "pptx")
    container.check_xml()
    blocks: list[str] = []
    for number, name in enumerate(_slides(container), start=1):
        blocks += _Slide(container, name).blocks(number)
    if all(block.startswith("## Slide ") for block in blocks):
        raise DocumentError(NO_TEXT)
    return office_document(container, "\n\n".join(blocks) + "\n")


def _slides(container: ZipContainer) -> Iterator[str]:
    """Yield the names of the slides' parts in order, without hidden slides."""
    top = container.relationships("").values()
    main = next((one.target for one in top if one.kind == "officeDocument"), "")
    parts = container.relationships(main)
    for listed in container.xml(main).iter(f"{P}sldId"):
        slide = parts.get(listed.get(f"{R}id", ""))
        if slide is None or slide.external or slide.target not in container.names:
            raise DocumentError(unreadable("pptx"))
        yield slide.target


class _Slide:
    def __init__(self, container: ZipContainer, name: str) -> None:
        self._container = container
        self._xml = container.xml(name)
        self._parts = container.relationships(name)

    def blocks(self, number: int) -> list[str]:
        if self._xml.get("show") in ("0", "false"):
            return []
        shapes = list(_shapes(self._xml.find(f".//{P}spTree")))
        titles = [one for one in shapes if _placeholder(one) in _TITLES]
        title = " ".join(self._lines(titles[0])) if titles else ""
        level = "#" if titles and _placeholder(titles[0]) == "ctrTitle" else "##"
        blocks = [f"{level} {title}" if title else f"## Slide {number}"]
        for shape in sorted(shapes, key=_position):
            if shape not in titles[:1]:
                blocks += self._shape(shape)
        return blocks + self._notes()

    def _shape(self, shape: Element) -> list[str]:
        kind = _placeholder(shape)
        if kind in _SURROUNDINGS:
            return []
        if shape.tag == f"{P}graphicFrame":
            return self._graphic(shape)
        if shape.tag == f"{P}pic":
            about = shape.find(f".//{P}cNvPr")
            words = " ".join((about.get("descr") or "").split()) if about is not None else ""
            return [] if not words or _FILE_NAME.fullmatch(words) else [escape(words)]
        body = shape.find(f"{P}txBody")
        return [] if body is None else self._paragraphs(body, listed=kind in ("body", "obj", ""))

    def _paragraphs(self, body: Element, *, listed: bool) -> list[str]:
        """A text's paragraphs: lines, or the items of lists as deep as they are indented."""
        blocks: list[str] = []
        in_list = False
        counts: dict[int, int] = {}
        for paragraph in body.iter(f"{A}p"):
            if not (words := self._line(paragraph)):
                continue
            mark = _mark(paragraph, counts, listed=listed)
            item = f"{'  ' * _level(paragraph)}{mark} {words}".replace("\n", " ")
            if mark and in_list:
                blocks[-1] += f"\n{item}"
            else:
                blocks.append(item.lstrip() if mark else words)
            in_list = bool(mark)
        return blocks

    def _lines(self, shape: Element) -> list[str]:
        found = (self._line(one).replace("\n", " ") for one in shape.iter(f"{A}p"))
        return [line for line in found if line]

    def _line(self, paragraph: Element) -> str:
        text = ""
        # PowerPoint cuts runs anywhere, also within a link.
        for (offset, target), group in groupby(paragraph, self._shared):
            words = web_link("".join(map(self._words, group)), target)
            text += raised(text, words) if offset > 0 else lowered(text, words) if offset else words
        lines = (" ".join(line.split()) for line in text.replace("\v", "\n").split("\n"))
        return "\n".join(line for line in lines if line)

    def _shared(self, piece: Element) -> tuple[int, str]:
        """What the runs of one word have in common: their baseline and the target of a link."""
        link = piece.find(f"{A}rPr/{A}hlinkClick")
        target = None if link is None else self._parts.get(link.get(f"{R}id", ""))
        return _baseline(piece), target.target if target and target.external else ""

    def _words(self, piece: Element) -> str:
        if piece.tag == f"{A}br":
            return "\n"
        if piece.tag == f"{A14}m":
            return escape(f" {formula_text(piece)} ")
        if piece.tag not in (f"{A}r", f"{A}fld"):
            return ""
        return escape(piece.findtext(f"{A}t") or "")

    def _graphic(self, frame: Element) -> list[str]:
        if (table := frame.find(f".//{A}tbl")) is not None:
            rows = self._rows(table)
            return [pipe_table(rows)] if any(map(any, rows)) else []
        if (chart := frame.find(f".//{C}chart")) is not None:
            part = self._part(chart.get(f"{R}id", ""))
            title, data = ("", []) if part is None else chart_data(part)
            table_of_data = [pipe_table([list(map(escape, row)) for row in data])] if data else []
            return [escape(title), *table_of_data] if title else table_of_data
        if (diagram := frame.find(f".//{DIAGRAM}relIds")) is not None:
            part = self._part(diagram.get(f"{R}dm", ""))
            lines = [] if part is None else [f"- {escape(one)}" for one in drawn_lines(part)]
            return ["\n".join(lines)] if lines else []
        return []

    def _rows(self, table: Element) -> list[list[str]]:
        """The cells of a table; one that spans rows counts in each of them."""
        rows: list[list[str]] = [[]]
        for row in table.findall(f"{A}tr"):
            above = rows[-1]
            rows.append(
                [
                    above[at] if _is_on(cell, "vMerge") and at < len(above)
                    else "" if _is_on(cell, "hMerge")
                    else block_cell(self._lines(cell))
                    for at, cell in enumerate(row.findall(f"{A}tc"))
                ]
            )  # fmt: skip
        return rows[1:]

    def _part(self, identity: str) -> Element | None:
        named = self._parts.get(identity)
        if named is None or named.external or named.target not in self._container.names:
            return None
        return self._container.xml(named.target)

    def _notes(self) -> list[str]:
        for part in self._parts.values():
            if part.kind == "notesSlide" and part.target in self._container.names:
                notes = self._container.xml(part.target)
                shapes = [one for one in notes.iter(f"{P}sp") if _placeholder(one) == "body"]
                lines = [line for shape in shapes for line in self._lines(shape)]
                return [f"Notes: {lines[0]}", *lines[1:]] if lines else []
        return []


def _shapes(tree: Element | None) -> Iterator[Element]:
    """Yield a slide's visible shapes, also those in groups; of alternatives the first."""
    for shape in tree if tree is not None else ():
        about = shape.find(f"*/{P}cNvPr")
        if about is not None and _is_on(about, "hidden"):
            continue
        if shape.tag == f"{P}grpSp":
            yield from _shapes(shape)
        elif shape.tag == f"{MC}AlternateContent":
            yield from next(filter(None, (list(_shapes(one)) for one in shape)), [])
        elif shape.tag in (f"{P}sp", f"{P}pic", f"{P}graphicFrame"):
            yield shape


def _is_on(element: Element, name: str) -> bool:
    return element.get(name) in ("1", "true")


def _baseline(piece: Element) -> int:
    """1 for a superscript, -1 for a subscript, else 0."""
    about = piece.find(f"{A}rPr")
    offset = "" if about is None else about.get("baseline", "")
    return 0 if not offset.strip("-0%.") else -1 if offset.startswith("-") else 1


def _placeholder(shape: Element) -> str | None:
    """The type of the layout placeholder that a shape fills; None for a free shape."""
    found = shape.find(f".//{P}nvPr/{P}ph")
    return None if found is None else found.get("type", "")


def _position(shape: Element) -> tuple[int, int]:
    """A sort key from top to bottom; shapes positioned by the layout are first."""
    at = shape.find(f"{P}spPr/{A}xfrm/{A}off")
    if at is None:
        at = shape.find(f"{P}xfrm/{A}off")
    try:
        return (0, 0) if at is None else (int(at.get("y", "0")), int(at.get("x", "0")))
    except ValueError:
        return (0, 0)


def _mark(paragraph: Element, counts: dict[int, int], *, listed: bool) -> str:
    """The mark of a list item, "" for other paragraphs; `counts` are the numbers by level."""
    level = _level(paragraph)
    for deeper in [at for at in counts if at > level]:
        del counts[deeper]
    automatic = paragraph.find(f"{A}pPr/{A}buAutoNum")
    if automatic is None:
        counts.pop(level, None)
        stated = (mark for name, mark in _BULLETS.items() if paragraph.find(name) is not None)
        return next(stated, "-" if listed else "")
    start = automatic.get("startAt", "1")
    first = int(start) if start.isdecimal() and len(start) < 6 else 1
    counts[level] = counts.get(level, first - 1) + 1
    kind = next((kind for name, kind in _KINDS if automatic.get("type", "").startswith(name)), "")
    return f"- {numeral(counts[level], kind)})" if kind else f"{counts[level]}."


def _level(paragraph: Element) -> int:
    about = paragraph.find(f"{A}pPr")
    level = "0" if about is None else about.get("lvl", "0")
    return min(int(level), 8) if level.isascii() and level.isdigit() else 0
