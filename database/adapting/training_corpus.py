"""The documents that a model is adapted to, and which of them are kept out of its training."""

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
"""With fewer there is nothing to tell apart, and nothing to judge by."""


@dataclass(frozen=True, slots=True)
class Mention:
    """A link whose target is known: how one document speaks of a passage."""

    words: str
    sentence: str
    source: str
    chunk: Chunk
    """The first chunk of what it leads to."""


@dataclass(frozen=True)
class TrainingCorpus:
    """Documents as an index holds them, with the links between them."""

    chunks: Sequence[Chunk]
    """In the order of the documents, each document's together."""
    links: Sequence[Link]
    held_out: frozenset[str]
    """The documents that nothing is learned from."""

    @cached_property
    def documents(self) -> tuple[str, ...]:
        """The documents' names, in order."""
        return tuple(dict.fromkeys(chunk.document for chunk in self.chunks))

    @cached_property
    def learned(self) -> tuple[str, ...]:
        """The documents that a model learns from."""
        return tuple(name for name in self.documents if name not in self.held_out)

    @cached_property
    def learned_chunks(self) -> tuple[Chunk, ...]:
        """Their chunks."""
        return tuple(chunk for chunk in self.chunks if chunk.document not in self.held_out)

    @cached_property
    def digest(self) -> str:
        """SHA-256, hexadecimal, of the documents' names and contents."""
        held = {(chunk.document, chunk.document_hash) for chunk in self.chunks}
        return hashlib.sha256(repr(sorted(held)).encode()).hexdigest()

    @cached_property
    def mentions(self) -> tuple[Mention, ...]:
        """The links that lead to another passage of these documents."""
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
            target = link.target_among(names.get)
            if not target or (target == link.source and not link.anchor):
                continue
            passage = first.get((target, link.anchor)) or first.get((target, ""))
            if passage:
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
    """Split documents as an index does, and choose those that nothing is learned from.

    Args:
        documents: Each is read once.
        size: How long a chunk may be.
        count_tokens: Counts a text's tokens as the model does.
        hold_out: Their share of the documents, 0 to 1.
        seed: Of the choice. It falls on names: another version of the documents has the same ones.

    Raises:
        DatasetError: there are too few to learn from.
    """
    chunks: list[Chunk] = []
    found: list[Link] = []
    for document in documents:
        chunks += split_document(document, size, count_tokens)
        found += links(document)
    names = {chunk.document for chunk in chunks}
    if len(names) < MIN_DOCUMENTS:
        raise DatasetError(
            f"{len(names)} documents with text are too few to adapt a model to: at least "
            f"{MIN_DOCUMENTS} are needed."
        )
    held_out = frozenset(name for name in names if _drawn(name, seed) < hold_out)
    return TrainingCorpus(chunks, found, held_out)


def _drawn(name: str, seed: int) -> float:
    """A number from 0 to 1 that a name always draws."""
    digest = hashlib.sha256(f"{seed} {name}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64
