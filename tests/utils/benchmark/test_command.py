"""The benchmark command, on a few small pages and with few requests."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from utils.settings import PROJECT_ROOT

pytestmark = [pytest.mark.process, pytest.mark.model]

PAGES = {
    "endpoints.md": "# Endpoints\n\nServes a model.\n\n## Delete an Endpoint\n\nCall it.\n",
    "training.md": "# Training Jobs\n\nA training job writes its model to Amazon S3.\n",
    "api-reference/stop.md": "# StopTrainingJob\n\nStops a training job within 120 seconds.\n",
}

BRIEF = (
    *("--matrix_rounds", "1"),
    *("--first_token_seconds", "0.05", "--tokens_per_second", "500", "--answer_tokens", "20"),
    *("--stream_questions", "4", "--stream_clients", "4", "--stream_seconds", "1"),
    *("--outage_seconds", "1", "--outage_timeout", "2"),
)
"""Makes the matrix rate and the parts with a simulated provider short."""


def benchmark(
    folder: Path, output: Path, cache: Path, *options: str
) -> subprocess.CompletedProcess[str]:
    command = [
        *(sys.executable, "-m", "utils.benchmark", "-d", str(folder), "-o", str(output)),
        *("--picture", str(output.with_suffix(".png")), "--requests", "8", *options),
    ]
    environment = os.environ | {"EMBEDDING_CACHE_PATH": str(cache)}
    return subprocess.run(
        command, cwd=PROJECT_ROOT, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_benchmark_measures_everything_and_writes_tables_json_and_picture(
    tmp_path: Path, openvino_cache: Path
) -> None:
    folder, output = tmp_path / "documents", tmp_path / "out" / "benchmark.md"
    for name, text in PAGES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)

    done = benchmark(folder, output, openvino_cache, *BRIEF)

    assert done.returncode == 0, done.stderr
    markdown, text = output.read_text(), output.with_suffix(".json").read_text()
    report = json.loads(text)
    measured = {row["measure"]: row for rows in report["measures"].values() for row in rows}
    for name, target in {
        "documentation, kB a second": "> 4x",
        "embedding's share of the product's rate, %": "> 50",
        "answer, 1 client, p50 ms": "< 15",
        "answer, 1 client, p99 ms": "< 60",
    }.items():
        assert measured[name]["target"] == target
        assert measured[name]["reached"] in (True, False)
        assert any(name in line and target in line for line in done.stdout.splitlines())
    for name in (
        "chunks a second",
        "peak memory, MiB",
        "answer, 32 clients, p50 ms",
        "answer, 32 clients, p99 ms",
    ):
        assert measured[name]["ours"] > 0
        assert measured[name]["original"] > 0
    for name in (
        "opening the new index, s",
        "second build that changes nothing, s",
        "search alone, 1 client, p50 ms",
        "search alone, 32 clients, p99 ms",
        "1 client, first event (passages), p50 ms",
        "whole answer of 20 tokens, s",
        "4 streams, answers a second",
        "memory after the load, MiB",
        "provider back after silence, first answer by it after s",
    ):
        assert measured[name]["ours"] > 0
    for name in ("of 4 streams, not whole", "4 streams, failures"):
        assert measured[name]["reached"] is True
    assert measured["provider healthy, degraded, %"]["ours"] == 0
    assert measured["provider gone (connection refused), degraded, %"]["ours"] == 100
    assert report["settings"]["outage_timeout"] == 2
    assert not [name for name in measured if ", failed" in name]
    assert report["machine"]["precision"] in ("bf16", "f32")
    assert report["machine"]["cores"] >= 1
    for path in (tmp_path, PROJECT_ROOT):
        assert str(path) not in markdown + text
    assert "Written by `python -m utils.benchmark -d documents -o benchmark.md" in markdown
    assert "| documentation, kB a second | " in markdown
    assert output.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_missing_documents_are_a_one_line_error(tmp_path: Path) -> None:
    done = benchmark(tmp_path / "nowhere", tmp_path / "benchmark.md", tmp_path)

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "No dataset folder" in done.stderr
    assert list(tmp_path.iterdir()) == []
