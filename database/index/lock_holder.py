"""The process that holds the build lock: what it records of itself, and whether it has exited.

A PID means something only within one PID namespace: two containers may have the same hostname and
each a process 1. So a holder of another namespace, or of a version that did not record its
namespace, is never judged by its PID; its heartbeat decides.
"""

import os
import socket
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import psutil

LockPurpose = Literal["build", "change"]

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_PID_NAMESPACE = Path("/proc/self/ns/pid")

active_owners: set[str] = set()
"""The owner ids of the locks that this process holds or is acquiring."""


def describe_this_process(purpose: LockPurpose) -> dict[str, Any]:
    """The metadata of a lock that this process acquires, with a new owner id."""
    return {
        "owner": uuid.uuid4().hex,
        "host": socket.gethostname(),
        "namespace": _pid_namespace(),
        "pid": os.getpid(),
        "born": _start_time(os.getpid()),
        "since": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
        "purpose": purpose,
    }


def describe_holder(holder: Mapping[str, Any]) -> str:
    """Name a holder in a message."""
    return f"process {holder.get('pid')} on {holder.get('host')}, since {holder.get('since')}"


def is_change(holder: Mapping[str, Any]) -> bool:
    """True if the holder changes a few documents; False for a build."""
    return holder.get("purpose") == "change"


def is_local(holder: Mapping[str, Any]) -> bool:
    """True if the holder's PID can be looked up here: same host, same boot, same PID namespace."""
    return bool(
        holder.get("host") == socket.gethostname() and holder.get("namespace") == _pid_namespace()
    )


def has_exited(holder: Mapping[str, Any]) -> bool:
    """True if the holder is local and its process has exited, or released the lock in an outage."""
    if not is_local(holder):
        return False
    pid = int(holder["pid"])
    born = _start_time(pid)
    if not psutil.pid_exists(pid):
        return True
    # Some systems hide the start time of other users' processes.
    if born and holder.get("born") and born != holder["born"]:
        return True
    return pid == os.getpid() and holder.get("owner") not in active_owners


def _pid_namespace() -> str:
    """Boot id and inode of this process's PID namespace; "" where the system has none."""
    try:
        return f"{_BOOT_ID.read_text().strip()}/{_PID_NAMESPACE.stat().st_ino}"
    except OSError:
        return ""


def _start_time(pid: int) -> str:
    """When a process started, in a form that no clock adjustment changes; "" if unreadable.

    On Linux that is the boot id and the clock ticks since boot: psutil's wall-clock time is
    computed from the clock as it is now.
    """
    if not _BOOT_ID.exists():
        try:
            return str(psutil.Process(pid).create_time())
        except psutil.Error:
            return ""
    try:
        _, _, after_name = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")
        # Field 22; field 2 is the process's name, which may contain spaces and parentheses.
        return f"{_BOOT_ID.read_text().strip()}/{int(after_name.split()[19])}"
    except OSError:
        return ""
