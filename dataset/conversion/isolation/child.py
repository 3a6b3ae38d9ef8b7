"""The process in which one file is parsed: bytes on stdin, one JSON object on stdout.

    python -m dataset.conversion.isolation.child FORMAT SECONDS MEMORY_BYTES OUTPUT_BYTES URL

Only the parser of that format is imported, and not before the limits hold.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from dataset.conversion.converted import Converted
from dataset.conversion.isolation import sandbox
from dataset.conversion.refusals import too_deep, too_much_memory, too_much_text, unreadable
from utils.errors import DocumentError

_MODULES = {
    "html": "dataset.conversion.html.reader",
    "pdf": "dataset.conversion.pdf.reader",
    "docx": "dataset.conversion.docx",
    "pptx": "dataset.conversion.pptx",
    "xlsx": "dataset.conversion.xlsx",
    "epub": "dataset.conversion.epub",
    "rst": "dataset.conversion.rst",
    "ipynb": "dataset.conversion.notebook",
    "csv": "dataset.conversion.delimited",
    "tsv": "dataset.conversion.delimited",
}
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
    """Import the one module that reads a format."""
    read: Callable[[bytes, str], Converted] = import_module(_MODULES[format_name]).read
    return read


if __name__ == "__main__":
    _, _name, _seconds, _memory, _output, _url = sys.argv
    _answer = main(_name, float(_seconds), int(_memory), int(_output), _url)
    sys.stdout.buffer.write(_answer.encode(errors="replace"))
