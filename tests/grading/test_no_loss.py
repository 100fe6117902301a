"""Whenever a batch is cut off: after the next run every submission has exactly one grade, that of an undisturbed run."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
from nbformat import NotebookNode
from room import KIT, TRUST, UNIT, filled, full, gradebook, hand_in, judged, none, right

from coursekit.course import Course
from coursekit.errors import CourseBusy, CoursekitError, GradebookLocked, JournalError
from coursekit.grading import batch as batch_module
from coursekit.grading import host, recording
from coursekit.grading.assess import Submission, SubmissionResult
from coursekit.grading.batch import Batch, grade
from coursekit.grading.collect import collect
from coursekit.grading.journal import Journal
from coursekit.grading.lock import alone
from coursekit.grading.report import feedback_path, report_path
from coursekit.grading.scratch import Place

NAMES = ("al", "bea", "cy")


class Killed(BaseException):
    """Stands for a process that is no more: nobody catches it, and nothing is tidied up after it."""


class Room:
    """A class in which nothing is run; counts what would have been."""

    def __init__(self, course: Course, release: NotebookNode) -> None:
        self.course, self.release, self.ran = course, release, list[str]()

    def assess(self, submissions: Iterable[Submission], *_: Any) -> Iterator[SubmissionResult]:
        for submission in submissions:
            self.ran.append(submission.student)
            yield judged(self.release, submission.student, {} if submission.student == "bea" else right())

    def grade(self, **more: Any) -> Batch:
        self.ran.clear()
        return grade(collect(self.course.submitted, UNIT), UNIT, self.course, **more)

    def whole(self) -> None:
        """All is there, as if nothing had happened."""
        assert gradebook(self.course) == {"al": full(), "bea": none(None), "cy": full()}
        for name in NAMES:
            assert feedback_path(self.course, name, UNIT).is_file()
            nbformat.read(self.course.autograded / name / UNIT.name / f"{UNIT.name}.ipynb", as_version=4)
        page = report_path(self.course, UNIT).read_text()
        assert all(name in page for name in NAMES)


@pytest.fixture
def room(course: Course, release: NotebookNode, monkeypatch: pytest.MonkeyPatch) -> Room:
    for name in NAMES:
        hand_in(course, name, filled(release))
    found = Room(course, release)
    monkeypatch.setattr(batch_module, "_Warming", contextlib.nullcontext)
    monkeypatch.setattr(batch_module, "_assess", found.assess)
    return found


STEPS: list[tuple[Any, str]] = [
    (recording, "write_autograded"),
    (recording, "write_feedback"),
    (Journal, "append"),
    (host.Ledger, "record_all"),
    (Journal, "finish"),
]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("step", "student"),
    [(step, student) for step in STEPS for student in NAMES if step[1] != "finish" or student == "al"],
    ids=lambda value: value if isinstance(value, str) else value[1],
)
def test_cut_off_at_any_step(
    room: Room, monkeypatch: pytest.MonkeyPatch, step: tuple[Any, str], student: str, after: bool
) -> None:
    owner, name = step
    real, calls = getattr(owner, name), list[int]()
    monkeypatch.setattr(recording, "GROUP", 1)  # the gradebook's turn comes after each

    def dies(*args: Any, **more: Any) -> Any:
        calls.append(1)
        if len(calls) != NAMES.index(student) + 1:
            return real(*args, **more)
        if after:
            real(*args, **more)
        raise Killed

    with monkeypatch.context() as patch, contextlib.suppress(Killed):
        patch.setattr(recording.Recorder, "close", lambda self: None)  # a process that is killed closes nothing
        patch.setattr(owner, name, dies)
        room.grade()
    again = room.grade()
    room.whole()
    assert [r.student for r in again.results] == list(NAMES)
    if name == "record_all":
        assert again.resumed == NAMES.index(student) + 1 == 3 - len(room.ran)
    room.grade()
    assert room.ran == list(NAMES)  # a complete batch is not taken up again


def test_what_was_done_is_told_and_what_changed_is_graded_anew(room: Room) -> None:
    stop(room, "cy")
    hand_in(room.course, "al", filled(room.release, {}))
    (feedback_path(room.course, "bea", UNIT)).unlink()
    told: list[int] = []
    again = room.grade(on_start=lambda done, since: told.append(done))
    assert sorted(room.ran) == ["al", "bea"] and told == [again.resumed] == [1]
    room.whole()


def test_a_new_release_is_graded_anew_and_so_is_all_on_request(room: Room) -> None:
    stop(room, "bea")
    assert room.grade(anew=True).resumed == 0
    stop(room, "bea")
    path = room.course.assignment(UNIT)
    path.write_text(path.read_text() + "\n")
    assert room.grade().resumed == 0 and len(room.ran) == 3


def stop(room: Room, student: str) -> None:
    def at(result: SubmissionResult) -> None:
        if result.student == student:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        room.grade(on_result=at)


def test_a_gradebook_that_was_moved_away_is_filled_again(room: Room) -> None:
    stop(room, "cy")
    room.course.gradebook.unlink()
    assert room.grade().resumed == 3 and room.ran == []
    room.whole()


@contextlib.contextmanager
def held(course: Course) -> Iterator[None]:
    """Another process is in the middle of writing to the gradebook."""
    with contextlib.closing(sqlite3.connect(course.gradebook, isolation_level=None)) as other:
        other.execute("begin exclusive")
        yield
        other.execute("rollback")


def test_a_locked_gradebook_is_waited_for_then_told_and_nothing_is_lost(
    room: Room, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(host, "_LOCK_SECONDS", 0.05)
    monkeypatch.setattr(recording, "PATIENCE", 0.2)
    monkeypatch.setattr(recording, "GROUP", 1)
    stack = contextlib.ExitStack()
    with stack:
        done = room.grade(on_start=lambda *_: stack.enter_context(held(room.course)))
        assert len(done.failures) == 3 and "held by another process; the result is in the journal" in done.failures[0]
    assert "waiting for another process to let go" in capsys.readouterr().err
    assert gradebook(room.course) == {}
    again = room.grade()
    assert again.resumed == 3 and room.ran == [] and again.failures == []
    room.whole()
    with (
        held(room.course),
        pytest.raises(GradebookLocked, match=r"another process holds it.*nothing that was done is lost"),
    ):
        recording.open_ledger(room.course, UNIT, patience=0.1)


@pytest.mark.parametrize("where", ["write_autograded", "write_feedback"])
def test_a_full_disk_stops_the_batch_and_the_next_run_completes_it(
    room: Room, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    real = getattr(recording, where)

    def full_disk(course: Course, result: SubmissionResult) -> Any:
        if result.student == "bea":
            raise OSError(errno.ENOSPC, "No space left on device", "/somewhere/page")
        return real(course, result)

    with (
        monkeypatch.context() as patch,
        pytest.raises(JournalError, match=r"/somewhere/page.*No space left.*same command"),
    ):
        patch.setattr(recording, where, full_disk)
        room.grade()
    assert gradebook(room.course) == {"al": full()}
    assert room.grade().resumed == 1
    room.whole()


@pytest.mark.skipif(not (sys.platform == "linux" and os.geteuid() == 0), reason="mounting a small disk needs root")
def test_a_disk_that_is_really_full(room: Room, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no mount here: {mounted.stderr.decode()}")
    try:
        subprocess.run(["cp", "-r", str(room.course.root), str(disk)], check=True)
        room.course = Course(disk / "course")
        filler = disk / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(b"0" * 4096)
        os.truncate(filler, filler.stat().st_size - 16_384)  # room for a beginning, not for a page of each
        try:
            told = room.grade().failures
        except (CoursekitError, OSError) as error:
            told = [str(error)]
        assert told
        filler.unlink()
        assert room.grade().failures == []
        room.whole()
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_two_runs_exclude_each_other(room: Room) -> None:
    with alone(room.course), pytest.raises(CourseBusy, match=rf"process {os.getpid()} "):
        room.grade()
    assert room.ran == []


def test_results_are_kept_without_notebooks(room: Room) -> None:
    assert all(r.notebook is None and not r.answers for r in room.grade().results)


SLEEPS = "import time\nfor _ in range(20):\n    time.sleep(0.1)\nprint('slept')"


@pytest.mark.slow
@pytest.mark.parametrize("who", ["all", "parent"])
def test_a_machine_that_sleeps_times_nobody_out(who: str, tmp_path: Path) -> None:
    """All processes, or the parent alone, stand still for longer than a submission may take."""
    code = (
        "from coursekit.grading.pool import Pool\n"
        "from coursekit.grading.results import CellJob, Limits, SubmissionJob\n"
        f"jobs = [SubmissionJob(key=str(k), cells=(CellJob(0, {SLEEPS!r}),)) for k in range(2)]\n"
        f"with Pool(jobs=1, limits=Limits(cell_seconds=5.0, wall_seconds=5.0, grace_seconds=1.0), trust={TRUST}) as pool:\n"
        "    print('ready', flush=True)\n"
        "    for run in pool.run(jobs):\n"
        "        print(run.ending, run.detail, run.cells[0].outputs[0]['text'].strip(), flush=True)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(KIT), "TMPDIR": str(tmp_path)}
    with psutil.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout.readline() == "ready\n"
        time.sleep(0.5)
        chosen = [parent, *(parent.children(recursive=True) if who == "all" else [])]
        for process in chosen:
            process.send_signal(signal.SIGSTOP)
        time.sleep(8.0)
        for process in chosen:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)
        said, _ = parent.communicate(timeout=60)
    assert said.splitlines() == ["finished  slept", "finished  slept"]


def test_what_a_dead_run_left_in_the_temporary_folder_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    leaves = (
        "import os, tempfile; tempfile.tempdir = os.environ['PLACE']\n"
        "from coursekit.grading.scratch import Place\n"
        "place = Place.make(); (place.path / 'rest').write_text('x'); print(place.path, flush=True); os.kill(os.getpid(), 9)"
    )
    environment = {**os.environ, "PYTHONPATH": str(KIT), "PLACE": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", leaves], env=environment, capture_output=True, text=True)
    dead = Path(done.stdout.strip())
    assert (dead / "rest").exists() and dead.parent == tmp_path
    foreign = tmp_path / "coursekit-of-somebody"
    foreign.mkdir()
    with Place.make() as mine, Place.make() as other:
        assert not dead.exists()
        assert sorted(tmp_path.iterdir()) == sorted([foreign, mine, other])  # whoever lives keeps theirs
    assert list(tmp_path.iterdir()) == [foreign]
