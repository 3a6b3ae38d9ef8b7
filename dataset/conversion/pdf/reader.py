"""Converts PDF files."""

from collections.abc import Sequence
from typing import Any

from dataset.conversion.error_texts import NO_TEXT, PROTECTED, unreadable
from dataset.conversion.metadata import document_title
from dataset.conversion.pdf.drawing import Box
from dataset.conversion.pdf.hyphens import LineJoiner
from dataset.conversion.pdf.layout import markdown_blocks, measures
from dataset.conversion.pdf.lines import Line, TextRun
from dataset.conversion.pdf.reading_order import in_reading_order
from dataset.conversion.pdf.running import is_page_number, without_running_lines
from dataset.conversion.pdf.sheets import Sheet, read_sheet
from dataset.conversion.pdf.tables.page import add_page
from dataset.conversion.pdf.tables.table import Table
from dataset.conversion.result import Converted
from dataset.dates import pdf_date
from utils.errors import DocumentError

MAX_PAGES = 5000
_MAX_BYTES_BEFORE_HEADER = 1024
_NEEDS_PASSWORD = 4
_SCANNED = " (a scanned PDF? run OCR first)"


def read_pdf(content: bytes, _: str) -> Converted:
    """Convert a PDF, also one that is only protected against changes."""
    if b"%PDF-" not in content[:_MAX_BYTES_BEFORE_HEADER]:
        raise DocumentError(unreadable("pdf"))
    document = _opened(content)
    if len(document) > MAX_PAGES:
        raise DocumentError(
            f"has {len(document):,} pages, over the limit of {MAX_PAGES:,}; split it"
        )
    # Read the lines of each page.
    sheets = [read_sheet(document, number) for number in range(len(document))]
    unread = sum(sheet.is_unread for sheet in sheets)
    if len(sheets) / 2 < unread < len(sheets):
        raise DocumentError(f"{NO_TEXT} on {unread} of {len(sheets)} pages{_SCANNED}")
    # Drop headers, footers and page numbers, and order what remains.
    kept = zip(sheets, without_running_lines(sheets), strict=True)
    pages = [in_reading_order(sheet, lines) for sheet, lines in kept]
    if not any(pages):
        raise DocumentError(NO_TEXT + _SCANNED)
    # Find the tables, and the headings by the font sizes of the whole document.
    measured = measures(pages)
    joiner = LineJoiner(line.text for lines in pages for line in lines)
    items: list[Line | Table] = []
    for sheet, lines in zip(sheets, pages, strict=True):
        add_page(items, sheet, lines, joiner)
        items += _unread_page(sheet, lines)
    text = "\n\n".join(markdown_blocks(items, measured, joiner)) + "\n"
    # Read title and date from the properties.
    about: dict[str, str] = document.get_metadata_dict()
    dates = (pdf_date(about.get(name, "")) for name in ("ModDate", "CreationDate"))
    title = about.get("Title", "")
    return Converted(
        text,
        title=document_title(text, "" if title.startswith("(") else title),
        changed=next((date for date in dates if date), ""),
    )


def _unread_page(sheet: Sheet, lines: Sequence[Line]) -> list[Line]:
    """A note on a page that is scanned, or whose glyphs are unknown; it may have a stamp."""
    ignored = (line.aside or is_page_number(line, sheet) for line in lines)
    note = TextRun(f"Page {sheet.number + 1} has no text (scanned?)")
    place = Box(0, 0, sheet.width, sheet.height)
    unread = all(ignored) and (sheet.has_image or sheet.is_unread)
    return [Line([note], place, 0, sheet.number, aside=True)] if unread else []


def _opened(content: bytes) -> Any:
    import pypdfium2  # type: ignore[import-untyped, unused-ignore]
    import pypdfium2.raw as pdfium  # type: ignore[import-untyped, unused-ignore]

    try:
        document = pypdfium2.PdfDocument(content)
        document.init_forms()  # before any page is read, or the fields have no values
    except pypdfium2.PdfiumError as error:
        locked = pdfium.FPDF_GetLastError() == _NEEDS_PASSWORD
        raise DocumentError(PROTECTED if locked else unreadable("pdf")) from error
    return document
