"""What the tests of PDF conversion share."""

from dataset.conversion.pdf.reader import read_pdf


def text_of(content: bytes) -> str:
    return read_pdf(content, "").text.strip()
