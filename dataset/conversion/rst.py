"""reStructuredText as markdown: docutils makes HTML, and that becomes markdown.

Neither `include`, `raw` nor a table from a file or an address is carried out. Sphinx's directives
and roles, which most real files use, are read for their text without Sphinx.
"""

import io
import re

from dataset.conversion.error_texts import no_text
from dataset.conversion.html.reader import markdown_of
from dataset.conversion.html.tree import parse_html
from dataset.conversion.metadata import document_title
from dataset.conversion.result import Converted
from dataset.conversion.rst_sphinx import read_unknown_names
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
_LINE_END = re.compile(r"\r\n?")


def read_rst(content: bytes, _: str) -> Converted:
    """Convert a page of reStructuredText.

    Raises:
        DocumentError: it is no text, or holds none.
    """
    from docutils import nodes
    from docutils.core import publish_doctree, publish_from_doctree

    try:
        source = _LINE_END.sub("\n", content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise DocumentError(f"not UTF-8 text (byte {error.start}); convert it") from error
    if "\0" in source:
        raise DocumentError(f"is no text: a NUL at byte {content.index(0)}")
    read_unknown_names(source)
    tree = publish_doctree(source, settings_overrides=_SETTINGS)
    for message in list(tree.findall(nodes.system_message)):
        # What docutils cannot read it quotes: the words stay, the complaint goes. What it was told
        # not to carry out (a warning) goes with its words.
        unread = message["level"] >= _ERROR
        quoted = list(message.findall(nodes.literal_block)) if unread else []
        message.parent.replace(message, quoted)
    html = publish_from_doctree(tree, writer="html5", settings_overrides=_SETTINGS)
    text = markdown_of(parse_html(html.decode()).body)
    if not text.strip():
        raise DocumentError(no_text())
    return Converted(text, title=document_title(text, ""))
