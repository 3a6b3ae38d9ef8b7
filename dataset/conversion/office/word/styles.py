"""The styles of a Word file, with what each inherits from the style that it is based on."""

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from dataset.conversion.office.namespaces import W

_RAISED = 4
"""Half points above the line from which text is a superscript."""
_OFF = ("0", "false", "off")


class WordStyles:
    """Finds the properties of paragraphs and runs, direct ones and those of their styles."""

    def __init__(self, styles: Element | None) -> None:
        """Read the part `styles.xml`, if there is one."""
        self._styles: dict[str, Element] = {}
        self.default = ""
        for style in styles if styles is not None else ():
            identity = style.get(f"{W}styleId", "")
            if style.tag == f"{W}style" and identity not in self._styles:
                self._styles[identity] = style
                if style.get(f"{W}type") == "paragraph" and is_on(style.get(f"{W}default", "0")):
                    self.default = identity

    def chain(self, identity: str) -> Iterator[Element]:
        """Yield a style, and then the styles that it is based on."""
        seen: set[str] = set()
        while identity in self._styles and identity not in seen:
            seen.add(identity)
            style = self._styles[identity]
            yield style
            identity = value(style, "basedOn")

    def is_hidden(self, run: Element, paragraph_style: str) -> bool:
        """True for hidden text: it is set on the run, or by one of its two styles."""
        direct, by_styles = self._found(run, paragraph_style, "vanish")
        if direct is not None:
            return is_on(direct)
        return sum(is_on(stated) for stated in by_styles) == 1  # set by both, it is shown again

    def alignment(self, run: Element, paragraph_style: str) -> str:
        """The vertical alignment of a run: `superscript`, `subscript` or another word."""
        direct, by_styles = self._found(run, paragraph_style, "vertAlign")
        height = value(run, "rPr", "position")
        by_hand = height.isdecimal() and int(height[:4]) >= _RAISED
        return direct or next(iter(by_styles), "superscript" if by_hand else "")

    def _found(self, run: Element, paragraph_style: str, name: str) -> tuple[str | None, list[str]]:
        """A property's direct value, and its values in the style of characters and paragraph."""
        direct = run.find(f"{W}rPr/{W}{name}")
        own = value(run, "rPr", "rStyle")
        by_styles: list[str] = []
        for identity in (own, paragraph_style):
            stated = (style.find(f"{W}rPr/{W}{name}") for style in self.chain(identity))
            found = next((one for one in stated if one is not None), None)
            if found is not None:
                by_styles.append(found.get(f"{W}val", "1"))
        return None if direct is None else direct.get(f"{W}val", "1"), by_styles


def value(element: Element | None, *path: str) -> str:
    """The value of the element at the end of a path of names; "" if there is none."""
    found = None if element is None else element.find("/".join(f"{W}{name}" for name in path))
    return "" if found is None else found.get(f"{W}val", "")


def is_on(stated: str) -> bool:
    """Whether a switch is on that may be stated as `1`, `true` or nothing."""
    return stated not in _OFF
