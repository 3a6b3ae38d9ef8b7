"""Lists the documents of an index from its sorted chunks."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from dataset.chunks import Chunk


def page_of_documents(
    chunks: Sequence[Chunk], names: Sequence[str], prefix: str, after: str, limit: int
) -> tuple[list[Chunk], int]:
    """The first chunk of each document on a page, and the number of documents on all pages.

    Args:
        chunks: All chunks of the index, sorted by document.
        names: The documents' names, sorted.
        prefix: Restricts the documents by the beginning of their names.
        after: The last name of the previous page; "" for the first page.
        limit: Maximum number of documents on the page.
    """
    first = bisect_left(names, prefix)
    last = bisect_left(names, prefix + chr(0x10FFFF), lo=first) if prefix else len(names)
    begin = max(first, bisect_right(names, after)) if after else first
    page = names[begin : min(begin + limit, last)]
    return [chunks[_first_index(chunks, name)] for name in page], last - first


def _first_index(chunks: Sequence[Chunk], name: str) -> int:
    return bisect_left(chunks, name, key=lambda chunk: chunk.document)
