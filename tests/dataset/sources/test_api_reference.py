"""The API reference as it is generated from the installed service models."""

import re
from pathlib import Path

import pytest

from dataset.page_files import FileChanges
from dataset.sources.api_markup import model_markdown
from dataset.sources.api_reference import write_api_reference

CODE = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("documents")
    write_api_reference(made)
    return made / "api-reference"


@pytest.fixture(scope="module")
def pages(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.md")}


def field(page: str, name: str) -> str:
    """The bullet of a field, with everything indented below it."""
    found = re.search(rf"^- \*\*{name}\*\*.*\n(?:(?:  .*)?\n)*", page, re.MULTILINE)
    assert found, name
    return found.group()


def test_operation_has_title_address_and_sections(pages: dict[str, str]) -> None:
    page = pages["CreateEndpoint.md"]

    assert page.startswith(
        "---\ntitle: CreateEndpoint\nurl: https://docs.aws.amazon.com/sagemaker/latest/"
        "APIReference/API_CreateEndpoint.html\n---\n\n# CreateEndpoint\n\n"
    )
    headings = re.findall(r"^## (.*)", page, re.MULTILINE)
    assert headings == ["Request", "Response", "Errors"]


def test_field_has_type_required_flag_and_limits(pages: dict[str, str]) -> None:
    name = field(pages["CreateEndpoint.md"], "EndpointName")

    assert name.startswith("- **EndpointName** (string, required): ")
    assert "Length: 0 to 63 characters." in name
    assert "Pattern: `" in name


def test_encryption_key_of_an_endpoint_configuration_is_documented(pages: dict[str, str]) -> None:
    key = field(pages["CreateEndpointConfig.md"], "KmsKeyId")

    assert "(string, optional)" in key
    assert "\n  - Key ID: `" in key


def test_structure_lists_its_users_and_allowed_values(pages: dict[str, str]) -> None:
    variant = pages["ProductionVariant.md"]

    assert "Used by: `CreateEndpointConfig`, `DescribeEndpointConfig`" in variant
    assert "`ml.m5.xlarge`" in field(variant, "InstanceType")
    assert "structure `ProductionVariantServerlessConfig`" in field(variant, "ServerlessConfig")


def test_every_structure_has_a_page_or_is_inlined(pages: dict[str, str]) -> None:
    for name, page in pages.items():
        prefix = name.rpartition("_")[0]
        for structure in re.findall(r"\((?:list of|structure) `(\w+)`", page):
            page_of_its_own = f"{prefix}_{structure}.md".lstrip("_")
            assert page_of_its_own in pages or f"Fields of `{structure}`: " in page, name


def test_other_services_have_the_names_of_their_live_pages(pages: dict[str, str]) -> None:
    invoke = pages["runtime_InvokeEndpoint.md"]

    assert "/APIReference/API_runtime_InvokeEndpoint.html\n" in invoke
    assert "title: InvokeEndpoint (Amazon SageMaker Runtime)\n" in invoke
    assert "`POST /endpoints/{EndpointName}/invocations`" in invoke
    assert "feature_store_PutRecord.md" in pages


def test_pages_contain_no_html_or_stray_whitespace(pages: dict[str, str]) -> None:
    for name, page in pages.items():
        prose = CODE.sub("", page)
        assert not re.search(r"(?<!\\)</?[A-Za-z]", prose), name
        assert not re.search(r"&(lt|gt|amp|quot|nbsp|#\d+);", prose), name
        assert not re.search(r"[ \t]\n|\n{3}|\u00a0|\u200b", page), name
        assert page.endswith("\n"), name
        assert not page.endswith("\n\n"), name


def test_no_page_is_empty_and_names_differ_in_more_than_case(pages: dict[str, str]) -> None:
    assert len(pages) > 1000
    assert min(len(page) for page in pages.values()) > 200
    assert len({name.lower() for name in pages}) == len(pages)


def test_notice_states_source_and_licence(folder: Path) -> None:
    notice = (folder / "NOTICE").read_text()

    assert re.search(r"botocore \d+\.\d+\.\d+", notice)
    assert "Apache" in notice


def test_second_run_rewrites_nothing(folder: Path, pages: dict[str, str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}

    changes = write_api_reference(folder.parent)

    assert changes == FileChanges(unchanged=len(pages))
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_altered_files_and_leftovers_are_repaired(folder: Path, pages: dict[str, str]) -> None:
    altered = "---\ntitle: {0}\n---\n\n# {0}\n\nAltered.\n"
    (folder / "CreateEndpoint.md").write_text(altered.format("CreateEndpoint"))
    (folder / "CreateModel.md").unlink()
    (folder / "CreateNothing.md").write_text(altered.format("CreateNothing"))
    (folder / ".CreateModel.md.1.tmp").write_text("what a killed run left")

    changes = write_api_reference(folder.parent)

    assert changes == FileChanges(new=1, changed=1, unchanged=len(pages) - 2, removed=1)
    assert {path.name for path in folder.iterdir()} == {*pages, "NOTICE"}


def test_files_of_the_user_are_kept(tmp_path: Path) -> None:
    folder = tmp_path / "api-reference"
    folder.mkdir()
    own = {
        "CreateModel.md": "# How we create models\n",
        "NOTICE": "Read this.\n",
        "notes.md": "---\ntitle: CreateModel\n---\n\n# Our notes\n",
    }
    for name, text in own.items():
        (folder / name).write_text(text)

    changes = [write_api_reference(tmp_path) for _ in range(2)]

    assert {name: (folder / name).read_text() for name in own} == own
    assert [each.kept for each in changes] == [("api-reference/CreateModel.md",)] * 2
    assert changes[0].new == changes[1].unchanged > 1000
    assert changes[0].removed == 0


@pytest.mark.parametrize(
    ("html", "markdown"),
    [
        ("<p>Call <a>CreateThing</a> .</p>", "Call `CreateThing`."),
        (
            '<p>See <a href="https://docs.aws.amazon.com/sagemaker/latest/APIReference/'
            'API_runtime_DoIt.html"> <code>DoIt</code> </a>, then wait.</p>',
            "See `DoIt`, then wait.",
        ),
        (
            '<p>Read <a href="https://example.org/a">this</a>.</p>',
            "Read [this](https://example.org/a).",
        ),
        ("<note> <p>Mind it.</p> </note>", "Note: Mind it."),
        ("<important><ul><li><p>One</p></li></ul></important>", "Important:\n\n- One"),
        ("<p>At &lt;region&gt;\u00a0or <code>&lt;zone&gt;</code></p>", "At \\<region> or `<zone>`"),
        (
            "<dl> <dt>Left</dt> <dd> <p>One side.</p> <p>More.</p> </dd> "
            "<dt>Right</dt> <dd>x</dd></dl>",
            "- **Left**: One side.\n\n  More.\n- **Right**: x",
        ),
    ],
)
def test_html_of_the_service_models_becomes_markdown(html: str, markdown: str) -> None:
    assert model_markdown(html) == markdown
