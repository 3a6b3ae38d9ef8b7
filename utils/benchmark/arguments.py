"""The benchmark's command line."""

import argparse
import json
from pathlib import Path

from utils.settings import DEFAULT_DATASET, PROJECT_ROOT

PARTS = ("build", "service", "llm", "streaming", "streams", "outage")
MODELS = "models"
"""Among all of them where there is another model to compare with."""
_MINILM = "sentence-transformers/all-MiniLM-L6-v2"


def chosen_parts(arguments: argparse.Namespace) -> tuple[str, ...]:
    """What is to be measured."""
    if arguments.part != "all":
        return (arguments.part,)
    return (*PARTS, MODELS) if arguments.other_model else PARTS


def parse_benchmark_arguments(
    description: str | None, argv: list[str] | None
) -> argparse.Namespace:
    """Read the command line; paths are relative to the current directory."""
    parser = argparse.ArgumentParser(prog="benchmark", description=description)
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
        "--megabytes",
        type=float,
        default=1.0,
        metavar="N",
        help="measure with an evenly spaced sample of about N megabytes of the documents; "
        "0: all of them (default: %(default)g)",
    )
    add(
        "--part",
        choices=[*PARTS, MODELS, "all"],
        default="all",
        help="default: %(default)s",
    )
    add("-m", "--embedding_model_name", default=_MINILM, metavar="NAME")
    add(
        "--other_model",
        default="",
        metavar="NAME",
        help="a second model to compare with, such as models/NAME",
    )
    add("-o", "--output", type=Path, default=PROJECT_ROOT / "build" / "benchmark.json")
    add("--picture", type=Path, default=PROJECT_ROOT / "images" / "benchmark.png")
    add(
        "--matrix_rounds",
        type=int,
        default=5,
        help="of the machine's matrix rate, the best of which counts (default: %(default)s)",
    )
    add("--requests", type=int, default=400, help="a setting (default: %(default)s)")
    add("--llm_clients", type=int, default=64, help="default: %(default)s")
    add("--llm_seconds", type=float, default=5.0, help="for an answer (default: %(default)g)")
    _add_streaming(parser)
    add("--worker", help=argparse.SUPPRESS)
    add("--job", type=json.loads, help=argparse.SUPPRESS)
    add("--port", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    _check(parser, arguments)
    return arguments


def _add_streaming(parser: argparse.ArgumentParser) -> None:
    """How the simulated provider streams, and how it is used."""
    add = parser.add_argument_group("with a simulated provider of a language model").add_argument
    add(
        "--first_token_seconds",
        type=float,
        default=0.5,
        help="before an answer's first token (default: %(default)g)",
    )
    add("--tokens_per_second", type=float, default=60.0, help="then (default: %(default)g)")
    add("--answer_tokens", type=int, default=120, help="default: %(default)s")
    add("--stream_questions", type=int, default=40, help="by one client (default: %(default)s)")
    add("--stream_clients", type=int, default=200, help="default: %(default)s")
    add(
        "--stream_seconds",
        type=float,
        default=20.0,
        help="they are kept busy, after a warm-up of a quarter of it (default: %(default)g)",
    )
    add(
        "--outage_seconds",
        type=float,
        default=5.0,
        help="with the provider, without and with it again (default: %(default)g)",
    )
    add(
        "--outage_timeout",
        type=float,
        default=5.0,
        help="INFERENCE_TIMEOUT and BREAKER_SECONDS of an outage (default: %(default)g)",
    )


def _check(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    counts = (
        *("matrix_rounds", "requests", "llm_clients"),
        *("answer_tokens", "stream_questions", "stream_clients"),
    )
    if arguments.megabytes < 0 or arguments.first_token_seconds < 0:
        parser.error("--megabytes and --first_token_seconds must be 0 or more")
    if arguments.part == MODELS and not arguments.other_model:
        parser.error(f"--part {MODELS} compares two: name the second with --other_model")
    for name in counts:
        if getattr(arguments, name) < 1:
            parser.error(f"--{name} must be 1 or more")
    times = ("tokens_per_second", "stream_seconds", "outage_seconds", "outage_timeout")
    for name in times:
        if getattr(arguments, name) <= 0:
            parser.error(f"--{name} must be more than 0")
