"""The system in real containers: first start, later starts, and the original project's commands.

`make test-containers` runs these; they need a Docker engine and take some minutes.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from database.embedding.model_finder import find_model
from database.embedding.packaged_models import MINILM
from tests.containers.checkout import (
    PYTHON,
    QUESTION,
    Checkout,
    compose_command,
    docker,
    owners,
    wait_for,
)
from tests.files.mpnet import make_mpnet
from utils.settings import PROJECT_ROOT

pytestmark = [pytest.mark.containers, pytest.mark.timeout(1800)]


def test_first_start_answers_from_the_documentation(system: Checkout) -> None:
    body = system.ask(QUESTION).json()

    assert "KmsKeyId" in body["answer"]
    assert body["docs"][0] == "endpoints.md"


def test_first_build_logs_its_progress_and_model(system: Checkout) -> None:
    logs = system.logs("db_builder")

    assert "Continuing with the packaged sentence-transformers/all-MiniLM-L6-v2" in logs
    assert "5 chunks, 5 of them embedded now" in logs
    assert system.inspect("db_builder")["State"]["ExitCode"] == 0


def test_second_start_embeds_nothing(system: Checkout) -> None:
    assert "0 of them embedded now" in system.compose("run", "--rm", "db_builder")


def test_postman_collection_passes(system: Checkout) -> None:
    if not shutil.which("npx"):
        pytest.skip("no npx here: newman cannot be run")
    run = subprocess.run(
        [
            *("npx", "--yes", "newman@6.2.2", "run", "postman_collection.json"),
            *("--env-var", f"baseUrl={system.url}", "--color", "off"),
        ],
        cwd=system.folder, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip

    assert run.returncode == 0, run.stdout + run.stderr


# --- The original project's commands -----------------------------------------------------------


def test_original_commands_work_unchanged(checkout: Checkout) -> None:
    for line in (
        "docker build . -t inference-worker -f Dockerfile",
        "docker run --rm -v $(pwd):/app inference-worker python ./utils/db_builder.py "
        "-d dataset/sagemaker_documentation -db database/chroma",
    ):
        subprocess.run(line, shell=True, cwd=checkout.folder, check=True, timeout=1200)  # noqa: S602

    assert (checkout.folder / "database" / "chroma" / "chroma.sqlite3").is_file()
    assert owners(checkout.folder) == {checkout.owner}

    checkout.compose("-f", "./docker-compose.yml", "up", "--detach")
    checkout.wait_until_ready()
    assert "0 of them embedded now" in checkout.logs("db_builder")
    assert checkout.ask(QUESTION).json()["docs"][0] == "endpoints.md"


def test_prebuilt_index_is_served_without_documents_or_a_build(
    checkout: Checkout,
) -> None:
    docker("run", "--rm", "-v", f"{checkout.folder}:/app", "inference-worker", *BUILD)
    for page in (checkout.folder / "dataset" / "sagemaker_documentation").glob("*.md"):
        page.unlink()
    (checkout.folder / ".env").unlink()

    checkout.compose("up", "--detach")

    checkout.wait_until_ready()
    assert "used as it is" in checkout.logs("db_builder")
    assert checkout.ask(QUESTION).json()["docs"][0] == "endpoints.md"


BUILD = [
    *("python", "./utils/db_builder.py"),
    *("-d", "dataset/sagemaker_documentation", "-db", "database/chroma"),
]


def test_model_in_the_models_folder_is_used(checkout: Checkout) -> None:
    shutil.copytree(find_model(MINILM).folder, checkout.folder / "models" / "mine")
    checkout.give_to_owner()
    checkout.settings = {
        "EMBEDDING_MODEL_NAME": "models/mine",
        "EMBEDDING_MODEL_PATH": "./models/mine",
    }

    checkout.compose("up", "--detach")

    checkout.wait_until_ready()
    assert checkout.readiness()["index"]["embedding_model"] == "models/mine"
    assert checkout.ask(QUESTION).json()["docs"][0] == "endpoints.md"


def test_checkout_owned_by_root_is_written_by_the_image_user(checkout: Checkout) -> None:
    if os.getuid():
        pytest.skip("not root: cannot make a checkout of root's")
    checkout.folder.chmod(0o755)  # pytest's folders are private to their owner
    for path in [checkout.folder, *checkout.folder.rglob("*")]:
        os.chown(path, 0, 0)

    docker("run", "--rm", "-v", f"{checkout.folder}:/app", "inference-worker", *BUILD)

    assert owners(checkout.folder / "database" / "chroma") == {10001}


@pytest.mark.usefixtures("engine")
def test_image_runs_as_the_given_user_or_its_own() -> None:
    assert docker("run", "--rm", "inference-worker", "id", "-u").strip() == "10001"
    command = ["run", "--rm", "--user", "1234:1234", "inference-worker", "id", "-u"]
    assert docker(*command).strip() == "1234"


def test_private_checkout_with_an_interrupted_export_starts(
    checkout: Checkout,
) -> None:
    leftover = checkout.folder / "database" / "openvino" / ".exporting-killed"
    leftover.mkdir()
    checkout.give_to_owner()
    for path in [checkout.folder, *checkout.folder.rglob("*")]:
        path.chmod(path.stat().st_mode & ~0o077)
    for name in ("database/openvino", "all-mpnet-base-v2"):  # as described in the readme
        (checkout.folder / name).chmod(0o755)

    checkout.compose("up", "--detach")

    checkout.wait_until_ready()
    assert checkout.ask(QUESTION).json()["docs"][0] == "endpoints.md"


def test_missing_documents_are_fetched_and_a_stopped_builder_exits(
    checkout: Checkout,
) -> None:
    for page in (checkout.folder / "dataset" / "sagemaker_documentation").glob("*.md"):
        page.unlink()
    checkout.compose("up", "--detach", "chroma-gateway")
    checkout.compose("up", "--detach", "--no-deps", "db_builder")

    wait_for(lambda: "api-reference: 1" in checkout.logs("db_builder"), 60, "fetched")
    wait_for(lambda: "Exporting" in checkout.logs("db_builder"), 60, "building")
    checkout.compose("stop", "--timeout", "60", "db_builder")

    assert checkout.inspect("db_builder")["State"]["ExitCode"] == 130
    assert "Interrupted. Run it again" in checkout.logs("db_builder")
    dataset = checkout.folder / "dataset" / "sagemaker_documentation"
    assert (dataset / "api-reference" / "CreateEndpoint.md").is_file()
    assert owners(dataset) == {checkout.owner}


def test_first_start_downloads_the_default_model_for_builder_and_worker(
    checkout: Checkout, tmp_path: Path
) -> None:
    name = "sentence-transformers/all-mpnet-base-v2"
    make_mpnet(tmp_path / "model")
    (checkout.folder / ".env").unlink()
    checkout.compose("up", "--detach", "chroma-gateway")
    hub = docker(
        "run", "--detach", "--rm", "--network", f"{checkout.project}_default",
        "--network-alias", "hub", "--volume", f"{PROJECT_ROOT / 'tests'}:/srv/tests:ro",
        "--volume", f"{tmp_path / 'model'}:/model:ro", "--workdir", "/srv",
        PYTHON, "python", "-m", "tests.servers.hub", name, "/model",
    ).strip()  # fmt: skip
    try:
        checkout.settings = {"HF_ENDPOINT": "http://hub:9000"}
        checkout.compose("up", "--detach")
        index = checkout.wait_until_ready()["index"]
    finally:
        docker("kill", hub)

    assert (index["embedding_model"], index["dimension"]) == (name, 64)
    models = checkout.folder / "all-mpnet-base-v2"
    assert list(models.glob("models--*/snapshots/*/model.safetensors"))
    assert owners(models) == {checkout.owner}
    assert checkout.ask(QUESTION).status_code == 200
    assert "0 of them embedded now" in checkout.compose("run", "--rm", "db_builder")


@pytest.mark.usefixtures("engine")
def test_gpu_compose_file_is_valid_alone() -> None:
    for file in ("docker-compose.yml", "docker-compose-gpu.yml"):
        subprocess.run(
            [*compose_command(), "-f", file, "config", "--quiet"], cwd=PROJECT_ROOT, check=True
        )
