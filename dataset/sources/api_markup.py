"""Converts the HTML in botocore's service models to markdown.

The models document with paragraphs, lists, definition lists, notes, code and links. The text is
read and embedded as it is, so that only a `<` that would open a tag is escaped.
"""

import re
from functools import cache

from dataset.conversion.html.blocks import Blocks, definitions_of, holders_of
from dataset.conversion.html.element import Element
from dataset.conversion.html.inline import Inline
from dataset.conversion.html.tree import parse_html
from dataset.markdown.writer import indent

_API_PAGE = re.compile(
    r"/sagemaker/latest/(?:APIReference|dg)/API_(?:[\w-]+_)?(?P<name>[A-Za-z0-9]+)\.html"
)
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_TAG_START = re.compile(r"<(?=[A-Za-z/!?])")
_EMPTY_TAG = re.compile(r"<\w+/>")
_NOTE = re.compile(r"<(note|important)>(.*?)</\1>", re.DOTALL)
_SPACE_AFTER_LINK = re.compile(r"(?<=[`)*]) (?=[.,;:](?:\s|$))", re.MULTILINE)


@cache
def model_markdown(html: str) -> str:
    """Convert one piece of a model's documentation; many shapes share the same piece."""
    html = _NOTE.sub(r'<div class="\1">\2</div>', _EMPTY_TAG.sub("", html))
    body = parse_html(html).body
    for element in body.walk():
        if element.tag == "a" and element.parent and element.parent.tag != "code":
            _adapt_link(element)
    inline = Inline(escape=lambda text: _TAG_START.sub(r"\\<", text), escape_lines=str)
    blocks = _ModelBlocks(inline, holders_of(body)).write([body])
    return _SPACE_AFTER_LINK.sub("", "\n\n".join(blocks))


def _adapt_link(link: Element) -> None:
    """Write a link to another page of the API reference, or to nowhere, as that page's name."""
    label, target = link.words(), link.get("href").strip()
    page = _API_PAGE.search(target)
    if page and page["name"] not in label:
        link.children += [" (", Element("code", children=[page["name"]]), ")"]
    if (page and page["name"] == label) or (not target and _IDENTIFIER.fullmatch(label)):
        link.tag = "code"
    elif page or not target:
        link.tag = "span"


class _ModelBlocks(Blocks):
    """Writes lists without blank lines between their items."""

    def block(self, element: Element, in_item: bool) -> list[str]:
        """Write one block; lists in the models' own style."""
        if element.tag in ("ul", "ol"):
            items = [
                (f"{number}. " if element.tag == "ol" else "- ", self._inside(item.children))
                for number, item in enumerate(element.elements(), start=1)
            ]
        elif element.tag == "dl":
            items = []
            for terms, explanation in definitions_of(element):
                text = self._inside(explanation)
                gap = "\n" if text.startswith("- ") else " "
                items.append(("- ", f"**{self.inline.one_line(terms[0].children)}**:{gap}{text}"))
        else:
            return super().block(element, in_item)
        return ["\n".join(mark + indent(text, len(mark)).lstrip() for mark, text in items)]

    def _inside(self, content: list[Element | str]) -> str:
        return "\n\n".join(self.write(content, in_item=True))
