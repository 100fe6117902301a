"""Answer keys to section 2: gradients through time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
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
    H = W_hh.shape[0]
    out = [x.new_zeros(size) for size in ((H, x.shape[2]), (H, H), (H,), (x.shape[0], H))]
    for t in range(x.shape[1]):
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
    steps = zip(x.unbind(1), states[:, :-1].unbind(1), states[:, 1:].unbind(1), dh.unbind(1))
    for x_t, before, after, own in reversed(list(steps)):
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


def _pair(
    step: Callable[..., Tensor] = _tied_reference, rate: Callable[..., float] = _rate_reference
) -> dict[str, Any]:
    return {"tied_step": step, "matching_rate": rate}


SUMMED_UPDATES = Key(
    question=asked.SUMMED_UPDATES,
    solution=(tied_step, matching_rate),
    reference=_pair(),
    source=(
        "total derivative of C(W, ..., W); Werbos 1990, Backpropagation through time; Goodfellow, Bengio & "
        "Courville 2016, section 10.2.2"
    ),
    mistakes=(
        Mistake(
            "averaged",
            "That step is T times too short: moving the shared matrix moves all T copies, so their effects on C add "
            "up.",
            _pair(_tied_wrong(lambda g: torch.stack(g).mean(0))),
        ),
        Mistake(
            "averaged, and the rate turned to fit",
            "You took the average for the gradient. A finite difference of C in an entry of the shared W shows the "
            "sum.",
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
            "Your result still needs a gradient, so a chain of steps keeps every graph alive: detach `W` and the "
            "gradients.",
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
    source=(
        "Pascanu, Mikolov & Bengio 2013, On the difficulty of training recurrent neural networks, section 2.1, eq. 6-7"
    ),
    mistakes=(
        Mistake(
            "the slide, word for word",
            "Two things at once: only the columns after the first D multiply the previous state, and a bound above "
            "1 promises nothing.",
            _spectral(block=lambda W, D: W, words=("vanishes", "explodes")),
        ),
        Mistake(
            "stacked matrix",
            "The columns of the input never enter the product over time: take `W[:, D:]`.",
            _spectral(block=lambda W, D: W),
        ),
        Mistake(
            "necessary taken for sufficient",
            "Above 1/γ the gradient *may* explode. Saturated units make it vanish all the same: the verdict is "
            '"undecided".',
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
            "An eigenvalue can be small while a step stretches some direction: the bound needs the largest "
            "*singular* value.",
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
