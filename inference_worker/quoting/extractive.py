"""The answer where no language model writes one: the passages' own best sentences, quoted whole.

Nothing is reworded; what is added says only where the words stand, and `[n]` after what is from
the n-th passage.
"""

import re
from collections.abc import Sequence
from itertools import accumulate

from database.searching.passage import Passage
from database.searching.terms import terms
from inference_worker.quoting.quotable import Quotable, QuotableList, is_whole, quotable
from inference_worker.quoting.sentence_ranking import (
    MAX_CHARACTERS,
    Candidate,
    SentenceRanking,
    build_candidates,
)

MAX_STEPS = 7
MAX_CODE_LINES = 12

_HOW_TO = re.compile(
    r"\bhow (?:do|can|to|should|would|could)\b|\bsteps?\b|^(?:create|delete|set up)"
)
_CODE = re.compile(r"\b(?:command|code|cli|script|snippet|example|syntax|json|yaml|boto3)\b")
_FIELD = re.compile(r"^\*\*\w+\*\* \(")


def extract_answer(question: str, passages: Sequence[Passage]) -> str:
    """Quote the sentences of the passages, best first, that answer the question best."""
    if not passages:
        return "Nothing was found in the documentation that answers this question."
    parts = [quotable(passage.text) for passage in passages]
    candidates = build_candidates(question, passages, parts)
    if not candidates:
        return _where_to_read(passages)
    ballot = SentenceRanking(candidates, frozenset(terms(question)))
    best = ballot.best()
    part = parts[best.passage]
    answer = _steps(question, best, part, passages[best.passage].chunk.document)
    return _with_code(question, answer or _written(ballot.choose(best), passages), part)


def _written(chosen: Sequence[Candidate], passages: Sequence[Passage]) -> str:
    """Write the sentences in the passages' order, a paragraph for each passage."""
    groups: dict[int, list[Candidate]] = {}
    for each in chosen:
        groups.setdefault(each.passage, []).append(each)
    return "\n\n".join(
        f"{_paragraph(group, passages[index])} [{index + 1}]" for index, group in groups.items()
    )


def _paragraph(group: list[Candidate], passage: Passage) -> str:
    """Write one passage's part: its sentences run on, its list items stay a list."""
    group.sort(key=lambda each: (each.block, each.place))
    listed = sum(each.item for each in group) > 1
    text = ""
    for each in group:
        if each.is_list:
            text = f"{text.rstrip()}\n\n{each.text}\n\n"
        elif each.item and listed:
            glue = "\n" if text.rstrip("\n").rpartition("\n")[2].startswith("- ") else "\n\n"
            text = f"{text.rstrip()}{glue}- {each.text}\n\n"
        else:
            text += f"{each.text} "
    # A field says nothing without the operation or structure that it belongs to.
    named = any(_FIELD.match(each.text) for each in group)
    lead = f"In {passage.chunk.breadcrumb}:\n\n" if named else ""
    return lead + text.strip()


def _steps(question: str, best: Candidate, part: Quotable, document: str) -> str:
    """Give the list that the best sentence is from, where a list is what was asked for."""
    for listing in part.lists:
        if listing.block != best.block or not _HOW_TO.search(question.lower()):
            continue
        if listing.ordered and len(listing.items) > 1 and all(map(is_whole, listing.items)):
            return _numbered(listing, best, document)
    return ""


def _numbered(listing: QuotableList, best: Candidate, document: str) -> str:
    lengths = accumulate(len(item) + 4 for item in listing.items)
    fit = [n for n, length in enumerate(lengths, start=1) if length <= MAX_CHARACTERS]
    shown = listing.items[: min(len(fit), MAX_STEPS)]
    if len(shown) < 2 or best.text not in shown:
        return ""
    lines = [f"{number}. {item}" for number, item in enumerate(shown, start=1)]
    lead = f"{listing.intro}\n\n" if listing.intro else ""
    rest = f"\n\nThe remaining steps are in {document}." if len(shown) < len(listing.items) else ""
    return f"{lead}{chr(10).join(lines)} [{best.passage + 1}]{rest}"


def _with_code(question: str, answer: str, part: Quotable) -> str:
    """Add the best passage's code block that fits best, where the question asks for code."""
    short = [block for block in part.code if block.count("\n") - 1 <= MAX_CODE_LINES]
    if not short or not _CODE.search(question.lower()):
        return answer
    asked = set(terms(question))
    return f"{answer}\n\n{max(short, key=lambda block: len(asked.intersection(terms(block))))}"


def _where_to_read(passages: Sequence[Passage]) -> str:
    names = list(dict.fromkeys(passage.chunk.document for passage in passages))[:3]
    return f"The answer is not in plain sentences there; read {', '.join(names)}."
