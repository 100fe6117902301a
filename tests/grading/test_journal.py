"""The journal: what is written down is found again, and nothing else is believed."""

from __future__ import annotations

import dataclasses
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from nbformat import NotebookNode
from room import UNIT, first, hand_in, judged, keys, right

from coursekit.course import Course
from coursekit.errors import JournalError
from coursekit.grading import fingerprint, keep
from coursekit.grading.assess import Examiner, Submission, SubmissionResult
from coursekit.grading.collect import collect
from coursekit.grading.journal import Journal

TERMS: dict[str, Any] = {"scope": {"students": None}, "release": "r", "checks": "c", "seed": None}


def opened(course: Course, **changed: Any) -> Journal:
    return Journal(course, UNIT, {**TERMS, **changed})


@pytest.fixture
def al(release: NotebookNode) -> SubmissionResult:
    mistaken = right()
    mistaken[first()] = keys()[first()].mistakes[0].answer
    return judged(release, "al", mistaken, detail="ümläut", notes=("one", "two"))


def file(course: Course) -> Path:
    return course.private / UNIT.name / "journal.jsonl"


def test_a_result_comes_back_as_it_was(al: SubmissionResult) -> None:
    """All of it, up to what autograded/ holds; a field that is added must be kept, too."""
    unreadable = Examiner(UNIT, 1).unreadable(Submission("bea", None), "broken")
    for result in (al, unreadable):
        plain = json.loads(json.dumps(keep.as_plain(result)))
        again = keep.from_plain(plain, UNIT)
        assert again == dataclasses.replace(result, notebook=None, answers={})
        assert (again.scores(), again.comments()) == (result.scores(), result.comments())
    assert al.notebook is not None and al.answers and al.verdicts[first()].diagnosis is not None


def test_a_batch_goes_on_with_its_draws_until_it_is_complete(course: Course, al: SubmissionResult) -> None:
    with opened(course) as journal:
        assert not journal.resumed
        journal.append("digest", {"x": 1.0}, al)
    with opened(course) as again:
        assert again.resumed and (again.seed, again.batch) == (journal.seed, journal.batch)
        entry = again.last["al"]
        assert (entry.work, entry.was, entry.result.scores()) == ("digest", {"x": 1.0}, al.scores())
        assert again.done("al", "digest") and not again.done("al", "other") and not again.done("bea", "digest")
        again.finish()
    assert list(file(course).parent.glob("*.seed")) == []
    with opened(course) as new:
        assert not new.resumed and new.seed != journal.seed
        assert new.last["al"].result.scores() == al.scores() and not new.done("al", "digest")


@pytest.mark.parametrize("changed", [{"release": "other"}, {"checks": "other"}, {"seed": 5}])
def test_other_terms_begin_anew(course: Course, al: SubmissionResult, changed: dict[str, Any]) -> None:
    with opened(course) as journal:
        journal.append("digest", None, al)
    with opened(course, **changed) as other:
        assert not other.resumed and not other.done("al", "digest")
        assert other.seed == changed.get("seed", other.seed) != journal.seed
    with opened(course) as back:  # superseded: it is not taken up behind the back of what came later
        assert not back.resumed


def test_a_choice_of_students_does_not_end_the_batch_of_all(course: Course, al: SubmissionResult) -> None:
    with opened(course) as journal:
        journal.append("digest", None, al)
        journal.append("digest", None, dataclasses.replace(al, student="bea"))
    with opened(course, scope={"students": ["al"]}) as some:
        some.append("digest", {}, al)
        some.finish()
    with opened(course) as again:
        assert again.resumed and again.seed == journal.seed
        assert again.done("bea", "digest") and not again.done("al", "digest")  # graded later, with other draws


@pytest.mark.parametrize("tail", ['{"done": "torn', "\0" * 40, "[]\n", '{"done": 3, "result": {}}\n', "no json\n"])
def test_what_is_torn_was_not_written(course: Course, al: SubmissionResult, tail: str) -> None:
    with opened(course) as journal:
        journal.append("digest", None, al)
    with file(course).open("a") as stream:
        stream.write(tail)
    with opened(course) as again:
        assert again.resumed and set(again.last) == {"al"}
        again.append("digest", None, dataclasses.replace(al, student="bea"))
    with opened(course) as third:
        assert set(third.last) == {"al", "bea"}


def test_a_full_disk_stops_the_batch_and_leaves_no_half_a_line(
    course: Course, al: SubmissionResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(course) as journal:
        journal.append("digest", None, al)
        whole = file(course).read_bytes()
        real = os.write

        def full(descriptor: int, data: Any) -> int:
            if len(data) > 10:
                return real(descriptor, bytes(data)[:10])
            raise OSError(28, "No space left on device")

        with (
            monkeypatch.context() as patch,
            pytest.raises(JournalError, match=r"No space left.*run the same command again"),
        ):
            patch.setattr(os, "write", lambda d, data: full(d, data) if len(data) != 10 else full(d, b""))
            journal.append("digest", None, dataclasses.replace(al, student="bea"))
        assert file(course).read_bytes() == whole
        journal.append("digest", None, dataclasses.replace(al, student="cy"))
    with opened(course) as again:
        assert set(again.last) == {"al", "cy"}


def test_a_journal_that_cannot_be_written_is_told(course: Course) -> None:
    course.private.write_text("a file where a folder should be")
    with pytest.raises(JournalError, match="cannot be written"):
        opened(course)


def test_the_seed_is_its_owners_alone_and_only_the_latest_results_are_kept(
    course: Course, al: SubmissionResult
) -> None:
    for _ in range(3):
        with opened(course) as journal:
            [seed] = file(course).parent.glob("*.seed")
            assert stat.S_IMODE(seed.stat().st_mode) == 0o600 and int(seed.read_text()) == journal.seed
            assert stat.S_IMODE(seed.parent.stat().st_mode) == 0o700
            assert str(journal.seed) not in file(course).read_text()
            journal.append("digest", None, al)
            journal.finish()
    with opened(course):
        assert file(course).read_text().count('"done"') == 1


def test_a_seed_that_is_gone_means_a_new_batch(course: Course, al: SubmissionResult) -> None:
    with opened(course) as journal:
        journal.append("digest", None, al)
    next(file(course).parent.glob("*.seed")).unlink()
    with opened(course) as other:
        assert not other.resumed and not other.done("al", "digest")


def test_a_submission_is_known_by_all_that_is_graded(course: Course, release: NotebookNode) -> None:
    path = hand_in(course, "al", "{}")

    def digest() -> str:
        [submission] = collect(course.submitted, UNIT)
        return fingerprint.of_submission(submission)

    seen = [digest()]
    assert digest() == seen[0]
    path.write_text("{ }")
    seen.append(digest())
    (path.parent / "weights.bin").write_bytes(b"1")
    seen.append(digest())
    (path.parent / "weights.bin").write_bytes(b"2")
    seen.append(digest())
    (path.parent / "timestamp.txt").write_text("2026-01-01 10:00:00 UTC")
    seen.append(digest())
    path.unlink()
    seen.append(digest())
    path.symlink_to("/etc/passwd")
    seen.append(digest())
    assert len(set(seen)) == len(seen)
