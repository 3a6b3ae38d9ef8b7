"""Passage selection: shares per document, no duplicates, neighbouring chunks joined."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import chain

import pytest

from database.searching.fusion import Ranking
from database.searching.passage import Passage, merge_passages
from database.searching.passage_selection import (
    LOOK_AHEAD,
    MAX_PASSAGE_CHARACTERS,
    TOGETHER,
    PassageSpan,
    select_passages,
    text_of,
)
from dataset.chunks import Chunk
from tests.files.pages import chunk

SEED = 20260115
CASES = 120
WOODS = ["oak", "ash", "elm", "fir", "yew", "bay", "box", "fig"]
JOINED = Ranking(per_document=2, duplicates=0.9, gap=2, characters=9000)
ALONE = replace(JOINED, gap=0)


def page(name: str, *texts: str, headings: Sequence[str] = ()) -> list[Chunk]:
    """The chunks of a document, each with its own heading if given."""
    return [
        chunk(text, document=name, title=name, headings=tuple(headings[n : n + 1]), ordinal=n)
        for n, text in enumerate(texts)
    ]


def pages(count: int, length: int = 9) -> list[Chunk]:
    """Documents of one chunk each, no two alike."""
    return list(
        chain.from_iterable(
            page(f"other-{number}", " ".join(f"word{number}x{place}" for place in range(length)))
            for number in range(count)
        )
    )


def corpus(rng: random.Random) -> list[Chunk]:
    """Documents with sections of chunks, some short, some long, some alike."""
    chunks: list[Chunk] = []
    for number in range(rng.randint(1, 30)):
        texts = [
            " ".join(f"{rng.choice(WOODS)}{rng.randint(0, 30)}" for _ in range(rng.randint(2, 150)))
            for _ in range(rng.randint(1, 20))
        ]
        if rng.random() < 0.2 and chunks:
            texts[0] = rng.choice(chunks).text
        above = [f"Part {place // 3}" for place in range(len(texts))]
        chunks += page(f"d{number}", *texts, headings=above)
    return chunks


@cache
def cases() -> list[tuple[list[int], list[Chunk], Ranking]]:
    """Rankings of random corpora in which neighbouring chunks are often ranked together."""
    rng = random.Random(SEED)
    made = []
    for _ in range(CASES):
        chunks = corpus(rng)
        found = sorted(range(len(chunks)), key=lambda place: rng.random() + place // 15 % 3)
        ranking = replace(
            JOINED,
            characters=rng.choice([2000, 9000]),
            gap=rng.choice([0, 1, 2, 3]),
            per_document=rng.choice([1, 2, 3]),
        )
        made.append((found[: rng.randint(1, len(found))], chunks, ranking))
    return made


def covered(runs: Sequence[PassageSpan]) -> list[int]:
    return [place for run in runs for place in range(run.first, run.last + 1)]


def length(chunks: Sequence[Chunk], runs: Sequence[PassageSpan]) -> int:
    return sum(len(text_of(chunks[run.first : run.last + 1])) for run in runs)


def best_first(chunks: Sequence[Chunk], top_k: int, ranking: Ranking = ALONE) -> list[int]:
    """The chunks of the passages selected if chunks are ranked in their order."""
    runs = select_passages(range(len(chunks)), chunks, ranking, top_k)
    return [run.found for run in runs]


def test_fewer_passages_are_a_prefix_of_more() -> None:
    for found, chunks, ranking in cases():
        everything = select_passages(found, chunks, ranking, len(found))
        for top_k in (1, 5, TOGETHER, TOGETHER + 1, 12, 30):
            assert select_passages(found, chunks, ranking, top_k) == everything[:top_k]


def test_every_found_chunk_is_in_one_passage_of_one_document_and_limited_length() -> None:
    for found, chunks, ranking in cases():
        runs = select_passages(found, chunks, ranking, len(found))
        assert set(found) <= set(covered(runs))
        assert len(covered(runs)) == len(set(covered(runs)))
        for run in runs:
            assert run.first <= run.found <= run.last
            inside = chunks[run.first : run.last + 1]
            assert len({each.document for each in inside}) == 1
            assert len(text_of(inside)) <= max(MAX_PASSAGE_CHARACTERS, len(chunks[run.found].text))


def test_first_passages_stay_within_their_common_limit() -> None:
    fullest = 0.0
    for found, some, ranking in cases():
        chunks = [*some, *pages(TOGETHER)]  # enough documents that none is deferred
        more = [*found, *range(len(some), len(chunks))]
        limit = TOGETHER * max(len(each.text) for each in chunks)
        runs = select_passages(more, chunks, replace(ranking, characters=limit), TOGETHER)
        assert length(chunks, runs) <= limit
        fullest = max(fullest, length(chunks, runs) / limit)
    assert fullest > 0.95


def test_chunk_too_long_for_the_first_passages_follows_them() -> None:
    chunks = [*page("long", "oak " * 2000), *pages(TOGETHER + 1)]
    selected = best_first(chunks, TOGETHER + 2, replace(ALONE, characters=5000))
    assert selected == [*range(1, TOGETHER + 1), 0, TOGETHER + 1]


def test_document_beyond_its_share_comes_last() -> None:
    chunks = [*page("much", "oak one", "ash two", "elm three", "fir four"), *pages(2)]
    assert best_first(chunks, 6) == [0, 1, 4, 5, 2, 3]
    for found, some, ranking in cases():
        first = select_passages(found, some, ranking, TOGETHER)
        shares = Counter(some[run.found].document for run in first)
        documents = {some[place].document for place in found}
        if len(documents) * ranking.per_document >= len(found) >= TOGETHER:
            assert max(shares.values()) <= ranking.per_document


def test_duplicate_of_another_document_follows_the_first_passages() -> None:
    same = "In a hot kiln the oak dries for seven weeks or more"
    chunks = [*page("a", same), *page("b", f"{same}, more or less"), *pages(TOGETHER)]
    assert best_first(chunks, 10) == [0, *range(2, TOGETHER + 1), 1, TOGETHER + 1]


@pytest.mark.parametrize("second", ["a", "c"])
def test_same_document_or_different_words_are_no_duplicate(second: str) -> None:
    same = "In a hot kiln the oak dries for seven weeks or more"
    other = same if second == "a" else "In a hot kiln the elm dries for seven weeks or less"
    assert best_first([*page("a", same), *page(second, other), *pages(TOGETHER)], 3) == [0, 1, 2]


def test_chunks_within_the_gap_are_joined_with_those_between() -> None:
    chunks = [*page("kiln", *(f"Step {n}." for n in range(6))), *pages(3)]
    assert select_passages([1, 6, 3, 7], chunks, JOINED, 4) == [
        PassageSpan(1, 1, 3),
        PassageSpan(6, 6, 6),
        PassageSpan(7, 7, 7),
    ]
    assert text_of(chunks[1:4]) == "Step 1.\n\nStep 2.\n\nStep 3."
    spans = [PassageSpan(3, 1, 3), PassageSpan(6, 6, 6)]
    assert select_passages([3, 6, 1], chunks, JOINED, 4) == spans


@pytest.mark.parametrize(("gap", "joined"), [(0, False), (1, False), (2, True)])
def test_chunks_beyond_the_gap_are_not_joined(gap: int, *, joined: bool) -> None:
    chunks = page("kiln", "Oak dries.", "Between.", "Ash burns.")
    runs = select_passages([0, 2], chunks, replace(JOINED, gap=gap), 2)
    assert runs == (
        [PassageSpan(0, 0, 2)] if joined else [PassageSpan(0, 0, 0), PassageSpan(2, 2, 2)]
    )


def test_neighbours_of_different_documents_are_not_joined() -> None:
    chunks = [*page("a", "Oak dries."), *page("b", "Ash burns.")]
    spans = [PassageSpan(0, 0, 0), PassageSpan(1, 1, 1)]
    assert select_passages([0, 1], chunks, JOINED, 2) == spans


def test_passage_grows_up_to_the_limit_and_only_into_the_best_chunks() -> None:
    third = "oak " * (MAX_PASSAGE_CHARACTERS // 4 // 3)
    chunks = [*page("kiln", *[third] * 4), *pages(LOOK_AHEAD)]
    long = select_passages([0, 1, 2, 3], chunks, JOINED, 9)
    assert long[0] == PassageSpan(0, 0, 1)
    others = [*range(4, LOOK_AHEAD + 3)]
    assert select_passages([1, *others[:-1], 0], chunks, JOINED, 9)[0] == PassageSpan(1, 0, 1)
    assert select_passages([1, *others, 0], chunks, JOINED, 9)[0] == PassageSpan(1, 1, 1)


def test_heading_is_inserted_where_a_section_starts_inside_a_passage() -> None:
    chunks = page("kiln", "One.", "Two.", "Three.", headings=("Dry", "Dry", "Burn"))
    assert text_of(chunks) == "One.\n\nTwo.\n\n## Burn\n\nThree."
    assert text_of(chunks[:1]) == "One."


def test_no_chunks_give_no_passage() -> None:
    assert select_passages([], pages(2), JOINED, 8) == []


def found_passage(text: str, *, document: str = "kilns.md", whole: str = "") -> Passage:
    return Passage(chunk(text, document=document), whole or text, score=1.0)


def test_merged_passages_keep_their_numbers_and_repeat_nothing() -> None:
    known = [found_passage("Oak dries.", whole="Oak dries.\n\nAsh dries.")]
    ash, fir, ivy = map(found_passage, ("Ash dries.", "Fir dries.", "Ivy dries."))
    other = found_passage("Ash dries.", document="ovens.md")
    merged = merge_passages(known, [ash, fir], [other, fir, ivy])
    assert merged == [*known, other, fir, ivy]
