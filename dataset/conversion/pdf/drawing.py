"""Reads what a PDF page draws beside its text: ruled lines, images, and the areas of links."""

import ctypes
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

_TEXT, _PATH, _IMAGE, _FORM = 1, 2, 3, 5
_FILLED_AND_STROKED = 2
_MAX_DEPTH = 40
"""Of nested form objects, as PDFium reads them."""
_LINE_TO, _MOVE_TO = 0, 2
_MAX_RULES = 20_000
_MAX_ADDRESS_CHARACTERS = 2000
THIN = 3.0
"""Points: a thinner rectangle is a rule, or the edge of a cell."""

_Point = tuple[float, float]
_Matrices = tuple[Any, ...]
"""The matrices of the enclosing form objects, innermost first."""


class Box(NamedTuple):
    """A rectangle on a page, in points from its lower left corner."""

    left: float
    bottom: float
    right: float
    top: float

    def has(self, x: float, y: float) -> bool:
        """True if a point is inside."""
        return self.left <= x <= self.right and self.bottom <= y <= self.top

    @classmethod
    def around(cls, boxes: Sequence["Box"]) -> "Box":
        """The smallest box that contains all of some boxes."""
        left, bottom, right, top = zip(*boxes, strict=True)
        return cls(min(left), min(bottom), max(right), max(top))

    def turned(self, page: "Box", quarters: int) -> "Box":
        """The box on a page turned clockwise by quarters, measured from the new lower left."""
        left, right = self.left - page.left, self.right - page.left
        bottom, top = self.bottom - page.bottom, self.top - page.bottom
        width, height = page.right - page.left, page.top - page.bottom
        if quarters == 1:
            return Box(bottom, width - right, top, width - left)
        if quarters == 2:
            return Box(width - right, height - top, width - left, height - bottom)
        if quarters == 3:
            return Box(height - top, left, height - bottom, right)
        return Box(left, bottom, right, top)


def links_of(pdfium: Any, document: Any, page: Any) -> Iterator[tuple[Box, str]]:
    """Yield the areas of a page that link to a web address."""
    at, link, area = ctypes.c_int(), pdfium.FPDF_LINK(), pdfium.FS_RECTF()
    while pdfium.FPDFLink_Enumerate(page.raw, at, link):
        action = pdfium.FPDFLink_GetAction(link)
        length = pdfium.FPDFAction_GetURIPath(document.raw, action, None, 0) if action else 0
        if 0 < length < _MAX_ADDRESS_CHARACTERS and pdfium.FPDFLink_GetAnnotRect(link, area):
            address = ctypes.create_string_buffer(length)
            pdfium.FPDFAction_GetURIPath(document.raw, action, address, length)
            url = address.value.decode(errors="replace")
            if url.startswith(("http://", "https://")):
                yield Box(area.left, area.bottom, area.right, area.top), url


def widen_unknown_glyphs(pdfium: Any, page: Any) -> None:
    """Give a page's single glyphs of absent fonts an outline: PDFium skips text without width."""
    area = [ctypes.c_float() for _ in range(4)]
    for drawn, _ in _objects(pdfium, page, _TEXT):
        pdfium.FPDFPageObj_GetBounds(drawn, *area)
        left, _, right, _ = (edge.value for edge in area)
        font = pdfium.FPDFTextObj_GetFont(drawn)
        if left == right and font and not pdfium.FPDFFont_GetIsEmbedded(font):
            pdfium.FPDFTextObj_SetTextRenderMode(drawn, _FILLED_AND_STROKED)
            pdfium.FPDFPageObj_Transform(drawn, 1, 0, 0, 1, 0, 0)  # measures it again


def has_image(pdfium: Any, page: Any) -> bool:
    """True if a page contains an image, also within a form object."""
    return any(_objects(pdfium, page, _IMAGE))


def rules_of(pdfium: Any, page: Any) -> Iterator[Box]:
    """The straight lines and edges that a page draws, up to a maximum."""
    paths = _objects(pdfium, page, _PATH)
    rules = (rule for path, place in paths for rule in _edges(pdfium, path, place))
    return islice(rules, _MAX_RULES)


def _objects(pdfium: Any, page: Any, kind: int) -> Iterator[tuple[Any, _Matrices]]:
    """Yield what a page draws of a kind, also within form objects, and where it is placed."""
    places = range(pdfium.FPDFPage_CountObjects(page.raw))
    for drawn in (pdfium.FPDFPage_GetObject(page.raw, at) for at in places):
        yield from _within(pdfium, drawn, kind, ())


def _within(
    pdfium: Any, drawn: Any, kind: int, outer: _Matrices
) -> Iterator[tuple[Any, _Matrices]]:
    found = pdfium.FPDFPageObj_GetType(drawn)
    if found == kind:
        yield drawn, outer
    elif found == _FORM and len(outer) <= _MAX_DEPTH:
        matrix = pdfium.FS_MATRIX()
        pdfium.FPDFPageObj_GetMatrix(drawn, matrix)
        for at in range(pdfium.FPDFFormObj_CountObjects(drawn)):
            one = pdfium.FPDFFormObj_GetObject(drawn, at)
            yield from _within(pdfium, one, kind, (matrix, *outer))


def _edges(pdfium: Any, path: Any, outer: _Matrices) -> Iterator[Box]:
    matrix = pdfium.FS_MATRIX()
    if not pdfium.FPDFPageObj_GetMatrix(path, matrix):
        return
    x, y = ctypes.c_float(), ctypes.c_float()
    last: _Point | None = None
    start: _Point | None = None
    for at in range(min(pdfium.FPDFPath_CountSegments(path), _MAX_RULES)):
        segment = pdfium.FPDFPath_GetPathSegment(path, at)
        kind = pdfium.FPDFPathSegment_GetType(segment)
        if not pdfium.FPDFPathSegment_GetPoint(segment, x, y):
            continue
        point = (x.value, y.value)
        for one in (matrix, *outer):
            point = _moved(point, one)
        if kind == _MOVE_TO:
            start = point
        elif kind == _LINE_TO and last:
            yield from _rule(last, point)
        if pdfium.FPDFPathSegment_GetClose(segment) and start:
            yield from _rule(point, start)
        last = point


def _moved(point: _Point, matrix: Any) -> _Point:
    x, y = point
    return matrix.a * x + matrix.c * y + matrix.e, matrix.b * x + matrix.d * y + matrix.f


def _rule(one: _Point, other: _Point) -> Iterator[Box]:
    left, right = sorted((one[0], other[0]))
    bottom, top = sorted((one[1], other[1]))
    if min(right - left, top - bottom) < THIN < max(right - left, top - bottom):
        yield Box(left, bottom, right, top)
