"""Checkpoints: a run goes on after an interrupt as if it had not been stopped (on the CPU: bit for bit).

::

    gan = Gan(...)
    resume(gan, path)                                       # does nothing where there is no file
    for record in kept(train_gan(gan, batches), gan, path):
        ...

One safetensors file holds the networks, the optimisers' and generators' states as tensors; step, configuration and a
SHA-256 of all that stand in its metadata as JSON. Reading it runs nobody's code: nothing is unpickled.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import signal
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as write_tensors
from torch import Tensor

from coursekit.errors import CheckpointError, InputError, TrainingError
from coursekit.files import replace
from coursekit.training.run import Parts, Run

Record = TypeVar("Record")

FORMAT = "coursekit checkpoint 1"


def kept(records: Iterator[Record], run: Run, path: str | Path, *, every: int = 100) -> Iterator[Record]:
    """Pass `records` of `run` on, and save a checkpoint every `every` steps and at the end, however it comes.

    Ctrl-C waits for the end of the step (a second one does not), so that the checkpoint holds the last whole step. An
    error in the middle of a step, a loss that is not finite among them, leaves the last good file as it is. A file that
    is further on than `run` is not overwritten: CheckpointError says so.
    """
    if every < 1:
        raise InputError.of("every", got=every, expected="at least 1", do="Pass the steps between two checkpoints.")
    path, saved = Path(path), run.step
    _require_no_newer(run, path)
    save(run, path)  # an unusable path shows itself before the work, not after it
    try:
        while True:
            with _whole_steps():
                record = next(records, None)
            if record is None:
                break
            if run.step % every == 0:
                save(run, path)
                saved = run.step
            yield record
    finally:
        if run.whole and saved != run.step:
            save(run, path)


def save(run: Run, path: str | Path) -> None:
    """Write a checkpoint of `run`, whole or not at all. Of several processes the first one writes.

    Raises TrainingError when a weight is not finite: such a file is worth less than the one that it would replace.
    """
    if not run.fabric.is_global_zero:
        return
    parts = run.parts()
    tensors, plain = _flat(parts)
    bad = [name for name, value in tensors.items() if value.is_floating_point() and not bool(value.isfinite().all())]
    if bad:
        raise TrainingError(
            f"step {run.step}: {bad[0]} is not finite ({len(bad)} tensors of {len(tensors)}), expected finite weights. No "
            "checkpoint is written; the one before stays. Lower the learning rate."
        )
    about = {"format": FORMAT, "step": run.step, "config": parts.config, "plain": plain}
    # Sorted: the header's order must not depend on the order in which a network declares its layers.
    text = json.dumps(about, sort_keys=True)
    # One entry: safetensors writes several in an order of its own, another one in each run.
    metadata = {"coursekit": json.dumps({"about": text, "sha256": _digest(tensors, text)})}
    replace(Path(path), write_tensors(tensors, metadata=metadata))


def resume(run: Run, path: str | Path) -> int:
    """Bring `run` to where the checkpoint left it; return its step. Where there is no file, change nothing and return 0.

    `run` must be made as the checkpoint's was: same networks, same configuration (`steps` and how often to measure may
    differ). Raises CheckpointError otherwise, and for files that are corrupt; then `run` is as it was.
    """
    path = Path(path)
    if not path.exists():
        return 0
    tensors, about = _read(path)
    parts = run.parts()
    _require_same_config(path, about["config"], json.loads(json.dumps(dict(parts.config))))
    wanted = {name: _shape(value) for name, value in _flat(parts)[0].items() if not name.startswith("optimizers/")}
    found = {name: _shape(value) for name, value in tensors.items() if not name.startswith("optimizers/")}
    if wanted != found:
        name = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))[0]
        raise CheckpointError(
            f"{path}: {name} is {found.get(name, 'absent')}, expected {wanted.get(name, 'absent')}. The checkpoint is of "
            "another network; build this one as that one was, or begin anew with another file."
        )
    states = {name: _optimizer_state(path, name, parts, tensors, about["plain"]) for name in parts.optimizers}
    for name, net in parts.networks.items():
        net.load_state_dict({key: tensors[f"networks/{name}/{key}"] for key in net.state_dict()})
    for name, optimizer in parts.optimizers.items():
        optimizer.load_state_dict(states[name])
        _as_in_memory(optimizer)
    for name, generator in parts.generators.items():
        generator.set_state(tensors[f"generators/{name}"])
    run.step, run.whole = int(about["step"]), True
    return run.step


def _flat(parts: Parts) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """All tensors by path, and what is no tensor: the optimisers' settings."""
    tensors: dict[str, Tensor] = {}
    plain: dict[str, Any] = {}
    for name, net in parts.networks.items():
        tensors |= {f"networks/{name}/{key}": value for key, value in net.state_dict().items()}
    for name, optimizer in parts.optimizers.items():
        state = optimizer.state_dict()
        for k, entries in state["state"].items():
            tensors |= {f"optimizers/{name}/{k}/{key}": v for key, v in entries.items() if isinstance(v, Tensor)}
        plain[name] = {
            "groups": state["param_groups"],
            "state": {
                k: {key: v for key, v in e.items() if not isinstance(v, Tensor)} for k, e in state["state"].items()
            },
        }
    tensors |= {f"generators/{name}": generator.get_state() for name, generator in parts.generators.items()}
    # A copy of each: safetensors refuses two names for one memory, which tied weights are.
    alone = {k: v.detach().cpu().clone(memory_format=torch.contiguous_format) for k, v in tensors.items()}
    return alone, plain


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 (it is no dict)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path}: cannot be read as safetensors ({error}). It is truncated, corrupt or of another kind; expected a file "
            "that coursekit.training.checkpoints wrote. Delete it to begin anew."
        ) from error
    try:
        header = json.loads(metadata["coursekit"])
        about = json.loads(header["about"])
        if about["format"] != FORMAT:
            raise ValueError(about["format"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path}: is safetensors but no checkpoint ({error}), expected metadata of {FORMAT!r}. Weights alone are loaded "
            "with coursekit.shipped; delete the file to begin anew."
        ) from error
    if header.get("sha256") != _digest(tensors, header["about"]):
        raise CheckpointError(
            f"{path}: its content has changed since it was written (SHA-256 differs from the one in its metadata). Restore "
            "it from a copy, or delete it to begin anew."
        )
    return tensors, about


def _require_no_newer(run: Run, path: Path) -> None:
    if path.exists() and (done := int(_read(path)[1]["step"])) > run.step:
        raise CheckpointError(
            f"{path}: holds step {done}, and this run is at step {run.step}: it would be overwritten. Call resume(run, path) "
            "first to go on from there, or delete it to begin anew."
        )


def _digest(tensors: Mapping[str, Tensor], about: str) -> str:
    digest = hashlib.sha256(about.encode())
    for name in sorted(tensors):
        digest.update(f"{name} {_shape(tensors[name])}".encode())
        digest.update(tensors[name].contiguous().flatten().view(torch.uint8).numpy())  # type: ignore[arg-type]
    return digest.hexdigest()


def _require_same_config(path: Path, stored: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    different = [
        f"{key}: {stored.get(key, 'absent')!r} in the file, {given.get(key, 'absent')!r} here"
        for key in sorted(stored.keys() | given.keys())
        if stored.get(key, math.nan) != given.get(key, math.nan)
    ]
    if different:
        raise CheckpointError(
            f"{path}: is of another configuration ({'; '.join(different)}). Expected the same one: set it as it was, or begin "
            "anew with another file."
        )


def _optimizer_state(
    path: Path, name: str, parts: Parts, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]
) -> dict[str, Any]:
    """What load_state_dict takes, after a look at every shape (torch itself takes any)."""
    weights = [p for group in parts.optimizers[name].param_groups for p in group["params"]]
    groups = plain.get(name, {}).get("groups", [])
    state: dict[int, dict[str, Any]] = {int(k): dict(v) for k, v in plain.get(name, {}).get("state", {}).items()}
    for key, value in tensors.items():
        if key.startswith(f"optimizers/{name}/"):
            _, _, k, entry = key.split("/")
            state[int(k)][entry] = value
    fits = [len(group["params"]) for group in groups] == [len(g["params"]) for g in parts.optimizers[name].param_groups]
    for k, entries in state.items():
        shapes = {tuple(v.shape) for v in entries.values() if isinstance(v, Tensor) and v.ndim}
        fits = fits and k < len(weights) and shapes <= {tuple(weights[k].shape)}
    if not fits:
        raise CheckpointError(
            f"{path}: the state of the optimiser {name!r} does not fit, expected one entry for each of its {len(weights)} "
            "weights, of their shapes. Build the networks as the checkpoint's were."
        )
    now = parts.optimizers[name].param_groups  # JSON knows no tuples
    groups = [
        {key: tuple(v) if isinstance(old.get(key), tuple) else v for key, v in group.items()}
        for group, old in zip(groups, now)
    ]
    return {"state": state, "param_groups": groups}


def _as_in_memory(optimizer: torch.optim.Optimizer) -> None:
    """Give every moment the memory layout of its weight: a fused step walks through both side by side."""
    for p, entries in optimizer.state.items():
        for key, value in entries.items():
            if isinstance(value, Tensor) and value.shape == p.shape and value.ndim:
                entries[key] = torch.empty_like(p, dtype=value.dtype).copy_(value)


def _shape(value: Tensor) -> str:
    return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"


@contextlib.contextmanager
def _whole_steps() -> Iterator[None]:
    """Within the block an interrupt (SIGINT) waits for the block's end; a second one does not wait."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is not signal.default_int_handler:
        yield  # only the main thread may set handlers, and a handler of somebody else's is theirs
        return
    interrupts = 0

    def wait(number: int, frame: Any) -> None:
        nonlocal interrupts
        interrupts += 1
        if interrupts > 1:
            signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, wait)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if interrupts == 1:
            raise KeyboardInterrupt
