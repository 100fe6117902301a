"""## 3. Regularisers and inversion

A loss alone leaves an image full of noise. What keeps it smooth, what that costs at the border and in flat regions, and how a
picture is read back out of its code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.checks.declare import Findings, Inputs, Law, Part, Question
from coursekit.checks.draws import Rng


def _weighted(out: Tensor) -> Tensor:
    """A scalar with another weight for each entry, so that no gradient is right by symmetry alone."""
    return (out * torch.linspace(-1, 2, out.numel(), dtype=out.dtype).reshape(out.shape)).sum()


# total_variation


def slide_readings(x: Tensor, beta: float) -> dict[str, float]:
    """The slide's sum over one image x (H, W), its border settled in two hasty ways."""
    du, dv = x[:-1, 1:] - x[:-1, :-1], x[1:, :-1] - x[:-1, :-1]
    wrapped_du, wrapped_dv = x.roll(-1, 1) - x, x.roll(-1, 0) - x
    return {
        "only pixels with both neighbours": ((du**2 + dv**2) ** (beta / 2)).sum().item(),
        "the neighbour of the last is the first": ((wrapped_du**2 + wrapped_dv**2) ** (beta / 2)).sum().item(),
    }


def border_cases() -> None:
    """Both readings for a grey image with one bright pixel in the lower right corner, and for a ramp."""
    corner = torch.zeros(6, 8)
    corner[-1, -1] = 1.0
    for name, x in {"bright corner": corner, "ramp": torch.linspace(0, 1, 8).expand(6, 8)}.items():
        for reading, value in slide_readings(x, 1.0).items():
            print(f"{name}, {reading}: {value:.2f}")


def _draw_tv(rng: Rng) -> Inputs:
    N, C, H, W = 3, 2, 5, 7
    border = torch.zeros(N, C, H, W, dtype=rng.dtype)
    border[:, :, -1] = rng.uniform(N, C, W, low=-1.0)
    border[:, :, :, -1] = rng.uniform(N, C, H, low=-1.0)
    return {
        "x": rng.uniform(N, C, H, W, low=-1.0),
        "border": border,
        "row": rng.uniform(N, C, 1, W, low=-1.0),
        "beta": rng.number(1.3, 1.7),
    }


def _tv_values(tv: Any, inputs: Inputs) -> Findings:
    x = inputs["x"]
    return {f"R, beta = {beta:.3g}": tv(x, beta) for beta in (1.0, inputs["beta"], 2.0, 3.0)}


def _tv_border(tv: Any, inputs: Inputs) -> Findings:
    border, row, beta = inputs["border"], inputs["row"], inputs["beta"]
    return {
        "R of images with nothing but a last row and column": tv(border, beta),
        "R of images of one row": tv(row, beta),
        "R of images of one column": tv(row.transpose(2, 3).contiguous(), beta),
    }


def _tv_gradients(tv: Any, inputs: Inputs) -> Findings:
    findings: Findings = {}
    for beta in (2.0, 3.0):
        x = inputs["x"].clone().requires_grad_()
        (grad,) = torch.autograd.grad(_weighted(tv(x, beta)), x, allow_unused=True)
        findings[f"gradient, beta = {beta:g}"] = grad
    return findings


def _tv_laws(tv: Any, inputs: Inputs) -> Findings:
    x, beta = inputs["x"], inputs["beta"]
    return {"R(x)": tv(x, beta), "R(x + 5)": tv(x + 5, beta), "R(-3 x)": tv(-3 * x, beta)}


TOTAL_VARIATION = Question(
    unit="02",
    name="total_variation",
    title="Total variation up to the border",
    slip=True,
    difficulty=2,
    minutes=15,
    task="""
A slide of Rice (*Deep Learning for Vision & Language*) prints the regulariser of Mahendran and Vedaldi (2015) for a discrete
image,

$$\\mathcal{R}_{V^\\beta}(x) = \\sum_{i,j} \\left( (x_{i,j+1} - x_{ij})^2 + (x_{i+1,j} - x_{ij})^2 \\right)^{\\beta/2}$$

and leaves the limits of the sum open: in the last row there is no $x_{i+1,j}$, in the last column no $x_{i,j+1}$. Two hasty
ways out are in `slide_readings`; `border_cases()`, run below your answer, shows what becomes of them. One does not see a
bright corner at all, so nothing ever removes noise from it. The other charges a harmless ramp for the jump between opposite
sides.

Mend it, and for any $\\beta$ (the slide carries it through all exponents, only to set it to 1): **a difference whose
neighbour lies outside the image is 0; the pixel's other difference still counts.** So $i$ and $j$ run over all pixels.

`total_variation(x, beta)` takes `x` (N, C, H, W) and a number `beta` of at least 1 and returns $\\mathcal{R}$ for each image,
shape (N,): the sum over pixels and channels, **every channel by itself** (the power is taken before channels are added), no
mean. H or W may be 1. Gradients flow to `x`; they are tested for `beta` of 2 and more, and the next exercise is about the
rest.
""",
    answers=("total_variation",),
    given=(slide_readings, border_cases),
    setup="border_cases()",
    draw=_draw_tv,
    parts=(
        Part(
            name="values",
            points=1.0,
            tests="R for 3 images of 2 channels, 5 × 7, four values of beta",
            probe=_tv_values,
        ),
        Part(
            name="border",
            points=1.0,
            tests="variation in the last row and column only; one row; one column",
            probe=_tv_border,
        ),
        Part(
            name="invariances",
            points=0.5,
            tests="R(x + 5) = R(x), and R(-3 x) = 3^beta R(x)",
            probe=_tv_laws,
            laws=(
                Law(
                    "changes with the brightness",
                    "Adding a constant to an image must not change R: only differences between neighbours inside it count.",
                    lambda inputs, found: bool(torch.allclose(found["R(x)"], found["R(x + 5)"], rtol=1e-3)),
                ),
                Law(
                    "wrong power",
                    "An image with three times the contrast has 3^beta times the R: the exponent of the sum of two squares "
                    "is beta / 2.",
                    lambda inputs, found: bool(
                        torch.allclose(found["R(-3 x)"], 3 ** inputs["beta"] * found["R(x)"], rtol=1e-3)
                    ),
                ),
            ),
        ),
        Part(name="gradients", points=0.5, tests="the gradient for beta = 2 and beta = 3", probe=_tv_gradients),
    ),
    hints=(
        "Both differences of a pixel stand under one power, so both tensors of differences need the image's full size.",
        "A row has W − 1 horizontal differences: fill up the last column with 0, and for the vertical ones the last row.",
        "`F.pad(x[..., 1:] - x[..., :-1], (0, 1))` is (N, C, H, W); for rows the padding is `(0, 0, 0, 1)`. Then "
        "`(du**2 + dv**2) ** (beta / 2)`, summed over all axes but the first.",
    ),
)


# smooth_tv


def wrapped_differences(x: Tensor) -> tuple[Tensor, Tensor]:
    """Differences on a tile whose opposite sides touch: x (..., H, W) -> to the right, downwards, both (..., H, W)."""
    return x.roll(-1, -1) - x, x.roll(-1, -2) - x


def _draw_smooth(rng: Rng) -> Inputs:
    N, C, H, W = 3, 2, 6, 8
    while True:
        blocks = rng.uniform(N, C, 2, 2, low=-1.0)
        steps = torch.cat([blocks.diff(dim=2).abs().flatten(), blocks.diff(dim=3).abs().flatten()])
        if steps.min() > 0.2:  # else a step as small as eps would look flat
            break
    return {
        "x": rng.uniform(N, C, H, W, low=-1.0),
        "patches": blocks.repeat_interleave(H // 2, 2).repeat_interleave(W // 2, 3),
        "constant": rng.uniform(N, C, 1, 1, low=-1.0).expand(N, C, H, W).clone(),
        "eps": rng.number(0.08, 0.16),
    }


_BETAS = (1.0, 1.5, 3.0)


def _smooth_values(tv: Any, inputs: Inputs) -> Findings:
    return {f"R, beta = {beta:g}": tv(inputs["x"], beta, inputs["eps"]) for beta in _BETAS}


def _smooth_flat(tv: Any, inputs: Inputs) -> Findings:
    return {f"R of constant images, beta = {beta:g}": tv(inputs["constant"], beta, inputs["eps"]) for beta in _BETAS}


def _smooth_gradients(tv: Any, inputs: Inputs) -> Findings:
    findings: Findings = {}
    for name in ("x", "patches", "constant"):
        for beta in (1.0, 1.5):
            x = inputs[name].clone().requires_grad_()
            (grad,) = torch.autograd.grad(_weighted(tv(x, beta, inputs["eps"])), x, allow_unused=True)
            findings[f"gradient at {name}, beta = {beta:g}"] = grad
    return findings


def _all_finite(inputs: Inputs, found: Findings) -> bool:
    return all(bool(grad.isfinite().all()) for name, grad in found.items() if name.startswith("gradient"))


SMOOTH_TV = Question(
    unit="02",
    name="smooth_tv",
    title="Total variation that survives a flat patch",
    difficulty=2,
    minutes=15,
    task="""
For $\\beta = 1$ every pixel contributes a square root, and the root's slope at 0 is infinite. One pixel whose two differences
are both 0 is enough for autograd to return $\\infty \\cdot 0$ = NaN, and an image of constant patches, the very thing that the
regulariser wants, has many. Round the tip off,

$$\\mathcal{R}_{\\beta,\\epsilon}(x) = \\sum_{c,i,j} \\left[ \\left( d_u^2 + d_v^2 + \\epsilon^2 \\right)^{\\beta/2} -
\\epsilon^\\beta \\right]$$

where $d_u$, $d_v$ are the differences to the right and downwards at pixel $(i, j)$ of channel $c$. The second term makes a flat
patch cost nothing. Here the image is a **tile**: the right neighbour of the last column is the first column, the lower neighbour
of the last row the first row. `wrapped_differences`, given below, does that.

`smooth_tv(x, beta, eps)` takes `x` (N, C, H, W), a number `beta` of at least 1 and a number `eps` above 0 and returns
$\\mathcal{R}$ for each image, shape (N,): a sum, no mean. Its gradient is finite everywhere, and exactly the formula's.
""",
    answers=("smooth_tv",),
    given=(wrapped_differences,),
    draw=_draw_smooth,
    parts=(
        Part(
            name="values",
            points=1.0,
            tests="R for 3 images of 2 channels, 6 × 8, three values of beta",
            probe=_smooth_values,
        ),
        Part(name="flat", points=0.5, tests="R = 0 for constant images", probe=_smooth_flat),
        Part(
            name="gradients",
            points=1.0,
            tests="gradients for beta = 1 and 1.5, at noise, at constant patches and at constant images",
            probe=_smooth_gradients,
            laws=(
                Law(
                    "gradient not finite",
                    "There is a NaN or an infinity in the gradient: something takes a power below 1 of exactly 0 on the way "
                    "back. Whatever you do to the result comes too late; keep the power's argument above 0.",
                    _all_finite,
                ),
            ),
        ),
    ),
    hints=(
        "What is done after the root cannot mend it: back-propagation still multiplies by the root's own slope.",
        "Where exactly does ε² stand in the formula, and how many pixels subtract ε to the power β?",
        "`(du**2 + dv**2 + eps**2) ** (beta / 2) - eps**beta` for each pixel, then the sum over all axes but the first.",
    ),
)


# inversion_loss


def _features(inputs: Inputs) -> Callable[[Tensor], Tensor]:
    """A small network: images (N, 3, H, W) -> feature maps (N, 4, H / 2, W / 2)."""
    return lambda x: F.softplus(F.conv2d(x, inputs["kernel"], inputs["bias"], stride=2, padding=1))


def _roughness(x: Tensor) -> Tensor:
    """A regulariser for each image: (N, C, H, W) -> (N,)."""
    return x.diff(dim=3).square().flatten(1).sum(1) + x.diff(dim=2).square().flatten(1).sum(1)


def _draw_inversion(rng: Rng) -> Inputs:
    N, C, H, W = 3, 3, 6, 8
    contrast = torch.tensor([0.4, 0.7, 1.0], dtype=rng.dtype)[rng.permutation(N)][:, None, None, None]
    return {
        "x": rng.uniform(N, C, H, W, low=-1.0),
        "x0": contrast * rng.uniform(N, C, H, W, low=-1.0),
        "kernel": rng.normal(4, C, 3, 3, scale=0.5),
        "bias": rng.normal(4, scale=0.3),
        "weight": rng.number(0.005, 0.02),
    }


def _invert(loss: Any, inputs: Inputs, weight: float, x: Tensor | None = None) -> Tensor:
    start = inputs["x"] if x is None else x
    value: Tensor = loss(_features(inputs), start, inputs["x0"], _roughness, weight)
    return value


def _inversion_fit(loss: Any, inputs: Inputs) -> Findings:
    return {
        "loss, weight = 0": _invert(loss, inputs, 0.0),
        "loss of x = x0, weight = 0": _invert(loss, inputs, 0.0, inputs["x0"].clone()),
    }


def _inversion_both(loss: Any, inputs: Inputs) -> Findings:
    maps = _invert(loss, inputs, inputs["weight"])
    features = _features(inputs)
    # A code may as well be a vector for each image, as at the end of a network.
    vectors = loss(lambda x: features(x).mean(dim=(2, 3)), inputs["x"], inputs["x0"], _roughness, inputs["weight"])
    return {"loss, a code of maps": maps, "loss, a code of vectors": vectors}


def _inversion_gradients(loss: Any, inputs: Inputs) -> Findings:
    x, x0 = inputs["x"].requires_grad_(), inputs["x0"].requires_grad_()
    value = loss(_features(inputs), x, x0, _roughness, inputs["weight"])
    grads = torch.autograd.grad(_weighted(value), [x, x0], allow_unused=True)
    return {"gradient of x": grads[0], "gradient of x0": grads[1]}


INVERSION_LOSS = Question(
    unit="02",
    name="inversion_loss",
    title="Reading an image back out of its code",
    difficulty=2,
    minutes=15,
    task="""
Which images look to a network like $x_0$? Mahendran and Vedaldi (2015) start anywhere and descend on

$$E(x) = \\frac{\\lVert \\Phi(x) - \\Phi(x_0) \\rVert_2^2}{\\lVert \\Phi(x_0) \\rVert_2^2} + \\lambda\\, \\mathcal{R}(x)$$

Dividing by the norm of the *target's* code makes layers of all sizes comparable: 0 is a perfect match, and a code of zeros
scores 1.

`inversion_loss(features, x, x0, prior, weight)` takes

- the function `features` $= \\Phi$, which maps images (N, C, H, W) to codes of **any** shape (N, ...);
- `x` and `x0`, both (N, C, H, W), where `x[n]` is to match the code of `x0[n]`;
- the function `prior` $= \\mathcal{R}$, which maps images to one number each, (N,), and the number `weight` $= \\lambda$.

It returns $E$ for **each** image, shape (N,): norms run over all entries of one image's code and over no other image's.

The target is a constant: gradients reach `x`, through both terms, and never `x0`, also where `x0` requires one.
""",
    answers=("inversion_loss",),
    draw=_draw_inversion,
    parts=(
        Part(name="match", points=1.0, tests="the first term alone; 0 for x = x0", probe=_inversion_fit),
        Part(
            name="both terms",
            points=0.5,
            tests="E with the regulariser, for codes of maps and of vectors",
            probe=_inversion_both,
        ),
        Part(name="gradients", points=1.0, tests="the gradient of x; none for x0", probe=_inversion_gradients),
    ),
    hints=(
        "Both norms are sums of squares over everything that belongs to one image: over all axes but the first.",
        "`flatten(1)` makes any code (N, D). Which of the two calls of `features` must leave no trace in the graph?",
        "`code = features(x0).detach().flatten(1)`; the first term is `(features(x).flatten(1) - code).square().sum(1) / "
        "code.square().sum(1)`.",
    ),
)


# denoise_step


def _draw_denoise(rng: Rng) -> Inputs:
    N, C, H, W = 2, 2, 5, 7
    return {
        "x": rng.uniform(N, C, H, W, low=-1.0),
        "y": rng.uniform(N, C, H, W, low=-1.0),
        "weight": rng.number(0.3, 0.6),
        "eps": rng.number(0.1, 0.2),
        "lr": rng.number(0.1, 0.15),
    }


def _denoise(step: Any, inputs: Inputs, x: Tensor, y: Tensor, weight: float) -> Tensor:
    with torch.no_grad():  # by hand means without autograd
        moved: Tensor = step(x, y, weight, inputs["eps"], inputs["lr"])
    return moved


def _denoise_data(step: Any, inputs: Inputs) -> Findings:
    return {"x after a step, weight = 0": _denoise(step, inputs, inputs["x"], inputs["y"], 0.0)}


def _denoise_smoothness(step: Any, inputs: Inputs) -> Findings:
    y = inputs["y"]
    return {"x after a step from x = y": _denoise(step, inputs, y.clone(), y, inputs["weight"])}


def _denoise_steps(step: Any, inputs: Inputs) -> Findings:
    x = inputs["x"]
    for _ in range(3):
        x = _denoise(step, inputs, x, inputs["y"], inputs["weight"])
    return {"x after three steps": x}


DENOISE_STEP = Question(
    unit="02",
    name="denoise_step",
    title="Denoising by hand: the gradient of total variation",
    difficulty=3,
    minutes=25,
    task="""
Rudin, Osher and Fatemi (1992) remove the noise of an image $y$ by descending on

$$E(x) = \\tfrac12 \\sum_{c,i,j} (x - y)^2 + \\lambda \\sum_{c,i,j} r, \\qquad r = \\sqrt{d_u^2 + d_v^2 + \\epsilon^2}$$

with the differences $d_u$, $d_v$ of `wrapped_differences` from the exercise before: the image is a tile. Autograd could do it.
Do it by hand: the result has a name, $-\\operatorname{div}(\\nabla x / r)$, and shows what total variation does to an edge.

A pixel stands in its own $r$ with the sign − (twice), and with the sign + in the $r$ of its **left** neighbour (in $d_u$) and of
the one **above** (in $d_v$). Collect the four.

`denoise_step(x, y, weight, eps, lr)` takes `x`, `y` (N, C, H, W) and numbers $\\lambda$ = `weight`, $\\epsilon$ = `eps`, `lr`,
and returns `x - lr * gradient of E` (N, C, H, W), a new tensor. The check runs it under `torch.no_grad()`.
""",
    answers=("denoise_step",),
    draw=_draw_denoise,
    parts=(
        Part(name="data", points=0.5, tests="a step without the regulariser", probe=_denoise_data),
        Part(
            name="smoothness",
            points=1.0,
            tests="a step from x = y, where only the regulariser pulls",
            probe=_denoise_smoothness,
        ),
        Part(name="steps", points=1.0, tests="three steps with both terms", probe=_denoise_steps),
    ),
    hints=(
        "First p_u = d_u / r and p_v = d_v / r: the slopes of r in its two differences.",
        "The gradient at a pixel is: p_u of the left neighbour − p_u here + p_v of the pixel above − p_v here. "
        "`wrapped_differences` looks right and down; here you look left and up.",
        "`p_u.roll(1, -1)` holds the left neighbours, `p_v.roll(1, -2)` those above. The regulariser's gradient is "
        "`p_u.roll(1, -1) - p_u + p_v.roll(1, -2) - p_v`.",
    ),
)
