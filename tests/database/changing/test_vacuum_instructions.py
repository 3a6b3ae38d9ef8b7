"""The instructions that remove purged text from the disk."""

from pathlib import Path

import pytest

from database.changing.vacuum_instructions import vacuum_instructions
from utils.settings import PROJECT_ROOT, Settings


def test_instructions_name_commands_that_need_no_terminal(tmp_path: Path) -> None:
    folder, default = (
        vacuum_instructions(str(tmp_path)),
        vacuum_instructions(Settings(_env_file=None).database),
    )
    server = vacuum_instructions("https://chroma.example:8000")
    compose = vacuum_instructions("http://chroma-gateway:8000")

    assert "`chroma vacuum --force --path FOLDER`" in folder
    assert "`chroma vacuum --force --path database/chroma`" in default
    assert "`chroma vacuum --force --path FOLDER`" in server
    assert "chroma vacuum --force --path /data`" in compose
    for text in (folder, default, server, compose):
        assert "\n" not in text
        assert str(tmp_path) not in text
        assert str(PROJECT_ROOT) not in text


def test_compose_instructions_match_the_services() -> None:
    """The command that Compose runs in the service, on the mounted folder."""
    yaml = pytest.importorskip("yaml")
    services = yaml.safe_load((PROJECT_ROOT / "deploy" / "services.yml").read_text())["services"]

    assert services["chroma"]["entrypoint"][-1] == "chroma"
    assert services["chroma"]["command"][-2:] == ["--path", "/data"]
    assert services["inference_worker"]["environment"]["DATABASE"] == "http://chroma-gateway:8000"
