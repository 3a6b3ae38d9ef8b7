"""Converts Jupyter notebooks: markdown as it is, code in fences, outputs that are text."""

import json
import re
from typing import Any

from dataset.conversion.error_texts import unreadable
from dataset.conversion.html.controls import without_controls
from dataset.conversion.html.reader import markdown_of
from dataset.conversion.html.tree import parse_html
from dataset.conversion.markdown.dialects import standard_markdown
from dataset.conversion.markdown.raw_html import converted_html
from dataset.conversion.metadata import titled_document
from dataset.conversion.result import Converted
from dataset.markdown.references import resolved_references
from dataset.markdown.syntax import closing_fence
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
    if not isinstance(book, dict) or not isinstance(metadata := book.get("metadata", {}), dict):
        raise DocumentError(unreadable("ipynb"))
    language = _language(metadata)
    blocks: list[str] = []
    for cell in _cells(book):
        source = _joined(cell.get("source", cell.get("input", "")))
        kind = cell.get("cell_type")
        if kind == "code":
            blocks += [_fenced(source, language), *map(_output, _dicts(cell.get("outputs")))]
        elif kind == "heading":
            blocks.append(f"{'#' * min(max(int(cell.get('level', 1)), 1), 6)} {source.strip()}")
        elif kind == "markdown":
            blocks.append(_markdown(source))
        else:
            blocks.append(_fenced(source, ""))
    text = "\n\n".join(block for block in blocks if block.strip())
    title = metadata.get("title")
    return titled_document(f"{text}\n", title if isinstance(title, str) else "")


def _markdown(source: str) -> str:
    """A cell of markdown; Jupyter renders each on its own, its open code and its labels too."""
    text = standard_markdown(_ATTACHMENT.sub(r"\1", source)).strip("\n")
    return converted_html(resolved_references(text + closing_fence(text))).strip()


def _cells(book: dict[str, Any]) -> list[dict[str, Any]]:
    cells, sheets = book.get("cells"), book.get("worksheets")
    if isinstance(cells, list):
        return _dicts(cells)
    if not isinstance(sheets, list):
        raise DocumentError(unreadable("ipynb"))
    return _dicts([cell for sheet in _dicts(sheets) for cell in sheet.get("cells", [])])


def _dicts(values: Any) -> list[dict[str, Any]]:
    return [one for one in values if isinstance(one, dict)] if isinstance(values, list) else []


def _language(metadata: dict[str, Any]) -> str:
    for key, name in (("language_info", "name"), ("kernelspec", "language")):
        part = metadata.get(key)
        value = part.get(name) if isinstance(part, dict) else None
        if isinstance(value, str) and re.fullmatch(r"[\w+#.-]{1,30}", value):
            return value.lower()
    return "python"


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
        return _markdown(markdown[:_MAX_OUTPUT_CHARACTERS])
    html = _joined(data.get("text/html", ""))
    plain = _joined(data.get("text/plain", data.get("text", "")))
    is_object = re.fullmatch(r"<[^<>]*(?:object|Figure|Axes|size)[^<>]*>", plain.strip())
    shown_as_html = "<table" in html or (html and is_object)
    if shown_as_html and len(html) < _MAX_OUTPUT_CHARACTERS * 10:
        return markdown_of(without_controls(parse_html(html).body)).strip()
    return _joined(data.get("text/latex", "")) if is_object else _fenced(plain, "")


def _fenced(text: str, language: str) -> str:
    text = _TERMINAL.sub("", text).replace("\0", "")
    lines = text.replace("\r\n", "\n").split("\n")
    body = "\n".join(line.rpartition("\r")[2] for line in lines)
    if len(body) > _MAX_OUTPUT_CHARACTERS and not language:
        body = f"{body[:_MAX_OUTPUT_CHARACTERS]}\n[... cut]"
    return fenced_code(body.strip("\n"), language)


def _joined(source: Any) -> str:
    if isinstance(source, list):
        return "".join(line for line in source if isinstance(line, str))
    return source if isinstance(source, str) else ""
