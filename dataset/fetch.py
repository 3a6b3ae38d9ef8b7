"""Fetch the documents to answer from: `python -m dataset.fetch`.

The API reference comes from an installed package and needs no network; the Developer Guide is
downloaded. What cannot be had is named, and the other goes ahead.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from dataset.api_reference import write_api_reference
from dataset.developer_guide import ARCHIVE_URL, fetch_developer_guide
from dataset.pages import Changes
from dataset.progress import reporting
from utils.errors import DatasetError
from utils.settings import DEFAULT_DATASET

API_REFERENCE, DEVELOPER_GUIDE = "api-reference", "developer-guide"
_INTERRUPTED = 130


def main(argv: list[str] | None = None) -> int:
    """Fetch the sources asked for; 0 if at least one could be had."""
    arguments = _parser().parse_args(argv)
    sources: dict[str, Callable[[], Changes]] = {
        API_REFERENCE: lambda: write_api_reference(arguments.folder),
        DEVELOPER_GUIDE: lambda: _fetch_guide(arguments.folder, arguments.guide_url),
    }
    chosen = list(sources) if arguments.source == "all" else [arguments.source]
    try:
        had = [_fetch(name, sources[name], arguments) for name in chosen]
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted. Run it again to go on.\n")
        return _INTERRUPTED
    return 0 if any(had) else 1


def _fetch(name: str, source: Callable[[], Changes], arguments: argparse.Namespace) -> bool:
    started = time.monotonic()
    try:
        changes = source()
    except DatasetError as error:
        again = f"python -m dataset.fetch --source {name} -d {arguments.folder}"
        sys.stderr.write(f"{name}: {error} Going on without it; to try again: {again}\n")
        return False
    sys.stdout.write(f"{name}: {changes} in {time.monotonic() - started:.1f} s\n")
    sys.stdout.flush()
    return True


def _fetch_guide(folder: Path, url: str) -> Changes:
    with reporting(DEVELOPER_GUIDE, "B") as progress:
        return fetch_developer_guide(folder, archive_url=url, progress=progress)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m dataset.fetch",
        description="Fetch the SageMaker documentation to answer from.",
    )
    parser.add_argument(
        "--source",
        choices=[API_REFERENCE, DEVELOPER_GUIDE, "all"],
        default="all",
        help="which documents (default: all)",
    )
    parser.add_argument(
        "-d",
        dest="folder",
        type=Path,
        default=DEFAULT_DATASET,
        metavar="FOLDER",
        help=f"where to put them (default: {DEFAULT_DATASET})",
    )
    parser.add_argument(
        "--guide-url",
        default=ARCHIVE_URL,
        metavar="URL",
        help="a mirror of the Developer Guide's archive, for networks that cannot reach GitHub",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
