"""EPUB to markdown, and the container that it shares with Office files."""

import io
import zipfile

import pytest

from dataset.conversion import epub
from dataset.conversion.zip_container import Relationship, ZipContainer
from tests.files.office import docx_of
from utils.errors import DocumentError


def epub_of(*chapters: str, doctype: str = "", **parts: str) -> bytes:
    items = "".join(
        f'<item id="c{n}" href="text%20{n}.xhtml" media-type="application/xhtml+xml"/>'
        for n, _ in enumerate(chapters)
    )
    order = "".join(f'<itemref idref="c{n}"/>' for n in reversed(range(len(chapters))))
    book = (
        f'<?xml version="1.0"?>{doctype}<package xmlns="http://www.idpf.org/2007/opf">'
        '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>The crane</dc:title>'
        '<meta property="dcterms:modified">2026-01-02T03:04:05Z</meta></metadata>'
        f"<manifest>{items}</manifest><spine>{order}</spine></package>"
    )
    root = (
        '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
        '<rootfile full-path="OEBPS/book.opf"/></rootfiles></container>'
    )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("META-INF/container.xml", root)
        archive.writestr("OEBPS/book.opf", book)
        for n, chapter in enumerate(chapters):
            archive.writestr(f"OEBPS/text {n}.xhtml", f"<!DOCTYPE html><body>{chapter}</body>")
        for name, content in parts.items():
            archive.writestr(f"META-INF/{name}.xml", content)
    return packed.getvalue()


def test_epub_chapters_are_in_reading_order() -> None:
    converted = epub.read_epub(epub_of("<h1>Two</h1><p>b", "<h1 id=one>One</h1><p>a"), "")
    assert converted.text == '# One<a name="one"></a>\n\na\n\n# Two\n\nb\n'
    assert (converted.title, converted.changed) == ("The crane", "2026-01-02T03:04:05Z")


def test_encrypted_epub_is_refused() -> None:
    lock = '<e xmlns:c="x"><c:CipherReference URI="OEBPS/text%200.xhtml"/></e>'
    with pytest.raises(DocumentError, match="protected by a password"):
        epub.read_epub(epub_of("<p>x", encryption=lock), "")


@pytest.mark.parametrize(
    "doctype",
    [
        "<!DOCTYPE package>",
        '<!DOCTYPE package PUBLIC "+//ISBN 0-9673008-1-9//DTD OEB 1.2 Package//EN"\n'
        ' "http://openebook.org/dtds/oeb-1.2/oebpkg12.dtd">',
        "<!DOCTYPE package SYSTEM '[odd>.dtd'>",
    ],
)
def test_document_type_that_declares_nothing_is_accepted(doctype: str) -> None:
    assert epub.read_epub(epub_of("<p>Words.", doctype=doctype), "").text == "Words.\n"


@pytest.mark.parametrize(
    "doctype",
    [
        '<!DOCTYPE package [<!ENTITY x "y">]>',
        '<!DOCTYPE package PUBLIC "a" "b" [ <!ELEMENT x ANY> ]>',
        "<!DOCTYPE package><!DOCTYPE package>",
    ],
)
def test_document_type_with_declarations_is_refused(doctype: str) -> None:
    with pytest.raises(DocumentError, match="document type"):
        epub.read_epub(epub_of("<p>Words.", doctype=doctype), "")


def test_chapter_keeps_its_head_and_foot_and_notes_without_page_numbers() -> None:
    chapter = (
        "<header><p>Part 1</p><h2>Keys</h2></header>"
        '<p>They ex<span epub:type="pagebreak">12</span>pire.</p><footer><p>Ask us.</p></footer>'
        '<section epub:type="footnotes" hidden="hidden"><p>After nine days.</p></section>'
        '<aside role="doc-footnote" hidden="hidden"><p>In Oslo, after ten.</p></aside>'
    )
    assert epub.read_epub(epub_of(chapter), "").text.split("\n\n") == [
        "Part 1",
        "## Keys",
        "They expire.",
        "Ask us.",
        "After nine days.",
        "In Oslo, after ten.\n",
    ]


def test_container_lists_its_parts_and_relationships() -> None:
    container = ZipContainer(docx_of("x"), "docx")
    assert {"word/document.xml", "docProps/core.xml"} <= container.names
    assert Relationship("officeDocument", "word/document.xml", external=False) in (
        container.relationships("").values()
    )
