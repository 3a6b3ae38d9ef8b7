"""Converts charts to tables of their numbers."""

from xml.etree.ElementTree import Element

from dataset.markdown.writer import MAX_CELLS, escape, pipe_table

_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"


def chart_table(chart: Element) -> list[str]:
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
