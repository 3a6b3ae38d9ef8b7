"""The profile `local` in real containers: a stand-in for Ollama's image writes the answers."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.containers.checkout import PYTHON, QUESTION, Checkout, docker, wait_for
from tests.servers.chat.ollama_image import QUERIES, TEXT
from utils.settings import PROJECT_ROOT

pytestmark = [pytest.mark.containers, pytest.mark.timeout(1800)]

IMAGE = "ollama-stand-in"
LOCAL = ("--profile", "local")
MODEL = "granite4.1:3b"
DOCKERFILE = f"""\
FROM {PYTHON}
ENV PYTHONPATH=/srv PYTHONDONTWRITEBYTECODE=1
RUN printf '#!/bin/sh\\nexec python -m tests.servers.chat.ollama_image "$@"\\n' >/usr/bin/ollama \\
    && chmod +x /usr/bin/ollama
COPY chat /srv/tests/servers/chat
ENTRYPOINT ["ollama"]
CMD ["serve"]
"""


@pytest.fixture(scope="module")
def image(engine: None, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The stand-in's image."""
    context: Path = tmp_path_factory.mktemp("ollama")
    (context / "Dockerfile").write_text(DOCKERFILE)
    shutil.copytree(PROJECT_ROOT / "tests" / "servers" / "chat", context / "chat")
    docker("build", "--quiet", "--tag", IMAGE, str(context))
    return IMAGE


@pytest.fixture
def local(checkout: Checkout, image: str) -> Iterator[Checkout]:
    """A fresh checkout whose Ollama is the stand-in."""
    checkout.settings = {"OLLAMA_IMAGE": image}
    try:
        yield checkout
    finally:
        checkout.compose(*LOCAL, "down", "--volumes", check=False)


def asked(checkout: Checkout, question: str = QUESTION) -> dict[str, Any]:
    """The whole answer to a question."""
    response = httpx.post(f"{checkout.url}/v1/answers", json={"question": question}, timeout=60)
    body: dict[str, Any] = response.raise_for_status().json()
    return body


def test_first_start_pulls_the_model_and_later_ones_do_not(local: Checkout) -> None:
    local.compose(*LOCAL, "up", "--detach")
    local.wait_until_ready()

    # While the model is pulled, the answer is quoted.
    wait_for(lambda: f"Pulling {MODEL}: 10%" in local.logs("inference_worker"), 60, "pulling")
    early = asked(local)
    assert (early["generator"], early["degraded"]) == ("extractive", True)
    assert early["degraded_reason"] == "the language model is not downloaded yet"

    # An interrupted pull continues.
    local.kill("ollama")
    wait_for(lambda: f"Pulled {MODEL}" in local.logs("inference_worker"), 120, "pulled")
    shares = [
        int(share)
        for share in re.findall(
            rf"Pulling {MODEL}: (\d+)% of 2.0 GB", local.logs("inference_worker")
        )
    ]
    assert shares == sorted(set(shares)), "it began anew"
    assert shares[-1] == 100

    # The model writes, after a further search, with a context that is long enough.
    answer = asked(local)
    assert answer["answer"] == TEXT
    assert (answer["generator"], answer["coverage"]) == (f"ollama:{MODEL}", "full")
    assert [each["query"] for each in answer["searches"]] == [QUESTION, *QUERIES]
    assert not answer["degraded"]
    contexts = re.findall(r"chat: (\d+) words, num_ctx (\d+)", local.logs("ollama"))
    assert len(contexts) == 2
    assert all(int(context) == 6762 for _, context in contexts)

    # The container has the volume and the worker's network, and no more rights than the others.
    ollama = local.inspect("ollama")
    (mount,) = [mount for mount in ollama["Mounts"] if mount["Destination"] == "/models"]
    assert (mount["Type"], mount["Name"]) == ("volume", f"{local.project}_ollama")
    assert list(ollama["NetworkSettings"]["Networks"]) == [f"{local.project}_language-model"]
    assert not any(ollama["NetworkSettings"]["Ports"].values())
    assert ollama["HostConfig"]["ReadonlyRootfs"] is True
    assert ollama["HostConfig"]["CapDrop"] == ["ALL"]
    _, *processes = docker("top", local.container("ollama"), "-eo", "uid,pid,cmd").splitlines()
    assert {line.split()[0] for line in processes} == {str(local.owner)}
    wait_for(
        lambda: local.inspect("ollama")["State"]["Health"]["Status"] == "healthy", 90, "healthy"
    )

    # After a stop the answer is quoted; after `down`, the next start finds the model.
    local.compose("stop", "ollama")
    stopped = asked(local, "What does managed spot training cost?")
    assert (stopped["generator"], stopped["degraded"]) == ("extractive", True)
    local.compose(*LOCAL, "down")
    local.compose(*LOCAL, "up", "--detach")
    local.wait_until_ready()
    wait_for(lambda: "Answers are written by" in local.logs("inference_worker"), 60, "offered")
    assert asked(local)["generator"] == f"ollama:{MODEL}"
    assert "Pulling" not in local.logs("inference_worker")


def test_without_the_profile_there_is_no_ollama_and_with_it_a_running_worker_uses_it(
    local: Checkout,
) -> None:
    local.compose("up", "--detach")
    local.wait_until_ready()

    answer = asked(local)
    assert (answer["generator"], answer["degraded"]) == ("extractive", False)
    label = f"label=com.docker.compose.project={local.project}"
    format_ = '{{.Label "com.docker.compose.service"}}'
    services = docker("ps", "--all", "--filter", label, "--format", format_).split()
    assert "ollama" not in services

    started = local.inspect("inference_worker")["State"]["StartedAt"]
    local.compose(*LOCAL, "up", "--detach")
    wait_for(lambda: asked(local)["generator"] == f"ollama:{MODEL}", 120, "written")
    assert local.inspect("inference_worker")["State"]["StartedAt"] == started
