"""The fingerprint of an index: the recipe and the documents that it was built from."""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol, Self

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

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> "InPlaceChange | None":
        """Read it from the pointer's metadata; None if nothing was changed in place."""
        names = [field.name for field in dataclasses.fields(cls)]
        return cls(**{name: metadata[name] for name in names}) if "changed_at" in metadata else None


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

    @property
    def collection_name(self) -> str:
        """The collection's name, derived from the recipe and the documents."""
        target = f"{self.recipe.digest()} {self.corpus_hash}"
        return f"index-{hashlib.sha256(target.encode()).hexdigest()[:16]}"

    def after(
        self, removed: Iterable[DocumentVersion], added: Iterable[DocumentVersion]
    ) -> InPlaceChange:
        """The updated fields after a change in place.

        Args:
            removed: The deleted documents, and the old versions of the replaced ones.
            added: The added documents, and the new versions of the replaced ones.
        """
        removed, added = list(removed), list(added)
        terms = [_hashed(v.name, v.content_hash) for v in added]
        terms += [-_hashed(v.name, v.content_hash) for v in removed]
        return InPlaceChange(
            corpus_hash=_add_terms(int(self.corpus_hash, 16), terms),
            documents=self.documents + len(added) - len(removed),
            chunks=self.chunks + sum(v.chunks for v in added) - sum(v.chunks for v in removed),
            changed_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def with_change(self, changed: InPlaceChange | None) -> "Fingerprint":
        """The fingerprint updated by a change in place."""
        return dataclasses.replace(self, **dataclasses.asdict(changed)) if changed else self

    def to_metadata(self) -> dict[str, Any]:
        """The fingerprint as a collection's metadata."""
        fields: dict[str, Any] = dataclasses.asdict(self)
        recipe: dict[str, Any] = fields.pop("recipe")
        return recipe | fields | {"sources": json.dumps(fields["sources"])}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> Self | None:
        """Read it from a collection's metadata; None if fields are missing."""
        required = ("corpus_hash", "documents", "chunks", "built_at")
        try:
            return cls(
                recipe=Recipe(**{f.name: metadata[f.name] for f in dataclasses.fields(Recipe)}),
                sources=_sources(metadata.get("sources")),
                recall=metadata.get("recall", 1.0),
                changed_at=metadata.get("changed_at", ""),
                **{name: metadata[name] for name in required},
            )
        except KeyError:
            return None


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
