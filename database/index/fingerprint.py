"""The fingerprint of an index: the recipe and the documents that it was built from."""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol, Self

from database.index.digests import Digests
from dataset.sources.provenance import Source


class EmbeddingModelInfo(Protocol):
    """The properties of an embedding model, local or behind an API."""

    @property
    def revision(self) -> str:
        """Its version."""

    @property
    def pooling(self) -> str:
        """How a text's vector is computed from its tokens' vectors."""

    @property
    def dimension(self) -> int:
        """The dimension of its vectors."""


_SEAL = "seal"
"""Hash of the other fields of a collection's metadata, by which damage to them is detected."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything but the documents that decides chunks and vectors."""

    embedding_model: str
    model_revision: str
    dimension: int
    pooling: str
    max_tokens: int
    chunker_version: int
    chunk_size: int
    chunk_overlap: int

    def digest(self) -> str:
        """SHA-256 of the recipe. The model counts by its revision, not by its name."""
        fields = dataclasses.asdict(self) | {"embedding_model": ""}
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()

    def first_difference(self, model: EmbeddingModelInfo) -> tuple[str, str, str] | None:
        """The first property in which a model differs: its name, our value, the model's value."""
        # The dimension last: an API model must be called for it.
        for name in ("model_revision", "pooling", "dimension"):
            ours, theirs = getattr(self, name), getattr(model, name.removeprefix("model_"))
            if ours != theirs:
                return name, str(ours), str(theirs)
        return None

    def has_same_vectors(self, other: "Recipe") -> bool:
        """True if questions embedded for one recipe can be searched in an index of the other."""
        fields = ("model_revision", "dimension", "pooling")
        return all(getattr(self, field) == getattr(other, field) for field in fields)

    def can_share_model(self, other: "Recipe") -> bool:
        """True if a model loaded for one recipe can be used for the other."""
        return self.has_same_vectors(other) and self.max_tokens == other.max_tokens


@dataclass(frozen=True, slots=True)
class DocumentVersion:
    """A version of a document."""

    name: str
    content_hash: str
    chunks: int


@dataclass(frozen=True, slots=True)
class InPlaceChange:
    """The fingerprint fields that a change in place updates; stored in the pointer."""

    corpus_hash: str
    documents: int
    chunks: int
    changed_at: str
    digests: str

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> "InPlaceChange | None":
        """Read it from the pointer's metadata; None if nothing was changed in place."""
        if "changed_at" not in metadata:
            return None
        found = {"digests": "", **metadata}  # older versions wrote none
        return cls(**{field.name: found[field.name] for field in dataclasses.fields(cls)})


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The recipe of an index, its documents and the build time."""

    recipe: Recipe
    corpus_hash: str
    """See `corpus_hash`."""
    documents: int
    chunks: int
    built_at: str
    """UTC, ISO 8601."""
    sources: tuple[Source, ...] = field(default=(), compare=False)
    """Where the documents come from; () for an index of an older version."""
    recall: float = field(default=1.0, compare=False)
    """Share of the nearest chunks that dense search finds, measured before it went live."""
    changed_at: str = ""
    """When documents were last changed in place (UTC, ISO 8601); "" if never."""
    digests: str = field(default="", compare=False)
    """The digests of its rows, see `Digests`; "" for an index of an older version."""
    cleaned: int = field(default=0, compare=False)
    """The last revision whose deletions the digests of a replaced index account for."""

    @property
    def collection_name(self) -> str:
        """The collection's name, derived from the recipe and the documents."""
        target = f"{self.recipe.digest()} {self.corpus_hash}"
        return f"index-{hashlib.sha256(target.encode()).hexdigest()[:16]}"

    def after(
        self,
        removed: Iterable[DocumentVersion],
        added: Iterable[DocumentVersion],
        difference: Digests,
    ) -> InPlaceChange:
        """The updated fields after a change in place.

        Args:
            removed: The deleted documents, and the old versions of the replaced ones.
            added: The added documents, and the new versions of the replaced ones.
            difference: The digests of the added rows less those of the removed ones.
        """
        removed, added = list(removed), list(added)
        terms = [_hashed(v.name, v.content_hash) for v in added]
        terms += [-_hashed(v.name, v.content_hash) for v in removed]
        return InPlaceChange(
            corpus_hash=_add_terms(int(self.corpus_hash, 16), terms),
            documents=self.documents + len(added) - len(removed),
            chunks=self.chunks + sum(v.chunks for v in added) - sum(v.chunks for v in removed),
            changed_at=datetime.now(UTC).isoformat(timespec="seconds"),
            digests=self.digests and str(Digests.parse(self.digests) + difference),
        )

    def with_change(self, changed: InPlaceChange | None) -> "Fingerprint":
        """The fingerprint updated by a change in place."""
        if changed is None:
            return self
        fields = dataclasses.asdict(changed)
        # An index of an older version may have got its digests after the change.
        return dataclasses.replace(self, **fields | {"digests": changed.digests or self.digests})

    def without_rows(self, removed: Digests, revision: int) -> "Fingerprint":
        """The fingerprint of a replaced index after a deletion, counted once for its revision."""
        if not self.digests or self.cleaned >= revision:
            return self
        digests = str(Digests.parse(self.digests) - removed)
        return dataclasses.replace(self, digests=digests, cleaned=revision)

    def to_metadata(self) -> dict[str, Any]:
        """The fingerprint as a collection's metadata."""
        fields: dict[str, Any] = dataclasses.asdict(self)
        recipe: dict[str, Any] = fields.pop("recipe")
        metadata = recipe | fields | {"sources": json.dumps(fields["sources"])}
        return metadata | {_SEAL: _seal(metadata)} if self.digests else metadata

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> Self | None:
        """Read it from a collection's metadata; None if fields are missing or damaged."""
        if metadata.get("digests") or _SEAL in metadata:
            sealed = {name: value for name, value in metadata.items() if name != _SEAL}
            if metadata.get(_SEAL) != _seal(sealed):
                return None
        required = ("corpus_hash", "documents", "chunks", "built_at")
        try:
            return cls(
                recipe=Recipe(**{f.name: metadata[f.name] for f in dataclasses.fields(Recipe)}),
                sources=_sources(metadata.get("sources")),
                recall=metadata.get("recall", 1.0),
                changed_at=metadata.get("changed_at", ""),
                digests=metadata.get("digests", ""),
                cleaned=metadata.get("cleaned", 0),
                **{name: metadata[name] for name in required},
            )
        except KeyError:
            return None


def _seal(metadata: Mapping[str, Any]) -> str:
    """Hash a collection's metadata; numbers as floats, which a store may return for integers."""
    fields = sorted((k, float(v) if isinstance(v, int) else v) for k, v in metadata.items())
    return hashlib.sha256(json.dumps(fields).encode()).hexdigest()[:16]


def _sources(text: object) -> tuple[Source, ...]:
    """Read the sources; () if they are missing or invalid, since searches do not need them."""
    try:
        return tuple(Source(**fields) for fields in json.loads(str(text)))
    except (TypeError, ValueError):
        return ()


def corpus_hash(content_hashes: Mapping[str, str]) -> str:
    """Hash the documents' names and content hashes, in any order.

    sum(SHA-256(name, content hash) for each document) mod 2^256, so that adding or removing a
    document updates the hash without reading the others.
    """
    return _add_terms(0, (_hashed(name, content) for name, content in content_hashes.items()))


def _hashed(name: str, content_hash: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{name} {content_hash}\n".encode()).digest())


def _add_terms(total: int, terms: Iterable[int]) -> str:
    return f"{(total + sum(terms)) % 2**256:064x}"
