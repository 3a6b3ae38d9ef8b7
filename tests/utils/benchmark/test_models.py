"""Two models are benchmarked and compared."""

from pathlib import Path

import pytest

from database.embedding.local_model import LocalModel
from database.index.store import open_store
from tests.files.mpnet import make_mpnet
from utils.benchmark.arguments import MODELS, PARTS, chosen_parts, parse_benchmark_arguments
from utils.benchmark.builds import BuildFigures
from utils.benchmark.models import ModelFigures, QuestionFigures, compare_models, models_measures
from utils.benchmark.processes import BenchmarkRun


def figures(name: str, seconds: float, milliseconds: float) -> ModelFigures:
    build = BuildFigures(chunks=100, seconds=seconds, load_seconds=1.0, peak_memory=1)
    return ModelFigures(name, build, QuestionFigures("OpenVINO f32", milliseconds, 9.0))


def test_second_model_is_compared_with_the_first() -> None:
    measures = models_measures(figures("first", 10.0, 6.0), figures("models/other", 5.0, 8.0))

    values = {measure.name: measure.ours for measure in measures}
    assert values["first (OpenVINO f32), chunks a second"] == 10
    assert values["models/other (OpenVINO f32), chunks a second"] == 20
    assert values["models/other (OpenVINO f32), embedding a question, p50 ms"] == 8
    assert values["the second builds so many times as fast"] == 2
    assert values["and embeds questions"] == 0.75


def test_models_are_compared_if_a_second_is_given(capsys: pytest.CaptureFixture[str]) -> None:
    assert chosen_parts(parse_benchmark_arguments(None, ["--other_model", "models/x"])) == (
        *PARTS,
        MODELS,
    )
    assert chosen_parts(parse_benchmark_arguments(None, [])) == PARTS
    with pytest.raises(SystemExit):
        parse_benchmark_arguments(None, ["--part", MODELS])
    assert "name the second with --other_model" in capsys.readouterr().err


@pytest.mark.model
@pytest.mark.process
def test_both_models_build_and_embed_the_questions(minilm: LocalModel, tmp_path: Path) -> None:
    documents = tmp_path / "documents"
    documents.mkdir()
    for number in range(6):
        text = f"# Page {number}\n\n## Kiln {number}\n\nHow it is heated.\n"
        (documents / f"{number}.md").write_text(text)
    (tmp_path / "logs").mkdir()
    run = BenchmarkRun(
        documents=str(documents),
        ours=str(tmp_path / "ours"),
        original="",
        model="first",
        model_folder=str(minilm.folder),
        logs=str(tmp_path / "logs"),
        other_model="small",
        other_model_folder=str(make_mpnet(tmp_path / "small").folder),
    )
    reported: list[str] = []

    measures = compare_models(run, reported.append)

    assert len(reported) == 2
    assert all(measure.ours > 0 for measure in measures)
    assert measures[0].name.startswith("first (")
    assert measures[3].name.startswith("small (")
    dimensions = [
        store.live_collection()[2].recipe.dimension
        for store in map(open_store, (f"{run.ours}-first", f"{run.ours}-other"))
    ]
    assert dimensions == [384, 64]
    assert (tmp_path / "ours-first").is_dir()
    assert (tmp_path / "ours-other").is_dir()
