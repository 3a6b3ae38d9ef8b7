"""Liveness and readiness; the checks: store reachable, index present, model matches."""

import re
from pathlib import PurePosixPath
from typing import Literal

from pydantic import BaseModel, Field

from database.reading.reader import IndexState, Reader
from inference_worker.http import examples
from inference_worker.http.admission import Load
from inference_worker.http.problems import problem_for
from inference_worker.http.schemas import with_example
from utils.errors import (
    DocsQAError,
    IndexDamagedError,
    IndexMismatchError,
    IndexMissingError,
    ModelError,
    SettingsError,
)

CheckName = Literal["store", "index", "model"]

_FOLDER_ABOVE = re.compile(r"(?<![\w./:])/(?:[^/\s]+/)*")
"""The folders of a model that is named by its path, which clients must not see."""


class Liveness(BaseModel):
    """The process is alive."""

    model_config = with_example(examples.LIVENESS)

    status: Literal["alive"] = "alive"


class ReadinessCheck(BaseModel):
    """Whether one requirement of the service is met."""

    ok: bool
    detail: str


class Readiness(BaseModel):
    """Whether questions can be answered, and what is missing if they cannot."""

    model_config = with_example(examples.READINESS)

    ready: bool
    checks: dict[CheckName, ReadinessCheck]
    saturated: bool = Field(
        description="Whether questions are refused at the moment because too many wait. Nothing "
        "has failed: do not restart the service."
    )
    index: dict[str, str | int] | None = Field(description="The live index's fingerprint.")


def readiness(reader: Reader, load: Load) -> Readiness:
    """Check whether questions can be answered now."""
    snapshot, problem = reader.state, reader.problem
    failed = failed_check(problem) if problem else None
    checks: dict[CheckName, ReadinessCheck] = {}
    for name in ("store", "index", "model"):
        failure = ""
        if failed == name and problem is not None:
            failure = _detail(problem)
        elif snapshot is None and (problem is None or failed in list(checks)):
            failure = "not checked yet"
        checks[name] = ReadinessCheck(ok=not failure, detail=failure or "ok")
    return Readiness(
        ready=snapshot is not None and problem is None,
        checks=checks,
        saturated=load.is_saturated,
        index=_described(snapshot) if snapshot else None,
    )


def _described(snapshot: IndexState) -> dict[str, str | int]:
    """The live index's fingerprint."""
    shown = snapshot.fingerprint.to_metadata() | {"revision": snapshot.live.revision}
    for internal in ("digests", "cleaned", "seal"):
        shown.pop(internal, None)
    model = str(shown["embedding_model"])
    return shown | {"embedding_model": PurePosixPath(model).name if model[0] == "/" else model}


def failed_check(problem: DocsQAError) -> CheckName:
    """The check that an error fails."""
    if isinstance(problem, IndexMissingError | IndexDamagedError):
        return "index"
    if isinstance(problem, IndexMismatchError | ModelError | SettingsError):
        return "model"
    return "store"


def _detail(problem: DocsQAError) -> str:
    """How to fix it; of a mismatch the whole message, which names the models."""
    if isinstance(problem, IndexMismatchError):
        return _FOLDER_ABOVE.sub("", str(problem))
    return problem_for(problem).detail
