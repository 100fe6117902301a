"""Whatever a hostile notebook does to itself, its run ends in a value, and the honest notebook beside it is unharmed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hostile import PRELUDE

from coursekit.checks.declare import Question
from coursekit.exercises import catalogue
from coursekit.grading import sandbox
from coursekit.grading.pool import Pool
from coursekit.grading.results import CellJob, Limits, SubmissionJob, SubmissionRun

pytestmark = pytest.mark.skipif(
    not all(ability.available for ability in sandbox.abilities().values() if ability.required),
    reason="this system has no sandbox",
)

LIMITS = Limits(
    cell_seconds=4.0,
    grace_seconds=1.0,
    wall_seconds=12.0,
    memory_bytes=512 << 20,
    file_bytes=8 << 20,
    scratch_bytes=16 << 20,
    output_bytes=20_000,
    evidence_bytes=1 << 20,
)
QUESTION = "01.relu_cell"
HONEST = "import torch\ndef relu_cell(x, h, W, b):\n    return torch.relu(torch.cat([x, h], 1) @ W.T + b)"


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    os.environ["COURSEKIT_TEST_SECRET"] = "hunter2-in-the-environment"
    with Pool(jobs=2, units=["01"], limits=LIMITS) as pool:
        yield pool
    del os.environ["COURSEKIT_TEST_SECRET"]


@pytest.fixture(scope="module")
def question() -> Question:
    return catalogue.question(QUESTION)


def notebook(key: str, question: Question, *sources: str) -> SubmissionJob:
    """Cells, then the check."""
    cells = [CellJob(k, source) for k, source in enumerate(sources)]
    cells.append(CellJob(len(sources), "", QUESTION))
    return SubmissionJob(key=key, cells=tuple(cells), draws={QUESTION: question.inputs(5)})


def run(pool: Pool, question: Question, *sources: str) -> SubmissionRun:
    """Run hostile cells, then an honest answer and its check, with an honest notebook at the same time."""
    hostile = notebook("hostile", question, *(PRELUDE + source for source in sources), HONEST)
    runs = {r.key: r for r in pool.run([hostile, notebook("honest", question, HONEST)])}
    assert runs["honest"].ending == "finished", runs["honest"]
    assert QUESTION in runs["honest"].evidence
    return runs["hostile"]


def text(run: SubmissionRun, cell: int = 0) -> str:
    return "".join(output["text"] for output in run.cells[cell].outputs if output.get("name") == "stdout")


def test_a_loop_is_stopped_and_the_next_cells_run(pool: Pool, question: Question) -> None:
    ended = run(pool, question, "while True: pass")
    assert ended.ending == "timed out" and f"cell 0 stopped after {LIMITS.cell_seconds:g} s" in ended.detail
    assert QUESTION in ended.evidence


def test_a_loop_that_catches_the_time_limit_is_ended(pool: Pool, question: Question) -> None:
    stubborn = "while True:\n    try:\n        while True: pass\n    except BaseException: pass"
    ended = run(pool, question, stubborn)
    assert ended.ending == "timed out" and "cell 0" in ended.detail


def test_a_loop_that_ignores_the_alarm_is_ended(pool: Pool, question: Question) -> None:
    deaf = "import signal; signal.signal(signal.SIGALRM, signal.SIG_IGN)\nwhile True: pass"
    ended = run(pool, question, HONEST, "1", deaf)
    assert ended.ending == "timed out" and "from outside" in ended.detail and "in cell 2" in ended.detail
    assert ended.cells.keys() == {0, 1}


def test_evidence_sent_before_the_end_is_kept(pool: Pool, question: Question) -> None:
    cells = (CellJob(0, HONEST), CellJob(1, "", QUESTION), CellJob(2, "import os; os._exit(0)"))
    [ended] = pool.run([SubmissionJob(key="x", cells=cells, draws={QUESTION: question.inputs(5)})])
    assert ended.ending == "crashed" and "in cell 2" in ended.detail
    assert QUESTION in ended.evidence


def test_code_that_never_returns_to_python_is_ended(pool: Pool, question: Question) -> None:
    ended = run(pool, question, "sum(range(10**15))")
    assert ended.ending == "timed out" and ended.wall_seconds < 7


def test_a_silenced_timer_is_no_way_out(pool: Pool, question: Question) -> None:
    ended = run(pool, question, "import signal; signal.setitimer(signal.ITIMER_REAL, 0)\nwhile True: pass")
    assert ended.ending == "timed out" and ended.wall_seconds < 7


@pytest.mark.parametrize(
    "bomb",
    ["x = bytearray(6 << 30)", "import torch; torch.ones(10**10)", "import numpy as np; np.ones(10**10)",
     "x = []\nwhile True: x.append(bytearray(1 << 24))"],
)  # fmt: skip
def test_memory_is_limited(pool: Pool, question: Question, bomb: str) -> None:
    ended = run(pool, question, bomb)
    assert ended.ending == "out of memory" and "cell 0" in ended.detail
    assert QUESTION in ended.evidence


EATS = """
def eat(held):
    while True:
        held.append(bytearray(50_000_000))
eat([])
"""


def test_a_cell_that_ran_out_of_memory_gives_it_back(pool: Pool, question: Question) -> None:
    """Else a right answer further down would fail for want of memory, sometimes."""
    ended = run(pool, question, EATS, "room = bytearray(300_000_000)")
    assert ended.ending == "out of memory" and ended.cells[0].error.startswith("MemoryError")
    assert ended.cells[1].error is None


def test_output_is_cut_visibly(pool: Pool, question: Question) -> None:
    ended = run(pool, question, "for _ in range(1000): print('x' * 999)\nprint('last')", "print('later')")
    assert ended.ending == "finished"
    assert 20_000 <= len(text(ended)) < 20_200 and "output cut" in text(ended) and "last" not in text(ended)
    assert "output cut" in text(ended, 1)


def test_a_flood_of_frames_is_ended(pool: Pool, question: Question) -> None:
    ended = run(pool, question, "for _ in range(10_000): os.write(3, b'\\0\\0\\0\\1x' + bytes(65536))")
    assert ended.ending == "too much output"


def test_a_frame_without_end_is_ended(pool: Pool, question: Question) -> None:
    ended = run(pool, question, "os.write(3, b'\\xff' * 1000)")
    assert ended.ending == "too much output"


def test_garbage_in_every_descriptor_is_ignored(pool: Pool, question: Question) -> None:
    garbage = "for fd in range(64):\n    try: os.write(fd, (5).to_bytes(4, 'big') + b'hello')\n    except OSError: pass"
    ended = run(pool, question, garbage)
    assert ended.ending == "finished" and any("malformed" in note for note in ended.notes)
    assert QUESTION in ended.evidence


def test_deep_and_absurd_frames_are_ignored(pool: Pool, question: Question) -> None:
    forge = """
def frame(text):
    body = len(text).to_bytes(4, 'big') + text + (8).to_bytes(8, 'little') + b'{}      '
    os.write(3, len(body).to_bytes(4, 'big') + body)
frame(b'[' * 100_000 + b']' * 100_000)
frame(b'9' * 100_000)
frame(b'{"kind": "cell", "index": "0", "outputs": 3}')
frame(b'{"kind": "cell", "index": 77}')
frame(b'{"kind": "evidence", "question": ["01.relu_cell"], "evidence": 1}')
frame(b'{"kind": "evidence", "question": "01.relu_cell", "evidence": {"a": 1}}')
frame(b'{"kind": "end", "probe_seconds": {"$float": "nan"}}')
frame(b'[1, 2]')
frame(b'{"kind": "cell", "index": 0, "seconds": -1, "error": [], "outputs": [1, {"output_type": "stream", "text": 3},'
      b'{"output_type": "display_data", "data": {"text/html": 5}, "metadata": []}, {"output_type": "execute_result"}]}')
"""
    ended = run(pool, question, forge)
    assert ended.ending == "finished" and len(ended.notes) >= 5
    assert ended.cells[0].seconds == 0.0 and QUESTION in ended.evidence
    assert [type(draw) for draw in ended.evidence[QUESTION]] == [dict, dict]


def test_forged_evidence_arrives_once_and_is_data(pool: Pool, question: Question) -> None:
    forge = """
from coursekit.checks.codec import pack
body = pack({'kind': 'evidence', 'question': '01.relu_cell', 'evidence': [{'values': {'h_next': 'a lie'}}]})
os.write(3, len(body).to_bytes(4, 'big') + body)
"""
    ended = run(pool, question, forge)
    assert ended.evidence[QUESTION] == [{"values": {"h_next": "a lie"}}]
    assert any("repeated" in note for note in ended.notes)


def test_a_patched_engine_only_lies(pool: Pool, question: Question) -> None:
    ended = run(
        pool, question, "import coursekit.checks.engine as e\ne.gather = lambda *a: [{'values': {'h_next': 1}}]"
    )
    assert ended.ending == "finished" and ended.evidence[QUESTION][0].get("values") != question


@pytest.mark.parametrize(
    ("source", "detail"),
    [
        ("os._exit(0)", "exit code 0 in cell 0"),
        ("os._exit(7)", "exit code 7 in cell 0"),
        ("ctypes.string_at(0)", "SIGSEGV in cell 0"),
        ("os.abort()", "ended by SIG"),
        ("os.close(3)", "exit code 1"),
    ],
)  # fmt: skip
def test_a_crash_is_told(pool: Pool, question: Question, source: str, detail: str) -> None:
    ended = run(pool, question, source)
    assert ended.ending == "crashed" and detail in ended.detail


@pytest.mark.parametrize("source", ["sys.exit()", "exit()", "raise KeyboardInterrupt", "raise SystemExit(3)"])
def test_leaving_a_cell_leaves_the_cell_only(pool: Pool, question: Question, source: str) -> None:
    ended = run(pool, question, source)
    assert ended.ending == "finished" and QUESTION in ended.evidence


def test_recursion_is_an_error_like_any_other(pool: Pool, question: Question) -> None:
    ended = run(pool, question, "def f(): return f()\nf()")
    assert ended.ending == "finished" and "RecursionError" in (ended.cells[0].error or "")
    assert len(str(ended.cells[0].outputs)) < 4000


def test_threads_work_are_limited_and_do_not_outlive_the_run(pool: Pool, question: Question) -> None:
    ended = run(
        pool, question, "import time\nt = threading.Thread(target=time.sleep, args=(60,)); t.start(); print('up')"
    )
    assert ended.ending == "finished" and "up" in text(ended) and ended.wall_seconds < 7
    bomb = (
        "import time\nthreading.stack_size(65536)\nwhile True: threading.Thread(target=time.sleep, args=(60,)).start()"
    )
    ended = run(pool, question, bomb)
    assert ended.ending in ("finished", "timed out", "out of memory", "crashed") and ended.wall_seconds < 13


def test_files_are_limited(pool: Pool, question: Question) -> None:
    ended = run(pool, question, "open('big', 'wb').write(bytes(20 << 20))")
    assert "OSError" in (ended.cells[0].error or "") and ended.ending == "finished"
    many = "for k in range(100): open(str(k), 'wb').write(bytes(1 << 20))"
    if sandbox.abilities()["namespaces"].available:
        assert "No space left" in (run(pool, question, many).cells[0].error or "")


def test_only_the_pipe_is_inherited(pool: Pool, question: Question) -> None:
    source = """
import stat
def kind(fd):
    try: status = os.fstat(fd)
    except OSError: return None
    return 'pipe' if stat.S_ISFIFO(status.st_mode) else 'null' if status.st_rdev == os.makedev(1, 3) else 'other'
print({fd: k for fd in range(4096) if (k := kind(fd))})
"""
    assert text(run(pool, question, source)).strip() == "{0: 'null', 1: 'null', 2: 'null', 3: 'pipe'}"


def test_no_secret_is_in_the_environment(pool: Pool, question: Question) -> None:
    source = """
libc = ctypes.CDLL(None)
environ = ctypes.POINTER(ctypes.c_char_p).in_dll(libc, 'environ')
end = ctypes.addressof(environ.contents)
print(dict(os.environ))
k = 0
while environ[k]: print(environ[k]); k += 1
# The block that the kernel laid out when the interpreter started lies at the top of the stack.
import gc
gc.unfreeze()
print([o for o in gc.get_objects() if isinstance(o, dict) and 'COURSEKIT_TEST_SECRET' in o and o is not globals()])
"""
    said = text(run(pool, question, source))
    assert "hunter2" not in said and "PATH" in said and said.strip().endswith("[]")


def test_no_answer_key_is_in_memory(pool: Pool, question: Question) -> None:
    source = """
import gc, types
gc.unfreeze()
print([name for name in sys.modules if '.known' in name or 'solution' in name])
things = gc.get_objects()
print([type(o).__name__ for o in things if type(o).__name__ in ('Key', 'Mistake', 'Rubric', 'LiveExpectation')])
print([o.__code__.co_filename for o in things if isinstance(o, types.FunctionType) and '/known/' in o.__code__.co_filename])
print(len(things) > 10_000)
"""
    assert text(run(pool, question, source)).split("\n")[:4] == ["[]", "[]", "[]", "True"]


def test_nothing_of_a_submission_is_in_the_memory_of_the_next(question: Question) -> None:
    """Needs the map of memory, which the sandbox hides: hence without one."""
    marker = "a sentence only the first notebook holds: 4711"
    first = notebook("first", question, f"kept = {marker!r}\nprint(kept)", HONEST)
    search = """
needle = b'a sentence only the first' + b' notebook holds: 47'
found = 0
with open('/proc/self/maps') as maps, open('/proc/self/mem', 'rb', 0) as memory:
    for line in maps:
        span, rights, *_ = line.split()
        if rights.startswith('rw') and '[v' not in line:
            low, high = (int(end, 16) for end in span.split('-'))
            memory.seek(low)
            try: found += memory.read(high - low).count(needle + b'11')
            except OSError: pass
print('found', found)
"""
    with Pool(jobs=1, units=["01"], trust=True) as pool:
        second, third = notebook("second", question, search), notebook("third", question, f"own = {marker!r}", search)
        runs = [next(pool.run([job])) for job in (first, second, third)]
    assert text(runs[0]).strip() == marker
    assert text(runs[1]).strip() == "found 0"
    assert int(text(runs[2], 1).split()[1]) > 0  # the search finds what is there


def test_a_dead_warm_process_costs_only_its_killer(question: Question) -> None:
    killer = notebook(
        "killer", question, "import os, signal; os.kill(os.getppid(), signal.SIGKILL); import time; time.sleep(5)"
    )
    others = [notebook(f"honest {k}", question, "import time; time.sleep(0.1)", HONEST) for k in range(4)]
    with Pool(jobs=2, units=["01"], trust=True) as pool:
        runs = {r.key: r for r in pool.run([others[0], killer, *others[1:]])}
    assert runs.pop("killer").ending == "crashed"
    assert len(runs) == 4 and all(r.ending == "finished" and QUESTION in r.evidence for r in runs.values())


def test_who_is_ended_by_the_system_is_tried_again_alone(question: Question, tmp_path: Path) -> None:
    """The system ends one process when memory runs out: not always the one that has used it up."""
    tries = tmp_path / "tries"
    die = f"""
import os, signal
with open({str(tries)!r} + KEY, 'a') as file: file.write('x')
if os.path.getsize({str(tries)!r} + KEY) < DEATHS + 1: os.kill(os.getpid(), signal.SIGKILL)
"""
    jobs = [
        notebook(key, question, f"KEY, DEATHS = {key!r}, {deaths}\n{die}", HONEST)
        for key, deaths in {"lucky": 0, "unlucky": 1, "hopeless": 9}.items()
    ]
    with Pool(jobs=2, units=["01"], trust=True) as pool:
        runs = {run.key: run for run in pool.run(jobs)}
    assert {key: run.ending for key, run in runs.items()} == {
        "lucky": "finished",
        "unlucky": "finished",
        "hopeless": "out of memory",
    }
    assert QUESTION in runs["unlucky"].evidence and "also when alone" in runs["hopeless"].detail
    assert {path.name[5:]: path.read_text() for path in tmp_path.iterdir()} == {
        "lucky": "x",
        "unlucky": "xx",
        "hopeless": "xx",
    }


@pytest.mark.parametrize("namespaces", [True, False])
def test_nothing_is_left_behind(
    question: Question, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, namespaces: bool
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    mess = """
os.mkdir('sealed', 0); os.symlink('/etc', 'link')
for _ in range(1200):
    os.mkdir('d'); open('d/f', 'w').close(); os.chdir('d')
print(len(os.listdir('.')))
"""
    with Pool(jobs=1, units=["01"], namespaces=namespaces) as pool:
        [ended] = pool.run([notebook("mess", question, "import os\n" + mess)])
    assert ended.ending == "finished" and text(ended).strip() == "1", ended
    assert list(tmp_path.iterdir()) == []


def test_files_beside_the_notebook_are_copied_without_links(pool: Pool, question: Question, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "numbers.txt").write_text("1 2 3")
    (tmp_path / "other.ipynb").write_text("{}")
    (tmp_path / "link.txt").symlink_to("/etc/passwd")
    (tmp_path / "linked").symlink_to("/etc")
    source = """
import os
print(sorted(os.path.join(d, f) for d, _, fs in os.walk('.') for f in fs), open('data/numbers.txt').read())
"""
    [ended] = pool.run([SubmissionJob(key="x", cells=(CellJob(0, source),), files=tmp_path)])
    assert text(ended).strip() == "['./data/numbers.txt'] 1 2 3"


def test_answers_that_are_missing_are_named(pool: Pool, question: Question) -> None:
    job = SubmissionJob(key="x", cells=(CellJob(3, "", QUESTION),), draws={QUESTION: question.inputs(5)})
    [ended] = pool.run([job])
    assert ended.missing == {QUESTION: ("relu_cell",)} and ended.evidence == {}


def test_an_answer_that_never_ends_is_stopped(pool: Pool, question: Question) -> None:
    cells = (
        CellJob(0, "def relu_cell(*a):\n    while True: pass"),
        CellJob(1, "", QUESTION),
        CellJob(2, "print('on')"),
    )
    [ended] = pool.run([SubmissionJob(key="x", cells=cells, draws={QUESTION: question.inputs(5)})])
    assert ended.ending == "timed out" and ended.evidence == {} and "on" in text(ended, 2)


def test_evidence_equals_what_the_parent_would_have_gathered(pool: Pool, question: Question) -> None:
    from coursekit.checks.engine import gather

    namespace: dict[str, object] = {}
    exec(HONEST, namespace)
    ended = run(pool, question, "1")
    expected = gather(question, namespace["relu_cell"], question.inputs(5))
    assert torch.equal(ended.evidence[QUESTION][1]["values"]["h_next"], expected[1]["values"]["h_next"])
