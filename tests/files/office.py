"""Word, PowerPoint and Excel files, generated with the usual libraries."""
# The libraries that make the files ship no types.
# mypy: disable-error-code="import-untyped"

import io
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

CHANGED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def saved(document: Any) -> bytes:
    """The bytes of a document, presentation or workbook."""
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


def docx_of(*paragraphs: str) -> bytes:
    """A Word file of plain paragraphs."""
    from docx import Document

    document = Document()
    for paragraph in paragraphs:
        document.add_paragraph(paragraph)
    return saved(document)


def pptx_of(title: str, lines: Sequence[str]) -> bytes:
    """A presentation of one slide."""
    from pptx import Presentation

    presentation = Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[1])
    slide.shapes.title.text = title
    slide.placeholders[1].text = "\n".join(lines)
    return saved(presentation)


def xlsx_of(rows: Sequence[Sequence[Any]]) -> bytes:
    """An Excel file of one sheet."""
    from openpyxl import Workbook

    book = Workbook()
    for row in rows:
        book.active.append(list(row))
    return saved(book)
