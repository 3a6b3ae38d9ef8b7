"""What remains on disk of purged documents, and the commands that remove it."""

from urllib.parse import urlsplit

from utils.settings import PROJECT_ROOT, is_server

_GATEWAY = "chroma-gateway"
"""The store's host in deploy/services.yml."""
_DEFAULT_FOLDER = "database/chroma"
_REMAINS = (
    "No collection contains the text any more, but the files of the store do, in Chroma's log and "
    "in freed space, until it is vacuumed while no process has it open. "
)
_BACKUPS = (
    " Snapshots and backups made before keep it. Without --force, vacuum waits for an answer."
)
_IN_FOLDER = (
    "Stop this service and every other process that has the index folder open, run "
    "`chroma vacuum --force --path {folder}`, and start them again."
)
_ON_SERVER = (
    "Stop the Chroma server, run `chroma vacuum --force --path FOLDER` on its machine with the "
    "folder that it serves, and start it again."
)
# A vacuum first writes a copy of the store to the temporary folder; /tmp is in the container's
# memory.
_IN_COMPOSE = (
    "In the checkout, with the -f options that the system was started with: "
    "`docker compose stop inference_worker chroma`, then "
    "`docker compose run --rm --no-deps -e SQLITE_TMPDIR=/data chroma vacuum --force --path /data`,"
    " then `docker compose start chroma inference_worker`."
)


def vacuum_instructions(database: str) -> str:
    """The instructions for a store; clients read them, so they contain no path of this machine."""
    if not is_server(database):
        is_default = (PROJECT_ROOT / database) == PROJECT_ROOT / _DEFAULT_FOLDER
        folder = _DEFAULT_FOLDER if is_default else "FOLDER"
        return _REMAINS + _IN_FOLDER.format(folder=folder) + _BACKUPS
    in_compose = urlsplit(database).hostname == _GATEWAY
    return _REMAINS + (_IN_COMPOSE if in_compose else _ON_SERVER) + _BACKUPS
