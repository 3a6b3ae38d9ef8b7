"""An index on its own Chroma server, for tests that need no particular kind of store.

Several services of one process can read it; an embedded one would be stale in all but the first.
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
        pages: Page names and texts.
        **changes: Changes of the recipe.
    """
    with ChromaServer(folder / "chroma") as server:
        with closing(open_store(server.url)) as store:
            builder(store, None, **changes).build(write_pages(folder / "pages", pages))
        yield server.url
