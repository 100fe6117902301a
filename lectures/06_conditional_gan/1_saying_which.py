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
# # 6.1 Saying which
#
# The generators of unit 5 draw what they like. Ask one for a seven, and all you can do is draw until a seven comes. This notebook tells the generator
# what is wanted. The surprise is that telling *the generator* is not enough: it listens only if somebody checks.
#
# After this notebook you can
#
# - write the value function of a conditional GAN, and put a label into both networks;
# - show with an experiment who makes the generator obey;
# - say what three discriminators do with a label: concatenate it, project on it, predict it;
# - explain what a one-hot label cannot share, and what an embedding can;
# - find codes that nobody labelled, measure whether they mean anything, and say honestly how much of that was luck.
#
# **Reading time** 35 minutes. **Running time** about 1 minute on two cores.
#
# | symbol | meaning | shape |
# |---|---|---|
# | $z$ | noise | (N, Z) |
# | $y$ | a label, one-hot | (N, K) |
# | $c$ | a code that G is given and nobody has labelled | (N, K + U) |
# | $\phi(x)$ | features of a picture, inside D | (N, D) |
# | $Q(c\mid x)$ | what a second head of D reads from a picture | |
#
# **Recipe card**
#
# | Model | Who looks at the label | Loss |
# |---|---|---|
# | CGAN (2014) | D sees it beside the picture | the same game, on pairs |
# | projection (2018) | D multiplies it with its features | the same game, on pairs |
# | AC-GAN (2017) | D guesses it | game + class loss on real and fake |
# | InfoGAN (2016) | Q guesses it; there are no labels | game + code loss on fakes only |

# %%
import time

import torch
import torch.nn.functional as F
from sklearn.metrics import normalized_mutual_info_score
from torch import Tensor

from coursekit import shipped
from coursekit.datasets.worlds import world
from coursekit.metrics import diversity, frechet_distance
from coursekit.models.conditional import (
    AuxiliaryDiscriminator,
    ConditionalDiscriminator,
    ConditionalGenerator,
    load_cgan,
    load_infogan,
)
from coursekit.models.dcgan import load_generator
from coursekit.oracles import oracle
from coursekit.plots import PALETTE, figure, heatmap, pictures, show, use_style
from coursekit.runtime import generator, seeded
from coursekit.training.classify import shuffled
from coursekit.training.conditional import BATCH, auxiliary_game, conditional, draw_codes, renders_with, shape_of
from coursekit.training.gan import train_gan
from coursekit.training.progress import track
from coursekit.widgets import Slider, explore

use_style()
torch.set_num_threads(1)  # these networks are small: a second thread would mostly wait
digits, reader = world("digits"), oracle("digits")


def noise(n: int, width: int, seed: int) -> Tensor:
    return torch.randn(n, width, generator=generator(seed))


# %% [markdown]
# ## 1. No control
#
# A generator of unit 5, and the oracle's reading of what it drew. To get a seven we draw until one comes: ten tries on average.

# %% tags=["nbval-ignore-output"]
free = load_generator("digits32")
with torch.no_grad():
    x = free(noise(1000, free.latent, seed=0))
read = reader.read(x)[:, 0]
show(
    pictures(x[:12], cols=12, titles=[f"a {k}" for k in read[:12].tolist()], width=8),
    alt="Twelve generated digits in no order, the oracle's reading above each.",
)
print(f"share of sevens among 1,000: {(read == 7).float().mean():.2f}")

# %% [markdown]
# ## 2. A game on pairs
#
# Mirza and Osindero (2014) changed one thing: both players see $y$.
#
# $$\min_G\max_D\;\mathbb E_{x,y\sim p_{data}}\big[\log D(x\mid y)\big]+\mathbb E_{z\sim p_z,\,y}\big[\log\big(1-D(G(z\mid y)\mid y)\big)\big]$$
#
# For each fixed $y$ this is an ordinary GAN, and by the theory of unit 4 its best G draws from $p_{data}(x\mid y)$. So D answers a new question. Not *is this a
# real picture?* but *is this a real picture **of a seven**?* A perfect three under the label seven is a fake.
#
# How does $y$ get in? By concatenation. In G it joins the noise. In D, which is convolutional here (the paper's networks are not), each entry of $y$ becomes a constant map beside
# the picture.

# %%
with seeded(0):
    G = ConditionalGenerator(latent=32, condition=10)
    D = ConditionalDiscriminator(condition=10, how="concatenate")
z, y = noise(4, 32, seed=1), F.one_hot(torch.tensor([7, 7, 3, 0]), 10).float()
into_G = torch.cat([z, y], dim=1)
fake = G(z, y)
into_D = torch.cat([fake, y[:, :, None, None].expand(-1, -1, 28, 28)], dim=1)
print("into G", tuple(into_G.shape), "  into D", tuple(into_D.shape), "  scores", tuple(D(fake, y).shape))
assert torch.equal(into_D[0, 1 + 7], torch.ones(28, 28)) and into_D[0, 1:].sum() == 28 * 28

# %% [markdown]
# ## 3. Who makes G obey?
#
# An experiment. G is the same each time and always gets the label. Four discriminators:
#
# - **ignore**: D sees the picture only;
# - **concatenate**: the maps of above;
# - **project**: $D(x,y)=\psi(\phi(x))+\langle V y,\,\phi(x)\rangle$ (Miyato and Koyama 2018). The label picks a direction $V y$ in feature space, and D asks how far the
#   picture lies along it. Why this form? If $p(x\mid y)$ is a softmax of linear functions of some features, then
#   $\log\frac{p(x\mid y)}{q(x\mid y)}=\log\frac{p(y\mid x)}{q(y\mid x)}+\log\frac{p(x)}{q(x)}$ has it: a part that is linear in $y$ and in $\phi$, and a part without $y$;
# - **predict**: AC-GAN (Odena et al. 2017). D gives a score *without* seeing $y$, and by a second head the class: $L_S$ and $L_C$ below. D ascends $L_S+L_C$, G ascends $L_C-L_S$. Both want the
#   class to be read.
#
# $$L_S=\mathbb E\log P(\text{real}\mid x)+\mathbb E\log P(\text{fake}\mid G(z,y)),\qquad L_C=\mathbb E\log P(y\mid x)+\mathbb E\log P(y\mid G(z,y))$$
#
# All with the kit's recipe of unit 5 (hinge loss, spectral norm, Adam with $\beta_1=0$, averaged weights) and equally many steps, which here take about equally long. Upright digits of 28 pixels. Before you run it, guess the order.

# %%
STEPS = 400
x_train, labels = renders_with(digits, 8000, seed=0, slant="upright")
y_train = F.one_hot(labels[:, 0], 10).float()
x_test, labels_test = renders_with(digits, 2000, seed=1, slant="upright")
real = reader.features(x_test)
asked = torch.arange(1000) % 10
y_asked = F.one_hot(asked, 10).float()


def purity(x: Tensor) -> float:
    """Share of pictures that the oracle reads as the class that was asked for, the rows of `asked`."""
    return (reader.read(x)[:, 0] == asked).float().mean().item()


def train(kind: str, *, seed: int = 0, steps: int = STEPS):
    with seeded(seed):
        G = ConditionalGenerator(latent=32, condition=10, width=24)
        D = (
            AuxiliaryDiscriminator(categories=10)
            if kind == "predict"
            else ConditionalDiscriminator(condition=10, how=kind)
        )
    game = {"game": auxiliary_game(on_real=True)} if kind == "predict" else {}
    gan = conditional(G, D, steps=steps, seed=seed, **game)
    start = time.process_time()
    for _ in track(
        train_gan(gan, shuffled(x_train, y_train, batch=BATCH, seed=seed)), f"D that would {kind}", total=steps
    ):
        pass
    fakes = gan.sample(1000, y_asked)
    table[kind] = (
        purity(fakes),
        frechet_distance(real, reader.features(fakes)),
        time.process_time() - start,
    )
    return gan, fakes


table = {}

# %% [markdown]
# About 10 seconds each.

# %% tags=["nbval-ignore-output"]
runs = {"ignore": train("ignore")}

# %% tags=["nbval-ignore-output"]
runs["concatenate"] = train("concatenate")

# %% tags=["nbval-ignore-output"]
runs["project"] = train("project")

# %% tags=["nbval-ignore-output"]
runs["predict"] = train("predict")

# %% tags=["covers:I-01", "nbval-ignore-output"]
print("D would       row purity   Frechet   CPU seconds")
for kind, (share, distance, seconds) in table.items():
    print(f"{kind:12} {share:11.2f} {distance:9.1f} {seconds:13.0f}")
# D without y: G has no reason to use it, and the purity stays near chance (0.10).
assert table["ignore"][0] < 0.2 < table["concatenate"][0] < table["project"][0]

# %% [markdown]
# The first row is the lesson. G *had* the label, in every step. But no loss depended on whether it used it, and so it did not. Control comes from whoever judges the pair.
#
# Look at the Frechet distance, too: by it the first is as good as the others, for it compares heaps of pictures and sees no labels. And the order of the others has a reason. To D, ten constant maps beside a picture are nothing at first: it must build products of label and picture out of
# sums and kinks. The projection has the product built in. Miyato and Koyama found the same on a thousand classes.
#
# The same noise in all four, asked for 0 to 9. From the top: ignore, concatenate, project, predict.

# %% tags=["nbval-ignore-output"]
z_row = noise(1, 32, seed=4).repeat(10, 1)
rows = torch.cat([gan.sample(z_row, torch.eye(10)) for gan, _ in runs.values()])
show(
    pictures(rows, cols=10, width=7),
    alt="Four rows of ten generated digits asked for 0 to 9 from the same noise. With a D that ignores the label nearly the same picture throughout; with the projection the ten digits.",
)

# %% [markdown]
# ## 4. One label per row
#
# Four hundred steps are few. The shipped generator had 1,200, with the projection (`python benchmarks/train_conditional.py cgan`, half a minute for each of three seeds).
# The paper's figure has one label per row. So does ours, and row purity is its measure.

# %% tags=["covers:I-02", "nbval-ignore-output"]
C = load_cgan()
with torch.no_grad():
    fakes = C(noise(1000, C.latent, seed=5), y_asked)
    grid = C(noise(12, C.latent, seed=6).repeat(10, 1), torch.eye(10).repeat_interleave(12, 0))
show(
    pictures(grid, cols=12, width=7.4),
    alt="Ten rows of twelve generated digits; the first row zeros, the second ones, and so on to nines. A column shares its noise.",
)
table["shipped"] = (
    purity(fakes),
    frechet_distance(real, reader.features(fakes)),
    shipped.row("conditional/cgan")["seconds"],
)
figures = shipped.row("conditional/cgan")["figures"]
purities = [figures[f"purity_{seed}"] for seed in range(3)]
print(f"row purity of the shipped generator {table['shipped'][0]:.3f}; of three seeds when trained "
      + ", ".join(f"{p:.3f}" for p in purities))  # fmt: skip
assert table["shipped"][0] >= 0.97 and min(purities) >= 0.97

# %% [markdown]
# Each column has one $z$, and only $y$ changes from row to row. Look down a column: thickness, size and place tend to stay. The label took the class, and left the style to $z$.
# The number: swap $y$ with $z$ fixed. The class must follow $y$, and the thickness should not.

# %% tags=["covers:I-01", "nbval-ignore-output"]
with torch.no_grad():
    z = noise(1000, C.latent, seed=7)
    before, after = C(z, y_asked), C(z, y_asked.roll(1, 1))
first, second = reader.read(before), reader.read(after)
followed = (second[:, 0] == (asked + 1) % 10).float().mean().item()
changed = (first[:, 0] != second[:, 0]).float().mean().item()
thickness = (first[:, 1] == second[:, 1]).float().mean().item()
print(f"z fixed, y raised by one: the class changes in {changed:.0%}, to the one asked for in {followed:.0%}; "
      f"the thickness stays in {thickness:.0%}")  # fmt: skip
assert followed >= 0.95 and thickness > 0.6

# %% [markdown]
# Move them yourself. `z` walks from one noise to another.


# %%
def asked_for(label: int, z: float):
    ends = noise(16, C.latent, seed=8)
    angle = torch.tensor(z * torch.pi / 2)
    with torch.no_grad():  # (cos, sin) keeps the walk where noise lives
        x = C(angle.cos() * ends[:8] + angle.sin() * ends[8:], F.one_hot(torch.full((8,), label), 10).float())
    return pictures(x, cols=8, width=7)


explore(
    asked_for,
    alt="Eight generated digits asked for as {label}, noise at {z} of the way.",
    static=[{"label": 4, "z": 0.0}, {"label": 4, "z": 0.5}, {"label": 9, "z": 0.5}],
    label=Slider(0, 9, 1, 4, "label"),
    z=Slider(0.0, 1.0, 0.1, 0.0, "z"),
)

# %% [markdown]
# ## 5. Nothing shared
#
# What is a one-hot label to the first layer? A matrix times $e_k$ is column $k$: a *lookup*, exactly an embedding as wide as the layer's output. So "one-hot or embedding" is not the
# question. The question is whether classes share anything. With one-hot labels no step on a batch without sevens teaches the network about the column of the seven. Put a narrow embedding before the layer, and every class trains the map
# that all of them use.

# %%
with seeded(3):
    wide = torch.nn.Linear(10, 64, bias=False)
    narrow, shared = torch.nn.Embedding(10, 3), torch.nn.Linear(3, 64, bias=False)
k = torch.tensor([1, 2, 2, 5])  # a batch without sevens
assert torch.equal(wide(F.one_hot(k, 10).float()), F.embedding(k, wide.weight.T))  # the lookup, to the last bit

wide(F.one_hot(k, 10).float()).square().sum().backward()
shared(narrow(k)).square().sum().backward()
seven_wide = wide.weight.grad[:, 7].abs().sum().item()
seven_shared = (shared.weight.grad @ narrow.weight[7]).abs().sum().item()
print(
    f"what a step without sevens does to the code of a seven: one-hot {seven_wide:.1f}, through a shared map {'more than 0' if seven_shared > 0 else 0}"
)
assert seven_wide == 0 and seven_shared > 0

# %% [markdown]
# For ten digits it hardly matters. For a thousand classes, or for birds that are told by colour *and* beak *and* size, it decides whether a combination that was never seen can be drawn
# at all. Unit 8 replaces the label by a sentence for this reason.
#
# Do the learnt columns know that a 4 looks like a 9? Cosines between what the shipped generator adds for each class, less their mean. They do not: nothing in the game asks for it.

# %% tags=["nbval-ignore-output"]
columns = C.first.weight[:, C.latent :].T
columns = F.normalize(columns - columns.mean(0), dim=1)
fig, ax = figure(width=4.6, height=3.6)
heatmap(ax, columns @ columns.T, label="cosine", center=0.0, xlabel="digit", ylabel="digit", xticks=list("0123456789"), yticks=list("0123456789"))  # fmt: skip
show(
    fig,
    alt="Matrix of cosines between the ten label columns: one on the diagonal, mostly below 0.3 in size elsewhere, of both signs.",
)

# %% [markdown]
# ## 6. AC-GAN: what guessing costs
#
# A discriminator that guesses the class must be good at it, on *real* pictures first.

# %% tags=["covers:I-05", "nbval-ignore-output"]
A, fakes_A = runs["predict"]
A.discriminator.eval()
with torch.no_grad():
    guessed = A.discriminator.read(x_test).log_p.argmax(1)
    of_fakes = A.discriminator.read(fakes_A).log_p.argmax(1)
right = (guessed == labels_test[:, 0]).float().mean().item()
print(f"D's class is right on {right:.3f} of fresh real digits, and agrees with the label on {(of_fakes == asked).float().mean():.3f} of the fakes; "
      f"the oracle, which was not in the game, on {table['predict'][0]:.3f}")  # fmt: skip
assert right > 0.95

# %% [markdown]
# Compare what D says of the fakes with what the oracle says. G learned to convince *this* D of the class, and D's word about fakes is worth less than its word about real pictures. Never let a player
# of the game be the judge: purity by D's own head would have looked far better than it is.
#
# The second cost is known from theory (Shu et al. 2017, Gong et al. 2019). AC-GAN's score does not see $y$, so the game alone asks only that the *mixture* of all classes be right. Among all G with the right mixture, the class term picks the one
# whose pictures are easiest to classify. Take two classes on a line, $\mathcal N(-1,1)$ and $\mathcal N(1,1)$: deal every point to its likelier class, and the mixture is unchanged, the class term is at its best, and each class has lost its tail.

# %% tags=["covers:I-05"]
grid_x = torch.linspace(-8, 8, 4000, dtype=torch.float64)
step = grid_x[1] - grid_x[0]
low, high = (torch.distributions.Normal(m, 1.0).log_prob(grid_x).exp() for m in (-1.0, 1.0))
posterior = low / (low + high)
dealt = torch.where(grid_x < 0, low + high, 0.0)  # of the first class; the other is its mirror image
assert torch.allclose((dealt + dealt.flip(0)) / 2, (low + high) / 2)  # the mixture is the same


def about(p: Tensor) -> tuple[float, float, float]:
    """Mean, deviation, and class term of a density of the first class."""
    mean = (p * grid_x).sum() * step
    deviation = ((p * grid_x.square()).sum() * step - mean.square()).sqrt()
    return mean.item(), deviation.item(), ((p * posterior.log()).sum() * step).item()


for name, p in {"real": low, "dealt": dealt}.items():
    print(f"class 0, {name:6} mean {about(p)[0]:+.2f}   deviation {about(p)[1]:.2f}   class term {about(p)[2]:.2f}")
assert about(dealt)[2] > about(low)[2] and about(dealt)[1] < 0.85

fig, ax = figure(width=5.6, height=2.5)
ax.plot(grid_x, low, color=PALETTE[1], label="real, class 0")
ax.plot(grid_x, dealt, color=PALETTE[2], linestyle="--", label="what the class term prefers")
ax.set(xlim=(-5, 5), xlabel="x", ylabel="density")
ax.legend()
show(
    fig,
    alt="The real density of class 0, a bell around -1, and the preferred one, which is cut off at 0 and higher to the left of it.",
)

# %% [markdown]
# A fifth of the deviation is gone. Is variety lost among our digits, too? The mean distance within a class in the oracle's features, of pictures that it reads as asked (a wrong digit would count as variety):


# %% tags=["nbval-ignore-output"]
def within(x: Tensor, y: Tensor) -> float:
    """Mean over classes of the diversity of each, among the pictures that are read as asked."""
    features, right = reader.features(x), reader.read(x)[:, 0] == y
    return sum(diversity(features[right & (y == k)][:80]) for k in range(10)) / 10


spread = {
    "real": within(x_test, labels_test[:, 0]),
    "project": within(runs["project"][1], asked),
    "predict (AC-GAN)": within(fakes_A, asked),
    "project, shipped": within(fakes, asked),
}
for name, value in spread.items():
    print(f"{name:18} distance within a class {value:.2f}, {value / spread['real']:.0%} of that of real digits")

# %% [markdown]
# Not so that one could see it: all three generators have less variety than the data, and AC-GAN does not stand out. Our digits hardly overlap (the oracle reads more than 99 % of them), so there is little tail to lose. The bias is a matter of classes that meet.
#
# ## 7. InfoGAN: codes that nobody named
#
# Cross out the labels. Give G a code $c$ drawn at random, a category and a number in $[-1,1]$, and let the second head $Q$ guess it back from the picture. What will G use it for? For anything that
# can be *seen*, as long as the pictures stay real. Chen et al. (2016) maximise the mutual information of code and picture, through a lower bound:
#
# $$I(c;G(z,c))\;\ge\;L_I=\mathbb E_{c,\,x=G(z,c)}\big[\log Q(c\mid x)\big]+H(c),\qquad \min_{G,Q}\max_D\;V(D,G)-\lambda L_I$$
#
# Compare it with AC-GAN: the same head, the same term, and real pictures left out of it, for they have no code. In the kit both are one function, `auxiliary_game(on_real=...)`.
#
# Why is it a bound? $I=H(c)-H(c\mid x)$ and $\mathbb E\log P(c\mid x)-\mathbb E\log Q(c\mid x)$ is a Kullback-Leibler divergence, so it is at least 0. A small case where all of it is known: code and picture both binary,
# the picture shows the code in 90 % of the cases.

# %%
joint = torch.tensor([[0.45, 0.05], [0.05, 0.45]], dtype=torch.float64)  # P(c, x)
true_information = (joint * (joint / 0.25).log()).sum()
trust = torch.linspace(0.5, 0.999, 200, dtype=torch.float64)  # Q(c = x | x)
bound = 0.9 * trust.log() + 0.1 * (1 - trust).log() + torch.tensor(2.0, dtype=torch.float64).log()
fig, ax = figure(width=5.2, height=2.6)
ax.plot(trust, bound, color=PALETTE[1], label="bound, by how much Q trusts x")
ax.axhline(true_information.item(), color=PALETTE[2], linestyle="--", label="mutual information")
ax.set(xlabel="Q(c = x | x)", ylabel="nats", ylim=(-0.15, 0.45))
ax.legend(loc="lower center")
show(fig, alt="The bound rises to the mutual information where Q trusts the picture to 0.9, and falls beyond.")
print(f"mutual information {true_information:.3f}, best bound {bound.max():.3f} at Q = {trust[bound.argmax()]:.2f}")
assert (bound <= true_information + 1e-12).all() and bound.max() > true_information - 1e-4

# %% [markdown]
# The world: zeros and ones, upright, thick. The code: a category of two, and a number. Nobody tells the networks that there are two digits. Two choices make the game winnable: the noise is small (Z = 4) and the code is
# loud (multiplied by four on its way into G). With 32 numbers of noise G left the large differences to $z$ and used the code for trifles: Q read it perfectly, and it meant nothing that we have a name for.
#
# Made by `python benchmarks/train_conditional.py infogan`, ten seconds for each of three seeds. Each row has one noise; the category is 0 in the upper three and 1 in the lower three, and along the row the number goes from -1 to 1.

# %%
I, Q = load_infogan()
z = noise(3, I.latent, seed=11)
line = torch.linspace(-1, 1, 11)[:, None]


def codes_of(category: int, numbers: Tensor) -> Tensor:
    return torch.cat([F.one_hot(torch.full((len(numbers),), category), 2).float(), numbers], 1)


with torch.no_grad():
    rows = torch.cat([I(z[i].repeat(11, 1), codes_of(category, line)) for category in (0, 1) for i in range(3)])
show(
    pictures(rows, cols=11, width=7.4),
    alt="Six rows of eleven digits. Three rows of one digit and three of the other; along a row, where only the number changes, the shape changes a little.",
)

# %% [markdown]
# Now the figures, for codes drawn at random. Does Q recover them? And do they go with something that *we* have a name for? For the category, normalised mutual information with the digit that the oracle reads: 0 is
# nothing, 1 is the same partition. For the number, rank correlation with what can be measured on a picture: amount of ink, place, width and so on.


# %% tags=["covers:I-06", "nbval-ignore-output"]
def spearman(a: Tensor, b: Tensor) -> float:
    return torch.corrcoef(torch.stack([v.argsort().argsort().double() for v in (a, b)]))[0, 1].item()


codes = draw_codes(2000, categories=2, continuous=1, generator=generator(12))
category, number = codes[:, :2].argmax(1), codes[:, 2]
with torch.no_grad():
    made = I(noise(2000, I.latent, seed=13), codes)
    reading = Q.read(made)
    told = reading.log_likelihood(codes).mean(0)
recovered = (reading.log_p.argmax(1) == category).float().mean().item()
entropy = torch.tensor(2.0).log()  # of a fair category of two; also of a number that is uniform in [-1, 1]
agreement = normalized_mutual_info_score(category, reader.read(made)[:, 0])
found = {name: spearman(number, factor) for name, factor in shape_of(made).items()}
print(
    f"category recovered by Q {recovered:.3f}; number and Q's guess of it: rank correlation {spearman(number, reading.mean[:, 0]):.2f}"
)
print(
    f"bound on the information: category {told[0] + entropy:.2f} of at most {entropy:.2f} nats, number {told[1] + entropy:.2f} nats"
)
print(f"category and digit: normalised mutual information {agreement:.2f}")
print("number and " + ", ".join(f"{name} {rho:+.2f}" for name, rho in found.items()))
assert recovered > 0.8 and agreement > 0.8

# %% [markdown]
# ### How much of that was luck?
#
# The same program, other seeds:

# %% tags=["covers:I-06"]
kept = shipped.row("conditional/infogan")["figures"]
print("seed  recovered  digit   number and " + "  ".join(f"{name:>6}" for name in found))
for seed in range(3):
    rhos = "  ".join(f"{kept[f'number_{name}_{seed}']:+6.2f}" for name in found)
    print(f"{seed:4} {kept[f'code_{seed}']:10.2f} {kept[f'digit_{seed}']:6.2f}   {'':10} {rhos}")
assert min(kept[f"code_{seed}"] for seed in range(3)) > 0.8
assert min(kept[f"digit_{seed}"] for seed in range(3)) > 0.8

# %% [markdown]
# The category finds the digit in all three, because two kinds that have nothing in between are exactly what a category can hold. The number is another matter. In two seeds it goes halfway with the height of the digit, in the third with nothing that we measure; Q reads it
# perfectly in each. We also tried slanted digits: there the number followed the slant at 0.85 in one seed, 0.75 in another and 0.16 in the third, and the category agreed with the digit at 0.81, 0.59 and 0.06. Which factor a code finds is luck, unless one factor towers above the rest.
#
# The famous figures of the paper (azimuth, elevation, lighting and width of faces; rotation and width of chairs) are codes that were *named by looking*, after training. Two cautions follow. A code that Q recovers
# is visible, not meaningful: recovery says nothing about names. And a name that you pick after looking at many codes and many factors is a selection: measure it again on fresh samples, over several seeds, as above.

# %% [markdown]
# ## 8. Side by side

# %% tags=["nbval-ignore-output"]
print("digits, D would     row purity   Frechet   CPU seconds")
for kind, (share, distance, seconds) in table.items():
    print(f"{kind:19} {share:10.2f} {distance:9.1f} {seconds:13.0f}")
floor = frechet_distance(real, reader.features(renders_with(digits, 1000, seed=2, slant="upright")[0]))
print(f"{'real digits':19} {'':10} {floor:9.1f}")

# %% [markdown]
# ## What to remember
#
# 1. A conditional GAN plays on pairs. The label must reach whoever judges; in G alone it is ignored.
# 2. Concatenation leaves D to invent the product of label and picture; the projection has it built in.
# 3. AC-GAN's D guesses the label. It is a player: have the purity judged by somebody else, and look at variety within a class.
# 4. One-hot labels are lookups and share nothing. Embeddings share, which matters when classes are many or composed.
# 5. InfoGAN is AC-GAN without labels. Q makes codes visible; that they have a name is luck, and has to be measured over seeds.
#
# **How to know whether your conditional GAN works.** Row purity, by a judge that was not in the game. The class follows when $y$ is swapped, and the style stays. Diversity within a class, beside that of real pictures.
# And the control: does the purity fall to chance if D does not see the label?
#
# ## Quiz
#
# **1.** The label reaches D, but by mistake not G. What does G learn?
# <details><summary>Answer</summary>To draw from the marginal of the pictures. For most labels D rejects what it draws, whatever that is; purity is at chance. D's loss stays low, for it can tell by the mismatch.</details><br>
#
# **2.** In D's step the fakes carry the labels of the real pictures in the batch. Would drawing new labels for the fakes be wrong?
# <details><summary>Answer</summary>No, as long as they come from the same distribution. If fakes had other class frequencies than real data, D could tell by the label alone.</details><br>
#
# **3.** In a projection discriminator, what is the score of a picture under a label vector of zeros?
# <details><summary>Answer</summary>ψ(φ(x)) alone: the opinion about the picture, without a class.</details><br>
#
# **4.** AC-GAN: D's head reads 99 % of the fakes as asked, the oracle 70 %. Is the oracle bad?
# <details><summary>Answer</summary>Its accuracy on fresh renders says: no. G was trained to convince D's head, and has found pictures that convince that head. The oracle never was its opponent.</details><br>
#
# **5.** Why does InfoGAN leave real pictures out of Q's loss?
# <details><summary>Answer</summary>They have no code. In AC-GAN they have a label, which is what ties the classes to names. Without that tie any permutation of the codes is as good.</details>
#
# ## Exercises
#
# In the assignment of this unit. **On to** the next notebooks: pictures that are conditions, and the way back from a picture to its code.
#
# ## References
#
# - Mirza, Osindero, *Conditional generative adversarial nets*, 2014.
# - Odena, Olah, Shlens, *Conditional image synthesis with auxiliary classifier GANs*, ICML 2017.
# - Miyato, Koyama, *cGANs with projection discriminator*, ICLR 2018.
# - Chen, Duan, Houthooft, Schulman, Sutskever, Abbeel, *InfoGAN: interpretable representation learning by information maximizing generative adversarial nets*, NIPS 2016.
# - Shu, Bui, Ermon, *AC-GAN learns a biased distribution*, NIPS workshop 2017; Gong, Xu, Li, Zhang, Batmanghelich, *Twin auxiliary classifiers GAN*, NeurIPS 2019.
# - Rice University, *Deep Learning for Vision & Language*; HKUST, *Advanced Deep Learning Architectures*; Shi, *A Brief Review on GANs*; Maastricht University, *Deep learning for agents, Part 2*: lecture slides.
