"""Writes a sample document with pandoc, if the machine has it."""

import shutil
import subprocess

from tests.files.documents import markdown
from tests.files.documents.model import Feature, SampleDocument

PANDOC = shutil.which("pandoc")
PANDOC_FORMATS = ("html", "docx", "epub")
"""Formats that it writes without a fault of its own; ipynb loses a `-` behind a backslash."""
FEATURES: frozenset[Feature] = markdown.FEATURES - {"raised", "lowered", "merged cells"}
"""What pandoc reads of the markdown that is written here: not the HTML in it."""


def pandoc_file(document: SampleDocument, extension: str) -> bytes:
    """A file of another format, which pandoc makes of the document in markdown."""
    assert PANDOC
    done = subprocess.run(
        [PANDOC, "-f", "markdown-smart", "-t", extension, "-s", "-M", "title=Sample", "-o", "-"],
        input=markdown.markdown_page(document),
        capture_output=True,
        check=True,
        timeout=60,
    )
    return done.stdout
