"""Answer keys to section 2, second half: from gradients to steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coursekit.checks.declare import Key, Mistake
from coursekit.exercises.u01_recurrent_networks.asked import s2_steps as asked


def clip_norm(parameters: list[nn.Parameter], limit: float) -> Tensor:
    """Scale all gradients together to a norm of at most `limit`, in place; returns the norm before (scalar)."""
    ### BEGIN SOLUTION
    grads = [p.grad for p in parameters if p.grad is not None]
    norm = torch.cat([g.flatten() for g in grads]).norm()
    if norm > limit:
        for g in grads:
            g.mul_(limit / norm)
    return norm
    ### END SOLUTION


def _clip_norm_reference(parameters: list[nn.Parameter], limit: float) -> float:
    """Entry by entry: the square root of the sum of squares, then every entry times min(1, limit / norm)."""
    entries = [float(v) for p in parameters if p.grad is not None for v in p.grad.flatten()]
    norm = math.sqrt(math.fsum(v * v for v in entries))
    factor = 1.0 if norm <= limit else limit / norm
    for p in parameters:
        if p.grad is not None:
            p.grad = torch.tensor([float(v) * factor for v in p.grad.flatten()], dtype=p.dtype).reshape(p.shape)
    return norm


def _clip_norm_of_norms(parameters: list[nn.Parameter], limit: float) -> Tensor:
    norms = [torch.linalg.vector_norm(p.grad) for p in parameters if p.grad is not None]
    total = torch.linalg.vector_norm(torch.stack(norms))
    factor = torch.clamp(limit / (total + 1e-12), max=1.0)
    with torch.no_grad():
        for p in parameters:
            if p.grad is not None:
                p.grad *= factor
    return total


def _clip_norm_new_tensors(parameters: list[nn.Parameter], limit: float) -> float:
    total = math.sqrt(sum(p.grad.pow(2).sum().item() for p in parameters if p.grad is not None))
    for p in parameters:
        if p.grad is not None and total > limit:
            p.grad = p.grad / total * limit
    return total


def _clip_norm_vector(parameters: list[nn.Parameter], limit: float) -> Tensor:
    with_grad = [p for p in parameters if p.grad is not None]
    g = nn.utils.parameters_to_vector([p.grad for p in with_grad])
    norm = g.dot(g).sqrt()
    short = g if norm <= limit else limit * F.normalize(g, dim=0)
    for p, piece in zip(with_grad, short.split([p.numel() for p in with_grad])):
        p.grad = piece.view_as(p).clone()
    return norm


def _clip_norm_wrong(
    size: Callable[[list[Tensor]], Tensor],
    *,
    shrink: Callable[[Tensor, float], Any] = lambda n, c: min(1.0, c / float(n)) if n > 0 else 1.0,
    report: Callable[[Tensor, float], Any] = lambda n, c: n,
) -> Callable[..., Any]:
    """Clipping with another norm, another factor or another report."""

    def answer(parameters: list[nn.Parameter], limit: float) -> Any:
        grads = [p.grad for p in parameters if p.grad is not None]
        norm = size(grads)
        for g in grads:
            g.mul_(shrink(norm, limit))
        return report(norm, limit)

    return answer


def _norm(grads: list[Tensor]) -> Tensor:
    return torch.cat([g.flatten() for g in grads]).norm()


def _clip_each(parameters: list[nn.Parameter], limit: float) -> Tensor:
    norm = _norm([p.grad for p in parameters if p.grad is not None])
    for p in parameters:
        if p.grad is not None:
            p.grad.mul_(min(1.0, limit / max(float(p.grad.norm()), 1e-12)))
    return norm


def _clip_entries(parameters: list[nn.Parameter], limit: float) -> Tensor:
    norm = _norm([p.grad for p in parameters if p.grad is not None])
    for p in parameters:
        if p.grad is not None:
            p.grad.clamp_(-limit, limit)
    return norm


def _clip_without_guard(parameters: list[nn.Parameter], limit: float) -> Tensor:
    norm = torch.cat([p.grad.flatten() for p in parameters]).norm()  # type: ignore[union-attr]
    for p in parameters:
        p.grad.mul_(min(1.0, limit / max(float(norm), 1e-12)))  # type: ignore[union-attr]
    return norm


def _clip_fills_missing(parameters: list[nn.Parameter], limit: float) -> Any:
    for p in parameters:
        if p.grad is None:
            p.grad = torch.zeros_like(p)
    return _clip_norm_reference(parameters, limit)


def _clip_weights(parameters: list[nn.Parameter], limit: float) -> Tensor:
    norm = _norm([p.grad for p in parameters if p.grad is not None])
    if norm > limit:
        for p in parameters:
            p.data.mul_(limit / norm)
    return norm


CLIP_NORM = Key(
    question=asked.CLIP_NORM,
    solution=(clip_norm,),
    reference=_clip_norm_reference,
    source="Pascanu, Mikolov & Bengio 2013, On the difficulty of training recurrent neural networks, algorithm 1",
    mistakes=(
        Mistake(
            "each parameter by its own norm",
            "Each of your tensors gets a factor of its own, which turns the gradient. Take one norm over all, and "
            "one factor.",
            _clip_each,
        ),
        Mistake(
            "always scaled to the limit",
            "A gradient within the limit stays as it is: the factor is never above 1.",
            _clip_norm_wrong(_norm, shrink=lambda n, c: c / n),
        ),
        Mistake(
            "norms added up",
            "The norms of the pieces add up in squares: take the root of the sum of their squares.",
            _clip_norm_wrong(lambda grads: torch.stack([g.norm() for g in grads]).sum()),
        ),
        Mistake(
            "root forgotten",
            "The sum of squares is the norm squared: take its root.",
            _clip_norm_wrong(lambda grads: _norm(grads) ** 2),
        ),
        Mistake(
            "root mean square",
            "The norm sums the squares, it does not average them: do not divide by the number of entries.",
            _clip_norm_wrong(lambda grads: torch.cat([g.flatten() for g in grads]).square().mean().sqrt()),
        ),
        Mistake(
            "largest entry",
            "That is the maximum norm. The task asks for the Euclidean norm.",
            _clip_norm_wrong(lambda grads: torch.cat([g.flatten() for g in grads]).abs().max()),
        ),
        Mistake(
            "sum of absolute values",
            "That is the 1-norm. The task asks for the Euclidean norm.",
            _clip_norm_wrong(lambda grads: torch.cat([g.flatten() for g in grads]).abs().sum()),
        ),
        Mistake(
            "entry by entry",
            "You cut each entry, which turns the gradient. Multiply all entries by one factor.",
            _clip_entries,
        ),
        Mistake(
            "norm after clipping returned",
            "Return the norm from before: after clipping it says little.",
            _clip_norm_wrong(_norm, report=lambda n, c: min(float(n), c)),
        ),
        Mistake(
            "divided by the norm only",
            "g / ‖g‖ has length 1; the task asks for the length `limit`.",
            _clip_norm_wrong(_norm, shrink=lambda n, c: 1 / float(n) if n > c else 1.0),
        ),
        Mistake(
            "missing gradients not skipped",
            "A parameter that took no part has `grad` None: skip it.",
            _clip_without_guard,
        ),
        Mistake(
            "missing gradients filled in",
            "A parameter without a gradient stays without one: zeros would make optimisers with momentum or decay "
            "move it.",
            _clip_fills_missing,
        ),
        Mistake(
            "gradients left as they were",
            "The norm is right, but no gradient changes: `g = g * factor` only gives a new tensor a name. Write "
            "`g.mul_(factor)`, or assign to `p.grad`.",
            _clip_norm_wrong(_norm, shrink=lambda n, c: 1.0),
        ),
        Mistake(
            "weights scaled",
            "Change `p.grad`, not `p`: the weights stay as they are.",
            _clip_weights,
        ),
    ),
    alternatives={
        "norm of norms, factor clamped": _clip_norm_of_norms,
        "new gradient tensors": _clip_norm_new_tensors,
        "one vector, split again": _clip_norm_vector,
    },
)


def clip_value(parameters: list[nn.Parameter], limit: float) -> Tensor:
    """Clip every entry of every gradient to [-limit, limit], in place; returns the cosine between before and after."""
    ### BEGIN SOLUTION
    grads = [p.grad for p in parameters if p.grad is not None]
    before = torch.cat([g.flatten() for g in grads])
    for g in grads:
        g.clamp_(-limit, limit)
    after = torch.cat([g.flatten() for g in grads])
    return F.cosine_similarity(before, after, dim=0)
    ### END SOLUTION


def _clip_value_reference(parameters: list[nn.Parameter], limit: float) -> float:
    """Entry by entry, with the three sums of the cosine."""
    dot = before = after = 0.0
    for p in parameters:
        if p.grad is None:
            continue
        entries = [float(v) for v in p.grad.flatten()]
        clipped = [max(-limit, min(limit, v)) for v in entries]
        dot += sum(u * v for u, v in zip(entries, clipped))
        before += sum(v * v for v in entries)
        after += sum(v * v for v in clipped)
        p.grad = torch.tensor(clipped, dtype=p.dtype).reshape(p.shape)
    return dot / math.sqrt(before * after)


def _clip_value_new(parameters: list[nn.Parameter], limit: float) -> float:
    old: list[Tensor] = []
    new: list[Tensor] = []
    for p in filter(lambda p: p.grad is not None, parameters):
        old.append(p.grad.reshape(-1))  # type: ignore[union-attr]
        bound = torch.full_like(p.grad, limit)
        p.grad = torch.minimum(torch.maximum(p.grad, -bound), bound)
        new.append(p.grad.reshape(-1))
    g, clipped = torch.hstack(old), torch.hstack(new)
    return (g @ clipped / (g.norm() * clipped.norm())).item()


def _clip_value_where(parameters: list[nn.Parameter], limit: float) -> Tensor:
    vector = nn.utils.parameters_to_vector([p.grad for p in parameters if p.grad is not None]).clone()
    for p in parameters:
        if p.grad is not None:
            p.grad = torch.where(p.grad.abs() > limit, limit * p.grad.sign(), p.grad)
    clipped = nn.utils.parameters_to_vector([p.grad for p in parameters if p.grad is not None])
    return (F.normalize(vector, dim=0) * F.normalize(clipped, dim=0)).sum()


def _clip_value_products(parameters: list[nn.Parameter], limit: float) -> Tensor:
    sums = torch.zeros(3, dtype=parameters[0].dtype)
    for p in parameters:
        if p.grad is not None:
            old = p.grad.clone()
            torch.clamp(p.grad, min=-limit, max=limit, out=p.grad)
            sums += torch.stack([(old * p.grad).sum(), (old * old).sum(), (p.grad * p.grad).sum()])
    return sums[0] * sums[1].rsqrt() * sums[2].rsqrt()


def _cosine(u: Tensor, v: Tensor) -> Tensor:
    return F.cosine_similarity(u, v, dim=0)


def _clip_value_wrong(
    clip: Callable[[Tensor, float], Tensor] = lambda g, c: g.clamp(-c, c),
    angle: Callable[[Tensor, Tensor], Any] = _cosine,
) -> Callable[..., Any]:
    """Clipping with another rule, or with another number returned."""

    def answer(parameters: list[nn.Parameter], limit: float) -> Any:
        grads = [p.grad for p in parameters if p.grad is not None]
        before = torch.cat([g.flatten() for g in grads])
        for g in grads:
            g.copy_(clip(g, limit))
        return angle(before, torch.cat([g.flatten() for g in grads]))

    return answer


def _clip_value_by_norm(parameters: list[nn.Parameter], limit: float) -> float:
    _clip_norm_reference(parameters, limit)
    return 1.0


def _clip_value_not_kept(parameters: list[nn.Parameter], limit: float) -> Tensor:
    g = torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])
    return _cosine(g, g.clamp(-limit, limit))


def _clip_value_mean_of_cosines(parameters: list[nn.Parameter], limit: float) -> Tensor:
    pairs = []
    for p in parameters:
        if p.grad is not None:
            before = p.grad.flatten().clone()
            p.grad.clamp_(-limit, limit)
            pairs.append(_cosine(before, p.grad.flatten()))
    return torch.stack(pairs).mean()


def _clip_value_unguarded(parameters: list[nn.Parameter], limit: float) -> Tensor:
    before = torch.cat([p.grad.flatten() for p in parameters])  # type: ignore[union-attr]
    for p in parameters:
        p.grad.clamp_(-limit, limit)  # type: ignore[union-attr]
    return _cosine(before, torch.cat([p.grad.flatten() for p in parameters]))  # type: ignore[union-attr]


CLIP_VALUE = Key(
    question=asked.CLIP_VALUE,
    solution=(clip_value,),
    reference=_clip_value_reference,
    source=(
        "Mikolov 2012, Statistical language models based on neural networks, section 3.2.2; Pascanu, Mikolov & "
        "Bengio 2013, section 3.2"
    ),
    mistakes=(
        Mistake(
            "only the upper side",
            "Large negative entries are left as they are: clip on both sides.",
            _clip_value_wrong(lambda g, c: g.clamp(max=c)),
        ),
        Mistake(
            "sign lost",
            "A large negative entry becomes −limit, not +limit: keep its sign.",
            _clip_value_wrong(lambda g, c: g.abs().clamp(max=c)),
        ),
        Mistake(
            "large entries set to 0",
            "An entry beyond the limit is cut to the limit, not thrown away.",
            _clip_value_wrong(lambda g, c: g * (g.abs() <= c)),
        ),
        Mistake(
            "every entry at the limit",
            "Entries within the limit stay as they are: yours all became ±limit.",
            _clip_value_wrong(lambda g, c: g.sign() * c),
        ),
        Mistake(
            "scaled by the norm",
            "That is the other custom, which keeps the direction. Here every entry is cut for itself.",
            _clip_value_by_norm,
        ),
        Mistake(
            "scaled by the largest entry",
            "You multiply a whole gradient by one factor. Cut every entry for itself.",
            _clip_value_wrong(lambda g, c: g * min(1.0, c / float(g.abs().max()))),
        ),
        Mistake(
            "gradients left as they were",
            "The cosine is right, but no gradient changes: `g = g.clamp(...)` only gives a new tensor a name. Write "
            "`g.clamp_(...)`, or assign to `p.grad`.",
            _clip_value_not_kept,
        ),
        Mistake(
            "before and after share memory",
            'Your cosine is always 1: what you kept as "before" was changed along by the clamping. Keep a copy.',
            _clip_value_wrong(angle=lambda u, v: _cosine(v, v)),
        ),
        Mistake(
            "product not divided by the norms",
            "A cosine is the inner product divided by *both* norms.",
            _clip_value_wrong(angle=lambda u, v: u @ v),
        ),
        Mistake(
            "divided by one norm",
            "Divide by the norm after clipping as well, not by the square of the norm before.",
            _clip_value_wrong(angle=lambda u, v: u @ v / (u @ u)),
        ),
        Mistake(
            "angle instead of its cosine",
            "Return cos α, not α.",
            _clip_value_wrong(angle=lambda u, v: torch.acos(_cosine(u, v).clamp(-1, 1))),
        ),
        Mistake(
            "mean of the parameters' cosines",
            "All entries of all parameters make one vector with one angle: join them before you take the cosine.",
            _clip_value_mean_of_cosines,
        ),
        Mistake(
            "missing gradients not skipped",
            "A parameter that took no part has `grad` None: skip it.",
            _clip_value_unguarded,
        ),
    ),
    alternatives={
        "new gradient tensors": _clip_value_new,
        "where and unit vectors": _clip_value_where,
        "three running sums": _clip_value_products,
    },
)


def train_stream(net, optimizer, x: Tensor, y: Tensor, h: Tensor, k: int) -> tuple[list[float], Tensor]:
    """Truncated BPTT over x (N, T, D), y (N, T) in chunks of k, from h (N, H): the chunks' losses and the last state."""
    ### BEGIN SOLUTION
    losses = []
    for start in range(0, x.shape[1], k):
        chunk = slice(start, start + k)
        predicted, h = net(x[:, chunk], h.detach())
        loss = F.mse_loss(predicted, y[:, chunk])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, h.detach()
    ### END SOLUTION


Trained = tuple[list[Any], Tensor]


def _stream_reference(net: nn.Module, optimizer: Any, x: Tensor, y: Tensor, h: Tensor, k: int) -> Trained:
    """Step by step, the chunk's squared errors summed and divided, its gradient handed over without `backward`."""
    parameters, losses, T = list(net.parameters()), [], x.shape[1]
    state = h.clone()
    start = 0
    while start < T:
        stop = min(start + k, T)
        total = x.new_zeros(())
        for t in range(start, stop):
            predicted, state = net(x[:, t : t + 1], state)
            total = total + ((predicted[:, 0] - y[:, t]) ** 2).sum()
        loss = total / (x.shape[0] * (stop - start))
        for p, g in zip(parameters, torch.autograd.grad(loss, parameters)):
            p.grad = g
        optimizer.step()
        losses.append(loss.item())
        state = state.detach().clone()
        start = stop
    return losses, state


def _stream_split(net: nn.Module, optimizer: Any, x: Tensor, y: Tensor, h: Tensor, k: int) -> Trained:
    losses = []
    for x_k, y_k in zip(x.split(k, dim=1), y.split(k, dim=1)):
        optimizer.zero_grad()
        predicted, h = net(x_k, h)
        h = h.detach()
        loss = (predicted - y_k).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses, h


def _stream_closure(net: nn.Module, optimizer: Any, x: Tensor, y: Tensor, h: Tensor, k: int) -> Trained:
    losses: list[float] = []
    held = {"h": h}
    for x_k, y_k in zip(x.split(k, 1), y.split(k, 1)):

        def closure(x_k: Tensor = x_k, y_k: Tensor = y_k) -> Tensor:
            net.zero_grad()
            predicted, after = net(x_k, held["h"])
            held["h"] = after.detach()
            loss = F.mse_loss(predicted, y_k)
            loss.backward()
            return loss

        losses.append(optimizer.step(closure).item())
    return losses, held["h"]


def _stream_zero_after(net: nn.Module, optimizer: Any, x: Tensor, y: Tensor, h: Tensor, k: int) -> Trained:
    losses, T = [], x.shape[1]
    for start in range(0, T, k):
        predicted, after = net(x[:, start : min(T, start + k)], h)
        with torch.no_grad():
            h = after.clone()
        error = predicted - y[:, start : start + k]
        loss = error.pow(2).sum() / error.numel()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)
        losses.append(loss.detach())
    return [loss.item() for loss in losses], h


def _stream_wrong(
    *,
    between: Callable[[Tensor, Tensor], Tensor] = lambda after, first: after.detach(),
    order: str = "zero backward step",
    leftover: bool = True,
    reduce: str = "mean",
    one_step_graphs: bool = False,
    keep: Callable[[Tensor], Any] = lambda loss: loss.item(),
    final: Callable[[Tensor], Tensor] = lambda h: h.detach(),
) -> Callable[..., Trained]:
    """Training on a stream with one part of it wrong."""

    def answer(net: nn.Module, optimizer: Any, x: Tensor, y: Tensor, h: Tensor, k: int) -> Trained:
        losses: list[Any] = []
        after = first = h
        for start in range(0, x.shape[1] if leftover else max(x.shape[1] // k, 1) * k, k):
            h = between(after, first)
            x_k, y_k = x[:, start : start + k], y[:, start : start + k]
            if one_step_graphs:
                pieces = []
                for t in range(x_k.shape[1]):
                    piece, h = net(x_k[:, t : t + 1], h.detach())
                    pieces.append(piece)
                predicted, after = torch.cat(pieces, 1), h
            else:
                predicted, after = net(x_k, h)
            loss = F.mse_loss(predicted, y_k, reduction=reduce)
            doings = {"zero": optimizer.zero_grad, "backward": loss.backward, "step": optimizer.step}
            for doing in order.split():
                doings[doing]()
            losses.append(keep(loss))
        return losses, final(after)

    return answer


def _stream_one_update(net: nn.Module, optimizer: Any, x: Tensor, y: Tensor, h: Tensor, k: int) -> Trained:
    losses = []
    for x_k, y_k in zip(x.split(k, 1), y.split(k, 1)):
        predicted, h = net(x_k, h)
        losses.append(F.mse_loss(predicted, y_k))
    optimizer.zero_grad()
    torch.stack(losses).mean().backward()
    optimizer.step()
    return [loss.item() for loss in losses], h.detach()


def _stream_windows(net: nn.Module, optimizer: Any, x: Tensor, y: Tensor, h: Tensor, k: int) -> Trained:
    """Each update looks back at the last k steps and moves on by one step."""
    losses = []
    for stop in range(min(k, x.shape[1]), x.shape[1] + 1):
        predicted, after = net(x[:, max(0, stop - k) : stop], h.detach())
        loss = F.mse_loss(predicted, y[:, max(0, stop - k) : stop])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        h = after
    return losses, h.detach()


TRUNCATED_BPTT = Key(
    question=asked.TRUNCATED_BPTT,
    solution=(train_stream,),
    reference=_stream_reference,
    source=(
        "Williams & Peng 1990, An efficient gradient-based algorithm for on-line training of recurrent network "
        "trajectories (h' = h)"
    ),
    mistakes=(
        Mistake(
            "state carried with its history",
            "The second chunk runs backward into the first one's graph, which is gone: `detach` the state between "
            "chunks.",
            _stream_wrong(between=lambda after, first: after),
        ),
        Mistake(
            "state set to zero for each chunk",
            "The memory is lost at each border: carry the state on, without its history.",
            _stream_wrong(between=lambda after, first: after.detach() if after is first else torch.zeros_like(after)),
        ),
        Mistake(
            "every chunk starts from the first state",
            "Each chunk of yours starts from the `h` that was handed in: start it from where the previous one ended.",
            _stream_wrong(between=lambda after, first: first),
        ),
        Mistake(
            "gradients pile up",
            "Each update also uses the gradients of the chunks before: clear them with `optimizer.zero_grad()`.",
            _stream_wrong(order="backward step"),
        ),
        Mistake(
            "gradients cleared before the step",
            "`zero_grad` between `backward` and `step` throws away what the step needs: clear first.",
            _stream_wrong(order="backward zero step"),
        ),
        Mistake(
            "step before backward",
            "`step` uses gradients that `backward` has to make first.",
            _stream_wrong(order="step zero backward"),
        ),
        Mistake(
            "no update",
            "The optimizer never steps: call `optimizer.step()` after each `backward`.",
            _stream_wrong(order="zero backward"),
        ),
        Mistake(
            "last chunk dropped",
            "When `k` does not divide T, the last chunk is shorter but counts: let the slice run past the end.",
            _stream_wrong(leftover=False),
        ),
        Mistake(
            "one update for the whole stream",
            "You run through the whole stream before the first update, and back through all of it: update after "
            "each chunk.",
            _stream_one_update,
        ),
        Mistake(
            "cut after every step",
            "Gradients flow within a chunk: detach between chunks only.",
            _stream_wrong(one_step_graphs=True),
        ),
        Mistake(
            "windows that overlap",
            "Chunks follow each other without overlap: move on by k steps, not by one.",
            _stream_windows,
        ),
        Mistake(
            "sum instead of mean",
            "The loss of a chunk is the mean over all its entries.",
            _stream_wrong(reduce="sum"),
        ),
        Mistake(
            "losses that keep their graphs",
            "Your list holds tensors with their graphs: take `loss.item()`.",
            _stream_wrong(keep=lambda loss: loss),
        ),
        Mistake(
            "final state that keeps its graph",
            "Detach the state that you return, too.",
            _stream_wrong(final=lambda h: h),
        ),
    ),
    alternatives={
        "split and detach at once": _stream_split,
        "a closure for the step": _stream_closure,
        "cleared after the step": _stream_zero_after,
    },
)
