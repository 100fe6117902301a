"""Privileges given up and resource limits set: the parts of the sandbox that every Unix has."""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import struct
import sys
from pathlib import Path

from coursekit.grading.results import Limits
from coursekit.grading.sandbox.libc import call

if sys.platform != "win32":  # where the kit can say that it cannot grade, but has to be importable
    import resource

_PR_SET_NO_NEW_PRIVS, _PR_CAPBSET_DROP, _PR_CAP_AMBIENT, _CLEAR_ALL = 38, 24, 47, 4
_CAPABILITY_VERSION_3 = 0x2008_0522
_LAST_CAPABILITY = 40
_GRACE_SECONDS = 5
_MEMORY_FOR_LOCKS = 64 << 10
_OPEN_FILES = 256
_MOST_DESCRIPTORS = 1 << 20


def give_up_privileges() -> None:
    """No program started from here on gains rights, and this one keeps no capability: root is then only an owner."""
    call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    for capability in range(_LAST_CAPABILITY + 1):
        with contextlib.suppress(OSError):  # unknown to this kernel, or never held
            call("prctl", _PR_CAPBSET_DROP, capability, 0, 0, 0)
    with contextlib.suppress(OSError):
        call("prctl", _PR_CAP_AMBIENT, _CLEAR_ALL, 0, 0, 0)
    header = ctypes.create_string_buffer(struct.pack("=Ii", _CAPABILITY_VERSION_3, 0))
    call("capset", header, ctypes.create_string_buffer(24))


def set_limits(limits: Limits, mapped: int, *, apart: bool) -> None:
    """Set the resource limits, hard, for this process, which maps `mapped` bytes already.

    The number of threads can be limited only where the process is `apart`, in a user namespace of its own: elsewhere the
    kernel counts everything that its user runs.
    """
    seconds = math.ceil(limits.wall_seconds * limits.threads) + _GRACE_SECONDS
    wanted = {
        "RLIMIT_AS": mapped + limits.memory_bytes,
        "RLIMIT_FSIZE": limits.file_bytes,
        "RLIMIT_CPU": seconds,
        "RLIMIT_NOFILE": _OPEN_FILES,
        "RLIMIT_CORE": 0,
        "RLIMIT_MEMLOCK": _MEMORY_FOR_LOCKS,
        "RLIMIT_MSGQUEUE": 0,
    }
    if apart:
        wanted["RLIMIT_NPROC"] = limits.processes
    for name, value in wanted.items():
        if hasattr(resource, name):
            number = getattr(resource, name)
            _, hard = resource.getrlimit(number)
            value = value if hard == resource.RLIM_INFINITY else min(value, hard)
            with contextlib.suppress(OSError, ValueError):  # macOS refuses some of them
                resource.setrlimit(number, (value, value))


def mapped_bytes() -> int:
    """Bytes of address space that this process has now."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:  # no /proc
        return 1 << 40
    return pages * os.sysconf("SC_PAGE_SIZE")


def close_above(keep: int) -> None:
    """Close every descriptor above `keep`."""
    os.closerange(keep + 1, _MOST_DESCRIPTORS)


def raise_descriptor_limit() -> None:
    """Allow as many open descriptors as the system lets us: the warm process holds one for each readable tree."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
