# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 2.3 DeepDream and class images
#
# So far the input was optimised *for* something: a class, a code. Now ask the network nothing in particular. Show it a
# photograph, see what one of its layers responds to, however faintly, and change the photograph so that the layer responds
# more. What was a hint becomes a shape, and the shape is one that the network knows.
#
# After this notebook you can
#
# - write the objective of DeepDream and say what its gradient is, layer by layer;
# - take normalised steps, and check that the layer's norm rises with every one of them;
# - explain why plain ascent gives grain, and add four remedies one by one: smoothing, jitter, octaves, colour;
# - cut a picture into tiles without changing the gradient, and say how wide the margin has to be;
# - draw the image of a class with and without regularisers, and let a second network judge it.
#
# **Reading time** 40 minutes. **Running time** about 90 seconds on one core.
#
# | symbol | meaning | shape |
# |---|---|---|
# | $x$ | the picture, values in $[-1,1]$ | $(N,C,H,W)$ |
# | $\Phi_l(x)$ | activations of layer $l$ | $(N,C_l,h,w)$ |
# | $A_l(x)=\tfrac12\lVert\Phi_l(x)\rVert^2$ | the layer's energy | number |
# | $g=\partial A/\partial x$ | its gradient | as $x$ |
# | $\lambda$ | rate: mean change of a pixel in one step | number |
# | $\Sigma=LL^\top$ | covariance of the colours of photographs | $(3,3)$ |
# | $p_k(x)$ | probability of class $k$ | number |
#
# **Recipe card**
#
# | Inputs / outputs | Architecture | Loss |
# |---|---|---|
# | a photograph / the photograph, dreamed | a trained classifier, weights fixed | minus the energy of one layer |

# %%
import itertools
import math
from collections.abc import Callable

import torch
from matplotlib.cbook import get_sample_data
from matplotlib.image import imread
from matplotlib.patches import FancyArrowPatch
from sklearn.datasets import load_sample_images
from torch import Tensor
from torch.nn import functional as F

from coursekit.datasets.things import NAMES, WORLD
from coursekit.models.dreamnet import load_dreamnet, load_second
from coursekit.plots import PALETTE, figure, heatmap, lines, picture, pictures, show, use_style
from coursekit.runtime import generator
from coursekit.training.progress import track
from coursekit.widgets import Choice, Slider, explore

use_style()
torch.set_num_threads(1)  # small pictures: the same numbers on every machine matter more than the second core

THINGS = NAMES["thing"]
net, second = load_dreamnet(), load_second()


def gallery(named: dict[str, Tensor], cols: int, alt: str, width: float = 8.0) -> None:
    """Pictures (1, 3, H, W) of one shape, each under its name; a palette of 64 colours keeps the notebook small."""
    show(pictures(torch.cat(list(named.values())), cols=cols, titles=list(named), width=width), alt=alt, colours=64)


# %% [markdown]
# ## 1. A network and what it knows
#
# The network decides what can be dreamed. The famous dogs come from ImageNet, in which every eighth class is a dog. Ours
# was trained on a rendered world of 18 kinds of things and textures. Two networks learned it: `net`, which we dream with, and
# `second`, smaller and from another seed, which we keep as an independent judge.

# %%
sample = WORLD.draw(1000, generator=generator(20), size=64)
for name, each in (("net", net), ("second", second)):
    right = (each.read(sample.x) == sample.labels[:, 0]).double().mean().item()
    assert right > 0.95
    print(f"{name:6s} blocks of {[b.norms[-1].num_features for b in each.blocks]} channels, more than 0.95 right on fresh pictures: {right > 0.95}")

examples = WORLD.render(torch.arange(len(THINGS))[:, None], generator=generator(21), size=64)
show(pictures(examples, cols=9, titles=THINGS, width=8.4), alt="One picture of each of the 18 kinds: " + ", ".join(THINGS) + ".", colours=128)

# %% [markdown]
# Neither has seen a photograph. Here are three, from the samples that scikit-learn and matplotlib bring along.


# %%
def photograph(which: str, height: int) -> Tensor:
    """(1, 3, height, W) in [-1, 1]; W keeps the proportions."""
    if which == "grace hopper":
        with get_sample_data("grace_hopper.jpg") as file:
            pixels = imread(file, format="jpg")
    else:
        pixels = load_sample_images().images[("pagoda", "flower").index(which)]
    x = torch.tensor(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1
    return F.interpolate(x, size=(height, round(x.shape[3] * height / x.shape[2])), mode="bilinear", antialias=True)


pagoda, blossom, hopper = (photograph(which, 180) for which in ("pagoda", "flower", "grace hopper"))
fig, axes = figure(1, 3, width=8.0, height=2.3, width_ratios=[x.shape[3] for x in (pagoda, blossom, hopper)])
for ax, x, name in zip(axes, (pagoda, blossom, hopper), ("pagoda", "flower", "grace hopper")):
    picture(ax, x[0], f"{name}, {x.shape[2]} x {x.shape[3]}")
show(fig, alt="Three photographs: a Chinese pagoda on a lake among trees, a dahlia, and Grace Hopper in uniform before a flag.", colours=128)

# %% [markdown]
# ## 2. The objective and its gradient
#
# DeepDream (Mordvintsev, Olah & Tyka 2015) maximises the energy of a layer by changing the picture, with the weights fixed:
#
# $$A_l(x)=\tfrac12\lVert\Phi_l(x)\rVert^2\qquad
# \frac{\partial A_l}{\partial \Phi_l}=\Phi_l\qquad
# g=\frac{\partial A_l}{\partial x}=\Big(\frac{\partial\Phi_l}{\partial x}\Big)^{\!\top}\Phi_l(x)$$
#
# The half is there for the middle equation: *the error that is sent back is the activation itself*. A unit that is silent
# asks for nothing; one that responds asks for more of the same, in proportion. There is no target. The photograph's own
# faint hints decide what grows.

# %%
fig, ax = figure(width=7.6, height=1.9)
for k, text in enumerate(("picture $x$", r"layers 1 ... $l$", r"$\Phi_l(x)$", r"$\frac{1}{2}\Vert\Phi_l\Vert^2$")):
    ax.text(2 * k, 0, text, ha="center", va="center", bbox={"boxstyle": "round,pad=0.4", "fc": "white", "ec": PALETTE[0 if k == 3 else 1], "lw": 1.6})
for k in range(3):
    ax.add_patch(FancyArrowPatch((2 * k + 0.62, 0.12), (2 * k + 1.38, 0.12), arrowstyle="-|>", mutation_scale=12, color="k"))
    ax.add_patch(FancyArrowPatch((2 * k + 1.38, -0.12), (2 * k + 0.62, -0.12), arrowstyle="-|>", mutation_scale=12, color=PALETTE[2], ls="--"))
ax.add_patch(FancyArrowPatch((0.0, -0.82), (0.0, -0.26), arrowstyle="-|>", mutation_scale=12, color=PALETTE[2], ls="--"))
ax.text(5.0, -0.5, r"$\Phi_l$ goes back", ha="center", color=PALETTE[2], fontsize=9)
ax.text(0.0, -0.98, r"$x \leftarrow x + \lambda\, g\,/\,\mathrm{mean}|g|$", ha="center", color=PALETTE[2], fontsize=10)
ax.text(2.0, 0.45, "weights fixed", ha="center", fontsize=9)
ax.set(xlim=(-1.2, 7.2), ylim=(-1.15, 0.7))
ax.axis("off")
show(fig, alt="Boxes: picture x, layers 1 to l with fixed weights, the activations, their energy. Solid arrows run forward; dashed arrows run back "
     "and carry the activations themselves; at the picture an arrow adds the normalised gradient to it.")  # fmt: skip


# %% tags=["covers:C-12"]
def energy(layer: str, of=net) -> Callable[[Tensor], Tensor]:
    """The objective x -> A(x), a number."""
    return lambda x: 0.5 * of.features(x)[layer].square().sum()


def gradient_of(objective: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, float]:
    """The gradient with respect to the picture, and the value there."""
    free = x.detach().requires_grad_()
    value = objective(free)
    return torch.autograd.grad(value, free)[0], value.item()


crop = pagoda[:, :, 40:104, 100:164]
for layer in ("block1", "block3", "block5"):
    by_autograd, _ = gradient_of(energy(layer), crop)
    leaf = crop.clone().requires_grad_()
    activation = net.features(leaf)[layer]
    (by_formula,) = torch.autograd.grad(activation, leaf, grad_outputs=activation.detach())  # J^T Phi: send Phi back
    assert (by_autograd - by_formula).abs().max() < 1e-4 * by_formula.abs().max()
assert all(weight.grad is None for weight in net.parameters())
print("the gradient of the energy is the activation, sent back; no weight received a gradient")

# %% [markdown]
# ## 3. Normalised ascent
#
# How long should a step be? Gradients of different layers differ by powers of ten:

# %% tags=["nbval-ignore-output"]
print("layer     mean |g| on the pagoda")
for layer in [f"block{b}" for b in range(1, 6)]:
    print(f"{layer}    {gradient_of(energy(layer), pagoda)[0].abs().mean().item():10.2g}")

# %% [markdown]
# So the length is set by hand and only the direction is taken from the gradient: $x\leftarrow x+\lambda\,g/\text{mean}|g|$. Whatever
# layer, picture or network: the mean pixel moves by exactly $\lambda$. These are the ten lines.


# %% tags=["covers:C-12", "nbval-ignore-output"]
def step_up(x: Tensor, objective: Callable[[Tensor], Tensor], rate: float) -> tuple[Tensor, float]:
    """One step of normalised gradient ascent, and the value of the objective before it."""
    gradient, value = gradient_of(objective, x)
    return x + rate * gradient / gradient.abs().mean().clamp(min=1e-12), value


def climb(x: Tensor, objective: Callable[[Tensor], Tensor], rate: float, steps: int) -> tuple[Tensor, list[float]]:
    """Where `steps` steps lead, and the values of the objective on the way (steps + 1 of them)."""
    values = []
    for _ in range(steps):
        x, value = step_up(x, objective, rate)
        values.append(value)
    return x, [*values, objective(x.detach()).item()]


moved, _ = step_up(crop, energy("block3"), rate=0.02)
assert abs((moved - crop).abs().mean().item() - 0.02) < 1e-6  # the step is as long as the normalisation says

fig, axes = figure(1, 2, width=8.0, height=3.0)
for ax, rate in zip(axes, (0.002, 0.3)):
    curves = {}
    for layer in ("block2", "block3", "block4", "block5"):
        _, values = climb(crop, energy(layer), rate, 25)
        curves[layer] = [value / values[0] for value in values]
        rises = all(after > before for before, after in itertools.pairwise(values))
        assert rises or rate > 0.1  # small steps: the energy rises with every one
        print(f"rate {rate:g}, {layer}: energy times {values[-1] / values[0]:.2g} after 25 steps{', more with every step' if rises else ''}")
    lines(ax, range(26), curves, xlabel="step", ylabel="energy / energy at the start", title=f"rate {rate:g}")
    if rate > 0.1:
        ax.set_yscale("log")
show(fig, colours=64, alt="Energy of four layers over 25 steps. Left, rate 0.002: every curve rises smoothly, to between 2 and 10 times the start. Right, rate 0.3, "
     "log scale: the curves leap up by powers of ten within a few steps.")  # fmt: skip

# %% [markdown]
# With small steps the gradient keeps its promise at every step. At the large rate the picture leaves $[-1,1]$ within four steps: such
# energies belong to no picture that a screen can show. From here on the result is clipped after each step, and the rate is a few hundredths.
#
# ## 4. Why plain ascent gives grain
#
# Let it run on the photograph: 40 steps, nothing else.

# %% tags=["nbval-ignore-output"]
naive = {"photograph": pagoda}
for title, of in (("second, block 4, plain ascent", second), ("net, block 4, plain ascent", net)):
    x = pagoda
    for _ in track(range(40), title):
        x = step_up(x, energy("block4", of), 0.02)[0].clamp(-1, 1)
    naive[title] = x
gallery(naive, 3, "The pagoda, and two results of plain ascent: with second it is covered with fine grain; with net, small trees and rows of teeth or eyes grow in the grain.")

# %% [markdown]
# All that appears is small, and mostly grain. Compare spectra. Photographs have little energy at high frequencies: their amplitude falls about as $1/f$ (Field 1987). The gradient does not know
# this. Nothing in the objective says that a picture should look like one, so high frequencies, of which there are most (a
# ring in the frequency plane has a length proportional to $f$), win.


# %% tags=["covers:C-12", "nbval-ignore-output"]
def spectrum(x: Tensor, rings: int = 40) -> tuple[Tensor, Tensor]:
    """Frequencies in cycles per pixel, and the mean amplitude in each ring of the frequency plane, from the grey picture."""
    grey = x[0].mean(0)
    grey = (grey - grey.mean()) * torch.hann_window(grey.shape[0])[:, None] * torch.hann_window(grey.shape[1])  # no edges
    amplitude = torch.fft.fft2(grey).abs()
    f = torch.hypot(torch.fft.fftfreq(grey.shape[0])[:, None], torch.fft.fftfreq(grey.shape[1])[None])
    edges = torch.linspace(0.01, 0.5, rings + 1)
    means = torch.stack([amplitude[(f >= low) & (f < high)].mean() for low, high in itertools.pairwise(edges)])
    return (edges[1:] + edges[:-1]) / 2, means


def high_share(x: Tensor) -> float:
    """Share of a picture's variance at more than a quarter cycle per pixel: patterns finer than four pixels."""
    power = torch.fft.fft2(x[0] - x[0].mean((1, 2), keepdim=True)).abs().square().sum(0)
    f = torch.hypot(torch.fft.fftfreq(x.shape[2])[:, None], torch.fft.fftfreq(x.shape[3])[None])
    return (power[f > 0.25].sum() / power.sum()).item()


seen = {
    "photograph": pagoda,
    "gradient, second": gradient_of(energy("block4", second), pagoda)[0],
    "gradient, net": gradient_of(energy("block4"), pagoda)[0],
}
fig, ax = figure(width=6.2, height=3.2)
curves = {name: (means / means[0]) for name, (_, means) in ((name, spectrum(x)) for name, x in seen.items())}
lines(ax, spectrum(pagoda)[0], curves, xlabel="frequency (cycles per pixel)", ylabel="amplitude / amplitude at the left end")
ax.set(xscale="log", yscale="log", xlim=(0.014, 0.55))
ax.set_xticks([0.02, 0.05, 0.1, 0.2, 0.5], ["0.02", "0.05", "0.1", "0.2", "0.5"])
ax.set_xticks([], minor=True)
show(fig, colours=64, alt="Amplitude against frequency on log scales: the photograph falls to a hundredth; both gradients stay level, with a hump near 0.2.")
for name, x in seen.items():
    print(f"share of variance finer than 4 pixels: {name:18s} {high_share(x):.3f}")
assert high_share(seen["gradient, second"]) > 5 * high_share(pagoda)

# %% [markdown]
# The two networks differ. `second` learned from pictures as they are; `net` from pictures that had been disturbed against it
# (section 9 of notebook 2.1), so it could not rely on faint grain, and its gradient has less of it. That training is half of
# the art: gradients of robust networks look like things (Santurkar et al. 2019). The other half are four remedies.
#
# ## 5. Four remedies
#
# **Smoothing.** Blur the gradient before the step, at several widths, and add up the results, each scaled to the same size.
# Low frequencies get their chance, high ones are kept.
#
# **Jitter.** Shift the picture by a random number of pixels before each step and shift it back afterwards. Poolings and strides put
# a lattice on the gradient, in the same place at every step; with jitter it falls elsewhere each time and averages out.


# %% tags=["covers:C-12", "nbval-ignore-output"]
def blurred(x: Tensor, width: float) -> Tensor:
    """Convolved with a Gaussian of standard deviation `width` pixels; the picture is mirrored at its edges."""
    if width == 0:
        return x
    reach = min(math.ceil(2.5 * width), x.shape[2] - 1, x.shape[3] - 1)
    bell = torch.exp(-torch.arange(-reach, reach + 1).square() / (2 * width**2))
    bell = (bell / bell.sum()).expand(x.shape[1], 1, 1, -1)
    x = F.conv2d(F.pad(x, (reach, reach, 0, 0), mode="reflect"), bell, groups=x.shape[1])
    return F.conv2d(F.pad(x, (0, 0, reach, reach), mode="reflect"), bell.transpose(2, 3), groups=x.shape[1])


def smoothed(gradient: Tensor, widths: tuple[float, ...] = (0, 1, 2)) -> Tensor:
    """The sum of blurred gradients, each scaled to a standard deviation of 1."""
    layers = [blurred(gradient, width) for width in widths]
    return sum(layer / layer.std().clamp(min=1e-12) for layer in layers)


def shifted(x: Tensor, by: tuple[int, int]) -> Tensor:
    """Rolled down and to the right; what leaves at one side enters at the other."""
    return x.roll(by, (2, 3))


by = (7, -5)
assert torch.equal(shifted(shifted(pagoda, by), (-by[0], -by[1])), pagoda)  # jitter, then undo: not a bit has changed
assert not torch.equal(shifted(pagoda, by), pagoda)
raw, _ = gradient_of(energy("block4"), pagoda)
assert high_share(smoothed(raw)) < high_share(raw)
print(f"share finer than 4 pixels: raw gradient {high_share(raw):.3f}, smoothed {high_share(smoothed(raw)):.3f}, photograph {high_share(pagoda):.3f}")

# %% [markdown]
# **Octaves.** A pattern has the size of the network's receptive field, at most a hundred pixels here. To get larger ones, start on a
# small copy of the photograph, dream, enlarge *what was added*, put it on the next larger copy and go on. Each size adds its
# own layer of detail, as in a Laplacian pyramid (Burt & Adelson 1983): keep the difference $d=x-\text{base}$, and never enlarge the
# photograph itself, or it would go soft.
#
# $$x_{o+1}=\text{base}_{o+1}+\text{up}(d_o),\qquad d_o=x_o-\text{base}_o$$
#
# **Colour.** In photographs red, green and blue go together: bright things are bright in all three. A plain gradient
# moves them apart and makes rainbow noise. Optimise in coordinates $z$ whose axes are uncorrelated in photographs, $x=Lz$ with
# $LL^\top=\Sigma$ (Olah, Mordvintsev & Schubert 2017). The gradient there is $L^\top g$, and seen from the picture the step is $L L^\top g=\Sigma g$: it
# is enough to multiply the gradient by the covariance.


# %% tags=["covers:C-12"]
def colour_covariance(*photographs: Tensor) -> Tensor:
    """(3, 3) covariance of red, green, blue, its trace 3."""
    pixels = torch.cat([x[0].flatten(1) for x in photographs], 1)
    covariance = torch.cov(pixels)
    return 3 * covariance / covariance.trace()


SIGMA = colour_covariance(pagoda, blossom, hopper)
L = torch.linalg.cholesky(SIGMA)
target = energy("block2")
z = torch.linalg.solve(L, crop[0].flatten(1)).view_as(crop)
through_z, _ = gradient_of(lambda z: target(torch.einsum("cd,ndhw->nchw", L, z)), z)
step_in_x = torch.einsum("cd,ndhw->nchw", L, through_z)
direct = torch.einsum("cd,ndhw->nchw", SIGMA, gradient_of(target, crop)[0])
assert (step_in_x - direct).abs().max() < 1e-3 * direct.abs().max()
print("a step in decorrelated colours is the plain gradient, times the covariance")

fig, ax = figure(width=3.4, height=2.6)
heatmap(ax, SIGMA, label="covariance", xticks="RGB", yticks="RGB", title="colours of three photographs")
show(fig, alt="Covariance of red, green and blue in the three photographs: all nine entries are positive and close to each other.")

# %% [markdown]
# All together. Every remedy can be switched off, so that it can be seen what each does.


# %% tags=["covers:C-12", "nbval-ignore-output"]
def dream(
    photo: Tensor, objective: Callable[[Tensor], Tensor], *, octaves: int = 4, ratio: float = 1.4, steps: int = 16,
    rate: float = 0.025, jitter: int = 16, widths: tuple[float, ...] = (0, 1, 2), colour: float = 0.3, seed: int = 0, label: str = "",
) -> Tensor:  # fmt: skip
    """The photograph (1, 3, H, W) after `steps` steps at each of `octaves` sizes, `ratio` apart. `colour` 0 is the plain gradient, 1 all of SIGMA."""
    draws, mixing = generator(seed), colour * SIGMA + (1 - colour) * torch.eye(3)
    sizes = [[round(edge / ratio**o) for edge in photo.shape[2:]] for o in reversed(range(octaves))]
    detail = torch.zeros(1, 3, *sizes[0])
    plan = [(size, step) for size in sizes for step in range(steps)]
    for size, step in track(plan, label) if label else plan:
        if step == 0:
            base = F.interpolate(photo, size=size, mode="bilinear", antialias=True)
            x = base + F.interpolate(detail, size=size, mode="bicubic")
        by = torch.randint(-jitter, jitter + 1, (2,), generator=draws).tolist()
        gradient, _ = gradient_of(objective, shifted(x, by))
        gradient = torch.einsum("cd,ndhw->nchw", mixing, smoothed(shifted(gradient, [-k for k in by]), widths))
        x = (x + rate * gradient / gradient.abs().mean().clamp(min=1e-12)).clamp(-1, 1)
        detail = x - base
    return x


plain = {"octaves": 1, "steps": 40, "rate": 0.025, "jitter": 0, "widths": (0,), "colour": 0.0}
ladder = {
    "1. plain ascent": plain,
    "2. + smoothing": plain | {"widths": (0, 1, 2)},
    "3. + jitter": plain | {"widths": (0, 1, 2), "jitter": 16},
    "4. + octaves": plain | {"widths": (0, 1, 2), "jitter": 16, "octaves": 4, "steps": 16},
    "5. + colour": plain | {"widths": (0, 1, 2), "jitter": 16, "octaves": 4, "steps": 16, "colour": 0.3},
}
remedies = {title: dream(pagoda, energy("block4"), label=title, **how) for title, how in ladder.items()}
gallery({"photograph": pagoda} | remedies, 3, "The pagoda in six versions: as it is; with plain ascent on block 4; then with smoothing, jitter, octaves and colour added one after another. Grain gives way to larger, calmer patterns.")
# The dream is not the photograph, every pixel stays in range, and it lies higher than the photograph.
assert energy("block4")(remedies["5. + colour"]) > 2 * energy("block4")(pagoda)
for title, x in remedies.items():
    assert x.min() >= -1 and x.max() <= 1
    print(f"{title:18s} share of what was added finer than 4 pixels: {high_share(x - pagoda):.3f}")

# %% [markdown]
# Some of the shore hangs from the sky: jitter wraps the picture round, so the network sees the bottom above the top.
#
# ## 6. Layers
#
# Which layer is excited decides what kind of thing appears: blobs in the first block, then strokes, then rings and eyes, then
# trees and honeycomb, and crowds of small parts in the last.

# %%
layers = {"photograph": blossom} | {f"block {b}": dream(blossom, energy(f"block{b}"), label=f"block {b}") for b in range(1, 6)}
gallery(layers, 3, "A dahlia and five dreams of it: block 1 gives blobs, block 2 thick strokes, block 3 rings, eyes and a spiral, block 4 trees and honeycomb, block 5 rows of small windows and eyes.")

# %% [markdown]
# ## 7. Eyes everywhere
#
# One can also ask for something. The last layer of our networks takes the mean over all places and multiplies it by the head's weights.
# Both are linear, so the head can be applied first: each *place* then has an opinion of its own, and the network's logits
# are the mean of the opinions. The opinions on one class are a map, and a map has an energy: the same recipe once more.
#
# $$A_k(x)=\tfrac12\sum_{i,j}\max\Big(0,\ o_k(x;i,j)-\frac1K\sum_{k'}o_{k'}(x;i,j)\Big)^2$$
#
# Places that have a hint of an eye pull hardest. Places that have none do not pull at all, and the photograph stays.


# %% tags=["covers:C-12", "nbval-ignore-output"]
def opinions(x: Tensor, of=net) -> Tensor:
    """Logits of each place: (N, K, h, w)."""
    last = of.features(x)[f"block{len(of.blocks)}"]
    return F.conv2d(last, of.head.weight[:, :, None, None], of.head.bias)


def hints(kind: str, of=net) -> Callable[[Tensor], Tensor]:
    """The objective A_k of a kind of thing."""

    def objective(x: Tensor) -> Tensor:
        o = opinions(x, of)
        return 0.5 * (o[:, THINGS.index(kind)] - o.mean(1)).clamp(min=0).square().sum()

    return objective


assert torch.allclose(opinions(pagoda).mean((2, 3)), net(pagoda), atol=1e-3)  # the mean opinion is the network's own
wishes = ("eye", "spiral", "feather", "scales", "flower", "butterfly")
wished = {kind: dream(pagoda, hints(kind), label=kind) for kind in wishes}
gallery(wished, 3, "The pagoda six times: with eyes, spirals, feathers, scales, flowers and butterflies, which follow its roofs, the trees and the shore.")
for kind, x in wished.items():
    before, after = ((opinions(y).argmax(1) == THINGS.index(kind)).double().mean().item() for y in (pagoda, x))
    assert after > before + 0.3 and hints(kind)(x) > 10 * hints(kind)(pagoda)
    print(f"{kind:10s} places that see one: {before:.2f} before, {after:.2f} after")

# %% [markdown]
# The network drew them where the photograph gave it a reason: eyes in rows of windows, spirals and flowers in the tree tops.
#
# ### This is not an attack
#
# Notebook 2.1 also climbed a class. There the question was how *little* must change for the verdict of the whole picture to flip. Are
# the two the same thing? Ascend the energy of block 4, and the log-probability of *ostrich*, with equally long steps.

# %% tags=["covers:C-12", "nbval-ignore-output"]
ostrich = THINGS.index("ostrich")
towards = {"energy of block 4": energy("block4"), "log p(ostrich)": lambda x: net(x).log_softmax(1)[:, ostrich].sum()}
first = [gradient_of(objective, pagoda)[0].flatten() for objective in towards.values()]
angle = math.degrees(math.acos(F.cosine_similarity(*first, dim=0).item()))
assert 60 < angle < 120  # nearly at right angles: another question, another direction

print("after 20 steps at rate 0.01      energy, x the photograph's     p(ostrich)")
measured = {}
for name, objective in towards.items():
    x = climb(pagoda, objective, 0.01, 20)[0]
    measured[name] = energy("block4")(x).item() / energy("block4")(pagoda).item(), net(x).softmax(1)[0, ostrich].item()
    print(f"{name:34s}{measured[name][0]:12.1f}{measured[name][1]:26.3f}")
print(f"angle between the two gradients: {angle:.0f} degrees")
dreamed, attacked = measured.values()
assert dreamed[0] > 1.5 * attacked[0] and attacked[1] > 0.9 and dreamed[1] < 0.1

# %% [markdown]
# Each path gets what it climbs for, and not the other thing.
#
# ### One channel
#
# Between a layer and a class there is the channel. Which one fires for eyes and for nothing else? Measure: mean response to pictures
# of one kind, against its mean and spread over all.


# %%
def responses(layer: str) -> Tensor:
    """(K, C): the mean response of each channel of a layer to each kind, in units of its spread over kinds."""
    with torch.no_grad():
        each = torch.cat([net.features(part)[layer].mean((2, 3)) for part in sample.x.split(250)])
    means = torch.stack([each[sample.labels[:, 0] == k].mean(0) for k in range(len(THINGS))])
    return (means - means.mean(0)) / means.std(0).clamp(min=1e-6)


selective = responses("block4")
best = {kind: int(selective[THINGS.index(kind)].argmax()) for kind in ("eye", "spiral", "tree")}


def channel(layer: str, c: int) -> Callable[[Tensor], Tensor]:
    """The objective: half the squared norm of one channel."""
    return lambda x: 0.5 * net.features(x)[layer][:, c].square().sum()


singles = {f"channel {c} ({kind})": dream(hopper, channel("block4", c), label=kind) for kind, c in best.items()}
gallery({"photograph": hopper} | singles, 4, "Grace Hopper, and three dreams of single channels of block 4: the ones that respond most selectively to eyes, spirals and trees.")

# %% [markdown]
# ## 8. Large pictures: tiles
#
# Memory grows with the number of pixels: all activations are kept until the way back. A picture can be cut into tiles, as a pixel's gradient
# depends on its neighbourhood only. How wide a margin makes it *exact*? A unit of layer $l$ sees $r$ pixels to each side (the
# radius of its receptive field). The pixel's gradient needs all units within $r$, and these need all pixels within another
# $r$: so $2r$, and tiles that start at multiples of the layer's stride, or the poolings fall elsewhere.


# %% tags=["covers:C-12", "nbval-ignore-output"]
def radius(layer: str) -> int:
    """How many pixels a unit of the layer sees to each side, at most: 2^b for each 3 x 3 convolution and 2^b for each pooling."""
    total = 0
    for b in range(int(layer.removeprefix("block"))):
        total += 2**b * len(net.blocks[b].convs) + (2 ** (b - 1) if b else 0)
    return total


def tiled_gradient(x: Tensor, objective: Callable[[Tensor], Tensor], tile: int, margin: int) -> Tensor:
    """The gradient of a *sum over places*, tile by tile; each tile is computed with `margin` more pixels on all sides."""
    gradient = torch.empty_like(x)
    for top in range(0, x.shape[2], tile):
        for left in range(0, x.shape[3], tile):
            t, l = max(0, top - margin), max(0, left - margin)
            part, _ = gradient_of(objective, x[:, :, t : top + tile + margin, l : left + tile + margin])
            here = gradient[:, :, top : top + tile, left : left + tile]
            here.copy_(part[:, :, top - t :, left - l :][:, :, : here.shape[2], : here.shape[3]])
    return gradient


wide = photograph("pagoda", 256)
layer = "block3"
margin = math.ceil(2 * radius(layer) / 4) * 4  # up to the next multiple of the stride, 4
whole, _ = gradient_of(energy(layer), wide)
errors = {m: (tiled_gradient(wide, energy(layer), 64, m) - whole).abs().max().item() / whole.abs().max().item() for m in (0, 8, 16, margin)}
for m, error in errors.items():
    print(f"margin {m:2d} pixels: largest error {'none but rounding' if error < 1e-4 else f'{error:.2g} of the largest gradient'}")
assert errors[margin] < 1e-4 < errors[0]

fig, axes = figure(1, 2, width=8.0, height=2.5)
for ax, m in zip(axes, (0, margin)):
    gap = (tiled_gradient(wide, energy(layer), 64, m) - whole).abs().mean(1)[0] / whole.abs().mean()
    shown = ax.imshow(gap.clamp(max=2), vmin=0, vmax=2, cmap="cividis")
    ax.set(title=f"margin {m}", xticks=[], yticks=[])
    ax.grid(visible=False)
fig.colorbar(shown, ax=axes, label="error / mean |g|")
show(fig, colours=64, alt="Error of the tiled gradient over the picture. Margin 0: bright lines along the seams of the tiles. The full margin: no error anywhere.")

# %% [markdown]
# For deep layers $2r$ is hundreds of pixels and a tile would be mostly margin. Then the margin is left out, and the jitter does the work: the lattice
# of tiles is shifted at every step, so that no seam is ever twice in the same place.
#
# ## 9. Explore
#
# Choose a photograph, what is asked for (a layer, one channel of it, the hints of a class), and how many octaves. A move takes
# about two seconds.

# %%
SMALL = {which: photograph(which, 120) for which in ("pagoda", "flower", "grace hopper")}
WHAT = ["block1", "block2", "block3", "block4", "block5", *THINGS]


def draw_dream(photo: str, what: str, channel_rank: int, octaves: int):
    """The photograph and its dream; channels are ranked by how much the photograph excites them, 0 is the whole layer."""
    x = SMALL[photo]
    if what in THINGS:
        objective, title = hints(what), f"hints of {what}"
    elif channel_rank == 0:
        objective, title = energy(what), f"all of {what}"
    else:
        order = net.features(x)[what].mean((0, 2, 3)).argsort(descending=True)
        c = int(order[min(channel_rank, len(order)) - 1])
        objective, title = channel(what, c), f"{what}, channel {c}"
    y = dream(x, objective, octaves=octaves, steps=12, rate=0.035)
    width = 2 * x.shape[3] / 100  # one pixel of the picture is one of the screen
    fig, axes = figure(1, 2, width=width, height=x.shape[2] / 100 + 0.45)
    picture(axes[0], x[0], photo)
    picture(axes[1], y[0], f"{title}\n{octaves} octaves")
    return fig


explore(
    draw_dream,
    alt="The photograph {photo}, and its dream of {what}, channel rank {channel_rank}, with {octaves} octaves.",
    static=[
        {"photo": "flower", "what": "block4", "channel_rank": 1, "octaves": 3},
        {"photo": "grace hopper", "what": "eye", "channel_rank": 0, "octaves": 3},
    ],
    photo=Choice(list(SMALL), "pagoda", label="photograph"),
    what=Choice(WHAT, "block4", label="layer, or class"),
    channel_rank=Slider(0, 24, 1, 0, label="channel (0: all)"),
    octaves=Slider(1, 4, 1, 3, label="octaves"),
)

# %% [markdown]
# ## 10. The image of a class
#
# Start from the mean picture plus a little noise and climb $\log p_k$ until the network is certain (Simonyan, Vedaldi & Zisserman 2014). Section 7 of notebook
# 2.1 showed what comes out: certainty and noise. Regularisers make the pictures worse for the network and better for everyone else
# (Nguyen, Yosinski & Clune 2015 quote the same trade):
#
# $$\max_x\ \log p_k(x)-\lambda_2\,\overline{x^2}-\lambda_{TV}\,\overline{\lVert\nabla x\rVert^2}\qquad\text{with smoothed gradients and jitter}$$
#
# Here with `second`, the network without robust training, for which it matters most. All 18 classes at once, as a batch. About 12 seconds.


# %%
def class_images(of, *, l2: float = 0.0, tv: float = 0.0, jitter: int = 0, widths: tuple[float, ...] = (0,), steps: int = 100,
                 rate: float = 0.02, seed: int = 0, label: str = "") -> Tensor:  # fmt: skip
    """(K, 3, 64, 64): one picture for each class, ascended from the mean picture plus noise."""
    draws, kinds = generator(seed), torch.arange(len(THINGS))
    x = 0.1 * torch.randn(len(THINGS), 3, 64, 64, generator=draws)

    def objective(x: Tensor) -> Tensor:
        rough = (x[:, :, 1:] - x[:, :, :-1]).square().mean((1, 2, 3)) + (x[..., 1:] - x[..., :-1]).square().mean((1, 2, 3))
        return (of(x).log_softmax(1)[kinds, kinds] - l2 * x.square().mean((1, 2, 3)) - tv * rough).sum()

    for _ in track(range(steps), label):
        by = torch.randint(-jitter, jitter + 1, (2,), generator=draws).tolist()
        gradient = shifted(gradient_of(objective, shifted(x, by))[0], [-k for k in by])
        gradient = torch.cat([smoothed(g[None], widths) for g in gradient])  # each picture by itself
        x = (x + rate * gradient / gradient.abs().mean((1, 2, 3), keepdim=True).clamp(min=1e-12)).clamp(-1, 1)
    return x


REGULARISED = {"l2": 0.3, "tv": 5.0, "jitter": 6, "widths": (0, 1, 2)}
images = {"unregularised": class_images(second, label="unregularised"), "regularised": class_images(second, label="regularised", **REGULARISED)}

# %% tags=["covers:C-06", "nbval-ignore-output"]
kinds = torch.arange(len(THINGS))
table = {}
for name, x in images.items():
    own, judged = second(x).softmax(1).diagonal(), net(x).softmax(1)
    table[name] = own.mean().item(), judged.diagonal().mean().item(), (judged.argmax(1) == kinds).double().mean().item()
    print(f"{name:14s} p of the network climbed {own.mean():.4f} (worst {own.min():.2f})   p of the judge {table[name][1]:.2f}   the judge agrees on {table[name][2]:.0%}")
assert table["regularised"][0] < table["unregularised"][0]  # lower confidence ...
assert table["regularised"][1] > table["unregularised"][1]  # ... and higher agreement of a network that was trained apart

for name, x in images.items():
    what = "grain with faint hints." if name == "unregularised" else "calm pictures with parts of the things on grey."
    show(pictures(x, cols=9, titles=THINGS, width=8.4), alt=f"Images of the 18 classes, {name}: {what}", colours=64)

# %% [markdown]
# ### With the robust network
#
# The same regularisers and `net`: now the things themselves come out of the noise.

# %% tags=["nbval-ignore-output"]
robust = class_images(net, label="robust", steps=80, **REGULARISED)
show(pictures(robust, cols=9, titles=THINGS, width=8.4),
     alt="Images of the 18 classes from the robust network: eyes, wheels, honeycomb, spots and other parts can be recognised.", colours=64)  # fmt: skip
print(f"climbed with net, judged by second: agrees on {(second.read(robust) == kinds).double().mean().item():.0%}")

# %% [markdown]
# ## 11. Guided dreams
#
# Instead of a class, a second picture can say what to look for. Take the activations of a guide, and at each place of the photograph ask
# for more of the guide's place that fits best already:
#
# $$G(x)=\sum_{i}\ \max_j\ \langle\Phi_l(x)_i,\ \Phi_l(\text{guide})_j\rangle$$


# %%
def guided(guide: Tensor, layer: str = "block4") -> Callable[[Tensor], Tensor]:
    """The objective G for a guide (1, 3, H, W)."""
    with torch.no_grad():
        wanted = net.features(guide)[layer][0].flatten(1)  # (C, J)
    return lambda x: (net.features(x)[layer][0].flatten(1).T @ wanted).amax(1).sum()


guides = {kind: WORLD.render(torch.tensor([[THINGS.index(kind)]]), generator=generator(33), size=96) for kind in ("honeycomb", "cat")}
fig, axes = figure(1, 4, width=8.4, height=2.0, width_ratios=[1, 1.5, 1, 1.5])
for k, (kind, guide) in enumerate(guides.items()):
    picture(axes[2 * k], guide[0], f"guide: {kind}")
    picture(axes[2 * k + 1], dream(blossom, guided(guide), label=kind)[0], "the flower, guided")
show(fig, alt="Two guides, a honeycomb and a cat's face, and beside each the dahlia dreamed towards it.", colours=64)

# %% [markdown]
# ## What to remember
#
# 1. DeepDream maximises $\tfrac12\lVert\Phi_l\rVert^2$; the error that goes back is the activation itself. No target, no label.
# 2. Normalise the gradient: the rate is then the mean change of a pixel, for any layer. Small steps rise with every step.
# 3. Nothing in the objective asks for a natural picture. Grain wins unless smoothing, jitter, octaves and decorrelated colours stand against it.
# 4. Jitter has to be undone exactly, and what is carried between octaves is the detail, not the picture.
# 5. A robust network's gradients look like things. Regularisers lower the confidence of the network that is climbed and raise
#    that of any other.
# 6. A tile's gradient is exact with a margin of twice the receptive field's radius.
#
# ## Quiz
#
# **1.** Why the factor one half in the energy, and why does no label appear?
# <details><summary>Answer</summary>With it the gradient with respect to the activations is the activations themselves. Each unit asks for more of
# what it already sees, so the photograph takes the place of a label.</details><br>
#
# **2.** A colleague writes `x = x - rate * gradient / gradient.abs().mean()`. What does the result look like?
# <details><summary>Answer</summary>Calm and empty: descent removes whatever the layer responds to. Edges fade first. The energy sinks with every
# small step.</details><br>
#
# **3.** The same colleague normalises by the norm of the gradient instead of its mean absolute value. Which two things change?
# <details><summary>Answer</summary>Not the direction, only the length: the whole picture now moves by the rate, so a pixel moves by about the rate divided by the root of
# the number of values. The same rate means a weaker dream on a larger picture, and weaker steps in higher octaves.</details><br>
#
# **4.** You forget to undo the jitter. What happens, and after how many steps does it show?
# <details><summary>Answer</summary>The picture walks: after n steps it has moved by about the root of n times the typical shift, and its edges
# have come in from the other side. It shows after the first step, and base and picture no longer lie over each other, so the detail carried to the next
# octave contains the photograph twice.</details><br>
#
# **5.** Why is the detail enlarged between octaves and not the picture?
# <details><summary>Answer</summary>An enlarged picture has no fine detail, as it was thrown away when it was made small. The photograph's own fine detail is
# at hand in the larger base; only what was dreamed has to be interpolated.</details><br>
#
# **6.** A class image reaches p = 1.0000 and another one 0.97. Which network would you rather ask before you say that the first is better?
# <details><summary>Answer</summary>One that was trained apart. The confidence of the network that was climbed measures how well it was climbed. In section 10
# the second picture convinces the independent network more often.</details><br>
#
# **7.** With a margin of $r$ instead of $2r$ the tiled gradient is wrong near the seams. Why is one radius not enough?
# <details><summary>Answer</summary>With r pixels all units that the pixel influences exist, but those at the rim see padding where the picture
# should be. Their activations are wrong, and it is the activation that is sent back.</details>
#
# ## Exercises
#
# In the assignment of this unit: normalised ascent, the octave step, jitter and its undo. **Back to** notebook 2.1 for attacks, 2.2 for total
# variation and inversion.
#
# ## References
#
# - Mordvintsev, Olah, Tyka, *Inceptionism: going deeper into neural networks*, Google Research blog, 2015.
# - Olah, Mordvintsev, Schubert, *Feature visualization*, Distill, 2017.
# - Simonyan, Vedaldi, Zisserman, *Deep inside convolutional networks*, ICLR workshop 2014.
# - Nguyen, Yosinski, Clune, *Deep neural networks are easily fooled*, CVPR 2015.
# - Santurkar et al., *Image synthesis with a single (robust) classifier*, NeurIPS 2019; Engstrom et al., *Adversarial robustness as a prior for
#   learned representations*, 2019.
# - Burt, Adelson, *The Laplacian pyramid as a compact image code*, IEEE Trans. Communications 31, 1983.
# - Field, *Relations between the statistics of natural images and the response properties of cortical cells*, JOSA A 4, 1987.
# - Rice University, *Deep Learning for Vision & Language*: lecture slides on GANs.
