"""Converts an HTTP response to a page of the dataset: markdown with front matter."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Literal

import yaml

from dataset.conversion import converter
from dataset.conversion.converter import Converted
from dataset.dates import iso_date, iso_instant
from dataset.frontmatter import split_frontmatter
from dataset.markdown.reader import sections
from dataset.markdown.syntax import blocks
from dataset.page_files import is_users
from dataset.web.http.addresses import host_of, normal
from dataset.web.http.responses import Response
from dataset.web.links import absolute_links
from utils.errors import DocumentError

_HTML = ("text/html", "application/xhtml+xml")
_TEXT = ("text/markdown", "text/x-markdown", "text/plain")
_UNSPECIFIC = ("", "application/octet-stream", "binary/octet-stream")
"""Media types of hosts that do not know the kind of a file; its address then decides."""
_MARKDOWN_ADDRESS = re.compile(r"\.(?:md|markdown)\Z", re.IGNORECASE)
_HTML_ADDRESS = re.compile(r"\.x?html?\Z", re.IGNORECASE)
_HTML_START = re.compile(
    rb"\A(?:\xef\xbb\xbf)?(?>\s{1,100}|<\?[^>]{0,200}>|<!--.{0,2000}?-->){0,9}"
    rb"<(?:!doctype\s+html|html|head|body)\b",
    re.IGNORECASE | re.DOTALL,
)
_LINE_END = re.compile(r"\r\n?")
_FRONTMATTER = re.compile(rb"---\n(?:title: .*\n)?url: '?(https?://([^/\s]+)/\S*)")
"""The beginning of a page's file."""
_MAX_TITLE_CHARACTERS = 300
_MAX_BYTES_BEFORE_TITLE = 20_000


ConvertWebPage = Callable[[bytes, str], Converted]
"""Converts an HTML page, given its address: `convert_web_page`, or a stand-in."""


def convert_web_page(content: bytes, url: str) -> Converted:
    """Convert an HTML page.

    Raises:
        DocumentError: it cannot be converted.
    """
    return converter.convert(content, "page.html", url=url)


@dataclass(frozen=True, slots=True)
class WebPage:
    """A page as it is written to the dataset."""

    text: str
    title: str
    url: str
    """The address for readers."""
    changed: str
    """ISO 8601; "" if unknown."""

    @property
    def content_hash(self) -> str:
        """Hash of title, address and text; a new date alone is not a change."""
        return hashlib.sha256("\0".join((self.title, self.url, self.text)).encode()).hexdigest()

    def to_file(self) -> bytes:
        """The content of its file."""
        fields = {"title": self.title, "url": self.url, "changed": self.changed}
        given = {name: value for name, value in fields.items() if value}
        head = yaml.safe_dump(given, allow_unicode=True, sort_keys=False, width=10_000)
        return f"---\n{head}---\n\n{self.text.strip()}\n".encode()


def is_users_page(path: Path, *urls: str, root: str = "") -> bool:
    """True if there is something at a path that is not a page with one of these addresses.

    A fetched page states an address of the same host, or for a guide below `root` any address that
    ends with the page's name there: it may be from another mirror.
    """
    hosts = {host_of(url) for url in urls}
    names = tuple(f"/{url.removeprefix(root)}" for url in urls if root and url.startswith(root))

    def is_page(content: bytes) -> bool:
        if not (found := _FRONTMATTER.match(content)):
            return False
        stated, host = (part.decode(errors="replace") for part in found.groups())
        return host in hosts or stated.endswith(names)

    return is_users(path, is_page)


def page_kind(response: Response) -> Literal["html", "text", ""]:
    """The kind of a page, whatever media type its host states: HTML, or text read as markdown."""
    address = response.url.partition("?")[0]
    if response.media in _HTML or _HTML_START.match(response.content):
        return "html"
    if not response.media and _HTML_ADDRESS.search(address):
        return "html"
    if response.media in _TEXT:
        return "text"
    return "text" if response.media in _UNSPECIFIC and _MARKDOWN_ADDRESS.search(address) else ""


def is_titled_markdown(response: Response) -> bool:
    """True for text with a title, in its frontmatter or a heading: not a notice of an error."""
    if page_kind(response) != "text":
        return False
    try:
        head, text = split_frontmatter(_decoded(response))
    except DocumentError:
        return False
    return bool(head.title or _first_heading(text))


def page_from_response(
    response: Response, convert: ConvertWebPage, listed: str, spelled: Callable[[str], str]
) -> WebPage:
    """Convert a response with status 200 to a page.

    `listed` is when the page changed according to the list that names it; `spelled` maps an address
    to the one for readers.

    Raises:
        DocumentError: it is not a page; the message states why.
    """
    url = spelled(response.url)
    kind = page_kind(response)
    if kind == "html":
        found = convert(_as_utf8(response), url)
        text, title, own, changed = found.text, found.title, found.url, found.changed
    elif kind == "text":
        head, text = split_frontmatter(_decoded(response))
        title, own, changed = head.title or _first_heading(text), head.url, head.changed
        text = absolute_links(text, url, spelled)
    else:
        raise DocumentError(f"is {response.media or 'of no known kind'}, not a page of text")
    if not text.strip():
        raise DocumentError("contains no text")
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    dates = (iso_date(changed), _date(response.modified), iso_date(listed))
    return WebPage(
        text=text,
        title=" ".join(title.split())[:_MAX_TITLE_CHARACTERS],
        url=spelled(_canonical(own, url)),
        changed=next((date for date in dates if date and date[:10] <= tomorrow), ""),
    )


def _as_utf8(response: Response) -> bytes:
    """Re-encode HTML as UTF-8 with a byte order mark, if its host states another encoding.

    The header takes precedence over what the page declares.
    """
    if not response.charset:
        return response.content
    try:
        return response.content.decode(response.charset, errors="replace").encode("utf-8-sig")
    except LookupError:
        return response.content


def _decoded(response: Response) -> str:
    try:
        text = response.content.decode(response.charset or "utf-8-sig").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise DocumentError(f"is not {error.encoding} text (byte {error.start})") from error
    except LookupError as error:
        raise DocumentError("is in an unknown encoding") from error
    if "\0" in text:
        raise DocumentError("is not text: it contains a zero byte")
    return _LINE_END.sub("\n", text)


def _first_heading(text: str) -> str:
    text = text[:_MAX_BYTES_BEFORE_TITLE]
    headings = (block for block in blocks(text) if block.kind == "heading" and block.indent < 4)
    heading = next(headings, None)
    # A page without text has no sections.
    found = sections(f"# {text[heading.span]}\n\nText.\n") if heading else []
    return next((section.headings[0] for section in found if section.headings), "")


def _canonical(own: str, url: str) -> str:
    """The address that the page states, if it is of the same host."""
    try:
        given = normal(own) if own else url
    except DocumentError:
        return url
    return given if host_of(given) == host_of(url) else url


def _date(modified: str) -> str:
    return iso_instant(parsedate_to_datetime(modified)) if modified else ""
