"""Writes a sample document as a Jupyter notebook; its code and tables are outputs, too."""

import json
from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Any

from tests.files.documents.html import HtmlWriter
from tests.files.documents.markdown import MarkdownWriter
from tests.files.documents.model import CodeBlock, Grid, SampleDocument

_CELLS = ("code", "stream", "plain", "raw", "error")


def notebook(document: SampleDocument) -> bytes:
    """A notebook of format 4.5."""
    about = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}}
    book = {"cells": list(_cells(document)), "metadata": about, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(book).encode()


def _cells(document: SampleDocument) -> Iterator[dict[str, Any]]:
    kinds = cycle(_CELLS)
    writer, html = MarkdownWriter(), HtmlWriter(variety=False)
    for block in document.blocks:
        match block:
            case CodeBlock(lines=lines):
                yield _code_cell(lines, next(kinds))
            case Grid():
                yield _output({"text/html": html.block(block), "text/plain": "x"})
            case _:
                yield _markdown(writer.text(SampleDocument((block,))))
    if document.notes:
        yield _markdown(writer.text(SampleDocument((), document.notes)))


def _markdown(text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": text.splitlines(keepends=True)}


def _code_cell(lines: Sequence[str], kind: str) -> dict[str, Any]:
    text = "\n".join(lines)
    match kind:
        case "raw":
            return {"cell_type": "raw", "metadata": {}, "source": text}
        case "stream":
            return _ran({"output_type": "stream", "name": "stdout", "text": text})
        case "plain":
            return _output({"text/plain": text.splitlines(keepends=True)})
        case "error":
            return _ran({"output_type": "error", "ename": "E", "evalue": text, "traceback": []})
    return {**_ran(), "source": text}


def _output(data: dict[str, Any]) -> dict[str, Any]:
    return _ran({"output_type": "display_data", "data": data, "metadata": {}})


def _ran(*outputs: dict[str, Any]) -> dict[str, Any]:
    """A code cell that ran."""
    about = {"cell_type": "code", "metadata": {}, "execution_count": 1}
    return {**about, "source": "", "outputs": list(outputs)}
