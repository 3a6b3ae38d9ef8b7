"""What the audit's tools report is read in full: nothing that was not checked counts as clean."""

import json
from pathlib import Path
from typing import Any

import pytest

from utils.audit.requirements import Pin, read_pins
from utils.audit.sbom import mark_scopes, write_sbom
from utils.audit.vulnerabilities import known_vulnerabilities, read_report
from utils.errors import DocsQAError
from utils.settings import PROJECT_ROOT

PINS = [Pin(name, "1.0", hashed=True, applies=True) for name in ("first", "second")]


def report(*dependencies: dict[str, Any]) -> str:
    return json.dumps({"dependencies": dependencies, "fixes": []})


def clean(name: str) -> dict[str, Any]:
    return {"name": name, "version": "1.0", "vulns": []}


def tool(folder: Path, script: str) -> Path:
    program = folder / "tool"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return program


def test_packages_without_known_vulnerabilities_pass() -> None:
    assert not list(read_report(report(clean("first"), clean("second")), PINS))


def test_each_vulnerability_is_reported_with_the_version_that_fixes_it() -> None:
    found = {"id": "PYSEC-2026-1", "fix_versions": ["1.1", "2.0"]}
    unfixed = {"id": "PYSEC-2026-2", "fix_versions": []}
    damaged = {"name": "second", "version": "1.0", "vulns": [found, unfixed]}

    assert list(read_report(report(clean("first"), damaged), PINS)) == [
        "second 1.0: PYSEC-2026-1, fixed in 1.1, 2.0",
        "second 1.0: PYSEC-2026-2, fixed in no version yet",
    ]


@pytest.mark.parametrize(
    "dependencies", [[clean("first")], [clean("first"), {"name": "second", "skip_reason": "?"}]]
)
def test_a_package_that_was_not_looked_up_is_reported(dependencies: list[dict[str, Any]]) -> None:
    (line,) = read_report(report(*dependencies), PINS)

    assert "1 packages are unknown, such as second" in line
    assert "Run make audit where" in line


def test_a_failure_of_the_tool_is_one_line_with_the_next_step(tmp_path: Path) -> None:
    program = tool(tmp_path, "echo 'Traceback:' >&2; echo 'ConnectionError: no route' >&2; exit 1")
    with pytest.raises(
        DocsQAError, match=r"ConnectionError: no route\)\. Run make audit"
    ) as raised:
        list(known_vulnerabilities(program, []))

    assert "\n" not in str(raised.value)


def test_all_files_are_given_to_the_tool(tmp_path: Path) -> None:
    program = tool(tmp_path, f"""echo "$@" >{tmp_path}/asked; echo '{report()}'""")
    files = [PROJECT_ROOT / "requirements-adapt.txt", PROJECT_ROOT / "requirements-dev.txt"]
    (line,) = known_vulnerabilities(program, files)

    count = len({pin.name for file in files for pin in read_pins(file) if pin.applies})
    assert f" {count} packages are unknown" in line
    assert f"--requirement {files[1]}" in (tmp_path / "asked").read_text()


def test_a_missing_tool_is_named_with_the_command_that_installs_it(tmp_path: Path) -> None:
    with pytest.raises(DocsQAError, match="make audit"):
        list(known_vulnerabilities(tmp_path / "missing", []))
    with pytest.raises(DocsQAError, match="make audit"):
        write_sbom(tmp_path / "missing", tmp_path, PROJECT_ROOT, tmp_path / "sbom.json")


def test_the_sbom_states_which_components_do_not_ship(tmp_path: Path) -> None:
    names = ("fastapi", "Flask", "accelerate", "types-PyYAML")
    components = [{"name": name, "version": "1"} for name in names]
    program = tool(tmp_path, f"echo '{json.dumps({'components': components})}'")
    output = tmp_path / "build" / "sbom.json"

    assert write_sbom(program, Path("python"), PROJECT_ROOT, output) == 4
    written = json.loads(output.read_text())["components"]
    assert {each["name"]: each.get("scope") for each in written} == {
        "fastapi": None,
        "Flask": "excluded",
        "accelerate": "optional",
        "types-PyYAML": "excluded",
    }
    again = [dict(each) for each in components]
    mark_scopes(again, PROJECT_ROOT)
    assert again == written
