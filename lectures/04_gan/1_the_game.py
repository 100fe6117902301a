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
# # 4.1 The game
#
# We can draw from a distribution, but we cannot write it down: photographs, songs, handwriting. How does a network learn to draw from it, too?
# Comparing an output with a target does not work, as no output has a target. The answer of Goodfellow et al. (2014): let a second network
# judge. It sees real and made examples, and learns to tell them apart; the first learns from its gradient what gives it away.
#
# In one dimension nothing about this game is hidden. We know both densities, so we know what the perfect judge would say, and how far the
# generator is from its goal. So we begin there, and end with digits.
#
# After this notebook you can
#
# - write the two-player loop, and prove that each step moves one player only;
# - say what the best discriminator is, what it measures, and test a trained one against it;
# - choose between the two generator losses, and say why the better-founded one loses the race;
# - answer "why not just the squared error?" with two experiments;
# - say which of the stated advantages of GANs hold, and which depend on the data.
#
# **Reading time** 45 minutes. **Running time** about 50 seconds on one core.
#
# | symbol | meaning | shape |
# |---|---|---|
# | $x\sim p_{data}$ | real data | (N, D) |
# | $z\sim p_z$ | noise, Z numbers for each example; the slides also write $p_g(z)$, $q(z)$ and $p(z)$ | (N, Z) |
# | $G(z)$ | the generator's fakes; their distribution is $p_g$ | (N, D) |
# | $D(x)=\sigma(s)$ | the discriminator's probability that $x$ is *real*; $s$ is its score, a logit | (N, 1) |
# | $V(D,G)$ | the value that D raises and G lowers | scalar |
# | $k$ | steps of D for each step of G | |
#
# **Recipe card**
#
# | Inputs / outputs | Architecture | Loss |
# |---|---|---|
# | noise / an example | any two networks, G and D, differentiable end to end | D: log loss of "real or fake?". G: that D says "real" of a fake |

# %%
import math
import time
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coursekit.datasets.digits import real_digits
from coursekit.datasets.worlds import world
from coursekit.metrics import memorisation, mode_coverage
from coursekit.plots import PALETTE, figure, lines, pictures, show, use_style
from coursekit.runtime import generator
from coursekit.training.progress import track
from coursekit.widgets import Slider, explore

use_style()
torch.set_num_threads(1)  # these networks are tiny: a second thread would mostly wait
REAL, FAKE, JUDGE = PALETTE[1], PALETTE[2], PALETTE[0]

# %% [markdown]
# ## 1. A forger, a judge, and a world that we know
#
# Our data are single numbers from two humps, a narrow one with 35 % of the mass and a wide one with 65 %. The density and its integral
# are closed forms. We keep them to ourselves: the networks see samples only.
#
# Each network has two hidden layers of 32 units. To compare runs with different seeds we train several at once: `Crowd` holds R networks whose weights
# have a leading run axis. They share a loop and nothing else, as the sum of their losses has separate gradients.

# %%
SHARE, MIDDLE, WIDTH = torch.tensor([0.35, 0.65]), torch.tensor([-1.0, 0.8]), torch.tensor([0.25, 0.40])
MEAN = (SHARE * MIDDLE).sum().item()
SPREAD = ((SHARE * (WIDTH**2 + MIDDLE**2)).sum() - MEAN**2).sqrt().item()


def gauss(x: Tensor, middle, width) -> Tensor:
    return torch.exp(-0.5 * ((x - middle) / width) ** 2) / (width * math.sqrt(2 * math.pi))


def density(x: Tensor) -> Tensor:
    """p_data at any points."""
    return sum(s * gauss(x, m, w) for s, m, w in zip(SHARE, MIDDLE, WIDTH))


def below(x: Tensor) -> Tensor:
    """Its integral from the left: the share of the data below x."""
    return sum(s * torch.special.ndtr((x - m) / w) for s, m, w in zip(SHARE, MIDDLE, WIDTH))


def humps(*shape: int, g: torch.Generator) -> Tensor:
    """Data of this shape; every entry is one example."""
    hump = (torch.rand(shape, generator=g) > SHARE[0]).long()
    return MIDDLE[hump] + WIDTH[hump] * torch.randn(shape, generator=g)


class Crowd(nn.Module):
    """R networks side by side: (R, N, inputs) -> (R, N, outputs)."""

    def __init__(self, runs: int, *widths: int, seed: int) -> None:
        super().__init__()
        g, pairs = generator(seed), list(pairwise(widths))
        self.weights = nn.ParameterList((2 * torch.rand(runs, a, b, generator=g) - 1) / a**0.5 for a, b in pairs)
        self.biases = nn.ParameterList((2 * torch.rand(runs, 1, b, generator=g) - 1) / a**0.5 for a, b in pairs)

    def forward(self, x: Tensor) -> Tensor:
        for layer, (w, b) in enumerate(zip(self.weights, self.biases)):
            x = torch.baddbmm(b, F.leaky_relu(x, 0.2) if layer else x, w)
        return x


# %% [markdown]
# ## 2. Algorithm 1
#
# D takes $k$ steps up its value, then G takes one step down; both see fresh noise each time.
#
# $$\min_G\max_D\;V(D,G)=\mathbb E_{x\sim p_{data}}[\log D(x)]+\mathbb E_{z\sim p_z}[\log(1-D(G(z)))]$$
#
# Four lines for D, three for G, in a loop. With a logit $s$, $-\log\sigma(s)=\text{softplus}(-s)$ and $-\log(1-\sigma(s))=\text{softplus}(s)$,
# so no logarithm ever meets a zero. G's line uses $-\log D(G(z))$ instead of $\log(1-D(G(z)))$; section 7 shows why.
#
# The paper chose $k=1$, "the least expensive option", and momentum. We use Adam, and let D learn eight times as fast as G: it should be near its best
# reply whenever G asks for advice (Heusel et al. 2017).


# %% tags=["covers:F-07"]
def adam(net: nn.Module, rate: float) -> torch.optim.Optimizer:
    return torch.optim.Adam(net.parameters(), lr=rate, betas=(0.5, 0.999), fused=True)


def each_run(per_example: Tensor) -> Tensor:
    """(R, N, 1) -> the mean of each run, summed over runs: every run gets its own gradient."""
    return per_example.mean((1, 2)).sum()


def fooled(score: Tensor) -> Tensor:
    """-log D(G(z)), per example."""
    return F.softplus(-score)


def play(G, D, data, noise, *, steps: int, k: int = 1, rate_d: float = 4e-3, rate_g: float = 5e-4, pays=fooled, seen=None):
    """Algorithm 1. `data()` and `noise()` give a batch; `seen(step)` looks on, before each step and after the last."""
    up, down = adam(D, rate_d), adam(G, rate_g)
    for step in range(steps):
        if seen:
            seen(step)
        for _ in range(k):
            verdict_real, verdict_fake = D(data()), D(G(noise()).detach())  # detached: this is D's turn
            up.zero_grad()
            each_run(F.softplus(-verdict_real) + F.softplus(verdict_fake)).backward()
            up.step()
        down.zero_grad()
        each_run(pays(D(G(noise())))).backward()  # the gradient reaches G through D
        down.step()
    if seen:
        seen(steps)


N, STEPS = 256, 1500
SNAPS = [0, 20, 60, 150, 300, 600, 1000, 1500]
GRID = torch.linspace(-2.6, 2.6, 261)
FIXED = torch.linspace(-1, 1, 4001)[:-1] + 1 / 4000  # evenly spaced noise: a picture of p_g without the luck of the draw

g = generator(1)
G, D = Crowd(1, 1, 32, 32, 1, seed=3), Crowd(1, 1, 32, 32, 1, seed=4)
snapshots = {}


@torch.no_grad()
def keep(step: int) -> None:
    if step in SNAPS:
        snapshots[step] = (G(FIXED.view(1, -1, 1)).flatten(), D(GRID.view(1, -1, 1)).sigmoid().flatten())


play(G, D, lambda: humps(1, N, 1, g=g), lambda: 2 * torch.rand(1, N, 1, generator=g) - 1, steps=STEPS, seen=keep)
print("snapshots after", ", ".join(str(step) for step in snapshots), "steps")

# %% [markdown]
# The best picture of a GAN has both histograms and $D(x)$ over them. Where there is more blue than orange D should be above one half, and G should
# move its fakes there: *uphill along D*. The thin line is the verdict of a perfect judge, computed from the densities (section 4).


# %%
def distance(fakes: Tensor) -> Tensor:
    """Wasserstein-1 distance of n fakes to p_data, over the last axis: how far the sorted fakes are from the quantiles."""
    n = fakes.shape[-1]
    fine = torch.linspace(-4, 4, 8001)
    quantiles = fine[torch.searchsorted(below(fine), (torch.arange(n) + 0.5) / n).clamp(max=8000)]
    return (fakes.sort(-1).values - quantiles).abs().mean(-1)


def smooth(fakes: Tensor) -> Tensor:
    """p_g on GRID: each fake blurred by 0.04."""
    return gauss(GRID[:, None], fakes[None, ::4], 0.04).mean(1)


def draw_game(ax, fakes: Tensor, verdict: Tensor, title: str, *, legend: bool = False) -> None:
    ax.hist(humps(8000, g=generator(9)), bins=52, range=(-2.6, 2.6), density=True, color=REAL, alpha=0.35, label="data")
    ax.hist(fakes, bins=52, range=(-2.6, 2.6), density=True, histtype="step", hatch="///", color=FAKE, label="fakes")
    ax.plot(GRID, verdict, color=JUDGE, label="D(x)")
    ideal = density(GRID) / (density(GRID) + smooth(fakes))
    ax.plot(GRID, ideal, color=PALETTE[3], linewidth=1, linestyle="--", label="perfect judge")
    ax.axhline(0.5, color="grey", linewidth=0.6, linestyle=":")
    ax.set(ylim=(0, 1.6), xlim=(-2.6, 2.6), title=title)
    if legend:
        ax.legend(ncols=2, loc="upper right", fontsize=8)


fig, axes = figure(2, 3, width=9.6, height=4.6, sharex=True, sharey=True)
for ax, step in zip(axes.flat, [0, 20, 60, 150, 300, 1500]):
    fakes, verdict = snapshots[step]
    draw_game(ax, fakes, verdict, f"step {step}: distance {distance(fakes):.2f}")
fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
for ax in axes[1]:
    ax.set_xlabel("x")
for ax in axes[:, 0]:
    ax.set_ylabel("density; D(x)")
show(
    fig,
    alt="Six snapshots of one run. First the fakes are one narrow spike and D is flat; then D drops over the spike, the spike spreads and splits towards both "
    "humps of the data, and at step 1500 both histograms agree and D is near one half wherever there are data.",
)


# %%
def snapshot(moment: int):
    step = SNAPS[moment]
    fig, ax = figure(width=6.0, height=3.2)
    draw_game(ax, *snapshots[step], f"step {step}", legend=True)
    ax.set(xlabel="x", ylabel="density; D(x)")
    return fig


explore(
    snapshot,
    alt="Snapshot {moment} of the run: histograms of data and fakes with D(x) and the perfect judge drawn over both.",
    static=[{"moment": 2}, {"moment": 7}],
    moment=Slider(0, len(SNAPS) - 1, 1, 2, label="snapshot"),
)

# %% [markdown]
# One run may be lucky. Six runs follow: three with uniform and three with Gaussian noise, as the slides offer both ("choose either").
# We ask for the mean, the standard deviation, the Kolmogorov-Smirnov distance (the largest gap between the two cumulative shares), and what D says of both sides. (About 10 s.)

# %% tags=["covers:F-01", "covers:F-12"]
RUNS = 6
G6, D6 = Crowd(RUNS, 1, 32, 32, 1, seed=20), Crowd(RUNS, 1, 32, 32, 1, seed=21)
g6 = generator(22)


def both_priors(n: int, g: torch.Generator) -> Tensor:
    """Uniform on [-1, 1] for runs 0 to 2, standard normal for runs 3 to 5: (6, n, 1)."""
    return torch.cat([2 * torch.rand(3, n, 1, generator=g) - 1, torch.randn(3, n, 1, generator=g)])


for rate in track([1.0, 0.2], "six runs, then again with a fifth of the learning rate"):
    play(
        G6, D6, lambda: humps(RUNS, 128, 1, g=g6), lambda: both_priors(128, g6), steps=900, k=3, rate_d=4e-3 * rate, rate_g=1e-3 * rate,
    )  # fmt: skip


def largest_gap(fakes: Tensor) -> Tensor:
    """Kolmogorov-Smirnov distance of (R, n) fakes to p_data, (R,)."""
    n = fakes.shape[1]
    share, rank = below(fakes.sort(1).values), torch.arange(n)
    return torch.maximum((share - rank / n).abs(), (share - (rank + 1) / n).abs()).amax(1)


with torch.no_grad():
    fakes6 = G6(both_priors(10_000, generator(23)))
    on_real, on_fake = (D6(x).sigmoid().mean((1, 2)) for x in (humps(RUNS, 10_000, 1, g=generator(24)), fakes6))
gap = largest_gap(fakes6[..., 0])
off_mean, off_spread = (fakes6.mean((1, 2)) - MEAN).abs(), (fakes6.std((1, 2)) - SPREAD).abs()

assert (gap < 0.12).all() and (off_mean < 0.2).all() and (off_spread < 0.15).all()
assert ((on_real - 0.5).abs() < 0.05).all() and ((on_fake - 0.5).abs() < 0.05).all()
print("all six runs, both priors: largest gap below 0.12, mean within 0.2, standard deviation within 0.15:", True)
print("D says 0.45 to 0.55 of data and of fakes, on average, in all six:", True)

# %% tags=["nbval-ignore-output"]
print(f"run  noise     largest gap   mean (want {MEAN:.2f})   spread (want {SPREAD:.2f})   D on data, on fakes")
for r in range(RUNS):
    x = fakes6[r]
    print(f"{r:3}  {'uniform' if r < 3 else 'Gaussian':8}  {gap[r]:11.3f}   {x.mean():16.2f}   {x.std():18.2f}   {on_real[r]:.2f}, {on_fake[r]:.2f}")

# %% [markdown]
# Remember the last column with suspicion. $D=\tfrac12$ on both sides *follows from* a perfect generator. It also follows from a discriminator that has learned
# nothing. Notebook 2 shows a run in which D says one half all the time and the fakes wander.
#
# ### Who is frozen when
#
# The diagrams on the slides grey out one network at a time. In code two different things keep them apart. In D's turn `detach` cuts the graph: no gradient reaches
# G at all. In G's turn the gradient must pass *through* D, so D's weights do collect one; they do not move, because G's optimiser does not own them, and
# the next `zero_grad` throws that gradient away. Forget that line and the gradient of the *other* player's loss is added to D's next step.


# %% tags=["covers:F-31", "covers:F-07"]
def weights(net: nn.Module) -> list[Tensor]:
    return [p.detach().clone() for p in net.parameters()]


def same(old: list[Tensor], net: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(old, net.parameters()))


def touched(net: nn.Module) -> bool:
    return any(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in net.parameters())


pair = Crowd(1, 1, 8, 1, seed=0), Crowd(1, 1, 8, 1, seed=1)
report = {}
for turn in ("D's turn", "G's turn"):
    g_net, d_net = pair
    g_net.zero_grad(), d_net.zero_grad()
    before = weights(g_net), weights(d_net)
    made, own = g_net(torch.rand(1, 64, 1, generator=generator(0))), adam(d_net if turn == "D's turn" else g_net, 1e-2)
    loss = F.softplus(d_net(made.detach())) if turn == "D's turn" else F.softplus(-d_net(made))
    each_run(loss).backward()
    own.step()
    report[turn] = [same(before[0], g_net), touched(g_net), same(before[1], d_net), touched(d_net)]
    print(f"{turn}: G bit-identical {report[turn][0]}, G has a gradient {report[turn][1]}; D bit-identical {report[turn][2]}, D has a gradient {report[turn][3]}")

assert report["D's turn"] == [True, False, False, True]
assert report["G's turn"] == [False, True, True, True]

for k in (1, 3):  # and the count: k steps of D for each of G, fresh noise for each
    calls = {"data": 0, "noise": []}

    def counted_noise() -> Tensor:
        calls["noise"].append(torch.rand(1, 4, 1, generator=g))
        return calls["noise"][-1]

    def counted_data() -> Tensor:
        calls["data"] += 1
        return humps(1, 4, 1, g=g)

    play(*pair, counted_data, counted_noise, steps=5, k=k)
    assert calls["data"] == 5 * k and len(calls["noise"]) == 5 * (k + 1)
    assert torch.stack(calls["noise"]).unique(dim=0).shape[0] == len(calls["noise"])
print("k steps of D for each of G, each with its own noise: True")

# %% [markdown]
# One published slide prints the gradient of G's update as $\nabla_{\theta_d}$. The table above says what that does: D moves, G never. (The assignment asks you to find it.)
#
# ## 3. The value of the game
#
# $V$ is two expectations, so a mean over samples estimates it. Two checks before we use it. If D says one half everywhere, $V=2\log\frac12=-\log4\approx-1.386$, whatever G
# does. And against any fixed D the estimate must agree with the integral of the densities.


# %% tags=["covers:F-02"]
def value(judge, x: Tensor, fake: Tensor) -> Tensor:
    """V(D, G) from samples; `judge` maps points to scores."""
    return -F.softplus(-judge(x)).mean() - F.softplus(judge(fake)).mean()


n = 200_000
x, fake = humps(n, g=generator(30)), -0.3 + 0.9 * torch.randn(n, generator=generator(31))


def some_judge(x: Tensor) -> Tensor:
    return 1.5 * x - 0.5


fine = torch.linspace(-6, 6, 12_001, dtype=torch.float64)
integrand = density(fine) * -F.softplus(-some_judge(fine)) + gauss(fine, -0.3, 0.9) * -F.softplus(some_judge(fine))
exact, estimate = torch.trapezoid(integrand, fine).item(), value(some_judge, x, fake).item()
at_half = value(torch.zeros_like, x, fake).item()
assert abs(exact - estimate) < 0.01 and abs(at_half + math.log(4)) < 1e-6
print(f"V of a fixed judge: {exact:.2f} by integration; from {n:,} samples the same within 0.01")
print(f"V of D = 1/2: {at_half:.4f}, and -log 4 = {-math.log(4):.4f}")

# %% [markdown]
# ## 4. The perfect judge
#
# Fix G. At each point $x$ the best D maximises $p_{data}(x)\log D+p_g(x)\log(1-D)$. Set the derivative to zero:
#
# $$D^*(x)=\frac{p_{data}(x)}{p_{data}(x)+p_g(x)},\qquad \frac{D^*(x)}{1-D^*(x)}=\frac{p_{data}(x)}{p_g(x)},\qquad
# \max_D V=2\,\mathrm{JS}(p_{data},p_g)-\log4$$
#
# So the logit of a trained D is an estimate of the log ratio of two densities that nobody can write down. For two Gaussians this logit is a quadratic
# function of $x$, so logistic regression on $(1,x,x^2)$ can be perfect. Is it?


# %% tags=["covers:F-04", "covers:K-08"]
class Quadratic(nn.Module):
    """A logistic discriminator whose score is a + b x + c x^2."""

    def __init__(self) -> None:
        super().__init__()
        self.abc = nn.Parameter(torch.zeros(3))

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([torch.ones_like(x), x, x**2], -1) @ self.abc


real_mean, real_width, fake_mean, fake_width = 0.5, 0.6, -0.5, 1.0
x = real_mean + real_width * torch.randn(n, generator=generator(40))
fake = fake_mean + fake_width * torch.randn(n, generator=generator(41))
judge = Quadratic()
newton = torch.optim.LBFGS(judge.parameters(), max_iter=60, line_search_fn="strong_wolfe")


def up_the_value() -> Tensor:
    newton.zero_grad()
    loss = -value(judge, x, fake)
    loss.backward()
    return loss


newton.step(up_the_value)
where = torch.linspace(-3.5, 3.0, 131)
p, q = gauss(where, real_mean, real_width), gauss(where, fake_mean, fake_width)
with torch.no_grad():
    learned = judge(where).sigmoid()
    reached = value(judge, x, fake).item()
error = (learned - p / (p + q)).abs().max().item()


def jensen_shannon(p: Tensor, q: Tensor, at: Tensor) -> float:
    m = (p + q) / 2
    return (torch.trapezoid(torch.xlogy(p, p / m), at) + torch.trapezoid(torch.xlogy(q, q / m), at)).item() / 2


js = jensen_shannon(gauss(fine, real_mean, real_width), gauss(fine, fake_mean, fake_width), fine)
assert error < 0.02
assert abs(reached - (2 * js - math.log(4))) < 0.01
near = (p > 0.02) & (q > 0.02)
assert (learned / (1 - learned) / (p / q) - 1)[near].abs().max() < 0.05  # D / (1 - D) is the ratio of the densities
print("trained D within 0.02 of D* on the whole grid:", error < 0.02)
print(f"2 JS - log 4 = {2 * js - math.log(4):.2f}; the trained D reaches it within 0.01")


# %%
def perfect_judge(mean: float, width: float):
    p, q = gauss(fine, 0.0, 1.0), gauss(fine, mean, width)
    best = p / (p + q)
    js = jensen_shannon(p, q, fine)
    fig, (left, right) = figure(1, 2, width=8.6, height=2.8, gridspec_kw={"width_ratios": [2, 1]})
    left.fill_between(fine, p, color=REAL, alpha=0.3, label="data")
    left.plot(fine, q, color=FAKE, linestyle="-.", label="fakes")
    left.plot(fine, best, color=JUDGE, label="D*")
    left.axhline(0.5, color="grey", linewidth=0.6, linestyle=":")
    left.set(xlim=(-5, 5), ylim=(0, 1.3), xlabel="x", ylabel="density; D*(x)")
    left.legend(loc="upper center", ncols=3)
    means = torch.linspace(-4, 4, 81)
    right.plot(means, [2 * jensen_shannon(p, gauss(fine, m, width), fine) - math.log(4) for m in means], color=PALETTE[4])
    right.plot([mean], [2 * js - math.log(4)], "o", color=JUDGE)
    right.axhline(-math.log(4), color="grey", linestyle=":")
    right.axhline(0, color="grey", linestyle=":")
    right.set(ylim=(-1.5, 0.1), xlabel="mean of the fakes", ylabel="max V", title=f"2 JS - log 4 = {2 * js - math.log(4):.2f}")
    return fig


explore(
    perfect_judge,
    alt="Density of data and of fakes with mean {mean} and width {width}, the perfect judge over both, and beside it its value as the fakes' mean varies.",
    static=[{"mean": 1.5, "width": 0.7}, {"mean": 4.0, "width": 0.7}],
    mean=Slider(-4.0, 4.0, 0.1, 1.5, label="mean of the fakes"),
    width=Slider(0.3, 2.0, 0.1, 0.7, label="their width"),
)

# %% [markdown]
# Move the fakes to 4 and look at the right plot. The value is nearly 0, its maximum, and *flat*: once the judge is sure, moving a little closer changes nothing that it can see. Remember
# this plateau; sections 7 and notebook 3 are about it.
#
# ### The other convention
#
# Some slides let D give the probability of *fake*, and write
#
# $$\min_G\max_D\;\mathbb E_{z}[\log D(G(z))]+\mathbb E_{x}[\log(1-D(x))]$$
#
# That is the same game with $D$ replaced by $1-D$, and its optimum is $p_g/(p_{data}+p_g)$. Both are fine. Mixing them is not: SRGAN's generator loss $-\log D(G(z))$ assumes that 1 means real.

# %% tags=["covers:F-03"]
scores_real, scores_fake = some_judge(x), some_judge(fake)
swapped = F.logsigmoid(-scores_fake).mean() + torch.log1p(-torch.sigmoid(-scores_real)).mean()  # the formula above, for 1 - D
assert torch.allclose(swapped, value(some_judge, x, fake), atol=1e-5)

opinion = torch.linspace(0.001, 0.999, 999, dtype=torch.float64)
best = opinion[(0.7 * opinion.log() + 0.3 * (1 - opinion).log()).argmax()].item()  # a place with p_data = 0.3, p_g = 0.7
assert abs(best - 0.7) < 1e-3
print(f"where p_data = 0.3 and p_g = 0.7, the swapped D is best at {best:.3f}")

trapped = {}
for label, pays in {"probability of real, as in section 2": fooled, "G reads D as probability of real, but it is of fake": lambda s: F.softplus(s)}.items():
    # A score s for "real" is -s for "fake": so -log D(G) with the wrong D is softplus(s).
    runs, g = 3, generator(50)
    G3, D3 = Crowd(runs, 1, 32, 32, 1, seed=51), Crowd(runs, 1, 32, 32, 1, seed=52)
    play(G3, D3, lambda: humps(runs, 128, 1, g=g), lambda: 2 * torch.rand(runs, 128, 1, generator=g) - 1, steps=250, pays=pays)
    with torch.no_grad():
        trapped[label] = distance(G3(FIXED.view(1, -1, 1).expand(runs, -1, -1))[..., 0])
    print(f"{label}: distance to the data after 250 steps below 0.4 in {int((trapped[label] < 0.4).sum())} of 3 runs, above 0.7 in {int((trapped[label] > 0.7).sum())}")
right_way, wrong_way = trapped.values()
assert (right_way < 0.4).all() and (wrong_way > 0.7).all()

# %% [markdown]
# ## 5. Where the game ends
#
# Put $D^*$ back in: what G minimises is $2\,\mathrm{JS}(p_{data},p_g)-\log4$. It is zero apart from the constant if and only if $p_g=p_{data}$, and then $D^*=\tfrac12$ everywhere. With three
# possible outcomes $p_g$ is a point of a triangle, and we can draw the whole landscape.

# %% tags=["covers:F-05"]
TARGET = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)


def landscape(q: Tensor) -> Tensor:
    """max over D of V, for p_g = q (..., 3)."""
    best = TARGET / (TARGET + q)
    return (TARGET * best.log() + torch.xlogy(q, 1 - best)).sum(-1)


logits = TARGET.log().requires_grad_()
at_goal = landscape(logits.softmax(0))
(slope,) = torch.autograd.grad(at_goal, logits)
assert abs(at_goal.item() + math.log(4)) < 1e-12 and slope.abs().max() < 1e-12

path, theta = [], torch.tensor([-2.5, 0.5, 2.0], dtype=torch.float64, requires_grad=True)
for _ in range(400):
    path.append(theta.detach().softmax(0))
    (slope,) = torch.autograd.grad(landscape(theta.softmax(0)), theta)
    theta = (theta - 2.0 * slope).detach().requires_grad_()
path = torch.stack(path)
assert (path[-1] - TARGET).abs().max() < 1e-3
print("at p_g = p_data: V = -log 4, D = 1/2, and the gradient with respect to G is 0 (to 1e-12)")
print("gradient descent against a perfect judge ends there (to 1e-3)")

corners = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.5, 0.866]], dtype=torch.float64)
a, b = torch.meshgrid(torch.linspace(0, 1, 141), torch.linspace(0, 1, 141), indexing="ij")
inside = a + b <= 1
simplex = torch.stack([a[inside], b[inside], (1 - a - b)[inside].clamp(min=0)], -1).double()
fig, ax = figure(width=5.2, height=3.8)
shade = ax.tricontourf(*(simplex @ corners).T, landscape(simplex), levels=12, cmap="cividis")
ax.plot(*(path @ corners).T, color="white", marker="o", markersize=2.5, linewidth=1)
ax.plot(*(TARGET @ corners), "*", color=PALETTE[2], markersize=15, markeredgecolor="white")
for corner, name, (dx, dy) in zip(corners, "abc", [(-0.1, -0.05), (0.1, -0.05), (0.0, 0.04)]):
    ax.text(corner[0] + dx, corner[1] + dy, f"only {name}", ha="center")
ax.set(aspect="equal", xlim=(-0.2, 1.2), ylim=(-0.09, 0.95))
ax.set_axis_off()
fig.colorbar(shade, ax=ax, label="max V over D")
show(fig, alt="The triangle of all distributions over three outcomes, shaded by the value against a perfect judge; a white path of gradient descent leads from near one corner to the star at p_data.")

# %% [markdown]
# One lecture concludes: a unique solution exists, "ensuring convergence". Read the small print. This descent consulted a *perfect* judge at every step, and moved
# *probabilities*. In practice both players take small steps in weights, and then the existence of an optimum ensures nothing (notebook 2, section 1).
#
# ## 6. Four pictures: a GAN transforms a distribution
#
# The classic figure of the paper, here from a real run. (a) A generator that has just begun, and a judge out of date. (b) D is trained to its best reply; G waits. (c) G follows D's slope, D waits. (d) The game goes on
# to its end. Under each panel, the noise on the lower line and where G sends it on the upper one.

# %% tags=["covers:F-06"]
g = generator(61)
G, D = Crowd(1, 1, 32, 32, 1, seed=5), Crowd(1, 1, 32, 32, 1, seed=6)
panels = {}


def one_sided(mover: str, steps: int) -> None:
    """Train one player against the other, which stands still."""
    own = adam(D, 4e-3) if mover == "D" else adam(G, 2e-3)
    for _ in range(steps):
        made = G(2 * torch.rand(1, N, 1, generator=g) - 1)
        loss = F.softplus(-D(humps(1, N, 1, g=g))) + F.softplus(D(made.detach())) if mover == "D" else fooled(D(made))
        own.zero_grad()
        each_run(loss).backward()
        own.step()


@torch.no_grad()
def panel(name: str) -> None:
    panels[name] = (G(FIXED.view(1, -1, 1)).flatten(), D(GRID.view(1, -1, 1)).sigmoid().flatten())


def game(steps: int, slow: float = 1.0) -> None:
    play(G, D, lambda: humps(1, N, 1, g=g), lambda: 2 * torch.rand(1, N, 1, generator=g) - 1, steps=steps, rate_d=4e-3 * slow, rate_g=5e-4 * slow)


game(15)
panel("(a) early")
one_sided("D", 300)
panel("(b) D at its best")
one_sided("G", 25)
panel("(c) G follows")
game(1500), game(800, slow=0.2)
panel("(d) the end")

reach = {name: distance(fakes).item() for name, (fakes, _) in panels.items()}
a, b, c, d = reach.values()
assert a == b > c > d and d < 0.2
last = panels["(d) the end"][0]
per_bin = torch.histc(last, 40, -2, 2) / len(last) / 0.1
agreement = torch.corrcoef(torch.stack([per_bin, density(torch.linspace(-1.95, 1.95, 40))]))[0, 1].item()
assert agreement > 0.75
print("the distance to the data is the same in (a) and (b), then falls, to below 0.2 in (d):", a == b > c > d and d < 0.2)
print("lines per interval follow the density of the data, correlation above 0.75:", agreement > 0.75)

fig, axes = figure(2, 4, width=10.4, height=4.2, gridspec_kw={"height_ratios": [2, 1]}, sharex=True)
for (name, (fakes, verdict)), top, low in zip(panels.items(), axes[0], axes[1]):
    draw_game(top, fakes, verdict, f"{name}: {distance(fakes):.2f}")
    for z, to in zip(FIXED[25::50], fakes[25::50]):
        low.plot([2.4 * z, to], [0, 1], color=FAKE, linewidth=0.5, alpha=0.8)
    low.set(yticks=[0, 1], yticklabels=["z", "x"], xlabel="x (z is stretched to fit)", ylim=(-0.05, 1.05))
    low.grid(visible=False)
    if top is not axes[0, 0]:
        top.tick_params(labelleft=False)
axes[0, 0].set_ylabel("density; D(x)")
fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
show(
    fig,
    alt="Four panels of one run with distance to the data falling. Above, histograms and D; below, evenly spaced noise joined to its images: a narrow "
    "fan at first, in the end two dense bundles under the humps with few lines between them.",
)

# %% [markdown]
# The lines say it: G stretches and squeezes an even ruler until its marks are as dense as the data. *A GAN is a transformer of distributions.* In one
# dimension the ideal monotone map is known, the inverse of the cumulative share, $F^{-1}$. G was never told, and need not find it: any map that sends
# the right share of noise to each place will do. Between the humps G must be steep; a continuous network cannot jump, so a few fakes always fall in between.
#
# The same loop in the plane, with two numbers of noise: two half moons, cut into twelve pieces to count what is covered. The shade is D. (About 6 s.)

# %% tags=["covers:F-01"]
moons = world("moons")
PLANE_RUNS, EARLY = 3, [50, 200, 600, 1500]
gm = generator(65)
G_moons, D_moons = Crowd(PLANE_RUNS, 2, 48, 48, 2, seed=66), Crowd(PLANE_RUNS, 2, 48, 48, 1, seed=67)
side = torch.linspace(-1.4, 1.4, 71)
mesh = torch.stack(torch.meshgrid(side, side, indexing="xy"), -1).view(1, -1, 2).expand(PLANE_RUNS, -1, -1)
noise_moons = torch.randn(PLANE_RUNS, 1000, 2, generator=generator(68))
plane = {}


@torch.no_grad()
def keep_plane(step: int) -> None:
    if step in EARLY:
        plane[step] = G_moons(noise_moons), D_moons(mesh)[0].sigmoid().view(71, 71)


play(
    G_moons, D_moons, lambda: moons.draw(PLANE_RUNS * 128, generator=gm).x.view(PLANE_RUNS, 128, 2),
    lambda: torch.randn(PLANE_RUNS, 128, 2, generator=gm), steps=1500, seen=keep_plane,
)  # fmt: skip
fig, axes = figure(1, 4, width=10.2, height=2.8, sharey=True)
for ax, (step, (fakes, verdict)) in zip(axes, plane.items()):
    shade = ax.pcolormesh(side, side, verdict, cmap="RdBu", vmin=0, vmax=1, alpha=0.6, shading="nearest", rasterized=True)
    ax.scatter(*moons.draw(300, generator=generator(69)).x.T, s=4, color=REAL, label="data")
    ax.scatter(*fakes[0, :300].T, s=9, marker="x", linewidths=0.7, color=FAKE, label="fakes")
    ax.set(xlim=(-1.4, 1.4), ylim=(-1.4, 1.4), aspect="equal", xlabel="first coordinate", title=f"step {step}")
    ax.grid(visible=False)
axes[0].set_ylabel("second coordinate")
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
fig.colorbar(shade, ax=axes, label="D(x)")
show(fig, alt="Four moments in the plane: fakes begin as a blob, spread along both half moons and in the end lie on them; D is high where fakes are missing, and fades to one half.", colours=128)

pieces = [mode_coverage(f, moons.modes(), moons.spread).covered for f in plane[1500][0]]
assert min(pieces) >= 10
print("at least 10 of 12 pieces covered in all 3 runs:", min(pieces) >= 10)

# %% [markdown]
# ## 7. Two losses for the generator
#
# The value says that G minimises $\log(1-D(G(z)))$. Early on, D is sure of a fake, so $D(G(z))\approx0$, and this loss is flat there. With $a$ the logit of D on a fake:
#
# $$\frac{\partial}{\partial a}\log(1-\sigma(a))=-\sigma(a)\qquad\qquad\frac{\partial}{\partial a}\big({-\log\sigma(a)}\big)=-(1-\sigma(a))$$
#
# The second is the *non-saturating* loss: it asks to raise $\log D(G(z))$. Both want $a$ up, both are content where $D=\tfrac12$ is the best reply, and their
# gradients differ by exactly $(1-D)/D$.

# %% tags=["covers:F-09", "covers:F-10"]
logit = torch.linspace(-8, 8, 321, dtype=torch.float64, requires_grad=True)
curves = {"saturating, log(1 - D)": F.logsigmoid(-logit), "non-saturating, -log D": -F.logsigmoid(logit)}
slopes = {label: torch.autograd.grad(y.sum(), logit)[0] for label, y in curves.items()}
saturating, otherwise = slopes.values()
opinion = logit.detach().sigmoid()
assert torch.allclose(otherwise / saturating, (1 - opinion) / opinion, rtol=1e-9)
print("    a   D(G(z))   saturating   non-saturating   ratio = (1-D)/D")
for a in (-5.0, 0.0, 5.0):
    i = int((logit.detach() - a).abs().argmin())
    print(f"{a:5.0f} {opinion[i]:9.4f} {saturating[i]:12.4f} {otherwise[i]:16.4f} {(1 - opinion[i]) / opinion[i]:17.4f}")
assert saturating[(logit.detach() + 5).abs().argmin()].abs() < 0.01

fig, (left, right) = figure(1, 2, width=8.6, height=2.8)
lines(left, opinion, {k: v.detach() for k, v in curves.items()}, xlabel="D(G(z))", ylabel="loss of G")
left.set(ylim=(-5, 5))
left.axvspan(0, 0.1, color="grey", alpha=0.2)
left.text(0.12, 3.9, "early in training", fontsize=8)
lines(right, logit.detach(), {k: v.abs() for k, v in slopes.items()}, xlabel="logit a of D on a fake", ylabel="size of the gradient", legend=False)
show(fig, alt="Left: both generator losses over D(G(z)); the saturating one is flat near 0, the other steep. Right: their gradient sizes over the logit are mirror images; at strongly negative logits only the non-saturating one is near 1.")

# %% [markdown]
# Does it matter? A race from a bad start: all fakes lie far to the left of the data, and D had 300 steps to become sure of it. Eight seeds each. G descends in plain steps,
# and then with Adam. (About 10 s.)


# %% tags=["covers:F-10"]
def race(pays, *, plain: bool, runs: int = 8, steps: int = 500, target: float = 0.5) -> Tensor:
    """Steps until the distance to the data is below the target, (runs,); `steps` if it never is."""
    g = generator(70)
    G, D = Crowd(runs, 1, 16, 16, 1, seed=71), Crowd(runs, 1, 16, 16, 1, seed=72)
    with torch.no_grad():
        G.biases[-1] -= 3.0
    up = adam(D, 4e-3)
    down = torch.optim.SGD(G.parameters(), lr=0.02) if plain else adam(G, 1e-3)
    arrived = torch.full((runs,), steps)
    for step in range(-300, steps):
        made, x = G(2 * torch.rand(runs, 64, 1, generator=g) - 1), humps(runs, 64, 1, g=g)
        up.zero_grad()
        each_run(F.softplus(-D(x)) + F.softplus(D(made.detach()))).backward()
        up.step()
        if step >= 0:
            down.zero_grad()
            each_run(pays(D(made))).backward()
            down.step()
            if step % 5 == 0:
                arrived[(distance(made.detach()[..., 0]) < target) & (arrived == steps)] = step
    return arrived


SATURATING, NON_SATURATING = (lambda s: -F.softplus(s)), fooled
times = {}
for optimiser, plain in {"plain steps": True, "Adam": False}.items():
    for loss, pays in {"saturating": SATURATING, "non-saturating": NON_SATURATING}.items():
        times[f"{loss}, {optimiser}"] = race(pays, plain=plain)
slow, fast, slow_adam, fast_adam = times.values()
assert (slow == 500).all() and (fast < 500).sum() >= 5
assert (slow_adam < 500).all() and (fast_adam < 500).all()
print("plain steps: the saturating loss never arrives within 500 steps, the non-saturating one with at least 5 of 8 seeds:", True)
print("with Adam both arrive with all 8 seeds:", True)

# %% tags=["nbval-ignore-output"]
print("with Adam the saturating loss is first with", int((slow_adam < fast_adam).sum()), "of 8 seeds")
for label, when in times.items():
    print(f"{label:28} median {when.float().median():4.0f} steps, {when.min()} to {when.max()};  not there after 500: {int((when == 500).sum())} of 8")

# %% [markdown]
# With plain steps the saturating loss does not leave the plateau. **The surprise** is the second pair. Adam divides each gradient by its recent size, so a small but
# consistent gradient is blown up again: the handicap is gone, and in this race the saturating loss even comes first. So the argument of the slides is one about plain gradient
# steps. It counts again where gradients are so small that noise and rounding drown them, in deep networks and half precision, and practical GANs use the non-saturating loss. (One well-known library offers a loss *called* minimax that computes this one. Differentiate before you believe a name.)
#
# ## 8. Why not the squared error to a real image?
#
# Because somebody has to say *which* real image. Two answers, tried on scikit-learn's 8 × 8 digits:
#
# - **random pairing**: for each noise a random real digit, drawn afresh. The best answer to all of them at once is their mean.
# - **fixed pairing**: every digit gets a noise of its own, once. Now there is an answer: learn the list by heart.

# %% tags=["covers:F-11"]
digits = real_digits().x.flatten(1)[torch.randperm(1797, generator=generator(1))]  # (1797, 64)
TRAIN, HELD_OUT = digits[:1500], digits[1500:]


def regress(choose, steps: int) -> Crowd:
    """A generator that minimises the squared error to the digits it is paired with."""
    net = Crowd(1, 16, 128, 64, seed=80)
    own = adam(net, 2e-3)
    for step in range(steps):
        own.param_groups[0]["lr"] = 2e-3 * (1 - step / steps)
        z, x = choose()
        own.zero_grad()
        F.mse_loss(net(z[None])[0].tanh(), x).backward()
        own.step()
    return net.requires_grad_(False)


g = generator(81)
own_z = torch.randn(40, 16, generator=g)
random_pairs = regress(lambda: (torch.randn(256, 16, generator=g), TRAIN[torch.randint(0, 1500, (256,), generator=g)]), 500)
fixed_pairs = regress(lambda: (own_z, TRAIN[:40]), 700)
fresh = torch.randn(400, 16, generator=generator(82))
averaged, recited, between = (net(z[None])[0].tanh() for net, z in ((random_pairs, fresh), (fixed_pairs, own_z), (fixed_pairs, fresh)))

to_mean = (averaged - TRAIN.mean(0)).square().mean().item()
variety = (averaged.var(0).mean() / TRAIN.var(0).mean()).item()
copies = memorisation(recited, TRAIN[:40])
assert to_mean < 1e-2 and variety < 0.03
assert copies.share == 1 and copies.ratio < 0.1
print("random pairing: squared error to the mean digit below 0.01 per pixel, variance below 3 % of the data's:", True)
print("fixed pairing: all 40 are copies of their digit (distance below a tenth of that between neighbours):", True)
show(
    pictures(torch.cat([TRAIN[:10], averaged[:10], recited[:10], between[:10]]).view(-1, 1, 8, 8), cols=10,
             titles=[title for row in ("real", "random", "fixed", "new z") for title in [row] + [""] * 9], width=7.4),
    alt="Four rows of ten: real digits; ten equal grey blurs, the mean digit; the first ten digits recited exactly; and smears that new noise gives under fixed pairing.",
    colours=64,
)  # fmt: skip

# %% [markdown]
# An average that resembles no digit, or a list by heart with blends of it in between. (A variational autoencoder is the third answer: let a second network *choose* the noise of each
# image.) The adversarial loss asks something else of a fake. It need not be *this* digit, only *some* digit.
#
# ## 9. Digits, at last
#
# The same loop, unchanged: 16 numbers of noise, 64 pixels. And a question that a slide answers too fast: GANs are "robust to overfitting, since the generator
# never sees the training data". So train two pairs side by side: one on 1,500 digits, and one on 50. (About 10 s.)

# %% tags=["covers:F-26", "covers:F-30", "covers:F-25"]
SOURCES = [TRAIN, TRAIN[:50]]


class Painter(Crowd):
    """A generator of pixels: its outputs are in (-1, 1), as the data are."""

    def forward(self, z: Tensor) -> Tensor:
        return super().forward(z).tanh()


g = generator(90)
G2, D2 = Painter(2, 16, 128, 128, 64, seed=91), Crowd(2, 64, 128, 128, 1, seed=92)
rounds = 4
for _ in track(range(rounds), "digits, 4 times 500 steps"):
    play(
        G2, D2, lambda: torch.stack([source[torch.randint(0, len(source), (64,), generator=g)] for source in SOURCES]),
        lambda: torch.randn(2, 64, 16, generator=g), steps=500, rate_d=2e-3,
    )  # fmt: skip
with torch.no_grad():
    many, few = G2(torch.randn(2, 297, 16, generator=generator(93)))
show(
    pictures(torch.cat([HELD_OUT[:12], many[:12], few[:12]]).view(-1, 1, 8, 8), cols=12, titles=[title for row in ("real", "of 1,500", "of 50") for title in [row] + [""] * 11], width=8.4),
    alt="Three rows of twelve: real digits, fakes of the network that learned from 1,500 digits, and fakes of the one that learned from 50.",
    colours=64,
)

ratio = {"new real digits, against the 50": memorisation(HELD_OUT, TRAIN[:50]).ratio, "fakes from 50, against the 50": memorisation(few, TRAIN[:50]).ratio,
         "new real digits, against the 1,500": memorisation(HELD_OUT, TRAIN).ratio, "fakes from 1,500, against the 1,500": memorisation(many, TRAIN).ratio}  # fmt: skip
fresh_50, fake_50, fresh_1500, fake_1500 = ratio.values()
assert fake_50 < fresh_50 - 0.1 and fake_1500 > fresh_1500
print("trained on 50, the fakes lie closer to those 50 than new real digits do:", fake_50 < fresh_50 - 0.1)
print("trained on 1,500, they do not:", fake_1500 > fresh_1500)

# %% tags=["nbval-ignore-output"]
print("median distance to the nearest training digit, in units of the distance between neighbours there")
for label, r in ratio.items():
    print(f"  {label:36} {r:.2f}")

# %% [markdown]
# G never sees the data. But D does, and G sees D's gradient, which knows where the 50 digits are. With few data a discriminator memorises, and teaches the generator to copy; the last
# row also shows few kinds of digits, a failure with a name of its own (notebook 2). So always look up the
# *nearest training example* of your fakes, and compare with that of held-out data: a distance alone says nothing.
#
# ## 10. Sharp, because an average does not pass
#
# A small version of the showcase with "adversarial" next to a blurred prediction. A sprite moves left or right, fast; we see one frame and must predict the next. A
# frame is 16 pixels here: the brightest pixel of each column. From one frame nobody can know the direction. (About 5 s.)

# %% tags=["covers:F-27"]
sprites = world("sprites")


def strips(n: int, g: torch.Generator) -> tuple[Tensor, Tensor]:
    """Small white discs that move left or right: this frame and the next, (n, 16) each."""
    labels = torch.zeros(n, 5, dtype=torch.int64)
    labels[:, 1], labels[:, 2], labels[:, 3] = 4, torch.randint(0, 2, (n,), generator=g), 1
    film = sprites.render(labels, generator=g, size=16).mean(2).amax(2)
    return film[:, 0], film[:, 1]


now, then = strips(2000, generator(100))
now_new, then_new = strips(300, generator(101))
runs = 3
predicted = {}
for kind in ("squared error", "adversarial"):
    g = generator(102)
    G3, D3 = Painter(runs, 20, 64, 64, 16, seed=103), Crowd(runs, 32, 64, 64, 1, seed=104)
    up, down = adam(D3, 4e-3), adam(G3, 1e-3)
    for _ in range(1500):
        rows = torch.randint(0, len(now), (runs, 128), generator=g)
        seen, coming = now[rows], then[rows]
        guess = G3(torch.cat([seen, torch.randn(runs, 128, 4, generator=g)], 2))
        if kind == "adversarial":  # D sees the frame and its successor, real or guessed
            up.zero_grad()
            each_run(F.softplus(-D3(torch.cat([seen, coming], 2))) + F.softplus(D3(torch.cat([seen, guess.detach()], 2)))).backward()
            up.step()
        down.zero_grad()
        each_run(fooled(D3(torch.cat([seen, guess], 2))) if kind == "adversarial" else (guess - coming).square()).backward()
        down.step()
    with torch.no_grad():
        predicted[kind] = G3(torch.cat([now_new.expand(runs, -1, -1), torch.randn(runs, 300, 4, generator=generator(105))], 2))


def sharpness(x: Tensor) -> Tensor:
    """The steepest step between neighbouring pixels, mean over frames."""
    return (x[..., 1:] - x[..., :-1]).abs().amax(-1).mean(-1)


blurred, sharp, true = *(sharpness(p) for p in predicted.values()), sharpness(then_new)
error = {kind: (p - then_new).square().mean((1, 2)) for kind, p in predicted.items()}
assert (blurred < 0.7 * true).all() and (sharp > 0.8 * true).all()
assert (error["squared error"] < error["adversarial"]).all()
print("steepest edge: squared error below 70 % of the truth, adversarial above 80 %, with 3 seeds of 3:", True)
print("and the squared error of the sharp prediction is the larger one:", True)

guessed = (predicted["adversarial"][0] - then_new).square().mean(1)
hit, miss = guessed < (predicted["squared error"][0] - then_new).square().mean(1), guessed > 0.3
assert 0.3 < hit.float().mean() < 0.7
print("the sharp prediction is closer than the blurred one in 30 to 70 % of the frames:", True)

fig, axes = figure(1, 4, width=10.0, height=2.3, sharey=True)
for ax, i in zip(axes, [*hit.nonzero()[:2, 0], *miss.nonzero()[:2, 0]]):
    ax.plot(now_new[i], color="grey", linestyle=":", label="now")
    ax.plot(then_new[i], color=REAL, label="next, true")
    ax.plot(predicted["squared error"][0, i], color=PALETTE[4], linestyle="--", label="squared error")
    ax.plot(predicted["adversarial"][0, i], color=FAKE, linestyle="-.", label="adversarial")
    ax.set(xlabel="pixel")
axes[0].set_ylabel("brightness")
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
show(fig, alt="Four strips: the sprite now, its true next place, the squared-error prediction with a low bump on both sides, and the adversarial prediction with one full bump: on the true side in the first two strips, on the other in the last two.")

# %% [markdown]
# The squared error hedges: half a sprite on each side, which no film ever showed. The adversarial network commits, is wrong in half of the cases, and pays for it in squared error. Which
# of the two is *better* depends on what the prediction is for. Sharp is not true.
#
# ## 11. Where is the randomness?
#
# One summary calls a GAN "two stochastic neural network modules". Both networks are ordinary functions. All chance is in $z$ (and in the choice of the batch).

# %% tags=["covers:F-29", "covers:F-25"]
z = torch.randn(2, 5, 16, generator=generator(110))
with torch.no_grad():
    once, again, other = G2(z), G2(z), G2(z + 0.5)
    assert torch.equal(once, again) and not torch.equal(once, other)
    assert torch.equal(D2(once), D2(again))
print("same z, same picture, to the bit:", torch.equal(once, again), "  same picture, same verdict:", torch.equal(D2(once), D2(again)))
z = z.requires_grad_()
G2(z)[0, 0].sum().backward()
assert z.grad[0, 0].abs().sum() > 0 and z.grad[0, 1:].abs().sum() == 0
print("and z has a gradient: which picture comes out can be steered")

# %% [markdown]
# (Dropout in G would be a second source; pix2pix uses just that. Batch norm in train mode lets the *other* examples of the batch in.)
#
# ## 12. The stated advantages, tested
#
# | Claim on the slides | Verdict here |
# |---|---|
# | sampling is straightforward, one forward pass | true; timed below |
# | no maximum likelihood needed | true; and so there is none to read off: no held-out likelihood, hence the trouble of measuring GANs |
# | trained by backpropagation alone | true: section 2, G's gradient comes through D |
# | robust to overfitting, as G never sees the data | **depends**: section 9, with 50 digits it leans towards copies |
# | sharper than a squared error | true where the future is open: section 10; and further off on average |
# | good at capturing the modes | **contestable**: the same lecture shows mode collapse later; notebook 2, section 6 |

# %% tags=["covers:F-25"]
z = torch.randn(2, 500, 16, generator=generator(111))
with torch.no_grad():
    began = time.process_time()
    for _ in range(20):
        G2(z)
    once_through = (time.process_time() - began) / 20
    began = time.process_time()
    for _ in range(64):  # what a model that draws pixel after pixel must do, with a network of the same size
        G2(z)
    pixel_by_pixel = time.process_time() - began
assert pixel_by_pixel > 5 * once_through
print("64 passes take more than five times as long as one:", pixel_by_pixel > 5 * once_through)

# %% [markdown]
# ## 13. The year of the GAN
#
# In 2017 the idea was everywhere. One lecture lists 48 named methods. Sorted by what they change, most leave the game of this notebook as it is.

# %% tags=["covers:F-28"]
ZOO = {
    "the game: losses, training": "GAN AdaGAN b-GAN Bayesian-GAN BEGAN BS-GAN EBGAN f-GAN Geometric-GAN GoGAN Improved-GAN",
    "the networks": "DCGAN LAPGAN 3D-GAN LAGAN CaloGAN",
    "sequences": "Context-RNN-GAN C-RNN-GAN CS-GAN",
    "a condition": "CGAN AC-GAN acGAN AL-CGAN AM-GAN ArtGAN CCGAN CatGAN CVAE-GAN GAWWN InfoGAN",
    "the way back, from x to z": "ALI BiGAN AEGAN AnoGAN IAN iGAN IcGAN",
    "picture to picture": "CycleGAN CoGAN DiscoGAN DualGAN DTN AffGAN DR-GAN FF-GAN GeneGAN GP-GAN ID-CGAN",
}
count = {change: len(names.split()) for change, names in ZOO.items()}
assert sum(count.values()) == 48 and len({name for names in ZOO.values() for name in names.split()}) == 48
fig, ax = figure(width=7.6, height=2.4)
ax.barh(list(count), list(count.values()), color=PALETTE[5])
for row, number in enumerate(count.values()):
    ax.text(number + 0.1, row, str(number), va="center")
ax.invert_yaxis()
ax.set(xlabel="named methods of 48", title="what they change")
show(fig, alt="Bars: 11 of 48 methods change the game, 5 the networks, 3 work on sequences, 11 add a condition, 7 find the way back to z, 11 map pictures to pictures.")

# %% [markdown]
# Notebook 3 takes up the first row, unit 05 the second, unit 06 the condition and the way back, unit 07 the last.
#
# ## Quiz
#
# **1.** Your D loss is stuck at 1.386. What are the two explanations, and how do you tell them apart?
# <details><summary>Answer</summary>$\log4$: D says one half on everything. Either the fakes are perfect or D has learned nothing. Freeze G and train D alone: if its loss falls, there was
# something to see.</details><br>
#
# **2.** Somebody trains D for a thousand steps before each step of G "to be close to theory", uses $\log(1-D)$ with plain gradient steps, and G does not move. Why?
# <details><summary>Answer</summary>Where the supports hardly overlap, the perfect judge is sure, $D(G(z))\approx0$, and the gradient is proportional to $D$: the plateau of section 4.</details><br>
#
# **3.** At $p_g=p_{data}$ the best D is $\tfrac12$ everywhere. What gradient does G get from it?
# <details><summary>Answer</summary>None: a constant D has slope zero in $x$, so neither loss moves G. With a finite batch D sees chance differences, and G follows these.</details><br>
#
# **4.** You leave `detach` out of D's turn, but D's optimiser owns only D's weights. Is the result wrong?
# <details><summary>Answer</summary>G does not move in D's turn, so if G's gradients are cleared before its own backward, only time is lost. If they are not, G takes a step that also makes its fakes
# *easier* to recognise. Notebook 2 shows this failure.</details><br>
#
# **5.** A paper has D output the probability of fake, and you borrow SRGAN's $-\log D(G(z))$. What happens?
# <details><summary>Answer</summary>G learns to be caught. Use $-\log(1-D(G(z)))$, or relabel.</details><br>
#
# **6.** Why are the lines in panel (d) denser where the density is higher?
# <details><summary>Answer</summary>Equal pieces of noise carry equal mass. Where G is flat, much noise lands on a short stretch of $x$: $p_g(x)=p_z(z)/|G'(z)|$ for a monotone G.</details>
#
# ## Exercises
#
# In the assignment of this unit you write this game in other conventions and mend the slips on the slides. **Next:** notebook 2, how it fails.
#
# ## References
#
# - Goodfellow et al., *Generative adversarial nets*, NeurIPS 2014.
# - Goodfellow, *NIPS 2016 tutorial: generative adversarial networks*, arXiv 1701.00160.
# - Heusel et al., *GANs trained by a two time-scale update rule converge to a local Nash equilibrium*, NeurIPS 2017.
# - Uehara et al., *Generative adversarial nets from a density ratio estimation perspective* (b-GAN), arXiv 1610.02920.
# - Lotter, Kreiman, Cox, *Unsupervised learning of visual structure using predictive generative networks*, arXiv 1511.06380.
# - Ledig et al., *Photo-realistic single image super-resolution using a generative adversarial network*, CVPR 2017.
# - Lecture slides: Rice, *Deep learning for vision and language: GANs*; HKUST, *Advanced deep learning architectures: generative adversarial networks*; Shi, *A brief review on
#   GANs*; Spanakis & Driessens (Maastricht), *Deep learning for agents, Part 2*; UBC, *CPSC 532S: generative models and GANs*.
