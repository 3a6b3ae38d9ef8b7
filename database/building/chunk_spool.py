"""Chunks that wait to be embedded, on disk: memory does not grow with the corpus."""

import json
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import islice

from dataset.chunks import Chunk


class ChunkSpool:
    """A temporary file of chunks, written once and then read in windows."""

    def __init__(self) -> None:
        # The file is unlinked on creation, so a killed build leaves nothing behind.
        self._file = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115  # closed by close()
        self._count = 0

    def close(self) -> None:
        """Delete the file."""
        self._file.close()

    def __len__(self) -> int:
        return self._count

    def extend(self, chunks: Iterable[Chunk]) -> None:
        """Append chunks."""
        for chunk in chunks:
            self._file.write(json.dumps(asdict(chunk)) + "\n")
            self._count += 1

    def windows(self, size: int) -> Iterator[list[Chunk]]:
        """Read the chunks in order, `size` at a time."""
        self._file.seek(0)
        while lines := list(islice(self._file, size)):
            yield [_chunk(json.loads(line)) for line in lines]


def _chunk(fields: dict[str, object]) -> Chunk:
    headings = fields.pop("headings")
    return Chunk(headings=tuple(headings), **fields)  # type: ignore[arg-type]
