"""Lets go of pages that are no more, and only of those.

Called when a run is through: one that was interrupted removes nothing.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

from dataset.web.request import PageList
from dataset.web.state import WebState

_FEW = 10
"""So many pages of a host may vanish at once without a question, whatever share they are."""


def remove_vanished(
    state: WebState,
    folder: Path,
    run: int,
    read: Iterable[tuple[PageList, int]],
    *,
    allowed: bool,
    trouble: Callable[[str], None],
) -> int:
    """Remove what vanished, or is named by no list any more; tell how many pages that were.

    Args:
        state: Of the web folder.
        folder: The web folder.
        run: The run that is through.
        read: The lists that were read whole, with the number of pages that each named before.
        allowed: Whether a list or a host may lose most of its pages at once.
        trouble: Told what is kept because that is not allowed.
    """
    with state.together():
        for source, before in read:
            now = state.count(source.name, run)
            if 2 * now < before and not allowed:
                trouble(
                    f"{source.where} names {now} pages and named {before} before: the others are "
                    "kept. If they are gone, run it with --allow-removals"
                )
            else:
                state.settle(source.name, run)
        for host, vanished, held in state.gone(run):
            if vanished > max(_FEW, held / 2) and not allowed:
                trouble(
                    f"{host} says that {vanished} of its {held} pages are gone: they are kept. "
                    "If they are, run it with --allow-removals"
                )
                state.keep(host)
    return _remove(state, folder, run)


def _remove(state: WebState, folder: Path, run: int) -> int:
    removed = 0
    for url, file in state.unnamed(run):
        if file:
            path = folder / file
            removed += path.is_file()
            path.unlink(missing_ok=True)
            _prune(path.parent, folder)
        state.forget(url)
    return removed


def _prune(emptied: Path, folder: Path) -> None:
    """Delete the folders that a page leaves empty."""
    while emptied != folder:
        try:
            emptied.rmdir()
        except OSError:
            return
        emptied = emptied.parent
