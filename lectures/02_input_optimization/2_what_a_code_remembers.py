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
# # 2.2 What a code remembers
#
# Layer by layer a classifier forgets what it does not need. How much is left in the end? One way to find out is to ask for an
# image *back*: search for any image whose code is the given one, and look at what agrees with the original and what was made up.
#
# Many images have the same code, most of them noise. So we also need a rule that says which image to prefer, and the slides'
# choice is total variation: a small penalty with a sharp edge, a boundary that the slide forgets, and a NaN that waits in flat patches.
#
# After this notebook you can
#
# - say what total variation measures, and check it against the perimeter of a disc;
# - write it for any exponent $\beta$, with a boundary, and with a gradient that stays finite;
# - remove noise with it, and say what $\beta=1$ keeps that $\beta=2$ blurs;
# - invert a code: five different images that the network cannot tell apart;
# - measure what each layer has forgotten.
#
# **Reading time** 30 minutes. **Running time** about 60 seconds on two cores.
#
# | symbol | meaning | shape |
# |---|---|---|
# | $x$ | an image, values in $[-1,1]$ | (C, H, W) |
# | $\mathcal R_{V^\beta}$ | total variation to the power $\beta$ | a number |
# | $\Phi$ | the network up to some layer | |
# | $\Phi_0=\Phi(x_0)$ | the code of the original | (D,), or (C', H', W') |
# | $\lambda$ | weight of the penalty | |
#
# **Recipe card**
#
# | Inputs / outputs | Architecture | Loss |
# |---|---|---|
# | a code / an image that has it | a trained network, fixed; Adam on the pixels | relative squared error of the code + $\lambda\,\mathcal R_{V^\beta}$ |

# %%
import math

import torch
from torch import Tensor

from coursekit.datasets.worlds import world
from coursekit.metrics.pictures import psnr
from coursekit.models.dreamnet import load_dreamnet
from coursekit.plots import figure, lines, picture, pictures, show, use_style
from coursekit.runtime import generator
from coursekit.training.progress import track
from coursekit.widgets import Choice, Slider, explore

use_style()
torch.set_num_threads(1)

# %% [markdown]
# ## 1. Total variation of a function: how much edge there is
#
# Mahendran and Vedaldi (2015) write, for a function $f$ on a region $\Omega$ of the plane,
#
# $$\mathcal R_{V^\beta}(f)=\int_\Omega\Big(\Big(\frac{\partial f}{\partial u}(u,v)\Big)^2+\Big(\frac{\partial f}{\partial v}(u,v)\Big)^2\Big)^{\beta/2}\,du\,dv$$
#
# With $\beta=1$ it is the length of the gradient, summed over the plane. Take a disc that is 1 inside and 0 outside with a soft rim of
# width $s$. The gradient lives in the rim only, where its length is $1/s$; the rim's area is $2\pi r\cdot s$. So the integral is $2\pi r$, whatever $s$:
# **the perimeter times the height of the step.** A picture made of constant patches pays for its contours and for nothing else. With
# $\beta=2$ the same rim costs $2\pi r/s$: the wider the cheaper, and edges melt.


# %% tags=["covers:C-09"]
def disc(radius: float, rim: float, size: int = 240) -> Tensor:
    """A disc (H, W): 1 inside, 0 outside, falling evenly over `rim` pixels."""
    at = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    distance = (at[:, None] ** 2 + at[None, :] ** 2).sqrt()
    return ((radius - distance) / rim + 0.5).clamp(0, 1) if rim else (distance < radius).double()


def variation(x: Tensor, beta: float = 1.0) -> Tensor:
    """R of one image (..., H, W), by differences to the right and downwards: the literal formula, for looking at."""
    right = x[..., :-1, 1:] - x[..., :-1, :-1]
    down = x[..., 1:, :-1] - x[..., :-1, :-1]
    return (right**2 + down**2).pow(beta / 2).sum()


radii = range(30, 100, 10)
rims = {"soft rim, 6 pixels": 6.0, "soft rim, 3 pixels": 3.0, "hard edge": 0.0}
ratios = {label: [(variation(disc(r, s)) / (2 * math.pi * r)).item() for r in radii] for label, s in rims.items()}
fig, (left, right) = figure(1, 2, width=7.6, height=2.7, gridspec_kw={"width_ratios": [1, 1.8]})
picture(left, 2 * disc(60, 6)[None] - 1, "radius 60, rim 6")
lines(right, radii, ratios, xlabel="radius (pixels)", ylabel="variation / perimeter", title="$\\beta=1$")
right.axhline(1, color="0.5", linewidth=1)
show(fig, alt="A disc with a soft rim; beside it total variation over perimeter against the radius: within about one per cent of 1 for soft rims, 16 per cent too high for a hard edge.")

soft = max(abs(q - 1) for q in ratios["soft rim, 6 pixels"])
hard = sum(ratios["hard edge"]) / len(radii)
assert soft < 0.013
assert 1.13 < hard < 1.19
wide, narrow = (variation(disc(60, s), beta=2.0).item() for s in (6.0, 3.0))
assert 1.8 < narrow / wide < 2.2
print(f"soft disc: within {100 * soft:.1f} % of the perimeter; hard disc: {100 * (hard - 1):.0f} % too high")
print(f"beta = 2: halving the rim multiplies the penalty by {narrow / wide:.2f}")

# %% [markdown]
# The hard disc is a staircase. Differences to the right and downwards see each stair as one diagonal on two of its four sides and
# as two legs on the other two; the average over all directions comes out at 1.16.
#
# ## 2. On pixels: a boundary, a power and a trap
#
# The slide replaces the integral by differences and sets $\beta=1$:
#
# $$\mathcal R_{V^\beta}(x)=\sum_{i,j}\Big(\big(x_{i,j+1}-x_{ij}\big)^2+\big(x_{i+1,j}-x_{ij}\big)^2\Big)^{\beta/2}$$
#
# Three things are left to us. In the last row and the last column one neighbour is missing: here such pixels are left out (others repeat
# the border, which adds its one-sided differences). Colour channels: we sum over them. And the power: for $\beta=1$ it is a square root, whose slope at 0 is infinite.


# %% tags=["covers:C-10"]
def total_variation(x: Tensor, beta: float = 1.0, eps: float = 0.0) -> Tensor:
    """R of each image (N, C, H, W) -> (N,); eps keeps the slope finite in flat patches."""
    right = x[..., :-1, 1:] - x[..., :-1, :-1]
    down = x[..., 1:, :-1] - x[..., :-1, :-1]
    return (right**2 + down**2 + eps).pow(beta / 2).sum((1, 2, 3))


any_image = torch.rand(1, 3, 20, 30, generator=generator(0), dtype=torch.float64)
assert total_variation(torch.full_like(any_image, 0.7)).item() == 0.0
for beta in (1.0, 1.5, 2.0):
    factor = (total_variation(3 * any_image, beta) / total_variation(any_image, beta)).item()
    assert abs(factor - 3**beta) < 1e-9
    print(f"beta {beta}: three times the contrast costs {factor:.3f} times as much; 3 to the power {beta} is {3**beta:.3f}")

# %% tags=["covers:C-10"]
patches = torch.zeros(1, 1, 8, 8, dtype=torch.float64)
patches[..., 4:] = 1.0  # two flat patches


def slope(eps: float, beta: float = 1.0) -> Tensor:
    x = patches.clone().requires_grad_()
    return torch.autograd.grad(total_variation(x, beta, eps).sum(), x)[0]


assert slope(0.0).isnan().any()  # 0 to the power -1/2, times 0
assert slope(0.0, beta=2.0).isfinite().all()
assert slope(1e-8).isfinite().all()
added = (total_variation(patches, 1.0, 1e-8) - total_variation(patches)).item()
print(f"beta 1, no eps: {int(slope(0.0).isnan().sum())} of 64 entries of the gradient are nan")
print(f"eps = 1e-8: all finite, and the value rises by {added:.4f} (49 pixels, at most sqrt(eps) = 0.0001 each)")

# %% [markdown]
# One NaN pixel is a NaN image after the next step. Flat patches are what the penalty *makes*, so without the small constant every run ends like this.
#
# **What $\beta$ prefers.** Below, noise is removed from a rendered room by descending
# $\tfrac12\lVert x-x_{\text{noisy}}\rVert^2+\lambda\,\mathcal R_{V^\beta}(x)$ (for $\beta=1$ the model of Rudin, Osher and Fatemi, 1992).


# %% tags=["covers:C-10"]
def denoise(noisy: Tensor, weight: float, beta: float, steps: int = 150) -> Tensor:
    """Adam on the pixels of (N, C, H, W)."""
    x = noisy.clone().requires_grad_()
    descent = torch.optim.Adam([x], lr=0.03)
    for _ in range(steps):
        loss = 0.5 * (x - noisy).square().sum() + weight * total_variation(x, beta, eps=1e-6).sum()
        descent.zero_grad()
        loss.backward()
        descent.step()
    return x.detach().clamp(-1, 1)


rooms = world("rooms")
cartoon = rooms.draw(8, generator=generator(2), size=64).x
noisy = cartoon + 0.25 * torch.randn(cartoon.shape, generator=generator(3))
weights = [0.0, 0.03, 0.1, 0.2, 0.3, 0.5, 1.0]
error = {
    f"beta {beta:g}": [(denoise(noisy, w, beta) - cartoon).square().mean().item() for w in track(weights, f"denoising, beta {beta:g}")]
    for beta in (1.0, 2.0)
}
best = {label: weights[min(range(len(weights)), key=errors.__getitem__)] for label, errors in error.items()}
cleaned = {label: denoise(noisy[:1], best[label], float(label.split()[1]))[0] for label in error}

fig, axes = figure(1, 5, width=8.6, height=2.1, gridspec_kw={"width_ratios": [1, 1, 1, 1, 1.5]})
for ax, image, title in zip(axes, (cartoon[0], noisy[0], *cleaned.values()), ("original", "noisy", *cleaned)):
    picture(ax, image, title)
lines(axes[-1], weights, error, xlabel="$\\lambda$", ylabel="mean squared error", legend=True)
show(fig, alt="A rendered room, the same with noise, denoised with beta 1 (flat walls, sharp edges) and with beta 2 (blurred); mean squared error against the weight of the penalty.")

raw = error["beta 1"][0]
assert min(error["beta 1"]) < 0.5 * raw  # noise goes ...
assert min(error["beta 1"]) < min(error["beta 2"])  # ... and edges stay
print(f"beta = 1 removes more than half of the squared error: {min(error['beta 1']) < 0.5 * raw}, and more than beta = 2 does: True")

# %% [markdown]
# ## 3. Inversion: any image with this code
#
# Give $x_0$ to the network, keep only $\Phi_0$, and search:
#
# $$x^\star=\arg\min_x\;\frac{\lVert\Phi(x)-\Phi_0\rVert^2}{\lVert\Phi_0\rVert^2}+\lambda\,\mathcal R_{V^\beta}(x)$$
#
# (Mahendran and Vedaldi 2015, equations 1 to 3; the slides show their result, not the first term.) Dividing by $\lVert\Phi_0\rVert^2$ makes the error a share, so that one $\lambda$
# serves several layers. The network is `dreamnet`, which knows 18 kinds of things, from eyes to parking meters, and was trained on disturbed
# pictures as in section 9 of notebook 2.1. Its code holds 256 numbers for the 12,288 of the picture.

# %%
net = load_dreamnet()
things = world("things")
names = things.names["thing"]
LAYERS = [name for name in net.features(torch.zeros(1, 3, 64, 64)) if name != "logits"]


def code(x: Tensor, layer: str) -> Tensor:
    return net.features(x)[layer].flatten(1)


def invert(target: Tensor, layer: str, *, seeds, weight: float = 2e-5, steps: int = 200, label: str | None = None) -> Tensor:
    """One image (64 x 64) for each seed whose code at `layer` is near `target` (1, D)."""
    x = torch.stack([0.1 * torch.randn(3, 64, 64, generator=generator(s)) for s in seeds]).requires_grad_()
    descent = torch.optim.Adam([x], lr=0.05)
    for _ in range(steps) if label is None else track(range(steps), label):
        share = (code(x, layer) - target).square().sum(1) / target.square().sum(1)
        loss = (share + weight * total_variation(x, beta=1.0, eps=1e-6)).sum()
        descent.zero_grad()
        loss.backward()
        descent.step()
        with torch.no_grad():
            x.clamp_(-1, 1)  # an image stays an image
    return x.detach()


def code_error(x: Tensor, target: Tensor, layer: str) -> Tensor:
    """Share of the squared code that is missed, (N,)."""
    with torch.no_grad():
        return (code(x, layer) - target).square().sum(1) / target.square().sum(1)


# %% tags=["covers:C-11"]
kind = torch.tensor([[names.index("parking meter")]])
original = things.render(kind, generator=generator(5), size=64)
phi = code(original, "code").detach()
five = invert(phi, "code", seeds=range(5), label="five inversions of one code")
missed = code_error(five, phi, "code")
with torch.no_grad():
    p = net(torch.cat([original, five])).softmax(1)
pairs = torch.pdist(five.flatten(1)) / math.sqrt(original.numel())  # root mean square difference per pixel
show(
    pictures(torch.cat([original, five]), cols=6, titles=["original"] + [f"start {k}\ncode error {e:.1%}" for k, e in enumerate(missed)], width=8.4),
    alt="A picture of a parking meter and five reconstructions from its code: alike in kind, different in place, background and detail.",
)
assert (missed < 0.05).all()
assert pairs.min() > 0.15  # of a range of 2
print("five images whose code is missed by less than 5 %:", bool((missed < 0.05).all()))
print("closest pair of them: more than 0.15 apart in each pixel on average (the range is 2):", bool(pairs.min() > 0.15))
print("the network's opinion of all six:", ", ".join(names[k] for k in p.argmax(1)))

# %% tags=["nbval-ignore-output"]
print(f"code error {100 * missed.mean():.2f} % ({100 * missed.min():.2f} to {100 * missed.max():.2f}), pixel difference {pairs.mean():.2f} ({pairs.min():.2f} to {pairs.max():.2f})")

# %% [markdown]
# "All these images are practically equivalent" is the caption of the figure on the slide, and it is meant from where the network stands. To it these are one
# image. What they share is what it knows; where they differ is what it has thrown away.
#
# ## 4. Forgetting, layer by layer
#
# The same inversion from every layer. How near does the image come to the original?

# %% tags=["covers:C-11"]
WEIGHTS = {name: 2e-6 if name.startswith("block") else 2e-5 for name in LAYERS}
back = {}
for name in LAYERS:
    phi_layer = code(original, name).detach()
    back[name] = invert(phi_layer, name, seeds=range(2), weight=WEIGHTS[name], label=f"inversion from {name}")
fidelity = {name: [psnr(x[None], original).item() for x in images] for name, images in back.items()}
show(
    pictures(torch.cat([original, *(images[:1] for images in back.values())]), cols=len(LAYERS) + 1, titles=["original"] + [f"{n}\n{f[0]:.0f} dB" for n, f in fidelity.items()], width=8.4),
    alt="The original and its inversions from each layer: nearly a copy from the first block, rougher from each later one, another picture of the same kind from the code.",
)
early, late = min(fidelity["block1"]), max(fidelity["code"])
assert early > late + 10
print("every inversion from block 1 is more than 10 dB closer to the original than any from the code:", early > late + 10)


# %% [markdown]
# **Try it.** Another thing, another layer, more or less penalty. Without the penalty the code is matched just as well, by an image full of grain.


# %%
def inverted(kind: str, layer: str, exponent: float):
    x0 = things.render(torch.tensor([[names.index(kind)]]), generator=generator(8), size=64)
    target = code(x0, layer).detach()
    x = invert(target, layer, seeds=[0], weight=0.0 if exponent < -6.9 else 10.0**exponent, steps=120)
    fig, (left, right) = figure(1, 2, width=5.2, height=2.7)
    picture(left, x0[0], kind)
    picture(right, x[0], f"from {layer}: code error {code_error(x, target, layer).item():.1%}")
    return fig


explore(
    inverted,
    alt="A {kind} and its inversion from {layer} with the penalty weighted 10 to the power {exponent}.",
    static=[
        {"kind": "eye", "layer": "block4", "exponent": -5.5},
        {"kind": "eye", "layer": "code", "exponent": -5.0},
        {"kind": "eye", "layer": "code", "exponent": -7.0},
    ],
    kind=Choice(list(names), "eye", label="what it is"),
    layer=Choice(LAYERS, "block4", label="layer"),
    exponent=Slider(-7.0, -3.0, 0.5, -5.5, label="log10 of the weight (-7: none)"),
)

# %% [markdown]
# ## Quiz
#
# **1.** You double the size of an image by repeating each pixel. What happens to its total variation, for $\beta=1$ and $\beta=2$?
# <details><summary>Answer</summary>Contours get twice as long and keep their height. For $\beta=1$ the variation doubles. For $\beta=2$ it doubles, too, as each hard edge is still one
# pixel wide. (Had the image been enlarged smoothly, the edges would be twice as wide, and $\beta=2$ would see no change.)</details><br>
#
# **2.** Your inversion is fine for 300 steps, then the image is nan everywhere. The learning rate is small. Where do you look?
# <details><summary>Answer</summary>At the first patch that became exactly flat: there the root in $\mathcal R_{V^1}$ has an infinite slope, and infinity times zero is nan. Add a small constant
# under the root.</details><br>
#
# **3.** Why is the code error divided by $\lVert\Phi_0\rVert^2$, and what goes wrong if it is divided by $\lVert\Phi(x)\rVert^2$ instead?
# <details><summary>Answer</summary>So that $\lambda$ means the same in each layer. With the current code below, the optimiser can lower the loss by making the code long instead of right,
# and the gradient gets a second term that has nothing to do with the error.</details><br>
#
# **4.** An inversion from the code shows the parking meter on the left; in the original it is on the right. A bad optimisation?
# <details><summary>Answer</summary>No. The code is a mean over all places, so where a thing stands is gone for good. The code error says whether the optimisation was good.</details><br>
#
# **5.** Someone shows that a face can be recognised from the code of a face network. Does section 3 contradict this?
# <details><summary>Answer</summary>No. Many images share the code, and yet all of them may show the same face: what the task needs is what the code keeps. Codes are personal data.</details>
#
# ## Exercises
#
# In the assignment of this unit: total variation with another boundary, its smooth form, the inversion loss, and a denoising step.
# **Next:** notebook 3, in which the network itself chooses what to draw.
#
# ## References
#
# - Mahendran, Vedaldi, *Understanding deep image representations by inverting them*, CVPR 2015.
# - Rudin, Osher, Fatemi, *Nonlinear total variation based noise removal algorithms*, Physica D 60, 1992.
# - Engstrom et al., *Adversarial robustness as a prior for learned representations*, arXiv 1906.00945, 2019.
# - Rice, *Deep learning for vision and language: GANs*: lecture slides.
