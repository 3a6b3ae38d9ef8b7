"""Command-line options that several commands share."""

import argparse
from pathlib import Path

from utils.settings import (
    DEFAULT_DATASET,
    DEFAULT_EMBEDDING_MODEL,
    VERSION,
    is_server,
    setting_default,
)


def add_version_argument(parser: argparse.ArgumentParser) -> None:
    """Add --version."""
    parser.add_argument("--version", action="version", version=f"sagemaker-docs-qa {VERSION}")


def add_document_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the folder of documents and the patterns that select some of them."""
    parser.add_argument(
        "-d",
        "--input_data_path",
        type=Path,
        default=DEFAULT_DATASET,
        metavar="FOLDER",
        help="folder of documents (default: dataset/sagemaker_documentation)",
    )
    patterns = {
        "--include": "use only documents whose name matches, such as `guides/*` (repeatable)",
        "--exclude": "ignore documents whose name matches (repeatable)",
    }
    for option, text in patterns.items():
        parser.add_argument(option, action="append", default=[], metavar="PATTERN", help=text)


def add_database_argument(parser: argparse.ArgumentParser) -> None:
    """Add where the index is; a relative path starts at the current directory."""
    parser.add_argument(
        "-db",
        "--database_path",
        type=lambda text: text if not text or is_server(text) else str(Path(text).absolute()),
        metavar="PATH_OR_URL",
        help="index folder, or http://host:port of a Chroma server "
        f"({setting_default('database')})",
    )


def add_model_arguments(parser: argparse.ArgumentParser, purpose: str) -> None:
    """Add the embedding model: its name, its folder, and the one to use if none is named."""
    parser.add_argument(
        "-m",
        "--embedding_model_name",
        metavar="NAME",
        help=f"{purpose} (default: EMBEDDING_MODEL_NAME if set, else --fallback_model)",
    )
    parser.add_argument(
        "-mp",
        "--embedding_model_path",
        type=lambda text: Path(text).absolute(),
        metavar="FOLDER",
        help=f"model folder or hub cache folder ({setting_default('embedding_model_path')})",
    )
    parser.add_argument(
        "--fallback_model",
        default=DEFAULT_EMBEDDING_MODEL,
        metavar="NAME",
        help="model to use if neither -m nor EMBEDDING_MODEL_NAME names one (default: %(default)s)",
    )


def add_device_argument(parser: argparse.ArgumentParser) -> None:
    """Add the device that embeds."""
    parser.add_argument(
        "--device",
        choices=["auto", "cpu", "cuda"],
        help=f"processor to embed on ({setting_default('embedding_device')})",
    )
