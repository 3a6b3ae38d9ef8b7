"""One table of a PDF."""

from dataclasses import dataclass

from dataset.conversion.pdf.drawing import Box


@dataclass(frozen=True, slots=True)
class Table:
    """A table and its area on the page."""

    markdown: str
    box: Box
