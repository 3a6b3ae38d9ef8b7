"""A client that renders markdown, with HTML and tables: what an answer would do there."""

from collections.abc import Iterator

from markdown_it import MarkdownIt
from markdown_it.token import Token

_RENDERER = MarkdownIt("commonmark", {"html": True}).enable("table")


def active_parts(markdown: str) -> list[str]:
    """The HTML, images and links that the client would make of a text; a link's is its address."""
    return [
        str(token.attrs["href"]) if token.type == "link_open" else token.content or token.type
        for token in _tokens(_RENDERER.parse(markdown))
        if token.type in ("html_inline", "html_block", "image", "link_open")
    ]


def shown_text(markdown: str) -> str:
    """The text that the client shows, without its markup."""
    kinds = ("text", "text_special", "code_inline", "fence", "code_block", "softbreak")
    tokens = (token for token in _tokens(_RENDERER.parse(markdown)) if token.type in kinds)
    return "".join(token.content or "\n" for token in tokens)


def _tokens(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from _tokens(token.children or [])
