"""Device, precision and the fabric: what is chosen, what overrules it, what is refused."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from coursekit import runtime
from coursekit.errors import InputError


@pytest.fixture(autouse=True)
def no_wishes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COURSEKIT_DEVICE", raising=False)
    monkeypatch.delenv("COURSEKIT_PRECISION", raising=False)


def test_the_fastest_device_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    for cuda, mps, expected in [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")]:
        monkeypatch.setattr(torch.cuda, "is_available", lambda cuda=cuda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda mps=mps: mps)
        assert runtime.device().type == expected


def test_a_wish_overrules_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("COURSEKIT_DEVICE", "cpu")
    monkeypatch.setenv("COURSEKIT_PRECISION", "bf16-mixed")
    assert runtime.device() == torch.device("cpu") and runtime.precision("mps") == "bf16-mixed"


@pytest.mark.parametrize("variable", ["COURSEKIT_DEVICE", "COURSEKIT_PRECISION"])
def test_a_wish_that_cannot_be_met_is_a_clear_error(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "abacus")
    with pytest.raises(InputError, match=rf"\${variable}: got 'abacus', expected one of"):
        runtime.precision(runtime.device())


@pytest.mark.parametrize(
    ("able", "expected"),
    [
        ({"avx512_bf16": True}, "bf16-mixed"),
        ({"amx_bf16": True}, "bf16-mixed"),
        ({"avx512_f": True}, "32-true"),
        ({}, "32-true"),
    ],
)
def test_bfloat16_is_for_processors_that_have_its_instructions(
    monkeypatch: pytest.MonkeyPatch, able: dict[str, bool], expected: str
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able, raising=False)
    assert runtime.precision("cpu") == expected


def test_an_older_torch_that_cannot_say_gets_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert runtime.precision("cpu") == "32-true" == runtime.precision("mps")


def test_a_fabric_moves_and_casts() -> None:
    plain, half = runtime.fabric(on="cpu"), runtime.fabric(on="cpu", precision="bf16-mixed")
    assert plain.device == torch.device("cpu") and plain.world_size == 1 and plain.is_global_zero
    layer = torch.nn.Linear(3, 2)
    for fabric, expected in [(plain, torch.float32), (half, torch.bfloat16)]:
        with fabric.autocast():
            assert layer(torch.zeros(1, 3)).dtype == expected


@pytest.mark.parametrize(("options", "message"), [({"precision": "16"}, "precision"), ({"processes": 0}, "processes")])
def test_a_fabric_that_makes_no_sense_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        runtime.fabric(**options)  # type: ignore[arg-type]


def test_nothing_of_fabric_is_imported_before_it_is_needed_and_it_is_silent() -> None:
    code = (
        "import sys, coursekit.training.gan, coursekit.training.checkpoints, coursekit.runtime as r\n"
        "assert 'lightning_fabric' not in sys.modules\n"
        "r.fabric(on='cpu', precision='bf16-mixed')\n"
        "assert 'lightning_fabric' in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=120, env=dict(os.environ)
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_threads_are_given_back() -> None:
    before = torch.get_num_threads()
    with pytest.raises(KeyError), runtime.threads(2):
        assert torch.get_num_threads() == 2
        raise KeyError
    assert torch.get_num_threads() == before
