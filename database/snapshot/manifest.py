"""A snapshot's manifest: what it holds, part by part, and what it was made from."""

import builtins
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

import orjson

from database.index.fingerprint import Fingerprint
from utils.errors import SnapshotError

FORMAT = 1
"""Raise when older versions of this software could not read a snapshot."""
MANIFEST = "manifest.json"
MAX_BYTES = 8 << 20
"""Of a manifest; 30,000 parts fit."""
MAX_PART_BYTES = 32 << 20
"""Of a part, as it is stored."""
MAX_UNPACKED_BYTES = 48 << 20
"""Of a part, as it is read."""
_MAX_DIMENSION = 1 << 14

Role = Literal["index", "words", "uploads"]
ROLES: tuple[Role, ...] = get_args(Role)

_NAME = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{12}")
_PART = re.compile(r"part-(\d{5})-([0-9a-f]{16})\.zst")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class SnapshotPart:
    """A file of rows of one collection."""

    collection: Role
    name: str
    rows: int
    bytes: int
    unpacked: int
    """Bytes before compression."""
    sha256: str
    """Of the file as it is stored."""


@dataclass(frozen=True, slots=True)
class CollectionShape:
    """What a snapshot holds of a collection."""

    rows: int
    dimension: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """All that is to be known of a snapshot before its parts are read."""

    created_at: str
    """UTC, ISO 8601."""
    software: str
    origin: str
    """The id of the collection that it was made of: no other ever gets the same."""
    revision: int
    """The index's revision there."""
    fingerprint: Fingerprint
    collections: Mapping[Role, CollectionShape]
    parts: tuple[SnapshotPart, ...]

    digest: str = ""
    """SHA-256 over everything else; `sealed` gives it."""

    @property
    def bytes(self) -> int:
        """How much its parts are to download."""
        return sum(part.bytes for part in self.parts)

    def parts_of(self, role: Role) -> Iterator[SnapshotPart]:
        """The parts of a collection, in order."""
        return (part for part in self.parts if part.collection == role)

    def sealed(self) -> "Manifest":
        """The manifest with its digest."""
        return replace(self, digest=_digest(self._fields()))

    def to_json(self) -> "builtins.bytes":
        """The manifest as it is stored."""
        fields = self._fields() | {"digest": self.digest}
        return orjson.dumps(fields, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)

    def _fields(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "created_at": self.created_at,
            "software": self.software,
            "origin": self.origin,
            "revision": self.revision,
            "fingerprint": self.fingerprint.to_metadata(),
            "collections": {role: asdict(held) for role, held in self.collections.items()},
            "parts": [asdict(part) for part in self.parts],
        }

    @classmethod
    def from_json(cls, content: "builtins.bytes") -> "Manifest":
        """Read a manifest, which anybody may have written.

        Raises:
            SnapshotError: it is none, of a newer form, or says of itself what is not so.
        """
        try:
            fields = orjson.loads(content)
            made_by = fields["format"]
        except (orjson.JSONDecodeError, KeyError, TypeError, IndexError) as error:
            raise SnapshotError("The manifest is no snapshot's manifest.") from error
        if made_by != FORMAT:
            raise SnapshotError(
                f"The snapshot is of format {str(made_by)[:20]}, and this software reads {FORMAT}. "
                "Use the software that it was made with."
            )
        try:
            manifest = cls(
                created_at=str(fields["created_at"]),
                software=str(fields["software"]),
                origin=str(fields["origin"]),
                revision=_count(fields["revision"]),
                fingerprint=_fingerprint(fields["fingerprint"]),
                collections=dict(map(_contents, fields["collections"].items())),
                parts=tuple(map(_part, fields["parts"])),
                digest=str(fields.pop("digest")),
            )
            if _digest(fields) != manifest.digest:
                raise _WrongError("it was changed after it was written")
            _hold_together(manifest)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            reason = str(error) if isinstance(error, _WrongError) else "it is not whole"
            raise SnapshotError(f"The manifest cannot be trusted: {reason}.") from error
        return manifest


class _WrongError(ValueError):
    """What is wrong with a manifest."""


def is_snapshot_name(folder: str) -> bool:
    """Whether a folder's name is a snapshot's."""
    return _NAME.fullmatch(folder) is not None


def is_sha256(text: str) -> bool:
    """Whether a text is a SHA-256 in hexadecimal."""
    return _SHA256.fullmatch(text) is not None


def _digest(fields: Mapping[str, Any]) -> str:
    return hashlib.sha256(orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _count(value: object, least: int = 0, most: int = 1 << 40) -> int:
    if type(value) is not int or not least <= value <= most:
        raise _WrongError("it holds a number that cannot be")
    return value


def _fingerprint(fields: Mapping[str, Any]) -> Fingerprint:
    fingerprint = Fingerprint.from_metadata(fields)
    if fingerprint is None:
        raise _WrongError("its fingerprint is not whole")
    known = asdict(fingerprint)
    for name, value in (known.pop("recipe") | known).items():
        if name != "sources" and type(value) not in (str, int):
            raise _WrongError(f"{name} of its fingerprint is neither text nor number")
    for source in fingerprint.sources:
        if any(type(value) not in (str, int) for value in asdict(source).values()):
            raise _WrongError("its fingerprint names a source that cannot be")
    _count(fingerprint.recipe.dimension, 1, _MAX_DIMENSION)
    return fingerprint


def _contents(item: tuple[Any, Any]) -> tuple[Role, CollectionShape]:
    role, fields = item
    if role not in ROLES:
        raise _WrongError("it holds a collection that is not known here")
    return role, CollectionShape(
        _count(fields["rows"]), _count(fields["dimension"], 1, _MAX_DIMENSION)
    )


def _part(fields: Any) -> SnapshotPart:
    part = SnapshotPart(
        collection=fields["collection"],
        name=fields["name"],
        rows=_count(fields["rows"], 1),
        bytes=_count(fields["bytes"], 1, MAX_PART_BYTES),
        unpacked=_count(fields["unpacked"], 1, MAX_UNPACKED_BYTES),
        sha256=fields["sha256"],
    )
    named = _PART.fullmatch(part.name)
    if part.collection not in ROLES or not is_sha256(part.sha256):
        raise _WrongError("it names a part that cannot be")
    if not named or named[2] != part.sha256[:16]:
        raise _WrongError("it names a part that is none")
    return part


def _hold_together(manifest: Manifest) -> None:
    """Hold the numbers of a manifest against one another."""
    if "index" not in manifest.collections:
        raise _WrongError("it holds no index")
    dimension = manifest.fingerprint.recipe.dimension
    for role, held in manifest.collections.items():
        if held.rows != sum(part.rows for part in manifest.parts_of(role)):
            raise _WrongError("its parts do not add up")
        if role != "uploads" and held.dimension != dimension:
            raise _WrongError("its vectors have another length than its fingerprint says")
    if not manifest.collections["index"].rows:
        raise _WrongError("it holds no rows")
    if any(part.collection not in manifest.collections for part in manifest.parts):
        raise _WrongError("it holds parts of no collection")
    if len({part.name for part in manifest.parts}) != len(manifest.parts):
        raise _WrongError("it names a part twice")
