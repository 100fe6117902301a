"""Similar submissions: copies are found through their disguises, and what everybody writes is not held against anybody."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest
from nbformat import NotebookNode
from room import UNIT, cell, filled, hand_in, keys, solution

from coursekit.cli import main
from coursekit.course import Course
from coursekit.exercises import catalogue
from coursekit.grading.assess import answer_cell
from coursekit.grading.collect import collect
from coursekit.grading.similar import similarity_path, tasks, write_similarity
from coursekit.grading.similarity import Task, compare, pieces_of_code, pieces_of_prose

RELEASED = '''\
def scan(x: Tensor, h: Tensor) -> Tensor:
    """Docs."""
    # YOUR CODE HERE
    raise NotImplementedError()
'''
KNOWN = '''\
def scan(x: Tensor, h: Tensor) -> Tensor:
    """Docs."""
    states = []
    for t in range(x.shape[1]):
        h = torch.tanh(x[:, t] @ W + h @ U)
        states.append(h)
    return torch.stack(states, dim=1)
'''
ODD = '''\
def scan(x: Tensor, h: Tensor) -> Tensor:
    """Docs."""
    bag = dict(zip(range(99), x.unbind(1)))
    while len(bag) > 0:
        first = min(bag.keys())
        h = (h @ U + bag.pop(first) @ W).tanh()
        bag[first - 100] = h
        if min(bag.keys()) < -50 and max(bag.keys()) < 0:
            break
    return torch.cat([bag[k][:, None] for k in sorted(bag)], 1)
'''
DISGUISED = '''\
# my own work, honestly
def scan(x: Tensor, h: Tensor) -> Tensor:
    """Docs."""
    # first of all a dictionary

    lookup = dict(zip(range(99), x.unbind(1)))
    while len(lookup) > 0:   # as long as there is any
        lowest = min(lookup.keys())
        h = (h @ U + lookup.pop(lowest) @ W).tanh()
        lookup[lowest - 100] = h
        if min(lookup.keys()) < -50 and max(lookup.keys()) < 0:
            break
    return torch.cat([lookup[i][:, None] for i in sorted(lookup)], 1)
'''
TASK = Task("scan", "Scan", RELEASED, (KNOWN,))


def told(answers: dict[str, str], task: Task = TASK) -> list[tuple[str, str]]:
    return [
        (p.left, p.right) for p in compare([task], {student: {task.name: text} for student, text in answers.items()})
    ]


def test_a_copy_is_found_through_other_names_and_comments() -> None:
    [pair] = compare(
        [TASK], {s: {"scan": t} for s, t in {"al": ODD, "bea": DISGUISED, "cy": KNOWN, "dee": RELEASED}.items()}
    )
    assert (pair.left, pair.right) == ("al", "bea")
    [answer] = pair.answers
    assert answer.similarity == 1.0 and answer.evidence == 1.0 and answer.others == 0 and pair.share == 1.0
    assert "".join(text for text, _ in answer.left) == ODD and "".join(text for text, _ in answer.right) == DISGUISED
    unmarked = "".join(text for text, marked in answer.right if not marked)
    assert "my own work" in unmarked and "lookup" not in unmarked


def test_what_the_catalogue_knows_is_no_evidence() -> None:
    renamed = KNOWN.replace("states", "outputs").replace(" t ", " step ").replace("[:, t]", "[:, step]")
    assert told({"al": KNOWN, "bea": renamed, "cy": KNOWN}) == []
    assert told({"al": KNOWN, "bea": renamed}, Task("scan", "Scan", RELEASED, ())) == [
        ("al", "bea")
    ]  # it is what is known that decides


def test_what_was_handed_out_and_short_answers_are_no_evidence() -> None:
    assert pieces_of_code(RELEASED, RELEASED) == []
    long = RELEASED.replace("raise NotImplementedError()", "\n    ".join(f"y = y + {k} * x" for k in range(20)))
    assert told({"al": long, "bea": long}, Task("scan", "Scan", long, ())) == []
    assert told({"al": long, "bea": long}, Task("scan", "Scan", RELEASED, ())) == [("al", "bea")]
    short = RELEASED.replace("raise NotImplementedError()", "return x @ W + h @ U")
    assert told({"al": short, "bea": short}, Task("scan", "Scan", RELEASED, ())) == []


def test_an_answer_that_many_wrote_weighs_less() -> None:
    many = {f"s{k}": ODD for k in range(5)}
    pairs = compare([TASK], {student: {"scan": text} for student, text in many.items()})
    assert len(pairs) == 10 and {p.answers[0].others for p in pairs} == {3}
    assert {round(p.answers[0].evidence, 6) for p in pairs} == {0.25}
    assert len(compare([TASK], {student: {"scan": text} for student, text in many.items()}, most=4)) == 4


def test_copies_of_more_answers_come_first() -> None:
    two = [TASK, Task("again", "Again", RELEASED, (KNOWN,))]
    answers = {"al": {"scan": ODD}, "bea": {"scan": ODD}}
    answers |= {
        "cy": {"again": ODD, "scan": ODD + "\nprint(1)"},
        "dee": {"again": DISGUISED, "scan": ODD + "\nprint(1)"},
    }
    pairs = compare(two, answers)
    assert (pairs[0].left, pairs[0].right) == ("cy", "dee") and [a.name for a in pairs[0].answers] == ["again", "scan"]


def test_prose_is_compared_by_its_words() -> None:
    text = (
        "Because the product of many Jacobians whose norm stays below one goes to zero at a geometric rate, so early inputs "
        "get no blame."
    )
    said = f"{text} And the sum over steps is then made of the last few terms alone."
    other = (
        "Vanishing comes from multiplying; each step scales the error, and forty scalings by a half leave nothing that a "
        "float can hold, whatever."
    )
    task = Task("why", "Why?", "Say why.", ("Because gradients vanish.",), prose=True)
    assert told({"al": said, "bea": said.upper(), "cy": other}, task) == [("al", "bea")]
    assert [p.token for p in pieces_of_prose("Say why.\nIt is so", "Say why.")] == ["it", "is", "so"]


@pytest.mark.parametrize(
    "text", ["", "def", "'''", "\x00\ud800", "(" * 2000, "é" * 500, "%magic\n!ls", "\r\n\r", "x" * 100_000]
)
def test_any_text_can_be_compared(text: str) -> None:
    for cut in (pieces_of_code, pieces_of_prose):
        assert all(0 <= p.start < p.end <= len(text) for p in cut(text, RELEASED))
    compare([TASK], {"al": {"scan": text}, "bea": {"scan": ODD + text}, "cy": {"scan": ODD + text}})


def test_honest_right_answers_of_the_catalogue_are_not_paired(course: Course, release: NotebookNode) -> None:
    """Everybody's solution, alternatives and mistakes, each by two students: known, and so no evidence."""
    found = tasks(UNIT, {answer_cell(name): cell(release, answer_cell(name)).source for name in keys()})
    assert [t.name for t in found] == [*(answer_cell(name) for name in keys()), "why"]
    for task in found:
        assert len(task.known) >= (1 if task.prose else 6)
        assert (
            compare([task], {f"{k}-{twin}": {task.name: text} for k, text in enumerate(task.known) for twin in "ab"})
            == []
        )


EVIL = "<script>alert(1)</script><img src=x onerror=alert(1)>"


def test_the_page(course: Course, release: NotebookNode, capsys: pytest.CaptureFixture[str]) -> None:
    """From the submissions as they lie; escaped; without names or code that act; nothing is run."""
    name = answer_cell(next(iter(keys())))
    boom = course.root / "ran"
    odd = ODD.replace("scan", "f") + f"\nopen({str(boom)!r}, 'w').write({EVIL!r})\n"
    for student in ("al", f"{EVIL}".replace("/", "|")):
        hand_in(course, student, filled(release, {next(iter(keys())): odd}))
    for student in ("cy", "dee"):
        hand_in(course, student, filled(release))
    hand_in(course, "eve", "{")
    assert main(["--course", str(course.root), "similar"]) == 0
    out = capsys.readouterr().out
    assert (
        "compared 4 submissions; pairs more alike than known answers explain: 1" in out and "not compared: eve" in out
    )
    page = similarity_path(course, UNIT).read_text()
    assert "<script" not in page and "<img" not in page and "&lt;script&gt;" in page and "default-src 'none'" in page
    assert "<mark>" in page and "1 answers" not in page and not boom.exists()
    assert main(["--course", str(course.root), "similar", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    [pair] = told["pairs"]
    assert pair["students"][1] == "al" and list(pair["answers"]) == [name] and told["skipped"][0].startswith("eve: ")


def test_a_class_of_none(course: Course, tmp_path: Path) -> None:
    report = write_similarity(course, UNIT, [])
    assert report.pairs == [] and "more alike than the known answers explain" in report.path.read_text()


def test_students_who_work_alone_are_left_alone(course: Course, release: NotebookNode) -> None:
    """Right answers with the slips of taste that people have: other names, orders of terms, blank lines."""
    rng = random.Random(0)
    for number in range(12):
        answers = {}
        for name in keys():
            text = rng.choice([solution(name), *tasks_known(name)])
            answers[name] = re.sub(r"\bt\b", rng.choice("tkis"), text) + "\n" * rng.randrange(3)
        hand_in(course, f"s{number}", filled(release, answers))
    report = write_similarity(course, UNIT, collect(course.submitted, UNIT))
    assert [p for p in report.pairs if any(a.name != "why" for a in p.answers)] == []


def tasks_known(name: str) -> tuple[str, ...]:
    [task] = [t for t in tasks(UNIT, {}) if t.name == answer_cell(name)]
    assert catalogue.keys(UNIT)[name].alternatives
    return task.known
