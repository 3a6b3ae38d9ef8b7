"""Writes a sample document as an HTML page, and as XHTML for EPUB books.

HTML has many elements that a person reads as plain text. Each plain piece, and each block, is put
into the next of them.
"""

from collections.abc import Iterator
from html import escape
from itertools import cycle

from tests.files.documents.model import (
    ADDRESS,
    ALL_FEATURES,
    UNSEEN,
    Block,
    Cell,
    CodeBlock,
    Grid,
    Heading,
    Item,
    Line,
    Listing,
    Paragraph,
    Piece,
    SampleDocument,
)

FEATURES = ALL_FEATURES
_MARKS = {
    "emphasis": ("em", "i", "cite", "var", "dfn"),
    "strong": ("strong", "b"),
    "code": ("code", "kbd", "samp", "tt"),
    "superscript": ("sup",),
    "subscript": ("sub",),
}
_PLAIN = (
    "{}", "<span>{}</span>", "<u>{}</u>", "<small>{}</small>", "<mark>{}</mark>", "<ins>{}</ins>",
    "<abbr title='x'>{}</abbr>", "<time>{}</time>", "<data value='x'>{}</data>", "<big>{}</big>",
    "<font color=red>{}</font>", "<bdi>{}</bdi>", "<bdo dir=ltr>{}</bdo>", "<label>{}</label>",
    "<a id='place'>{}</a>", "<a href='#below'>{}</a>", "<span class='pre'>{}</span>", "<q>{}</q>",
    "<custom-element>{}</custom-element>", "<output>{}</output>", "{}<wbr>",
    f"{{}}<!-- {UNSEEN} -->", f"{{}}<span hidden>{UNSEEN}</span>",
    f"{{}}<span style='display: none'>{UNSEEN}</span>", f"{{}}<script>{UNSEEN}</script>",
    f"{{}}<template>{UNSEEN}</template>", "<nobr>{}</nobr>", "<ruby>{}</ruby>",
)  # fmt: skip
"""What a plain piece may be in."""
_SPACES = (" ", "\n    ", "&nbsp;", "<br>", " ", "&#8239;")
_BOXES = (
    "{}", "<div>{}</div>", "<section>{}</section>", "<aside>{}</aside>", "<article>{}</article>",
    "<details><summary>More</summary>{}</details>", "<details open>{}</details>",
    "<fieldset>{}</fieldset>", "<fieldset><legend>More</legend>{}</fieldset>", "<form>{}</form>",
    "<figure>{}</figure>", "<center>{}</center>", "<dl><dt>Term</dt><dd>{}</dd></dl>",
    "<div class='note'><p class='admonition-title'>Note</p>{}</div>",
    "<div class='warning'>{}</div>", "<div class='tab-content'>{}</div>",
    "<div role=tabpanel hidden>{}</div>", "<section role=note>{}</section>",
)  # fmt: skip
"""What a block may be in."""
_SECTIONS = (
    "", "id='install'", "id='feedback'", "id='sharing'", "id='cookies'", "id='pagination'",
    "id='related-links'", "id='newsletter'", "id='consent'", "id='ads'", "id='breadcrumbs'",
    "id='toc'", "id='social-login'", "id='line-numbers'", "class='share'", "class='section'",
)  # fmt: skip
"""The section of a heading; Sphinx makes its id of the heading's words."""


class HtmlWriter:
    """Writes blocks as HTML; without `variety`, in the plainest elements."""

    def __init__(self, *, variety: bool = True) -> None:
        self._plain = cycle(_PLAIN if variety else ("{}",))
        self._spaces = cycle(_SPACES if variety else (" ",))
        self._boxes = cycle(_BOXES if variety else ("{}",))
        self._sections = cycle(_SECTIONS if variety else ("",))
        self._marks = {mark: cycle(tags if variety else tags[:1]) for mark, tags in _MARKS.items()}

    def body(self, document: SampleDocument) -> str:
        """The content of a page, with the notes in a list at its end."""
        blocks = "\n".join(self._boxed(block) for block in document.blocks)
        notes = "\n".join(
            f'<li id="note-{number}"><p>{self.line(line)} <a href="#mark-{number}">↩</a></p></li>'
            for number, line in enumerate(document.notes, start=1)
        )
        return f'<section>{blocks}</section><section class="footnotes"><ol>{notes}</ol></section>'

    def _boxed(self, block: Block) -> str:
        if isinstance(block, Heading):
            return f"</section><section {next(self._sections)}>{self.block(block)}"
        return next(self._boxes).format(self.block(block))

    def block(self, block: Block) -> str:
        """One block, in no box."""
        match block:
            case Heading(level=level, line=line):
                return f"<h{level}>{self.line(line)}</h{level}>"
            case Paragraph(line=line, quoted=quoted):
                written = f"<p>{self.line(line)}</p>"
                return f"<blockquote>{written}</blockquote>" if quoted else written
            case CodeBlock(lines=lines):
                return f"<pre><code>{escape(chr(10).join(lines))}</code></pre>"
            case Listing(items=items, numbered=numbered):
                return self._list(items, "ol" if numbered else "ul")
            case Grid():
                return self._table(block)
        raise AssertionError(block)

    def _list(self, items: tuple[Item, ...], tag: str) -> str:
        written = (
            f"<li>{self.line(item.line)}{self._list(item.items, tag) if item.items else ''}</li>"
            for item in items
        )
        return f"<{tag}>{''.join(written)}</{tag}>"

    def _table(self, grid: Grid) -> str:
        head, *rows = (
            "".join(self._cell(cell, "td" if at else "th") for cell in row)
            for at, row in enumerate(grid.rows)
        )
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def _cell(self, cell: Cell, tag: str) -> str:
        return (
            f'<{tag} colspan="{cell.columns}" rowspan="{cell.rows}">{self.line(cell.line)}</{tag}>'
        )

    def line(self, line: Line) -> str:
        """The content of a paragraph."""
        return "".join(self._pieces(line))

    def _pieces(self, line: Line) -> Iterator[str]:
        for at, piece in enumerate(line):
            yield "" if piece.glued or not at else next(self._spaces)
            followed = at + 1 < len(line) and line[at + 1].glued
            yield self._piece(piece, bare=piece.glued or followed)
            if piece.note:
                number = piece.note
                yield f'<sup id="mark-{number}"><a href="#note-{number}">{number}</a></sup>'

    def _piece(self, piece: Piece, bare: bool) -> str:
        text = escape(piece.text)
        if piece.mark == "link":
            return f'<a href="{ADDRESS}">{text}</a>'
        if piece.mark in self._marks:
            tag = next(self._marks[piece.mark])
            return f"<{tag}>{text}</{tag}>"
        return text if bare else next(self._plain).format(text)


_PAGES = {
    "plain": f"<body><nav>{UNSEEN}</nav><main>{{}}</main><footer>{UNSEEN}</footer></body>",
    "a bare body": "<body>{}</body>",
    "Sphinx": (
        f'<body><div class="related" role="navigation"><ul><li>{UNSEEN}</ul></div>'
        '<div class="document"><div class="documentwrapper"><div class="bodywrapper">'
        '<div class="body" role="main">{}</div></div></div>'
        f'<div class="sphinxsidebar" role="navigation"><p>{UNSEEN}</p></div></div>'
        f'<div class="footer" role="contentinfo">{UNSEEN}</div></body>'
    ),
    "MkDocs": (
        f'<body><header class="md-header"><nav class="md-header__inner">{UNSEEN}</nav></header>'
        f'<div class="md-sidebar"><nav class="md-nav">{UNSEEN}</nav></div>'
        '<main class="md-main"><div class="md-content">'
        '<article class="md-content__inner md-typeset">{}</article></div></main>'
        f'<footer class="md-footer">{UNSEEN}</footer></body>'
    ),
}
"""Pages around the content, as hand and generators write them."""


def html_page(document: SampleDocument, *, page: str = "plain") -> bytes:
    """A page with what sites have around their content."""
    body = _PAGES[page].format(HtmlWriter().body(document))
    head = "<head><meta charset=utf-8><title>Sample</title></head>"
    return f"<!DOCTYPE html><html lang=en>{head}{body}</html>".encode()
