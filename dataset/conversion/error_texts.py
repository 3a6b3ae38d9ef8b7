"""Error texts shared by the child process that converts a file and its parent."""

SHOWN_FORMATS = {
    "markdown": "markdown",
    "html": "HTML",
    "pdf": "PDF",
    "docx": "Word (docx)",
    "pptx": "PowerPoint (pptx)",
    "xlsx": "Excel (xlsx)",
    "epub": "EPUB",
    "rst": "reStructuredText",
    "ipynb": "a Jupyter notebook",
    "csv": "CSV",
    "tsv": "TSV",
}
"""The formats that need a parser, as error texts name them."""
PROTECTED = "is protected by a password; remove the protection"
NO_TEXT = "contains no text"
TOO_DEEP = "is nested too deep to convert"


def unreadable(format_name: str) -> str:
    """The parser failed; its own message is for its authors."""
    return f"cannot be read as {SHOWN_FORMATS[format_name]}"


def too_slow(seconds: float) -> str:
    """The time limit was reached."""
    return f"takes longer than {seconds:g} s to convert; split it"


def too_much_memory(limit: int) -> str:
    """The memory limit was reached."""
    return f"needs more than {shown_size(limit)} of memory to convert; split it"


def too_much_text(limit: int) -> str:
    """The output limit was reached."""
    return f"gives more than {shown_size(limit)} of text; split it"


def shown_size(count: int) -> str:
    """Format a number of bytes for people."""
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if count >= unit:
            return f"{count / unit:.3g} {name}"
    return f"{count} bytes"
