"""Converts PowerPoint files: a heading per slide, its text, tables, charts and notes.

The parts are parsed here: python-pptx depends on image and spreadsheet writers (40 MB), and gives
neither the text of SmartArt nor which paragraphs are list items.
"""

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from dataset.conversion.error_texts import NO_TEXT, unreadable
from dataset.conversion.metadata import office_document
from dataset.conversion.result import Converted
from dataset.conversion.zip_container import ZipContainer
from dataset.markdown.writer import MAX_CELLS, block_cell, escape, pipe_table, web_link
from utils.errors import DocumentError

_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
_DIAGRAM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}"
_ALTERNATIVES = "{http://schemas.openxmlformats.org/markup-compatibility/2006}AlternateContent"
_TITLES = ("title", "ctrTitle")
_SURROUNDINGS = ("dt", "ftr", "sldNum", "hdr")
_BULLETS = {f"{_A}pPr/{_A}buNone": "", f"{_A}pPr/{_A}buAutoNum": "1.", f"{_A}pPr/{_A}buChar": "-"}
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
    for listed in container.xml(main).iter(f"{_P}sldId"):
        slide = parts.get(listed.get(f"{_R}id", ""))
        if slide is None or slide.external or slide.target not in container.names:
            raise DocumentError(unreadable("pptx"))
        yield slide.target


class _Slide:
    def __init__(self, container: ZipContainer, name: str) -> None:
        self._container = container
        self._xml = container.xml(name)
        self._parts = container.relationships(name)

    def blocks(self, number: int) -> list[str]:
        if self._xml.get("show") == "0":
            return []
        shapes = list(_shapes(self._xml.find(f".//{_P}spTree")))
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
        if shape.tag == f"{_P}graphicFrame":
            return self._graphic(shape)
        if shape.tag == f"{_P}pic":
            about = shape.find(f".//{_P}cNvPr")
            words = " ".join((about.get("descr") or "").split()) if about is not None else ""
            return [] if not words or _FILE_NAME.fullmatch(words) else [escape(words)]
        body = shape.find(f"{_P}txBody")
        return [] if body is None else self._paragraphs(body, listed=kind in ("body", "obj", ""))

    def _paragraphs(self, body: Element, *, listed: bool) -> list[str]:
        """A text's paragraphs: lines, or the items of lists as deep as they are indented."""
        blocks: list[str] = []
        in_list = False
        for paragraph in body.iter(f"{_A}p"):
            if not (words := self._line(paragraph)):
                continue
            mark = _bullet(paragraph, listed=listed)
            item = f"{'  ' * _level(paragraph)}{mark} {words}".replace("\n", " ")
            if mark and in_list:
                blocks[-1] += f"\n{item}"
            else:
                blocks.append(item.lstrip() if mark else words)
            in_list = bool(mark)
        return blocks

    def _lines(self, shape: Element) -> list[str]:
        found = (self._line(one).replace("\n", " ") for one in shape.iter(f"{_A}p"))
        return [line for line in found if line]

    def _line(self, paragraph: Element) -> str:
        parts: list[str] = []
        for piece in paragraph:
            if piece.tag == f"{_A}br":
                parts.append("\n")
            elif piece.tag in (f"{_A}r", f"{_A}fld"):
                words = escape(piece.findtext(f"{_A}t") or "")
                link = piece.find(f"{_A}rPr/{_A}hlinkClick")
                target = None if link is None else self._parts.get(link.get(f"{_R}id", ""))
                parts.append(web_link(words, target.target if target and target.external else ""))
        lines = (" ".join(line.split()) for line in "".join(parts).replace("\v", "\n").split("\n"))
        return "\n".join(line for line in lines if line)

    def _graphic(self, frame: Element) -> list[str]:
        if (table := frame.find(f".//{_A}tbl")) is not None:
            rows = [
                [block_cell(self._lines(cell)) for cell in row.findall(f"{_A}tc")]
                for row in table.findall(f"{_A}tr")
            ]
            return [pipe_table(rows)] if any(map(any, rows)) else []
        if (chart := frame.find(f".//{_C}chart")) is not None:
            part = self._part(chart.get(f"{_R}id", ""))
            return [] if part is None else _chart_table(part)
        if (diagram := frame.find(f".//{_DIAGRAM}relIds")) is not None:
            part = self._part(diagram.get(f"{_R}dm", ""))
            lines = [] if part is None else self._lines(part)
            return ["\n".join(f"- {line}" for line in lines)] if lines else []
        return []

    def _part(self, identity: str) -> Element | None:
        named = self._parts.get(identity)
        if named is None or named.external or named.target not in self._container.names:
            return None
        return self._container.xml(named.target)

    def _notes(self) -> list[str]:
        for part in self._parts.values():
            if part.kind == "notesSlide" and part.target in self._container.names:
                notes = self._container.xml(part.target)
                shapes = [one for one in notes.iter(f"{_P}sp") if _placeholder(one) == "body"]
                lines = [line for shape in shapes for line in self._lines(shape)]
                return [f"Notes: {lines[0]}", *lines[1:]] if lines else []
        return []


def _shapes(tree: Element | None) -> Iterator[Element]:
    """Yield a slide's shapes, also those in groups; of alternatives the first."""
    for shape in tree if tree is not None else ():
        if shape.tag == f"{_P}grpSp":
            yield from _shapes(shape)
        elif shape.tag == _ALTERNATIVES:
            yield from _shapes(shape[0] if len(shape) else None)
        elif shape.tag in (f"{_P}sp", f"{_P}pic", f"{_P}graphicFrame"):
            yield shape


def _placeholder(shape: Element) -> str | None:
    """The type of the layout placeholder that a shape fills; None for a free shape."""
    found = shape.find(f".//{_P}nvPr/{_P}ph")
    return None if found is None else found.get("type", "")


def _position(shape: Element) -> tuple[int, int]:
    """A sort key from top to bottom; shapes positioned by the layout are first."""
    at = shape.find(f"{_P}spPr/{_A}xfrm/{_A}off")
    if at is None:
        at = shape.find(f"{_P}xfrm/{_A}off")
    try:
        return (0, 0) if at is None else (int(at.get("y", "0")), int(at.get("x", "0")))
    except ValueError:
        return (0, 0)


def _bullet(paragraph: Element, *, listed: bool) -> str:
    stated = (mark for name, mark in _BULLETS.items() if paragraph.find(name) is not None)
    return next(stated, "-" if listed else "")


def _level(paragraph: Element) -> int:
    about = paragraph.find(f"{_A}pPr")
    level = "0" if about is None else about.get("lvl", "0")
    return min(int(level), 8) if level.isascii() and level.isdigit() else 0


def _chart_table(chart: Element) -> list[str]:
    """Convert a chart part to blocks: its title, and a table with a column per series."""
    title = chart.find(f"{_C}chart/{_C}title")
    words = "" if title is None else " ".join(one.text or "" for one in title.iter(f"{_A}t"))
    columns: list[dict[int, str]] = [{}]
    names = [""]
    for series in chart.iter(f"{_C}ser"):
        columns[0] |= _points(series.find(f"{_C}cat"), series.find(f"{_C}xVal"))
        columns.append(_points(series.find(f"{_C}val"), series.find(f"{_C}yVal")))
        name = series.find(f"{_C}tx")
        names.append(" ".join(one.text or "" for one in name.iter(f"{_C}v")) if name else "")
    places = sorted({at for column in columns for at in column})
    blocks = [escape(" ".join(words.split()))] if words.strip() else []
    if not places or len(places) * len(columns) > MAX_CELLS:
        return blocks
    rows = [[column.get(at, "") for column in columns] for at in places]
    return [*blocks, pipe_table([[escape(name) for name in names], *rows])]


def _points(*found: Element | None) -> dict[int, str]:
    points: dict[int, str] = {}
    for element in found:
        for point in element.iter(f"{_C}pt") if element is not None else ():
            at = point.get("idx", "")
            if at.isascii() and at.isdigit() and len(at) < 9:
                points[int(at)] = escape(" ".join((point.findtext(f"{_C}v") or "").split()))
    return points
