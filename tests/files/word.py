"""Word files of hand-written XML, for what the usual library does not write."""
# The library that makes the files ships no types.
# mypy: disable-error-code="import-untyped"

import io
import re
import zipfile

from tests.files.hostile import repacked
from tests.files.office import saved

_OFFICE = "http://schemas.openxmlformats.org"
_URIS = {
    "w": f"{_OFFICE}/wordprocessingml/2006/main",
    "r": f"{_OFFICE}/officeDocument/2006/relationships",
    "m": f"{_OFFICE}/officeDocument/2006/math",
    "a": f"{_OFFICE}/drawingml/2006/main",
    "c": f"{_OFFICE}/drawingml/2006/chart",
    "dgm": f"{_OFFICE}/drawingml/2006/diagram",
    "wp": f"{_OFFICE}/drawingml/2006/wordprocessingDrawing",
    "mc": f"{_OFFICE}/markup-compatibility/2006",
    "wps": "http://schemas.microsoft.com/office/word/2010/wordprocessingShape",
    "w14": "http://schemas.microsoft.com/office/word/2010/wordml",
    "v": "urn:schemas-microsoft-com:vml",
}
NAMESPACES = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in _URIS.items())
_NAMED = re.compile(
    rb"http://schemas\.openxmlformats\.org/"
    rb"(wordprocessingml|spreadsheetml|presentationml|drawingml|officeDocument)/2006/"
)


def word_of(body: str, **parts: str) -> bytes:
    """A Word file whose text is `body`; `parts` are the contents of `word/NAME.xml`."""
    from docx import Document

    document = f"<w:document {NAMESPACES}><w:body>{body}</w:body></w:document>"
    changes = {f"word/{name}.xml": part.encode() for name, part in parts.items()}
    return repacked(saved(Document()), {"word/document.xml": document.encode(), **changes})


def run(text: str, properties: str = "") -> str:
    """A run of text."""
    text = f'<w:t xml:space="preserve">{text}</w:t>'
    return f"<w:r><w:rPr>{properties}</w:rPr>{text}</w:r>"


def paragraph(content: str, properties: str = "") -> str:
    """A paragraph of runs, or of plain text."""
    content = content if content.startswith("<") else run(content)
    return f"<w:p><w:pPr>{properties}</w:pPr>{content}</w:p>"


def table(*rows: str) -> str:
    """A table of rows."""
    return f"<w:tbl>{''.join(rows)}</w:tbl>"


def row(*cells: str, properties: str = "") -> str:
    """A row of cells."""
    return f"<w:tr><w:trPr>{properties}</w:trPr>{''.join(cells)}</w:tr>"


def cell(content: str, properties: str = "") -> str:
    """A cell of blocks, or of plain text."""
    content = content if content.startswith("<") else paragraph(content)
    return f"<w:tc><w:tcPr>{properties}</w:tcPr>{content}</w:tc>"


def field(code: str, result: str, data: str = "") -> str:
    """A complex field; `code` and `result` are text or runs."""
    code = code if code.startswith("<") else f"<w:r><w:instrText>{code}</w:instrText></w:r>"
    result = result if result.startswith("<") else run(result)
    begin = f'<w:r><w:fldChar w:fldCharType="begin">{data}</w:fldChar></w:r>'
    middle, end = (
        f'<w:r><w:fldChar w:fldCharType="{kind}"/></w:r>' for kind in ("separate", "end")
    )
    return begin + code + middle + result + end


def numbering(*content: str) -> str:
    """The part `numbering.xml`: definitions, then lists."""
    return f"<w:numbering {NAMESPACES}>{''.join(content)}</w:numbering>"


def level(depth: int, kind: str, text: str, more: str = "") -> str:
    """The definition of a level of a list."""
    return (
        f'<w:lvl w:ilvl="{depth}"><w:start w:val="1"/><w:numFmt w:val="{kind}"/>{more}'
        f'<w:lvlText w:val="{text}"/></w:lvl>'
    )


def definition(identity: int, *levels: str) -> str:
    """The definition of a list, to which lists refer."""
    return f'<w:abstractNum w:abstractNumId="{identity}">{"".join(levels)}</w:abstractNum>'


def list_of(identity: int, definition_identity: int, override: str = "") -> str:
    """A list by its definition."""
    defined = f'<w:abstractNumId w:val="{definition_identity}"/>'
    return f'<w:num w:numId="{identity}">{defined}{override}</w:num>'


def item(text: str, identity: int, depth: int = 0) -> str:
    """A paragraph in a list."""
    listed = f'<w:ilvl w:val="{depth}"/><w:numId w:val="{identity}"/>'
    return paragraph(text, f"<w:numPr>{listed}</w:numPr>")


def strict(package: bytes) -> bytes:
    """The same Office file in the namespaces of Strict Open XML."""
    with zipfile.ZipFile(io.BytesIO(package)) as parts:
        texts = {
            name: parts.read(name) for name in parts.namelist() if name.endswith((".xml", ".rels"))
        }
    renamed = {
        name: _NAMED.sub(rb"http://purl.oclc.org/ooxml/\1/", one) for name, one in texts.items()
    }
    return repacked(package, renamed)
