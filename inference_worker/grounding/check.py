"""Checks an answer against its passages, with no second call of a language model.

Rules that a reader should know:
- A citation belongs to the sentence that it stands in or right after. One in the sentence that
  leads to a list or table (it ends in a colon), or in the item above an indented one, covers what
  is under it; one at the end of a paragraph covers its last sentence only.
- A citation is misplaced where its sentence holds checkable things, none of them stands in any
  passage that the sentence cites, and some stand in another one.
- The passages used most come first: each citation counts one, a misplaced one for the passages
  that hold what was said; of equals, the one cited first.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from database.searching.passage import Passage
from inference_worker.answer import Citation, Grounding, MisplacedCitation, Unsupported
from inference_worker.grounding.checkable import Item
from inference_worker.grounding.evidence import PassageEvidence
from inference_worker.grounding.excerpts import Excerpts
from inference_worker.grounding.parts import Marker, Sentence, parse_answer, strip_invisible

_MAX_ITEMS = 40
"""Of a sentence's checkable items, what its quotation is chosen by."""


def ground(text: str, passages: Sequence[Passage]) -> Grounding:
    """Check an answer whose citations are cleaned; `[n]` in it means the n-th passage.

    `removed_citations` is not known here and stays 0.
    """
    shown, places = strip_invisible(text)
    sentences, items = parse_answer(shown, len(passages))
    check = _Check([PassageEvidence(_all_of(passage)) for passage in passages])
    excerpts = Excerpts([passage.text for passage in passages])
    markers = [marker for each in sentences for marker in each.markers]
    misplaced = {
        marker: found_in
        for each in sentences
        if (found_in := check.found_elsewhere(each))
        for marker in each.markers
    }

    # Once for a sentence and a passage: an answer may cite as often as it has words.
    quotes = {
        (place, number): excerpts.nearest(each.spoken, each.items[:_MAX_ITEMS], number - 1)
        for place, each in enumerate(sentences)
        for number in {marker.number for marker in each.markers}
    }

    def span(part: Item | Marker) -> tuple[int, int]:
        return places[part.start], places[part.end - 1] + 1

    return Grounding(
        citations=[
            Citation(
                marker.number,
                *span(marker),
                quote=quotes[place, marker.number],
            )
            for place, each in enumerate(sentences)
            for marker in each.markers
        ],
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
            each.statement.claims(len(each.items)) and not _is_cited(each, sentences)
            for each in sentences
        ),
    )


class _Check:
    """Looks items up, each once in each passage."""

    def __init__(self, evidence: list[PassageEvidence]) -> None:
        self._evidence = evidence
        self._found: dict[tuple[str, str, tuple[str, ...], int], bool] = {}

    def unsupported(self, items: Sequence[Item]) -> Iterator[Item]:
        """Give what stands in no passage; of things inside one another, the outer."""
        end = 0
        for item in items:
            if item.start < end or self._anywhere(item):
                continue
            missing = [each for each in item.inside if not self._anywhere(each)]
            if missing or not item.inside:
                yield from missing or [item]
                end = item.end

    def found_elsewhere(self, sentence: Sentence) -> tuple[int, ...]:
        """Name the passages that hold most of a sentence, if those that it cites hold nothing."""
        cited = {marker.number for marker in sentence.markers}
        if not cited or any(self._holds(n, item) for n in cited for item in sentence.items):
            return ()
        numbers = range(1, len(self._evidence) + 1)
        held = Counter(n for item in sentence.items for n in numbers if self._holds(n, item))
        most = max(held.values(), default=0)
        return tuple(number for number in numbers if number in held and held[number] == most)

    def _anywhere(self, item: Item) -> bool:
        return any(self._holds(number, item) for number in range(1, len(self._evidence) + 1))

    def _holds(self, number: int, item: Item) -> bool:
        key = (item.kind, item.text, item.parts, number)
        if key not in self._found:
            self._found[key] = self._evidence[number - 1].holds(item)
        return self._found[key]


def _all_of(passage: Passage) -> str:
    """All that a passage says: its text, where it stands, and its address."""
    chunk = passage.chunk
    address = chunk.url.partition("#")[0]
    return "\n".join(
        (passage.text, passage.breadcrumb, *chunk.headings, chunk.document, chunk.url, address)
    )


def _used(markers: Sequence[Marker], misplaced: Mapping[Marker, Sequence[int]]) -> list[int]:
    """Order the passages by how often they are cited, or should have been."""
    credit = Counter(
        number for marker in markers for number in misplaced.get(marker, (marker.number,))
    )
    return [number for number, _ in credit.most_common()]


def _is_cited(sentence: Sentence, sentences: Sequence[Sentence]) -> bool:
    """Tell whether a citation stands in the sentence or in one that leads to it."""
    while not sentence.markers:
        if sentence.statement.led_by is None:
            return False
        sentence = sentences[sentence.statement.led_by]
    return True
