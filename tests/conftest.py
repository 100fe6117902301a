"""Shared fixtures. No test reaches the network or the home folder, and none hangs on the order of the others."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]

# From here on a connection to another machine is an error in this process, not a hang.
_spec = importlib.util.spec_from_file_location("offline", ROOT / "tests" / "offline" / "sitecustomize.py")
assert _spec is not None and _spec.loader is not None
_spec.loader.exec_module(importlib.util.module_from_spec(_spec))


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root."""
    return ROOT


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress is kept in the test's own folder."""
    monkeypatch.setenv("COURSEKIT_HOME", str(tmp_path / "home"))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tests run side by side on two cores: one thread each is fastest, and the same everywhere."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def same_weights() -> None:
    """A network built without a generator of its own starts from the same weights in every run."""
    torch.manual_seed(0)
