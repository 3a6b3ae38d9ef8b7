"""Reads the fields of Word files: which of their text is shown, and what forms state."""

from xml.etree.ElementTree import Element

from dataset.conversion.office.namespaces import W
from dataset.conversion.office.word.styles import is_on, value


def drop_field_codes(paragraph: Element) -> None:
    """Drop text in the code of a field, such as the result of another field within it."""
    fields: list[list[tuple[Element, Element]] | None] = []  # the text in each code; None after it
    for run in list(paragraph.iter(f"{W}r")):
        for child in list(run):
            kind = child.get(f"{W}fldCharType") if child.tag == f"{W}fldChar" else ""
            if kind == "begin":
                fields.append([])
            elif kind in ("separate", "end") and fields:
                for holder, text in fields.pop() or ():
                    if text in holder:
                        holder.remove(text)
                if kind == "separate":
                    fields.append(None)
            elif child.tag == f"{W}t":
                outermost = next((code for code in fields if code is not None), [])
                outermost.append((run, child))


def form_state(mark: Element) -> str:
    """What a form's checkbox or list shows; "" for other fields."""
    checkbox = mark.find(f"{W}ffData/{W}checkBox")
    if checkbox is not None:
        stated = checkbox.find(f"{W}checked")
        stated = checkbox.find(f"{W}default") if stated is None else stated
        return "☐" if stated is None or not is_on(stated.get(f"{W}val", "1")) else "☒"
    entries = mark.findall(f"{W}ffData/{W}ddList/{W}listEntry")
    chosen = value(mark, "ffData", "ddList", "result") or value(mark, "ffData", "ddList", "default")
    at = int(chosen) if chosen.isdecimal() else 0
    return entries[at].get(f"{W}val", "") if at < len(entries) else ""
