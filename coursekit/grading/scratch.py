"""The folder that a submission works in: made by the parent, filled before the sandbox closes, removed afterwards."""

from __future__ import annotations

import itertools
import os
import secrets
import shutil
import stat
from pathlib import Path

from coursekit.errors import InputError


def fill(scratch: Path, files: Path, most_bytes: int) -> None:
    """Copy the regular files beneath `files`, notebooks apart; no link is followed and no hidden entry is taken."""
    left = most_bytes
    for folder, names, entries in os.walk(files, followlinks=False):
        names[:] = [name for name in names if not name.startswith(".")]
        target = scratch / Path(folder).relative_to(files)
        target.mkdir(exist_ok=True)
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
            shutil.copyfile(source, target / name, follow_symlinks=False)


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
