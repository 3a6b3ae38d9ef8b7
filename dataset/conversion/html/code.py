"""Converts code blocks: their text unchanged, and the language they declare."""

import re
from itertools import islice

from dataset.conversion.html.element import Element
from dataset.markdown.writer import fenced_code

_LANGUAGE = re.compile(
    r"(?:language|lang|highlight-source|highlight|brush:?|sourcecode)[-:](?P<name>[\w+#.-]{1,30})"
)
_NO_LANGUAGE = frozenset((
    "default", "none", "text", "plain", "plaintext", "notranslate", "console-output",
    "nohighlight",
))  # fmt: skip
_BARE_LANGUAGES = frozenset((
    "bash", "c", "cpp", "csharp", "css", "diff", "dockerfile", "go", "html", "http", "ini",
    "java", "javascript", "js", "json", "json5", "kotlin", "latex", "lua", "makefile", "markdown",
    "perl", "php", "powershell", "properties", "python", "py", "r", "ruby", "rust", "scala", "sh",
    "shell", "sql", "swift", "toml", "ts", "typescript", "xml", "yaml", "yml",
))  # fmt: skip
_GUTTER = re.compile(
    r"(?:.*[-_])?(?:gutter|lnt?|line-?(?:no|num|number)s?)(?:[-_].*)?|hljs-ln-numbers"
)


def code_block(pre: Element) -> str:
    """Convert a `pre` element; "" for an empty one."""
    return fenced_code(_text(pre).strip("\n"), language_of(pre))


def language_of(pre: Element) -> str:
    """The language that a code block declares; "" if it does not."""
    codes = (child for child in pre.elements() if child.tag == "code")
    marked = [pre, *codes, *islice(pre.ancestors(), 2)]
    if "literal-block" in pre.classes() and pre.get("lang"):  # as docutils marks it
        return pre.get("lang")
    for at, element in enumerate(marked):
        stated = (f"lang-{element.get(key)}" for key in ("data-lang", "data-language"))
        for name in (*element.classes(), *stated):
            declared = _LANGUAGE.fullmatch(name)
            if declared and declared["name"] not in _NO_LANGUAGE:
                return declared["name"]
            if name in _BARE_LANGUAGES and at < len(marked) - 1:
                return name
    return ""


def is_line_number(element: Element) -> bool:
    """True for the numbers beside lines of code, or one of them."""
    is_gutter = any(map(_GUTTER.fullmatch, element.classes()))
    return is_gutter and not element.text().strip("0123456789.:| \n\u00a0")


def _text(element: Element) -> str:
    parts: list[str] = []
    for child in element.children:
        if isinstance(child, str):
            parts.append(child)
        elif child.tag == "br":
            parts.append("\n")
        elif not is_line_number(child):
            text = _text(child)
            own_line = child.tag in ("div", "p", "li", "tr") and not text.endswith("\n")
            parts.append(text + "\n" if own_line else text)
    return "".join(parts).replace("\u00a0", " ").replace("\u200b", "").replace("\r", "")
