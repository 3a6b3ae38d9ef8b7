"""What several commands are asked in the same words: which documents, and where the model lies."""

import argparse
from pathlib import Path

from utils.settings import DEFAULT_DATASET, DEFAULT_EMBEDDING_MODEL


def add_document_arguments(parser: argparse.ArgumentParser) -> None:
    """Ask for the folder of documents, and which of them are meant."""
    parser.add_argument(
        "-d",
        "--input_data_path",
        type=Path,
        default=DEFAULT_DATASET,
        metavar="FOLDER",
        help="folder of documents (default: dataset/sagemaker_documentation)",
    )
    parser.add_argument(
        "--include",
        action="append",
        default=[],
        metavar="PATTERN",
        help="take only documents whose name matches, as `guides/*`; may be given several times",
    )
    parser.add_argument(
        "--exclude",
        action="append",
        default=[],
        metavar="PATTERN",
        help="leave out documents whose name matches; may be given several times",
    )


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Ask for where the embedding model lies, and which to take where none is named."""
    parser.add_argument(
        "-mp",
        "--embedding_model_path",
        type=Path,
        metavar="FOLDER",
        help="model folder or hub cache folder (default: EMBEDDING_MODEL_PATH)",
    )
    parser.add_argument(
        "--fallback_model",
        default=DEFAULT_EMBEDDING_MODEL,
        metavar="NAME",
        help="model where neither -m nor a setting names one (default: %(default)s)",
    )
