"""What `db_builder` is asked on the command line."""

import argparse

from database.building.arguments import add_document_arguments, add_model_arguments


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; paths are relative to the current directory."""
    parser = argparse.ArgumentParser(
        prog="db_builder",
        description="Brings the index in line with a folder of documents: markdown, text, HTML, "
        "PDF, Office files and more. Run it again after an interruption or a change: it goes on "
        "where it was and embeds only what is new. What was added, replaced or deleted through the "
        "API stays so.",
    )
    add = parser.add_argument
    add_document_arguments(parser)
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
        help="embedding model: a name on the Hub, a folder like models/NAME, or provider:model for "
        "an API (default: EMBEDDING_MODEL_NAME, else --fallback_model)",
    )
    add_model_arguments(parser)
    add(
        "--provision",
        action="store_true",
        help="work from nothing: fetch documents, fall back to the packaged model, use a ready-"
        "made index as it is, and leave the model in the form that a service without torch loads",
    )
    add(
        "--folder_only",
        action="store_true",
        help="forget what was added, replaced or deleted through the API: the folder alone counts",
    )
    add(
        "--rollback",
        action="store_true",
        help="build nothing: return to the index that was live before the last build",
    )
    add("--device", choices=["auto", "cpu", "cuda"], help="default: EMBEDDING_DEVICE")
    add("--backend", choices=["auto", "openvino", "torch"], help="default: EMBEDDING_BACKEND")
    return parser.parse_args(argv)
