"""`import torchvision` works beside any build of torch, in either order of imports: each time in a fresh interpreter."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from coursekit import torchvision_door
from coursekit.torchvision_door import Door

ROOT = Path(__file__).resolve().parents[1]
PTH = (ROOT / "coursekit_torchvision.pth").read_text()
AWAY = "import sys; sys.meta_path[:] = [f for f in sys.meta_path if type(f).__name__ != 'Door']\n"
"""An installed kit has put the door in place when Python started."""
USE = """
import torch, torchvision
from torchvision import datasets, models, transforms, utils
from torchvision.transforms import v2
picture = v2.functional.resize(torch.rand(3, 8, 6), [4, 3], antialias=True)
assert utils.make_grid([picture, picture]).shape[0] == 3
assert models.resnet18(weights=None).eval()(torch.rand(1, 3, 32, 32)).shape == (1, 1000)
"""


def fresh(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)


def platform_copes() -> bool:
    return fresh(AWAY + "import torchvision").returncode == 0


@pytest.mark.parametrize(
    "first",
    [
        "import torchvision",
        "import torch",
        "from torchvision.transforms import v2",
        "import importlib.util; importlib.util.find_spec('torchvision')",
        PTH,  # installed twice
    ],
)
def test_torchvision_works_in_either_order(first: str) -> None:
    done = fresh(f"{AWAY}{PTH}\n{first}\n{USE}")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_working_build_keeps_its_operators() -> None:
    """Where the platform copes alone the door changes nothing: detection operators compute."""
    if not platform_copes():
        pytest.skip("this torchvision cannot be imported without the door")
    boxes = "torch.tensor([[0., 0., 2., 2.], [0., 0., 2., 1.9], [5., 5., 6., 6.]]), torch.tensor([3., 2., 1.]), 0.5"
    done = fresh(f"{AWAY}{PTH}\nimport torchvision, torch\nprint(torchvision.ops.nms({boxes}).tolist())")
    assert (done.returncode, done.stdout) == (0, "[0, 2]\n"), done.stderr


def test_the_door_costs_nothing_until_it_is_used() -> None:
    code = f"{AWAY}{PTH}\nimport json, sys\nprint(json.dumps([n for n in ('torch', 'numpy', 'torchvision') if n in sys.modules]))"
    assert json.loads(fresh(code).stdout) == []


def test_without_torchvision_its_absence_is_told_as_ever() -> None:
    hide = """
import sys
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name == "torchvision": raise ModuleNotFoundError("No module named 'torchvision'", name=name)
sys.meta_path.insert(1, Hide())
import torchvision
"""
    assert fresh(AWAY + PTH + hide).stderr.strip().endswith("ModuleNotFoundError: No module named 'torchvision'")


def test_the_door_is_put_in_place_once_and_goes_when_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "meta_path", [f for f in sys.meta_path if not isinstance(f, Door)])
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    called: list[bool] = []
    monkeypatch.setattr(torchvision_door, "declare_missing_operators", lambda: called.append(True))
    torchvision_door.install()
    torchvision_door.install()
    doors = [f for f in sys.meta_path if isinstance(f, Door)]
    assert len(doors) == 1 and sys.meta_path[0] is doors[0]
    assert doors[0].find_spec("torch") is None and called == []
    assert doors[0].find_spec("torchvision") is None and called == [True]
    assert not [f for f in sys.meta_path if isinstance(f, Door)]
