"""Checks an answer against its passages, without another LLM call.

The rules:
- A citation belongs to the sentence it is in or directly follows. A citation in the lead-in of a
  list or table (a sentence ending in a colon), or in the item above an indented one, also covers
  what is below. One at the end of a paragraph covers only its last sentence.
- A citation is misplaced if its sentence contains checkable items, no passage that the sentence
  cites contains any of them, and another passage contains some.
- Passages are ordered by use: a citation counts one for its passage, a misplaced citation one for
  each passage that contains the items. Ties are in order of first citation.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from database.searching.passage import Passage
from inference_worker.answer import Citation, Grounding, MisplacedCitation, Unsupported
from inference_worker.grounding.answer_parts import parse_answer, strip_invisible
from inference_worker.grounding.checkable_items import Item
from inference_worker.grounding.evidence import PassageEvidence
from inference_worker.grounding.excerpts import Excerpts
from inference_worker.grounding.statements import Marker, Statement

_MAX_ITEMS = 40
"""Of a statement, for choosing its citation's quote."""


def ground(text: str, passages: Sequence[Passage], question: str = "") -> Grounding:
    """Check an answer whose citations are clean: `[n]` in it cites the n-th passage.

    The answer may repeat what the question contains. `removed_citations` stays 0, as only the
    citation filter knows it.
    """
    # Split the answer into statements with their citations and checkable items
    shown, places = strip_invisible(text)
    statements, items = parse_answer(shown, len(passages))
    # Look the items up in the passages
    evidence = [PassageEvidence(_evidence_text(passage)) for passage in passages]
    check = _Check(evidence, PassageEvidence(question))
    excerpts = Excerpts([passage.text for passage in passages])
    markers = [marker for each in statements for marker in each.markers]
    misplaced = {
        marker: found_in
        for each in statements
        if (found_in := check.found_elsewhere(each))
        for marker in each.markers
    }

    def span(part: Item | Marker) -> tuple[int, int]:
        return places[part.start], places[part.end - 1] + 1

    # Choose quotes, once per statement and passage: an answer may repeat a citation many times
    citations = []
    for each in statements:
        quotes = {
            number: excerpts.nearest(each.full_text, each.items[:_MAX_ITEMS], number - 1)
            for number in {marker.number for marker in each.markers}
        }
        citations += [Citation(m.number, *span(m), quote=quotes[m.number]) for m in each.markers]

    return Grounding(
        citations=citations,
        used=_used(markers, misplaced),
        misplaced=[
            MisplacedCitation(marker.number, *span(marker), found_in)
            for marker, found_in in misplaced.items()
        ],
        unsupported=[
            Unsupported(item.kind, text[slice(*span(item))], *span(item))
            for item in check.unsupported(items)
        ],
        uncited_sentences=sum(
            each.is_claim and not _is_cited(each, statements) for each in statements
        ),
    )


def merge_unsupported(
    first: Sequence[Unsupported], others: Sequence[Unsupported]
) -> list[Unsupported]:
    """Both in the order of the text; of the others, those that overlap none of the first."""
    apart = [
        each
        for each in others
        if not any(each.start < one.end and one.start < each.end for one in first)
    ]
    return sorted([*first, *apart], key=lambda each: each.start)


class _Check:
    """Looks items up in passages, each once per passage."""

    def __init__(self, evidence: list[PassageEvidence], question: PassageEvidence) -> None:
        self._evidence = evidence
        self._question = question
        self._found: dict[tuple[str, str, tuple[str, ...], int], bool] = {}

    def unsupported(self, items: Sequence[Item]) -> Iterator[Item]:
        """Yield the items in neither passages nor question; of nested items, the outermost."""
        end = 0
        for item in items:
            if item.start < end or self._is_known(item):
                continue
            missing = [each for each in item.inside if not self._is_known(each)]
            if missing or not item.inside:
                yield from missing or [item]
                end = item.end

    def found_elsewhere(self, statement: Statement) -> tuple[int, ...]:
        """The passages with most of a statement's items, if those it cites contain none of them."""
        cited = {marker.number for marker in statement.markers}
        if not cited or any(self._contains(n, item) for n in cited for item in statement.items):
            return ()
        numbers = range(1, len(self._evidence) + 1)
        counts = Counter(n for item in statement.items for n in numbers if self._contains(n, item))
        most = max(counts.values(), default=0)
        return tuple(number for number in numbers if number in counts and counts[number] == most)

    def _is_known(self, item: Item) -> bool:
        numbers = range(1, len(self._evidence) + 1)
        return any(self._contains(n, item) for n in numbers) or self._question.contains(item)

    def _contains(self, number: int, item: Item) -> bool:
        key = (item.kind, item.text, item.parts, number)
        if key not in self._found:
            self._found[key] = self._evidence[number - 1].contains(item)
        return self._found[key]


def _evidence_text(passage: Passage) -> str:
    """Everything that counts as evidence: the passage's text, headings, name and address."""
    chunk = passage.chunk
    address = chunk.url.partition("#")[0]
    return "\n".join(
        (passage.text, passage.breadcrumb, *chunk.headings, chunk.document, chunk.url, address)
    )


def _used(markers: Sequence[Marker], misplaced: Mapping[Marker, Sequence[int]]) -> list[int]:
    """Order the passages by how often they are cited, or should have been cited."""
    credit = Counter(
        number for marker in markers for number in misplaced.get(marker, (marker.number,))
    )
    return [number for number, _ in credit.most_common()]


def _is_cited(statement: Statement, statements: Sequence[Statement]) -> bool:
    """True if the statement, or one that leads to it, has a citation."""
    while not statement.markers and statement.led_by is not None:
        statement = statements[statement.led_by]
    return bool(statement.markers)
