"""Damages an embedded index as a failing disk, a bad copy or a stray process could."""

import shutil
import sqlite3
import struct
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from random import Random

VECTOR_FILES = (
    "data_level0.bin",
    "header.bin",
    "index_metadata.pickle",
    "length.bin",
    "link_lists.bin",
)
SQLITE = "chroma.sqlite3"
_LIVE_ROWS = """
    SELECT e.id, e.segment_id, e.embedding_id FROM embeddings e
    JOIN segments s ON s.id = e.segment_id JOIN collections c ON c.id = s.collection
    WHERE c.name LIKE 'index-%' ORDER BY e.id
"""

Damage = Callable[[Path, Random], None]


def cut(file: Path, random: Random) -> None:
    """Cut a file, as a full disk or an interrupted copy does."""
    with file.open("r+b") as opened:
        opened.truncate(int(file.stat().st_size * random.uniform(0.1, 0.95)))


def flip(file: Path, random: Random) -> None:
    """Flip a few bits."""
    content = bytearray(file.read_bytes())
    for _ in range(random.choice([1, 4, 64])):
        content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    file.write_bytes(content)


def zero(file: Path, random: Random) -> None:
    """Overwrite a range with zeros, as a lost write does."""
    size = file.stat().st_size
    start = random.randrange(size)
    with file.open("r+b") as opened:
        opened.seek(start)
        opened.write(bytes(min(size - start, random.choice([512, 4096, 65536]))))


def _vector_file(
    harm: Callable[[Path, Random], None], name: str, folder: Path, random: Random
) -> None:
    """Damage the largest file of a name: that of the index; the words' ones are smaller."""
    harm(max(folder.glob(f"*/{name}"), key=lambda file: file.stat().st_size), random)


def _sqlite_file(harm: Callable[[Path, Random], None], folder: Path, random: Random) -> None:
    harm(folder / SQLITE, random)


def _sql(
    change: Callable[[sqlite3.Connection, Random], None], folder: Path, random: Random
) -> None:
    with closing(sqlite3.connect(folder / SQLITE)) as database, database:
        change(database, random)


def _rows(database: sqlite3.Connection, random: Random, count: int) -> list[tuple[int, str, str]]:
    """Some rows of the live index: number, segment and id."""
    return random.sample(database.execute(_LIVE_ROWS).fetchall(), count)


def _change_words(database: sqlite3.Connection, random: Random) -> None:
    for row, _, _ in _rows(database, random, random.choice([1, 5])):
        database.execute(
            "UPDATE embedding_metadata SET string_value = replace(string_value, 'topic', 'other')"
            " WHERE id = ? AND key = 'chroma:document'",
            (row,),
        )


def _null_document(database: sqlite3.Connection, random: Random) -> None:
    ((row, _, _),) = _rows(database, random, 1)
    database.execute(
        "UPDATE embedding_metadata SET string_value = NULL"
        " WHERE id = ? AND key = 'chroma:document'",
        (row,),
    )


def _no_document(database: sqlite3.Connection, random: Random) -> None:
    ((row, _, _),) = _rows(database, random, 1)
    database.execute(
        "DELETE FROM embedding_metadata WHERE id = ? AND key = 'chroma:document'", (row,)
    )


def _no_metadata(database: sqlite3.Connection, random: Random) -> None:
    ((row, _, _),) = _rows(database, random, 1)
    database.execute("DELETE FROM embedding_metadata WHERE id = ?", (row,))


def _change_metadata(database: sqlite3.Connection, random: Random) -> None:
    ((row, _, _),) = _rows(database, random, 1)
    key = random.choice(["title", "document", "document_hash", "heading_path", "anchor", "url"])
    database.execute(
        "UPDATE embedding_metadata SET string_value = 'x' || string_value WHERE id = ? AND key = ?",
        (row, key),
    )
    database.execute(
        "UPDATE embedding_metadata SET int_value = int_value + 1 WHERE id = ? AND key = 'ordinal'",
        (row,),
    )


def _swap_documents(database: sqlite3.Connection, random: Random) -> None:
    (one, _, _), (other, _, _) = _rows(database, random, 2)
    read = "SELECT string_value FROM embedding_metadata WHERE id = ? AND key = 'chroma:document'"
    write = (
        "UPDATE embedding_metadata SET string_value = ? WHERE id = ? AND key = 'chroma:document'"
    )
    texts = [database.execute(read, (row,)).fetchone()[0] for row in (one, other)]
    database.execute(write, (texts[1], one))
    database.execute(write, (texts[0], other))


def _swap_ids(database: sqlite3.Connection, random: Random) -> None:
    """Each row gets the other's vector: vectors are found by id."""
    (one, _, id_), (other, _, other_id) = _rows(database, random, 2)
    rename = "UPDATE embeddings SET embedding_id = ? WHERE id = ?"
    for name, row in (("between", one), (id_, other), (other_id, one)):
        database.execute(rename, (name, row))


def _delete_rows(database: sqlite3.Connection, random: Random) -> None:
    for row, _, _ in _rows(database, random, random.choice([1, 10])):
        database.execute("DELETE FROM embedding_metadata WHERE id = ?", (row,))
        database.execute("DELETE FROM embeddings WHERE id = ?", (row,))


def _duplicate_row(database: sqlite3.Connection, random: Random) -> None:
    """A row twice: with the id of one that is deleted, so that it has a vector."""
    (row, segment, _), (gone, _, free) = _rows(database, random, 2)
    database.execute("DELETE FROM embedding_metadata WHERE id = ?", (gone,))
    database.execute("DELETE FROM embeddings WHERE id = ?", (gone,))
    database.execute(
        "INSERT INTO embeddings (id, segment_id, embedding_id, seq_id)"
        " SELECT ?, ?, ?, seq_id FROM embeddings WHERE id = ?",
        (gone, segment, free, row),
    )
    database.execute(
        "INSERT INTO embedding_metadata SELECT ?, key, string_value, int_value, float_value,"
        " bool_value FROM embedding_metadata WHERE id = ?",
        (gone, row),
    )


def _change_fingerprint(database: sqlite3.Connection, random: Random) -> None:
    key = random.choice(["digests", "seal", "dimension", "chunk_size", "corpus_hash", "recall"])
    database.execute(
        "UPDATE collection_metadata SET str_value = 'x' || substr(str_value, 2),"
        " int_value = int_value + 1, float_value = float_value / 2 WHERE key = ?"
        " AND collection_id IN (SELECT id FROM collections WHERE name LIKE 'index-%')",
        (key,),
    )


def _change_words_of_synonyms(database: sqlite3.Connection, random: Random) -> None:
    """Damage the vectors of the words, which are in Chroma's write-ahead log."""
    found = database.execute("SELECT seq_id, vector FROM embeddings_queue").fetchall()
    for row, vector in random.sample(found, min(3, len(found))):
        if vector:
            content = bytearray(vector)
            content[random.randrange(len(content))] ^= 1 << random.randrange(8)
            database.execute(
                "UPDATE embeddings_queue SET vector = ? WHERE seq_id = ?", (bytes(content), row)
            )


def _swap_vectors(folder: Path, random: Random) -> None:
    """Swap the vectors of two rows in the file of the index."""
    file = max(folder.glob("*/data_level0.bin"), key=lambda file: file.stat().st_size)
    header = (file.parent / "header.bin").read_bytes()
    _, _, _, rows, size = struct.unpack_from("<iQQQQ", header)
    content = bytearray(file.read_bytes())
    one, other = (row * size for row in random.sample(range(rows), 2))
    vector = slice(size // 2, size - 16)  # within the vector, before the label
    first, second = (content[at:][vector] for at in (one, other))
    content[one + vector.start : one + vector.stop] = second
    content[other + vector.start : other + vector.stop] = first
    file.write_bytes(content)


def _lose_folder(folder: Path, random: Random) -> None:
    file = max(folder.glob("*/data_level0.bin"), key=lambda file: file.stat().st_size)
    shutil.rmtree(file.parent)


_OF_VECTORS: dict[str, Damage] = {
    f"{harm.__name__} {name}": partial(_vector_file, harm, name)
    for name in VECTOR_FILES
    for harm in (cut, flip, zero)
}
_OF_SQLITE: dict[str, Damage] = {
    f"{harm.__name__} {SQLITE}": partial(_sqlite_file, harm) for harm in (cut, flip, zero)
}

ROW_KINDS: dict[str, Damage] = {
    "words changed": partial(_sql, _change_words),
    "document NULL": partial(_sql, _null_document),
    "document missing": partial(_sql, _no_document),
    "metadata missing": partial(_sql, _no_metadata),
    "metadata changed": partial(_sql, _change_metadata),
    "documents swapped": partial(_sql, _swap_documents),
    "ids swapped": partial(_sql, _swap_ids),
    "rows deleted": partial(_sql, _delete_rows),
    "row duplicated": partial(_sql, _duplicate_row),
    "fingerprint changed": partial(_sql, _change_fingerprint),
    "log changed": partial(_sql, _change_words_of_synonyms),
    "vectors swapped": _swap_vectors,
}
"""Damage to rows, of a store that can be opened."""

KINDS = {**ROW_KINDS, **_OF_VECTORS, **_OF_SQLITE, "vector folder lost": _lose_folder}
