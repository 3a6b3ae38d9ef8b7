"""The sandbox of the conversion process: no files, network, programs or signals."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from utils.settings import PROJECT_ROOT

pytestmark = pytest.mark.process

_ENTER = (
    "import ctypes, os, resource, signal, socket, subprocess, sys\n"
    "from pathlib import Path\n"
    "from dataset.conversion.isolation import sandbox\n"
    f"sandbox.enter(20, 1 << 30, Path({str(PROJECT_ROOT)!r}))\n"
)
_PYTHON = (sys.executable, "-P", "-B", "-c")
_ENVIRONMENT = {"PYTHONPATH": str(PROJECT_ROOT)}


def run_in_sandbox(code: str, folder: Path) -> str:
    """Run a line of Python in the sandbox; return its output or the name of its error."""
    guarded = f"try: {code}\nexcept BaseException as error: print(type(error).__name__)"
    ended = subprocess.run(
        [*_PYTHON, _ENTER + guarded],
        capture_output=True,
        cwd=folder,
        env=_ENVIRONMENT,
        text=True,
        timeout=60,
    )
    return ended.stdout.strip()


@pytest.mark.skipif(sys.platform != "linux", reason="seccomp needs Linux")
@pytest.mark.parametrize(
    "code",
    [
        "print(open('/etc/passwd').read())",
        "print(open('secret').read())",
        f"print(open({str(PROJECT_ROOT / 'pyproject.toml')!r}).read())",
        "print(os.listdir('/'))",
        "open('new', 'w')",
        "os.mkdir('new')",
        "os.unlink('secret')",
        "print(os.fork())",
        "os.execv('/bin/true', ['true'])",
        "print(subprocess.run(['/bin/true']))",
        "os.kill(os.getppid(), 0)",
    ],
)
def test_files_programs_and_processes_are_inaccessible(code: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret")
    assert run_in_sandbox(code, tmp_path) == "PermissionError"
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_network_is_blocked(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        python = run_in_sandbox(f"socket.create_connection(('127.0.0.1', {port}))", tmp_path)
        assert python == "OSError"
        if sys.platform == "linux":
            native = "print(ctypes.CDLL(None).socket(2, 1, 0))"
            assert run_in_sandbox(native, tmp_path) == "-1"


def test_memory_and_cpu_time_are_limited(tmp_path: Path) -> None:
    assert run_in_sandbox("print(len(bytes(2 << 30)))", tmp_path) == "MemoryError"
    limits = "print(*map(resource.getrlimit, (resource.RLIMIT_CPU, resource.RLIMIT_CORE)))"
    assert run_in_sandbox(limits, tmp_path) == "(21, 21) (0, 0)"


def test_standard_library_and_packages_can_be_imported(tmp_path: Path) -> None:
    code = "import xml.dom.minidom, selectolax.lexbor, docutils.core; print('imported')"
    assert run_in_sandbox(code, tmp_path) == "imported"


def test_conversion_runs_at_low_cpu_priority(tmp_path: Path) -> None:
    assert run_in_sandbox("print(os.nice(0) >= 5)", tmp_path) == "True"


@pytest.mark.skipif(sys.platform != "linux", reason="the OOM killer is Linux only")
def test_conversion_is_the_first_victim_of_the_oom_killer(tmp_path: Path) -> None:
    command = [*_PYTHON, _ENTER + "print('in', flush=True); sys.stdin.read()"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, cwd=tmp_path, env=_ENVIRONMENT
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"in\n"
        assert Path(f"/proc/{child.pid}/oom_score_adj").read_text() == "1000\n"
        child.communicate()
