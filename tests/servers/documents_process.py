"""A service over an index in a separate process, to be killed: ... DATABASE PORT [SECONDS].

It embeds by words, and takes so many seconds for each page.
"""

import sys
import time

import uvicorn

from database.index.store import open_store
from database.reading.reader import Reader
from inference_worker.app import create_app
from tests.files.pages import WordEmbeddings
from tests.servers.documents_service import KEY, splitter
from utils.settings import Settings


class SlowEmbeddings(WordEmbeddings):
    """Embeds slowly, so that the process can be killed meanwhile."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        time.sleep(self._seconds)
        return super().embed_documents(texts)


if __name__ == "__main__":
    database, port, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    reader = Reader(
        open_store=lambda: open_store(database),
        load=lambda fingerprint: SlowEmbeddings(seconds),
        place=database,
        min_confidence=0.0,
    )
    settings = Settings(_env_file=None, database=database, admin_key=KEY, min_confidence=0.0)
    app = create_app(settings, reader=reader, splitter=splitter)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")
