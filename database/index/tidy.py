"""Removes files that Chroma keeps of deleted indexes: python -m database.index.tidy FOLDER.

Chroma deletes a collection's rows and leaves its vectors' files for ever: each build leaves as much
as an index takes. An embedded index is tidied by its builds; a server's folder they cannot reach.
"""

import argparse
import sys
from pathlib import Path

from database.index.vector_files import remove_orphaned_folders, segment_folders


def main(argv: list[str] | None = None) -> int:
    """Tidy one folder; 0 also where there was nothing to do, 1 with one line where it is none."""
    parser = argparse.ArgumentParser(prog="python -m database.index.tidy", description=__doc__)
    parser.add_argument(
        "folder", type=Path, help="the folder that the server serves; it may run meanwhile"
    )
    folder: Path = parser.parse_args(argv).folder
    if not (folder / "chroma.sqlite3").is_file():
        sys.stderr.write(f"{folder} is no folder of Chroma's: it holds no chroma.sqlite3.\n")
        return 1
    before = _bytes(folder)
    removed = remove_orphaned_folders(str(folder))
    sys.stdout.write(
        f"Removed the files of {removed} deleted collections, {(before - _bytes(folder)) / 1e6:.1f}"
        " MB. A server that runs lets go of them when it is started again.\n"
    )
    return 0


def _bytes(folder: Path) -> int:
    """The size of the vectors' files."""
    return sum(
        file.stat().st_size for each in segment_folders(str(folder)) for file in each.iterdir()
    )


if __name__ == "__main__":
    sys.exit(main())
