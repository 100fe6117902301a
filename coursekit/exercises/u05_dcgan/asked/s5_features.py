"""## 5. What the networks have learnt

The discriminator as a source of features for a classifier with few labels, and the generator made to forget.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from coursekit.checks.declare import Findings, Inputs, Part, Question
from coursekit.checks.draws import Rng
from coursekit.checks.probes import network_state
from coursekit.exercises.u05_dcgan.nets import TinyG, TinyStack, draw_pictures, hooks_left, made, modes

# doubling_stacks

_ON_THE_SLIDE, _USUAL = (28_672, 4), (15_360, 4)


def _draw_stacks(rng: Rng) -> Inputs:
    width, layers, grid = 3 * rng.integer(5, 20), rng.integer(3, 6), rng.integer(2, 5)
    return {
        "cases": [
            [width * (2**layers - 1) * grid**2, grid],
            [9 * rng.integer(10, 40), 3],
            # No multiple of the grid, but the whole part of the quotient has stacks of two and of three.
            [64 * 21 * rng.integer(5, 10) + 1, 2],
        ]
    }


def _stacks_of(*cases: tuple[int, int]) -> Any:
    def probe(answer: Any, inputs: Inputs) -> Findings:
        asked = cases or [tuple(case) for case in inputs["cases"]]
        return {f"stacks for {total}, grid {grid}": [list(s) for s in answer(total, grid)] for total, grid in asked}

    return probe


DOUBLING_STACKS = Question(
    unit="05",
    name="doubling_stacks",
    title="28,672 features: from which network?",
    slip=True,
    difficulty=2,
    minutes=12,
    task="""
A slide sums up an experiment with DCGAN's discriminator as a feature extractor: the feature maps of **all** layers are
max-pooled to a grid of 4 x 4, flattened and joined to one vector of **28,672** numbers; its table says "max. number of
feature units: **512**". In DCGAN each layer has twice as many maps as the one before. Can both numbers be right?

Write `doubling_stacks(total, grid)`. It returns every list `[w, 2 * w, 4 * w, ...]` of **two or more** whole numbers,
$w \\ge 1$, such that one layer of that many maps each, pooled to `grid` x `grid`, gives exactly `total` features. The lists
hold `int`s and are ordered by length, shortest first; where there are none, the result is an empty list.

Then look at `doubling_stacks(28_672, 4)`, and at what the usual 64, 128, 256 and 512 maps give: 15,360. Whatever the network
was, one of the two numbers does not belong to a stack that doubles.
""",
    answers=("doubling_stacks",),
    draw=_draw_stacks,
    parts=(
        Part(
            name="slide", points=0.5, tests="28,672 and 15,360 on a grid of 4", probe=_stacks_of(_ON_THE_SLIDE, _USUAL)
        ),
        Part(name="others", points=0.5, tests="three drawn cases, one without a solution", probe=_stacks_of()),
    ),
    hints=(
        "How many features does a layer of w maps give on a grid of 4?",
        "w + 2w + 4w + … with L terms is w (2^L − 1).",
        "If `total` is no multiple of `grid ** 2` there is none. Otherwise try L = 2, 3, … as long as 2^L − 1 is not larger than "
        "the number of maps, and keep L where the division leaves nothing.",
    ),
)

# pooled_features


def _draw_pooled(rng: Rng) -> Inputs:
    return {"seed": rng.integer(1, 10**6), "x": draw_pictures(rng, 3, 2, 8, 16)}


def _stack(inputs: Inputs) -> Any:
    D = made(TinyStack, inputs["seed"], inputs["x"].dtype).train()
    D.head.eval()
    D.head.weight.grad = torch.full_like(D.head.weight, 0.25)
    return D


def _pooled_values(answer: Any, inputs: Inputs) -> Findings:
    features = answer(_stack(inputs), inputs["x"], 2)
    return {"features on a grid of 2": features, "features carry a graph": features.requires_grad}


def _pooled_global(answer: Any, inputs: Inputs) -> Findings:
    return {"features on a grid of 1": answer(_stack(inputs).eval(), inputs["x"], 1)}


def _pooled_untouched(answer: Any, inputs: Inputs) -> Findings:
    D = _stack(inputs)
    first = answer(D, inputs["x"], 2)
    again = answer(D, inputs["x"], 2)
    return network_state(D) | {
        "modes of all modules": modes(D),
        "hooks left behind": hooks_left(D),
        "twice the same": first.shape == again.shape and torch.equal(first, again),
    }


POOLED_FEATURES = Question(
    unit="05",
    name="pooled_features",
    title="All layers of D as one vector",
    difficulty=3,
    minutes=20,
    task="""
Radford et al. (2016, section 5.1) use the discriminator as it is for a classifier: the maps of **all** its layers, each
max-pooled to a fixed grid, flattened and joined.

`pooled_features(D, x, grid)` takes a discriminator, an `nn.Module` whose forward pass you cannot change, pictures `x`
(N, C, H, W) and a whole number `grid`. It returns a tensor (N, F), without a graph:

- the maps are the outputs of every `nn.LeakyReLU` inside D, in the order in which they **run** in the forward pass. One
  module may be called at several places: each call counts.
- each, (N, M, h, w) with h and w multiples of `grid`, is cut into `grid` x `grid` equal cells, of which the **maximum**
  remains; then it is flattened with the maps first, (N, M · grid · grid), and the pieces are joined in order.

D runs in **eval** mode, without recording gradients. Afterwards each of its modules is in the mode in which it was, and no
hook is left.
""",
    answers=("pooled_features",),
    draw=_draw_pooled,
    parts=(
        Part(name="features", points=1.0, tests="features on a grid of 2; no graph", probe=_pooled_values),
        Part(name="global", points=0.5, tests="features on a grid of 1", probe=_pooled_global),
        Part(name="untouched", points=1.0, tests="modes, hooks, weights, statistics", probe=_pooled_untouched),
    ),
    hints=(
        "A forward hook sees what a module puts out, without any change to the network.",
        "`module.register_forward_hook(lambda module, inputs, output: maps.append(output))` returns a handle with a method "
        "`remove()`. A list keeps the order of the calls, a dictionary of modules does not.",
        "`F.adaptive_max_pool2d(m, grid).flatten(1)` for each map in the list, then `torch.cat(…, dim=1)`. The modes of all "
        "modules have to be remembered one by one.",
    ),
)

# svm_gradient


def _draw_svm(rng: Rng) -> Inputs:
    N, K, F = 6, 4, 5
    y = torch.cat([torch.arange(K), rng.integers(0, K, N - K)])[rng.permutation(N)]
    W = rng.normal(K, F, scale=0.6)
    return {
        "W": W,
        "b": rng.normal(K, scale=0.5),
        "features": rng.normal(N, F),
        "y": y,
        "cost": rng.number(0.3, 0.8),
        # Features that are far on the right side of every boundary: no term but the regulariser is left.
        "easy": torch.linalg.pinv(W.double()[:, :]).T[y].to(rng.dtype),
    }


def _svm(answer: Any, inputs: Inputs, scale: float = 1.0, easy: bool = False) -> tuple[Any, Any, Any]:
    # Autograd has no way in here: the gradients are to be written by hand.
    with torch.inference_mode():
        args = [inputs[name].clone() for name in ("W", "b", "features", "y")]
        if easy:
            # W f is 6 at the true class and 0 elsewhere, b is 3 below 0: scores of 3 and -3.
            args[1] = torch.full_like(args[1], -3.0)
            args[2] = 6 * inputs["easy"]
        loss, d_W, d_b = answer(*args, scale * inputs["cost"])
        return loss, d_W, d_b


def _svm_loss(answer: Any, inputs: Inputs) -> Findings:
    return {"loss": float(_svm(answer, inputs)[0]), "loss at four times the cost": float(_svm(answer, inputs, 4.0)[0])}


def _svm_gradients(answer: Any, inputs: Inputs) -> Findings:
    _, d_W, d_b = _svm(answer, inputs)
    return {"gradient of W": d_W, "gradient of b": d_b}


def _svm_easy(answer: Any, inputs: Inputs) -> Findings:
    loss, d_W, d_b = _svm(answer, inputs, easy=True)
    return {"loss": float(loss), "gradient of W": d_W, "gradient of b": d_b}


SVM_GRADIENT = Question(
    unit="05",
    name="svm_gradient",
    title="An L2-SVM, gradient by hand",
    difficulty=3,
    minutes=20,
    task="""
On the features sits an L2-SVM: linear, one versus the rest, with the **squared** hinge. With scores
$a_{nk} = w_k \\cdot f_n + b_k$ and signs $s_{nk} = +1$ if $k = y_n$, else $-1$:

$$L = \\tfrac12 \\sum_k \\lVert w_k \\rVert^2 + c \\sum_n \\sum_k \\max(0,\\; 1 - s_{nk}\\, a_{nk})^2$$

The sums are sums, not means; the offsets $b$ are not regularised. `svm_gradient(W, b, features, y, cost)` takes `W` (K, F),
`b` (K,), `features` $f$ (N, F), `y` (N,) int64 from 0 to K − 1, and the number `cost` $= c$. It returns three things: $L$ (a
number or a scalar tensor), $\\partial L / \\partial W$ (K, F) and $\\partial L / \\partial b$ (K,).

By hand: the check runs in `torch.inference_mode()`, where autograd records nothing.
""",
    answers=("svm_gradient",),
    draw=_draw_svm,
    parts=(
        Part(name="loss", points=0.5, tests="the loss, at two costs", probe=_svm_loss),
        Part(name="gradients", points=1.0, tests="gradients of W and b", probe=_svm_gradients),
        Part(name="easy", points=0.5, tests="everything far on the right side", probe=_svm_easy),
    ),
    hints=(
        "The derivative of max(0, m)² is 2 max(0, m) times that of m: no case distinction is left.",
        "With the violations m = max(0, 1 − s a), shape (N, K): dL/da = −2 c s m. From there it is a linear layer.",
        "`s = 2 * F.one_hot(y, K) - 1` in the dtype of W; `d_a = -2 * cost * s * m`; then `W + d_a.T @ features` and "
        "`d_a.sum(dim=0)`.",
    ),
)

# drop_maps


class _Broken(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise ArithmeticError("this layer is broken")


def _draw_drop(rng: Rng) -> Inputs:
    kept = rng.integer(0, 3)
    return {
        "seed": rng.integer(1, 10**6),
        "z": rng.normal(4, 3),
        "maps": [m for m in (2, 0, 1) if m != kept],
        "single": [kept],
    }


def _used(inputs: Inputs) -> Any:
    G = made(TinyG, inputs["seed"], inputs["z"].dtype).train()
    G.up.eval()
    G.up.weight.grad = torch.full_like(G.up.weight, 0.25)
    return G


def _drop_values(answer: Any, inputs: Inputs) -> Findings:
    G = _used(inputs)
    pictures = answer(G, G.norm, inputs["maps"], inputs["z"])
    return {"two of three maps after batch norm": pictures, "pictures carry a graph": pictures.requires_grad}


def _drop_elsewhere(answer: Any, inputs: Inputs) -> Findings:
    """Dropped before batch norm, a map still comes out of it; and nothing dropped is nothing changed."""
    G = _used(inputs).eval()
    return {
        "one map before batch norm": answer(G, G.up, inputs["single"], inputs["z"]),
        "no map": answer(G, G.norm, [], inputs["z"]),
    }


def _drop_untouched(answer: Any, inputs: Inputs) -> Findings:
    G = _used(inputs)
    answer(G, G.norm, inputs["maps"], inputs["z"])
    return network_state(G) | {"modes of all modules": modes(G), "hooks left behind": hooks_left(G)}


def _drop_broken(answer: Any, inputs: Inputs) -> Findings:
    G = _used(inputs)
    G.out = _Broken()
    try:
        answer(G, G.norm, inputs["maps"], inputs["z"])
        raised = "nothing"
    except Exception as error:
        raised = type(error).__name__
    return {"the network's error comes through": raised, "hooks left behind": hooks_left(G), "modes": modes(G)}


DROP_MAPS = Question(
    unit="05",
    name="drop_maps",
    title="Forgetting to draw something",
    difficulty=3,
    minutes=15,
    task="""
Radford et al. (2016, section 6.3.1) found the feature maps that draw windows and dropped them, at **all** places: the
generator went on to paint bedrooms without windows. Write the part that drops.

`drop_maps(net, layer, maps, z)` runs `net` (an `nn.Module`) on `z` and returns its output, without a graph, where in the
output (N, M, h, w) of `layer` (one of the modules inside `net`, called once) the maps whose numbers are in the list `maps`
are **0** everywhere, for all N. `maps` may be empty.

- `net` runs in **eval** mode, without recording gradients.
- Afterwards the network is as it was: weights, statistics, the mode of each module, and no hook left. That holds **also if the
  network raises an error** on the way; the error then comes through to the caller.
""",
    answers=("drop_maps",),
    draw=_draw_drop,
    parts=(
        Part(name="dropped", points=1.0, tests="two of three maps dropped; no graph", probe=_drop_values),
        Part(name="elsewhere", points=0.5, tests="another layer; an empty list", probe=_drop_elsewhere),
        Part(name="untouched", points=0.5, tests="weights, statistics, modes, hooks", probe=_drop_untouched),
        Part(name="broken", points=0.5, tests="hooks and modes after an error", probe=_drop_broken),
    ),
    hints=(
        "Zeroing a layer's weights does not zero its output: there is a bias, and a batch norm. Besides, it would change the "
        "network.",
        "A forward hook that returns a tensor replaces the module's output by it.",
        "The hook: `output.index_fill(1, torch.tensor(maps, dtype=torch.int64), 0.0)`. Put the run between `try:` and "
        "`finally:`, and in `finally` remove the hook and set the modes back, module by module.",
    ),
)
