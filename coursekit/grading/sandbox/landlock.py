"""Landlock: which files a process may touch, by tree, for good (Linux 5.13 and later; landlock(7)).

A ruleset names the rights it handles; whatever no rule grants beneath a tree is refused afterwards. Landlock does not
watch chmod, chown, utime, xattr calls or stat: the first four are refused by `seccomp`, and stat tells no content.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from coursekit.grading.sandbox.libc import call

_CREATE, _ADD, _RESTRICT = 444, 445, 446  # the same number on every architecture
_VERSION_FLAG = 1
_PATH_BENEATH = 1

WRITE_FILE, READ_FILE, READ_DIR = 1 << 1, 1 << 2, 1 << 3
REMOVE_DIR, REMOVE_FILE = 1 << 4, 1 << 5
MAKE_DIR, MAKE_REG, MAKE_SYM = 1 << 7, 1 << 8, 1 << 12
REFER, TRUNCATE = 1 << 13, 1 << 14

_RIGHTS_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
_ONLY_FOR_FILES = WRITE_FILE | READ_FILE | TRUNCATE
_NET = 0b11  # bind and connect TCP, since ABI 4
_SCOPE_SOCKETS, _SCOPE_SIGNALS = 0b01, 0b10  # since ABI 6

NAMES = READ_DIR
READ = READ_FILE | READ_DIR
DEVICE = READ_FILE | WRITE_FILE
OWN = READ | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | MAKE_SYM | REFER | TRUNCATE


class _RulesetAttributes(ctypes.Structure):
    _fields_ = [("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64)]


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = [("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32)]


@dataclass(frozen=True)
class Grant:
    """Rights beneath an opened tree (or on one file)."""

    descriptor: int
    rights: int

    @classmethod
    def on(cls, path: Path, rights: int) -> Grant | None:
        """The grant, or None where there is no such path."""
        try:
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            return None
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _ONLY_FOR_FILES
        return cls(descriptor, rights)


def abi() -> int:
    """The version of Landlock that the kernel offers; 0 where it offers none."""
    try:
        return call("syscall", _CREATE, None, 0, _VERSION_FLAG)
    except OSError:
        return 0


def restrict(grants: Iterable[Grant]) -> None:
    """From here on the process can do to files only what `grants` says. Needs no_new_privs; cannot be undone."""
    version = abi()
    handled = _RIGHTS_BY_ABI[min(version, 5)]
    ruleset = _create(version, handled)
    try:
        for grant in grants:
            if grant.rights & handled:
                rule = _PathBeneath(grant.rights & handled, grant.descriptor)
                call("syscall", _ADD, ruleset, _PATH_BENEATH, rule, 0)
        call("syscall", _RESTRICT, ruleset, 0)
    finally:
        os.close(ruleset)


def _create(version: int, handled: int) -> int:
    net = _NET if version >= 4 else 0
    scopes = [_SCOPE_SOCKETS | _SCOPE_SIGNALS, _SCOPE_SOCKETS] if version >= 6 else [0]
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    for scope in scopes:
        try:
            return call("syscall", _CREATE, _RulesetAttributes(handled, net, scope), size, 0)
        except OSError as error:  # some kernels say ABI 6 and know no signal scope: seccomp refuses those signals too
            if error.errno != errno.EINVAL or scope == scopes[-1]:
                raise
    raise AssertionError("unreachable")
