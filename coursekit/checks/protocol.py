"""What a training step did, and in which order: an optimiser that keeps a diary.

It stands on the asking side: it records and knows no right answer. It is not a `torch.optim.Optimizer`, because the
first of those in a process imports the compiler (seconds, in every worker); it has the three methods that a training
step uses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

ZERO_GRAD, BACKWARD, STEP = "zero_grad", "backward", "step"


class RecordingSGD:
    """Plain gradient descent, p <- p - lr * p.grad, that writes down what happened.

    events      "zero_grad", "backward" and "step" in the order in which they happened
    gradients   for each step, all gradients that it used as one vector; a missing gradient counts as zeros
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float) -> None:
        self.param_groups: list[dict[str, Any]] = [{"params": list(parameters), "lr": lr}]
        self.events: list[str] = []
        self.gradients: list[Tensor] = []
        self._reached: set[int] = set()
        for parameter in self._parameters():
            parameter.register_post_accumulate_grad_hook(self._note_backward)  # type: ignore[no-untyped-call]

    def zero_grad(self, set_to_none: bool = True) -> None:
        self._note(ZERO_GRAD)
        for parameter in self._parameters():
            if set_to_none:
                parameter.grad = None
            elif parameter.grad is not None:
                parameter.grad = torch.zeros_like(parameter.grad)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update. With a `closure`, as `torch.optim` has it, gradients are made by calling that first."""
        result = None
        if closure is not None:
            with torch.enable_grad():
                result = closure()
        self._note(STEP)
        self.gradients.append(flat_gradient(self._parameters()))
        with torch.no_grad():
            for group in self.param_groups:
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        # In place, as torch does it: a graph that still needs the old weights then says so.
                        parameter.sub_(parameter.grad, alpha=group["lr"])
        return result

    def _parameters(self) -> list[Tensor]:
        return [parameter for group in self.param_groups for parameter in group["params"]]

    def _note(self, event: str) -> None:
        self.events.append(event)
        self._reached.clear()

    def _note_backward(self, parameter: Tensor) -> None:
        # The hook fires once for each parameter and backward pass: a parameter met again means another pass.
        if not self._reached or id(parameter) in self._reached:
            self._note(BACKWARD)
        self._reached.add(id(parameter))


def flat_gradient(parameters: Iterable[Tensor]) -> Tensor:
    """All gradients as one vector (P,), zeros where there is none."""
    pieces = [torch.zeros_like(p) if p.grad is None else p.grad.detach() for p in parameters]
    return torch.cat([piece.reshape(-1) for piece in pieces]).clone()


def flat_weights(parameters: Iterable[Tensor]) -> Tensor:
    """All weights as one vector (P,)."""
    return torch.cat([p.detach().reshape(-1) for p in parameters]).clone()
