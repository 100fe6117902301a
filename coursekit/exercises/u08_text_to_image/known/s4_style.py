"""Answer keys to section 4: the style encoder and its test."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coursekit.checks.declare import Key, Mistake
from coursekit.exercises.u08_text_to_image.asked import s4_style as asked

# style_loss


def style_loss(S: nn.Module, G: nn.Module, phi: Tensor, z: Tensor) -> Tensor:
    """phi (N, D), z (N, Z) -> the mean squared length of z - S(G(z, phi)); G as it was."""
    ### BEGIN SOLUTION
    habits = [(part, part.training) for part in G.modules()]
    G.eval()
    with torch.no_grad():
        drawn = G(z, phi)
    for part, was in habits:
        part.training = was
    return (S(drawn) - z.detach()).square().sum(dim=1).mean()
    ### END SOLUTION


def _style_of_a_copy(S: Any, G: Any, phi: Tensor, z: Tensor) -> Tensor:
    """With a copy of G, number by number."""
    twin = copy.deepcopy(G).eval()
    with torch.no_grad():
        x = twin(z, phi)
    guess, total = S(x), z.new_zeros(())
    for n in range(len(z)):
        for k in range(z.shape[1]):
            total = total + (float(z[n, k]) - guess[n, k]) ** 2
    return total / len(z)


def _style_detached(S: Any, G: Any, phi: Tensor, z: Tensor) -> Tensor:
    flags = {name: module.training for name, module in G.named_modules()}
    try:
        G.eval()
        x = G(z.detach(), phi.detach()).detach()
    finally:
        for name, module in G.named_modules():
            module.train(False)
            module.training = flags[name]
    return F.mse_loss(S(x), z.detach(), reduction="sum") / z.shape[0]


def _style_functional(S: Any, G: Any, phi: Tensor, z: Tensor) -> Tensor:
    """A copy of G with the same weights and buffers; the original is never run."""
    twin = copy.deepcopy(G)
    twin.train(False)
    twin.requires_grad_(False)
    difference = z.detach() - S(twin(z.detach(), phi.detach()))
    return torch.einsum("nz,nz->n", difference, difference).mean()


def _style_norms(S: Any, G: Any, phi: Tensor, z: Tensor) -> Tensor:
    training = [m for m in G.modules() if m.training]
    for module in training:
        module.training = False
    x = torch.no_grad()(G)(z, phi)
    for module in training:
        module.training = True
    return torch.linalg.vector_norm(z.detach() - S(x), dim=1).pow(2).sum().div(len(z))


def _kept(G: Any) -> list[tuple[Any, bool]]:
    return [(module, module.training) for module in G.modules()]


def _style_wrong(
    *,
    draw: Callable[..., Tensor] | None = None,
    end: Callable[[Tensor, Tensor], Tensor] = lambda guess, z: (guess - z).square().sum(1).mean(),
    read: Callable[[Any, Tensor], Tensor] = lambda S, x: S(x),
    target: Callable[[Tensor], Tensor] = lambda z: z.detach(),
    texts: Callable[[Tensor], Tensor] = lambda phi: phi,
    grad: bool = False,
    mode: str = "each",
) -> Callable[..., Tensor]:
    """The loss with one thing wrong."""

    def answer(S: Any, G: Any, phi: Tensor, z: Tensor) -> Tensor:
        before, was = _kept(G), G.training
        if mode != "train":
            G.eval()
        with torch.set_grad_enabled(grad):
            x = G(z, texts(phi)) if draw is None else draw(G, z, phi)
        if mode == "each":
            for module, flag in before:
                module.training = flag
        elif mode == "all":
            G.train(was)
        return end(read(S, x), target(z))

    return answer


def _freezing(S: Any, G: Any, phi: Tensor, z: Tensor) -> Tensor:
    G.requires_grad_(False)
    return _style_wrong()(S, G, phi, z)


def _no_grad_s(S: Any, x: Tensor) -> Tensor:
    with torch.no_grad():
        out: Tensor = S(x)
    return out.requires_grad_()


def _eval_s(S: Any, x: Tensor) -> Tensor:
    was = S.training
    out: Tensor = S.eval()(x)
    S.train(was)
    return out


STYLE_LOSS = Key(
    question=asked.STYLE_LOSS,
    solution=(style_loss,),
    reference=_style_of_a_copy,
    source="Reed et al. 2016, arXiv:1605.05396, section 4.4, equation 6",
    mistakes=(
        Mistake(
            "G learns along",
            "Gradients reach G's weights: draw under `torch.no_grad()`. A G that learns along hides z in the picture.",
            _style_wrong(grad=True),
        ),
        Mistake(
            "the text learns along",
            "G is cut off, but gradients would still reach the text: detach `phi`, or draw under `torch.no_grad()`.",
            lambda S, G, phi, z: _style_wrong()(S, G, phi, z) + 0 * phi.sum(),
        ),
        Mistake(
            "S learns nothing",
            "S itself runs without gradients, so that nothing learns. Only G's part belongs under `torch.no_grad()`.",
            _style_wrong(read=_no_grad_s),
        ),
        Mistake(
            "G frozen for good",
            "`requires_grad_(False)` on G is never undone: whoever trains G next wonders why it does not learn.",
            _freezing,
        ),
        Mistake(
            "G in train mode",
            "In train mode G's batch norm uses the batch and changes its running statistics. Draw in eval mode.",
            _style_wrong(mode="train"),
        ),
        Mistake(
            "G left in eval mode",
            "Afterwards G is in eval mode. Put the modes back.",
            _style_wrong(mode="eval"),
        ),
        Mistake(
            "one mode for all of G",
            "`G.train(was)` gives all modules one mode, but they may differ: note and restore each.",
            _style_wrong(mode="all"),
        ),
        Mistake(
            "mean over Z",
            "‖·‖² is a sum over the Z coordinates; only over N is a mean taken.",
            _style_wrong(end=lambda guess, z: (guess - z).square().mean()),
        ),
        Mistake(
            "sum over the batch",
            "The expectation is a mean over N.",
            _style_wrong(end=lambda guess, z: (guess - z).square().sum()),
        ),
        Mistake(
            "length not squared",
            "The squared length was asked for, not the length.",
            _style_wrong(end=lambda guess, z: (guess - z).norm(dim=1).mean()),
        ),
        Mistake(
            "absolute differences",
            "Squares, not absolute values.",
            _style_wrong(end=lambda guess, z: (guess - z).abs().sum(1).mean()),
        ),
        Mistake(
            "one text for all",
            "Each picture is drawn with its own text; yours all with the first.",
            _style_wrong(texts=lambda phi: phi[:1].expand_as(phi)),
        ),
        Mistake(
            "S in eval mode",
            "S is being trained: it runs in the mode in which it is, so that its batch norm learns, too.",
            _style_wrong(read=_eval_s),
        ),
    ),
    alternatives={
        "detached, in a finally": _style_detached,
        "a frozen copy": _style_functional,
        "only what was in train mode": _style_norms,
    },
)

# verification_auc


def verification_auc(same: Tensor, other: Tensor) -> float:
    """Similarities (n,) of pairs of one style and (m,) of two -> the area under the ROC curve."""
    ### BEGIN SOLUTION
    won = (same[:, None] > other[None, :]).double().mean()
    drawn = (same[:, None] == other[None, :]).double().mean()
    return float(won + drawn / 2)
    ### END SOLUTION


def _auc_pairs(same: Tensor, other: Tensor) -> float:
    """Pair against pair."""
    points = [1.0 if s > o else 0.5 if s == o else 0.0 for s in same.tolist() for o in other.tolist()]
    return sum(points) / len(points)


def _auc_ranks(same: Tensor, other: Tensor) -> float:
    """Mann and Whitney: from the ranks of the joint list, ties sharing their mean rank."""
    both = torch.cat([same, other])
    values, inverse, counts = both.unique(return_inverse=True, return_counts=True)
    last = counts.cumsum(0)
    rank = (last - (counts - 1) / 2)[inverse].double()
    n, m = len(same), len(other)
    return float((rank[:n].sum() - n * (n + 1) / 2) / (n * m))


def _auc_curve(same: Tensor, other: Tensor) -> Tensor:
    """The curve itself, and trapezoids under it."""
    thresholds = torch.cat([same, other]).unique(sorted=True).flip(0)
    hits = torch.stack([(same >= t).double().mean() for t in thresholds])
    alarms = torch.stack([(other >= t).double().mean() for t in thresholds])
    nought = torch.zeros(1, dtype=torch.float64)
    return torch.trapezoid(torch.cat([nought, hits]), torch.cat([nought, alarms]))


def _auc_signs(same: Tensor, other: Tensor) -> Tensor:
    return (1 + torch.sign(torch.sub(same.unsqueeze(1), other)).double().mean()) / 2


def _auc_wrong(score: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], float]:
    return lambda same, other: float(score(same[:, None], other).double().mean())


def _threshold_accuracy(same: Tensor, other: Tensor) -> float:
    t = torch.cat([same, other]).double().mean()
    return float(((same > t).sum() + (other <= t).sum()) / (len(same) + len(other)))


VERIFICATION_AUC = Key(
    question=asked.VERIFICATION_AUC,
    solution=(verification_auc,),
    reference=_auc_pairs,
    source="Hanley & McNeil 1982, Radiology 143, section III; Reed et al. 2016, arXiv:1605.05396, section 5.1",
    mistakes=(
        Mistake("ties lost", "A tie counts one half; yours counts nothing.", _auc_wrong(lambda s, o: s > o)),
        Mistake("ties won", "A tie counts one half; yours counts as won.", _auc_wrong(lambda s, o: s >= o)),
        Mistake(
            "the wrong way round",
            "Pairs of **one** style should be the more similar ones.",
            lambda same, other: 1 - _auc_pairs(same, other),
        ),
        Mistake(
            "one threshold",
            "That is the accuracy at one threshold, the mean. The area tries all of them.",
            _threshold_accuracy,
        ),
        Mistake(
            "difference of means",
            "A difference of means depends on the scale of the similarities; comparisons do not.",
            lambda same, other: float(same.double().mean() - other.double().mean()),
        ),
        Mistake(
            "first against first",
            "You compare the lists place by place, and they are not even of one length. Each of the n is compared with "
            "each of the m.",
            lambda same, other: float((same > other).double().mean() + (same == other).double().mean() / 2),
        ),
        Mistake(
            "counts",
            "A share from 0 to 1 was asked for: divide by n × m.",
            lambda same, other: _auc_pairs(same, other) * len(same) * len(other),
        ),
        Mistake(
            "divided by n",
            "There are n × m comparisons; you divide by n only.",
            lambda same, other: _auc_pairs(same, other) * len(other),
        ),
        Mistake(
            "not below one half",
            "An area below ½ says that the order is wrong. Do not turn it over: that would hide it.",
            lambda same, other: max(_auc_pairs(same, other), 1 - _auc_pairs(same, other)),
        ),
    ),
    alternatives={
        "ranks": _auc_ranks,
        "the curve": _auc_curve,
        "signs": _auc_signs,
    },
)
