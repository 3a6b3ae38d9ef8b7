"""Digests detect every change of a row, and follow changes without reading the other rows."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from database.index.digests import Digests, batch_of
from database.index.fingerprint import Fingerprint
from database.index.rows import DamagedRowError, Row, to_chunk, to_metadata
from dataset.chunks import Chunk
from tests.files.pages import chunk, recipe

CHUNKS = [chunk(f"Oak number {n}.", document=f"page-{n}.md", ordinal=n) for n in range(9)]
FINGERPRINT = Fingerprint(recipe(), "0", 9, 9, "", digests=str(Digests()))


def vector_of(one: Chunk) -> list[float]:
    return [1.0, float(one.ordinal)]


def digests(*chunks: Chunk) -> Digests:
    found = Digests()
    found.add_rows(Row(one, vector_of(one)) for one in chunks)
    return found


def test_digests_do_not_depend_on_the_order_of_rows() -> None:
    assert str(digests(*CHUNKS)) == str(digests(*CHUNKS[::-1]))
    assert str(Digests.parse(str(digests(*CHUNKS)))) == str(digests(*CHUNKS))


def test_change_of_a_document_is_added_to_the_digests() -> None:
    new = replace(CHUNKS[0], text="Ash.")
    changed = digests(*CHUNKS) + (digests(new) - digests(CHUNKS[0]))
    assert str(changed) == str(digests(new, *CHUNKS[1:]))


@pytest.mark.parametrize("field", [f.name for f in fields(Chunk) if f.name != "revision"])
def test_change_of_any_field_is_damage(field: str) -> None:
    value: Any = getattr(CHUNKS[0], field)
    other = value + {str: "x", int: 1, tuple: ("x",)}[type(value)]
    damaged = digests(replace(CHUNKS[0], **{field: other}), *CHUNKS[1:])
    assert batch_of(CHUNKS[0].document) in damaged.damaged_batches(digests(*CHUNKS))


def test_revision_is_no_part_of_the_digests_as_copies_have_none() -> None:
    assert str(digests(replace(CHUNKS[0], revision=7))) == str(digests(CHUNKS[0]))


def test_lost_doubled_and_swapped_rows_are_damage() -> None:
    first, second = CHUNKS[:2]
    swapped = [replace(first, text=second.text), replace(second, text=first.text)]
    for rows in (CHUNKS[1:], [*CHUNKS, first], [*swapped, *CHUNKS[2:]], []):
        assert digests(*rows).damaged_batches(digests(*CHUNKS))


def test_smallest_change_of_a_vector_is_damage() -> None:
    changed = Digests()
    vector = np.array([vector_of(CHUNKS[0])], np.float32)
    changed.add_chunks(CHUNKS[:1])
    changed.add_vectors([CHUNKS[0].document], [CHUNKS[0].id], np.nextafter(vector, np.float32(9)))
    assert changed.damaged_batches(digests(CHUNKS[0])) == {batch_of(CHUNKS[0].document)}


@pytest.mark.parametrize("text", ["", "f", "zz", "00" * 8])
def test_damaged_digests_are_those_of_no_rows(text: str) -> None:
    assert str(Digests.parse(text)) == str(Digests())


@pytest.mark.parametrize(
    "harm",
    [{"dimension": 3}, {"recall": 0.5}, {"digests": "00"}, {"seal": "00"}, {"model_revision": "x"}],
)
def test_damaged_fingerprint_is_none(harm: dict[str, Any]) -> None:
    metadata = FINGERPRINT.to_metadata()
    assert Fingerprint.from_metadata(metadata) == FINGERPRINT
    assert Fingerprint.from_metadata(metadata | harm) is None


@pytest.mark.parametrize("field", ["digests", "seal"])
def test_fingerprint_that_lost_its_digests_is_not_one_of_an_older_version(field: str) -> None:
    metadata = FINGERPRINT.to_metadata()
    del metadata[field]
    assert Fingerprint.from_metadata(metadata) is None


def test_fingerprint_of_an_older_version_has_no_seal() -> None:
    older = replace(FINGERPRINT, digests="")
    assert "seal" not in older.to_metadata()
    assert Fingerprint.from_metadata(older.to_metadata()) == older


@pytest.mark.parametrize(
    ("text", "harm"),
    [
        (None, {}),
        ("Oak.", {"title": 7}),
        ("Oak.", {"ordinal": "0"}),
        ("Oak.", {"ordinal": None}),
        ("Oak.", {"unknown": "field"}),
        ("Oak.", {"heading_path": "[1]"}),
        ("Oak.", {"heading_path": "7"}),
        ("Oak.", {"heading_path": "no json"}),
    ],
)
def test_row_of_another_form_is_damage(text: str | None, harm: dict[str, Any]) -> None:
    with pytest.raises(DamagedRowError):
        to_chunk("id", text, to_metadata(CHUNKS[0]) | harm)
    with pytest.raises(DamagedRowError):
        to_chunk("id", "Oak.", None)
