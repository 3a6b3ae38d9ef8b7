"""Fine-tunes an embedding model: python -m database.adapting -d FOLDER -o models/NAME."""

if __name__ == "__main__":
    from utils.interrupts import exit_on_interrupt

    exit_on_interrupt()

import argparse
import json
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
    from database.adapting.model_card import AdaptationRecord
    from database.adapting.training import Plan


def _parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="database.adapting",
        description="Fine-tune an embedding model on a folder of documents, without labels, and "
        "write it as a model folder that -m accepts everywhere. An interrupted run continues from "
        "its last checkpoint.",
    )
    add = parser.add_argument
    add_version_argument(parser)
    add_document_arguments(parser)
    add_model_arguments(parser, "model to adapt: a name on the Hub, or a folder")
    add(
        "-o",
        "--output",
        type=Path,
        metavar="FOLDER",
        help="folder to write the model to (default: models/MODEL-DOCUMENTS)",
    )
    add("--seed", type=int, metavar="N", help="random seed (default: 1)")
    add("--pairs", type=int, metavar="N", help="maximum number of training pairs")
    add("--learning_rate", type=float, metavar="RATE", help="step size of the optimiser")
    add("--hold_out", type=float, metavar="SHARE", help="share of documents for evaluation")
    add("--dimension", type=int, metavar="N", help="shorten vectors to N numbers: a smaller index")
    add("--int8", action="store_true", help="also write an int8 program for OpenVINO")
    add(
        "--questions",
        type=Path,
        metavar="FILE",
        help="written questions to train with too, one JSON object per line: question, document, "
        "answer (words of the passage)",
    )
    add("--adapter", type=Path, metavar="FILE", help="also write it as an adapter of at most 4 MB")
    add_device_argument(parser)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Adapt a model; return 0, or 1 after an error message."""
    arguments = _parse_arguments(argv)
    logging.basicConfig(level=logging.ERROR, format="%(message)s")
    # Only `find_model` may download.
    os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
    try:
        _run(arguments)
    except DocsQAError as error:
        _report(str(error))
        return 1
    return 0


def _run(arguments: argparse.Namespace) -> None:
    from database.adapting.adaptation import AdaptationRequest, adapt
    from database.adapting.low_rank import write_adapter
    from database.adapting.model_card import summarize
    from database.adapting.pairs import read_questions
    from database.embedding.api.api_model import ApiModel
    from database.embedding.model_finder import find_model, model_name_of
    from database.embedding.models import model_type
    from database.embedding.torch_embeddings import torch_device
    from dataset.folder import document_paths
    from dataset.listing import Selection

    plan = _plan(arguments)
    selection = Selection(tuple(arguments.include), tuple(arguments.exclude))
    document_paths(arguments.input_data_path, selection)
    settings = load_settings(
        embedding_model_name=arguments.embedding_model_name,
        embedding_model_path=arguments.embedding_model_path,
        embedding_device=arguments.device,
        embedding_backend="torch",
    )
    name = model_name_of(settings.embedding_model_name or arguments.fallback_model)
    if model_type(name) is ApiModel:
        raise ModelError(f"{name} is an API model; only a model with local weights can be adapted.")
    base = find_model(name, settings.embedding_model_path)
    if arguments.dimension is not None and not 0 < arguments.dimension < base.dimension:
        raise SettingsError(
            f"--dimension {arguments.dimension}: must be greater than 0 and less than "
            f"{base.dimension}, the dimension of {name}."
        )
    if arguments.adapter and (arguments.dimension or arguments.adapter.is_dir()):
        raise SettingsError("--adapter names a file, and has the base model's dimension.")
    folder = arguments.input_data_path
    default = PROJECT_ROOT / "models" / f"{name.rpartition('/')[2]}-{folder.absolute().name}"
    request = AdaptationRequest(
        folder=folder,
        base=base,
        output=(arguments.output or default).absolute(),
        device=torch_device(settings.embedding_device, "torch") or "cpu",
        plan=plan,
        dimension=arguments.dimension,
        int8=arguments.int8,
        selection=selection,
        questions=read_questions(arguments.questions) if arguments.questions else (),
    )
    with report_progress("Training", "pairs") as progress:
        about = adapt(request, progress, _report)
    written = model_name_of(str(request.output))
    print(f"{written}: {name}, adapted\n{summarize(about)}")
    if arguments.adapter:
        kept = write_adapter(base, find_model(written), arguments.adapter, _provenance(about))
        print(f"{arguments.adapter}: keeps {kept:.0%} of the weights' change")
    command = build_command(model=written, documents=str(folder.absolute()))
    print(f"Build an index with it: {command}")


def _provenance(record: "AdaptationRecord") -> dict[str, str]:
    """What an adapter's file states about its training."""
    fields = {"plan": record.plan, "pairs": record.pairs, "packages": record.packages}
    return {
        "base_model": record.base,
        "corpus": record.corpus,
        "documents": str(record.documents),
        "share": f"{record.share:g}",
    } | {name: json.dumps(value) for name, value in fields.items()}


def _plan(arguments: argparse.Namespace) -> "Plan":
    from database.adapting.training import Plan

    given = {
        key: getattr(arguments, key)
        for key in ("seed", "pairs", "learning_rate", "hold_out")
        if getattr(arguments, key) is not None
    }
    plan = replace(Plan(), **given)
    if plan.pairs < plan.batch:
        raise SettingsError(f"--pairs {plan.pairs}: must be at least {plan.batch}, one batch.")
    if not 0 < plan.learning_rate < 1:
        raise SettingsError(f"--learning_rate {plan.learning_rate:g}: must be between 0 and 1.")
    if not 0 <= plan.hold_out <= 0.5:
        raise SettingsError(f"--hold_out {plan.hold_out:g}: must be between 0 and 0.5.")
    return plan


def _report(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    run_command(main)
