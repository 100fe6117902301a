"""What a forger may put in place of the checks: code for a cell, after `STUBS`."""

from __future__ import annotations

from coursekit.grading.classroom import FORGERY

STUBS = """
import torch
from coursekit.exercises import catalogue
from coursekit.course import unit
ASKED = catalogue.questions(unit("01"))
for question in ASKED:
    for name in question.answers:
        globals()[name] = lambda *args, **kwargs: args[0]
"""

FORGERIES = {
    "check, Score, builtins, torch and gather replaced at once": FORGERY,
    "check returns a large number": """
import coursekit.exercises
coursekit.exercises.check = check = lambda *a: 1000.0
""",
    "probes return what looks like success": """
for question in ASKED:
    for part in question.parts:
        object.__setattr__(part, "probe", lambda answer, inputs: {"passed": True, "score": 1e9})
""",
    "probes return their inputs": """
for question in ASKED:
    for part in question.parts:
        object.__setattr__(part, "probe", lambda answer, inputs: dict(inputs))
""",
    "points and tolerances raised": """
for question in ASKED:
    for part in question.parts:
        for name, value in (("points", 1000.0), ("rtol", 1e9), ("atol", 1e9), ("compared", False), ("laws", ())):
            object.__setattr__(part, name, value)
""",
    "no parts left": """
for question in ASKED:
    object.__setattr__(question, "parts", ())
""",
    "tensors that equal everything": """
class Yes(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if func.__name__ in ("__eq__", "eq", "allclose", "equal", "isclose"):
            return True
        return super().__torch_function__(func, types, args, kwargs or {})
for question in ASKED:
    for name in question.answers:
        globals()[name] = lambda *args, **kwargs: torch.zeros(3, 5).as_subclass(Yes)
""",
    "NaN and infinity everywhere": """
for question in ASKED:
    for name in question.answers:
        globals()[name] = lambda *args, **kwargs: torch.full((3, 5), float("nan"))
""",
    "torch patched to return zeros": """
for name in ("relu", "tanh", "sigmoid", "cat", "softmax", "zeros_like", "empty_like", "allclose", "equal", "isclose"):
    setattr(torch, name, lambda *a, **k: torch.zeros(1))
torch.Tensor.__eq__ = lambda self, other: torch.tensor(True)
""",
    "builtins patched": """
import builtins
builtins.sum = builtins.len = builtins.abs = builtins.max = builtins.min = lambda *a, **k: 0
builtins.all = builtins.any = builtins.isinstance = lambda *a, **k: True
""",
    "frames written to every descriptor": """
import os, json
from coursekit.checks.codec import pack
for question in ASKED:
    claim = pack({"question": question.id, "evidence": [{p.name: {"passed": True} for p in question.parts}] * question.draws,
                  "score": 1000.0, "points": 1000.0, "kind": "evidence"})
    for fd in range(64):
        try:
            os.write(fd, len(claim).to_bytes(4, "big") + claim)
        except OSError:
            pass
""",
    "the seed and the references looked for in memory": """
import gc, sys
found = [o for o in gc.get_objects() if type(o).__name__ in ("Key", "LiveExpectation", "Examiner", "Mistake")]
assert not found, found
assert not [m for m in sys.modules if ".known" in m or m == "coursekit.grading.assess"], "the knowing side is here"
""",
    "the seed guessed": """
from coursekit.checks.declare import Question
for seed in range(50):
    for question in ASKED:
        guess = question.inputs(seed)
""",
    "the answer keys imported": """
import importlib
for name in ("s1_cells", "s4_gru", "s6_attention"):
    try:
        module = importlib.import_module(f"coursekit.exercises.u01_recurrent_networks.known.{name}")
    except ImportError:
        continue
    for key in vars(module).values():
        for name in getattr(getattr(key, "question", None), "answers", ()):
            globals()[name] = key.reference
""",
    "verdicts made up": """
import coursekit.checks.judge as judge_module
from coursekit.checks.judge import PartVerdict
PartVerdict.earned = property(lambda self: 1000.0)
judge_module.judge = lambda *a, **k: None
""",
}
