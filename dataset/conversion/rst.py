"""Converts reStructuredText: docutils makes HTML, which is converted to markdown.

`include`, `raw` and tables from files or addresses are disabled. The text of Sphinx's directives
and roles, which most real files use, is kept without Sphinx.
"""

import io
import re
from typing import Any, cast

from docutils import nodes
from docutils.core import publish_doctree, publish_from_doctree
from docutils.parsers.rst import Directive, directives, roles
from docutils.parsers.rst.languages import en

from dataset.conversion.html.reader import markdown_of
from dataset.conversion.html.tree import parse_html
from dataset.conversion.metadata import titled_document
from dataset.conversion.plain_text import decode_text
from dataset.conversion.result import Converted

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
_DIRECTIVE = re.compile(
    r"^[ \t]*\.\.[ \t]+(?:\|[^|\n]+\|[ \t]+)?([\w:+.-]+?)[ \t]?::", re.MULTILINE
)
_ROLE = re.compile(r":([A-Za-z][\w:+.-]{0,60}):`|`:([A-Za-z][\w:+.-]{0,60}):")
_CODE = (
    "code", "code-block", "sourcecode", "math", "prompt", "ipython", "jupyter-execute", "doctest",
    "testcode", "testoutput", "console", "highlight-block", "productionlist",
)  # fmt: skip
_READ_ANEW = ("code", "code-block", "sourcecode", "math")
"""Directives that docutils has, but refuses with Sphinx's options."""
_UNSEEN = (
    "toctree", "index", "highlight", "currentmodule", "automodule", "autoclass", "autofunction",
    "automethod", "autosummary", "literalinclude", "module", "sectionauthor", "codeauthor",
    "tabularcolumns", "default-domain", "mermaid", "graphviz", "digraph", "plot", "testsetup",
    "testcleanup", "role",
)  # fmt: skip
_CONDITIONS = ("only", "ifconfig", "hlist", "rst-class", "cssclass")
"""Directives whose arguments are no text."""
_NOTES = {
    "seealso": "See also",
    "versionadded": "Added in version",
    "versionchanged": "Changed in version",
    "deprecated": "Deprecated since version",
}
_OBJECTS = re.compile(
    r"(?:\w+:)?(?:function|class|method|classmethod|staticmethod|attribute|data|exception|module"
    r"|property|decorator|option|envvar|confval|describe|object|cmdoption|type|macro|struct|enum)"
)
_TARGET = re.compile(r"(?P<words>.*?)\s*<(?P<target>[^<>]*)>", re.DOTALL)
_LITERAL_ROLES = re.compile(
    r"(?:\w+:)?(?:class|func|meth|mod|attr|data|exc|obj|const|option|envvar|file|command|program"
    r"|kbd|samp|keyword|token|makevar|mimetype|regexp|var|type|macro|member|struct|enum|cmdoption)"
)


class _AnyOptions(dict[str, Any]):
    """Accepts every option of a directive unchanged."""

    def __missing__(self, _: str) -> Any:
        return directives.unchanged


class _Sphinx(Directive):
    """A directive that docutils lacks: its text is kept, its effect is not."""

    optional_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec = _AnyOptions(name=directives.unchanged)

    def run(self) -> list[nodes.Node]:
        name = self.name.lower()
        argument, _, more = "".join(self.arguments).partition("\n")
        if name in _UNSEEN:
            return []
        if name in _CODE:
            lines = self.content or [argument]
            code = nodes.literal_block("\n".join(lines), "\n".join(lines))
            language = [f"language-{argument}"] if argument and name != "math" else []
            code["classes"] = ["code", *language]
            return [code]
        if name in _NOTES:
            return self._note(f"{_NOTES[name]} {argument}".strip(), more)
        if _OBJECTS.fullmatch(name):
            return self._object()
        shown = "" if name in _CONDITIONS else "".join(self.arguments)
        return [*self._paragraph(shown), *self._inside()]

    def _note(self, label: str, more: str) -> list[nodes.Node]:
        inside = [*self._paragraph(more), *self._inside()]
        start = nodes.strong("", f"{label}: " if inside else label)
        if inside and isinstance(inside[0], nodes.paragraph):
            inside[0].insert(0, start)
            return inside
        return [nodes.paragraph("", "", start), *inside]

    def _object(self) -> list[nodes.Node]:
        lines = "\n".join(self.arguments).split("\n")
        terms = [
            nodes.term("", "", nodes.literal("", line.strip())) for line in lines if line.strip()
        ]
        item = nodes.definition_list_item("", *terms[:1], nodes.definition("", *self._inside()))
        return [nodes.definition_list("", item)] if terms else self._inside()

    def _inside(self) -> list[nodes.Node]:
        box = nodes.Element()
        self.state.nested_parse(self.content, self.content_offset, box, match_titles=True)
        return list(box.children)

    def _paragraph(self, words: str) -> list[nodes.Node]:
        found, _ = self.state.inline_text(words, self.lineno)
        return [nodes.paragraph("", "", *found)] if words else []


def _role(
    name: str, rawtext: str, text: str, *_: Any, **__: Any
) -> tuple[list[nodes.Node], list[Any]]:
    """A role's text: the part before `<target>`, or the last name of `~a.b.C`."""
    plain = text.replace("\0", "")
    if titled := _TARGET.fullmatch(plain):
        plain = titled["words"] or titled["target"]
    elif plain.startswith("~"):
        plain = plain[1:].rpartition(".")[2]
    plain = plain.lstrip("!~")
    kind = nodes.literal if _LITERAL_ROLES.fullmatch(name.lower()) else nodes.inline
    return [kind(rawtext, plain)], []


def read_rst(content: bytes, _: str) -> Converted:
    """Convert a page of reStructuredText."""
    source = decode_text(content)
    _register_unknown_names(source)
    tree = publish_doctree(source, settings_overrides=_SETTINGS)
    for message in list(tree.findall(nodes.system_message)):
        # docutils quotes what it cannot parse: keep the quotation, drop the message. A disabled
        # directive (a warning) is dropped with its text.
        unread = message["level"] >= _ERROR
        quoted = list(message.findall(nodes.literal_block)) if unread else []
        message.parent.replace(message, quoted)
    html = publish_from_doctree(tree, writer="html5", settings_overrides=_SETTINGS)
    return titled_document(markdown_of(parse_html(html.decode()).body))


def _register_unknown_names(source: str) -> None:
    """Register the directives and roles of a page that docutils lacks."""
    for name in {found.lower() for found in _DIRECTIVE.findall(source)}:
        if name not in en.directives or name in _READ_ANEW:
            directives.register_directive(name, _Sphinx)
    for pair in _ROLE.findall(source):
        name = (pair[0] or pair[1]).lower()
        if name not in en.roles:
            roles.register_local_role(name, cast(Any, _role))
