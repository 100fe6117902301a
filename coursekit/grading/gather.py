"""From a download to nbgrader's ``submitted/``: unpack, match names with the roster, keep the newest attempt, write.

nbgrader has a `zip_collect` for this, with a regular expression by the instructor for each platform; it unpacks without limits,
knows no roster, and stops at the first name that does not fit. Here one bad file costs nobody else anything, and everything
that was left out is listed.
"""

from __future__ import annotations

import contextlib
import filecmp
import re
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from coursekit.course import UNITS, Unit
from coursekit.errors import CourseError
from coursekit.files import replace as write
from coursekit.grading import layouts
from coursekit.grading.layouts import READERS, HandIn, Reading
from coursekit.grading.roster import Person, Roster
from coursekit.grading.scratch import remove
from coursekit.grading.unpack import CLASS_ZIP, STUDENT_ZIP, ZipLimits, ZipRefused, unpack

LAYOUTS = ("auto", *READERS)
STAMP = "timestamp.txt"
_AGAIN = re.compile(r"(?P<stem>.*?)(?:-(?P<canvas>\d+)| ?\((?P<browser>\d+)\)|-Copy(?P<jupyter>\d+)|_v?(?P<hand>\d+))")


@dataclass
class Gathered:
    """What became of a download."""

    layout: str
    people: dict[str, Person] = field(default_factory=dict)
    """Who handed in, by nbgrader's id."""
    notes: list[str] = field(default_factory=list)
    """What was decided: attempts, renamed notebooks, files left out."""
    refused: list[str] = field(default_factory=list)
    """What could not be taken, and why; its student gets an empty submission, and so a zero that says so."""
    unmatched: list[str] = field(default_factory=list)
    """Files that belong to nobody who is known."""
    absent: list[str] = field(default_factory=list)
    """Students of the roster from whom nothing came."""


@dataclass(frozen=True)
class _Choice:
    """The notebook of a hand-in and what lies beside it."""

    notebook: Path | None
    beside: dict[str, Path]
    attempt: int = 0
    said: str = ""


def is_plain(source: Path, layout: str, of: Unit) -> bool:
    """Whether `collect` reads this place as it lies, so that nothing needs to be unpacked or renamed."""
    if layout == "auto" and source.is_dir():
        return layouts.recognise(source, of)[0] == "folder"
    return layout in ("auto", "folder") and source.suffix.lower() != ".zip"


def gather(
    source: Path,
    of: Unit,
    into: Path,
    *,
    layout: str = "auto",
    roster: Roster | None = None,
    closed: bool = False,
    class_limits: ZipLimits = CLASS_ZIP,
    student_limits: ZipLimits = STUDENT_ZIP,
) -> Gathered:
    """Write what was handed in at `source` to ``into/STUDENT/ASSIGNMENT/``, with timestamp.txt where a time is known.

    `closed`: whoever is not in the roster is listed as unmatched; otherwise they are taken under the platform's own id.
    Raises `CourseError` where the source as a whole cannot be used. The only other thing that is ever removed is an older
    submission of the same student.
    """
    if not source.exists():
        raise CourseError(f"nothing to collect at {source}: expected a folder, or a zip.")
    with _room() as room:
        place = source
        if source.is_file():
            if source.suffix.lower() != ".zip":
                raise CourseError(
                    f"{source}: expected a folder or a .zip. One notebook is graded with `coursekit grade {source}`."
                )
            place = room / "class"
            unpack(source, place, class_limits)
        found, start = layouts.recognise(place, of)
        found, start = (found, start) if layout == "auto" else (layout, start if layout == found else place)
        if found == "gradescope" and not (start / layouts.METADATA).is_file():
            raise CourseError(f'{source}: no {layouts.METADATA} in it, expected Gradescope\'s "Export Submissions".')
        reading = READERS[found](start, of)
        if not reading.hand_ins:
            listed = f" (it holds {', '.join(reading.unmatched[:3])})" if reading.unmatched else ""
            raise CourseError(
                f"no submission in {source}{listed}: read as {found!r}. Another layout is set with --layout."
            )
        done = Gathered(found, unmatched=list(reading.unmatched))
        for person, hand_ins in _by_person(reading, roster or Roster(), closed, done):
            _take(person, hand_ins, of, into, room, student_limits, done)
        if roster is not None and closed:
            done.absent = sorted(roster.people.keys() - done.people.keys())
    return done


@contextlib.contextmanager
def _room() -> Iterator[Path]:
    """A folder for what is unpacked. It may get deep and wide: it is removed with the care that strangers' files need."""
    room = Path(tempfile.mkdtemp(prefix="coursekit-collect-"))
    try:
        yield room
    finally:
        remove(room)


def _by_person(reading: Reading, roster: Roster, closed: bool, done: Gathered) -> Iterator[tuple[Person, list[HandIn]]]:
    groups = defaultdict[str, list[HandIn]](list)
    people: dict[str, Person] = {}
    for hand_in in reading.hand_ins:
        person = _identify(hand_in.person, roster)
        if person is None:
            if closed or not hand_in.person.id:
                done.unmatched.append(f"{hand_in.source} (not in the roster)")
                continue
            person = hand_in.person
        groups[person.id].append(replace(hand_in, person=person))
        people[person.id] = person
    for name in sorted(groups):
        yield people[name], groups[name]


def _identify(person: Person, roster: Roster) -> Person | None:
    """The roster's person for the layout's. A platform's number comes first, a name last: people share names."""
    name = person.full_name or person.last_name
    number = (
        person.id if person.id != person.lms_id else ""
    )  # somebody's matriculation number may equal another's LMS number
    found = roster.find(
        lms_id=person.lms_id, id=number, login=person.login, email=person.email or person.login, name=name
    )
    if found is None and "-" in name:  # Moodle writes the group before the name
        found = roster.find(name=name.partition("-")[2])
    return replace(found, lms_id=found.lms_id or person.lms_id) if found else None


def _take(
    person: Person, hand_ins: list[HandIn], of: Unit, into: Path, room: Path, limits: ZipLimits, done: Gathered
) -> None:
    """The newest of a student's hand-ins, written."""
    choices: list[tuple[tuple[str, int, int], HandIn, _Choice]] = []
    for number, hand_in in enumerate(hand_ins):
        try:
            files = _opened(hand_in, room / f"{len(done.people)}-{number}", limits)
        except ZipRefused as error:
            done.refused.append(f"{person.id}: {error}")
            files = {}
        choice = _choose(files, of)
        choices.append(((hand_in.time or "", hand_in.order, choice.attempt), hand_in, choice))
    with_notebook = [c for c in choices if c[2].notebook is not None] or choices
    with_notebook.sort(key=lambda c: c[0])
    _, newest, choice = with_notebook[-1]
    if len(with_notebook) > 1 and choice.notebook is not None:
        others = ", ".join(c[1].source for c in with_notebook[:-1])
        done.notes.append(
            f"{person.id}: {len(with_notebook)} attempts, took {newest.source}, the newest; left {others}"
        )
    if choice.said:
        done.notes.append(f"{person.id}: {choice.said}")
    if choice.notebook is None and not any(line.startswith(f"{person.id}: ") for line in done.refused):
        held = ", ".join(sorted(newest.files)[:4]) or "nothing"
        done.refused.append(f"{person.id}: no notebook for {of.name} ({held} was handed in)")
    if newest.late:
        done.notes.append(f"{person.id}: late, says the platform; by how much it does not say")
    done.people[person.id] = person
    _write(into / person.id / of.name, of, choice, newest.time, person.id, done)


def _opened(hand_in: HandIn, room: Path, limits: ZipLimits) -> dict[str, Path]:
    """The files of a hand-in, with those in its zips."""
    files: dict[str, Path] = {}
    for number, (name, path) in enumerate(hand_in.files.items()):
        if name.lower().endswith(".zip"):
            inner = room / str(number)
            unpack(path, inner, limits)
            files |= layouts.files_below(inner)
        else:
            files[name] = path
    return files


def _choose(files: dict[str, Path], of: Unit) -> _Choice:
    """The assignment's notebook by its name, or the only one there is, and the files in its folder."""
    notebooks = [name for name in files if name.lower().endswith(".ipynb")]
    ranked = sorted((found for name in notebooks if (found := _named(name, of))), reverse=True)
    said = ""
    if ranked:
        attempt, name = ranked[0]
        if len(ranked) > 1:
            others = ", ".join(other for _, other in ranked[1:])
            said = f"{len(ranked)} notebooks of the assignment, took {name}, the newest; left {others}"
    elif len(notebooks) == 1 and not any(_named(notebooks[0], other) for other in UNITS):
        attempt, name = 0, notebooks[0]
        said = f"{name} taken for {of.name}.ipynb"
    else:
        return _Choice(None, {n: p for n, p in files.items() if n not in notebooks})
    home = PurePosixPath(name).parent
    beside = {
        PurePosixPath(other).relative_to(home).as_posix(): path
        for other, path in files.items()
        if PurePosixPath(other).is_relative_to(home) and not other.lower().endswith(".ipynb")
    }
    return _Choice(files[name], {_first_name(n, beside): p for n, p in beside.items()}, attempt, said)


def _named(name: str, of: Unit) -> tuple[int, str] | None:
    """(which copy, name) of a notebook that bears the assignment's name, perhaps numbered by a platform, browser or person."""
    stem = PurePosixPath(name).name[: -len(".ipynb")]
    if stem == of.name:
        return 0, name
    match = _AGAIN.fullmatch(stem)
    if match is None or match["stem"] != of.name:
        return None
    return int(next(group for group in match.groups()[1:] if group is not None)[:9]), name


def _first_name(name: str, names: dict[str, Path]) -> str:
    """A file beside the notebook under the name that the notebook knows: Canvas appends -1 to one that came again."""
    path = PurePosixPath(name)
    plain = path.with_name(re.sub(r"-\d+$", "", path.stem) + path.suffix).as_posix()
    return name if plain in names or path.name == plain else plain


def _write(target: Path, of: Unit, choice: _Choice, time: str | None, student: str, done: Gathered) -> None:
    """Write a submission whole or not at all; an older one makes room, a newer one stays."""
    file = f"{of.name}.ipynb"
    # A student's own timestamp.txt would decide on the penalty for being late.
    files = {name: path for name, path in choice.beside.items() if name != STAMP}
    files |= {file: choice.notebook} if choice.notebook else {}
    if (target / file).is_file():
        before = _read(target / STAMP)
        if choice.notebook is None or (time and before > time):
            done.notes.append(
                f"{student}: the submission that was collected before{f' ({before})' if before else ''} is kept"
            )
            return
        if (time or "") == before and _same(target, files):
            return
        done.notes.append(f"{student}: replaces the submission that was collected before")
    draft, old = target.with_name(f".{of.name}.part"), target.with_name(f".{of.name}.old")
    for leftover in (draft, old):
        if leftover.exists():
            remove(leftover)
    draft.mkdir(parents=True)
    for name, path in files.items():
        try:
            (draft / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, draft / name, follow_symlinks=False)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            done.notes.append(f"{student}: {name!r} is a file and a folder at once; left out")
    if time:
        write(draft / STAMP, f"{time}\n")
    if target.exists() or target.is_symlink():
        target.rename(old)
    draft.rename(target)
    if old.is_symlink():
        old.unlink()
    elif old.exists():
        remove(old)


def _same(folder: Path, files: dict[str, Path]) -> bool:
    there = {name for name in layouts.files_below(folder) if name != STAMP}
    return there == files.keys() and all(
        filecmp.cmp(folder / name, path, shallow=False) for name, path in files.items()
    )


def _read(stamp: Path) -> str:
    try:
        return stamp.read_text(encoding="utf-8", errors="replace")[:100].strip()
    except OSError:
        return ""


def as_text(done: Gathered) -> str:
    """The report, for a terminal."""
    lines = [f"collected {len(done.people)} submissions (layout: {done.layout})"]
    for head, entries in (
        ("note", done.notes),
        ("refused", done.refused),
        ("unmatched", done.unmatched),
        ("nothing from", done.absent),
    ):
        lines += [f"  {head}: {entry}" for entry in entries]
    return "\n".join(lines).encode("utf-8", "replace").decode()
