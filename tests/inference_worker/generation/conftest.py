"""Retries without a wait."""

import pytest
from tenacity import wait_none

from inference_worker.generation import language_model


@pytest.fixture(autouse=True)
def _no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry immediately, except after a Retry-After header."""
    monkeypatch.setattr(language_model, "BACKOFF", wait_none())
