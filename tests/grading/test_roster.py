"""Who is who: three kinds of CSV, and names as platforms write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from coursekit.errors import CourseError
from coursekit.grading.roster import Person, Roster, key, read_roster, student_id

CANVAS = """\
Student,ID,SIS User ID,SIS Login ID,Section,Recurrent networks (77)
    Points Possible,,,,,46.00
"O'Neil, José",501,s1,joneil,Lab A,
"Ng, Ada",502,s2,ang@example.org,Lab B,12.00
"Student, Test",,,,Lab A,
"""
MOODLE = """\
Identifier,"Full name","ID number","Email address",Status,Grade,"Maximum grade"
"Participant 9001","José O'Neil",1701,jose@example.org,"Submitted",,46.00
"Participant 9002","Ada Ng",,ada@example.org,"No submission",,46.00
"""


def written(tmp_path: Path, text: str, name: str = "roster.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_the_kits_own_columns(tmp_path: Path) -> None:
    roster = read_roster(
        written(tmp_path, "\ufeffID;First_Name;Last_Name;Email\nal;Al;Jones;al@example.org\n\nbea;Bea;;\n")
    )
    assert roster.people == {"al": Person("al", "Al", "Jones", "al@example.org"), "bea": Person("bea", "Bea")}


def test_canvas_own_export(tmp_path: Path) -> None:
    people = read_roster(written(tmp_path, CANVAS)).people
    assert people.keys() == {"joneil", "ang@example.org"}
    assert people["joneil"] == Person("joneil", "José", "O'Neil", "", "501", "joneil", "Lab A")
    assert people["ang@example.org"].email == "ang@example.org"


def test_moodles_worksheet(tmp_path: Path) -> None:
    people = read_roster(written(tmp_path, MOODLE)).people
    assert people["1701"] == Person("1701", "José", "O'Neil", "jose@example.org", "9001")
    assert people["ada@example.org"].lms_id == "9002"


def test_people_are_found_by_whatever_they_are_called() -> None:
    jose = Person("joneil", "José", "O'Neil", "j.oneil@example.org", "501", "jo")
    roster = Roster([jose, Person("x1", "Sam", "Doe"), Person("x2", "Sam", "Doe")])
    for handles in (
        {"lms_id": "501"},
        {"login": "JO"},
        {"login": "j.oneil"},
        {"email": "J.Oneil@example.org"},
        {"id": "JOneil"},
    ):
        assert roster.find(**handles) is jose
    for name in ("oneiljose", "O’Neil, José", "jose o'neil", "ONeil Jose\u0301"):
        assert roster.find(name=name) is jose
    assert roster.find(name="Sam Doe") is None  # two of them: nobody
    assert roster.find(lms_id="", name="") is None
    assert roster.find(lms_id="999", name="José O'Neil") is jose


def test_names_become_ids_that_can_be_folders() -> None:
    assert key("Šárka Ďuríčková-Smith") == "sarkaduricovasmith".replace("ricova", "rickova")
    assert student_id("../a/b\\c") == "-a-b-c"
    assert student_id(" .. ") == student_id("") == ""
    assert student_id("a\n\0b") == "a--b"
    assert len(student_id("é" * 500).encode()) <= 240


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("name,mail\nal,x\n", "columns"),
        ("id,first_name\n", "no student in it"),
        ("", "expected id"),
        ("id\nal\nal\n", "line 3: id 'al' is there twice"),
        ("id\n../al\n", "line 2: id '../al' cannot name a folder"),
    ],
)
def test_a_roster_that_cannot_be_used_says_where(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(CourseError, match=why):
        read_roster(written(tmp_path, text))


def test_a_roster_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin.csv").write_bytes("id,first_name\nal,José\n".encode("latin-1"))
    with pytest.raises(CourseError, match="not UTF-8"):
        read_roster(tmp_path / "latin.csv")
    with pytest.raises(CourseError, match="cannot be read"):
        read_roster(tmp_path / "absent.csv")
