"""The container's health check."""

from collections.abc import Iterator

import pytest
from fastapi import FastAPI, Response

from inference_worker import health
from inference_worker.answering.metrics import Metrics
from inference_worker.concurrency_limit import ConcurrencyLimit
from inference_worker.http.admission import Load
from tests.servers.service import Service
from utils.settings import Settings


@pytest.fixture
def service() -> Iterator[Service]:
    app = FastAPI()
    app.state.settings = Settings(_env_file=None)
    app.state.metrics = metrics = Metrics()
    app.state.load = Load(ConcurrencyLimit(1), 1.0, 1, metrics.count_refusal)

    @app.get("/well")
    def well() -> None: ...

    @app.get("/unwell")
    def unwell() -> Response:
        return Response(status_code=503)

    with Service(app) as running:
        yield running


def test_status_200_is_healthy(service: Service) -> None:
    assert health.main([f"{service.url}/well"]) == 0


def test_error_status_is_unhealthy(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    assert health.main([f"{service.url}/unwell"]) == 1
    assert "503" in capsys.readouterr().err


def test_refused_connection_is_unhealthy(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    assert health.main(["http://127.0.0.1:9/well"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
