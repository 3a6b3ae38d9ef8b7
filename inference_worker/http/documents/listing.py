"""Lists the documents of an index from its sorted chunks."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from dataset.chunks import Chunk


def page_of_documents(
    chunks: Sequence[Chunk], names: Sequence[str], prefix: str, after: str, limit: int
) -> tuple[list[Chunk], int]:
    """The first chunk of each document on a page, and the number of documents on all pages.

    The names are sorted, and the chunks by name; `after` is the previous page's last name, or "".
    """
    first = bisect_left(names, prefix)
    last = bisect_left(names, prefix + chr(0x10FFFF), lo=first) if prefix else len(names)
    begin = max(first, bisect_right(names, after)) if after else first
    page = names[begin : min(begin + limit, last)]
    places = (bisect_left(chunks, name, key=lambda chunk: chunk.document) for name in page)
    return [chunks[place] for place in places], last - first
