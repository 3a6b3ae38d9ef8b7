"""Converts EPUB books: their chapters in reading order."""

import posixpath
from urllib.parse import unquote
from xml.etree import ElementTree

from dataset.conversion.error_texts import NO_TEXT, PROTECTED, unreadable
from dataset.conversion.html.content import content_of
from dataset.conversion.html.element import Element
from dataset.conversion.html.notes import is_footnote
from dataset.conversion.html.reader import decoded, markdown_of
from dataset.conversion.html.tree import parse_html
from dataset.conversion.metadata import document_title
from dataset.conversion.result import Converted
from dataset.conversion.zip_container import ZipContainer
from dataset.dates import first_date
from utils.errors import DocumentError

_ABOUT = "{http://purl.org/dc/elements/1.1/}"
_ROOT = "{urn:oasis:names:tc:opendocument:xmlns:container}rootfile"
_PAGES = ("application/xhtml+xml", "text/html", "text/x-oeb1-document")


def read_epub(content: bytes, _: str) -> Converted:
    """Convert a book."""
    container = ZipContainer(content, "epub")
    root = next(container.xml("META-INF/container.xml").iter(_ROOT), None)
    if root is None:
        raise DocumentError(unreadable("epub"))
    name = root.get("full-path", "")
    book = container.xml(name)
    locked = _encrypted(container)
    chapters: list[str] = []
    for part in _reading_order(book, posixpath.dirname(name)):
        if part in locked:
            raise DocumentError(PROTECTED)
        page = parse_html(decoded(container.read(part)))
        _show_whole(page.body)
        chapters.append(markdown_of(content_of(page)).strip())
    text = "\n\n".join(chapter for chapter in chapters if chapter)
    if not text:
        raise DocumentError(NO_TEXT)
    title = " ".join((book.findtext(f".//{_ABOUT}title") or "").split())
    return Converted(f"{text}\n", title=title or document_title(text, ""), changed=_changed(book))


def _reading_order(book: ElementTree.Element, folder: str) -> list[str]:
    parts = {
        item.get("id"): posixpath.normpath(posixpath.join(folder, unquote(item.get("href", ""))))
        for item in book.iterfind(".//{*}item")
        if item.get("media-type") in _PAGES and "nav" not in item.get("properties", "").split()
    }
    order = (item.get("idref") for item in book.iterfind(".//{*}itemref"))
    return [parts[name] for name in dict.fromkeys(order) if name in parts]


def _show_whole(body: Element) -> None:
    """Make a chapter's head, foot and hidden notes content, as in a book; drop page numbers."""
    for element in body.walk():
        if element.tag in ("header", "footer"):
            element.tag = "div"
        if is_footnote(element):
            element.attributes.pop("hidden", None)
        element.children = [
            child
            for child in element.children
            if isinstance(child, str) or child.get("epub:type") != "pagebreak"
        ]


def _encrypted(container: ZipContainer) -> set[str]:
    """The encrypted parts; often only fonts."""
    if "META-INF/encryption.xml" not in container.names:
        return set()
    listed = container.xml("META-INF/encryption.xml").iter()
    return {unquote(one.get("URI", "")) for one in listed if one.tag.endswith("CipherReference")}


def _changed(book: ElementTree.Element) -> str:
    about = book.iterfind(".//{*}meta")
    modified = (one for one in about if one.get("property") == "dcterms:modified")
    return first_date(one.text for one in (*modified, *book.iter(f"{_ABOUT}date")))
