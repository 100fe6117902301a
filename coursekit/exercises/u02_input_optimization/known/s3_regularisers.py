"""Answer keys to section 3: regularisers and inversion."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.checks.declare import Key, Mistake
from coursekit.exercises.u02_input_optimization.asked import s3_regularisers as asked
from coursekit.exercises.u02_input_optimization.asked.s3_regularisers import wrapped_differences

# total_variation


def total_variation(x: Tensor, beta: float) -> Tensor:
    """x (N, C, H, W) -> the total variation of each image (N,); differences that would leave the image are 0."""
    ### BEGIN SOLUTION
    du = F.pad(x[..., 1:] - x[..., :-1], (0, 1))
    dv = F.pad(x[..., 1:, :] - x[..., :-1, :], (0, 0, 0, 1))
    return ((du**2 + dv**2) ** (beta / 2)).sum(dim=(1, 2, 3))
    ### END SOLUTION


def _tv_pixel_by_pixel(x: Tensor, beta: float) -> Tensor:
    """Pixel by pixel: whichever of the two neighbours there is, squared, under one power."""
    N, C, H, W = x.shape
    total = x.new_zeros(N)
    for c in range(C):
        for i in range(H):
            for j in range(W):
                squares = []
                if j + 1 < W:
                    squares.append((x[:, c, i, j + 1] - x[:, c, i, j]) ** 2)
                if i + 1 < H:
                    squares.append((x[:, c, i + 1, j] - x[:, c, i, j]) ** 2)
                if squares:
                    total = total + torch.stack(squares).sum(0) ** (beta / 2)
    return total


def _tv_replicated(x: Tensor, beta: float) -> Tensor:
    wide = F.pad(x, (0, 1, 0, 1), mode="replicate")
    here = wide[:, :, :-1, :-1]
    squares = (wide[:, :, :-1, 1:] - here).square() + (wide[:, :, 1:, :-1] - here).square()
    return squares.pow(beta / 2).flatten(1).sum(1)


def _tv_appended(x: Tensor, beta: float) -> Tensor:
    du = torch.diff(x, dim=-1, append=x[..., -1:])
    dv = torch.diff(x, dim=-2, append=x[..., -1:, :])
    return torch.stack([du, dv]).square().sum(0).pow(0.5 * beta).sum((-1, -2, -3))


def _tv_in_pieces(x: Tensor, beta: float) -> Tensor:
    """The inside, the last column and the last row, each with the differences that it has."""
    squares = torch.zeros_like(x)
    squares[..., :-1] += x.diff(dim=3) ** 2
    squares[..., :-1, :] += x.diff(dim=2) ** 2
    return torch.einsum("nchw->n", squares ** (beta / 2))


def _tv_wrong(
    x: Tensor,
    beta: float,
    *,
    border: str = "zero difference",
    combine: Callable[[Tensor, Tensor, float], Tensor] = lambda du, dv, beta: (du**2 + dv**2) ** (beta / 2),
    reduce: Callable[[Tensor], Tensor] = lambda terms: terms.sum((1, 2, 3)),
) -> Tensor:
    """Total variation with one part of it wrong."""
    if border == "cropped":
        here = x[..., :-1, :-1]
        return reduce(combine(x[..., :-1, 1:] - here, x[..., 1:, :-1] - here, beta))
    if border == "wrapped":
        return reduce(combine(x.roll(-1, -1) - x, x.roll(-1, -2) - x, beta))
    if border == "black outside":
        wide = F.pad(x, (0, 1, 0, 1))
        return reduce(combine(wide[..., :-1, 1:] - x, wide[..., 1:, :-1] - x, beta))
    if border == "filled up at the front":
        return reduce(combine(F.pad(x.diff(dim=3), (1, 0)), F.pad(x.diff(dim=2), (0, 0, 0, 1)), beta))
    if border == "neighbour on the other side":
        wide = (
            F.pad(x, (0, 1, 0, 1), mode="reflect") if min(x.shape[2:]) > 1 else F.pad(x, (0, 1, 0, 1), mode="circular")
        )
        return reduce(combine(wide[..., :-1, 1:] - x, wide[..., 1:, :-1] - x, beta))
    return reduce(combine(F.pad(x.diff(dim=3), (0, 1)), F.pad(x.diff(dim=2), (0, 0, 0, 1)), beta))


TOTAL_VARIATION = Key(
    question=asked.TOTAL_VARIATION,
    solution=(total_variation,),
    reference=_tv_pixel_by_pixel,
    source=(
        "Mahendran & Vedaldi 2015, Understanding deep image representations by inverting them, arXiv:1412.0035, section 3; "
        "differences of 0 at the border: Chambolle 2004, An algorithm for total variation minimization, section 2"
    ),
    mistakes=(
        Mistake(
            "last row and column left out",
            "You sum over pixels with both neighbours only: the last row still has differences to the right, the last column "
            "differences downwards. Fill up the missing ones with 0 instead of cutting the others off.",
            lambda x, beta: _tv_wrong(x, beta, border="cropped"),
        ),
        Mistake(
            "image wrapped around",
            "`roll` makes the first column the neighbour of the last: a ramp is charged for the jump between its ends. A "
            "difference that leaves the image is 0.",
            lambda x, beta: _tv_wrong(x, beta, border="wrapped"),
        ),
        Mistake(
            "black outside the image",
            "You pad the image with zeros, so its border counts as an edge. Pad the differences, not the image.",
            lambda x, beta: _tv_wrong(x, beta, border="black outside"),
        ),
        Mistake(
            "difference filled up on the wrong side",
            "The horizontal difference of a pixel is the one to its right: the column of zeros comes last, `(0, 1)`, or the "
            "power pairs differences of two pixels.",
            lambda x, beta: _tv_wrong(x, beta, border="filled up at the front"),
        ),
        Mistake(
            "mirrored at the border",
            "Reflection makes the last column's difference that of the column before, with the other sign. It is 0.",
            lambda x, beta: _tv_wrong(x, beta, border="neighbour on the other side"),
        ),
        Mistake(
            "exponent beta instead of beta / 2",
            "The squares are there already: the exponent of their sum is beta / 2.",
            lambda x, beta: _tv_wrong(x, beta, combine=lambda du, dv, beta: (du**2 + dv**2) ** beta),
        ),
        Mistake(
            "beta ignored",
            "Your result is the one for beta = 2 whatever `beta` is: the power beta / 2 is missing.",
            lambda x, beta: _tv_wrong(x, beta, combine=lambda du, dv, beta: du**2 + dv**2),
        ),
        Mistake(
            "both directions apart",
            "|d_u|^beta + |d_v|^beta is the anisotropic relative: a diagonal edge costs more than a straight one. The two "
            "squares are added under one power.",
            lambda x, beta: _tv_wrong(x, beta, combine=lambda du, dv, beta: du.abs() ** beta + dv.abs() ** beta),
        ),
        Mistake(
            "square of the sum",
            "Square each difference, then add: in (d_u + d_v)² a rise to the right and a fall downwards cancel.",
            lambda x, beta: _tv_wrong(x, beta, combine=lambda du, dv, beta: ((du + dv) ** 2) ** (beta / 2)),
        ),
        Mistake(
            "channels under one root",
            "You add the squares of all channels before the power (vectorial total variation). Here every channel is on its own.",
            lambda x, beta: _tv_wrong(
                x,
                beta,
                combine=lambda du, dv, beta: (du**2 + dv**2).sum(1, keepdim=True) ** (beta / 2),
            ),
        ),
        Mistake(
            "mean instead of sum",
            "The task asks for the sum over pixels and channels.",
            lambda x, beta: _tv_wrong(x, beta, reduce=lambda terms: terms.mean((1, 2, 3))),
        ),
        Mistake(
            "one number for the batch",
            "Return one number for each image, (N,): sum over all axes but the first.",
            lambda x, beta: _tv_wrong(x, beta, reduce=lambda terms: terms.sum()),
        ),
        Mistake(
            "gradient cut off",
            "The values are right, but no gradient reaches `x` through one of the directions: leave out `detach` and `.data`.",
            lambda x, beta: _tv_wrong(x, beta, combine=lambda du, dv, beta: (du**2 + dv.detach() ** 2) ** (beta / 2)),
        ),
    ),
    alternatives={
        "last row and column repeated": _tv_replicated,
        "diff with the last column appended": _tv_appended,
        "squares added in place": _tv_in_pieces,
    },
)


# smooth_tv


def smooth_tv(x: Tensor, beta: float, eps: float) -> Tensor:
    """x (N, C, H, W), a tile -> its total variation with the tip rounded off (N,)."""
    ### BEGIN SOLUTION
    du, dv = wrapped_differences(x)
    rounded = (du**2 + dv**2 + eps**2) ** (beta / 2) - eps**beta
    return rounded.sum(dim=(1, 2, 3))
    ### END SOLUTION


def _smooth_pixel_by_pixel(x: Tensor, beta: float, eps: float) -> Tensor:
    """Row by row and column by column, neighbours by their numbers modulo the size."""
    N, C, H, W = x.shape
    total = x.new_zeros(N)
    for i in range(H):
        for j in range(W):
            right, below = x[:, :, i, (j + 1) % W], x[:, :, (i + 1) % H, j]
            length = torch.sqrt((right - x[:, :, i, j]) ** 2 + (below - x[:, :, i, j]) ** 2 + eps * eps)
            total = total + (length**beta - eps**beta).sum(1)
    return total


def _smooth_padded(x: Tensor, beta: float, eps: float) -> Tensor:
    wide = F.pad(x, (0, 1, 0, 1), mode="circular")
    squares = (wide[..., :-1, 1:] - x).square() + (wide[..., 1:, :-1] - x).square()
    return ((squares + eps**2).pow(beta / 2) - math.pow(eps, beta)).flatten(1).sum(1)


def _smooth_norm(x: Tensor, beta: float, eps: float) -> Tensor:
    du, dv = wrapped_differences(x)
    length = torch.stack([du, dv, torch.full_like(x, eps)]).norm(dim=0)
    return (length.pow(beta) - eps**beta).sum((3, 2, 1))


def _smooth_relative(x: Tensor, beta: float, eps: float) -> Tensor:
    du = torch.cat([x[..., 1:], x[..., :1]], dim=-1) - x
    dv = torch.cat([x[..., 1:, :], x[..., :1, :]], dim=-2) - x
    q = (du / eps).square() + (dv / eps).square()
    return eps**beta * torch.expm1(0.5 * beta * torch.log1p(q)).sum(dim=(1, 2, 3))


def _smooth_wrong(
    x: Tensor,
    beta: float,
    eps: float,
    *,
    term: Callable[[Tensor, float, float], Tensor] = lambda s, beta, eps: (s + eps**2) ** (beta / 2),
    offset: Callable[[float, float], float] = lambda beta, eps: eps**beta,
    shift: float = 0.0,
    once: bool = False,
    batch: bool = False,
) -> Tensor:
    """The rounded total variation with one part of it wrong."""
    du, dv = wrapped_differences(x)
    terms = term((du + shift * eps) ** 2 + (dv + shift * eps) ** 2, beta, eps)
    if once:
        return terms.sum((1, 2, 3)) - offset(beta, eps)
    return (terms - offset(beta, eps)).sum(None if batch else (1, 2, 3))


SMOOTH_TV = Key(
    question=asked.SMOOTH_TV,
    solution=(smooth_tv,),
    reference=_smooth_pixel_by_pixel,
    source=(
        "Mahendran & Vedaldi 2015, arXiv:1412.0035, section 3, rounded off as in Vogel & Oman 1996, Iterative methods for total "
        "variation denoising"
    ),
    mistakes=(
        Mistake(
            "power of exactly 0",
            "Flat pixels make the gradient NaN: ε² has to be added before the power is taken.",
            lambda x, beta, eps: _smooth_wrong(
                x, beta, eps, term=lambda s, beta, eps: s ** (beta / 2), offset=lambda beta, eps: 0.0
            ),
        ),
        Mistake(
            "eps added after the power",
            "The root of 0 is taken before ε arrives, and its slope is infinite. ε² belongs under the power.",
            lambda x, beta, eps: _smooth_wrong(x, beta, eps, term=lambda s, beta, eps: s ** (beta / 2) + eps),
        ),
        Mistake(
            "clamped after the power",
            "A clamp cannot mend what comes before it: back-propagation multiplies its 0 by the root's infinite slope, which is "
            "NaN.",
            lambda x, beta, eps: _smooth_wrong(
                x, beta, eps, term=lambda s, beta, eps: (s ** (beta / 2)).clamp(min=eps**beta)
            ),
        ),
        Mistake(
            "flat pixels replaced after the power",
            "`torch.where` computes both branches, and the root's infinite slope meets the 0 of the branch not taken: NaN. "
            "Change the power's argument, not its result.",
            lambda x, beta, eps: _smooth_wrong(
                x, beta, eps, term=lambda s, beta, eps: torch.where(s > eps**2, s ** (beta / 2), eps**beta + s)
            ),
        ),
        Mistake(
            "clamped under the power",
            "The gradient is finite, but differences below ε have none at all: add ε² instead of clamping to it.",
            lambda x, beta, eps: _smooth_wrong(
                x, beta, eps, term=lambda s, beta, eps: s.clamp(min=eps**2) ** (beta / 2)
            ),
        ),
        Mistake(
            "eps not squared",
            "Under the power stands ε², a square like the two differences.",
            lambda x, beta, eps: _smooth_wrong(x, beta, eps, term=lambda s, beta, eps: (s + eps) ** (beta / 2)),
        ),
        Mistake(
            "eps squared once for each difference",
            "ε² is added once to the sum of both squares, not to each of them.",
            lambda x, beta, eps: _smooth_wrong(x, beta, eps, term=lambda s, beta, eps: (s + 2 * eps**2) ** (beta / 2)),
        ),
        Mistake(
            "eps added to the differences",
            "(d + ε)² is no rounding: it moves the minimum away from flat patches. Add ε² to the squares.",
            lambda x, beta, eps: _smooth_wrong(x, beta, eps, term=lambda s, beta, eps: s ** (beta / 2), shift=1.0),
        ),
        Mistake(
            "flat patches cost something",
            "The values are too large by ε^β for each pixel: subtract it, so that a constant image scores 0.",
            lambda x, beta, eps: _smooth_wrong(x, beta, eps, offset=lambda beta, eps: 0.0),
        ),
        Mistake(
            "offset subtracted once",
            "Every pixel of every channel brings its own ε^β along: subtract before you sum.",
            lambda x, beta, eps: _smooth_wrong(x, beta, eps, once=True),
        ),
        Mistake(
            "eps subtracted for every beta",
            "A flat pixel contributes (ε²)^(β/2) = ε^β. That is ε only for β = 1.",
            lambda x, beta, eps: _smooth_wrong(x, beta, eps, offset=lambda beta, eps: eps),
        ),
        Mistake(
            "exponent beta instead of beta / 2",
            "The squares are there already: the exponent is beta / 2.",
            lambda x, beta, eps: _smooth_wrong(x, beta, eps, term=lambda s, beta, eps: (s + eps**2) ** beta),
        ),
        Mistake(
            "one number for the batch",
            "Return one number for each image, (N,): sum over all axes but the first.",
            lambda x, beta, eps: _smooth_wrong(x, beta, eps, batch=True),
        ),
    ),
    alternatives={
        "circular padding": _smooth_padded,
        "norm of three numbers": _smooth_norm,
        "relative to eps, expm1 and log1p": _smooth_relative,
    },
)


# inversion_loss


Images = Callable[[Tensor], Tensor]


def inversion_loss(
    features: Callable[[Tensor], Tensor], x: Tensor, x0: Tensor, prior: Callable[[Tensor], Tensor], weight: float
) -> Tensor:
    """features: (N, C, H, W) -> (N, ...), prior: (N, C, H, W) -> (N,), x and x0 (N, C, H, W) -> (N,)."""
    ### BEGIN SOLUTION
    target = features(x0).detach().flatten(1)
    error = (features(x).flatten(1) - target).square().sum(dim=1)
    return error / target.square().sum(dim=1) + weight * prior(x)
    ### END SOLUTION


def _inversion_image_by_image(features: Images, x: Tensor, x0: Tensor, prior: Images, weight: float) -> Tensor:
    """One image after the other, entry by entry of its code."""
    losses = []
    for n in range(x.shape[0]):
        code = features(x[n : n + 1]).reshape(-1)
        with torch.no_grad():
            wanted = features(x0[n : n + 1]).reshape(-1).tolist()
        above = sum(((entry - value) ** 2 for entry, value in zip(code, wanted)), x.new_zeros(()))
        below = sum(value * value for value in wanted)
        losses.append(above / below + weight * prior(x[n : n + 1])[0])
    return torch.stack(losses)


def _inversion_norms(features: Images, x: Tensor, x0: Tensor, prior: Images, weight: float) -> Tensor:
    with torch.no_grad():
        wanted = features(x0).reshape(len(x0), -1)
        size = torch.linalg.vector_norm(wanted, dim=1)
    distance = (features(x).reshape(len(x), -1) - wanted) / size[:, None]
    return distance.pow(2).sum(1).add(prior(x), alpha=weight)


def _inversion_means(features: Images, x: Tensor, x0: Tensor, prior: Images, weight: float) -> Tensor:
    code, wanted = features(x), features(x0.detach()).detach()
    axes = tuple(range(1, code.dim()))
    error = F.mse_loss(code, wanted, reduction="none").mean(axes)
    return weight * prior(x) + error / wanted.square().mean(axes)


def _inversion_einsum(features: Images, x: Tensor, x0: Tensor, prior: Images, weight: float) -> Tensor:
    both = features(torch.cat([x, x0.detach()])).flatten(1)
    code, wanted = both[: len(x)], both[len(x) :].detach()
    difference = code - wanted
    ratio = torch.einsum("nd,nd->n", difference, difference) / torch.einsum("nd,nd->n", wanted, wanted)
    return torch.stack([ratio, weight * prior(x)]).sum(0)


def _inversion_wrong(
    features: Images,
    x: Tensor,
    x0: Tensor,
    prior: Images,
    weight: float,
    *,
    divisor: str = "target",
    power: float = 1.0,
    below_power: float = 1.0,
    where: str = "sum",
    detach: str = "target",
    priced: str = "x",
    on_data: bool = False,
    reduce: Callable[[Tensor], Tensor] = lambda losses: losses,
) -> Tensor:
    """The inversion loss with one part of it wrong."""
    code, target = features(x).flatten(1), features(x0).flatten(1)
    if detach == "target":
        target = target.detach()
    elif detach == "both":
        code, target = code.detach(), target.detach()
    error = (code - target).square().sum(1) ** power
    below = {
        "target": target.square().sum(1),
        "own": code.square().sum(1),
        "batch": target.square().sum(),
        "count": torch.full_like(error, target.shape[1]),
        "none": torch.ones_like(error),
    }[divisor] ** below_power
    regulariser = prior(x if priced == "x" else x0.detach())
    if on_data:
        return reduce(weight * error / below + regulariser)
    if where == "all divided":
        return reduce((error + weight * regulariser) / below)
    return reduce(error / below + weight * regulariser)


INVERSION_LOSS = Key(
    question=asked.INVERSION_LOSS,
    solution=(inversion_loss,),
    reference=_inversion_image_by_image,
    source="Mahendran & Vedaldi 2015, arXiv:1412.0035, section 3, with the normalised loss",
    mistakes=(
        Mistake(
            "target not a constant",
            "The values are right, but a gradient reaches `x0`: its code is a constant. Detach it.",
            lambda *a: _inversion_wrong(*a, detach="nothing"),
        ),
        Mistake(
            "gradient cut off",
            "The code of `x` carries no gradient: detach the target's code, not this one.",
            lambda *a: _inversion_wrong(*a, detach="both"),
        ),
        Mistake(
            "not normalised",
            "Divide the squared distance by the squared norm of the target's code.",
            lambda *a: _inversion_wrong(*a, divisor="none"),
        ),
        Mistake(
            "divided by the number of entries",
            "A mean of squares still depends on the layer's scale: divide by the squared norm of the target's code.",
            lambda *a: _inversion_wrong(*a, divisor="count"),
        ),
        Mistake(
            "divided by the norm of its own code",
            "Your divisor moves with `x`: a loud code would count as a good match. Divide by the norm of the target's code.",
            lambda *a: _inversion_wrong(*a, divisor="own"),
        ),
        Mistake(
            "divided by the norm over the batch",
            "One image's loss depends on the other targets: norms run over all axes but the first.",
            lambda *a: _inversion_wrong(*a, divisor="batch"),
        ),
        Mistake(
            "ratio of norms without squares",
            "Both norms are squared: you took the root of both.",
            lambda *a: _inversion_wrong(*a, power=0.5, below_power=0.5),
        ),
        Mistake(
            "norm below not squared",
            "The divisor is the *squared* norm: yours is its root.",
            lambda *a: _inversion_wrong(*a, below_power=0.5),
        ),
        Mistake(
            "images compared instead of codes",
            "The distance is between codes: call `features` on both images.",
            lambda features, x, x0, prior, weight: _inversion_wrong(lambda image: image, x, x0, prior, weight),
        ),
        Mistake(
            "weight on the wrong term",
            "`weight` multiplies the regulariser; the match of the codes stands as it is.",
            lambda *a: _inversion_wrong(*a, on_data=True),
        ),
        Mistake(
            "regulariser divided, too",
            "Only the distance is divided by the norm: add `weight * prior(x)` afterwards.",
            lambda *a: _inversion_wrong(*a, where="all divided"),
        ),
        Mistake(
            "regulariser of the target",
            "The image that is optimised is to be smooth: `prior(x)`, not `prior(x0)`.",
            lambda *a: _inversion_wrong(*a, priced="x0"),
        ),
        Mistake(
            "regulariser left out",
            "The match of the codes is right; `weight * prior(x)` is missing.",
            lambda features, x, x0, prior, weight: _inversion_wrong(features, x, x0, prior, 0.0),
        ),
        Mistake(
            "mean over the batch",
            "Return one loss for each image, (N,).",
            lambda *a: _inversion_wrong(*a, reduce=lambda losses: losses.mean()),
        ),
    ),
    alternatives={
        "norms, the target's without a graph": _inversion_norms,
        "ratio of means": _inversion_means,
        "one pass for both, einsum": _inversion_einsum,
    },
)


# denoise_step


def denoise_step(x: Tensor, y: Tensor, weight: float, eps: float, lr: float) -> Tensor:
    """One step down (x - y)² / 2 + weight * sqrt(d_u² + d_v² + eps²): x, y (N, C, H, W) -> (N, C, H, W)."""
    ### BEGIN SOLUTION
    du, dv = wrapped_differences(x)
    r = (du**2 + dv**2 + eps**2).sqrt()
    p_u, p_v = du / r, dv / r
    smoothness = p_u.roll(1, -1) - p_u + p_v.roll(1, -2) - p_v
    return x - lr * (x - y + weight * smoothness)
    ### END SOLUTION


def _denoise_pixel_by_pixel(x: Tensor, y: Tensor, weight: float, eps: float, lr: float) -> Tensor:
    """The slope of E in one pixel after the other: each of the three roots that it stands in, by the chain rule."""
    N, C, H, W = x.shape

    def slopes(i: int, j: int) -> tuple[Tensor, Tensor]:
        """dr/dd_u and dr/dd_v at pixel (i, j), counted around the tile."""
        here = x[:, :, i % H, j % W]
        d_u, d_v = x[:, :, i % H, (j + 1) % W] - here, x[:, :, (i + 1) % H, j % W] - here
        r = torch.sqrt(d_u * d_u + d_v * d_v + eps * eps)
        return d_u / r, d_v / r

    moved = torch.zeros_like(x)
    for i in range(H):
        for j in range(W):
            own_u, own_v = slopes(i, j)
            left_u, _ = slopes(i, j - 1)
            _, above_v = slopes(i - 1, j)
            slope = x[:, :, i, j] - y[:, :, i, j] + weight * (left_u + above_v - own_u - own_v)
            moved[:, :, i, j] = x[:, :, i, j] - lr * slope
    return moved


def _denoise_autograd(x: Tensor, y: Tensor, weight: float, eps: float, lr: float) -> Tensor:
    with torch.enable_grad():
        leaf = x.detach().clone().requires_grad_()
        du, dv = wrapped_differences(leaf)
        energy = 0.5 * (leaf - y).square().sum() + weight * (du**2 + dv**2 + eps**2).sqrt().sum()
        (grad,) = torch.autograd.grad(energy, leaf)
    return x - lr * grad


def _denoise_divergence(x: Tensor, y: Tensor, weight: float, eps: float, lr: float) -> Tensor:
    right = torch.cat([x[..., 1:], x[..., :1]], 3) - x
    down = torch.cat([x[..., 1:, :], x[..., :1, :]], 2) - x
    length = torch.stack([right, down, torch.full_like(x, eps)]).norm(dim=0)
    right, down = right / length, down / length
    divergence = right - torch.cat([right[..., -1:], right[..., :-1]], 3)
    divergence += down - torch.cat([down[..., -1:, :], down[..., :-1, :]], 2)
    return torch.lerp(x, y, lr) + lr * weight * divergence


def _denoise_fluxes(x: Tensor, y: Tensor, weight: float, eps: float, lr: float) -> Tensor:
    """What flows over each edge between two pixels leaves the one and enters the other."""
    H, W = x.shape[2:]
    below, beside = (torch.arange(H) + 1) % H, (torch.arange(W) + 1) % W
    du, dv = x[..., beside] - x, x[:, :, below] - x
    weights = lr * weight * torch.rsqrt(du.square() + dv.square() + eps**2)
    moved = x + lr * (y - x) + weights * (du + dv)
    moved = moved.index_add(3, beside, -(weights * du))
    return moved.index_add(2, below, -(weights * dv))


def _denoise_wrong(
    x: Tensor,
    y: Tensor,
    weight: float,
    eps: float,
    lr: float,
    *,
    smooth: str = "right",
    root: Callable[[Tensor, Tensor, float], Tensor] = lambda du, dv, eps: (du**2 + dv**2 + eps**2).sqrt(),
    sign: float = 1.0,
    data: float = 1.0,
    on: str = "smoothness",
    start: str = "x",
    uphill: bool = False,
) -> Tensor:
    """A step with one part of it wrong."""
    du, dv = wrapped_differences(x)
    r = root(du, dv, eps)
    p_u, p_v = du / r, dv / r
    if smooth == "apart":
        p_u, p_v = du / (du**2 + eps**2).sqrt(), dv / (dv**2 + eps**2).sqrt()
    smoothness = {
        "right": p_u.roll(1, -1) - p_u + p_v.roll(1, -2) - p_v,
        "apart": p_u.roll(1, -1) - p_u + p_v.roll(1, -2) - p_v,
        "forward": -(p_u.roll(-1, -1) - p_u + p_v.roll(-1, -2) - p_v),
        "own only": -p_u - p_v,
        "axes": p_u.roll(1, -2) - p_u + p_v.roll(1, -1) - p_v,
        "root": r,
    }[smooth]
    pull = data * (x - y)
    gradient = weight * pull + sign * smoothness if on == "data" else pull + weight * sign * smoothness
    return (x if start == "x" else y) - (-lr if uphill else lr) * gradient


DENOISE_STEP = Key(
    question=asked.DENOISE_STEP,
    solution=(denoise_step,),
    reference=_denoise_pixel_by_pixel,
    source="Rudin, Osher & Fatemi 1992, Nonlinear total variation based noise removal algorithms, section 2",
    mistakes=(
        Mistake(
            "divergence with the wrong sign",
            "Your regulariser sharpens the noise. The gradient of the sum of r is *minus* the divergence: + for the left "
            "neighbour's slope, − for the pixel's own.",
            lambda *a: _denoise_wrong(*a, sign=-1.0),
        ),
        Mistake(
            "looks right and down twice",
            "A pixel stands in the roots of its left and upper neighbours, not of its right and lower ones: roll by +1.",
            lambda *a: _denoise_wrong(*a, smooth="forward"),
        ),
        Mistake(
            "neighbours' roots forgotten",
            "You take the pixel's own root only. It also stands, with a +, in those of its left and upper neighbours.",
            lambda *a: _denoise_wrong(*a, smooth="own only"),
        ),
        Mistake(
            "neighbours along the wrong axis",
            "d_u belongs to columns (axis −1) and d_v to rows (axis −2): roll p_u along −1 and p_v along −2.",
            lambda *a: _denoise_wrong(*a, smooth="axes"),
        ),
        Mistake(
            "not divided by the root",
            "That is the Laplacian, the gradient for beta = 2, which blurs edges. Divide both differences by r first.",
            lambda *a: _denoise_wrong(*a, root=lambda du, dv, eps: torch.ones_like(du)),
        ),
        Mistake(
            "a root for each direction",
            "Both differences of a pixel share one root r; yours has one for each.",
            lambda *a: _denoise_wrong(*a, smooth="apart"),
        ),
        Mistake(
            "eps outside the root",
            "ε² stands under the root, next to the two squares.",
            lambda *a: _denoise_wrong(*a, root=lambda du, dv, eps: (du**2 + dv**2).sqrt() + eps),
        ),
        Mistake(
            "eps not squared",
            "Under the root stands ε², not ε.",
            lambda *a: _denoise_wrong(*a, root=lambda du, dv, eps: (du**2 + dv**2 + eps).sqrt()),
        ),
        Mistake(
            "root not taken",
            "Differentiating the root gives d / r. You divide by r².",
            lambda *a: _denoise_wrong(*a, root=lambda du, dv, eps: du**2 + dv**2 + eps**2),
        ),
        Mistake(
            "channels share a root",
            "r belongs to one pixel of one channel; you add the squares of all channels.",
            lambda *a: _denoise_wrong(
                *a, root=lambda du, dv, eps: ((du**2 + dv**2).sum(1, keepdim=True) + eps**2).sqrt()
            ),
        ),
        Mistake(
            "value instead of gradient",
            "You subtract r itself. The step needs the slope of the sum of all r in each pixel.",
            lambda *a: _denoise_wrong(*a, smooth="root"),
        ),
        Mistake(
            "pushed away from the noisy image",
            "The data term pulls x towards y: its gradient is x − y.",
            lambda *a: _denoise_wrong(*a, data=-1.0),
        ),
        Mistake(
            "data term left out",
            "Without x − y the image ends up constant.",
            lambda *a: _denoise_wrong(*a, data=0.0),
        ),
        Mistake(
            "slope of the data term doubled",
            "The ½ before the square cancels its 2: the slope is x − y.",
            lambda *a: _denoise_wrong(*a, data=2.0),
        ),
        Mistake(
            "weight on the data term",
            "`weight` multiplies the regulariser's gradient, not x − y.",
            lambda *a: _denoise_wrong(*a, on="data"),
        ),
        Mistake(
            "every step starts from y",
            "Return x minus the step: y is only the target of the data term.",
            lambda *a: _denoise_wrong(*a, start="y"),
        ),
        Mistake(
            "uphill",
            "Descend: subtract the gradient.",
            lambda *a: _denoise_wrong(*a, uphill=True),
        ),
    ),
    alternatives={
        "autograd after all": _denoise_autograd,
        "divergence, lerp towards y": _denoise_divergence,
        "fluxes over the edges": _denoise_fluxes,
    },
)
