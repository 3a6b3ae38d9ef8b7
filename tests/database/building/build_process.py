"""A build in a separate process that tests kill: `python -m ... FOLDER DATABASE`."""

import logging
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from database.index.store import open_store
from tests.files.pages import WordEmbeddings, builder

_WINDOW = 128
"""Chunks; a kill finds a build of many windows under way."""
_SECONDS_A_WINDOW = 0.15


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    folder, database = sys.argv[1:]
    with closing(open_store(database, create=True)) as store:
        slow = WordEmbeddings(before=lambda texts: time.sleep(_SECONDS_A_WINDOW))
        report = replace(builder(store, slow), window=_WINDOW).build(Path(folder))
    sys.stdout.write(f"built {report.chunks} chunks, {report.embedded} of them embedded\n")
