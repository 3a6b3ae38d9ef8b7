"""The process in which one file is parsed: bytes on stdin, one JSON object on stdout.

    python -m dataset.conversion.isolation.child FORMAT SECONDS MEMORY_BYTES OUTPUT_BYTES URL

Only the parser of that format is imported, and not before the limits hold.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from dataset.conversion.error_texts import too_deep, too_much_memory, too_much_text, unreadable
from dataset.conversion.isolation import sandbox
from dataset.conversion.result import Converted
from utils.errors import DocumentError

_READERS = {
    "html": ("html.reader", "read_html"),
    "pdf": ("pdf.reader", "read_pdf"),
    "docx": ("docx", "read_docx"),
    "pptx": ("pptx", "read_pptx"),
    "xlsx": ("xlsx", "read_xlsx"),
    "epub": ("epub", "read_epub"),
    "rst": ("rst", "read_rst"),
    "ipynb": ("notebook", "read_notebook"),
    "csv": ("delimited", "read_delimited"),
    "tsv": ("delimited", "read_delimited"),
}
"""The module under `dataset.conversion` and the function that read each format."""
_MAX_FRAMES = 3000
"""Python frames: what is nested deeper is refused, long before the C stack ends."""


def main(format_name: str, seconds: float, memory_bytes: int, output_bytes: int, url: str) -> str:
    """Convert what stands on stdin; the answer is one JSON object."""
    import json
    import mimetypes

    mimetypes.init()  # for docutils, while the machine's lists of them can be read
    try:
        content = sys.stdin.buffer.read()
        sys.setrecursionlimit(_MAX_FRAMES)
        sandbox.enter(seconds, memory_bytes, Path(__file__).resolve().parent.parent.parent)
        converted = _reader(format_name)(content, url)
        _check_size(converted.text, output_bytes)
    except DocumentError as error:
        return json.dumps({"refusal": str(error)})
    except MemoryError:
        return json.dumps({"refusal": too_much_memory(memory_bytes)})
    except RecursionError:
        return json.dumps({"refusal": too_deep()})
    except Exception:  # noqa: BLE001 (parsers raise anything; their words are not for a reader)
        return json.dumps({"refusal": unreadable(format_name)})
    return json.dumps(
        {
            "text": converted.text,
            "title": converted.title,
            "url": converted.url,
            "changed": converted.changed,
        },
        ensure_ascii=False,
    )


def _check_size(text: str, output_bytes: int) -> None:
    if len(text.encode(errors="replace")) > output_bytes:
        raise DocumentError(too_much_text(output_bytes))


def _reader(format_name: str) -> Callable[[bytes, str], Converted]:
    """Import the module that reads a format, and no other parser."""
    module, function = _READERS[format_name]
    reader: Callable[[bytes, str], Converted] = getattr(
        import_module(f"dataset.conversion.{module}"), function
    )
    return reader


if __name__ == "__main__":
    _, _name, _seconds, _memory, _output, _url = sys.argv
    _answer = main(_name, float(_seconds), int(_memory), int(_output), _url)
    sys.stdout.buffer.write(_answer.encode(errors="replace"))
