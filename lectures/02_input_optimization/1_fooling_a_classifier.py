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
# # 2.1 Fooling a classifier
#
# Training changes the weights until the network says the right thing about an image. Nothing stops us from holding the weights
# still and changing the *image* until the network says what we like. The gradient is one line of code away. What comes out is
# at times a picture of what the network looks for, and more often proof that it does not look at what we thought.
#
# After this notebook you can
#
# - take the gradient of a loss with respect to an image, and leave the network exactly as it was;
# - make any picture an ostrich, with or without a limit on how far a pixel may move;
# - tell a plain gradient step from a sign step, and say which norm each one spends;
# - drive noise to 99.99 % confidence, and say why that takes the log loss and not the probability;
# - train a network that withstands the attack, and measure what that costs.
#
# **Reading time** 40 minutes. **Running time** about 80 seconds on two cores.
#
# | symbol | meaning | shape |
# |---|---|---|
# | $I$ | images, values in $[-1,1]$ | (N, C, H, W) |
# | $w$ | the weights, held still in this notebook | |
# | $y=f(I;w)$ | logits of K classes | (N, K) |
# | $p_c=\text{softmax}(y)_c$ | what the network calls the probability of class $c$ | (N,) |
# | $L(y,c)=-\log p_c$ | log loss, also called cross-entropy | (N,) |
# | $\lambda$ | step size for the *image* | |
# | $\varepsilon$ | how far a pixel may move; given in grey levels, one level is 2/255 | |
#
# **Recipe card**
#
# | Inputs / outputs | Architecture | Loss |
# |---|---|---|
# | an image and a class / another image | any trained classifier, its weights fixed | log loss of the wanted class, or minus that of the true one |

# %%
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coursekit.datasets.worlds import world
from coursekit.errors import DataAbsent
from coursekit.models.dreamnet import load_second
from coursekit.models.pretrained import load_pretrained
from coursekit.plots import PALETTE, confidence, figure, lines, picture, pictures, show, use_style
from coursekit.runtime import generator, seeded
from coursekit.training.progress import track
from coursekit.widgets import Choice, Slider, explore

use_style()
torch.set_num_threads(1)  # these networks are small: a second thread would mostly wait
LEVEL = 2 / 255  # one grey level, in images from -1 to 1

# %% [markdown]
# ## 1. What we have been doing: change the weights
#
# $$y=f(I;w)\qquad L=L(y,\,c)\qquad w\leftarrow w-\lambda\,\frac{\partial L}{\partial w}$$
#
# A small convolutional network learns digits. The digits are rendered, so there is no end of them, and their truth is known.


# %% tags=["covers:C-01"]
def small_cnn(seed: int) -> nn.Sequential:
    """Digits (N, 1, 28, 28) -> logits (N, 10)."""
    with seeded(seed):
        return nn.Sequential(
            nn.Conv2d(1, 16, 5, stride=2, padding=2), nn.ReLU(),
            nn.Conv2d(16, 32, 5, stride=2, padding=2), nn.ReLU(), nn.Flatten(),
            nn.Linear(32 * 7 * 7, 128), nn.ReLU(), nn.Linear(128, 10),
        )  # fmt: skip


def accuracy(net: nn.Module, x: Tensor, c: Tensor) -> float:
    with torch.no_grad():
        return (net(x).argmax(1) == c).float().mean().item()


def learn(net: nn.Module, x: Tensor, c: Tensor, *, seed: int, epochs: int = 6, disturb=None, label: str = "training") -> nn.Module:
    """Adam on the log loss, in batches of 64; `disturb(net, x, c)` may change a batch first (section 9)."""
    descent, g = torch.optim.Adam(net.parameters(), lr=1e-3), generator(1000 + seed)
    for batch in track([b for _ in range(epochs) for b in torch.randperm(len(x), generator=g).split(64)], label):
        xb = x[batch] if disturb is None else disturb(net, x[batch], c[batch])
        loss = F.cross_entropy(net(xb), c[batch])
        descent.zero_grad()
        loss.backward()
        descent.step()
    return net.eval().requires_grad_(False)


digits = world("digits")
train_set, test_set = digits.draw(6000, generator=generator(0)), digits.draw(1000, generator=generator(1))
X, C = train_set.x, train_set.labels[:, 0]
x_test, c_test = test_set.x, test_set.labels[:, 0]

digit_net = learn(small_cnn(seed=0), X, C, seed=0, label="digits, plain training")
clean = accuracy(digit_net, x_test, c_test)
assert clean >= 0.97
print(f"test accuracy on 1,000 digits never seen: at least 97 %: {clean >= 0.97}")

# %% [markdown]
# ## 2. Turn the equation round: change the image
#
# Freeze $w$. Name a class $c$ that the image does *not* show, and descend the loss of that class along the image:
#
# $$I\leftarrow I-\lambda\,\frac{\partial L(y,\,c)}{\partial I}$$
#
# The minus sign and the *wanted* class belong together. From here on the victim is a network that knows 18 kinds of things. It was
# trained in the plain way on rendered pictures of 64 × 64 pixels (`benchmarks/train_dreamnet.py`), and it is good at them.

# %%
things = world("things")
names = things.names["thing"]
net = load_second()  # eval mode, and no gradient for its weights
OSTRICH, BUS, METER = names.index("ostrich"), names.index("bus"), names.index("parking meter")

kinds = torch.tensor([BUS, names.index("cat"), names.index("house"), names.index("fish"), names.index("tree"), METER, names.index("wheel"), names.index("bird")])
shown = things.render(kinds[:, None], generator=generator(3))
said = net(shown).softmax(1)
show(
    pictures(shown, cols=8, titles=[f"{names[k]}\n{p:.0%}" for p, k in zip(*said.max(1))], width=8.4),
    alt="Eight rendered pictures (bus, cat, house, fish, tree, parking meter, wheel, bird) with the class and probability that the network gives.",
)


# %% tags=["covers:C-02"]
def image_gradient(net: nn.Module, I: Tensor, c: Tensor) -> Tensor:
    """dL/dI (N, C, H, W), where L is each image's own log loss: a sum over the batch, so that no image waters down another's.

    `backward` leaves a gradient in everything that asks for one. Our networks are frozen, so that is the image alone.
    """
    free = I.clone().requires_grad_()
    F.cross_entropy(net(free), c, reduction="sum").backward()
    return free.grad


def probability(net: nn.Module, I: Tensor, c: Tensor) -> Tensor:
    with torch.no_grad():
        return net(I).softmax(1).gather(1, c[:, None])[:, 0]


def optimise(net: nn.Module, I: Tensor, c: Tensor, *, steps: int = 50, rate: float = 8.0, enough: float = 1.0) -> Tensor:
    """Plain gradient descent on the image, towards class c, until p_c > enough; a negative rate ascends."""
    for _ in range(steps):
        busy = probability(net, I, c) <= enough
        I = torch.where(busy.view(-1, 1, 1, 1), (I - rate * image_gradient(net, I, c)).clamp(-1, 1), I)
    return I


wanted = torch.full_like(kinds, OSTRICH)
before = {name: value.clone() for name, value in net.state_dict().items()}
ostriches = optimise(net, shown, wanted, enough=0.99)
reached = probability(net, ostriches, wanted)

assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())  # not a bit of the network has moved
assert (reached > 0.99).all()
backwards = probability(net, optimise(net, shown, wanted, steps=5, rate=-8.0), wanted)
assert (backwards < probability(net, shown, wanted)).all()  # the sign trap: + instead of - drives the target away
print("every picture an ostrich with p > 0.99 within 50 steps:", bool((reached > 0.99).all()))
print("with + in place of -, the ostrich's probability falls in", int((backwards < probability(net, shown, wanted)).sum()), "of 8 pictures")

# %%
change = ostriches - shown
rows = torch.cat([shown, (5 * change).clamp(-1, 1), ostriches])
titles = [names[k] for k in kinds] + [f"norm {d:.1f}" for d in change.flatten(1).norm(dim=1)] + [f"ostrich\n{p:.1%}" for p in reached]
show(
    pictures(rows, cols=8, titles=titles, width=7.4),
    alt="Three rows of eight: the pictures, the change five times enlarged, which looks like coloured noise on the outlines, and the changed pictures, all called ostrich.",
    colours=128,
)

# %% [markdown]
# *All get predicted as ostrich.* The first row and the third differ (the lightest changes are the hardest to see), but nobody would call
# any of them an ostrich. And the network is as it was: it was wrong about these pictures before we came.
#
# ## 3. Report it as the slide does
#
# One lecture slide shows a picture under the words "parking meter: 0.999679". The number is the probability that the optimisation
# reached, and it takes any value that one has the patience for.

# %% tags=["covers:C-07"]
meter = torch.full((1,), METER)
I = optimise(net, shown[:1], meter, steps=400, rate=16.0, enough=0.999)
p = probability(net, I, meter).item()
assert p > 0.999
print(f"a bus after at most 400 steps   parking meter: {p:.6f}")

# %% [markdown]
# ## 4. Stay close to the original
#
# A change is only alarming if it is small. So bound it: no pixel may move by more than $\varepsilon$. The images within
# reach form a box around the original, and after each step we go back to the nearest point of the box. That is a clamp per pixel,
# *projected* gradient descent. As the box is measured by its largest entry, it pays to move every pixel equally far, and the step
# takes the sign of the gradient (next section).


# %% tags=["covers:C-03"]
def stay_close(I: Tensor, original: Tensor, eps: float) -> Tensor:
    """The nearest image within eps of the original, pixel by pixel, that is still an image."""
    return (original + (I - original).clamp(-eps, eps)).clamp(-1, 1)


def iterate(net: nn.Module, original: Tensor, c: Tensor, eps: float, *, towards: bool, steps: int = 10, start: Tensor | None = None) -> Tensor:
    """Projected sign steps towards class c, or away from it."""
    I = original if start is None else start
    sign = -1 if towards else 1
    for _ in range(steps):
        I = stay_close(I + sign * 2.5 * eps / steps * image_gradient(net, I, c).sign(), original, eps)
    return I


eps = 8 * LEVEL
pool = things.draw(120, generator=generator(4))
truth = pool.labels[:, 0]
right = net.read(pool.x) == truth
x_things, c_things = pool.x[right], truth[right]
attacked = iterate(net, x_things, c_things, eps, towards=False)
flipped = (net.read(attacked) != c_things).float().mean().item()
largest = (attacked - x_things).abs().max().item()

assert largest <= eps + 1e-6
assert flipped >= 0.9
print(f"no pixel moved by more than {largest / LEVEL:.1f} of 255 levels")
print(f"at least 90 % of the pictures that were read correctly are now misread: {flipped >= 0.9}")

# %%
some = [int((c_things == k).nonzero()[0]) for k in (BUS, METER, OSTRICH, names.index("cat"), names.index("tree"), names.index("eye"))]
seen = torch.cat([x_things[some], ((attacked - x_things)[some] / eps), attacked[some]])
titles = [names[k] for k in c_things[some]] + ["change"] * 6 + [names[k] for k in net.read(attacked[some])]
show(
    pictures(seen, cols=6, titles=titles, width=7.4),
    alt="Six pictures, their change stretched to full contrast, and the sum, which looks like the original but is given another class.",
    colours=128,
)

# %% [markdown]
# ## 5. One step is often enough: the sign of the gradient
#
# Goodfellow, Shlens and Szegedy (2015) ask: if each pixel may move by $\varepsilon$ at most, which change raises the loss most, as
# far as the tangent can tell? The loss grows by $\langle g,\,\delta\rangle$ with $g=\partial L/\partial I$, and
#
# $$\max_{\lVert\delta\rVert_\infty\le\varepsilon}\langle g,\delta\rangle=\varepsilon\lVert g\rVert_1,\quad\text{reached at}\quad
# \delta=\varepsilon\,\mathrm{sign}(g):\qquad I'=I+\varepsilon\,\mathrm{sign}\Big(\frac{\partial L(y,c)}{\partial I}\Big)$$
#
# That is the *fast gradient sign method*, FGSM. (The slides credit its authors and print the plain step of section 2, which is the answer to
# another question: the best change of a given *Euclidean* length.) Note the plus: $c$ is now the true class, and its loss shall rise.


# %% tags=["covers:C-04"]
def fgsm(net: nn.Module, I: Tensor, c: Tensor, eps: float) -> Tensor:
    return I + eps * image_gradient(net, I, c).sign()  # leave out the clamp here, to see the norm


g = image_gradient(net, x_things, c_things).flatten(1)
delta = (fgsm(net, x_things, c_things, eps) - x_things).flatten(1)
moved = g != 0
assert torch.allclose(delta.abs()[moved], torch.tensor(eps), atol=1e-6)  # exactly eps, wherever there is a gradient
assert torch.allclose((g * delta).sum(1), eps * g.norm(p=1, dim=1), rtol=1e-4)  # the best that a box allows
plain = g * (delta.norm(dim=1) / g.norm(dim=1))[:, None]  # the plain step of the same Euclidean length
assert ((g * plain).sum(1) >= (g * delta).sum(1) - 1e-5).all()  # the best that a ball allows
spread = (plain.abs().amax(1) / eps).median().item()
print(f"a plain step of the same length moves its most-moved pixel {spread:.0f} times as far")

# %% tags=["covers:C-04"]
LEVELS = [0, 2, 4, 8, 12, 16]
SEEDS = range(3)


def curve(attack) -> Tensor:
    """Accuracy over LEVELS for fresh pictures of each seed, (3, 6)."""
    table = []
    for seed in SEEDS:
        fresh = things.draw(60, generator=generator(50 + seed))
        c = fresh.labels[:, 0]
        table.append([accuracy(net, attack(fresh.x, c, n * LEVEL, seed).clamp(-1, 1), c) for n in LEVELS])
    return torch.tensor(table)


def same_length(x: Tensor, c: Tensor, eps: float, seed: int) -> Tensor:
    """The plain gradient step as long as FGSM's."""
    g = image_gradient(net, x, c)
    return x + eps * (x[0].numel() ** 0.5) * g / g.flatten(1).norm(dim=1).clamp_min(1e-12).view(-1, 1, 1, 1)


curves = {
    "random signs": curve(lambda x, c, e, seed: x + e * torch.randn(x.shape, generator=generator(seed)).sign()),
    "FGSM, one step": curve(lambda x, c, e, seed: fgsm(net, x, c, e)),
    "plain step, same length": curve(same_length),
    "10 projected sign steps": curve(lambda x, c, e, seed: iterate(net, x, c, e, towards=False)),
}
fig, ax = figure(width=6.4, height=3.0)
for k, (label, runs) in enumerate(curves.items()):
    confidence(ax, LEVELS, 100 * runs, label, k)
ax.set(xlabel="largest change of a pixel, grey levels of 255", ylabel="accuracy (%)", ylim=(0, 103))
ax.legend(loc="lower left")
show(fig, alt="Accuracy against the size of the change: random signs cost nothing, one sign step costs most of it, ten projected steps nearly all of it.")

at_8 = LEVELS.index(8)
assert (curves["FGSM, one step"][:, at_8] < curves["random signs"][:, at_8] - 0.2).all()
assert (curves["10 projected sign steps"][:, at_8] <= curves["FGSM, one step"][:, at_8]).all()

# %% tags=["nbval-ignore-output"]
print("attack success at 8 levels: mean over 3 seeds of pictures, and the range")
for label, runs in curves.items():
    rate = 100 * (1 - runs[:, at_8] / runs[:, 0])
    print(f"  {label:24} {rate.mean():5.1f} %   ({rate.min():.1f} to {rate.max():.1f})")

# %% [markdown]
# Noise of the same size is harmless. What hurts is not the amount of change but its direction: 12,288 numbers, each pushed by a
# hair the way that counts, add up. The plain step of equal Euclidean length is stronger still, as the tangent promises, but it moves some pixels
# many times as far, and these one can see. Where no pixel may go beyond $\varepsilon$, several small sign steps are the better use of the box.
#
# **Try it.** The same picture, more and more of the same change, and the network's opinion of it.


# %%
def opinion(kind: str, levels: int, attack: str):
    """Picture, change and the five most likely classes."""
    c = torch.tensor([names.index(kind)])
    x = things.render(c[:, None], generator=generator(11))
    e = levels * LEVEL
    made = {
        "one sign step": lambda: fgsm(net, x, c, e).clamp(-1, 1),
        "10 sign steps": lambda: iterate(net, x, c, e, towards=False) if levels else x,
        "10 towards ostrich": lambda: iterate(net, x, torch.full_like(c, OSTRICH), e, towards=True) if levels else x,
        "random signs": lambda: (x + e * torch.randn(x.shape, generator=generator(0)).sign()).clamp(-1, 1),
    }[attack]()
    p, order = net(made).softmax(1)[0].sort(descending=True)
    fig, (left, middle, right) = figure(1, 3, width=8.0, height=2.5, gridspec_kw={"width_ratios": [1, 1, 1.5]})
    picture(left, made[0], f"{kind}, {levels} levels")
    picture(middle, ((made - x)[0] / max(e, LEVEL)).clamp(-1, 1), "the change, full contrast")
    colours = [PALETTE[3] if names[k] == kind else PALETTE[2] for k in order[:5]]
    right.barh([names[k] for k in order[:5]], 100 * p[:5], color=colours, hatch="")
    right.invert_yaxis()
    right.set(xlabel="probability (%)", xlim=(0, 100), title="the network's opinion")
    return fig


explore(
    opinion,
    alt="A picture of a {kind} changed by {attack} of {levels} grey levels, the change alone, and the five classes that the network finds most likely.",
    static=[
        {"kind": "bus", "levels": 0, "attack": "10 towards ostrich"},
        {"kind": "bus", "levels": 4, "attack": "10 towards ostrich"},
        {"kind": "bus", "levels": 12, "attack": "10 towards ostrich"},
        {"kind": "cat", "levels": 12, "attack": "random signs"},
    ],
    kind=Choice(list(names), "bus", label="what it is"),
    levels=Slider(0, 24, 1, 4, label="grey levels"),
    attack=Choice(["one sign step", "10 sign steps", "10 towards ostrich", "random signs"], "10 towards ostrich"),
)

# %% [markdown]
# ## 6. Probability or log loss: one direction, two lengths
#
# Nguyen, Yosinski and Clune (2015) *ascend the softmax output* $p_c$; section 2 *descends the log loss*. By the chain rule
#
# $$\frac{\partial}{\partial I}\big(-\log p_c\big)=-\frac1{p_c}\,\frac{\partial p_c}{\partial I}$$
#
# so both point the same way, and their lengths differ by the factor $1/p_c$. From a random image $p_c$ may be $10^{-6}$: then the gradient of the
# probability is a million times shorter, and the ascent does not get off the ground. A third choice, the logit $y_c$ itself, never
# saturates, but it also rises when *all* logits rise, so it points elsewhere.


# %% tags=["covers:C-08"]
def gradient_of(score, I: Tensor) -> Tensor:
    I = I.detach().requires_grad_()
    return torch.autograd.grad(score(I).sum(), I)[0]


exact = small_cnn(0).double()
exact.load_state_dict(digit_net.state_dict())
noise = 0.1 * torch.randn(10, 1, 28, 28, generator=generator(2), dtype=torch.float64)
every = torch.arange(10)


def p_of(I: Tensor) -> Tensor:
    return exact(I).softmax(1).gather(1, every[:, None])[:, 0]


by_probability = gradient_of(p_of, noise)
by_log_loss = gradient_of(lambda I: F.cross_entropy(exact(I), every, reduction="none"), noise)
by_logit = gradient_of(lambda I: exact(I).gather(1, every[:, None]), noise)

p = p_of(noise).detach()
assert torch.allclose(by_log_loss, -by_probability / p.view(-1, 1, 1, 1), rtol=1e-8)
cosine = F.cosine_similarity(by_log_loss.flatten(1), -by_logit.flatten(1))
assert (cosine < 0.99).all()
print("-grad(log p) = -grad(p) / p for all ten classes: True")
print(f"the gradient of the logit points elsewhere: its cosine with that of the log loss is below 0.99 in {int((cosine < 0.99).sum())} of 10")

# %%
STEPS = 200


def climb(score, I: Tensor, rate: float) -> Tensor:
    """p of the class after each step of plain ascent on `score`, (N, STEPS)."""
    trail = []
    for _ in range(STEPS):
        I = I + rate * gradient_of(score, I)
        trail.append(p_of(I).detach())
    return torch.stack(trail, 1)


rare = p.argmin()  # the class that the noise resembles least
trails = {
    "ascend the probability": climb(p_of, noise, 1.0)[rare],
    "descend the log loss": climb(lambda I: -F.cross_entropy(exact(I), every, reduction="none"), noise, 1.0)[rare],
}
fig, ax = figure(width=6.0, height=2.6)
lines(ax, range(1, STEPS + 1), trails, xlabel="step, of equal rate 1.0", ylabel="probability of the class")
ax.set(yscale="log")
show(fig, alt="Probability over 200 steps on a log scale: descending the log loss reaches 1 within a few steps, ascending the probability stays near where it began.")
assert trails["descend the log loss"][-1] > 0.9 > trails["ascend the probability"][5]

# %% [markdown]
# ## 7. Fooling images: certainty about nothing
#
# Nguyen et al. start from the mean of the training images plus noise, and climb until the network is sure to 99.99 %. Their
# figure shows the results *with the mean subtracted*, which is why they look like grey texture. Here are all ten digits.


# %% tags=["covers:C-05"]
MEAN = X.mean(0, keepdim=True)


def fool(net: nn.Module, c: Tensor, seed: int | None, *, sure: float = 0.9999, most: int = 1500) -> tuple[Tensor, Tensor]:
    """From the mean image, plus noise unless seed is None: descend the log loss until p >= sure. Images and steps taken (N,)."""
    I = MEAN.repeat(len(c), 1, 1, 1)
    if seed is not None:
        I = I + 0.5 * torch.randn(I.shape, generator=generator(seed))
    steps = torch.zeros(len(c), dtype=torch.int64)
    for _ in range(most):
        busy = probability(net, I, c) < sure
        if not busy.any():
            break
        I = torch.where(busy.view(-1, 1, 1, 1), (I - 8.0 * image_gradient(net, I, c)).clamp(-1, 1), I)
        steps += busy
    return I, steps


foolish, steps = fool(digit_net, every, seed=0)
sure = probability(digit_net, foolish, every)
assert (sure >= 0.9999).all()


def nearest(a: Tensor, b: Tensor, skip_self: bool = False) -> Tensor:
    """Euclidean distance of each of a (N, ...) to its nearest in b (M, ...)."""
    d = torch.cdist(a.flatten(1), b.flatten(1))
    return (d + torch.diag(torch.full((len(a),), float("inf"))) if skip_self else d).amin(1)


to_real = nearest(foolish, X)
between_real = nearest(X, X, skip_self=True)
other_net = learn(small_cnn(seed=7), X, C, seed=7, label="a second network, another seed")
disagrees = int((other_net(foolish).argmax(1) != every).sum())
show(
    pictures(torch.cat([foolish, (foolish - MEAN).clamp(-1, 1)]), cols=10, titles=[f"{c}: 99.99%" for c in range(10)] + ["− mean"] * 10, width=8.4),
    alt="Ten patterns of black and white blotches, none of them a digit to the eye, each taken for a digit with 99.99 % confidence; below, the same with the mean subtracted.",
)
assert (to_real > between_real.quantile(0.95)).all()
print("all ten classes reach p >= 0.9999:", bool((sure >= 0.9999).all()))
print("each is further from every real digit than 95 % of real digits are from their nearest:", bool((to_real > between_real.quantile(0.95)).all()))

# %% tags=["nbval-ignore-output"]
table = []
for seed in SEEDS:
    images, taken = fool(digit_net, every, seed=seed)
    p = probability(digit_net, images, every)
    agree = (other_net(images).argmax(1) == every).float().mean()
    table.append((p.min().item(), taken.float().mean().item(), agree.item()))
    print(f"seed {seed}: lowest confidence {table[-1][0]:.6f}, {table[-1][1]:.0f} steps on average, a second network agrees on {10 * table[-1][2]:.0f} of 10")
assert min(agree for *_, agree in table) < 1  # it disagrees on some

# %% [markdown]
# ## 8. Why the noise?
#
# The mean image is one image. Without noise the optimisation is a function of it: every run ends at the same place, to the bit, and
# shows one of many images that would do. With noise each run finds another.

# %% tags=["covers:C-13"]
first, _ = fool(digit_net, every, seed=None)
second, _ = fool(digit_net, every, seed=None)
assert torch.equal(first, second)
runs = [fool(digit_net, every, seed=seed)[0] for seed in range(3)]
apart = (runs[0] - runs[1]).flatten(1).norm(dim=1)
assert (apart > 1.0).all()
show(
    pictures(torch.cat([images[:5] for images in (first, *runs)]), cols=5, titles=[f"{c}, no noise" for c in range(5)] + [""] * 15, width=5.0),
    alt="Fooling images of 0 to 4: the first row, without noise, is smooth and the same in every run; three rows with noise differ.",
)
print("without noise two runs agree to the bit:", torch.equal(first, second))

# %% [markdown]
# ## 9. Fool, retrain, repeat
#
# If an attack costs one gradient, the defence can afford it, too: disturb every training batch against the network as it is now, and
# learn from the disturbed batch. This *adversarial training* is a game of two players, one that changes images and one that changes weights:
#
# $$\min_w\;\mathbb E\Big[\max_{\lVert\delta\rVert_\infty\le\varepsilon}L\big(f(I+\delta;w),c\big)\Big]$$
#
# (Madry et al. 2018, equation 2.1). The inner player here takes one sign step from a random start (Wong, Rice and Kolter 2020). Generative adversarial networks
# keep the game and let the first player make images from nothing.


# %% tags=["covers:B-13"]
EPS = 0.2  # a tenth of the way from black to white


def one_step(seed: int):
    """A disturbance for `learn`: a sign step of 1.25 eps from a random point of the box.

    Here the weights do ask for gradients, and get some; `learn` clears them before its own.
    """
    g = generator(seed)

    def disturb(net: nn.Module, x: Tensor, c: Tensor) -> Tensor:
        start = x + EPS * (2 * torch.rand(x.shape, generator=g) - 1)
        return stay_close(start + 1.25 * EPS * image_gradient(net, start, c).sign(), x, EPS)

    return disturb


def robust(net: nn.Module, seed: int) -> float:
    """Accuracy on the test digits under ten projected steps from a random start."""
    start = x_test + EPS * (2 * torch.rand(x_test.shape, generator=generator(seed)) - 1)
    return accuracy(net, iterate(net, x_test, c_test, EPS, towards=False, steps=10, start=start), c_test)


plain_nets = [digit_net, *(learn(small_cnn(s), X, C, seed=s, label=f"plain training, seed {s}") for s in SEEDS[1:])]
hardened = [learn(small_cnn(s), X, C, seed=s, disturb=one_step(s), label=f"adversarial training, seed {s}") for s in SEEDS]
scores = torch.tensor([[[accuracy(n, x_test, c_test), robust(n, s)] for s, n in enumerate(nets)] for nets in (plain_nets, hardened)])
gain = scores[1, :, 1] - scores[0, :, 1]
cost = scores[0, :, 0] - scores[1, :, 0]

assert (gain > 0.20).all()
assert (cost < 0.02).all()
print(f"robust accuracy at eps = 0.1 of the range rises by more than 20 points with each of 3 seeds: {bool((gain > 0.2).all())}")
print(f"clean accuracy falls by less than 2 points: {bool((cost < 0.02).all())}")

# %% tags=["nbval-ignore-output"]
print("accuracy (%), seeds 0 to 2        clean                 under attack")
for label, rows in zip(("plain training", "adversarial training"), 100 * scores):
    print(f"{label:22}", "  ".join(" ".join(f"{v:6.1f}" for v in rows[:, k]) for k in (0, 1)))

# %%
look = torch.tensor([int((c_test == k).nonzero()[0]) for k in (2, 3, 5, 7, 8, 9)])
shades = [image_gradient(n, x_test[look], c_test[look]) for n in (digit_net, hardened[0])]
shades = [s / s.abs().amax((1, 2, 3), keepdim=True) for s in shades]
show(
    pictures(torch.cat([x_test[look], *shades]), cols=6, titles=["digit"] * 6 + ["plain"] * 6 + ["hardened"] * 6, width=6.4),
    alt="Six digits; the loss gradient of the plain network, which is scattered; and that of the hardened one, which follows the strokes.",
)

# %% [markdown]
# The hardened network has another gradient, too. To raise its loss one has to *change the digit*, and so its gradient follows strokes. Notebook 3
# dreams with a network trained like this, because what it climbs towards can be recognised.
#
# Two cautions. A network hardened against $\varepsilon=0.1$ withstands $0.1$, not $0.3$. And "robust" always means *against the attacks
# that were tried*: a defence that merely hides the gradient looks robust under gradient attacks, and falls to others (Athalye et al. 2018).
#
# ## 10. A thousand classes
#
# All of the above runs unchanged on a network trained on photographs. Put a torchvision checkpoint into `data/` (the data card says which file), and the
# next cell turns a photograph into an ostrich with it; without the file it says so and uses the kit's own network.


# %% tags=["nbval-ignore-output"]
def photograph() -> Tensor:
    """scikit-learn's photograph of a pagoda, (1, 3, 224, 224) in [-1, 1]."""
    from sklearn.datasets import load_sample_image

    pixels = torch.tensor(load_sample_image("china.jpg")).permute(2, 0, 1)[None] / 127.5 - 1
    return F.interpolate(pixels[..., :427, 100:527], size=224, mode="bilinear", antialias=True)


try:
    victim = load_pretrained("resnet18")
except DataAbsent as absent:
    print(absent)
    victim = net
x, labels = photograph(), victim.classes
target = torch.tensor([labels.index("ostrich")])
close = iterate(victim, x, target, 8 * LEVEL, towards=True, steps=40)
now = probability(victim, close, target).item()
fig, (left, right) = figure(1, 2, width=5.0, height=2.6)
picture(left, x[0], f"{labels[int(victim(x).argmax())]}")
picture(right, close[0], f"ostrich: {now:.4f}")
show(fig, alt="A photograph of a pagoda, and the same with an invisible change, which the network takes for an ostrich.", colours=128)

# %% [markdown]
# ## Quiz
#
# **1.** Your attack works, and afterwards the classifier's accuracy on clean images has changed. What happened?
# <details><summary>Answer</summary>Something other than the image was moved. Either an optimiser held the weights, or `loss.backward()` filled the weights' `.grad` and the
# next training step used them, or the network was in train mode and its batch-norm averages drifted. Freeze the weights as we did, or ask for one gradient only
# (the first exercise), and keep the network in eval mode.</details><br>
#
# **2.** You take the *mean* loss over a batch of 64 and a plain step, and the attack is 64 times weaker than on single images. With sign steps it is not. Why?
# <details><summary>Answer</summary>The mean divides each image's gradient by 64. The sign forgets lengths. Sum the losses, so that each image gets its own gradient.</details><br>
#
# **3.** $I-\lambda\,\partial L(y,\text{ostrich})/\partial I$ and $I+\varepsilon\,\mathrm{sign}(\partial L(y,\text{bus})/\partial I)$: why minus here and plus there?
# <details><summary>Answer</summary>The first wants the ostrich's loss low, a targeted attack. The second wants the loss of the true class high, and does not care what
# takes its place.</details><br>
#
# **4.** Noise of 8 levels does nothing, the sign step of 8 levels ruins the network. Both have the same norm, whichever norm you take. Explain.
# <details><summary>Answer</summary>Random signs meet the gradient at random: their inner product is about $\varepsilon\lVert g\rVert_2$, the sign step's is
# $\varepsilon\lVert g\rVert_1$, up to $\sqrt{12288}\approx 111$ times as much.</details><br>
#
# **5.** A student ascends $p_c$ from noise and reports "learning rate too low" for class 3 and "fine" for class 8. What do you suggest?
# <details><summary>Answer</summary>Descend $-\log p_c$. The gradient of $p_c$ carries the factor $p_c$ itself, which differs by orders of magnitude between classes.</details><br>
#
# **6.** A network is robust at $\varepsilon=0.1$ in images from 0 to 1. You store images from -1 to 1. Which $\varepsilon$ must your attack use?
# <details><summary>Answer</summary>0.2: the range is twice as wide. A defence that was tested at 0.1 in the wrong range was tested at half strength.</details>
#
# ## Exercises
#
# In the assignment of this unit: the input gradient, a targeted attack, a slip on a slide, fooling to a confidence, FGSM and projected
# attacks in both norms, a step of adversarial training. **Next:** notebook 2, what a code remembers of an image.
#
# ## References
#
# - Szegedy et al., *Intriguing properties of neural networks*, ICLR 2014.
# - Goodfellow, Shlens, Szegedy, *Explaining and harnessing adversarial examples*, ICLR 2015.
# - Nguyen, Yosinski, Clune, *Deep neural networks are easily fooled*, CVPR 2015.
# - Madry et al., *Towards deep learning models resistant to adversarial attacks*, ICLR 2018.
# - Wong, Rice, Kolter, *Fast is better than free: revisiting adversarial training*, ICLR 2020.
# - Athalye, Carlini, Wagner, *Obfuscated gradients give a false sense of security*, ICML 2018.
# - Rice, *Deep learning for vision and language: GANs*; Spanakis & Driessens (Maastricht), *Deep learning for agents, Part 2*: lecture slides.
