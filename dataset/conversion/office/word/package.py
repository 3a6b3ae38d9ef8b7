"""Packs the rewritten text of a Word file for mammoth, under the names that it expects."""

import io
import zipfile
from collections.abc import Mapping
from functools import partial
from xml.etree import ElementTree

from dataset.conversion.office.namespaces import W
from dataset.conversion.office.word.numbering import WordNumbering
from dataset.conversion.office.word.styles import WordStyles
from dataset.conversion.office.word.text import WordText
from dataset.conversion.zip_container import Relationship, ZipContainer

_PACKAGE = "{http://schemas.openxmlformats.org/package/2006/relationships}"
_LISTS = "".join(
    [
        f'<w:numbering xmlns:w="{W[1:-1]}"><w:abstractNum w:abstractNumId="1">',
        *(f'<w:lvl w:ilvl="{n}"><w:numFmt w:val="bullet"/></w:lvl>' for n in range(9)),
        '</w:abstractNum><w:num w:numId="1"><w:abstractNumId w:val="1"/></w:num></w:numbering>',
    ]
)
"""The part `numbering.xml`: one list of bullets, since paragraphs state their own numbers."""
_TEXTS = {"document", "footnotes", "endnotes"}
_DEFINITIONS = {"styles", "numbering"}


def word_package(container: ZipContainer) -> bytes:
    """A Word file with the same text, links and styles, and nothing else."""
    top = container.relationships("").values()
    main = (one.target for one in top if one.kind == "officeDocument")
    names = {"document": next(main, "word/document.xml")}
    for one in container.relationships(names["document"]).values():
        if not one.external and one.target in container.names:
            names.setdefault(one.kind, one.target)
    for kind in _TEXTS | _DEFINITIONS:
        if (usual := f"word/{kind}.xml") in container.names:
            names.setdefault(kind, usual)
    found = {kind: container.xml(names[kind]) for kind in (*_TEXTS, *_DEFINITIONS) if kind in names}
    styles = WordStyles(found.get("styles"))
    for kind in found.keys() & _TEXTS:
        numbering = WordNumbering(found.get("numbering"), styles)
        WordText(styles, numbering, partial(_linked, container, names[kind])).rewrite(found[kind])
    for style in found.get("styles", ()):
        style[:] = style.findall(f"{W}name")  # all that mammoth reads of the largest part
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as package:
        package.writestr("word/numbering.xml", _LISTS)
        for kind in found.keys() - {"numbering"}:
            package.writestr(f"word/{kind}.xml", ElementTree.tostring(found[kind], "utf-8"))
            links = _written(container.relationships(names[kind]))
            package.writestr(f"word/_rels/{kind}.xml.rels", links)
    return packed.getvalue()


def _linked(container: ZipContainer, name: str, identity: str) -> ElementTree.Element | None:
    """A part to which another refers; None if it is missing or outside of the file."""
    link = container.relationships(name).get(identity)
    is_here = link is not None and not link.external and link.target in container.names
    return container.xml(link.target) if link and is_here else None


def _written(links: Mapping[str, Relationship]) -> bytes:
    written = ElementTree.Element(f"{_PACKAGE}Relationships")
    for identity, link in links.items():
        about = {"Id": identity, "Type": link.kind, "Target": link.target}
        written.append(ElementTree.Element(f"{_PACKAGE}Relationship", about))
    return ElementTree.tostring(written)
