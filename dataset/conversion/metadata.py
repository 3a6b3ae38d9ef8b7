"""The metadata of Office files, and the choice of a document's title."""

import re

from dataset.conversion.error_texts import NO_TEXT
from dataset.conversion.result import Converted
from dataset.conversion.zip_container import ZipContainer
from dataset.dates import first_date
from utils.errors import DocumentError

_CORE = "docProps/core.xml"
_TITLE = "{http://purl.org/dc/elements/1.1/}title"
_TERMS = "{http://purl.org/dc/terms/}"
_FIRST_HEADING = re.compile(r"\A(?:(?!#).*\n){0,12}# +(.+?) *(?:<a name=.*)?$", re.MULTILINE)
_NO_TITLE = re.compile(
    r"(?:microsoft (?:word|powerpoint|excel) - .*|untitled.*|unbenannt.*|(?:word|powerpoint) \w+"
    r"|presentation\d*|document\d*|title|.*\.(?:docx?|pptx?|xlsx?|indd|tex|dvi|qxd|html?|md|pages))",
    re.IGNORECASE,
)
"""Titles that programs write when their user gave none."""
_MARKUP = re.compile(r"[`*]|\\(?=[!-/:-@\[-`{-~])|\[(?=[^\]]*\]\()|(?<=\])\([^()]*\)")


def office_document(container: ZipContainer, text: str) -> Converted:
    """The result of converting an Office file to markdown.

    Raises:
        DocumentError: there is no text.
    """
    if _CORE not in container.names:
        return titled_document(text)
    core = container.xml(_CORE)
    dates = (core.findtext(f"{_TERMS}{name}") or "" for name in ("modified", "created"))
    return titled_document(text, core.findtext(_TITLE) or "", first_date(dates))


def titled_document(text: str, title: str = "", changed: str = "") -> Converted:
    """The result of converting a file, with what its properties state.

    Raises:
        DocumentError: there is no text.
    """
    if not text.strip():
        raise DocumentError(NO_TEXT)
    return Converted(text, title=document_title(text, title), changed=changed)


def document_title(text: str, property_title: str) -> str:
    """A document's title: its first heading, else the title in its properties.

    Programs fill the property with file names and worse.
    """
    if heading := _FIRST_HEADING.search(text):
        return " ".join(_MARKUP.sub("", heading[1]).replace("]", "").split())
    property_title = " ".join(property_title.split())
    return "" if _NO_TITLE.fullmatch(property_title) else property_title
