"""Reads the data of charts and the text of SmartArt, in documents and on slides."""

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from dataset.conversion.office.namespaces import MC, A, C
from dataset.markdown.writer import MAX_CELLS


def chart_data(chart: Element) -> tuple[str, list[list[str]]]:
    """A chart's title, and its rows: the categories, and a column per series under its name."""
    title = chart.find(f"{C}chart/{C}title")
    words = "" if title is None else " ".join(one.text or "" for one in title.iter(f"{A}t"))
    columns: list[dict[int, str]] = [{}]
    names = [""]
    for series in chart.iter(f"{C}ser"):
        columns[0] |= _points(series.find(f"{C}cat"), series.find(f"{C}xVal"))
        columns.append(_points(series.find(f"{C}val"), series.find(f"{C}yVal")))
        name = series.find(f"{C}tx")
        shown = () if name is None else (one.text or "" for one in name.iter(f"{C}v"))
        names.append(" ".join(shown))
    places = sorted({at for column in columns for at in column})
    if not places or len(places) * len(columns) > MAX_CELLS:
        return " ".join(words.split()), []
    rows = [[column.get(at, "") for column in columns] for at in places]
    return " ".join(words.split()), [names, *rows]


def drawn_lines(drawing: Element) -> Iterator[str]:
    """Yield the paragraphs of SmartArt or of shapes; of alternatives the first."""
    for alternatives in list(drawing.iter(f"{MC}AlternateContent")):
        del alternatives[1:]
    for paragraph in drawing.iter(f"{A}p"):
        words = "".join(one.text or "" for one in paragraph.iter(f"{A}t"))
        if words.strip():
            yield " ".join(words.split())


def _points(*found: Element | None) -> dict[int, str]:
    """The values by their positions; a category of several levels names the outer ones first."""
    points: dict[int, str] = {}
    for element in found:
        if element is None:
            continue
        levels = list(element.iter(f"{C}lvl"))
        points |= _level(element if not levels else levels[0])
        for outer in map(_level, levels[1:]):
            for at in points:
                label = max((start for start in outer if start <= at), default=None)
                points[at] = points[at] if label is None else f"{outer[label]} {points[at]}"
    return points


def _level(element: Element) -> dict[int, str]:
    points: dict[int, str] = {}
    for point in element.iter(f"{C}pt"):
        at = point.get("idx", "")
        if at.isascii() and at.isdigit() and len(at) < 9:
            points[int(at)] = " ".join((point.findtext(f"{C}v") or "").split())
    return points
