"""Own user, PID, mount, network and IPC namespaces, where the system allows them (namespaces(7)).

They are a second wall: Landlock and seccomp hold without them. What they add is that nothing can outlive a submission
(its process is the first of its PID namespace, and the kernel ends the others with it) and that its scratch folder is a
mount of limited size that vanishes with it.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from coursekit.grading.sandbox.libc import call

_NEWNS, _NEWCGROUP, _NEWUTS, _NEWIPC = 0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000
_NEWUSER, _NEWPID, _NEWNET = 0x1000_0000, 0x2000_0000, 0x4000_0000
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REC, _MS_PRIVATE = 2, 4, 8, 0x4000, 0x4_0000
_PR_SET_PDEATHSIG = 1
_OWN_PID_MAX = (6, 14)
"""The Linux from which on each PID namespace has a `pid_max` of its own; before, it is the machine's."""
_FEWEST_PIDS = 301


def die_with_parent() -> None:
    """End this process when the one that made it ends."""
    with contextlib.suppress(OSError):
        call("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def enclose() -> int | None:
    """Continue as the first process of new user and PID namespaces; returns the descriptor that `fork` needs.

    The process that called stays outside, waits, and ends as its child ends; whoever kills it kills all. Where the
    system allows no namespaces the caller itself continues, and None is returned. Call this before anything heavy is
    imported.
    """
    if not _allowed():
        return None
    _new_user_and(_NEWPID)
    inner = os.fork()
    if inner:
        _, status = os.waitpid(inner, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
    die_with_parent()
    return os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)


def fork(home: int | None) -> int:
    """`os.fork`, with the child as the first process of a PID namespace of its own; `home` comes from `enclose`."""
    if home is None:
        return os.fork()
    call("unshare", _NEWPID)
    child = -1
    try:
        child = os.fork()
    finally:
        if child:  # the caller, also when the fork failed
            call("setns", home, _NEWPID)
    if child == 0:
        _limit_threads()
    return child


def _limit_threads() -> None:
    """Allow this PID namespace, whose first process calls, no more threads than the kernel lets one say.

    The limit that holds for root too: RLIMIT_NPROC does not. Nothing is done where the figure would be the machine's.
    """
    version = re.match(r"(\d+)\.(\d+)", os.uname().release)
    if os.getpid() == 1 and version is not None and tuple(map(int, version.groups())) >= _OWN_PID_MAX:
        with contextlib.suppress(OSError):  # /proc may be read-only
            Path("/proc/sys/kernel/pid_max").write_text(str(_FEWEST_PIDS))


def separate(scratch: Path, size: int) -> bool:
    """Leave the network, IPC and mounts of the others; mount a scratch folder of `size` bytes. False where forbidden."""
    try:
        _new_user_and(_NEWNS | _NEWNET | _NEWIPC | _NEWUTS | _NEWCGROUP)
        call("mount", None, b"/", None, _MS_REC | _MS_PRIVATE, None)
        flags, options = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC, f"size={size},nr_inodes=10000,mode=0700".encode()
        call("mount", b"scratch", os.fsencode(scratch), b"tmpfs", flags, options)
    except OSError:
        return False
    return True


def available() -> bool:
    """Whether this system lets us make namespaces; asks a fresh interpreter, since trying cannot be undone."""
    code = f"from {__name__} import _allowed; raise SystemExit(not _allowed())"
    root = str(Path(__file__).parents[3])
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, check=False)
    return done.returncode == 0


def _allowed() -> bool:
    """Try everything in a fork: some systems allow the namespaces and then refuse what they are for."""
    if not sys.platform.startswith("linux"):
        return False
    child = os.fork()
    if child == 0:
        code = 1
        with contextlib.suppress(OSError):
            _new_user_and(_NEWPID)
            code = 0 if separate(Path("/"), 1 << 20) else 1
        os._exit(code)
    _, status = os.waitpid(child, 0)
    return status == 0


def _new_user_and(flags: int) -> None:
    """Enter a new user namespace, in which we are who we were, and with it the namespaces in `flags`."""
    user, group = os.getuid(), os.getgid()
    call("unshare", _NEWUSER | flags)
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        Path("/proc/self", name).write_text(text)
