"""Chunks as rows of a Chroma collection, and back."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from database.index import rows
from database.index.rows import Record, Row, to_chunk, to_metadata
from database.index.store import Store
from dataset.chunks import Chunk
from tests.files.pages import chunk

HEADED = chunk(
    "Dry it slowly.", document="oak.md", title="Oak", headings=("Drying", 'Two "lines"\n')
)
BARE = chunk("Burn it.", document="ash.md", title="Ash")


def stored(store: Store, name: str, *chunks: Chunk) -> list[Chunk]:
    """Add chunks to a new collection, and read it."""
    collection = store.create(name, {"made": "up"}, len(chunks))
    rows.add(collection, [Row(each, [1.0, 0.0]) for each in chunks])
    return list(rows.read_chunks(collection))


@pytest.mark.parametrize("made", [HEADED, BARE])
def test_row_has_the_whole_chunk(made: Chunk) -> None:
    assert to_chunk(made.id, made.text, to_metadata(made)) == made


def test_row_of_an_older_version_has_its_headings_as_a_list() -> None:
    older = to_metadata(HEADED) | {"headings": list(HEADED.headings)}
    del older["heading_path"]
    assert to_chunk(HEADED.id, HEADED.text, older) == HEADED


@pytest.mark.process
def test_new_row_has_no_headings_of_a_deleted_collection(either_store: Store) -> None:
    older = either_store.create("index-older", {"made": "up"}, 1)
    stale = to_metadata(HEADED) | {"headings": ["Stale"]}
    rows.add_records(older, [Record(HEADED.id, HEADED.text, np.array([1, 0], np.float32), stale)])
    either_store.delete("index-older")

    assert stored(either_store, "index-newer", BARE, HEADED) == [BARE, HEADED]


class RecordingCollection:
    """Records how many rows each request adds."""

    def __init__(self) -> None:
        self.added: list[int] = []

    def add(self, ids: list[str], **_columns: Any) -> None:
        self.added.append(len(ids))


def test_rows_with_long_vectors_or_texts_are_added_in_small_requests() -> None:
    many = [chunk(f"Kiln {n}.", document="kiln.md", ordinal=n) for n in range(2000)]
    long = [replace(each, text="kiln " * 5000) for each in many]
    sizes = []
    for chunks, dimension in ((many, 2), (many, 5000), (long, 2)):
        collection: Any = RecordingCollection()
        rows.add(collection, [Row(each, [1.0] * dimension) for each in chunks])
        assert sum(collection.added) == len(many)
        sizes.append(max(collection.added))

    assert sizes[0] == 1024
    assert 5000 * 20 * sizes[1] <= 20_000_000
    assert 25_000 * 4 * sizes[2] <= 20_000_000
