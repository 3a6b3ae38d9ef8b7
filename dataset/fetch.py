"""Fetch the documents to answer from: `python -m dataset.fetch`.

The API reference comes from an installed package and needs no network; the Developer Guide is
downloaded. If one of them fails, the command reports it and fetches the other. Web pages are
fetched only on request.
"""

if __name__ == "__main__":
    from utils.interrupts import exit_on_interrupt

    exit_on_interrupt()

import argparse
import sys
import time
from pathlib import Path

from dataset.folder import document_paths, has_documents
from dataset.progress import report_progress
from dataset.sources.api_reference import write_api_reference
from dataset.sources.developer_guide import ARCHIVE_URL, fetch_developer_guide
from dataset.web.arguments import add_arguments, names_pages, request_of
from utils.errors import DatasetError
from utils.interrupts import run_command
from utils.settings import DEFAULT_DATASET, PROJECT_ROOT, VERSION

API_REFERENCE, DEVELOPER_GUIDE = "api-reference", "developer-guide"
SOURCES = [API_REFERENCE, DEVELOPER_GUIDE]
"""The sources that `all` selects."""
WEB = "web"
UNFINISHED = ".fetch-unfinished"
"""File in the documents' folder that names the sources which `fetch_missing` still has to fetch."""


def main(argv: list[str] | None = None) -> int:
    """Fetch the chosen sources; return 0 if at least one was fetched."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.source != WEB and names_pages(arguments):
        parser.error(f"web pages are named without --source {WEB}; add it")
    if arguments.source == WEB:
        return 0 if _fetch_web(arguments) else 1
    chosen = SOURCES if arguments.source == "all" else [arguments.source]
    fetched = [_fetch(name, arguments.folder, arguments.guide_url) for name in chosen]
    return 0 if any(fetched) else 1


def fetch_missing(folder: Path, guide_url: str = ARCHIVE_URL) -> None:
    """Fetch all sources into an empty folder; a later call retries those that failed.

    A folder with other documents is left unchanged.

    Raises:
        DatasetError: the folder contains no document afterwards.
    """
    unfinished = folder / UNFINISHED
    try:
        missing = [] if has_documents(folder) else SOURCES
        if unfinished.is_file():
            unfinished_names = unfinished.read_text().split()
            # Without the API reference, the documents here are the user's own.
            if API_REFERENCE in unfinished_names or (folder / API_REFERENCE).is_dir():
                missing = [name for name in SOURCES if name in unfinished_names]
        if missing:
            folder.mkdir(parents=True, exist_ok=True)
            unfinished.write_text("\n".join(missing))
            missing = [name for name in missing if not _fetch(name, folder, guide_url)]
            unfinished.write_text("\n".join(missing))
        if not missing:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise DatasetError(
            f"Cannot write to {folder}: {error.strerror}. Give a folder that can be written."
        ) from error
    document_paths(folder)


def _fetch(name: str, folder: Path, guide_url: str) -> bool:
    started = time.monotonic()
    try:
        if name == API_REFERENCE:
            changes = write_api_reference(folder)
        else:
            with report_progress(DEVELOPER_GUIDE, "B") as progress:
                changes = fetch_developer_guide(folder, archive_url=guide_url, progress=progress)
    except DatasetError as error:
        again = f"python -m dataset.fetch --source {name} -d {folder}"
        sys.stderr.write(f"{name}: {error} Continuing without it. To retry: {again}\n")
        return False
    sys.stdout.write(f"{name}: {changes} in {time.monotonic() - started:.1f} s\n")
    sys.stdout.flush()
    return True


def _fetch_web(arguments: argparse.Namespace) -> bool:
    from dataset.sources.provenance import duplicates_line
    from dataset.web.fetch_web import Problems, fetch_web

    started = time.monotonic()
    problems = Problems()
    failure = ""
    try:
        request = request_of(arguments)
        with report_progress(WEB, "page") as progress:
            changes = fetch_web(arguments.folder, request, problems, progress=progress)
    except DatasetError as error:
        failure = str(error)
    lines = [*problems.summary(), *([failure] if failure else [])]
    sys.stderr.writelines(f"{WEB}: {line}\n" for line in lines)
    if failure:
        return False
    sys.stdout.write(f"{WEB}: {changes} in {time.monotonic() - started:.1f} s\n")
    if arguments.preset and (line := duplicates_line(arguments.folder, request.guide)):
        sys.stdout.write(f"{WEB}: {line}\n")
    sys.stdout.flush()
    return True


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m dataset.fetch",
        description="Fetch the SageMaker documentation to answer from.",
    )
    parser.add_argument("--version", action="version", version=f"sagemaker-docs-qa {VERSION}")
    parser.add_argument(
        "--source",
        choices=[*SOURCES, "all", WEB],
        default="all",
        help="which documents to fetch (default: all, which is both except web pages)",
    )
    parser.add_argument(
        "-d",
        dest="folder",
        type=Path,
        default=DEFAULT_DATASET,
        metavar="FOLDER",
        help=f"folder to write them to (default: {DEFAULT_DATASET.relative_to(PROJECT_ROOT)})",
    )
    parser.add_argument(
        "--guide-url",
        default=ARCHIVE_URL,
        metavar="URL",
        help="mirror of the Developer Guide's archive, for networks that cannot reach GitHub "
        "(default: %(default)s)",
    )
    add_arguments(parser)
    return parser


if __name__ == "__main__":
    run_command(main)
