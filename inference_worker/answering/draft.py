"""An answer while it is being written."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from database.searching.passage import Findings, Passage
from inference_worker.answer import (
    EXTRACTIVE,
    Citation,
    Coverage,
    FinishReason,
    PassagesFound,
    SearchQuery,
    TokenUsage,
    Turn,
    Unsupported,
)
from inference_worker.grounding.active_content import without_active_content


@dataclass(slots=True)
class Draft:
    """An answer while it is being written."""

    question: str
    history: Sequence[Turn]
    query: str
    """The question, and the earlier ones that it continues."""
    findings: Findings
    """The first search's."""
    passages: list[Passage]
    """The passages to answer from: of the first search, then of further ones."""
    searches: list[SearchQuery]
    added: int = 0
    """The number of passages at the end of `passages` that the latest further search added."""
    has_failed_search: bool = False
    text: str = ""
    is_refusal: bool = False
    """The text is `not_covered_text`."""
    generator: str = EXTRACTIVE
    degraded_reason: str | None = None
    finish_reason: FinishReason = "stop"
    coverage: Coverage | None = None
    removed_citations: int = 0
    inactive: Sequence[Unsupported] = ()
    """The active content that the text shows as text."""
    quoted: Sequence[Citation] = ()
    """Of a text that quotes the passages."""
    usage: TokenUsage | None = None

    @property
    def found(self) -> PassagesFound:
        """The event for the passages so far."""
        return PassagesFound(replace(self.findings, passages=self.passages), tuple(self.searches))

    def shorten(self) -> None:
        """Remove half of the passages: of the earlier searches, which the model found lacking."""
        split = len(self.passages) - self.added
        earlier, added = self.passages[:split], self.passages[split:]
        if len(earlier) > 1:
            earlier = earlier[: len(earlier) // 2]
        else:
            added = added[: len(added) // 2]
        self.passages, self.added = earlier + added, len(added)


def not_covered_text(passages: Sequence[Passage], corpus_description: str) -> str:
    """The answer to a question that the documentation does not cover."""
    names = dict.fromkeys(passage.chunk.title for passage in passages)
    titles = [without_active_content(name) for name in names][:3]
    if not titles:
        return "No document matches what was asked for."
    pages = "pages are" if len(titles) > 1 else "page is"
    nearest = f"The nearest {pages} {', '.join(titles)}."
    return f"Nothing in {corpus_description} seems to answer this. {nearest}"


def document_names(passages: Sequence[Passage]) -> list[str]:
    """The passages' documents, unique, in the order of the passages."""
    return list(dict.fromkeys(passage.chunk.document for passage in passages))
