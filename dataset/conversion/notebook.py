"""Converts Jupyter notebooks: markdown as it is, code in fences, outputs that are text."""

import json
import re
from typing import Any

from dataset.conversion.error_texts import NO_TEXT, unreadable
from dataset.conversion.metadata import document_title
from dataset.conversion.result import Converted
from dataset.markdown.writer import fenced_code
from utils.errors import DocumentError

_MAX_OUTPUT_CHARACTERS = 20_000
"""Characters kept of one output; training logs reach megabytes."""
_TERMINAL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[@-_]")
_ATTACHMENT = re.compile(r"!\[([^\]]{0,500})\]\((?:attachment:|data:)[^)\s]*\)")


def read_notebook(content: bytes, _: str) -> Converted:
    """Convert a notebook (format 4, or 3 with its worksheets)."""
    try:
        book = json.loads(content)
    except ValueError as error:
        raise DocumentError(unreadable("ipynb")) from error
    cells = _cells(book)
    language = _language(book)
    blocks: list[str] = []
    for cell in cells:
        source = _joined(cell.get("source", cell.get("input", "")))
        kind = cell.get("cell_type")
        if kind == "code":
            blocks += [_fenced(source, language), *_outputs(cell)]
        elif kind == "heading":
            blocks.append(f"{'#' * min(max(int(cell.get('level', 1)), 1), 6)} {source.strip()}")
        elif kind == "markdown":
            blocks.append(_ATTACHMENT.sub(r"\1", source).strip())
        else:
            blocks.append(_fenced(source, ""))
    text = "\n\n".join(block for block in blocks if block.strip())
    if not text:
        raise DocumentError(NO_TEXT)
    stated = book.get("metadata", {}).get("title", "") if isinstance(book, dict) else ""
    title = document_title(text, stated if isinstance(stated, str) else "")
    return Converted(text + "\n", title=title)


def _cells(book: Any) -> list[dict[str, Any]]:
    found: list[Any] = []
    if isinstance(book, dict) and isinstance(book.get("cells"), list):
        found = book["cells"]
    elif isinstance(book, dict) and isinstance(book.get("worksheets"), list):
        sheets = (sheet for sheet in book["worksheets"] if isinstance(sheet, dict))
        found = [cell for sheet in sheets for cell in sheet.get("cells", [])]
    else:
        raise DocumentError(unreadable("ipynb"))
    return [cell for cell in found if isinstance(cell, dict)]


def _language(book: dict[str, Any]) -> str:
    about = book.get("metadata")
    for key, name in (("language_info", "name"), ("kernelspec", "language")):
        part = about.get(key) if isinstance(about, dict) else None
        value = part.get(name) if isinstance(part, dict) else None
        if isinstance(value, str) and re.fullmatch(r"[\w+#.-]{1,30}", value):
            return value.lower()
    return "python"


def _outputs(cell: dict[str, Any]) -> list[str]:
    outputs = cell.get("outputs")
    found = outputs if isinstance(outputs, list) else []
    return [_output(output) for output in found if isinstance(output, dict)]


def _output(output: dict[str, Any]) -> str:
    kind = output.get("output_type")
    if kind == "error":
        return _fenced(f"{output.get('ename', 'Error')}: {output.get('evalue', '')}", "")
    if kind == "stream":
        return _fenced(_joined(output.get("text", "")), "")
    data = output.get("data", output)
    if not isinstance(data, dict):
        return ""
    if markdown := _joined(data.get("text/markdown", "")):
        return _ATTACHMENT.sub(r"\1", markdown[:_MAX_OUTPUT_CHARACTERS]).strip()
    html = _joined(data.get("text/html", ""))
    if "<table" in html and len(html) < _MAX_OUTPUT_CHARACTERS * 10:
        from dataset.conversion.html.reader import markdown_of
        from dataset.conversion.html.tree import parse_html

        return markdown_of(parse_html(html).body).strip()
    plain = _joined(data.get("text/plain", data.get("text", "")))
    is_object = re.fullmatch(r"<[^<>]*(?:object|Figure|Axes|size)[^<>]*>", plain.strip())
    return "" if is_object else _fenced(plain, "")


def _fenced(text: str, language: str) -> str:
    text = _TERMINAL.sub("", text).replace("\0", "")
    lines = (line.rpartition("\r")[2] for line in text.replace("\r\n", "\n").split("\n"))
    body = "\n".join(lines)
    if len(body) > _MAX_OUTPUT_CHARACTERS and not language:
        body = f"{body[:_MAX_OUTPUT_CHARACTERS]}\n[... cut]"
    return fenced_code(body.strip("\n"), language)


def _joined(source: Any) -> str:
    if isinstance(source, list):
        return "".join(line for line in source if isinstance(line, str))
    return source if isinstance(source, str) else ""
