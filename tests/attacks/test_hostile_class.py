"""Whole submissions that attack the grader: nothing gets out, nobody's points change, honest accidents cost nothing.

A sample of every class is graded in one batch, with honest students in it; ``benchmarks/attacks.py`` runs the whole
catalogue, as an ordinary user and as root, and against plain nbgrader.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from arena import Row, attacked_unit, coursekit_grade, make_template, play
from attack import Attack, Kind
from browser import CHROMIUM, acts, formgraded
from every_attack import ATTACKS
from room import needs_sandbox
from vandalism import HTML

SLOW = re.compile(
    "deaf|never returns|explodes|sleep|deadlock|never ends|billion|compute|GB|huge|doubles|full disk|small files|zip|flood|"
    "quarter|pictures|without a limit|100 MB|thousand|50 MB|then silence|home folder|daemon|left-over|late|200 MB|too big|"
    "plots|download|torch's defaults|meta|30 MB|catches the time"
)
"""What takes a second or more of the processor, or waits for a limit."""
_QUICK = [attack for attack in ATTACKS.values() if not SLOW.search(attack.name)]
SAMPLE = [
    attack
    for place, attack in enumerate(_QUICK)
    if place % 4 == 0 or attack.proof in ("browser", "spreadsheet", "terminal")
]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    with attacked_unit():
        return make_template(tmp_path_factory.mktemp("template") / "course", root / "nbgrader_config.py")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("played")


@pytest.fixture(scope="module")
def rows(template: Path, place: Path) -> Iterator[dict[str, Row]]:
    """What came of the sample."""
    with attacked_unit():
        played = play(template, place, SAMPLE, coursekit_grade(jobs=2, cell=3, wall=15), {})
        yield {row.name: row for row in played}


def test_the_catalogue_is_whole() -> None:
    counts = Counter(attack.kind for attack in ATTACKS.values())
    assert set(counts) == set(get_args(Kind)) and min(counts.values()) >= 15
    assert len(ATTACKS) >= 80
    assert {attack.kind for attack in SAMPLE} == set(counts)
    assert all(attack.tries and attack.ends for attack in ATTACKS.values())


@needs_sandbox
def test_nothing_gets_out_and_every_score_is_exact(rows: dict[str, Row]) -> None:
    faults = [row for row in rows.values() if row.name in ATTACKS and fault(row, ATTACKS[row.name])]
    assert not faults, "\n".join(map(str, faults))
    assert rows["the class"].breaches == []
    assert len(rows) == len(SAMPLE) + 1


def fault(row: Row, attack: Attack) -> bool:
    return bool(not row.contained or row.forged or row.lost or row.ending not in attack.ends)


OPEN = {
    "read the instructor's file": "shows the secret",
    "write outside": "made ",
    "change the instructor's file": "changed ",
    "TCP": "reached a listener",
    "an abstract Unix socket": "reached a listener",
    "overwrite another submission": "changed ",
    "processes": "says: BREACH",
}
"""Harmless to a machine that lets them through; what the watch must then have seen."""


@needs_sandbox
def test_the_watch_sees_what_gets_out_without_a_sandbox(template: Path, tmp_path: Path) -> None:
    names = [*OPEN, "signal a bystander", "a daemon"]
    with attacked_unit():
        command = [*coursekit_grade(jobs=2, cell=8, wall=30), "--trust-submissions"]
        rows = {row.name: row for row in play(template, tmp_path, [ATTACKS[name] for name in names], command, {})}
    for name, sign in OPEN.items():
        assert not rows[name].contained
        assert any(sign in what for what in (*rows[name].breaches, *rows["the class"].breaches)), rows[name]
    shared = " ".join(rows["the class"].breaches)
    assert "signalled a bystander" in shared and "left a process" in shared, shared
    assert "z-honest was to get" in shared, shared


needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")


@needs_sandbox
@needs_browser
def test_no_page_acts_in_a_browser(rows: dict[str, Row], place: Path) -> None:
    """Feedback, the class report, and the autograded notebook as formgrader shows it; each without its policy."""
    course = place / "course"
    names = {row.student for row in rows.values() if row.name in ATTACKS and ATTACKS[row.name].proof == "browser"}
    assert len(names) > 5
    feedback = [page.read_text("utf-8") for page in course.glob("feedback/*/*/*.html") if page.parts[-3] in names]
    shown = [
        formgraded(page, page.parts[-3]) for page in course.glob("autograded/*/*/*.ipynb") if page.parts[-3] in names
    ]
    [report] = course.glob("reports/*/index.html")
    assert len(feedback) == len(shown) == len(names)
    assert acts("\n".join([*feedback, report.read_text("utf-8")])) == ""
    assert acts("\n".join(shown)) == ""


@needs_browser
@pytest.mark.parametrize("html", [HTML[1], HTML[6]], ids=["an event", "a link"])
def test_the_browser_sees_what_acts(html: str) -> None:
    assert acts(f"<!doctype html><html><body>{html}</body></html>") != ""
