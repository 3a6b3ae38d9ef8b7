"""Turns a file's bytes into markdown, in a separate process with limits where it takes a parser.

Markdown and text are only decoded, in this process. Everything else is read by a child
(dataset/conversion/isolation/child.py) that a hostile or broken file may kill.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

from dataset.conversion.result import Converted, Limits
from utils.errors import DocumentError

__all__ = ["FORMATS", "VERSION", "Converted", "Limits", "convert", "format_of"]

VERSION = 1
"""Raise it with every change that gives other text: documents are then converted again."""

FORMATS: Mapping[str, str] = MappingProxyType(
    {
        ".md": "markdown",
        ".markdown": "markdown",
        ".txt": "text",
        ".html": "html",
        ".htm": "html",
        ".xhtml": "html",
        ".pdf": "pdf",
        ".docx": "docx",
        ".pptx": "pptx",
        ".xlsx": "xlsx",
        ".epub": "epub",
        ".rst": "rst",
        ".ipynb": "ipynb",
        ".csv": "csv",
        ".tsv": "tsv",
    }
)
"""The ending of a file's name, in lower case -> the format it tells."""

_IN_THIS_PROCESS = ("markdown", "text")
_LINE_END = re.compile(r"\r\n?")


def format_of(name: str) -> str | None:
    """The format that a name's ending tells; None for one that is not read."""
    stem, dot, ending = name.rpartition("/")[2].rpartition(".")
    return FORMATS.get(f".{ending.lower()}") if stem and dot else None


def convert(content: bytes, name: str, limits: Limits | None = None, *, url: str = "") -> Converted:
    """Convert one file to markdown.

    Args:
        content: The file.
        name: Its name, whose ending tells the format.
        limits: What it may take.
        url: Where an HTML page was fetched: relative links become absolute by it.

    Raises:
        DocumentError: it cannot be taken as a document; the message says why.
    """
    limits = limits or Limits()
    format_name = format_of(name)
    if format_name is None:
        raise DocumentError(f"its name must end in one of these: {', '.join(sorted(FORMATS))}")
    _check_size(len(content), limits.input_bytes)
    if format_name in _IN_THIS_PROCESS:
        _check_size(len(content), limits.output_bytes)
        return Converted(_decoded(content))
    if not content.strip():
        raise DocumentError("is empty")
    from dataset.conversion.isolation.parent import convert_in_child

    return convert_in_child(content, format_name, limits, url=url)


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise DocumentError(
            f"{size / 2**20:.0f} MiB is over the limit of {limit / 2**20:.0f} MiB; "
            "split it into pages"
        )


def _decoded(content: bytes) -> str:
    try:
        text = _LINE_END.sub("\n", content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise DocumentError(f"not UTF-8 text (byte {error.start}); convert it") from error
    if "\0" in text:
        raise DocumentError(f"is no text: a NUL at byte {content.index(0)}")
    return text
