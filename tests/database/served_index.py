"""An index on a Chroma server of its own, for tests that do not mind where it lies.

An embedded one takes seconds longer: each build and each reader checks it in a process of its own.
"""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from database.index.store import open_store
from tests.files.pages import PAGES, builder, write_pages
from tests.servers.chroma import ChromaServer


@contextmanager
def served_index(
    folder: Path, pages: Mapping[str, str] = PAGES, **changes: object
) -> Iterator[str]:
    """Serve an index of the pages; yields its address.

    Args:
        folder: Where the pages and the server's data are written.
        pages: Their names and texts.
        **changes: What is different in the recipe.
    """
    with ChromaServer(folder / "chroma") as server:
        with closing(open_store(server.url)) as store:
            builder(store, None, **changes).build(write_pages(folder / "pages", pages))
        yield server.url
