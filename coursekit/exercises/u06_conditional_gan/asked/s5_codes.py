"""## 5. The code of a picture that exists

To edit a photograph with a conditional GAN one needs its noise, and the label it came with. Found by descent, or by encoders that
learn from what G makes.
"""

from __future__ import annotations

from typing import Any

import torch

from coursekit.checks.declare import Findings, Inputs, Law, Part, Question
from coursekit.checks.draws import Rng
from coursekit.checks.probes import network_state
from coursekit.exercises.u06_conditional_gan.nets import CLASSES, NOISE, LabelG, Reader, draw_pictures

# identity_code


def _draw_identity(rng: Rng) -> Inputs:
    return {
        "seed": rng.integer(1, 10**6),
        "x": draw_pictures(rng, 3),
        "y": torch.tensor([2, 0, 3])[rng.permutation(3)],
        "z": rng.normal(3, NOISE),
        "rate": rng.number(0.02, 0.03),
    }


def _frozen_pair(inputs: Inputs) -> tuple[LabelG, Reader]:
    """G is found in train mode, the features in eval mode; both have gradients from before."""
    dtype = inputs["x"].dtype
    G, features = LabelG(inputs["seed"], dtype).train(), Reader(4, inputs["seed"] + 1, dtype).eval()
    G.body.bias.grad = torch.full_like(G.body.bias, 0.25)
    features.body.shift.grad = torch.full_like(features.body.shift, -0.5)
    return G, features


def _identity(answer: Any, inputs: Inputs, steps: int, rows: slice = slice(None)) -> Findings:
    G, features = _frozen_pair(inputs)
    z, distance = answer(G, features, inputs["x"][rows], inputs["y"][rows], inputs["z"][rows], steps, inputs["rate"])
    return {"z*": z, "distances": distance, "z* carries a graph": z.requires_grad or distance.requires_grad}


def _identity_steps(answer: Any, inputs: Inputs) -> Findings:
    return _identity(answer, inputs, 4)


def _identity_alone(answer: Any, inputs: Inputs) -> Findings:
    """A picture alone, and no step at all."""
    alone, none = _identity(answer, inputs, 3, slice(1, 2)), _identity(answer, inputs, 0)
    return {f"one picture: {k}": v for k, v in alone.items()} | {f"0 steps: {k}": v for k, v in none.items()}


def _identity_untouched(answer: Any, inputs: Inputs) -> Findings:
    G, features = _frozen_pair(inputs)
    answer(G, features, inputs["x"], inputs["y"], inputs["z"], 2, inputs["rate"])
    found = {f"G: {k}": v for k, v in network_state(G).items()}
    found |= {f"features: {k}": v for k, v in network_state(features).items()}
    return found | {"a pass of G in train mode": any(call[1] for call in G.calls)}


IDENTITY_CODE = Question(
    unit="06",
    name="identity_code",
    title="Whose face it is: the code by descent",
    difficulty=3,
    minutes=20,
    task="""
To age a face, find the noise that makes **this** face, keep it, and tell G another age. An encoder's first guess makes a face
of the right kind, not the right person. So it is improved (Antipov, Baccouche and Dugelay 2017, equation 2) until a network
that knows people, Φ, takes the two for one:

$$z^* = \\arg\\min_z \\lVert \\Phi(x) - \\Phi(G(z, y)) \\rVert_2^2$$

`identity_code(G, features, x, y, z, steps, rate)` takes a generator `G(z, y)`, a network `features` Φ of pictures that gives
(N, F), pictures `x` (N, C, H, W), their labels `y` (N,), the first guesses `z` (N, Z), the number of steps, 0 or more, and a
number `rate`. It does `steps` steps of plain gradient descent on z, with the **sum** over the F features as loss of a picture.
Every picture is a problem of its own: in a batch each code moves exactly as it would alone. It returns

- $z^*$ (N, Z), the codes after the last step;
- the distances (N,) $\\lVert \\Phi(x_n) - \\Phi(G(z^*_n, y_n)) \\rVert_2^2$ at **these** codes,

both without a graph. Nothing but z moves. Both networks run in **eval** mode; afterwards their weights, what these hold in
`.grad`, their `requires_grad`, statistics and modes are as they were, and `z` itself is as it was.
""",
    answers=("identity_code",),
    draw=_draw_identity,
    parts=(
        Part(name="steps", points=1.0, tests="four steps for three pictures", probe=_identity_steps),
        Part(name="alone", points=0.5, tests="one picture alone; 0 steps", probe=_identity_alone),
        Part(name="untouched", points=0.5, tests="weights, gradients, statistics, modes", probe=_identity_untouched),
    ),
    hints=(
        "Which sums are over features, which over pictures? A mean over the batch would make steps smaller in company.",
        "`torch.autograd.grad(loss, code)` gives the gradient of the code and leaves the weights' `.grad` alone.",
        "Loop: `code = code.detach().requires_grad_()`, `loss = (features(x) - features(G(code, y))).square().sum()`, "
        "`code = code - rate * grad`. Remember both modes first and set them back at the end.",
    ),
)

# icgan


def _draw_icgan(rng: Rng) -> Inputs:
    """Real attributes of 5 pictures, told attributes of 3 fakes: four of them, 0 or 1."""
    true = torch.tensor([[1, 0, 0, 1], [0, 1, 0, 0], [1, 1, 0, 1], [0, 0, 1, 0], [0, 1, 1, 1]], dtype=rng.dtype)
    told = torch.tensor([[0, 0, 1, 1], [1, 1, 0, 0], [0, 1, 0, 1]], dtype=rng.dtype)
    return {
        "seed": rng.integer(1, 10**6),
        "x": draw_pictures(rng, 5),
        "y": true[rng.permutation(5)],
        "z": rng.normal(3, NOISE),
        "told": told[rng.permutation(3)],
        "attribute": rng.integer(0, CLASSES),
    }


class _Sure(Reader):
    """An encoder of attributes that is sure of each, and differs from picture to picture."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = super().forward(x)
        # Away from 1/2, so that rounding is not a matter of the last bit.
        return torch.sigmoid(rows + 0.4 * torch.tanh(200 * rows))


def _encoders(inputs: Inputs) -> tuple[Reader, Reader, LabelG]:
    dtype, seed = inputs["x"].dtype, inputs["seed"]
    E_z, E_y, G = Reader(NOISE, seed, dtype), _Sure(CLASSES, seed + 1, dtype), LabelG(seed + 2, dtype)
    return E_z, E_y, G.eval()


def _encoder_losses(answer: Any, inputs: Inputs) -> Findings:
    losses = answer.encoder_losses(*_encoders(inputs), inputs["x"], inputs["y"], inputs["z"], inputs["told"])
    return {"loss of E_z": losses[0], "loss of E_y": losses[1]}


def _encoder_gradients(answer: Any, inputs: Inputs) -> Findings:
    E_z, E_y, G = _encoders(inputs)
    losses = answer.encoder_losses(E_z, E_y, G, inputs["x"], inputs["y"], inputs["z"], inputs["told"])
    sum(losses).backward()
    return {
        f"gradient of {name}": [None if p.grad is None else p.grad.clone() for p in net.parameters()]
        for name, net in (("E_z", E_z), ("E_y", E_y), ("G", G))
    }


def _edited(answer: Any, inputs: Inputs) -> Findings:
    """The attribute switched off, then on."""
    found: Findings = {}
    for value in (0.0, 1.0):
        E_z, E_y, G = _encoders(inputs)
        pictures = answer.edit_pictures(E_z, E_y, G, inputs["x"], inputs["attribute"], value)
        found |= {
            f"pictures with {value}": pictures,
            f"attributes that G was told, with {value}": G.calls[-1][0] if G.calls else None,
            f"pictures with {value} carry a graph": pictures.requires_grad,
        }
    return found


def _only_one_attribute(inputs: Inputs, found: Findings) -> bool:
    told = [found[f"attributes that G was told, with {value}"] for value in (0.0, 1.0)]
    set_right = all(bool((t[:, inputs["attribute"]] == v).all()) for t, v in zip(told, (0.0, 1.0)))
    return set_right and all(bool(((t == 0) | (t == 1)).all()) for t in told)


ICGAN = Question(
    unit="06",
    name="icgan",
    title="Two encoders, and an edit",
    difficulty=3,
    minutes=20,
    task="""
IcGAN (Perarnau et al. 2016) takes a finished conditional generator G and trains two encoders: $E_z$ reads the noise of a picture,
$E_y$ its attributes, K numbers that are 0 or 1. Each needs pictures for which the answer is **known**, and these are not the same
ones. Nobody knows the noise of a photograph, so $E_z$ learns from pictures that G makes. The attributes of photographs are known,
and $E_y$ is to read photographs, so it learns from those (equations 3 and 4):

$$L_z = \\mathbb E_{z, y'} \\lVert z - E_z(G(z, y')) \\rVert_2^2, \\qquad L_y = \\mathbb E_{x, y} \\lVert y - E_y(x) \\rVert_2^2$$

- `encoder_losses(E_z, E_y, G, x, y, z, y_told)` takes photographs `x` (N, C, H, W) with attributes `y` (N, K), noise `z` (M,
  Z) and attributes `y_told` (M, K) to tell G. It returns $(L_z, L_y)$; the squared norms are **sums** over Z and K, the
  expectations means over M and N. Gradients reach both encoders; none reaches G, which is finished.
- `edit_pictures(E_z, E_y, G, x, attribute, value)` reads noise and attributes of the photographs `x`, **rounds** the
  attributes to 0 or 1 (above 1/2 is 1), sets number `attribute` of every picture to `value` (0.0 or 1.0), and returns what G
  makes of that, (N, C, H, W), without a graph.

`E_y` gives numbers between 0 and 1. All three networks are used in the mode in which they are.
""",
    answers=("encoder_losses", "edit_pictures"),
    draw=_draw_icgan,
    parts=(
        Part(name="losses", points=0.5, tests="both losses for 5 photographs and 3 codes", probe=_encoder_losses),
        Part(name="gradients", points=0.5, tests="gradients of the encoders, none of G", probe=_encoder_gradients),
        Part(
            name="edit",
            points=1.0,
            tests="five photographs with one attribute off, then on",
            probe=_edited,
            laws=(
                Law(
                    "G told something else",
                    "G is told attributes of 0 and 1, and number `attribute` is `value` for every picture.",
                    _only_one_attribute,
                ),
            ),
        ),
    ),
    hints=(
        "For which pictures is z known? For which y?",
        "`with torch.no_grad():` makes the pictures of G without its graph. A squared norm is `.square().sum(1)`, the "
        "expectation its `.mean()`.",
        "Edit, under no_grad: `z = E_z(x)`, `told = (E_y(x) > 0.5).to(x.dtype)`, `told[:, attribute] = value`, `G(z, told)`.",
    ),
)
