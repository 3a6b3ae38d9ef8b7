"""The readme says what is so: its routes, commands, options and pictures exist."""

import re
import subprocess
from pathlib import Path

import pytest

from database.adapting import __main__ as adapt
from dataset import fetch
from inference_worker.app import create_app
from inference_worker.http.documents.problems import ALL as ABOUT_DOCUMENTS
from inference_worker.http.mcp.server import REFUSALS
from inference_worker.http.problems import BODY_TOO_LARGE, INTERNAL, problem_for
from utils.builder import arguments as builder_arguments
from utils.errors import (
    EmbeddingApiError,
    IndexDamagedError,
    IndexLockedError,
    IndexMismatchError,
    IndexMissingError,
    IndexUnavailableError,
    ModelError,
    StoreUnreachableError,
)
from utils.settings import PROJECT_ROOT, Settings

README = (PROJECT_ROOT / "readme.md").read_text()


def test_routes_are_those_of_the_service(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, database=str(tmp_path))
    schema = create_app(settings).openapi()
    served = {
        f"{method.upper()} {path}"
        for path, methods in schema["paths"].items()
        for method in methods
    }

    told = set(re.findall(r"^\| `((?:GET|POST|PUT|DELETE) /[\w/.{}]*)", README, re.MULTILINE))

    assert told == served | {"GET /docs", "GET /openapi.json"}


def test_error_table_is_the_one_that_is_served() -> None:
    errors = (
        IndexMissingError,
        IndexMismatchError,
        IndexDamagedError,
        IndexLockedError,
        ModelError,
        EmbeddingApiError,
        IndexUnavailableError,
        StoreUnreachableError,
    )
    served = {
        (str(problem.status.value), problem.type)
        for problem in (
            INTERNAL,
            BODY_TOO_LARGE,
            *ABOUT_DOCUMENTS,
            REFUSALS[403],
            REFUSALS[421],
            *(problem_for(error("")) for error in errors),
        )
    }

    told = set(re.findall(r"\| (\d{3}) \| `([\w-]+)` \|", README))

    assert told == served | {("422", "invalid-request")}


def test_builder_options_are_those_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        builder_arguments.parse_arguments(["--help"])
    with pytest.raises(SystemExit):
        fetch.main(["--help"])
    helped = capsys.readouterr().out

    told = re.findall(r"`(--?[\w-]+)`", README.split("## Build the index")[1].split("\n## ")[0])

    assert {"-d", "-db", "-m", "-mp", "-cz", "-co"} <= set(told)
    for option in set(told):
        assert option in helped


def test_options_of_adapting_are_those_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        adapt.main(["--help"])
    helped = capsys.readouterr().out

    section = README.split("## Adapt the model to your documents")[1].split("\n## ")[0]
    options = re.findall(r"`(--?[\w-]+)`", section.split("| option |")[1].split("\n\n")[0])

    assert {"-d", "-m", "-o", "--pairs", "--seed"} <= set(options)
    for option in options:
        assert option in helped


def test_make_targets_it_names_exist() -> None:
    listed = subprocess.run(
        ["make", "help"], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True
    ).stdout

    for target in set(re.findall(r"\bmake ([a-z]+)\b", README)):
        assert f"make {target} " in listed, target


def test_pictures_it_shows_are_there() -> None:
    for picture in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README):
        assert (PROJECT_ROOT / picture).is_file(), picture
