"""A changed lexical index equals one rebuilt from all chunks."""

import pickle
import random
from collections.abc import Sequence

import numpy as np
import pytest

from database.searching.fusion import Scores
from database.searching.lexical_index import LexicalIndex, Query, in_order
from database.searching.terms import terms
from dataset.chunks import Chunk
from tests.files.pages import chunk

WORDS = ("oak", "ash", "elm", "kiln", "stove", "KilnConfig", "ml.k3.large", "heat_age", "dry")
RELATED = {"kiln": {"stove": 0.8, "ash": 0.5}}


def pages(*texts: str) -> LexicalIndex:
    """An index of documents with one chunk each."""
    return LexicalIndex([chunk(text, document=f"{n}.md", title="") for n, text in enumerate(texts)])


def scores(index: LexicalIndex, question: str) -> Scores:
    query = Query({term: RELATED.get(term, {}) for term in terms(question)})
    return index.scores(query, documents=0.7)


def document(rng: random.Random, name: str, *own: str) -> list[Chunk]:
    """A random document of a few chunks; `own` are additional words."""
    some = [*WORDS, *own]
    title = " ".join(rng.choices(some, k=rng.randint(0, 3)))
    texts = [" ".join(rng.choices(some, k=rng.choice([0, 4, 40]))) for _ in range(4)]
    return [
        chunk(
            f"{text}\n- **[{rng.choice(some)}](page{ordinal}.md)**: {rng.choice(some)}",
            document=name,
            title=title,
            headings=tuple(rng.choices(some, k=rng.randint(0, 2))),
            ordinal=ordinal,
        )
        for ordinal, text in enumerate(texts[: rng.randint(1, 4)])
    ]


def after_change(chunks: list[Chunk], deleted: list[str], added: list[Chunk]) -> list[Chunk]:
    """All chunks after a change."""
    others = {*deleted, *(each.document for each in added)}
    return in_order([*added, *(each for each in chunks if each.document not in others)])


def assert_same(index: LexicalIndex, rebuilt: LexicalIndex, words: Sequence[str]) -> None:
    assert index.documents == rebuilt.documents
    assert len(index) == len(rebuilt)
    for term in {term for word in words for term in terms(word)}:
        assert index.holders(term) == rebuilt.holders(term), term
        assert index.headed(term) == rebuilt.headed(term), term
        assert index.rarity(term) == rebuilt.rarity(term), term
    for word in words:
        question = f"{word} dry kiln"
        assert np.array_equal(scores(index, question), scores(rebuilt, question)), word


@pytest.mark.parametrize("seed", range(6))
def test_changed_index_equals_a_rebuilt_one(seed: int) -> None:
    rng = random.Random(seed)
    names = [f"{name}.md" for name in "abcdefghij"]
    chunks = [each for name in names[::2] for each in document(rng, name)]
    index = LexicalIndex(chunks)
    own: list[str] = []
    for change in range(8):
        own.append(f"word{seed}x{change}")
        added = [
            each
            for name in rng.sample(names, rng.randint(0, 3))
            for each in document(rng, name, own[-1])
        ]
        deleted = rng.sample(names, rng.randint(0, 3))

        index = index.changed(deleted, added)
        chunks = after_change(chunks, deleted, added)

        assert_same(index, LexicalIndex(chunks), [*WORDS, *own, "page0.md", "page3.md"])


def test_change_does_not_modify_the_old_index() -> None:
    rng = random.Random(0)
    chunks = [each for name in ("a.md", "b.md", "c.md") for each in document(rng, name)]
    index = LexicalIndex(chunks)

    changed = index.changed(["a.md"], document(rng, "b.md", "zebra"))
    changed.changed(["b.md"], document(rng, "d.md", "gnu"))

    assert_same(index, LexicalIndex(chunks), [*WORDS, "zebra", "gnu"])
    deleted, added = ["c.md"], document(rng, "e.md", "lynx")
    other = index.changed(deleted, added).changed((), document(rng, "f.md", "gnu"))
    assert other.headed("lynx") + other.holders("lynx") > 0
    rebuilt = LexicalIndex(after_change(chunks, deleted, added))
    assert_same(index.changed(deleted, added), rebuilt, [*WORDS, "zebra", "gnu", "lynx"])


def test_index_can_become_empty_and_grow_again() -> None:
    empty = pages("Oak dries.").changed(["0.md"], [])
    assert (len(empty), empty.documents, empty.holders("oak")) == (0, (), 0)
    again = empty.changed((), [chunk("Ash.", document="b.md")])
    assert_same(again, LexicalIndex([chunk("Ash.", document="b.md")]), WORDS)


def test_deleted_document_leaves_no_trace_in_the_index() -> None:
    index = pages("Oak.", "Ash.")
    text = "- **[Zq7f3a](zq7f3b.md)** and Zq7f3c"
    secret = [chunk(text, document="n.md", title="Zq7f3d", headings=("Zq7f3e",))]
    extended = index.changed((), secret)
    assert b"zq7f3" in pickle.dumps(extended)
    assert b"zq7f3" not in pickle.dumps(extended.changed(["n.md"], []))


def test_repeated_changes_do_not_grow_the_index() -> None:
    index = pages("Oak.", "Ash.")
    sizes = []
    for version in range(40):
        text = f"Kiln word{version:04} number{version:04} here."
        index = index.changed((), [chunk(text, document="n.md", title=f"Name{version:04}")])
        sizes.append(len(pickle.dumps(index)))
    assert max(sizes[2:]) <= sizes[2] + 64
