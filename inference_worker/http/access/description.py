"""Completes the OpenAPI description with the keys that the operations need."""

from functools import cache
from typing import Any

from fastapi import FastAPI

from inference_worker.http.access.operations import OPERATIONS
from inference_worker.http.access.problems import (
    CHANGES_OFF,
    KEY_MISSING,
    RATE_LIMITED,
    ROLE_MISSING,
)
from inference_worker.http.problems import Problem, problem_document
from inference_worker.http.routes import documented_problem
from inference_worker.keys.key import Role
from inference_worker.keys.key_ring import KeyRing

_SCHEME = {
    "type": "http",
    "scheme": "bearer",
    "description": "A key that the operator of this service has issued.",
}
_ANY_CLIENT_ERROR = "4XX"
"""Where it is documented, as OpenAI's errors are, it includes those of keys."""


def describe_access(app: FastAPI, keys: KeyRing) -> None:
    """Make the app's description state which operations need a key, and what happens without."""
    describe = app.openapi
    # Of several rows with the same route, the last one has the lowest role.
    lowest = {
        (operation.method.lower(), operation.path.replace(":path", "")): operation.role
        for operation in OPERATIONS
    }

    def described() -> dict[str, Any]:
        schema = describe()
        schema.setdefault("components", {})["securitySchemes"] = {"key": _SCHEME}
        for path, methods in schema["paths"].items():
            for method, operation in methods.items():
                role = lowest.get((method, path))
                if role:
                    is_optional = role is Role.READ and keys.reading_is_open
                    operation["security"] = [*([{}] if is_optional else []), {"key": []}]
                    if _ANY_CLIENT_ERROR not in operation["responses"]:
                        operation["responses"] |= _refusals(role, path)
        return schema

    app.openapi = described  # type: ignore[method-assign]


@cache
def _refusals(role: Role, path: str) -> dict[str, Any]:
    """The responses to requests without the key that they need, or beyond a limit."""

    def refusal(problem: Problem, description: str) -> dict[str, Any]:
        example = problem_document(problem, None, path, "0f1e2d3c4b5a69788796a5b4c3d2e1f0")
        return documented_problem(description, example)

    responses = {
        "401": refusal(KEY_MISSING, "The key is missing or not valid"),
        "429": refusal(
            RATE_LIMITED, "A limit is used up, or too many wrong keys came from this address"
        ),
    }
    responses["403"] = refusal(
        ROLE_MISSING if role is Role.READ else CHANGES_OFF,
        "The key's role does not allow this, no key allows changes, or a web page of another "
        "origin sent the request",
    )
    return responses
