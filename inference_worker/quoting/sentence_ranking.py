"""Ranks the sentences of passages by how well they answer a question.

A sentence is weighed by the question's terms that it holds, each by its rarity among the
candidates; sentences are then taken greedily for what each adds to those before.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from database.searching.passage import Passage
from database.searching.terms import identifiers, is_identifier, terms
from inference_worker.quoting.quotable import Quotable

MAX_CHARACTERS = 600
MAX_SENTENCES = 4
RANK_DISCOUNT = 0.15
"""How fast a sentence loses weight with its passage's rank: 1 / (1 + 0.15 * rank)."""
TITLE_WEIGHT = 0.3
CONTEXT_WEIGHT = 0.35
"""What a question's term is worth where it stands in the headings above, not in the sentence."""
REPEAT_WEIGHT = 0.3
"""What a term is worth in a sentence after another has been taken that holds it."""
NEIGHBOUR_WEIGHT = 0.3
"""What a sentence gains from the better of those beside it: answers stand next to the question's
words as often as among them."""
MIN_GAIN = 0.3
MIN_GAIN_ELSEWHERE = 0.7
"""A further sentence must add this share of what the first one brought; one of another passage,
more."""
POINTER_WEIGHT = 0.2

_AMOUNT = re.compile(
    r"\bhow (?:many|much|long|big|large|often|wide|deep|deeply|soon|far|old)\b|\b(?:limit|maximum"
    r"|minimum|most|cap|ceiling|size|default|quota|longest|largest)\b"
)
_YES_OR_NO = re.compile(
    r"^(?:can|could|is|are|does|do|will|should|may)\b|[.:?] (?:can|is|does|do)\b"
)
_WHAT_IS = re.compile(r"^(?:what(?:'s| is| are)|define|explain)\b")
_VERDICT = re.compile(
    r"\b(?:can|cannot|can't|must|only|not|don't|doesn't|supports?|supported|allows?|no|recommend)\b"
)
_NUMBER = re.compile(r"\b\d")
_DEFINES = re.compile(r"\b(?:is|are) (?:an?|the)\b|\b(?:enables?|lets|provides?|helps)\b")
_LEANS_BACK = re.compile(
    r"^(?:(?:with|in|for|by|from|after|to do) (?:this|these|that)|this|these|those|that|it|they|he"
    r"|she|however|also|then|otherwise|therefore|in this case|such|but|and|or|instead|additionally"
    r"|similarly|if so|for example|both|as a result)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A sentence with where it stands and the question's terms that it holds."""

    text: str
    passage: int
    block: int
    place: int
    own: frozenset[str]
    context: frozenset[str]
    weight: float
    item: bool = False

    @property
    def is_list(self) -> bool:
        """Tell a whole list from a sentence."""
        return "\n" in self.text

    def is_beside(self, other: "Candidate") -> bool:
        """Tell whether both are sentences of one paragraph; a list's items stand alone."""
        same_block = (self.passage, self.block) == (other.passage, other.block)
        return same_block and not any(one.item or one.is_list for one in (self, other))

    def overlaps(self, other: "Candidate") -> bool:
        """Tell whether one is a whole list and the other a part of it."""
        same_block = (self.passage, self.block) == (other.passage, other.block)
        return same_block and self.is_list != other.is_list


def build_candidates(
    question: str, passages: Sequence[Passage], parts: Sequence[Quotable]
) -> list[Candidate]:
    """List what can be quoted; of sentences said twice, the first."""
    found: dict[str, Candidate] = {}
    asked = frozenset(terms(question))
    names = identifiers(question)
    cues = _cues(question)
    for index, (passage, part) in enumerate(zip(passages, parts, strict=True)):
        above = frozenset(terms(f"{passage.chunk.document} {passage.chunk.breadcrumb}"))
        standing = _standing(index, asked, frozenset(terms(passage.chunk.title)))
        for quote in part.quotes:
            own = terms(quote.text)
            around = above.union(terms(quote.heading))
            weight = standing * _shape(quote.text, len(own), cues)
            found.setdefault(
                quote.text,
                Candidate(
                    text=quote.text,
                    passage=index,
                    block=quote.block,
                    place=quote.place,
                    own=asked.intersection(own),
                    context=asked & around,
                    weight=weight * (POINTER_WEIGHT if quote.pointer else 1.0),
                    item=quote.item,
                ),
            )
        for place, row in enumerate(part.rows):
            if row.name.lower() in names and len(row.text) <= MAX_CHARACTERS:
                text = f"`{row.name}`: {row.text}"
                matched = asked.intersection(terms(text))
                found.setdefault(
                    text,
                    Candidate(text, index, -1, place, matched, asked & above, standing, item=True),
                )
    return list(found.values())


def _standing(rank: int, asked: frozenset[str], title: frozenset[str]) -> float:
    """Favour what was found first, and documents whose title is about what was asked alone."""
    share = len(asked & title) / len(title) if title else 0.0
    return (1 + TITLE_WEIGHT * share) / (1 + RANK_DISCOUNT * rank)


def _cues(question: str) -> list[tuple[re.Pattern[str], float]]:
    """Say what an answer to such a question tends to hold, and what that is worth."""
    lowered = question.lower()
    cues = []
    if _AMOUNT.search(lowered):
        cues.append((_NUMBER, 1.35))
    if _WHAT_IS.search(lowered):
        cues.append((_DEFINES, 1.4))
    if _YES_OR_NO.search(lowered):
        cues.append((_VERDICT, 1.2))
    return cues


def _shape(text: str, length: int, cues: list[tuple[re.Pattern[str], float]]) -> float:
    """Favour sentences of a readable length that look like the answer asked for."""
    weight = 1 / (1 + max(0, length - 18) / 40) if length >= 5 else 0.6
    lowered = text.lower()
    for pattern, factor in cues:
        weight *= factor if pattern.search(lowered) else 1.0
    return weight * (0.7 if _LEANS_BACK.match(text) else 1.0)


class SentenceRanking:
    """Weighs the candidates, and picks those that say most together."""

    def __init__(self, candidates: Sequence[Candidate], asked: frozenset[str]) -> None:
        self._candidates = candidates
        holders = Counter(term for each in candidates for term in each.own)
        self._rarity = {
            term: (1.5 if is_identifier(term) else 1.0)
            * math.log(1 + (len(candidates) + 1) / (holders[term] + 0.5))
            for term in asked
        }
        alone = [self._worth(each, frozenset()) for each in candidates]
        self._beside = dict(zip(candidates, self._from_neighbours(alone), strict=True))

    def best(self) -> Candidate:
        """Find the one that answers best by itself."""
        return max(self._candidates, key=lambda each: self._gain(each, frozenset()))

    def choose(self, best: Candidate) -> list[Candidate]:
        """Take the best, then what adds most, until that is little or the answer is long."""
        chosen = self._with_antecedent(best, [])
        first = self._gain(best, frozenset())
        while len(chosen) < MAX_SENTENCES:
            said = frozenset().union(*(each.own for each in chosen))
            room = MAX_CHARACTERS - sum(len(each.text) + 1 for each in chosen)
            gains = {
                each: gain
                for each in self._candidates
                if len(each.text) <= room
                and each not in chosen
                and not any(each.overlaps(other) for other in chosen)
                and (gain := self._gain(each, said))
                >= first * (MIN_GAIN if each.passage == best.passage else MIN_GAIN_ELSEWHERE)
            }
            if not gains:
                break
            chosen += self._with_antecedent(max(gains, key=lambda each: gains[each]), chosen)
        return chosen

    def _worth(self, each: Candidate, said: frozenset[str]) -> float:
        own = sum(self._rarity[term] * (REPEAT_WEIGHT if term in said else 1) for term in each.own)
        around = sum(self._rarity[term] for term in each.context - each.own - said)
        return each.weight * (own + CONTEXT_WEIGHT * around + 0.01)

    def _gain(self, each: Candidate, said: frozenset[str]) -> float:
        return self._worth(each, said) + self._beside[each]

    def _from_neighbours(self, alone: Sequence[float]) -> list[float]:
        """Say for each candidate what it gains from those beside it in the same block."""
        gains = []
        for place, each in enumerate(self._candidates):
            beside = [
                alone[other]
                for other in (place - 1, place + 1)
                if 0 <= other < len(alone) and self._candidates[other].is_beside(each)
            ]
            gains.append(NEIGHBOUR_WEIGHT * each.weight * max(beside, default=0.0))
        return gains

    def _with_antecedent(
        self, candidate: Candidate, chosen: Sequence[Candidate]
    ) -> list[Candidate]:
        """Put before a sentence that leans on the one before it that one, if it can be quoted."""
        before = [
            each
            for each in self._candidates
            if _LEANS_BACK.match(candidate.text)
            and each.is_beside(candidate)
            and each.place == candidate.place - 1
            and each not in chosen
            and sum(len(one.text) for one in (each, candidate, *chosen)) < MAX_CHARACTERS
        ]
        return [*before[:1], candidate]
