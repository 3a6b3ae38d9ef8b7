"""Opens and queries one collection of an embedded store, in a process of its own.

`python -m database.index.checks.embedded_check FOLDER NAME` prints the number of rows and the
seconds as JSON.
"""

import json
import sys
import time
from pathlib import Path

from database.index.isolation.store_process import open_bindings

_TENANT = "default_tenant"
_DATABASE = "default_database"
_CACHED_COLLECTIONS = 10
"""Open HNSW indexes that Chroma may keep; this process opens one."""


def main(argv: list[str]) -> int:
    """Count the rows, and query one of them by its own vector."""
    folder, name = argv
    started = time.perf_counter()
    store = open_bindings(Path(folder), _CACHED_COLLECTIONS)
    collection = str(store.get_collection(name, _TENANT, _DATABASE).id)
    rows = store.count(collection, _TENANT, _DATABASE)
    # None: no ids, and no filter by metadata or text.
    sample = store.get(collection, None, None, 1, 0, None, ["embeddings"], _TENANT, _DATABASE)
    if sample.ids:
        vectors = sample.embeddings
        found = store.query(collection, None, vectors, 1, None, None, [], _TENANT, _DATABASE)
        if not found.ids[0]:
            sys.stderr.write(f"A query with a stored vector finds nothing in {name}.\n")
            return 1
    seconds = round(time.perf_counter() - started, 3)
    sys.stdout.write(json.dumps({"rows": rows, "seconds_to_open": seconds}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
