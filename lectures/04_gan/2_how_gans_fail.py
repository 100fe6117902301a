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
# # 4.2 How GANs fail
#
# Gradient descent has one promise: walk downhill and you arrive somewhere. A game has no hill. Each player changes the ground that the other one stands on, and
# the two may circle for ever, with losses that look perfectly healthy. This notebook breaks GANs on purpose, so that you know the symptoms when you meet them by accident.
#
# After this notebook you can
#
# - show on two numbers why descent-ascent circles, spirals out, or comes to rest, and what averaging and extragradient change;
# - say what a larger $k$ buys and what it costs;
# - explain why a GAN's losses are no measure of its samples, and stop a run by something better;
# - detect mode collapse by a count and an entropy;
# - name a failure from its picture, and say what to do.
#
# **Reading time** 40 minutes. **Running time** about 35 seconds on one core. Notebook 3 has the remedies.
#
# | symbol | meaning | shape |
# |---|---|---|
# | $x,y$ | in section 1 only: what each of two players chooses | scalars |
# | $\eta$ | step size | scalar |
# | $k$ | steps of D for each step of G | |
# | $G(z)$, $D(x)=\sigma(s)$ | generator; probability of *real*, $s$ its logit | (N, D), (N, 1) |
# | MMD | maximum mean discrepancy: a distance between two sets of samples | scalar |

# %%
import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coursekit.datasets.worlds import world
from coursekit.metrics import mmd2, mode_coverage
from coursekit.plots import PALETTE, figure, lines, picture, show, use_style
from coursekit.runtime import generator, seeded
from coursekit.training.progress import track
from coursekit.widgets import Choice, Slider, explore

use_style()
torch.set_num_threads(1)  # these networks are tiny: a second thread would mostly wait
REAL, FAKE = PALETTE[1], PALETTE[2]

# %% [markdown]
# ## 1. Two numbers that never meet
#
# $$\min_x\max_y\;V(x,y)=xy$$
#
# The smallest game there is. One player owns $x$ and lowers $V$, the other owns $y$ and raises it. The only equilibrium is $(0,0)$. Follow the signs: at $x>0,y>0$ the first lowers $x$ and the second raises $y$; soon $x<0$, so
# now $y$ falls; then $x$ rises; then $y$ rises; and we are back in the first state.


# %% tags=["covers:F-15"]
def slopes(x: float, y: float) -> tuple[float, float]:
    """Of V = xy: along x, along y."""
    return y, x


def at_once(x: float, y: float, eta: float) -> tuple[float, float]:
    """Simultaneous: both read the old point."""
    dx, dy = slopes(x, y)
    return x - eta * dx, y + eta * dy


def in_turns(x: float, y: float, eta: float) -> tuple[float, float]:
    """Alternating, as in algorithm 1: the second player sees what the first has done."""
    x -= eta * slopes(x, y)[0]
    return x, y + eta * slopes(x, y)[1]


def look_ahead(x: float, y: float, eta: float) -> tuple[float, float]:
    """Extragradient: take a trial step, and move by the slopes found there (Korpelevich 1976)."""
    dx, dy = slopes(*at_once(x, y, eta))
    return x - eta * dx, y + eta * dy


RULES = {"simultaneous": at_once, "alternating": in_turns, "extragradient": look_ahead}


def orbit(rule, eta: float, steps: int) -> Tensor:
    """(steps + 1, 2), from (1, 1)."""
    points = [(1.0, 1.0)]
    for _ in range(steps):
        points.append(rule(*points[-1], eta))
    return torch.tensor(points, dtype=torch.float64)


eta, steps = 0.1, 500
paths = {name: orbit(rule, eta, steps) for name, rule in RULES.items()}
radius = {name: path.norm(dim=1) for name, path in paths.items()}
theory = math.sqrt(2) * math.sqrt(1 + eta**2) ** steps
assert torch.allclose(radius["simultaneous"][1:] / radius["simultaneous"][:-1], torch.tensor(1 + eta**2, dtype=torch.float64).sqrt())
assert radius["alternating"].min() > 1.3 and radius["alternating"].max() < 1.5
assert radius["extragradient"][-1] < 0.15
print(f"simultaneous: the radius grows by sqrt(1 + eta^2) each step, from 1.414 to {radius['simultaneous'][-1]:.3f}; theory {theory:.3f}")
print(f"alternating: it stays between {radius['alternating'].min():.3f} and {radius['alternating'].max():.3f}")
print(f"extragradient: it shrinks to {radius['extragradient'][-1]:.3f}")
centre = paths["alternating"].cumsum(0) / torch.arange(1, steps + 2)[:, None]
assert centre[-1].norm() < 0.1 and centre[50:].norm(dim=1).max() < centre[0].norm()
print(f"the average of the alternating path is {centre[-1].norm():.3f} from the equilibrium, the path itself {radius['alternating'][-1]:.3f}")

STATE = {(True, True): 1, (False, True): 2, (False, False): 3, (True, False): 4}
visited = [STATE[x.item() > 0, y.item() > 0] for x, y in paths["alternating"]]
order = [s for i, s in enumerate(visited) if i == 0 or s != visited[i - 1]][:5]
assert order == [1, 2, 3, 4, 1]
print("states visited:", order)


# %%
def three_orbits(eta: float, steps: int):
    fig, (left, right) = figure(1, 2, width=8.8, height=3.4, gridspec_kw={"width_ratios": [1, 1.3]})
    for k, (name, rule) in enumerate(RULES.items()):
        path = orbit(rule, eta, steps)
        colour, dash = PALETTE[1 + k], ["-", "--", "-."][k]
        left.plot(*path.T, color=colour, linestyle=dash, linewidth=1.0, label=name)
        left.plot(*path[-1], "os^"[k], color=colour)
        right.plot(path.norm(dim=1), color=colour, linestyle=dash, label=name)
    mean = orbit(in_turns, eta, steps).cumsum(0) / torch.arange(1, steps + 2)[:, None]
    right.plot(mean.norm(dim=1), color=PALETTE[4], linestyle=":", label="alternating, averaged")
    left.plot(0, 0, "+", color="black", markersize=10)
    left.set(xlim=(-3, 3), ylim=(-3, 3), xlabel="x (lowers V)", ylabel="y (raises V)", aspect="equal")
    right.set(xlabel="step", ylabel="distance to (0, 0)", yscale="log", ylim=(1e-3, 30))
    right.legend(loc="lower left")
    return fig


explore(
    three_orbits,
    alt="Orbits in the xy game with step size {eta} over {steps} steps, and their distance to the equilibrium: simultaneous steps spiral out, alternating steps circle, extragradient spirals in.",
    static=[{"eta": 0.1, "steps": 150}, {"eta": 0.3, "steps": 60}],
    eta=Slider(0.02, 1.0, 0.02, 0.1, label="step size"),
    steps=Slider(10, 500, 10, 150, label="steps"),
)

# %% [markdown]
# A smaller step size does not cure this. The circle is not an error of discretisation: with infinitely small steps it is an exact circle. Only the *rule* matters. Note how much
# better the average is than any point of the path; generators, too, are often sampled with averaged weights.
#
# One lecture states that a unique solution exists, "ensuring convergence"; another draws the cycle above. Both are right about what they show: the equilibrium exists, and the usual algorithm does not go there.
#
# ### One player, two players
#
# The same rule, the same step size, the same start. Once both numbers belong to one player, who lowers $x^2+y^2$.

# %% tags=["covers:F-16"]
point = torch.tensor([1.0, 1.0], dtype=torch.float64)
alone, against = [point.norm().item()], radius["simultaneous"][:101]
for _ in range(100):
    point = point - eta * 2 * point
    alone.append(point.norm().item())
assert alone[-1] < 1e-8 and against[-1] > 2
print(f"after 100 steps of {eta}: one player below 1e-8 from the optimum: {alone[-1] < 1e-8}; two players at {against[-1]:.2f}, having begun at 1.41")

# one player's slopes are a gradient, so their Jacobian is symmetric, with real eigenvalues; two players' slopes rotate
one, two = torch.tensor([[2.0, 0.0], [0.0, 2.0]]), torch.tensor([[0.0, 1.0], [-1.0, 0.0]])
print("eigenvalues of the descent field: one player", [f"{e.real:.0f}" for e in torch.linalg.eigvals(one)], " two players", sorted(f"{e.imag:+.0f}i" for e in torch.linalg.eigvals(two)))

# %% [markdown]
# That is the whole difference. Downhill fields pull towards a point. This one only rotates. (One player has troubles, too: with several valleys descent may end in a poor one. But it ends.)
#
# ## 2. A world where failing shows: eight modes on a ring
#
# Eight small Gaussians on a circle. Counting is easy here: a sample is *good* if it lies within three standard deviations of a mode, and a mode is *covered* if some good sample is
# nearest to it. Five runs side by side, as in notebook 1: `Crowd` holds R networks with a leading run axis.


# %%
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


def adam(net: nn.Module, rate: float) -> torch.optim.Optimizer:
    return torch.optim.Adam(net.parameters(), lr=rate, betas=(0.5, 0.999), fused=True)


ring = world("ring")
MODES, SIGMA, RUNS = ring.modes(), ring.spread, 5
HELD_OUT, TEST = ring.draw(500, generator=generator(1)).x, ring.draw(500, generator=generator(2)).x
LOOK = torch.randn(500, 2, generator=generator(3)).expand(RUNS, -1, -1)  # the same noise at every look
SATURATING, NON_SATURATING = (lambda s: -F.softplus(s)), (lambda s: F.softplus(-s))


class History:
    """What a run leaves: every `every` steps the fakes, and the means of the numbers that people watch."""

    def __init__(self) -> None:
        self.steps, self.fakes, self.watched = [], [], []

    def series(self, name: str) -> Tensor:
        """(looks, R): "d", "g": losses; "real", "fake": what D says of either side; "slope": gradient norm of G."""
        return torch.stack([w[["d", "g", "real", "fake", "slope"].index(name)] for w in self.watched])


def play(
    *, steps: int, rate_d: float, rate_g: float, k: int = 1, batch: int = 64, pays=NON_SATURATING, seed: int = 0, every: int = 50, aside: float = 0.0,
    label: str | None = None, forgot_detach: bool = False, plain: bool = False,
) -> History:  # fmt: skip
    """The game on the ring, `RUNS` times; `aside` moves all fakes away at the start, `plain` takes plain steps of G instead of Adam's."""
    G, D = Crowd(RUNS, 2, 48, 48, 2, seed=seed), Crowd(RUNS, 2, 48, 48, 1, seed=seed + 1)
    up, down = adam(D, rate_d), torch.optim.SGD(G.parameters(), lr=rate_g) if plain else adam(G, rate_g)
    g, history, since = generator(seed + 2), History(), []
    with torch.no_grad():
        G.biases[-1] += aside
    for step in range(steps) if label is None else track(range(steps), label):
        down.zero_grad()
        for _ in range(k):
            x = ring.draw(RUNS * batch, generator=g).x.view(RUNS, batch, 2)
            fake = G(torch.randn(RUNS, batch, 2, generator=g))
            on_real, on_fake = D(x), D(fake if forgot_detach else fake.detach())
            loss_d = (F.softplus(-on_real) + F.softplus(on_fake)).mean((1, 2))
            up.zero_grad()
            loss_d.sum().backward()
            up.step()
        loss_g = pays(D(G(torch.randn(RUNS, batch, 2, generator=g)))).mean((1, 2))
        loss_g.sum().backward()
        slope = torch.stack([p.grad.flatten(1).square().sum(1) for p in G.parameters()]).sum(0).sqrt()
        down.step()
        since.append(torch.stack([loss_d, loss_g, on_real.sigmoid().mean((1, 2)), on_fake.sigmoid().mean((1, 2)), slope]).detach())
        if (step + 1) % every == 0:
            with torch.no_grad():
                history.fakes.append(G(LOOK))
            history.watched.append(torch.stack(since).mean(0))
            history.steps.append(step + 1)
            since = []
    return history


def covered(fakes: Tensor) -> list[int]:
    """Modes of 8, for each run of (R, n, 2)."""
    return [mode_coverage(f, MODES, SIGMA).covered for f in fakes]


def good(fakes: Tensor) -> list[float]:
    return [mode_coverage(f, MODES, SIGMA).quality for f in fakes]


def scatter(ax, fakes: Tensor, title: str = "") -> None:
    ax.scatter(*HELD_OUT.T, s=5, color=REAL, alpha=0.35, linewidths=0)
    ax.scatter(*fakes.T, s=9, marker="x", linewidths=0.7, color=FAKE)
    ax.set(xlim=(-1.9, 1.9), ylim=(-1.9, 1.9), aspect="equal", xticks=[], yticks=[])
    ax.set_title(title, fontsize=9, fontweight="normal")


# %% [markdown]
# ## 3. How many steps for D?
#
# The theory wants D at its best before G moves, so a large $k$ is closer to theory. (A slide says that $k$ must not be too large "to prevent the overfit of G". It is D that
# overfits: on the batch, and on the difference between data and fakes.) The fakes start beside the ring. We compare $k=1$, 5 and 25 under both generator losses, and look at the gradient that G receives in its first 40 steps. (About 12 s.)

# %% tags=["covers:F-08"]
first = {}
for name, pays in {"saturating": SATURATING, "non-saturating": NON_SATURATING}.items():
    for k in (1, 5, 25):
        h = play(steps=40, rate_d=2e-3, rate_g=5e-4, k=k, pays=pays, every=10, aside=1.5, seed=10)
        first[name, k] = (h.series("slope").mean(0), h.series("fake")[-1])  # (R,) each
share = {k: first["saturating", k][0] / first["non-saturating", k][0] for k in (1, 5, 25)}
assert (share[1] > share[5]).all() and (share[5] > share[25]).all() and (share[1] > 0.2).all() and (share[25] < 0.1).all()
assert first["saturating", 25][0].mean() < first["saturating", 1][0].mean()
print("of the non-saturating gradient the saturating loss keeps more than 20 % at k = 1 and less than 10 % at k = 25, in all 5 runs")
print("its gradient is smaller with k = 25 than with k = 1, in the mean of the runs")

# %% tags=["nbval-ignore-output"]
print("loss             k   gradient norm of G, mean of 40 steps   D(G(z)) in the end")
for (name, k), (slope, opinion) in first.items():
    print(f"{name:15} {k:2}   {slope.mean():12.3f}  ({slope.min():.3f} to {slope.max():.3f})        {opinion.mean():.3f}")

# %% [markdown]
# Two things happen at once. A better D has steeper slopes, so every gradient grows with $k$ at first; $k=5$ beats $k=1$ under both losses. And a sure D saturates: at
# $k=25$ the saturating loss is left with a few per cent. The other loss keeps its gradient, at 25 times the work for D. "$k=1$, the least expensive option", with a faster D instead, is what most people use. Notebook 3 meets a critic for which more
# steps are always better.
#
# ## 4. Losses that say nothing
#
# Five seeds of a run with one learning rate for both. Every 50 steps we measure the distance of the fakes to 500 held-out points. (About 12 s.)
#
# The distance is a *kernel MMD*: mean similarity within each set, minus that between them. The kit's `mmd2` uses a cubic kernel on purpose-made features. On raw coordinates it would be a blunder, and a quiet one:


# %%
def mmd(a: Tensor, b: Tensor) -> float:
    """Unbiased squared MMD with Gaussian kernels of width 0.1, 0.3 and 1."""

    def similar(p: Tensor, q: Tensor) -> Tensor:
        return sum(torch.exp(-torch.cdist(p, q).square() / (2 * w * w)) for w in (0.1, 0.3, 1.0))

    def within(p: Tensor) -> Tensor:
        s = similar(p, p)
        return (s.sum() - s.trace()) / (len(p) * (len(p) - 1))

    return float(within(a) + within(b) - 2 * similar(a, b).mean())


keep = torch.arange(8) % 2 == 0
half_the_modes = ring.draw(4000, generator=generator(4))
half_the_modes = half_the_modes.x[keep[half_the_modes.labels[:, 0]]][:500]
fair = ring.draw(500, generator=generator(5)).x
cubic = [mmd2(HELD_OUT, s) for s in (fair, half_the_modes)]
gaussian = [mmd(HELD_OUT, s) for s in (fair, half_the_modes)]
assert abs(cubic[1]) < 0.02 and gaussian[1] > 20 * abs(gaussian[0]) and gaussian[1] > 0.1
print("four of eight modes missing: the cubic kernel cannot see it:", abs(cubic[1]) < 0.02, " the Gaussian one can:", gaussian[1] > 0.1)

# %% [markdown]
# A cubic kernel compares means, covariances and third moments, and a square has the same as an octagon. *A measure is as blind as its features.*

# %% tags=["covers:F-13"]
runs = play(steps=2500, rate_d=1e-3, rate_g=1e-3, seed=0, label="five seeds, one rate for both")
quality = torch.tensor([[mmd(f, HELD_OUT) for f in fakes] for fakes in runs.fakes])  # (looks, R), low is good
losses = {"loss of D": runs.series("d"), "loss of G": runs.series("g")}

fig, axes = figure(1, 3, width=10.4, height=2.7)
for ax, (label, values) in zip(axes, [*losses.items(), ("MMD to held-out data", quality)]):
    for r in range(RUNS):
        ax.plot(runs.steps, values[:, r], color=PALETTE[1 + r], linestyle=["-", "--", "-.", ":", (0, (5, 1, 1, 1))][r], linewidth=1.2, label=f"seed {r}")
    ax.set(xlabel="step", ylabel=label)
axes[2].set_yscale("symlog", linthresh=0.01)
axes[2].legend(fontsize=7)
show(fig, alt="Losses of D and G and the distance to held-out data over 2500 steps, five seeds each: the losses settle early and wobble, the distance goes on falling by an order of magnitude.")



def rank_correlation(a: Tensor, b: Tensor) -> float:
    """Spearman's: the correlation of the ranks."""
    return torch.corrcoef(torch.stack([v.argsort().argsort().float() for v in (a, b)]))[0, 1].item()


settled = slice(6, None)  # after 300 steps
table = {}
for label, values in losses.items():
    level = [rank_correlation(values[settled, r], quality[settled, r]) for r in range(RUNS)]
    change = [rank_correlation(values[settled, r].diff(), quality[settled, r].diff()) for r in range(RUNS)]
    table[label] = (torch.tensor(level), torch.tensor(change))
changes = torch.stack([change for _, change in table.values()])
assert (changes.abs().mean(1) < 0.5).all()
print("rank correlation between the change of a loss and the change of the quality, mean size over 5 seeds, below 0.5 for both losses:", True)

# %% tags=["nbval-ignore-output"]
print("Spearman correlation with the distance to held-out data, seeds 0 to 4")
for label, (level, change) in table.items():
    print(f"{label}: of the values", " ".join(f"{v:+.2f}" for v in level), "   of their changes", " ".join(f"{v:+.2f}" for v in change))

# %% [markdown]
# "Losses do not correlate with quality" would be too simple. Read the first columns with care: over a whole run the values *can* correlate strongly, because both drift with time, and the sign is not even the same for all seeds: better samples may come with a
# higher loss of G. Whether the *next* stretch of training improves the samples cannot be read off either loss. That is no wonder: each loss is measured against an opponent who also changes.
#
# ## 5. When to stop
#
# "Until desirable results are achieved?", asks a slide, with the question mark. A rule: measure the MMD to *held-out* data at every look, keep the best checkpoint. To judge the rule fairly, we compare on a third set, which
# took no part in the choice.

# %% tags=["covers:F-14"]
chosen = quality.argmin(0)
on_test = torch.tensor([[mmd(f, TEST) for f in fakes] for fakes in (runs.fakes[-1], [runs.fakes[c][r] for r, c in enumerate(chosen)])])
last, best = on_test
wins = int((best < last).sum())
noise = max(abs(mmd(ring.draw(500, generator=generator(30 + i)).x, TEST)) for i in range(10))
print("the chosen checkpoint beats the last step on the third set in at least 3 of 5 seeds:", wins >= 3)

# %% tags=["nbval-ignore-output"]
print("seed   chosen step   MMD on the third set: chosen   last")
for r in range(RUNS):
    print(f"{r:4}   {runs.steps[chosen[r]]:11}   {best[r]:28.4f}   {last[r]:.4f}")
print(f"{wins} of 5 better; for scale, fresh real data reach up to {noise:.4f}")

# %% [markdown]
# The rule costs a few milliseconds a look and never needs a loss. Its gain is small where a run still improves at its end, and large where it falls apart late. Two cautions: the minimum over many looks is optimistic, which is why the third set
# exists; and a kernel on raw coordinates works in the plane, not on pictures, where one measures in the features of a trained network.
#
# ## 6. Mode collapse
#
# Nothing in G's loss says "all of them". If G sends everything to the one place that D likes best, its loss is fine. D then learns that this place is fake, G moves on to the next, and the chase goes round. It is the cycle of section 1 in large. It needs a G that is
# quicker than D. (About 8 s.)

# %% tags=["covers:F-17"]
collapsed = play(steps=1200, rate_d=5e-4, rate_g=4e-3, seed=40, label="G eight times as fast as D")
mended = play(steps=1200, rate_d=4e-3, rate_g=5e-4, seed=40, label="D eight times as fast as G")


def spread_over_modes(fakes: Tensor) -> float:
    """Entropy of the histogram over the nearest modes, in nats; all eight alike: log 8 = 2.08."""
    share = torch.bincount(torch.cdist(fakes, MODES).argmin(1), minlength=8) / len(fakes)
    return -torch.xlogy(share, share).sum().item()


fast_g, fast_d = ([min(covered(f)[r] for f in h.fakes[-8:]) for r in range(RUNS)] for h in (collapsed, mended))
low, high = (torch.tensor([[spread_over_modes(f) for f in fakes] for fakes in h.fakes]) for h in (collapsed, mended))
assert all(a < 8 for a in fast_g)
assert low[-8:].mean() < high[-8:].mean() - 0.3
print("with a fast G fewer than 8 modes are covered at some look of the last 400 steps, in all 5 runs:", all(a < 8 for a in fast_g))
print("and its entropy over modes is lower by more than 0.3 nats:", bool(low[-8:].mean() < high[-8:].mean() - 0.3))

# %% tags=["nbval-ignore-output"]
print("fewest modes covered in the last 400 steps: fast G", fast_g, "  fast D", fast_d)
print(f"entropy over modes, mean of these looks: fast G {low[-8:].mean():.2f}, fast D {high[-8:].mean():.2f}, of data {spread_over_modes(TEST):.2f} (log 8 = {math.log(8):.2f})")

# %%
fig, axes = figure(2, 5, width=9.6, height=4.2)
for row, (h, name) in zip(axes, ((collapsed, "fast G"), (mended, "fast D"))):
    for ax, look in zip(row, (3, 7, 11, 15, 23)):
        scatter(ax, h.fakes[look][0], f"{name}, step {h.steps[look]}: {covered(h.fakes[look])[0]} modes")
show(fig, alt="Two runs at steps 200 to 1200. With a fast G the fakes sit in a clump that jumps from place to place; with a fast D they spread over all eight modes.")

# %% [markdown]
# Now look at what D says of both sides while this goes on:

# %% tags=["covers:F-13"]
far = torch.tensor([[mmd(f, HELD_OUT) for f in fakes] for fakes in collapsed.fakes[-8:]])
undecided = torch.stack([collapsed.series(side)[-8:] for side in ("real", "fake")])
assert ((undecided - 0.5).abs() < 0.05).all() and (far.mean(0) > 0.3).all()
print("collapsed runs, last 400 steps: D says 0.45 to 0.55 of data and of fakes at every look of all 5 runs, while the fakes are far off (mean MMD above 0.3):", True)

# %% [markdown]
# $D\approx\tfrac12$ is what the theory predicts for a *perfect* generator. It is also what a D says that cannot keep up. By itself it is no evidence of anything.
#
# **Playground.** Any look of either run, any seed. Watch where the clump goes next.


# %%
def watch(setting: str, seed: int, step: int):
    h = {"fast G": collapsed, "fast D": mended}[setting]
    look = min(step // 50, len(h.fakes)) - 1
    fakes = h.fakes[look][seed]
    fig, (left, middle, right) = figure(1, 3, width=9.0, height=2.9, gridspec_kw={"width_ratios": [1, 1, 1.1]})
    scatter(left, fakes, f"{covered(fakes[None])[0]} modes, {good(fakes[None])[0]:.0%} good")
    counts = torch.bincount(torch.cdist(fakes, MODES).argmin(1), minlength=8)
    middle.bar(range(1, 9), counts, color=FAKE)
    middle.axhline(len(fakes) / 8, color=REAL, linestyle="--")
    middle.set(xlabel="nearest mode", ylabel="fakes", ylim=(0, 500), title=f"entropy {spread_over_modes(fakes):.2f} of 2.08")
    lines(right, h.steps, {"loss of D": h.series("d")[:, seed], "loss of G": h.series("g")[:, seed]}, xlabel="step", ylabel="loss")
    right.axvline(h.steps[look], color="grey", linewidth=0.8)
    return fig


explore(
    watch,
    alt="Run {seed} with {setting} at step {step}: fakes over data, the histogram of nearest modes against the even share, and both losses.",
    static=[{"setting": "fast G", "seed": 1, "step": 600}, {"setting": "fast D", "seed": 1, "step": 1200}],
    setting=Choice(["fast G", "fast D"], "fast G", label="who is quicker"),
    seed=Slider(0, RUNS - 1, 1, 1, label="seed"),
    step=Slider(50, 1200, 50, 600, label="step"),
)

# %% [markdown]
# "Good samples, but very few of them", says a slide; ours is the worst case, one clump at a time, and seldom a good one. And the losses on the right are as calm as can be. The same lecture lists "good at capturing the modes" among the advantages. The ring says: it depends on who is quicker.
#
# ## 7. A gallery without names
#
# Four patients. Each was made by one deliberate fault. Look at the pictures, write down your diagnosis, then open the answer. (About 8 s.)

# %%
steps = 600
patients = {
    "A": play(steps=steps, rate_d=4e-3, rate_g=0.02, pays=SATURATING, plain=True, aside=4.0, seed=60),
    "B": play(steps=steps, rate_d=4e-3, rate_g=5e-4, forgot_detach=True, seed=60),
}
patients["C"] = collapsed


def chart(name: str, run: int = 0):
    h = patients[name]
    fig, axes = figure(1, 4, width=10.2, height=2.6, gridspec_kw={"width_ratios": [1, 1.2, 1.2, 1.2]})
    late = h.fakes[min(len(h.fakes), steps // 50) - 1][run]
    scatter(axes[0], late, f"patient {name}, step {steps}")
    reach = max(1.9, 1.1 * late.abs().max().item())
    axes[0].set(xlim=(-reach, reach), ylim=(-reach, reach))
    n = steps // 50
    lines(axes[1], h.steps[:n], {"data": h.series("real")[:n, run], "fakes": h.series("fake")[:n, run]}, xlabel="step", ylabel="D says real")
    axes[1].set_ylim(-0.05, 1.05)
    lines(axes[2], h.steps[:n], {"D": h.series("d")[:n, run], "G": h.series("g")[:n, run]}, xlabel="step", ylabel="loss")
    lines(axes[3], h.steps[:n], {"G": h.series("slope")[:n, run]}, xlabel="step", ylabel="gradient norm of G", legend=False)
    return fig


for name in patients:
    show(chart(name), alt=f"Patient {name}: fakes over data, what D says of data and of fakes, both losses, and the gradient norm of G.")


# %% [markdown]
# Patient D paints. Left, what its two untrained upsampling layers make of a smooth input; right, the strength of each horizontal frequency, mean over 40 random initialisations.


# %%
def upsampler(kernel: int, seed: int, *, resize: bool = False, even: bool = False) -> nn.Sequential:
    """(N, 4, 8, 8) -> (N, 1, 32, 32): two layers that double the size; `even`: all weights alike, 1, and no bias."""
    with seeded(seed):
        layers: list[nn.Module] = []
        for width in (8, 1):
            if resize:
                layers += [nn.Upsample(scale_factor=2), nn.Conv2d(4 if width == 8 else 8, width, 3, padding=1)]
            else:
                layers.append(nn.ConvTranspose2d(4 if width == 8 else 8, width, kernel, stride=2, padding=1, output_padding=kernel % 2))
            layers.append(nn.LeakyReLU(0.2) if width == 8 else nn.Identity())
        net = nn.Sequential(*layers)
    if even:
        for name, p in net.named_parameters():
            nn.init.constant_(p, float("weight" in name))
    return net


at = torch.linspace(-1, 1, 8)
smooth_input = torch.exp(-(at[:, None] ** 2 + at[None] ** 2)).expand(1, 4, 8, 8)


@torch.no_grad()
def examined(kernel: int, **how: bool) -> tuple[Tensor, Tensor]:
    """One picture (32, 32), and the mean power of each horizontal frequency over 40 initialisations, of the middle 24 pixels."""
    outputs = torch.cat([upsampler(kernel, seed, **how)(smooth_input) for seed in range(40)])[:, 0]
    middle = outputs[:, 4:28, 4:28]
    middle = middle - middle.mean((1, 2), keepdim=True)
    power = torch.fft.rfft(middle, dim=2).abs().square().mean(1)
    return outputs[3], (power / power.sum(1, keepdim=True)).mean(0)


sick, spectrum = examined(3)
fig, (left, right) = figure(1, 2, width=7.0, height=2.8, gridspec_kw={"width_ratios": [1, 1.6]})
picture(left, (2 * (sick - sick.min()) / (sick.max() - sick.min()) - 1)[None], "patient D")
right.bar(torch.arange(13) / 24, spectrum, width=0.03, color=FAKE)
right.set(xlabel="cycles per pixel", ylabel="share of the power")
show(fig, alt="Patient D: a regular grid of dark and light pixels, strongest in the middle, and a spectrum with spikes at 0, one quarter and one half cycles per pixel.")

# %% [markdown]
# <details><summary>Patient A</summary><b>D wins.</b> D is sure of both sides within a few steps, its loss is near 0, and under the saturating loss G's gradient is near 0, too. The fakes
# stay where they began, far from the data. (G takes plain steps here; Adam would blow the tiny gradient up, as in notebook 1.) To do: the non-saturating loss, noise on D's inputs, a loss whose slope does not vanish (notebook 3).</details><br>
#
# <details><summary>Patient B</summary><b>A missing detach.</b> D's backward pass leaves a gradient in G, "make yourself easier to recognise", and the step of G adds it to its own. With a logit $s$ on a
# fake the two add up to a slope of $2\sigma(s)-1$ instead of $\sigma(s)-1$: weaker everywhere, and zero where D says one half. G is content to puzzle D instead of convincing it, covers a part of the data, and D
# slowly gains. Nothing in the picture proves it, which is why the freeze test of notebook 1 comes first. To do: detach, or clear G's gradients right before its own backward.</details><br>
#
# <details><summary>Patient C</summary><b>Mode collapse.</b> One clump that hops. Losses rest at $\log4$ and $\log2$, and D says one half: by the numbers, the equilibrium of notebook 1. To do: look at samples; count modes
# or entropy; slow G down; let D see whole batches (notebook 3).</details><br>
#
# <details><summary>Patient D</summary><b>Checkerboard.</b> Transposed convolutions with kernel 3 and stride 2: neighbouring output pixels collect different numbers of kernel entries, so a grid is there
# before any training. To do: a kernel that the stride divides (4 and 2), or resize and convolve (Odena et al. 2016). The first is only half a cure: it makes the *numbers* of entries equal, and their random values still differ from
# pixel to pixel, as the check below shows. Training then has to even them out.</details>
#
# The diagnoses as numbers:

# %%
sure = patients["A"]
assert (sure.series("real")[-4:] > 0.95).all() and (sure.series("fake")[-4:] < 0.05).all()
assert (patients["A"].fakes[-1].mean((1, 2)) > 3).all()
healthy = mended.fakes[steps // 50 - 1]
with_bug = patients["B"].fakes[-1]
narrower = [spread_over_modes(a) < spread_over_modes(b) for a, b in zip(with_bug, healthy)]
grids = {"kernel 3, even weights": examined(3, even=True)[1], "kernel 4, even weights": examined(4, even=True)[1],
         "kernel 3, random": spectrum, "kernel 4, random": examined(4)[1], "resize, random": examined(3, resize=True)[1]}  # fmt: skip
finest = {label: s[12].item() for label, s in grids.items()}
assert finest["kernel 3, even weights"] > 0.05 and finest["kernel 4, even weights"] < 0.01
assert finest["kernel 4, random"] > 0.1 and finest["resize, random"] < 0.03
print("A: D says more than 0.95 and less than 0.05, and the fakes have not come nearer than 3:", True)
assert all(narrower) and all(m < 8 for m in covered(with_bug))
print("B: fewer than 8 modes, and a lower entropy than runs with detach, in all 5 runs:", True)
print("C: fewest modes covered in 400 steps below 8 in all runs:", all(a < 8 for a in fast_g))
print("D: with even weights kernel 3 makes a grid and kernel 4 none; with random weights both do, and only resizing does not:", True)

# %% tags=["nbval-ignore-output"]
print("share of the power at the finest frequency:", {label: round(v, 3) for label, v in finest.items()})
for label, fakes in (("B", with_bug), ("runs with detach", healthy)):
    print(f"{label}: modes covered {covered(fakes)}, entropy {[round(spread_over_modes(f), 2) for f in fakes]}, good samples {[round(v, 2) for v in good(fakes)]}")

# %% [markdown]
# ## 8. How to know whether your GAN works
#
# | Look at | What it means | What to do |
# |---|---|---|
# | fakes on *fixed* noise, every few hundred steps | the only curve that cannot lie to you; all alike or jumping: collapse | count: modes, entropy over an oracle's classes, diversity |
# | D on data and on fakes | near 1 and 0, and staying: D has won | non-saturating loss, slower D, noise or a penalty on D (notebook 3) |
# | both near one half | perfect fakes, or a useless D | freeze G, train D alone: can it tell? |
# | gradient norm of G | near 0 early: saturation. Growing without bound: divergence | check the loss; lower the rates |
# | losses | nearly nothing about quality (section 4); infinite or exactly constant: a bug | detach, `zero_grad`, label convention |
# | distance to *held-out* data, in good features | whether to go on, and which checkpoint to keep | stop by it, judge on a third set |
# | nearest *training* neighbours of the fakes | copies | more data, less D (notebook 1, section 9) |
# | spectrum of the pictures | a spike at the finest frequency: checkerboard | resize and convolve; or a kernel that the stride divides, and training |
# | the freeze test | a step that moves the other player, or leaves gradients there | before the first long run, once |
#
# ## Quiz
#
# **1.** In the $xy$ game you halve the step size. Does the simultaneous rule converge?
# <details><summary>Answer</summary>No. The radius still grows, by $\sqrt{1+\eta^2/4}$ a step. It takes about four times as many steps to double.</details><br>
#
# **2.** Why do alternating steps stay bounded?
# <details><summary>Answer</summary>One pair of steps is a linear map with determinant 1 and complex eigenvalues of modulus 1 (for $\eta<2$): it turns along an ellipse. Simultaneous steps have determinant $1+\eta^2$.</details><br>
#
# **3.** Your MMD on held-out data is 0.001, as between two real sets, and still one class of ten is missing. How can that be?
# <details><summary>Answer</summary>The kernel does not see the difference: too wide, or a polynomial of low degree, or features that ignore the class. Count the classes.</details><br>
#
# **4.** All 500 fakes lie within $3\sigma$ of a mode. A good GAN?
# <details><summary>Answer</summary>Quality 1 says nothing about coverage: they may all be one point. Report both numbers.</details><br>
#
# **5.** Someone picks the best of 50 checkpoints by MMD on held-out data, and reports that MMD. What is wrong?
# <details><summary>Answer</summary>The minimum of 50 noisy numbers is too low. Measure the chosen checkpoint on data that took no part.</details><br>
#
# **6.** Patient C's losses are flat at 1.39 and 0.69, and D says one half. What do you conclude from that alone?
# <details><summary>Answer</summary>That D cannot tell the two apart *at present*. Perfect fakes and a D that cannot keep up both look so. Freeze G, train D: if its loss falls, it was the second.</details>
#
# ## Exercises
#
# In the assignment of this unit. **Next:** notebook 3, what mends them.
#
# ## References
#
# - Goodfellow, *NIPS 2016 tutorial: generative adversarial networks*, arXiv 1701.00160.
# - Korpelevich, *The extragradient method for finding saddle points and other problems*, 1976; Gidel et al., *A variational inequality perspective on GANs*, ICLR 2019.
# - Mescheder, Geiger, Nowozin, *Which training methods for GANs do actually converge?*, ICML 2018.
# - Gretton et al., *A kernel two-sample test*, JMLR 2012.
# - Srivastava et al., *VEEGAN: reducing mode collapse in GANs using implicit variational learning*, NeurIPS 2017.
# - Odena, Dumoulin, Olah, *Deconvolution and checkerboard artifacts*, Distill 2016.
# - Lecture slides: Rice, *Deep learning for vision and language: GANs*; Shi, *A brief review on GANs*; Spanakis & Driessens (Maastricht), *Deep learning for agents, Part 2*.
