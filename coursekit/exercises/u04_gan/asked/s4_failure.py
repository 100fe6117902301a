"""## 4. How it fails

Players that circle for ever, a unique solution that nobody reaches, and the marks that a failed run leaves in its records.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from coursekit.checks.declare import Findings, Inputs, Part, Question
from coursekit.checks.draws import Rng

# game_step

Value = Callable[[Tensor, Tensor], Tensor]


def _bilinear(inputs: Inputs) -> Value:
    return lambda x, y: x @ inputs["A"] @ y


def _curved(inputs: Inputs) -> Value:
    return lambda x, y: (
        torch.sin(x @ inputs["A"] @ y) + 0.3 * (x**4).sum() - 0.2 * (y**4).sum() + (x.sum() - 0.5) * y[0] ** 2
    )


def _draw_game(rng: Rng) -> Inputs:
    return {
        "A": rng.normal(3, 2, scale=0.6) + torch.tensor([[1.0, 0.3], [-0.4, 0.9], [0.5, -0.6]], dtype=rng.dtype),
        "x": rng.uniform(3, low=0.3, high=0.8) * torch.tensor([1.0, -1.0, 1.0], dtype=rng.dtype),
        "y": rng.uniform(2, low=0.3, high=0.8) * torch.tensor([-1.0, 1.0], dtype=rng.dtype),
        "eta": rng.number(0.15, 0.25),
    }


def _played(rule: str) -> Callable[[Any, Inputs], Findings]:
    def probe(game_step: Any, inputs: Inputs) -> Findings:
        found: Findings = {}
        for name, value in (("x A y", _bilinear(inputs)), ("a curved game", _curved(inputs))):
            x, y = inputs["x"].clone(), inputs["y"].clone()
            states = []
            for _ in range(3):
                new_x, new_y = game_step(value, x, y, inputs["eta"], rule)
                states.append([new_x.detach(), new_y.detach()])
                found[f"flag set on what was given, {name}"] = x.requires_grad or y.requires_grad
                found[f"results require a gradient, {name}"] = new_x.requires_grad or new_y.requires_grad
                x, y = new_x.detach().clone(), new_y.detach().clone()
            found[f"three steps of {name}"] = states
        return found

    return probe


GAME_STEP = Question(
    unit="04",
    name="game_step",
    title="Three ways to take a step in a game",
    difficulty=3,
    minutes=20,
    task="""
Player $x$ wants a value $V(x, y)$ small, player $y$ wants it large. How do two gradient players move? In three ways at
least, and on $V = xy$ the first one spirals outwards, the second circles, and the third arrives:

$$\\text{simultaneous:} \\quad x' = x - \\eta\\, \\nabla_x V(x, y), \\qquad y' = y + \\eta\\, \\nabla_y V(x, y)$$
$$\\text{alternating:} \\quad x' = x - \\eta\\, \\nabla_x V(x, y), \\qquad y' = y + \\eta\\, \\nabla_y V(x', y)$$
$$\\text{extragradient:} \\quad x' = x - \\eta\\, \\nabla_x V(\\bar x, \\bar y),
\\qquad y' = y + \\eta\\, \\nabla_y V(\\bar x, \\bar y)$$

where $(\\bar x, \\bar y)$ is what a *simultaneous* step from $(x, y)$ with the same $\\eta$ gives (Korpelevich 1976): look
where the step would lead, come back, and leave in the direction that you saw there.

`game_step(value, x, y, eta, rule)` takes a function `value(x, y)` that returns a scalar, two vectors `x` (D,) and `y` (E,),
the number `eta` $= \\eta$ and one of the words `"simultaneous"`, `"alternating"`, `"extragradient"`. It returns the pair of
new vectors. They carry no graph; `x` and `y` come without `requires_grad` and stay as they are.
""",
    answers=("game_step",),
    draw=_draw_game,
    parts=(
        Part(
            name="simultaneous",
            points=1.0,
            tests="three simultaneous steps in two games",
            probe=_played("simultaneous"),
        ),
        Part(name="alternating", points=1.0, tests="three alternating steps", probe=_played("alternating")),
        Part(name="extragradient", points=1.0, tests="three extragradient steps", probe=_played("extragradient")),
    ),
    hints=(
        "Write the simultaneous step first, as a small function. The other two can be had from pieces of it.",
        "`torch.autograd.grad(value(x, y), [x, y])` needs tensors that require a gradient: take "
        "`x.clone().requires_grad_()`. The result carries no graph.",
        "A helper `slopes(x, y)` returns both gradients. Alternating: move x, then ask for the slopes at (x', y) and use the "
        "second. Extragradient: ask for the slopes at the look-ahead point, and apply them at (x, y).",
    ),
)

# game_convergence


def _smooth_game(inputs: Inputs, x_slope: str = "P") -> Value:
    """A game with its equilibrium at (x, y) of the inputs, where both gradients are 0; quartic terms do not matter there."""
    P, Q, B = inputs[x_slope], inputs["Q"], inputs["B"]

    def value(x: Tensor, y: Tensor) -> Tensor:
        u, v = x - inputs["x"], y - inputs["y"]
        quadratic = 0.5 * u @ P @ u + u @ B @ v - 0.5 * v @ Q @ v
        return quadratic + 0.7 * (u**4).sum() - 0.4 * (v**4).sum() + u[0] ** 2 * v[1] ** 2 + 1.3

    return value


def _draw_convergence(rng: Rng) -> Inputs:
    rng = Rng(rng.integer(0, 2**31), "float64", torch.float64)
    turn = torch.linalg.qr(rng.normal(3, 3)).Q
    inward = torch.tensor([0.15, 0.6, 1.4], dtype=torch.float64) * rng.uniform(3, low=0.9, high=1.1)
    return {
        "P": turn @ torch.diag(inward) @ turn.T,
        "outward": turn @ torch.diag(inward - torch.tensor([2.5, 0.0, 0.0], dtype=torch.float64)) @ turn.T,
        "Q": torch.diag(rng.uniform(2, low=0.2, high=0.4)),
        "B": rng.normal(3, 2, scale=0.3) + torch.tensor([[1.5, 0.4], [-0.5, 1.0], [0.3, 0.2]], dtype=torch.float64),
        "x": rng.normal(3),
        "y": rng.normal(2),
        "eta": rng.number(0.1, 0.3),
        "strength": rng.number(0.5, 2.0),
    }


def _cross(inputs: Inputs) -> Value:
    """x y, times a number: in one dimension each, its equilibrium at the inputs' first entries."""
    return lambda x, y: inputs["strength"] * ((x - inputs["x"][:1]) * (y - inputs["y"][:1])).sum()


def _growths(answer: Any, inputs: Inputs) -> Findings:
    x, y = inputs["x"], inputs["y"]
    found = {f"growth of x y, eta {eta:g}": answer.growth(_cross(inputs), x[:1], y[:1], eta) for eta in (0.05, 0.4)}
    for eta in (inputs["eta"], 1.5):
        found[f"growth of a game of 3 and 2 variables, eta {eta:.2f}"] = answer.growth(_smooth_game(inputs), x, y, eta)
    return {name: float(value) for name, value in found.items()}


def _rates(answer: Any, inputs: Inputs) -> Findings:
    return {
        "largest rate of a game of 3 and 2 variables": float(
            answer.largest_rate(_smooth_game(inputs), inputs["x"], inputs["y"])
        )
    }


def _no_rates(answer: Any, inputs: Inputs) -> Findings:
    x, y = inputs["x"], inputs["y"]
    return {
        "largest rate of x y": float(answer.largest_rate(_cross(inputs), x[:1], y[:1])),
        "largest rate of a game that repels in one direction": float(
            answer.largest_rate(_smooth_game(inputs, "outward"), x, y)
        ),
        "largest rate of a game that repels in all directions": float(
            answer.largest_rate(lambda x, y: -_smooth_game(inputs)(x, y), x, y)
        ),
    }


GAME_CONVERGENCE = Question(
    unit="04",
    name="game_convergence",
    title="“A unique solution exists, ensuring convergence”",
    slip=True,
    difficulty=4,
    minutes=30,
    task="""
A slide (Shi, *A Brief Review on GANs*) says of the adversarial game: “Unique solution exists (ensuring convergence)”. The
first half may hold; the second does not follow. $V = xy$ has exactly one equilibrium, and simultaneous gradient steps never
reach it. Put a test in place of the promise.

Write $w = (x, y)$ as one vector and $F(w) = (\\nabla_x V, -\\nabla_y V)$. A simultaneous step is $w' = w - \\eta F(w)$.
Near an equilibrium $w^*$, where $F = 0$, deviations are multiplied by $I - \\eta J$ with the Jacobian
$J = \\partial F / \\partial w$ at $w^*$. With the (complex) eigenvalues $\\lambda_j$ of $J$:

$$\\rho(\\eta) = \\max_j \\left| 1 - \\eta \\lambda_j \\right|, \\qquad
\\eta_{max} = \\min_j \\frac{2\\, \\mathrm{Re}\\, \\lambda_j}{|\\lambda_j|^2}$$

In the long run the distance grows by $\\rho$ per step, and steps converge for $0 < \\eta < \\eta_{max}$ if every
$\\mathrm{Re}\\, \\lambda_j > 0$. Mind that $J$ is *not* the Hessian of $V$: player $y$ climbs.

- `growth(value, x, y, eta)` returns $\\rho(\\eta)$;
- `largest_rate(value, x, y)` returns $\\eta_{max}$, or 0 if no rate converges, that is, if the smallest real part is at most
  1e-6 times the largest $|\\lambda_j|$.

Both return Python numbers. `value(x, y)` returns a scalar and is smooth; `x` (D,) and `y` (E,) are float64, without
`requires_grad`, and **are** the equilibrium.
""",
    answers=("growth", "largest_rate"),
    draw=_draw_convergence,
    draws=1,
    parts=(
        Part(name="growth", points=1.5, tests="growth in x y and in a game of five variables", probe=_growths),
        Part(name="largest rate", points=1.0, tests="largest rate of a game that converges", probe=_rates),
        Part(name="no rate", points=0.5, tests="0 where no rate converges", probe=_no_rates),
    ),
    hints=(
        "Both functions need the same eigenvalues: write one helper that returns them (in the same cell).",
        "`torch.autograd.functional.hessian(value, (x, y))` returns the four blocks of second derivatives as a "
        "tuple of tuples. "
        "The Jacobian J has the rows of y negated.",
        "`torch.cat([torch.cat([xx, xy], 1), -torch.cat([yx, yy], 1)])`, then `torch.linalg.eigvals`. Its "
        "`.real` and `.abs()` "
        "are all that the formulas need.",
    ),
)

# diagnose

_K = 8
Record = tuple[Tensor, Tensor, Tensor]


def _opinions(rng: Rng, T: int, mean: float, spread: float) -> Tensor:
    """T opinions around `mean`, all within (0, 1)."""
    return mean + spread * rng.uniform(T, low=-1.0, high=1.0)


def _counts(rng: Rng, T: int, covered: list[list[int]], strays: bool = False) -> Tensor:
    """Counts (T, 8): in record t the modes `covered[t % len(covered)]` get some hundred samples.

    With `strays` each other mode gets up to two, where that is less than 1 %.
    """
    counts = torch.zeros(T, _K, dtype=torch.int64)
    for t in range(T):
        for mode in covered[t % len(covered)]:
            counts[t, mode] = rng.integer(60, 400)
        if strays:
            counts[t] += torch.where(counts[t] == 0, rng.integers(0, 3, _K) * (counts[t].sum() > 400), 0)
    return counts


_ALL, _MOST = [list(range(_K))], [[0, 1, 2, 4, 5, 7]]


def _length(rng: Rng) -> int:
    return 4 * rng.integer(6, 10) + rng.integer(1, 4)  # no multiple of 4


def _late(early: Tensor, late: Tensor) -> Tensor:
    """`early` until the last quarter begins, then `late`."""
    last = len(early) // 4
    return torch.cat([early[:-last], late[-last:]])


def _shuffled(rng: Rng, records: list[Record]) -> Inputs:
    """The records in an order of their own, so that a list learned by heart is worth nothing."""
    order = [int(k) for k in rng.permutation(len(records))]
    return {name: [records[k][i] for k in order] for i, name in enumerate(("real", "fake", "counts"))}


def _player_records(rng: Rng) -> list[Record]:
    T = _length(rng)
    fine, won, beaten = (_opinions(rng, T, m, s) for m, s in ((0.58, 0.08), (0.975, 0.015), (0.02, 0.015)))
    low, swapped = _opinions(rng, T, 0.42, 0.08), _opinions(rng, T, 0.65, 0.05)
    # One record over the line in the window, its mean not: and the reverse.
    nearly = won.clone()
    nearly[-2] = 0.3
    dipped = _late(fine, _opinions(rng, T, 0.985, 0.005))
    dipped[-2] = 0.90
    return [
        (fine, low, _counts(rng, T, _ALL)),
        (won, beaten, _counts(rng, T, _ALL)),
        (_late(won, fine), _late(beaten, low), _counts(rng, T, _ALL)),
        (_late(fine, won), _late(low, beaten), _counts(rng, T, _ALL)),
        (nearly, beaten, _counts(rng, T, _ALL)),
        (dipped, beaten, _counts(rng, T, _ALL)),
        (won, _opinions(rng, T, 0.4, 0.1), _counts(rng, T, _ALL)),
        (low, swapped, _counts(rng, T, _ALL)),
        (low, low + 0.05, _counts(rng, T, _ALL)),
        (_opinions(rng, T, 0.5, 0.02), beaten, _counts(rng, T, _ALL)),
    ]


def _mode_records(rng: Rng) -> list[Record]:
    T = _length(rng)
    opinions = _opinions(rng, T, 0.53, 0.02), _opinions(rng, T, 0.47, 0.02)
    first = rng.integer(0, _K)
    few = [(first + k) % _K for k in range(3)]
    half = [(first + k) % _K for k in range(4)]
    hops = [[(first + 2 * k) % _K, (first + 2 * k + 1) % _K] for k in range(4)]
    once = _counts(rng, T, [few])
    once[: T // 2] = _counts(rng, T, _ALL)[: T // 2]
    return [
        (*opinions, _counts(rng, T, _MOST)),
        (*opinions, _counts(rng, T, [few])),
        (*opinions, _counts(rng, T, [half])),
        (*opinions, _counts(rng, T, [few], strays=True)),
        (*opinions, _counts(rng, T, hops)),
        (*opinions, once),
        (*opinions, _late(once.flip(0), _counts(rng, T, _ALL))),
        (*opinions, torch.zeros(T, _K, dtype=torch.int64)),
    ]


def _mixed_records(rng: Rng) -> list[Record]:
    T = _length(rng)
    won, beaten = _opinions(rng, T, 0.98, 0.01), _opinions(rng, T, 0.02, 0.01)
    broken = won.clone()
    broken[rng.integer(1, T // 2)] = math.inf
    gone, lost = beaten.clone(), beaten.clone()
    gone[T // 2 :] = math.nan
    lost[T // 3] = math.nan
    return [
        (won, beaten, _counts(rng, T, [[1, 6]])),
        (beaten, won, _counts(rng, T, [[0, 1], [2, 3], [4, 5], [6, 7]])),
        (broken, beaten, _counts(rng, T, [[3]])),
        (won, gone, _counts(rng, T, _ALL)),
        (won, lost, _counts(rng, T, _ALL)),
    ]


_RECORDS = {"players": _player_records, "modes": _mode_records, "mixed": _mixed_records}


def _draw_records(rng: Rng) -> Inputs:
    return {
        f"{group} {name}": value
        for group, records in _RECORDS.items()
        for name, value in _shuffled(rng, records(rng)).items()
    }


def _diagnosed(group: str) -> Callable[[Any, Inputs], Findings]:
    def probe(diagnose: Any, inputs: Inputs) -> Findings:
        runs = zip(*(inputs[f"{group} {name}"] for name in ("real", "fake", "counts")))
        return {f"symptoms of record {k + 1}": diagnose(*run) for k, run in enumerate(runs)}

    return probe


DIAGNOSE = Question(
    unit="04",
    name="diagnose",
    title="What went wrong in this run?",
    difficulty=3,
    minutes=25,
    task="""
Losses do not say whether a GAN works; records that mean something do. Write the doctor that reads them.

`diagnose(real, fake, counts)` takes the records of one run: `real` (T,) and `fake` (T,), the mean opinion $\\sigma(D)$ on
data and on fakes, and `counts` (T, K) int64, how many samples fell on each of K modes. It looks at the **last `T // 4`
records** (T is at least 4) and returns a **list** with the names of all symptoms it finds, in the order of this table; an
empty list where there are none.

| symptom | found if |
|---|---|
| `"not finite"` | any entry of `real` or `fake`, in the **whole** run, is infinite or NaN; it is then the **only** one |
| `"D has won"` | the mean of `real` is at least 0.95 **and** the mean of `fake` is at most 0.05: nothing left to learn from |
| `"labels swapped"` | the mean of `fake` exceeds the mean of `real` by more than 0.1: somewhere D is taught the opposite |
| `"mode collapse"` | fewer than K/2 modes are covered in at least one record each |
| `"mode hopping"` | on average fewer than K/2 modes are covered per record, but at least K/2 in at least one record each |

A record covers a mode if **more than 1 %** of that record's samples (the sum of its row of `counts`) fell on it; a row of
zeros covers none. Means are those over the last `T // 4` records.
""",
    answers=("diagnose",),
    draw=_draw_records,
    parts=(
        Part(
            name="players", points=1.0, tests="ten records of a game between the players", probe=_diagnosed("players")
        ),
        Part(name="modes", points=1.0, tests="eight records of what became of the modes", probe=_diagnosed("modes")),
        Part(
            name="mixed",
            points=0.5,
            tests="several symptoms at once, and numbers that are none",
            probe=_diagnosed("mixed"),
        ),
    ),
    hints=(
        "First the window, then a truth table `covered` (records, K), then five questions to it, one after the other.",
        "`covered.sum(1)` counts modes per record, `covered.any(0)` says which are covered at all. "
        "Multiply rather than divide, and a row of zeros is no special case.",
        "`covered = counts > 0.01 * counts.sum(1, keepdim=True)` over the window; the two last rows of the "
        "table are then about "
        "`covered.any(0).sum()` and `covered.sum(1).double().mean()`, both against K/2.",
    ),
)

# effective_modes


def _draw_counts(rng: Rng) -> Inputs:
    counts = rng.integers(1, 300, 4, 6) * torch.tensor([[1, 1, 5, 1, 1, 9]])
    counts[0, 4] = counts[2, 1] = counts[2, 5] = 0
    return {"counts": counts[rng.permutation(4)], "even": rng.integer(3, 50), "alone": rng.integer(3, 50)}


def _effective_uneven(effective_modes: Any, inputs: Inputs) -> Findings:
    counts = inputs["counts"].clamp(min=1)
    return {"six modes": effective_modes(counts), "the same, three times as many": effective_modes(3 * counts)}


def _effective_zeros(effective_modes: Any, inputs: Inputs) -> Findings:
    even = torch.zeros(3, 5, dtype=torch.int64)
    even[0, :] = even[1, 1:3] = inputs["even"]
    even[2, 3] = inputs["alone"]
    return {"some modes empty": effective_modes(inputs["counts"]), "5, 2 and 1 modes, evenly": effective_modes(even)}


def _effective_none(effective_modes: Any, inputs: Inputs) -> Findings:
    counts = inputs["counts"].clone()
    counts[1] = 0
    return {"no sample in one row": effective_modes(counts)}


EFFECTIVE_MODES = Question(
    unit="04",
    name="effective_modes",
    title="How many modes is that, really?",
    difficulty=2,
    minutes=12,
    task="""
Eight modes covered, of which seven by one sample each: a count of covered modes is easily flattered. The entropy of the
shares is not, and its exponential is a number of modes again:

$$p_k = \\frac{n_k}{\\sum_j n_j}, \\qquad H = -\\sum_k p_k \\ln p_k, \\qquad K_{eff} = e^H$$

K modes evenly covered give K, one alone gives 1.

`effective_modes(counts)` takes `counts` $n$ (R, K) int64, R rows of counts, and returns $K_{eff}$ (R,) in the default float
dtype. A mode without samples contributes nothing ($0 \\ln 0 = 0$), and a row without any sample has 0 effective modes.
""",
    answers=("effective_modes",),
    draw=_draw_counts,
    parts=(
        Part(name="shares", points=0.5, tests="rows in which every mode has samples", probe=_effective_uneven),
        Part(name="empty modes", points=0.5, tests="modes without samples; even rows", probe=_effective_zeros),
        Part(name="empty row", points=0.5, tests="a row without any sample", probe=_effective_none),
    ),
    hints=(
        "Two zeros make trouble: the logarithm of an empty mode, and the sum of an empty row.",
        "`torch.special.entr(p)` is −p ln p with the right value at 0; `torch.xlogy(p, p)` is p ln p.",
        "Divide by `total.clamp(min=1)`, take the exponential of the summed `entr`, times whether the total is above 0.",
    ),
)
