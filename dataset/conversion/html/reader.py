"""Converts HTML pages: the main content alone, headings with their anchors."""

import contextlib
import re

from dataset.conversion.error_texts import NO_TEXT
from dataset.conversion.html.blocks import Blocks, holders_of
from dataset.conversion.html.content import address_of, base_of, changed_of, content_of, page_title
from dataset.conversion.html.element import Element
from dataset.conversion.html.inline import Inline
from dataset.conversion.html.tree import parse_html
from dataset.conversion.plain_text import MARKS, mark_of
from dataset.conversion.result import Converted
from utils.errors import DocumentError

_CHARSET = re.compile(rb"""(?:charset|encoding)\s*=\s*["']?\s*([A-Za-z0-9._:-]{2,40})""")
_MAX_BYTES_BEFORE_CHARSET = 2048


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
    """Decode a page by its byte order mark, its declared encoding, UTF-8 or Windows-1252.

    Labels mean what the WHATWG encoding standard defines: `iso-8859-1` is Windows-1252.
    """
    from webencodings import lookup

    if mark := mark_of(content):
        return content[len(mark) :].decode(MARKS[mark], errors="replace")
    declared = _CHARSET.search(content[:_MAX_BYTES_BEFORE_CHARSET])
    encoding = lookup(declared[1].decode()) if declared else None
    if encoding is not None and encoding.name == "gbk":  # the standard decodes both alike
        encoding = lookup("gb18030")
    # A page that was read as ASCII is not in UTF-16, whatever it declares.
    if encoding is None or encoding.name.startswith("utf-"):
        encoding = lookup("utf-8")
    for decoder in (encoding.codec_info, lookup("utf-8").codec_info):
        with contextlib.suppress(UnicodeDecodeError):
            return str(decoder.decode(content, "strict")[0])
    fallback = encoding if encoding.name != "utf-8" else lookup("windows-1252")
    return str(fallback.codec_info.decode(content, "replace")[0])
