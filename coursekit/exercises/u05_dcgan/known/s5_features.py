"""Answer keys to section 5: what the networks have learnt."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coursekit.checks.declare import Key, Mistake
from coursekit.exercises.u05_dcgan.asked import s5_features as asked

# doubling_stacks


def doubling_stacks(total: int, grid: int) -> list[list[int]]:
    """Every [w, 2w, 4w, ...] of two or more numbers of maps that gives `total` features on a grid x grid, shortest first."""
    ### BEGIN SOLUTION
    maps, rest = divmod(total, grid**2)
    stacks: list[list[int]] = []
    terms = 2
    while rest == 0 and 2**terms - 1 <= maps:
        if maps % (2**terms - 1) == 0:
            first = maps // (2**terms - 1)
            stacks.append([first * 2**k for k in range(terms)])
        terms += 1
    return stacks
    ### END SOLUTION


def _stacks_by_search(total: int, grid: int) -> list[list[int]]:
    """Builds up every stack, layer by layer, until it has enough features."""
    found = []
    for w in range(1, total // grid**2 + 1):
        stack = [w]
        while sum(stack) * grid * grid < total:
            stack.append(2 * stack[-1])
        if sum(stack) * grid * grid == total and len(stack) > 1:
            found.append(stack)
    return sorted(found, key=len)


def _stacks_by_lengths(total: int, grid: int) -> list[list[int]]:
    if total % (grid * grid):
        return []
    maps = total // (grid * grid)
    lengths = [L for L in range(2, maps.bit_length() + 1) if maps % ((1 << L) - 1) == 0]
    return [[(maps // ((1 << L) - 1)) << k for k in range(L)] for L in lengths]


def _stacks_by_halving(total: int, grid: int) -> list[list[int]]:
    """From the last layer: u of the last, u / 2 before it, ..."""
    out = []
    for L in range(2, 40):
        share = sum(grid * grid * 2**k for k in range(L))
        if share <= total and total % share == 0:
            last = total // share * 2 ** (L - 1)
            out.append([last >> k for k in reversed(range(L))])
    return out


def _stacks_by_recursion(total: int, grid: int) -> list[list[int]]:
    def grown(maps: int, terms: int) -> list[list[int]]:
        weight = sum(2**k for k in range(terms))
        if weight > maps:
            return []
        here = [[maps // weight * 2**k for k in range(terms)]] if maps % weight == 0 else []
        return here + grown(maps, terms + 1)

    return grown(total // grid**2, 2) if total % grid**2 == 0 else []


def _stacks_wrong(
    *,
    maps_of: Callable[[int, int], Any] = lambda total, grid: total // grid**2 if total % grid**2 == 0 else 0,
    start: int = 2,
    share: Callable[[int], int] = lambda L: 2**L - 1,
    stack: Callable[[int, int], list[Any]] = lambda w, L: [w * 2**k for k in range(L)],
    order: Callable[[list[Any]], Any] = lambda found: found,
    exact: bool = True,
) -> Callable[[int, int], list[Any]]:
    """The search with one thing wrong."""

    def answer(total: int, grid: int) -> list[Any]:
        maps, found = maps_of(total, grid), []
        for L in range(start, 40):
            if share(L) <= maps and (maps % share(L) == 0 or not exact):
                found.append(stack(int(maps // share(L)), L))
        return list(order(found))

    return answer


DOUBLING_STACKS = Key(
    question=asked.DOUBLING_STACKS,
    solution=(doubling_stacks,),
    reference=_stacks_by_search,
    source="Radford, Metz & Chintala 2016, arXiv:1511.06434, section 5.1 and table 1 (both numbers); geometric series",
    mistakes=(
        Mistake(
            "grid counted once",
            "A map pooled to grid x grid gives grid² features, not grid.",
            _stacks_wrong(maps_of=lambda total, grid: total // grid if total % grid == 0 else 0),
        ),
        Mistake(
            "grid left out",
            "Divide by the grid's cells first: each map gives grid² features.",
            _stacks_wrong(maps_of=lambda total, grid: total),
        ),
        Mistake(
            "rest of the grid dropped",
            "Where `total` is no multiple of grid² there is no stack.",
            _stacks_wrong(maps_of=lambda total, grid: total // grid**2),
        ),
        Mistake(
            "single layers counted",
            "A stack has two or more layers.",
            _stacks_wrong(start=1),
        ),
        Mistake(
            "two layers left out",
            "Stacks of two layers count.",
            _stacks_wrong(start=3),
        ),
        Mistake(
            "all layers of one width",
            "Each layer has twice as many maps as the one before: the widths sum to w (2^L − 1).",
            _stacks_wrong(share=lambda L: L, stack=lambda w, L: [w] * L),
        ),
        Mistake(
            "widths sum to w 2^L",
            "1 + 2 + 4 + … with L terms is 2^L − 1.",
            _stacks_wrong(share=lambda L: 2**L),
        ),
        Mistake(
            "rounded",
            "The division has to leave nothing: your stacks do not give exactly `total`.",
            _stacks_wrong(exact=False),
        ),
        Mistake(
            "longest first",
            "Shortest first.",
            _stacks_wrong(order=lambda found: found[::-1]),
        ),
        Mistake(
            "widths fall",
            "The widths grow from layer to layer: [w, 2w, 4w, ...].",
            _stacks_wrong(stack=lambda w, L: [w * 2**k for k in reversed(range(L))]),
        ),
        Mistake(
            "first stack only",
            "There may be several: return all.",
            _stacks_wrong(order=lambda found: found[:1]),
        ),
        Mistake(
            "first widths only",
            "Each stack is the list of all its widths.",
            _stacks_wrong(stack=lambda w, L: [w]),
        ),
        Mistake(
            "fractions",
            "The widths are whole numbers, `int`: `//` instead of `/`.",
            _stacks_wrong(stack=lambda w, L: [float(w * 2**k) for k in range(L)]),
        ),
    ),
    alternatives={
        "by lengths, with shifts": _stacks_by_lengths,
        "from the last layer": _stacks_by_halving,
        "recursion": _stacks_by_recursion,
    },
)

# pooled_features


def pooled_features(D: nn.Module, x: Tensor, grid: int) -> Tensor:
    """Pictures (N, C, H, W) -> (N, F): all LeakyReLU outputs of D, max-pooled to grid x grid, flattened and joined."""
    ### BEGIN SOLUTION
    found_in = {module: module.training for module in D.modules()}
    layers, caught = [module for module in D.modules() if isinstance(module, nn.LeakyReLU)], []
    handles = [layer.register_forward_hook(lambda _, __, out: caught.append(out)) for layer in layers]
    D.eval()
    with torch.no_grad():
        D(x)
    for handle in handles:
        handle.remove()
    for module, mode in found_in.items():
        module.training = mode
    return torch.cat([F.adaptive_max_pool2d(maps, grid).flatten(1) for maps in caught], dim=1)
    ### END SOLUTION


@contextlib.contextmanager
def _resting(net: nn.Module) -> Any:
    """Eval mode, no gradients, and each module's own mode afterwards."""
    kept = [(module, module.training) for module in net.modules()]
    net.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in kept:
            module.training = mode


def _caught(D: nn.Module, x: Tensor, kind: type[nn.Module] = nn.LeakyReLU) -> list[Tensor]:
    out: list[Tensor] = []

    def note(module: nn.Module, inputs: Any, output: Tensor) -> None:
        out.append(output.clone())

    handles = [module.register_forward_hook(note) for module in D.modules() if isinstance(module, kind)]
    try:
        D(x)
    finally:
        for handle in handles:
            handle.remove()
    return out


def _pooled_cell_by_cell(D: nn.Module, x: Tensor, grid: int) -> Tensor:
    """The largest number of each cell of each map, one after the other."""
    with _resting(D):
        layers = _caught(D, x)
    columns = []
    for maps in layers:
        h, w = maps.shape[2] // grid, maps.shape[3] // grid
        for m in range(maps.shape[1]):
            for i in range(grid):
                for j in range(grid):
                    columns.append(maps[:, m, i * h : (i + 1) * h, j * w : (j + 1) * w].flatten(1).max(dim=1).values)
    return torch.stack(columns, dim=1)


def _pooled_reshaped(D: nn.Module, x: Tensor, grid: int) -> Tensor:
    with _resting(D):
        cells = [a.unflatten(3, (grid, -1)).unflatten(2, (grid, -1)).amax((3, 5)) for a in _caught(D, x)]
    return torch.cat(cells, 1).reshape(len(x), -1)


def _pooled_global_hook(D: nn.Module, x: Tensor, grid: int) -> Tensor:
    """One hook on all modules of the process, for as long as D runs."""
    rows: list[Tensor] = []

    def note(module: nn.Module, inputs: Any, output: Any) -> None:
        if type(module) is nn.LeakyReLU:
            h, w = output.shape[2:]
            rows.append(F.max_pool2d(output, (h // grid, w // grid)).reshape(len(output), -1))

    with _resting(D):
        handle = nn.modules.module.register_module_forward_hook(note)
        try:
            D(x)
        finally:
            handle.remove()
    return torch.hstack(rows)


def _pooled_split(D: nn.Module, x: Tensor, grid: int) -> Tensor:
    with _resting(D):
        pieces = []
        for maps in _caught(D, x):
            rows = [strip.amax(2) for strip in maps.tensor_split(grid, dim=2)]
            cells = [[cell.amax(2) for cell in row.tensor_split(grid, dim=2)] for row in rows]
            pieces.append(torch.stack([torch.stack(row, 2) for row in cells], 2).flatten(1))
        return torch.cat(pieces, 1)


def _pooled_wrong(
    *,
    kind: type[nn.Module] = nn.LeakyReLU,
    pool: Callable[[Tensor, int], Tensor] = lambda a, grid: F.adaptive_max_pool2d(a, grid),
    pick: Callable[[list[Tensor]], list[Tensor]] = lambda layers: layers,
    flat: Callable[[Tensor], Tensor] = lambda p: p.flatten(1),
    mode: str = "each",
    graph: bool = False,
    forget_hooks: bool = False,
) -> Callable[..., Tensor]:
    """The features with one thing wrong."""

    def answer(D: nn.Module, x: Tensor, grid: int) -> Tensor:
        kept = {m: m.training for m in D.modules()}
        was = D.training
        if mode != "train":
            D.eval()
        layers: list[Tensor] = []
        hooks = [
            m.register_forward_hook(lambda m, i, out: layers.append(out)) for m in D.modules() if isinstance(m, kind)
        ]
        with torch.set_grad_enabled(graph):
            D(x)
        if not forget_hooks:
            for hook in hooks:
                hook.remove()
        if mode in ("each", "train"):
            for module, flag in kept.items():
                module.training = flag
        elif mode == "top":
            D.train(was)
        return torch.cat([flat(pool(a, grid)) for a in pick(list(layers))], 1)

    return answer


def _one_for_each_module(D: nn.Module, x: Tensor, grid: int) -> Tensor:
    with _resting(D):
        last: dict[nn.Module, Tensor] = {}
        hooks = [
            m.register_forward_hook(lambda m, i, out: last.__setitem__(m, out))
            for m in D.modules()
            if isinstance(m, nn.LeakyReLU)
        ]
        D(x)
        for hook in hooks:
            hook.remove()
    return torch.cat([F.adaptive_max_pool2d(a, grid).flatten(1) for a in last.values()], 1)


POOLED_FEATURES = Key(
    question=asked.POOLED_FEATURES,
    solution=(pooled_features,),
    reference=_pooled_cell_by_cell,
    source="Radford, Metz & Chintala 2016, arXiv:1511.06434, section 5.1",
    mistakes=(
        Mistake(
            "mean instead of maximum",
            "The maximum of each cell remains, not its mean.",
            _pooled_wrong(pool=lambda a, grid: F.adaptive_avg_pool2d(a, grid)),
        ),
        Mistake(
            "last layer only",
            "The maps of all layers count, not those of the last alone.",
            _pooled_wrong(pick=lambda layers: layers[-1:]),
        ),
        Mistake(
            "layers in reverse",
            "The pieces are joined in the order in which the layers run.",
            _pooled_wrong(pick=lambda layers: layers[::-1]),
        ),
        Mistake(
            "one output for each module",
            "A module that is called twice gives two outputs: append to a list, a dictionary forgets the first.",
            _one_for_each_module,
        ),
        Mistake(
            "maps before the rectifier",
            "You take what the convolutions give. The features are the outputs of LeakyReLU.",
            _pooled_wrong(kind=nn.Conv2d),
        ),
        Mistake(
            "rows and columns before maps",
            "Flatten with the maps first, as `flatten(1)` does.",
            _pooled_wrong(flat=lambda p: p.permute(0, 2, 3, 1).flatten(1)),
        ),
        Mistake(
            "top left corner",
            "You cut out a corner of the size of the grid. Every cell covers its share of the map.",
            _pooled_wrong(pool=lambda a, grid: a[:, :, :grid, :grid]),
        ),
        Mistake(
            "one number for each map",
            "You take the maximum over the whole map: there are grid x grid cells.",
            _pooled_wrong(pool=lambda a, grid: a.amax((2, 3), keepdim=True).expand(-1, -1, grid, grid)),
        ),
        Mistake(
            "largest absolute value",
            "The maximum is that of the values, not of their absolute values.",
            _pooled_wrong(pool=lambda a, grid: F.adaptive_max_pool2d(a.abs(), grid)),
        ),
        Mistake(
            "D in train mode",
            "In train mode features depend on the batch, and D's statistics move: `D.eval()`.",
            _pooled_wrong(mode="train"),
        ),
        Mistake(
            "left in eval mode",
            "D is left in eval mode.",
            _pooled_wrong(mode="never"),
        ),
        Mistake(
            "one mode for all modules",
            "`D.train(mode)` sets every module inside. One of them was in eval mode on purpose: remember each.",
            _pooled_wrong(mode="top"),
        ),
        Mistake(
            "hooks left behind",
            "Your hooks still hang on D and go on collecting: `handle.remove()`.",
            _pooled_wrong(forget_hooks=True),
        ),
        Mistake(
            "features carry a graph",
            "The features carry D's whole graph: run it under `torch.no_grad()`.",
            _pooled_wrong(graph=True),
        ),
    ),
    alternatives={
        "axes split, amax": _pooled_reshaped,
        "one hook for all modules": _pooled_global_hook,
        "strips and cells": _pooled_split,
    },
)

# svm_gradient


def svm_gradient(W: Tensor, b: Tensor, features: Tensor, y: Tensor, cost: float) -> tuple[Tensor, Tensor, Tensor]:
    """W (K, F), b (K,), features (N, F), y (N,) -> loss, its gradients by W and by b."""
    ### BEGIN SOLUTION
    signs = 2 * F.one_hot(y, len(W)).to(W.dtype) - 1
    violations = (1 - signs * (features @ W.T + b)).clamp(min=0)
    loss = W.square().sum() / 2 + cost * violations.square().sum()
    d_scores = -2 * cost * signs * violations
    return loss, W + d_scores.T @ features, d_scores.sum(dim=0)
    ### END SOLUTION


def _svm_term_by_term(W: Tensor, b: Tensor, features: Tensor, y: Tensor, cost: float) -> tuple[float, Tensor, Tensor]:
    """One example and one class after the other; a violated margin pulls, a kept one does not."""
    loss = 0.5 * sum(w * w for row in W.tolist() for w in row)
    d_W, d_b = W.clone(), torch.zeros_like(b)
    for n in range(len(y)):
        for k in range(len(W)):
            s = 1.0 if k == int(y[n]) else -1.0
            violation = 1 - s * float(W[k] @ features[n] + b[k])
            if violation > 0:
                loss += cost * violation**2
                d_W[k] = d_W[k] - 2 * cost * violation * s * features[n]
                d_b[k] = d_b[k] - 2 * cost * violation * s
    return loss, d_W, d_b


def _svm_augmented(W: Tensor, b: Tensor, features: Tensor, y: Tensor, cost: float) -> tuple[Tensor, Tensor, Tensor]:
    """The offset as a weight on a feature that is always 1."""
    ones = features.new_ones(len(features), 1)
    V, f = torch.cat([W, b[:, None]], 1), torch.cat([features, ones], 1)
    s = torch.where(y[:, None] == torch.arange(len(W)), 1.0, -1.0).to(W.dtype)
    m = F.relu(1 - s * torch.einsum("kf,nf->nk", V, f))
    slope = torch.einsum("nk,nf->kf", -2 * cost * s * m, f)
    return 0.5 * (W * W).sum() + cost * (m * m).sum(), slope[:, :-1] + W, slope[:, -1]


def _svm_class_by_class(
    W: Tensor, b: Tensor, features: Tensor, y: Tensor, cost: float
) -> tuple[Tensor, Tensor, Tensor]:
    """K binary machines, each on the examples that it gets wrong."""
    loss, d_W, d_b = W.new_zeros(()), [], []
    for k in range(len(W)):
        s = (y == k).to(W.dtype) * 2 - 1
        gap = torch.mv(features, W[k]) + b[k] - s
        active = s * gap < 0
        loss = loss + W[k].dot(W[k]) / 2 + cost * gap[active].pow(2).sum()
        d_W.append(W[k] + 2 * cost * gap[active] @ features[active])
        d_b.append(2 * cost * gap[active].sum())
    return loss, torch.stack(d_W), torch.stack(d_b)


def _svm_in_float64(W: Tensor, b: Tensor, features: Tensor, y: Tensor, cost: float) -> tuple[float, Tensor, Tensor]:
    W_64, b_64, f = W.double(), b.double(), features.double()
    s = torch.full((len(y), len(W)), -1.0, dtype=torch.float64).scatter(1, y[:, None], 1.0)
    m = torch.maximum(torch.zeros_like(s), 1 - s * F.linear(f, W_64, b_64))
    d = m * s * (-2 * cost)
    loss = torch.linalg.matrix_norm(W_64) ** 2 / 2 + cost * torch.linalg.matrix_norm(m) ** 2
    return loss.item(), (W_64 + d.mT.mm(f)).to(W.dtype), d.sum(0).to(W.dtype)


def _svm_wrong(
    *,
    signs: Callable[[Tensor], Tensor] = lambda hot: 2 * hot - 1,
    slack: Callable[[Tensor], Tensor] = lambda v: v.clamp(min=0),
    power: Callable[[Tensor], Tensor] = lambda m: m.square(),
    slope: Callable[[Tensor], Tensor] = lambda m: 2 * m,
    regular: Callable[..., Any] = lambda W, b: W.square().sum() / 2,
    d_regular: Callable[..., Any] = lambda W, b: (W, 0.0),
    weigh: Callable[..., tuple[Any, Any]] = lambda cost, n, k: (1.0, cost),
    sign: float = -1.0,
) -> Callable[..., Any]:
    """The loss and its gradients with one thing wrong."""

    def answer(W: Tensor, b: Tensor, features: Tensor, y: Tensor, cost: float) -> Any:
        s = signs(F.one_hot(y, len(W)).to(W.dtype))
        m = slack(1 - s * (features @ W.T + b))
        weight, c = weigh(cost, len(y), len(W))
        d = sign * c * s * slope(m)
        d_W, d_b = d_regular(W, b)
        return weight * regular(W, b) + c * power(m).sum(), weight * d_W + d.T @ features, weight * d_b + d.sum(0)

    return answer


def _svm_multiclass(W: Tensor, b: Tensor, features: Tensor, y: Tensor, cost: float) -> Any:
    """Crammer and Singer's: the worst rival alone counts."""
    a = features @ W.T + b
    rows = torch.arange(len(y))
    own = a[rows, y]
    rival, k = a.scatter(1, y[:, None], -torch.inf).max(1)
    m = (1 + rival - own).clamp(min=0)
    d = torch.zeros_like(a)
    d[rows, k] = 2 * cost * m
    d[rows, y] = -2 * cost * m
    return W.square().sum() / 2 + cost * m.square().sum(), W + d.T @ features, d.sum(0)


def _svm_by_autograd(W: Tensor, b: Tensor, features: Tensor, y: Tensor, cost: float) -> Any:
    V, v = W.clone().requires_grad_(), b.clone().requires_grad_()
    loss = _svm_wrong()(V, v, features, y, cost)[0]
    return (loss, *torch.autograd.grad(loss, (V, v)))


SVM_GRADIENT = Key(
    question=asked.SVM_GRADIENT,
    solution=(svm_gradient,),
    reference=_svm_term_by_term,
    source="Fan et al. 2008, LIBLINEAR, JMLR 9, L2-loss SVC, one versus the rest; Tang 2013, arXiv:1306.0239, section 2.1",
    mistakes=(
        Mistake(
            "hinge not squared",
            "That is the L1-SVM: the violations are squared here, in the loss and in the gradient.",
            _svm_wrong(power=lambda m: m, slope=lambda m: (m > 0).to(m.dtype)),
        ),
        Mistake(
            "factor 2 missing",
            "The derivative of m² is 2 m.",
            _svm_wrong(slope=lambda m: m),
        ),
        Mistake(
            "slope of the plain hinge",
            "The loss is squared, your gradient is that of the plain hinge: multiply by 2 m.",
            _svm_wrong(slope=lambda m: (m > 0).to(m.dtype)),
        ),
        Mistake(
            "margins kept are pulled, too",
            "Where s a exceeds 1 nothing is to be gained: max(0, …) is missing (that is least squares).",
            _svm_wrong(slack=lambda v: v),
        ),
        Mistake(
            "margin of 0",
            "The margin is 1: max(0, 1 − s a), not max(0, −s a).",
            _svm_wrong(slack=lambda v: (v - 1).clamp(min=0)),
        ),
        Mistake(
            "signs 1 and 0",
            "The signs are +1 and −1. With 0 the other classes give a constant.",
            _svm_wrong(signs=lambda hot: hot),
        ),
        Mistake(
            "signs exchanged",
            "The true class has the sign +1.",
            _svm_wrong(signs=lambda hot: 1 - 2 * hot),
        ),
        Mistake(
            "gradient uphill",
            "The sign of the data's gradient is wrong: da of 1 − s a is −s.",
            _svm_wrong(sign=1.0),
        ),
        Mistake(
            "worst rival only",
            "One versus the rest: every class has its own hinge, with the score alone, not with the difference to a rival.",
            _svm_multiclass,
        ),
        Mistake(
            "no regulariser",
            "The regulariser is missing: half the squared length of W.",
            _svm_wrong(regular=lambda W, b: 0.0, d_regular=lambda W, b: (0.0, 0.0)),
        ),
        Mistake(
            "regulariser missing from the gradient",
            "The regulariser is in the loss, but not in the gradient: + W.",
            _svm_wrong(d_regular=lambda W, b: (0.0, 0.0)),
        ),
        Mistake(
            "regulariser without its half",
            "Half the squared length: then its gradient is W.",
            _svm_wrong(regular=lambda W, b: W.square().sum(), d_regular=lambda W, b: (2 * W, 0.0)),
        ),
        Mistake(
            "offsets regularised",
            "The offsets b are not regularised.",
            _svm_wrong(regular=lambda W, b: (W.square().sum() + b.square().sum()) / 2, d_regular=lambda W, b: (W, b)),
        ),
        Mistake(
            "mean over the examples",
            "The sum over the examples is a sum: do not divide by N.",
            _svm_wrong(weigh=lambda cost, n, k: (1.0, cost / n)),
        ),
        Mistake(
            "mean over examples and classes",
            "Both sums are sums: do not divide by N K.",
            _svm_wrong(weigh=lambda cost, n, k: (1.0, cost / (n * k))),
        ),
        Mistake(
            "cost on the regulariser",
            "The cost weighs the violations, not the regulariser.",
            _svm_wrong(weigh=lambda cost, n, k: (cost, 1.0)),
        ),
        Mistake(
            "autograd",
            "Autograd records nothing in inference mode: write the gradient down yourself.",
            _svm_by_autograd,
        ),
    ),
    alternatives={
        "offset as a weight": _svm_augmented,
        "class by class, active examples": _svm_class_by_class,
        "float64, norms": _svm_in_float64,
    },
)

# drop_maps


def drop_maps(net: nn.Module, layer: nn.Module, maps: list[int], z: Tensor) -> Tensor:
    """net(z) in eval mode with these maps of the layer's output at 0; the network is afterwards as it was."""
    ### BEGIN SOLUTION
    dropped = torch.tensor(maps, dtype=torch.int64)
    found_in = {module: module.training for module in net.modules()}
    handle = layer.register_forward_hook(lambda _, __, out: out.index_fill(1, dropped, 0.0))
    net.eval()
    try:
        with torch.no_grad():
            return net(z)
    finally:
        handle.remove()
        for module, mode in found_in.items():
            module.training = mode
    ### END SOLUTION


def _drop_masked(net: nn.Module, layer: nn.Module, maps: list[int], z: Tensor) -> Tensor:
    """A mask, entry by entry, multiplied on."""

    def mask(module: nn.Module, inputs: Any, out: Tensor) -> Tensor:
        kept = torch.tensor([0.0 if m in maps else 1.0 for m in range(out.shape[1])], dtype=out.dtype)
        return out * kept[None, :, None, None]

    handle = layer.register_forward_hook(mask)
    try:
        with _resting(net):
            return net(z)
    finally:
        handle.remove()


def _drop_by_own_forward(net: nn.Module, layer: nn.Module, maps: list[int], z: Tensor) -> Tensor:
    """The layer's forward is covered by one of its own for a moment: an attribute of the object, not of the class."""

    def forward(*args: Any) -> Tensor:
        out = type(layer).forward(layer, *args).clone()
        for m in maps:
            out[:, m] = 0
        return out

    with _resting(net):
        layer.forward = forward  # type: ignore[method-assign]
        try:
            return net(z)
        finally:
            del layer.forward


def _drop_in_place(net: nn.Module, layer: nn.Module, maps: list[int], z: Tensor) -> Tensor:
    flags = [module.training for module in net.modules()]

    def silence(module: nn.Module, inputs: Any, out: Tensor) -> None:
        out[:, maps] = 0

    with contextlib.ExitStack() as stack:
        stack.callback(layer.register_forward_hook(silence).remove)
        stack.callback(lambda: [setattr(m, "training", flag) for m, flag in zip(net.modules(), flags)])
        net.eval()
        with torch.inference_mode():
            return net(z)


def _drop_in_a_copy(net: nn.Module, layer: nn.Module, maps: list[int], z: Tensor) -> Tensor:
    """A copy of the network, found again by the layer's name."""
    import copy

    name = next(name for name, module in net.named_modules() if module is layer)
    twin = copy.deepcopy(net).eval().requires_grad_(False)
    inner = twin.get_submodule(name)
    inner.register_forward_hook(
        lambda m, i, out: torch.stack([c * (k not in maps) for k, c in enumerate(out.unbind(1))], 1)
    )
    with torch.no_grad():
        return twin(z)


def _drop_wrong(
    *,
    change: Callable[[Tensor, list[int]], Tensor] = lambda out, maps: out.index_fill(
        1, torch.tensor(maps, dtype=torch.int64), 0.0
    ),
    mode: str = "each",
    graph: bool = False,
    remove: str = "always",
    quiet: bool = False,
) -> Callable[..., Any]:
    """The forgetful run with one thing wrong."""

    def answer(net: nn.Module, layer: nn.Module, maps: list[int], z: Tensor) -> Any:
        kept, was = {m: m.training for m in net.modules()}, net.training
        handle = layer.register_forward_hook(lambda m, i, out: change(out, maps))

        def back() -> None:
            if mode in ("each", "train"):
                for module, flag in kept.items():
                    module.training = flag
            elif mode == "top":
                net.train(was)
            if remove != "never":
                handle.remove()

        if mode != "train":
            net.eval()
        try:
            with torch.set_grad_enabled(graph):
                out = net(z)
        except ArithmeticError:
            if remove == "always":
                back()
            if quiet:
                return None
            raise
        back()
        return out

    return answer


def _weights_zeroed(net: nn.Module, layer: nn.Module, maps: list[int], z: Tensor) -> Tensor:
    with _resting(net):
        axis = 1 if isinstance(layer, nn.ConvTranspose2d) else 0
        layer.weight.index_fill_(axis, torch.tensor(maps, dtype=torch.int64), 0.0)  # type: ignore[operator, union-attr]
        return net(z)


def _weights_zeroed_and_restored(net: nn.Module, layer: nn.Module, maps: list[int], z: Tensor) -> Tensor:
    before = layer.weight.detach().clone()  # type: ignore[operator, union-attr]
    try:
        return _weights_zeroed(net, layer, maps, z)
    finally:
        layer.weight.data.copy_(before)  # type: ignore[operator, union-attr]


def _kept_instead(out: Tensor, maps: list[int]) -> Tensor:
    return out.index_fill(1, torch.tensor([m for m in range(out.shape[1]) if m not in maps], dtype=torch.int64), 0.0)


def _one_place(out: Tensor, maps: list[int]) -> Tensor:
    out = out.clone()
    out[:, maps, 0, 0] = 0
    return out


def _first_picture(out: Tensor, maps: list[int]) -> Tensor:
    out = out.clone()
    out[0, maps] = 0
    return out


def _averaged(out: Tensor, maps: list[int]) -> Tensor:
    out = out.clone()
    out[:, maps] = out[:, maps].mean((2, 3), keepdim=True)
    return out


def _one_map(out: Tensor, maps: list[int]) -> Tensor:
    out = out.clone()
    out[:, maps[:1]] = 0
    return out


DROP_MAPS = Key(
    question=asked.DROP_MAPS,
    solution=(drop_maps,),
    reference=_drop_masked,
    source="Radford, Metz & Chintala 2016, arXiv:1511.06434, section 6.3.1",
    mistakes=(
        Mistake(
            "weights zeroed",
            "You change the layer's weights, for good, and its bias still speaks. Change its output, for one run.",
            _weights_zeroed,
        ),
        Mistake(
            "weights zeroed, then restored",
            "Weights of 0 are not an output of 0: the bias is left. Change the output, with a forward hook.",
            _weights_zeroed_and_restored,
        ),
        Mistake(
            "the other maps dropped",
            "You keep the maps in the list and drop the others.",
            _drop_wrong(change=_kept_instead),
        ),
        Mistake(
            "first map of the list only",
            "All maps in the list are dropped.",
            _drop_wrong(change=_one_map),
        ),
        Mistake(
            "one place only",
            "The maps are dropped at all places, not at one pixel.",
            _drop_wrong(change=_one_place),
        ),
        Mistake(
            "first picture only",
            "Axis 0 holds the batch: `out[:, maps]`.",
            _drop_wrong(change=_first_picture),
        ),
        Mistake(
            "map replaced by its mean",
            "A dropped map is 0, not its mean.",
            _drop_wrong(change=_averaged),
        ),
        Mistake(
            "nothing dropped",
            "The output is that of the whole network: does your hook *return* the changed tensor?",
            _drop_wrong(change=lambda out, maps: out),
        ),
        Mistake(
            "hook left behind",
            "The hook still hangs on the layer: every later picture lacks these maps. `handle.remove()`.",
            _drop_wrong(remove="never"),
        ),
        Mistake(
            "hook left behind after an error",
            "If the network raises, hook and modes stay behind: clean up in `finally`.",
            _drop_wrong(remove="without an error"),
        ),
        Mistake(
            "error swallowed",
            "The network's error has to come through: use `finally`, not `except`.",
            _drop_wrong(quiet=True),
        ),
        Mistake(
            "in train mode",
            "In train mode pictures depend on the batch, and the statistics move: `net.eval()`.",
            _drop_wrong(mode="train"),
        ),
        Mistake(
            "left in eval mode",
            "The network is left in eval mode.",
            _drop_wrong(mode="never"),
        ),
        Mistake(
            "one mode for all modules",
            "`net.train(mode)` sets every module inside. One of them was in eval mode on purpose: remember each.",
            _drop_wrong(mode="top"),
        ),
        Mistake(
            "pictures carry a graph",
            "Run the network under `torch.no_grad()`.",
            _drop_wrong(graph=True),
        ),
    ),
    alternatives={
        "the layer's own forward covered": _drop_by_own_forward,
        "in place, ExitStack": _drop_in_place,
        "in a copy": _drop_in_a_copy,
    },
)
