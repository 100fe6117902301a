"""Answer keys to section 4: dreams."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from coursekit.checks.declare import Key, Mistake
from coursekit.exercises.u02_input_optimization.asked import s4_dreams as asked

Activity = Callable[[Tensor], Tensor]

# ascent_step


def ascent_step(activity: Callable[[Tensor], Tensor], x: Tensor, lr: float) -> Tensor:
    """activity (N, C, H, W) -> (N,), x (N, C, H, W) -> the images after one step of length lr per pixel (N, C, H, W)."""
    ### BEGIN SOLUTION
    leaf = x.detach().requires_grad_()
    (g,) = torch.autograd.grad(activity(leaf).sum(), leaf)
    rms = g.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
    return x.detach() + lr * g / (rms + 1e-8)
    ### END SOLUTION


def _ascent_image_by_image(activity: Activity, x: Tensor, lr: float) -> Tensor:
    """One image after the other, each with a backward pass and a size of its own, its squares added up one by one."""
    moved = []
    for n in range(x.shape[0]):
        image = x[n : n + 1].detach().clone().requires_grad_()
        activity(image)[0].backward()
        gradient = image.grad[0]  # type: ignore[index]
        total = 0.0
        for entry in gradient.flatten().tolist():
            total += entry * entry
        size = (total / gradient.numel()) ** 0.5
        moved.append(x[n].detach() + lr * gradient / (size + 1e-8))
    return torch.stack(moved)


def _ascent_norm(activity: Activity, x: Tensor, lr: float) -> Tensor:
    leaf = x.detach().clone().requires_grad_(True)
    activity(leaf).mean().backward()  # a constant factor, which the rescaling removes
    flat = leaf.grad.flatten(1) * len(x)  # type: ignore[union-attr]
    rms = torch.linalg.vector_norm(flat, dim=1, keepdim=True) / flat.shape[1] ** 0.5
    return (x.detach().flatten(1) + lr * flat / (rms + 1e-8)).view_as(x)


def _ascent_by_images(activity: Activity, x: Tensor, lr: float) -> Tensor:
    out = torch.empty_like(x)
    for n, image in enumerate(x.split(1)):
        leaf = image.detach().clone().requires_grad_()
        (g,) = torch.autograd.grad(activity(leaf)[0], leaf)
        out[n] = (image + g.div(g.pow(2).mean().sqrt().add(1e-8)).mul(lr))[0]
    return out


def _ascent_vector(activity: Activity, x: Tensor, lr: float) -> Tensor:
    with torch.enable_grad():
        leaf = x.detach().requires_grad_()
        values = activity(leaf)
        (g,) = torch.autograd.grad(values, leaf, grad_outputs=torch.ones_like(values))
    with torch.no_grad():
        rms = torch.einsum("nchw,nchw->n", g, g).div(g[0].numel()).sqrt()
        return torch.addcmul(x, g, lr / (rms + 1e-8)[:, None, None, None])


def _ascent_func(activity: Activity, x: Tensor, lr: float) -> Tensor:
    g = torch.func.grad(lambda images: activity(images).sum())(x.detach())
    rms = torch.stack([image.square().mean().sqrt() for image in g])
    return torch.stack([image + lr * slope / (size + 1e-8) for image, slope, size in zip(x.detach(), g, rms)])


_IMAGE = (1, 2, 3)


def _rms(g: Tensor) -> Tensor:
    return g.square().mean(_IMAGE, keepdim=True).sqrt()


def _ascent_wrong(
    activity: Activity,
    x: Tensor,
    lr: float,
    *,
    size: Callable[[Tensor], Tensor] = _rms,
    eps: float = 1e-8,
    sign: bool = False,
    objective: Callable[[Tensor], Tensor] = lambda values: values.sum(),
) -> Tensor:
    """A step with one part of it wrong."""
    leaf = x.detach().requires_grad_()
    (g,) = torch.autograd.grad(objective(activity(leaf)), leaf)
    return x.detach() + lr * (g.sign() if sign else g / (size(g) + eps))


def _ascent_with_graph(activity: Activity, x: Tensor, lr: float) -> Tensor:
    leaf = x.detach().requires_grad_()
    (g,) = torch.autograd.grad(activity(leaf).sum(), leaf)
    return leaf + lr * g / (_rms(g) + 1e-8)


def _ascent_on_x_itself(activity: Activity, x: Tensor, lr: float) -> Tensor:
    x.requires_grad_()
    (g,) = torch.autograd.grad(activity(x).sum(), x)
    return x.detach() + lr * g / (_rms(g) + 1e-8)


def _ascent_into_grad(activity: Activity, x: Tensor, lr: float) -> Tensor:
    x.requires_grad_()
    activity(x).sum().backward()
    moved = x.detach() + lr * x.grad / (_rms(x.grad) + 1e-8)  # type: ignore[operator, arg-type]
    x.requires_grad_(False)
    return moved


ASCENT_STEP = Key(
    question=asked.ASCENT_STEP,
    solution=(ascent_step,),
    reference=_ascent_image_by_image,
    source=(
        "Mordvintsev, Olah & Tyka 2015, Inceptionism: going deeper into neural networks, and its script, which divides by the "
        "mean absolute value; root mean square: Erhan et al. 2009, Visualizing higher-layer features of a deep "
        "network (ascent under a fixed norm)"
    ),
    mistakes=(
        Mistake(
            "downhill",
            "To excite a layer go up: add the step.",
            lambda activity, x, lr: _ascent_wrong(activity, x, -lr),
        ),
        Mistake(
            "not rescaled",
            "You add the bare gradient. Divide it by its root mean square, image by image.",
            lambda *a: _ascent_wrong(*a, size=torch.ones_like, eps=0.0),
        ),
        Mistake(
            "one size for the batch",
            "The image with the largest gradient sets everybody's step: take the mean of squares over axes 1, 2 and 3 only.",
            lambda *a: _ascent_wrong(*a, size=lambda g: g.square().mean().sqrt()),
        ),
        Mistake(
            "a size for each channel",
            "Each channel is rescaled by itself, which changes the gradient's direction: the mean runs over channels, too.",
            lambda *a: _ascent_wrong(*a, size=lambda g: g.square().mean((2, 3), keepdim=True).sqrt()),
        ),
        Mistake(
            "mean absolute value",
            "That is the original script's size. Here it is the root of the mean square.",
            lambda *a: _ascent_wrong(*a, size=lambda g: g.abs().mean(_IMAGE, keepdim=True)),
        ),
        Mistake(
            "largest absolute value",
            "That limits the largest change of a pixel. Here the size is the root mean square.",
            lambda *a: _ascent_wrong(*a, size=lambda g: g.abs().amax(_IMAGE, keepdim=True)),
        ),
        Mistake(
            "norm instead of root mean square",
            "The norm grows with the number of pixels: take the mean of the squares, not their sum.",
            lambda *a: _ascent_wrong(*a, size=lambda g: g.square().sum(_IMAGE, keepdim=True).sqrt()),
        ),
        Mistake(
            "root left out",
            "You divide by the mean square: large gradients now give small steps. Take its root.",
            lambda *a: _ascent_wrong(*a, size=lambda g: g.square().mean(_IMAGE, keepdim=True)),
        ),
        Mistake(
            "sign of the gradient",
            "Every pixel moves by lr: that is the sign method. Here the gradient keeps its proportions.",
            lambda *a: _ascent_wrong(*a, sign=True),
        ),
        Mistake(
            "0 divided by 0",
            "An image without gradient turns into NaN: add 1e-8 to the root mean square.",
            lambda *a: _ascent_wrong(*a, eps=0.0),
        ),
        Mistake(
            "only the first image's activity",
            "Differentiate the sum of all activities: the other images get no gradient.",
            lambda *a: _ascent_wrong(*a, objective=lambda values: values[0]),
        ),
        Mistake(
            "result carries a graph",
            "The values are right, but the result requires a gradient: step from `x.detach()`, or the graph grows step by step.",
            _ascent_with_graph,
        ),
        Mistake(
            "x left requiring a gradient",
            "`requires_grad_()` on `x` itself outlives your function: call it on `x.detach()`.",
            _ascent_on_x_itself,
        ),
        Mistake(
            "gradient left in x.grad",
            "`backward` stores the gradient in `x.grad`, where the next step would add to it: use a detached copy, or "
            "`torch.autograd.grad`.",
            _ascent_into_grad,
        ),
    ),
    alternatives={
        "mean, norm over a flat view": _ascent_norm,
        "image by image": _ascent_by_images,
        "grad_outputs, einsum": _ascent_vector,
        "torch.func.grad": _ascent_func,
    },
)


# jittered_ascent


def jittered_ascent(
    activity: Callable[[Tensor], Tensor], x: Tensor, shifts: list[tuple[int, int]], lr: float
) -> Tensor:
    """activity (N, C, H, W) -> (N,), x (N, C, H, W), pairs (dy, dx) -> the images after a step for each pair (N, C, H, W)."""
    ### BEGIN SOLUTION
    for dy, dx in shifts:
        moved = x.detach().roll((dy, dx), (2, 3)).requires_grad_()
        (g,) = torch.autograd.grad(activity(moved).sum(), moved)
        x = (moved + lr * g).detach().roll((-dy, -dx), (2, 3))
    return x
    ### END SOLUTION


def _jitter_by_index(activity: Activity, x: Tensor, shifts: list[tuple[int, int]], lr: float) -> Tensor:
    """The pixel (i, j) of the shifted image is the pixel (i - dy, j - dx) of the original, counted around."""
    N, C, H, W = x.shape
    now = x.detach().clone()
    for dy, dx in shifts:
        shifted = torch.empty_like(now)
        for i in range(H):
            for j in range(W):
                shifted[:, :, i, j] = now[:, :, (i - dy) % H, (j - dx) % W]
        leaf = shifted.clone().requires_grad_()
        (slope,) = torch.autograd.grad(activity(leaf).sum(), leaf)
        after = now.clone()
        for i in range(H):
            for j in range(W):
                after[:, :, i, j] = now[:, :, i, j] + lr * slope[:, :, (i + dy) % H, (j + dx) % W]
        now = after
    return now


def _jitter_inside(activity: Activity, x: Tensor, shifts: list[tuple[int, int]], lr: float) -> Tensor:
    """The shift belongs to the function that is differentiated: autograd undoes it."""
    for shift in shifts:
        leaf = x.detach().clone().requires_grad_()
        activity(torch.roll(leaf, tuple(shift), (-2, -1))).sum().backward()
        x = leaf.detach().add(leaf.grad, alpha=lr)  # type: ignore[arg-type]
    return x.detach()


def _jitter_gathered(activity: Activity, x: Tensor, shifts: list[tuple[int, int]], lr: float) -> Tensor:
    H, W = x.shape[2:]
    out = x.detach().clone()
    for dy, dx in shifts:
        rows, columns = (torch.arange(H) - dy) % H, (torch.arange(W) - dx) % W
        leaf = out[:, :, rows][..., columns].requires_grad_()
        g = torch.autograd.grad(activity(leaf).sum(), leaf)[0]
        back = torch.empty_like(out)
        back[:, :, rows[:, None], columns] = leaf.detach() + lr * g
        out = back
    return out


def _jitter_gradient_back(activity: Activity, x: Tensor, shifts: list[tuple[int, int]], lr: float) -> Tensor:
    x = x.detach()
    for dy, dx in shifts:
        rolled = x.roll(dy, 2).roll(dx, 3).requires_grad_()
        g = torch.autograd.grad(activity(rolled).sum(), rolled)[0]
        x = x + lr * g.roll(-dx, 3).roll(-dy, 2)
    return x


def _jitter_wrong(
    activity: Activity,
    x: Tensor,
    shifts: list[tuple[int, int]],
    lr: float,
    *,
    there: Callable[[Tensor, int, int], Tensor] = lambda z, dy, dx: z.roll((dy, dx), (2, 3)),
    back: Callable[[Tensor, int, int], Tensor] = lambda z, dy, dx: z.roll((-dy, -dx), (2, 3)),
) -> Tensor:
    """Jittered ascent with one part of it wrong."""
    x = x.detach()
    for dy, dx in shifts:
        moved = there(x, dy, dx).requires_grad_()
        (g,) = torch.autograd.grad(activity(moved).sum(), moved)
        x = back((moved + lr * g).detach(), dy, dx)
    return x


def _jitter_gradient_only(
    activity: Activity, x: Tensor, shifts: list[tuple[int, int]], lr: float, *, shifted: bool
) -> Tensor:
    """The gradient and the image it is added to do not lie on each other."""
    x = x.detach()
    for dy, dx in shifts:
        leaf = (x.roll((dy, dx), (2, 3)) if shifted else x.clone()).requires_grad_()
        (g,) = torch.autograd.grad(activity(leaf).sum(), leaf)
        x = x + lr * (g if shifted else g.roll((-dy, -dx), (2, 3)))
    return x


def _jitter_undone_at_the_end(activity: Activity, x: Tensor, shifts: list[tuple[int, int]], lr: float) -> Tensor:
    x = _jitter_wrong(activity, x, shifts, lr, back=lambda z, dy, dx: z)
    dy, dx = shifts[-1]
    return x.roll((-dy, -dx), (2, 3))


def _jitter_from_the_start(activity: Activity, x: Tensor, shifts: list[tuple[int, int]], lr: float) -> Tensor:
    steps = [_jitter_wrong(activity, x, [shift], lr) - x for shift in shifts]
    return x + torch.stack(steps).sum(0)


def _filled_shift(z: Tensor, dy: int, dx: int) -> Tensor:
    """Shifted, with zeros where the picture has left."""
    H, W = z.shape[2:]
    rows, columns = torch.arange(H) - dy, torch.arange(W) - dx
    inside = ((rows >= 0) & (rows < H))[:, None] & ((columns >= 0) & (columns < W))
    return z.roll((dy, dx), (2, 3)) * inside


JITTERED_ASCENT = Key(
    question=asked.JITTERED_ASCENT,
    solution=(jittered_ascent,),
    reference=_jitter_by_index,
    source="Mordvintsev, Olah & Tyka 2015, Inceptionism, script of the DeepDream notebook, function make_step",
    mistakes=(
        Mistake(
            "never shifted back",
            "After the step the picture lies elsewhere: roll by (-dy, -dx) before the next one.",
            lambda *a: _jitter_wrong(*a, back=lambda z, dy, dx: z),
        ),
        Mistake(
            "shifted twice instead of back",
            "The undo has the opposite signs: (-dy, -dx).",
            lambda *a: _jitter_wrong(*a, back=lambda z, dy, dx: z.roll((dy, dx), (2, 3))),
        ),
        Mistake(
            "axes swapped",
            "`dy` moves rows, axis 2; `dx` moves columns, axis 3. You swapped them, there and back.",
            lambda *a: _jitter_wrong(
                *a,
                there=lambda z, dy, dx: z.roll((dx, dy), (2, 3)),
                back=lambda z, dy, dx: z.roll((-dx, -dy), (2, 3)),
            ),
        ),
        Mistake(
            "axes swapped on the way back",
            "The shift is right, its undo has the axes swapped: `dy` belongs to axis 2.",
            lambda *a: _jitter_wrong(*a, back=lambda z, dy, dx: z.roll((-dx, -dy), (2, 3))),
        ),
        Mistake(
            "shifted up and left",
            "Positive numbers move the picture down and to the right: `roll` by (dy, dx) first, by the negative ones after.",
            lambda *a: _jitter_wrong(
                *a,
                there=lambda z, dy, dx: z.roll((-dy, -dx), (2, 3)),
                back=lambda z, dy, dx: z.roll((dy, dx), (2, 3)),
            ),
        ),
        Mistake(
            "rolled along channels and rows",
            "Axes are counted from the batch: (N, C, H, W) has rows at 2 and columns at 3.",
            lambda *a: _jitter_wrong(
                *a,
                there=lambda z, dy, dx: z.roll((dy, dx), (1, 2)),
                back=lambda z, dy, dx: z.roll((-dy, -dx), (1, 2)),
            ),
        ),
        Mistake(
            "rolled as one long row",
            "Without `dims` a roll flattens the tensor: pixels cross over into other rows, channels and images.",
            lambda *a: _jitter_wrong(
                *a,
                there=lambda z, dy, dx: z.roll(dy * z.shape[3] + dx),
                back=lambda z, dy, dx: z.roll(-dy * z.shape[3] - dx),
            ),
        ),
        Mistake(
            "zeros where the picture has left",
            "What leaves on one side comes back on the other: `roll`, or the border is lost with every step.",
            lambda *a: _jitter_wrong(*a, there=_filled_shift, back=lambda z, dy, dx: _filled_shift(z, -dy, -dx)),
        ),
        Mistake(
            "shifted gradient added to the unshifted image",
            "The gradient was taken at the shifted image and has its offset: roll it back before you add it.",
            lambda *a: _jitter_gradient_only(*a, shifted=True),
        ),
        Mistake(
            "gradient rolled instead of the image",
            "You differentiate at the image in its place and shift the gradient. The network must see the shifted image.",
            lambda *a: _jitter_gradient_only(*a, shifted=False),
        ),
        Mistake(
            "only the last shift undone",
            "Undo every shift right after its step; at the end it is too late for all but the last.",
            _jitter_undone_at_the_end,
        ),
        Mistake(
            "every step from the first image",
            "Each step starts where the one before ended.",
            _jitter_from_the_start,
        ),
        Mistake(
            "only one shift used",
            "There is one step for each pair in `shifts`; you stop after the first.",
            lambda activity, x, shifts, lr: _jitter_wrong(activity, x, shifts[:1], lr),
        ),
        Mistake(
            "downhill",
            "To excite the layer go up: add `lr` times the gradient.",
            lambda activity, x, shifts, lr: _jitter_wrong(activity, x, shifts, -lr),
        ),
    ),
    alternatives={
        "shift inside the function that is differentiated": _jitter_inside,
        "rows and columns by index": _jitter_gathered,
        "gradient shifted back": _jitter_gradient_back,
    },
)
