"""The folder that a submission works in: made by the parent, filled before the sandbox closes, removed afterwards."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from coursekit.errors import InputError

_PREFIX = "coursekit-"
_OWNER = "owner"
"""A file that its maker keeps locked for as long as it lives."""


class Place:
    """A private folder for all that runs at a time. Who dies without removing it leaves that to the next one's `make`."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path, self._lock = path, lock

    @classmethod
    def make(cls) -> Place:
        """A new folder in the system's temporary folder; what dead makers left there goes."""
        _sweep()
        # Locked before it gets the name that others sweep by.
        draft = Path(tempfile.mkdtemp(prefix=f".{_PREFIX}"))
        lock = os.open(draft / _OWNER, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return cls(draft.rename(draft.with_name(draft.name[1:])), lock)

    def remove(self) -> None:
        """Remove it. Raises `OSError` where a submission made that impossible."""
        try:
            remove(self.path)
        finally:
            os.close(self._lock)

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *_: object) -> None:
        self.remove()


def _sweep() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # others sweep, too, and others' folders are theirs
            status = folder.lstat()
            if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
                continue
            lock = os.open(folder / _OWNER, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove(folder)
            finally:
                os.close(lock)


def fill(scratch: Path, files: Path, most_bytes: int) -> None:
    """Copy the regular files beneath `files`, notebooks apart; no link is followed and no hidden entry is taken."""
    for name, source in regular_files(files, most_bytes):
        target = scratch / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target, follow_symlinks=False)


def regular_files(files: Path, most_bytes: int) -> Iterator[tuple[Path, Path]]:
    """What `fill` copies: each file's path below `files`, and in full. Raises `InputError` where they are too large."""
    left = most_bytes
    for folder, names, entries in os.walk(files, followlinks=False):
        names[:] = [name for name in names if not name.startswith(".")]
        for name in entries:
            source = Path(folder, name)
            status = source.lstat()
            if name.startswith(".") or name.endswith(".ipynb") or not stat.S_ISREG(status.st_mode):
                continue
            left -= status.st_size
            if left < 0:
                raise InputError.of(
                    "files beside the notebook",
                    got=f"more than {most_bytes} bytes",
                    expected="less",
                    do="Raise Limits.scratch_bytes, or remove the files.",
                )
            yield source.relative_to(files), source


def remove(folder: Path) -> None:
    """Remove a folder that a stranger may have filled: nested without end, unreadable, full of links.

    Nothing else may write to it any more. Works level by level, lifting subfolders to the top, so that neither the
    recursion nor a path gets deep.
    """
    names = (folder / f"{secrets.token_hex(8)}-{count}" for count in itertools.count())
    waiting = [folder]
    while waiting:
        current = waiting.pop()
        for entry in list(os.scandir(current)):
            if entry.is_dir(follow_symlinks=False):
                lifted = next(names)
                os.chmod(entry.path, 0o700)  # a folder that cannot be written cannot be moved either
                os.rename(entry.path, lifted)
                waiting.append(lifted)
            else:
                os.unlink(entry.path)
        if current != folder:
            current.rmdir()
    folder.rmdir()
