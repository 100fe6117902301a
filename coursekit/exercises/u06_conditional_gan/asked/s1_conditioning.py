"""## 1. Saying which

How a label gets into both networks, what the game is worth once it is there, and a step that keeps labels and pictures
together.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from coursekit.checks.declare import Findings, Inputs, Law, Part, Question
from coursekit.checks.draws import Rng
from coursekit.checks.probes import weighted_sum
from coursekit.checks.protocol import RecordingSGD, flat_weights
from coursekit.exercises.u06_conditional_gan.nets import NOISE, LabelD, LabelG, draw_pictures

# label_inputs


def _draw_labels(rng: Rng) -> Inputs:
    """Four pictures of five classes; the last class is in no batch, and no label equals its place."""
    places = rng.choice(([1, 2, 3, 0], [2, 3, 0, 1], [3, 2, 1, 0], [1, 3, 0, 2]))
    unlabelled = list(places)
    unlabelled[rng.integer(0, 2)] = -1
    unlabelled[3] = -1
    return {
        "x": draw_pictures(rng, 4),
        "z": rng.normal(4, 3),
        "y": torch.tensor(places),
        "unlabelled": torch.tensor(unlabelled),
        "K": 5,
    }


def _label_noise(answer: Any, inputs: Inputs) -> Findings:
    return {"noise with labels": answer.labelled_noise(inputs["z"], inputs["y"], inputs["K"])}


def _label_pictures(answer: Any, inputs: Inputs) -> Findings:
    return {"pictures with labels": answer.labelled_pictures(inputs["x"], inputs["y"], inputs["K"])}


def _label_none(answer: Any, inputs: Inputs) -> Findings:
    return {
        "noise, two without a label": answer.labelled_noise(inputs["z"], inputs["unlabelled"], inputs["K"]),
        "pictures, two without a label": answer.labelled_pictures(inputs["x"], inputs["unlabelled"], inputs["K"]),
    }


def _label_gradients(answer: Any, inputs: Inputs) -> Findings:
    x, z = inputs["x"].requires_grad_(), inputs["z"].requires_grad_()
    total = weighted_sum(answer.labelled_pictures(x, inputs["y"], inputs["K"]))
    total = total + weighted_sum(answer.labelled_noise(z, inputs["y"], inputs["K"]))
    grads = torch.autograd.grad(total, [x, z], allow_unused=True)
    return {"gradient of x": grads[0], "gradient of z": grads[1]}


LABEL_INPUTS = Question(
    unit="06",
    name="label_inputs",
    title="A label for both networks",
    difficulty=2,
    minutes=12,
    task="""
A label is a number, but the number 7 is not more than the number 3, and a convolution cannot read it anyway. So the label
becomes K numbers, one of them 1 (Mirza and Osindero 2014). A generator gets them beside its noise. A discriminator gets them
as K **maps** beside the picture's channels, each constant over the whole picture, so that every window of the first
convolution sees them.

- `labelled_noise(z, y, K)` takes noise `z` (N, Z), labels `y` (N,) and the number of classes `K`, and returns (N, Z + K):
  **noise first**, then the label.
- `labelled_pictures(x, y, K)` takes pictures `x` (N, C, H, W) and returns (N, C + K, H, W): **pictures first**, then K maps. Map
  k of picture n is 1 everywhere if `y[n]` is k, else 0 everywhere.

A label of **−1** means: nobody knows. Its K entries are all 0. A class may be missing from the batch. The results have the
dtype of `z` and `x`, and gradients reach both.
""",
    answers=("labelled_noise", "labelled_pictures"),
    draw=_draw_labels,
    parts=(
        Part(name="noise", points=0.5, tests="noise (4, 3) with one of five labels", probe=_label_noise),
        Part(name="pictures", points=0.5, tests="pictures (4, 2, 3, 5) with five maps", probe=_label_pictures),
        Part(name="unlabelled", points=0.5, tests="both, with two labels of −1", probe=_label_none),
        Part(name="gradients", points=0.5, tests="gradients of x and z", probe=_label_gradients),
    ),
    hints=(
        "`F.one_hot` does not take −1. Which comparison of `y` with the numbers 0 to K − 1 gives a row of zeros there?",
        "`y[:, None] == torch.arange(K)` is (N, K), and compares −1 with nothing that it equals.",
        "For the pictures the row becomes `[:, :, None, None]`, and `.expand(-1, -1, H, W)` makes maps of it; `torch.cat` along "
        "axis 1 joins.",
    ),
)

# conditional_game


def _draw_game(rng: Rng) -> Inputs:
    """Tables (3, 5) of what data and G make of three labels, which are far from equally frequent."""
    order = rng.permutation(3)
    frequency = torch.tensor([0.15, 0.25, 0.6], dtype=torch.float64)[order][:, None]

    def rows(floor: float) -> Tensor:
        table = floor + torch.rand(3, 5, generator=rng.generator, dtype=torch.float64)
        table[torch.arange(3), torch.arange(3)] += 1.5  # each label prefers another picture
        return table

    def table(weights: Tensor) -> Tensor:
        return weights / weights.sum(1, keepdim=True)

    data, fakes = rows(0.2), rows(0.2).flip(1)
    places = rng.permutation(5).tolist()
    some, other = data.clone(), fakes.clone()
    some[0, places[0]], other[0, places[1]] = 0.0, 0.0
    some[1, places[2]], other[1, places[2]] = 0.0, 0.0
    return {
        "joint": (frequency * table(data)).to(rng.dtype),
        "q": table(fakes).to(rng.dtype),
        "joint with zeros": (frequency * table(some)).to(rng.dtype),
        "q with zeros": table(other).to(rng.dtype),
    }


def _game(answer: Any, joint: Tensor, q: Tensor) -> Findings:
    best, told, blind = answer(joint, q)
    return {"D* told y": best, "value, D told y": told, "value, D not told": blind}


def _game_full(answer: Any, inputs: Inputs) -> Findings:
    return _game(answer, inputs["joint"], inputs["q"])


def _game_zeros(answer: Any, inputs: Inputs) -> Findings:
    return _game(answer, inputs["joint with zeros"], inputs["q with zeros"])


def _game_deaf(answer: Any, inputs: Inputs) -> Findings:
    """A generator that makes the right pictures and does not listen, and one that does both."""
    joint = inputs["joint"]
    deaf = joint.sum(0, keepdim=True).repeat(len(joint), 1)
    right = joint / joint.sum(1, keepdim=True)
    found = _game(answer, joint, deaf)
    return {"deaf G: " + name: value for name, value in found.items()} | {
        "perfect G: value, D told y": answer(joint, right)[1]
    }


def _only_told_notices(inputs: Inputs, found: Findings) -> bool:
    low = -math.log(4)
    told, blind = float(found["deaf G: value, D told y"]), float(found["deaf G: value, D not told"])
    return (
        abs(blind - low) < 1e-5 and told > low + 1e-3 and abs(float(found["perfect G: value, D told y"]) - low) < 1e-5
    )


CONDITIONAL_GAME = Question(
    unit="06",
    name="conditional_game",
    title="Where does y come from?",
    difficulty=3,
    minutes=20,
    slip=True,
    task="""
A slide writes the game of a conditional GAN as

$$\\min_G \\max_D\\; \\mathbb E_{x \\sim p_{data}}[\\log D(x \\mid y)]
+ \\mathbb E_{z \\sim p_z}[\\log(1 - D(G(z \\mid y) \\mid y))]$$

and says over $x$ and $z$ what they are drawn from, but nothing over $y$. Who fills the gap with a label drawn on its own gets
data in which labels mean nothing, and the best G does not listen. (The original paper prints $D(G(z \\mid y))$: there D is not
told y for fakes, and the two terms are about two different functions.) Mend it: $y$ comes **with** $x$, as
$(x, y) \\sim p_{data}$; for fakes $y$ is drawn from the **same** frequencies $p(y)$ and told to G **and** D.

In a small world that can be counted. There are M pictures and K labels.

`conditional_game(joint, q)` takes the table `joint` (K, M) of $p_{data}(x, y)$, whose sum is 1 and none of whose rows is all 0,
and the table `q` (K, M) of $q(x \\mid y)$, what G makes when told y; each of its rows sums to 1. It returns three tensors:

- `best` (K, M): the best D that is told y, $D^*(x \\mid y) = p(x \\mid y)\\,/\\,(p(x \\mid y) + q(x \\mid y))$, and 1/2 where
  both are 0;
- `told`, 0-dimensional: the value of the game at `best`,
  $\\sum_y p(y) \\sum_x p(x \\mid y) \\log D^* + q(x \\mid y) \\log(1 - D^*)$, with $0 \\log 0 = 0$;
- `blind`, 0-dimensional: the value at the best D that is **not** told y, one function of $x$ for all labels.

How to know that it works: a G that makes the right pictures but does not listen has `blind` = −log 4, the least there is, and a
larger `told`. That is why D must know y, too.
""",
    answers=("conditional_game",),
    draw=_draw_game,
    parts=(
        Part(name="positive", points=1.0, tests="three labels, five pictures, no zeros", probe=_game_full),
        Part(name="zeros", points=0.5, tests="pictures that data or G never make", probe=_game_zeros),
        Part(
            name="deaf",
            points=0.5,
            tests="a G that does not listen, and a perfect one",
            probe=_game_deaf,
            laws=(
                Law(
                    "a deaf G is not noticed by the right D",
                    "A G that makes p(x) whatever it is told has −log 4 against the D that is not told y, and more against the D "
                    "that is.",
                    _only_told_notices,
                ),
            ),
        ),
    ),
    hints=(
        "p(y) is a sum over which axis of `joint`? Which distribution over pairs (x, y) do the fakes have?",
        "With frequencies p(y) as a column, `joint` and `p_y * q` are two tables over the same pairs; D* is the same with "
        "them. The blind D sees their sums over y.",
        "Write one inner function of two tables p and q: `torch.where(p + q > 0, p / (p + q), 0.5)` and the sum of two "
        "`torch.xlogy`. Call it with the tables, then with their sums over axis 0.",
    ),
)

# conditional_d_step


def _draw_d_step(rng: Rng) -> Inputs:
    labels = torch.tensor([0, 1, 3, 2, 1])
    return {
        "seed": rng.integer(1, 10**6),
        "x": draw_pictures(rng, 5),
        "y": labels[rng.permutation(5)],
        "z": [rng.normal(5, NOISE), rng.normal(5, NOISE)],
    }


def _d_step(answer: Any, inputs: Inputs, count: int) -> dict[str, Any]:
    dtype = inputs["x"].dtype
    G, D = LabelG(inputs["seed"], dtype).train(), LabelD(inputs["seed"] + 7, dtype).train()
    G.body.bias.grad = torch.full_like(G.body.bias, 0.25)
    D.body.bias.grad = torch.full_like(D.body.bias, 0.5)
    optimizer, asked = RecordingSGD(D.parameters(), lr=0.5), []

    def noise(n: int) -> Tensor:
        asked.append(n)
        return inputs["z"][len(asked) - 1].clone()  # type: ignore[no-any-return]

    losses = [answer(D, G, optimizer, inputs["x"], inputs["y"], noise) for _ in range(count)]
    return {"D": D, "G": G, "optimizer": optimizer, "losses": losses, "asked": asked}


def _d_step_update(answer: Any, inputs: Inputs) -> Findings:
    seen = _d_step(answer, inputs, 1)
    return {
        "gradient of D's update": seen["optimizer"].gradients,
        "weights of D": flat_weights(seen["D"].parameters()),
        "loss": float(seen["losses"][0]),
    }


def _d_step_labels(answer: Any, inputs: Inputs) -> Findings:
    seen = _d_step(answer, inputs, 1)
    return {
        "labels that D was told, pass by pass": [call[0] for call in seen["D"].calls],
        "labels that G was told, pass by pass": [call[0] for call in seen["G"].calls],
        "noise asked for": seen["asked"],
    }


def _d_step_twice(answer: Any, inputs: Inputs) -> Findings:
    seen = _d_step(answer, inputs, 2)
    G, D = seen["G"], seen["D"]
    return {
        "gradients of two updates": seen["optimizer"].gradients,
        "losses": [float(value) for value in seen["losses"]],
        "a loss holds a graph": any(isinstance(v, Tensor) and v.requires_grad for v in seen["losses"]),
        "G's gradients": [None if p.grad is None else p.grad.clone() for p in G.parameters()],
        "G's running mean": G.centre.running_mean.clone(),
        "D's running mean": D.centre.running_mean.clone(),
        "a pass in eval mode": not all(call[1] for call in G.calls + D.calls),
        "train mode afterwards": [G.training, D.training],
        "requires_grad of the weights": [p.requires_grad for net in (G, D) for p in net.parameters()],
    }


CONDITIONAL_D_STEP = Question(
    unit="06",
    name="conditional_d_step",
    title="The step that keeps labels and pictures together",
    difficulty=3,
    minutes=20,
    task="""
D of a conditional GAN is shown pairs. A real pair is a picture with its own label; a fake pair is a picture with the label that
G was told. If the two kinds of pairs differ in anything but the pictures (other labels, another order), D tells them apart by
that, and G learns nothing.

`conditional_d_step(D, G, optimizer, x, y, noise)` does one update of D and returns its loss, a Python number.

- `x` (N, C, H, W) are pictures, `y` (N,) their labels. `noise(n)` returns fresh noise (n, Z); it is called once, for n = N.
- `G(z, y)` gives pictures. It is told **the same labels in the same order** as `x` has, and runs once, in train mode, as it was
  found. No gradient reaches G: what its weights hold in `.grad` stays there, neither cleared nor added to.
- `D(x, y)` gives **probabilities** of real, (N,), strictly between 0 and 1, not logits. D is in train mode and its batches
  matter: it sees the real pairs first, then the fakes alone.
- The loss is $-\\frac1N \\sum_n \\log D(x_n \\mid y_n) - \\frac1N \\sum_n \\log(1 - D(G(z_n \\mid y_n) \\mid y_n))$.
- `optimizer` holds D's weights, which may have gradients from before, and has `zero_grad()` and `step()`. It uses nothing but
  the gradient of this loss.
""",
    answers=("conditional_d_step",),
    draw=_draw_d_step,
    draws=1,
    parts=(
        Part(name="update", points=1.0, tests="gradient, weights and loss of one step", probe=_d_step_update),
        Part(name="labels", points=0.5, tests="what D and G were told, pass by pass", probe=_d_step_labels),
        Part(
            name="twice", points=1.0, tests="two steps: gradients, statistics, modes, G untouched", probe=_d_step_twice
        ),
    ),
    hints=(
        "Count the passes: one of G, two of D. Which labels go into each?",
        "`with torch.no_grad():` around G's pass is enough to keep its gradients out. `F.binary_cross_entropy` (without "
        "`_with_logits`) takes probabilities.",
        "no_grad fakes from `G(noise(len(x)), y)`; `D(x, y)`; `D(fakes, y)`; the two means of logarithms; zero_grad, "
        "backward, step, `.item()`.",
    ),
)
