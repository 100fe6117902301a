"""Where things are: the course's folder and its units. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from coursekit.errors import CourseError


@dataclass(frozen=True)
class Unit:
    """One unit: a lecture, an assignment and its solution under one name."""

    number: str
    topic: str

    @property
    def name(self) -> str:
        """Folder and notebook name, such as ``01_recurrent_networks``."""
        return f"{self.number}_{self.topic}"

    @property
    def package(self) -> str:
        """The package with the unit's exercises."""
        return f"coursekit.exercises.u{self.name}"

    @property
    def title(self) -> str:
        """Such as ``Conditional GANs``."""
        text = " ".join(_SHORT.get(word, word) for word in self.topic.split("_"))
        return text[0].upper() + text[1:]


_SHORT = {"gan": "GANs", "dcgan": "DCGAN"}

UNITS = (
    Unit("01", "recurrent_networks"),
    Unit("02", "input_optimization"),
    Unit("03", "autoencoders"),
    Unit("04", "gan"),
    Unit("05", "dcgan"),
    Unit("06", "conditional_gan"),
    Unit("07", "image_translation"),
    Unit("08", "text_to_image"),
)


def unit(name: str) -> Unit:
    """The unit with this number or folder name."""
    for candidate in UNITS:
        if name in (candidate.number, candidate.name):
            return candidate
    raise CourseError(f"unknown unit: got {name!r}, expected one of {', '.join(u.name for u in UNITS)}.")


@dataclass(frozen=True)
class Course:
    """A course folder: the sources that the kit ships and the folders that nbgrader fills beside them."""

    root: Path

    @classmethod
    def find(cls, start: Path | None = None) -> Course:
        """The course that `start` (default: the working directory) lies in."""
        here = (start or Path.cwd()).resolve()
        for folder in (here, *here.parents):
            if (folder / "nbgrader_config.py").is_file() and (folder / "solutions").is_dir():
                return cls(folder)
        raise CourseError(
            f"no course at {here} or above it: expected a folder with nbgrader_config.py and solutions/. "
            "Change into the course's folder, or name it with --course."
        )

    @property
    def lectures(self) -> Path:
        return self.root / "lectures"

    @property
    def solutions(self) -> Path:
        return self.root / "solutions"

    @property
    def assignments(self) -> Path:
        return self.root / "assignments"

    @property
    def submitted(self) -> Path:
        return self.root / "submitted"

    @property
    def autograded(self) -> Path:
        return self.root / "autograded"

    @property
    def feedback(self) -> Path:
        return self.root / "feedback"

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    @property
    def private(self) -> Path:
        """What grading keeps for itself: the lock, journals, secret seeds. For its owner's eyes only."""
        return self.root / ".grading"

    @property
    def gradebook(self) -> Path:
        return self.root / "gradebook.db"

    def solution(self, unit: Unit) -> Path:
        return self.solutions / unit.name / f"{unit.name}.ipynb"

    def assignment(self, unit: Unit) -> Path:
        return self.assignments / unit.name / f"{unit.name}.ipynb"
