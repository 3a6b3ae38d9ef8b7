"""The system in real containers: crashes, stops, changed secrets, down and up."""

import re
import threading
from pathlib import Path

import httpx
import pytest

from dataset.sources.api_reference import write_api_reference
from tests.containers.checkout import (
    LONG_RUNNING,
    PYTHON,
    QUESTION,
    QUESTIONS,
    Checkout,
    Questions,
    docker,
    owners,
    wait_for,
)
from utils.settings import PROJECT_ROOT

pytestmark = [pytest.mark.containers, pytest.mark.timeout(1800)]


@pytest.mark.parametrize("service", LONG_RUNNING)
def test_killed_service_restarts_with_the_same_index(system: Checkout, service: str) -> None:
    before = system.wait_until_ready()["index"]
    started = system.inspect(service)["State"]["StartedAt"]

    with Questions(system, QUESTIONS) as asked:
        system.kill(service)
        wait_for(
            lambda: system.inspect(service)["State"]["StartedAt"] != started, 60, "started again"
        )
        after = system.wait_until_ready()["index"]
        wait_for(lambda: system.ask(QUESTION).status_code == 200, 30, "answering")

    assert after == before
    assert asked.outcomes["200 application/json"] > 0
    refused = {"503 application/problem+json"}
    if service == "inference_worker":
        refused |= {"ConnectError", "ReadError", "RemoteProtocolError", "ReadTimeout"}
    assert set(asked.outcomes) <= {"200 application/json"} | refused, asked.outcomes


def test_killed_builder_restarts_and_finishes(system: Checkout, tmp_path: Path) -> None:
    before = system.wait_until_ready()["index"]
    write_api_reference(tmp_path)
    pages = sorted((tmp_path / "api-reference").glob("C*.md"))
    system.write_documents({page.name: page.read_text() for page in pages})

    with Questions(system, QUESTIONS) as asked:
        docker("start", system.container("db_builder"))
        wait_for(lambda: system.logs("db_builder").count("Building the index:"), 300, "embedding")
        system.kill("db_builder")
        wait_for(lambda: system.inspect("db_builder")["RestartCount"] > 0, 60, "restarted")
        wait_for(
            lambda: system.inspect("db_builder")["State"]["Status"] == "exited", 900, "finished"
        )
        after = wait_for(
            lambda: (
                index
                if (index := system.readiness()["index"])["revision"] != before["revision"]
                else None
            ),
            30,
            "followed",
        )

    assert system.inspect("db_builder")["State"]["ExitCode"] == 0, system.logs("db_builder")
    assert after["documents"] == before["documents"] + len(pages)
    assert set(asked.outcomes) == {"200 application/json"}, asked.outcomes
    again = system.compose("run", "--rm", "db_builder")
    assert f"{after['chunks']:,} chunks, 0 of them embedded now" in again
    assert owners(system.folder / "database") == {system.owner}


SLOW_LLM = """
import http.server, json, time
class Mistral(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        print("asked", flush=True)
        time.sleep(4)
        body = json.dumps({"id": "1", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "finish_reason": "stop",
                "message": {"role": "assistant", "content": "It is encrypted [1]."}}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("", 9000), Mistral).serve_forever()
"""


def test_stopped_worker_finishes_its_requests(system: Checkout, network: str) -> None:
    key = "a-key-that-must-not-be-shown"
    llm = docker(
        "run", "--detach", "--rm", "--network", network, "--network-alias", "llm",
        PYTHON, "python", "-c", SLOW_LLM,
    ).strip()  # fmt: skip
    system.settings = {"MISTRAL_API_KEY": key, "MISTRAL_BASE_URL": "http://llm:9000/v1"}
    try:
        system.compose("up", "--detach", "--no-deps", "inference_worker")
        system.wait_until_ready()
        answered: list[httpx.Response] = []
        sending = threading.Thread(target=lambda: answered.append(system.ask(QUESTION)))
        sending.start()
        wait_for(lambda: "asked" in docker("logs", llm), 10, "asked")
        system.compose("stop", "inference_worker")
        sending.join(60)

        assert answered[0].json()["answer"] == "It is encrypted [1]."
        assert system.inspect("inference_worker")["State"]["ExitCode"] == 0
        for service in ("chroma", "chroma-gateway", "db_builder"):
            assert key not in docker("inspect", system.container(service))
        assert key not in system.logs("inference_worker")
    finally:
        docker("kill", llm)
        system.settings = {}
        system.compose("up", "--detach", "--no-deps", "inference_worker")
        system.wait_until_ready()


def test_worker_follows_a_changed_gateway_token(system: Checkout) -> None:
    started = system.inspect("inference_worker")["State"]["StartedAt"]
    system.settings = {"CHROMA_TOKEN": "another-token.of-the_operators~own"}
    try:
        system.compose("up", "--detach", "--no-deps", "chroma-gateway")
        wait_for(lambda: system.token() == "another-token.of-the_operators~own", 10, "written")
        wait_for(lambda: system.ask(QUESTION).status_code == 200, 30, "answering")
        assert system.inspect("inference_worker")["State"]["StartedAt"] == started
    finally:
        system.settings = {}
        system.compose("up", "--detach", "--no-deps", "chroma-gateway")
        wait_for(lambda: system.ask(QUESTION).status_code == 200, 30, "answering")


def override_from_readme(secret: Path) -> str:
    """The docker-compose.override.yml given in the readme, for another secret file."""
    readme = (PROJECT_ROOT / "deploy" / "readme.md").read_text()
    (recipe,) = re.findall(r"```yaml\n(.*?)```", readme, flags=re.DOTALL)
    assert "/etc/sagemaker-docs/mistral_api_key" in recipe
    return str(recipe).replace("/etc/sagemaker-docs/mistral_api_key", str(secret))


def test_key_in_a_file_is_read_and_absent_from_docker_inspect(system: Checkout) -> None:
    key = "a-key-that-must-not-be-shown"
    secret = system.folder / "mistral_api_key"
    override = system.folder / "docker-compose.override.yml"
    secret.write_text(key)
    override.write_text(override_from_readme(secret))
    try:
        system.compose("up", "--detach", "--no-deps", "inference_worker")
        system.wait_until_ready()

        assert "Answers are written by mistral-large-latest" in system.logs("inference_worker")
        assert key not in docker("inspect", system.container("inference_worker"))
        assert key not in system.logs("inference_worker")
    finally:
        override.unlink()
        secret.unlink()
        system.compose("up", "--detach", "--no-deps", "inference_worker")
        system.wait_until_ready()


def test_index_and_token_survive_down_and_up(system: Checkout) -> None:
    before, token = system.wait_until_ready()["index"], system.token()

    system.compose("down")
    system.compose("up", "--detach")

    assert system.wait_until_ready()["index"] == before
    assert system.token() == token
