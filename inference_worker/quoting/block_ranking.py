"""Ranks the blocks of passages by how well they answer a question: by meaning and by words.

A block's score is

    score(b) = worth(b) + NEIGHBOUR_WEIGHT * the larger worth of its two neighbours
    worth(b) = cosine(question, heading and text of b)
               + OVERLAP_WEIGHT * (share(text of b) + HEADING_WEIGHT * share(only headings of b))
               - RANK_DISCOUNT * rank of its passage, from 0
               + DEFINITION_BONUS if the question asks what something is, and b defines it
               - POINTER_DISCOUNT if it refers to another page
    share(terms) = sum of rarity(t) for the question's terms t among them / that of all of them
    rarity(t) = ln(1 + (N + 1) / (df(t) + 0.5))

where N is the number of blocks and df(t) how many of them contain the term t. An answer is as often
next to the question's words as in the same block: therefore the neighbours. Only the
`MAX_EMBEDDED` blocks that are best without the cosine are embedded.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from database.searching.passage import Passage
from database.searching.terms import terms
from inference_worker.quoting.blocks import QuotableBlock, is_pointer

MAX_EMBEDDED = 16
MAX_EMBEDDED_CHARACTERS = 600
OVERLAP_WEIGHT = 0.5
HEADING_WEIGHT = 0.35
NEIGHBOUR_WEIGHT = 0.15
RANK_DISCOUNT = 0.02
POINTER_DISCOUNT = 0.1
DEFINITION_BONUS = 0.3
MIN_NEW_TERMS = 1
"""Terms of a block that the question does not have; without any, it only repeats the question."""

CosinesOf = Callable[[str, Sequence[str]], Sequence[float]]
"""The cosines of a question to texts, each from -1 to 1."""

_REFERS_ON = re.compile(
    r"\bthis (?:section|topic|page|guide|chapter)\b|\b(?:described|listed|shown) (?:below|above)\b",
    re.IGNORECASE,
)
_WHAT_IS = re.compile(
    r"\W{0,9}(?:what(?:'s| is| are)|define|describe|explain|tell me about) (?:an? |the )?"
    r"(?:(?:amazon|aws|sagemaker) ){0,3}(?P<name>\w[\w-]{0,60}(?: \w[\w-]{0,60}){0,2})\W{0,9}",
    re.IGNORECASE,
)
_DEFINES = (
    r"s?(?: \([^()]*\))?,? (?:is|are|gives?|lets?|provides?|helps?|enables?|offers?|allows?)\b"
)


@dataclass(frozen=True, slots=True)
class RankedBlock:
    """A block and its score; comparable within one question only."""

    block: QuotableBlock
    score: float


def rank_blocks(
    question: str, blocks: Sequence[QuotableBlock], passages: Sequence[Passage], cosines: CosinesOf
) -> list[RankedBlock]:
    """Rank the best blocks, best first."""
    # Score by words; without blocks that only repeat the question.
    worth = _lexical_worth(question, blocks, passages)
    known = set(terms(question))
    new = [at for at in worth if len(set(terms(blocks[at].text)) - known) >= MIN_NEW_TERMS]
    chosen = sorted(sorted(new, key=lambda at: -_smoothed(at, worth, blocks))[:MAX_EMBEDDED])
    # Add the meaning.
    texts = [_embedded_text(blocks[at], passages) for at in chosen]
    if texts:
        for at, cosine in zip(chosen, cosines(question, texts), strict=True):
            worth[at] += cosine
    full = {at: worth[at] for at in chosen}
    ranked = [RankedBlock(blocks[at], _smoothed(at, full, blocks)) for at in chosen]
    return sorted(ranked, key=lambda each: -each.score)


def _lexical_worth(
    question: str, blocks: Sequence[QuotableBlock], passages: Sequence[Passage]
) -> dict[int, float]:
    """The worth of each block without the cosine."""
    contained = [set(terms(block.with_lead)) for block in blocks]
    frequency = Counter(term for each in contained for term in each)
    rarity = {
        term: math.log(1 + (len(blocks) + 1) / (frequency[term] + 0.5)) for term in terms(question)
    }
    whole = sum(rarity.values()) or 1.0

    def share(found: set[str]) -> float:
        return sum(rarity[term] for term in rarity.keys() & found) / whole

    asked = _WHAT_IS.fullmatch(" ".join(question.split()))
    name = re.escape(asked["name"].removesuffix("s")) if asked else ""
    definition = re.compile(rf"(?:\w+ ){{0,3}}{name}{_DEFINES}", re.IGNORECASE)
    worth = {}
    for at, (block, own) in enumerate(zip(blocks, contained, strict=True)):
        above = set(terms(" ".join((passages[block.passage].chunk.title, *block.path))))
        overlap = share(own) + HEADING_WEIGHT * share(above - own)
        refers = is_pointer(block.text) or _REFERS_ON.search(block.text)
        worth[at] = (
            OVERLAP_WEIGHT * overlap
            - RANK_DISCOUNT * block.passage
            + (DEFINITION_BONUS if asked and definition.match(block.with_lead) else 0.0)
            - (POINTER_DISCOUNT if refers and len(block.text) < 300 else 0.0)
        )
    return worth


def _smoothed(at: int, worth: Mapping[int, float], blocks: Sequence[QuotableBlock]) -> float:
    """The score of a block: its worth, and a share of its better neighbour's."""
    beside = (
        worth[near]
        for near in (at - 1, at + 1)
        if near in worth and blocks[near].passage == blocks[at].passage
    )
    return worth[at] + NEIGHBOUR_WEIGHT * max(beside, default=0.0)


def _embedded_text(block: QuotableBlock, passages: Sequence[Passage]) -> str:
    heading = (passages[block.passage].chunk.title, *block.path)[-1]
    return f"{heading}: {block.with_lead}"[:MAX_EMBEDDED_CHARACTERS]
