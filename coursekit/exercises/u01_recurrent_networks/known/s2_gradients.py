"""Answer keys to section 2: gradients through time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coursekit.checks.declare import Key, Mistake
from coursekit.exercises.u01_recurrent_networks.asked import s2_gradients as asked


def bptt(x: Tensor, states: Tensor, W_hh: Tensor, dh: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """x (N, T, D), states (N, T + 1, H), W_hh (H, H), dh (N, T, H) -> dW_hx (H, D), dW_hh (H, H), db (H,), dh_0 (N, H)."""
    ### BEGIN SOLUTION
    dW_hx, dW_hh, db, back = 0, 0, 0, 0
    for t in reversed(range(x.shape[1])):
        delta = (dh[:, t] + back) * (states[:, t + 1] > 0)
        dW_hx = dW_hx + delta.T @ x[:, t]
        dW_hh = dW_hh + delta.T @ states[:, t]
        db = db + delta.sum(dim=0)
        back = delta @ W_hh
    return dW_hx, dW_hh, db, back
    ### END SOLUTION


def _bptt_reference(x: Tensor, states: Tensor, W_hh: Tensor, dh: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Every loss to every copy of the weights, each along its own product of Jacobians."""
    (N, T, D), H = x.shape, W_hh.shape[0]
    dW_hx, dW_hh, db = x.new_zeros(H, D), x.new_zeros(H, H), x.new_zeros(H)
    dh_0 = x.new_zeros(N, H)
    for n in range(N):
        slope = [torch.diag((h > 0).to(x.dtype)) for h in states[n]]  # slope[t + 1]: of the rectifier at step t
        for t in range(T):
            v = slope[t + 1] @ dh[n, t]
            for s in range(t, -1, -1):
                dW_hx += torch.outer(v, x[n, s])
                dW_hh += torch.outer(v, states[n, s])
                db += v
                if s > 0:
                    v = slope[s] @ W_hh.T @ v
            dh_0[n] += W_hh.T @ v
    return dW_hx, dW_hh, db, dh_0


def _bptt_deltas_first(x: Tensor, states: Tensor, W_hh: Tensor, dh: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    live = states[:, 1:].sign()
    deltas = torch.zeros_like(dh)
    carried = torch.zeros_like(states[:, 0])
    for t in range(dh.shape[1] - 1, -1, -1):
        deltas[:, t] = live[:, t] * (dh[:, t] + carried)
        carried = deltas[:, t] @ W_hh
    dW_hx = torch.einsum("nth,ntd->hd", deltas, x)
    dW_hh = torch.einsum("nth,ntk->hk", deltas, states[:, :-1])
    return dW_hx, dW_hh, deltas.sum((0, 1)), carried


def _bptt_loss_by_loss(x: Tensor, states: Tensor, W_hh: Tensor, dh: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    T = x.shape[1]
    out = [x.new_zeros(W_hh.shape[0], x.shape[2]), torch.zeros_like(W_hh), torch.zeros_like(W_hh[0]), torch.zeros_like(states[:, 0])]
    for t in range(T):
        g = dh[:, t]
        for s in reversed(range(t + 1)):
            g = torch.where(states[:, s + 1] > 0, g, torch.zeros_like(g))
            out[0] += g.mT @ x[:, s]
            out[1] += g.mT @ states[:, s]
            out[2] += g.sum(0)
            g = g @ W_hh
        out[3] += g
    return out[0], out[1], out[2], out[3]


def _bptt_columns(x: Tensor, states: Tensor, W_hh: Tensor, dh: Tensor) -> list[Tensor]:
    grads: list[Any] = [0.0, 0.0, 0.0]
    column = torch.zeros_like(states[:, 0]).T
    for x_t, before, after, own in reversed(list(zip(x.unbind(1), states[:, :-1].unbind(1), states[:, 1:].unbind(1), dh.unbind(1)))):
        column = (own.T + column).masked_fill(after.T <= 0, 0)
        for k, share in enumerate((column @ x_t, column @ before, column.sum(1))):
            grads[k] = grads[k] + share
        column = W_hh.T @ column
    return [*grads, column.T]


def _bptt_wrong(
    *,
    own: Callable[[Tensor, int], Tensor] = lambda dh, t: dh[:, t],
    slope: Callable[[Tensor], Tensor] = lambda h: (h > 0).to(h.dtype),
    carry: bool = True,
    transposed: bool = False,
    late: bool = False,
    slope_early: bool = False,
    slope_on_own_only: bool = False,
    keep: bool = True,
    scale: Callable[[Tensor], float] = lambda x: 1.0,
    last_product: bool = True,
) -> Callable[..., tuple[Tensor, ...]]:
    """Back-propagation with one part of it wrong."""

    def answer(x: Tensor, states: Tensor, W_hh: Tensor, dh: Tensor) -> tuple[Tensor, ...]:
        grads: list[Any] = [0.0, 0.0, 0.0]
        back, delta = torch.zeros_like(dh[:, 0]), torch.zeros_like(dh[:, 0])
        for t in reversed(range(x.shape[1])):
            s = slope(states[:, t if slope_early else t + 1])
            delta = own(dh, t) * s + back if slope_on_own_only else (own(dh, t) + back) * s
            shares = (delta.T @ x[:, t], delta.T @ states[:, t + 1 if late else t], delta.sum(0))
            grads = [share + (g if keep else 0.0) for g, share in zip(grads, shares)]
            through = delta @ (W_hh.T if transposed else W_hh)
            back = through if carry else torch.zeros_like(through)
        return (*(g * scale(x) for g in grads), through if last_product else delta)

    return answer


BPTT = Key(
    question=asked.BPTT,
    solution=(bptt,),
    reference=_bptt_reference,
    source="Werbos 1990, Backpropagation through time; Pascanu, Mikolov & Bengio 2013, eq. 3-5",
    mistakes=(
        Mistake(
            "only the last loss",
            "Every step has a loss: `dh[:, t]` joins the gradient at each t, not only at the end.",
            _bptt_wrong(own=lambda dh, t: dh[:, t] * (t == dh.shape[1] - 1)),
        ),
        Mistake(
            "nothing comes back from later steps",
            "A state also feeds the next step: add `delta @ W_hh` of step t + 1 to `dh[:, t]`.",
            _bptt_wrong(carry=False),
        ),
        Mistake(
            "slope of the rectifier left out",
            "Units that were cut off at 0 pass no gradient: keep `delta` only where `states[:, t + 1] > 0`.",
            _bptt_wrong(slope=torch.ones_like),
        ),
        Mistake(
            "slope of tanh",
            "1 − h² is the slope of tanh. The rectifier's is 1 where the state is positive and 0 elsewhere.",
            _bptt_wrong(slope=lambda h: 1 - h**2),
        ),
        Mistake(
            "slope at the previous state",
            "The rectifier of step t made `states[:, t + 1]`: take its slope there.",
            _bptt_wrong(slope_early=True),
        ),
        Mistake(
            "slope applied to the own loss only",
            "Add what comes back from the next step *before* the slope: both gradients pass the same rectifier.",
            _bptt_wrong(slope_on_own_only=True),
        ),
        Mistake(
            "transposed recurrent weights",
            "Forwards a row is multiplied by `W_hh.T`, so backwards by `W_hh`.",
            _bptt_wrong(transposed=True),
        ),
        Mistake(
            "state after instead of before the step",
            "`W_hh` multiplied the state before the step, which is `states[:, t]`.",
            _bptt_wrong(late=True),
        ),
        Mistake(
            "overwritten instead of summed",
            "One matrix serves all steps: add up the shares of all steps.",
            _bptt_wrong(keep=False),
        ),
        Mistake(
            "averaged over the steps",
            "The gradient of a shared matrix is the sum over its uses, not their mean.",
            _bptt_wrong(scale=lambda x: 1 / x.shape[1]),
        ),
        Mistake(
            "averaged over the batch",
            "C sums over the sequences, and so does its gradient: do not divide by N.",
            _bptt_wrong(scale=lambda x: 1 / x.shape[0]),
        ),
        Mistake(
            "one product short at the start",
            "What you return for h_0 is the gradient inside step 0; it still has to pass through `W_hh`.",
            _bptt_wrong(last_product=False),
        ),
    ),
    alternatives={
        "all deltas first, then einsum": _bptt_deltas_first,
        "loss by loss": _bptt_loss_by_loss,
        "columns instead of rows": _bptt_columns,
    },
)


def tied_step(loss, W: Tensor, T: int, lr: float) -> Tensor:
    """One step of gradient descent on the shared W (H, H); loss takes a list of T copies -> the new W (H, H)."""
    ### BEGIN SOLUTION
    copies = [W.detach().clone().requires_grad_() for _ in range(T)]
    grads = torch.autograd.grad(loss(copies), copies)
    return W.detach() - lr * torch.stack(grads).sum(dim=0)
    ### END SOLUTION


def matching_rate(lr: float, T: int) -> float:
    """The learning rate with which the other rule takes the step that `tied_step` takes with lr."""
    ### BEGIN SOLUTION
    return lr * T
    ### END SOLUTION


Loss = Callable[[list[Tensor]], Tensor]


def _tied_reference(loss: Loss, W: Tensor, T: int, lr: float) -> Tensor:
    """The gradient of C as a function of the one shared matrix, then one step of descent."""
    shared = W.detach().clone().requires_grad_()
    (grad,) = torch.autograd.grad(loss([shared for _ in range(T)]), shared)
    return (W - lr * grad).detach()


def _rate_reference(lr: float, T: int) -> float:
    # eta * sum = (eta' / T) * sum
    return lr * T


def _tied_by_backward(loss: Loss, W: Tensor, T: int, lr: float) -> Tensor:
    copies = [nn.Parameter(W.clone()) for _ in range(T)]
    loss(copies).backward()
    new = W.clone()
    for copy in copies:
        new -= lr * copy.grad
    return new


def _tied_by_stack(loss: Loss, W: Tensor, T: int, lr: float) -> Tensor:
    stack = W.detach().expand(T, *W.shape).clone().requires_grad_()
    loss(list(stack.unbind())).backward()
    return torch.add(W.detach(), stack.grad.sum(0), alpha=-lr)  # type: ignore[union-attr]


def _tied_updates(loss: Loss, W: Tensor, T: int, lr: float) -> Tensor:
    copies = [W.detach().clone().requires_grad_(True) for _ in range(T)]
    updates = [-lr * g for g in torch.autograd.grad(loss(copies), copies)]
    return sum(updates, start=W.detach())  # type: ignore[return-value]


def _tied_wrong(combine: Callable[[list[Tensor]], Tensor], sign: float = -1.0) -> Callable[..., Tensor]:
    """A step whose copies' gradients are combined in another way."""

    def answer(loss: Loss, W: Tensor, T: int, lr: float) -> Tensor:
        copies = [W.detach().clone().requires_grad_() for _ in range(T)]
        return W.detach() + sign * lr * combine(list(torch.autograd.grad(loss(copies), copies)))

    return answer


def _one_tensor_listed(loss: Loss, W: Tensor, T: int, lr: float) -> Tensor:
    copies = [W.detach().clone().requires_grad_()] * T
    return W.detach() - lr * torch.stack(torch.autograd.grad(loss(copies), copies)).sum(0)


def _one_after_another(loss: Loss, W: Tensor, T: int, lr: float) -> Tensor:
    new = W.detach().clone()
    for t in range(T):
        copies = [new.clone().requires_grad_() for _ in range(T)]
        new = new - lr * torch.autograd.grad(loss(copies), copies[t])[0]
    return new


def _graph_kept(loss: Loss, W: Tensor, T: int, lr: float) -> Tensor:
    copies = [W.clone().requires_grad_() for _ in range(T)]
    grads = torch.autograd.grad(loss(copies), copies, create_graph=True)
    return W - lr * torch.stack(grads).sum(0)


def _overwritten(loss: Loss, W: Tensor, T: int, lr: float) -> Tensor:
    copies = [W.detach().clone().requires_grad_() for _ in range(T)]
    W -= lr * torch.stack(torch.autograd.grad(loss(copies), copies)).sum(0)
    return W


def _pair(step: Callable[..., Tensor] = _tied_reference, rate: Callable[..., float] = _rate_reference) -> dict[str, Any]:
    return {"tied_step": step, "matching_rate": rate}


SUMMED_UPDATES = Key(
    question=asked.SUMMED_UPDATES,
    solution=(tied_step, matching_rate),
    reference=_pair(),
    source="total derivative of C(W, ..., W); Werbos 1990, Backpropagation through time; Goodfellow, Bengio & Courville 2016, section 10.2.2",
    mistakes=(
        Mistake(
            "averaged",
            "That step is T times too short: moving the shared matrix moves all T copies, so their effects on C add up.",
            _pair(_tied_wrong(lambda g: torch.stack(g).mean(0))),
        ),
        Mistake(
            "averaged, and the rate turned to fit",
            "You took the average for the gradient. A finite difference of C in an entry of the shared W shows the sum.",
            _pair(_tied_wrong(lambda g: torch.stack(g).mean(0)), lambda lr, T: lr / T),
        ),
        Mistake(
            "one tensor listed T times",
            "`[W] * T` holds one tensor T times: autograd then gives its total gradient T times over. Make T tensors.",
            _pair(_one_tensor_listed),
        ),
        Mistake(
            "only the last copy",
            "Each copy has an update, not only the one of the last step.",
            _pair(_tied_wrong(lambda g: g[-1])),
        ),
        Mistake(
            "only the first copy",
            "Each copy has an update, not only the one of the first step.",
            _pair(_tied_wrong(lambda g: g[0])),
        ),
        Mistake(
            "uphill",
            "Descent subtracts the gradient.",
            _pair(_tied_wrong(lambda g: torch.stack(g).sum(0), sign=1.0)),
        ),
        Mistake(
            "copies moved one after another",
            "All gradients belong to one and the same W: compute them before anything moves.",
            _pair(_one_after_another),
        ),
        Mistake(
            "graph kept",
            "Your result still needs a gradient, so a chain of steps keeps every graph alive: detach `W` and the gradients.",
            _pair(_graph_kept),
        ),
        Mistake(
            "W overwritten",
            "`W -= ...` writes into the caller's matrix: return a new one.",
            _pair(_overwritten),
        ),
        Mistake(
            "rate divided by T",
            "The other rule already divides by T. To take the same step its rate must make up for that.",
            _pair(rate=lambda lr, T: lr / T),
        ),
        Mistake(
            "rate unchanged",
            "With one rate the two rules differ by the factor T.",
            _pair(rate=lambda lr, T: lr),
        ),
        Mistake(
            "rate by the root of T",
            "Roots of T belong to the noise of averages. Here the two steps differ by the factor T itself.",
            _pair(rate=lambda lr, T: lr * math.sqrt(T)),
        ),
    ),
    alternatives={
        "parameters and backward": _pair(_tied_by_backward),
        "one stacked tensor": _pair(_tied_by_stack, lambda lr, T: T / (1 / lr)),
        "sum of updates": _pair(_tied_updates, lambda lr, T: sum([lr] * T)),
    },
)


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
            "Each of your tensors gets a factor of its own, which turns the gradient. Take one norm over all, and one factor.",
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
            "A parameter without a gradient stays without one: zeros would make optimisers with momentum or decay move it.",
            _clip_fills_missing,
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
        p.grad = torch.minimum(torch.maximum(p.grad, torch.tensor(-limit, dtype=p.dtype)), torch.tensor(limit, dtype=p.dtype))
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
    source="Mikolov 2012, Statistical language models based on neural networks, section 3.2.2; Pascanu, Mikolov & Bengio 2013, section 3.2",
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
            "before and after share memory",
            "Your cosine is always 1: what you kept as \"before\" was changed along by the clamping. Keep a copy.",
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


def jacobian_bound(W: Tensor, D: int, gamma: float, steps: int) -> float:
    """Bound on the spectral norm of dh_T / dh_0 over `steps` steps: W (H, D + H), input columns first."""
    ### BEGIN SOLUTION
    W_hh = W[:, D:]
    largest = torch.linalg.matrix_norm(W_hh, ord=2).item()
    return (gamma * largest) ** steps
    ### END SOLUTION


def verdict(W: Tensor, D: int, gamma: float) -> str:
    """ "vanishes" where the theorem promises it, otherwise "undecided"."""
    ### BEGIN SOLUTION
    return "vanishes" if jacobian_bound(W, D, gamma, 1) < 1 else "undecided"
    ### END SOLUTION


def _bound_reference(W: Tensor, D: int, gamma: float, steps: int) -> float:
    """A factor for each step: the largest slope times the root of the largest eigenvalue of the block's Gram matrix."""
    W_hh = torch.stack([row[D:] for row in W]).double()
    largest = math.sqrt(float(torch.linalg.eigvalsh(W_hh.T @ W_hh).max()))
    bound = 1.0
    for _ in range(steps):
        bound *= gamma * largest
    return bound


def _verdict_reference(W: Tensor, D: int, gamma: float) -> str:
    return "vanishes" if _bound_reference(W, D, gamma, 1) < 1 else "undecided"


def _spectral(
    block: Callable[[Tensor, int], Tensor] = lambda W, D: W[:, D:],
    size: Callable[[Tensor], Tensor] = lambda B: torch.linalg.svdvals(B)[0],
    bound: Callable[[float, float, int], float] = lambda s, gamma, steps: (gamma * s) ** steps,
    small: Callable[[float, float], bool] = lambda s, gamma: s < 1 / gamma,
    words: tuple[str, str] = ("vanishes", "undecided"),
) -> dict[str, Any]:
    """A reading of the theorem: which block, which size of it, what follows."""

    def jacobian_bound(W: Tensor, D: int, gamma: float, steps: int) -> float:
        return bound(float(size(block(W, D))), gamma, steps)

    def verdict(W: Tensor, D: int, gamma: float) -> str:
        return words[0] if small(float(size(block(W, D))), gamma) else words[1]

    return {"jacobian_bound": jacobian_bound, "verdict": verdict}


def _power_iteration(B: Tensor) -> Tensor:
    v = torch.ones(B.shape[1], dtype=B.dtype) + 0.1 * torch.arange(B.shape[1], dtype=B.dtype)
    for _ in range(400):
        v = B.T @ (B @ v)
        v = v / v.norm()
    return (B @ v).norm()


SPECTRAL_BOUND = Key(
    question=asked.SPECTRAL_BOUND,
    solution=(jacobian_bound, verdict),
    reference={"jacobian_bound": _bound_reference, "verdict": _verdict_reference},
    source="Pascanu, Mikolov & Bengio 2013, On the difficulty of training recurrent neural networks, section 2.1, eq. 6-7",
    mistakes=(
        Mistake(
            "the slide, word for word",
            "Two things at once: only the columns after the first D multiply the previous state, and a bound above 1 promises nothing.",
            _spectral(block=lambda W, D: W, words=("vanishes", "explodes")),
        ),
        Mistake(
            "stacked matrix",
            "The columns of the input never enter the product over time: take `W[:, D:]`.",
            _spectral(block=lambda W, D: W),
        ),
        Mistake(
            "necessary taken for sufficient",
            "Above 1/γ the gradient *may* explode. Saturated units make it vanish all the same: the verdict is \"undecided\".",
            _spectral(words=("vanishes", "explodes")),
        ),
        Mistake(
            "block of the input",
            "Those columns multiply the input. The state's are the last H: `W[:, D:]`.",
            _spectral(block=lambda W, D: W[:, :D]),
        ),
        Mistake(
            "first H columns",
            "The input's columns come first, so the recurrent block begins at column D, not at 0.",
            _spectral(block=lambda W, D: W[:, : W.shape[0]]),
        ),
        Mistake(
            "largest eigenvalue",
            "An eigenvalue can be small while a step stretches some direction: the bound needs the largest *singular* value.",
            _spectral(size=lambda B: torch.linalg.eigvals(B).abs().max()),
        ),
        Mistake(
            "Frobenius norm",
            "`torch.linalg.norm` of a matrix is the root of the sum of squares by default: ask for `ord=2`.",
            _spectral(size=torch.linalg.matrix_norm),
        ),
        Mistake(
            "smallest singular value",
            "`ord=-2`, or the last of `svdvals`, is the smallest. The bound needs the largest.",
            _spectral(size=lambda B: torch.linalg.svdvals(B)[-1]),
        ),
        Mistake(
            "eigenvalue of the Gram matrix",
            "The eigenvalues of W'W are the squares of the singular values: take the root.",
            _spectral(size=lambda B: torch.linalg.svdvals(B)[0] ** 2),
        ),
        Mistake(
            "gamma on the wrong side",
            "A flatter squashing function shrinks more: multiply by gamma, and compare with 1/gamma.",
            _spectral(bound=lambda s, gamma, steps: (s / gamma) ** steps, small=lambda s, gamma: s < gamma),
        ),
        Mistake(
            "gamma once",
            "Each step has its own slope: gamma counts once for each of them.",
            _spectral(bound=lambda s, gamma, steps: gamma * s**steps),
        ),
        Mistake(
            "gamma left out",
            "The sigmoid's slope is at most 1/4: gamma belongs to each step.",
            _spectral(bound=lambda s, gamma, steps: s**steps, small=lambda s, gamma: s < 1),
        ),
        Mistake(
            "multiplied by the steps",
            "The factors of the steps multiply: a power, not a multiple.",
            _spectral(bound=lambda s, gamma, steps: gamma * s * steps),
        ),
    ),
    alternatives={
        "singular values": _spectral(),
        "power iteration": _spectral(size=_power_iteration, small=lambda s, gamma: gamma * s < 1),
        "logarithms": _spectral(
            block=lambda W, D: W[:, -W.shape[0] :],
            size=lambda B: torch.linalg.norm(B, 2),
            bound=lambda s, gamma, steps: math.exp(steps * (math.log(gamma) + math.log(s))),
        ),
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
    """Step by step, the chunk's squared errors summed and divided, its gradient written down by hand."""
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
        losses.append(float(loss))
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
        losses.append(float(loss))
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
    source="Williams & Peng 1990, An efficient gradient-based algorithm for on-line training of recurrent network trajectories (h' = h)",
    mistakes=(
        Mistake(
            "state carried with its history",
            "The second chunk runs backward into the first one's graph, which is gone: `detach` the state between chunks.",
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
            "You run through the whole stream before the first update, and back through all of it: update after each chunk.",
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
