"""A snapshot's manifest: its parts, and the fingerprint of its index."""

import builtins
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

import orjson

from database.index.fingerprint import Fingerprint
from utils.errors import SnapshotError

FORMAT = 1
"""Incremented when older versions could not read a new snapshot."""
MANIFEST = "manifest.json"
MAX_BYTES = 8 << 20
"""Of a manifest; enough for 30,000 parts."""
MAX_PART_BYTES = 32 << 20
"""Of a part, compressed."""
MAX_UNPACKED_BYTES = 48 << 20
"""Of a part, uncompressed."""
_MAX_DIMENSION = 1 << 14

CollectionRole = Literal["index", "words", "uploads"]
ROLES: tuple[CollectionRole, ...] = get_args(CollectionRole)

_NAME = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{12}")
_PART = re.compile(r"part-(\d{5})-([0-9a-f]{16})\.zst")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class SnapshotPart:
    """A file of rows of one collection."""

    collection: CollectionRole
    name: str
    rows: int
    bytes: int
    unpacked: int
    """Bytes before compression."""
    sha256: str
    """Of the compressed file."""


@dataclass(frozen=True, slots=True)
class CollectionShape:
    """Number and dimension of a collection's rows."""

    rows: int
    dimension: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """Description of a snapshot, read before its parts."""

    created_at: str
    """UTC, ISO 8601."""
    software: str
    origin: str
    """The unique id of the exported collection."""
    revision: int
    """The index's revision in its store."""
    fingerprint: Fingerprint
    collections: Mapping[CollectionRole, CollectionShape]
    parts: tuple[SnapshotPart, ...]
    digest: str = field(default="", compare=False)
    """SHA-256 of all other fields, if it was read."""

    @property
    def bytes(self) -> int:
        """Total size of the compressed parts."""
        return sum(part.bytes for part in self.parts)

    def parts_of(self, role: CollectionRole) -> Iterator[SnapshotPart]:
        """The parts of a collection, in order."""
        return (part for part in self.parts if part.collection == role)

    def to_json(self) -> "builtins.bytes":
        """The manifest as it is stored, with its digest."""
        fields = {
            "format": FORMAT,
            "created_at": self.created_at,
            "software": self.software,
            "origin": self.origin,
            "revision": self.revision,
            "fingerprint": self.fingerprint.to_metadata(),
            "collections": {role: asdict(shape) for role, shape in self.collections.items()},
            "parts": [asdict(part) for part in self.parts],
        }
        sealed = fields | {"digest": _digest(fields)}
        return orjson.dumps(sealed, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)

    @classmethod
    def from_json(cls, content: "builtins.bytes") -> "Manifest":
        """Parse and check an untrusted manifest.

        Raises:
            SnapshotError: it is no manifest, of a newer format, or inconsistent.
        """
        try:
            fields = orjson.loads(content)
            format_version = fields["format"]
        except (orjson.JSONDecodeError, KeyError, TypeError, IndexError) as error:
            raise SnapshotError("The manifest is no snapshot's manifest.") from error
        if format_version != FORMAT:
            raise SnapshotError(
                f"The snapshot has format {str(format_version)[:20]}, and this version reads "
                f"{FORMAT}. Use the version that made it."
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
            _check_consistency(manifest)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            reason = str(error) if isinstance(error, _WrongError) else "it is incomplete"
            raise SnapshotError(f"The manifest cannot be trusted: {reason}.") from error
        return manifest


class _WrongError(ValueError):
    """The reason why a manifest is rejected."""


def is_snapshot_name(folder: str) -> bool:
    """True if this is the name of a snapshot's folder."""
    return _NAME.fullmatch(folder) is not None


def is_sha256(text: str) -> bool:
    """True for a SHA-256 in lower-case hexadecimal digits."""
    return _SHA256.fullmatch(text) is not None


def _digest(fields: Mapping[str, Any]) -> str:
    return hashlib.sha256(orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _count(value: object, low: int = 0, high: int = 1 << 40) -> int:
    if type(value) is not int or not low <= value <= high:
        raise _WrongError("it contains a number out of range")
    return value


def _fingerprint(fields: Mapping[str, Any]) -> Fingerprint:
    fingerprint = Fingerprint.from_metadata(fields)
    if fingerprint is None:
        raise _WrongError("its fingerprint is incomplete")
    known = asdict(fingerprint)
    for name, value in (known.pop("recipe") | known).items():
        if name != "sources" and type(value) not in (str, int, float):
            raise _WrongError(f"{name} of its fingerprint is neither text nor number")
    for source in fingerprint.sources:
        if any(type(value) not in (str, int) for value in asdict(source).values()):
            raise _WrongError("its fingerprint contains an invalid source")
    _count(fingerprint.recipe.dimension, 1, _MAX_DIMENSION)
    return fingerprint


def _contents(item: tuple[Any, Any]) -> tuple[CollectionRole, CollectionShape]:
    role, fields = item
    if role not in ROLES:
        raise _WrongError("it contains an unknown collection")
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
        raise _WrongError("it names a part with an invalid collection or hash")
    if not named or named[2] != part.sha256[:16]:
        raise _WrongError("it names a part with an invalid file name")
    return part


def _check_consistency(manifest: Manifest) -> None:
    """Check that the numbers of a manifest agree."""
    if "index" not in manifest.collections:
        raise _WrongError("it contains no index")
    dimension = manifest.fingerprint.recipe.dimension
    for role, shape in manifest.collections.items():
        if shape.rows != sum(part.rows for part in manifest.parts_of(role)):
            raise _WrongError("its parts do not add up")
        if role != "uploads" and shape.dimension != dimension:
            raise _WrongError("the dimension of its vectors differs from its fingerprint's")
    if not manifest.collections["index"].rows:
        raise _WrongError("it contains no rows")
    if any(part.collection not in manifest.collections for part in manifest.parts):
        raise _WrongError("it contains parts of no collection")
    if len({part.name for part in manifest.parts}) != len(manifest.parts):
        raise _WrongError("it names a part twice")
