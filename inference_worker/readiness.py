"""Tells what the service needs and whether it has it: store reached, index there, model fits."""

from typing import Literal

from database.retriever import Retriever
from inference_worker.problems import problem_for
from inference_worker.schemas import Readiness, ReadinessCheck
from utils.errors import (
    DocsQAError,
    IndexDamagedError,
    IndexMismatchError,
    IndexMissingError,
    ModelError,
    SettingsError,
)

Name = Literal["store", "index", "model"]


def readiness(retriever: Retriever) -> Readiness:
    """Say whether questions can be answered now."""
    snapshot, problem = retriever.snapshot, retriever.problem
    failed = _failed(problem) if problem else None
    checks: dict[Name, ReadinessCheck] = {}
    for name in ("store", "index", "model"):
        if failed == name and problem is not None:
            checks[name] = ReadinessCheck(ok=False, detail=_detail(problem))
        elif snapshot is None and (problem is None or failed in list(checks)):
            checks[name] = ReadinessCheck(ok=False, detail="not looked at yet")
        else:
            checks[name] = ReadinessCheck(ok=True, detail="ok")
    return Readiness(
        ready=snapshot is not None and problem is None,
        checks=checks,
        index=snapshot.fingerprint.to_metadata() | {"revision": snapshot.live.revision}
        if snapshot
        else None,
    )


def _failed(problem: DocsQAError) -> Name:
    """Which of the three an error is about."""
    if isinstance(problem, IndexMissingError | IndexDamagedError):
        return "index"
    if isinstance(problem, IndexMismatchError | ModelError | SettingsError):
        return "model"
    return "store"


def _detail(problem: DocsQAError) -> str:
    """What to do. A mismatch is told in full: it names models, not places."""
    if isinstance(problem, IndexMismatchError):
        return str(problem)
    return problem_for(problem).detail
