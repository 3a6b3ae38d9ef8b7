"""The documents that an index holds, told from its chunks."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from dataset.chunks import Chunk


@dataclass(frozen=True, slots=True)
class DocumentSummary:
    """One document of the index."""

    name: str
    title: str
    url: str
    format: str
    changed: str
    etag: str
    chunks: int

    @classmethod
    def of(cls, first: Chunk) -> "DocumentSummary":
        """What a document's first chunk says of it."""
        return cls(
            name=first.document,
            title=first.title,
            url=first.url.partition("#")[0],
            format=first.format,
            changed=first.changed,
            etag=first.document_hash,
            chunks=first.siblings,
        )


def page_of_documents(
    chunks: Sequence[Chunk], names: Sequence[str], prefix: str, after: str, limit: int
) -> tuple[list[DocumentSummary], int]:
    """A page of the documents whose names begin so, and how many there are in all.

    Args:
        chunks: All of the index, in the order of their documents.
        names: The documents' names, sorted.
        prefix: How the names begin.
        after: The last name of the page before; "" for the first page.
        limit: Most documents on the page.
    """
    first = bisect_left(names, prefix)
    last = bisect_left(names, prefix + chr(0x10FFFF), lo=first) if prefix else len(names)
    begin = max(first, bisect_right(names, after)) if after else first
    chosen = names[begin : min(begin + limit, last)]
    return [DocumentSummary.of(_first_chunk(chunks, name)) for name in chosen], last - first


def _first_chunk(chunks: Sequence[Chunk], name: str) -> Chunk:
    return chunks[bisect_left(chunks, name, key=lambda chunk: chunk.document)]
