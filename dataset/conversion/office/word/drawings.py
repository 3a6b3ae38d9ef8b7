"""Finds what the drawings in a Word file contain beside pictures."""

from collections.abc import Callable, Iterator
from xml.etree.ElementTree import Element

from dataset.conversion.office.charts import chart_data, drawn_lines
from dataset.conversion.office.namespaces import DIAGRAM, MC, C, M, R, V, W
from dataset.conversion.office.word.elements import word_element, word_paragraph

GetPart = Callable[[str], Element | None]
"""Returns a part by the id of the relationship that refers to it."""

BOX = f"{W}txbxContent"
_WORD_ART, _CHART, _DIAGRAM = f"{V}textpath", f"{C}chart", f"{DIAGRAM}relIds"
_PARTS = (BOX, _WORD_ART, _CHART, _DIAGRAM)


def alternative_of(element: Element) -> Element:
    """Of alternatives, the first if its text can be read here, else what replaces it."""
    choice, fallback = element.find(f"{MC}Choice"), element.find(f"{MC}Fallback")
    if choice is None or (fallback is not None and not any(True for _ in _readable(choice))):
        return fallback if fallback is not None else Element(element.tag)
    return choice


def _readable(element: Element) -> Iterator[Element]:
    return (one for one in element.iter() if one.tag in (f"{W}t", f"{M}t", *_PARTS))


def drawn_parts(element: Element) -> Iterator[Element]:
    """Yield the text boxes, charts, WordArt and SmartArt of a drawing."""
    for child in alternative_of(element) if element.tag == f"{MC}AlternateContent" else element:
        if child.tag in _PARTS:
            yield child
        else:
            yield from drawn_parts(child)


def drawn_text(drawn: Element, part: GetPart) -> Iterator[Element]:
    """Yield paragraphs and tables with the words of a chart, of WordArt or of SmartArt."""
    if drawn.tag == _WORD_ART:
        yield word_paragraph(drawn.get("string", ""))
    elif drawn.tag == _DIAGRAM:
        diagram = part(drawn.get(f"{R}dm", ""))
        yield from map(word_paragraph, () if diagram is None else drawn_lines(diagram))
    elif (chart := part(drawn.get(f"{R}id", ""))) is not None:
        title, rows = chart_data(chart)
        if title:
            yield word_paragraph(title)
        if rows:
            yield word_element(f"{W}tbl", *map(_row_of, rows))


def _row_of(cells: list[str]) -> Element:
    filled = (word_element(f"{W}tc", word_paragraph(cell)) for cell in cells)
    return word_element(f"{W}tr", *filled)
