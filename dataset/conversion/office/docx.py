"""Converts Word files: mammoth makes HTML by the styles, which is converted to markdown."""

import io
import re
from typing import Any

from dataset.conversion.html.reader import markdown_of
from dataset.conversion.html.tree import parse_html
from dataset.conversion.metadata import office_document
from dataset.conversion.office.word.elements import LABEL
from dataset.conversion.office.word.lists import number_lists
from dataset.conversion.office.word.package import word_package
from dataset.conversion.result import Converted
from dataset.conversion.zip_container import ZipContainer

_CODE_STYLE = re.compile(r"code|preformatted|source|listing|verbatim|console|macro", re.IGNORECASE)
_CODE_FONT = re.compile(r"courier|consolas|mono|menlo|monaco|typewriter", re.IGNORECASE)
_BLOCK, _INLINE = "Conversion Code Block", "Conversion Code"
_STYLES = "\n".join(
    [
        f"p[style-name='{_BLOCK}'] => pre:separator('\\n')",
        f"r[style-name='{_INLINE}'] => code",
        "p[style-name='Title'] => h1:fresh",
        "p[style-name='Subtitle'] => p:fresh",
        "p[style-name='Quote'] => blockquote > p:fresh",
        "p[style-name='Intense Quote'] => blockquote > p:fresh",
        *(f"p[style-name='heading {n}'] => h6:fresh" for n in (7, 8, 9)),
        *(f"p[style-name='Heading {n}'] => h6:fresh" for n in (7, 8, 9)),
        *(f"p[style-name='{name} {n}'] => !" for name in ("toc", "TOC") for n in range(1, 10)),
        "p[style-name='TOC Heading'] => !",
        *(
            f"p[style-name='List {kind} {n}'] => {'ul|ol > li > ' * (n - 1)}{tag} > li:fresh"
            for kind, tag in (("Bullet", "ul"), ("Number", "ol"))
            for n in (2, 3)
        ),
    ]
)  # fmt: skip


def read_docx(content: bytes, _: str) -> Converted:
    """Convert a Word file."""
    import mammoth  # type: ignore[import-untyped, unused-ignore]

    container = ZipContainer(content, "docx")
    container.check_xml()
    html = mammoth.convert_to_html(
        io.BytesIO(word_package(container)),
        style_map=_STYLES,
        include_embedded_style_map=False,
        external_file_access=False,
        convert_image=mammoth.images.img_element(lambda _: {}),
        transform_document=mammoth.transforms.paragraph(_marked_code),
    ).value
    body = parse_html(html).body
    number_lists(body)
    return office_document(container, markdown_of(body))


def _marked_code(paragraph: Any) -> Any:
    """Mark what is set in a monospaced font as code: Word has no other way to state it."""
    runs = [run for run in _runs(paragraph) if LABEL.sub("", _words(run)).strip()]
    named = bool(_CODE_STYLE.search(paragraph.style_name or ""))
    if runs and (named or all(_is_code(run) for run in runs)):
        return paragraph.copy(style_id=None, style_name=_BLOCK, numbering=None)
    marked = [
        child.copy(style_id=None, style_name=_INLINE)
        if hasattr(child, "font") and _is_code(child) and _words(child).strip()
        else child
        for child in paragraph.children
    ]
    return paragraph.copy(children=marked)


def _is_code(run: Any) -> bool:
    return bool(_CODE_FONT.search(run.font or "") or _CODE_STYLE.search(run.style_name or ""))


def _runs(element: Any) -> list[Any]:
    if hasattr(element, "font"):
        return [element]
    return [run for child in getattr(element, "children", []) for run in _runs(child)]


def _words(element: Any) -> str:
    value = getattr(element, "value", None)
    children = getattr(element, "children", [])
    return value if isinstance(value, str) else "".join(map(_words, children))
