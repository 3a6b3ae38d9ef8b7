"""Downloads the markdown of the SageMaker Developer Guide, at the last commit that AWS published.

Only the files that the manifest names are extracted from the archive of that commit, each verified
by its git blob id. They are written once all are complete; a download that fails or is interrupted
changes nothing.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable
from contextlib import closing, nullcontext
from functools import cache
from pathlib import Path, PurePosixPath

from filelock import FileLock, Timeout

from dataset.page_files import FileChanges, remove_temporary_files, write_atomically
from dataset.progress import Progress, ignore_progress
from dataset.sources.archive import markdown_members
from dataset.web.fetched_pages import fetched_files
from dataset.web.request import GUIDE_URL
from dataset.web.state import LOCK, NAME
from utils.errors import DatasetError

COMMIT = "a869fa5c9bd1074a85bd23748d0463e322ad8939"
REPOSITORY = "https://github.com/awsdocs/amazon-sagemaker-developer-guide"
ARCHIVE_URL = (
    f"https://codeload.github.com/awsdocs/amazon-sagemaker-developer-guide/tar.gz/{COMMIT}"
)
AS_OF = "2023-06"
"""The month of the commit."""
MANIFEST = Path(__file__).with_name("developer_guide.blobs")

_FOLDER_IN_ARCHIVE = "doc_source"
LICENSE_NAME = "LICENSE-developer-guide.txt"
_LICENSE = f"""\
The Amazon SageMaker Developer Guide in this folder is the work of Amazon Web Services.

Source:   {REPOSITORY}
Commit:   {COMMIT}
Folder:   {_FOLDER_IN_ARCHIVE}
Licence:  Creative Commons Attribution-ShareAlike 4.0 International (CC BY-SA 4.0)
          https://creativecommons.org/licenses/by-sa/4.0/
Code:     the sample code in it is under a modified MIT licence
          (LICENSE-SAMPLECODE in the source)

The files are unchanged. developer_guide.blobs, in this project's dataset/ folder, names them.
"""


@cache
def guide_names() -> frozenset[str]:
    """Names of the guide's files."""
    return frozenset(_read_manifest(MANIFEST))


def page_url(name: str) -> str:
    """Address of a file of the guide on the live site; "" for any other document."""
    return f"{GUIDE_URL}{PurePosixPath(name).stem}.html" if name in guide_names() else ""


def fetch_developer_guide(
    folder: Path,
    *,
    archive_url: str = ARCHIVE_URL,
    manifest: Path = MANIFEST,
    progress: Progress = ignore_progress,
    read_timeout: float = 30.0,
) -> FileChanges:
    """Fetch the files of the guide that the folder lacks; without a download if it has all.

    Pages of the live guide, and files of the user, are not replaced by archived ones.

    Raises:
        DatasetError: that failed; the message states what to do.
    """
    expected = _read_manifest(manifest)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_temporary_files(folder, ".*.md.*.tmp")  # others may be writing there
        # Only where the live guide has been fetched may its fetch be running.
        is_live = (folder / NAME).is_file()
        with FileLock(folder / LOCK, timeout=0) if is_live else nullcontext():
            live = fetched_files(folder)
            expected = {name: blob for name, blob in expected.items() if name not in live}
            missing = {n: blob for n, blob in expected.items() if not os.path.lexists(folder / n)}
            present = expected.keys() - missing
            kept = sorted(name for name in present if _blob_at(folder / name) != expected[name])
            pages = _download(missing, archive_url, progress, read_timeout) if missing else {}
            outcomes = Counter[str](
                write_atomically(folder / name, content) for name, content in pages.items()
            )
            outcomes["unchanged"] = len(present) - len(kept)
            write_atomically(folder / LICENSE_NAME, _LICENSE.encode())
    except Timeout as error:
        raise DatasetError(
            f"Another fetch is writing {folder}. Wait until it has finished, or stop it."
        ) from error
    except OSError as error:
        raise DatasetError(
            f"Cannot write the Developer Guide to {folder}: {error.strerror or error}. "
            "Give a folder that can be written, with room for 30 MB."
        ) from error
    return FileChanges(**outcomes, kept=tuple(kept))


def archived_pages(folder: Path, manifest: Path = MANIFEST) -> set[str]:
    """Names of the archive's files in a folder that are unchanged."""
    files = _read_manifest(manifest).items()
    return {name for name, blob in files if _blob_at(folder / name) == blob}


def remove_archived_pages(folder: Path, names: Iterable[str], manifest: Path = MANIFEST) -> None:
    """Remove pages of the archive, and its licence with the last one."""
    for name in names:
        (folder / name).unlink(missing_ok=True)
    if not archived_pages(folder, manifest):
        (folder / LICENSE_NAME).unlink(missing_ok=True)


def blob_id(content: bytes) -> str:
    """The git blob id of a content."""
    # Not for security: git identifies contents by SHA-1.
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _read_manifest(manifest: Path) -> dict[str, str]:
    """Read the manifest: file name -> blob id."""
    try:
        lines = manifest.read_text(encoding="utf-8").splitlines()
        pairs = (line.split() for line in lines if line and not line.startswith("#"))
        return {name: blob for blob, name in pairs}
    except (OSError, ValueError) as error:
        raise DatasetError(
            f"Cannot read the guide's list of files, {manifest}. "
            "Restore it: git checkout -- dataset/sources/developer_guide.blobs"
        ) from error


def _blob_at(path: Path) -> str | None:
    """The blob id of a file; None if there is none that can be read."""
    try:
        return blob_id(path.read_bytes()) if path.is_file() else None
    except OSError:
        return None


def _download(
    missing: dict[str, str], url: str, progress: Progress, read_timeout: float
) -> dict[str, bytes]:
    """Download the missing files: file name -> content. All files of the guide are 12 MB."""
    pages: dict[str, bytes] = {}
    found = markdown_members(url, _FOLDER_IN_ARCHIVE, missing, progress, read_timeout)
    with closing(found) as members:
        for name, content in members:
            if blob_id(content) != missing[name]:
                raise DatasetError(
                    f"The Developer Guide from {url} contains another {name} than commit "
                    f"{COMMIT[:12]}. Take the archive of that commit."
                )
            pages[name] = content
            if len(pages) == len(missing):
                return pages
    absent = missing.keys() - pages
    raise DatasetError(
        f"The archive at {url} lacks {len(absent)} of the Developer Guide's files, among them "
        f"{min(absent)}. Take the archive of commit {COMMIT[:12]}."
    )
