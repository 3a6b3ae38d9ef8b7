"""What an Office file says of itself, and which title a document goes by."""

import re

from dataset.conversion.zip_container import ZipContainer
from dataset.dates import first_date

_CORE = "docProps/core.xml"
_TITLE = "{http://purl.org/dc/elements/1.1/}title"
_TERMS = "{http://purl.org/dc/terms/}"
_FIRST_HEADING = re.compile(r"\A(?:(?!#).*\n){0,12}# +(.+?) *(?:<a name=.*)?$", re.MULTILINE)
_NO_TITLE = re.compile(
    r"(?:microsoft (?:word|powerpoint|excel) - .*|untitled.*|unbenannt.*|(?:word|powerpoint) \w+"
    r"|presentation\d*|document\d*|title|.*\.(?:docx?|pptx?|xlsx?|indd|tex|dvi|qxd|html?|md|pages))",
    re.IGNORECASE,
)
"""What programs write where their user gave no title."""
_MARKUP = re.compile(r"[`*]|\\(?=[!-/:-@\[-`{-~])|\[(?=[^\]]*\]\()|(?<=\])\([^()]*\)")


def core_properties(container: ZipContainer) -> tuple[str, str]:
    """The title, and when it was last changed; "" for what is not said."""
    if _CORE not in container.names:
        return "", ""
    core = container.xml(_CORE)
    title = " ".join((core.findtext(_TITLE) or "").split())
    dates = (core.findtext(f"{_TERMS}{name}") or "" for name in ("modified", "created"))
    return title, first_date(dates)


def document_title(text: str, said: str) -> str:
    """A document's title: the heading it opens with, else what its properties say.

    Args:
        text: Its markdown.
        said: Its properties' title; programs fill it with file names and worse.
    """
    if heading := _FIRST_HEADING.search(text):
        return " ".join(_MARKUP.sub("", heading[1]).replace("]", "").split())
    said = " ".join(said.split())
    return "" if _NO_TITLE.fullmatch(said) else said
