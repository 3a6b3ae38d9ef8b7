"""What an index was made from: the note that says whether a reader may trust its vectors."""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol, Self

from dataset.sources.provenance import Source


class EmbeddingModelInfo(Protocol):
    """What is known of an embedding model, of files or behind an API."""

    @property
    def revision(self) -> str:
        """Its version."""

    @property
    def pooling(self) -> str:
        """How a text's vector is made from those of its tokens."""

    @property
    def dimension(self) -> int:
        """The length of its vectors."""


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
        """Same recipe, same digest. The model counts by its revision, not by its name."""
        fields = dataclasses.asdict(self) | {"embedding_model": ""}
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()

    def first_difference(self, model: EmbeddingModelInfo) -> tuple[str, str, str] | None:
        """The first thing in which a model's vectors would be others: what, here, there."""
        # The dimension last: to know an API's, it is asked.
        for name in ("model_revision", "pooling", "dimension"):
            made, theirs = getattr(self, name), getattr(model, name.removeprefix("model_"))
            if made != theirs:
                return name, str(made), str(theirs)
        return None

    def has_same_vectors(self, other: "Recipe") -> bool:
        """Whether a question embedded for one finds its passages in an index made by the other."""
        fields = ("model_revision", "dimension", "pooling")
        return all(getattr(self, field) == getattr(other, field) for field in fields)

    def can_share_model(self, other: "Recipe") -> bool:
        """Whether a model that was loaded for one is as good for the other."""
        return self.has_same_vectors(other) and self.max_tokens == other.max_tokens


@dataclass(frozen=True, slots=True)
class DocumentVersion:
    """One state of a document."""

    name: str
    content_hash: str
    chunks: int


@dataclass(frozen=True, slots=True)
class InPlaceChange:
    """What a fingerprint says after documents were changed in place; the pointer carries it."""

    corpus_hash: str
    documents: int
    chunks: int
    changed_at: str

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> "InPlaceChange | None":
        """Read it from the pointer; None where nothing was changed in place."""
        names = [field.name for field in dataclasses.fields(cls)]
        return cls(**{name: metadata[name] for name in names}) if "changed_at" in metadata else None


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The recipe, the documents it was applied to, and when."""

    recipe: Recipe
    corpus_hash: str
    """See `corpus_hash`."""
    documents: int
    chunks: int
    built_at: str
    """UTC, ISO 8601."""
    sources: tuple[Source, ...] = field(default=(), compare=False)
    """Where the documents are from; () for an index of an older build."""
    changed_at: str = ""
    """When documents were last changed in place (UTC, ISO 8601); "" for one as it was built."""

    @property
    def collection_name(self) -> str:
        """The collection's name: the same recipe and documents always get the same one."""
        target = f"{self.recipe.digest()} {self.corpus_hash}"
        return f"index-{hashlib.sha256(target.encode()).hexdigest()[:16]}"

    def after(
        self, removed: Iterable[DocumentVersion], added: Iterable[DocumentVersion]
    ) -> InPlaceChange:
        """What documents that change in place make of it.

        Args:
            removed: The documents deleted, and those replaced as they were.
            added: The documents added, and those replaced as they are now.
        """
        removed, added = list(removed), list(added)
        terms = [_hashed(v.name, v.content_hash) for v in added]
        terms += [-_hashed(v.name, v.content_hash) for v in removed]
        return InPlaceChange(
            corpus_hash=_with(int(self.corpus_hash, 16), terms),
            documents=self.documents + len(added) - len(removed),
            chunks=self.chunks + sum(v.chunks for v in added) - sum(v.chunks for v in removed),
            changed_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def with_change(self, changed: InPlaceChange | None) -> "Fingerprint":
        """It with what was changed in place."""
        return dataclasses.replace(self, **dataclasses.asdict(changed)) if changed else self

    def to_metadata(self) -> dict[str, Any]:
        """The fingerprint as a collection's metadata."""
        fields: dict[str, Any] = dataclasses.asdict(self)
        recipe: dict[str, Any] = fields.pop("recipe")
        return recipe | fields | {"sources": json.dumps(fields["sources"])}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> Self | None:
        """Read it back; None where the metadata holds no whole fingerprint."""
        fields = dict(metadata)
        try:
            recipe = Recipe(**{f.name: fields[f.name] for f in dataclasses.fields(Recipe)})
            rest = ("corpus_hash", "documents", "chunks", "built_at")
            known = {name: fields[name] for name in rest}
        except KeyError:
            return None
        return cls(
            recipe=recipe,
            sources=_sources(fields.get("sources")),
            changed_at=fields.get("changed_at", ""),
            **known,
        )


def _sources(text: object) -> tuple[Source, ...]:
    """Read the sources back; () where there are none, for a search does not need them."""
    try:
        return tuple(Source(**fields) for fields in json.loads(str(text)))
    except (TypeError, ValueError):
        return ()


def corpus_hash(content_hashes: Mapping[str, str]) -> str:
    """Hash the documents' names and content hashes, in whatever order.

    The sum of a SHA-256 for each document, modulo 2^256: a document that comes or goes changes it
    without the others being read.
    """
    return _with(0, (_hashed(name, content) for name, content in content_hashes.items()))


def _hashed(name: str, content_hash: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{name} {content_hash}\n".encode()).digest())


def _with(total: int, terms: Iterable[int]) -> str:
    return f"{(total + sum(terms)) % 2**256:064x}"
