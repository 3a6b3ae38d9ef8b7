"""Builds the index: python ./utils/db_builder.py -d FOLDER -db PATH_OR_URL."""

import sys
from pathlib import Path

# `python ./utils/db_builder.py` puts utils/ on the path instead of the project's root.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

if __name__ == "__main__":
    from utils.interrupts import exit_on_interrupt

    exit_on_interrupt()

import argparse
import logging
from contextlib import closing
from typing import TYPE_CHECKING

from database.building.arguments import (
    add_database_argument,
    add_device_argument,
    add_document_arguments,
    add_model_arguments,
    add_version_argument,
)
from utils.errors import DocsQAError, SettingsError
from utils.interrupts import run_command
from utils.settings import Settings, load_settings, setting_default

if TYPE_CHECKING:
    from database.building.report import BuildReport
    from database.index.store import Store
    from dataset.progress import Progress

MIN_CHUNK_SIZE = 32
"""Tokens; a smaller chunk has no room for a sentence below its headings."""


def _parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="db_builder",
        description="Brings the index in line with a folder of documents: markdown, text, HTML, "
        "PDF, Office files and more. Run it again after an interruption or a change: it continues "
        "where it stopped and embeds only what is new. Documents added, replaced or deleted "
        "through the API are kept as they are there.",
    )
    add = parser.add_argument
    add_version_argument(parser)
    add_document_arguments(parser)
    add_database_argument(parser)
    add(
        "-cz",
        "--chunk_size",
        type=int,
        metavar="TOKENS",
        help="maximum chunk length in the model's tokens (default and maximum: the model's input)",
    )
    add(
        "-co",
        "--chunk_overlap",
        type=int,
        default=0,
        metavar="TOKENS",
        help="tokens repeated from the previous chunk where a section is split (default: 0)",
    )
    add_model_arguments(
        parser,
        "embedding model: a name on the Hub, a folder such as models/NAME, local ones joined by +, "
        "or provider:model for an API",
    )
    add(
        "--provision",
        action="store_true",
        help="start from nothing: fetch the documents, fall back to the packaged model, use a "
        "ready-made index as it is, and export the model for a service without torch",
    )
    add(
        "--folder_only",
        action="store_true",
        help="discard what was added, replaced or deleted through the API: index the folder alone",
    )
    add(
        "--allow-deletions",
        action="store_true",
        help="also delete more than half of the documents in the index, or all of one source, such "
        "as a top-level folder: without this option such a build stops and changes nothing",
    )
    add(
        "--rollback",
        action="store_true",
        help="build nothing: return to the index that was live before the last build",
    )
    add(
        "--verbose",
        action="store_true",
        help="list every file that is skipped; those that cannot be converted always are",
    )
    add_device_argument(parser)
    add(
        "--backend",
        choices=["auto", "openvino", "torch"],
        help=f"library to embed with ({setting_default('embedding_backend')})",
    )
    return parser.parse_args(argv)


def _load_settings(arguments: argparse.Namespace) -> Settings:
    from database.embedding.model_finder import model_name_of

    size, overlap = arguments.chunk_size, arguments.chunk_overlap
    if size is not None and size < MIN_CHUNK_SIZE:
        raise SettingsError(f"-cz {size}: a chunk needs at least {MIN_CHUNK_SIZE} tokens.")
    if overlap < 0 or (size is not None and overlap >= size):
        raise SettingsError(f"-co {overlap}: must be 0 or more, and less than the chunk size.")
    model = arguments.embedding_model_name
    return load_settings(
        database=arguments.database_path,
        embedding_model_name=model and model_name_of(model),
        embedding_model_path=arguments.embedding_model_path,
        embedding_device=arguments.device,
        embedding_backend=arguments.backend,
    )


def build(
    settings: Settings, arguments: argparse.Namespace, progress: "Progress"
) -> "BuildReport | None":
    """Find the model, open the store and build; None if a ready-made index is used as it is.

    Raises:
        DocsQAError: the model, the store or the documents are unavailable, or the build failed.
    """
    from database.building.build import make_builder
    from database.embedding.models import model_for
    from database.snapshot.initial_pull import pull_configured
    from dataset.folder import has_documents
    from dataset.listing import Selection
    from utils.provision import live_fingerprint, provide_documents, provide_model

    cache, device, backend = (
        settings.embedding_cache_path,
        settings.embedding_device,
        settings.embedding_backend,
    )
    folder, live = arguments.input_data_path, None
    with closing(_connect(settings)) as store:
        # The model: the settings' one, or with --provision one that is sure to be available.
        if arguments.provision:
            pull_configured(settings, store)
            live = live_fingerprint(store)
            model = provide_model(settings, live, _report, documents=has_documents(folder))
            model.prepare(cache=cache, device=device, backend=backend)
        else:
            name = settings.embedding_model_name or arguments.fallback_model
            model = model_for(name, settings, building=True)
        builder = make_builder(
            model,
            store,
            cache=cache,
            chunk_size=arguments.chunk_size,
            chunk_overlap=arguments.chunk_overlap,
            device=device,
            backend=backend,
            progress=progress,
            skipped=_report,
        )
        # The documents, and the build.
        if arguments.provision and not provide_documents(folder, store, builder.recipe, live):
            return None
        return builder.build(
            folder,
            Selection(tuple(arguments.include), tuple(arguments.exclude)),
            folder_only=arguments.folder_only,
            allow_deletions=arguments.allow_deletions,
        )


def roll_back(settings: Settings) -> str:
    """Return to the previous index and describe it.

    Raises:
        DocsQAError: there is no previous index, or it cannot be read.
    """
    from database.building.rollback import rollback

    with closing(_connect(settings)) as store:
        live, changed = rollback(store)
        _, _, fingerprint = store.live_collection()
    recipe = fingerprint.recipe
    lines = [
        f"Index at {settings.database}: returned to {live.name}, built {fingerprint.built_at} with "
        f"{recipe.embedding_model}. Run it again to undo this."
    ]
    if changed:
        lines.append(
            f"{changed:,} documents have been changed through the API since then; those changes "
            "are gone until the next build restores them."
        )
    return "\n".join(lines)


def _connect(settings: Settings) -> "Store":
    from database.index.store import LONG_REQUEST_SECONDS, connect

    return connect(settings, timeout=LONG_REQUEST_SECONDS, create=True)


def _report(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def main(argv: list[str] | None = None) -> int:
    """Build; return 0 if the index matches the folder, 1 with one line that states the problem."""
    arguments = _parse_arguments(argv)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("database").setLevel(logging.INFO)
    try:
        settings = _load_settings(arguments)
        if arguments.rollback:
            sys.stdout.write(f"{roll_back(settings)}\n")
            return 0
        from dataset.folder import document_paths
        from dataset.progress import report_progress
        from dataset.skipped import SkipReason

        if not arguments.provision:
            document_paths(arguments.input_data_path)
        with report_progress("Building the index", "chunks") as progress:
            report = build(settings, arguments, progress)
    except DocsQAError as error:
        _report(str(error))
        return 1
    if report and arguments.verbose:
        for one in report.skipped:
            if one.reason != SkipReason.UNCONVERTIBLE:  # reported already
                _report(str(one))
    outcome = report or "  used as it is; there are no documents beside it"
    sys.stdout.write(f"Index at {settings.database}:\n{outcome}\n")
    return 0


if __name__ == "__main__":
    run_command(main)
