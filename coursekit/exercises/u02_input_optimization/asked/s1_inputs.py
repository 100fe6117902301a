"""## 1. The image is the variable

Training moves the weights and leaves the images alone. Here it is the other way round: the gradient with respect to the
image, and what a few steps along it do to a network's opinion.
"""

from __future__ import annotations

from typing import Any

import torch

from coursekit.checks.declare import Findings, Inputs, Part, Question
from coursekit.checks.draws import Rng
from coursekit.checks.probes import network_state
from coursekit.exercises.u02_input_optimization.nets import (
    CHANNELS,
    CLASSES,
    HEIGHT,
    WIDTH,
    SmallNet,
    draw_images,
    draw_weights,
    image_state,
    in_float64,
    used_net,
)

# input_gradient


def _draw_gradient(rng: Rng) -> Inputs:
    weights, x = draw_weights(rng), draw_images(rng, 3)
    y = rng.integers(0, CLASSES, 3)
    y[0] = SmallNet(weights)(x[:1]).argmin()  # one label at least is not the network's own opinion
    return {"weights": weights, "x": x, "y": y}


def _gradient_values(input_gradient: Any, inputs: Inputs) -> Findings:
    net, x, y = SmallNet(inputs["weights"]), inputs["x"], inputs["y"]
    return {
        "gradient": input_gradient(net, x, y),
        "gradient of the second image alone": input_gradient(net, x[1:2], y[1:2]),
    }


def _gradient_network(input_gradient: Any, inputs: Inputs) -> Findings:
    net = used_net(inputs["weights"])
    input_gradient(net, inputs["x"], inputs["y"])
    return network_state(net)


def _gradient_image(input_gradient: Any, inputs: Inputs) -> Findings:
    net, plain = SmallNet(inputs["weights"]), inputs["x"].clone()
    gradient = input_gradient(net, plain, inputs["y"])
    findings = {"the result holds a graph": gradient.requires_grad} | image_state(plain)
    # The second one is somebody's leaf, with a gradient that its owner has not used yet.
    leaf = inputs["x"].clone().requires_grad_()
    leaf.grad = torch.full_like(leaf, 0.5)
    input_gradient(net, leaf, inputs["y"])
    return findings | {f"leaf: {name}": value for name, value in image_state(leaf).items()}


INPUT_GRADIENT = Question(
    unit="02",
    name="input_gradient",
    title="The gradient of the image, and of nothing else",
    difficulty=2,
    minutes=10,
    task="""
Everything in this unit begins with the gradient of a loss with respect to the **image**. The network is borrowed:
whoever trains it must find it as it was.

`input_gradient(net, x, y)` takes a network `net` (`net(x)` gives logits (N, K)), images `x` (N, C, H, W) and labels
`y` (N,) int64, and returns

$$\\frac{\\partial}{\\partial x_n}\\left( -\\log \\mathrm{softmax}(\\mathrm{net}(x_n))_{y_n} \\right) \\qquad (N, C, H, W)$$

for **each** image: the gradient of one image must not depend on how many others are in the batch. The result carries
no graph.

Afterwards all is as before: the weights, their `.grad` (some of it may be in use: do not clear it either), their
`requires_grad` flags (some weights may be frozen), the mode of the network, and the image that was handed in. Its
`requires_grad` and its `.grad` stay as they are, also where it is a leaf of somebody else's graph with a `.grad` of
its own.
""",
    answers=("input_gradient",),
    draw=_draw_gradient,
    parts=(
        Part(
            name="values",
            points=1.0,
            tests="gradients for a batch of 3 and for one image alone",
            probe=_gradient_values,
        ),
        Part(
            name="network", points=0.5, tests="weights, their .grad, flags and mode as before", probe=_gradient_network
        ),
        Part(name="image", points=0.5, tests="the image as before; the result without a graph", probe=_gradient_image),
    ),
    hints=(
        "`loss.backward()` writes into the `.grad` of everything that the loss depends on. Is there a way to ask for "
        "one gradient only?",
        "`torch.autograd.grad(loss, z)` returns the gradients and writes nothing. Let z be a tensor of your own, with "
        "the values of `x` and no history.",
        "`z = x.detach().clone().requires_grad_()`, then the cross entropy of `net(z)` with `reduction='sum'`: in a "
        "sum each image has a term of its own.",
    ),
)

# targeted_attack


def _draw_targeted(rng: Rng) -> Inputs:
    weights, x = draw_weights(rng), draw_images(rng, 3)
    # The class that the network believes in least: even after one step it is nobody's first choice.
    return {"weights": weights, "x": x, "target": SmallNet(weights)(x).argmin(1)}


_LR = 0.7


def _targeted_image(targeted_attack: Any, inputs: Inputs) -> Findings:
    net, x, target = SmallNet(inputs["weights"]), inputs["x"], inputs["target"]
    return {
        "image after one step": targeted_attack(net, x, target, 1, _LR)[0],
        "image after five steps": targeted_attack(net, x, target, 5, _LR)[0],
        "the second image alone": targeted_attack(net, x[1:2], target[1:2], 5, _LR)[0],
    }


def _targeted_probability(targeted_attack: Any, inputs: Inputs) -> Findings:
    """Whether the number belongs to the picture, right or wrong, that came with it."""
    net, target = SmallNet(inputs["weights"]), inputs["target"]
    image, p = targeted_attack(net, inputs["x"], target, 1, _LR)
    with torch.no_grad():
        own = net(image).softmax(1)[torch.arange(len(target)), target]
    return {
        "p, divided by the probability of the target for the returned image": p / own,
        "p holds a graph": p.requires_grad,
    }


def _targeted_network(targeted_attack: Any, inputs: Inputs) -> Findings:
    net, x = used_net(inputs["weights"]), inputs["x"]
    image, _ = targeted_attack(net, x, inputs["target"], 2, _LR)
    return network_state(net) | image_state(x) | {"the image holds a graph": image.requires_grad}


TARGETED_ATTACK = Question(
    unit="02",
    name="targeted_attack",
    title="A batch of images, each to its own wrong class",
    difficulty=2,
    minutes=15,
    task="""
The update of the lecture, $I \\leftarrow I - \\lambda\\, \\partial L / \\partial I$, with two things that it leaves
open: images have a range, and the number under the picture should be that picture's.

`targeted_attack(net, x, target, steps, lr)` takes images `x` (N, C, H, W) in [-1, 1] and `target` (N,) int64, **the
class that each image shall be taken for**. It makes `steps` plain gradient steps of rate `lr` = $\\lambda$ on
$L = \\sum_n -\\log \\mathrm{softmax}(\\mathrm{net}(x_n))_{t_n}$, and after **every** step brings pixels outside
[-1, 1] back to the nearer end. It returns a pair without a graph:

- `image` (N, C, H, W), the images after the last step;
- `p` (N,), the probability of `target` **for exactly those images**: as in "parking meter: 0.999679".

No sign, no normalising: just the gradient. The network and `x` stay as they were.
""",
    answers=("targeted_attack",),
    draw=_draw_targeted,
    parts=(
        Part(name="image", points=1.0, tests="images after one step and after five", probe=_targeted_image),
        Part(name="probability", points=0.5, tests="p belongs to the returned image", probe=_targeted_probability),
        Part(name="untouched", points=1.0, tests="network and image as before, no graph", probe=_targeted_network),
    ),
    hints=(
        "The loss of the target is what shall become small. Which way does a gradient point?",
        "Each step needs a fresh leaf: detach the image, ask for its gradient, take the step, `clamp`.",
        "In the loop `z = z.detach().requires_grad_()`, `(g,) = torch.autograd.grad(loss, z)`, "
        "`z = (z - lr * g).clamp(-1, 1)`; after the loop one more look by the network, under `torch.no_grad()`.",
    ),
)

# log_odds_gradient


def _draw_odds(rng: Rng) -> Inputs:
    weights, x = draw_weights(rng), draw_images(rng, 3)
    target = rng.integers(0, CLASSES, 3)
    target[0] = SmallNet(weights)(x[:1]).argmax()  # p well above 0: the factor 1 - p shows
    return {"weights": weights, "x": x, "target": target}


def _leaning(inputs: Inputs, by: float) -> SmallNet:
    """The net with `by` added to the logit of the first image's target."""
    net = SmallNet(inputs["weights"])
    net.bias.data[inputs["target"][0]] += by
    return net


def _odds_ordinary(log_odds_gradient: Any, inputs: Inputs) -> Findings:
    net, x, target = SmallNet(inputs["weights"]), inputs["x"], inputs["target"]
    return {
        "gradient": log_odds_gradient(net, x, target),
        "gradient of the second image alone": log_odds_gradient(net, x[1:2], target[1:2]),
    }


def _odds_far(log_odds_gradient: Any, inputs: Inputs) -> Findings:
    """The target's logit 1000 below the others: p is exactly 0, in float64 too."""
    return {"gradient": log_odds_gradient(_leaning(inputs, -1000.0), inputs["x"][:1], inputs["target"][:1])}


def _odds_near(log_odds_gradient: Any, inputs: Inputs) -> Findings:
    """The target's logit 60 above the others: p is exactly 1, in float64 too."""
    return {"gradient": log_odds_gradient(_leaning(inputs, 60.0), inputs["x"][:1], inputs["target"][:1])}


def _odds_untouched(log_odds_gradient: Any, inputs: Inputs) -> Findings:
    net, x = used_net(inputs["weights"]), inputs["x"]
    gradient = log_odds_gradient(net, x, inputs["target"])
    return network_state(net) | image_state(x) | {"the result holds a graph": gradient.requires_grad}


LOG_ODDS_GRADIENT = Question(
    unit="02",
    name="log_odds_gradient",
    title="Ascend the softmax, they say",
    difficulty=3,
    minutes=20,
    slip=True,
    task="""
One slide makes fooling images by gradient ascent on the *softmax output* $p$ of a class until it reaches 99.99 %;
another descends the *log-loss* $-\\log p$. Run them literally. The first one's gradient is
$\\nabla p = p\\,(1-p)\\,\\nabla o$, the second's is $\\nabla \\log p = (1-p)\\,\\nabla o$, with one direction

$$\\nabla o, \\qquad o = \\log \\frac{p}{1-p}.$$

So $p$ stands still at both ends, where an attack starts and where it should arrive, and $\\log p$ at the end. The
log-odds $o$ stand still nowhere. Mend the ascent: write its gradient.

`log_odds_gradient(net, x, target)` takes images `x` (N, C, H, W) and `target` (N,) int64 and returns
$\\partial o_n / \\partial x_n$ for **each** image, (N, C, H, W), without a graph. It must be right to the usual tolerance
also where $p$ is exactly 0 in floating point (a logit 1000 below the others) and where it is exactly 1 (60 above them):
there is no way through $p$ itself. There are at least three classes. The network and `x` stay as they were.
""",
    answers=("log_odds_gradient",),
    draw=_draw_odds,
    parts=(
        Part(name="ordinary", points=0.5, tests="the gradient where p is neither 0 nor 1", probe=_odds_ordinary),
        Part(name="p is 0", points=0.5, tests="the same where p underflows to 0", probe=_odds_far),
        Part(name="p is 1", points=0.5, tests="the same where p rounds to 1", probe=_odds_near),
        Part(name="untouched", points=0.5, tests="network and image as before, no graph", probe=_odds_untouched),
    ),
    hints=(
        "Write p and 1 − p out as fractions of exponentials of logits. What cancels in p / (1 − p)?",
        "The odds are exp(a_t) over the sum of exp(a_k) of all **other** classes, so o is a difference of two terms, "
        "neither of which needs p.",
        "`o = a_t - torch.logsumexp(others, 1)`, where `others` are the logits with -inf in the target's place "
        "(`a.scatter(1, target[:, None], -math.inf)`).",
    ),
)

# fooling_image

_CONFIDENCE, _LENGTH = 0.9999, 0.6


def _draw_fooling(rng: Rng) -> Inputs:
    # In float64: the number of steps hangs on a comparison with 0.9999, where float32 leaves three digits of 1 - p.
    rng = in_float64(rng)
    shape = (CHANNELS, HEIGHT, WIDTH)
    weights = draw_weights(rng, gain=4.0)
    mean = draw_images(rng, 1)[0]  # with noise on black and white pixels: who clips is seen at once
    noise = rng.normal(2, *shape, scale=0.1)
    target = int(SmallNet(weights)((mean + noise[0])[None]).argmin())
    return {"weights": weights, "mean": mean, "noise": noise, "target": target}


def _fool(
    fooling_image: Any,
    inputs: Inputs,
    k: int = 0,
    *,
    length: float = _LENGTH,
    confidence: float = _CONFIDENCE,
    steps: int = 40,
) -> Findings:
    net = SmallNet(inputs["weights"])
    image, taken = fooling_image(net, inputs["mean"], inputs["noise"][k], inputs["target"], length, confidence, steps)
    return {"image": image, "steps": int(taken)}


def _fool_reached(fooling_image: Any, inputs: Inputs) -> Findings:
    first, second = _fool(fooling_image, inputs, 0), _fool(fooling_image, inputs, 1)
    return first | {f"{name}, other noise": value for name, value in second.items()}


def _fool_short(fooling_image: Any, inputs: Inputs) -> Findings:
    """Three steps, too short for the class to win."""
    return _fool(fooling_image, inputs, length=0.02, steps=3)


def _fool_started(fooling_image: Any, inputs: Inputs) -> Findings:
    """A confidence that the first image has already."""
    return _fool(fooling_image, inputs, confidence=1e-30)


def _fool_network(fooling_image: Any, inputs: Inputs) -> Findings:
    net, mean, noise = used_net(inputs["weights"]), inputs["mean"], inputs["noise"][0]
    image, _ = fooling_image(net, mean, noise, inputs["target"], _LENGTH, _CONFIDENCE, 2)
    return network_state(net) | image_state(mean) | {"the image holds a graph": image.requires_grad}


FOOLING_IMAGE = Question(
    unit="02",
    name="fooling_image",
    title="From almost nothing to 99.99 %",
    difficulty=3,
    minutes=20,
    task="""
Nguyen, Yosinski and Clune (2015, figure 13) start at the mean of all images plus a little noise, which breaks the
symmetry, and climb until the network is 99.99 % sure.

`fooling_image(net, mean, noise, target, length, confidence, steps)` takes **one** `mean` image and one `noise` image,
both (C, H, W), and a class number `target`. It starts at their sum $x$ and makes steps of a fixed `length` $r$ in the
direction in which the log-loss of the target falls (a plain gradient step would need thousands: near p = 1 the
gradient fades),

$$x \\leftarrow x - r\\, \\frac{g}{\\lVert g \\rVert_2}, \\qquad g = \\frac{\\partial\\, (-\\log p)}{\\partial x},$$

- **until p of the image at hand is at least `confidence`**, which may be so at once: then no step is made;
- and never more than `steps` of them.

It returns `(image, taken)`: the image (C, H, W) without a graph, and how many steps were made (an int). Pixels are not
clipped, and once p suffices the image is not moved again. The network, `mean` and `noise` stay as they were.
(Images come in float64 here, so that no count of steps hangs on rounding.)
""",
    answers=("fooling_image",),
    draw=_draw_fooling,
    draws=1,
    parts=(
        Part(name="reached", points=1.0, tests="image and steps at 0.9999, for two noises", probe=_fool_reached),
        Part(name="started there", points=0.5, tests="no step where p suffices at once", probe=_fool_started),
        Part(name="limit", points=0.5, tests="no more steps than allowed", probe=_fool_short),
        Part(name="untouched", points=0.5, tests="network, mean and noise as before, no graph", probe=_fool_network),
    ),
    hints=(
        "Look first, then step: the test stands before the update, within the loop.",
        "The network wants a batch: `net(image[None])`. One forward pass serves the test and the gradient; `g / "
        "g.norm()` has length 1.",
        "In `for taken in range(steps)` compute `log_p = net(z[None]).log_softmax(1)[0, target]` and return "
        "`(z.detach(), taken)` if it is at least `math.log(confidence)`; behind the loop return with `steps`.",
    ),
)
