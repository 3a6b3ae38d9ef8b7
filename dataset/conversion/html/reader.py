"""HTML pages as markdown: the content alone, its headings with their anchors."""

import codecs
import re

from dataset.conversion.error_texts import no_text
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
"""The encodings of pages. Python's other codecs (`idna`, `unicode_escape`) are no page's."""


def read_html(content: bytes, url: str) -> Converted:
    """Convert a page's file.

    Raises:
        DocumentError: it holds no text, or is nested too deep.
    """
    converted = convert_html(decoded(content), url)
    if not converted.text.strip():
        raise DocumentError(no_text(" (a page that scripts fill in? save it from a browser)"))
    return converted


def convert_html(content: str, url: str = "") -> Converted:
    """Convert a page's content to markdown, navigation and other surroundings left out.

    Args:
        content: The page.
        url: Where it was fetched; relative links become absolute by it.

    Raises:
        DocumentError: it is nested too deep to be a page.
    """
    page = parse_html(content)
    address, base, main = address_of(page, url), base_of(page, url), content_of(page)
    return Converted(
        text=markdown_of(main, base),
        title=page_title(page, main),
        url=address,
        changed=changed_of(page, main),
    )


def markdown_of(element: Element, base: str = "") -> str:
    """Write what stands in an element as markdown."""
    blocks = Blocks(Inline(base), holders_of(element)).write([element])
    text = "\n\n".join(blocks)
    return f"{text}\n" if text else ""


def decoded(content: bytes) -> str:
    """The page's characters, by its mark, its own word, as UTF-8, or as the web's old default."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content[len(mark) :].decode(encoding, errors="replace")
    said = _CHARSET.search(content[:_MAX_BYTES_BEFORE_CHARSET])
    for label in (said[1].decode() if said else "", "utf-8"):
        try:
            encoding = codecs.lookup(label).name
            if _TEXT_ENCODINGS.fullmatch(encoding):
                return content.decode(encoding)
        except (LookupError, UnicodeDecodeError):
            continue
    return content.decode("windows-1252", errors="replace")
