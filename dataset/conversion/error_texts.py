"""The lines on files that cannot be taken, said alike by the child and by who started it."""

_SHOWN_FORMATS = {
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
PROTECTED = "is protected by a password; remove the protection"


def unreadable(format_name: str) -> str:
    """Say that the parser gave up; its own words are for its authors."""
    return f"cannot be read as {_SHOWN_FORMATS[format_name]}"


def broke_off(format_name: str, limit: int) -> str:
    """Say that the parser's process died: of the file, or for want of memory."""
    return f"{unreadable(format_name)} within {shown_size(limit)} of memory"


def too_slow(seconds: float) -> str:
    """Say that the time is up."""
    return f"takes longer than {seconds:g} s to convert; split it"


def too_much_memory(limit: int) -> str:
    """Say that the conversion was not given more memory."""
    return f"needs more than {shown_size(limit)} of memory to convert; split it"


def too_much_text(limit: int) -> str:
    """Say that the text is over the limit."""
    return f"gives more than {shown_size(limit)} of text; split it"


def too_deep() -> str:
    """Say that elements lie in elements without end."""
    return "is nested too deep to convert"


def no_text(why: str = "") -> str:
    """Say that there is nothing to read."""
    return f"holds no text{why}"


def shown_size(count: int) -> str:
    """Show a number of bytes as a person would."""
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if count >= unit:
            return f"{count / unit:.3g} {name}"
    return f"{count} bytes"
