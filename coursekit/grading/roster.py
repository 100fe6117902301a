"""Who is who: the roster of a class, in the kit's own columns or as Canvas and Moodle export it.

Three kinds of CSV are read, told apart by their header (upper or lower case, in any order):

- ``id, first_name, last_name, email``, as nbgrader's students table has it; ``lms_id`` may be among them;
- Canvas's gradebook export: ``Student`` ("Last, First"), ``ID`` (Canvas's own number), ``SIS User ID``, ``SIS Login ID``,
  ``Section``, then a column for each assignment ("How do I export/import grades in the Gradebook?", Canvas Instructor Guide);
- Moodle's grading worksheet: ``Identifier`` ("Participant 12345"), ``Full name``, ``ID number``, ``Email address``, and so on
  (mod/assign/feedback/offline, "Offline grading worksheet").
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from coursekit.errors import CourseError

MAX_ROSTER_BYTES = 20 << 20
MAX_NAME = 120
"""Characters of a student's id: nbgrader's database has 128, and a file system 255 bytes."""


@dataclass(frozen=True)
class Person:
    """A student. `id` is the one that nbgrader knows; `lms_id` the learning platform's own."""

    id: str
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    lms_id: str = ""
    login: str = ""
    section: str = ""

    @property
    def full_name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()

    @property
    def sortable_name(self) -> str:
        return ", ".join(part for part in (self.last_name, self.first_name) if part)


class Roster:
    """People, found by whatever a platform calls them."""

    def __init__(self, people: Iterable[Person] = ()) -> None:
        self.people = {person.id: person for person in people}
        self._by: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        for person in self.people.values():
            for kind, value in _handles(person):
                if value:
                    self._by[kind][value].add(person.id)

    def __len__(self) -> int:
        return len(self.people)

    def find(self, **handles: str) -> Person | None:
        """The one person with one of these handles (id, lms_id, login, email, name), tried in this order.

        A handle that fits two people fits nobody: grading the wrong one is worse than asking.
        """
        for kind, value in handles.items():
            found = self._by[kind].get(key(value) if kind == "name" else value.casefold(), set()) if value else set()
            if len(found) == 1:
                return self.people[next(iter(found))]
        return None


def _handles(person: Person) -> list[tuple[str, str]]:
    local = person.email.partition("@")[0]
    names = {key(person.full_name), key(f"{person.last_name} {person.first_name}")}
    return [
        ("id", person.id.casefold()),
        ("lms_id", person.lms_id.casefold()),
        ("login", person.login.casefold()),
        ("login", local.casefold()),
        ("email", person.email.casefold()),
        *(("name", name) for name in names),
    ]


def key(name: str) -> str:
    """A name as platforms shorten it: letters and digits only, without accents or case.

    Canvas cuts "O'Neil, José" down to "oneiljosé" (`sanitize_file_name`); people type accents or leave them out.
    """
    plain = unicodedata.normalize("NFKD", name).casefold()
    return "".join(letter for letter in plain if letter.isalnum())


def student_id(text: str) -> str:
    """A name fit to be nbgrader's student id and a folder's name: no separators, no leading dot, nothing unprintable."""
    clean = "".join(
        c if c.isprintable() and c not in '/\\:*?"<>|+' else "-" for c in unicodedata.normalize("NFC", text)
    )
    clean = re.sub(r"\s+", " ", clean).strip(" .")
    while len(clean.encode()) > 2 * MAX_NAME or len(clean) > MAX_NAME:
        clean = clean[:-1]
    return clean


def read_roster(path: Path) -> Roster:
    """The roster in a CSV file. Raises `CourseError` with the line that cannot be used."""
    try:
        if path.stat().st_size > MAX_ROSTER_BYTES:
            raise CourseError(
                f"roster {path}: over {MAX_ROSTER_BYTES >> 20} MB, expected a CSV with a line for each student."
            )
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise CourseError(f"roster {path}: cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise CourseError(f"roster {path}: not UTF-8 (byte {error.start}). Save it as CSV UTF-8.") from error
    try:
        table = csv.DictReader(io.StringIO(text, newline=""), dialect=_dialect(text), restval="")
        rows = list(table)
    except csv.Error as error:
        raise CourseError(f"roster {path}: not CSV ({error}).") from error
    columns = {name.strip().casefold(): name for name in table.fieldnames or () if name}
    read = _reader(columns, path)
    people: dict[str, Person] = {}
    for number, row in enumerate(rows, 2):
        person = read({short: _text(row.get(name)) for short, name in columns.items()})
        if person is None:
            continue
        if person.id != student_id(person.id):
            raise CourseError(
                f"roster {path}, line {number}: id {person.id!r} cannot name a folder. Use letters, digits, - _ . @"
            )
        if person.id in people:
            raise CourseError(
                f"roster {path}, line {number}: id {person.id!r} is there twice, expected one line for each."
            )
        people[person.id] = person
    if not people:
        raise CourseError(f"roster {path}: no student in it, expected a line for each below the header.")
    return Roster(people.values())


def _dialect(text: str) -> type[csv.Dialect]:
    """Spreadsheets write semicolons or tabs where the comma is a decimal point."""
    head = text.partition("\n")[0]

    class Found(csv.excel):
        delimiter = max(",;\t", key=head.count)

    return Found


def _text(value: object) -> str:
    """A field as it was before a spreadsheet was kept from taking it for a formula."""
    text = value.strip() if isinstance(value, str) else ""
    return text[1:] if re.match(r"'[=+\-@]", text) else text


def _reader(columns: Mapping[str, str], path: Path) -> Callable[[Mapping[str, str]], Person | None]:
    if {"student", "id", "section"} <= columns.keys():
        return _canvas
    if {"identifier", "full name"} <= columns.keys():
        return _moodle
    if "id" in columns:
        return _own
    raise CourseError(
        f"roster {path}: columns {sorted(columns)}, expected id, first_name, last_name, email; or Canvas's gradebook export; "
        "or Moodle's grading worksheet."
    )


def _own(row: Mapping[str, str]) -> Person | None:
    fields = ("id", "first_name", "last_name", "email", "lms_id", "login", "section")
    person = Person(**{name: row.get(name, "") for name in fields})
    return replace(person, lms_id=person.lms_id or row.get("lms_user_id", "")) if person.id else None


def _canvas(row: Mapping[str, str]) -> Person | None:
    """A line of the gradebook; the lines "Points Possible" and "Manual Posting" have no ID."""
    if not row["id"].isdigit():
        return None
    last, _, first = (part.strip() for part in row["student"].partition(","))
    login, sis = row.get("sis login id", ""), row.get("sis user id", "")
    return Person(
        id=student_id(login or sis or row["id"]),
        first_name=first,
        last_name=last,
        email=login if "@" in login else "",
        lms_id=row["id"],
        login=login,
        section=row["section"],
    )


def _moodle(row: Mapping[str, str]) -> Person | None:
    """A line of the worksheet: "Participant 12345" is the number that downloads carry."""
    number = re.search(r"\d+$", row["identifier"])
    if number is None:
        return None
    first, last = split_name(row["full name"])
    email, login = row.get("email address", ""), row.get("username", "")
    return Person(
        id=student_id(row.get("id number", "") or login or email or number.group()),
        first_name=first,
        last_name=last,
        email=email,
        lms_id=number.group(),
        login=login,
    )


def split_name(name: str) -> tuple[str, str]:
    """("First Middle", "Last"): platforms that give one name leave no better guess."""
    first, _, last = name.strip().rpartition(" ")
    return first, last
