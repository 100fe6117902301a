"""Answer keys to section 1: saying which."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.checks.declare import Key, Mistake
from coursekit.exercises.u06_conditional_gan.asked import s1_conditioning as asked

# label_inputs


def labelled_noise(z: Tensor, y: Tensor, K: int) -> Tensor:
    """Noise z (N, Z) and labels y (N,), -1 for unknown -> (N, Z + K)."""
    ### BEGIN SOLUTION
    hot = (y[:, None] == torch.arange(K)).to(z.dtype)
    return torch.cat([z, hot], dim=1)
    ### END SOLUTION


def labelled_pictures(x: Tensor, y: Tensor, K: int) -> Tensor:
    """Pictures x (N, C, H, W) and labels y (N,), -1 for unknown -> (N, C + K, H, W)."""
    ### BEGIN SOLUTION
    hot = (y[:, None] == torch.arange(K)).to(x.dtype)
    planes = hot[:, :, None, None].expand(-1, -1, *x.shape[2:])
    return torch.cat([x, planes], dim=1)
    ### END SOLUTION


def _noise_by_loops(z: Tensor, y: Tensor, K: int) -> Tensor:
    rows = [
        torch.stack([*code, *(z.new_tensor(float(label == k)) for k in range(K))]) for code, label in zip(z, y.tolist())
    ]
    return torch.stack(rows)


def _pictures_by_loops(x: Tensor, y: Tensor, K: int) -> Tensor:
    pictures = []
    for picture, label in zip(x, y.tolist()):
        maps = [torch.full_like(picture[0], 1.0 if label == k else 0.0) for k in range(K)]
        pictures.append(torch.stack([*picture, *maps]))
    return torch.stack(pictures)


def _noise_by_table(z: Tensor, y: Tensor, K: int) -> Tensor:
    table = torch.vstack([torch.eye(K, dtype=z.dtype), torch.zeros(1, K, dtype=z.dtype)])
    return torch.hstack([z, table[y]])  # -1 is the last row, of zeros


def _pictures_by_table(x: Tensor, y: Tensor, K: int) -> Tensor:
    table = torch.vstack([torch.eye(K, dtype=x.dtype), torch.zeros(1, K, dtype=x.dtype)])
    N, _, H, W = x.shape
    return torch.hstack([x, table[y].reshape(N, K, 1, 1).repeat(1, 1, H, W)])


def _noise_one_hot(z: Tensor, y: Tensor, K: int) -> Tensor:
    return torch.cat([z, F.one_hot(y + 1, K + 1)[:, 1:].to(z)], 1)


def _pictures_one_hot(x: Tensor, y: Tensor, K: int) -> Tensor:
    hot = F.one_hot(y + 1, K + 1)[:, 1:].to(x)
    return torch.cat([x, torch.einsum("nk,nhw->nkhw", hot, torch.ones_like(x[:, 0]))], 1)


def _noise_padded(z: Tensor, y: Tensor, K: int) -> Tensor:
    out = F.pad(z, (0, K))
    known = (y >= 0).nonzero()[:, 0]
    out[known, z.shape[1] + y[known]] = 1
    return out


def _pictures_padded(x: Tensor, y: Tensor, K: int) -> Tensor:
    out = F.pad(x, (0, 0, 0, 0, 0, K))
    for n, label in enumerate(y.tolist()):
        if label >= 0:
            out[n, x.shape[1] + label] = 1
    return out


def _row(y: Tensor, K: int, like: Tensor) -> Tensor:
    return (y[:, None] == torch.arange(K)).to(like.dtype)


def _spread(hot: Tensor, x: Tensor) -> Tensor:
    return hot[:, :, None, None].expand(-1, -1, *x.shape[2:])


def _labelled_wrong(
    row: Callable[[Tensor, int, Tensor], Tensor] = _row,
    spread: Callable[[Tensor, Tensor], Tensor] = _spread,
    order: int = 1,
    see: Callable[[Tensor], Tensor] = lambda x: x,
) -> dict[str, Any]:
    """Both functions with one thing wrong."""

    def noise(z: Tensor, y: Tensor, K: int) -> Tensor:
        return torch.cat([see(z), row(y, K, z)][::order], 1)

    def pictures(x: Tensor, y: Tensor, K: int) -> Tensor:
        return torch.cat([see(x), spread(row(y, K, x), x)][::order], 1)

    return {"labelled_noise": noise, "labelled_pictures": pictures}


def _top_left(hot: Tensor, x: Tensor) -> Tensor:
    maps = torch.zeros(*hot.shape, *x.shape[2:], dtype=x.dtype)
    maps[:, :, 0, 0] = hot
    return maps


LABEL_INPUTS = Key(
    question=asked.LABEL_INPUTS,
    solution=(labelled_noise, labelled_pictures),
    reference={"labelled_noise": _noise_by_loops, "labelled_pictures": _pictures_by_loops},
    source=(
        "Mirza & Osindero 2014, arXiv:1411.1784, sections 3.2 and 4.1; as maps: Reed et al. 2016, arXiv:1605.05396, section 4.1"
    ),
    mistakes=(
        Mistake(
            "the label as a number",
            "One number cannot say which: class 4 is not twice class 2. Give each of the K classes an entry of its own.",
            _labelled_wrong(row=lambda y, K, like: y[:, None].to(like.dtype)),
        ),
        Mistake(
            "classes counted in the batch",
            "A class may be missing from the batch: the width is K, whatever the labels are.",
            _labelled_wrong(row=lambda y, K, like: (y[:, None] == torch.arange(int(y.max()) + 1)).to(like.dtype)),
        ),
        Mistake(
            "labels first",
            "Noise and pictures come first, the label after them.",
            _labelled_wrong(order=-1),
        ),
        Mistake(
            "unknown taken for the last class",
            "−1 as an index counts from the end, so unlabelled pictures get the last class: their K entries are 0.",
            _labelled_wrong(row=lambda y, K, like: torch.eye(K, dtype=like.dtype)[y]),
        ),
        Mistake(
            "unknown taken for class 0",
            "Clamping makes class 0 of unlabelled pictures: their K entries are 0.",
            _labelled_wrong(row=lambda y, K, like: F.one_hot(y.clamp(min=0), K).to(like.dtype)),
        ),
        Mistake(
            "one_hot without unknown",
            "`F.one_hot` does not take −1. Compare `y` with the numbers 0 to K − 1 instead.",
            _labelled_wrong(row=lambda y, K, like: F.one_hot(y, K).to(like.dtype)),
        ),
        Mistake(
            "minus one for the other classes",
            "The entries of the other classes are 0, not −1.",
            _labelled_wrong(row=lambda y, K, like: 2 * _row(y, K, like) - 1),
        ),
        Mistake(
            "label in one pixel",
            "Only the window at the corner sees that label: each map is constant over the whole picture.",
            _labelled_wrong(spread=_top_left),
        ),
        Mistake(
            "maps scrambled by reshape",
            "Repeating rows and reshaping mixes classes and pixels, so the maps are striped: `[:, :, None, None].expand(...)`.",
            _labelled_wrong(
                spread=lambda hot, x: hot.repeat(1, x.shape[2] * x.shape[3]).reshape(*hot.shape, *x.shape[2:])
            ),
        ),
        Mistake(
            "label added instead of joined",
            "Added to the input the label is not to be told from it: join it along axis 1.",
            {
                "labelled_noise": lambda z, y, K: z + y[:, None],
                "labelled_pictures": lambda x, y, K: x + y[:, None, None, None],
            },
        ),
        Mistake(
            "graph cut",
            "The values are right, but no gradient comes back: do not detach.",
            _labelled_wrong(see=lambda x: x.detach() + 0 * x),
        ),
    ),
    alternatives={
        "rows of a table": {"labelled_noise": _noise_by_table, "labelled_pictures": _pictures_by_table},
        "one_hot with one class more": {"labelled_noise": _noise_one_hot, "labelled_pictures": _pictures_one_hot},
        "padded, then written": {"labelled_noise": _noise_padded, "labelled_pictures": _pictures_padded},
    },
)

# conditional_game


def conditional_game(joint: Tensor, q: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """p(x, y) and q(x | y), both (K, M) -> D*(x | y) (K, M), its value, the value of the best D that is not told y."""
    ### BEGIN SOLUTION

    def play(real: Tensor, made: Tensor) -> tuple[Tensor, Tensor]:
        sure = torch.where(real + made > 0, real / (real + made), 0.5)
        return sure, (torch.xlogy(real, sure) + torch.xlogy(made, 1 - sure)).sum()

    pairs_made = joint.sum(dim=1, keepdim=True) * q
    best, told = play(joint, pairs_made)
    return best, told, play(joint.sum(dim=0), pairs_made.sum(dim=0))[1]
    ### END SOLUTION


def _game_by_numbers(joint: Tensor, q: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Straight from the formulas, number by number: conditional tables, then the expectation over y."""
    J, Q = joint.double().tolist(), q.double().tolist()
    K, M = len(J), len(J[0])

    def gain(weight: float, probability: float) -> float:
        return weight * math.log(probability) if weight else 0.0

    frequency = [sum(row) for row in J]
    best, told = [[0.5] * M for _ in range(K)], 0.0
    for y in range(K):
        inner = 0.0
        for x in range(M):
            p = J[y][x] / frequency[y]
            if p + Q[y][x]:
                best[y][x] = p / (p + Q[y][x])
            inner += gain(p, best[y][x]) + gain(Q[y][x], 1 - best[y][x])
        told += frequency[y] * inner
    blind = 0.0
    for x in range(M):
        p, made = sum(J[y][x] for y in range(K)), sum(frequency[y] * Q[y][x] for y in range(K))
        D = p / (p + made) if p + made else 0.5
        blind += gain(p, D) + gain(made, 1 - D)
    return joint.new_tensor(best), joint.new_tensor(told), joint.new_tensor(blind)


def _game_by_divergence(joint: Tensor, q: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Values as twice the Jensen-Shannon divergence, less log 4."""
    p_y = joint.sum(1)

    def value(p: Tensor, made: Tensor) -> Tensor:
        middle = (p + made) / 2

        def kl(a: Tensor) -> Tensor:
            return torch.where(a > 0, a * (a / middle).log(), torch.zeros_like(a)).sum()

        return kl(p) + kl(made) - math.log(4)

    fakes = torch.diag(p_y) @ q
    total = joint + fakes
    best = torch.full_like(joint, 0.5)
    best[total > 0] = joint[total > 0] / total[total > 0]
    return best, value(joint, fakes), value(joint.sum(0), p_y @ q)


def _game_by_labels(joint: Tensor, q: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """One game for each label, weighed by how often it is played."""

    def play(p: Tensor, made: Tensor) -> tuple[Tensor, Tensor]:
        D = ((p + 1e-300) / (p + made + 2e-300)).double()
        terms = p * D.clamp(min=1e-300).log() + made * (1 - D).clamp(min=1e-300).log()
        return D, terms.sum()

    weights = joint.sum(1).double()
    games = [play(j.double() / w, row.double()) for j, w, row in zip(joint, weights, q)]
    blind = play(joint.double().sum(0), (weights[:, None] * q.double()).sum(0))[1]
    told = torch.stack([value for _, value in games]) @ weights
    return torch.stack([D for D, _ in games]).to(joint), told.to(joint), blind.to(joint)


def _game_by_logits(joint: Tensor, q: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """D* as the sigmoid of a log ratio; a log ratio of 0 by 0 is put to 0."""

    def play(p: Tensor, made: Tensor) -> tuple[Tensor, Tensor]:
        a = (p.log() - made.log()).nan_to_num(0.0, posinf=math.inf, neginf=-math.inf)
        value = (p * F.logsigmoid(a)).nan_to_num(0.0).sum() + (made * F.logsigmoid(-a)).nan_to_num(0.0).sum()
        return torch.sigmoid(a), value

    fakes = q.mul(joint.sum(1)[:, None])
    best, told = play(joint, fakes)
    _, blind = play(joint.sum(0), fakes.sum(0))
    return best, told, blind


def _best(p: Tensor, made: Tensor) -> Tensor:
    return torch.where(p + made > 0, p / (p + made), 0.5)


def _value(p: Tensor, made: Tensor, D: Tensor) -> Tensor:
    return (torch.xlogy(p, D) + torch.xlogy(made, 1 - D)).sum()


def _frequencies(joint: Tensor) -> Tensor:
    return joint.sum(1, keepdim=True)


def _even(joint: Tensor) -> Tensor:
    return torch.full_like(joint[:, :1], 1 / len(joint))


def _game_wrong(
    *,
    data: Callable[[Tensor], Tensor] = lambda joint: joint,
    told_y: Callable[[Tensor], Tensor] = _frequencies,
    best_of: Callable[[Tensor, Tensor], Tensor] = _best,
    value_of: Callable[[Tensor, Tensor, Tensor], Tensor] = _value,
    blind_of: str = "best",
    factor: float = 1.0,
) -> Callable[..., Any]:
    """The game with one thing wrong."""

    def answer(joint: Tensor, q: Tensor) -> Any:
        p, made = data(joint), told_y(joint) * q
        best = best_of(p, made)
        told = value_of(p, made, best)
        p_x, q_x = p.sum(0), made.sum(0)
        if blind_of == "told":
            blind = told
        elif blind_of == "average":
            blind = value_of(p_x, q_x, (_frequencies(joint) * best).sum(0))
        elif blind_of == "even":
            blind = value_of(p_x, q.mean(0), best_of(p_x, q.mean(0)))
        else:
            blind = value_of(p_x, q_x, best_of(p_x, q_x))
        return best, factor * told, factor * blind

    return answer


def _printed_in_the_paper(joint: Tensor, q: Tensor) -> Any:
    """D is told y for data, not for fakes."""
    made = _frequencies(joint) * q
    best, blind = _best(joint, made), _best(joint.sum(0), made.sum(0))
    told = torch.xlogy(joint, best).sum() + torch.xlogy(made.sum(0), 1 - blind).sum()
    return best, told, _value(joint.sum(0), made.sum(0), blind)


def _labels_alike(joint: Tensor, q: Tensor) -> Any:
    p = joint / _frequencies(joint)
    best = _best(p, q)
    p_x, q_x = p.mean(0), q.mean(0)
    return best, _value(p, q, best) / len(q), _value(p_x, q_x, _best(p_x, q_x))


CONDITIONAL_GAME = Key(
    question=asked.CONDITIONAL_GAME,
    solution=(conditional_game,),
    reference=_game_by_numbers,
    source="Mirza & Osindero 2014, arXiv:1411.1784, equation 2; Goodfellow et al. 2014, arXiv:1406.2661, theorem 1, for each y",
    mistakes=(
        Mistake(
            "a label drawn on its own",
            "You pair x with a y that has nothing to do with it, p(x) p(y), so labels mean nothing. The pairs of data are "
            "`joint`.",
            _game_wrong(data=lambda joint: joint.sum(1, keepdim=True) * joint.sum(0, keepdim=True)),
        ),
        Mistake(
            "fakes with every label equally often",
            "The labels of fakes come from p(y), too. Otherwise D tells real from fake by the label alone.",
            _game_wrong(told_y=_even),
        ),
        Mistake(
            "all labels count alike",
            "You average over the labels. Frequent ones count more: weights p(y), the sums over the rows of `joint`.",
            _labels_alike,
        ),
        Mistake(
            "joint against conditional",
            "`joint` sums to 1 in all, `q` in each row: they cannot be compared before p(y) is divided out of one, or multiplied "
            "into the other.",
            _game_wrong(told_y=lambda joint: torch.ones_like(joint[:, :1])),
        ),
        Mistake(
            "D not told y for fakes",
            "That is D(G(z|y)), the fakes' y forgotten: log(1 − D) has to be taken of the same D(x|y).",
            _printed_in_the_paper,
        ),
        Mistake(
            "real and fake exchanged",
            "D is the probability of real: data's share of the sum.",
            _game_wrong(best_of=lambda p, made: _best(made, p), value_of=lambda p, made, D: _value(p, made, 1 - D)),
        ),
        Mistake(
            "0 log 0 is not a number",
            "0 · log 0 is NaN for a computer and 0 here: `torch.xlogy`.",
            _game_wrong(value_of=lambda p, made, D: (p * D.log() + made * (1 - D).log()).sum()),
        ),
        Mistake(
            "0 by 0 for 0",
            "Where neither data nor G ever go, D* is 1/2 by convention.",
            _game_wrong(best_of=lambda p, made: (p / (p + made)).nan_to_num(0.0)),
        ),
        Mistake(
            "blind D looks at y",
            "Your blind value is that of the D that is told y. One function of x: sum both tables over y first.",
            _game_wrong(blind_of="told"),
        ),
        Mistake(
            "blind D as an average",
            "The average of D*(x|y) over y is not the best function of x. Sum both tables over y, then divide.",
            _game_wrong(blind_of="average"),
        ),
        Mistake(
            "blind with equal labels",
            "q(x) is a sum over y with weights p(y), not the mean of the rows.",
            _game_wrong(blind_of="even"),
        ),
        Mistake(
            "bits",
            "These are bits: all logarithms are natural.",
            _game_wrong(factor=1 / math.log(2)),
        ),
        Mistake(
            "sign turned",
            "The value is a sum of logarithms of probabilities, so it is never positive. You return a loss.",
            _game_wrong(factor=-1.0),
        ),
    ),
    alternatives={
        "Jensen-Shannon divergence": _game_by_divergence,
        "one game for each label": _game_by_labels,
        "log ratios": _game_by_logits,
    },
)

# conditional_d_step


def conditional_d_step(D, G, optimizer, x: Tensor, y: Tensor, noise) -> float:
    """One update of D on pairs (x, y) and (G(z | y), y) -> the loss."""
    ### BEGIN SOLUTION
    with torch.no_grad():
        imitations = G(noise(len(x)), y)
    verdict_real, verdict_made = D(x, y), D(imitations, y)
    cost = -verdict_real.log().mean() - (1 - verdict_made).log().mean()
    optimizer.zero_grad()
    cost.backward()
    optimizer.step()
    return cost.item()
    ### END SOLUTION


def _d_step_example_by_example(D: Any, G: Any, optimizer: Any, x: Tensor, y: Tensor, noise: Any) -> float:
    """The sums of the formula; gradients by autograd.grad."""
    fakes = G(noise(x.shape[0]), y).detach()
    real, fake = D(x, y), D(fakes, y)
    N = len(x)
    loss = sum((-torch.log(real[n]) - torch.log1p(-fake[n])) / N for n in range(N))
    weights = list(D.parameters())
    optimizer.zero_grad()
    for weight, gradient in zip(weights, torch.autograd.grad(loss, weights)):
        weight.grad = gradient
    optimizer.step()
    return float(loss.detach())


def _d_step_bce(D: Any, G: Any, optimizer: Any, x: Tensor, y: Tensor, noise: Any) -> float:
    optimizer.zero_grad()
    fakes = G(noise(len(x)), y)
    on_real = D(x, y)
    on_fakes = D(fakes.detach(), y)
    loss = F.binary_cross_entropy(on_real, torch.ones_like(on_real))
    loss = loss + F.binary_cross_entropy(on_fakes, torch.zeros_like(on_fakes))
    loss.backward()
    optimizer.step()
    return loss.detach().item()


def _d_step_two_backwards(D: Any, G: Any, optimizer: Any, x: Tensor, y: Tensor, noise: Any) -> float:
    with torch.inference_mode():
        made = G(noise(len(x)), y)
    optimizer.zero_grad(set_to_none=False)
    real = -D(x, y).log().mean()
    real.backward()
    fake = -(1 - D(made.clone(), y.clone())).log().mean()
    fake.backward()
    optimizer.step()
    return real.item() + fake.item()


def _d_step_logits(D: Any, G: Any, optimizer: Any, x: Tensor, y: Tensor, noise: Any) -> float:
    """Back to logits, where softplus does it."""
    for weight in D.parameters():
        weight.grad = None
    with torch.no_grad():
        fakes = G(noise(len(y)), y)
    scores = [torch.logit(D(pictures, y)) for pictures in (x, fakes)]
    loss = F.softplus(torch.stack([-scores[0], scores[1]])).sum(0).mean()
    loss.backward()
    optimizer.step()
    return float(loss.item())


def _d_step_wrong(
    *,
    told_g: Callable[[Tensor], Tensor] = lambda y: y,
    told_d: Callable[[Tensor], Tensor] = lambda y: y,
    loss_of: Callable[[Tensor, Tensor], Tensor] = lambda p, q: -p.log().mean() - (1 - q).log().mean(),
    clear: bool = True,
    detach: bool = True,
    clear_g: bool = False,
    together: bool = False,
    fakes_first: bool = False,
    g_eval: bool = False,
    report: Callable[[Tensor], Any] = lambda loss: loss.item(),
) -> Callable[..., Any]:
    """The step with one thing wrong."""

    def answer(D: Any, G: Any, optimizer: Any, x: Tensor, y: Tensor, noise: Any) -> Any:
        if g_eval:
            G.eval()
        fakes = G(noise(len(x)), told_g(y))
        G.train()
        fakes = fakes.detach() if detach else fakes
        if together:
            p, q = D(torch.cat([x, fakes]), torch.cat([y, told_d(y)])).split(len(x))
        elif fakes_first:
            q = D(fakes, told_d(y))
            p = D(x, y)
        else:
            p, q = D(x, y), D(fakes, told_d(y))
        loss = loss_of(p, q)
        if clear:
            optimizer.zero_grad()
        if clear_g:
            for weight in G.parameters():
                weight.grad = None
        loss.backward()
        optimizer.step()
        return report(loss)

    return answer


CONDITIONAL_D_STEP = Key(
    question=asked.CONDITIONAL_D_STEP,
    solution=(conditional_d_step,),
    reference=_d_step_example_by_example,
    source="Mirza & Osindero 2014, arXiv:1411.1784, equation 2; Goodfellow et al. 2014, arXiv:1406.2661, algorithm 1",
    mistakes=(
        Mistake(
            "G told other labels",
            "G is told other labels than D: D then learns that fakes do not match their label, and G cannot help it.",
            _d_step_wrong(told_g=lambda y: (y + 1) % 4),
        ),
        Mistake(
            "D told other labels for fakes",
            "D is told other labels than G was: each fake goes with the label that it was made for.",
            _d_step_wrong(told_d=lambda y: y.flip(0)),
        ),
        Mistake(
            "fakes always of class 0",
            "Fakes of a single class, while data have all: D tells them by the label. Both have the labels `y`.",
            _d_step_wrong(told_g=torch.zeros_like, told_d=torch.zeros_like),
        ),
        Mistake(
            "fakes not detached",
            "G's weights collect the gradient of D's loss: make the fakes under `torch.no_grad()`, or detach them.",
            _d_step_wrong(detach=False),
        ),
        Mistake(
            "G's gradients cleared",
            "What G's weights hold in `.grad` is not yours: neither add to it nor clear it.",
            _d_step_wrong(clear_g=True),
        ),
        Mistake(
            "D's gradients not cleared",
            "D's weights had gradients from before, and they are in your update: `optimizer.zero_grad()` first.",
            _d_step_wrong(clear=False),
        ),
        Mistake(
            "probabilities taken for logits",
            "This D gives probabilities. Another sigmoid on top squeezes them into 0.5 to 0.73.",
            _d_step_wrong(loss_of=lambda p, q: F.softplus(-p).mean() + F.softplus(q).mean()),
        ),
        Mistake(
            "real and fake exchanged",
            "D says how probable *real* is: −log D for data, −log(1 − D) for fakes.",
            _d_step_wrong(loss_of=lambda p, q: -(1 - p).log().mean() - q.log().mean()),
        ),
        Mistake(
            "value instead of loss",
            "The optimiser descends, and you hand it the value, which D wants to be large: turn the sign.",
            _d_step_wrong(loss_of=lambda p, q: p.log().mean() + (1 - q).log().mean()),
        ),
        Mistake(
            "data only",
            "The term of the fakes is missing: D learns to say yes to everything.",
            _d_step_wrong(loss_of=lambda p, q: -p.log().mean() + 0 * q.sum()),
        ),
        Mistake(
            "half of the loss",
            "The loss is the sum of the two means, without a factor of 1/2.",
            _d_step_wrong(loss_of=lambda p, q: -torch.cat([p, 1 - q]).log().mean()),
        ),
        Mistake(
            "sums over the batch",
            "Both terms are means over the batch.",
            _d_step_wrong(loss_of=lambda p, q: -p.log().sum() - (1 - q).log().sum()),
        ),
        Mistake(
            "real and fake pairs in one batch",
            "In one batch each kind is normalised by the other's statistics: two passes of D.",
            _d_step_wrong(together=True),
        ),
        Mistake(
            "fakes before data",
            "The loss is right, but D's running statistics end with the wrong batch: data first.",
            _d_step_wrong(fakes_first=True),
        ),
        Mistake(
            "G in eval mode",
            "G runs in train mode, as it was found: in eval mode its fakes are other ones.",
            _d_step_wrong(g_eval=True),
        ),
        Mistake(
            "loss with its graph",
            "The loss keeps the whole graph alive: return `loss.item()`.",
            _d_step_wrong(report=lambda loss: loss),
        ),
    ),
    alternatives={
        "binary cross entropy": _d_step_bce,
        "two backward passes": _d_step_two_backwards,
        "back to logits": _d_step_logits,
    },
)
