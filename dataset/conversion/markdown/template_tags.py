"""Reads the tags of templates that stand on lines of their own: `{% tab %}`, `{{< note >}}`.

GitBook, Jekyll and Hugo have them; tags with other names may be what a page is about, and stay.
"""

import re

from dataset.conversion.markdown.jsx import shown_attributes

_START = r"(?P<indent>[ \t]*)\{(?:%-?|\{[<%])[ \t]*"
_TAG = re.compile(
    rf"{_START}(?P<end>/|end)?(?P<name>[a-z][\w-]*)(?![\w-])(?P<attributes>[^{{}}]*)"
    r"(?<=[%>])\}{1,2}[ \t]*"
)
_NOTE_NAMES = """
    attention caution danger error hint important info note notice success tip warning
"""
_TITLED_NAMES = "alert callout code content-ref details expand pageinfo step tab"
_NOTES = frozenset(_NOTE_NAMES.split())
_TITLED = frozenset(_TITLED_NAMES.split())
_GROUPS = frozenset(("columns", "steps", "stepper", "tabpane", "tabs"))
_NAMED_BY_WORDS = ("details", "tab")
"""Tags whose title may be without quotes."""
_QUOTED = re.compile(r"""[\s,](?:"([^"]+)"|'([^']+)')""")
_KIND = re.compile(r"\b(?:style|type|color)=\"?([a-z]+)")
_HIGHLIGHT = re.compile(
    rf"{_START}highlight[ \t]+(?P<language>[\w+#.-]+)(?![\w+#.-])[^{{}}]*\}}+[ \t]*"
)
_END_OF_HIGHLIGHT = re.compile(rf"{_START}(?:/|end)highlight[^{{}}]*\}}+[ \t]*")


def template_tag(line: str) -> re.Match[str] | None:
    """Match a line that is a tag of a note, tab or other container."""
    found = _TAG.fullmatch(line)
    return found if found and found["name"] in _NOTES | _TITLED | _GROUPS else None


def opens_highlight(line: str) -> re.Match[str] | None:
    """Match a line that opens code to highlight."""
    return _HIGHLIGHT.fullmatch(line)


def closes_highlight(line: str) -> bool:
    """True for a line that closes code to highlight."""
    return _END_OF_HIGHLIGHT.fullmatch(line) is not None


def label_of_tag(tag: re.Match[str]) -> str:
    """The title of a container, else the kind of note that it is; "" for other tags."""
    if tag["end"] or tag["name"] in _GROUPS:
        return ""
    title = shown_attributes(tag["attributes"])
    if not title and (quoted := _QUOTED.search(tag["attributes"])):
        title = quoted[1] or quoted[2]
    if not title and tag["name"] in _NAMED_BY_WORDS:
        words = tag["attributes"].rstrip("%>-/ \t").split()
        title = " ".join(word for word in words if "=" not in word)
    kinds = [*_KIND.findall(tag["attributes"]), *tag["attributes"].split(), tag["name"]]
    kind = next((kind for kind in kinds if kind in _NOTES), "")
    return title or kind.capitalize()
