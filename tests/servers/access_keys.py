"""Keys with known secrets, and requests that send them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from inference_worker.http.access.operations import ANY, OPERATIONS, TOOL, Operation
from inference_worker.keys.key import Key, Role, digest_of
from inference_worker.keys.key_file import edit_keys
from tests.servers.service import Service

NOW = datetime.now(UTC)
SECRETS = {name: f"the-secret-of-{name}" for name in ("read", "write", "admin")}
STALE: dict[str, dict[str, Any]] = {
    "expired": {"expires": NOW - timedelta(days=1)},
    "revoked": {"revoked": NOW},
}
REQUESTS = [operation for operation in OPERATIONS if operation.method != TOOL]
REFUSED = (401, 403, 429)
"""Statuses of requests without the key that they need."""


def path_of(operation: Operation) -> str:
    path = operation.path.replace("{name:path}", "no-such.md").replace("{id}", "no-such")
    path = path.replace("{file:path}", "swagger-ui.css")
    return f"{path}?{operation.flag}=on" if operation.flag else path


def write_key(file: Path, name: str, role: str, **fields: Any) -> None:
    with edit_keys(file) as keys:
        secret = SECRETS.get(name, f"the-secret-of-{name}").encode()
        keys.append(Key(name=name, role=Role(role), sha256=digest_of(secret), **fields))


def ask(service: Service, operation: Operation, name: str = "", token: str = "") -> httpx.Response:
    """Send the operation with a token, or with the key of this name."""
    headers = {"Content-Type": "application/json"}
    if name or token:
        headers["Authorization"] = f"Bearer {token or f'the-secret-of-{name}'}"
    method = "GET" if operation.method == ANY else operation.method
    return service.http.request(method, path_of(operation), headers=headers, content="{}")


def outcome(response: httpx.Response) -> tuple[int, str]:
    body = response.json()
    kind = body["type"] if "type" in body else body["error"]["code"].replace("_", "-")
    return response.status_code, kind.rpartition(":")[2]
