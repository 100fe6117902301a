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
    │   └── GradebookLocked   another process holds the gradebook and does not let go
    ├── CourseBusy            another run is grading this course
    ├── JournalError          what a batch has done cannot be written down
    ├── SchedulerError        the cluster that submissions run on cannot be used
    ├── DataAbsent            a real data set or pretrained network is not on this machine
    ├── DataFileError         a file of a real data set or pretrained network is corrupt, or not in its format
    ├── ShippedFileError      a file of data/ is absent, corrupt or does not fit
    ├── TrainingError         a run diverged
    └── CheckpointError       a checkpoint is corrupt, or belongs to another run

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


class GradebookLocked(GradebookError):
    """Another process holds the gradebook and does not let go."""


class CourseBusy(CoursekitError):
    """Another run is grading this course."""


class JournalError(CoursekitError):
    """What a batch has done cannot be written down, so it cannot go on."""


class SchedulerError(CoursekitError):
    """The cluster that submissions run on cannot be used."""


class TrainingError(CoursekitError):
    """A run diverged."""


class CheckpointError(CoursekitError):
    """A checkpoint is corrupt, or belongs to another run."""


class ShippedFileError(CoursekitError):
    """A file of data/ is absent, corrupt or does not fit."""


class DataAbsent(CoursekitError):
    """A real data set or pretrained network is not on this machine."""


class DataFileError(CoursekitError):
    """A file of a real data set or pretrained network is corrupt, or not in its format."""

    @classmethod
    def of(cls, path: object, *, got: str, expected: str, do: str = "") -> DataFileError:
        return cls(f"{path}: got {got}, expected {expected}. {do or 'Remove the file and fetch it again.'}")
