"""Removes the vector files of deleted indexes: python -m database.index.tidy FOLDER.

Chroma never deletes the vector files of a deleted collection, so each build leaves files as large
as an index. Builds remove them from an embedded index; they cannot reach a server's folder.
"""

import argparse
import sys
from pathlib import Path

from database.index.vector_files import remove_orphaned_folders, segment_folders


def main(argv: list[str] | None = None) -> int:
    """Clean up one folder; returns 1, with one line, if it is no folder of Chroma's."""
    parser = argparse.ArgumentParser(prog="python -m database.index.tidy", description=__doc__)
    parser.add_argument(
        "folder", type=Path, help="the folder that the server serves; the server may be running"
    )
    folder: Path = parser.parse_args(argv).folder
    if not (folder / "chroma.sqlite3").is_file():
        sys.stderr.write(f"{folder} is no folder of Chroma's: it contains no chroma.sqlite3.\n")
        return 1
    before = _bytes(folder)
    removed = remove_orphaned_folders(str(folder))
    sys.stdout.write(
        f"Removed the files of {removed} deleted collections, {(before - _bytes(folder)) / 1e6:.1f}"
        " MB. A running server frees the space when it is restarted.\n"
    )
    return 0


def _bytes(folder: Path) -> int:
    """The total size of the vector files."""
    return sum(
        file.stat().st_size for each in segment_folders(str(folder)) for file in each.iterdir()
    )


if __name__ == "__main__":
    sys.exit(main())
