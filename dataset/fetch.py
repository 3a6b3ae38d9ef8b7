"""Fetch the documents to answer from: `python -m dataset.fetch`.

The API reference comes from an installed package and needs no network; the Developer Guide is
fetched as it is now or, if that fails, as it was when AWS archived it. A source that fails is
reported, and the others are fetched. Pages of other websites are fetched only on request.
"""

if __name__ == "__main__":
    from utils.interrupts import exit_on_interrupt

    exit_on_interrupt()

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from dataset.folder import document_paths, has_documents
from dataset.page_files import FileChanges, write_atomically
from dataset.progress import Progress, report_progress
from dataset.sources.api_reference import write_api_reference
from dataset.sources.developer_guide import ARCHIVE_URL, AS_OF, fetch_developer_guide
from dataset.sources.live_guide import fetch_live_guide, is_checked_lately, is_complete
from dataset.web.arguments import add_arguments, needs_web, request_of
from dataset.web.problems import Problems
from dataset.web.request import GUIDE_URL, FetchRequest, live_request
from utils.errors import DatasetError, SettingsError
from utils.interrupts import run_command
from utils.proxies import prepare_proxies
from utils.settings import DEFAULT_DATASET, PROJECT_ROOT, VERSION

API_REFERENCE, LIVE, DEVELOPER_GUIDE = "api-reference", "live", "developer-guide"
SOURCES = [API_REFERENCE, LIVE, DEVELOPER_GUIDE]
"""The sources that `all` selects. The last one, an archive, only stands in for the live guide."""
WEB = "web"
UNFINISHED = ".fetch-unfinished"
"""File in the documents' folder that names the sources which `fetch_missing` still has to fetch."""


@dataclass(frozen=True)
class _Fetches:
    """Fetches sources into a folder."""

    folder: Path
    guide_url: str
    """Address of the archive."""
    request: FetchRequest
    """The pages of the web: the live guide, or what --source web names."""

    def fetch(self, names: Sequence[str]) -> dict[str, bool]:
        """Fetch sources; True for successes.

        Among several, the live guide is fetched at most once a day, and the archive only if the
        live guide is not complete.
        """
        outcomes: dict[str, bool] = {}
        for name in names:
            if (
                name == LIVE
                and len(names) > 1
                and is_checked_lately(self.folder, datetime.now(UTC))
            ):
                again = self._command(name)
                sys.stdout.write(f"{LIVE}: checked within a day; to check it again: {again}\n")
                outcomes[name] = True
                continue
            if name == DEVELOPER_GUIDE and LIVE in outcomes and is_complete(self.folder):
                continue
            outcomes[name] = self._fetch(name, names)
        return outcomes

    def _fetch(self, name: str, names: Sequence[str]) -> bool:
        """Fetch a source and report the outcome; False if it failed."""
        started = time.monotonic()
        problems, changes, failure = Problems(), None, []
        try:
            with report_progress(name, "B" if name == DEVELOPER_GUIDE else "page") as progress:
                changes = self._changes(name, problems, progress)
        except DatasetError as error:
            failure = [f"{error}{self._remedy(name, names)}"]
        kept = [self._kept_line(changes, name)] if changes and changes.kept else []
        lines = [*problems.summary(), *kept, *failure]
        sys.stderr.writelines(f"{name}: {line}\n" for line in lines)
        if changes:
            sys.stdout.write(f"{name}: {changes} in {time.monotonic() - started:.1f} s\n")
            sys.stdout.flush()
        return changes is not None

    def _changes(self, name: str, problems: Problems, progress: Progress) -> FileChanges:
        folder = self.folder
        match name:
            case "api-reference":
                return write_api_reference(folder)
            case "developer-guide":
                return fetch_developer_guide(folder, archive_url=self.guide_url, progress=progress)
            case "live":
                return fetch_live_guide(folder, self.request, problems, progress=progress)
        from dataset.web.fetch_web import fetch_web

        return fetch_web(folder, self.request, problems, progress=progress)

    def _kept_line(self, changes: FileChanges, name: str) -> str:
        """Names the user's files; the command is needed where a fetch of all sources skips one."""
        return changes.kept_line + (f": {self._command(name)}" if name != WEB else "")

    def _remedy(self, name: str, names: Sequence[str]) -> str:
        """What happens without a source, and how to retry."""
        if name == WEB:
            return ""
        without = "without it"
        if name == LIVE and is_complete(self.folder):
            without = "with the pages fetched before"
        elif name == LIVE and DEVELOPER_GUIDE in names:
            without = f"with the archive of {AS_OF}"
        return f" Continuing {without}. To retry: {self._command(name)}"

    def _command(self, name: str) -> str:
        return f"python -m dataset.fetch --source {name} -d {self.folder}"


def main(argv: list[str] | None = None) -> int:
    """Fetch the chosen sources; return 0 if at least one was fetched."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.source != WEB and needs_web(arguments):
        parser.error(f"there are options that only --source {WEB} has; add it")
    try:
        request = request_of(arguments, live=arguments.source != WEB)
        lists = (source.where for source in request.lists if source.kind != "urls")
        prepare_proxies([arguments.guide_url, *lists])
    except (DatasetError, SettingsError) as error:
        sys.stderr.write(f"{arguments.source}: {error}\n")
        return 1
    chosen = SOURCES if arguments.source == "all" else [arguments.source]
    outcomes = _Fetches(arguments.folder, arguments.guide_url, request).fetch(chosen)
    return 0 if any(outcomes.values()) else 1


def fetch_missing(folder: Path, guide_url: str = ARCHIVE_URL, live_url: str = GUIDE_URL) -> None:
    """Fetch all sources into an empty folder; a later call retries those that failed.

    A folder with other documents is left unchanged.

    Raises:
        DatasetError: the folder contains no document afterwards.
    """
    unfinished = folder / UNFINISHED
    try:
        missing = [] if has_documents(folder) else SOURCES
        if unfinished.is_file():
            unfinished_names = unfinished.read_text(errors="replace").split()
            # Without the API reference, the documents here are the user's own.
            if API_REFERENCE in unfinished_names or (folder / API_REFERENCE).is_dir():
                missing = [name for name in SOURCES if name in unfinished_names]
        if missing:
            folder.mkdir(parents=True, exist_ok=True)
            write_atomically(unfinished, "\n".join(missing).encode())
            outcomes = _Fetches(folder, guide_url, live_request(live_url)).fetch(missing)
            outcomes[LIVE] = is_complete(folder)
            missing = [name for name in missing if not outcomes.get(name, True)]
            write_atomically(unfinished, "\n".join(missing).encode())
        if not missing:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise DatasetError(
            f"Cannot write to {folder}: {error.strerror}. Give a folder that can be written."
        ) from error
    document_paths(folder)


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
        help="which documents to fetch (default: all, which is the API reference and the guide: "
        "live, or from its archive if the site cannot be reached)",
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
    parser.add_argument(
        "--live-url",
        default=GUIDE_URL,
        metavar="URL",
        help="mirror of the live guide: a folder with its llms.txt (default: %(default)s)",
    )
    add_arguments(parser)
    return parser


if __name__ == "__main__":
    run_command(main)
