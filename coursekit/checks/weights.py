"""Exercises on outcomes: the answer is a file of weights, and what is graded is what a network does with them.

The student's side trains and keeps (`load_or_train`); the judge loads the weights into a network of its own and measures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from coursekit.checks.declare import Findings, Inputs, Law, Part
from coursekit.checks.engine import CHANGED

_MOST = 50  # tensors that are looked at; no network of an exercise has as many


def load_or_train(path: str, train: Callable[[int], dict[str, Tensor]], seed: int = 0) -> dict[str, Tensor]:
    """The tensors in the file, or where there is none those that train(seed) returns, which are then kept in the file."""
    import os
    import time

    from safetensors.torch import load_file, save_file

    if os.path.exists(path):
        print(f"{path}: loaded. Delete the file to train again.")
        kept: dict[str, Tensor] = load_file(path)
        return kept
    start = time.perf_counter()
    weights = train(seed)
    if not isinstance(weights, dict):
        raise TypeError(f"the training returned a {type(weights).__name__}, expected a dictionary: net.state_dict().")
    save_file({name: tensor.detach().contiguous() for name, tensor in weights.items()}, path + ".part")
    os.replace(path + ".part", path)  # all or nothing: a run that is stopped leaves no half file
    print(f"{path}: trained in {time.perf_counter() - start:.0f} s, and kept.")
    return weights


@dataclass(frozen=True)
class HandedOver:
    """Weights of `network()` under the name `answer` in the student's notebook."""

    answer: str
    network: Callable[[], nn.Module]
    label: str
    """What the task calls the network: "RingGenerator"."""

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: tuple(tensor.shape) for name, tensor in self.network().state_dict().items()}

    @cached_property
    def _types(self) -> dict[str, torch.dtype]:
        return {name: tensor.dtype for name, tensor in self.network().state_dict().items()}

    def probe(self, weights: Any, inputs: Inputs) -> Findings:
        """The tensors as they are; the judge measures."""
        if weights is None:
            raise NotImplementedError
        if not isinstance(weights, Mapping):
            raise TypeError(
                f"{self.answer} is a {type(weights).__name__}, expected a dictionary of tensors: return a `state_dict()`."
            )
        return {str(name): tensor for name, tensor in list(weights.items())[:_MOST]}

    def load(self, found: Findings) -> nn.Module | None:
        """The network with these weights, in eval mode and float32; None where they do not fit."""
        if not (self._named(found) and self._shaped(found) and self._finite(found)):
            return None
        net = self.network()
        net.load_state_dict({name: tensor.to(self._types[name]) for name, tensor in _tensors(found).items()})
        return net.eval()

    def part(self, *, points: float, finite: str) -> Part:
        """The part on names, shapes and finite numbers; `finite` says what to do where there are others."""
        laws = (
            (
                "other names",
                f"Expected are exactly the {len(self.shapes)} tensors of `{self.label}().state_dict()`, under their names there.",
                self._named,
            ),
            (
                "other shapes",
                f"The tensors do not have the shapes of `{self.label}`. Train the network as given.",
                self._shaped,
            ),
            ("not finite", f"There are weights that are not finite numbers. {finite}", self._finite),
        )
        return Part(
            name="weights",
            points=points,
            tests=f"names, shapes and finite numbers of the {len(self.shapes)} tensors",
            probe=self.probe,
            compared=False,
            laws=tuple(figures_law(name, says, holds) for name, says, holds in laws),
        )

    def _named(self, found: Findings) -> bool:
        return _tensors(found).keys() == self.shapes.keys()

    def _shaped(self, found: Findings) -> bool:
        return all(
            isinstance(tensor, Tensor) and tuple(tensor.shape) == self.shapes.get(name)
            for name, tensor in _tensors(found).items()
        )

    def _finite(self, found: Findings) -> bool:
        whole = {name for name, dtype in self._types.items() if not dtype.is_floating_point}
        return all(
            name in whole or (tensor.is_floating_point() and bool(torch.isfinite(tensor).all()))
            for name, tensor in _tensors(found).items()
        )


def _tensors(found: Findings) -> Findings:
    return {name: value for name, value in found.items() if name != CHANGED}


def figures_law(name: str, says: str, holds: Callable[[Findings], bool]) -> Law:
    """A law on what was found or measured alone, whatever the draw was."""
    return Law(name, says, lambda inputs, figures: bool(holds(figures)))


UNFIT = figures_law(
    "weights do not fit",
    "The weights do not fit into the network, or what it makes of them is not finite, so that nothing could be measured.",
    lambda figures: bool(figures["fits"]),
)
"""For a measure that says {"fits": False} where `HandedOver.load` gave no network."""
