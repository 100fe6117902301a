"""The practice bank: what a check needs, as plain data, for a student's edition that holds no answer key.

For each exercise it stores the draws of the practice seed, the evidence of the reference, and that of every mistake
with its hint. So a student's check names the mistake without a line of the reference being at hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coursekit.checks.codec import pack, unpack
from coursekit.checks.declare import Evidence, Inputs
from coursekit.checks.judge import LiveExpectation
from coursekit.course import Unit, unit
from coursekit.exercises import catalogue

FOLDER = Path(__file__).parent / "practice"


@dataclass(frozen=True)
class StoredExpectation:
    inputs: list[Inputs]
    expected: list[Evidence]
    mistakes: dict[str, tuple[str, list[Evidence]]]


def build(of: Unit, seed: int) -> bytes:
    """The bank of a unit, as bytes."""
    entries: dict[str, Any] = {}
    for identifier, key in catalogue.keys(of).items():
        live = LiveExpectation(key, seed)
        hidden = {part.name for part in key.question.parts if not part.compared}
        expected = [{name: found for name, found in e.items() if name not in hidden} for e in live.expected]
        mistakes = {
            name: [hint, [{n: f for n, f in e.items() if n not in hidden} for e in evidence]]
            for name, (hint, evidence) in live.mistakes.items()
        }
        entries[identifier] = {"inputs": live.inputs, "expected": expected, "mistakes": mistakes}
    return pack(entries)


def load(identifier: str) -> StoredExpectation | None:
    """The stored expectation of an exercise, or None where there is no bank."""
    entry = _entries(unit(identifier.partition(".")[0])).get(identifier)
    if entry is None:
        return None
    mistakes = {name: (hint, evidence) for name, (hint, evidence) in entry["mistakes"].items()}
    return StoredExpectation(entry["inputs"], entry["expected"], mistakes)


def _entries(of: Unit) -> dict[str, Any]:
    path = FOLDER / f"{of.name}.bank"
    entries: dict[str, Any] = unpack(path.read_bytes()) if path.is_file() else {}
    return entries
