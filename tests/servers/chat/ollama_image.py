"""A stand-in for Ollama's image in the container tests: `ollama serve` and `ollama list`.

It pulls models to the folder where Ollama does. Its model requests a further search whenever it
may, and answers otherwise.
"""

import signal
import sys
import threading
import urllib.request
from pathlib import Path

from tests.servers.chat.ollama import OllamaServer
from tests.servers.chat.replies import Reply, Request, answer

QUERIES = ("managed spot training", "notebook instance")
TEXT = "Set `KmsKeyId` in the endpoint configuration [1]."
PULL_SECONDS = 8.0


class PublishedServer(OllamaServer):
    """Ollama's server at its own port."""

    bind_address = ("0.0.0.0", 11434)  # noqa: S104 - in a container


def reply_to(request: Request) -> Reply:
    """Search again if the prompt allows it; log the call."""
    if request.path != OllamaServer.endpoint:
        return answer()
    options = request.body["options"]
    tokens = sum(len(str(message["content"]).split()) for message in request.body["messages"])
    sys.stdout.write(f"chat: {tokens} words, num_ctx {options['num_ctx']}\n")
    sys.stdout.flush()
    if "SEARCH: query | query" in str(request.last_message):
        return answer(f"SEARCH: {' | '.join(QUERIES)}")
    return answer(f"{TEXT}\nCOVERAGE: full")


def serve() -> None:
    """Serve until SIGTERM."""
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    with PublishedServer(Path.home() / ".ollama" / "models") as server:
        server.default = reply_to
        server.pull_seconds = PULL_SECONDS
        stopped.wait()


def list_models() -> None:
    """Fail unless the server answers."""
    urllib.request.urlopen("http://127.0.0.1:11434/api/tags", timeout=5).close()


if __name__ == "__main__":
    {"serve": serve, "list": list_models}[sys.argv[1]]()
