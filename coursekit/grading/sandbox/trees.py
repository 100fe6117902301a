"""What a submission may read: the Python installation, system libraries and the student's part of coursekit."""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

import coursekit
from coursekit.grading.sandbox.landlock import DEVICE, NAMES, READ

PACKAGE = Path(coursekit.__file__).resolve().parent

SYSTEM = (
    "/usr/lib", "/usr/lib64", "/usr/local/lib", "/lib", "/lib64", "/etc/ld.so.cache",  # shared libraries
    "/usr/share/fonts", "/usr/share/zoneinfo", "/etc/localtime",
    "/sys/devices/system/cpu", "/proc/cpuinfo", "/proc/meminfo",  # asked by numerical libraries
    "/dev/urandom", "/dev/random", "/dev/zero",
)  # fmt: skip


def known_sides() -> list[Path]:
    """What must never be read where strangers' code runs: the answer keys, and the grader itself."""
    return [*PACKAGE.glob("exercises/*/known"), PACKAGE / "grading"]


def visible(hidden: Iterable[Path] = (), extra: Iterable[Path] = ()) -> dict[Path, int]:
    """Path -> Landlock rights. `hidden` is left out of any tree it lies in; `extra` is readable on top."""
    secret = frozenset(path.resolve() for path in (*hidden, *known_sides()))
    rights: dict[Path, int] = {}
    for tree in (*_installation(), *map(Path, SYSTEM), *extra):
        for path, granted in _without(tree.resolve(), secret | {PACKAGE}):
            rights[path] = rights.get(path, 0) | granted
    rights.update(_without(PACKAGE, secret))
    rights[Path("/dev/null")] = DEVICE
    return rights


def _installation() -> Iterator[Path]:
    for name in ("stdlib", "platstdlib", "purelib", "platlib"):
        yield Path(sysconfig.get_path(name))
    for prefix in (sys.prefix, sys.base_prefix):
        yield Path(prefix, "lib")
    yield from map(Path, site.getsitepackages())
    if site.ENABLE_USER_SITE:
        yield Path(site.getusersitepackages())


def _without(tree: Path, secret: frozenset[Path]) -> Iterator[tuple[Path, int]]:
    """A tree less what is secret in it. Landlock only ever adds, so a tree around a secret is granted child by child;
    of its own it keeps the right to list names, which the import system needs."""
    if tree in secret:
        return
    if not any(path.is_relative_to(tree) for path in secret):
        yield tree, READ
        return
    yield tree, NAMES
    for child in os.scandir(tree):
        yield from _without(Path(child.path).resolve(), secret)
