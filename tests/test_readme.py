"""The readmes match the code: routes, commands, options, settings, files and links exist."""

import ast
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml

from inference_worker.app import create_app
from inference_worker.http.access.problems import ALL as ABOUT_KEYS
from inference_worker.http.documents.problems import ALL as ABOUT_DOCUMENTS
from inference_worker.http.problems import (
    BAD_REQUEST,
    BODY_TOO_LARGE,
    INTERNAL,
    OVERLOADED,
    problem_for,
)
from inference_worker.http.server.protocol import (
    HEADERS_TOO_LARGE,
    REQUEST_TIMEOUT,
    TOO_MANY_CONNECTIONS,
)
from inference_worker.http.trusted_hosts import HOST_NOT_ALLOWED, ORIGIN_NOT_ALLOWED
from utils.errors import (
    DiskFullError,
    EmbeddingApiError,
    IndexDamagedError,
    IndexLockedError,
    IndexMismatchError,
    IndexMissingError,
    IndexUnavailableError,
    ModelError,
    StoreUnreachableError,
)
from utils.settings import PROJECT_ROOT, Settings

PACKAGES = ("dataset", "database", "inference_worker", "utils", "deploy")
README = PROJECT_ROOT / "readme.md"
ATTACKS = PROJECT_ROOT / "tests" / "attacks" / "readme.md"
READMES = (README, *(PROJECT_ROOT / package / "readme.md" for package in PACKAGES), ATTACKS)
MAX_README_BYTES = 10_000

COMMANDS = (
    "database.adapting",
    "database.index.tidy",
    "database.snapshot",
    "dataset.fetch",
    "inference_worker",
    "inference_worker.ask",
    "inference_worker.doctor",
    "inference_worker.keys",
    "tests.attacks.load",
    "tests.endurance",
    "utils.audit",
    "utils.audit.images",
    "utils.benchmark",
    "utils.db_builder",
    "utils.evaluation",
    "utils.evaluation.calibrate",
    "utils.evaluation.sizes",
)
SUBCOMMANDS = {
    "database.snapshot": ("push", "pull", "list", "verify"),
    "inference_worker.keys": ("create", "list", "revoke"),
    "utils.evaluation": ("answers",),
}

# Set for programs other than ours.
OTHERS_OPTIONS = {"--build-arg", "--target", "--env-var", "--profile"}
OTHERS_VARIABLES = {
    *("AWS_ENDPOINT_URL", "COMPOSE_PROFILES", "GOOGLE_APPLICATION_CREDENTIALS", "PIP_FIND_LINKS"),
    *("ALL_PROXY", "HTTP_PROXY"),
}
CONSTANTS = {"CHUNKER_VERSION"}
MAKE_VARIABLES = {"ALLOW_DELETIONS"}

FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`]+)`")
PROGRAM = re.compile(r"python (?:-m ([\w.]+)|\./utils/(db_builder)\.py)(.*)")
OPTION = re.compile(r"(?<!\S)--?[a-z][\w-]*")

every_readme = pytest.mark.parametrize(
    "readme", READMES, ids=[path.parent.name for path in READMES]
)


def blocks(readme: Path, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return [body for kind, body in FENCE.findall(readme.read_text()) if kind == language]


def prose(readme: Path) -> str:
    """The text without its fenced blocks."""
    return FENCE.sub("", readme.read_text())


def code(readme: Path) -> Iterator[str]:
    """Every line of a shell block, continued lines joined, and every code span."""
    for block in blocks(readme, "sh"):
        yield from block.replace("\\\n", " ").splitlines()
    yield from (span.replace("\n", " ") for span in SPAN.findall(prose(readme)))


def anchors(readme: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub generates them."""
    headings = re.findall(r"^#+ (.+)$", prose(readme), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def section(readme: Path, heading: str) -> str:
    """The text under a heading, up to the next one of its level."""
    level = heading.split()[0]
    return readme.read_text().split(f"\n{heading}\n")[1].split(f"\n{level} ")[0]


def printed(*command: str) -> str:
    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    return done.stdout


@cache
def help_of(command: str) -> str:
    """The --help output of a command and its subcommands."""
    return "".join(
        printed(sys.executable, "-m", command, *arguments, "--help")
        for arguments in ([], *([name] for name in SUBCOMMANDS.get(command, ())))
    )


def options_of(*commands: str) -> set[str]:
    return {
        option for command in commands for option in re.findall(r"--?\w[\w-]*", help_of(command))
    }


@cache
def make_targets() -> set[str]:
    return set(re.findall(r"^ *make ([a-z-]+)", printed("make", "help"), re.MULTILINE))


def test_readme_is_short() -> None:
    assert README.stat().st_size <= MAX_README_BYTES


def test_first_block_is_a_command_that_can_be_pasted() -> None:
    first = blocks(README, "sh")[0]

    assert first == "make run\n"


def test_every_package_has_a_readme_that_is_linked() -> None:
    linked = set(re.findall(r"\]\((\w+/readme\.md)\)", README.read_text()))

    assert linked == {f"{package}/readme.md" for package in PACKAGES}


def test_routes_match_the_service(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, database=str(tmp_path))
    schema = create_app(settings).openapi()
    served = {
        f"{method.upper()} {path}"
        for path, methods in schema["paths"].items()
        for method in methods
    }

    documented = re.findall(
        r"^\| `((?:GET|POST|PUT|DELETE) /[\w/.{}]*)", README.read_text(), re.MULTILINE
    )

    assert set(documented) == served | {"GET /docs", "GET /openapi.json"}


def test_error_table_matches_the_served_one() -> None:
    errors = (
        IndexMissingError,
        IndexMismatchError,
        IndexDamagedError,
        IndexLockedError,
        ModelError,
        EmbeddingApiError,
        IndexUnavailableError,
        StoreUnreachableError,
        DiskFullError,
    )
    served = {
        (str(problem.status), problem.type)
        for problem in (
            INTERNAL,
            BODY_TOO_LARGE,
            *ABOUT_DOCUMENTS,
            *ABOUT_KEYS,
            BAD_REQUEST,
            HEADERS_TOO_LARGE,
            OVERLOADED,
            REQUEST_TIMEOUT,
            TOO_MANY_CONNECTIONS,
            HOST_NOT_ALLOWED,
            ORIGIN_NOT_ALLOWED,
            *(problem_for(error("")) for error in errors),
        )
    }

    worker = (PROJECT_ROOT / "inference_worker" / "readme.md").read_text()
    documented = set(re.findall(r"\| (\d{3}) \| `([\w-]+)` \|", worker))

    assert documented == served | {("422", "invalid-request")}


@pytest.mark.process
@pytest.mark.parametrize(
    ("readme", "heading", "command", "required"),
    [
        (
            "database/readme.md",
            "## Build the index",
            "utils.db_builder",
            {"-d", "-db", "-m", "-mp", "-cz", "-co"},
        ),
        (
            "database/readme.md",
            "## Adapt the embedding model",
            "database.adapting",
            {"-d", "-m", "-o", "--pairs", "--seed"},
        ),
        ("dataset/readme.md", "### Websites", "dataset.fetch", {"--url", "--sitemap", "--rate"}),
    ],
)
def test_options_match_the_command(
    readme: str, heading: str, command: str, required: set[str]
) -> None:
    text = section(PROJECT_ROOT / readme, heading)
    table = text.split("| option |")[1].split("\n\n")[0]
    documented = set(re.findall(r"`(--?[\w-]+)`", table))

    assert required <= documented <= options_of(command)


@pytest.mark.process
def test_build_options_are_complete() -> None:
    text = section(PROJECT_ROOT / "database" / "readme.md", "## Build the index")
    usage = help_of("utils.db_builder").split("\n\n")[0]

    for option in re.findall(r"\[(-[\w-]+)", usage):
        assert f"`{option}`" in text or option in {"-h", "--version"}, option


@pytest.mark.process
@every_readme
def test_commands_exist_with_the_options_given(readme: Path) -> None:
    for line in code(readme):
        for module, script, rest in PROGRAM.findall(line.split("  #")[0]):
            command = module or f"utils.{script}"
            assert command in COMMANDS, line
            assert set(OPTION.findall(rest)) <= options_of(command), line


def test_every_command_is_documented() -> None:
    text = "".join(readme.read_text() for readme in READMES).replace("./utils/db_builder.py", "")
    for command in set(COMMANDS) - {"utils.db_builder"}:
        assert importlib.util.find_spec(command), command
        assert re.search(rf"python -m {re.escape(command)}(?![\w.])", text), command


@pytest.mark.process
@every_readme
def test_options_in_the_text_exist(readme: Path) -> None:
    known = options_of(*COMMANDS) | OTHERS_OPTIONS
    for span in SPAN.findall(prose(readme)):
        if span.startswith("--"):
            assert span.split()[0] in known, span


@every_readme
def test_make_targets_exist(readme: Path) -> None:
    for line in code(readme):
        for target in re.findall(r"(?:^|# or )make ([a-z][a-z-]*)", line):
            assert target in make_targets(), line


@every_readme
def test_settings_exist(readme: Path) -> None:
    example = (PROJECT_ROOT / ".env.example").read_text()
    known = set(re.findall(r"^([A-Z_0-9]+)=", example, re.MULTILINE))
    known |= OTHERS_VARIABLES | CONSTANTS | MAKE_VARIABLES
    for line in code(readme):
        for name in re.findall(r"(?<![\w.])[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+(?!\w)", line):
            assert name in known, line


@every_readme
def test_links_resolve(readme: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(readme)):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        linked = (readme.parent / name) if name else readme
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


@every_readme
def test_files_named_in_the_text_exist(readme: Path) -> None:
    for span in SPAN.findall(prose(readme)):
        if re.fullmatch(r"(?:\.{1,2}/)?[\w-]+(?:/[\w.-]+)+", span) and re.search(
            r"/$|\.\w+$", span
        ):
            places = (readme.parent / span, PROJECT_ROOT / span)
            assert any(place.exists() for place in places), span


@pytest.mark.parametrize("package", PACKAGES)
def test_tree_matches_the_folder(package: str) -> None:
    root, *lines = blocks(PROJECT_ROOT / package / "readme.md", "text")[0].splitlines()
    assert root == f"{package}/"
    folders = [PROJECT_ROOT / package]
    listed = set()
    for line in lines:
        indent, name = re.findall(r"^((?:  )+)(\S+) +\S", line)[0]
        path = folders[len(indent) // 2 - 1] / name
        assert path.is_dir() if name.endswith("/") else path.is_file(), line
        folders[len(indent) // 2 :] = [path]
        listed.add(path)

    tracked = printed("git", "ls-files", package).splitlines()
    for name in {path.split("/")[1] for path in tracked} - {"readme.md"}:
        path = PROJECT_ROOT / package / name
        assert path in listed or name.startswith("__") or not path.exists(), path


@every_readme
def test_python_examples_compile_and_their_imports_exist(readme: Path) -> None:
    for block in blocks(readme, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module or "")
                assert all(hasattr(module, name.name) for name in node.names), block


@pytest.mark.parametrize("package", ["database", "inference_worker"])
def test_glossary_is_sorted_without_duplicates(package: str) -> None:
    text = section(PROJECT_ROOT / package / "readme.md", "## Glossary")
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \| `[\w./]+` \|$", text, re.MULTILINE)
    terms = [row.lower() for row in rows]

    assert len(terms) > 5
    assert terms == sorted(set(terms))


def test_services_match_the_compose_files() -> None:
    services = yaml.safe_load((PROJECT_ROOT / "deploy" / "services.yml").read_text())["services"]
    text = section(PROJECT_ROOT / "deploy" / "readme.md", "## Containers")
    table = text.split("| service | purpose |")[1].split("\n\n")[0]

    assert set(re.findall(r"^\| `([\w-]+)`", table, re.MULTILINE)) == set(services)


def test_troubleshooting_messages_exist_in_the_code() -> None:
    text = section(PROJECT_ROOT / "deploy" / "readme.md", "### Troubleshooting")
    messages = [
        span
        for row in re.findall(r"^\| (`.+?) \|", text, re.MULTILINE)
        for span in SPAN.findall(row)
        if " " in span
    ]
    sources = "\n".join(
        node.value
        for package in ("database", "dataset", "inference_worker", "utils")
        for path in (PROJECT_ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )

    assert len(messages) > 5
    for message in messages:
        for part in filter(None, map(str.strip, message.split("..."))):
            assert part in sources, message
