"""The HTML of botocore's service models as clean markdown.

The models write paragraphs, lists, definition lists, notes, code and links. Markdown escapes are
left out, for the text is read and embedded as it stands; only a `<` that would open a tag keeps
its backslash.
"""

import re
from functools import cache
from typing import Any

from dataset.markdown_writer import code

_API_PAGE = re.compile(
    r"/sagemaker/latest/(?:APIReference|dg)/API_(?:[\w-]+_)?(?P<name>[A-Za-z0-9]+)\.html"
)
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_ODD_SPACES = str.maketrans(
    {"\u00a0": " ", "\u202f": " ", "\u2028": " ", "\u200b": "", "\ufeff": ""}
)


@cache
def model_markdown(html: str) -> str:
    """Convert one piece of a model's documentation; the same piece stands in many places."""
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(html.translate(_ODD_SPACES), "html.parser")
    for definitions in soup.find_all("dl"):
        _as_list(soup, definitions)
    markdown: str = _converter().convert_soup(soup)
    lines = [_tidy(line) for line in markdown.splitlines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _tidy(line: str) -> str:
    """Take out the space that the models leave in a line and between a link and the full stop."""
    text = re.sub(r" {2,}", " ", line.strip())
    text = re.sub(r"(?<=[`)*]) (?=[.,;:](?:\s|$))", "", text)
    return line[: len(line) - len(line.lstrip())] + text if text else ""


def _as_list(soup: Any, definitions: Any) -> None:
    """Turn a definition list into a list whose items open with the term in bold."""
    definitions.name = "ul"
    for term in definitions.find_all("dt", recursive=False):
        explanation = term.find_next_sibling("dd")
        for paragraph in term.find_all("p"):
            paragraph.unwrap()
        term.name = "b"
        item = term.wrap(soup.new_tag("li"))
        if explanation is None:
            continue
        item.append(": ")
        if first := explanation.find("p", recursive=False):
            first.unwrap()
        item.extend(list(explanation.contents))
        explanation.decompose()


@cache
def _converter() -> Any:
    from markdownify import MarkdownConverter

    class Converter(MarkdownConverter):  # type: ignore[misc, unused-ignore]
        """markdownify, taught the models' own tags and ways of linking."""

        def escape(self, text: str, parent_tags: set[str]) -> str:
            return re.sub(r"<(?=[A-Za-z/!?])", r"\\<", text)

        def convert_note(self, el: Any, text: str, parent_tags: set[str]) -> str:
            return _callout("Note", text)

        def convert_important(self, el: Any, text: str, parent_tags: set[str]) -> str:
            return _callout("Important", text)

        def convert_code(self, el: Any, text: str, parent_tags: set[str]) -> str:
            before, inside, after = _split_edges(text)
            return f"{before}{code(' '.join(inside.split()))}{after}" if inside else ""

        def convert_a(self, el: Any, text: str, parent_tags: set[str]) -> str:
            if "_noformat" in parent_tags:
                return text
            before, label, after = _split_edges(text)
            return f"{before}{_link(label, (el.get('href') or '').strip())}{after}"

    return Converter(bullets="-", heading_style="atx")


def _split_edges(text: str) -> tuple[str, str, str]:
    """Part a text from the space around it, which stays outside the mark-up."""
    inside = text.strip()
    before = " " if text[:1].isspace() else ""
    return before, inside, " " if inside and text[-1:].isspace() else ""


def _callout(label: str, text: str) -> str:
    text = text.strip()
    gap = "\n\n" if text.startswith(("- ", "1. ")) else " "
    return f"\n\n{label}:{gap}{text}\n\n"


def _link(label: str, target: str) -> str:
    plain = label.strip("` ")
    if page := _API_PAGE.search(target):
        if plain == page["name"]:
            return code(plain)
        return label if page["name"] in label else f"{label} ({code(page['name'])})"
    if target and label:
        return f"[{label}]({target.replace(' ', '%20')})"
    return code(plain) if _IDENTIFIER.fullmatch(plain) else label
