"""Removes pages that no longer exist, at the end of a complete run only."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from dataset.web.pages import is_users_page
from dataset.web.request import PageList
from dataset.web.state import WebState

_FEW = 10
"""Up to this number, pages of a host may vanish at once, regardless of their share."""


def remove_vanished(
    state: WebState,
    folder: Path,
    read: Iterable[tuple[PageList, int]],
    *,
    allowed: bool,
    report: Callable[[str], None],
) -> int:
    """Remove pages that vanished or are no longer listed; return their number.

    `read` names the lists that were read completely, each with its number of pages in the previous
    run. Unless `allowed`, a list or a host that loses most of its pages at once keeps them, and
    `report` is called with a line that says so.
    """
    with state.transaction():
        for source, before in read:
            now = state.count(source.name, in_this_run=True)
            if 2 * now < before and not allowed:
                report(
                    f"{source.where} lists {now} pages, down from {before}: the others are kept. "
                    "If they are gone, run it with --allow-removals"
                )
            else:
                state.forget_previous(source.name)
        for host, vanished, files in state.gone():
            if vanished > max(_FEW, files / 2) and not allowed:
                report(
                    f"{host} reports {vanished} of its {files} pages as gone: they are kept. "
                    "If that is right, run it with --allow-removals"
                )
                state.restore(host)
    removed = 0
    for url, final, file in state.removable():
        if file and not is_users_page(path := folder / file, final or url):
            removed += path.is_file()
            path.unlink(missing_ok=True)
            remove_empty_folders(path.parent, folder)
        state.forget(url)
    return removed


def remove_empty_folders(emptied: Path, folder: Path) -> None:
    """Delete empty folders upwards, below `folder`."""
    with suppress(OSError):
        while emptied != folder:
            emptied.rmdir()
            emptied = emptied.parent
