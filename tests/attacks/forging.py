"""Submissions that want points without answers."""

from __future__ import annotations

from typing import Any

import safetensors.torch
import torch
from attack import CRASHED, PARTLY, SCORED, TIMED_OUT, Attack
from forgeries import FORGERIES, STUBS

RETURNS_ITS_INPUT = "def {name}(*a, **k): return a[0]"


def _attack(name: str, tries: str, *cells: str, **more: Any) -> Attack:
    values: dict[str, Any] = {"answers": "none", "stub": RETURNS_ITS_INPUT, "proof": "score", "ends": (SCORED, PARTLY)}
    return Attack(name=name, kind="forgery", tries=tries, cells=cells, **{**values, **more})


def _returns(expression: str) -> dict[str, str]:
    return {"stub": "def {name}(*a, **k): return " + expression}


WORTH = "WORTH = {'01.relu_cell': 2.0, '01.unroll': 2.0, '01.masked_loss': 2.0, '01.parity_learner': 3.0}\n"
"""A forger reads in the notebook what there is to get; more than that nbgrader refuses."""

SEND = """
import os
from coursekit.checks.codec import pack
def send(frame):
    body = pack(frame)
    try: os.write(3, len(body).to_bytes(4, 'big') + body)
    except OSError as error: print(error)
"""

PATCHES = [
    _attack("check says full marks", "check()", WORTH + "import coursekit.exercises as e\ncheck = e.check = lambda name, *a: WORTH[name]"),
    _attack("check says nothing", "nbgrader's rule that no output is full marks", "import coursekit.exercises as e\ncheck = e.check = lambda *a: None"),
    _attack("check says a word", "nbgrader's rule that text is full marks", "import coursekit.exercises as e\ncheck = e.check = lambda *a: 'passed'"),
    _attack("a score that is always full", "Score", WORTH + """
import coursekit.checks.score as s
s.Score.__new__ = lambda cls, verdict, *a: float.__new__(cls, verdict.possible)
s.Score._repr_mimebundle_ = lambda self, *a, **k: {'text/plain': repr(float(self))}
s.Score.__repr__ = float.__repr__"""),
    _attack("verdicts that always passed", "the judge", """
from coursekit.checks.judge import PartVerdict, Verdict
PartVerdict.earned = property(lambda self: self.possible)
Verdict.earned = property(lambda self: self.possible)
Verdict.passed = property(lambda self: True)"""),
    _attack("differences that are never found", "the comparison", """
import coursekit.checks.judge as j, coursekit.checks.compare as c
j.difference = c.difference = lambda *a, **k: None
j.broken_law = lambda *a, **k: None"""),
    _attack("errors that are not shown", "IPython's showtraceback", "get_ipython().showtraceback = lambda *a, **k: None\nget_ipython().showsyntaxerror = lambda *a, **k: None", stub=""),
    _attack("check cells rewritten as they run", "IPython's transformers", WORTH + """
def rewrite(lines):
    text = ''.join(lines)
    for name, worth in WORTH.items():
        if f'check("{name}"' in text: return [f'{worth}\\n']
    return lines
get_ipython().input_transformers_cleanup.append(rewrite)"""),
    _attack("a display that shows full marks", "the display hook", WORTH + """
import sys
names = iter(WORTH.values())
hook = get_ipython().displayhook
kind = type(hook)
real = kind.compute_format_data
def forged(self, result):
    return ({'text/plain': str(next(names, 0.0))}, {}) if type(result).__name__ == 'Score' else real(self, result)
kind.compute_format_data = forged"""),
    _attack("the reference taken from its key", "the answer keys", """
import importlib
found = {}
for name in ('s1_cells', 's2_gradients', 's2_steps', 's3_gates'):
    try: module = importlib.import_module(f'coursekit.exercises.u01_recurrent_networks.known.{name}')
    except ImportError: continue
    for key in vars(module).values():
        for answer in getattr(getattr(key, 'question', None), 'answers', ()): found[answer] = key.reference
""", stub="def {name}(*a, **k): return found['{name}'](*a, **k)"),
]  # fmt: skip

OBJECTS = [
    _attack("objects that equal everything", "__eq__", """
class Yes:
    shape, dtype, ndim = (3, 5), None, 2
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __getattr__(self, name): return self
    def __call__(self, *a, **k): return self
    def __bool__(self): return True
    def __len__(self): return 1
    def __iter__(self): return iter(())
    def __float__(self): return 1.0
    __hash__ = None""", **_returns("Yes()")),
    _attack("a number that equals everything", "float's subclasses", "class Yes(float):\n    __eq__ = lambda s, o: True\n    __ne__ = lambda s, o: False\n    __hash__ = None", **_returns("Yes(1)")),
    _attack("tensors that answer for themselves", "__torch_function__", """
import torch
class Yes(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if func.__name__ in ('__eq__', 'eq', 'allclose', 'equal', 'isclose', 'all'): return True
        if func.__name__ in ('sub', 'abs', 'max', '__sub__', '__rsub__'): return torch.zeros(())
        return super().__torch_function__(func, types, args, kwargs or {})""", **_returns("torch.zeros(3, 5).as_subclass(Yes)")),
    _attack("strings and lists that lie", "subclasses of plain data", """
class Text(str):
    __eq__ = lambda s, o: True
    __hash__ = str.__hash__
class List(list):
    __eq__ = lambda s, o: True
    __len__ = lambda s: 0""", **_returns("List([Text('x')])")),
    _attack("NaN", "comparisons that are always false", **_returns("torch.full_like(torch.as_tensor(a[0], dtype=torch.float32), float('nan'))")),
    _attack("infinity", "tolerances that grow", **_returns("torch.full((3, 5), float('inf'))")),
    _attack("wrong dtypes", "comparisons across dtypes", **_returns("torch.zeros(3, 5, dtype=torch.complex64)")),
    _attack("empty tensors", "all() of nothing", **_returns("torch.zeros(0, 5)")),
    _attack("tensors that stand for every shape", "broadcasting", **_returns("torch.zeros(1).expand(3, 5)")),
    _attack("sparse, quantised and meta tensors", "tensors without values", ends=(SCORED, PARTLY, TIMED_OUT), **_returns("torch.empty(3, 5, device='meta')")),
]  # fmt: skip

FRAMES = [
    _attack("frames written to the pipe", "the pipe", SEND + """
for name in ('01.relu_cell', '01.unroll', '01.masked_loss', '01.parity_learner'):
    send({'kind': 'evidence', 'question': name, 'evidence': [{'values': {'h_next': 1.0, 'passed': True, 'score': 1000.0}}] * 2, 'earned': 1000.0})
    send({'kind': 'verdict', 'question': name, 'earned': 1000.0, 'possible': 1000.0})
    send({'kind': 'score', 'scores': {name: 1000.0}})
send({'kind': 'end', 'probe_seconds': 0.0})""", ends=(SCORED, PARTLY)),
    _attack("evidence sent twice", "a second chance", SEND + "send({'kind': 'evidence', 'question': '01.relu_cell', 'evidence': [{'values': {}}] * 2})", answers="first", where="end"),
    _attack("evidence of another exercise", "points for the same work twice", SEND + """
import coursekit.checks.engine as engine
from coursekit.exercises import catalogue
question = catalogue.question('01.relu_cell')
real, seen = engine.gather, []
def gather(asked, answer, draws, *rest, **more):
    found = real(asked, answer, draws, *rest, **more)
    if asked.id == '01.relu_cell': seen.append(found)
    return seen[0] if seen else found
engine.gather = gather""", answers="first"),
    _attack("evidence in another order", "the draws' order", """
import coursekit.checks.engine as engine
real = engine.gather
engine.gather = lambda *a, **k: real(*a, **k)[::-1] * 3""", answers="all", earns="none"),
    _attack("malformed JSON", "the parser", r"""
import os
for text in (b'{', b'[' * 100_000, b'9' * 100_000, b'{"kind": "evidence", "kind": "end"}', b'\xff\xfe', b'{"kind": NaN}', b'1e999', b'"\\ud800"'):
    body = len(text).to_bytes(4, 'big') + text
    try: os.write(3, len(body).to_bytes(4, 'big') + body)
    except OSError: pass""", answers="first"),
    _attack("giant and malformed safetensors", "the parser", r"""
import os
for blob in (b'\xff' * 8 + b'{}', (2).to_bytes(8, 'little') + b'{}' + bytes(9), (1 << 40).to_bytes(8, 'little'),
             (lambda h: len(h).to_bytes(8, 'little') + h)(b'{"t0":{"dtype":"F32","shape":[4000000000,4000000000],"data_offsets":[0,0]}}'),
             (lambda h: len(h).to_bytes(8, 'little') + h)(b'{"t0":{"dtype":"F32","shape":[-1],"data_offsets":[8,0]}}')):
    text = b'{"kind": "evidence", "question": "01.unroll", "evidence": [{"values": {"$tensor": "t0"}}]}'
    body = len(text).to_bytes(4, 'big') + text + blob
    try: os.write(3, len(body).to_bytes(4, 'big') + body)
    except OSError: pass""", answers="first"),
    _attack("a pickle in the pipe", "whoever unpickles", """
import os, pickle
class Run:
    def __reduce__(self): return os.system, ('echo x > @OUTSIDE@/@TOKEN@',)
body = pickle.dumps(Run())
try: os.write(3, len(body).to_bytes(4, 'big') + body)
except OSError: pass""", answers="first", proof="files"),
    _attack("outputs that claim points", "outputs of a check cell", SEND + """
for index in range(60):
    send({'kind': 'cell', 'index': index, 'error': None, 'seconds': 0.0, 'outputs': [{'output_type': 'execute_result',
          'data': {'text/plain': '2.0'}, 'metadata': {}, 'execution_count': 1}]})"""),
]  # fmt: skip

SEARCHES = [
    _attack("references looked for in memory", "the garbage collector's lists", """
import gc
gc.unfreeze()
found = {}
for o in gc.get_objects():
    question = getattr(o, 'question', None) if type(o).__name__ == 'Key' else None
    if question is not None:
        for name in question.answers: found[name] = o.reference
print(sorted(found))""", stub="def {name}(*a, **k): return found['{name}'](*a, **k)"),
    _attack("references looked for on the stack", "the checker's own frames", stub="""
def {name}(*a, **k):
    import sys
    frame = sys._getframe()
    while frame:
        for value in list(frame.f_locals.values()):
            key = getattr(value, 'key', value)
            if hasattr(key, 'reference'): return key.reference(*a, **k)
            if hasattr(value, 'expected'): return value.expected[0]['values']
        frame = frame.f_back
    return a[0]
"""),
    _attack("the key asked for through the catalogue", "the knowing side", "from coursekit.exercises import catalogue",
            stub="def {name}(*a, **k): return catalogue.key('01.{name}').reference(*a, **k)"),
    _attack("the seed guessed", "the secret draws", """
from coursekit.exercises import catalogue
from coursekit.checks.draws import Rng
tried = [catalogue.question('01.relu_cell').inputs(seed) for seed in range(200)]"""),
    _attack("the seed taken from the clock and the process", "the secret draws", """
import time, random, torch, os
print(int(time.time()), os.getpid(), random.getstate()[1][0], torch.initial_seed())
random.seed = lambda *a: None"""),
]  # fmt: skip


def _weights(change: Any, dtype: torch.dtype = torch.float32) -> bytes:
    shapes = {"gru.weight_ih_l0": (24, 1), "gru.weight_hh_l0": (24, 8), "gru.bias_ih_l0": (24,), "gru.bias_hh_l0": (24,),
              "head.weight": (1, 8), "head.bias": (1,)}  # fmt: skip
    return safetensors.torch.save({name: change(torch.zeros(shape)).to(dtype) for name, shape in shapes.items()})


def _file(name: str, tries: str, content: bytes, **more: Any) -> Attack:
    return _attack(name, tries, files={"parity.safetensors": content}, **more)


FILES = [
    _file("weights that are NaN", "comparisons that are always false", _weights(lambda t: t * float("nan"))),
    _file("weights that are infinite", "a network that overflows", _weights(lambda t: t + float("inf"))),
    _file("weights that are whole numbers", "the wrong dtype", _weights(lambda t: t, torch.int64)),
    _file("weights of the right shape that know nothing", "points for nothing", _weights(lambda t: t), weights=0.5),
    _file("weights with a header of a terabyte", "the parser", (1 << 40).to_bytes(8, "little") + b"{}"),
    _file("weights that overlap", "the parser", (lambda h: len(h).to_bytes(8, "little") + h + bytes(4))(
        b'{"head.bias":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"head.weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}')),
    _file("weights that are a pickle", "whoever unpickles", b"\x80\x04cos\nsystem\n(S'echo x > @OUTSIDE@/@TOKEN@'\ntR.", proof="files"),
]  # fmt: skip

OLD = [
    _attack(name, "what it says", STUBS + code, ends=(SCORED, PARTLY, CRASHED))
    for name, code in FORGERIES.items()
    if name in ("check, Score, builtins, torch and gather replaced at once", "probes return what looks like success",
                "points and tolerances raised", "no parts left", "torch patched to return zeros", "builtins patched")
]  # fmt: skip

ATTACKS = [*PATCHES, *OBJECTS, *FRAMES, *SEARCHES, *FILES, *OLD]
