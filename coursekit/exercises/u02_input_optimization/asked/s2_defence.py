"""### The other side

Training on what an attack found, and an honest count of what it was good for.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coursekit.checks.declare import Findings, Inputs, Part, Question
from coursekit.checks.draws import Rng
from coursekit.checks.probes import network_state
from coursekit.checks.protocol import RecordingSGD, flat_weights
from coursekit.exercises.u02_input_optimization.nets import (
    CLASSES,
    SmallNet,
    draw_images,
    draw_weights,
    in_float64,
    used_net,
)

# adversarial_step


class _Watched(SmallNet):
    """Notes the mode in which each forward pass ran."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__(weights)
        self.modes: list[bool] = []

    def forward(self, x: Tensor) -> Tensor:
        self.modes.append(self.training)
        return super().forward(x)


def _careless_attack(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """An attack as one finds them: leaves gradients in the weights, and its result hangs on its graph."""
    z = x.detach().clone().requires_grad_()
    loss = F.cross_entropy(net(z), y)
    (gradient,) = torch.autograd.grad(loss, z, create_graph=True)
    loss.backward()
    return (z + 0.5 * torch.tanh(20 * gradient)).clamp(-1, 1)


def _draw_adversarial(rng: Rng) -> Inputs:
    weights = draw_weights(rng)
    return {"weights": weights, "x": draw_images(rng, 4), "y": rng.integers(0, CLASSES, 4)}


def _train(adversarial_step: Any, inputs: Inputs, shares: list[float]) -> dict[str, Any]:
    """One step for each share: what the optimiser saw, and in which modes the network ran."""
    net = _Watched(inputs["weights"])
    optimizer = RecordingSGD(net.parameters(), lr=0.2)
    attacked_in: list[bool] = []
    labels: list[Tensor] = []

    def attack(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        attacked_in.append(model.training)
        labels.append(y)
        image = _careless_attack(model, x, y)
        net.modes.clear()
        return image

    losses, modes = [], []
    for share in shares:
        losses.append(adversarial_step(net, optimizer, attack, inputs["x"], inputs["y"], share))
        modes.append(sorted(set(net.modes)))
    return {
        "gradients": optimizer.gradients,
        "weights": flat_weights(net.parameters()),
        "losses": losses,
        "attacked in train mode": attacked_in,
        "train mode afterwards": net.training,
        "train mode in the passes after the attack": modes,
        "labels": labels,
    }


def _adversarial_gradient(adversarial_step: Any, inputs: Inputs) -> Findings:
    seen = _train(adversarial_step, inputs, [0.3])
    return {
        "gradient of each update": seen["gradients"],
        "weights afterwards": seen["weights"],
        "labels given": seen["labels"],
    }


def _adversarial_several(adversarial_step: Any, inputs: Inputs) -> Findings:
    seen = _train(adversarial_step, inputs, [1.0, 0.6, 1.0])
    return {"number of updates": len(seen["gradients"]), "gradient of each update": seen["gradients"]}


def _adversarial_modes(adversarial_step: Any, inputs: Inputs) -> Findings:
    seen = _train(adversarial_step, inputs, [0.3])
    return {name: value for name, value in seen.items() if "mode" in name}


def _adversarial_loss(adversarial_step: Any, inputs: Inputs) -> Findings:
    (loss,) = _train(adversarial_step, inputs, [0.3])["losses"]
    return {"loss": float(loss), "loss holds a graph": isinstance(loss, Tensor) and loss.requires_grad}


ADVERSARIAL_STEP = Question(
    unit="02",
    name="adversarial_step",
    title="One step of adversarial training",
    difficulty=3,
    minutes=20,
    task="""
Fool the network, train it on what fooled it, repeat: each time it is harder to fool. Goodfellow, Shlens and Szegedy
(2015, section 6) mix the clean and the attacked loss, here with a share $s$ of the attacked one:

$$\\tilde L = (1 - s)\\; L(x, y) + s\\; L(x_{adv}, y)$$

`adversarial_step(net, optimizer, attack, x, y, share)` makes **one** update of `net` by `optimizer` (it has
`zero_grad()` and `step()`) and returns $\\tilde L$ as a Python number. $L$ is the mean cross entropy of the batch, and
`share` = $s$ is in [0, 1].

- `attack(net, x, y)` returns attacked images. It runs while the network is in **eval** mode; both losses are taken in
  **train** mode, in which the network is handed in and left behind.
- The attack is careless: it leaves gradients in the weights' `.grad`, and what it returns still hangs on its graph.
  The update must use the gradient of $\\tilde L$ alone, with $x_{adv}$ **as given data**.

The check records the gradient that the update used.
""",
    answers=("adversarial_step",),
    draw=_draw_adversarial,
    parts=(
        Part(
            name="update",
            points=1.0,
            tests="gradient, weights and labels of one update, s = 0.3",
            probe=_adversarial_gradient,
        ),
        Part(name="several", points=0.5, tests="three updates with different shares", probe=_adversarial_several),
        Part(
            name="modes",
            points=0.5,
            tests="eval for the attack, train for the losses and afterwards",
            probe=_adversarial_modes,
        ),
        Part(name="loss", points=0.5, tests="the returned loss, a number", probe=_adversarial_loss),
    ),
    hints=(
        "Two jobs that must not leak into each other: the attack first, the training step after it.",
        "Gradients that the attack left are cleared *after* it. `detach()` cuts what it returned off its history.",
        "`net.eval()`, attack, `.detach()`, `net.train()`; then `zero_grad`, the mixed loss of two forward passes, "
        "`backward`, `step`, and `loss.item()`.",
    ),
)

# robust_accuracy


def _shifted(x: Tensor, y: Tensor) -> Tensor:
    """The attack's result: each image's pixels, shifted along by its label + 1."""
    return torch.stack([image.flatten().roll(int(k) + 1).reshape(image.shape) for image, k in zip(x, y)])


# Images right before and after the attack, only before, only after. No two ways of counting agree on these.
_FATES = ((5, 3, 1), (5, 4, 1), (5, 2, 2), (4, 3, 1), (4, 3, 2), (3, 5, 1))


def _draw_robust(rng: Rng) -> Inputs:
    """Twelve images: some are seen rightly, some rightly under attack, some both, some neither."""
    rng = in_float64(rng)
    weights, sizes = draw_weights(rng), (5, 4, 3)
    net, pool = SmallNet(weights), draw_images(rng, 120)
    opinion = net(pool).argmax(1)
    kinds: dict[tuple[bool, bool], list[tuple[int, int]]] = {(a, b): [] for a in (True, False) for b in (True, False)}
    for label in range(CLASSES):
        shifted = net(_shifted(pool, torch.full((len(pool),), label))).argmax(1)
        for n in range(len(pool)):
            kinds[bool(opinion[n] == label), bool(shifted[n] == label)].append((n, label))
    both, clean, other = rng.choice(_FATES)
    counts = {(True, True): both, (True, False): clean, (False, True): other}
    counts[False, False] = sum(sizes) - both - clean - other
    chosen, used = [], set()
    for kind, count in counts.items():
        for n, label in (kinds[kind][int(k)] for k in rng.permutation(len(kinds[kind]))):
            if count and n not in used:
                chosen.append((n, label, kind))
                used.add(n)
                count -= 1
    order = [chosen[int(k)] for k in rng.permutation(len(chosen))]
    while not _spread_unevenly([kind for _, _, kind in order], sizes):
        order = [order[int(k)] for k in rng.permutation(len(order))]
    x, y = pool[[n for n, _, _ in order]], torch.tensor([label for _, label, _ in order])
    return {"weights": weights, "x": list(x.split(sizes)), "y": list(y.split(sizes))}


def _spread_unevenly(kinds: list[tuple[bool, bool]], sizes: tuple[int, ...]) -> bool:
    """Each batch has an image that is seen rightly, and the mean of the batches' shares is not that of all."""
    rights = [torch.tensor([float(clean) for clean, _ in kinds]), torch.tensor([float(a and b) for a, b in kinds])]
    apart = [abs(float(torch.stack([b.mean() for b in right.split(sizes)]).mean() - right.mean())) for right in rights]
    return min(apart) > 0.01 and all(float(b.sum()) > 0 for b in rights[0].split(sizes))


def _evaluate(robust_accuracy: Any, inputs: Inputs, net: SmallNet) -> tuple[Any, Findings]:
    """What the answer returns, and what the attack saw."""
    truth = {
        tuple(image.flatten().tolist()): int(k) for x, y in zip(inputs["x"], inputs["y"]) for image, k in zip(x, y)
    }
    wrong: list[bool] = []
    modes: list[bool] = []

    def attack(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        z = x.detach().clone().requires_grad_()
        torch.autograd.grad(F.cross_entropy(model(z), y, reduction="sum"), z)  # attacks need gradients
        modes.append(model.training)
        wrong.extend(truth.get(tuple(image.flatten().tolist()), -1) != int(k) for image, k in zip(x, y))
        return _shifted(x.detach(), y)

    found = robust_accuracy(net, attack, iter(list(zip(inputs["x"], inputs["y"]))))
    return found, {"attack was given a wrong label": any(wrong), "attack ran in train mode": any(modes)}


def _robust_values(robust_accuracy: Any, inputs: Inputs) -> Findings:
    (clean, robust), _ = _evaluate(robust_accuracy, inputs, SmallNet(inputs["weights"]))
    return {"clean": float(clean), "robust": float(robust)}


def _robust_attack(robust_accuracy: Any, inputs: Inputs) -> Findings:
    net = _Watched(inputs["weights"])
    _, seen = _evaluate(robust_accuracy, inputs, net)
    return seen | {"a pass in train mode": any(net.modes)}


def _robust_untouched(robust_accuracy: Any, inputs: Inputs) -> Findings:
    net = used_net(inputs["weights"])
    _evaluate(robust_accuracy, inputs, net)
    resting = SmallNet(inputs["weights"]).eval()
    _evaluate(robust_accuracy, inputs, resting)
    return network_state(net) | {"train mode, when it was found in eval mode": resting.training}


ROBUST_ACCURACY = Question(
    unit="02",
    name="robust_accuracy",
    title="How robust, honestly counted",
    difficulty=2,
    minutes=12,
    task="""
A defence is worth what its count is worth. Write the evaluation.

`robust_accuracy(net, attack, batches)` takes a network, a function `attack(net, x, y)` that returns attacked images,
and `batches`, an iterable of pairs `x` (n, C, H, W), `y` (n,) int64, **not all of one size**, which can be read
**once**. It returns two Python numbers between 0 and 1, both shares **of all images**:

- `clean`: those that the network takes for what they are;
- `robust`: those that it takes for what they are **both before and after** the attack. (An image that it got wrong,
  and that the attack happens to put right, is no merit.)

The network is in **eval** mode for all of it, and in the end in the mode in which it was found. The attack is told the
true labels, and it needs gradients. Every batch has at least one image that the network gets right before the attack.
""",
    answers=("robust_accuracy",),
    draw=_draw_robust,
    parts=(
        Part(name="accuracies", points=1.0, tests="both shares for batches of 5, 4 and 3", probe=_robust_values),
        Part(
            name="attack",
            points=0.5,
            tests="true labels for the attack; eval mode for it and for every pass",
            probe=_robust_attack,
        ),
        Part(
            name="untouched", points=0.5, tests="the network as it was found, in either mode", probe=_robust_untouched
        ),
    ),
    hints=(
        "Count images, batch by batch, and divide once at the end.",
        "`with torch.no_grad():` may hold your own two looks at the logits, never the attack. `net.training` is the "
        "mode, and `net.train(mode)` sets it.",
        "`right = net(x).argmax(1) == y`, `still = right & (net(attack(net, x, y)).argmax(1) == y)`, sums of both, "
        "and `len(y)`.",
    ),
)
