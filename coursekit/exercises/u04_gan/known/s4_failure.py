"""Answer keys to section 4: how it fails."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from coursekit.checks.declare import Key, Mistake
from coursekit.exercises.u04_gan.asked import s4_failure as asked

Value = Callable[[Tensor, Tensor], Tensor]

# game_step


def game_step(value, x: Tensor, y: Tensor, eta: float, rule: str) -> tuple[Tensor, Tensor]:
    """One step of x (D,), who descends value(x, y), and of y (E,), who ascends it -> the new x and y."""

    ### BEGIN SOLUTION
    def slopes(x, y):
        x, y = x.clone().requires_grad_(), y.clone().requires_grad_()
        return torch.autograd.grad(value(x, y), [x, y])

    at = (x, y)
    if rule == "extragradient":
        down, up = slopes(x, y)
        at = (x - eta * down, y + eta * up)
    down, up = slopes(*at)
    if rule == "alternating":
        up = slopes(x - eta * down, y)[1]
    return x - eta * down, y + eta * up
    ### END SOLUTION


def _slope(value: Value, x: Tensor, y: Tensor, of: int) -> Tensor:
    """The gradient for player 0 (x) or 1 (y), on its own."""
    players = [x.detach().clone(), y.detach().clone()]
    players[of].requires_grad_()
    value(*players).backward()
    grad = players[of].grad
    return torch.zeros_like(players[of]) if grad is None else grad


def _game_by_equations(value: Value, x: Tensor, y: Tensor, eta: float, rule: str) -> tuple[Tensor, Tensor]:
    """Each rule written out as in the task."""
    if rule == "simultaneous":
        return x - eta * _slope(value, x, y, 0), y + eta * _slope(value, x, y, 1)
    if rule == "alternating":
        new_x = x - eta * _slope(value, x, y, 0)
        return new_x, y + eta * _slope(value, new_x, y, 1)
    bar_x, bar_y = x - eta * _slope(value, x, y, 0), y + eta * _slope(value, x, y, 1)
    return x - eta * _slope(value, bar_x, bar_y, 0), y + eta * _slope(value, bar_x, bar_y, 1)


def _game_one_vector(value: Value, x: Tensor, y: Tensor, eta: float, rule: str) -> tuple[Tensor, Tensor]:
    """Both players as one vector with a vector of signs."""
    D = len(x)
    signs = torch.cat([-torch.ones_like(x), torch.ones_like(y)])

    def ahead(start: Tensor, seen_from: Tensor) -> Tensor:
        w = seen_from.detach().requires_grad_()
        (slope,) = torch.autograd.grad(value(w[:D], w[D:]), w)
        return start + eta * signs * slope

    w = torch.cat([x, y])
    new = ahead(w, w)
    if rule == "extragradient":
        new = ahead(w, new)
    elif rule == "alternating":
        new = torch.cat([new[:D], ahead(w, torch.cat([new[:D], y]))[D:]])
    return new[:D].detach(), new[D:].detach()


def _game_functional(value: Value, x: Tensor, y: Tensor, eta: float, rule: str) -> tuple[Tensor, Tensor]:
    at_x, at_y = x, y
    for _ in range(1 + (rule == "extragradient")):
        down, up = torch.func.grad(value, argnums=(0, 1))(at_x, at_y)
        at_x, at_y = x - eta * down, y + eta * up
    if rule == "alternating":
        at_y = y + eta * torch.func.grad(value, argnums=1)(at_x, y)
    return at_x, at_y


def _game_sgd(value: Value, x: Tensor, y: Tensor, eta: float, rule: str) -> tuple[Tensor, Tensor]:
    """Parameters with `.grad`, moved in place."""
    p, q = x.clone().requires_grad_(), y.clone().requires_grad_()

    def refresh() -> None:
        p.grad = q.grad = None
        value(p, q).backward()
        for tensor in (p, q):
            tensor.grad = torch.zeros_like(tensor) if tensor.grad is None else tensor.grad

    refresh()
    with torch.no_grad():
        if rule == "extragradient":
            p -= eta * p.grad
            q += eta * q.grad
    if rule == "extragradient":
        refresh()
        return x - eta * p.grad, y + eta * q.grad
    with torch.no_grad():
        p -= eta * p.grad
    if rule == "alternating":
        refresh()
    with torch.no_grad():
        q += eta * q.grad
    return p.detach(), q.detach()


def _game_wrong(
    *,
    signs: tuple[float, float] = (-1, 1),
    rules: dict[str, str] | None = None,
    start: str = "here",
    look: float = 1.0,
    average: bool = False,
    first: str = "x",
    finish: Callable[[Tensor], Tensor] = lambda t: t,
    lookahead: str = "simultaneous",
    scale: float = 1.0,
) -> Callable[..., tuple[Tensor, Tensor]]:
    """The equations with one thing changed."""

    def step(value: Value, x: Tensor, y: Tensor, eta: float, rule: str) -> tuple[Tensor, Tensor]:
        rule, eta = (rules or {}).get(rule, rule), eta * scale
        move = [
            lambda a, b, c: a + signs[0] * eta * _slope(value, b, c, 0),
            lambda a, b, c: a + signs[1] * eta * _slope(value, b, c, 1),
        ]
        if rule == "simultaneous":
            new = move[0](x, x, y), move[1](y, x, y)
        elif rule == "alternating":
            if first == "y":
                new_y = move[1](y, x, y)
                new = move[0](x, x, new_y), new_y
            else:
                new_x = move[0](x, x, y)
                new = new_x, move[1](y, new_x, y)
        else:
            bar_x = x + look * (move[0](x, x, y) - x)
            bar_y = y + look * (move[1](y, x if lookahead == "simultaneous" else bar_x, y) - y)
            if average:
                down, up = (0.5 * (_slope(value, x, y, k) + _slope(value, bar_x, bar_y, k)) for k in (0, 1))
                new = x - eta * down, y + eta * up
            elif start == "there":
                new = move[0](bar_x, bar_x, bar_y), move[1](bar_y, bar_x, bar_y)
            else:
                new = move[0](x, bar_x, bar_y), move[1](y, bar_x, bar_y)
        return finish(new[0]), finish(new[1])

    return step


def _game_flagged(value: Value, x: Tensor, y: Tensor, eta: float, rule: str) -> tuple[Tensor, Tensor]:
    new = _game_by_equations(value, x, y, eta, rule)
    x.requires_grad_()
    y.requires_grad_()
    return new


def _game_in_place(value: Value, x: Tensor, y: Tensor, eta: float, rule: str) -> tuple[Tensor, Tensor]:
    new = _game_by_equations(value, x, y, eta, rule)
    x.copy_(new[0])
    y.copy_(new[1])
    return x, y


def _game_changed_in_probe(value: Value, x: Tensor, y: Tensor, eta: float, rule: str) -> tuple[Tensor, Tensor]:
    """Moves x in place before y looks: every rule becomes the alternating one."""
    x = x.clone()
    x.sub_(eta * _slope(value, x, y, 0))
    return x, y + eta * _slope(value, x, y, 1)


GAME_STEP = Key(
    question=asked.GAME_STEP,
    solution=(game_step,),
    reference=_game_by_equations,
    source="Korpelevich 1976, The extragradient method, Matecon 12; Gidel et al. 2019, A variational inequality perspective on "
    "GANs, arXiv:1802.10551, sections 2 and 3",
    mistakes=(
        Mistake(
            "both descend",
            "Player y wants V large: its gradient is added.",
            _game_wrong(signs=(-1, -1)),
        ),
        Mistake(
            "both ascend",
            "Player x wants V small: its gradient is subtracted.",
            _game_wrong(signs=(1, 1)),
        ),
        Mistake(
            "players swapped",
            "x descends and y ascends. Yours play the other's part.",
            _game_wrong(signs=(1, -1)),
        ),
        Mistake(
            "y sees the new x in every rule",
            "x has moved before y looks, so that every rule is the alternating one. Take both gradients first, "
            "then move both.",
            _game_changed_in_probe,
        ),
        Mistake(
            "alternating without turns",
            "In the alternating rule y answers to x', where x has already moved.",
            _game_wrong(rules={"alternating": "simultaneous"}),
        ),
        Mistake(
            "y moves first",
            "In the alternating rule x moves first, and y answers.",
            _game_wrong(first="y"),
        ),
        Mistake(
            "two steps forward",
            "You go on from the look-ahead point. Come back: its gradients are applied at (x, y).",
            _game_wrong(start="there"),
        ),
        Mistake(
            "no look ahead",
            "Your extragradient step uses the gradients at (x, y). Take them at the look-ahead point.",
            _game_wrong(rules={"extragradient": "simultaneous"}),
        ),
        Mistake(
            "looks half as far",
            "The look-ahead step has the full length, eta.",
            _game_wrong(look=0.5),
        ),
        Mistake(
            "looks ahead in turns",
            "The look-ahead step is simultaneous: both of its gradients are those at (x, y).",
            _game_wrong(lookahead="alternating"),
        ),
        Mistake(
            "average of both gradients",
            "That is Heun's method. The extragradient step uses the gradients at the look-ahead point alone.",
            _game_wrong(average=True),
        ),
        Mistake(
            "half the step",
            "Every step has the length eta, not eta/2.",
            _game_wrong(scale=0.5),
        ),
        Mistake(
            "flags left behind",
            "You set `requires_grad` on the vectors that you were given. Set it on copies: `x.clone().requires_grad_()`.",
            _game_flagged,
        ),
        Mistake(
            "results require a gradient",
            "The new vectors are to be plain numbers: `detach()` them.",
            _game_wrong(finish=lambda t: t.requires_grad_()),
        ),
    ),
    alternatives={
        "one vector with signs": _game_one_vector,
        "torch.func": _game_functional,
        "parameters with .grad": _game_sgd,
    },
)

# game_convergence


def _eigenvalues(value, x: Tensor, y: Tensor) -> Tensor:
    """Eigenvalues of the Jacobian of (grad_x V, -grad_y V)."""
    ### BEGIN SOLUTION
    (xx, xy), (yx, yy) = torch.autograd.functional.hessian(value, (x, y))
    return torch.linalg.eigvals(torch.cat([torch.cat([xx, xy], 1), -torch.cat([yx, yy], 1)]))
    ### END SOLUTION


def growth(value, x: Tensor, y: Tensor, eta: float) -> float:
    """By which factor a simultaneous step multiplies the distance to the equilibrium (x, y), in the long run."""
    ### BEGIN SOLUTION
    return (1 - eta * _eigenvalues(value, x, y)).abs().max().item()
    ### END SOLUTION


def largest_rate(value, x: Tensor, y: Tensor) -> float:
    """The rate below which simultaneous steps converge to the equilibrium (x, y), or 0."""
    ### BEGIN SOLUTION
    poles = _eigenvalues(value, x, y)
    if poles.real.min() <= 1e-6 * poles.abs().max():
        return 0.0
    return (2 * poles.real / poles.abs() ** 2).min().item()
    ### END SOLUTION


def _field_jacobian(value: Value, x: Tensor, y: Tensor, sign_y: float = -1.0) -> Tensor:
    """Row by row: each entry of F differentiated on its own."""
    x, y = x.clone().requires_grad_(), y.clone().requires_grad_()
    down, up = torch.autograd.grad(value(x, y), [x, y], create_graph=True)
    F = torch.cat([down, sign_y * up])
    rows = []
    for entry in F:
        pieces = torch.autograd.grad(entry, [x, y], retain_graph=True, allow_unused=True)
        rows.append(torch.cat([torch.zeros_like(w) if g is None else g for g, w in zip(pieces, (x, y))]))
    return torch.stack(rows)


def _growth_by_rows(value: Value, x: Tensor, y: Tensor, eta: float) -> float:
    J = _field_jacobian(value, x, y)
    step = torch.eye(len(J), dtype=J.dtype) - eta * J
    return max(abs(complex(root)) for root in torch.linalg.eigvals(step))


def _rate_by_rows(value: Value, x: Tensor, y: Tensor) -> float:
    roots = [complex(root) for root in torch.linalg.eigvals(_field_jacobian(value, x, y))]
    if min(root.real for root in roots) <= 1e-6 * max(abs(root) for root in roots):
        return 0.0
    return min(2 * root.real / (root.real**2 + root.imag**2) for root in roots)


def _growth_of_map(value: Value, x: Tensor, y: Tensor, eta: float) -> float:
    """The update itself as a function of one vector, and its Jacobian."""
    D = len(x)

    def moved(w: Tensor) -> Tensor:
        down, up = torch.func.grad(value, argnums=(0, 1))(w[:D], w[D:])
        return torch.cat([w[:D] - eta * down, w[D:] + eta * up])

    J = torch.func.jacrev(moved)(torch.cat([x, y]))
    return float(torch.linalg.eigvals(J).abs().max())


def _rate_of_map(value: Value, x: Tensor, y: Tensor) -> float:
    """From the shape of the circles: |1 - eta lambda| = 1 is a quadratic in eta with the roots 0 and 2 Re / |lambda|^2."""
    roots = torch.linalg.eigvals(_field_jacobian(value, x, y))
    re, im = roots.real, roots.imag
    rates = torch.where(re > 1e-6 * roots.abs().max(), 2 / (re + im**2 / re), 0)
    return float(rates.min())


def _growth_powers(value: Value, x: Tensor, y: Tensor, eta: float) -> float:
    """Gelfand: the norm of a high power, by squaring; 2^30 steps."""
    J = _field_jacobian(value, x, y)
    step, log = torch.eye(len(J), dtype=J.dtype) - eta * J, 0.0
    for k in range(30):
        scale = torch.linalg.matrix_norm(step)
        step, log = (step / scale) @ (step / scale), log + math.log(float(scale)) / 2**k
    return math.exp(log)


def _rate_bisected(value: Value, x: Tensor, y: Tensor) -> float:
    """Where the growth comes back to 1, looked for between 0 and a rate that is surely too large."""
    roots = torch.linalg.eigvals(_field_jacobian(value, x, y))
    if roots.real.min() <= 1e-6 * roots.abs().max():
        return 0.0
    low, high = 0.0, 2 / float(roots.abs().min()) + 1
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if float((1 - middle * roots).abs().max()) < 1 else (low, middle)
    return low


def _convergence_wrong(
    *,
    sign_y: float = -1.0,
    roots_of: Callable[[Tensor], Tensor] = torch.linalg.eigvals,
    size: Callable[[Tensor], Tensor] = lambda factor: factor.abs().max(),
    rate: Callable[[Tensor], Tensor] = lambda r: (2 * r.real / r.abs() ** 2).min(),
    stuck: Callable[[Tensor], bool] = lambda r: bool(r.real.min() <= 1e-6 * r.abs().max()),
    never: float = 0.0,
    sign: float = -1.0,
) -> dict[str, object]:
    """Both functions with one thing changed."""

    def of(value: Value, x: Tensor, y: Tensor) -> Tensor:
        return roots_of(_field_jacobian(value, x, y, sign_y)).to(torch.complex128)

    return {
        "growth": lambda value, x, y, eta: float(size(1 + sign * eta * of(value, x, y))),
        "largest_rate": lambda value, x, y: never if stuck(of(value, x, y)) else float(rate(of(value, x, y))),
    }


def _no_cross(J: Tensor) -> Tensor:
    """Each player's own curvature, as if the other stood still."""
    D = 1 if len(J) == 2 else 3
    own = J.clone()
    own[:D, D:] = own[D:, :D] = 0
    return torch.linalg.eigvals(own)


GAME_CONVERGENCE = Key(
    question=asked.GAME_CONVERGENCE,
    solution=(_eigenvalues, growth, largest_rate),
    reference={"growth": _growth_by_rows, "largest_rate": _rate_by_rows},
    source="Mescheder, Nowozin and Geiger 2017, The numerics of GANs, arXiv:1705.10461, proposition 3 and lemma 4",
    mistakes=(
        Mistake(
            "the Hessian",
            "The eigenvalues of the Hessian of V are those of a single player who descends. Player y climbs: the rows of y "
            "change their sign.",
            _convergence_wrong(sign_y=1.0),
        ),
        Mistake(
            "each player alone",
            "You leave out how each player's gradient depends on the other's move, and that is what makes them circle.",
            _convergence_wrong(roots_of=_no_cross),
        ),
        Mistake(
            "one triangle of the matrix",
            "`eigvalsh` reads one triangle and believes that the other equals it. J is not symmetric: "
            "`torch.linalg.eigvals`.",
            _convergence_wrong(roots_of=torch.linalg.eigvalsh),
        ),
        Mistake(
            "singular values",
            "Singular values bound one step. What happens in the long run is decided by the eigenvalues.",
            _convergence_wrong(roots_of=torch.linalg.svdvals),
        ),
        Mistake(
            "real part of the factor",
            "A factor 1 − ηλ is complex: its size is its absolute value, which counts the imaginary part, too.",
            _convergence_wrong(size=lambda factor: factor.real.abs().max()),
        ),
        Mistake(
            "eigenvalues of J as growth",
            "That is the size of λ. The deviations are multiplied by 1 − ηλ.",
            {
                **_convergence_wrong(),
                "growth": lambda value, x, y, eta: (
                    eta * float(torch.linalg.eigvals(_field_jacobian(value, x, y)).abs().max())
                ),
            },
        ),
        Mistake(
            "steps uphill",
            "A step is w − ηF: the factor is 1 − ηλ, not 1 + ηλ.",
            _convergence_wrong(sign=1.0),
        ),
        Mistake(
            "smallest factor",
            "The slowest direction decides: take the largest factor.",
            _convergence_wrong(size=lambda factor: factor.abs().min()),
        ),
        Mistake(
            "mean factor",
            "In the long run the largest factor outgrows all others. A mean says nothing.",
            _convergence_wrong(size=lambda factor: factor.abs().mean()),
        ),
        Mistake(
            "largest of the rates",
            "All directions must shrink at once: take the smallest of the rates.",
            _convergence_wrong(rate=lambda r: (2 * r.real / r.abs() ** 2).max()),
        ),
        Mistake(
            "rate of a single player",
            "2/|λ| is right where λ is real. Rotation costs: 2 Re λ / |λ|².",
            _convergence_wrong(rate=lambda r: (2 / r.abs()).min()),
        ),
        Mistake(
            "rate without its factor 2",
            "|1 − ηλ| = 1 again at η = 2 Re λ / |λ|². The 2 is missing.",
            _convergence_wrong(rate=lambda r: (r.real / r.abs() ** 2).min()),
        ),
        Mistake(
            "repelled and not stopped",
            "With an eigenvalue whose real part is not positive no rate converges: return 0.",
            _convergence_wrong(stuck=lambda r: False),
        ),
        Mistake(
            "any rate where none converges",
            "You return infinity. No rate is small enough: the answer is 0.",
            _convergence_wrong(never=math.inf),
        ),
        Mistake(
            "stops where one eigenvalue is fine",
            "One positive real part is not enough: *every* one must be positive, so look at the smallest.",
            _convergence_wrong(stuck=lambda r: bool(r.real.max() <= 1e-6 * r.abs().max())),
        ),
    ),
    alternatives={
        "Jacobian of the update": {"growth": _growth_of_map, "largest_rate": _rate_of_map},
        "powers and bisection": {"growth": _growth_powers, "largest_rate": _rate_bisected},
        "eigenvalues as lists": _convergence_wrong(),
    },
)

# diagnose


def diagnose(real: Tensor, fake: Tensor, counts: Tensor) -> list:
    """The symptoms of a run: opinions real (T,) and fake (T,), samples per mode counts (T, K)."""
    ### BEGIN SOLUTION
    if not (real.isfinite() & fake.isfinite()).all():
        return ["not finite"]
    late = len(real) // 4
    trust, doubt = real[-late:].mean(), fake[-late:].mean()
    hit = counts[-late:] > 0.01 * counts[-late:].sum(1, keepdim=True)
    ever, usually, half = hit.any(0).sum(), hit.sum(1).double().mean(), counts.shape[1] / 2
    findings = {
        "D has won": trust >= 0.95 and doubt <= 0.05,
        "labels swapped": doubt > trust + 0.1,
        "mode collapse": ever < half,
        "mode hopping": usually < half <= ever,
    }
    return [name for name, found in findings.items() if found]
    ### END SOLUTION


def _diagnose_by_lists(real: Tensor, fake: Tensor, counts: Tensor) -> list[str]:
    """Plain Python numbers, one record at a time."""
    T, K = counts.shape
    if not all(math.isfinite(v) for v in (*real.tolist(), *fake.tolist())):
        return ["not finite"]
    window = range(T - T // 4, T)
    mean_real = sum(float(real[t]) for t in window) / len(window)
    mean_fake = sum(float(fake[t]) for t in window) / len(window)
    covered = []
    for t in window:
        row = counts[t].tolist()
        covered.append({k for k in range(K) if row[k] * 100 > sum(row)})
    union = set().union(*covered)
    average = sum(len(modes) for modes in covered) / len(covered)
    symptoms = []
    if mean_real >= 0.95 and mean_fake <= 0.05:
        symptoms.append("D has won")
    if mean_fake - mean_real > 0.1:
        symptoms.append("labels swapped")
    if len(union) < K / 2:
        symptoms.append("mode collapse")
    elif average < K / 2:
        symptoms.append("mode hopping")
    return symptoms


def _diagnose_shares(real: Tensor, fake: Tensor, counts: Tensor) -> list[str]:
    if not torch.isfinite(real + fake).all():
        return ["not finite"]
    n = real.numel() // 4
    shares = torch.nan_to_num(counts / counts.sum(1, keepdim=True))[-n:]
    found = []
    if min(real[-n:].mean().item(), 1 - fake[-n:].mean().item()) >= 0.95:
        found += ["D has won"]
    if (fake - real)[-n:].mean() > 0.1:
        found += ["labels swapped"]
    if shares.amax(0).gt(0.01).count_nonzero() * 2 < counts.shape[1]:
        return [*found, "mode collapse"]
    return found + ["mode hopping"] * ((shares > 0.01).count_nonzero().item() / n < counts.shape[1] / 2)


def _diagnose_narrowed(real: Tensor, fake: Tensor, counts: Tensor) -> list[str]:
    T, K = counts.shape
    window = slice(T - T // 4, T)
    if torch.stack([real, fake]).isfinite().logical_not().any():
        return ["not finite"]
    r, f = (torch.mean(v.narrow(0, T - T // 4, T // 4)) for v in (real, fake))
    counts = counts[window]
    covered = counts.mul(100).gt(counts.sum(dim=1).unsqueeze(1))
    at_all, per_record = int(covered.int().amax(dim=0).sum()), float(covered.sum()) / len(covered)
    rows = [(r >= 0.95) & (f <= 0.05), f - r > 0.1, at_all < K / 2, at_all >= K / 2 > per_record]
    return [n for n, row in zip(("D has won", "labels swapped", "mode collapse", "mode hopping"), rows) if row]


def _diagnose_wrong(
    *,
    window: Callable[[int], slice] = lambda T: slice(T - T // 4, T),
    finite: Callable[[Tensor, Tensor, int], bool] = lambda r, f, n: bool((r.isfinite() & f.isfinite()).all()),
    finite_only: bool = True,
    won: Callable[[Tensor, Tensor], bool] = lambda r, f: bool(r.mean() >= 0.95 and f.mean() <= 0.05),
    swapped: Callable[[Tensor, Tensor], bool] = lambda r, f: bool(f.mean() > r.mean() + 0.1),
    covers: Callable[[Tensor], Tensor] = lambda n: n > 0.01 * n.sum(1, keepdim=True),
    collapse: Callable[[Tensor, float], bool] = lambda c, half: bool(c.any(0).sum() < half),
    hopping: Callable[[Tensor, float], bool] = lambda c, half: bool(c.sum(1).double().mean() < half <= c.any(0).sum()),
    report: Callable[[list[str]], Any] = lambda names: names,
) -> Callable[..., Any]:
    """The table with one thing changed."""

    def answer(real: Tensor, fake: Tensor, counts: Tensor) -> Any:
        T, K = counts.shape
        names = [] if finite(real, fake, T // 4) else ["not finite"]
        if names and finite_only:
            return report(names)
        cut = window(T)
        r, f, hit = real[cut], fake[cut], covers(counts[cut])
        rows = {
            "D has won": won(r, f),
            "labels swapped": swapped(r, f),
            "mode collapse": collapse(hit, K / 2),
            "mode hopping": hopping(hit, K / 2),
        }
        return report(names + [name for name, found in rows.items() if found])

    return answer


DIAGNOSE = Key(
    question=asked.DIAGNOSE,
    solution=(diagnose,),
    reference=_diagnose_by_lists,
    source="Salimans et al. 2016, arXiv:1606.03498, section 3; Arjovsky and Bottou 2017, arXiv:1701.04862, section 2, for a "
    "discriminator that has won; the table itself is the task's",
    mistakes=(
        Mistake(
            "the whole run",
            "Only the last T // 4 records count: a run may start badly and recover.",
            _diagnose_wrong(window=lambda T: slice(0, T)),
        ),
        Mistake(
            "the last record only",
            "One record may be an accident. Take the last T // 4.",
            _diagnose_wrong(window=lambda T: slice(T - 1, T)),
        ),
        Mistake(
            "the first quarter",
            "`[:T // 4]` is the beginning of the run. Its end is `[-(T // 4):]`.",
            _diagnose_wrong(window=lambda T: slice(0, T // 4)),
        ),
        Mistake(
            "every record beyond the line",
            "The *mean* of the window is compared, not each record.",
            _diagnose_wrong(won=lambda r, f: bool((r >= 0.95).all() and (f <= 0.05).all())),
        ),
        Mistake(
            "won on one side",
            "D has won if it is sure of data **and** of fakes.",
            _diagnose_wrong(won=lambda r, f: bool(r.mean() >= 0.95 or f.mean() <= 0.05)),
        ),
        Mistake(
            "won by the data alone",
            "You look at `real` alone. A discriminator that calls everything real has not won.",
            _diagnose_wrong(won=lambda r, f: bool(r.mean() >= 0.95)),
        ),
        Mistake(
            "swapped at the first difference",
            "An even game wavers: fakes must be ahead by more than 0.1.",
            _diagnose_wrong(swapped=lambda r, f: bool(f.mean() > r.mean())),
        ),
        Mistake(
            "swapped the other way round",
            "You ask whether `real` exceeds `fake`. That is as it should be; the symptom is the reverse.",
            _diagnose_wrong(swapped=lambda r, f: bool(r.mean() > f.mean() + 0.1)),
        ),
        Mistake(
            "strays count as covered",
            "A mode is covered by more than 1 % of a record's samples, not by a single one.",
            _diagnose_wrong(covers=lambda n: n > 0),
        ),
        Mistake(
            "a row of zeros covers all",
            "With `>=`, 0 samples are at least 1 % of none, and an empty record covers everything. More than 1 %: `>`.",
            _diagnose_wrong(covers=lambda n: n >= 0.01 * n.sum(1, keepdim=True)),
        ),
        Mistake(
            "half is few",
            "Exactly K/2 modes are not fewer than K/2: `<`, not `<=`.",
            _diagnose_wrong(
                collapse=lambda c, half: bool(c.any(0).sum() <= half),
                hopping=lambda c, half: bool(c.sum(1).double().mean() <= half < c.any(0).sum()),
            ),
        ),
        Mistake(
            "hopping taken for collapse",
            "A generator that visits other modes in every record covers them in turn: collapse asks for the modes covered in "
            "*at least one* record.",
            _diagnose_wrong(
                collapse=lambda c, half: bool(c.sum(1).double().mean() < half), hopping=lambda c, half: False
            ),
        ),
        Mistake(
            "hopping and collapse together",
            "The two exclude each other: hopping needs at least K/2 modes in at least one record each.",
            _diagnose_wrong(hopping=lambda c, half: bool(c.sum(1).double().mean() < half)),
        ),
        Mistake(
            "infinities in the window only",
            "A run that was infinite once is broken from then on: look through the whole of `real` and `fake`.",
            _diagnose_wrong(finite=lambda r, f, n: bool((r[-n:].isfinite() & f[-n:].isfinite()).all())),
        ),
        Mistake(
            "NaN only",
            "`isnan` does not see infinities. `isfinite` sees both.",
            _diagnose_wrong(finite=lambda r, f, n: not bool((r.isnan() | f.isnan()).any())),
        ),
        Mistake(
            "more after not finite",
            'With numbers that are none nothing else can be told: return `["not finite"]` alone.',
            _diagnose_wrong(finite_only=False),
        ),
        Mistake(
            "the first symptom only",
            "A run may have several: collect all of them.",
            _diagnose_wrong(report=lambda names: names[:1]),
        ),
        Mistake(
            "None for a healthy run",
            "Where there is nothing to report, return an empty list.",
            _diagnose_wrong(report=lambda names: names or None),
        ),
    ),
    alternatives={
        "shares": _diagnose_shares,
        "narrowed, a list of rows": _diagnose_narrowed,
        "table of functions": _diagnose_wrong(),
    },
)

# effective_modes


def effective_modes(counts: Tensor) -> Tensor:
    """The exponential of the shares' entropy, for rows of counts (R, K) -> (R,)."""
    ### BEGIN SOLUTION
    everything = counts.sum(dim=1, keepdim=True)
    share = counts / everything.clamp(min=1)
    return torch.special.entr(share).sum(dim=1).exp() * (everything[:, 0] > 0)
    ### END SOLUTION


def _effective_by_row(counts: Tensor) -> Tensor:
    """Row by row and mode by mode, in Python's floats."""
    found = []
    for row in counts.tolist():
        n = sum(row)
        H = -sum(k / n * math.log(k / n) for k in row if k > 0)
        found.append(math.exp(H) if n else 0.0)
    return torch.tensor(found)


def _effective_distribution(counts: Tensor) -> Tensor:
    """torch's own entropy of a categorical distribution, where there is one."""
    out = torch.zeros(len(counts))
    live = counts.sum(1) > 0
    out[live] = torch.distributions.Categorical(probs=counts[live].to(out.dtype)).entropy().exp()
    return out


def _effective_from_logs(counts: Tensor) -> Tensor:
    """H = ln n - sum n_k ln n_k / n, without shares."""
    n = counts.sum(1).to(torch.get_default_dtype())
    logs = torch.xlogy(counts, counts).sum(1).to(n.dtype)
    return torch.where(n > 0, n * torch.exp(-logs / n.clamp(min=1)), 0)


def _effective_product(counts: Tensor) -> Tensor:
    """exp(-sum p ln p) is a product of powers, and 0 to the power 0 is 1."""
    total = counts.sum(1, keepdim=True)
    p = torch.where(total > 0, counts / total, 0.0)
    return (p**-p).prod(1).masked_fill(total[:, 0] == 0, 0.0)


def _effective_wrong(
    *,
    log: Callable[[Tensor], Tensor] = torch.log,
    over: Callable[[Tensor], Tensor] = lambda n: n.sum(1, keepdim=True),
    safe: bool = True,
    finish: Callable[[Tensor, int], Tensor] = lambda H, K: H.exp(),
    empty: float | None = 0.0,
    dim: int = 1,
) -> Callable[[Tensor], Tensor]:
    """The formula with one thing changed."""

    def answer(counts: Tensor) -> Tensor:
        p = counts / over(counts)
        terms = p * log(p)
        H = -(torch.where(counts == 0, 0.0, terms) if safe else terms).sum(dim)
        found = finish(H, counts.shape[1])
        return found if empty is None or dim == 0 else torch.where(counts.sum(1) == 0, empty, found)

    return answer


EFFECTIVE_MODES = Key(
    question=asked.EFFECTIVE_MODES,
    solution=(effective_modes,),
    reference=_effective_by_row,
    source="Shannon 1948, section 6; Hill 1973, Diversity and evenness, Ecology 54, equation 3 (order 1)",
    mistakes=(
        Mistake(
            "logarithm of 0",
            "p ln p is 0 at p = 0, but 0 times minus infinity is NaN. `torch.special.entr` knows the limit.",
            _effective_wrong(safe=False),
        ),
        Mistake(
            "1 in an empty row",
            "Without samples the entropy comes out as 0, and its exponential as 1. There, the answer is 0.",
            _effective_wrong(empty=1.0),
        ),
        Mistake(
            "NaN in an empty row",
            "The sum of an empty row is 0, and 0/0 is NaN. Divide by `total.clamp(min=1)`, and answer 0 there.",
            _effective_wrong(empty=math.nan),
        ),
        Mistake(
            "entropy, not its exponential",
            "That is H. Asked for is a number of modes, e to the power H.",
            _effective_wrong(finish=lambda H, K: H),
        ),
        Mistake(
            "entropy as a share of its maximum",
            "H / ln K says how even it is, from 0 to 1. Asked for is e to the power H.",
            _effective_wrong(finish=lambda H, K: H / math.log(K)),
        ),
        Mistake(
            "two bases",
            "With logarithms to the base 2, the way back is 2 to the power H, not e.",
            _effective_wrong(log=torch.log2),
        ),
        Mistake(
            "minus sign missing",
            "The sum of p ln p is negative. H has a minus sign in front.",
            _effective_wrong(finish=lambda H, K: torch.exp(-H)),
        ),
        Mistake(
            "shares of all rows",
            "Each row is a distribution of its own: divide by the sum of its row.",
            _effective_wrong(over=lambda n: n.sum()),
        ),
        Mistake(
            "shares of the largest",
            "The shares of a row sum to 1: divide by the sum, not by the maximum.",
            _effective_wrong(over=lambda n: n.amax(1, keepdim=True)),
        ),
        Mistake(
            "sum down the rows",
            "The entropy is a sum over the modes, `dim=1`.",
            _effective_wrong(dim=0),
        ),
        Mistake(
            "counts the covered modes",
            "You count the modes that have samples at all. One sample is less than a mode.",
            lambda counts: (counts > 0).sum(1).to(torch.get_default_dtype()),
        ),
        Mistake(
            "order 2",
            "1 / Σ p² is the number of modes of order 2, which looks at the largest ones. Asked for is the entropy's.",
            lambda counts: (counts / counts.sum(1, keepdim=True)).square().sum(1).pow(-1).nan_to_num(posinf=0.0),
        ),
    ),
    alternatives={
        "torch.distributions": _effective_distribution,
        "logarithms of the counts": _effective_from_logs,
        "product of powers": _effective_product,
    },
)
