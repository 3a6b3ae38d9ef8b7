"""What a host answered as a page of the dataset: markdown under a frontmatter."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Protocol

import yaml

from dataset.conversion.converter import Converted
from dataset.dates import iso_date, iso_instant
from dataset.frontmatter import split_frontmatter
from dataset.markdown import sections
from dataset.web.http.addresses import host_of, normal
from dataset.web.http.responses import Response
from dataset.web.links import absolute_links, without_fenced_code
from utils.errors import DocumentError

_HTML = ("text/html", "application/xhtml+xml")
_MARKDOWN = ("text/markdown", "text/x-markdown")
_OF_NO_KIND = ("", "text/plain", "application/octet-stream", "binary/octet-stream")
"""What hosts call files whose kind they do not know; the address then tells."""
_MARKDOWN_ADDRESS = re.compile(r"\.(?:md|markdown)\Z", re.IGNORECASE)
_HTML_ADDRESS = re.compile(r"\.x?html?\Z", re.IGNORECASE)
_HTML_START = re.compile(rb"\A(?:\xef\xbb\xbf)?\s{0,100}<(?:!doctype\s+html|html)\b", re.IGNORECASE)
_HEADING = re.compile(r"^#{1,6}[ \t]+\S.*$", re.MULTILINE)
_LINE_END = re.compile(r"\r\n?")
_MAX_TITLE_CHARACTERS = 300
_MAX_BYTES_BEFORE_TITLE = 20_000


class Convert(Protocol):
    """`dataset.conversion.converter.convert`, or what stands in for it."""

    def __call__(self, content: bytes, name: str, *, url: str = "") -> Converted:
        """Convert a file's bytes, by the name's ending."""


@dataclass(frozen=True, slots=True)
class WebPage:
    """A page as it goes into the dataset."""

    text: str
    title: str
    url: str
    """Where a person reads it."""
    changed: str
    """ISO 8601; "" if unknown."""

    @property
    def content_hash(self) -> str:
        """Hash what makes it another page; a new date alone does not."""
        return hashlib.sha256("\0".join((self.title, self.url, self.text)).encode()).hexdigest()

    def to_file(self) -> bytes:
        """Write it as the dataset reads it."""
        fields = {"title": self.title, "url": self.url, "changed": self.changed}
        given = {name: value for name, value in fields.items() if value}
        head = yaml.safe_dump(given, allow_unicode=True, sort_keys=False, width=10_000)
        return f"---\n{head}---\n\n{self.text.strip()}\n".encode()


def is_html(answer: Response) -> bool:
    """Tell whether an answer is HTML, whatever its host calls it."""
    if answer.media in _HTML or _HTML_START.match(answer.content):
        return True
    return not answer.media and bool(_HTML_ADDRESS.search(answer.url.partition("?")[0]))


def page_from_response(
    answer: Response, convert: Convert, *, listed: str = "", spelled: Callable[[str], str] = str
) -> WebPage:
    """Read an answer as a page.

    Args:
        answer: With status 200.
        convert: Converts HTML.
        listed: When the page changed according to the list that names it.
        spelled: Gives the address under which a person reads another one.

    Raises:
        DocumentError: it is none; the message says why.
    """
    url = spelled(answer.url)
    if is_html(answer):
        found = convert(_told(answer), "page.html", url=url)
        text, title, own, changed = found.text, found.title, found.url, found.changed
    elif is_text(answer):
        head, text = split_frontmatter(_decoded(answer))
        title, own, changed = head.title or _first_heading(text), head.url, head.changed
        text = absolute_links(text, url, spelled)
    else:
        raise DocumentError(f"is {answer.media or 'of no known kind'}, not a page of text")
    if not text.strip():
        raise DocumentError("holds no text")
    dates = (iso_date(changed), _date(answer.modified), iso_date(listed))
    return WebPage(
        text=text,
        title=" ".join(title.split())[:_MAX_TITLE_CHARACTERS],
        url=_canonical(own, url),
        changed=next((date for date in dates if date and not _to_come(date)), ""),
    )


def is_text(answer: Response) -> bool:
    """Tell whether an answer is markdown, or plain text, which is taken for markdown."""
    if is_html(answer):
        return False
    if answer.media in _MARKDOWN or answer.media == "text/plain":
        return True
    address = answer.url.partition("?")[0]
    return answer.media in _OF_NO_KIND and bool(_MARKDOWN_ADDRESS.search(address))


def _told(answer: Response) -> bytes:
    """The HTML in UTF-8, where its host names another encoding, which goes before the page's own.

    A byte order mark says so in turn to whoever reads it.
    """
    if not answer.charset:
        return answer.content
    try:
        return answer.content.decode(answer.charset, errors="replace").encode("utf-8-sig")
    except LookupError:
        return answer.content


def _decoded(answer: Response) -> str:
    try:
        text = answer.content.decode(answer.charset or "utf-8-sig").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise DocumentError(f"is not {error.encoding} text (byte {error.start})") from error
    except LookupError as error:
        raise DocumentError("is in an unknown encoding") from error
    if "\0" in text:
        raise DocumentError("is not text: it holds a zero byte")
    return _LINE_END.sub("\n", text)


def _first_heading(text: str) -> str:
    heading = _HEADING.search(without_fenced_code(text[:_MAX_BYTES_BEFORE_TITLE]))
    # With words below it: what only heads or links has no sections.
    found = sections(f"{heading[0]}\n\nWords.\n") if heading else []
    return next((section.headings[0] for section in found if section.headings), "")


def _canonical(own: str, url: str) -> str:
    """The address that the page itself gives, where it is one of the same host."""
    try:
        given = normal(own) if own else url
    except DocumentError:
        return url
    return given if host_of(given) == host_of(url) else url


def _date(modified: str) -> str:
    return iso_instant(parsedate_to_datetime(modified)) if modified else ""


def _to_come(date: str) -> bool:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    return date[:10] > tomorrow.date().isoformat()
