"""What the tests of HTML conversion share."""

from dataset.conversion.html.reader import read_html
from dataset.conversion.result import Converted


def converted(html: str, url: str = "") -> Converted:
    return read_html(html.encode(), url)


def text_of(html: str, url: str = "") -> str:
    return converted(html, url).text.strip()
