"""Rewrites dialects of markdown as CommonMark, so that only their prose is left.

They are admonitions and tabs (`:::`, `!!!`, `===`, `> [!NOTE]`), MDX (imports and JSX tags),
includes (which are named, since they cannot be followed), attribute lists, and pictures that are
data. Code is never changed.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache, partial
from itertools import dropwhile
from textwrap import dedent

from dataset.conversion.markdown.includes import included_file, inclusion
from dataset.conversion.markdown.jsx import (
    JSX_TAG,
    end_of_mdx_code,
    jsx_elements,
    label_of_element,
    shown_attributes,
)
from dataset.conversion.markdown.template_tags import (
    closes_highlight,
    label_of_tag,
    opens_highlight,
    template_tag,
)
from dataset.markdown.reader import commonmark_parser
from dataset.markdown.syntax import CODE_SPAN, FENCE, closes_code
from dataset.markdown.writer import fenced_code, indent

_DIRECTIVE_INFO = re.compile(r"\{(?P<kind>[\w:-]{1,40})\}[ \t]*(?P<title>.*)")
_COLONS = re.compile(
    r"^(?P<indent>[ \t]*):{3,}[ \t]*(?:\{(?P<directive>[A-Za-z][\w-]*)\}|(?P<kind>[A-Za-z][\w-]*))?"
    r"(?:\[(?P<bracketed>[^\[\]]*)\])?[ \t]*(?P<title>[^{:]*?)[ \t]*"
    r"(?P<attributes>\{[^{}]*\})?[ \t]*:*$"
)
_CLASS = re.compile(r"(?<=[{\s])\.([A-Za-z][\w-]*)")
_TITLE = re.compile(r"""\btitle=["']([^"']*)["']""")
_ONLY_ATTRIBUTES = re.compile(r"""(?:[\w-]+=(?:"[^"]*"|'[^']*')[ \t]*)+""")
"""How Microsoft's documentation states what a container shows."""
_SOURCE = re.compile(r"""\bsource=["']([^"']+)["']""")
_COLONS_END = re.compile(r"^[ \t]*:{3,}[ \t]*$")
_DIRECTIVE_OPTION = re.compile(r"^[ \t]*:[\w-]+:(?:[ \t].*)?$")
_INDENTED = re.compile(
    r"^(?P<indent>[ \t]*)(?:!!!|\?\?\?\+?)[ \t]+(?P<kind>[A-Za-z][\w-]*)(?:[ \t]+[\w-]+)*"
    r'(?:[ \t]+"(?P<title>[^"]*)")?[ \t]*$'
)
_TAB = re.compile(r'^(?P<indent>[ \t]*)===[!+]?[ \t]+(?P<kind>)"(?P<title>[^"]*)"[ \t]*$')
_ALERT = re.compile(
    r"^(?P<quote>[ \t]*(?:>[ \t]?)+)\[!(?P<kind>\w{1,40})\][+-]?[ \t]*(?P<title>.*)$"
)
_NOTE_NAMES = """
    abstract attention bug caution check danger error example failure hint important info note
    question quote seealso success summary tip todo warning
"""
_NOTES = frozenset(_NOTE_NAMES.split())
_OTHER_NOTES = ("admonition", "dropdown", "versionadded", "versionchanged", "deprecated", "topic")
_MYST_CONTAINERS = frozenset((
    "tab-set", "tab-item", "grid", "grid-item", "grid-item-card", "card", "list-table", "table",
    "sidebar", "margin",
))  # fmt: skip
_CODE_DIRECTIVES = ("code", "code-block", "code-cell", "sourcecode")
_BOLD = re.compile(r"(?<!\w)\*\*(?=\S)(.+?)(?<=\S)\*\*(?!\w)")
_PRE = re.compile(r"^[ \t]*<pre\b", re.IGNORECASE)
_ATTRIBUTE_LIST = re.compile(r"^[ \t]*\{:[^{}]*\}[ \t]*$")
_DATA_DEFINITION = re.compile(r"^(?P<label> {0,3}\[[^\[\]]{1,200}\]:)[ \t]*<?data:\S*[ \t]*$")
_INLINE = re.compile(
    rf"""{CODE_SPAN}
    |!?\[(?P<words>[^\[\]]{{0,500}})\]\([\ \t]*<?data:[^()\[\]\s<>]*>?(?:[\ \t]+"[^"]*")?[\ \t]*\)
    |\{{/\*[^{{}}]{{0,2000}}?\*/\}}
    |\bdata:[\w/.+-]{{3,80}};base64,[A-Za-z0-9+/=]{{16,}}
    |{JSX_TAG.pattern}""",
    re.VERBOSE,
)
_MAY_HAVE_INLINE = re.compile(r"data:|\{/\*|</?[A-Z]")
_MAX_DEPTH = 20
"""Containers within containers; what is nested deeper stays as it is written."""


def standard_markdown(text: str) -> str:
    """Rewrite a text without its front matter as CommonMark."""
    return "\n".join(_rewritten(text.split("\n")))


def _rewritten(lines: Sequence[str], depth: int = 0) -> Iterator[str]:
    """Rewrite lines: fences and containers first, then what stands on a line of its own."""
    at = 0 if depth < _MAX_DEPTH else len(lines)
    yield from lines[:at]
    elements = jsx_elements(lines)
    indented_code = cache(partial(_indented_code, lines))  # it is seldom needed
    while at < len(lines):
        line = lines[at]
        if opening := FENCE.match(line):
            end = _end_of_fence(lines, at, opening["fence"])
            yield from _fenced(lines[at:end], opening, depth)
            at = end
        elif opening := _INDENTED.match(line) or _TAB.match(line):
            end = _end_of_indented(lines, at + 1, _width(opening["indent"]) + 1)
            body = dedent("\n".join(lines[at + 1 : end])).split("\n")
            yield from _labelled(opening["indent"], _label(opening), body, depth)
            at = end
        elif not _COLONS_END.match(line) and (opening := _COLONS.match(line)):
            at += 1
            while at < len(lines) and _DIRECTIVE_OPTION.match(lines[at]):
                at += 1
            source = _SOURCE.search(opening["title"]) if opening["kind"] == "code" else None
            if opening["directive"] in ("include", "literalinclude") and opening["title"]:
                yield inclusion(opening["title"])
            elif source:
                yield inclusion(source[1])
            else:
                yield from _labelled(opening["indent"], _label_of_colons(opening), [], depth)
        elif (opening := opens_highlight(line)) and (end := _end_of_highlight(lines, at)):
            code = fenced_code(dedent("\n".join(lines[at + 1 : end])), opening["language"])
            yield from indent(code, _width(opening["indent"])).split("\n")
            at = end + 1
        elif (tag := template_tag(line)) and at not in indented_code():
            yield from _labelled(tag["indent"], label_of_tag(tag), [], depth)
            at += 1
        elif element := elements.get(at):
            body = dedent("\n".join(lines[element.body])).split("\n")
            yield from _labelled("", element.label, body, depth)
            at = element.end
        elif end := end_of_mdx_code(lines, at):
            at = end
        elif _PRE.match(line):
            end = _end_of_pre(lines, at)
            yield from lines[at:end]
            at = end
        else:
            rewritten = list(_rewritten_line(line))
            is_code = rewritten != [line] and at in indented_code()
            yield from [line] if is_code else rewritten
            at += 1


def _indented_code(lines: Sequence[str]) -> set[int]:
    """The lines of code that is marked by its indentation alone."""
    tokens = commonmark_parser(inline=False).parse("\n".join(lines))
    code = (token.map for token in tokens if token.type == "code_block" and token.map)
    return {line for first, end in code for line in range(first, end)}


def _end_of_highlight(lines: Sequence[str], start: int) -> int:
    """The line that closes code to highlight; 0 if none does."""
    return next((at for at in range(start, len(lines)) if closes_highlight(lines[at])), 0)


def _end_of_pre(lines: Sequence[str], start: int) -> int:
    ends = (at for at in range(start, len(lines)) if "</pre" in lines[at].lower())
    return next(ends, start) + 1


def _rewritten_line(line: str) -> Iterator[str]:
    if _ATTRIBUTE_LIST.match(line) or line.strip() in ("<>", "</>"):
        return
    if defined := _DATA_DEFINITION.match(line):
        yield f"{defined['label']} <>"
    elif _COLONS_END.match(line):
        yield ""
    elif included := included_file(line):
        yield inclusion(included)
    elif alert := _ALERT.match(line):
        yield f"{alert['quote']}**{alert['title'] or alert['kind'].capitalize()}**"
    else:
        yield _INLINE.sub(_readable, line) if _MAY_HAVE_INLINE.search(line) else line


def _fenced(lines: Sequence[str], opening: re.Match[str], depth: int) -> Iterator[str]:
    """Keep a code block; unwrap a fenced directive of MyST that is no code."""
    directive = _DIRECTIVE_INFO.fullmatch(opening["info"].strip())
    if directive is None:
        yield from lines
    elif directive["kind"] in _CODE_DIRECTIVES:
        yield f"{opening['margin']}{opening['fence']}{directive['title']}"
        yield from dropwhile(_DIRECTIVE_OPTION.match, lines[1:])
    elif directive["kind"] in ("include", "literalinclude"):
        yield inclusion(directive["title"])
    elif directive["kind"] in _NOTES.union(_OTHER_NOTES, _MYST_CONTAINERS):
        body = list(dropwhile(_DIRECTIVE_OPTION.match, lines[1:]))
        last = FENCE.match(body[-1]) if body else None
        if last and closes_code(last, opening["fence"]):
            body.pop()
        name = "" if directive["kind"] in _MYST_CONTAINERS else directive["kind"].capitalize()
        yield from _labelled("", directive["title"] or name, body, depth)
    else:
        yield from lines


def _labelled(before: str, label: str, body: Sequence[str], depth: int) -> Iterator[str]:
    """A container as its label in bold and its rewritten content, indented as it was."""
    if label:
        plain = _BOLD.sub(r"\1", label)
        yield from ("", f"{before}{plain}" if "**" in plain else f"{before}**{plain}**")
    yield ""
    if body:
        yield from indent("\n".join(_rewritten(body, depth + 1)), _width(before)).split("\n")
        yield ""


def _label(opening: re.Match[str]) -> str:
    title: str | None = opening["title"]
    return _name_of_note(opening["kind"]) if title is None else title


def _label_of_colons(opening: re.Match[str]) -> str:
    """The title of a container between colons, else the kind of note that it is."""
    attributes, title = opening["attributes"] or "", opening["title"]
    if _ONLY_ATTRIBUTES.fullmatch(title):
        title = shown_attributes(title)
    stated, classes = _TITLE.search(attributes), _CLASS.findall(attributes)
    title = opening["bracketed"] or title or (stated[1] if stated else "")
    kind = opening["directive"] or opening["kind"] or next(iter(classes), "")
    return title or _name_of_note(kind)


def _name_of_note(kind: str) -> str:
    """The name of a kind of note; "" for other containers."""
    name = kind.lower().replace("-", " ").split()[-1:]
    return name[0].capitalize() if name and name[0] in _NOTES else ""


def _width(before: str) -> int:
    return len(before.expandtabs(4))


def _end_of_fence(lines: Sequence[str], start: int, fence: str) -> int:
    """The line after a code block's closing fence, its quotation, or the last line."""
    is_quoted = lines[start].lstrip().startswith(">")
    for at in range(start + 1, len(lines)):
        if is_quoted and not lines[at].lstrip().startswith(">"):
            return at
        if (found := FENCE.match(lines[at])) and closes_code(found, fence):
            return at + 1
    return len(lines)


def _end_of_indented(lines: Sequence[str], start: int, width: int) -> int:
    """The line after those that are blank or indented by at least `width` columns."""
    end = start
    for at in range(start, len(lines)):
        if lines[at].strip():
            if _width(lines[at]) - len(lines[at].expandtabs(4).lstrip()) < width:
                break
            end = at + 1
    return end


def _readable(found: re.Match[str]) -> str:
    """The text of inline code, a picture, a comment or a JSX tag."""
    if found["code"]:
        return found[0]
    if found["words"] is not None:
        return found["words"]
    if found["name"] is None:
        return ""
    is_jsx = found["end"] or found["single"] or "=" in found["attributes"]
    if not is_jsx and f"</{found['name']}>" not in found.string:
        return found[0]
    shown = label_of_element(found)
    followed = not found["single"] and found.string[found.end() :].strip()
    return f"{shown}: " if shown and followed else shown
