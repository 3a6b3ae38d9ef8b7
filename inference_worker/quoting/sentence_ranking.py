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
from itertools import pairwise

from database.searching.passage import Passage
from database.searching.terms import identifiers, is_identifier, terms
from inference_worker.quoting.quotable import Quotable, Quote

MAX_CHARACTERS = 600
MAX_SENTENCES = 4
RANK_DISCOUNT = 0.15
"""A sentence of the passage at a rank (from 0) weighs 1 / (1 + RANK_DISCOUNT * rank)."""
TITLE_WEIGHT = 0.3
CONTEXT_WEIGHT = 0.35
"""Weight of a term that occurs in the headings but not in the sentence."""
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
_CUES = ((_AMOUNT, _NUMBER, 1.35), (_WHAT_IS, _DEFINES, 1.4), (_YES_OR_NO, _VERDICT, 1.2))
"""A kind of question, what answers to it tend to contain, and the factor of a match."""
_ROW = -1
"""The block of a quoted table row: it has no sentence beside it."""
_REFERS_BACK = re.compile(
    r"^(?:(?:with|in|for|by|from|after|to do) (?:this|these|that)|this|these|those|that|it|they|he"
    r"|she|however|also|then|otherwise|therefore|in this case|such|but|and|or|instead|additionally"
    r"|similarly|if so|for example|both|as a result)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A sentence, list item, list or row of a passage, with the question's terms in it."""

    quote: Quote
    passage: int
    own: frozenset[str]
    context: frozenset[str]
    weight: float

    def is_in_block_of(self, other: "Candidate") -> bool:
        """True if both are from the same block of the same passage."""
        return self.passage == other.passage and self.quote.block == other.quote.block

    def is_beside(self, other: "Candidate") -> bool:
        """True if both are sentences of one paragraph."""
        quotes = (self.quote, other.quote)
        return self.is_in_block_of(other) and not any(one.item or one.is_list for one in quotes)

    def overlaps(self, other: "Candidate") -> bool:
        """True if one is a whole list and the other one of its items."""
        return self.is_in_block_of(other) and self.quote.is_list != other.quote.is_list


def build_candidates(
    question: str, passages: Sequence[Passage], parts: Sequence[Quotable]
) -> list[Candidate]:
    """List what can be quoted, without duplicates."""
    found: dict[str, Candidate] = {}
    question_terms = frozenset(terms(question))
    names = identifiers(question)
    lowered = question.lower()
    cues = [(shape, factor) for kind, shape, factor in _CUES if kind.search(lowered)]
    for index, (passage, part) in enumerate(zip(passages, parts, strict=True)):
        headings = frozenset(terms(f"{passage.chunk.document} {passage.chunk.breadcrumb}"))
        title = frozenset(terms(passage.chunk.title))
        passage_weight = _passage_weight(index, question_terms, title)
        rows = [
            Quote(f"`{name}`: {text}", "", _ROW, place, item=True)
            for place, (name, text) in enumerate(part.rows)
            if name.lower() in names and len(text) <= MAX_CHARACTERS
        ]
        for quote in (*part.quotes, *rows):
            own = terms(quote.text)
            context = headings.union(terms(quote.heading))
            weight = passage_weight
            if quote.block != _ROW:
                weight *= _shape_weight(quote.text, len(own), cues)
            weight *= POINTER_WEIGHT if quote.pointer else 1.0
            matched = question_terms.intersection(own)
            candidate = Candidate(quote, index, matched, question_terms & context, weight)
            found.setdefault(quote.text, candidate)
    return list(found.values())


def _passage_weight(rank: int, question_terms: frozenset[str], title: frozenset[str]) -> float:
    """Weight of a passage: higher for a better rank and for a title of question terms only."""
    share = len(question_terms & title) / len(title) if title else 0.0
    return (1 + TITLE_WEIGHT * share) / (1 + RANK_DISCOUNT * rank)


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
        self._beside = dict.fromkeys(candidates, 0.0)
        for pair in pairwise(candidates):
            if pair[0].is_beside(pair[1]):
                for each, neighbour in (pair, reversed(pair)):
                    gain = NEIGHBOUR_WEIGHT * each.weight * self._worth(neighbour, frozenset())
                    self._beside[each] = max(self._beside[each], gain)

    def best(self) -> Candidate:
        """The candidate with the highest gain alone."""
        return max(self._candidates, key=lambda each: self._gain(each, frozenset()))

    def choose(self, best: Candidate) -> list[Candidate]:
        """Choose the best, then greedily what adds most, within the limits of gain and length."""
        chosen = self._with_antecedent(best, [])
        first = self._gain(best, frozenset())
        while len(chosen) < MAX_SENTENCES:
            covered = frozenset().union(*(each.own for each in chosen))
            room = MAX_CHARACTERS - sum(len(each.quote.text) + 1 for each in chosen)
            gains = {
                each: gain
                for each in self._candidates
                if len(each.quote.text) <= room
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

    def _with_antecedent(
        self, candidate: Candidate, chosen: Sequence[Candidate]
    ) -> list[Candidate]:
        """Precede a sentence that refers back by the sentence before it, if that can be quoted."""
        before = [
            each
            for each in self._candidates
            if _REFERS_BACK.match(candidate.quote.text)
            and each.is_beside(candidate)
            and each.quote.place == candidate.quote.place - 1
            and each not in chosen
            and sum(len(one.quote.text) for one in (each, candidate, *chosen)) < MAX_CHARACTERS
        ]
        return [*before[:1], candidate]
