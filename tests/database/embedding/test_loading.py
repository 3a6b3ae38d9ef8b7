"""Embeddings are unit vectors that do not depend on backend or batch."""

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
import openvino
import pytest
from langchain_core.embeddings import Embeddings

from database.embedding import openvino_export
from database.embedding.local_model import LocalModel
from database.embedding.model_finder import find_model
from database.embedding.openvino_embeddings import OpenVINOEmbeddings
from database.embedding.torch_embeddings import TorchEmbeddings
from tests.files.mpnet import MAX_TOKENS, NAME, make_mpnet
from tests.interrupts import interruptible
from utils.errors import ModelError, SettingsError
from utils.settings import PROJECT_ROOT, Backend

if TYPE_CHECKING:
    from langchain_huggingface import HuggingFaceEmbeddings

pytestmark = [
    pytest.mark.model,
    # Raised inside PyTorch, by its export and pytrees.
    pytest.mark.filterwarnings("ignore:.*:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning"),
]

SAME = 0.9999
TEXTS = [
    "How do I open a kiln?",
    "",
    "kiln",
    "Kilns dry wood slowly. " * 10,
    "A\nline\n\nand `code_of(x)` — with Ünïcode, 文档 and 🔥",
    "Wood " * 5000,
    "x" * 3000,
    " \n\t ",
    *(f"Kiln {n} holds {n * 7} planks of " + "very " * n + "dry wood." for n in range(12)),
]


LOAD = """
import sys
from pathlib import Path
from database.embedding.local_model import LocalModel
model = LocalModel("m", Path(sys.argv[1]))
loaded = model.load_embeddings(device="cpu", cache=Path(sys.argv[2]))
"""


def run_python(code: str, *arguments: Path | str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(
        command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True, timeout=60
    )


def refusal(model: LocalModel, backend: Backend, cache: Path) -> str:
    """Return the error of a model that cannot be loaded: one line."""
    with pytest.raises(ModelError) as refused:
        model.load_embeddings(device="cpu", backend=backend, cache=cache)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def vectors_of(embeddings: Embeddings, texts: list[str]) -> np.ndarray:
    return np.array(embeddings.embed_documents(texts))


def least_cosine(one: np.ndarray, other: np.ndarray) -> float:
    """The cosine of the pair that agrees least; the vectors have unit length."""
    return float((one * other).sum(axis=1).min())


@pytest.fixture(scope="session")
def mpnet(tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    return make_mpnet(tmp_path_factory.mktemp("mpnet"))


@pytest.fixture(scope="session")
def backends(
    mpnet: LocalModel, minilm: LocalModel, embeddings: Embeddings, openvino_cache: Path
) -> dict[str, Embeddings]:
    """Both models on both backends, each loaded once."""
    return {
        "mpnet torch": mpnet.load_embeddings(device="cpu", backend="torch", cache=openvino_cache),
        "mpnet openvino": mpnet.load_embeddings(
            device="cpu", backend="openvino", cache=openvino_cache
        ),
        "minilm torch": minilm.load_embeddings(device="cpu", backend="torch", cache=openvino_cache),
        "minilm openvino": embeddings,
    }


class Loaded(NamedTuple):
    """A model's embeddings on one backend, and the model's sizes."""

    embeddings: Embeddings
    dimension: int
    max_tokens: int


@pytest.fixture(params=["mpnet torch", "mpnet openvino", "minilm torch", "minilm openvino"])
def loaded(request: pytest.FixtureRequest, backends: dict[str, Embeddings]) -> Loaded:
    sizes = (64, MAX_TOKENS) if "mpnet" in request.param else (384, 256)
    return Loaded(backends[request.param], *sizes)


def test_vectors_are_distinct_and_of_unit_length(loaded: Loaded) -> None:
    vectors = vectors_of(loaded.embeddings, TEXTS)
    assert vectors.shape == (len(TEXTS), loaded.dimension)
    assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-3
    assert (vectors[:7] @ vectors[:7].T - np.eye(7)).max() < SAME - 0.01
    assert loaded.embeddings.embed_documents([]) == []


def test_texts_of_many_lengths_become_batches_of_few_shapes(
    mpnet: LocalModel, openvino_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenVINO compiles each shape anew, and keeps memory for it."""
    embeddings = mpnet.load_embeddings(device="cpu", backend="openvino", cache=openvino_cache)
    shapes: list[tuple[int, ...]] = []
    queue = openvino.AsyncInferQueue.start_async

    def record(self: openvino.AsyncInferQueue, inputs: dict[str, np.ndarray]) -> None:
        shapes.append(inputs["input_ids"].shape)
        queue(self, inputs)

    monkeypatch.setattr(openvino.AsyncInferQueue, "start_async", record)
    embeddings.embed_documents(["kiln " * n for n in range(1, 2 * MAX_TOKENS)])

    assert len(set(shapes)) <= 2 * MAX_TOKENS // 16
    assert max(texts * tokens for texts, tokens in shapes) <= 800
    assert {tokens for _, tokens in shapes} == {*range(16, MAX_TOKENS + 1, 16)}


@pytest.mark.parametrize("model", ["mpnet", "minilm"])
def test_backends_agree(model: str, backends: dict[str, Embeddings]) -> None:
    torch = vectors_of(backends[f"{model} torch"], TEXTS)
    openvino = vectors_of(backends[f"{model} openvino"], TEXTS)
    assert least_cosine(torch, openvino) >= SAME


def test_vector_depends_neither_on_the_batch_nor_on_the_kind_of_text(loaded: Loaded) -> None:
    together = vectors_of(loaded.embeddings, TEXTS)
    backwards = vectors_of(loaded.embeddings, TEXTS[::-1])[::-1]
    alone = np.concatenate([vectors_of(loaded.embeddings, [text]) for text in TEXTS[:12]])
    asked = np.array([loaded.embeddings.embed_query(text) for text in TEXTS[:12]])
    assert least_cosine(together, backwards) >= SAME
    assert least_cosine(together[:12], alone) >= SAME
    assert least_cosine(together[:12], asked) >= SAME


def test_text_beyond_the_token_limit_changes_nothing(loaded: Loaded) -> None:
    limit = loaded.max_tokens - 2  # the special tokens
    whole, more, less = vectors_of(
        loaded.embeddings,
        ["wood " * limit, "wood " * limit + "kiln " * 50, "wood " * (limit - 1) + "kiln"],
    )
    assert float(whole @ more) >= SAME
    assert float(whole @ less) < 1 - 1e-6


def test_minilm_places_related_texts_closer(embeddings: OpenVINOEmbeddings) -> None:
    vectors = vectors_of(
        embeddings,
        ["How do I delete an endpoint?", "Removing a deployed endpoint", "Bread is baked at dawn."],
    )
    assert vectors[0] @ vectors[1] > 0.6
    assert vectors[0] @ vectors[2] < 0.2


def test_threads_can_embed_concurrently(embeddings: OpenVINOEmbeddings) -> None:
    alone = vectors_of(embeddings, TEXTS)
    with ThreadPoolExecutor(8) as threads:
        passages = threads.submit(vectors_of, embeddings, TEXTS)
        asked = np.array(list(threads.map(embeddings.embed_query, TEXTS)))
    assert least_cosine(asked, alone) >= SAME
    assert least_cosine(passages.result(), alone) >= SAME


def test_openvino_is_the_default_on_a_cpu(mpnet: LocalModel, openvino_cache: Path) -> None:
    loaded = mpnet.load_embeddings(device="cpu", cache=openvino_cache)
    assert isinstance(loaded, OpenVINOEmbeddings)
    assert loaded.precision in ("bf16", "f32")


def test_export_is_made_once(
    mpnet: LocalModel, backends: dict[str, Embeddings], openvino_cache: Path
) -> None:
    assert backends["mpnet openvino"]
    (folder,) = openvino_cache.glob(f"{mpnet.revision[:16]}*")
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert set(before) == {"model.xml", "model.bin"}

    mpnet.load_embeddings(device="cpu", backend="openvino", cache=openvino_cache)
    assert before == {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_cached_export_needs_neither_torch_nor_the_models_weights(
    mpnet: LocalModel, backends: dict[str, Embeddings], openvino_cache: Path
) -> None:
    assert backends["mpnet openvino"]
    code = LOAD + "print(len(loaded.embed_query('kiln')), 'torch' in sys.modules)"
    assert run_python(code, mpnet.folder, openvino_cache).stdout.split() == ["64", "False"]


@pytest.mark.slow
def test_failed_export_leaves_nothing(mpnet: LocalModel, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    for file, content in {
        "model.safetensors": b"no weights",
        "config.json": b"{never closed",
        "modules.json": b"{never closed",
    }.items():
        shutil.copytree(mpnet.folder, broken)
        (broken / file).write_bytes(content)
        assert str(broken) in refusal(LocalModel(NAME, broken), "openvino", tmp_path / "cache")
        assert list((tmp_path / "cache").iterdir()) == [], file
        shutil.rmtree(broken)


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("import os; os.kill(os.getpid(), 9)", "ended with status -9"),
        ("import os; os.abort()", "ended with status -6"),
        ("import sys; print('The reason.', file=sys.stderr); sys.exit(3)", "The reason."),
        ("import nothing_of_this_name", "ended with status 1"),
    ],
)
def test_failed_conversion_is_reported_in_one_line(
    program: str,
    reason: str,
    mpnet: LocalModel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As if the kernel killed it for memory, or a library failed."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{program}"\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    assert reason in refusal(mpnet, "openvino", tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_cache_without_space_is_reported_in_one_line(
    mpnet: LocalModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(openvino_export, "export_program", lambda model, path: None)
    monkeypatch.setattr(Path, "rename", full)
    line = refusal(mpnet, "openvino", tmp_path / "cache")
    assert line.startswith("Cannot export")
    assert "No space left on device" in line


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_export_is_repeated(
    how: signal.Signals, mpnet: LocalModel, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    with subprocess.Popen(
        [sys.executable, "-c", LOAD, str(mpnet.folder), str(cache)],
        cwd=PROJECT_ROOT,
        stderr=subprocess.DEVNULL,
        preexec_fn=interruptible,
    ) as process:
        while process.poll() is None and not (cache.is_dir() and any(cache.iterdir())):
            time.sleep(0.01)
        process.send_signal(how)
        process.wait(60)

    assert process.returncode != 0, "not interrupted"
    assert not any(folder.name.startswith(mpnet.revision[:16]) for folder in cache.iterdir())
    if how == signal.SIGINT:
        assert list(cache.iterdir()) == []
        return  # an interrupt leaves nothing
    loaded = mpnet.load_embeddings(device="cpu", backend="openvino", cache=cache)
    assert len(loaded.embed_query("kiln")) == 64


@pytest.fixture
def export(
    mpnet: LocalModel, backends: dict[str, Embeddings], openvino_cache: Path, tmp_path: Path
) -> Path:
    """A cached export of mpnet, alone in the cache folder `tmp_path`."""
    assert backends["mpnet openvino"]
    (folder,) = openvino_cache.glob(f"{mpnet.revision[:16]}*")
    return Path(shutil.copytree(folder, tmp_path / folder.name))


@pytest.fixture
def quick_export(export: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports mpnet by a copy."""
    files = {file.name: file.read_bytes() for file in export.iterdir()}

    def copy(model: LocalModel, program: Path) -> None:
        for name, content in files.items():
            (program.parent / name).write_bytes(content)

    monkeypatch.setattr(openvino_export, "export_program", copy)


@pytest.mark.usefixtures("quick_export")
def test_unwritable_cache_is_bypassed(
    mpnet: LocalModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    (tmp_path / "a file").write_text("in the way")

    loaded = mpnet.load_embeddings(
        device="cpu", backend="openvino", cache=tmp_path / "a file" / "cache"
    )

    assert len(loaded.embed_query("kiln")) == 64
    assert "cannot be written" in caplog.text
    assert list(temporary.iterdir()) == [], "a copy of the model was left"


@pytest.mark.usefixtures("quick_export")
def test_text_without_tokens_is_embedded(mpnet: LocalModel, tmp_path: Path) -> None:
    """A tokenizer without special tokens makes none of an empty text."""
    folder = Path(shutil.copytree(mpnet.folder, tmp_path / "model"))
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer | {"post_processor": None}))
    embeddings = LocalModel(NAME, folder).load_embeddings(
        device="cpu", backend="openvino", cache=tmp_path / "cache"
    )
    vectors = vectors_of(embeddings, ["kiln", *[""] * 99])
    assert vectors.shape == (100, 64)
    assert np.isfinite(vectors).all()


@pytest.mark.parametrize("file", ["model.xml", "model.bin"])
@pytest.mark.parametrize("content", [b"", b"garbage", None])
def test_broken_export_is_reported_in_one_line(
    file: str, content: bytes | None, mpnet: LocalModel, export: Path
) -> None:
    if content is None:
        os.truncate(export / file, (export / file).stat().st_size // 2)
    else:
        (export / file).write_bytes(content)
    assert str(export) in refusal(mpnet, "openvino", export.parent)


@pytest.mark.usefixtures("quick_export")
def test_export_without_its_xml_is_repeated(
    mpnet: LocalModel, backends: dict[str, Embeddings], export: Path
) -> None:
    (export / "model.xml").unlink()
    loaded = mpnet.load_embeddings(device="cpu", backend="openvino", cache=export.parent)
    again, before = (vectors_of(e, TEXTS[:9]) for e in (loaded, backends["mpnet openvino"]))
    assert least_cosine(again, before) >= SAME


def test_torch_is_the_fallback_if_openvino_fails(
    mpnet: LocalModel, export: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (export / "model.xml").write_text("garbage")

    loaded = mpnet.load_embeddings(device="cpu", cache=export.parent)

    assert isinstance(loaded, TorchEmbeddings)
    assert "torch takes over" in caplog.text


WITHOUT_TORCH = """
import sys
from importlib.machinery import PathFinder
from pathlib import Path
from database.embedding.local_model import LocalModel
from utils.errors import ModelError

class Hides(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "sentence_transformers"}:
            return None
        return super().find_spec(name, path, target)

sys.meta_path[:] = [Hides if finder is PathFinder else finder for finder in sys.meta_path]
folder, cache, backend = sys.argv[1:]
model = LocalModel("tests/small-mpnet", Path(folder))
try:
    loaded = model.load_embeddings(backend=backend, cache=Path(cache))
    print(len(loaded.embed_query("kiln")))
except ModelError as error:
    print(error)
"""


@pytest.mark.process
@pytest.mark.parametrize(
    ("exported", "backend", "expected"),
    [
        (True, "auto", "64"),
        (False, "auto", "no torch to create it"),
        (False, "openvino", "no torch to create it"),
        (True, "torch", "no torch here to run"),
    ],
)
def test_missing_torch_is_reported_in_one_line_if_needed(
    exported: bool, backend: str, expected: str, mpnet: LocalModel, export: Path, tmp_path: Path
) -> None:
    cache = export.parent if exported else tmp_path / "empty"
    done = run_python(WITHOUT_TORCH, mpnet.folder, cache, backend)

    assert expected in done.stdout
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


@pytest.mark.parametrize("file", ["model.safetensors", "config.json"])
def test_unloadable_weights_are_reported_in_one_line(
    file: str, mpnet: LocalModel, tmp_path: Path
) -> None:
    shutil.copytree(mpnet.folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / file).write_bytes(b"garbage")
    assert str(tmp_path) in refusal(LocalModel(NAME, tmp_path), "torch", tmp_path)


@pytest.mark.skipif(Path("/proc/driver/nvidia/version").exists(), reason="there is a GPU")
def test_missing_gpu_is_reported_in_one_line(mpnet: LocalModel, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="EMBEDDING_DEVICE"):
        mpnet.load_embeddings(device="cuda", cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


class SmallGPU:
    """Embeddings on a GPU with memory for a few texts; records the batch sizes."""

    def __init__(self, room: int, batch_size: int) -> None:
        self.room = room
        self.encode_kwargs = {"batch_size": batch_size}
        self.batches: list[int] = []

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        import torch

        size = self.encode_kwargs["batch_size"]
        for start in range(0, len(texts), size):
            self.batches.append(len(texts[start : start + size]))
            if self.batches[-1] > self.room:
                raise torch.OutOfMemoryError("CUDA out of memory.")
        return [[float(len(text))] for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]


def on_gpu(gpu: SmallGPU) -> TorchEmbeddings:
    return TorchEmbeddings(cast("HuggingFaceEmbeddings", gpu))


def test_batch_is_halved_until_it_fits(caplog: pytest.LogCaptureFixture) -> None:
    gpu = SmallGPU(room=70, batch_size=256)
    embeddings = on_gpu(gpu)
    texts = ["x" * n for n in range(130)]

    with caplog.at_level(logging.WARNING):
        vectors = embeddings.embed_documents(texts)

    assert vectors == [[float(n)] for n in range(130)]
    assert gpu.batches == [130, 128, 64, 64, 2]
    assert embeddings.batch_size == 64
    assert "64" in caplog.text
    # The reduced batch, which fits, is kept.
    gpu.batches.clear()
    assert embeddings.embed_documents(["x"] * 100) == [[1.0]] * 100
    assert gpu.batches == [64, 36]


def test_gpu_without_room_for_one_text_is_reported_in_one_line() -> None:
    with pytest.raises(ModelError, match="EMBEDDING_DEVICE") as refused:
        on_gpu(SmallGPU(room=0, batch_size=4)).embed_documents(["x"])
    assert "\n" not in str(refused.value)


def test_question_out_of_memory_does_not_shrink_batches() -> None:
    embeddings = on_gpu(SmallGPU(room=0, batch_size=64))
    with pytest.raises(ModelError):
        embeddings.embed_query("x")
    assert embeddings.batch_size == 64


def test_openvino_telemetry_is_disabled(mpnet: LocalModel, openvino_cache: Path) -> None:
    code = LOAD + (
        "loaded.embed_documents(['kiln'] * 9)\n"
        "print(type(sys.modules['openvino.tools.ovc'].telemetry).__module__)\n"
    )
    done = run_python(code, mpnet.folder, openvino_cache)
    assert done.stdout == "openvino.tools.ovc.telemetry_stub\n"


def test_model_from_a_hub_cache_is_loaded(
    mpnet: LocalModel, openvino_cache: Path, tmp_path: Path
) -> None:
    cached = tmp_path / f"models--{NAME.replace('/', '--')}"
    shutil.copytree(mpnet.folder, cached / "snapshots" / "abc")
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("abc")

    found = find_model(NAME, tmp_path)

    assert found.revision == mpnet.revision
    loaded = found.load_embeddings(device="cpu", backend="torch", cache=openvino_cache)
    assert len(loaded.embed_query("kiln")) == mpnet.dimension
