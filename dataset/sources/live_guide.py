"""Fetches the SageMaker Developer Guide as AWS publishes it now.

A page has the name of the archived page that it replaces. Archived pages that the live guide lacks
are outdated, so that they are removed once the live guide is complete, and not before.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from dataset.dates import iso_instant
from dataset.page_files import FileChanges
from dataset.progress import Progress, ignore_progress
from dataset.sources.developer_guide import MANIFEST, archived_pages, remove_archived_pages
from dataset.web.fetched_pages import fetched_files, unfetched_pages
from dataset.web.file_names import FOLDER, file_of, folder_of
from dataset.web.pages import is_users_page
from dataset.web.problems import Problems
from dataset.web.removals import remove_empty_folders
from dataset.web.request import FetchRequest
from utils.errors import DatasetError

_CURRENT_FOR = timedelta(days=1)
_MAX_UNFETCHED = 0.01
"""Share of its pages that a complete guide may lack: some are listed but cannot be fetched."""


def is_complete(folder: Path) -> bool:
    """True if the live guide has been fetched into a folder, apart from a few pages."""
    try:
        unfetched = sum(1 for _ in unfetched_pages(folder))
        fetched = len(fetched_files(folder))
    except DatasetError:  # reported when the guide is fetched
        return False
    return fetched > 0 and unfetched <= _MAX_UNFETCHED * fetched


def is_checked_lately(folder: Path, now: datetime) -> bool:
    """True if the live guide is complete and nearly all pages were checked within 24 hours."""
    if not is_complete(folder):
        return False
    checks = fetched_files(folder).values()
    since, until = iso_instant(now - _CURRENT_FOR), iso_instant(now)
    others = sum(1 for check in checks if not since < check <= until)
    return others <= _MAX_UNFETCHED * len(checks)


def fetch_live_guide(
    folder: Path,
    request: FetchRequest,
    problems: Problems,
    *,
    manifest: Path = MANIFEST,
    progress: Progress = ignore_progress,
) -> FileChanges:
    """Bring the pages of the live guide in the folder up to date; `problems` as for `fetch_web`.

    Raises:
        DatasetError: no page could be fetched, or none written; the message states why.
    """
    from dataset.web.fetch_web import fetch_web

    archived = archived_pages(folder, manifest)
    changes = fetch_web(folder, request, problems, replaceable=archived, progress=progress)
    _remove_copies(folder, request.guide.root)
    if not is_complete(folder):
        return changes
    outdated = _outdated_pages(folder, request.guide.root, manifest)
    fetched = len(fetched_files(folder))
    if fetched < len(outdated) and not request.allow_removals:
        problems.add(
            f"the live guide has only {fetched} pages: {len(outdated)} pages of its archive that "
            "it lacks are kept. If they are outdated, run it with --source live --allow-removals"
        )
        return changes
    remove_archived_pages(folder, outdated, manifest)
    return replace(changes, removed=changes.removed + len(outdated))


def _outdated_pages(folder: Path, root: str, manifest: Path) -> set[str]:
    """The archived pages that the live guide lacks."""
    expected = {file_of(url, root=root) for url in unfetched_pages(folder)}
    return archived_pages(folder, manifest) - expected - fetched_files(folder).keys()


def _remove_copies(folder: Path, root: str) -> None:
    """Remove pages that were also fetched as those of a website."""
    copies = folder / FOLDER / folder_of(root)
    if copies.is_dir():
        for name in fetched_files(folder):
            if not is_users_page(copies / name, root):
                (copies / name).unlink(missing_ok=True)
        remove_empty_folders(copies, folder)
