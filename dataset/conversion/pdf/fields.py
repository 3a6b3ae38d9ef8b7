"""Reads the values of a PDF's form fields, and places them beside their labels."""

import ctypes
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from dataset.conversion.pdf.drawing import Box
from dataset.conversion.pdf.lines import Line, TextRun

_FREE_TEXT, _WIDGET = 3, 20
_HIDDEN = 1 << 1 | 1 << 5
_CHECKBOX, _RADIO, _COMBO, _LIST, _TEXT = 2, 3, 4, 5, 6
_PASSWORD = 1 << 13
_FAR = 25
"""Maximum font sizes between a field and the label to its left."""
_NEAR = 2
"""Maximum font sizes between a box and the label to its right."""
_DEFAULT_SIZE = 10.0


@dataclass(frozen=True, slots=True)
class FilledField:
    """A form field with a value, or a text that was added to the page."""

    name: str
    value: str
    box: Box
    checks: bool = False
    """True for a box, checked or not, and a button of a group."""


def fields_of(pdfium: Any, document: Any, page: Any) -> Iterator[FilledField]:
    """Yield a page's fields; a box that is not checked too, but no empty text."""
    for at in range(pdfium.FPDFPage_GetAnnotCount(page.raw)):
        with _annotation(pdfium, page, at) as note:
            if not note or pdfium.FPDFAnnot_GetFlags(note) & _HIDDEN:
                continue
            kind, area = pdfium.FPDFAnnot_GetSubtype(note), pdfium.FS_RECTF()
            pdfium.FPDFAnnot_GetRect(note, area)
            box = Box(area.left, area.bottom, area.right, area.top)
            if kind == _FREE_TEXT:
                text = _text(pdfium.FPDFAnnot_GetStringValue, note, b"Contents")
                found = FilledField("", text, box)
            elif kind == _WIDGET and document.formenv:
                found = _field(pdfium, document.formenv.raw, note, box)
            else:
                continue
            if found.value:
                yield found


@contextmanager
def _annotation(pdfium: Any, page: Any, at: int) -> Iterator[Any]:
    note = pdfium.FPDFPage_GetAnnot(page.raw, at)
    try:
        yield note
    finally:
        if note:
            pdfium.FPDFPage_CloseAnnot(note)


def _field(pdfium: Any, forms: Any, note: Any, box: Box) -> FilledField:
    kind = pdfium.FPDFAnnot_GetFormFieldType(forms, note)
    label = _text(pdfium.FPDFAnnot_GetFormFieldAlternateName, forms, note)
    name = label or _text(pdfium.FPDFAnnot_GetFormFieldName, forms, note)
    if kind in (_CHECKBOX, _RADIO):
        checked = pdfium.FPDFAnnot_IsChecked(forms, note)
        return FilledField(name, "[x]" if checked else "[ ]", box, checks=True)
    value = ""
    if kind in (_COMBO, _LIST):
        value = ", ".join(_selected(pdfium, forms, note))
    secret = kind == _TEXT and pdfium.FPDFAnnot_GetFormFieldFlags(forms, note) & _PASSWORD
    if kind in (_COMBO, _LIST, _TEXT) and not secret:
        value = value or _text(pdfium.FPDFAnnot_GetFormFieldValue, forms, note)
    return FilledField(name, value, box)


def _selected(pdfium: Any, forms: Any, note: Any) -> Iterator[str]:
    """The shown texts of the options that are selected."""
    for at in range(pdfium.FPDFAnnot_GetOptionCount(forms, note)):
        if pdfium.FPDFAnnot_IsOptionSelected(forms, note, at):
            yield _text(
                lambda *last: pdfium.FPDFAnnot_GetOptionLabel(forms, note, at, *last)  # noqa: B023
            )


def _text(read: Callable[..., int], *about: Any) -> str:
    """A text of PDFium, which is asked for its length first."""
    length = read(*about, None, 0)
    buffer = (ctypes.c_ushort * (length // 2 + 1))()
    read(*about, buffer, length)
    text = bytes(buffer).decode("utf-16-le", "replace")
    return " ".join(text.replace("\0", "").split())


def with_fields(lines: list[Line], fields: Iterable[FilledField], page: int) -> list[Line]:
    """A page's lines, with each field beside its label, or else by its name below what is above."""
    placed = list(lines)
    for field in fields:
        left, right = _neighbours(placed, field.box)
        follows = left or _last_above(placed, field.box)
        size = follows.size if follows else _DEFAULT_SIZE
        labelled = left is not None and not left.field
        if right and field.checks and right.box.left - field.box.right < _NEAR * right.size:
            place, labelled = _place(placed, right), True
        else:
            place = _place(placed, follows) + 1 if follows else 0
        text = field.value if labelled or not field.name else f"{field.name}: {field.value}"
        placed.insert(place, Line([TextRun(text)], field.box, size, page, field=True))
    return placed


def _last_above(lines: Iterable[Line], box: Box) -> Line | None:
    """The last of the lowest lines above a field."""
    above = [line for line in lines if line.box.bottom > box.bottom and not line.aside]
    lowest = min((line.box.bottom for line in above), default=0.0)
    level = [line for line in above if line.box.bottom < lowest + line.size / 2]
    return level[-1] if level else None


def _neighbours(lines: Iterable[Line], box: Box) -> tuple[Line | None, Line | None]:
    """The nearest line to the left of a field, and to its right."""
    level = [
        line
        for line in lines
        if not line.aside and box.bottom <= (line.box.bottom + line.box.top) / 2 <= box.top
    ]
    left = [line for line in level if -line.size < box.left - line.box.right < _FAR * line.size]
    right = [line for line in level if line.box.left - box.right > -line.size]
    return (
        max(left, key=lambda line: line.box.right, default=None),
        min(right, key=lambda line: line.box.left, default=None),
    )


def _place(lines: list[Line], wanted: Line) -> int:
    return next(at for at, line in enumerate(lines) if line is wanted)
