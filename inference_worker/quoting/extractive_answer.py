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
"""Of the quoted blocks together."""
MAX_GROUPS = 3
"""Paragraphs, lists, tables and pieces of code that are quoted."""
MAX_WHOLE_CHARACTERS = 600
"""A list or table up to this length is quoted whole; of a longer one the best items or rows."""
MIN_SCORE_SHARE = 0.5
"""Of the best block's score, that each quoted block needs."""
OMITTED = "…"


@dataclass(frozen=True, slots=True)
class Quotation:
    """A quoted answer."""

    text: str
    citations: Sequence[Citation]
    passages: list[Passage]
    """The quoted passages, in the order of the text, then the others: `[n]` is the n-th."""


def extract_answer(question: str, passages: Sequence[Passage], cosines: CosinesOf) -> Quotation:
    """Quote the blocks that answer the question best; the passages are ordered best first."""
    # Extract what can be quoted, and rank it
    blocks = extract_blocks(passages)
    ranked = rank_blocks(question, blocks, passages, cosines)
    if not ranked:
        return Quotation(_where_to_read(passages), (), list(passages))

    # Choose the best blocks, and order them by passage
    chosen = _choose(ranked, blocks)
    order = list(dict.fromkeys(block.passage for block in chosen))
    others = [at for at in range(len(passages)) if at not in order]

    # Format them, each passage with its source
    text = ""
    citations = []
    for number, at in enumerate(order, start=1):
        found = [block for block in blocks if block.passage == at]
        text += f"{_format(found, chosen, passages[at].chunk.title)}\n\n"
        marker = f"[{number}]"
        words = "\n\n".join(block.text for block in found if block in chosen)
        citations.append(Citation(number, len(text), len(text) + len(marker), words))
        text += f"{marker} {_source(passages[at])}\n\n"
    return Quotation(text.rstrip(), citations, [passages[at] for at in order + others])


def _choose(ranked: Sequence[RankedBlock], blocks: Sequence[QuotableBlock]) -> list[QuotableBlock]:
    """The best blocks that fit, best first; the short lists and tables among them whole."""
    chosen: dict[QuotableBlock, None] = {}
    groups: set[tuple[int, int]] = set()
    left = MAX_CHARACTERS
    for each in ranked:
        group = (each.block.passage, each.block.group)
        if each.score < MIN_SCORE_SHARE * ranked[0].score:
            break
        if each.block in chosen or (group not in groups and len(groups) == MAX_GROUPS):
            continue
        whole = [block for block in blocks if (block.passage, block.group) == group]
        lead = 0 if group in groups else len(each.block.lead)
        for wanted in (whole, [each.block]):
            added = [block for block in wanted if block not in chosen]
            length = lead + sum(len(block.text) for block in added)
            if length <= left and (wanted is not whole or length <= MAX_WHOLE_CHARACTERS):
                chosen.update(dict.fromkeys(added))
                groups.add(group)
                left -= length
                break
    return list(chosen)


def _format(blocks: Sequence[QuotableBlock], chosen: Sequence[QuotableBlock], title: str) -> str:
    """Format the chosen ones of a passage's blocks, in order, under their headings."""
    parts: list[str] = []
    path: tuple[str, ...] = ()
    for group in dict.fromkeys(block.group for block in blocks if block in chosen):
        members = [block for block in blocks if block.group == group]
        first = members[0]
        if first.path and first.path != path:
            parts.append(f"**{' > '.join((title, *first.path))}**")
        path = first.path
        lines: list[str] = []
        for is_chosen, run in groupby(members, key=chosen.__contains__):
            lines += [block.text for block in run] if is_chosen else [OMITTED]
        separator = "\n" if first.is_row else "\n\n"
        parts.append(separator.join(filter(None, (first.lead, "\n".join(lines)))))
    return "\n\n".join(parts)


def _source(passage: Passage) -> str:
    """Title and link of a passage."""
    return f"{passage.chunk.title}{': ' * bool(passage.chunk.url)}{passage.chunk.url}"


def _where_to_read(passages: Sequence[Passage]) -> str:
    sources = list(dict.fromkeys(map(_source, passages)))[:3]
    if not sources:
        return "Nothing was found that answers this question."
    return "\n".join(
        ["The answer is not in plain text there; read:", *(f"- {each}" for each in sources)]
    )
