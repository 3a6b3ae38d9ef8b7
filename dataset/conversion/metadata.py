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


def _core_properties(container: ZipContainer) -> tuple[str, str]:
    """Title and date of the last change; "" for what is not stated."""
    if _CORE not in container.names:
        return "", ""
    core = container.xml(_CORE)
    title = " ".join((core.findtext(_TITLE) or "").split())
    dates = (core.findtext(f"{_TERMS}{name}") or "" for name in ("modified", "created"))
    return title, first_date(dates)


def office_document(container: ZipContainer, text: str) -> Converted:
    """The result of converting an Office file to markdown.

    Raises:
        DocumentError: there is no text.
    """
    if not text.strip():
        raise DocumentError(NO_TEXT)
    title, changed = _core_properties(container)
    return Converted(text, title=document_title(text, title), changed=changed)


def document_title(text: str, property_title: str) -> str:
    """A document's title: its first heading, else the title in its properties.

    Programs fill the property with file names and worse.
    """
    if heading := _FIRST_HEADING.search(text):
        return " ".join(_MARKUP.sub("", heading[1]).replace("]", "").split())
    property_title = " ".join(property_title.split())
    return "" if _NO_TITLE.fullmatch(property_title) else property_title
