"""An instructor's day with a learning platform: download, collect, grade, hand the points back."""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from room import NAME, SANDBOX, UNIT, filled, full, gradebook, hand_in, keys, none

from coursekit.cli import main
from coursekit.course import Course
from coursekit.grading.host import students

TRUST = [] if SANDBOX else ["--trust-submissions"]
WORKSHEET = """\
Identifier,"Full name","ID number","Email address",Status,Grade,"Maximum grade"
"Participant 501","José O'Neil",jose,jose@example.org,"Submitted",,8
"Participant 502","Ada Ng",ada,ada@example.org,"Submitted",,8
"Participant 503","Zed Last",zed,zed@example.org,"No submission",,8
"""


def download(path: Path, release: NotebookNode) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"José O'Neil_501_assignsubmission_file_/{NAME}", nbformat.writes(filled(release)))
        archive.writestr(f"Ada Ng_502_assignsubmission_file_/{NAME}", nbformat.writes(release))
        archive.writestr(f"Stranger_999_assignsubmission_file_/{NAME}", nbformat.writes(filled(release)))
    return path


def test_from_moodles_download_to_its_worksheet(
    course: Course, release: NotebookNode, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    roster = tmp_path / "worksheet.csv"
    roster.write_text(WORKSHEET, encoding="utf-8")
    hand_in(course, "before", filled(release))  # collected at another time: not this download's business
    words = [str(download(tmp_path / "all.zip", release)), "--roster", str(roster)]
    assert main(["--course", str(course.root), "grade", *words, *TRUST]) == 0
    said = capsys.readouterr().out
    assert "collected 2 submissions (layout: moodle)" in said
    assert "unmatched: Stranger (999) (not in the roster)" in said and "nothing from: zed" in said
    assert f"grading 2 submissions of {UNIT.name}" in said
    assert gradebook(course) == {"jose": full(), "ada": none()}
    assert {p.id: (p.full_name, p.lms_id) for p in students(course)} == {
        "jose": ("José O'Neil", "501"),
        "ada": ("Ada Ng", "502"),
        "zed": ("Zed Last", "503"),
    }

    assert main(["--course", str(course.root), "export", "--format", "moodle"]) == 0
    rows = {row["Identifier"]: row["Grade"] for row in csv.DictReader(io.StringIO(capsys.readouterr().out))}
    worth = sum(key.question.points for key in keys().values())
    assert rows == {"Participant 501": f"{worth:g}", "Participant 502": "0", "Participant 503": ""}

    # The next download needs no roster: the gradebook knows the numbers.
    assert main(["--course", str(course.root), "collect", words[0]]) == 0
    said = capsys.readouterr().out
    assert (
        "collected 3 submissions" in said and "note" not in said
    )  # jose and ada unchanged; the stranger under their number
    assert (course.submitted / "999" / UNIT.name / NAME).is_file() and not (course.submitted / "501").exists()


def test_collect_says_what_is_wrong(course: Course, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--course", str(course.root), "collect", str(tmp_path / "absent")]) == 2
    assert capsys.readouterr().err.startswith("coursekit collect: nothing to collect at ")
    (tmp_path / "dl").mkdir()
    (tmp_path / "dl" / "al.zip").write_bytes(b"no zip")
    assert main(["--course", str(course.root), "collect", str(tmp_path / "dl"), "--into", str(tmp_path / "in")]) == 1
    assert "refused: al: al.zip: not a sound zip file" in capsys.readouterr().out
    assert (tmp_path / "in" / "al" / UNIT.name).is_dir() and not course.submitted.exists()
