"""How submissions lie in what a platform lets an instructor download. Nothing is written here.

A reader takes a folder and says what was handed in by whom, as far as the names tell, and which files it could make nothing
of. Each says where its layout is laid down.
"""

from __future__ import annotations

import datetime
import os
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coursekit.course import UNITS, Unit
from coursekit.errors import CourseError
from coursekit.grading.roster import Person, split_name, student_id

METADATA = "submission_metadata.yml"
MAX_METADATA_BYTES = 256 << 20
# Both take the first numbers in a name: what follows them was named by the student, who may have put another's number there.
_MOODLE = re.compile(r"(?P<name>[^_]+)_(?P<number>\d+)_assignsubmission_(?P<kind>[a-z]+)_?(?P<file>.*)", re.DOTALL)
_CANVAS = re.compile(
    r"(?:(?P<name>\w+?)_)??(?:(?P<late>late)_)?(?P<user>\d+)_(?P<file>\d+)_(?P<original>.+)", re.DOTALL | re.I
)


@dataclass(frozen=True)
class HandIn:
    """What one student handed in at one time."""

    person: Person
    """As far as the layout knows; its id is the best that the layout offers."""
    files: dict[str, Path]
    """Where each lies, by its name as the student gave it."""
    source: str
    """What to call it in a message."""
    time: str | None = None
    order: int = 0
    """The larger, the newer; where no time is known."""
    late: bool = False
    """The platform says so, without saying by how much."""


@dataclass
class Reading:
    """A layout, read."""

    hand_ins: list[HandIn] = field(default_factory=list)
    unmatched: list[str] = field(default_factory=list)
    """Files that no student can be named for."""


_NO_NAMES = ("", ".", "..")
Reader = Callable[[Path, Unit], Reading]


def visible(place: Path) -> list[Path]:
    """The entries of a folder that people put there."""
    try:
        return sorted(entry for entry in place.iterdir() if not entry.name.startswith((".", "__MACOSX")))
    except OSError as error:
        raise CourseError(f"{place}: cannot be listed ({error.strerror}). Check its permissions.") from error


def _ordinary(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def files_below(place: Path) -> dict[str, Path]:
    """The ordinary files in a folder and below, by relative name. Links are not followed: they may lead anywhere."""
    found = {}
    for folder, folders, names in os.walk(place, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__")))
        for name in sorted(names):
            path = Path(folder, name)
            if not name.startswith(".") and _ordinary(path):
                found[path.relative_to(place).as_posix()] = path
    return found


def moodle(place: Path, of: Unit) -> Reading:
    """Moodle's "Download all submissions": a folder for each student, or, as an option, all files flat.

    ``Full Name_12345_assignsubmission_file_/x.ipynb``, flat ``Full Name_12345_assignsubmission_file_x.ipynb``; with groups
    ``Group-Full Name_...``; blind ``Participant_12345_...``. The number is the participant's, also "Identifier" of the grading
    worksheet. Online texts (``_onlinetext_``) are no notebooks. (Moodle, mod/assign/locallib.php, `download_submissions`.)
    """
    reading, flat = Reading(), defaultdict[str, dict[str, Path]](dict)
    people: dict[str, Person] = {}
    for entry in visible(place):
        match = _MOODLE.fullmatch(entry.name)
        if match is None or match["kind"] not in ("file", "onlinetext"):
            reading.unmatched.append(entry.name)
            continue
        number = match["number"]
        first, last = split_name(match["name"]) if match["name"] != "Participant" else ("", "")
        people[number] = Person(id=number, first_name=first, last_name=last, lms_id=number)
        if match["kind"] == "onlinetext":
            continue
        if entry.is_dir() and not entry.is_symlink():
            flat[number] |= files_below(entry)
        elif _ordinary(entry) and match["file"] not in _NO_NAMES:
            flat[number][match["file"]] = entry
        else:
            reading.unmatched.append(entry.name)
    for number, person in people.items():
        reading.hand_ins.append(HandIn(person, flat.get(number, {}), f"{person.full_name or 'Participant'} ({number})"))
    return reading


def canvas(place: Path, of: Unit) -> Reading:
    """Canvas's "Download Submissions": all files flat, ``lastfirst_LATE_12345_67890_x.ipynb``.

    The numbers are the user's and the file's; "late" is there for a late submission (recent versions write it small); an
    anonymous download has no name. A student who hands in a file of the same name again gets ``x-1.ipynb``; the larger file
    number is the newer. (Canvas LMS, app/models/content_zipper.rb, `add_upload_submission` and `get_filename`;
    `Attachment.make_unique_filename`.)
    """
    reading, files = Reading(), defaultdict[str, list[tuple[int, str, Path]]](list)
    people: dict[str, Person] = {}
    late: set[str] = set()
    for entry in visible(place):
        match = _CANVAS.fullmatch(entry.name)
        if match is None or not _ordinary(entry) or match["original"] in _NO_NAMES:
            reading.unmatched.append(entry.name)
            continue
        user = match["user"]
        people[user] = Person(id=user, last_name=match["name"] or "", lms_id=user)
        late |= {user} if match["late"] else set()
        files[user].append((int(match["file"][:18]), match["original"], entry))
    for user, person in people.items():
        held: dict[str, Path] = {}
        states: list[dict[str, Path]] = []
        for _, name, path in sorted(files[user]):
            if name in held:
                states.append(dict(held))  # the same file once more: what was there before is an older attempt
            held[name] = path
        for order, state in enumerate([*states, held]):
            newest = list(state.values())[-1].name
            reading.hand_ins.append(HandIn(person, state, newest, order=order, late=user in late))
    return reading


def gradescope(place: Path, of: Unit) -> Reading:
    """Gradescope's "Export Submissions": ``submission_123/`` for each and ``submission_metadata.yml`` with who and when.

    An entry holds ``:submitters:`` (a list of ``:name:``, ``:sid:``, ``:email:``: a group has several) and ``:created_at:``;
    the keys are Ruby symbols. The file is read with the safe loader. Gradescope documents no
    schema; this is what half a dozen public readers of it agree on.
    """
    import yaml

    path = place / METADATA
    try:
        if path.stat().st_size > MAX_METADATA_BYTES:
            raise CourseError(f"{path}: over {MAX_METADATA_BYTES >> 20} MB, expected the list of a class.")
        entries = yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise CourseError(
            f"{path}: cannot be read ({str(error)[:200]}), expected Gradescope's own file. Export again."
        ) from error
    if not isinstance(entries, dict):
        raise CourseError(f"{path}: no list of submissions in it, expected Gradescope's own file. Export again.")
    reading = Reading()
    for name, fields in entries.items():
        folder, fields = place / str(name), fields if isinstance(fields, dict) else {}
        submitters = [s for s in fields.get(":submitters") or [] if isinstance(s, dict)]
        inside = Path(str(name)).name == str(name) and folder.is_dir() and not folder.is_symlink()
        if not inside or not submitters:
            reading.unmatched.append(f"{name} ({'nobody is named for it' if inside else 'no such folder'})")
            continue
        for submitter in submitters:
            person = _gradescope_person(submitter)
            reading.hand_ins.append(
                HandIn(person, files_below(folder), str(name), time=_utc(fields.get(":created_at")))
            )
    reading.unmatched += [
        entry.name for entry in visible(place) if entry.name != METADATA and entry.name not in entries
    ]
    return reading


def _gradescope_person(fields: dict[str, Any]) -> Person:
    name, sid, email = (str(fields.get(k) or "").strip() for k in (":name", ":sid", ":email"))
    first, last = split_name(name)
    return Person(id=student_id(sid or email or name), first_name=first, last_name=last, email=email, login=sid)


def _utc(value: object) -> str | None:
    """A time as nbgrader writes it. What YAML reads as a time without zone is in UTC by YAML's rule."""
    if not isinstance(value, datetime.datetime):
        return None
    known = value if value.tzinfo else value.replace(tzinfo=datetime.UTC)
    return known.astimezone(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S.%f UTC")


def exchange(place: Path, of: Unit) -> Reading:
    """nbgrader's exchange: ``COURSE/inbound/user+assignment+time`` and perhaps ``+random`` behind it.

    The time in the folder's name is taken, as `nbgrader collect` does, not the file timestamp.txt that lies in it. A folder that
    belongs to somebody else than its name says is listed, not collected: anybody may write into the exchange.
    (nbgrader/exchange/default/submit.py and collect.py, version 0.9.6.)
    """
    reading = Reading()
    for entry in visible(_inbound(place)):
        user, mark, rest = entry.name.rpartition(f"+{of.name}+")
        if not mark or not entry.is_dir() or entry.is_symlink():
            if entry.name.count("+") < 2:
                reading.unmatched.append(entry.name)
            continue  # another assignment's
        owner = _owner(entry)
        if owner not in ("", user):
            reading.unmatched.append(f"{entry.name} (belongs to {owner})")
            continue
        time = rest.partition("+")[0]
        reading.hand_ins.append(
            HandIn(Person(id=student_id(user), login=user), files_below(entry), entry.name, time=time)
        )
    return reading


def _inbound(place: Path) -> Path:
    """The inbound folder at `place`, in it, or in its only course."""
    below = [place / "inbound", *(entry / "inbound" for entry in visible(place) if entry.is_dir())]
    found = [folder for folder in below if folder.is_dir()]
    if len(found) > 1:
        raise CourseError(f"{place}: {len(found)} courses in it, expected one. Name the course's folder.")
    return found[0] if found else place


def _owner(folder: Path) -> str:
    """The other person whom a folder belongs to; "" for one's own, and where the system does not tell."""
    try:
        return "" if folder.stat().st_uid == os.getuid() else folder.owner()
    except (KeyError, NotImplementedError, AttributeError, OSError):
        return ""


def folder(place: Path, of: Unit) -> Reading:
    """A folder, or a zip of it: ``STUDENT.ipynb``, ``STUDENT.zip``, ``STUDENT/x.ipynb`` or ``STUDENT/ASSIGNMENT/x.ipynb``."""
    reading = Reading()
    for entry in visible(place):
        if entry.is_symlink():
            reading.unmatched.append(f"{entry.name} (a link)")
        elif entry.is_dir():
            inner = entry / of.name
            nbgraders = inner.is_dir() and not inner.is_symlink()
            if not nbgraders and any((entry / other.name).is_dir() for other in UNITS):
                continue  # handed in another assignment only
            files = files_below(inner if nbgraders else entry)
            time = _stamp(inner) if nbgraders else None
            reading.hand_ins.append(HandIn(_named(entry.name), files, entry.name, time=time))
        elif entry.suffix.lower() in (".ipynb", ".zip"):
            name = of.name + ".ipynb" if entry.suffix.lower() == ".ipynb" else entry.name
            reading.hand_ins.append(HandIn(_named(entry.stem), {name: entry}, entry.name))
        else:
            reading.unmatched.append(entry.name)
    return reading


def _named(name: str) -> Person:
    return Person(id=student_id(os.fsencode(name).decode("utf-8", "replace")), login=name)


def _stamp(place: Path) -> str | None:
    try:
        return (place / "timestamp.txt").read_text(encoding="utf-8", errors="replace")[:100].strip() or None
    except OSError:
        return None


READERS: dict[str, Reader] = {
    "folder": folder,
    "zip": folder,
    "moodle": moodle,
    "canvas": canvas,
    "gradescope": gradescope,
    "exchange": exchange,
}


def recognise(place: Path, of: Unit) -> tuple[str, Path]:
    """The layout at `place`, and where it begins: some platforms wrap it into one more folder."""
    entries = visible(place)
    inner = [entry for entry in entries if entry.is_dir() and not entry.is_symlink()]
    for start in (place, *(inner if len(entries) == 1 else ())):
        if layout := _layout([entry.name for entry in visible(start)], of):
            return layout, start
    return "folder", place


def _layout(names: list[str], of: Unit) -> str:
    if METADATA in names:
        return "gradescope"
    if any(f"+{of.name}+" in name for name in names) or "inbound" in names:
        return "exchange"
    if any(_MOODLE.fullmatch(name) for name in names):
        return "moodle"
    notebooks = [name for name in names if name.lower().endswith((".ipynb", ".zip"))]
    # A student's own file may look like Canvas's; a class of which most do comes from there.
    if notebooks and sum(bool(_CANVAS.fullmatch(name)) for name in notebooks) > len(notebooks) / 2:
        return "canvas"
    return "zip" if any(name.lower().endswith(".zip") for name in names) else ""
