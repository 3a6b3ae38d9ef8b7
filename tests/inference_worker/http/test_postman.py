"""The Postman collection calls every route, with an example response and checks."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from inference_worker.app import create_app
from utils.settings import PROJECT_ROOT, Settings

COLLECTION = json.loads((PROJECT_ROOT / "postman_collection.json").read_text())


def requests(folder: dict[str, Any] = COLLECTION) -> Iterator[dict[str, Any]]:
    for item in folder["item"]:
        if "item" in item:
            yield from requests(item)
        else:
            yield item


def test_every_route_is_called(tmp_path: Path) -> None:
    schema = create_app(Settings(_env_file=None, database=str(tmp_path))).openapi()
    served = {
        f"{method.upper()} {path}"
        for path, methods in schema["paths"].items()
        for method in methods
    }

    called = {
        f"{item['request']['method']} /"
        + re.sub(r":(\w+)", r"{\1}", "/".join(item["request"]["url"]["path"]))
        for item in requests()
    }

    assert called == served | {"GET /docs", "GET /openapi.json"}


def test_every_request_has_an_example_and_checks() -> None:
    for item in requests():
        assert item["response"], item["name"]
        script = "\n".join(item["event"][0]["script"]["exec"])
        expected = item["response"][0]["code"]
        assert f"to.have.status({expected})" in script, item["name"]
        assert len(re.findall(r"pm\.test\(", script)) > 1, item["name"]
