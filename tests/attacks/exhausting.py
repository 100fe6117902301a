"""Submissions that use up what there is: time, memory, processes, disk, output."""

from __future__ import annotations

import functools
import io
import zipfile
from typing import Any

import nbformat
from attack import CRASHED, HOW, NO_MEMORY, PARTLY, SCORED, TIMED_OUT, UNREADABLE, Attack
from nbformat import NotebookNode

ENDED = (TIMED_OUT, NO_MEMORY, CRASHED)
SHORT = (NO_MEMORY, TIMED_OUT)
"""On a busy machine the time may be up before the memory is."""
BREACH = 'print("BREACH", "@TOKEN@")'


def _attack(name: str, tries: str, *cells: str, **more: Any) -> Attack:
    return Attack(name=name, kind="exhaustion", tries=tries, cells=cells, **{"where": "middle", **more})


def _cells(count: int) -> Any:
    def change(notebook: NotebookNode) -> None:
        more = [nbformat.v4.new_code_cell(f"n = {k}", id=f"more-{k}") for k in range(count)]
        notebook.cells[2:2] = more

    return change


def _padded(notebook: NotebookNode) -> str:
    return nbformat.writes(notebook) + " " * (51 << 20)


@functools.cache
def _bomb() -> bytes:
    packed = io.BytesIO()
    with (
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("zeros", "w") as file,
    ):
        for _ in range(700):
            file.write(bytes(1 << 20))
    return packed.getvalue()


ATTACKS = [
    _attack("endless loop", "time", "while True: pass", ends=(TIMED_OUT,)),
    _attack(
        "endless loop that catches the time limit", "time, and the rest of the batch",
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass", where="end", ends=(TIMED_OUT,),
    ),
    _attack(
        "endless loop deaf to the alarm", "time, without a timer",
        "import signal\nsignal.signal(signal.SIGALRM, signal.SIG_IGN)\nwhile True: pass", where="end", ends=(TIMED_OUT,),
    ),
    _attack("native code that never returns", "time, out of Python's reach", "sum(range(10**15))", where="end", ends=(TIMED_OUT,)),
    _attack("a regular expression that explodes", "time", "import re\nre.match('(a+)+$', 'a' * 60 + 'b')", ends=(TIMED_OUT,)),
    _attack("sleep", "wall time, without any processor time", "import time\ntime.sleep(10**6)", ends=(TIMED_OUT,)),
    _attack("deadlock", "wall time", "import threading\nl = threading.Lock(); l.acquire(); l.acquire()", ends=(TIMED_OUT,)),
    _attack(
        "an answer that never ends", "time, in the probe", where="top", answers="rest", ends=(TIMED_OUT,),
        stub="def {name}(*a, **k):\n    while True: pass",
    ),
    _attack("a number of a billion digits", "time", "10 ** 10 ** 9 % 7", where="end", ends=ENDED),
    _attack(
        "threads that compute", "the other submissions' processor",
        "import torch\ntorch.set_num_threads(64)\nx = torch.ones(600, 600)\nwhile True: x @ x",
        ends=(TIMED_OUT,),
    ),
    _attack("3 GB at once", "memory", f"x = bytearray(3 << 30)\n{BREACH}", ends=SHORT),
    _attack(
        "3 GB in pieces", "memory",
        f"def eat(held):\n    for _ in range(192): held.append(bytearray(16 << 20))\neat([])\n{BREACH}", ends=SHORT,
    ),
    _attack("a huge tensor", "memory, past Python", f"import torch\nx = torch.ones(800_000_000)\n{BREACH}", ends=SHORT),
    _attack("a huge map of memory", "memory, past malloc", f"import mmap\nm = mmap.mmap(-1, 3 << 30)\n{BREACH}"),
    _attack("a string that doubles", "memory", f"s = 'x'\nwhile len(s) < 3 << 30: s += s\n{BREACH}", ends=SHORT),
    _attack(
        "processes", "the process table",
        HOW + """
import os, time
def many():
    for _ in range(40):
        if os.fork() == 0:
            time.sleep(5)
            os._exit(0)
attempt(many)
""",
    ),
    _attack(
        "threads", "the process table, with small stacks", """
import threading, time
threading.stack_size(65536)
started = 0
try:
    while started < 500:
        threading.Thread(target=time.sleep, args=(3,), daemon=True).start()
        started += 1
except RuntimeError as error:
    print("REFUSED after", started, error)
else:
    print("BREACH", "@TOKEN@", started)
""",
    ),
    _attack(
        "open files", "the file table",
        """
import os, resource
try:
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
except (ValueError, OSError): pass
held = []
try:
    while len(held) < 2000: held.append(os.open(os.devnull, os.O_RDONLY))
    print("BREACH", "@TOKEN@", len(held))
except OSError as error:
    print("REFUSED", len(held), error)
for fd in held: os.close(fd)
""",
    ),
    _attack(
        "a full disk", "disk, in files of 50 MB",
        f"for k in range(13): open(str(k), 'wb').write(bytes(50 << 20))\n{BREACH}", ends=(PARTLY, TIMED_OUT),
    ),
    _attack("one big file", "disk, in one sparse file of 1 GB", f"open('big', 'wb').truncate(1 << 30)\n{BREACH}"),
    _attack("many small files", "inodes", f"for k in range(15_000): open(str(k), 'w').close()\n{BREACH}", where="end"),
    _attack(
        "a zip bomb", "disk, by what it unpacks",
        f"import zipfile\nzipfile.ZipFile('bomb.zip').extractall()\n{BREACH}", ends=(PARTLY, TIMED_OUT), files={"bomb.zip": _bomb},
    ),
    _attack("a flood of text", "the autograded notebook and the feedback page", "for _ in range(600): print('x' * 100_000)", proof="size"),
    _attack(
        "a quarter of a million small outputs", "the grader's own time and memory",
        "import sys\nfor _ in range(125_000):\n    print(1)\n    print(2, file=sys.stderr)", where="end", proof="size",
        ends=(SCORED, PARTLY, TIMED_OUT),
    ),
    _attack(
        "pictures of noise", "the autograded notebook",
        "import matplotlib.pyplot as plt, numpy as np\nfor _ in range(40):\n"
        "    plt.figure(figsize=(10, 10)); plt.imshow(np.random.rand(700, 700, 3)); plt.show()",
        ends=(SCORED, PARTLY, TIMED_OUT), proof="size",
    ),
    _attack("recursion", "the stack", "def f(): return f()\nf()", ends=(PARTLY,)),
    _attack(
        "recursion without a limit", "the stack of C",
        "import sys\nsys.setrecursionlimit(10**9)\ndef f(x): return repr([x]) and f([x])\nf(1)", ends=ENDED, where="end",
    ),
    _attack(
        "nested answers", "the judge's stack", where="top", answers="rest",
        stub="def {name}(*a, **k):\n    found = 1\n    for _ in range(100_000): found = [found]\n    return found",
    ),
    _attack(
        "100 MB of evidence", "the judge's memory", where="top", answers="rest",
        stub="def {name}(*a, **k): return torch.zeros(25_000_000)", ends=(SCORED, PARTLY, TIMED_OUT),
    ),
    _attack("a thousand cells", "the worker", change=_cells(1000), ends=(SCORED, PARTLY), where="top"),
    _attack("six thousand cells", "the worker", change=_cells(6000), answers="none", ends=(UNREADABLE,), where="top"),
    _attack("a notebook of 50 MB", "the reader's memory", change=_padded, answers="none", ends=(UNREADABLE,), where="top"),
    _attack(
        "frames without end", "the judge's memory, through the pipe",
        "import os\ntry:\n    for _ in range(10_000): os.write(3, b'\\0\\0\\0\\1x' + bytes(65536))\nexcept OSError: pass",
        where="end", ends=(PARTLY, CRASHED),
    ),
    _attack("half a frame, then silence", "the judge's patience", "import os, time\ntry: os.write(3, b'\\0\\1\\0\\0half')\nexcept OSError: pass\ntime.sleep(10**6)",
            where="end", ends=(TIMED_OUT, PARTLY, CRASHED)),
]  # fmt: skip
