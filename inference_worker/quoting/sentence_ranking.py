"""Ranks the sentences of passages by how well they answer a question.

A candidate's score is

    gain(c) = worth(c) + beside(c)
    worth(c) = weight(c) * (sum of rarity(t) for t in own(c), times REPEAT_WEIGHT if t was covered
               + CONTEXT_WEIGHT * sum of rarity(t) for uncovered t in its headings only + 0.01)
    rarity(t) = ln(1 + (N + 1) / (df(t) + 0.5)), times 1.5 for identifiers
    beside(c) = NEIGHBOUR_WEIGHT * weight(c) * the larger worth of its two neighbours

where N is the number of candidates, df(t) how many of them contain the question's term t, and
weight(c) favours early passages, matching titles and sentences shaped like the expected answer.
Sentences are chosen greedily: each choice maximises the gain given the terms covered so far.
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
"""A sentence of the passage at a rank (from 0) weighs 1 / (1 + RANK_DISCOUNT * rank)."""
TITLE_WEIGHT = 0.3
CONTEXT_WEIGHT = 0.35
"""Weight of a term that occurs in the headings headings but not in the sentence."""
REPEAT_WEIGHT = 0.3
"""Weight of a term that an already chosen sentence contains."""
NEIGHBOUR_WEIGHT = 0.3
"""Share of the better neighbour's worth: an answer is as often next to the question's terms as in
the same sentence."""
MIN_GAIN = 0.3
MIN_GAIN_ELSEWHERE = 0.7
"""Minimum gain of a further sentence as a share of the first one's, in the same passage and in
another one."""
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
_REFERS_BACK = re.compile(
    r"^(?:(?:with|in|for|by|from|after|to do) (?:this|these|that)|this|these|those|that|it|they|he"
    r"|she|however|also|then|otherwise|therefore|in this case|such|but|and|or|instead|additionally"
    r"|similarly|if so|for example|both|as a result)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A quotable sentence, list item, list or row, with the question's terms in it."""

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
        """True for a whole list."""
        return "\n" in self.text

    def is_beside(self, other: "Candidate") -> bool:
        """True if both are sentences of one paragraph."""
        same_block = (self.passage, self.block) == (other.passage, other.block)
        return same_block and not any(one.item or one.is_list for one in (self, other))

    def overlaps(self, other: "Candidate") -> bool:
        """True if one is a whole list and the other one of its items."""
        same_block = (self.passage, self.block) == (other.passage, other.block)
        return same_block and self.is_list != other.is_list


def build_candidates(
    question: str, passages: Sequence[Passage], parts: Sequence[Quotable]
) -> list[Candidate]:
    """List what can be quoted, without duplicates."""
    found: dict[str, Candidate] = {}
    question_terms = frozenset(terms(question))
    names = identifiers(question)
    cues = _cues(question)
    for index, (passage, part) in enumerate(zip(passages, parts, strict=True)):
        headings = frozenset(terms(f"{passage.chunk.document} {passage.chunk.breadcrumb}"))
        passage_weight = _passage_weight(
            index, question_terms, frozenset(terms(passage.chunk.title))
        )
        for quote in part.quotes:
            own = terms(quote.text)
            context = headings.union(terms(quote.heading))
            weight = passage_weight * _shape_weight(quote.text, len(own), cues)
            found.setdefault(
                quote.text,
                Candidate(
                    text=quote.text,
                    passage=index,
                    block=quote.block,
                    place=quote.place,
                    own=question_terms.intersection(own),
                    context=question_terms & context,
                    weight=weight * (POINTER_WEIGHT if quote.pointer else 1.0),
                    item=quote.item,
                ),
            )
        for place, row in enumerate(part.rows):
            if row.name.lower() in names and len(row.text) <= MAX_CHARACTERS:
                text = f"`{row.name}`: {row.text}"
                matched = question_terms.intersection(terms(text))
                found.setdefault(
                    text,
                    Candidate(
                        text,
                        index,
                        -1,
                        place,
                        matched,
                        question_terms & headings,
                        passage_weight,
                        item=True,
                    ),
                )
    return list(found.values())


def _passage_weight(rank: int, question_terms: frozenset[str], title: frozenset[str]) -> float:
    """Weight of a passage: higher for a better rank and for a title of question terms only."""
    share = len(question_terms & title) / len(title) if title else 0.0
    return (1 + TITLE_WEIGHT * share) / (1 + RANK_DISCOUNT * rank)


def _cues(question: str) -> list[tuple[re.Pattern[str], float]]:
    """Patterns that answers to this kind of question tend to match, each with its factor."""
    lowered = question.lower()
    cues = []
    if _AMOUNT.search(lowered):
        cues.append((_NUMBER, 1.35))
    if _WHAT_IS.search(lowered):
        cues.append((_DEFINES, 1.4))
    if _YES_OR_NO.search(lowered):
        cues.append((_VERDICT, 1.2))
    return cues


def _shape_weight(text: str, length: int, cues: list[tuple[re.Pattern[str], float]]) -> float:
    """Weight of a sentence: higher for a readable length and for the cues of an answer."""
    weight = 1 / (1 + max(0, length - 18) / 40) if length >= 5 else 0.6
    lowered = text.lower()
    for pattern, factor in cues:
        weight *= factor if pattern.search(lowered) else 1.0
    return weight * (0.7 if _REFERS_BACK.match(text) else 1.0)


class SentenceRanking:
    """Scores candidates and chooses those that cover most of the question together."""

    def __init__(self, candidates: Sequence[Candidate], question_terms: frozenset[str]) -> None:
        self._candidates = candidates
        counts = Counter(term for each in candidates for term in each.own)
        self._rarity = {
            term: (1.5 if is_identifier(term) else 1.0)
            * math.log(1 + (len(candidates) + 1) / (counts[term] + 0.5))
            for term in question_terms
        }
        alone = [self._worth(each, frozenset()) for each in candidates]
        self._beside = dict(zip(candidates, self._from_neighbours(alone), strict=True))

    def best(self) -> Candidate:
        """The candidate with the highest gain alone."""
        return max(self._candidates, key=lambda each: self._gain(each, frozenset()))

    def choose(self, best: Candidate) -> list[Candidate]:
        """Choose the best, then greedily what adds most, within the limits of gain and length."""
        chosen = self._with_antecedent(best, [])
        first = self._gain(best, frozenset())
        while len(chosen) < MAX_SENTENCES:
            covered = frozenset().union(*(each.own for each in chosen))
            room = MAX_CHARACTERS - sum(len(each.text) + 1 for each in chosen)
            gains = {
                each: gain
                for each in self._candidates
                if len(each.text) <= room
                and each not in chosen
                and not any(each.overlaps(other) for other in chosen)
                and (gain := self._gain(each, covered))
                >= first * (MIN_GAIN if each.passage == best.passage else MIN_GAIN_ELSEWHERE)
            }
            if not gains:
                break
            chosen += self._with_antecedent(max(gains, key=lambda each: gains[each]), chosen)
        return chosen

    def _worth(self, each: Candidate, covered: frozenset[str]) -> float:
        own = sum(
            self._rarity[term] * (REPEAT_WEIGHT if term in covered else 1) for term in each.own
        )
        context = sum(self._rarity[term] for term in each.context - each.own - covered)
        return each.weight * (own + CONTEXT_WEIGHT * context + 0.01)

    def _gain(self, each: Candidate, covered: frozenset[str]) -> float:
        return self._worth(each, covered) + self._beside[each]

    def _from_neighbours(self, alone: Sequence[float]) -> list[float]:
        """Each candidate's gain from its neighbours in the same block."""
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
        """Precede a sentence that refers back by the sentence before it, if that can be quoted."""
        before = [
            each
            for each in self._candidates
            if _REFERS_BACK.match(candidate.text)
            and each.is_beside(candidate)
            and each.place == candidate.place - 1
            and each not in chosen
            and sum(len(one.text) for one in (each, candidate, *chosen)) < MAX_CHARACTERS
        ]
        return [*before[:1], candidate]
