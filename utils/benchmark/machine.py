"""The machine's matrix rate, and the operations that a model needs."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils.benchmark.processes import BenchmarkRun
from utils.settings import load_settings

if TYPE_CHECKING:
    from database.embedding.local_model import LocalModel

_SIZE = 2048
_PRODUCT_FLOPS = 2 * _SIZE**3


@dataclass(frozen=True, slots=True)
class MatrixRate:
    """The rate of a 2048 x 2048 product in the embedding's precision, with its threads."""

    backend: str
    """The backend of our embedding, which the product runs on: "openvino" or "torch"."""
    precision: str
    flops_per_second: float


def flops(model: "LocalModel", length: int) -> float:
    """The operations of a BERT-shaped encoder for a text of `length` tokens.

    Two for each weight of the projections (4 h^2) and the feed-forward (2 h i) a token, and
    4 h a pair of tokens for the attention's two products; in every layer.
    """
    config = json.loads((model.folder / "config.json").read_text())
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    per_token = 2 * (4 * hidden**2 + 2 * hidden * inner) + 4 * length * hidden
    return float(config["num_hidden_layers"] * per_token * length)


def measure_matrix_rate(run: BenchmarkRun) -> MatrixRate:
    """Load the embeddings as a build does (which exports them once), and measure their backend."""
    from database.embedding.local_model import LocalModel
    from database.embedding.openvino_embeddings import OpenVINOEmbeddings

    settings = load_settings()
    embeddings = LocalModel(run.model, Path(run.model_folder)).load_embeddings(
        device=settings.embedding_device,
        backend=settings.embedding_backend,
        cache=settings.embedding_cache_path,
    )
    if isinstance(embeddings, OpenVINOEmbeddings):
        precision = {"f32": "f32", "float": "f32"}.get(embeddings.arithmetic, "bf16")
        return MatrixRate("openvino", precision, _openvino_rate(precision, run.matrix_rounds))
    cpu = settings.embedding_device == "cpu"
    return MatrixRate("torch", "f32", _torch_rate("cpu" if cpu else None, run.matrix_rounds))


def _openvino_rate(precision: str, rounds: int) -> float:
    """The better rate of one product on all cores and of one product on each."""
    import numpy as np
    import openvino
    from openvino import opset13 as ops

    rng = np.random.default_rng(0)
    weights = rng.standard_normal((_SIZE, _SIZE), dtype=np.float32)
    given = ops.parameter([_SIZE, _SIZE], np.float32)
    model = openvino.Model([ops.matmul(given, ops.constant(weights), False, False)], [given])
    rates = []
    for hint in ("LATENCY", "THROUGHPUT"):
        settings = {"PERFORMANCE_HINT": hint, "INFERENCE_PRECISION_HINT": precision}
        queue = openvino.AsyncInferQueue(openvino.Core().compile_model(model, "CPU", settings))
        for request in queue:
            request.set_input_tensor(openvino.Tensor(weights))

        def products(queue: Any = queue) -> int:
            count = 2 * len(queue)
            for _ in range(count):
                queue.start_async()
            queue.wait_all()
            return count

        rates.append(_best_rate(products, rounds))
    return max(rates)


def _torch_rate(device: str | None, rounds: int) -> float:
    import torch

    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    left = torch.randn(_SIZE, _SIZE).to(device)
    repeats = 100 if device == "cuda" else 2

    def products() -> int:
        for _ in range(repeats):
            torch.mm(left, left)
        if device == "cuda":
            torch.cuda.synchronize()
        return repeats

    return _best_rate(products, rounds)


def _best_rate(products: Callable[[], int], rounds: int) -> float:
    """FLOP/s of the fastest of some rounds; `products` returns its number of products.

    The best counts: the others were disturbed.
    """
    products()
    best = 0.0
    for _ in range(rounds):
        start = time.perf_counter()
        count = products()
        best = max(best, count * _PRODUCT_FLOPS / (time.perf_counter() - start))
    return best
