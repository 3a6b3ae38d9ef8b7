"""Writes the answer without a language model: the passages' best blocks, quoted verbatim.

Each block is whole and under its headings, and followed by its passage's number, title and link.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from database.searching.passage import Passage
from inference_worker.answer import Citation
from inference_worker.quoting.block_ranking import CosinesOf, RankedBlock, rank_blocks
from inference_worker.quoting.blocks import QuotableBlock, extract_blocks

MAX_CHARACTERS = 1200
"""Of the quoted blocks together; a longer block is not quoted."""
MAX_GROUPS = 3
"""Paragraphs, lists, tables and pieces of code that are quoted."""
MAX_WHOLE_CHARACTERS = 600
"""A list or table up to this length is quoted whole; of a longer one the best items or rows."""
MIN_SCORE_SHARE = 0.5
"""Of the best block's score, that each quoted block needs."""
OMITTED = "…"

Groups = dict[tuple[int, int], list[QuotableBlock]]
"""The blocks by passage and group, in order."""


@dataclass(frozen=True, slots=True)
class Quotation:
    """A quoted answer."""

    text: str
    citations: Sequence[Citation]
    """Empty if nothing could be quoted."""
    passages: list[Passage]
    """The quoted passages, in the order of the text, then the others: `[n]` is the n-th."""


def extract_answer(question: str, passages: Sequence[Passage], cosines: CosinesOf) -> Quotation:
    """Quote the blocks that answer the question best; the passages are ordered best first."""
    # Extract what can be quoted, and rank it
    blocks = extract_blocks(passages)
    groups: Groups = {}
    for block in blocks:
        groups.setdefault((block.passage, block.group), []).append(block)
    candidates = [block for block in blocks if not block.is_omitted]
    candidates = [block for block in candidates if len(block.with_lead) <= MAX_CHARACTERS]
    ranked = rank_blocks(question, candidates, passages, cosines)
    if not ranked:
        return Quotation(_where_to_read(passages), (), list(passages))

    # Choose the best blocks, and order them by passage
    chosen = _choose(ranked, groups)
    order = list(dict.fromkeys(block.passage for block in chosen))
    others = [at for at in range(len(passages)) if at not in order]

    # Format them, each passage with its source
    text = ""
    citations = []
    for number, at in enumerate(order, start=1):
        found = [group for (passage, _), group in groups.items() if passage == at]
        text += f"{_format(found, chosen, passages[at].chunk.title)}\n\n"
        marker = f"[{number}]"
        words = "\n\n".join(block.text for group in found for block in group if block in chosen)
        citations.append(Citation(number, len(text), len(text) + len(marker), words))
        text += f"{marker} {_source(passages[at])}\n\n"
    return Quotation(text.rstrip(), citations, [passages[at] for at in order + others])


def _choose(ranked: Sequence[RankedBlock], groups: Groups) -> dict[QuotableBlock, None]:
    """The best blocks that fit, best first; the short lists and tables among them whole."""
    chosen: dict[QuotableBlock, None] = {}
    used: set[tuple[int, int]] = set()
    left = MAX_CHARACTERS
    best = ranked[0].score
    for each in ranked:
        if each.score < best - (1 - MIN_SCORE_SHARE) * abs(best):
            break
        group = (each.block.passage, each.block.group)
        if each.block in chosen or (group not in used and len(used) == MAX_GROUPS):
            continue
        lead = 0 if group in used else len(each.block.lead)
        whole = groups[group]
        for candidates in (whole, [each.block]):
            added = [each for each in candidates if each not in chosen and not each.is_omitted]
            length = lead + sum(len(block.text) for block in added)
            limit = MAX_WHOLE_CHARACTERS if candidates is whole else left
            if length <= min(limit, left):
                chosen.update(dict.fromkeys(added))
                used.add(group)
                left -= length
                break
    return chosen


def _format(
    groups: Sequence[Sequence[QuotableBlock]], chosen: dict[QuotableBlock, None], title: str
) -> str:
    """Format the chosen ones of a passage's blocks, in order, under their headings."""
    parts: list[str] = []
    path: tuple[str, ...] = ()
    for group in groups:
        if not any(block in chosen for block in group):
            continue
        first = group[0]
        if first.path and first.path != path:
            parts.append(f"**{' > '.join((title, *first.path))}**")
        path = first.path
        lines: list[str] = []
        for is_chosen, run in groupby(group, key=chosen.__contains__):
            lines += [block.text for block in run] if is_chosen else [OMITTED]
        separator = "\n" if first.is_row else "\n\n"
        parts.append(separator.join(filter(None, (first.lead, "\n".join(lines)))))
    return "\n\n".join(parts)


def _source(passage: Passage) -> str:
    """Title and link of a passage."""
    return f"{passage.chunk.title}{': ' * bool(passage.chunk.url)}{passage.chunk.url}"


def _where_to_read(passages: Sequence[Passage]) -> str:
    text = "No passage can be quoted as an answer."
    sources = list(dict.fromkeys(map(_source, passages)))[:3]
    return "\n- ".join((f"{text} Read:", *sources)) if sources else text
