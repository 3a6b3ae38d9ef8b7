"""Converts HTML pages: the main content alone, headings with their anchors."""

import codecs
import re

from dataset.conversion.error_texts import NO_TEXT
from dataset.conversion.html.blocks import Blocks, holders_of
from dataset.conversion.html.content import address_of, base_of, changed_of, content_of, page_title
from dataset.conversion.html.inline import Inline
from dataset.conversion.html.tree import Element, parse_html
from dataset.conversion.result import Converted
from utils.errors import DocumentError

_CHARSET = re.compile(rb"""(?:charset|encoding)\s*=\s*["']?\s*([A-Za-z0-9._:-]{2,40})""")
_MAX_BYTES_BEFORE_CHARSET = 2048
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_TEXT_ENCODINGS = re.compile(
    r"utf-(?:8|16(?:-[bl]e)?)|ascii|iso8859-\d+|cp(?:12|8|9|4|5)\d+|koi8-[rtu]|gb(?:k|2312|18030)"
    r"|big5\w*|shift_jis\w*|euc_\w+|mac-\w+|tis-620"
)
"""Encodings of pages; Python's other codecs (`idna`, `unicode_escape`) are refused."""


def read_html(content: bytes, url: str) -> Converted:
    """Convert a page to markdown, without navigation and other surroundings.

    Args:
        content: The file.
        url: Where it was fetched; "" if unknown.

    Raises:
        DocumentError: it contains no text, or is nested too deep.
    """
    # Parse the page.
    page = parse_html(decoded(content))
    # Read its addresses from its head, then reduce its body to the main content.
    address, base, main = address_of(page, url), base_of(page, url), content_of(page)
    # Write the content, and read title and date where it states them.
    text = markdown_of(main, base)
    if not text.strip():
        raise DocumentError(f"{NO_TEXT} (a page that scripts fill in? save it from a browser)")
    return Converted(text, page_title(page, main), address, changed_of(page, main))


def markdown_of(element: Element, base: str = "") -> str:
    """Write an element's content as markdown; `base` makes its links absolute."""
    blocks = Blocks(Inline(base), holders_of(element)).write([element])
    text = "\n\n".join(blocks)
    return f"{text}\n" if text else ""


def decoded(content: bytes) -> str:
    """Decode a page by its byte order mark, its declared encoding, UTF-8 or Windows-1252."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content[len(mark) :].decode(encoding, errors="replace")
    declared = _CHARSET.search(content[:_MAX_BYTES_BEFORE_CHARSET])
    for label in (declared[1].decode() if declared else "", "utf-8"):
        try:
            encoding = codecs.lookup(label).name
            if _TEXT_ENCODINGS.fullmatch(encoding):
                return content.decode(encoding)
        except (LookupError, UnicodeDecodeError):
            continue
    return content.decode("windows-1252", errors="replace")
