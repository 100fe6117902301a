"""Submissions of people who mean well: each keeps the points of its good cells."""

from __future__ import annotations

from typing import Any

from attack import NO_MEMORY, PARTLY, SCORED, TIMED_OUT, Attack


def _attack(name: str, tries: str, *cells: str, **more: Any) -> Attack:
    values: dict[str, Any] = {"proof": "score", "ends": (SCORED, PARTLY)}
    return Attack(name=name, kind="accident", tries=tries, cells=cells, **{**values, **more})


ATTACKS = [
    _attack("an endless loop in one cell of many", "a loop that was forgotten", "n = 1\nwhile n > 0:\n    n = n / 2 + 1", where="middle", ends=(TIMED_OUT,)),
    _attack("an exception in the first cell", "a slip", "1 / 0"),
    _attack("an exception in every cell of the student's own", "slips", *["undefined + 1"] * 20),
    _attack("a missing file", "a file on another computer", "open('C:/Users/me/data.csv').read()"),
    _attack("a file beside the notebook", "its own data", "print(open('data/numbers.txt').read())", files={"data/numbers.txt": b"1 2 3"}),
    _attack("a module beside the notebook", "its own helper", "from my_helpers import double\nassert double(2) == 4", files={"my_helpers.py": b"def double(x):\n    return 2 * x\n"}, ends=(SCORED,)),
    _attack("a module named like Python's own", "a badly named helper", "import random, json\nrandom.random()", files={"torch.py": b"raise RuntimeError('not torch')", "random.py": b"", "coursekit.py": b"", "json.py": b"", "inspect.py": b""}),
    _attack("a syntax of a later Python", "another version", "type(x) = 1 :=\n", "match x:\n    case {'a': int() as b} if b >", "x = t'{1}' if 1 else y"),
    _attack("a syntax of Python 2", "an old habit", "print 'hello'", "except Exception, e: pass"),
    _attack("broken indentation", "a copy from a web page", "  def f():\n\treturn 1\n   x = 2"),
    _attack("pip", "%pip install", "%pip install numpy", "!pip install torch --upgrade", "%conda install x"),
    _attack("the shell", "!ls", "!ls -la", "files = !ls\nprint(files)", "%%bash\necho hello", "%cd ..", "%%writefile mine.py\nx = 1"),
    _attack("magics", "%timeit and its friends", "%timeit -n 1 -r 1 sum(range(10))", "%%time\nx = 1", "%matplotlib inline", "%load_ext autoreload\n%autoreload 2", "%matplotlib widget", "%nosuchmagic", "%%javascript\nalert(1)", "%who", "?print", "x = 1;"),
    _attack("input", "a question to nobody", "name = input('who are you? ')", "import getpass\ngetpass.getpass()"),
    _attack("plots in a loop", "sixty figures, unclosed", "import matplotlib.pyplot as plt\nfor k in range(60):\n    plt.figure(figsize=(2, 2)); plt.plot([0, k]); plt.show()", ends=(SCORED, PARTLY, TIMED_OUT)),
    _attack("another backend for plots", "a window", "import matplotlib\nmatplotlib.use('TkAgg')\nimport matplotlib.pyplot as plt\nplt.plot([1]); plt.show()"),
    _attack("a loader with workers", "processes", "import torch.utils.data as d\nfor batch in d.DataLoader(list(range(8)), num_workers=2): print(batch)"),
    _attack("multiprocessing", "processes", "import multiprocessing as m\nif __name__ == '__main__':\n    with m.Pool(2) as p: print(p.map(abs, [1, 2]))"),
    _attack("sys.exit", "a script's ending", "import sys\nsys.exit()", "exit()", "quit()", "raise SystemExit(1)"),
    _attack("an interrupt", "a run that was stopped", "raise KeyboardInterrupt"),
    _attack("warnings everywhere", "text on standard error", "import warnings, sys\nwarnings.simplefilter('always')\nfor k in range(50): warnings.warn(f'careful {k}')", "import logging\nlogging.basicConfig(level=0)\nlogging.error('x')", "print('x', file=sys.stderr)"),
    _attack("warnings in an answer", "text on standard error in the check cell", answers="rest", stub="import warnings as _w, sys as _s\n{code}\n_{name} = {name}\ndef {name}(*a, **k):\n    _w.warn('careful'); print('x', file=_s.stderr); print('y')\n    return _{name}(*a, **k)", earns="all"),
    _attack("prints everywhere", "a habit", "for k in range(3000): print('step', k)"),
    _attack("a progress bar", "tqdm on standard error", "from tqdm.auto import tqdm\nfor _ in tqdm(range(100)): pass"),
    _attack("unicode names", "its own language", "größe, 名前, π = 1, '漢字', 3.14\nprint(größe, 名前, π)", "open('größe 名前.txt', 'w').write('x')", student="%s Žofie Müller-名"),
    _attack("a checkpoint of 200 MB", "what a training leaves", "import torch\ntorch.save(torch.zeros(50_000_000), 'model.pt')\nx = torch.load('model.pt', weights_only=True)\ndel x", ends=(SCORED, PARTLY, TIMED_OUT)),
    _attack("a checkpoint of 200 MB handed in", "a habit", "import os\nprint(os.path.getsize('model.pt'))", files={"model.pt": lambda: bytes(200 << 20)}),
    _attack("a model that is too big", "memory", "import torch\nlayers = [torch.zeros(10_000, 10_000) for _ in range(8)]", where="middle", ends=(NO_MEMORY, TIMED_OUT)),
    _attack("a GPU that is not there", "another computer", "import torch\nx = torch.ones(2, device='cuda')", "torch.ones(2).cuda()"),
    _attack("a library that is not there", "another computer", "import tensorflow as tf\nimport nosuchlibrary"),
    _attack("a download", "the network", "import urllib.request\nurllib.request.urlopen('https://example.org/data.zip', timeout=3)", "import torchvision\ntorchvision.datasets.MNIST('.', download=True)", ends=(SCORED, PARTLY, TIMED_OUT)),
    _attack("names of builtins used", "list = [...]", "list = [1, 2]\nsum = 0\nmax = len = None\ntype = 'x'\nid = input = 3"),
    _attack("check overwritten by accident", "check = ...", "check = 3\nhint = progress = None", where="middle"),
    _attack("torch's defaults changed", "float64 and no gradients", "import torch\ntorch.set_default_dtype(torch.float64)\ntorch.set_grad_enabled(False)\ntorch.manual_seed(1)\ntorch.set_num_threads(2)"),
    _attack("another folder", "os.chdir", "import os\nos.makedirs('out/deep'); os.chdir('out/deep')", "os.chdir('/')"),
    _attack("await", "top-level await", "import asyncio\nawait asyncio.sleep(0.01)", "asyncio.run(asyncio.sleep(0))"),
    _attack("a thread left running", "a background thread", "import threading, time\nthreading.Thread(target=time.sleep, args=(1,), daemon=True).start()"),
    _attack("the environment changed", "os.environ", "import os, sys\nos.environ.clear()\nsys.stdout = open('log.txt', 'w')"),
    _attack("the namespace emptied", "%reset", "%reset -f", "del x", "globals().clear()"),
    _attack("one answer with a syntax error", "a slip in one of three", answers="rest", stub="def {name}(*a, **k:\n    return (1"),
    _attack("one answer that raises", "a slip in one of three", answers="rest", stub="def {name}(*a, **k):\n    raise RuntimeError('shapes do not match')"),
    _attack("one answer under another name", "a slip in one of three", answers="rest", stub="def my_{name}(*a, **k):\n    return 1"),
    _attack("one answer that recurses", "a slip in one of three", answers="rest", stub="def {name}(*a, **k):\n    return {name}(*a, **k)"),
    _attack("one answer emptied", "a cell cleared by accident", answers="rest", stub=" "),
    _attack("an answer of another type", "a class, a number, None", answers="rest", stub="{name} = None"),
]  # fmt: skip
