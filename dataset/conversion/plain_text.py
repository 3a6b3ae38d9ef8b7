"""Decodes files that are text."""

import re

from utils.errors import DocumentError

_LINE_END = re.compile(r"\r\n?")


def decode_text(content: bytes, encoding: str = "utf-8-sig") -> str:
    r"""Decode a text file, its line ends as `\n`.

    Raises:
        DocumentError: it is in another encoding, or binary.
    """
    try:
        text = content.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise DocumentError(f"not UTF-8 text (byte {error.start}); convert it") from error
    if "\0" in text:
        raise DocumentError(f"is not text: a NUL at byte {content.index(0)}")
    return _LINE_END.sub("\n", text)
