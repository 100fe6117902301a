"""Everything the kit raises on purpose.

::

    CoursekitError
    ├── InputError            a value handed to the kit is not what it needs
    ├── CourseError           the course folder is not laid out as expected
    ├── ExerciseError         an exercise is unknown, or declared inconsistently
    ├── NotebookError         a notebook cannot be read or mended
    ├── EvidenceError         a frame from a worker is malformed, too large or out of place
    ├── SandboxUnavailable    this system cannot contain a stranger's code
    ├── GradebookError        the gradebook cannot be opened, or belongs to another course
    └── TrainingError         a run diverged

A message says what was wrong, what was got, what was expected, and what to do.
"""

from __future__ import annotations


class CoursekitError(Exception):
    """Base of every error that the kit raises on purpose."""


class InputError(CoursekitError, ValueError):
    """A value handed to the kit is not what it needs."""

    @classmethod
    def of(cls, what: str, *, got: object, expected: str, do: str) -> InputError:
        return cls(f"{what}: got {got!r}, expected {expected}. {do}")


class CourseError(CoursekitError):
    """The course folder is not laid out as expected."""


class ExerciseError(CoursekitError):
    """An exercise is unknown, or declared inconsistently."""


class NotebookError(CoursekitError):
    """A notebook cannot be read or mended."""


class EvidenceError(CoursekitError):
    """A frame from a worker is malformed, too large or out of place."""


class SandboxUnavailable(CoursekitError):
    """This system cannot contain a stranger's code."""


class GradebookError(CoursekitError):
    """The gradebook cannot be opened, or belongs to another course."""


class TrainingError(CoursekitError):
    """A run diverged."""
