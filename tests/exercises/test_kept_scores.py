"""Scores of several notebooks, kept in one file."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from coursekit.checks.judge import PartVerdict, Verdict
from coursekit.exercises import progress
from coursekit.exercises.progress import remember, store


def passed(name: str, value: float) -> Verdict:
    return Verdict(f"01.{name}", name, (PartVerdict("all", "everything", value, "passed"),))


def test_two_notebooks_at_once_lose_no_score(monkeypatch: pytest.MonkeyPatch) -> None:
    read = progress.__globals__["_read"]

    def slow() -> dict[str, float]:
        scores = read()
        time.sleep(0.01)  # long enough for the other one to read the same
        return scores

    monkeypatch.setitem(progress.__globals__, "_read", slow)
    names = [f"exercise_{k}" for k in range(12)]
    with ThreadPoolExecutor(max_workers=4) as several:
        list(several.map(lambda name: remember(passed(name, 2.0)), names))
    assert json.loads(store().read_text()) == {f"01.{name}": 2.0 for name in names}


def test_the_best_score_stays_and_nothing_half_written_is_left() -> None:
    for value in (1.0, 3.0, 2.0):
        remember(passed("again", value))
    assert json.loads(store().read_text()) == {"01.again": 3.0}
    assert {path.name for path in store().parent.iterdir()} == {"progress.json", "progress.lock"}
