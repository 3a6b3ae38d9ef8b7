"""all-mpnet-base-v2 is joined from its packages, verified and unpacked once, or not at all."""

import hashlib
import io
import shutil
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from database.embedding import model_finder, packaged_models
from database.embedding.model_finder import find_model
from database.embedding.packaged_models import MPNET, unpack_mpnet
from tests.files.model_folder import contents
from utils.errors import ModelError

FILES = contents()
PACKAGES = [f"kiln-part_{part}" for part in range(5)]


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Five installed packages with the parts of a zip of a small model."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("all-mpnet-base-v2")
        for name, content in FILES.items():
            archive.writestr(f"all-mpnet-base-v2/{name}", content)
    content = whole.getvalue()
    size = len(content) // len(PACKAGES) + 1
    folders = [tmp_path / "site" / name for name in PACKAGES]
    for at, folder in enumerate(folders):
        (folder / "input").mkdir(parents=True)
        (folder / "__init__.py").touch()
        part = content[at * size : (at + 1) * size]
        (folder / "input" / f"all-mpnet-base-v2.zip.{at + 1:03}").write_bytes(part)
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setattr(packaged_models, "_MPNET_PACKAGES", PACKAGES)
    digest = hashlib.sha256(FILES["model.safetensors"]).hexdigest()
    monkeypatch.setitem(packaged_models.WEIGHTS_SHA256, MPNET, digest)
    return folders


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the project keeps the model in."""
    folder = tmp_path / "all-mpnet-base-v2"
    monkeypatch.setattr(model_finder, "DEFAULT_MODEL_FOLDER", folder)
    return folder


def model_files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".unpacking.lock"
    }


def test_model_is_unpacked_once_and_then_found(packages: list[Path], target: Path) -> None:
    assert find_model(MPNET).folder == target
    assert model_files(target) == FILES

    for package in packages:
        shutil.rmtree(package)
    assert find_model(MPNET).folder == target


def test_other_files_are_kept(packages: list[Path], target: Path) -> None:
    notes = target / "models--someone--another" / "notes.md"
    notes.parent.mkdir(parents=True)
    notes.write_bytes(b"Oak.")
    find_model(MPNET, target)
    assert model_files(target) == FILES | {"models--someone--another/notes.md": b"Oak."}


def test_own_files_take_precedence(packages: list[Path], target: Path) -> None:
    unpacked = unpack_mpnet(target.parent / "mine")
    assert unpacked
    assert find_model(MPNET, unpacked.folder).folder == unpacked.folder
    assert not target.exists()


def test_calls_at_the_same_time_unpack_once(packages: list[Path], target: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: unpack_mpnet(target), range(16)))
    assert {model.folder for model in found if model} == {target}
    assert model_files(target) == FILES


def test_missing_part_is_no_model(packages: list[Path], target: Path) -> None:
    shutil.rmtree(packages[3])
    assert unpack_mpnet(target) is None
    assert not target.exists()


def test_part_that_is_cut_off_is_refused(packages: list[Path], target: Path) -> None:
    (part,) = packages[1].glob("input/*")
    part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(ModelError, match=r"Cannot unpack .* Reinstall it"):
        find_model(MPNET)
    assert model_files(target) == {}


def test_no_damage_raises_another_error(packages: list[Path], target: Path) -> None:
    refused = tried = 0
    for package in packages:
        (part,) = package.glob("input/*")
        content = part.read_bytes()
        # The last part has the directory, where most kinds of damage are possible.
        for at in range(0, len(content), 1 if package is packages[-1] else 5):
            part.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
            tried += 1
            try:
                find_model(MPNET)
            except ModelError:
                refused += 1
            shutil.rmtree(target)
        part.write_bytes(content)
    assert tried > 200
    assert refused > tried / 2


def test_unofficial_weights_are_not_unpacked(
    packages: list[Path], target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(packaged_models.WEIGHTS_SHA256, MPNET, "0" * 64)
    with pytest.raises(ModelError, match=r"requirements-mpnet\.txt"):
        find_model(MPNET)
    assert model_files(target) == {}


def test_interrupted_call_is_repeated(
    packages: list[Path], target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved: list[Path] = []

    def killed(self: Path, where: Path) -> Path:
        moved.append(where)
        if len(moved) == 3:
            raise KeyboardInterrupt
        self.rename(where)
        return where

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            find_model(MPNET)
    assert not (target / "config.json").exists()

    (target / ".unpacking").mkdir()  # of a process without time to clean up
    find_model(MPNET)
    assert model_files(target) == FILES


def test_folder_that_cannot_be_written_is_reported(packages: list[Path], target: Path) -> None:
    target.write_bytes(b"a file")
    with pytest.raises(ModelError, match=str(target)):
        find_model(MPNET)
