"""## 2. Networks that read the label back

A discriminator can do more with a label than look at it: name it (AC-GAN), recover a code that nobody labelled (InfoGAN), or
compare it with what it sees (projection). And a grid of samples has to be read fairly.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from coursekit.checks.declare import Findings, Inputs, Law, Part, Question
from coursekit.checks.draws import Rng
from coursekit.checks.probes import weighted_sum

# acgan_losses

_ACGAN = ("real", "fake", "real_classes", "fake_classes")


def _draw_acgan(rng: Rng) -> Inputs:
    """Logits of 5 pictures and 3 fakes; classes are told with some, not with much certainty."""
    y_real, y_fake = torch.tensor([0, 3, 1, 2, 3])[rng.permutation(5)], torch.tensor([2, 0, 1])[rng.permutation(3)]
    far = torch.tensor([210.0, -190.0, 180.0], dtype=rng.dtype)
    return {
        "real": rng.normal(5) + 1.1,
        "fake": rng.normal(3) - 0.8,
        "real_classes": rng.normal(5, 4, scale=1.5),
        "fake_classes": rng.normal(3, 4, scale=1.5),
        "y_real": y_real,
        "y_fake": y_fake,
        "far": far + rng.number(-9, 9),
    }


def _acgan(answer: Any, inputs: Inputs, **other: Tensor) -> Any:
    given = {**inputs, **other}
    return answer(*(given[name] for name in (*_ACGAN, "y_real", "y_fake")))


def _acgan_d(answer: Any, inputs: Inputs) -> Findings:
    return {"D's loss": _acgan(answer, inputs)[0]}


def _acgan_g(answer: Any, inputs: Inputs) -> Findings:
    return {"G's loss": _acgan(answer, inputs)[1]}


def _acgan_gradients(answer: Any, inputs: Inputs) -> Findings:
    leaves = [inputs[name].requires_grad_() for name in _ACGAN]
    d_loss, g_loss = _acgan(answer, inputs)
    of_d = torch.autograd.grad(d_loss, leaves, retain_graph=True, allow_unused=True)
    of_g = torch.autograd.grad(g_loss, leaves[1::2], allow_unused=True)
    return {f"D's loss by {name}": g for name, g in zip(_ACGAN, of_d)} | {
        f"G's loss by {name}": g for name, g in zip(_ACGAN[1::2], of_g)
    }


def _acgan_far(answer: Any, inputs: Inputs) -> Findings:
    shift = 100 * torch.arange(4, dtype=inputs["far"].dtype)
    d_loss, g_loss = _acgan(answer, inputs, fake=inputs["far"], fake_classes=inputs["fake_classes"] + shift)
    return {"D's loss": d_loss, "G's loss": g_loss}


def _g_helps_the_class(inputs: Inputs, found: Findings) -> bool:
    slopes = found["G's loss by fake_classes"]
    own = slopes[torch.arange(3), inputs["y_fake"]]
    return bool((own < 0).all())


ACGAN_LOSSES = Question(
    unit="06",
    name="acgan_losses",
    title="Two players, one of whose aims is shared",
    difficulty=3,
    minutes=15,
    task="""
The discriminator of an AC-GAN (Odena, Olah and Shlens 2017) is not told the label, it has to **name** it: beside its logit of
real it gives K class logits. With

$$L_S = \\mathbb E[\\log \\sigma(a_{real})] + \\mathbb E[\\log(1 - \\sigma(a_{fake}))], \\qquad
L_C = \\mathbb E[\\log P(C = y \\mid x_{real})] + \\mathbb E[\\log P(C = y \\mid x_{fake})]$$

D **maximises** $L_S + L_C$ and G **maximises** $L_C - L_S$. Look at the signs: over $L_S$ they fight, but both want the class to
be recognised, and a G that minimised $L_C$ would draw nothing that its label says.

`acgan_losses(real, fake, real_classes, fake_classes, y_real, y_fake)` takes the logits `real` (N,) and `fake` (M,), the class
logits `real_classes` (N, K) and `fake_classes` (M, K), and the labels `y_real` (N,) of the data and `y_fake` (M,) that G was
told; N and M may differ. Each expectation is the mean over its own batch. It returns a pair, both to be **minimised**:

- `d_loss` $= -(L_S + L_C)$;
- `g_loss` $= L_S - L_C$, **without the two means over data**, which G cannot change. Keep $\\log(1 - \\sigma)$ as it is in the
  paper: the saturating form.

Logits as far out as ±250 must give finite, right numbers.
""",
    answers=("acgan_losses",),
    draw=_draw_acgan,
    parts=(
        Part(name="loss of D", points=0.5, tests="d_loss for 5 pictures and 3 fakes", probe=_acgan_d),
        Part(name="loss of G", points=0.5, tests="g_loss for 3 fakes", probe=_acgan_g),
        Part(
            name="gradients",
            points=1.0,
            tests="gradients by all four kinds of logits",
            probe=_acgan_gradients,
            laws=(
                Law(
                    "G works against its label",
                    "Descending your loss, G lowers the logit of the class that it was told. It wants that recognised.",
                    _g_helps_the_class,
                ),
            ),
        ),
        Part(
            name="far out",
            points=0.5,
            tests="both with logits of fakes up to ±220, class logits to 300",
            probe=_acgan_far,
        ),
    ),
    hints=(
        "Write down the four means first. Which of them are in `d_loss`, which in `g_loss`, each with which sign?",
        "−log P(C = y) is `F.cross_entropy`, −log σ(a) is `F.softplus(-a)`, and −log(1 − σ(a)) is `F.softplus(a)`.",
        "`d_loss` is the sum of four such means. `g_loss` has minus the softplus of the fakes' logits, plus the cross entropy of "
        "their classes.",
    ),
)

# info_bound


def _draw_info(rng: Rng) -> Inputs:
    mean = rng.normal(5, 2, scale=0.6)
    away = torch.tensor([0.5, -0.9, 0.4, 1.1, -0.6], dtype=rng.dtype)[rng.permutation(5)]
    return {
        "logits": rng.normal(5, 3, scale=1.5),
        "k": torch.tensor([0, 2, 1, 2, 0])[rng.permutation(5)],
        "mean": mean,
        "logvar": rng.normal(5, 2, scale=0.6) - 0.9,
        "c": mean + away[:, None] * torch.tensor([1.0, 0.7], dtype=rng.dtype),
    }


_Q = ("logits", "mean", "logvar")


def _info(answer: Any, inputs: Inputs) -> Any:
    return answer(*(inputs[name] for name in ("logits", "k", "mean", "logvar", "c")))


def _info_value(answer: Any, inputs: Inputs) -> Findings:
    return {"bound": _info(answer, inputs)}


def _info_gradients(answer: Any, inputs: Inputs) -> Findings:
    leaves = [inputs[name].requires_grad_() for name in _Q]
    grads = torch.autograd.grad(_info(answer, inputs), leaves, allow_unused=True)
    return {f"gradient of {name}": grad for name, grad in zip(_Q, grads)}


def _info_ends(answer: Any, inputs: Inputs) -> Findings:
    """No continuous code; a Q that knows nothing, and one that knows all."""
    k, none = inputs["k"], inputs["c"][:, :0]
    blank = torch.zeros_like(inputs["logits"])
    sure = 60 * (k[:, None] == torch.arange(3)).to(blank.dtype)
    return {
        "Q knows nothing": answer(blank, k, none, none, none),
        "Q knows the category": answer(sure, k, none, none, none),
    }


def _from_nothing_to_log_k(inputs: Inputs, found: Findings) -> bool:
    return (
        abs(float(found["Q knows nothing"])) < 1e-5 and abs(float(found["Q knows the category"]) - math.log(3)) < 1e-5
    )


INFO_BOUND = Question(
    unit="06",
    name="info_bound",
    title="How much a picture tells of its code",
    difficulty=3,
    minutes=20,
    task="""
InfoGAN (Chen et al. 2016, equation 5) has no labels. It draws a code itself, tells it to G, and lets a network Q guess it from
the picture. What Q can guess bounds the information that pictures hold about the code:

$$L_I = \\mathbb E[\\log Q(c \\mid x)] + H(c) \\;\\le\\; I(c;\\, G(z, c))$$

G **and** Q maximise it. Libraries leave out the entropy $H(c)$ and other constants, since they have no gradient; then the number
means nothing. Keep them, and it is a bound in **nats**: 0 for a Q that knows nothing, log K for one that knows a category.

The code has two parts, independent of each other: a category out of K, uniform, and J numbers, each uniform on [−1, 1]. Q gives
class logits, and for each number a Gaussian with mean and **log variance** of its own.

`info_bound(logits, k, mean, logvar, c)` takes `logits` (N, K), the categories `k` (N,) that G was told, `mean` (N, J),
`logvar` (N, J), and the numbers `c` (N, J) that G was told. It returns $L_I$, the mean over the batch of

$$\\log Q(k_n) + \\sum_j \\log \\mathcal N(c_{nj};\\, \\text{mean}_{nj},\\, e^{\\text{logvar}_{nj}})$$

plus the entropy of the **whole** code: $\\log K$, and $\\log 2$ for each of the J numbers (a uniform density on an interval of
length 2 is 1/2). J may be 0.
""",
    answers=("info_bound",),
    draw=_draw_info,
    parts=(
        Part(name="value", points=1.0, tests="5 pictures, 3 categories, 2 numbers", probe=_info_value),
        Part(name="gradients", points=0.5, tests="gradients of logits, mean and logvar", probe=_info_gradients),
        Part(
            name="ends",
            points=0.5,
            tests="no numbers: a Q that knows nothing, one that knows the category",
            probe=_info_ends,
            laws=(
                Law(
                    "not in nats",
                    "Without numbers the bound runs from 0 (Q knows nothing) to log K (Q knows the category).",
                    _from_nothing_to_log_k,
                ),
            ),
        ),
    ),
    hints=(
        "Two logarithms of Q and two entropies. What is the logarithm of a Gaussian's density?",
        "log N(c; m, v) = −(log 2π + log v + (c − m)²/v) / 2, and 1/v is `torch.exp(-logvar)`.",
        "`-F.cross_entropy(logits, k)` is the first mean. Sum the Gaussian terms over axis 1, then take the mean; add "
        "`math.log(logits.shape[1]) + c.shape[1] * math.log(2)`.",
    ),
)

# projection_scores


def _draw_projection(rng: Rng) -> Inputs:
    N, M, K = 4, 3, 5
    certain = torch.zeros(N, K, dtype=rng.dtype)
    certain[torch.arange(N), torch.tensor([3, 0, 3, 1])[rng.permutation(N)]] = 1
    mixed = rng.uniform(N, K, low=0.05) + torch.eye(K, dtype=rng.dtype)[:N].flip(0)
    return {
        "maps": rng.normal(N, M, 2, 3) + 0.2,
        "certain": certain,
        "mixed": mixed / mixed.sum(1, keepdim=True),
        "table": rng.normal(K, M),
        "head": rng.normal(M),
        "bias": rng.normal(1) + 2,
    }


def _projected(answer: Any, inputs: Inputs, labels: str) -> Tensor:
    scores: Tensor = answer(inputs["maps"], inputs[labels], inputs["table"], inputs["head"], inputs["bias"])
    return scores


def _projection_certain(answer: Any, inputs: Inputs) -> Findings:
    return {"logits": _projected(answer, inputs, "certain")}


def _projection_mixed(answer: Any, inputs: Inputs) -> Findings:
    return {"logits": _projected(answer, inputs, "mixed")}


def _projection_gradients(answer: Any, inputs: Inputs) -> Findings:
    names = ("maps", "table", "head", "bias")
    leaves = [inputs[name].requires_grad_() for name in names]
    grads = torch.autograd.grad(weighted_sum(_projected(answer, inputs, "certain")), leaves, allow_unused=True)
    return {f"gradient of {name}": grad for name, grad in zip(names, grads)}


PROJECTION_SCORES = Question(
    unit="06",
    name="projection_scores",
    title="A label as a direction, even when it is not certain",
    difficulty=2,
    minutes=12,
    task="""
Joining a label to the input leaves it to D to find out what it is for. The projection discriminator (Miyato and Koyama 2018,
equation 3) puts it where the best D has it: the logit is a judgement of the picture plus the **inner product** of the
picture's features with a vector that belongs to the class.

$$a_n = \\langle w, \\phi_n \\rangle + b + \\langle e(y_n), \\phi_n \\rangle$$

Here labels may be uncertain (a crowd was asked, and not everybody agreed): a label is a row of K probabilities, and
$e(y_n) = \\sum_k p_{nk}\\, e_k$ is the mixture of the classes' vectors. A certain label is a one-hot row.

`projection_scores(maps, p, table, head, bias)` takes the last feature maps `maps` (N, M, H, W), **before** their rectifier, the
probabilities `p` (N, K), the `table` (K, M) of vectors $e_k$, the weights `head` $w$ (M,) and the `bias` $b$ (1,). The features
$\\phi_n$ (M,) are the **sums** over all pixels of the rectified maps. It returns the logits (N,). Gradients reach all but `p`.
""",
    answers=("projection_scores",),
    draw=_draw_projection,
    parts=(
        Part(
            name="certain", points=1.0, tests="four pictures of five classes, one-hot labels", probe=_projection_certain
        ),
        Part(name="mixed", points=0.5, tests="uncertain labels", probe=_projection_mixed),
        Part(
            name="gradients", points=0.5, tests="gradients of maps, table, head and bias", probe=_projection_gradients
        ),
    ),
    hints=(
        "How many numbers is $\\phi$ for one picture? Which order: rectify, then sum, or sum, then rectify?",
        "`maps.relu().sum(dim=(2, 3))` is (N, M), and `p @ table` is (N, M), too.",
        "Both inner products at once: `(features * (head + p @ table)).sum(1) + bias`.",
    ),
)

# read_grid


# How often each class is seen in each row. In the grids of codes the shares that could be taken for one another all differ: row
# maxima, column maxima, diagonal, best and worst naming, both greedy ones.
_CODES = (
    ((1, 1, 3, 4), (1, 1, 2, 5), (1, 3, 4, 1), (4, 2, 2, 1)),
    ((2, 4, 1, 2), (3, 4, 1, 1), (1, 6, 0, 2), (4, 1, 3, 1)),
    ((1, 1, 7, 0), (5, 1, 0, 3), (4, 1, 3, 1), (2, 5, 1, 1)),
)
_LABELS = ((6, 1, 1, 1), (0, 7, 2, 0), (1, 1, 5, 2), (0, 3, 1, 5))


def _grid(rng: Rng, counts: tuple[tuple[int, ...], ...]) -> Tensor:
    """A grid (4, 9) with these counts, each row in an order of its own."""
    rows = [torch.repeat_interleave(torch.arange(4), torch.tensor(row)) for row in counts]
    return torch.stack([row[rng.permutation(9)] for row in rows])


def _draw_grids(rng: Rng) -> Inputs:
    return {"mixed": _grid(rng, rng.choice(_CODES)), "named": _grid(rng, _LABELS), "one": rng.integer(0, 4)}


def _read(answer: Any, seen: Tensor) -> Findings:
    told, pure, matched = answer(seen)
    return {"told": told, "pure": pure, "matched": matched}


def _grid_named(answer: Any, inputs: Inputs) -> Findings:
    return _read(answer, inputs["named"])


def _grid_codes(answer: Any, inputs: Inputs) -> Findings:
    return _read(answer, inputs["mixed"])


def _grid_collapsed(answer: Any, inputs: Inputs) -> Findings:
    return _read(answer, torch.full((4, 9), inputs["one"])) | {
        "right, under other names: " + name: value
        for name, value in _read(answer, torch.tensor([2, 0, 3, 1])[:, None].repeat(1, 6)).items()
    }


def _pure_and_worthless(inputs: Inputs, found: Findings) -> bool:
    return found["pure"] == 1 and abs(found["matched"] - 0.25) < 1e-5


READ_GRID = Question(
    unit="06",
    name="read_grid",
    title="How pure is a grid?",
    difficulty=2,
    minutes=15,
    task="""
The usual figure has one row for each label, or for each value of a code. How well it came out is a number, but which? A
generator that has collapsed to a single picture has perfectly *pure* rows.

`read_grid(seen)` takes `seen` (K, n) int64: the class, 0 to K − 1, that a classifier sees in each picture of a grid whose row r
was made with label r or code value r. K is at most 6. It returns three Python floats:

- `told`: for a GAN that was told labels, the share of all K n pictures in row r whose class is **r**;
- `pure`: the share of all pictures that have the most frequent class **of their row**, whatever that is;
- `matched`: for codes that nobody named (InfoGAN). Each row gets a class of its own, **no class twice**; the share of pictures
  with the class of their row, for the **best** such naming. Try all K! of them.

How to know that it works: a collapsed grid has `pure` 1 and `matched` 1/K.
""",
    answers=("read_grid",),
    draw=_draw_grids,
    parts=(
        Part(name="labels", points=0.5, tests="a grid made with labels", probe=_grid_named),
        Part(name="codes", points=1.0, tests="a grid made with codes; two rows want one class", probe=_grid_codes),
        Part(
            name="ends",
            points=0.5,
            tests="a collapsed grid; a perfect one under other names",
            probe=_grid_collapsed,
            laws=(
                Law(
                    "a collapsed grid",
                    "Where all pictures are of one class every row is pure, but only one row can own that class: 1/K.",
                    _pure_and_worthless,
                ),
            ),
        ),
    ),
    hints=(
        "All three follow from one table: how often class k is seen in row r.",
        "`(seen[:, :, None] == torch.arange(K)).sum(1)` is that table (K, K). Its diagonal, its rows' maxima, and the best sum "
        "along a permutation are what is asked for.",
        "`from itertools import permutations`; `max(sum(int(table[r, k]) for r, k in enumerate(order)) for order in "
        "permutations(range(K)))`, divided by `seen.numel()`.",
    ),
)
