"""Converts reStructuredText: docutils makes HTML, which is converted to markdown.

`include`, `raw` and tables from files or addresses are disabled. The text of Sphinx's directives
and roles, which most real files use, is kept without Sphinx.
"""

import io

from dataset.conversion.error_texts import NO_TEXT
from dataset.conversion.html.reader import markdown_of
from dataset.conversion.html.tree import parse_html
from dataset.conversion.metadata import document_title
from dataset.conversion.plain_text import decode_text
from dataset.conversion.result import Converted
from dataset.conversion.rst_sphinx import register_unknown_names
from utils.errors import DocumentError

_SETTINGS = {
    "_disable_config": True,
    "embed_stylesheet": False,
    "file_insertion_enabled": False,
    "halt_level": 5,
    "doctitle_xform": False,
    "initial_header_level": 1,
    "input_encoding": "unicode",
    "line_length_limit": 1_000_000,
    "math_output": "LaTeX",
    "raw_enabled": False,
    "record_dependencies": None,
    "report_level": 3,
    "sectsubtitle_xform": False,
    "stylesheet_path": "",
    "syntax_highlight": "none",
    "warning_stream": io.StringIO(),
}
_ERROR = 3


def read_rst(content: bytes, _: str) -> Converted:
    """Convert a page of reStructuredText."""
    from docutils import nodes
    from docutils.core import publish_doctree, publish_from_doctree

    source = decode_text(content)
    register_unknown_names(source)
    tree = publish_doctree(source, settings_overrides=_SETTINGS)
    for message in list(tree.findall(nodes.system_message)):
        # docutils quotes what it cannot parse: keep the quotation, drop the message. A disabled
        # directive (a warning) is dropped with its text.
        unread = message["level"] >= _ERROR
        quoted = list(message.findall(nodes.literal_block)) if unread else []
        message.parent.replace(message, quoted)
    html = publish_from_doctree(tree, writer="html5", settings_overrides=_SETTINGS)
    text = markdown_of(parse_html(html.decode()).body)
    if not text.strip():
        raise DocumentError(NO_TEXT)
    return Converted(text, title=document_title(text, ""))
