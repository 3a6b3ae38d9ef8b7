"""A checkout of this project with its own containers, for tests to start, query and kill."""

import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from utils.audit import images
from utils.benchmark.processes import free_port
from utils.settings import PROJECT_ROOT

T = TypeVar("T")

PYTHON = "python:3.11-slim-bookworm"
UNUSED_USER_ID = 4321
"""Owner of the checkout where the tests run as root; no user of any image."""
QUESTION = "How is the storage volume of an endpoint encrypted?"
QUESTIONS = [QUESTION, "What does managed spot training cost?", "What runs on a notebook instance?"]
LONG_RUNNING = ["chroma", "chroma-gateway", "inference_worker"]
NO_HUB = {"HF_ENDPOINT": "http://127.0.0.1:9"}
"""Makes model downloads fail, so that the packaged model is used."""


def engine_missing() -> str:
    """Why no container can be started on this machine; "" if one can."""
    if not shutil.which("docker"):
        return "no docker here"
    asked = subprocess.run(["docker", "version"], capture_output=True, text=True, check=False)
    return "" if asked.returncode == 0 else "no Docker engine answers here"


def compose_command() -> list[str]:
    """`docker compose`, or the older docker-compose."""
    asked = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    return ["docker", "compose"] if asked.returncode == 0 else ["docker-compose"]


def output_of(command: Sequence[str], *, check: bool, **options: Any) -> str:
    """Run a command and return its stdout and stderr."""
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=1500,
        check=False, **options,
    )  # fmt: skip
    assert not check or done.returncode == 0, f"{' '.join(command)}\n{done.stdout}"
    return str(done.stdout)


def docker(*arguments: str, check: bool = True) -> str:
    """Run docker and return its stdout and stderr."""
    return output_of(["docker", *arguments], check=check)


def owners(folder: Path) -> set[int]:
    """The user ids that own a folder and its contents."""
    return {path.lstat().st_uid for path in [folder, *folder.rglob("*")]}


class Checkout:
    """A copy of the files of a clone, with a compose project named after its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.project = folder.name
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.settings: dict[str, str] = {}
        """Variables for the compose file, as a shell would set them."""
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=PROJECT_ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        for name in listed.stdout.split("\0"):
            if name and (PROJECT_ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(PROJECT_ROOT / name, folder / name)
        self._unpin_images()
        self.give_to_owner()

    @property
    def owner(self) -> int:
        return os.getuid() or UNUSED_USER_ID

    def give_to_owner(self) -> None:
        """As root, change the checkout's owner to an ordinary user."""
        if os.getuid() == 0:
            for path in [self.folder, *self.folder.rglob("*")]:
                os.chown(path, self.owner, self.owner, follow_symlinks=False)

    def _unpin_images(self) -> None:
        """Name the base images by tag, as the stand-ins of a machine without internet are."""
        for path in (self.folder / name for name in images.FILES):
            path.write_text(re.sub(r"@sha256:[0-9a-f]{64}", "", path.read_text()))

    def write_documents(self, pages: dict[str, str]) -> None:
        folder = self.folder / "dataset" / "sagemaker_documentation"
        for name, text in pages.items():
            (folder / name).write_text(text)
        self.give_to_owner()

    def compose(self, *arguments: str, check: bool = True) -> str:
        environment = os.environ | NO_HUB | {"WORKER_PORT": str(self.port)} | self.settings
        command = [*compose_command(), "-p", self.project, *arguments]
        return output_of(command, check=check, cwd=self.folder, env=environment)

    def container(self, service: str) -> str:
        """The id of a service's container, running or not."""
        found = docker(
            "ps", "--all", "--quiet",
            "--filter", f"label=com.docker.compose.project={self.project}",
            "--filter", f"label=com.docker.compose.service={service}",
            "--filter", "label=com.docker.compose.oneoff=False",
        )  # fmt: skip
        return found.split()[0]

    def inspect(self, service: str) -> dict[str, Any]:
        described: list[dict[str, Any]] = json.loads(docker("inspect", self.container(service)))
        return described[0]

    def logs(self, service: str) -> str:
        return docker("logs", self.container(service))

    def run_in(self, service: str, *command: str) -> str:
        return docker("exec", self.container(service), *command)

    def token(self) -> str:
        """The current bearer token."""
        return self.run_in("inference_worker", "cat", "/run/chroma-gateway/chroma_token")

    def kill(self, service: str) -> None:
        """Kill a service's process like a crash; Docker does not restart it after `docker kill`."""
        pid: int = self.inspect(service)["State"]["Pid"]
        if os.getuid() == 0:
            os.kill(pid, signal.SIGKILL)
        else:
            docker("run", "--rm", "--privileged", "--pid=host", PYTHON, "kill", "-9", str(pid))

    def readiness(self) -> dict[str, Any]:
        try:
            body: dict[str, Any] = httpx.get(f"{self.url}/readyz", timeout=5).json()
        except httpx.TransportError:
            return {"ready": False}
        return body

    def wait_until_ready(self, seconds: float = 90) -> dict[str, Any]:
        return wait_for(
            lambda: body if (body := self.readiness())["ready"] else None, seconds, "ready"
        )

    def ask(self, question: str) -> httpx.Response:
        return httpx.post(
            f"{self.url}/inference_endpoint", params={"message": question}, timeout=30
        )

    def down(self) -> None:
        self.compose("down", "--volumes", check=False)


def wait_for(poll: Callable[[], T | None], seconds: float, what: str) -> T:
    """Poll until the result is truthy, and return it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if result := poll():
            return result
        time.sleep(0.2)
    raise AssertionError(f"not {what} after {seconds} s")


class Questions:
    """Sends questions continuously from three threads, and counts the outcomes."""

    def __init__(self, checkout: Checkout, questions: Sequence[str]) -> None:
        self._checkout = checkout
        self._questions = questions
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(3)]
        self.outcomes: Counter[str] = Counter()

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(40)

    def _ask(self) -> None:
        asked = 0
        while not self._over.wait(0.05):
            question = self._questions[asked % len(self._questions)]
            asked += 1
            try:
                response = self._checkout.ask(question)
            except httpx.TransportError as error:
                self.outcomes[type(error).__name__] += 1
                continue
            kind = response.headers["content-type"].partition(";")[0]
            self.outcomes[f"{response.status_code} {kind}"] += 1
