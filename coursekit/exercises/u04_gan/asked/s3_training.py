"""## 3. The two steps

Each network is trained through the other, and neither step may leave a trace in the network that it only looks through.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from coursekit.checks.declare import Findings, Inputs, Part, Question
from coursekit.checks.draws import Rng
from coursekit.checks.probes import network_state
from coursekit.checks.protocol import RecordingSGD, flat_weights
from coursekit.exercises.u04_gan.nets import (
    FEATURES,
    NOISE,
    Discriminator,
    Generator,
    RecordingMomentum,
    Stream,
    draw_discriminator,
    draw_generator,
    used,
)

# discriminator_step

_SIZES = (6, 4, 3)


def _data(rng: Rng, n: int) -> Tensor:
    """Examples (n, 3) away from where the generators of the probes put theirs."""
    return (0.5 + 0.3 * rng.normal(n, FEATURES)).clamp(-1, 1)


def _draw_d_step(rng: Rng) -> Inputs:
    return {
        "G": draw_generator(rng),
        "D": draw_discriminator(rng),
        "x": [_data(rng, n) for n in _SIZES],
        "z": rng.normal(4 * sum(_SIZES), NOISE),
    }


def _run_d_step(discriminator_step: Any, inputs: Inputs, steps: int = 1, *, worn: bool = False) -> dict[str, Any]:
    """Some steps of D; what the optimiser and the noise saw."""
    D, G = Discriminator(inputs["D"], batch_norm=True), Generator(inputs["G"], batch_norm=True)
    if worn:
        used(G)
    optimizer, noise = RecordingSGD(D.parameters(), lr=0.3), Stream(inputs["z"])
    losses = [discriminator_step(D, G, optimizer, inputs["x"], noise) for _ in range(steps)]
    return {"D": D, "G": G, "optimizer": optimizer, "noise": noise, "losses": losses}


def _d_update(discriminator_step: Any, inputs: Inputs) -> Findings:
    seen = _run_d_step(discriminator_step, inputs)
    return {"gradient of each update": seen["optimizer"].gradients, "weights": flat_weights(seen["D"].parameters())}


def _d_second(discriminator_step: Any, inputs: Inputs) -> Findings:
    optimizer = _run_d_step(discriminator_step, inputs, 2)["optimizer"]
    return {"number of updates": len(optimizer.gradients), "gradient of each update": optimizer.gradients}


def _d_generator(discriminator_step: Any, inputs: Inputs) -> Findings:
    state = network_state(_run_d_step(discriminator_step, inputs, worn=True)["G"])
    return {f"G: {name}": value for name, value in state.items()}


def _d_noise(discriminator_step: Any, inputs: Inputs) -> Findings:
    return {"numbers of noise vectors asked for": _run_d_step(discriminator_step, inputs)["noise"].asked}


def _d_loss(discriminator_step: Any, inputs: Inputs) -> Findings:
    # Of a single number a wrong one would be taken for right by chance, with tolerances of 1e-3 once in 100 draws.
    findings: Findings = {}
    for count in (3, 2):
        (loss,) = _run_d_step(discriminator_step, {**inputs, "x": inputs["x"][:count]})["losses"]
        findings |= {
            f"loss, {count} pieces": float(loss),
            f"loss is a tensor, {count} pieces": isinstance(loss, Tensor),
        }
    return findings


DISCRIMINATOR_STEP = Question(
    unit="04",
    name="discriminator_step",
    title="One step of D, a batch in pieces",
    difficulty=3,
    minutes=20,
    task="""
The batch that you want does not fit into memory, so it comes in pieces. D still makes **one** update, with the gradient of
the whole batch, and G, without which there would be no fakes, must not notice.

`discriminator_step(D, G, optimizer, pieces, noise)` makes one update of `D` by `optimizer`, which holds D's weights (it has
`zero_grad()` and `step()`), and returns the loss, a Python float. D gives logits (n,), $\\sigma(a)$ = P(real).

- `pieces` is a list of tensors $x^{(i)}$ ($n_i$, 3), **not all of one size**, N examples altogether. For each of them, in
  order, draw fresh noise by **one** call `noise(n)` with $n = n_i$, which returns (n, Z), and make as many fakes.
- The loss is the cross entropy of the whole batch, in the order of its pieces:

$$L = \\frac1N \\sum_i \\sum_{j=1}^{n_i} -\\log D(x^{(i)}_j) - \\log\\left(1 - D(G(z^{(i)}_j))\\right)$$

- D sees data and fakes of a piece in **two passes**, as batch norm in D would mix them otherwise.
- G is handed in in train mode and **runs in train mode**, once per piece: its batch norm uses the statistics of the batch, and
  its running averages move, as they always do. Nothing else about G changes: weights, their `.grad` (some of it may be in
  use: do not clear it), their `requires_grad` flags, its mode.

There may be gradients in D's weights from before. The check records the gradient that the update used. The loss is compared
with a relative tolerance of 1e-5 and an absolute one of 1e-6.
""",
    answers=("discriminator_step",),
    draw=_draw_d_step,
    draws=1,
    parts=(
        Part(name="update", points=1.0, tests="gradient and weights of one update, pieces of 6, 4, 3", probe=_d_update),
        Part(name="again", points=0.5, tests="two steps: two updates, gradients cleared", probe=_d_second),
        Part(
            name="generator",
            points=1.0,
            tests="G's weights, .grad, flags, mode and running averages",
            probe=_d_generator,
        ),
        Part(name="noise", points=0.25, tests="fresh noise, once for each piece", probe=_d_noise),
        Part(
            name="loss",
            points=0.25,
            tests="the returned loss, a number, for three pieces and for two",
            probe=_d_loss,
            rtol=1e-5,
            atol=1e-6,
        ),
    ),
    hints=(
        "Gradients add up in `.grad` from one `backward` to the next. So how often do you clear, how often do you step?",
        "The fakes are data: make them under `torch.no_grad()`, or detach them before D sees them. Each term's weight is "
        "1/N, whatever piece it stands in.",
        "Clear once; per piece the `softplus` of −D(x) and of D(fakes), both summed, divided by N, and `backward`; after "
        "the loop one `step`. Add up the losses by `.item()`.",
    ),
)

# generator_step


def _draw_g_step(rng: Rng) -> Inputs:
    return {
        "G": draw_generator(rng),
        "D": draw_discriminator(rng),
        "z": rng.normal(5, NOISE),
        "fake": rng.uniform(4, FEATURES, low=-0.9, high=0.9),
    }


def _g_message(answer: Any, inputs: Inputs) -> Findings:
    D = Discriminator(inputs["D"])
    return {"message": answer.feedback(D, inputs["fake"]), "two fakes": answer.feedback(D, inputs["fake"][:2])}


def _g_message_far(answer: Any, inputs: Inputs) -> Findings:
    """D is so sure of a fake that sigma is 0, in float64 too."""
    return {"message": answer.feedback(Discriminator(inputs["D"], leaning=-900.0), inputs["fake"])}


def _g_borrowed(answer: Any, inputs: Inputs) -> Findings:
    D, fake = used(Discriminator(inputs["D"])), inputs["fake"]
    message = answer.feedback(D, fake)
    leaf = inputs["fake"].clone().requires_grad_()
    leaf.grad = torch.full_like(leaf, 0.5)
    answer.feedback(D, leaf)
    return network_state(D) | {
        "message holds a graph": message.requires_grad,
        "fakes require a gradient": fake.requires_grad,
        "gradient kept in fakes that are a leaf": leaf.grad,
    }


def _messenger(inputs: Inputs) -> tuple[Any, list[Tensor], list[bool]]:
    """A D of the probe's own, far away: a message for every fake, and a record of what came."""
    seen: list[Tensor] = []
    attached: list[bool] = []
    weights = torch.linspace(-0.8, 1.3, FEATURES, dtype=inputs["z"].dtype)

    def feedback(fake: Tensor) -> Tensor:
        seen.append(fake.detach().clone())
        attached.append(fake.requires_grad)
        return torch.sin(3 * fake.detach()) * weights + 0.2

    return feedback, seen, attached


def _g_update(answer: Any, inputs: Inputs) -> Findings:
    G = Generator(inputs["G"])
    optimizer = RecordingSGD(G.parameters(), lr=0.4)
    feedback, seen, attached = _messenger(inputs)
    answer.generator_step(G, optimizer, inputs["z"], feedback)
    return {
        "gradient of each update": optimizer.gradients,
        "weights": flat_weights(G.parameters()),
        "fakes sent": seen,
        "fakes sent with their graph": attached,
    }


def _g_again(answer: Any, inputs: Inputs) -> Findings:
    G = Generator(inputs["G"])
    optimizer = RecordingSGD(G.parameters(), lr=0.4)
    feedback, _, _ = _messenger(inputs)
    for z in (inputs["z"], inputs["z"][:3]):
        answer.generator_step(G, optimizer, z, feedback)
    return {"number of updates": len(optimizer.gradients), "gradient of each update": optimizer.gradients}


GENERATOR_STEP = Question(
    unit="04",
    name="generator_step",
    title="One step of G, with D on another machine",
    difficulty=3,
    minutes=25,
    task="""
All that G ever learns about the data passes through one message: the gradient of its loss with respect to its fakes. So D
may live on another machine. The fakes travel there, as plain numbers, and the gradient travels back. Write both ends.

**D's end.** `feedback(D, fake)` takes fakes (n, 3) and returns the gradient of the non-saturating loss with respect to them,

$$\\frac{\\partial}{\\partial\\, \\mathrm{fake}}\\; \\frac1n \\sum_{j=1}^{n} -\\log D(\\mathrm{fake}_j) \\qquad (n, 3),$$

without a graph. `D(fake)` gives logits (n,), $\\sigma(a)$ = P(real), and they may be as low as −1000. D is only looked through:
its weights, their `.grad` (in use: neither add to it nor clear it), and their `requires_grad` flags (some may be frozen)
stay as they were; so does `fake`, also where it is a leaf with a `.grad` of its own.

**G's end.** `generator_step(G, optimizer, z, feedback)` makes **one** update of `G` by `optimizer`, which holds G's weights
(it has `zero_grad()` and `step()`), from noise `z` (n, Z). Here `feedback(fake)` takes **one** argument, the fakes
**without their graph**, is called **once**, and returns a message (n, 3): the gradient of *some* loss with respect to the
fakes, whatever D and loss it comes from. G descends that loss. Nothing is returned.

The check records the gradient that the update used. Its own message is no gradient of a GAN's loss.
""",
    answers=("feedback", "generator_step"),
    draw=_draw_g_step,
    parts=(
        Part(name="message", points=0.5, tests="feedback for 4 fakes and for 2", probe=_g_message),
        Part(name="far out", points=0.5, tests="feedback where D's logits are near −900", probe=_g_message_far),
        Part(name="borrowed", points=0.5, tests="feedback leaves D and the fakes as they were", probe=_g_borrowed),
        Part(name="update", points=0.75, tests="generator_step: fakes sent, gradient, weights", probe=_g_update),
        Part(name="again", points=0.25, tests="two steps: two updates, gradients cleared", probe=_g_again),
    ),
    hints=(
        "The chain rule cut in two: dL/dfake on one side, dfake/dweights on the other. Who knows which?",
        "D's end: `torch.autograd.grad` with respect to a leaf with the values of the fakes. G's end: `backward` of a "
        "tensor that is no scalar takes an argument.",
        "`fake = G(z)`, then `fake.backward(gradient=...)` with the message for `fake.detach()`. On D's end the loss is the "
        "mean of `softplus(-a)`.",
    ),
)

# algorithm_1

_LR_D, _LR_G = 0.5, 0.7


def _draw_algorithm(rng: Rng) -> Inputs:
    return {
        "G": draw_generator(rng),
        "D": draw_discriminator(rng),
        "x": _data(rng, 97),
        "z": rng.normal(101, NOISE),
    }


def _play(algorithm_1: Any, inputs: Inputs, iterations: int, k: int, m: int, *, worn: bool = False) -> dict[str, Any]:
    """The game, with everything that happened in one log."""
    D, G = Discriminator(inputs["D"]), Generator(inputs["G"])
    log: list[str] = []
    data = Stream(inputs["x"], lambda n: log.append(f"{n} examples"))
    noise = Stream(inputs["z"], lambda n: log.append(f"{n} noise vectors"))
    of_d = RecordingMomentum(D.parameters(), _LR_D, log, "step of D")
    of_g = RecordingMomentum(G.parameters(), _LR_G, log, "step of G")
    if worn:
        for parameter in [*D.parameters(), *G.parameters()]:
            parameter.grad = torch.full_like(parameter, 0.7)
    algorithm_1(D, G, of_d, of_g, data, noise, iterations, k, m)
    return {"D": D, "G": G, "of D": of_d, "of G": of_g, "log": log}


def _by_update(log: list[str]) -> list[str]:
    """The log, one line for each update; what was drawn for it in either order."""
    lines: list[str] = []
    drawn: list[str] = []
    for event in log:
        if event.startswith("step"):
            lines.append(", ".join([*sorted(drawn), event]))
            drawn = []
        else:
            drawn.append(event)
    return lines + ([", ".join([*sorted(drawn), "no step"])] if drawn else [])


def _algorithm_order(algorithm_1: Any, inputs: Inputs) -> Findings:
    log = _play(algorithm_1, inputs, iterations=2, k=3, m=4)["log"]
    return {"what happened, update by update": _by_update(log)}


def _algorithm_k1(algorithm_1: Any, inputs: Inputs) -> Findings:
    log = _play(algorithm_1, inputs, iterations=2, k=1, m=2)["log"]
    return {"what happened, update by update": _by_update(log)}


def _algorithm_gradients(algorithm_1: Any, inputs: Inputs) -> Findings:
    seen = _play(algorithm_1, inputs, iterations=2, k=2, m=6)
    return {"gradients of D's updates": seen["of D"].gradients, "gradients of G's updates": seen["of G"].gradients}


def _algorithm_weights(algorithm_1: Any, inputs: Inputs) -> Findings:
    seen = _play(algorithm_1, inputs, iterations=2, k=2, m=5, worn=True)
    return {"weights of D": flat_weights(seen["D"].parameters()), "weights of G": flat_weights(seen["G"].parameters())}


ALGORITHM_1 = Question(
    unit="04",
    name="algorithm_1",
    title="Algorithm 1, with the right letter under the gradient",
    difficulty=3,
    minutes=25,
    slip=True,
    task="""
One lecture reprints Algorithm 1 of Goodfellow et al. (2014) with this line for the generator:

$$\\text{update the generator by descending} \\quad
\\nabla_{\\theta_d} \\frac1m \\sum_{i=1}^m \\log\\left(1 - D(G(z^{(i)}))\\right).$$

Run it literally and G never moves: it is D that steps, *down* the value that it had climbed. Put the right letter under the
gradient, and play the game:

- **for** `iterations` times:
  - **for** k times: draw m noise vectors and m examples, and let D **ascend**
    $\\frac1m \\sum_i \\log D(x^{(i)}) + \\log(1 - D(G(z^{(i)})))$ by one step;
  - draw m **new** noise vectors, and let G **descend** $\\frac1m \\sum_i \\log(1 - D(G(z^{(i)})))$ by one step.

`algorithm_1(D, G, d_optimizer, g_optimizer, data, noise, iterations, k, m)` plays it and returns nothing.

- `D` gives logits (m,), $\\sigma(a)$ = P(real). `G` takes noise (m, Z).
- `data(m)` and `noise(m)` each return m fresh rows. Both are called once for each update of D, and `noise(m)` alone once for
  each update of G, right before it: every number is used for one update only.
- `d_optimizer` and `g_optimizer` hold the weights of one network each, descend (as optimisers do), and keep a **momentum**: a
  superfluous `step()` moves weights, a gradient that was not cleared goes on for a long time. Weights may hold gradients from
  before.
- G's loss is the one above, the saturating one.
""",
    answers=("algorithm_1",),
    draw=_draw_algorithm,
    draws=1,
    parts=(
        Part(
            name="order",
            points=0.75,
            tests="who steps when, and what is drawn for it: 2 iterations, k = 3, m = 4",
            probe=_algorithm_order,
        ),
        Part(name="k is 1", points=0.25, tests="the same: 2 iterations, k = 1, m = 2", probe=_algorithm_k1),
        Part(
            name="gradients",
            points=1.0,
            tests="the gradient of every update, 2 iterations, k = 2",
            probe=_algorithm_gradients,
        ),
        Part(
            name="weights",
            points=1.0,
            tests="both networks after 2 iterations, k = 2, with old gradients at the start",
            probe=_algorithm_weights,
            rtol=1e-3,
            atol=1e-4,
        ),
    ),
    hints=(
        "Two loops, two updates. Which of the two optimisers steps in each, and whose gradients does a `backward` fill?",
        "G's loss fills D's `.grad` too, and D's loss fills G's unless the fakes are detached: clear right before each "
        "`backward`.",
        "D: `softplus(-D(x)).mean() + softplus(D(fakes)).mean()` with detached fakes, cleared and stepped by "
        "`d_optimizer`. G: minus the mean of `softplus` of D's logits, cleared and stepped by `g_optimizer`.",
    ),
)
