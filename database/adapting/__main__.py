"""Adapts an embedding model to documents: python -m database.adapting -d FOLDER -o models/NAME."""

if __name__ == "__main__":
    from utils.interrupts import exit_on_interrupt

    exit_on_interrupt()

import argparse
import logging
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from database.building.arguments import (
    add_device_argument,
    add_document_arguments,
    add_model_arguments,
    add_version_argument,
)
from dataset.progress import report_progress
from utils.errors import DocsQAError, ModelError, SettingsError
from utils.interrupts import run_command
from utils.settings import PROJECT_ROOT, build_command, load_settings

if TYPE_CHECKING:
    from database.adapting.training import Plan


def _parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="database.adapting",
        description="Teaches an embedding model the words of a folder of documents, from the "
        "documents alone, and writes it as a model folder that -m accepts everywhere. Run it "
        "again after an interruption: it goes on where it was.",
    )
    add = parser.add_argument
    add_version_argument(parser)
    add_document_arguments(parser)
    add_model_arguments(
        parser, "model to adapt: a name on the Hub, or a folder such as models/NAME"
    )
    add(
        "-o",
        "--output",
        type=Path,
        metavar="FOLDER",
        help="where the model goes (default: models/, named after the model and the documents)",
    )
    add("--seed", type=int, metavar="N", help="of all that is drawn by lot (default: 1)")
    add("--pairs", type=int, metavar="N", help="learn from so many pairs at most")
    add("--learning_rate", type=float, metavar="RATE", help="how far each batch moves the weights")
    add("--hold_out", type=float, metavar="SHARE", help="of the documents, to judge by")
    add(
        "--dimension",
        type=int,
        metavar="N",
        help="how many numbers a vector shall have, fewer than the model's: a smaller index",
    )
    add(
        "--int8", action="store_true", help="also for OpenVINO in int8, calibrated on the documents"
    )
    add_device_argument(parser)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Adapt; 0 when the model is written, 1 with one line on what is wrong."""
    arguments = _parse_arguments(argv)
    logging.basicConfig(level=logging.ERROR, format="%(message)s")
    # Nothing is fetched but the model itself, and that by us.
    os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
    try:
        _run(arguments)
    except DocsQAError as error:
        _say(str(error))
        return 1
    return 0


def _run(arguments: argparse.Namespace) -> None:
    from database.adapting.adaptation import AdaptationRequest, adapt
    from database.adapting.model_card import summarize
    from database.embedding.model_finder import find_model, named
    from database.embedding.models import model_type
    from database.embedding.torch_embeddings import torch_device
    from dataset.folder import Selection, document_paths

    plan = _plan(arguments)
    selection = Selection(tuple(arguments.include), tuple(arguments.exclude))
    document_paths(arguments.input_data_path, selection)
    settings = load_settings(
        embedding_model_name=arguments.embedding_model_name,
        embedding_model_path=arguments.embedding_model_path,
        embedding_device=arguments.device,
        embedding_backend="torch",
    )
    name = named(settings.embedding_model_name or arguments.fallback_model)
    if not model_type(name).has_weights:
        raise ModelError(
            f"{name} is reached by API: only a model whose weights are here can learn."
        )
    base = find_model(name, settings.embedding_model_path)
    if arguments.dimension is not None and not 0 < arguments.dimension < base.dimension:
        raise SettingsError(
            f"--dimension {arguments.dimension}: must be between 0 and {base.dimension}, which "
            f"{name} has."
        )
    output = arguments.output or _output(name, arguments.input_data_path)
    request = AdaptationRequest(
        folder=arguments.input_data_path,
        base=base,
        output=output.absolute(),
        device=torch_device(settings.embedding_device, "torch") or "cpu",
        plan=plan,
        dimension=arguments.dimension,
        int8=arguments.int8,
        selection=selection,
    )
    with report_progress("Learning", "pairs") as progress:
        about = adapt(request, progress, _say)
    written = named(str(request.output))
    print(f"{written}: {name}, adapted\n{summarize(about)}")
    documents = str(arguments.input_data_path.absolute())
    print(f"Build an index with it: {build_command(model=written, documents=documents)}")


def _plan(arguments: argparse.Namespace) -> "Plan":
    from database.adapting.training import Plan

    given = {
        key: getattr(arguments, key)
        for key in ("seed", "pairs", "learning_rate", "hold_out")
        if getattr(arguments, key) is not None
    }
    plan = replace(Plan(), **given)
    if plan.pairs < plan.batch:
        raise SettingsError(f"--pairs {plan.pairs}: one batch has {plan.batch}.")
    if not 0 < plan.learning_rate < 1:
        raise SettingsError(f"--learning_rate {plan.learning_rate:g}: must be between 0 and 1.")
    if not 0 <= plan.hold_out <= 0.5:
        raise SettingsError(f"--hold_out {plan.hold_out:g}: must be between 0 and 0.5.")
    return plan


def _output(model: str, documents: Path) -> Path:
    name = f"{model.rpartition('/')[2]}-{documents.absolute().name}"
    return PROJECT_ROOT / "models" / name


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    run_command(main)
