"""Converts PDF files."""

from typing import Any

from dataset.conversion.error_texts import NO_TEXT, PROTECTED, unreadable
from dataset.conversion.metadata import document_title
from dataset.conversion.pdf.layout import markdown_blocks, measures
from dataset.conversion.pdf.lines import read_sheet
from dataset.conversion.pdf.reading_order import readable_lines, running_lines
from dataset.conversion.pdf.tables import with_tables
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
    unread = sum(1 for page in sheets if not page.lines)
    if len(sheets) / 2 < unread < len(sheets):
        raise DocumentError(f"{NO_TEXT} on {unread} of {len(sheets)} pages{_SCANNED}")
    # Drop headers, footers and page numbers, and order what remains.
    running = running_lines(sheets)
    pages = [readable_lines(page, running) for page in sheets]
    # Find the tables, and the headings by the font sizes of the whole document.
    measured = measures(pages)
    items = (
        item for page, lines in zip(sheets, pages, strict=True) for item in with_tables(page, lines)
    )
    text = "\n\n".join(markdown_blocks(items, measured)) + "\n"
    if not text.strip():
        raise DocumentError(NO_TEXT + _SCANNED)
    # Read title and date from the properties.
    about: dict[str, str] = document.get_metadata_dict()
    dates = (pdf_date(about.get(name, "")) for name in ("ModDate", "CreationDate"))
    title = about.get("Title", "")
    return Converted(
        text,
        title=document_title(text, "" if title.startswith("(") else title),
        changed=next((date for date in dates if date), ""),
    )


def _opened(content: bytes) -> Any:
    import pypdfium2  # type: ignore[import-untyped, unused-ignore]
    import pypdfium2.raw as pdfium  # type: ignore[import-untyped, unused-ignore]

    try:
        return pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        locked = pdfium.FPDF_GetLastError() == _NEEDS_PASSWORD
        raise DocumentError(PROTECTED if locked else unreadable("pdf")) from error
