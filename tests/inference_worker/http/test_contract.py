"""The service keeps to its OpenAPI description, tried with generated requests."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.documents_service import KEY, built, splitter
from tests.servers.service import serve

pytestmark = pytest.mark.process

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,"
CHECKS += "response_headers_conformance,response_schema_conformance,negative_data_rejection"
"""Not whether every request that matches the schema is accepted: a schema cannot state which bytes
are a document with text."""


@pytest.mark.parametrize("key", [KEY, ""], ids=["admin", "anyone"])
def test_generated_requests_get_documented_responses(tmp_path: Path, key: str) -> None:
    with serve(built(tmp_path), splitter=splitter, admin_key=KEY) as service:
        service.wait_until_ready()
        command = [sys.executable, "-m", "schemathesis.cli", "run", f"{service.url}/openapi.json"]
        options = ["--checks", CHECKS, "--phases", "examples,fuzzing", "--max-examples", "5"]
        options += ["--generation-deterministic", "--no-shrink", "--workers", "1"]
        options += ["--suppress-health-check", "all", "--report-dir", str(tmp_path)]
        if key:
            options += ["--header", f"Authorization: Bearer {key}"]
        run = subprocess.run(
            [*command, *options], cwd=tmp_path, capture_output=True, text=True, check=False
        )

    assert run.returncode == 0, run.stdout + run.stderr
    assert "Tested: 15" in run.stdout
