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

from utils.errors import DocsQAError, SettingsError
from utils.settings import (
    DEFAULT_DATASET,
    DEFAULT_EMBEDDING_MODEL,
    Settings,
    is_server,
    load_settings,
)

if TYPE_CHECKING:
    from database.report import BuildReport
    from dataset.progress import Progress

MIN_CHUNK_SIZE = 32
"""Tokens; with less there is no room for a sentence under its headings."""
BUILD_TIMEOUT = 600.0
"""Seconds for one request to the server: the last one makes it write the vectors to disk."""


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; paths are relative to the current directory."""
    parser = argparse.ArgumentParser(
        prog="db_builder",
        description="Brings the index in line with a folder of markdown. Run it again after an "
        "interruption or a change: it goes on where it was and embeds only what is new.",
    )
    add = parser.add_argument
    add(
        "-d",
        "--input_data_path",
        type=Path,
        default=DEFAULT_DATASET,
        metavar="FOLDER",
        help="folder of markdown documents (default: dataset/sagemaker_documentation)",
    )
    add(
        "-db",
        "--database_path",
        metavar="PATH_OR_URL",
        help="index folder, or http://host:port of a Chroma server (default: DATABASE)",
    )
    add(
        "-cz",
        "--chunk_size",
        type=int,
        metavar="TOKENS",
        help="longest chunk, in tokens of the model (default and upper limit: what it reads)",
    )
    add(
        "-co",
        "--chunk_overlap",
        type=int,
        default=0,
        metavar="TOKENS",
        help="what a chunk repeats of the one before where a section is cut (default: 0)",
    )
    add(
        "-m",
        "--embedding_model_name",
        metavar="NAME",
        help="embedding model: a name on the Hub, or provider:model for an API (default: "
        "EMBEDDING_MODEL_NAME, else --fallback_model)",
    )
    add(
        "-mp",
        "--embedding_model_path",
        type=Path,
        metavar="FOLDER",
        help="model folder or hub cache folder (default: EMBEDDING_MODEL_PATH)",
    )
    add(
        "--fallback_model",
        default=DEFAULT_EMBEDDING_MODEL,
        metavar="NAME",
        help="model where neither -m nor a setting names one (default: %(default)s)",
    )
    add(
        "--provision",
        action="store_true",
        help="work from nothing: fetch documents, fall back to the packaged model, use a ready-"
        "made index as it is, and leave the model in the form that a service without torch loads",
    )
    add("--device", choices=["auto", "cpu", "cuda"], help="default: EMBEDDING_DEVICE")
    add("--backend", choices=["auto", "openvino", "torch"], help="default: EMBEDDING_BACKEND")
    return parser.parse_args(argv)


def settings_for(arguments: argparse.Namespace) -> Settings:
    """The settings, with what the command line says in their place."""
    settings = load_settings()
    given = {
        "database": arguments.database_path and _from_here(arguments.database_path),
        "embedding_model_name": arguments.embedding_model_name,
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
    from database.assembly import make_builder
    from database.embeddings import model_for, prepare
    from database.store import connect
    from utils.provision import live_fingerprint, provide_documents, provide_model

    token = settings.chroma_token
    store = connect(
        settings.database,
        token=token.get_secret_value() if token else None,
        timeout=BUILD_TIMEOUT,
        create=True,
    )
    cache, device, backend = (
        settings.embedding_cache_path,
        settings.embedding_device,
        settings.embedding_backend,
    )
    report = None
    with closing(store):
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
            report = builder.build(folder)
    return report


def _complain(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def describe(report: "BuildReport") -> str:
    """The report as lines for a person."""
    changes = report.changes
    tallies = {
        "new": changes.new,
        "replaced": changes.replaced,
        "unchanged": changes.unchanged,
        "deleted": changes.deleted,
    }
    lines = [
        f"  {name:<10} {t.documents:>7,} documents {t.chunks:>9,} chunks"
        for name, t in tallies.items()
    ]
    if changes.without_text:
        lines.append(f"  no text    {changes.without_text:>7,} documents (they only list links)")
    lines.append(
        f"{report.chunks:,} chunks, {report.embedded:,} of them embedded now, in "
        f"{report.seconds:.1f} s ({report.chunks_per_second:.1f} a second)"
    )
    spent = ", ".join(
        f"{name} {seconds:.1f} s" for name, seconds in report.seconds_by_stage.items()
    )
    lines.append(f"Time went to: {spent}")
    if report.seconds_to_open:
        lines.append(f"A fresh process opens the index in {report.seconds_to_open:.2f} s")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Build; 0 when the index is in line with the folder, 1 with one line on what is wrong."""
    arguments = parse_arguments(argv)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("database").setLevel(logging.INFO)
    try:
        _check_sizes(arguments)
        settings = settings_for(arguments)
        from dataset.documents import document_paths
        from dataset.progress import reporting

        if not arguments.provision:
            document_paths(arguments.input_data_path)
        with reporting("Building the index", "chunks") as progress:
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
