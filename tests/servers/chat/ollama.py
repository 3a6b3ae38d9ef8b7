"""A local server for Ollama's chat API that fails on request; see server.py."""

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from tests.servers.chat.completion import Completion, Stream
from tests.servers.chat.connection import chunk, head
from tests.servers.chat.replies import SECRET, Content, Reply, Request, body
from tests.servers.chat.server import ChatServer

MODEL_BYTES = 2_000_000_000
PULL_STEPS = 20


class OllamaServer(ChatServer):
    """Ollama's `/api/chat`: by default a stream, with one JSON object per line.

    Args:
        folder: Where models are pulled to (`/api/pull`); without it, the server has every model.
    """

    base = ""
    endpoint = "/api/chat"
    stream_type = "application/x-ndjson"

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__()
        self._folder = folder
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
        self.pull_seconds = 0.0
        """How long a pull takes."""

    @property
    def models(self) -> set[str]:
        """The pulled models."""
        files = self._folder.glob("*") if self._folder else ()
        return {unquote(file.name) for file in files if file.suffix != ".partial"}

    def adapt(self, request: Request, reply: Reply) -> Reply:
        if reply.status != 200 or (self._folder and request.path == "/api/pull"):
            return reply
        if request.path == "/api/tags":
            models = [{"name": name, "model": name} for name in sorted(self.models)]
            return body(json.dumps({"models": models}).encode())
        if self._folder and _tagged(str(request.body["model"])) not in self.models:
            return Reply(status=404)
        return super().adapt(request, reply)

    async def _send(self, request: Request, reply: Reply, writer: asyncio.StreamWriter) -> None:
        if reply.status == 200 and self._folder and request.path == "/api/pull":
            await self._send_pull(self._folder, request, reply, writer)
        else:
            await super()._send(request, reply, writer)

    async def _send_pull(
        self, folder: Path, request: Request, reply: Reply, writer: asyncio.StreamWriter
    ) -> None:
        """Pull a model in steps, from where an interrupted pull ended; half of it if cut."""
        name = quote(_tagged(str(request.body["model"])), safe="")
        partial = folder / f"{name}.partial"
        writer.write(head(200, {"Content-Type": self.stream_type, "Transfer-Encoding": "chunked"}))
        writer.write(chunk(self.event(json.dumps({"status": "pulling manifest"}))))
        begun = int(partial.read_text()) if partial.exists() else 0
        for step in range(begun, PULL_STEPS // 2 if reply.breaks_off else PULL_STEPS):
            await asyncio.sleep(self.pull_seconds / PULL_STEPS)
            partial.write_text(str(step + 1))
            part = {
                "status": "pulling 6c02683809a8",
                "digest": "sha256:6c02683809a8",
                "total": MODEL_BYTES,
                "completed": MODEL_BYTES * (step + 1) // PULL_STEPS,
            }
            writer.write(chunk(self.event(json.dumps(part))))
            await writer.drain()
        if not reply.breaks_off:
            partial.rename(folder / name)
            writer.write(chunk(self.event(json.dumps({"status": "success"}))) + chunk(b""))
        await writer.drain()

    def streams(self, request: Request) -> bool:
        return bool(request.body.get("stream", True))

    def whole(self, completion: Completion) -> Mapping[str, Any]:
        return _part(completion, completion.content) | _end(completion)

    def stream(self, completion: Completion) -> Stream:
        def line(part: Mapping[str, Any]) -> bytes:
            return self.event(json.dumps(part))

        return Stream(
            [],
            [line(_part(completion, piece)) for piece in completion.pieces],
            [line(_part(completion, "") | _end(completion))],
        )

    def error(self, status: int, detail: str) -> Mapping[str, Any]:
        return {"error": detail}

    def too_long(self) -> Mapping[str, Any]:
        # Only if truncation is off: otherwise Ollama silently shortens the request.
        return {"error": f"the input length exceeds the context length. {SECRET}"}

    def event(self, data: str) -> bytes:
        return f"{data}\n".encode()


def _tagged(model: str) -> str:
    return model if ":" in model.rpartition("/")[2] else f"{model}:latest"


def _part(completion: Completion, content: Content) -> dict[str, Any]:
    return {
        "model": completion.model,
        "created_at": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        "message": {"role": "assistant", "content": content},
        "done": False,
    }


def _end(completion: Completion) -> dict[str, Any]:
    """The additional fields of the last line; durations are in nanoseconds."""
    if completion.finish is None:
        return {}
    return {
        "done": True,
        "done_reason": completion.finish,
        "total_duration": 3_000_000,
        "load_duration": 1_000_000,
        "prompt_eval_count": completion.input_tokens,
        "prompt_eval_duration": 1_000_000,
        "eval_count": completion.output_tokens,
        "eval_duration": 1_000_000,
    }
