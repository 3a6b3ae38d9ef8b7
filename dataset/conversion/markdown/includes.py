"""Names the files that a page includes, since they cannot be followed."""

import re

_INCLUDES = tuple(
    map(
        re.compile,
        (
            r'^[ \t]*;?-+8<-+[ \t]*"(?P<file>[^"]+)"[ \t]*$',  # Python Markdown
            r"^[ \t]*\{!>?[ \t]*(?P<file>[^!{}]+?)[ \t]*!\}[ \t]*$",
            r"^[ \t]*\{\{[<%][ \t]*include[ \t]+\"?(?P<file>[^\"{}<>%]+?)\"?[ \t]*[%>]\}\}[ \t]*$",
            r"^[ \t]*\{%-?[ \t]*include\w*[ \t]+[\"']?(?P<file>[^\"'{}%\s]+).*%\}[ \t]*$",
            r"^[ \t]*\{\{#include[ \t]+(?P<file>[^{}]+?)[ \t]*\}\}[ \t]*$",  # mdBook
            r"^[ \t]*<<<[ \t]+@?/?(?P<file>\S+).*$",  # VitePress
            r"^[ \t]*<!--[ \t]*@include:[ \t]*(?P<file>\S+)[ \t]*-->[ \t]*$",
            r"^[ \t>]*\[!INCLUDE[ \t]*\[[^\[\]]*\]\((?P<file>[^()]+)\)\][ \t]*$",  # Microsoft
        ),
    )
)


def included_file(line: str) -> str:
    """The file that a line includes; "" for other lines."""
    found = next(filter(None, (pattern.match(line) for pattern in _INCLUDES)), None)
    return found["file"] if found else ""


def inclusion(file: str) -> str:
    """The sentence that stands for an included file."""
    return f"(This page includes {file.strip()}, which is not part of it.)"
