"""The process in which one file is parsed: bytes on stdin, one JSON object on stdout.

    python -m dataset.conversion.isolation.child FORMAT SECONDS MEMORY_BYTES OUTPUT_BYTES URL

Only the parser of that format is imported, after the limits are set.
"""

import sys
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

from dataset.conversion.error_texts import TOO_DEEP, too_much_memory, too_much_text, unreadable
from dataset.conversion.isolation import sandbox
from dataset.conversion.result import Converted
from utils.errors import DocumentError

_READERS = {
    "html": ("html.reader", "read_html"),
    "markdown": ("markdown.raw_html", "read_raw_html"),
    "pdf": ("pdf.reader", "read_pdf"),
    "docx": ("office.docx", "read_docx"),
    "pptx": ("office.pptx", "read_pptx"),
    "xlsx": ("office.xlsx", "read_xlsx"),
    "epub": ("epub", "read_epub"),
    "rst": ("rst", "read_rst"),
    "ipynb": ("notebook", "read_notebook"),
    "csv": ("delimited", "read_delimited"),
    "tsv": ("delimited", "read_delimited"),
}
"""The module under `dataset.conversion` and the function that read each format."""
_MAX_FRAMES = 3000
"""Python frames: deeper nesting is refused, long before the C stack overflows."""


def main(format_name: str, seconds: float, memory_bytes: int, output_bytes: int, url: str) -> str:
    """Convert the file on stdin; the result is one JSON object, with `refusal` for an error."""
    import json
    import mimetypes

    mimetypes.init()  # for docutils, while the machine's MIME types can still be read
    try:
        content = sys.stdin.buffer.read()
        sys.setrecursionlimit(_MAX_FRAMES)
        sandbox.enter(seconds, memory_bytes, Path(__file__).resolve().parent.parent.parent)
        # Import the module that reads the format, and no other parser.
        module, function = _READERS[format_name]
        read = getattr(import_module(f"dataset.conversion.{module}"), function)
        converted: Converted = read(content, url)
        if len(converted.text.encode(errors="replace")) > output_bytes:
            return json.dumps({"refusal": too_much_text(output_bytes)})
    except DocumentError as error:
        return json.dumps({"refusal": str(error)})
    except MemoryError:
        return json.dumps({"refusal": too_much_memory(memory_bytes)})
    except RecursionError:
        return json.dumps({"refusal": TOO_DEEP})
    except Exception:  # noqa: BLE001 (parsers raise anything; their messages are for their authors)
        return json.dumps({"refusal": unreadable(format_name)})
    return json.dumps(asdict(converted), ensure_ascii=False)


if __name__ == "__main__":
    _, _name, _seconds, _memory, _output, _url = sys.argv
    _answer = main(_name, float(_seconds), int(_memory), int(_output), _url)
    sys.stdout.buffer.write(_answer.encode(errors="replace"))
