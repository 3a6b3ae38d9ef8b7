"""The benchmark's command line."""

import argparse
import json
from pathlib import Path

from utils.settings import DEFAULT_DATASET, PROJECT_ROOT

PARTS = ("build", "service", "llm", "streaming", "streams", "outage")
MODELS = "models"
"""Among all of them where there is another model to compare with."""
LIVING = "living"
"""Not among all of them: it takes minutes more, for it builds an index several times."""
_SAMPLE_MEGABYTES = 1.0
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
        metavar="FOLDER",
        help="folder of markdown documents (default: dataset/sagemaker_documentation)",
    )
    add(
        "--megabytes",
        type=float,
        metavar="N",
        help="measure with an evenly spread sample of about so many megabytes; 0 takes all of "
        "them (default: 1; 0 where -d is given for a living index alone)",
    )
    add(
        "--part",
        choices=[*PARTS, MODELS, LIVING, "all"],
        default="all",
        help=f"default: all of them but {LIVING}, which takes minutes more",
    )
    add("-m", "--embedding_model_name", default=_MINILM, metavar="NAME")
    add(
        "--other_model",
        default="",
        metavar="NAME",
        help="compared with the first, such as models/NAME; a living index changes to it and back "
        "(default: the first without its last layer)",
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
    _add_living(parser)
    add("--worker", help=argparse.SUPPRESS)
    add("--job", type=json.loads, help=argparse.SUPPRESS)
    add("--port", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.megabytes is None:
        whole = arguments.part == LIVING and arguments.input_data_path
        arguments.megabytes = 0.0 if whole else _SAMPLE_MEGABYTES
    arguments.input_data_path = arguments.input_data_path or DEFAULT_DATASET
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


def _add_living(parser: argparse.ArgumentParser) -> None:
    """What happens to an index that changes while it is asked."""
    add = parser.add_argument_group("with an index that changes while it is asked").add_argument
    add(
        "--living_changes",
        type=int,
        default=20,
        help="documents added, replaced and deleted one by one (default: %(default)s)",
    )
    add("--living_rate", type=float, default=20.0, help="requests a second (default: %(default)g)")
    add(
        "--living_seconds",
        type=float,
        default=5.0,
        help="with these requests alone, to compare with (default: %(default)g)",
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
    for name in (*counts, "living_changes"):
        if getattr(arguments, name) < 1:
            parser.error(f"--{name} must be 1 or more")
    times = ("tokens_per_second", "stream_seconds", "outage_seconds", "outage_timeout")
    for name in (*times, "living_rate", "living_seconds"):
        if getattr(arguments, name) <= 0:
            parser.error(f"--{name} must be more than 0")
