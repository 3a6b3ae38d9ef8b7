"""A snapshot's parts and manifest survive a round trip, and invalid ones are refused."""

import base64
import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import zstandard

from database.index.fingerprint import Fingerprint
from database.index.rows import Record
from database.snapshot.manifest import (
    MAX_PART_BYTES,
    CollectionShape,
    Manifest,
    SnapshotPart,
    is_snapshot_name,
)
from database.snapshot.parts import read_part, write_parts
from tests.database.snapshot.steps import resealed
from tests.files.pages import DIMENSION, recipe
from utils.errors import SnapshotError

Change = Callable[[dict[str, Any]], object]


def records(count: int) -> list[Record]:
    rng = np.random.default_rng(7)
    return [
        Record(
            id=f"kilns.md#{n}",
            text=f"Kiln {n} dries oak: 30 °C, “slowly”.\nThen faster.",
            vector=rng.standard_normal(DIMENSION, dtype=np.float32),
            metadata={"document": "kilns.md", "ordinal": n, "headings": ["Drying", "Oak"]},
        )
        for n in range(count)
    ]


def plain(rows: Iterable[Record]) -> list[Record]:
    """Rows that can be compared."""
    return [replace(r, vector=r.vector.tobytes()) for r in rows]  # type: ignore[arg-type]


def part_of(
    lines: bytes, rows: int = 1, content: bytes | None = None, **changes: Any
) -> tuple[SnapshotPart, bytes]:
    """A part whose manifest matches its content, and that content."""
    content = zstandard.compress(lines) if content is None else content
    sha256 = hashlib.sha256(content).hexdigest()
    part = SnapshotPart(
        "index", f"part-00000-{sha256[:16]}.zst", rows, len(content), len(lines), sha256
    )
    return replace(part, **changes), content


def rows_of(part: SnapshotPart, content: bytes) -> list[Record]:
    return [*read_part(part, content, DIMENSION)]


def vector_of(*values: float) -> str:
    return base64.b64encode(np.array(values, dtype="<f4").tobytes()).decode()


def line(**changes: Any) -> bytes:
    fields = {"id": "a", "text": "b", "metadata": None, "vector": vector_of(*[1.0] * DIMENSION)}
    fields |= changes
    return orjson.dumps({k: v for k, v in fields.items() if v != "absent"}) + b"\n"


PART, CONTENT = part_of(line())
MANIFEST = Manifest(
    created_at="2026-01-02T03:04:05+00:00",
    software="tests",
    origin="collection",
    revision=3,
    fingerprint=Fingerprint(recipe(), "0" * 64, 1, 1, "2026-01-02"),
    collections={"index": CollectionShape(1, DIMENSION)},
    parts=(PART,),
)


def test_rows_survive_a_round_trip_bit_for_bit(tmp_path: Path) -> None:
    written = records(50)
    (part,) = write_parts("index", written, tmp_path, 0, 1 << 20)
    assert part.rows == 50
    assert plain(rows_of(part, (tmp_path / part.name).read_bytes())) == plain(written)


def test_full_part_is_followed_by_another(tmp_path: Path) -> None:
    written = records(50)
    parts = [*write_parts("index", written, tmp_path, 3, 4096)]
    found = [row for part in parts for row in rows_of(part, (tmp_path / part.name).read_bytes())]
    assert len(parts) > 3
    assert [int(part.name[5:10]) for part in parts] == [*range(3, 3 + len(parts))]
    assert all(part.unpacked < 4096 + 1024 for part in parts)
    assert plain(found) == plain(written)


def test_same_rows_give_the_same_parts(tmp_path: Path) -> None:
    written = records(50)
    shuffled = [replace(r, metadata=dict(reversed((r.metadata or {}).items()))) for r in written]
    once = [*write_parts("index", written, tmp_path, 0, 8192)]
    again = [*write_parts("index", shuffled, tmp_path, 0, 8192)]
    assert once == again


def test_no_rows_give_no_part(tmp_path: Path) -> None:
    assert [*write_parts("words", [], tmp_path, 0, 8192)] == []


@pytest.mark.parametrize(
    "wrong", [CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]), CONTENT[:-1], CONTENT + b"x", b""]
)
def test_changed_part_gives_no_row(wrong: bytes) -> None:
    with pytest.raises(SnapshotError, match="is not what the manifest says"):
        next(read_part(PART, wrong, DIMENSION))


@pytest.mark.parametrize(
    "wrong",
    [
        {"vector": vector_of(*[1.0] * (DIMENSION - 1))},
        {"vector": vector_of(*[1.0] * (DIMENSION - 1), float("nan"))},
        {"vector": vector_of(*[1.0] * (DIMENSION - 1), float("inf"))},
        {"vector": vector_of(*[0.0] * DIMENSION)},
        {"vector": vector_of(*[3e38] * DIMENSION)},
        {"vector": "not base64!"},
        {"vector": [1.0] * DIMENSION},
        {"vector": "absent"},
        {"id": ""},
        {"id": 7},
        {"id": "x" * 5000},
        {"text": None},
        {"text": ["a"]},
        {"metadata": []},
        {"metadata": {}},
        {"metadata": {"a": {"b": 1}}},
        {"metadata": {"a": None}},
        {"metadata": {"a": [1, 2]}},
        {"metadata": {"a": []}},
    ],
)
def test_invalid_row_is_refused_by_number(wrong: dict[str, Any]) -> None:
    with pytest.raises(SnapshotError, match="row 2 is invalid"):
        rows_of(*part_of(line() + line(**wrong), rows=2))


@pytest.mark.parametrize("lines", [b"[]\n", b"{\n", b"\xff\n", b"\n", b"[" * 5000 + b"\n", b"1\n"])
def test_invalid_line_is_refused(lines: bytes) -> None:
    with pytest.raises(SnapshotError, match="row 1 is invalid"):
        rows_of(*part_of(lines))


def test_last_line_cut_short_is_refused() -> None:
    with pytest.raises(SnapshotError, match="another size than the manifest says"):
        rows_of(*part_of(line() + line()[:-1]))


@pytest.mark.parametrize("rows", [1, 3])
def test_part_with_the_wrong_number_of_rows_is_refused(rows: int) -> None:
    with pytest.raises(SnapshotError, match="2 rows instead of"):
        rows_of(*part_of(line() * 2, rows=rows))


def test_part_that_decompresses_to_more_than_stated_is_aborted() -> None:
    with pytest.raises(SnapshotError, match="another size than the manifest says"):
        rows_of(*part_of(b"\n" * (1 << 29), unpacked=1000))


def test_endless_row_is_aborted() -> None:
    with pytest.raises(SnapshotError, match="too long"):
        rows_of(*part_of(b"x" * (40 << 20)))


def test_part_that_needs_much_memory_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27, compression_level=1)
    lines = line() * 300_000
    content = zstandard.ZstdCompressor(compression_params=parameters).compress(lines)
    with pytest.raises(SnapshotError, match="cannot be decompressed"):
        rows_of(*part_of(lines, 300_000, content))


def test_part_that_is_not_compressed_is_refused() -> None:
    with pytest.raises(SnapshotError, match="cannot be decompressed"):
        rows_of(*part_of(line(), content=line()))


def test_row_too_large_for_a_snapshot_is_refused(tmp_path: Path) -> None:
    huge = replace(records(1)[0], text="x" * (17 << 20))
    with pytest.raises(SnapshotError, match="too large"):
        list(write_parts("uploads", [huge], tmp_path, 0, 8192))


def test_manifest_survives_a_round_trip() -> None:
    assert Manifest.from_json(MANIFEST.to_json()) == MANIFEST


def test_manifest_with_unknown_fields_is_read() -> None:
    fields = json.loads(MANIFEST.to_json())
    fields["fingerprint"]["added_later"] = "something"
    assert Manifest.from_json(resealed(fields)).parts == (PART,)


def test_manifest_changed_by_hand_is_refused() -> None:
    content = MANIFEST.to_json().replace(b'"revision": 3', b'"revision": 4')
    with pytest.raises(SnapshotError, match="changed after it was written"):
        Manifest.from_json(content)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"null", b"7", b"\xff", b"[" * 9000])
def test_invalid_manifest_file_is_refused(content: bytes) -> None:
    with pytest.raises(SnapshotError, match="no snapshot's manifest"):
        Manifest.from_json(content)


def test_newer_format_is_named() -> None:
    with pytest.raises(SnapshotError, match="has format 2, and this version reads 1"):
        Manifest.from_json(b'{"format": 2}')


def set_part(**changes: Any) -> Change:
    return lambda fields: fields["parts"][0].update(changes)


LIES: dict[str, Change] = {
    "a part outside the folder": set_part(name="../../etc/passwd"),
    "a part of another name": set_part(name="part-00000-0000000000000000.zst"),
    "a part that is no name": set_part(name=["part"]),
    "a hash that is none": set_part(sha256="x" * 64),
    "a part too large to download": set_part(bytes=MAX_PART_BYTES + 1),
    "a part too large to unpack": set_part(unpacked=1 << 40),
    "a part of no rows": set_part(rows=0),
    "rows that are no number": set_part(rows="1"),
    "rows that are true": set_part(rows=True),
    "a part of an unknown collection": set_part(collection="pointer"),
    "a part of a collection it does not hold": set_part(collection="words"),
    "rows that do not add up": lambda f: f["collections"]["index"].update(rows=2),
    "vectors of another length": lambda f: f["collections"]["index"].update(dimension=2),
    "a dimension beyond measure": lambda f: f["fingerprint"].update(dimension=1 << 30),
    "a dimension that is text": lambda f: f["fingerprint"].update(dimension="64"),
    "half a fingerprint": lambda f: f["fingerprint"].pop("pooling"),
    "a fingerprint of lists": lambda f: f["fingerprint"].update(pooling=["mean"]),
    "a fingerprint that is none": lambda f: f.update(fingerprint=[]),
    "a source that cannot be": lambda f: f["fingerprint"].update(
        sources='[{"name": {}, "documents": 1, "url": "", "as_of": ""}]'
    ),
    "no index": lambda f: f.update(collections={}, parts=[]),
    "an index of no rows": lambda f: f.update(
        collections={"index": {"rows": 0, "dimension": DIMENSION}}, parts=[]
    ),
    "a collection not known": lambda f: f["collections"].update(x={"rows": 0, "dimension": 1}),
    "a part twice": lambda f: (
        f["collections"]["index"].update(rows=2) or f["parts"].append(f["parts"][0])
    ),
    "a negative revision": lambda f: f.update(revision=-1),
    "no parts": lambda f: f.pop("parts"),
    "parts that are none": lambda f: f.update(parts=[7]),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
def test_inconsistent_manifest_is_refused(lie: Change) -> None:
    fields = json.loads(MANIFEST.to_json())
    lie(fields)
    with pytest.raises(SnapshotError, match="The manifest cannot be trusted"):
        Manifest.from_json(resealed(fields))


@pytest.mark.parametrize(
    "name", ["..", "20261123T031500Z-", "20261123T031500Z-1a2b3c4d5e6f/..", "x", "", "latest"]
)
def test_folder_with_another_name_is_no_snapshot(name: str) -> None:
    assert not is_snapshot_name(name)
    assert is_snapshot_name("20261123T031500Z-1a2b3c4d5e6f")
