"""Removes pages that vanished, at the end of a complete run: an interrupted one removes none."""

from collections.abc import Callable, Iterable
from pathlib import Path

from dataset.web.request import PageList
from dataset.web.state import WebState

_FEW = 10
"""Up to this number, pages of a host may vanish at once, whatever their share."""


def remove_vanished(
    state: WebState,
    folder: Path,
    run: int,
    read: Iterable[tuple[PageList, int]],
    *,
    allowed: bool,
    report: Callable[[str], None],
) -> int:
    """Remove pages that vanished or that no list names any more; return their number.

    Args:
        state: The state of the web folder.
        folder: The web folder.
        run: The number of the run.
        read: The lists read completely, with the number of pages that each named before.
        allowed: True if a list or a host may lose most of its pages at once.
        report: Receives what is kept because that is not allowed.
    """
    with state.transaction():
        for source, before in read:
            now = state.count(source.name, run)
            if 2 * now < before and not allowed:
                report(
                    f"{source.where} names {now} pages and named {before} before: the others are "
                    "kept. If they are gone, run it with --allow-removals"
                )
            else:
                state.forget_previous(source.name, run)
        for host, vanished, files in state.gone(run):
            if vanished > max(_FEW, files / 2) and not allowed:
                report(
                    f"{host} says that {vanished} of its {files} pages are gone: they are kept. "
                    "If they are, run it with --allow-removals"
                )
                state.restore(host)
    return _remove(state, folder, run)


def _remove(state: WebState, folder: Path, run: int) -> int:
    removed = 0
    for url, file in state.removable(run):
        if file:
            path = folder / file
            removed += path.is_file()
            path.unlink(missing_ok=True)
            _prune(path.parent, folder)
        state.forget(url)
    return removed


def _prune(emptied: Path, folder: Path) -> None:
    """Delete the folders that are now empty."""
    while emptied != folder:
        try:
            emptied.rmdir()
        except OSError:
            return
        emptied = emptied.parent
