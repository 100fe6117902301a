"""Where attacks are played: a small course, honest neighbours, the real command, and what came of it.

The unit is cut down to its first three plain exercises, the one that is answered by a file of weights, and a question for
a person. The graded class is the attacks with honest students between them.
"""

from __future__ import annotations

import contextlib
import copy
import csv
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import nbformat
import room
from attack import PIPE, Answers, Attack
from nbformat import NotebookNode
from watch import Watch

import coursekit
from coursekit.course import Course
from coursekit.exercises.notebook import build
from coursekit.grading.assess import answer_cell, check_cell
from coursekit.grading.collect import collect

FILED = "01.parity_learner"
KIT = Path(coursekit.__file__).parent
HERE = Path(__file__).parent
MOST_BYTES = 8 << 20
"""What the pages of one submission may take up."""
BATCH_SECONDS = 1200.0
_HONEST: tuple[Answers, ...] = ("all", "first", "none", "rest")
_EVERY = 25
"""Attacks from one honest student to the next."""


@contextlib.contextmanager
def attacked_unit() -> Iterator[None]:
    with room.small_unit(FILED):
        yield


def make_template(place: Path, config: Path) -> Path:
    """A course with its release and an empty gradebook, to be copied. Call within `attacked_unit`."""
    from coursekit.grading.host import generate_assignment

    course = Course(place)
    course.solution(room.UNIT).parent.mkdir(parents=True)
    shutil.copy(config, place)
    nbformat.write(build(room.UNIT), course.solution(room.UNIT))
    generate_assignment(course, room.UNIT)
    return place


@dataclass
class Row:
    """What came of one attack."""

    name: str
    kind: str
    breaches: list[str]
    """Everything that got out or went wrong with others; contained means none."""
    expected: float
    given: float
    ending: str
    student: str = ""

    @property
    def forged(self) -> float:
        return max(0.0, self.given - self.expected)

    @property
    def lost(self) -> float:
        return max(0.0, self.expected - self.given)

    @property
    def contained(self) -> bool:
        """Nothing got out, and no score is wrong: not higher than earned, nor lower where no harm was meant."""
        return not self.breaches and not self.forged and not (self.lost and self.kind in ("accident", "vandalism"))

    def as_json(self) -> dict[str, object]:
        return {**asdict(self), "contained": self.contained, "forged": self.forged, "lost": self.lost}


@dataclass
class Class:
    """Students, what each must get by check cell, and the attack behind each (None: honest)."""

    expected: dict[str, dict[str, float]] = field(default_factory=dict)
    attacks: dict[str, Attack] = field(default_factory=dict)


def play(
    template: Path, place: Path, attacks: Sequence[Attack], command: Sequence[str], env: dict[str, str]
) -> list[Row]:
    """Hand in the attacks and honest neighbours, grade them with `command` (run in the course), look what came of it.

    Call within `attacked_unit`. The last row is the class itself: what nobody in particular can be blamed for.
    """
    course = Course(place / "course")
    shutil.copytree(template, course.root)
    guarded = [course.solutions, course.assignments, course.submitted, KIT / "errors.py", Path(os.__file__)]
    watch = Watch(place / "world", [attack.name for attack in attacks], guarded)
    try:
        home = str(watch.world / "home")
        secret = {"ATTACKS_SECRET": watch.secrets["environment"], "HOME": home, "COURSEKIT_HOME": home}
        log = (place / "said.txt").open("w+b")
        with log, subprocess.Popen(
            ["sh", "-c", 'read go; exec "$@"', "sh", *command], stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=course.root,
            env={**os.environ, "PYTHONPATH": str(KIT.parent), **env, **secret}, start_new_session=True,
        ) as process:  # fmt: skip
            assert process.stdin is not None
            everybody = _hand_in(course, attacks, watch, process.pid)
            watch.start()
            begun = time.monotonic()
            process.stdin.write(b"go\n")
            process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(BATCH_SECONDS)
            ending = "took too long" if process.returncode is None else f"exit code {process.returncode}"
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        print(f"{len(everybody.expected)} submissions in {time.monotonic() - begun:.0f} s: {ending}", file=sys.stderr)
        return _rows(
            course, everybody, watch, "" if ending == "exit code 0" else ending, (place / "said.txt").read_bytes()
        )
    finally:
        watch.close()


def _hand_in(course: Course, attacks: Sequence[Attack], watch: Watch, parent: int) -> Class:
    from coursekit.grading.host import read_release

    release = read_release(course, room.UNIT)
    everybody = Class()
    other = course.submitted / "z-honest" / room.UNIT.name / room.NAME
    honest = itertools.cycle(_HONEST)
    for number, attack in enumerate([*attacks, None]):
        if number % _EVERY == _EVERY // 2 or attack is None:
            answers, student = next(honest), f"a{number:03d}-honest" if attack else "z-honest"
            notebook = _answered(release, answers, "")
            notebook.cells.append(
                nbformat.v4.new_markdown_cell(f"My own thoughts: {watch.secrets['other']}", id="thoughts")
            )
            room.hand_in(course, student, notebook)
            everybody.expected[student] = _points(answers, 0.0)
        if attack is None:
            break
        place = f"a{number:03d}"
        student = attack.student.replace("%s", place) or f"{place}-{re.sub('[^a-z0-9]+', '-', attack.name.lower())}"
        marks = {
            **watch.marks(attack.name),
            "@COURSE@": str(course.root),
            "@OTHER@": str(other),
            "@KIT@": str(KIT),
            "@PARENT@": str(parent),
        }
        student = _marked(student, marks)
        _submit(course, student, attack, release, marks)
        everybody.attacks[student] = attack
        everybody.expected[student] = _points(attack.earned, attack.weights)
    return everybody


def _submit(course: Course, student: str, attack: Attack, release: NotebookNode, marks: dict[str, str]) -> None:
    folder = course.submitted / student / room.UNIT.name
    if "." in attack.links:
        folder.parent.mkdir(parents=True)
        folder.symlink_to(_marked(attack.links["."], marks))
        return
    folder.mkdir(parents=True)
    if attack.links.get("", PIPE) != PIPE:
        (folder / room.NAME).symlink_to(_marked(attack.links[""], marks))
    elif "" not in attack.links:
        (folder / room.NAME).write_bytes(_content(attack, release, marks))
    for name, target in attack.links.items():
        if target == PIPE:
            os.mkfifo(folder / (name or room.NAME))
        elif name:
            (folder / name).symlink_to(_marked(target, marks))
    for name, content in attack.files.items():
        content = content() if callable(content) else content
        if len(content) < 1 << 20:
            content = _marked(content.decode("latin-1"), marks).encode("latin-1")
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)


def _content(attack: Attack, release: NotebookNode, marks: dict[str, str]) -> bytes:
    """The notebook that is handed in."""
    notebook = _answered(release, attack.answers, attack.stub)
    place = {"top": 0, "middle": room.place(notebook, check_cell(room.first())) + 1, "end": len(notebook.cells)}[
        attack.where
    ]
    cells = [nbformat.v4.new_code_cell(text, id=f"mine-{k}") for k, text in enumerate(attack.cells)]
    notebook.cells[place:place] = cells
    changed: NotebookNode | str | bytes | None = attack.change(notebook) if attack.change else None
    if changed is None:
        changed = notebook
    if isinstance(changed, bytes):
        return changed
    text = changed if isinstance(changed, str) else nbformat.writes(changed)
    return _marked(text, marks).encode("utf-8", "surrogatepass")


def _answered(release: NotebookNode, answers: Answers, stub: str) -> NotebookNode:
    """The release, the right exercises answered, the others filled with `stub`."""
    notebook = copy.deepcopy(release)
    for name in plain():
        right, cell = name in _right(answers), room.cell(notebook, answer_cell(name))
        if right:
            cell.source = room.solution(name)
        elif stub:
            [defined] = room.keys()[name].question.answers
            cell.source = (
                stub.replace("{{name}}", "{name}").replace("{code}", room.solution(name)).replace("{name}", defined)
            )
    room.cell(notebook, "why").source = "Since gradients vanish."
    return notebook


def plain() -> list[str]:
    return [name for name in dict(room.keys()) if name != FILED]


def _right(answers: Answers) -> list[str]:
    return {"all": plain(), "first": plain()[:1], "rest": plain()[1:], "none": []}[answers]


def _points(answers: Answers, weights: float) -> dict[str, float]:
    right = _right(answers)
    scores = {check_cell(n): key.question.points if n in right else 0.0 for n, key in room.keys().items()}
    return {**scores, check_cell(FILED): weights}


def _marked(text: str, marks: dict[str, str]) -> str:
    for mark, value in marks.items():
        text = text.replace(mark, value)
    return text


def _rows(course: Course, everybody: Class, watch: Watch, ending: str, said: bytes) -> list[Row]:
    found = watch.breaches()
    shared = found.pop("", []) + ([f"the batch ended badly: {ending}: {said[-300:]!r}"] if ending else [])
    scores = room.gradebook(course)
    statuses = _statuses(course)
    shared += _formulas(course)
    rows = []
    known = {
        Path(os.path.relpath(s.notebook, course.submitted)).parts[0]: s.student
        for s in collect(course.submitted, room.UNIT)
    }
    for folder, expected in everybody.expected.items():
        student = known.get(folder, folder) if known.get(folder) in scores else folder
        got = {name: scores.get(student, {}).get(name) for name in expected}
        attack = everybody.attacks.get(folder)
        if attack is None:
            if got != expected:
                shared.append(f"{student} was to get {expected}, got {got}")
            continue
        breaches = found.get(attack.name, []) + _reported(course, student, attack, watch, said)
        if student not in scores:
            breaches.append("has no grade at all")
        row = Row(
            attack.name,
            attack.kind,
            breaches,
            sum(expected.values()),
            sum(v or 0.0 for v in got.values()),
            statuses.get(student, ""),
            student,
        )
        rows.append(row)
    return [*rows, Row("the class", "class", shared, 0.0, 0.0, ending)]


def _reported(course: Course, student: str, attack: Attack, watch: Watch, said: bytes) -> list[str]:
    """What the submission's own pages tell: that it succeeded, a secret, or too much of anything."""
    pages = [
        course.autograded / student / room.UNIT.name / room.NAME,
        course.feedback / student / room.UNIT.name / f"{room.UNIT.name}.html",
    ]
    texts = [page.read_text("utf-8", "replace") if page.is_file() else "" for page in pages]
    found = [
        f"shows the secret of {name}" for name, word in watch.secrets.items() if any(word in text for text in texts)
    ]
    found += [
        f"{page.name} takes up {len(text) >> 20} MB" for page, text in zip(pages, texts) if len(text) > MOST_BYTES
    ]
    word = f"BREACH {watch.tokens[attack.name]}"
    found += [f"says: {hit[:200]}" for hit in re.findall(rf"{word}[^\\\n]*", texts[0])[:3]]
    if re.search(rb"[\x00-\x08\x0b-\x1f][^\n]{0,10}" + watch.tokens[attack.name].encode(), said):
        found.append("sends control characters to the terminal")
    return found


def _formulas(course: Course) -> list[str]:
    """Cells of the CSV files that a spreadsheet would work out."""
    found = []
    for path in (*course.reports.rglob("*.csv"), *course.root.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            cells = [cell for row in csv.reader(file) for cell in row]
        # The tab is what some programs skip before a formula.
        found += [
            f"{path.name} has the formula {cell!r}" for cell in cells if re.match(r"[=@\t\r]|[+-](?![\d.]+$)", cell)
        ]
    return found


def _statuses(course: Course) -> dict[str, str]:
    path = course.reports / room.UNIT.name / "scores.csv"
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: row["status"] for row in rows for name in (row["student"], row["student"].removeprefix("'"))}


def coursekit_grade(*, jobs: int, cell: float, wall: float) -> list[str]:
    """The command, on the small unit."""
    options = ["--assignment", "01", "--jobs", str(jobs), "--cell-limit", str(cell), "--time-limit", str(wall)]
    return [sys.executable, str(HERE / "grade_small.py"), "--course", ".", "grade", *options]
