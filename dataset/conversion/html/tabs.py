"""Puts the name of each tab above its panel, so that a text states to which tab it belongs."""

from collections import Counter
from collections.abc import Iterator, Sequence

from dataset.conversion.html.element import Element

_TOGGLES = ("data-toggle", "data-bs-toggle")
_TARGETS = ("aria-controls", "data-target", "data-bs-target", "href")
"""Attributes by which a tab states its panel."""
_LABELS = ("aria-labelledby", "aria-labelled-by")
"""Attributes by which a panel states its tab; the second is Docsy's."""
_HIDING = ("hidden", "aria-hidden", "style")
_PANELS = ("div", "section", "article", "figure", "pre")


def name_panels(body: Element) -> None:
    """Move the names of tabs to their panels, and show these panels.

    A tab states its panel, or a panel its tab, or both have the same place in their rows. A list of
    tabs that contains the panels is read as it stands.
    """
    everything = list(body.walk())
    named = {element.get("id"): element for element in everything}
    named |= {element.get(name): element for element in everything for name in _LABELS}
    del named[""]
    for row, tabs in _rows(everything).items():
        stated = [next(_stated_panels(tab, named), None) for tab in tabs]
        panels = stated if any(stated) else _panels_after(row, len(tabs))
        uses = Counter(panels)
        for tab, panel in zip(tabs, panels, strict=False):
            if panel and uses[panel] == 1 and row not in panel.ancestors():
                _name(panel, tab)


def _rows(elements: Sequence[Element]) -> dict[Element, list[Element]]:
    """The tabs of each row: by their roles, as Bootstrap marks them, or labels of radio buttons."""
    radios = {element.get("id") for element in elements if element.get("type") == "radio"}
    rows: dict[Element, list[Element]] = {}
    for element in elements:
        is_toggle = any(element.get(name) in ("tab", "pill") for name in _TOGGLES)
        is_label = element.tag == "label" and element.get("for") in radios
        is_tab = element.get("role") == "tab" or is_toggle or is_label or _is_tab_button(element)
        if element.parent and is_tab:
            around = {above.get("role"): above for above in element.ancestors()}
            if "tab" not in around:
                rows.setdefault(around.get("tablist", element.parent), []).append(element)
    return rows


def _is_tab_button(element: Element) -> bool:
    """True for a button in a row that its class calls one of tabs."""
    return (
        element.tag == "button"
        and element.parent is not None
        and "tab" in f"{element.get('class')} {element.parent.get('class')}".lower()
    )


def _stated_panels(tab: Element, named: dict[str, Element]) -> Iterator[Element]:
    for part in tab.walk():
        for name in (*_TARGETS, "id"):
            panel = named.get(part.get(name).removeprefix("#"))
            if panel and panel not in (part, tab, *part.ancestors()):
                yield panel


def _panels_after(row: Element, count: int) -> list[Element]:
    """The panels that follow a row of tabs, if there are as many of them."""
    if row.get("role") != "tablist" and count < 2:
        return []
    while row.parent and len(list(row.parent.elements())) == 1:
        row = row.parent
    beside = list(row.parent.elements()) if row.parent else [row]
    following = beside[beside.index(row) + 1 :]
    panels = [element for element in following if element.get("role") == "tabpanel"]
    if following and not panels:
        panels = [child for child in following[0].elements() if child.tag in _PANELS]
    return panels if len(panels) == count else []


def _name(panel: Element, tab: Element) -> None:
    """Move a tab's name to the start of its panel, unless it starts with this name."""
    for attribute in _HIDING:
        panel.attributes.pop(attribute, None)
    lines = (one.words() for one in panel.walk() if not any(one.elements()))
    name = tab.words()
    tab.tag, tab.children = "button", []  # a control without text, which is dropped
    if name and next(filter(None, lines), "") != name:
        if panel.tag == "pre":
            panel.tag = "div"
            panel.children = [Element("pre", panel.attributes, panel.children, panel)]
        strong = Element("strong", children=[name])
        panel.children.insert(0, Element("p", children=[strong], parent=panel))
