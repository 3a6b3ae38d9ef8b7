"""Chunks that wait to be embedded, on disk: memory does not grow with the corpus."""

import json
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict

from database.index.rows import in_pages
from dataset.chunks import Chunk


class ChunkSpool:
    """A temporary file of chunks, written once and then read in windows."""

    def __init__(self) -> None:
        # The file is unlinked on creation, so a killed build leaves nothing behind.
        self._file = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115  # closed by close()
        self.characters = 0
        """Of the chunks' texts."""

    def close(self) -> None:
        """Delete the file."""
        self._file.close()

    def extend(self, chunks: Iterable[Chunk]) -> None:
        """Append chunks."""
        for chunk in chunks:
            self._file.write(json.dumps(asdict(chunk)) + "\n")
            self.characters += len(chunk.text)

    def windows(self, size: int) -> Iterator[list[Chunk]]:
        """Read the chunks in order, `size` at a time."""
        self._file.seek(0)
        for lines in in_pages(self._file, size):
            fields = map(json.loads, lines)
            yield [Chunk(**each | {"headings": tuple(each["headings"])}) for each in fields]
