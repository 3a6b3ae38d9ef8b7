"""The licences of the installed packages are those that the policy accepts."""

import fnmatch
import sysconfig
from email.message import Message
from importlib.metadata import PathDistribution, distributions
from pathlib import Path

import pytest

from utils.audit.licences import LicencePolicy, forbidden_licences, stated_licences
from utils.audit.requirements import read_pins
from utils.settings import PROJECT_ROOT


def install(folder: Path, name: str, *fields: str) -> PathDistribution:
    """A package that is installed in a folder, with these fields in its metadata."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    lines = ["Metadata-Version: 2.4", f"Name: {name}", "Version: 1.0", *fields]
    (info / "METADATA").write_text("\n".join(lines) + "\n")
    return PathDistribution(info)


def test_every_installed_package_has_an_accepted_licence() -> None:
    # Without what an import of setuptools adds to sys.path: its own copies of packages.
    installed = distributions(path=[sysconfig.get_path("purelib")])
    assert not list(forbidden_licences(installed, LicencePolicy.read()))


def test_reviews_are_of_packages_that_the_requirements_pin() -> None:
    files = PROJECT_ROOT.glob("requirements*.txt")
    pinned = {pin.name for file in files for pin in read_pins(file)}
    for review in LicencePolicy.read().reviewed:
        assert review.reason
        for pattern in review.packages:
            assert fnmatch.filter(pinned, pattern), pattern


@pytest.mark.parametrize(
    "field",
    [
        "License-Expression: GPL-3.0-only",
        "License-Expression: MIT AND (GPL-2.0-or-later OR LGPL-3.0-only)",
        "License-Expression: MIT OR GPL-2.0-only",
        "Classifier: License :: OSI Approved :: GNU Affero General Public License v3",
        "Classifier: License :: Other/Proprietary License",
        "License: AGPL-3.0",
        "Summary: states no licence",
    ],
)
def test_a_licence_outside_the_policy_is_found(tmp_path: Path, field: str) -> None:
    package = install(tmp_path, "newcomer", field)

    (line,) = forbidden_licences([package], LicencePolicy.read())
    assert line.startswith("newcomer 1.0: ")


@pytest.mark.parametrize(
    "field",
    [
        "License-Expression: MIT",
        "License-Expression: (Apache-2.0 WITH LLVM-exception OR MIT) AND BSD-3-Clause",
        "Classifier: License :: OSI Approved :: MIT License",
        "License: MIT License",
    ],
)
def test_an_allowed_licence_is_accepted(tmp_path: Path, field: str) -> None:
    package = install(tmp_path, "newcomer", field)

    assert not list(forbidden_licences([package], LicencePolicy.read()))


def test_a_review_covers_the_reviewed_package_and_licence_only(tmp_path: Path) -> None:
    packages = [
        install(tmp_path, "certifi", "License-Expression: MPL-2.0"),
        install(tmp_path, "newcomer", "License-Expression: MPL-2.0"),
        install(tmp_path, "tqdm", "License-Expression: GPL-3.0-only"),
        install(tmp_path, "nvidia-cublas", "License-Expression: LicenseRef-NVIDIA-Proprietary"),
    ]

    found = list(forbidden_licences(packages, LicencePolicy.read()))
    assert [line.split()[0] for line in found] == ["newcomer", "tqdm"]


def test_the_expression_is_read_before_older_fields() -> None:
    metadata = Message()
    metadata["License"] = "BSD\n\nthe whole text"
    assert stated_licences(metadata) == {"BSD"}
    metadata["Classifier"] = "License :: OSI Approved"
    metadata["Classifier"] = "License :: OSI Approved :: BSD License"
    assert stated_licences(metadata) == {"BSD License"}
    metadata["License-Expression"] = "BSD-3-Clause AND MIT"
    assert stated_licences(metadata) == {"BSD-3-Clause", "MIT"}
