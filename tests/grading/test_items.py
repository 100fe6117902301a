"""Item analysis: numbers that can be worked out by hand, and none where there are too few."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from nbformat import NotebookNode
from room import UNIT, first, judged, keys, right, solution

from coursekit.checks.judge import Verdict
from coursekit.course import Course
from coursekit.grading.assess import Examiner, Submission, SubmissionResult, answer_cell
from coursekit.grading.batch import Batch
from coursekit.grading.items import ENOUGH, correlation, items, mistakes, own_lines
from coursekit.grading.report import write_report


def result(student: str, passed: Mapping[str, bool], base: SubmissionResult) -> SubmissionResult:
    def part(verdict: Verdict, right: bool) -> Verdict:
        return replace(verdict, parts=tuple(replace(p, status="passed" if right else "failed") for p in verdict.parts))

    return replace(base, student=student, verdicts={n: part(v, passed[n]) for n, v in base.verdicts.items()})


@pytest.fixture
def base(release: NotebookNode) -> SubmissionResult:
    return judged(release, "base", right())


def classroom(base: SubmissionResult, table: list[tuple[int, int, int]]) -> list[SubmissionResult]:
    return [result(f"s{k}", dict(zip(keys(), map(bool, row))), base) for k, row in enumerate(table)]


def test_discrimination_is_the_corrected_item_total_correlation(base: SubmissionResult) -> None:
    """Worked out by hand from the points, without the item in the total."""
    table = [(1, 1, 1)] * 4 + [(1, 0, 0)] * 2 + [(0, 1, 0)] * 1 + [(0, 0, 1)] * 1 + [(0, 0, 0)] * 4
    results = classroom(base, table)
    worth = [keys()[name].question.points for name in keys()]
    rows = [[p * w for p, w in zip(row, worth)] for row in table]
    for k, name in enumerate(keys()):
        x, y = [row[k] for row in rows], [sum(row) - row[k] for row in rows]
        mx, my = sum(x) / 12, sum(y) / 12
        cov = sum((a - mx) * (b - my) for a, b in zip(x, y))
        expected = cov / (sum((a - mx) ** 2 for a in x) * sum((b - my) ** 2 for b in y)) ** 0.5
        [item] = [i for i in items(results) if i.exercise == name]
        assert item.discrimination == pytest.approx(expected) and item.discrimination > 0.3
        assert item.share == sum(row[k] for row in table) / 12 and item.full == sum(row[k] for row in table)
    shares = [item.share for item in items(results)]
    assert shares == sorted(shares)


def test_an_item_against_the_rest_is_told(base: SubmissionResult) -> None:
    results = classroom(base, [(1, 0, 0)] * 6 + [(0, 1, 1)] * 6)
    [item] = [i for i in items(results) if i.exercise == first()]
    assert item.discrimination == pytest.approx(-1.0) and item.verdict == "look at it"


def test_a_small_class_gets_no_discrimination(base: SubmissionResult, course: Course, release: NotebookNode) -> None:
    table = [(1, 1, 1), (0, 0, 0)] * (ENOUGH // 2)
    unreadable = Examiner(UNIT, 1).unreadable(Submission("lost", None), "no JSON")
    enough, few = classroom(base, table), [*classroom(base, table[:-1]), unreadable]
    assert all(i.discrimination == pytest.approx(1.0) and i.verdict == "good" for i in items(enough))
    assert all(i.discrimination is None and i.verdict == "" for i in items(few))  # the unreadable one does not count
    page = write_report(course, Batch(UNIT, few)).read_text()
    assert page.count("not given</span>") == len(keys()) and f"below {ENOUGH} submissions" in page
    assert "not given</span>" not in write_report(course, Batch(UNIT, enough)).read_text()


def test_what_does_not_vary_has_no_correlation(base: SubmissionResult) -> None:
    assert correlation([1, 1, 1], [1, 2, 3]) is None and correlation([1, 2, 3], [1, 1, 1]) is None
    assert all(i.discrimination is None for i in items(classroom(base, [(1, 1, 1)] * 12)))
    assert items([]) == []


def test_time_is_that_of_those_who_answered(base: SubmissionResult) -> None:
    times = [0.1, 0.2, 0.9]
    results = [replace(base, student=f"s{k}", exercise_seconds={first(): t}) for k, t in enumerate(times)]
    idle = replace(base, student="idle", exercise_seconds={first(): 0.0})
    verdict = idle.verdicts[first()]
    missing = replace(verdict, parts=tuple(replace(p, status="missing") for p in verdict.parts))
    idle = replace(idle, verdicts={**idle.verdicts, first(): missing})
    [item] = [i for i in items([*results, idle]) if i.exercise == first()]
    assert (item.seconds, item.slowest, item.idle) == (0.2, 0.9, 1)


def mistaken(release: NotebookNode, student: str, text: str, k: int = 0) -> SubmissionResult:
    key = keys()[first()]
    made = judged(release, student, {**right(), first(): key.bundle(key.mistakes[k].answer)})
    return replace(made, answers={answer_cell(first()): text})


def test_mistakes_come_with_students_own_lines(course: Course, release: NotebookNode) -> None:
    """By frequency, each text once, no more than three, without what was handed out."""
    released = "def f(x):\n    raise NotImplementedError()\n"
    texts = [
        "def f(x):\n    return x + 1",
        "def f(x):\n    return x + 1\n",
        "def f(x):\n    return x + 2",
        "def f(x):\n    <b>",
    ]
    results = [mistaken(release, f"s{k}", text) for k, text in enumerate([*texts, "def f(x):\n    return 4"])]
    results.append(mistaken(release, "other", "def f(x):\n    return 0", k=1))
    often, once = mistakes(results, {answer_cell(first()): released}, lambda r: r.answers)
    key = keys()[first()]
    assert (often.name, often.count, often.hint) == (key.mistakes[0].name, 5, key.mistakes[0].hint) and once.count == 1
    assert often.examples == (("s0", "return x + 1"), ("s2", "return x + 2"), ("s3", "<b>"))
    page = write_report(course, Batch(UNIT, results)).read_text()
    assert "    &lt;b&gt;</pre>" in page and "return x + 2" in page and key.mistakes[0].hint.split("`")[0] in page
    shown = page[: page.index("<h2>Students")]
    assert "s0" not in shown
    assert (
        "s0"
        in (named := write_report(course, Batch(UNIT, results), names=True).read_text())[: named.index("<h2>Students")]
    )


def test_own_lines_are_cut_to_a_screenful() -> None:
    text = "\n".join(f"line {k} {'x' * 300}" for k in range(40))
    lines = own_lines(text, "").splitlines()
    assert len(lines) == 15 and lines[-1] == "… 26 more lines" and max(map(len, lines)) == 200
    assert own_lines(solution(first()), solution(first())) == ""
