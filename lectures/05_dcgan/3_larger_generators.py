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
# # 5.3 Larger generators
#
# A DCGAN of 64 pixels is about where the recipe of notebook 5.1 stops. Three ideas carried generators from there to a megapixel and to a thousand
# classes: let the network grow while it learns, tell each layer what to do instead of only the first, and tell it the class, with a knob between quality
# and variety. Each of the three has one line at its heart. We check that line exactly, and then look at what a small network does with it.
#
# After this notebook you can
#
# - grow a generator by a layer without changing one pixel of its pictures, and fade the layer in;
# - say what equalised learning rates equalise;
# - read a style off a feature map, impose another, and predict which attributes coarse and fine layers decide;
# - trade variety for quality in two ways, in w and in z, and measure both sides of the trade;
# - place the results of the last ten years on a line, and say which of their numbers may be compared.
#
# **Reading time** 35 minutes. **Running time** about 2 minutes on two cores.
#
# | symbol | meaning | shape |
# |---|---|---|
# | $z$ | noise | (N, Z) |
# | $w=f(z)$ | a style, made from noise by the mapping network | (N, W) |
# | $\alpha$ | how far a new layer is faded in, 0 to 1 | |
# | $x_i$ | feature map $i$ of a picture | (H, W) |
# | $y_s,\,y_b$ | scale and shift that a style asks of a map | (N, C) |
# | $\psi$ | truncation in $w$: 1 is none, 0 is the mean picture | |
#
# **Recipe card**
#
# | Generator | What is new | Loss in the paper |
# |---|---|---|
# | progressive growing, 2018 | layers are added during training, G and D together | Wasserstein with gradient penalty |
# | StyleGAN, 2019 | mapping network, AdaIN and noise in every layer, no noise at the input | non-saturating with $R_1$ penalty |
# | BigGAN, 2019 | classes in every batch norm, large batches, truncated noise | hinge, projection discriminator |

# %%
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coursekit import runtime
from coursekit.datasets.worlds import world
from coursekit.live import watch
from coursekit.losses import NON_SATURATING
from coursekit.metrics import attribute_entropy, diversity, frechet_distance
from coursekit.models.class_conditional import load_classes, standing_statistics, truncated_noise
from coursekit.models.progressive import (
    EqualisedLinear,
    ProgressiveDiscriminator,
    ProgressiveGenerator,
    double,
    reals_at,
)
from coursekit.models.style import AdaIN, deviation_of_noise, load_style
from coursekit.oracles import oracle
from coursekit.plots import PALETTE, figure, heatmap, lines, picture, pictures, show, use_style
from coursekit.runtime import generator, seeded
from coursekit.training.gan import Gan, GanConfig, train_gan
from coursekit.widgets import Slider, explore

use_style()
torch.set_num_threads(1)  # these networks are small: a second thread would mostly wait


def noise(n: int, width: int, seed: int) -> Tensor:
    return torch.randn(n, width, generator=generator(seed))


# %% [markdown]
# ## 1. Progressive growing
#
# What to draw first: where the face is, or the lashes? A large generator has to learn both at once, from a discriminator that wins easily by
# looking at the lashes. Karras et al. (2018) begin at 4 × 4 pixels, where there is little to learn, and double the edge each time the networks have settled.
#
# The danger is the moment of doubling: a new layer with random weights would ruin what has been learnt. So it is faded in. With $u$ for
# doubling each pixel, $h$ the old features and $B$ the new block,
#
# $$G(z)=(1-\alpha)\;u\big(\text{toRGB}_{\text{old}}(h)\big)+\alpha\;\text{toRGB}_{\text{new}}\big(B(h)\big),\qquad\alpha:0\to1.$$
#
# At $\alpha=0$ the grown network shows *exactly* the pictures of the small one, four times as large. Not nearly: to the last bit. And a grown discriminator says
# of a picture what the small one said of the picture made smaller.

# %% tags=["covers:H-06"]
with seeded(0):
    G, D = ProgressiveGenerator(latent=64, maps=(64, 48, 32)), ProgressiveDiscriminator(maps=(64, 48, 32))
z = noise(8, 64, seed=1)

for edge in (4, 8):
    with torch.no_grad():
        small = G(z)
        large = torch.randn(8, 3, 2 * edge, 2 * edge, generator=generator(edge))
        score = D(F.interpolate(large, scale_factor=0.5, mode="area"))
        G.grow()
        D.grow()
        assert torch.equal(G(z), small.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3))
        assert torch.equal(D(large), score)
        G.fade(1e-3)
        moved = (G(z) - double(small)).abs().max().item()
    assert 0 < moved < 0.1
    print(
        f"{edge} -> {2 * edge} pixels, alpha = 0: equal to the last bit.   alpha = 0.001: no pixel moves by more than 0.1"
    )
    G.fade(1.0)
    D.fade(1.0)

# %% [markdown]
# ### One size of step for all weights
#
# Adam divides each gradient by its own running size. A step is therefore about as long as the learning rate, whatever the weight's scale. Weights that were
# drawn small (after He, wide layers have small weights) move by a large part of themselves, others hardly. Equalised learning rates draw
# all weights from N(0, 1) and multiply by He's constant when they are *used*. Then the same step is the same part of every layer.

# %% tags=["covers:H-06"]
widths = [8, 64, 512]


def share_moved(layer: nn.Module) -> float:
    """Size of Adam's first step, rate 0.001, over the size of the weights."""
    adam = torch.optim.Adam(layer.parameters(), lr=1e-3)
    before = layer.weight.detach().clone()
    layer(torch.randn(32, before.shape[1], generator=generator(2))).square().mean().backward()
    adam.step()
    return ((layer.weight - before).norm() / before.norm()).item()


with seeded(0):
    plain = [nn.Linear(n, 16) for n in widths]
    for layer in plain:
        nn.init.kaiming_normal_(layer.weight)
    equal = [EqualisedLinear(n, 16) for n in widths]
print("inputs of the layer    He's weights: part moved    equalised: part moved")
for n, a, b in zip(widths, map(share_moved, plain), map(share_moved, equal)):
    print(f"{n:18}     {a:22.2%}     {b:20.2%}")
    assert abs(b - 1e-3) < 2e-4

# %% [markdown]
# ### Growing faces
#
# Now let it grow: faces at 4, 8 and 16 pixels. One run, one optimiser; between two steps we set $\alpha$, and at two points the edge. The data are shrunk
# and faded the same way, or the discriminator would know real pictures by their sharpness. Expected: 60 to 80 seconds.


# %%
PHASES = [(0, 250, 0), (1, 300, 150), (2, 350, 150)]  # stage, steps, of which the new layer is faded in
STEPS = sum(steps for _, steps, _ in PHASES)


def schedule(step: int) -> tuple[int, float]:
    """Stage and alpha of a step."""
    for stage, steps, fading in PHASES:
        if step < steps:
            return stage, min(1.0, step / fading) if fading else 1.0
        step -= steps
    return PHASES[-1][0], 1.0


def follow(step: int, *nets: nn.Module) -> None:
    stage, alpha = schedule(step)
    for net in nets:
        if int(net.stage) < stage:
            net.grow()
        net.fade(alpha)


faces, read_faces = world("faces"), oracle("faces")
with seeded(1):
    G, D = ProgressiveGenerator(latent=64, maps=(64, 48, 32)), ProgressiveDiscriminator(maps=(64, 48, 32))
data = faces.draw(8000, generator=generator(0), size=16).x
held_out = faces.draw(1000, generator=generator(1), size=16).x
pick, z_fixed = generator(2), noise(16, 64, seed=3)


def batches(k: int) -> Tensor:
    return reals_at(data[torch.randint(len(data), (64,), generator=pick)], G.edge, float(G.alpha))


def frechet(gan: Gan) -> float:
    """Fakes against held-out faces at the edge that the networks are at."""
    real = reals_at(held_out, gan.average.edge)
    return frechet_distance(read_faces.features(real), read_faces.features(gan.sample(1000).clamp(-1, 1)))


gan = Gan(
    G, D, GanConfig(steps=STEPS, latent=64, lr_d=1e-3, lr_g=1e-3, betas=(0.0, 0.99), ema=0.99, channels_last=True, measure_every=100),
    game=NON_SATURATING, fabric=runtime.fabric(on="cpu", precision=runtime.precision("cpu")),
)  # fmt: skip


# %% tags=["nbval-ignore-output"]
def enlarged(x: Tensor) -> Tensor:
    return x.repeat_interleave(16 // x.shape[-1], 2).repeat_interleave(16 // x.shape[-1], 3)


grown, distances = {}, {}
run = train_gan(gan, batches, measure=frechet)
for record in watch(
    run, total=STEPS, sample=lambda: enlarged(gan.sample(z_fixed)), measure="Frechet", label="growing faces"
):
    done = record.step + 1
    if schedule(done)[0] != schedule(record.step)[0] or done == STEPS:
        grown[gan.average.edge], distances[gan.average.edge] = enlarged(gan.sample(z_fixed)), frechet(gan)
    follow(done, G, D)

# %%
kept = torch.cat([*(grown[edge][:8] for edge in (4, 8, 16)), held_out[:8]])
show(
    pictures(
        kept, cols=8, titles=[f"{edge} px" for edge in (4, 8, 16) for _ in range(8)] + ["real, 16 px"] * 8, width=7.4
    ),
    alt="Four rows of eight: generated faces of 4, of 8 and of 16 pixels from the same noise in each column, and real faces of 16 pixels.",
)

# %% tags=["nbval-ignore-output"]
print("edge     Frechet distance of the fakes     of other renders of the same edge")
for edge, distance in distances.items():
    real = read_faces.features(reals_at(held_out, edge))
    other = read_faces.features(reals_at(faces.draw(1000, generator=generator(9), size=16).x, edge))
    print(f"{edge:3}     {distance:25.2f}     {frechet_distance(real, other):30.2f}")

# %% [markdown]
# Read a column from the top: hair, skin and background that were set at 4 pixels mostly stay, and the larger edges add what they have room for. What is
# learnt early is kept, though nothing forces it: the old layers go on learning.
#
# Was it worth it? At 16 pixels hardly; a DCGAN learns these in the same time. Karras et al. report a training 2 to 6 times as fast, at 1024 pixels. The gain
# grows with the number of steps that are spent where pictures are small, and cheap.
#
# The fade, once more, in the trained network: at 0 the picture is made of blocks of 8 × 8 cells, and the slider brings in the last layer.


# %%
def fading(alpha: float):
    before = float(gan.average.alpha)
    gan.average.fade(alpha)
    x = gan.sample(z_fixed[:8])
    gan.average.fade(before)
    return pictures(x, cols=8, width=7.4)


explore(
    fading,
    alt="Eight generated faces of 16 pixels with the last layer faded in to alpha = {alpha}.",
    static=[{"alpha": 0.0}, {"alpha": 0.5}, {"alpha": 1.0}],
    alpha=Slider(0.0, 1.0, 0.1, 0.5, "alpha of the last layer"),
)

# %% [markdown]
# ## 2. StyleGAN: a style for every layer
#
# In a DCGAN $z$ enters once, at the bottom, and is never heard of again. Karras et al. (2019) turn that round. The input is a learnt constant. Noise $z$ first
# goes through a small network, $w=f(z)$, and then *every* layer receives $w$, as a scale and a shift for each of its feature maps. That layer is called adaptive
# instance normalisation, and comes from style transfer (Huang and Belongie 2017):
#
# $$\text{AdaIN}(x_i,y)=y_{s,i}\,\frac{x_i-\mu(x_i)}{\sigma(x_i)}+y_{b,i},\qquad (y_s,y_b)=A\,w+b$$
#
# So a map leaves with mean $y_b$ and standard deviation $|y_s|$, whatever came before. In style transfer, scale and shift are measured on another picture; here
# an affine layer makes them from $w$.

# %% tags=["covers:H-07"]
with seeded(0):
    layer = AdaIN(maps=6, width=64)
maps, w = 5 * torch.randn(3, 6, 8, 8, generator=generator(1)) - 2, noise(3, 64, seed=2)
with torch.no_grad():
    out, (y_s, y_b) = layer(maps, w), layer.style(w)
mean, deviation = out.mean((2, 3)), out.std((2, 3), correction=0)
assert torch.allclose(mean, y_b.flatten(1), atol=1e-5)
assert torch.allclose(deviation, y_s.flatten(1).abs(), atol=1e-5)
assert torch.allclose(
    layer(30 * maps + 4, w), out, atol=1e-4
)  # what the layers before did to mean and scale is forgotten
print("mean and deviation of each map are those of the style:", True)

# %% [markdown]
# Two things follow. First, each style speaks for one layer only, for the next AdaIN forgets its mean and scale. Second, one can therefore feed *different* styles to
# different layers.
#
# Our small one makes birds of 32 pixels: two layers each at 4, 8, 16 and 32 cells, 8 in all, trained for six minutes on one core
# (`python benchmarks/train_larger.py style`). A share of the training pictures was made from two styles with a random switch in between, so that layers do not
# learn to rely on each other.

# %%
S = load_style()
birds, read_birds = world("birds"), oracle("birds")
with torch.no_grad():
    show(
        pictures(
            torch.cat([S(noise(16, S.latent, seed=4)), birds.draw(8, generator=generator(5)).x]),
            cols=8,
            titles=["generated"] * 16 + ["real"] * 8,
            width=7.4,
        ),
        alt="Two rows of eight generated birds and one row of real ones.",
    )


# %% tags=["nbval-ignore-output"]
@torch.no_grad()
def birds_from(w: Tensor) -> Tensor:
    return torch.cat([S.synthesise(part) for part in w.split(256)]).clamp(-1, 1)


real = birds.draw(1000, generator=generator(6)).x
fakes = birds_from(S.map(noise(1000, S.latent, seed=7)))
other = birds.draw(1000, generator=generator(8)).x
features = [read_birds.features(x) for x in (real, fakes, other)]
sizes = [len(values) for values in birds.names.values()]
print(
    f"Frechet distance to real birds: generated {frechet_distance(features[0], features[1]):.2f}, other real ones {frechet_distance(features[0], features[2]):.2f}"
)
print("entropy of each attribute, as a share of the largest possible:")
shares = [attribute_entropy(read_birds.read(x), sizes) / torch.tensor(sizes).double().log() for x in (real, fakes)]
for name, a, b in zip(birds.names, *shares):
    print(f"  {name:8} real {a:.2f}   generated {b:.2f}")

# %% [markdown]
# ### Style mixing
#
# Take two birds A and B. Layers below the switch get A's style, those from the switch on B's. What does the child inherit from whom?


# %% tags=["covers:H-07"]
@torch.no_grad()
def sheet(switch: int) -> Tensor:
    """Bird A of each row, bird B of each column, and their children."""
    A, B = S.map(noise(3, S.latent, seed=10)), S.map(noise(5, S.latent, seed=13))
    blank = torch.ones(1, 3, 32, 32)
    rows = [torch.cat([blank, S.synthesise(B)])]
    for a in A:
        first = a.expand(len(B), -1)
        rows.append(torch.cat([S.synthesise(a[None]), S.synthesise(S.mix(first, B, from_layer=switch))]))
    return torch.cat(rows)


def mixed(switch: int):
    titles = [""] + ["B"] * 5 + (["A"] + [f"A below {switch}, then B"] * 5) * 3
    return pictures(sheet(switch).clamp(-1, 1), cols=6, titles=titles, width=7.4)


explore(
    mixed,
    alt="Birds A in the first column, birds B in the first row, and their children whose layers from {switch} on have B's style.",
    static=[{"switch": 2}, {"switch": 4}],
    switch=Slider(0, 8, 1, 4, "B's style from layer"),
)

# %% [markdown]
# With the oracle this becomes a curve. For pairs of birds that differ in an attribute: how often does the child have A's value, how often B's?


# %% tags=["covers:H-07"]
@torch.no_grad()
def inheritance(switch: int, pairs: int = 500, seed: int = 20) -> Tensor:
    """(A,) for each attribute: share of children that have B's value, of those that have A's or B's, where the two differ."""
    A, B = S.map(noise(pairs, S.latent, seed)), S.map(noise(pairs, S.latent, seed + 1))
    a, b, child = (read_birds.read(birds_from(w)) for w in (A, B, S.mix(A, B, from_layer=switch)))
    differ = a != b
    like_b = (differ & (child == b)).sum(0).double()
    return like_b / (differ & ((child == a) | (child == b))).sum(0)


follows = torch.stack([inheritance(k) for k in range(9)])  # (9, A)
fig, ax = figure(width=6.8, height=3.2)
lines(
    ax,
    range(9),
    {name: 100 * follows[:, i] for i, name in enumerate(birds.names)},
    xlabel="B's style from this layer on (8: nowhere)",
    ylabel="children like B (%)",
    legend=False,
)
ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
show(
    fig,
    alt="Share of children with B's attribute against the layer from which B's style is used: it falls early for size and facing, late for the colours.",
)
assert (follows[0] == 1).all() and (follows[8] == 0).all()

# %% tags=["covers:H-07"]
half = {
    name: int((follows[:, i] > 0.5).sum()) for i, name in enumerate(birds.names)
}  # the first switch at which most are like A
print("first switch at which most children are like A:", half)

# %% [markdown]
# ### Truncation in w
#
# Where $w$ is unusual the training data were few, and the pictures are poor. So pull every style towards the mean $\bar w$:
#
# $$w'=\bar w+\psi\,(w-\bar w)$$
#
# At $\psi=1$ nothing happens. At $\psi=0$ every $z$ gives the same picture, the mean bird. In between, quality is bought with variety.

# %% tags=["covers:H-07"]
z = noise(8, S.latent, seed=30)
with torch.no_grad():
    assert torch.equal(S(z, psi=1.0), S(z))
    mean_bird = S.synthesise(S.mean_w[None])
    assert torch.allclose(S(z, psi=0.0), mean_bird.expand(8, -1, -1, -1), atol=1e-5)
    PSI = [1.0, 0.7, 0.4, 0.0]
    show(
        pictures(
            torch.cat([S(z, psi=psi) for psi in PSI]).clamp(-1, 1),
            cols=8,
            titles=[f"psi {psi}" for psi in PSI for _ in range(8)],
            width=7.4,
        ),
        alt="Eight birds at psi 1, 0.7, 0.4 and 0: they become more and more alike, and at 0 all are the same bird.",
    )

# %% tags=["covers:H-07"]
levels = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
with torch.no_grad():
    styles = S.map(noise(600, S.latent, seed=31))
    spread = [diversity(read_birds.features(birds_from(S.truncate(styles, psi)))) for psi in levels]
assert spread == sorted(spread) and spread[0] < 1e-3 * spread[-1]
print("psi      variety (mean distance of two birds in the oracle's features, 1 at psi = 1)")
for psi, value in zip(levels, spread):
    print(f"{psi:.1f}     {value / spread[-1]:.2f}")

# %% [markdown]
# ### What the noise is for
#
# Each layer also receives a map of plain noise, the same for all feature maps up to a learnt strength. It is meant for what nobody cares about: where exactly
# each hair lies. To see what it decides, hold $w$ and draw the noise again, many times.

# %% tags=["nbval-ignore-output"]
with torch.no_grad():
    w = S.map(noise(4, S.latent, seed=33))
    by_noise, shown = deviation_of_noise(S, w), S.synthesise(w).clamp(-1, 1)
    by_style = S.synthesise(S.map(noise(200, S.latent, seed=34))).std(0).mean(0)
fig, axes = figure(1, 5, width=8.4, height=1.9)
for ax, image in zip(axes, shown):
    picture(ax, image, "generated")
heatmap(axes[4], by_noise.mean(0), label="std. deviation", title="by noise alone")
axes[4].set_axis_off()
show(fig, alt="Four generated birds, and a map of the standard deviation that fresh noise causes in each pixel.")
print(f"standard deviation of a pixel: {by_noise.mean():.3f} by noise, {by_style.mean():.3f} by style")

# %% [markdown]
# ## 3. BigGAN: classes, and a knob
#
# Brock et al. (2019) trained a residual generator on the thousand classes of ImageNet, with batches of 2,048. Three of their parts fit into a small one.
#
# - **Class-conditional batch norm.** After normalising, gain and bias are linear in a code: an embedding of the class, and a piece of $z$. It is
#   AdaIN's sibling: statistics over the batch instead of over the picture.
# - **Projection discriminator.** $D(x,y)=\psi(\phi(x))+\langle e(y),\phi(x)\rangle$: a plain opinion, and one on whether the class fits.
# - **Truncated noise.** Train with $z\sim N(0,I)$; to sample, draw every entry again that lies outside $[-t,t]$.
#
# Ours draws digits of 32 pixels, after six minutes on one core (`python benchmarks/train_larger.py classes`).

# %%
C = load_classes()
digits, read_digits = world("digits"), oracle("digits")
every = torch.arange(10).repeat(4)
with torch.no_grad():
    show(
        pictures(C(noise(40, C.latent, seed=40), every), cols=10, width=7.4),
        alt="Four rows of generated digits; column k was asked for the digit k.",
    )

# %% tags=["covers:H-08"]
z = truncated_noise(2000, C.latent, 0.5, generator=generator(41))
assert z.abs().max() <= 0.5
first = C.blocks[0].norm1
code = torch.cat([noise(10, C.piece, 42), C.embed(torch.arange(10))], 1)
maps = torch.randn(10, C.maps[0], 4, 4, generator=generator(43))
with torch.no_grad():
    told = first(maps, code)
    by_hand = first.norm(maps) * (1 + first.gain(code))[:, :, None, None] + first.bias(code)[:, :, None, None]
assert torch.allclose(told, by_hand, atol=1e-6)
print("no entry of the truncated noise beyond 0.5; a class reaches a block as one gain and one bias for each map")

# %% [markdown]
# What does the knob do? For each threshold $t$: the share of digits that the oracle reads as the class we asked for, how sure it is, and how different two digits of
# one class are. One trap first. Batch norm has remembered the statistics of *untruncated* noise. Truncated noise has others, so they are
# measured anew for each threshold ("standing statistics", the paper's appendix).


# %% tags=["covers:H-08", "nbval-ignore-output"]
@torch.no_grad()
def trade(threshold: float, seed: int, *, standing: bool = True) -> tuple[float, float, float]:
    """Share read as asked, mean probability of the class asked for, mean distance of two digits of one class."""
    net, own = load_classes(), generator(seed)
    if standing:
        standing_statistics(
            net, lambda: (truncated_noise(200, net.latent, threshold, generator=own), torch.arange(200) % 10), batches=5
        )
    asked = torch.arange(10).repeat_interleave(50)
    x = net(truncated_noise(500, net.latent, threshold, generator=own), asked)
    p = read_digits.logits(x)["digit"].softmax(1)
    rows = read_digits.features(x).view(10, 50, -1)
    within = sum(diversity(row) for row in rows) / 10
    return (p.argmax(1) == asked).double().mean().item(), p.gather(1, asked[:, None]).mean().item(), within


THRESHOLDS = [0.1, 0.4, 0.8, 1.5, 2.5]
table = torch.tensor([[trade(t, seed=50 + s) for t in THRESHOLDS] for s in range(3)])  # (3 seeds, thresholds, 3)
fig, axes = figure(1, 2, width=7.4, height=2.8)
for ax, k, label in ((axes[0], 1, "mean probability of the class"), (axes[1], 2, "distance within a class")):
    ax.plot(THRESHOLDS, table[:, :, k].mean(0), marker="o", color=PALETTE[1])
    ax.fill_between(
        THRESHOLDS, table[:, :, k].amin(0), table[:, :, k].amax(0), color=PALETTE[1], alpha=0.15, linewidth=0
    )
    ax.set(xlabel="threshold t of the noise", ylabel=label)
axes[0].set_title("quality")
axes[1].set_title("variety")
show(
    fig,
    alt="Left: the probability of the class falls as the threshold grows. Right: the distance between digits of one class rises with the threshold.",
)
print("threshold   read as asked   probability   distance within a class")
for t, row in zip(THRESHOLDS, table.mean(0).tolist()):
    print(f"{t:9.1f}   {row[0]:13.3f}   {row[1]:11.3f}   {row[2]:23.2f}")

# %% tags=["covers:H-08"]
low, high = table[:, 1], table[:, -1]  # t = 0.4 and t = 2.5, each (3 seeds, 3)
assert (low[:, 2] < 0.8 * high[:, 2]).all()  # less variety
assert (low[:, 1] > high[:, 1]).all()  # a higher class score
print("truncation lowers variety and raises the class score, at each of 3 seeds:", True)

# %% [markdown]
# It does not have to be so. Truncation helps if the middle of the noise makes the best pictures of a class; a network whose middle is poor gets worse. Brock et al. report that only
# 16 % of their models could be truncated without artefacts, and 60 % when a regulariser kept their weights nearly orthogonal.

# %%
rows = []
with torch.no_grad():
    for t in (2.5, 0.6, 0.1):
        net, own = load_classes(), generator(61)
        standing_statistics(
            net, lambda: (truncated_noise(200, net.latent, t, generator=own), torch.arange(200) % 10), batches=5
        )
        rows.append(net(truncated_noise(20, net.latent, t, generator=generator(62)), torch.tensor([2] * 10 + [7] * 10)))
x = torch.cat([torch.cat([row[:5], row[10:15]]) for row in rows])
show(
    pictures(x, cols=10, titles=[f"t = {t}" for t in (2.5, 0.6, 0.1) for _ in range(10)], width=7.4),
    alt="Five twos and five sevens at thresholds 2.5, 0.6 and 0.1: at 0.1 all twos look alike, and all sevens.",
)

# %% [markdown]
# ## 4. Ten years on one page
#
# Numbers as the papers report them. A Fréchet distance depends on the data set, its edge, the number of samples and the network that makes the features: compare
# only within one row of the same data, and never with the distances of this notebook, which use our own oracles.

# %% tags=["covers:H-09"]
TIMELINE = [
    # year, network, edge in pixels, data, what the paper reports
    (2014, "GAN", 32, "CIFAR-10", "no such distance yet"),
    (2015, "LAPGAN", 96, "STL-10", "people took 40 % of its CIFAR-10 samples for real"),
    (2016, "DCGAN", 64, "LSUN bedrooms", "samples, and 82.8 % on CIFAR-10 with its features"),
    (2018, "progressive growing", 1024, "CelebA-HQ", "Inception score 8.80 on CIFAR-10"),
    (2019, "BigGAN", 512, "ImageNet", "at 128 px: Inception score 52.5 -> 166.5, FID 18.65 -> 7.4"),
    (2019.3, "StyleGAN", 1024, "FFHQ", "FID 4.40; progressive growing 8.04 there"),
    (2020, "StyleGAN2", 1024, "FFHQ", "FID 2.84"),
    (2022, "StyleGAN-XL", 1024, "ImageNet", "at 256 px: FID 2.30; the diffusion model ADM 4.59 (2021)"),
    (2023, "GigaGAN", 512, "text and pictures", "a billion weights, 0.13 s a picture"),
]
fig, ax = figure(width=7.6, height=3.0)
ax.plot([row[0] for row in TIMELINE], [row[2] for row in TIMELINE], "o", color=PALETTE[1])
for year, name, edge, *_ in TIMELINE:
    ax.annotate(
        name,
        (year, edge),
        xytext=(0, -13 if name in ("progressive growing", "StyleGAN2", "DCGAN", "BigGAN") else 7),
        textcoords="offset points",
        ha="center",
        fontsize=8,
    )
ax.set_yscale("log", base=2)
ax.set_yticks([32, 64, 128, 256, 512, 1024], ["32", "64", "128", "256", "512", "1024"])
ax.set(
    xlabel="year of publication", ylabel="edge of the largest pictures (pixels)", xlim=(2013.3, 2024), ylim=(22, 1600)
)
show(
    fig,
    alt="Edge of generated pictures against the year: 32 pixels in 2014, 64 and 96 in 2015 and 2016, 1024 from 2018 on.",
)
for year, name, edge, data_set, report in TIMELINE:
    print(f"{int(year)}  {name:20} {edge:5} px  {data_set:18} {report}")

# %% [markdown]
# Between 2016 and 2018 the edge grew by sixteen. After that it was no longer the edge that counted, but variety: faces first, then a thousand classes, then anything
# that can be said. Since 2021 diffusion models lead most tables. GANs remain where a picture has to come out of a single pass.
#
# ## What to remember
#
# 1. Growing is exact: at $\alpha=0$ the larger network is the smaller one, and $\alpha$ moves it away continuously. Fade the data, too.
# 2. Equalised rates scale the weights when they are used, so that one step of Adam is the same part of every layer.
# 3. AdaIN sets mean and deviation of each map, so a style speaks for one layer. Coarse layers decide shape, fine ones colours.
# 4. Truncation, in $w$ or in $z$, is a knob between quality and variety. A single number that is quoted without its setting says little.
# 5. Batch norm remembers the noise it was trained with. Other noise needs other statistics.
#
# ## Quiz
#
# **1.** At $\alpha=0$, does the new block receive a gradient?
# <details><summary>Answer</summary>Through the picture, no: its share of the output is 0, and so is its gradient. It begins to learn with the first step at which α is above 0.
# The old toRGB layer, in turn, learns for the last time just before α reaches 1.</details><br>
#
# **2.** You double each weight of the convolution before an AdaIN layer (no noise, no bias). What happens to the picture?
# <details><summary>Answer</summary>Nothing, for LeakyReLU is positively homogeneous and the normalisation divides by the deviation. The only thing that changes is
# the step size: relative to the weight it is halved.</details><br>
#
# **3.** Two networks, FID 4.4 at ψ = 1 and FID 6.0 at ψ = 0.7. Which is better?
# <details><summary>Answer</summary>These numbers do not say. Truncation lowers variety, and FID punishes that; the pictures at 0.7 may well look better than at 1. Compare at equal
# ψ, or compare whole curves.</details><br>
#
# **4.** Why must the entries of truncated noise be drawn again, and not clipped?
# <details><summary>Answer</summary>Clipping piles up mass at ±t: at t = 0.5 more than 60 % of the entries would have one of two values. The network has never seen such
# corners.</details><br>
#
# **5.** Our style-based generator has six minutes of training, and its noise does little. Is that a bug?
# <details><summary>Answer</summary>Not by itself: the strengths begin at 0 and are learnt, and our birds have no hair to be placed at random. In the paper, noise moves curls, stubble
# and background.</details>
#
# ## Exercises
#
# In the assignment of this unit: fading on the discriminator's side, AdaIN with statistics measured on another picture, truncation in some of the layers. **Back to** notebook 5.1 for
# the network that all these grew from, 5.2 for what it knows.
#
# ## References
#
# - Karras, Aila, Laine, Lehtinen, *Progressive growing of GANs for improved quality, stability, and variation*, ICLR 2018.
# - Karras, Laine, Aila, *A style-based generator architecture for generative adversarial networks*, CVPR 2019; Karras et al., *Analyzing and improving the image
#   quality of StyleGAN*, CVPR 2020.
# - Huang, Belongie, *Arbitrary style transfer in real-time with adaptive instance normalization*, ICCV 2017.
# - Brock, Donahue, Simonyan, *Large scale GAN training for high fidelity natural image synthesis*, ICLR 2019.
# - Miyato, Koyama, *cGANs with projection discriminator*, ICLR 2018.
# - Denton et al., *Deep generative image models using a Laplacian pyramid of adversarial networks*, NIPS 2015; Radford, Metz, Chintala, *Unsupervised
#   representation learning with deep convolutional generative adversarial networks*, ICLR 2016.
# - Dhariwal, Nichol, *Diffusion models beat GANs on image synthesis*, NeurIPS 2021; Sauer, Schwarz, Geiger, *StyleGAN-XL*, SIGGRAPH 2022; Kang et al., *Scaling up GANs for
#   text-to-image synthesis*, CVPR 2023.
# - HKUST, *Advanced Deep Learning Architectures: Generative Adversarial Networks*; Rice University, *Deep Learning for Vision & Language*; Maastricht University, *Deep
#   learning for agents, Part 2*: lecture slides.
