"""Writes a sample document as an EPUB book, with its notes in a chapter of their own."""

import io
import zipfile
from collections.abc import Sequence

from tests.files.documents.html import HtmlWriter
from tests.files.documents.model import Block, Line, SampleDocument

_BLOCKS_PER_CHAPTER = 20
_CONTAINER = (
    '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0"><rootfiles>'
    '<rootfile full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles>'
    "</container>"
)
_BOOK = (
    '<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id">'
    '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>Sample</dc:title>'
    '<dc:identifier id="id">1</dc:identifier></metadata><manifest>{}</manifest>'
    "<spine>{}</spine></package>"
)
_PAGE = (
    '<?xml version="1.0" encoding="utf-8"?>\n<html xmlns="http://www.w3.org/1999/xhtml" '
    'xmlns:epub="http://www.idpf.org/2007/ops"><head><title>Sample</title></head><body>{}</body>'
    "</html>"
)


def book(document: SampleDocument) -> bytes:
    """An EPUB book."""
    writer = HtmlWriter(variety=False)
    starts = range(0, len(document.blocks), _BLOCKS_PER_CHAPTER)
    chapters = [_chapter(writer, document.blocks[at : at + _BLOCKS_PER_CHAPTER]) for at in starts]
    if document.notes:
        chapters.append(_notes(writer, document.notes))
    items = "".join(
        f'<item id="c{at}" href="c{at}.xhtml" media-type="application/xhtml+xml"/>'
        for at in range(len(chapters))
    )
    order = "".join(f'<itemref idref="c{at}"/>' for at in range(len(chapters)))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as parts:
        parts.writestr("mimetype", "application/epub+zip", zipfile.ZIP_STORED)
        parts.writestr("META-INF/container.xml", _CONTAINER)
        parts.writestr("OEBPS/book.opf", _BOOK.format(items, order))
        for at, chapter in enumerate(chapters):
            parts.writestr(f"OEBPS/c{at}.xhtml", _PAGE.format(chapter))
    return file.getvalue()


def _chapter(writer: HtmlWriter, blocks: Sequence[Block]) -> str:
    return "\n".join(map(writer.block, blocks))


def _notes(writer: HtmlWriter, notes: Sequence[Line]) -> str:
    return "\n".join(
        f'<aside epub:type="footnote" id="note-{at}"><p>{at}. {writer.line(note)}</p></aside>'
        for at, note in enumerate(notes, start=1)
    )
