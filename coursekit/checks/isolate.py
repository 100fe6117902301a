"""A check leaves no trace: global generators, modes, threads and filters are afterwards as they were."""

from __future__ import annotations

import contextlib
import io
import os
import random
import sys
import warnings
from collections.abc import Iterator

import numpy as np
import torch


@contextlib.contextmanager
def isolated(dtype: torch.dtype = torch.float32) -> Iterator[None]:
    """Run a block from a fixed global state (seeds 0, gradients on, `dtype` as default) and restore the old one."""
    before = (
        torch.default_generator.get_state(),
        torch.get_default_dtype(),
        torch.get_num_threads(),
        torch.is_grad_enabled(),
        random.getstate(),
        np.random.get_state(),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        random.seed(0)
        np.random.seed(0)
        # Not torch.manual_seed: without a GPU it formats a stack trace at every call, and keeps it.
        torch.default_generator.manual_seed(0)
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(True)
        try:
            yield
        finally:
            torch_state, default, threads, grad, py_state, np_state = before
            torch.default_generator.set_state(torch_state)
            torch.set_default_dtype(default)
            if torch.get_num_threads() != threads:
                torch.set_num_threads(threads)
            torch.set_grad_enabled(grad)
            random.setstate(py_state)
            np.random.set_state(np_state)


@contextlib.contextmanager
def quiet() -> Iterator[io.StringIO]:
    """Catch what the block prints. Nothing reaches standard error, not even from C++: nbgrader would give 0 points."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()), _silent_descriptor(2):
        yield printed


@contextlib.contextmanager
def _silent_descriptor(number: int) -> Iterator[None]:
    sys.stderr.flush()
    try:
        kept = os.dup(number)
    except OSError:  # a process without standard error has nothing to silence
        yield
        return
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)
        os.close(nowhere)
        yield
    finally:
        os.dup2(kept, number)
        os.close(kept)
