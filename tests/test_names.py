"""No public name is defined in two modules, and no folder has too many files."""

import ast
import re
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath

import pytest

from utils.settings import PROJECT_ROOT

PACKAGES = ("dataset", "database", "inference_worker", "utils")
EXEMPT = {"main"}
MAX_FILES = 15

CAP_WORDS = re.compile(r"[A-Z][A-Za-z0-9]*[a-z][A-Za-z0-9]*")


def names_defined(statements: Iterable[ast.stmt]) -> Iterator[str]:
    """The classes, functions and type aliases at a module's top level."""
    for statement in statements:
        match statement:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield statement.name
            case ast.Assign(targets=targets):
                yield from filter(CAP_WORDS.fullmatch, map(ast.unparse, targets))
            case ast.AnnAssign(target=ast.Name(id=name)) if CAP_WORDS.fullmatch(name):
                yield name
            case ast.If() | ast.Try():
                branches = (statement.body, statement.orelse, getattr(statement, "finalbody", []))
                handlers = [handler.body for handler in getattr(statement, "handlers", [])]
                for branch in (*branches, *handlers):
                    yield from names_defined(branch)


def defined_twice(sources: Mapping[str, str]) -> list[str]:
    """A line for each public name that two modules define: the name, and where.

    Args:
        sources: Each module's path and source.
    """
    modules = defaultdict(set)
    for path, source in sources.items():
        for name in names_defined(ast.parse(source).body):
            if not name.startswith("_") and name not in EXEMPT:
                modules[name].add(path)
    return [
        f"{name}: {', '.join(sorted(paths))}"
        for name, paths in sorted(modules.items())
        if len(paths) > 1
    ]


def too_full(paths: Iterable[str]) -> list[str]:
    """A line for each folder below the root with more than MAX_FILES files."""
    counts = Counter(str(PurePosixPath(path).parent) for path in paths)
    return [
        f"{folder}: {count} files"
        for folder, count in sorted(counts.items())
        if count > MAX_FILES and folder != "."
    ]


def tracked_files(*pathspecs: str) -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", *pathspecs],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    return [path for path in listed if (PROJECT_ROOT / path).exists()]


def test_no_public_name_is_defined_in_two_modules() -> None:
    paths = tracked_files(*(f"{package}/*.py" for package in PACKAGES))
    assert len(paths) > 100

    duplicates = defined_twice({path: (PROJECT_ROOT / path).read_text() for path in paths})

    assert not duplicates, "Rename all but one:\n" + "\n".join(duplicates)


def test_no_folder_has_too_many_files() -> None:
    crowded = too_full(tracked_files())

    assert not crowded, f"More than {MAX_FILES} files; group them:\n" + "\n".join(crowded)


@pytest.mark.parametrize(
    ("one", "other", "name"),
    [
        ("class Reader: ...", "class Reader: ...", "Reader"),
        ("def read(): ...", "async def read(): ...", "read"),
        ("def report(): ...", "class report: ...", "report"),
        ("Vector = list[float]", "class Vector: ...", "Vector"),
        ("Vector: type = list", "Vector = list[float]", "Vector"),
        ("First = Vector = list", "class Vector: ...", "Vector"),
        ("if True:\n    class Reader: ...", "class Reader: ...", "Reader"),
        ("try: ...\nexcept E:\n    def read(): ...", "def read(): ...", "read"),
        ("def read(): ...", "if x: ...\nelse:\n    def read(): ...", "read"),
    ],
)
def test_duplicates_in_sample_modules_are_found(one: str, other: str, name: str) -> None:
    found = defined_twice({"a/one.py": one, "b/other.py": other, "c.py": "class Other: ..."})

    assert found == [f"{name}: a/one.py, b/other.py"]


@pytest.mark.parametrize(
    "source",
    [
        "def main(): ...",
        "def _read(): ...",
        "class _Row: ...",
        "_Row = tuple[str, int]",
        "log = getLogger(__name__)",
        "router = APIRouter()",
        "MAX_ROWS = 250",
        "T = TypeVar('T')",
        "from a import Reader",
        "class _Row:\n    def read(self): ...",
    ],
)
def test_other_names_may_repeat(source: str) -> None:
    assert defined_twice({"one.py": source, "other.py": source}) == []


def test_name_may_be_defined_twice_in_one_module() -> None:
    assert defined_twice({"one.py": "if x:\n    class A: ...\nelse:\n    class A: ..."}) == []


def test_full_folders_are_found() -> None:
    files = [f"a/b/{number}.py" for number in range(MAX_FILES)]
    root = [f"{number}.txt" for number in range(MAX_FILES + 1)]

    assert too_full([*root, *files, "a/1.py"]) == []
    assert too_full([*root, *files, "a/b/more.py"]) == ["a/b: 16 files"]
