"""## 6. Attention

A different summary of the source for every step of the output: two scores for it, and the form without recurrence.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from coursekit.checks.declare import Findings, Inputs, Law, Part, Question
from coursekit.checks.draws import Rng
from coursekit.checks.probes import weighted_sum


def _rows_sum_to_one(inputs: Inputs, found: Findings) -> bool:
    weights = found["weights"]
    return bool(torch.allclose(weights.sum(-1), torch.ones_like(weights.sum(-1)), atol=1e-4))


def _padding_is_exactly_zero(inputs: Inputs, found: Findings) -> bool:
    mask = inputs["mask"].expand_as(found["weights"]) if inputs["mask"].dim() == 2 else inputs["mask"]
    return bool((found["weights"][~mask] == 0).all())


_SUM = Law(
    "weights do not sum to 1",
    "Each row of weights must sum to 1 over the positions that the mask allows.",
    _rows_sum_to_one,
)
_ZERO = Law(
    "padding gets weight",
    "A position that the mask forbids must get a weight of exactly 0. Set its score to -inf before the softmax.",
    _padding_is_exactly_zero,
)


def _ragged(rng: Rng, N: int, S: int) -> Tensor:
    """True where there is a word: lengths from 2 up, all different, exactly one of them full."""
    lengths = 2 + rng.permutation(S - 2)[:N]
    lengths[rng.integer(0, N)] = S
    return torch.arange(S)[None, :] < lengths[:, None]


# dot_attention


def _draw_dot(rng: Rng) -> Inputs:
    N, S, H = 3, 6, 4
    query = rng.normal(N, H)
    loud = rng.normal(N, S, H, scale=0.02)
    loud[:, 0] = query / (query**2).sum(1, keepdim=True)  # asked by 2000 times the query it scores 2000, in every row
    return {"query": query, "memory": rng.normal(N, S, H), "loud memory": loud, "mask": _ragged(rng, N, S)}


def _attend(answer: Any, inputs: Inputs) -> Findings:
    context, weights = answer(inputs["query"], inputs["memory"], inputs["mask"])
    return {"context": context, "weights": weights}


def _attend_gradients(answer: Any, inputs: Inputs) -> Findings:
    leaves = [inputs[name].requires_grad_() for name in ("query", "memory")]
    context, weights = answer(*leaves, inputs["mask"])
    grads = torch.autograd.grad(weighted_sum(context) + weighted_sum(weights), leaves, allow_unused=True)
    return {"gradient of query": grads[0], "gradient of memory": grads[1]}


def _attend_large(answer: Any, inputs: Inputs) -> Findings:
    """Scores of 2000 and more, whose exponential overflows even in float64; and garbage where there is padding."""
    garbage = 1e4 * inputs["query"].sign()[:, None]  # scores higher than any word
    memory = torch.where(inputs["mask"][..., None], inputs["loud memory"], garbage)
    context, weights = answer(2000 * inputs["query"], memory, inputs["mask"])
    return {"context": context, "weights": weights}


DOT_ATTENTION = Question(
    unit="01",
    name="dot_attention",
    title="Dot attention over a padded source",
    difficulty=2,
    minutes=12,
    task="""
A decoder state asks, the encoder states answer (Luong, Pham and Manning 2015, section 3.1, the score *dot*):

$$e_{ns} = q_n^\\top m_{ns} \\qquad \\alpha_{ns} = \\frac{\\exp e_{ns}}{\\sum_{s'} \\exp e_{ns'}} \\qquad
c_n = \\sum_s \\alpha_{ns}\\, m_{ns}$$

Sources in a batch have different lengths; both sums run over real words only. Write `dot_attention(query, memory, mask)` for
`query` (N, H), `memory` (N, S, H) and a boolean `mask` (N, S), **True where there is a word**. It returns the pair
`(context, weights)` of shapes (N, H) and (N, S). There is no scaling. Padded positions get a weight of exactly 0, and scores
of several thousand must not overflow. Every row of the mask has at least two words.
""",
    answers=("dot_attention",),
    draw=_draw_dot,
    parts=(
        Part(
            name="values",
            points=1.0,
            tests="context and weights for N = 3, S = 6, H = 4, ragged lengths",
            probe=_attend,
            laws=(_SUM, _ZERO),
        ),
        Part(
            name="large scores",
            points=0.5,
            tests="scores in the thousands, garbage in the padding",
            probe=_attend_large,
        ),
        Part(name="gradients", points=0.5, tests="gradients with respect to query and memory", probe=_attend_gradients),
    ),
    hints=(
        "First all scores, one for each pair of sentence and source position, then the mask, then the softmax.",
        "A score of -inf becomes a weight of exactly 0; `masked_fill` wants True where to fill.",
        "`scores = (memory @ query[:, :, None]).squeeze(2)`, then `scores.masked_fill(~mask, -math.inf).softmax(dim=1)`.",
    ),
)

# additive_attention


def _draw_additive(rng: Rng) -> Inputs:
    N, T, S, H, A = 2, 3, 5, 4, 6
    return {
        "queries": rng.normal(N, T, H),
        "memory": rng.normal(N, S, H),
        "mask": _ragged(rng, N, S),
        "W_q": rng.normal(A, H, scale=0.8),
        "W_m": rng.normal(A, H, scale=0.8),
        "v": rng.normal(A),
    }


_ADDITIVE = ("queries", "memory", "mask", "W_q", "W_m", "v")


def _additive(answer: Any, inputs: Inputs) -> Findings:
    context, weights = answer(*(inputs[name] for name in _ADDITIVE))
    return {"context": context, "weights": weights}


def _additive_gradients(answer: Any, inputs: Inputs) -> Findings:
    names = [name for name in _ADDITIVE if name != "mask"]
    leaves = {name: inputs[name].requires_grad_() for name in names}
    context, weights = answer(*({**inputs, **leaves}[name] for name in _ADDITIVE))
    total = weighted_sum(context) + weighted_sum(weights)
    grads = torch.autograd.grad(total, list(leaves.values()), allow_unused=True)
    return {f"gradient of {name}": grad for name, grad in zip(names, grads)}


def _additive_law(inputs: Inputs, found: Findings) -> bool:
    allowed = inputs["mask"][:, None, :].expand_as(found["weights"])
    return bool((found["weights"][~allowed] == 0).all())


ADDITIVE_ATTENTION = Question(
    unit="01",
    name="additive_attention",
    title="Additive attention, all steps at once",
    difficulty=3,
    minutes=18,
    task="""
Bahdanau, Cho and Bengio (2015, section A.1.2) score a decoder state against an encoder state with a small network:

$$e_{nts} = v^\\top \\tanh(W_q\\, q_{nt} + W_m\\, m_{ns}) \\qquad \\alpha_{nt\\cdot} = \\text{softmax over } s \\qquad
c_{nt} = \\sum_s \\alpha_{nts}\\, m_{ns}$$

Write `additive_attention(queries, memory, mask, W_q, W_m, v)` for `queries` (N, T, H), `memory` (N, S, H), a boolean `mask`
(N, S), True where there is a word, `W_q` and `W_m` (A, H), `v` (A,). It returns `(context, weights)` of shapes (N, T, H) and
(N, T, S), with weights of exactly 0 on padding. No loop over steps is needed, and none is forbidden.
""",
    answers=("additive_attention",),
    draw=_draw_additive,
    parts=(
        Part(
            name="values",
            points=1.5,
            tests="context and weights for N = 2, T = 3, S = 5, H = 4, A = 6",
            probe=_additive,
            laws=(_SUM, Law(_ZERO.name, _ZERO.says, _additive_law)),
        ),
        Part(
            name="gradients",
            points=0.5,
            tests="gradients with respect to queries, memory, W_q, W_m, v",
            probe=_additive_gradients,
        ),
    ),
    hints=(
        "Every query meets every source position: you need a tensor (N, T, S, A) before `v` folds it.",
        "Project both sides first, then add them with axes of length 1 where the other side varies.",
        "`(queries @ W_q.T)[:, :, None] + (memory @ W_m.T)[:, None]` is (N, T, S, A); the mask needs an axis for T, too.",
    ),
)

# causal_self_attention


def _draw_causal(rng: Rng) -> Inputs:
    N, T, D, K = 2, 5, 6, 4
    return {
        "x": rng.normal(N, T, D),
        "W_q": rng.normal(K, D, scale=0.8),
        "W_k": rng.normal(K, D, scale=0.8),
        "W_v": rng.normal(3, D, scale=0.8),
    }


_CAUSAL = ("x", "W_q", "W_k", "W_v")


def _causal(answer: Any, inputs: Inputs) -> Findings:
    out, weights = answer(*(inputs[name] for name in _CAUSAL))
    return {"out": out, "weights": weights}


def _causal_future(answer: Any, inputs: Inputs) -> Findings:
    """Change the last two tokens: outputs before them must not move by a bit, and theirs must."""
    args = [inputs[name] for name in _CAUSAL]
    before = answer(*args)[0]
    changed = inputs["x"].clone()
    changed[:, -2:] += 0.5  # gently: a softmax that a large change saturates might not show it
    after = answer(changed, *args[1:])[0]
    return {
        "an earlier output moved": not torch.equal(before[:, :-2], after[:, :-2]),
        "a later output moved": not torch.equal(before[:, -2:], after[:, -2:]),
    }


def _causal_gradients(answer: Any, inputs: Inputs) -> Findings:
    leaves = [inputs[name].requires_grad_() for name in _CAUSAL]
    out, _ = answer(*leaves)
    grads = torch.autograd.grad(weighted_sum(out), leaves, allow_unused=True)
    return {f"gradient of {name}": grad for name, grad in zip(_CAUSAL, grads)}


CAUSAL_SELF_ATTENTION = Question(
    unit="01",
    name="causal_self_attention",
    title="Causal self-attention with a narrow value",
    difficulty=3,
    minutes=15,
    task="""
Every token asks, and is asked, in one sequence; a token may look at itself and at what came before (Vaswani et al. 2017,
section 3.2.1 and the mask of 3.2.3):

$$Q = XW_q^\\top,\\; K = XW_k^\\top,\\; V = XW_v^\\top \\qquad
A = \\text{softmax}\\!\\left(\\frac{QK^\\top}{\\sqrt{d_k}} + M\\right) \\qquad Y = AV$$

with $M_{ts} = 0$ for $s \\le t$ and $-\\infty$ for $s > t$. Write `causal_self_attention(x, W_q, W_k, W_v)` for `x` (N, T, D),
`W_q` and `W_k` (d_k, D), `W_v` (d_v, D). Values are narrower than keys here: $d_v \\ne d_k \\ne D$, and the scale belongs to
$d_k$. It returns `(out, weights)` of shapes (N, T, d_v) and (N, T, T). A changed token must leave all earlier
outputs as they were, to the bit.
""",
    answers=("causal_self_attention",),
    draw=_draw_causal,
    parts=(
        Part(
            name="values",
            points=1.0,
            tests="out and weights for N = 2, T = 5, D = 6, d_k = 4, d_v = 3",
            probe=_causal,
            laws=(_SUM,),
        ),
        Part(
            name="causality",
            points=1.0,
            tests="changing the last two tokens moves outputs there, no earlier one",
            probe=_causal_future,
        ),
        Part(
            name="gradients",
            points=0.5,
            tests="gradients with respect to x and the three matrices",
            probe=_causal_gradients,
        ),
    ),
    hints=(
        "Three projections, one (N, T, T) matrix of scores, a triangle of -inf, a softmax along the right axis.",
        "Rows are the tokens that ask. `torch.triu(..., diagonal=1)` marks what a row may not see.",
        "`scores = q @ k.transpose(1, 2) / math.sqrt(k.shape[-1])`, filled with -inf where `triu(1)` is True, `softmax(dim=-1)`.",
    ),
)
