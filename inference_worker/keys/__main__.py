"""Creates, lists and revokes keys: python -m inference_worker.keys create NAME --role read.

KEYS_FILE keeps what is needed to recognise a key, not the key itself: it is printed once. A running
service notices changes within a second.
"""

import argparse
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from inference_worker.keys.key import Key, Role, digest_of, new_secret
from inference_worker.keys.key_file import edit_keys, read_keys
from utils.errors import DocsQAError, SettingsError
from utils.interrupts import exit_quietly, handle_exit_signals
from utils.settings import load_settings


def main(argv: list[str] | None = None) -> int:
    """Run the command; 1, with one line of explanation, if that is impossible."""
    arguments = _parse(argv)
    try:
        path = arguments.file or load_settings().keys_file
        if path is None:
            raise SettingsError(
                "KEYS_FILE is not set. Set it, for the service too, or give --file."
            )
        arguments.run(path, arguments)
    except DocsQAError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _parse(argv: list[str] | None) -> argparse.Namespace:
    first, _, details = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(prog="keys", description=f"{first} {details}")
    file = argparse.ArgumentParser(add_help=False)
    file.add_argument("--file", type=Path, help="the file of keys (default: KEYS_FILE)")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    create = commands.add_parser("create", parents=[file], help="create a key, and print it")
    create.add_argument("name", help="who or what will send it, for the logs")
    create.add_argument(
        "--role",
        type=Role,
        choices=list(Role),
        required=True,
        help="read: ask, search, read documents; write: also change documents; admin: also purge",
    )
    create.add_argument("--days", type=float, help="how long it is valid (default: until revoked)")
    create.add_argument(
        "--limits",
        default="",
        help='that differ from KEY_LIMITS, such as "requests 60/minute, calls 1000/day"',
    )
    create.set_defaults(run=_create)
    revoke = commands.add_parser("revoke", parents=[file], help="refuse a key from now on")
    revoke.add_argument("name")
    revoke.set_defaults(run=_revoke)
    commands.add_parser("list", parents=[file], help="list the keys").set_defaults(run=_list)
    return parser.parse_args(argv)


def _create(path: Path, arguments: argparse.Namespace) -> None:
    secret, now = new_secret(), datetime.now(UTC).replace(microsecond=0)
    try:
        expires = now + timedelta(days=arguments.days) if arguments.days is not None else None
        key = Key(
            name=arguments.name,
            role=arguments.role,
            sha256=digest_of(secret.encode()),
            created=now,
            expires=expires,
            limits=arguments.limits,
        )
    except (ValueError, OverflowError):
        raise SettingsError(
            "A name has 1 to 64 letters, digits and . _ @ -; --days is a number above 0; "
            '--limits is such as "requests 60/minute, calls 1000/day".'
        ) from None
    with edit_keys(path) as keys:
        if any(other.name == key.name for other in keys):
            raise SettingsError(f"There is a key named {key.name} already; use another name.")
        keys.append(key)
    sys.stderr.write(f"Created {key.name} ({key.role}). This is the only time that it is shown:\n")
    sys.stdout.write(f"{secret}\n")


def _revoke(path: Path, arguments: argparse.Namespace) -> None:
    read_keys(path)  # a missing file is an error, not a new one
    with edit_keys(path) as keys:
        places = [place for place, key in enumerate(keys) if key.name == arguments.name]
        if not places:
            raise SettingsError(f"There is no key named {arguments.name} in {path}.")
        key = keys[places[0]]
        if not key.revoked:
            now = datetime.now(UTC).replace(microsecond=0)
            keys[places[0]] = key.model_copy(update={"revoked": now})
    sys.stderr.write(f"{arguments.name} is refused from now on.\n")


def _list(path: Path, arguments: argparse.Namespace) -> None:
    now = datetime.now(UTC)
    rows = [("name", "role", "state", "created", "expires", "limits")]
    rows += [
        (
            key.name,
            key.role,
            key.state(now),
            _day(key.created),
            _day(key.expires),
            key.limits or "-",
        )
        for key in read_keys(path)
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        sys.stdout.write("  ".join(cells).rstrip() + "\n")


def _day(moment: datetime | None) -> str:
    return moment.date().isoformat() if moment else "-"


if __name__ == "__main__":
    handle_exit_signals(exit_quietly)
    sys.exit(main())
