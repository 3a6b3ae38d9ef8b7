"""Snapshots of the index: `python -m database.snapshot push|pull|list|verify URL`."""

if __name__ == "__main__":
    from utils.interrupts import exit_on_interrupt

    exit_on_interrupt()

import argparse
import logging
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from database.building.arguments import add_database_argument, add_version_argument
from dataset.progress import report_progress
from utils.errors import DocsQAError
from utils.interrupts import run_command
from utils.settings import Settings, load_settings

if TYPE_CHECKING:
    from database.index.store import Store
    from database.snapshot.catalogue import Snapshot


def main(argv: list[str] | None = None) -> int:
    """Run a command; returns 1, with one line, if it fails."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    commands = {"push": _push, "pull": _pull, "list": _list, "verify": _verify}
    try:
        settings = load_settings(database=getattr(arguments, "database_path", None))
        commands[arguments.command](arguments, settings)
    except DocsQAError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _push(arguments: argparse.Namespace, settings: Settings) -> None:
    from database.snapshot.push import push
    from database.snapshot.storage import Storage

    with (
        closing(_connect(settings, create=False)) as store,
        report_progress("Reading the index", "rows") as reading,
        report_progress("Sending", "B") as sending,
    ):
        pushed = push(
            store,
            Storage(arguments.url),
            work=arguments.work,
            reading=reading,
            sending=sending,
        )
    how = f"{_megabytes(pushed.sent)} sent" if pushed.sent else "all of it was there already"
    print(f"{pushed.url}\n  {_size(pushed)}; {how}\n  SHA-256 of its manifest: {pushed.sha256}")


def _pull(arguments: argparse.Namespace, settings: Settings) -> None:
    from database.snapshot.pull import pull

    snapshot = _find(arguments, settings)
    model_of = None if arguments.any_model else settings
    with (
        closing(_connect(settings, create=True)) as store,
        report_progress("Pulling", "B") as progress,
    ):
        done = pull(store, snapshot, settings=model_of, progress=progress)
    outcome = "is live" if done.changed else "was live already; nothing was done"
    print(f"{settings.database}: {done.index} {outcome}\n{_describe(snapshot)}")


def _list(arguments: argparse.Namespace, settings: Settings) -> None:
    from database.snapshot.catalogue import iter_snapshots
    from database.snapshot.storage import Storage

    found = False
    for snapshot in iter_snapshots(Storage(arguments.url)):
        found = True
        print(_describe(snapshot))
    if not found:
        print(f"No snapshot at {arguments.url}.")


def _verify(arguments: argparse.Namespace, settings: Settings) -> None:
    from database.snapshot.contents import verify

    snapshot = _find(arguments, settings)
    with report_progress("Verifying", "B") as progress:
        verify(snapshot, progress)
    print(f"Complete and unchanged:\n{_describe(snapshot)}")


def _find(arguments: argparse.Namespace, settings: Settings) -> "Snapshot":
    from database.snapshot.catalogue import find_snapshot
    from database.snapshot.storage import Storage

    return find_snapshot(Storage(arguments.url), arguments.sha256 or settings.snapshot_sha256)


def _describe(snapshot: "Snapshot") -> str:
    manifest = snapshot.manifest
    return (
        f"{snapshot.url}\n"
        f"  {manifest.created_at}, revision {manifest.revision}, {_size(snapshot)}, "
        f"{manifest.fingerprint.recipe.embedding_model}\n"
        f"  SHA-256 of its manifest: {snapshot.sha256}"
    )


def _size(snapshot: "Snapshot") -> str:
    manifest = snapshot.manifest
    chunks, documents = manifest.collections["index"].rows, manifest.fingerprint.documents
    return f"{chunks:,} chunks of {documents:,} documents, {_megabytes(manifest.bytes)}"


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"


def _connect(settings: Settings, *, create: bool) -> "Store":
    from database.index.store import LONG_REQUEST_SECONDS, connect

    return connect(settings, timeout=LONG_REQUEST_SECONDS, create=create)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m database.snapshot",
        description="Copies the index between machines, through a folder or an object store. An "
        "interrupted command resumes when it is run again.",
    )
    add_version_argument(parser)
    commands = parser.add_subparsers(dest="command", required=True, metavar="push|pull|list|verify")
    helps = {
        "push": "write a snapshot of the live index; documents may change meanwhile",
        "pull": "make a snapshot the live index; the previous one is kept for rollback",
        "list": "show the snapshots, newest first",
        "verify": "download and check everything, and write nothing",
    }
    for name, text in helps.items():
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument(
            "url",
            metavar="URL",
            help="a folder, s3://BUCKET/PATH, gs://BUCKET/PATH, or https://HOST/PATH (not to push)",
        )
        if name in ("push", "pull"):
            add_database_argument(command)
        if name in ("pull", "verify"):
            command.add_argument(
                "--sha256",
                metavar="HEX",
                help="refuse a manifest with another hash (default: SNAPSHOT_SHA256)",
            )
        if name == "push":
            command.add_argument(
                "--work", type=Path, metavar="FOLDER", help="folder for the parts (default: TMPDIR)"
            )
        if name == "pull":
            command.add_argument(
                "--any-model",
                action="store_true",
                help="pull even if this machine has another embedding model, or none",
            )
    return parser


if __name__ == "__main__":
    run_command(main)
