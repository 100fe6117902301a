"""Which exercises there are: found by looking into the units' packages, registered nowhere."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import pkgutil
from types import ModuleType
from typing import TypeVar

from coursekit.checks.declare import Key, ManualQuestion, Question, Rubric
from coursekit.course import UNITS, Unit, unit
from coursekit.errors import ExerciseError


@functools.cache
def sections(of: Unit) -> tuple[ModuleType, ...]:
    """The modules that ask a unit's questions, in order of their names."""
    return _modules(f"{of.package}.asked")


def questions(of: Unit) -> tuple[Question, ...]:
    """A unit's questions, in order."""
    return tuple(q for module in sections(of) for q in _members(module, Question))


def manual_questions(of: Unit) -> tuple[ManualQuestion, ...]:
    return tuple(q for module in sections(of) for q in _members(module, ManualQuestion))


def units() -> tuple[Unit, ...]:
    """The units that have exercises."""
    return tuple(u for u in UNITS if importlib.util.find_spec(u.package) is not None)


def question(identifier: str) -> Question:
    """The question with this id, such as ``"01.unroll"``."""
    found = _by_id(unit(identifier.partition(".")[0])).get(identifier)
    if found is None:
        close = _close(identifier)
        raise ExerciseError(f"unknown exercise {identifier!r}{f': did you mean {close!r}?' if close else '.'}")
    return found


@functools.cache
def _by_id(of: Unit) -> dict[str, Question]:
    found: dict[str, Question] = {}
    if importlib.util.find_spec(of.package) is None:
        return found
    for q in questions(of):
        if q.id in found:
            raise ExerciseError(f"two exercises are called {q.id!r}: rename one.")
        found[q.id] = q
    return found


@functools.cache
def keys(of: Unit) -> dict[str, Key]:
    """A unit's answer keys by question id, in the order of the questions. Empty where the knowing side is absent."""
    found = {key.question.id: key for module in _known(of) for key in _members(module, Key)}
    return {q.id: found[q.id] for q in questions(of) if q.id in found}


@functools.cache
def rubrics(of: Unit) -> dict[str, Rubric]:
    return {r.question.id: r for module in _known(of) for r in _members(module, Rubric)}


def key(identifier: str) -> Key | None:
    """The answer key of a question, or None where the knowing side is absent (a student's edition)."""
    return keys(unit(identifier.partition(".")[0])).get(identifier)


def _known(of: Unit) -> tuple[ModuleType, ...]:
    package = f"{of.package}.known"
    return _modules(package) if importlib.util.find_spec(package) is not None else ()


def _modules(package: str) -> tuple[ModuleType, ...]:
    home = importlib.import_module(package)
    names = sorted(info.name for info in pkgutil.iter_modules(home.__path__) if not info.name.startswith("_"))
    return tuple(importlib.import_module(f"{package}.{name}") for name in names)


T = TypeVar("T")


def _members(module: ModuleType, kind: type[T]) -> list[T]:
    return [value for value in vars(module).values() if isinstance(value, kind)]


def _close(identifier: str) -> str:
    import difflib

    known = [q.id for u in units() for q in questions(u)]
    return next(iter(difflib.get_close_matches(identifier, known, n=1)), "")
