"""Writes the answer without a language model: the passages' best sentences, quoted verbatim.

Nothing is reworded. `[n]` follows text from the n-th passage; the only other additions say where
the text is from.
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
    """Quote the sentences that answer the question best; the passages are ordered best first."""
    if not passages:
        return "Nothing was found in the documentation that answers this question."

    # Extract what can be quoted, and rank it
    parts = [quotable(passage.text) for passage in passages]
    candidates = build_candidates(question, passages, parts)
    if not candidates:
        return _where_to_read(passages)
    ranking = SentenceRanking(candidates, frozenset(terms(question)))
    best = ranking.best()

    # Quote the steps of a how-to, else the sentences that cover most of the question
    part = parts[best.passage]
    answer = _steps(question, best, part, passages[best.passage].chunk.document)
    return _with_code(question, answer or _format(ranking.choose(best), passages), part)


def _format(chosen: Sequence[Candidate], passages: Sequence[Passage]) -> str:
    """Format the sentences as one paragraph per passage."""
    groups: dict[int, list[Candidate]] = {}
    for each in chosen:
        groups.setdefault(each.passage, []).append(each)
    return "\n\n".join(
        f"{_paragraph(group, passages[index])} [{index + 1}]" for index, group in groups.items()
    )


def _paragraph(group: list[Candidate], passage: Passage) -> str:
    """Format the sentences of one passage: running text, and list items as a list."""
    quotes = sorted((each.quote for each in group), key=lambda each: (each.block, each.place))
    listed = sum(each.item for each in quotes) > 1
    text = ""
    for each in quotes:
        if each.is_list:
            text = f"{text.rstrip()}\n\n{each.text}\n\n"
        elif each.item and listed:
            glue = "\n" if text.rstrip("\n").rpartition("\n")[2].startswith("- ") else "\n\n"
            text = f"{text.rstrip()}{glue}- {each.text}\n\n"
        else:
            text += f"{each.text} "
    # A field is meaningless without the operation or structure it belongs to.
    named = any(_FIELD.match(each.text) for each in quotes)
    lead = f"In {passage.chunk.breadcrumb}:\n\n" if named else ""
    return lead + text.strip()


def _steps(question: str, best: Candidate, part: Quotable, document: str) -> str:
    """The list that contains the best sentence, if the question is a how-to; else ""."""
    if not _HOW_TO.search(question.lower()):
        return ""
    for each in part.lists:
        is_steps = each.ordered and len(each.items) > 1 and all(map(is_whole, each.items))
        if each.block == best.quote.block and is_steps:
            return _numbered(each, best, document)
    return ""


def _numbered(quotable_list: QuotableList, best: Candidate, document: str) -> str:
    lengths = accumulate(len(item) + 4 for item in quotable_list.items)
    fit = [n for n, length in enumerate(lengths, start=1) if length <= MAX_CHARACTERS]
    shown = quotable_list.items[: min(len(fit), MAX_STEPS)]
    if len(shown) < 2 or best.quote.text not in shown:
        return ""
    lines = [f"{number}. {item}" for number, item in enumerate(shown, start=1)]
    lead = f"{quotable_list.intro}\n\n" if quotable_list.intro else ""
    is_cut = len(shown) < len(quotable_list.items)
    rest = f"\n\nThe remaining steps are in {document}." if is_cut else ""
    return f"{lead}{chr(10).join(lines)} [{best.passage + 1}]{rest}"


def _with_code(question: str, answer: str, part: Quotable) -> str:
    """Append the passage's code block with most of the question's terms, if it asks for code."""
    short = [block for block in part.code if block.count("\n") - 1 <= MAX_CODE_LINES]
    if not short or not _CODE.search(question.lower()):
        return answer
    question_terms = set(terms(question))
    best = max(short, key=lambda block: len(question_terms.intersection(terms(block))))
    return f"{answer}\n\n{best}"


def _where_to_read(passages: Sequence[Passage]) -> str:
    names = list(dict.fromkeys(passage.chunk.document for passage in passages))[:3]
    return f"The answer is not in plain sentences there; read {', '.join(names)}."
