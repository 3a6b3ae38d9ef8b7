"""Completes the OpenAPI description with what is known at the start only."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

from inference_worker.http.schemas import QUESTION_SCHEMA
from utils.settings import Settings


def describe_limits(app: FastAPI, settings: Settings) -> None:
    """Make the app's description state the maximum length of questions, which is a setting."""
    describe = app.openapi

    def described() -> dict[str, Any]:
        schema = describe()
        for part in _parts(schema):
            if part.get("pattern") == QUESTION_SCHEMA["pattern"]:
                part["maxLength"] = settings.max_question_characters
        return schema

    app.openapi = described  # type: ignore[method-assign]


def _parts(schema: object) -> Iterator[dict[str, Any]]:
    """Every object in a schema, however deep."""
    if isinstance(schema, dict):
        yield schema
        schema = list(schema.values())
    if isinstance(schema, list):
        for each in schema:
            yield from _parts(each)
