"""Answer keys to section 7: what comes out."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coursekit.checks.declare import Key, Mistake, Rubric
from coursekit.exercises.u01_recurrent_networks.asked import s7_outcomes as asked
from coursekit.exercises.u01_recurrent_networks.asked.s7_outcomes import ParityNet, odd_so_far

# sampler


def next_probabilities(logits: Tensor, temperature: float, top_k: int | None) -> Tensor:
    """logits (N, V) -> probabilities (N, V)."""
    ### BEGIN SOLUTION
    if temperature == 0:
        return F.one_hot(logits.argmax(dim=1), logits.shape[1]).to(logits.dtype)
    if top_k is not None:
        kth = logits.topk(top_k, dim=1).values[:, -1:]
        logits = logits.masked_fill(logits < kth, -math.inf)
    return torch.softmax(logits / temperature, dim=1)
    ### END SOLUTION


def sample_tokens(logits: Tensor, temperature: float, top_k: int | None, generator: torch.Generator) -> Tensor:
    """logits (N, V) -> one token for each row (N,) int64."""
    ### BEGIN SOLUTION
    p = next_probabilities(logits, temperature, top_k)
    return torch.multinomial(p, 1, generator=generator)[:, 0]
    ### END SOLUTION


def _probabilities_row_by_row(logits: Tensor, temperature: float, top_k: int | None) -> Tensor:
    """Sort, cut, exponentiate relative to the largest, divide: with plain numbers."""
    rows = []
    for row in logits.tolist():
        best = sorted(range(len(row)), key=lambda w: -row[w])[:top_k]
        if temperature == 0:
            best = best[:1]
        size = {w: math.exp((row[w] - row[best[0]]) / (temperature or 1.0)) for w in best}
        rows.append([size.get(w, 0.0) / sum(size.values()) for w in range(len(row))])
    return torch.tensor(rows, dtype=logits.dtype)


def _sample_evenly(logits: Tensor, temperature: float, top_k: int | None, generator: torch.Generator) -> Tensor:
    """Inverse distribution function at evenly spread places, so that the shares are those of the equation with hardly any noise.

    The places are multiples of the golden ratio, wrapped to [0, 1), from a random start (Weyl's sequence): over N rows, and
    over every other row, a share is off by less than 0.003 for N = 8000.
    """
    kinds, kind = logits.unique(dim=0, return_inverse=True)
    cumulative = _probabilities_row_by_row(kinds, temperature, top_k).double().cumsum(1)[kind]
    start = torch.rand((), generator=generator, dtype=torch.float64)
    places = (start + torch.arange(len(logits), dtype=torch.float64) * (math.sqrt(5) - 1) / 2) % 1
    return (places[:, None] * cumulative[:, -1:] > cumulative).sum(1)


def _probabilities_scattered(logits: Tensor, temperature: float, top_k: int | None) -> Tensor:
    values, tokens = logits.topk(1 if temperature == 0 else top_k or logits.shape[1], dim=1)
    return torch.zeros_like(logits).scatter(1, tokens, F.softmax(values / (temperature or 1.0), dim=1))


def _sample_inverse(logits: Tensor, temperature: float, top_k: int | None, generator: torch.Generator) -> Tensor:
    cumulative = _probabilities_scattered(logits, temperature, top_k).cumsum(1)
    # 1 - u lies in (0, 1]: with 0 a token without probability could come first.
    u = 1 - torch.rand(len(logits), 1, generator=generator, dtype=logits.dtype)
    return torch.searchsorted(cumulative, u * cumulative[:, -1:])[:, 0]


def _probabilities_log(logits: Tensor, temperature: float, top_k: int | None) -> Tensor:
    if temperature == 0:
        return (logits == logits.max(1, keepdim=True).values).to(logits.dtype)
    z = logits / temperature
    rank = (z[:, None, :] > z[:, :, None]).sum(2)  # how many of the row are larger
    z = torch.where(rank < (z.shape[1] if top_k is None else top_k), z, z.new_tensor(-math.inf))
    return (z - z.logsumexp(1, keepdim=True)).exp()


def _sample_gumbel(logits: Tensor, temperature: float, top_k: int | None, generator: torch.Generator) -> Tensor:
    noise = -torch.empty_like(logits).exponential_(generator=generator).log()
    return (_probabilities_log(logits, temperature, top_k).log() + noise).argmax(1)


def _probabilities_powers(logits: Tensor, temperature: float, top_k: int | None) -> Tensor:
    """Probabilities first, then their powers: p ** (1 / temperature), relative to the largest."""
    if temperature == 0:
        top_k, temperature = 1, 1.0
    p = logits.softmax(1)
    power = ((p / p.amax(1, keepdim=True)).log() / temperature).exp()
    keep = torch.zeros_like(p, dtype=torch.bool).scatter(1, p.argsort(1, descending=True)[:, :top_k], True)
    kept = power * keep
    return kept / kept.sum(1, keepdim=True)


def _sample_row_by_row(logits: Tensor, temperature: float, top_k: int | None, generator: torch.Generator) -> Tensor:
    values, tokens = logits.topk(top_k or logits.shape[1], dim=1)
    if temperature == 0:
        return tokens[:, 0]
    picked = torch.multinomial(torch.softmax(values / temperature, 1), 1, replacement=True, generator=generator)
    return tokens.gather(1, picked).squeeze(1)


def _probabilities_wrong(
    logits: Tensor,
    temperature: float,
    top_k: int | None,
    *,
    multiply: bool = False,
    ignore: bool = False,
    keep: int = 0,
    fill: float = -math.inf,
    whole_batch: bool = False,
    dim: int = 1,
    zero: str = "argmax",
    naive: bool = False,
    renormalise: bool = True,
) -> Tensor:
    V = logits.shape[1]
    if temperature == 0 and zero == "argmax":
        return F.one_hot(logits.argmax(1), V).to(logits.dtype)
    if zero == "floor":
        temperature = max(temperature, 0.1)
    scores = logits if ignore else logits * temperature if multiply else logits / temperature
    place = V if top_k is None else min(max(top_k + keep, 1), V)
    rows = scores.flatten()[None] if whole_batch else scores
    kth = rows.topk(place * (len(logits) if whole_batch else 1), dim=1).values[:, -1:]
    out = scores < kth
    if not renormalise:
        return torch.softmax(scores, 1).masked_fill(out, 0.0)
    scores = scores.masked_fill(out, fill)
    return scores.exp() / scores.exp().sum(1, keepdim=True) if naive else torch.softmax(scores, dim)


def _drawn_from(
    probabilities: Callable[..., Tensor],
    logits: Tensor,
    temperature: float,
    top_k: int | None,
    generator: torch.Generator,
) -> Tensor:
    return torch.multinomial(probabilities(logits, temperature, top_k), 1, generator=generator)[:, 0]


def _sample_best(logits: Tensor, temperature: float, top_k: int | None, generator: torch.Generator) -> Tensor:
    return next_probabilities(logits, temperature, top_k).argmax(1)


def _sample_flat(logits: Tensor, temperature: float, top_k: int | None, generator: torch.Generator) -> Tensor:
    p = (next_probabilities(logits, temperature, top_k) > 0).to(logits.dtype)
    return torch.multinomial(p, 1, generator=generator)[:, 0]


def _sample_shared(logits: Tensor, temperature: float, top_k: int | None, generator: torch.Generator) -> Tensor:
    cumulative = next_probabilities(logits, temperature, top_k).cumsum(1)
    u = 1 - torch.rand(1, generator=generator, dtype=logits.dtype)
    return (u * cumulative[:, -1:] > cumulative).sum(1)


def _sample_global(logits: Tensor, temperature: float, top_k: int | None, generator: torch.Generator) -> Tensor:
    return torch.multinomial(next_probabilities(logits, temperature, top_k), 1)[:, 0]


def _sample_place(logits: Tensor, temperature: float, top_k: int | None, generator: torch.Generator) -> Tensor:
    values = logits.topk(top_k or logits.shape[1], dim=1).values
    return torch.multinomial(next_probabilities(values, temperature, None), 1, generator=generator)[:, 0]


def _sample_column(logits: Tensor, temperature: float, top_k: int | None, generator: torch.Generator) -> Tensor:
    return torch.multinomial(next_probabilities(logits, temperature, top_k), 1, generator=generator)


def _sample_reseeded(logits: Tensor, temperature: float, top_k: int | None, generator: torch.Generator) -> Tensor:
    fresh = torch.Generator().manual_seed(generator.initial_seed())
    return torch.multinomial(next_probabilities(logits, temperature, top_k), 1, generator=fresh)[:, 0]


def _sample_lukewarm(logits: Tensor, temperature: float, top_k: int | None, generator: torch.Generator) -> Tensor:
    return sample_tokens(logits, 1.0 if temperature else 0.0, top_k, generator)


def _sample_unfiltered(logits: Tensor, temperature: float, top_k: int | None, generator: torch.Generator) -> Tensor:
    return sample_tokens(logits, temperature, None, generator)


def _both(probabilities: Callable[..., Tensor]) -> dict[str, object]:
    """Wrong probabilities, and a sampler that draws from them."""
    return {
        "next_probabilities": probabilities,
        "sample_tokens": functools.partial(_drawn_from, probabilities),
    }


def _only(sampler: Callable[..., Tensor]) -> dict[str, object]:
    return {"next_probabilities": next_probabilities, "sample_tokens": sampler}


SAMPLER = Key(
    question=asked.SAMPLER,
    solution=(next_probabilities, sample_tokens),
    reference={"next_probabilities": _probabilities_row_by_row, "sample_tokens": _sample_evenly},
    source="Ackley, Hinton and Sejnowski 1985, Cognitive Science 9 (temperature); Fan, Lewis and Dauphin 2018, arXiv:1805.04833, "
    "section 5.2 (top-k)",
    mistakes=(
        Mistake(
            "multiplies by the temperature",
            "The temperature divides: a low one makes the distribution sharper.",
            _both(functools.partial(_probabilities_wrong, multiply=True)),
        ),
        Mistake(
            "temperature without effect",
            "The temperature must act on the logits, before the softmax: dividing probabilities by it and normalising them "
            "changes nothing.",
            _both(functools.partial(_probabilities_wrong, ignore=True)),
        ),
        Mistake(
            "not normalised again",
            "What top-k leaves over must sum to 1: cut the logits, then take the softmax.",
            _both(functools.partial(_probabilities_wrong, renormalise=False)),
        ),
        Mistake(
            "logits set to 0",
            "A logit of 0 is a size like any other. What is cut off gets minus infinity.",
            _both(functools.partial(_probabilities_wrong, fill=0.0)),
        ),
        Mistake(
            "one too few",
            "The k-th largest stays: cut off what is *below* it (`<`, not `<=`).",
            _both(functools.partial(_probabilities_wrong, keep=-1)),
        ),
        Mistake(
            "one too many",
            "Yours keeps k + 1. The last of `topk(k)` is the smallest that stays.",
            _both(functools.partial(_probabilities_wrong, keep=1)),
        ),
        Mistake(
            "one threshold for the batch",
            "Each row has its own k largest: `topk` along `dim=1`, not over all rows at once.",
            _both(functools.partial(_probabilities_wrong, whole_batch=True)),
        ),
        Mistake(
            "softmax down the batch",
            "Each row is a distribution: `dim=1`.",
            _both(functools.partial(_probabilities_wrong, dim=0)),
        ),
        Mistake(
            "divides by zero",
            "At temperature 0 the division gives infinities and then NaN. Treat 0 first: all weight on the largest logit.",
            _both(functools.partial(_probabilities_wrong, zero="divide")),
        ),
        Mistake(
            "temperature held above a floor",
            "A floor under the temperature is not the limit: at 0 the largest logit has probability 1.",
            _both(functools.partial(_probabilities_wrong, zero="floor")),
        ),
        Mistake(
            "exponentials overflow",
            "At a small temperature `exp` overflows, and infinity over infinity is NaN. `torch.softmax` subtracts the "
            "maximum first.",
            _both(functools.partial(_probabilities_wrong, naive=True)),
        ),
        Mistake(
            "always the most likely token",
            "That is the limit at temperature 0. Draw from the probabilities, with `torch.multinomial` for instance.",
            _only(_sample_best),
        ),
        Mistake(
            "all k tokens alike",
            "You draw evenly from those that are left. Draw with their probabilities.",
            _only(_sample_flat),
        ),
        Mistake(
            "sampler forgets the temperature",
            "The probabilities are right, but the sampler draws as if the temperature were 1.",
            _only(_sample_lukewarm),
        ),
        Mistake(
            "sampler forgets top-k",
            "The probabilities are right, but the sampler draws tokens that top-k rules out.",
            _only(_sample_unfiltered),
        ),
        Mistake(
            "one draw for all rows",
            "All rows share one random number. Each row needs its own.",
            _only(_sample_shared),
        ),
        Mistake(
            "global generator",
            "Hand the generator on: `torch.multinomial(p, 1, generator=generator)`.",
            _only(_sample_global),
        ),
        Mistake(
            "place among the k, not the token",
            "You return the place in the list of the k largest. `topk` also returns which tokens these are: look it up there.",
            _only(_sample_place),
        ),
        Mistake(
            "a column of tokens",
            "`torch.multinomial` returns (N, 1). Asked for is (N,).",
            _only(_sample_column),
        ),
        Mistake(
            "seeded in every call",
            "Each call starts from the same seed, so that a text repeats one draw for ever. Use the generator as it comes.",
            _only(_sample_reseeded),
        ),
    ),
    alternatives={
        "scattered, inverse distribution": {
            "next_probabilities": _probabilities_scattered,
            "sample_tokens": _sample_inverse,
        },
        "ranks, Gumbel noise": {"next_probabilities": _probabilities_log, "sample_tokens": _sample_gumbel},
        "powers, tokens looked up": {"next_probabilities": _probabilities_powers, "sample_tokens": _sample_row_by_row},
    },
)

# parity_learner


def train_parity(seed: int) -> dict:
    """A ParityNet(seed), trained on sequences of 1 to 10 symbols -> its state_dict."""
    ### BEGIN SOLUTION
    net, generator = ParityNet(seed), torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    for step in range(600):
        x, y = odd_so_far(64, min(10, 1 + step // 40), generator)
        loss = F.binary_cross_entropy_with_logits(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
    return net.state_dict()
    ### END SOLUTION


_H = 8
_CLOSED = 40.0
"""A pre-activation at which a float32 gate is exactly 0 or 1, up to 1e-17."""


def automaton(unit: int = 0, sharp: float = 5.0, loud: float = 10.0) -> dict[str, Tensor]:
    """Weights that never err: one unit h is 0 (even) or 1 (odd); a -1 shuts the update gate, a +1 makes h tanh(sharp (1 - h)).

    Near 0 and 1 the latter turns over the state; two turns in a row shrink an error by about 4 sharp^2 exp(-2 sharp), so that
    the state stays for ever where it belongs (sharp >= 3). torch's rows: r, z, n.
    """
    w = {
        "gru.weight_ih_l0": torch.zeros(3 * _H, 1),
        "gru.weight_hh_l0": torch.zeros(3 * _H, _H),
        "gru.bias_ih_l0": torch.zeros(3 * _H),
        "gru.bias_hh_l0": torch.zeros(3 * _H),
        "head.weight": torch.zeros(1, _H),
        "head.bias": torch.zeros(1),
    }
    w["gru.bias_ih_l0"][unit] = _CLOSED  # r = 1
    w["gru.weight_ih_l0"][_H + unit] = -_CLOSED  # z = 1 keeps at -1, z = 0 renews at +1
    w["gru.weight_hh_l0"][2 * _H + unit, unit] = -sharp
    w["gru.bias_ih_l0"][2 * _H + unit] = sharp
    w["head.weight"][0, unit] = loud
    w["head.bias"][0] = -loud / 2
    return w


def _mirrored() -> dict[str, Tensor]:
    """Another automaton: the state is 0 or -1, the turn's bias is on the recurrent side, the head looks for -1."""
    w = automaton()
    w["gru.bias_ih_l0"][2 * _H] = 0.0
    w["gru.bias_hh_l0"][2 * _H] = -5.0
    w["head.weight"] = -w["head.weight"]
    return w


def _redundant() -> dict[str, Tensor]:
    """Eight automata of different sharpness that vote, four of them mirrored; every tensor full."""
    w = automaton()
    for name in w:
        w[name] = torch.zeros_like(w[name])
    for unit in range(_H):
        one = automaton(unit, sharp=4.0 + unit / 2, loud=2.0 + unit)
        if unit % 2:
            for name in ("gru.bias_ih_l0", "head.weight"):
                rows = slice(2 * _H, None) if name.startswith("gru") else slice(None)
                one[name][rows] = -one[name][rows]
        w = {name: w[name] + one[name] for name in w}
    return w


def _changed(**values: float) -> dict[str, Tensor]:
    """The automaton with whole tensors multiplied by a number; a double underscore stands for the dot."""
    w = automaton()
    return {name: tensor * values.get(name.replace(".", "__"), 1.0) for name, tensor in w.items()}


def _with_clock(steps: int, effect: str) -> dict[str, Tensor]:
    """The automaton until step `steps`; then it stops turning ("frozen"), or its head says even for ever ("silent").

    Unit 1 is a clock, u_t = 1 - 0.97^t. Unit 2 keeps its 0 until the clock has passed, and is 1 from then on.
    """
    w = automaton()
    keep, passed = 0.97, 1 - 0.97 ** (steps - 0.5)
    w["gru.bias_ih_l0"][_H + 1] = math.log(keep / (1 - keep))
    w["gru.bias_ih_l0"][2 * _H + 1] = _CLOSED
    w["gru.weight_hh_l0"][_H + 2, 1] = -1e5
    w["gru.bias_ih_l0"][_H + 2] = 1e5 * passed
    w["gru.bias_ih_l0"][2 * _H + 2] = _CLOSED
    if effect == "frozen":
        w["gru.weight_hh_l0"][_H, 2] = 3 * _CLOSED
    else:
        w["head.weight"][0, 2] = -100.0
    return w


def _a_step_behind() -> dict[str, Tensor]:
    """Unit 1 is a copy of what unit 0 was a step before, and the head reads the copy."""
    w = automaton()
    w["gru.bias_ih_l0"][1] = _CLOSED
    w["gru.bias_ih_l0"][_H + 1] = -_CLOSED
    w["gru.weight_hh_l0"][2 * _H + 1, 0] = 20.0
    w["gru.bias_ih_l0"][2 * _H + 1] = -10.0
    w["head.weight"][0, :2] = torch.tensor([0.0, 10.0])
    w["head.bias"][0] = 0.0
    return w


def _untrained() -> dict[str, Tensor]:
    """A small net that knows the last two symbols, as one that had a loss at the last step alone."""
    w = automaton()
    w["gru.weight_ih_l0"][_H] = 0.0
    w["gru.bias_ih_l0"][_H] = -_CLOSED  # always renewed ...
    w["gru.weight_ih_l0"][2 * _H] = 2.0  # ... by the symbol and a little of the past
    w["gru.weight_hh_l0"][2 * _H, 0] = 3.0
    w["gru.bias_ih_l0"][2 * _H] = 0.0
    w["head.bias"][0] = 0.0
    return w


def _wide() -> dict[str, Tensor]:
    """The automaton in a net of 16 units."""
    w, H = automaton(), 16
    wide = {
        "gru.weight_ih_l0": torch.zeros(3 * H, 1),
        "gru.weight_hh_l0": torch.zeros(3 * H, H),
        "gru.bias_ih_l0": torch.zeros(3 * H),
        "gru.bias_hh_l0": torch.zeros(3 * H),
        "head.weight": torch.zeros(1, H),
        "head.bias": w["head.bias"],
    }
    for name, tensor in w.items():
        rows = tensor.view(3, _H, -1) if name.startswith("gru") else tensor
        target = wide[name].view(3, H, -1) if name.startswith("gru") else wide[name]
        if name != "head.bias":
            target[..., :_H, : rows.shape[-1]] = rows
    return wide


def _law(name: str) -> str:
    """What the broken law says is the hint: weights are recognised by the laws that they break, in order."""
    return next(law.says for part in asked.PARITY_LEARNER.parts for law in part.laws if law.name == name)


_WRONG: dict[str, dict[str, Tensor]] = {
    "other names": {name.replace("gru.", "rnn."): tensor for name, tensor in automaton().items()},
    "other shapes": _wide(),
    "not finite": {name: tensor * math.inf for name, tensor in automaton().items()},
    "one answer for everything": _changed(head__weight=0.0),
    "odd and even swapped": _changed(head__weight=-1.0, head__bias=-1.0),
    "no memory": {
        name: torch.where(torch.arange(3 * _H)[:, None] >= 2 * _H, 0.0, tensor)
        if name == "gru.weight_hh_l0"
        else torch.tensor([-_CLOSED] * 2 * _H + [0.0] * _H)
        if name == "gru.bias_ih_l0"
        else torch.tensor([[0.0]] * 2 * _H + [[5.0]] * _H)
        if name == "gru.weight_ih_l0"
        else torch.zeros(1)
        if name == "head.bias"
        else tensor
        for name, tensor in automaton().items()
    },
    "counts the other symbol": _changed(gru__weight_ih_l0=-1.0),
    "one step behind": _a_step_behind(),
    "right at the beginning only": _with_clock(4, "frozen"),
    "not learned": _untrained(),
    "stuck on long sequences": _with_clock(20, "silent"),
    "lost on long sequences": _with_clock(20, "frozen"),
    "errors creep in": _with_clock(36, "frozen"),
}

PARITY_LEARNER = Key(
    question=asked.PARITY_LEARNER,
    solution=(train_parity,),
    reference=automaton(),
    source="a two-state machine; Cho et al. 2014, arXiv:1406.1078, for the cell; Bengio et al. 2009, Curriculum learning, ICML",
    outcome=automaton,
    mistakes=tuple(Mistake(name, _law(name), weights) for name, weights in _WRONG.items()),
    alternatives={
        "another unit, sharper and louder": automaton(unit=5, sharp=8.0, loud=37.0),
        "mirrored state": _mirrored(),
        "eight units that vote": _redundant(),
        "float64": {name: tensor.double() for name, tensor in automaton(unit=2, sharp=4.0).items()},
    },
)

VANISHING = Rubric(
    question=asked.VANISHING,
    model_answer="""
1. By the chain rule, dh_T/dh_0 is a product of T Jacobians diag(s'(a_t)) W_hh. The norm of a product is at most the product
   of the norms, the diagonal factor has a norm of at most gamma and W_hh one of lambda_1, so the product is at most
   (gamma lambda_1)^T. If lambda_1 < 1/gamma, the base is below 1 and the bound falls exponentially: whatever the inputs
   are, the gradient vanishes. That is what *sufficient* means.
2. The norm can only exceed 1 if the bound does, that is if lambda_1 > 1/gamma; without that nothing explodes, so the
   condition is necessary. But an upper bound above 1 promises nothing about what lies below it. Two reasons for 10^-13: the
   slope h (1 - h) is 1/4 only at h = 1/2, and every unit that the inputs push away from there has less, so that the product
   of the actual slopes is far below gamma^T; and 4.8 is the stretch of *one* step along *one* direction, which the next step
   need not continue (the eigenvalues of this matrix are smaller, and most directions are stretched less).
3. No. Clipping only ever shortens a gradient, so it cures explosions; here there is nothing to clip. What helps keeps the
   factors near 1: gated cells (LSTM, GRU) with an additive path and an open forget gate, skips through time, tanh or
   rectified units with an orthogonal or identity start, or shorter ways such as attention.
""",
    criteria=(
        (
            1.0,
            "The bound: product of Jacobians, its norm at most the product of the norms, both factors named; a base "
            "below 1 vanishes.",
        ),
        (
            1.0,
            "An upper bound above 1 decides nothing (0.5); two reasons: slopes below gamma when units leave h = 1/2, and one "
            "stretched direction that the next step need not continue, or singular value against eigenvalue (0.25 each).",
        ),
        (
            1.0,
            "Clipping cannot lengthen a gradient (0.5); a remedy that keeps the factors near 1, with the reason (0.5).",
        ),
    ),
)
