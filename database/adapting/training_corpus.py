"""The documents that a model is adapted to, split into training and held-out documents."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from database.adapting.links import Link, links
from dataset.chunks import Chunk
from dataset.documents import Document
from dataset.splitting import ChunkSize, CountTokens, split_document
from utils.errors import DatasetError

MIN_DOCUMENTS = 20
"""Fewer give too few negatives to train with, and too few questions to evaluate."""


@dataclass(frozen=True, slots=True)
class Mention:
    """A link to a passage of the corpus, with its words and its sentence."""

    words: str
    sentence: str
    source: str
    chunk: Chunk
    """First chunk of the link's target."""


@dataclass(frozen=True)
class TrainingCorpus:
    """The chunks of documents, as in an index, and the links between the documents."""

    chunks: Sequence[Chunk]
    """Grouped by document, in the documents' order."""
    links: Sequence[Link]
    held_out: frozenset[str]
    """Documents excluded from training, for evaluation."""

    @cached_property
    def documents(self) -> tuple[str, ...]:
        """Names of all documents, in order."""
        return tuple(dict.fromkeys(chunk.document for chunk in self.chunks))

    @cached_property
    def learned(self) -> tuple[str, ...]:
        """Names of the training documents."""
        return tuple(name for name in self.documents if name not in self.held_out)

    @cached_property
    def learned_chunks(self) -> tuple[Chunk, ...]:
        """Chunks of the training documents."""
        return tuple(chunk for chunk in self.chunks if chunk.document not in self.held_out)

    @cached_property
    def digest(self) -> str:
        """SHA-256, hexadecimal, of the documents' names and contents."""
        hashes = {(chunk.document, chunk.document_hash) for chunk in self.chunks}
        return hashlib.sha256(repr(sorted(hashes)).encode()).hexdigest()

    @cached_property
    def mentions(self) -> tuple[Mention, ...]:
        """The links whose target is another passage of these documents."""
        first: dict[tuple[str, str], Chunk] = {}
        names: dict[str, str] = {}
        for chunk in self.chunks:
            names[chunk.document] = chunk.document
            first.setdefault((chunk.document, ""), chunk)
            first.setdefault((chunk.document, chunk.anchor), chunk)
            if chunk.url:
                names[chunk.url.partition("#")[0]] = chunk.document
        found = []
        for link in self.links:
            target = link.target_among(names.get) or ""
            passage = first.get((target, link.anchor)) or first.get((target, ""))
            if passage and (target != link.source or link.anchor):
                found.append(Mention(link.words, link.sentence, link.source, passage))
        return tuple(found)


def read_training_corpus(
    documents: Iterable[Document],
    size: ChunkSize,
    count_tokens: CountTokens,
    *,
    hold_out: float,
    seed: int,
) -> TrainingCorpus:
    """Split documents as for an index, and hold out a random share (0 to 1) of them.

    The choice depends on names and seed only, so that it stays the same for another version of the
    documents.

    Raises:
        DatasetError: there are fewer than MIN_DOCUMENTS documents.
    """
    chunks: list[Chunk] = []
    found: list[Link] = []
    for document in documents:
        chunks += split_document(document, size, count_tokens)
        found += links(document)
    names = {chunk.document for chunk in chunks}
    if len(names) < MIN_DOCUMENTS:
        raise DatasetError(
            f"{len(names)} documents with text are too few to adapt a model to: add documents, "
            f"at least {MIN_DOCUMENTS} in all."
        )
    held_out = frozenset(name for name in names if _uniform(name, seed) < hold_out)
    return TrainingCorpus(chunks, found, held_out)


def _uniform(name: str, seed: int) -> float:
    """A number in [0, 1), uniform over names, from a hash of name and seed."""
    digest = hashlib.sha256(f"{seed} {name}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64
