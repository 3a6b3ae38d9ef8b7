"""Puts the name of each tab above its panel, so that a text states to which tab it belongs."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, pairwise

from dataset.conversion.html.element import Element

_TOGGLES = ("data-toggle", "data-bs-toggle")
TARGETS = ("aria-controls", "data-target", "data-bs-target")
"""Attributes of a control that name the element which it opens."""
_LABELS = ("aria-labelledby", "aria-labelled-by")
"""Attributes by which a panel states its tab; the second is Docsy's."""
_HIDING = ("hidden", "aria-hidden", "style")
_PANELS = ("div", "section", "article", "figure", "pre")
_TAB_CLASS = re.compile(r"(?:.*[-_])?tabs?(?:[-_].*)?")
_MAX_BETWEEN = 10
"""A row of tabs has few other neighbours before its panels."""


def name_panels(body: Element) -> None:
    """Move the names of tabs to their panels, and show these panels.

    A tab states its panel, or a panel its tab, or both have the same place in their rows. A list of
    tabs that contains the panels is read as it stands.
    """
    everything = list(body.walk())
    named = {element.get("id"): element for element in everything}
    named |= {element.get(name): element for element in everything for name in _LABELS}
    named.pop("", None)
    after = {one: beside for around in everything for one, beside in pairwise(around.elements())}
    for row, tabs in _rows(everything).items():
        stated = [next(_stated_panels(tab, named), None) for tab in tabs]
        panels = stated if any(stated) else _panels_after(row, len(tabs), after)
        uses = Counter(panels)
        for tab, panel in zip(tabs, panels, strict=False):
            if panel and uses[panel] == 1 and row not in panel.ancestors():
                _name(panel, tab)


def _rows(elements: Sequence[Element]) -> dict[Element, list[Element]]:
    """The tabs of each row: by their roles, as Bootstrap marks them, or labels of radio buttons."""
    radios = {element.get("id") for element in elements if element.get("type") == "radio"}
    called_tabs = {one for one in elements if any(map(_TAB_CLASS.fullmatch, one.classes()))}
    rows: dict[Element, list[Element]] = {}
    for element in elements:
        is_toggle = any(element.get(name) in ("tab", "pill") for name in _TOGGLES)
        is_label = element.tag == "label" and element.get("for") in radios
        is_button = element.tag == "button" and not called_tabs.isdisjoint(
            (element, element.parent)
        )
        is_tab = element.get("role") == "tab" or is_toggle or is_label or is_button
        if element.parent and is_tab:
            around = {above.get("role"): above for above in element.ancestors()}
            if "tab" not in around:
                rows.setdefault(around.get("tablist", element.parent), []).append(element)
    return rows


def _stated_panels(tab: Element, named: Mapping[str, Element]) -> Iterator[Element]:
    # A panel may state the tab instead. A link in the label of a radio button leads elsewhere.
    targets = (*TARGETS, "id") if tab.tag == "label" else (*TARGETS, "id", "href")
    for part in tab.walk():
        for name in targets:
            panel = named.get(part.get(name).removeprefix("#"))
            is_panel = panel and (panel.tag in _PANELS or panel.get("role") == "tabpanel")
            if panel and is_panel and panel not in (part, tab, *part.ancestors()):
                yield panel


def _panels_after(row: Element, count: int, after: Mapping[Element, Element]) -> list[Element]:
    """The panels that follow a row of tabs, if there are as many of them."""
    if row.get("role") != "tablist" and count < 2:
        return []
    # Radio buttons beside their labels are a question of a form.
    if any(below.get("type") == "radio" for below in row.walk()):
        return []
    while row.parent and row not in after and next(row.parent.elements()) is row:
        row = row.parent
    following = list(islice(_all_after(row, after), count + _MAX_BETWEEN))
    panels = [element for element in following if element.get("role") == "tabpanel"]
    if following and not panels:
        panels = [child for child in following[0].elements() if child.tag in _PANELS]
    return panels if len(panels) == count else []


def _all_after(element: Element, after: Mapping[Element, Element]) -> Iterator[Element]:
    while beside := after.get(element):
        yield beside
        element = beside


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
