"""Answer keys to section 6: attention."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.checks.declare import Key, Mistake
from coursekit.exercises.u01_recurrent_networks.asked import s6_attention as asked

# dot_attention


def dot_attention(query: Tensor, memory: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """query (N, H), memory (N, S, H), mask (N, S) True for words -> context (N, H), weights (N, S)."""
    ### BEGIN SOLUTION
    scores = (memory @ query[:, :, None]).squeeze(2)
    weights = scores.masked_fill(~mask, -math.inf).softmax(dim=1)
    context = (weights[:, None, :] @ memory).squeeze(1)
    return context, weights
    ### END SOLUTION


def _dot_loops(query: Tensor, memory: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Sentence by sentence over its real words, the largest score taken out of the exponentials."""
    N, S, H = memory.shape
    contexts, rows = [], []
    for n in range(N):
        words = [s for s in range(S) if mask[n, s]]
        scores = torch.stack([(query[n] * memory[n, s]).sum() for s in words])
        powers = torch.exp(scores - scores.max().detach())
        shares = powers / powers.sum()
        row = [query.new_zeros(()) for _ in range(S)]
        context = query.new_zeros(H)
        for share, s in zip(shares, words):
            row[s] = share
            context = context + share * memory[n, s]
        contexts.append(context)
        rows.append(torch.stack(row))
    return torch.stack(contexts), torch.stack(rows)


def _dot_einsum(query: Tensor, memory: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    scores = torch.einsum("nh,nsh->ns", query, memory).where(mask, torch.tensor(float("-inf"), dtype=query.dtype))
    weights = F.softmax(scores, dim=-1)
    return torch.einsum("ns,nsh->nh", weights, memory), weights


def _dot_log(query: Tensor, memory: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    scores = torch.baddbmm(torch.zeros(1, 1, 1, dtype=query.dtype), memory, query.unsqueeze(-1))[..., 0]
    scores = scores.masked_fill(mask.logical_not(), torch.finfo(scores.dtype).min)
    weights = torch.exp(scores - scores.logsumexp(1, keepdim=True)) * mask
    return (memory * weights.unsqueeze(-1)).sum(1), weights


def _dot_additive_mask(query: Tensor, memory: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    bias = torch.zeros_like(memory[..., 0])
    bias[~mask] = -torch.inf
    weights = torch.softmax((memory * query[:, None]).sum(-1) + bias, 1)
    return torch.bmm(weights.unsqueeze(1), memory)[:, 0], weights


def _dot_variant(
    query: Tensor,
    memory: Tensor,
    mask: Tensor,
    scale: float = 1.0,
    masking: str = "before",
    axis: int = 1,
    detach: bool = False,
    own_max: bool = True,
) -> tuple[Tensor, Tensor]:
    scores = torch.einsum("nh,nsh->ns", query, memory) * scale
    if masking == "before":
        scores = scores.masked_fill(~mask, -math.inf)
    elif masking == "inverted":
        scores = scores.masked_fill(mask, -math.inf) if not bool(mask.all()) else scores
        scores = torch.nan_to_num(scores, nan=0.0, neginf=-1e9)
    elif masking == "zero":
        scores = scores * mask
    if own_max:
        weights = scores.softmax(axis)
    else:
        weights = scores.exp() / scores.exp().sum(axis, keepdim=True)
    if masking == "after":
        weights = weights * mask
    return torch.einsum("ns,nsh->nh", weights.detach() if detach else weights, memory), weights


DOT_ATTENTION = Key(
    question=asked.DOT_ATTENTION,
    solution=(dot_attention,),
    reference=_dot_loops,
    source="Luong, Pham & Manning 2015, arXiv:1508.04025, section 3.1, score dot",
    mistakes=(
        Mistake(
            "no mask",
            "Padding takes part in the softmax. Set its scores to -inf first.",
            lambda query, memory, mask: _dot_variant(query, memory, mask, masking="none"),
        ),
        Mistake(
            "mask after the softmax",
            "Zeroing weights afterwards leaves rows that do not sum to 1: mask the scores, before the softmax.",
            lambda query, memory, mask: _dot_variant(query, memory, mask, masking="after"),
        ),
        Mistake(
            "mask inverted",
            "The mask is True where there is a word; `masked_fill` fills where its mask is True, so give it `~mask`.",
            lambda query, memory, mask: _dot_variant(query, memory, mask, masking="inverted"),
        ),
        Mistake(
            "padding scored 0 instead of -inf",
            "A score of 0 still earns a weight of exp(0). Padding needs -inf.",
            lambda query, memory, mask: _dot_variant(query, memory, mask, masking="zero"),
        ),
        Mistake(
            "scaled by the square root of the width",
            "That is the transformer's score; here there is no scaling.",
            lambda query, memory, mask: _dot_variant(query, memory, mask, scale=1 / math.sqrt(query.shape[1])),
        ),
        Mistake(
            "softmax over the batch",
            "Weights must sum to 1 over the source positions of one sentence: the axis of length S.",
            lambda query, memory, mask: _dot_variant(query, memory, mask, axis=0),
        ),
        Mistake(
            "exponential without care",
            "exp of several thousand is inf, and inf / inf is NaN: subtract the row's largest score first, or use `softmax`.",
            lambda query, memory, mask: _dot_variant(query, memory, mask, own_max=False),
        ),
        Mistake(
            "weights detached",
            "The values are right, but no gradient reaches the weights through the context: leave out `detach`.",
            lambda query, memory, mask: _dot_variant(query, memory, mask, detach=True),
        ),
    ),
    alternatives={
        "einsum and where": _dot_einsum,
        "log-sum-exp": _dot_log,
        "a mask that is added": _dot_additive_mask,
    },
)

# additive_attention


def additive_attention(
    queries: Tensor, memory: Tensor, mask: Tensor, W_q: Tensor, W_m: Tensor, v: Tensor
) -> tuple[Tensor, Tensor]:
    """queries (N, T, H), memory (N, S, H), mask (N, S) -> context (N, T, H), weights (N, T, S)."""
    ### BEGIN SOLUTION
    asked = (queries @ W_q.T)[:, :, None, :]
    stored = (memory @ W_m.T)[:, None, :, :]
    scores = torch.tanh(asked + stored) @ v
    weights = scores.masked_fill(~mask[:, None, :], -math.inf).softmax(dim=2)
    return weights @ memory, weights
    ### END SOLUTION


def _additive_loops(
    queries: Tensor, memory: Tensor, mask: Tensor, W_q: Tensor, W_m: Tensor, v: Tensor
) -> tuple[Tensor, Tensor]:
    """One pair of query and word at a time."""
    N, T, H = queries.shape
    S = memory.shape[1]
    contexts, rows = [], []
    for n in range(N):
        for t in range(T):
            powers = [
                torch.exp((v * torch.tanh(W_q.mv(queries[n, t]) + W_m.mv(memory[n, s]))).sum())
                if mask[n, s]
                else queries.new_zeros(())
                for s in range(S)
            ]
            total = sum(powers)
            row = torch.stack([power / total for power in powers])
            rows.append(row)
            contexts.append(sum(row[s] * memory[n, s] for s in range(S)))
    return torch.stack(contexts).reshape(N, T, H), torch.stack(rows).reshape(N, T, S)


def _additive_stacked(
    queries: Tensor, memory: Tensor, mask: Tensor, W_q: Tensor, W_m: Tensor, v: Tensor
) -> tuple[Tensor, Tensor]:
    T, S = queries.shape[1], memory.shape[1]
    pairs = torch.cat([queries[:, :, None].expand(-1, -1, S, -1), memory[:, None].expand(-1, T, -1, -1)], dim=-1)
    scores = torch.einsum("a,ntsa->nts", v, torch.tanh(pairs @ torch.cat([W_q, W_m], dim=1).T))
    weights = F.softmax(scores + torch.where(mask, 0.0, -math.inf).to(scores.dtype)[:, None], dim=-1)
    return torch.bmm(weights, memory), weights


def _additive_steps(
    queries: Tensor, memory: Tensor, mask: Tensor, W_q: Tensor, W_m: Tensor, v: Tensor
) -> tuple[Tensor, Tensor]:
    keys = F.linear(memory, W_m)
    contexts, rows = [], []
    for query in queries.unbind(1):
        scores = (F.linear(query, W_q)[:, None] + keys).tanh().matmul(v)
        scores[~mask] = float("-inf")
        rows.append(scores.softmax(-1))
        contexts.append((rows[-1][..., None] * memory).sum(1))
    return torch.stack(contexts, 1), torch.stack(rows, 1)


def _additive_einsum(
    queries: Tensor, memory: Tensor, mask: Tensor, W_q: Tensor, W_m: Tensor, v: Tensor
) -> tuple[Tensor, Tensor]:
    q, m = torch.einsum("nth,ah->nta", queries, W_q), torch.einsum("nsh,ah->nsa", memory, W_m)
    powers = torch.exp(((q.unsqueeze(2) + m.unsqueeze(1)).tanh() * v).sum(-1)) * mask.unsqueeze(1)
    weights = powers / powers.sum(-1, keepdim=True)
    return torch.einsum("nts,nsh->nth", weights, memory), weights


def _additive_variant(
    queries: Tensor,
    memory: Tensor,
    mask: Tensor,
    W_q: Tensor,
    W_m: Tensor,
    v: Tensor,
    squash: bool = True,
    masking: str = "before",
    axis: int = 2,
    projected_values: bool = False,
    product: bool = False,
) -> tuple[Tensor, Tensor]:
    q, m = (queries @ W_q.T)[:, :, None], (memory @ W_m.T)[:, None]
    inner = q * m if product else q + m
    scores = (torch.tanh(inner) if squash else inner) @ v
    if masking == "before":
        scores = scores.masked_fill(~mask[:, None], -1e9)
    weights = scores.softmax(axis)
    if masking == "after":
        weights = weights * mask[:, None]
    values = (memory @ W_m.T)[..., : memory.shape[-1]] if projected_values else memory
    return weights @ values, weights


ADDITIVE_ATTENTION = Key(
    question=asked.ADDITIVE_ATTENTION,
    solution=(additive_attention,),
    reference=_additive_loops,
    source="Bahdanau, Cho & Bengio 2015, arXiv:1409.0473, section A.1.2",
    mistakes=(
        Mistake(
            "no tanh",
            "Without the tanh the query adds the same number to every score of its row, and the softmax cancels it.",
            lambda *a: _additive_variant(*a, squash=False),
        ),
        Mistake(
            "no mask",
            "Padding takes part in the softmax. Set its scores to -inf, with an axis for T.",
            lambda *a: _additive_variant(*a, masking="none"),
        ),
        Mistake(
            "mask after the softmax",
            "Rows no longer sum to 1: mask the scores, before the softmax.",
            lambda *a: _additive_variant(*a, masking="after"),
        ),
        Mistake(
            "softmax over the output steps",
            "Weights must sum to 1 over the source, the last axis; yours do over T.",
            lambda *a: _additive_variant(*a, axis=1),
        ),
        Mistake(
            "projections swapped",
            "`W_q` belongs to the queries and `W_m` to the memory.",
            lambda queries, memory, mask, W_q, W_m, v: additive_attention(queries, memory, mask, W_m, W_q, v),
        ),
        Mistake(
            "context of projected memory",
            "The scores use the projection; the context sums the memory itself.",
            lambda *a: _additive_variant(*a, projected_values=True),
        ),
        Mistake(
            "product instead of sum inside the tanh",
            "The two projections are added; a product would be another score.",
            lambda *a: _additive_variant(*a, product=True),
        ),
        Mistake(
            "context detached from the scores",
            "The values are right, but no gradient reaches `W_q` through the context: leave out `detach`.",
            lambda queries, memory, mask, W_q, W_m, v: (
                additive_attention(queries, memory, mask, W_q, W_m, v)[1].detach() @ memory,
                additive_attention(queries, memory, mask, W_q, W_m, v)[1],
            ),
        ),
    ),
    alternatives={
        "stacked weights": _additive_stacked,
        "a loop over output steps": _additive_steps,
        "exponentials and a mask": _additive_einsum,
    },
)

# causal_self_attention


def causal_self_attention(x: Tensor, W_q: Tensor, W_k: Tensor, W_v: Tensor) -> tuple[Tensor, Tensor]:
    """x (N, T, D), W_q and W_k (d_k, D), W_v (d_v, D) -> out (N, T, d_v), weights (N, T, T)."""
    ### BEGIN SOLUTION
    q, k, v = x @ W_q.T, x @ W_k.T, x @ W_v.T
    scores = q @ k.transpose(1, 2) / math.sqrt(k.shape[-1])
    future = torch.ones_like(scores, dtype=torch.bool).triu(diagonal=1)
    weights = scores.masked_fill(future, -math.inf).softmax(dim=-1)
    return weights @ v, weights
    ### END SOLUTION


def _causal_loops(x: Tensor, W_q: Tensor, W_k: Tensor, W_v: Tensor) -> tuple[Tensor, Tensor]:
    """Token t attends to the tokens 0 .. t, one at a time."""
    N, T, _ = x.shape
    outs, rows = [], []
    for n in range(N):
        for t in range(T):
            q = W_q.mv(x[n, t])
            scores = [(q * W_k.mv(x[n, s])).sum() / len(W_k) ** 0.5 for s in range(t + 1)]
            top = max(float(score.detach()) for score in scores)
            powers = [torch.exp(score - top) for score in scores]
            shares = [power / sum(powers) for power in powers]
            rows.append(torch.stack(shares + [x.new_zeros(())] * (T - t - 1)))
            outs.append(sum(share * W_v.mv(x[n, s]) for s, share in enumerate(shares)))
    return torch.stack(outs).reshape(N, T, -1), torch.stack(rows).reshape(N, T, T)


def _causal_tril(x: Tensor, W_q: Tensor, W_k: Tensor, W_v: Tensor) -> tuple[Tensor, Tensor]:
    q, k, v = (F.linear(x, W) for W in (W_q, W_k, W_v))
    scores = torch.einsum("ntk,nsk->nts", q * len(W_k) ** -0.5, k)
    T = x.shape[1]
    seen = torch.arange(T)[:, None] >= torch.arange(T)
    weights = torch.where(seen, scores, -torch.inf).softmax(-1)
    return torch.einsum("nts,nsv->ntv", weights, v), weights


def _causal_library(x: Tensor, W_q: Tensor, W_k: Tensor, W_v: Tensor) -> tuple[Tensor, Tensor]:
    q, k, v = x @ W_q.T, x @ W_k.T, x @ W_v.T
    identity = torch.eye(x.shape[1], dtype=x.dtype).expand(len(x), -1, -1)
    out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    return out, F.scaled_dot_product_attention(q, k, identity, is_causal=True)


def _causal_prefixes(x: Tensor, W_q: Tensor, W_k: Tensor, W_v: Tensor) -> tuple[Tensor, Tensor]:
    T = x.shape[1]
    k, v = x @ W_k.T, x @ W_v.T
    outs, rows = [], []
    for t in range(T):
        scores = ((x[:, t] @ W_q.T)[:, None] * k[:, : t + 1]).sum(-1) / len(W_k) ** 0.5
        share = scores.softmax(1)
        rows.append(F.pad(share, (0, T - t - 1)))
        outs.append((share[..., None] * v[:, : t + 1]).sum(1))
    return torch.stack(outs, 1), torch.stack(rows, 1)


def _causal_variant(
    x: Tensor,
    W_q: Tensor,
    W_k: Tensor,
    W_v: Tensor,
    scale: float | None = None,
    mask: str = "future",
    axis: int = -1,
    detach: bool = False,
) -> tuple[Tensor, Tensor]:
    q, k, v = x @ W_q.T, x @ W_k.T, x @ W_v.T
    scores = q @ k.mT / (math.sqrt(len(W_k)) if scale is None else scale)
    T = x.shape[1]
    step = torch.arange(T)
    forbidden = {
        "future": step[None] > step[:, None],
        "none": torch.zeros(T, T, dtype=torch.bool),
        "past": step[None] < step[:, None],
        "self too": (step[None] >= step[:, None]) & (step[:, None] > 0),
    }
    if mask == "after":
        weights = scores.softmax(axis) * ~forbidden["future"]
    else:
        weights = scores.masked_fill(forbidden[mask], -1e9).softmax(axis)
    return (weights.detach() if detach else weights) @ v, weights


CAUSAL_SELF_ATTENTION = Key(
    question=asked.CAUSAL_SELF_ATTENTION,
    solution=(causal_self_attention,),
    reference=_causal_loops,
    source="Vaswani et al. 2017, arXiv:1706.03762, equation 1 and section 3.2.3",
    mistakes=(
        Mistake(
            "no mask",
            "Every token sees the future. Fill the scores above the diagonal with -inf.",
            lambda *a: _causal_variant(*a, mask="none"),
        ),
        Mistake(
            "past masked instead of the future",
            "The triangle is the wrong one: row t may see columns s <= t.",
            lambda *a: _causal_variant(*a, mask="past"),
        ),
        Mistake(
            "own position masked, too",
            "A token may look at itself: the mask starts above the diagonal, `triu(diagonal=1)`.",
            lambda *a: _causal_variant(*a, mask="self too"),
        ),
        Mistake(
            "mask after the softmax",
            "Rows no longer sum to 1, and the future still enters the denominator: mask the scores.",
            lambda *a: _causal_variant(*a, mask="after"),
        ),
        Mistake(
            "not scaled",
            "Divide the scores by the square root of d_k.",
            lambda *a: _causal_variant(*a, scale=1.0),
        ),
        Mistake(
            "scaled by d_k instead of its root",
            "Divide by the square root: the variance of a dot product grows with d_k, its spread with the root.",
            lambda x, W_q, W_k, W_v: _causal_variant(x, W_q, W_k, W_v, scale=float(len(W_k))),
        ),
        Mistake(
            "scaled by the width of the input",
            "The scale belongs to the keys: d_k, not D.",
            lambda x, W_q, W_k, W_v: _causal_variant(x, W_q, W_k, W_v, scale=math.sqrt(x.shape[-1])),
        ),
        Mistake(
            "softmax over the asking tokens",
            "Weights must sum to 1 over the tokens that are looked at, the last axis.",
            lambda *a: _causal_variant(*a, axis=1),
        ),
        Mistake(
            "queries and keys swapped",
            "Rows ask, columns answer: scores are `q @ k.transpose(1, 2)`.",
            lambda x, W_q, W_k, W_v: causal_self_attention(x, W_k, W_q, W_v),
        ),
        Mistake(
            "weights detached",
            "The values are right, but no gradient reaches `W_q` and `W_k`: leave out `detach`.",
            lambda *a: _causal_variant(*a, detach=True),
        ),
    ),
    alternatives={
        "where and einsum": _causal_tril,
        "torch's own attention": _causal_library,
        "prefix by prefix": _causal_prefixes,
    },
)
