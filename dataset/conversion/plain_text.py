"""Decodes files that are text."""

import codecs
import re

from dataset.markdown.syntax import CODE_SPAN, prose_and_code
from utils.errors import DocumentError

MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
"""Byte order mark -> encoding."""
_READ_AS_MARKUP = re.compile(r"(?m)^(?! {4}|\t).+$")
_MARKUP = re.compile(
    rf"{CODE_SPAN}"
    r"|\\(?=[!-/:-@\[-`{-~])|<(?=!--|/?[A-Za-z])|&(?=#?\w{1,32};)|(?<!\w)_|_(?!\w)"
    r"|^\[(?=[^\]\n]{1,200}\]:)"
)
_LINE_END = re.compile(r"\r\n?")


def mark_of(content: bytes) -> bytes:
    """The byte order mark that a file starts with; empty if it has none."""
    return next(filter(content.startswith, MARKS), b"")


def decode_text(content: bytes) -> str:
    r"""Decode a text file by its byte order mark, or else as UTF-8, its line ends as `\n`.

    Raises:
        DocumentError: it is in another encoding, or binary.
    """
    mark = mark_of(content)
    encoding = MARKS.get(mark, "utf-8")
    try:
        text = content[len(mark) :].decode(encoding).lstrip("\ufeff")
    except UnicodeDecodeError as error:
        at = len(mark) + error.start
        raise DocumentError(f"not {encoding.upper()} text (byte {at}); convert it") from error
    if "\0" in text:
        raise DocumentError(f"is not text: a NUL at byte {content.index(0)}")
    return _LINE_END.sub("\n", text)


def escaped_text(text: str) -> str:
    """Escape what would get lost if plain text were read as markdown; its lists remain lists."""
    return "".join(
        _READ_AS_MARKUP.sub(_escaped_line, part) if is_prose else part
        for part, is_prose in prose_and_code(text)
    )


def _escaped_line(line: re.Match[str]) -> str:
    return _MARKUP.sub(lambda found: found[0] if found["code"] else f"\\{found[0]}", line[0])
