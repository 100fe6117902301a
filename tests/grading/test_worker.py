"""Honest notebooks: what they print, show and raise arrives as in Jupyter; and the reader of frames believes nobody."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from coursekit.checks.codec import pack
from coursekit.errors import CoursekitError, SandboxUnavailable
from coursekit.exercises import catalogue
from coursekit.grading import sandbox
from coursekit.grading.frames import Channel, Inbox
from coursekit.grading.pool import Pool
from coursekit.grading.results import CellJob, CellRun, Limits, SubmissionJob
from coursekit.grading.running import Running
from coursekit.grading.sandbox import landlock
from coursekit.grading.submission import Settings

contained = pytest.mark.skipif(
    not all(ability.available for ability in sandbox.abilities().values() if ability.required),
    reason="this system has no sandbox",
)


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Pool(jobs=1, units=["01"], limits=Limits(threads=2)) as pool:
        yield pool


def run(pool: Pool, *sources: str) -> list[CellRun]:
    cells = tuple(CellJob(k, source) for k, source in enumerate(sources))
    [ended] = pool.run([SubmissionJob(key="x", cells=cells)])
    assert ended.ending == "finished", ended
    return [ended.cells[k] for k in range(len(sources))]


@contained
def test_outputs_have_the_form_of_a_notebook(pool: Pool) -> None:
    source = "import sys\nprint('a')\nprint('b')\nprint('c', file=sys.stderr)\ndisplay('d')\n41 + 1"
    [cell] = run(pool, source)
    assert cell.outputs == [
        {"output_type": "stream", "name": "stdout", "text": "a\nb\n"},
        {"output_type": "stream", "name": "stderr", "text": "c\n"},
        {"output_type": "display_data", "data": {"text/plain": "'d'"}, "metadata": {}},
        {"output_type": "execute_result", "data": {"text/plain": "42"}, "metadata": {}, "execution_count": 1},
    ]
    assert cell.error is None


@contained
def test_cells_share_a_namespace_and_errors_do_not_stop_them(pool: Pool) -> None:
    first, second, third = run(pool, "x = 1", "def f(y):\n    return 1 / y\n\nf(x - 1)", "x + 1")
    assert first.outputs == []
    assert second.error == "ZeroDivisionError: division by zero"
    assert second.outputs[0]["traceback"] == [
        "line 4, in <module>: f(x - 1)",
        "line 2, in f: return 1 / y",
        "ZeroDivisionError: division by zero",
    ]
    assert third.outputs[0]["data"] == {"text/plain": "2"} and third.outputs[0]["execution_count"] == 3


@contained
def test_syntax_errors_magics_and_await(pool: Pool) -> None:
    broken, timed, matplotlib, loaded, unknown = run(
        pool, "def f(:", "%%time\nx = 1", "%matplotlib inline", "%load_ext autoreload", "%nonsense"
    )
    assert broken.error is not None and "line 1: def f(:" in broken.outputs[0]["traceback"]
    assert "Wall time" in timed.outputs[0]["text"]
    assert matplotlib.error is None and loaded.error is None
    assert unknown.error is not None and "nonsense" in unknown.error


@contained
def test_figures_are_shown_as_pictures(pool: Pool) -> None:
    plot = "import matplotlib.pyplot as plt\nplt.plot([1, 2], label='$x_1$'); plt.legend();"
    open_at_the_end, shown, none = run(pool, plot, plot + "\nplt.show()\nprint('after')", "plt.get_fignums()")
    assert [o["output_type"] for o in open_at_the_end.outputs] == ["display_data"]
    assert "image/png" in open_at_the_end.outputs[0]["data"]
    assert [o["output_type"] for o in shown.outputs] == ["display_data", "stream"]
    assert none.outputs[0]["data"] == {"text/plain": "[]"}


@contained
def test_alt_texts_survive(pool: Pool) -> None:
    [cell] = run(
        pool, "from coursekit import plots\nfig, ax = plots.figure()\nplots.show(fig, alt='an empty pair of axes')"
    )
    assert cell.outputs[0]["metadata"] == {"image/png": {"alt": "an empty pair of axes"}}


@contained
def test_ordinary_work_works(pool: Pool) -> None:
    cells = run(
        pool,
        "import torch\nnet = torch.nn.GRU(3, 4)\noptimiser = torch.optim.Adam(net.parameters())\n"
        "for _ in range(3):\n    optimiser.zero_grad(); net(torch.randn(5, 2, 3))[0].sum().backward(); optimiser.step()",
        "torch.save(net.state_dict(), 'net.pt'); net.load_state_dict(torch.load('net.pt'))",
        "assert torch.get_num_threads() == 2; x = torch.randn(512, 512); assert (x @ x).shape == (512, 512)",
        "from torch.utils.data import DataLoader; list(DataLoader([1, 2, 3], batch_size=2))",
        "import threading; t = threading.Thread(target=print, args=('from a thread',)); t.start(); t.join()",
        "from concurrent.futures import ThreadPoolExecutor as T\nwith T(4) as p: assert list(p.map(abs, [-1])) == [1]",
        "import tempfile, shutil\nwith tempfile.TemporaryDirectory() as d: open(d + '/f', 'w').write('x')",
        "import torchvision, sklearn.datasets, PIL.Image; sklearn.datasets.load_digits().images.shape",
        "from coursekit.training.progress import track\nfor _ in track(range(3), 'three'): pass",
        "import os, warnings; warnings.warn('careful'); os.cpu_count(), os.getcwd(), os.environ['HOME']",
        "import numpy as np, random; (random.random(), np.random.rand(), torch.rand(1).item())",
        "from coursekit.exercises import check, hint; check('01.relu_cell', print)",
    )
    assert [cell.error for cell in cells] == [None] * len(cells)
    assert "from a thread" in cells[4].outputs[0]["text"]


@contained
def test_unseeded_notebooks_repeat(pool: Pool) -> None:
    source = "import torch, random, numpy as np\n(random.random(), np.random.rand(), torch.rand(1).item())"
    assert run(pool, source)[0].outputs == run(pool, source)[0].outputs


@contained
def test_submissions_do_not_see_each_other(pool: Pool) -> None:
    run(pool, "import builtins, torch; builtins.left = 1; torch.left = 1; open('left', 'w').close(); x = 1")
    look = "import builtins, torch, os\n[hasattr(builtins, 'left'), hasattr(torch, 'left'), 'x' in globals(), *os.listdir()]"
    [cell] = run(pool, look)
    assert cell.outputs[0]["data"]["text/plain"] == "[False, False, False]"


@contained
def test_what_was_running_when_the_caller_left_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    slow = SubmissionJob(key="slow", cells=(CellJob(0, "import time; time.sleep(15)"),))
    quick = SubmissionJob(key="quick", cells=(CellJob(0, "1"),))
    with Pool(jobs=2) as pool:
        for ended in pool.run([slow, quick]):
            assert ended.key == "quick"
            break
        assert [ended.key for ended in pool.run([quick])] == ["quick"]  # and the pool still serves
    assert list(tmp_path.iterdir()) == []


@contained
def test_an_interrupt_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def jobs() -> Iterator[SubmissionJob]:
        yield SubmissionJob(key="slow", cells=(CellJob(0, "import time; time.sleep(15)"),))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Pool(jobs=2) as pool:
        list(pool.run(jobs()))
    assert list(tmp_path.iterdir()) == []
    workers = [
        p for p in Path("/proc").glob("[0-9]*/cmdline") if str(tmp_path).encode() in _content(p.parent / "environ")
    ]
    assert workers == []


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_a_pool_refuses_where_there_is_no_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "abi", lambda: 0)
    with pytest.raises(SandboxUnavailable, match="Landlock"), Pool():
        pass


def test_a_warm_process_that_cannot_start_says_why() -> None:
    with pytest.raises(SandboxUnavailable, match="unknown unit"), Pool(units=["99"], trust=True):
        pass


def test_a_pool_is_used_within_its_block() -> None:
    with pytest.raises(CoursekitError, match="with"):
        next(Pool(trust=True).run([SubmissionJob(key="x", cells=())]))


@contained
def test_the_next_one_begins_while_the_caller_is_busy(pool: Pool) -> None:
    """One is handed out before the caller gets a result; the one after that begins without anybody's help."""
    sources = ["pass", "pass", "import time\nprint(time.time())"]
    jobs = [SubmissionJob(key=str(k), cells=(CellJob(0, source),)) for k, source in enumerate(sources)]
    runs = pool.run(jobs)
    first = next(runs)
    time.sleep(2.5)
    back = time.time()
    rest = list(runs)
    assert [(run.key, run.ending) for run in (first, *rest)] == [(str(k), "finished") for k in range(3)]
    assert float(rest[1].cells[0].outputs[0]["text"]) < back


def test_nothing_is_late_before_it_has_begun(tmp_path: Path) -> None:
    job = SubmissionJob(key="x", cells=())
    running = Running(1, job, Inbox(job, Limits()), Limits(wall_seconds=3.0), 0, tmp_path, time.monotonic() - 100.0, 1)
    assert running.deadline == math.inf
    running.begin()
    assert 2.0 < running.deadline - time.monotonic() <= 3.0


@contained
def test_each_batch_is_asked_its_own_draws(pool: Pool) -> None:
    """The warm process keeps the last ones: another set, and an older one again, must replace them."""
    question = catalogue.question("01.relu_cell")
    draws = [{question.id: question.inputs(seed, torch.float32)} for seed in (1, 2)]
    answer = CellJob(0, "import torch\n\n\ndef relu_cell(x, *rest):\n    return torch.zeros(1)")
    found = []
    for k in (0, 1, 1, 0):
        job = SubmissionJob(key="x", cells=(answer, CellJob(1, "", question.id)), draws=draws[k])
        [run] = pool.run([job])
        found.append(run)
    digests = [run.digests[question.id] for run in found]
    assert len(found[0].evidence[question.id]) == len(draws[0][question.id])
    assert digests[0] == digests[3] and digests[1] == digests[2]


def test_settings_travel_whole() -> None:
    settings = Settings(("01",), ("/a",), (), trust=False, namespaces=True, limits=Limits(threads=3), jobs=4)
    loaded = Settings.loads(settings.dumps())
    assert loaded.limits == settings.limits and list(loaded.units) == ["01"] and list(loaded.hidden) == ["/a"]


def test_the_channel_keeps_messages_and_descriptors_together(tmp_path: Path) -> None:
    left, right = (Channel(end) for end in socket.socketpair())
    with left.socket, right.socket:
        files = [open(tmp_path / str(k), "w+b") for k in range(6)]  # noqa: SIM115
        left.send({"kill": 1})
        left.send({"scratch": "a"}, [file.fileno() for file in files[:3]])
        left.send({"scratch": "b"}, [file.fileno() for file in files[3:]])
        received: list[tuple[dict[str, object], list[int]]] = []
        while len(received) < 3:
            received += right.receive() or []
        assert [message for message, _ in received] == [{"kill": 1}, {"scratch": "a"}, {"scratch": "b"}]
        for (_, descriptors), mine in zip(received[1:], (files[:3], files[3:])):
            for descriptor, file in zip(descriptors, mine):
                with open(descriptor, "r+b") as other:
                    assert Path(file.name).samefile(f"/proc/self/fd/{other.fileno()}")
        for file in files:
            file.close()
        left.socket.close()
        assert right.receive() is None


def inbox(**limits: int) -> Inbox:
    job = SubmissionJob(key="x", cells=(CellJob(0, ""), CellJob(1, "", "01.q")))
    return Inbox(job, Limits(**limits))


def frame(value: object) -> bytes:
    body = pack(value)
    return len(body).to_bytes(4, "big") + body


def test_frames_may_arrive_in_any_pieces() -> None:
    evidence = [{"part": {"h": torch.arange(6.0).reshape(2, 3)}}]
    data = frame({"kind": "evidence", "question": "01.q", "evidence": evidence}) + frame({"kind": "end"})
    box = inbox()
    for k in range(len(data)):
        box.feed(data[k : k + 1])
    assert box.done and torch.equal(box.evidence["01.q"][0]["part"]["h"], evidence[0]["part"]["h"])


def test_the_first_frame_wins() -> None:
    box = inbox()
    for text in ("first", "second"):
        box.feed(frame({"kind": "cell", "index": 0, "outputs": [], "error": text, "seconds": 1.0}))
        box.feed(frame({"kind": "evidence", "question": "01.q", "evidence": [{"p": {"x": text}}]}))
    assert box.cells[0].error == "first" and box.evidence["01.q"] == [{"p": {"x": "first"}}]
    assert len(box.notes) == 2


def test_the_reader_is_bounded() -> None:
    announced = inbox(evidence_bytes=1000, output_bytes=0)
    announced.feed((5 << 20).to_bytes(4, "big"))
    assert announced.overflow
    many = inbox()
    many.feed(frame({"kind": "end"}) * 1000)
    assert many.overflow
    wordy = inbox(evidence_bytes=64 << 20, output_bytes=0)
    wordy.feed(frame({"kind": "note", "text": "x" * (5 << 20)}))
    assert wordy.overflow and not wordy.notes


def test_outputs_are_rebuilt_from_what_nbformat_knows() -> None:
    box = inbox()
    outputs = [
        {"output_type": "stream", "name": "elsewhere", "text": "a\ud800b", "extra": 1},
        {"output_type": "execute_result", "data": {"text/plain": 3}, "metadata": {"m": {"alt": "x", "deep": [1]}}},
        {"output_type": "error", "ename": "E", "evalue": 5, "traceback": "no list"},
        {"output_type": "script"},
        "no output",
    ]
    box.feed(frame({"kind": "cell", "index": 0, "outputs": outputs, "error": None, "seconds": "long"}))
    assert box.cells[0] == CellRun(
        0,
        [
            {"output_type": "stream", "name": "stdout", "text": "a?b"},
            {
                "output_type": "execute_result",
                "data": {"text/plain": ""},
                "metadata": {"m": {"alt": "x"}},
                "execution_count": None,
            },
            {"output_type": "error", "ename": "E", "evalue": "", "traceback": []},
        ],
        None,
        0.0,
    )
