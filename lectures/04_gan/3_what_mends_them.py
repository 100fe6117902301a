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
# # 4.3 What mends them
#
# The last notebook broke GANs. This one mends them, with every remedy that the lectures of 2017 to 2020 name, and with one that came later. Each
# has a story about *why* it should help. Stories are cheap, so each is also measured: on worlds whose modes are known, from several
# seeds, with everything else held equal.
#
# After this notebook you can
#
# - say why the Jensen-Shannon divergence gives no direction between distributions that do not meet, and what the Wasserstein distance does there;
# - keep a critic Lipschitz in four ways (clipping, two penalties, spectral normalisation) and check that it worked;
# - spot the sign trap in a printed least-squares value function;
# - read the balance of a BEGAN and the margin of an EBGAN;
# - compare remedies fairly, and know whether *your* GAN works.
#
# **Reading time** 45 minutes. **Running time** about 2 minutes on two cores.
#
# | symbol | meaning | shape |
# |---|---|---|
# | $x$, $z$ | data (here points of the plane), noise | (N, 2), (N, Z) |
# | $G$, $D$ | generator; discriminator, called *critic* where its score is no logit | |
# | $p$, $q$ | densities of the data and of the fakes | |
# | $\hat x$ | a point between a real and a fake one | (N, 2) |
# | $c$, $\lambda$, $\gamma$ | bound of clipping; weight of a penalty; of R1, and the ratio of a BEGAN | |
# | $k_t$ | the balance of a BEGAN at step t | |
#
# **Recipe card**
#
# | Inputs / outputs | Architecture | Loss |
# |---|---|---|
# | noise / points | two perceptrons; the judge may be an autoencoder, see the batch, or know classes | one of eight games, with or without a penalty |

# %%
import json
import math
from dataclasses import replace
from functools import cache

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

from coursekit import losses, shipped
from coursekit.datasets.worlds import world
from coursekit.models.points import PointCritic, mean_distance
from coursekit.plots import PALETTE, SEQUENTIAL, figure, lines, show, use_style
from coursekit.runtime import generator, seeded
from coursekit.training.gan import update_discriminator
from coursekit.training.penalties import between, clip, r1, slopes, two_sided
from coursekit.training.progress import track
from coursekit.training.remedies import BEST, REMEDIES, Attempt
from coursekit.widgets import Choice, Slider, explore

use_style()
torch.set_num_threads(1)  # these networks are small: a second thread would mostly wait
RING, GRID = world("ring"), world("grid")
RESULTS = json.loads((shipped.folder() / "results" / "modes.json").read_text())  # written by benchmarks/modes.py
TABLE = {(row["remedy"], row["world"]): row for row in RESULTS["rows"]}


def mean(values) -> float:
    return sum(values) / len(values)


# %% [markdown]
# ## 1. The patient
#
# Eight Gaussians on a ring. The recipe `plain` is the GAN as first written down, the minimax loss, in careless hands: small networks, a generator that moves four times as fast as
# its judge, the last weights. How do we know that it fails? By *two* numbers: the modes that receive at least one sample within 3 sigma, and the share of all samples
# that are that close to a mode (Srivastava et al. 2017). One perfect point has quality 1; noise everywhere covers every mode.
#
# About 10 seconds.


# %% tags=["covers:F-17"]
def trained(recipe, place=RING, *, seed=0, steps=800, label=None) -> Attempt:
    attempt = Attempt(recipe, place, seed=seed, steps=steps)
    for _ in track(attempt.train(), label or f"{recipe}, seed {seed}", total=steps):
        pass
    return attempt


def entropy(counts: Tensor) -> float:
    """Of the samples over the modes, in bits; log2 K if all modes get as many."""
    share = counts[counts > 0] / counts.sum().clamp_min(1)
    return float(-(share * share.log2()).sum())


patients = [trained("plain", seed=s, label=f"plain, seed {s}") for s in range(3)]
seen = [patient.judge() for patient in patients]
assert all(modes.covered < 8 for modes in seen)
assert all(entropy(modes.counts) < 3 for modes in seen)
print("modes covered by the plain GAN fewer than 8 of 8 with each of 3 seeds:", all(m.covered < 8 for m in seen))


# %%
def cloud(ax, x: Tensor, place, title: str = "") -> None:
    """Samples as dots, the modes as crosses."""
    ax.scatter(*x.T, s=2, alpha=0.4, color=PALETTE[1], linewidths=0)
    ax.plot(*place.modes().T, "+", color=PALETTE[0], markersize=5, markeredgewidth=0.8)
    ax.set(xlim=(-1.6, 1.6), ylim=(-1.6, 1.6), aspect="equal", xticks=(-1, 0, 1), yticks=(-1, 0, 1))
    ax.set_title(title, fontsize=9)


fig, axes = figure(1, 4, width=8.0, height=2.3)
cloud(axes[0], RING.draw(1000, generator=generator(0)).x, RING, "data")
for ax, patient, modes in zip(axes[1:], patients, seen):
    cloud(ax, patient.sample(1000), RING, f"plain, seed {patient.gan.seed}\n{modes.covered} modes, quality {modes.quality:.2f}")
show(fig, alt="Four panels: the data, eight dots on a ring, and the samples of three plain GANs, which miss most of them.")

# %% [markdown]
# All noise ends in one blob. It has been chased off a mode and is on its way to another: $D$ learns that this place is fake, $G$ moves everything elsewhere, and the round begins again.
#
# ## 2. Why: a divergence that sees no distance
#
# Against the best discriminator the minimax game descends the Jensen-Shannon divergence (notebook 1). Take the simplest failure: all data at one point, all fakes
# at another, $d$ apart. For every point one of the two densities is 0, so $\mathrm{JS}=\log 2$, *whatever d is*. Moving closer changes nothing
# until the moment of contact. The Wasserstein distance asks another question, how far the mass must be carried, and answers $d$:
#
# $$W_1(p,q)=\inf_{\pi}\;\mathbb E_{(x,y)\sim\pi}\lVert x-y\rVert=\sup_{\lVert f\rVert_L\le 1}\mathbb E_p f-\mathbb E_q f$$
#
# The slides that introduce the Wasserstein GAN give no equation for it. The right-hand side (Kantorovich and Rubinstein) is the one to train with: $f$ is the critic,
# and the bound on its slope is the whole difficulty.


# %% tags=["covers:F-20"]
def jensen_shannon(p: Tensor, q: Tensor) -> float:
    m = (p + q) / 2
    return float((torch.xlogy(p, p / m).nan_to_num() + torch.xlogy(q, q / m).nan_to_num()).sum() / 2)


def wasserstein(p: Tensor, q: Tensor, dx: float) -> float:
    """On a line: the area between the distribution functions."""
    return float((p.cumsum(0) - q.cumsum(0)).abs().sum() * dx)


line = torch.arange(-300, 301, dtype=torch.float64)


def mass(at: int, blur: float = 0.0) -> Tensor:
    p = (line == at).double() if not blur else torch.exp(-0.5 * ((line - at) / blur).square())
    return p / p.sum()


DX = 0.01
far = list(range(-200, 201, 5))
js = [jensen_shannon(mass(0), mass(d)) for d in far]
w1 = [wasserstein(mass(0), mass(d), DX) for d in far]
assert all(abs(value - (math.log(2) if d else 0)) < 1e-12 for d, value in zip(far, js))
assert all(abs(value - abs(d) * DX) < 1e-12 for d, value in zip(far, w1))
print("two point masses: JS = log 2 at every distance but 0, W1 = the distance:", True)

# %%
fig, (left, right) = figure(1, 2, width=7.4, height=2.6)
places = [d * DX for d in far]
lines(left, places, {"point masses": js, "blurred, sigma 0.2": [jensen_shannon(mass(0, 20), mass(d, 20)) for d in far]}, xlabel="place of the fakes (data at 0)", ylabel="JS (nats)", title="Jensen-Shannon", legend=False)
left.set_ylim(-0.02, 0.95)
left.legend(loc="upper center", ncols=2, fontsize=8)
lines(right, places, {"point masses": w1, "blurred, sigma 0.2": [wasserstein(mass(0, 20), mass(d, 20), DX) for d in far]}, xlabel="place of the fakes (data at 0)", ylabel="W1", title="Wasserstein", legend=False)
show(fig, alt="Left: the JS divergence of two point masses is log 2 everywhere but at distance 0, and of blurred masses flat beyond three sigma. Right: the Wasserstein distance grows evenly with the distance.")

# %% [markdown]
# What reaches the generator is a slope. So train a judge on two small clouds, fakes on the left, data on the right, 2 apart, and look at the
# gradient that it offers to a fake: of $\log(1-D)$ for a discriminator, of the score for a critic. (About 10 seconds.)


# %% tags=["covers:F-20"]
def blob(at: float, n: int, seed: int) -> Tensor:
    return torch.tensor([at, 0.0]) + 0.05 * torch.randn(n, 2, generator=generator(seed))


def judge_clouds(game, distance=2.0, *, steps=250, penalty=None, project=None, rate=5e-3, seed=0):
    """A judge of fakes at 0 and data at `distance`: the network, the gradient's length at fakes and the loss, step by step."""
    with seeded(seed):
        D = PointCritic(width=32, depth=2)
        optimizer = torch.optim.Adam(D.parameters(), lr=rate, betas=(0.5, 0.9))
        slope, loss = [], []
        for k in range(steps):
            real, fake = blob(distance, 64, 2 * k), blob(0.0, 64, 2 * k + 1)
            turn = update_discriminator(D, nn.Identity(), real, fake, game=game, optimizer=optimizer, fake=fake, penalty=penalty, project=project)
            x = fake.requires_grad_()
            [gradient] = torch.autograd.grad(game.g(D(x)) * len(x), x)
            slope.append(gradient.norm(dim=1).mean().item())
            loss.append(turn.loss.item())
    return D, slope, loss


_, minimax_slope, _ = judge_clouds(losses.MINIMAX)
critic, critic_slope, _ = judge_clouds(losses.WASSERSTEIN, penalty=two_sided(10.0))
fig, ax = figure(width=5.6, height=2.6)
lines(ax, range(len(critic_slope)), {"log(1 - D), a discriminator": minimax_slope, "score of a critic with gradient penalty": critic_slope}, xlabel="steps of the judge", ylabel="gradient at the fakes")
ax.set_yscale("log")
show(fig, alt="The better the discriminator gets, the smaller the gradient it offers, by orders of magnitude; the critic's stays near 1.")
assert minimax_slope[-1] < 0.02 < 0.5 < critic_slope[-1] < 2
print("after 250 steps: discriminator's gradient below 0.02, critic's between 0.5 and 2:", True)

# %% [markdown]
# A better discriminator is a *worse* teacher; a better critic is a better one. That reverses the advice not to train $D$ too well.
#
# ## 3. Wasserstein GAN: clip the weights
#
# How to bound a network's slope? The first answer (Arjovsky et al. 2017): after every step, push each weight back into $[-c,c]$. The critic descends
# $\mathbb E D(G(z))-\mathbb E D(x)$, the generator $-\mathbb E D(G(z))$. Then minus the critic's loss estimates $K\,W_1$ with some unknown slope $K$. For
# the first time there is a loss that *means* something: it should fall when the samples get closer.


# %% tags=["covers:F-20"]
apart = [0.25, 0.5, 0.75, 1.0, 1.5, 2.0]
says = {}
for label, options in {"clipped": {"project": clip(0.1)}, "gradient penalty": {"penalty": two_sided(10.0)}}.items():
    says[label] = [-mean(judge_clouds(losses.WASSERSTEIN, d, steps=150, **options)[2][-20:]) for d in track(apart, f"critics, {label}")]
for label, values in says.items():
    rank = spearmanr(apart, values).statistic
    assert rank > 0.8
    print(f"{label}: rank correlation of distance and minus the critic's loss above 0.8: {rank > 0.8}")

# %%
clipped, _, _ = judge_clouds(losses.WASSERSTEIN, project=clip(0.1), steps=400)
weights = {"clipped": clipped, "gradient penalty": critic}
weights = {label: torch.cat([p.detach().flatten() for name, p in net.named_parameters() if "weight" in name]) for label, net in weights.items()}
at_bound = {label: (w.abs() > 0.099).float().mean().item() if label == "clipped" else (w.abs() > 0.99 * w.abs().max()).float().mean().item() for label, w in weights.items()}
fig, axes = figure(1, 3, width=8.4, height=2.4)
lines(axes[0], apart, says, xlabel="true distance", ylabel="minus the critic's loss")
axes[0].legend(fontsize=7)
for ax, (label, w) in zip(axes[1:], weights.items()):
    ax.hist(w.numpy(), bins=41, color=PALETTE[1])
    ax.set(xlabel="weight", ylabel="count", title=f"{label}\n{at_bound[label]:.0%} at the edge")
show(fig, alt="Minus the critic's loss grows with the distance, for both critics. Histograms of the weights: clipped ones pile up at plus and minus 0.1, penalised ones form a bell.")

# %% [markdown]
# The clipped critic's slope is whatever the clipping happens to allow: change $c$ and the loss changes its scale. And most weights end at $\pm c$, so that the critic becomes a very
# simple function (Gulrajani et al. 2017, figure 1).
#
# ## 4. WGAN-GP: ask for the slope itself
#
# $$L_D=\mathbb E\,D(G(z))-\mathbb E\,D(x)+\lambda\,\mathbb E\big(\lVert\nabla_{\hat x}D(\hat x)\rVert_2-1\big)^2,\qquad\hat x=a\,x+(1-a)\,G(z),\quad a\sim U[0,1]$$
#
# Three things go wrong in practice: one $a$ for the whole batch, a gradient that is taken without `create_graph` (the penalty then trains nothing), and batch norm in $D$ (the
# gradient of one score is then spread over the batch).

# %% tags=["covers:F-21"]
with seeded(5):
    x = between(blob(2.0, 400, 7000), blob(0.0, 400, 7001))
steep = slopes(critic, x).detach()
expected = 1 + 2.0 / (2 * 10.0)  # see below
print(f"gradient length at 400 interpolates, gradient penalty: within 0.15 of {expected:.1f}: {bool(((steep - expected).abs() < 0.15).all())}")
print(f"share of clipped weights at the bound above one half: {at_bound['clipped'] > 0.5}; of penalised weights near their largest below 5 %: {at_bound['gradient penalty'] < 0.05}")
assert ((steep - expected).abs() < 0.15).all()
assert at_bound["clipped"] > 0.5 and at_bound["gradient penalty"] < 0.05

# %% [markdown]
# About 1, and a little above. That is no sloppiness of the optimiser: a critic of slope $s$ between clouds $d$ apart descends $-sd+\lambda(s-1)^2$, whose minimum is at
# $s=1+d/2\lambda$, here 1.1. A finite $\lambda$ is a soft wall, and the critic leans on it the harder, the further the fakes are away.
#
# ## 5. Smooth where the data are: R1
#
# On disjoint clouds the two-sided penalty wants slope 1 everywhere between them, even when $G$ has arrived. Then there should be *no* slope left. R1 (Mescheder et al. 2018) punishes the
# gradient on real data alone, $\tfrac{\gamma}{2}\mathbb E\lVert\nabla D(x)\rVert^2$, with the ordinary non-saturating loss, and the game provably settles near its
# equilibrium. It came after the lectures, and is the remedy that many later networks kept (StyleGAN among them).

# %% tags=["nbval-ignore-output"]
with seeded(0):
    D = PointCritic(width=32, depth=2)
real, fake = blob(1.0, 64, 1), blob(0.0, 64, 2)
for label, term in {"two-sided": two_sided(1.0), "R1": r1(1.0)}.items():
    with seeded(0):
        value = term(D, real, fake)
    print(f"{label:9} of a fresh network, whose slope at the data is {slopes(D, real).mean():.2f}: {value:.3f}")

# %% [markdown]
# ## 6. Spectral normalisation: divide the weights
#
# A linear layer stretches no vector by more than its largest singular value $\sigma(W)$; leaky ReLU stretches none. So a network whose layers all use $W/\sigma(W)$ has slope at most 1
# everywhere, not only at the points that a penalty looks at (Miyato et al. 2018). One step of power iteration per update keeps up with $\sigma$. The recipe multiplies
# the score by 20: between modes only half a unit apart a slope of 1 could not tell data from fakes. It comes with the *hinge* loss, which stops pushing once a score is beyond $\pm1$.

# %%
with seeded(3):
    bounded = PointCritic(spectral=True)
    for _ in range(30):
        bounded(real)
bounded.eval()
sizes = [torch.linalg.matrix_norm(layer.weight, 2).item() for layer in bounded.layers if isinstance(layer, nn.Linear)]
assert all(abs(size - 1) < 0.02 for size in sizes)
anywhere = 6 * torch.rand(2000, 2, generator=generator(9)) - 3
assert slopes(bounded, anywhere).max() <= 1.01
scores = torch.linspace(-2.5, 2.5, 101)
fig, ax = figure(width=5.2, height=2.5)
lines(ax, scores, {
    "non-saturating: softplus(-s)": torch.nn.functional.softplus(-scores), "hinge: max(0, 1 - s)": torch.relu(1 - scores),
    "least squares: (s - 1)²/2": (scores - 1).square() / 2, "Wasserstein: -s": -scores,
}, xlabel="score s of a real example", ylabel="D's loss")  # fmt: skip
show(fig, alt="Four losses of D against the score of a real example: softplus and hinge fall and level out, least squares rises again beyond 1, Wasserstein falls without end.")
print("singular values 1 in every layer, slope at 2,000 points at most 1:", True)

# %% [markdown]
# ## 7. Least squares, and a sign trap
#
# LSGAN (Mao et al. 2017) puts squares for logarithms: $D$ descends $\tfrac12\mathbb E(D(x)-1)^2+\tfrac12\mathbb E D(G(z))^2$, and $G$ descends $\tfrac12\mathbb E(D(G(z))-1)^2$. At
# $D(G(z))=0$, where the minimax loss has lost its slope, this one's derivative is $-1$.
#
# A slide that uses it prints *one* value, $V=\mathbb E(D(x)-1)^2+\mathbb E D(G(z))^2$, for both players. As printed it is $D$'s loss. Let $G$ minimise it, and it learns to be *rejected*.
# To see that without the rest of the game, hold $D$ still and let free points slide down each loss.

# %% tags=["covers:F-22"]
judge, _, _ = judge_clouds(losses.LEAST_SQUARES, 1.0)
ends = {}
for label, loss in {"its own loss, (D(G) - 1)²/2": losses.least_squares_g, "the printed V, D(G)²": lambda s: s.square().mean()}.items():
    free = (torch.tensor([0.5, 0.0]) + 0.1 * torch.randn(64, 2, generator=generator(4))).requires_grad_()
    descent, path = torch.optim.Adam([free], lr=0.01), []
    for _ in range(200):
        score = judge(free)
        descent.zero_grad()
        loss(score).backward()
        descent.step()
        path.append(score.mean().item())
    ends[label] = path
fig, ax = figure(width=5.6, height=2.5)
lines(ax, range(200), ends, xlabel="steps of the free points", ylabel="D(G), mean")
show(fig, alt="Descending LSGAN's loss for G takes D's score of the free points to 1, descending the printed value takes it to 0.")
own, printed = (path[-1] for path in ends.values())
assert abs(own - 1) < 0.1 and abs(printed) < 0.1
score = torch.zeros(1, requires_grad=True)
losses.least_squares_g(score).backward()
assert score.grad.item() == -1
print(f"LSGAN's loss takes D(G) to {own:.1f}, the printed V to {abs(printed):.1f}; slope at D(G) = 0: {score.grad.item():.0f}")

# %% [markdown]
# ## 8. Let D see the whole batch
#
# A discriminator that judges one example at a time cannot know that all of them are alike. Salimans et al. (2016) let it see the batch. The slides describe it as the
# L2 norm of the difference between all pairs; the simplest such statistic is each example's mean distance to the others, handed to $D$ as one more input.

# %% tags=["covers:F-18"]
alike, varied = torch.full((6, 2), 0.3), torch.randn(6, 2, generator=generator(1))
order = torch.tensor([4, 2, 0, 5, 1, 3])
assert torch.equal(mean_distance(alike), torch.zeros(6, 1))
assert torch.allclose(mean_distance(varied[order]), mean_distance(varied)[order])
data = mean_distance(RING.draw(128, generator=generator(2)).x).mean().item()
collapsed = mean_distance(patients[0].sample(128)).mean().item()
print(f"mean distance in a batch: of equal points 0; of the ring {data:.1f}")
seeing = replace(REMEDIES["plain"], statistic=True)
# Over six seeds of a trial the plain recipe covered 0 or 1 modes after 900 steps, with the statistic all 8.
helped = [trained(seeing, seed=s, label=f"plain and the statistic, seed {s}").judge() for s in range(3)]

# %% tags=["nbval-ignore-output"]
print(f"mean distance in a batch of the plain GAN: {collapsed:.2f}")
print("modes covered, seeds 0 to 2: plain", [m.covered for m in seen], "  with the statistic", [m.covered for m in helped])
assert all(with_it.covered > without.covered for with_it, without in zip(helped, seen))

# %% [markdown]
# ## 9. Labels
#
# If the data have labels, let $D$ name them: $K$ classes, and one more for "fake". $D$ must then learn what tells the modes apart, and a generator that
# covers few of them meets a judge that knows the others. The generator itself sees no label. Softmax over $K+1$ logits holds the ordinary game: the logit of "real" is
# $\log\sum_{k\le K}e^{l_k}-l_{K+1}$.

# %% tags=["covers:F-19"]
for place in ("ring", "grid"):
    with_labels, without = TABLE["labels", place], TABLE["tuned", place]
    print(
        f"{place}: quality with labels {mean(with_labels['quality']):.2f}, without {mean(without['quality']):.2f}; "
        f"modes {mean(with_labels['covered']):.1f} and {mean(without['covered']):.1f}"
    )

# %% [markdown]
# ## 10. Judges that reconstruct: EBGAN and BEGAN
#
# Let $D$ be an autoencoder, and its opinion the error $E(x)=\lVert x-\mathrm{Dec}(\mathrm{Enc}(x))\rVert$. EBGAN (Zhao et al. 2017) teaches it low energy on data and at least a
# margin $m$ on fakes, $E(x)+\max(0,m-E(G(z)))$. BEGAN (Berthelot et al. 2017; one slide spells him "Bertholet") replaces the margin by a controller:
#
# $$L_D=\mathbb E\,E(x)-k_t\,\mathbb E\,E(G(z))\qquad k_{t+1}=\big[k_t+\lambda_k\,(\gamma\,E(x)-E(G(z)))\big]_0^1$$
#
# If fakes are too easily told, $E(G(z))>\gamma E(x)$, and $k$ falls: $D$ spends its effort on data. The bracket should tend to 0. (About 10 seconds.)

# %% tags=["covers:F-23"]
began = Attempt("began", RING, seed=0, steps=1200)
trace = [(r.d_real, r.g_loss, began.balance.k) for r in track(began.train(), "BEGAN", total=1200)]
on_real, on_fake, k = (np.array(column) for column in zip(*trace))
bracket = began.balance.gamma * on_real - on_fake
smooth = np.convolve(bracket, np.ones(50) / 50, mode="valid")
fig, (left, right) = figure(1, 2, width=7.6, height=2.5)
lines(left, range(len(smooth)), {"gamma E(x) - E(G(z)), mean of 50 steps": smooth}, xlabel="step", ylabel="bracket", legend=False, title="gamma E(x) - E(G(z))")
lines(right, range(len(k)), {"k": k}, xlabel="step", ylabel="k", legend=False, title="balance k")
show(fig, alt="Left: the difference between gamma times the energy of data and that of fakes starts large and tends to 0. Right: the balance k over training.")
late = abs(bracket[-300:].mean())
assert late < 0.1 * abs(bracket[:20]).max()
print(f"the bracket's mean over the last 300 steps is below a tenth of its largest value at the start: {late < 0.1 * abs(bracket[:20]).max()}")

# %% [markdown]
# ## 11. The checklist of tricks
#
# A slide links "ganhacks", a list of tricks by practitioners. Four of them are switches in our trainer; the others (momentum, losses, labels) are above.
#
# | trick | switch | what it guards against |
# |---|---|---|
# | scale inputs to [-1, 1] | `scale` (`unscaled`: ten times too large) | a first layer that must first learn the scale |
# | soft label 0.9 for real data, one-sided | `smoothed_game(0.9)` | a $D$ that is too sure: its best answer is 0.9, never 1 |
# | real and fake in separate batches, if $D$ has batch norm | `mixed` | statistics that mix the two |
# | noise on $D$'s input, fading | `noise` | supports that do not meet (section 2) |
#
# About 10 seconds.

# %% tags=["covers:F-24"]
confident = {}
for label, game in {"label 1": losses.NON_SATURATING, "label 0.9": losses.smoothed_game(0.9)}.items():
    D, _, _ = judge_clouds(game)
    confident[label] = torch.sigmoid(D(blob(2.0, 200, 9000))).mean().item()
assert confident["label 1"] > 0.97 and abs(confident["label 0.9"] - 0.9) < 0.03

print(f"D(x) on well-separated data: {confident['label 1']:.1f} with label 1, {confident['label 0.9']:.1f} with label 0.9")

# %% tags=["covers:F-24", "nbval-ignore-output"]
for name in ("tuned", "unscaled", "smoothing", "noise", "separate", "mixed"):
    cells = [f"{mean(TABLE[name, place]['covered']):5.1f} modes, quality {mean(TABLE[name, place]['quality']):.2f}" for place in ("ring", "grid")]
    print(f"{name:10} ring {cells[0]}   grid {cells[1]}   {REMEDIES[name].says}")

# %% [markdown]
# ## 12. All of them, on equal terms
#
# One command, `python benchmarks/modes.py`, trains every recipe on both worlds from several seeds. All share network sizes, steps, batch, Adam and averaged weights with `tuned`, where the
# remedy's paper does not need something else. The next figure draws what it wrote. Bars are means, dots are seeds.


# %% tags=["covers:F-17", "covers:F-21", "covers:I-26"]
def chart(measure: str) -> None:
    names = [name for name in REMEDIES if (name, "ring") in TABLE]
    fig, axes = figure(1, 2, width=8.0, height=0.24 * len(names) + 1.0, sharey=True)
    for ax, place in zip(axes, (RING, GRID)):
        for row, name in enumerate(names):
            values = TABLE[name, place.name][measure]
            ax.barh(row, mean(values), color=PALETTE[2 if name == BEST else 5], height=0.7)
            ax.plot(values, [row] * len(values), "o", color=PALETTE[0], markersize=2.5)
        ax.set(xlabel=f"modes covered, of {place.pieces}" if measure == "covered" else "quality", title=place.name)
        ax.set_yticks(range(len(names)), [f"{n} *" if n == BEST else n for n in names])
    axes[0].invert_yaxis()
    show(fig, alt=f"Bars for every remedy on ring and grid: {measure}, mean over seeds, with a dot for each seed; {BEST} is marked by a star.")


chart("covered")
chart("quality")
for place, need in (("ring", 8), ("grid", 24)):
    row = TABLE[BEST, place]
    reached = sum(c >= need for c in row["covered"])
    print(f"{BEST} on {place}: at least {need} of {world(place).pieces} modes in {reached} of {len(row['seeds'])} seeds")
    assert reached >= 0.95 * len(row["seeds"]) and max(row["seconds"]) < 60


# %% [markdown]
# How the samples of seed 0 look:


# %%
def gallery(place) -> None:
    names = [name for name in REMEDIES if "points" in TABLE.get((name, place.name), {})]
    rows = math.ceil(len(names) / 6)
    fig, axes = figure(rows, 6, width=8.4, height=1.6 * rows, squeeze=False)
    for ax, name in zip(axes.flat, names):
        row = TABLE[name, place.name]
        cloud(ax, torch.tensor(row["points"]).view(-1, 2) / 100, place, f"{name}: {row['covered'][0]}")
        ax.set(xticks=(), yticks=())
    for ax in axes.flat[len(names) :]:
        ax.axis("off")
    show(fig, alt=f"The samples of every remedy on the {place.name}, seed 0, with the number of modes covered; crosses mark the modes.")


gallery(RING)
gallery(GRID)

# %% [markdown]
# ## 13. A live race
#
# Do not take the file's word for it. Three recipes, three seeds, fewer steps. About 40 seconds.

# %% tags=["nbval-ignore-output"]
race = {name: [trained(name, seed=s, steps=600, label=f"{name}, seed {s}").judge() for s in (10, 11, 12)] for name in ("tuned", "wgan-gp", BEST)}
for name, found in race.items():
    print(f"{name:8} modes {[m.covered for m in found]}   quality {[round(m.quality, 2) for m in found]}")

# %%
assert all(m.covered == 8 for m in race[BEST])
print(f"{BEST} covers 8 of 8 with each of three fresh seeds, in 600 steps:", all(m.covered == 8 for m in race[BEST]))

# %% [markdown]
# ## 14. Watch one
#
# Choose a remedy and a moment: dots are fakes, colours what $D$ says of every place (light is "real" for a discriminator or critic, and the *energy* for an autoencoder, where
# dark is real). The first look at a remedy trains it, a few seconds.

# %%
STEPS, LOOKS = 600, (20, 100, 300, 600)
axis = torch.linspace(-1.6, 1.6, 60)
PLACES = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1).view(-1, 2)


@cache
def film(remedy: str) -> dict[int, tuple[Tensor, Tensor]]:
    attempt, frames = Attempt(remedy, RING, seed=0, steps=STEPS), {}
    for _ in attempt.train():
        if attempt.gan.step in LOOKS:
            frames[attempt.gan.step] = attempt.sample(600), attempt.opinion(PLACES).view(60, 60)
    return frames


def look(remedy: str, moment: int):
    x, field = film(remedy)[LOOKS[moment - 1]]
    fig, ax = figure(width=4.4, height=3.6)
    image = ax.imshow(field, extent=(-1.6, 1.6, -1.6, 1.6), origin="lower", cmap=SEQUENTIAL, interpolation="bilinear")
    ax.scatter(*x.T, s=4, color=PALETTE[2], edgecolors="white", linewidths=0.2)
    ax.plot(*RING.modes().T, "+", color="white", markersize=9)
    ax.set(xlim=(-1.6, 1.6), ylim=(-1.6, 1.6), title=f"{remedy}, step {LOOKS[moment - 1]}", xlabel="x1", ylabel="x2")
    ax.grid(visible=False)
    fig.colorbar(image, ax=ax, label="what D says")
    return fig


explore(
    look,
    alt="Samples of the remedy {remedy} at moment {moment} of 4, over the field of D's opinion on the ring.",
    static=[{"remedy": BEST, "moment": 2}, {"remedy": BEST, "moment": 4}],
    remedy=Choice([name for name in REMEDIES if name != "separate"], BEST),
    moment=Slider(1, 4, 1, 4),
)

# %% [markdown]
# ## 15. How do I know whether *my* GAN works?
#
# 1. *Count.* On a toy with known modes: modes covered **and** quality. On pictures: attributes read by a classifier, and how often each value occurs.
# 2. *Look at more than the best samples*, and at two batches: do the same ones come back?
# 3. *Repeat with three seeds.* A remedy that wins once has won nothing yet.
# 4. *Read the critic, if its loss means something* (sections 2 to 4). The losses of a plain GAN say who is winning, not how good the samples are.
# 5. *Before reaching for a remedy*, lower the momentum, match the rates and let them fall, average the weights. In the table that separates `tuned` from `plain`, and costs nothing.
#
# ## Quiz
#
# **1.** You double the bound $c$ from 0.1 to 0.2, and the critic's loss goes from -3 to -8. Have the samples become worse?
# <details><summary>Answer</summary>One cannot tell. Clipping bounds the slope by an unknown K that grows with c, and the loss estimates K times the distance. Compare losses of one critic, never of two.</details><br>
#
# **2.** You compute the gradient penalty under `torch.no_grad()` for the fakes and forget `create_graph=True`. What do you see?
# <details><summary>Answer</summary>The penalty's value is right, and printed, and its gradient for D's weights is nothing: it is a constant to autograd. The slopes wander off. Check that they come to 1.</details><br>
#
# **3.** Why does the two-sided penalty forbid batch norm in the critic, and spectral normalisation does not?
# <details><summary>Answer</summary>The penalty takes the gradient of the sum of scores with respect to each example. With batch norm an example's gradient holds its effect on the others' scores. Spectral normalisation looks at weights only.</details><br>
#
# **4.** In a BEGAN $k$ has been 0 for a thousand steps. Who is ahead?
# <details><summary>Answer</summary>The fakes have more energy than gamma times that of the data: D is ahead. With k = 0 it trains as a plain autoencoder, and G catches up, or the learning rate of G is too low.</details><br>
#
# **5.** A batch statistic makes a collapsed batch easy to spot. Why may G still cover seven of eight modes?
# <details><summary>Answer</summary>The mean distance of seven modes is nearly that of eight. A statistic forbids only what it can see.</details><br>
#
# **6.** You train with labels smoothed on both sides, 0.9 and 0.1. What does the best D say where there are almost no data, but many fakes?
# <details><summary>Answer</summary>(0.9 p + 0.1 q) / (p + q), about 0.1 and with a slope that points back to where the fakes are already: fakes reinforce themselves. That is why smoothing is one-sided.</details>
#
# ## Exercises
#
# In the assignment of this unit: a gradient penalty of another kind, a layer that sees the batch, the derivative of a least-squares game, and a hunt for the sign trap. **Next:** unit 05, the same game with pictures.
#
# ## References
#
# - Goodfellow et al., *Generative adversarial nets*, NIPS 2014.
# - Salimans et al., *Improved techniques for training GANs*, NIPS 2016.
# - Arjovsky, Bottou, *Towards principled methods for training generative adversarial networks*, ICLR 2017; Arjovsky, Chintala, Bottou, *Wasserstein GAN*, ICML 2017.
# - Gulrajani et al., *Improved training of Wasserstein GANs*, NIPS 2017.
# - Mao et al., *Least squares generative adversarial networks*, ICCV 2017. Lim, Ye, *Geometric GAN*, 2017.
# - Zhao, Mathieu, LeCun, *Energy-based generative adversarial network*, ICLR 2017. Berthelot, Schumm, Metz, *BEGAN*, 2017.
# - Srivastava et al., *VEEGAN: reducing mode collapse in GANs using implicit variational learning*, NIPS 2017.
# - Miyato et al., *Spectral normalization for generative adversarial networks*, ICLR 2018. Mescheder, Geiger, Nowozin, *Which training methods for GANs do actually converge?*, ICML 2018.
# - Chintala et al., *How to train a GAN? Tips and tricks to make GANs work* ("ganhacks"), 2016.
# - Spanakis & Driessens (Maastricht), *Deep learning for agents, Part 2*; HKUST, *Advanced deep learning architectures: generative adversarial networks*; UBC, *CPSC 532S: generative models and GANs*: lecture slides.
