"""Builds the index: python ./utils/db_builder.py -d FOLDER -db PATH_OR_URL."""

import argparse
import logging
import signal
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

# `python ./utils/db_builder.py` puts utils/ on the path and not the project's root.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from utils.builder.arguments import parse_arguments
from utils.builder.report import describe
from utils.errors import DocsQAError, SettingsError
from utils.settings import Settings, is_server, load_settings

if TYPE_CHECKING:
    from database.building.report import BuildReport
    from database.index.store import Store
    from dataset.progress import Progress

MIN_CHUNK_SIZE = 32
"""Tokens; with less there is no room for a sentence under its headings."""


def settings_for(arguments: argparse.Namespace) -> Settings:
    """The settings, with what the command line says in their place."""
    from database.embedding.model_finder import named

    settings = load_settings()
    model = arguments.embedding_model_name
    given = {
        "database": arguments.database_path and _from_here(arguments.database_path),
        "embedding_model_name": model and named(model),
        "embedding_model_path": arguments.embedding_model_path
        and arguments.embedding_model_path.absolute(),
        "embedding_device": arguments.device,
        "embedding_backend": arguments.backend,
    }
    return settings.model_copy(update={name: value for name, value in given.items() if value})


def _from_here(database: str) -> str:
    return database if is_server(database) else str(Path(database).absolute())


def build(
    settings: Settings, arguments: argparse.Namespace, progress: "Progress"
) -> "BuildReport | None":
    """Find the model, open the store and build; None where the index there is used as it is.

    Raises:
        DocsQAError: one of them is not to be had, or the build failed.
    """
    from database.building.builder_factory import make_builder
    from database.building.rollback import return_to_folder
    from database.embedding.loading import model_for, prepare
    from database.snapshot.provide import pull_configured
    from dataset.folder import Selection
    from utils.builder.provision import live_fingerprint, provide_documents, provide_model

    store = _connected(settings)
    cache, device, backend = (
        settings.embedding_cache_path,
        settings.embedding_device,
        settings.embedding_backend,
    )
    report = None
    with closing(store):
        if arguments.folder_only:
            return_to_folder(store)
        if arguments.provision:
            pull_configured(settings, store)
        built = live_fingerprint(store) if arguments.provision else None
        if arguments.provision:
            model = provide_model(settings, built, _complain)
            prepare(model, cache=cache, device=device, backend=backend)
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
            skipped=_complain,
        )
        folder = arguments.input_data_path
        if not arguments.provision or provide_documents(folder, store, builder.recipe, built):
            selection = Selection(tuple(arguments.include), tuple(arguments.exclude))
            report = builder.build(folder, selection)
    return report


def roll_back(settings: Settings) -> str:
    """Return to the index before; what to say about it.

    Raises:
        DocsQAError: there is none, or it cannot be read.
    """
    from database.building.rollback import rollback

    with closing(_connected(settings)) as store:
        live, changed = rollback(store)
        _, _, fingerprint = store.live_collection()
    recipe = fingerprint.recipe
    lines = [
        f"Index at {settings.database}: returned to {live.name}, built {fingerprint.built_at} with "
        f"{recipe.embedding_model}. Run it again to undo this."
    ]
    if changed:
        lines.append(
            f"{changed:,} documents were changed through the API since, and are now as they were "
            "then; a build brings them up to date."
        )
    return "\n".join(lines)


def _connected(settings: Settings) -> "Store":
    from database.index.store import LONG_REQUEST_SECONDS, connect

    return connect(settings, timeout=LONG_REQUEST_SECONDS, create=True)


def _complain(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def main(argv: list[str] | None = None) -> int:
    """Build; 0 when the index is in line with the folder, 1 with one line on what is wrong."""
    arguments = parse_arguments(argv)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("database").setLevel(logging.INFO)
    try:
        _check_sizes(arguments)
        settings = settings_for(arguments)
        if arguments.rollback:
            sys.stdout.write(f"{roll_back(settings)}\n")
            return 0
        from dataset.folder import document_paths
        from dataset.progress import report_progress

        if not arguments.provision:
            document_paths(arguments.input_data_path)
        with report_progress("Building the index", "chunks") as progress:
            report = build(settings, arguments, progress)
    except DocsQAError as error:
        _complain(str(error))
        return 1
    except KeyboardInterrupt:
        _complain("Interrupted. Run it again to go on where it was.")
        return 130
    outcome = describe(report) if report else "  used as it is; there are no documents beside it"
    sys.stdout.write(f"Index at {settings.database}:\n{outcome}\n")
    return 0


def _check_sizes(arguments: argparse.Namespace) -> None:
    size, overlap = arguments.chunk_size, arguments.chunk_overlap
    if size is not None and size < MIN_CHUNK_SIZE:
        raise SettingsError(f"-cz {size}: a chunk needs at least {MIN_CHUNK_SIZE} tokens.")
    if overlap < 0 or (size is not None and overlap >= size):
        raise SettingsError(
            f"-co {overlap}: the overlap must be 0 or more and under the chunk size."
        )


if __name__ == "__main__":
    # `docker stop` is an interruption too; a container's first process is deaf to it otherwise.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
