"""Pages and tables say what happened; nothing that a student wrote can act in them."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from nbformat import NotebookNode
from room import UNIT, first, judged, keys, right

from coursekit.course import Course
from coursekit.grading.assess import Examiner, Submission, SubmissionResult, answer_cell
from coursekit.grading.batch import Batch
from coursekit.grading.report import as_csv, feedback_path, line, report_path, table, write_feedback, write_report

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


class Page(HTMLParser):
    """A page's tags, links and text; well-formed as far as it opens and closes."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.policy = self.language = self.text = ""
        self._open: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        assert self._open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        self.tags.append(tag)
        assert not any(name.startswith("on") for name in values)
        self.links += [values["href"] or ""] if tag == "a" else []
        self.language = self.language or values.get("lang") or ""
        if tag == "meta" and values.get("http-equiv") == "Content-Security-Policy":
            self.policy = values["content"] or ""
        if tag not in ("meta", "br", "img"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def safe(page: Page) -> None:
    assert "script" not in page.tags and "img" not in page.tags
    assert "default-src 'none'" in page.policy and page.language == "en"


def evil(release: NotebookNode) -> SubmissionResult:
    def answer(*_: Any) -> None:
        raise ValueError(EVIL)

    result = judged(release, EVIL.replace("/", "|"), {first(): answer}, detail=EVIL, notes=(EVIL,))
    return replace(result, answers={answer_cell(first()): EVIL})


def test_feedback_names_the_mistake_and_shows_the_code(course: Course, release: NotebookNode) -> None:
    key = keys()[first()]
    result = judged(release, "al", {**right(), first(): key.bundle(key.mistakes[0].answer)})
    page = Page(write_feedback(course, result))
    safe(page)
    assert key.mistakes[0].name in page.text and key.question.title in page.text
    assert result.answers[answer_cell(first())].splitlines()[0] in page.text
    assert f"{result.earned:g} of {result.possible:g} automatic points" in page.text
    assert "Graded by a person, not counted here: Why?." in page.text
    assert feedback_path(course, "al", UNIT) == course.feedback / "al" / UNIT.name / f"{UNIT.name}.html"


def test_nothing_that_a_student_wrote_acts(course: Course, release: NotebookNode) -> None:
    result = evil(release)
    page = Page(write_feedback(course, result))
    safe(page)
    assert page.text.count("<script>alert(1)</script>") >= 4  # detail, note, exception, code: shown as text
    report = Page(write_report(course, Batch(UNIT, [result], failures=[EVIL])))
    safe(report)
    assert report.text.count("onerror=alert(1)") >= 4


@pytest.mark.parametrize("name", ["al", "a b#c?d&e", "50%25", 'qu"ote', "Zoë"])
def test_the_report_links_to_the_feedback(course: Course, release: NotebookNode, name: str) -> None:
    result = judged(release, name, right())
    target = write_feedback(course, result)
    page = Page(write_report(course, Batch(UNIT, [result])))
    paths = [unquote(urlsplit(link).path) for link in page.links]  # as a browser takes a link apart
    assert [(report_path(course, UNIT).parent / path).resolve() for path in paths] == [target.resolve()]


def test_without_feedback_there_is_no_dead_link(course: Course, release: NotebookNode) -> None:
    page = Page(write_report(course, Batch(UNIT, [judged(release, "al", right())])))
    assert page.links == [] and "al" in page.text


def test_the_report_sums_up_the_class(course: Course, release: NotebookNode) -> None:
    key = keys()[first()]
    wrong = {**right(), first(): key.bundle(key.mistakes[0].answer)}
    batch = Batch(UNIT, [judged(release, n, a) for n, a in (("al", right()), ("bea", wrong), ("cy", wrong))])
    batch.results.append(Examiner(UNIT, 1).unreadable(Submission("dee", None), "no JSON"))
    page = Page(write_report(course, batch))
    safe(page)
    earned = [r.earned for r in batch.results]
    assert f"4 submissions · mean {sum(earned) / 4:.1f} of {batch.results[0].possible:g}" in page.text
    assert f"median {sum(sorted(earned)[1:3]) / 2:.1f}" in page.text
    assert "unreadable: no JSON" in page.text
    assert f"{key.mistakes[0].name} (2)" in page.text
    told = table(batch.results).splitlines()
    assert told[0] == "3 scored, 1 unreadable"
    assert key.question.title in told[1] and f"{key.mistakes[0].name} (2)" in told[1]  # the hardest comes first


def test_a_class_of_none_is_no_error(course: Course) -> None:
    assert "0 submissions" in Page(write_report(course, Batch(UNIT))).text
    assert table([]) == ""


def test_scores_as_csv(course: Course, release: NotebookNode) -> None:
    results = [judged(release, name, right()) for name in ("al", "=1+1", "@x", "-1", "a,b\n\"c'")]
    write_report(course, Batch(UNIT, results))
    text = report_path(course, UNIT).with_name("scores.csv").read_text()
    assert text == as_csv(results).replace("\r\n", "\n")
    rows = list(csv.DictReader(io.StringIO(as_csv(results), newline="")))
    assert [row["student"] for row in rows] == ["al", "'=1+1", "'@x", "'-1", "a,b\n\"c'"]
    assert {name: float(rows[0][name]) for name in keys()} == {n: k.question.points for n, k in keys().items()}
    assert float(rows[0]["earned"]) == float(rows[0]["possible"]) == results[0].possible


def test_one_line_for_one_submission(release: NotebookNode) -> None:
    result = judged(release, "al", right(), ending="timed out", detail="cell 3 stopped")
    possible = f"{result.possible:g}"
    assert " ".join(line(result).split()) == f"al {possible}/{possible} timed out (cell 3 stopped)"
