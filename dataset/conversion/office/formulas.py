"""Writes formulas of Office files in one line: `x^2`, `(a+b)/2`, `√(n)`."""

from xml.etree.ElementTree import Element

from dataset.conversion.office.namespaces import M


def formula_text(formula: Element | None) -> str:
    """The text of a formula or a part of one, whose structure parentheses and operators keep."""
    text, after_structure = "", False
    for child in formula if formula is not None else ():
        piece, is_structure = _piece(child), child.tag != f"{M}r"
        apart = is_structure or after_structure  # `2 1/2`, never `21/2`
        text += " " if apart and text[-1:].isalnum() and piece[:1].isalnum() else ""
        text, after_structure = text + piece, is_structure if piece else after_structure
    return text


def _piece(element: Element) -> str:
    """Write one structure; of an unknown one, its content."""

    def part(name: str) -> str:
        return formula_text(element.find(f"{M}{name}"))

    def stated(name: str, otherwise: str) -> str:
        found = element.find(f"{tag}Pr/{M}{name}")
        return otherwise if found is None else found.get(f"{M}val", "")

    def parts(name: str) -> list[str]:
        return [formula_text(one) for one in element.findall(f"{M}{name}")]

    tag = element.tag
    match tag.removeprefix(M):
        case "t":
            return element.text or ""
        case "f":
            bar = "¦" if stated("type", "") == "noBar" else "/"
            return f"{_grouped(part('num'))}{bar}{_grouped(part('den'))}"
        case "sSup" | "sSub" | "sSubSup":
            return _grouped(part("e")) + _scripts(part("sub"), part("sup"))
        case "sPre":
            return f"{_scripts(part('sub'), part('sup'))} {part('e')}"
        case "nary":
            return f"{stated('chr', '∫')}{_scripts(part('sub'), part('sup'))} {part('e')}"
        case "limLow" | "limUpp":
            low, high = (part("lim"), "") if tag == f"{M}limLow" else ("", part("lim"))
            return part("e") + _scripts(low, high)
        case "rad" if part("deg"):
            return f"({part('e')})^(1/{_grouped(part('deg'))})"
        case "rad":
            return f"√({part('e')})"
        case "d":
            inside = stated("sepChr", "|").join(parts("e"))
            return f"{stated('begChr', '(')}{inside}{stated('endChr', ')')}"
        case "func":
            return f"{part('fName')} {part('e')}"
        case "acc":
            return part("e") + stated("chr", "\u0302")
        case "bar":
            return part("e") + "\u0305"
        case "m":
            rows = (", ".join(formula_text(one) for one in row) for row in element.iter(f"{M}mr"))
            return f"({'; '.join(rows)})"
        case "eqArr":
            return "; ".join(parts("e"))
        case _:
            return formula_text(element)


def _scripts(low: str, high: str) -> str:
    return (f"_{_grouped(low)}" if low else "") + (f"^{_grouped(high)}" if high else "")


def _grouped(text: str) -> str:
    """Put parentheses around a text of several signs."""
    return text if text.isalnum() or not text else f"({text})"
