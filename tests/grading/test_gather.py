"""Downloads of every platform land in nbgrader's layout, under the right names, and what does not fit is listed."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest
from room import NAME, UNIT

from coursekit.course import UNITS
from coursekit.errors import CourseError
from coursekit.grading.gather import Gathered, as_text, gather
from coursekit.grading.roster import Person, Roster
from coursekit.grading.unpack import ZipLimits

CLASS = Roster(
    [
        Person("joneil", "José", "O'Neil", "jose@example.org", "501", "joneil"),
        Person("ang", "Ada", "Ng", "ada@example.org", "502", "ang"),
        Person("zed", "Zed", "Last", "zed@example.org", "503", "zed"),
    ]
)


def tree(root: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def zipped(path: Path, files: dict[str, str | bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def held(into: Path) -> dict[str, str]:
    return {p.relative_to(into).as_posix(): p.read_text() for p in sorted(into.rglob("*")) if p.is_file()}


def notebook(student: str) -> str:
    return f"{student}/{UNIT.name}/{NAME}"


@pytest.fixture
def into(tmp_path: Path) -> Path:
    return tmp_path / "submitted"


MOODLE = {
    f"José O'Neil_501_assignsubmission_file_/{NAME}": "jose",
    "José O'Neil_501_assignsubmission_file_/parity.safetensors": "weights",
    "José O'Neil_501_assignsubmission_file_/timestamp.txt": "1999-01-01 00:00:00 UTC",
    "José O'Neil_501_assignsubmission_onlinetext_/onlinetext.html": "<p>hi",
    "Lab A-Ada Ng_777_assignsubmission_file_/my work.ipynb": "ada",
    f"Eve Else_900_assignsubmission_file_/{NAME}": "eve",
    "readme.txt": "x",
}


def test_moodle_with_a_roster(tmp_path: Path, into: Path) -> None:
    done = gather(tree(tmp_path / "dl", MOODLE), UNIT, into, roster=CLASS, closed=True)
    assert done.layout == "moodle"
    assert held(into) == {
        notebook("joneil"): "jose",
        f"joneil/{UNIT.name}/parity.safetensors": "weights",
        notebook("ang"): "ada",
    }
    assert done.people["ang"].lms_id == "502"  # by name, behind the group's; the roster's number stays
    assert done.notes == [f"ang: my work.ipynb taken for {NAME}"]
    assert done.unmatched == ["readme.txt", "Eve Else (900) (not in the roster)"]
    assert done.absent == ["zed"] and not done.refused


def test_moodle_without_a_roster_goes_by_the_participants_number(tmp_path: Path, into: Path) -> None:
    done = gather(zipped(tmp_path / "all.zip", MOODLE), UNIT, into)
    assert set(done.people) == {"501", "777", "900"} and done.people["501"] == Person(
        "501", "José", "O'Neil", lms_id="501"
    )
    assert held(into)[notebook("900")] == "eve"


def test_moodle_flat_and_a_file_name_that_names_somebody_else(tmp_path: Path, into: Path) -> None:
    """The student names the end of the file, and the platform its beginning: only that is believed."""
    flat = {
        f"José O'Neil_501_assignsubmission_file_{NAME}": "jose",
        f"Mallory_666_assignsubmission_file_x_501_assignsubmission_file_{NAME}": "evil",
    }
    done = gather(tree(tmp_path / "dl", flat), UNIT, into)
    assert set(done.people) == {"501", "666"}
    assert held(into)[notebook("501")] == "jose" and held(into)[notebook("666")] == "evil"


CANVAS = {
    f"oneiljosé_501_9001_{UNIT.name}.ipynb": "first",
    f"oneiljosé_501_9007_{UNIT.name}-1.ipynb": "second",
    "oneiljosé_501_9008_parity-1.safetensors": "weights",
    "oneiljosé_501_9009_scratch.ipynb": "scratch",
    f"ngada_LATE_502_9003_{NAME}": "ada",
    f"late_600_9004_{NAME}": "anonymous and late",
    "notes.pdf": "x",
}


def test_canvas(tmp_path: Path, into: Path) -> None:
    done = gather(tree(tmp_path / "dl", CANVAS), UNIT, into, roster=CLASS, closed=True)
    assert done.layout == "canvas"
    assert held(into) == {
        notebook("joneil"): "second",
        f"joneil/{UNIT.name}/parity.safetensors": "weights",
        notebook("ang"): "ada",
    }
    assert done.notes == [
        "ang: late, says the platform; by how much it does not say",
        f"joneil: 2 notebooks of the assignment, took {UNIT.name}-1.ipynb, the newest; left {NAME}",
    ]
    assert len(done.unmatched) == 2 and done.unmatched[0] == "notes.pdf"


def test_canvas_without_a_roster_and_the_same_file_twice(tmp_path: Path, into: Path) -> None:
    files = {f"ngada_502_9_{NAME}": "old", f"ngada_502_10_{NAME}": "new", f"ngada_502_8_{NAME}": "older"}
    done = gather(tree(tmp_path / "dl", files), UNIT, into)
    assert held(into) == {notebook("502"): "new"}  # by number, not by text
    [note] = done.notes
    assert "3 attempts" in note and f"took ngada_502_10_{NAME}" in note


GRADESCOPE = f"""\
submission_1:
  :submitters:
  - :name: José O'Neil
    :sid: joneil
    :email: jose@example.org
  :created_at: 2026-04-26 17:34:00.861687000 Z
  :score: 2.0
  :results:
    output: |-
      ====
      {NAME}
submission_2:
  :submitters:
  - :name: Ada Ng
    :sid:
    :email: ada@example.org
  - :name: Zed Last
    :email: zed@example.org
  :created_at: 2026-04-26 23:34:00 +02:00
submission_3:
  :submitters: []
../../etc:
  :submitters:
  - :name: Mallory
    :sid: m
"""


def test_gradescope(tmp_path: Path, into: Path) -> None:
    export = "assignment_8046601_export"
    files = {
        f"{export}/submission_metadata.yml": GRADESCOPE,
        f"{export}/submission_1/{NAME}": "jose",
        f"{export}/submission_2/code/{NAME}": "pair",
        f"{export}/submission_2/code/data/w.bin": "w",
        f"{export}/submission_3/{NAME}": "nobody",
        f"{export}/submission_4/{NAME}": "not listed",
    }
    done = gather(zipped(tmp_path / "export.zip", files), UNIT, into, roster=CLASS, closed=True)
    assert done.layout == "gradescope"
    assert held(into) == {
        notebook("joneil"): "jose",
        f"joneil/{UNIT.name}/timestamp.txt": "2026-04-26 17:34:00.861687 UTC\n",
        notebook("ang"): "pair",
        f"ang/{UNIT.name}/data/w.bin": "w",
        f"ang/{UNIT.name}/timestamp.txt": "2026-04-26 21:34:00.000000 UTC\n",
        notebook("zed"): "pair",
        f"zed/{UNIT.name}/data/w.bin": "w",
        f"zed/{UNIT.name}/timestamp.txt": "2026-04-26 21:34:00.000000 UTC\n",
    }
    assert done.unmatched == ["submission_3 (nobody is named for it)", "../../etc (no such folder)", "submission_4"]


@pytest.mark.parametrize("text", ["[1, 2]", "{", "!!python/object/apply:os.system ['touch hacked']", ""])
def test_gradescope_with_a_list_that_is_none(
    tmp_path: Path, into: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CourseError, match="Gradescope's own file"):
        gather(tree(tmp_path / "dl", {"submission_metadata.yml": text}), UNIT, into)
    assert not (tmp_path / "hacked").exists()


def test_nbgraders_exchange(tmp_path: Path, into: Path) -> None:
    inbound = "coursekit/inbound"
    files = {
        f"{inbound}/al+{UNIT.name}+2026-03-01 10:00:00.000001 UTC/{NAME}": "old",
        f"{inbound}/al+{UNIT.name}+2026-03-02 10:00:00.000001 UTC+r4Nd0m/{NAME}": "new",
        f"{inbound}/al+{UNIT.name}+2026-03-02 10:00:00.000001 UTC+r4Nd0m/timestamp.txt": "1999-01-01 00:00:00 UTC",
        f"{inbound}/b+e+a+{UNIT.name}+2026-03-01 10:00:00.0 UTC/{NAME}": "bea",
        f"{inbound}/al+{UNITS[1].name}+2026-03-01 10:00:00.0 UTC/x.ipynb": "another unit",
        f"{inbound}/stray/x.ipynb": "?",
    }
    for place in ("", "coursekit", inbound):
        done = gather(tree(tmp_path / "exchange", files) / place, UNIT, into)
    assert done.layout == "exchange" and done.unmatched == ["stray"]
    assert held(into) == {
        notebook("al"): "new",
        f"al/{UNIT.name}/timestamp.txt": "2026-03-02 10:00:00.000001 UTC\n",
        notebook("b-e-a"): "bea",
        f"b-e-a/{UNIT.name}/timestamp.txt": "2026-03-01 10:00:00.0 UTC\n",
    }
    assert any(note.startswith("al: 2 attempts, took al+") for note in done.notes)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_in_the_exchange_nobody_hands_in_for_another(tmp_path: Path, into: Path) -> None:
    mine = f"inbound/al+{UNIT.name}+2026-03-01 10:00:00.0 UTC"
    source = tree(
        tmp_path / "x", {f"{mine}/{NAME}": "evil", f"inbound/bea+{UNIT.name}+2026-03-01 1:00:00 UTC/{NAME}": "b"}
    )
    os.chown(source / mine, 1, 1)  # daemon's
    done = gather(source, UNIT, into)
    assert set(done.people) == {"bea"} and "belongs to daemon" in done.unmatched[0]


def test_a_folder_of_everything_and_a_zip_of_it(tmp_path: Path, into: Path) -> None:
    source = tree(
        tmp_path / "dl",
        {
            "al.ipynb": "al",
            f"bea/{UNIT.name}/{NAME}": "bea",
            f"bea/{UNIT.name}/timestamp.txt": "2026-03-01 10:00:00 UTC",
            f"cy/{NAME}": "cy",
            f"dee/{UNITS[1].name}/{UNITS[1].name}.ipynb": "another unit",
            f"eve/{UNITS[1].name}.ipynb": "another unit's file",
            "notes.txt": "x",
        },
    )
    zipped(source / "fay.zip", {f"{UNIT.name}/{NAME}": "fay", f"{UNIT.name}/.ipynb_checkpoints/{NAME}": "older"})
    (source / "gus").symlink_to(source / "bea")
    done = gather(source, UNIT, into)
    expected = {
        notebook("al"): "al",
        notebook("bea"): "bea",
        f"bea/{UNIT.name}/timestamp.txt": "2026-03-01 10:00:00 UTC\n",
        notebook("cy"): "cy",
        notebook("fay"): "fay",
    }
    assert held(into) == expected and (into / "eve" / UNIT.name).is_dir()
    assert done.unmatched == ["gus (a link)", "notes.txt"]
    assert done.refused == [f"eve: no notebook for {UNIT.name} ({UNITS[1].name}.ipynb was handed in)"]
    files = {
        p.relative_to(source).as_posix(): p.read_bytes()
        for p in source.rglob("*")
        if p.is_file() and "gus" not in p.parts
    }
    gather(zipped(tmp_path / "class.zip", files), UNIT, tmp_path / "again")
    assert held(tmp_path / "again") == expected


def test_a_hostile_zip_costs_its_own_student_only(tmp_path: Path, into: Path) -> None:
    source = tmp_path / "dl"
    zipped(source / "al.zip", {NAME: "al"})
    zipped(source / "mallory.zip", {NAME: "evil", "../../al/x": "evil"})
    zipped(source / "bomb.zip", {NAME: bytes(40 << 20)})
    done = gather(source, UNIT, into)
    assert held(into) == {notebook("al"): "al"}
    assert set(done.people) == {"al", "mallory", "bomb"}  # they get a zero that says why
    assert [line.partition(": ")[0] for line in done.refused] == ["bomb", "mallory"]
    assert "200 to 1 is a bomb" in done.refused[0] and "leads out of its folder" in done.refused[1]
    report = as_text(done)
    assert "refused: mallory: mallory.zip: '../../al/x' leads out" in report and "collected 3 submissions" in report


def test_a_hostile_zip_of_the_class_is_refused_whole(tmp_path: Path, into: Path) -> None:
    with pytest.raises(CourseError, match="leads out of its folder"):
        gather(zipped(tmp_path / "c.zip", {"al.ipynb": "al", "../x.ipynb": "evil"}), UNIT, into)
    limits = ZipLimits(entries=2, bytes=100)
    with pytest.raises(CourseError, match="3 entries, expected at most 2"):
        gather(zipped(tmp_path / "d.zip", {f"{k}.ipynb": "x" for k in "abc"}), UNIT, into, class_limits=limits)
    assert not into.exists() and not (tmp_path / "x.ipynb").exists()


def test_several_notebooks_none_of_them_named(tmp_path: Path, into: Path) -> None:
    done = gather(tree(tmp_path / "dl", {"al/a.ipynb": "1", "al/b.ipynb": "2"}), UNIT, into)
    assert done.refused == [f"al: no notebook for {UNIT.name} (a.ipynb, b.ipynb was handed in)"]


def test_collecting_again(tmp_path: Path, into: Path) -> None:
    """The same changes nothing, a new one replaces, an older one does not, and nothing at all takes nothing away."""

    def bring(name: str, files: dict[str, str | bytes]) -> Gathered:
        return gather(tree(tmp_path / name, files), UNIT, into)

    def inbound(day: int, text: str) -> dict[str, str | bytes]:
        return {f"inbound/al+{UNIT.name}+2026-03-0{day} 10:00:00.0 UTC/{NAME}": text}

    assert not bring("1", inbound(2, "two")).notes
    assert not bring("2", inbound(2, "two")).notes
    [note] = bring("3", inbound(1, "one")).notes
    assert "is kept" in note and held(into)[notebook("al")] == "two"
    [note] = bring("4", inbound(3, "three")).notes
    assert "replaces" in note and held(into)[notebook("al")] == "three"
    [note] = bring("5", {"al/notes.txt": "nothing"}).notes
    assert "is kept" in note and held(into)[notebook("al")] == "three"
    bring("6", {f"al/{NAME}": "three", "al/w.bin": "new weights"})
    assert held(into)[f"al/{UNIT.name}/w.bin"] == "new weights"
    assert {p.name for p in (into / "al").iterdir()} == {UNIT.name}  # no drafts left


def test_numbers_of_two_worlds_are_not_mixed_up(tmp_path: Path, into: Path) -> None:
    """One student's matriculation number is another's number at the platform."""
    roster = Roster([Person("501", "Ada", "Ng", lms_id="77"), Person("9", "José", "O'Neil")])
    done = gather(
        tree(tmp_path / "dl", {f"José O'Neil_501_assignsubmission_file_/{NAME}": "jose"}), UNIT, into, roster=roster
    )
    assert set(done.people) == {"9"}


def test_a_source_that_is_none(tmp_path: Path, into: Path) -> None:
    with pytest.raises(CourseError, match="nothing to collect"):
        gather(tmp_path / "absent", UNIT, into)
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(CourseError, match=r"expected a folder or a \.zip"):
        gather(tmp_path / "a.txt", UNIT, into)
    (tmp_path / "dl").mkdir()
    with pytest.raises(CourseError, match="no submission in"):
        gather(tmp_path / "dl", UNIT, into)
    with pytest.raises(CourseError, match=r"no submission_metadata\.yml"):
        gather(tree(tmp_path / "dl", {"al.ipynb": "x"}), UNIT, into, layout="gradescope")
    with pytest.raises(CourseError, match="read as 'moodle'"):
        gather(tmp_path / "dl", UNIT, into, layout="moodle")
