"""Shows the active content of quotations as text, as uploaded documents may contain any."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from database.searching.passage import Passage
from inference_worker.answer import Citation, Unsupported
from inference_worker.grounding.active_content import ActiveContentFilter
from inference_worker.grounding.visible_text import visible
from inference_worker.quoting.extractive_answer import Quotation


@dataclass(frozen=True, slots=True)
class QuotedText:
    """A quoted answer's text, with the places of its citations and of its inactive content."""

    text: str
    citations: Sequence[Citation]
    inactive: Sequence[Unsupported]


def inactive_text(quotation: Quotation, passages: Sequence[Passage]) -> QuotedText:
    """Filter the text between a quotation's citations, and move their places accordingly."""
    source, at, text = quotation.text, 0, ""
    citations: list[Citation] = []
    inactive: list[Unsupported] = []
    for citation in (*quotation.citations, None):
        active = ActiveContentFilter(passages)
        part = active.feed(visible(source[at : citation.start if citation else None]))
        part += active.finish()
        for each in active.shown:
            moved = replace(each, start=each.start + len(text), end=each.end + len(text))
            inactive.append(moved)
        text += part
        if citation:
            marker, at = source[citation.start : citation.end], citation.end
            end = len(text) + len(marker)
            citations.append(replace(citation, start=len(text), end=end))
            text += marker
    return QuotedText(text, citations, inactive)
