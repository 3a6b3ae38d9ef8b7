"""Converts files to markdown.

Text, and markdown without HTML, are read in this process. All else needs a parser, which runs in a
child process with limits (dataset/conversion/isolation): a hostile or broken file may kill it.
"""

from collections.abc import Mapping
from types import MappingProxyType

from dataset.conversion.error_texts import SHOWN_FORMATS
from dataset.conversion.markdown.dialects import standard_markdown
from dataset.conversion.markdown.raw_html import has_html_blocks
from dataset.conversion.plain_text import decode_text, escaped_text
from dataset.conversion.result import Converted, Limits
from dataset.frontmatter import with_changed_body
from utils.errors import DocumentError

__all__ = ["FORMATS", "VERSION", "Converted", "Limits", "check_size", "convert", "format_of"]

VERSION = 3
"""Increment it with every change of the output: documents are then converted again."""

FORMATS: Mapping[str, str] = MappingProxyType(
    {
        ".md": "markdown",
        ".mdx": "markdown",
        ".txt": "text",
        ".htm": "html",
        ".xhtml": "html",
        **{f".{name}": name for name in SHOWN_FORMATS},
    }
)
"""File name extension, in lower case -> format."""


def format_of(name: str) -> str | None:
    """The format by the name's extension; None for one that is not supported."""
    stem, dot, ending = name.rpartition("/")[2].rpartition(".")
    return FORMATS.get(f".{ending.lower()}") if stem and dot else None


def convert(content: bytes, name: str, limits: Limits | None = None, *, url: str = "") -> Converted:
    """Convert one file to markdown.

    Args:
        content: The file.
        name: Its name; the extension states the format.
        limits: What the conversion may cost.
        url: Where an HTML page was fetched; the base of its relative links.

    Raises:
        DocumentError: the file is refused; the message states why.
    """
    limits = limits or Limits()
    format_name = format_of(name)
    if format_name is None:
        raise DocumentError(f"its name must end in one of these: {', '.join(sorted(FORMATS))}")
    check_size(len(content), limits.input_bytes)
    if format_name in ("markdown", "text"):
        check_size(len(content), limits.output_bytes)
        text = decode_text(content)
        if format_name == "text":
            return Converted(escaped_text(text))
        text = with_changed_body(text, standard_markdown)
        if not has_html_blocks(text):
            return Converted(text)
        content = text.encode()
    if not content.strip():
        raise DocumentError("is empty")
    from dataset.conversion.isolation.parent import convert_in_child

    return convert_in_child(content, format_name, limits, url=url)


def check_size(size: int, limit: int) -> None:
    """Raise DocumentError if a file of this size is over the limit, both in bytes."""
    if size > limit:
        raise DocumentError(
            f"{size / 2**20:.0f} MiB is over the limit of {limit / 2**20:.0f} MiB; "
            "split it into pages"
        )
