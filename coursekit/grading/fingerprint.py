"""What a grade depends on, as short digests: the submission, the release, and the code that asks and judges."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import stat
from collections.abc import Iterable
from pathlib import Path

import coursekit
from coursekit import shipped
from coursekit.course import Course, Unit
from coursekit.grading.assess import Submission

_PACKAGE = Path(coursekit.__file__).parent
_LAYERS = ("checks", "datasets", "metrics", "grading")
_MODULES = ("course.py", "errors.py", "files.py", "runtime.py", "shipped.py")
_LIBRARIES = ("torch", "numpy", "ipython")
_CHUNK = 1 << 20


def of_submission(submission: Submission) -> str:
    """Of all that is graded: the notebook, the files beside it, and when it was handed in."""
    digest = hashlib.sha256(repr(submission.timestamp).encode())
    notebook = Path(submission.notebook)
    _add(digest, notebook, notebook.name)
    if submission.folder is not None and not os.path.islink(submission.folder):
        for folder, names, entries in os.walk(submission.folder, followlinks=False):
            names[:] = sorted(name for name in names if not name.startswith("."))
            for name in sorted(entries):
                if not name.endswith(".ipynb"):
                    _add(digest, Path(folder, name), os.path.relpath(os.path.join(folder, name), submission.folder))
    return digest.hexdigest()


def of_release(course: Course, of: Unit) -> str:
    """Of the assignment as it was handed out."""
    digest = hashlib.sha256()
    _add(digest, course.assignment(of), of.name)
    return digest.hexdigest()


def of_checks(of: Unit) -> str:
    """Of all that a unit's grades depend on besides: code with the answer keys, shipped weights, libraries."""
    digest = _asking(of)
    _add_code(digest, (_PACKAGE / "exercises" / f"u{of.name}" / "known").rglob("*.py"))
    _add(digest, shipped.folder() / "manifest.json", "manifest")
    return digest.hexdigest()


def of_worker(of: Unit) -> str:
    """Of what runs beside a submission: the asking side and its libraries, no answer key."""
    return _asking(of).hexdigest()


def _asking(of: Unit) -> hashlib._Hash:
    digest = hashlib.sha256(coursekit.__version__.encode())
    for name in _LIBRARIES:
        digest.update(f"{name} {importlib.metadata.version(name)}\n".encode())
    exercises = _PACKAGE / "exercises"
    _add_code(digest, [*exercises.glob("*.py"), *(exercises / f"u{of.name}" / "asked").rglob("*.py")])
    _add_code(digest, (path for layer in _LAYERS for path in (_PACKAGE / layer).rglob("*.py")))
    _add_code(digest, (_PACKAGE / name for name in _MODULES))
    return digest


def _add_code(digest: hashlib._Hash, paths: Iterable[Path]) -> None:
    for path in sorted(paths):
        _add(digest, path, path.relative_to(_PACKAGE).as_posix())


def _add(digest: hashlib._Hash, path: Path, name: str) -> None:
    """A file's name and content; of what is no file, or cannot be read, what it is instead."""
    digest.update(f"\n{name}\n".encode("utf-8", "replace"))
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            digest.update(f"mode {stat.S_IFMT(status.st_mode)}".encode())
            return
        digest.update(f"{status.st_size}\n".encode())
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        digest.update(f"error {error.errno}".encode())
