"""PDF files as markdown."""

from typing import Any

from dataset.conversion.error_texts import PROTECTED, no_text, unreadable
from dataset.conversion.metadata import document_title
from dataset.conversion.pdf.layout import markdown_blocks, measures
from dataset.conversion.pdf.lines import sheet
from dataset.conversion.pdf.reading_order import readable_lines, running_lines
from dataset.conversion.pdf.tables import with_tables
from dataset.conversion.result import Converted
from dataset.dates import pdf_date
from utils.errors import DocumentError

MAX_PAGES = 5000
_WHERE_IT_BEGINS = 1024
_NEEDS_PASSWORD = 4
_SCANNED = " (a scanned PDF? run OCR first)"


def read_pdf(content: bytes, _: str) -> Converted:
    """Convert a PDF; one that is protected only against changes is read.

    Raises:
        DocumentError: it cannot be read, is protected, too long, or holds no text.
    """
    if b"%PDF-" not in content[:_WHERE_IT_BEGINS]:
        raise DocumentError(unreadable("pdf"))
    document = _opened(content)
    if len(document) > MAX_PAGES:
        raise DocumentError(
            f"has {len(document):,} pages, over the limit of {MAX_PAGES:,}; split it"
        )
    sheets = [sheet(document, number) for number in range(len(document))]
    unread = sum(1 for page in sheets if not page.lines)
    if unread == len(sheets):
        raise DocumentError(no_text(_SCANNED))
    if unread > len(sheets) / 2:
        raise DocumentError(f"holds no text on {unread} of {len(sheets)} pages{_SCANNED}")
    running = running_lines(sheets)
    pages = [readable_lines(page, running) for page in sheets]
    measured = measures(pages)
    items = (
        item for page, lines in zip(sheets, pages, strict=True) for item in with_tables(page, lines)
    )
    text = "\n\n".join(markdown_blocks(items, measured)) + "\n"
    if not text.strip():
        raise DocumentError(no_text(_SCANNED))
    about: dict[str, str] = document.get_metadata_dict()
    dates = (pdf_date(about.get(name, "")) for name in ("ModDate", "CreationDate"))
    said = about.get("Title", "")
    return Converted(
        text,
        title=document_title(text, "" if said.startswith("(") else said),
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
