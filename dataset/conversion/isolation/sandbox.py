"""Restricts the process that parses an untrusted file, before it does.

Limits on CPU time, memory and files are set wherever Python has `resource`. On Linux two more are
set where the kernel supports them: seccomp denies sockets, other programs and other processes;
Landlock denies every file but Python's own. Without seccomp, only Python code is denied the network
(`socket.socket` is replaced), which a parser's native code could circumvent.
"""

import contextlib
import ctypes
import os
import platform
import resource
import signal
import socket
import struct
import sys
from pathlib import Path

_NICENESS = 5
"""Answering questions has priority."""
_PR_SET_PDEATHSIG = 1
_PR_SET_SECCOMP = 22
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_MODE_FILTER = 2
_SECCOMP_RET_ALLOW = 0x7FFF0000
_SECCOMP_RET_ERRNO = 0x00050000
_EPERM = 1
_NOT_A_NATIVE_CALL = 0x40000000
"""From here on the numbers are of x86-64's second table (x32), which the filter does not list."""

_LANDLOCK_CREATE_RULESET = 444
_LANDLOCK_ADD_RULE = 445
_LANDLOCK_RESTRICT_SELF = 446
_ALL_FILE_RIGHTS = (1 << 13) - 1
"""All rights of Landlock's first version: execute, write, read, list, remove and make."""
_EXECUTE, _READ_FILE, _READ_FOLDER = 1 << 0, 1 << 2, 1 << 3
_READABLE = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib")
"""Folders of the shared libraries that Python's own modules load."""

# socket, socketpair, connect, bind, sendto, sendmsg, execve, execveat, fork, vfork, clone, clone3,
# ptrace, process_vm_readv and _writev, kill, tkill, tgkill, pidfd_send_signal, io_uring_setup.
_REFUSED_CALLS = {
    "x86_64": (
        0xC000003E,
        (41, 53, 42, 49, 44, 46, 59, 322, 57, 58, 56, 435, 101, 310, 311, 62, 200, 234, 424, 425),
    ),
    "aarch64": (
        0xC00000B7,
        (198, 199, 203, 200, 206, 211, 221, 281, 220, 435, 117, 270, 271, 129, 130, 131, 424, 425),
    ),
}


def enter(seconds: float, memory_bytes: int, package_root: Path) -> None:
    """Drop every right that parsing does not need; no parser may be imported before.

    Args:
        seconds: CPU time; the caller limits the elapsed time.
        memory_bytes: Address space.
        package_root: The folder of the project's packages, which stay readable.
    """
    os.nice(_NICENESS)
    with contextlib.suppress(OSError):  # out of memory, the kernel kills this process first
        Path("/proc/self/oom_score_adj").write_text("1000")
    _limit(resource.RLIMIT_CPU, int(seconds) + 1)
    _limit(resource.RLIMIT_NOFILE, 64)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_AS, memory_bytes)
    socket.socket = _NoSocket  # type: ignore[misc]
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        # The parent may be killed; this process must end with it.
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        _deny_other_files(libc, package_root)
        _deny_system_calls(libc)


def _limit(which: int, maximum: int) -> None:
    # A lower limit that is already set stays; some systems lack this kind of limit.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(which, (maximum, maximum))


class _NoSocket(socket.socket):
    def __init__(self, *_: object, **__: object) -> None:
        raise OSError("the network is closed here")


def _deny_system_calls(libc: ctypes.CDLL) -> None:
    """Deny system calls that open sockets, start programs or reach other processes (seccomp)."""
    if platform.machine() not in _REFUSED_CALLS or ctypes.sizeof(ctypes.c_void_p) != 8:
        return
    architecture, refused = _REFUSED_CALLS[platform.machine()]
    load, equal, above, respond = 0x20, 0x15, 0x35, 0x06
    refusal = _SECCOMP_RET_ERRNO | _EPERM
    steps = [
        (load, 0, 0, 4),
        (equal, 1, 0, architecture),
        (respond, 0, 0, refusal),
        (load, 0, 0, 0),
        (above, len(refused) + 1, 0, _NOT_A_NATIVE_CALL),
        *((equal, len(refused) - at, 0, call) for at, call in enumerate(refused)),
        (respond, 0, 0, _SECCOMP_RET_ALLOW),
        (respond, 0, 0, refusal),
    ]
    program = b"".join(struct.pack("=HBBI", *step) for step in steps)
    code = ctypes.create_string_buffer(program, len(program))
    filter_ = struct.pack("@HP", len(steps), ctypes.addressof(code))
    libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, filter_, 0, 0)


def _deny_other_files(libc: ctypes.CDLL, package_root: Path) -> None:
    """Deny every file but those that Python imports from (Landlock)."""
    rights = struct.pack("=Q", _ALL_FILE_RIGHTS)
    rules = libc.syscall(_LANDLOCK_CREATE_RULESET, rights, len(rights), 0)
    if rules < 0:
        return
    own = (package_root / "dataset", package_root / "utils")
    imported = (entry for entry in sys.path if entry and Path(entry) != package_root)
    for place in {*_READABLE, *map(str, own), *imported, sys.base_prefix + "/lib"}:
        _allow_reading(libc, rules, place)
    libc.syscall(_LANDLOCK_RESTRICT_SELF, rules, 0)
    os.close(rules)


def _allow_reading(libc: ctypes.CDLL, rules: int, place: str) -> None:
    try:
        opened = os.open(place, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        folder = os.path.isdir(place)  # noqa: PTH112 (an entry of sys.path, unchanged)
        allowed = _EXECUTE | _READ_FILE | (_READ_FOLDER if folder else 0)
        libc.syscall(_LANDLOCK_ADD_RULE, rules, 1, struct.pack("=Qi", allowed, opened), 0)
    finally:
        os.close(opened)
