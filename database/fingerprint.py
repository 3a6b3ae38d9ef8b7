"""What an index was made from: the note that says whether a reader may trust its vectors."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from dataset.sources import Source


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

    def embeds_like(self, other: "Recipe") -> bool:
        """Whether a question embedded for one finds its passages in an index made by the other."""
        fields = ("model_revision", "dimension", "pooling")
        return all(getattr(self, field) == getattr(other, field) for field in fields)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The recipe, the documents it was applied to, and when."""

    recipe: Recipe
    corpus_hash: str
    """SHA-256 over the names and content hashes of the documents."""
    documents: int
    chunks: int
    built_at: str
    """UTC, ISO 8601."""
    sources: tuple[Source, ...] = field(default=(), compare=False)
    """Where the documents are from; () for an index of an older build."""

    @property
    def collection_name(self) -> str:
        """The collection's name: the same recipe and documents always get the same one."""
        target = f"{self.recipe.digest()} {self.corpus_hash}"
        return f"index-{hashlib.sha256(target.encode()).hexdigest()[:16]}"

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
        return cls(recipe=recipe, sources=_sources(fields.get("sources")), **known)


def _sources(text: object) -> tuple[Source, ...]:
    """Read the sources back; () where there are none, for a search does not need them."""
    try:
        return tuple(Source(**fields) for fields in json.loads(str(text)))
    except (TypeError, ValueError):
        return ()


def corpus_hash(content_hashes: Mapping[str, str]) -> str:
    """Hash the documents' names and content hashes, in the order of their names."""
    lines = (f"{name} {content_hashes[name]}\n" for name in sorted(content_hashes))
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode())
    return digest.hexdigest()
