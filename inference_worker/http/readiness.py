"""The readiness checks: store reachable, index present, model matches."""

import re
from pathlib import PurePosixPath
from typing import Literal

from database.reading.reader import IndexState, Reader
from inference_worker.http.problems import problem_for
from inference_worker.http.schemas import Readiness, ReadinessCheck
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


def readiness(reader: Reader) -> Readiness:
    """Check whether questions can be answered now."""
    snapshot, problem = reader.state, reader.problem
    failed = _failed(problem) if problem else None
    checks: dict[CheckName, ReadinessCheck] = {}
    for name in ("store", "index", "model"):
        if failed == name and problem is not None:
            checks[name] = ReadinessCheck(ok=False, detail=_detail(problem))
        elif snapshot is None and (problem is None or failed in list(checks)):
            checks[name] = ReadinessCheck(ok=False, detail="not checked yet")
        else:
            checks[name] = ReadinessCheck(ok=True, detail="ok")
    return Readiness(
        ready=snapshot is not None and problem is None,
        checks=checks,
        index=_described(snapshot) if snapshot else None,
    )


def _described(snapshot: IndexState) -> dict[str, str | int]:
    """The live index's fingerprint."""
    shown = snapshot.fingerprint.to_metadata() | {"revision": snapshot.live.revision}
    model = str(shown["embedding_model"])
    return shown | {"embedding_model": PurePosixPath(model).name if model[0] == "/" else model}


def _failed(problem: DocsQAError) -> CheckName:
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
