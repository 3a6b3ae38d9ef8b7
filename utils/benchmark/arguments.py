"""The benchmark's command line."""

import argparse
import json
from pathlib import Path

from utils.settings import DEFAULT_DATASET, PROJECT_ROOT

_MINILM = "sentence-transformers/all-MiniLM-L6-v2"


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
    add("-m", "--embedding_model_name", default=_MINILM, metavar="NAME")
    add(
        "-o",
        "--output",
        type=Path,
        default=PROJECT_ROOT / "build" / "benchmark.md",
        metavar="FILE",
        help="markdown report; the JSON beside it has all digits (default: build/benchmark.md)",
    )
    add("--picture", type=Path, metavar="FILE", help="draw build and service, ours and original")
    _add_counts(parser)
    add("--worker", help=argparse.SUPPRESS)
    add("--run", type=json.loads, help=argparse.SUPPRESS)
    add("--port", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.megabytes < 0:
        parser.error("--megabytes must be 0 or more")
    return arguments


def _add_counts(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("counts and times").add_argument
    for name, default, text in (
        ("matrix_rounds", 5, "repetitions of the matrix product; the best one counts"),
        ("requests", 400, "for each service and number of clients"),
        ("answer_tokens", 120, "of an answer by the simulated provider"),
        ("stream_questions", 40, "by one client"),
        ("stream_clients", 200, "that stream answers at once"),
    ):
        add(f"--{name}", type=_count, default=default, metavar="N", help=f"{text} ({default})")
    for name, seconds, text in (
        ("first_token_seconds", 0.5, "before the simulated provider's first token"),
        ("tokens_per_second", 60.0, "of the simulated provider"),
        ("stream_seconds", 20.0, "of streaming, after a warm-up of a quarter of it"),
        ("outage_seconds", 5.0, "before, during and after each outage"),
        ("outage_timeout", 5.0, "INFERENCE_TIMEOUT and BREAKER_SECONDS in an outage"),
    ):
        add(f"--{name}", type=_positive, default=seconds, metavar="N", help=f"{text} ({seconds:g})")


def _count(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return int(text)


def _positive(text: str) -> float:
    if not float(text) > 0:
        raise argparse.ArgumentTypeError("must be more than 0")
    return float(text)
