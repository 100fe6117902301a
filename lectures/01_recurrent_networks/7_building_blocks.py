# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 1.7 Building blocks: the three choices of every project
#
# A deep-learning project looks like a thousand decisions. Three of them decide what the model can be:
#
# 1. **Inputs and outputs.** What goes in, what comes out, and in which shape?
# 2. **Architecture.** Which number may influence which other number, and where are weights shared?
# 3. **Loss.** Which single number says how wrong an output is?
#
# Everything else (optimiser, learning rate, layer sizes) decides how well and how fast, not what.
#
# **After this lecture you can** name the three choices for a new task and test that they fit together; draw an
# architecture as a mask over one tensor and count its weights; write five optimisers in two lines each; say which
# likelihood hides behind a loss; search for a learning rate with a fixed budget; and tell a task with labels from one without.
#
# **Time:** 45 minutes to read, about 30 seconds to run on two cores. You need notebook 1 of this unit.
#
# | symbol | meaning | | symbol | meaning |
# |---|---|---|---|---|
# | $x, y$ | input and target | | $\theta, w, W$ | parameters |
# | $z$ | logits (last section but one: a latent code) | | $g$ | gradient of the loss with respect to $\theta$ |
# | $p$ | probabilities, softmax of $z$ | | $\eta, \mu$ | learning rate, momentum |
# | N, D, C | batch, features, classes | | $\lambda$ | weight of a penalty |
# | T, S, V | target steps, source steps, vocabulary | | M | components of a mixture |
#
# **Recipe card of this notebook**
#
# | Inputs / outputs | Architecture | Loss |
# |---|---|---|
# | eight toy tasks; 8 × 8 scans of real handwritten digits → class, code or picture | dense, convolution, recurrent, recursive, skip, random | cross entropy, squared error, mixture likelihood, sparse, adversarial, variational |
#
# The frame of three choices, the menus under each and the pictures of data sets that we walk through follow the closing part of Spanakis & Driessens
# (Maastricht), *Deep learning for agents, Part 2*. The split into tasks with and without labels follows Chen (HKUST), the lecture
# *GANs* of COMP 5214 & ELEC 5680. Menus is all they are there; here each entry gets a definition and a test.

# %%
from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from sklearn.datasets import load_digits
from torch import Tensor, nn

from coursekit.plots import DASHES, PALETTE, confidence, figure, heatmap, lines, show, use_style
from coursekit.runtime import generator, seeded
from coursekit.training.loop import train
from coursekit.training.progress import track
from coursekit.widgets import Choice, Slider, explore

use_style()
torch.set_num_threads(1)  # networks this small only lose time to a second thread

scans = load_digits()  # 1797 scans of handwritten digits, 8 x 8, grey levels 0 to 16 (Alpaydin & Kaynak 1998); ships with scikit-learn
pixels = torch.tensor(scans.data, dtype=torch.float32) / 16  # (1797, 64) in [0, 1]
labels = torch.tensor(scans.target)  # (1797,) int64
shuffled = torch.randperm(len(pixels), generator=generator(0))
x_train, y_train = pixels[shuffled[:1200]], labels[shuffled[:1200]]
x_test, y_test = pixels[shuffled[1200:]], labels[shuffled[1200:]]


def accuracy(logits: Tensor, y: Tensor) -> float:
    """Share of rows of `logits` (N, C) whose largest entry is at `y` (N,)."""
    return (logits.argmax(-1) == y).float().mean().item()


def descend(weights: Sequence[Tensor], loss_fn: Callable[[], Tensor], *, steps: int, lr: float) -> None:
    """`steps` Adam steps on `loss_fn()`: the loop of `coursekit.training.loop.train` without bar and records."""
    adam = torch.optim.Adam(list(weights), lr=lr)
    for _ in range(steps):
        adam.zero_grad()
        loss_fn().backward()
        adam.step()


print(f"{len(x_train)} training scans, {len(x_test)} test scans, {len(labels.unique())} classes")

# %% [markdown]
# ## 7.1 What every architecture takes for granted
#
# The tutorial that this lecture follows comes in two parts and warns that its first part (regression to neural networks, autoencoders,
# convolutions, deep networks, and their use in agents) is needed for any architecture. Its slides
# are not part of ours. Here is the minimum as five statements. If a line below surprises you, look it up before going on.
#
# 1. **Linear regression** by gradient descent arrives at the solution of the normal equations $X^\top X w = X^\top y$.
# 2. **Logistic regression** is a network with one layer: it cannot compute XOR. One **hidden layer** of two ReLU units can.
# 3. **A linear autoencoder** with a code of $k$ numbers can do no better than the first $k$ principal components.
# 4. **A convolution** is a dense layer whose weight matrix repeats itself along the diagonals.
# 5. **Depth** multiplies derivatives: the chain rule through $L$ layers is a product of $L$ Jacobians.

# %% tags=["covers:A-64"]
g = generator(1)

# 1. linear regression: descent against the normal equations
X, target = torch.randn(50, 3, generator=g).double(), torch.randn(50, generator=g).double()
w = torch.zeros(3, dtype=torch.float64)
for _ in range(500):
    w -= 0.1 * 2 * X.T @ (X @ w - target) / len(X)
assert torch.allclose(w, torch.linalg.solve(X.T @ X, X.T @ target), atol=1e-10)

# 2. XOR: try a fine grid of lines; then two ReLU units with weights set by hand
corners, xor = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]]), torch.tensor([0, 1, 1, 0])
angles, offsets = torch.linspace(0, 2 * math.pi, 181), torch.linspace(-2, 2, 81)
lines_tried = corners @ torch.stack([angles.cos(), angles.sin()])  # (4, 181)
right = ((lines_tried[:, :, None] > offsets) == xor.bool()[:, None, None]).sum(0)
hidden = torch.relu(corners @ torch.ones(2, 2) + torch.tensor([0.0, -1.0]))
assert right.max() == 3
assert torch.equal(hidden @ torch.tensor([1.0, -2.0]), xor.float())

# 3. a linear autoencoder with k = 5: the best of 200 random codes loses to principal components
centred = (x_train - x_train.mean(0)).double()
singular, axes = torch.linalg.svd(centred, full_matrices=False)[1:]


def left_over(basis: Tensor) -> float:
    """Squared error after the scans are projected on the orthonormal columns of `basis` (D, k)."""
    return (centred - centred @ basis @ basis.T).square().sum().item()


others = [left_over(torch.linalg.qr(torch.randn(64, 5, generator=g).double())[0]) for _ in range(200)]
assert math.isclose(left_over(axes[:5].T), singular[5:].square().sum().item(), rel_tol=1e-9)
assert left_over(axes[:5].T) < min(others)

# 4. a convolution as a matrix, read off by feeding it the unit vectors
kernel = torch.randn(1, 1, 3, generator=g)
matrix = F.conv1d(torch.eye(6)[:, None], kernel, padding=1)[:, 0].T  # column j is the answer to unit vector j
signal = torch.randn(6, generator=g)
assert torch.allclose(matrix @ signal, F.conv1d(signal[None, None], kernel, padding=1)[0, 0], atol=1e-6)
assert torch.equal(matrix[1:, 1:], matrix[:-1, :-1])  # constant along each diagonal

# 5. depth: the slope of tanh(tanh(...)) is the product of the slopes
chain = [torch.tensor(0.7, requires_grad=True)]
for _ in range(4):
    chain.append(torch.tanh(chain[-1]))
(slope,) = torch.autograd.grad(chain[-1], chain[0])
assert torch.isclose(slope, torch.stack([1 - h.detach() ** 2 for h in chain[1:]]).prod())
print("five prerequisites, five checks passed; a line gets", right.max().item(), "of 4 XOR corners right")

# %% [markdown]
# The sixth topic of that first part, **agents**, fits the frame as well. Inputs: an observation. Outputs: a distribution over actions.
# Loss: *minus the expected reward*. The reward of an action is a number, not a differentiable function, so the
# gradient has to go around it (Williams 1992, REINFORCE):
#
# $$\nabla_\theta\, \mathbb E_{a\sim\pi_\theta}[r(a)] = \mathbb E_{a\sim\pi_\theta}\big[r(a)\,\nabla_\theta \log \pi_\theta(a)\big].$$
#
# The cell checks the identity by drawing actions, then trains an agent that sees one of four signs and must find the lever that pays for it.

# %% tags=["covers:A-64", "nbval-ignore-output"]
g = generator(2)
paying_lever = torch.tensor([2, 0, 3, 1])  # for each of four observations, the lever that pays 1
payoff = F.one_hot(paying_lever, 4).float()  # (observations, actions)

theta = (0.5 * torch.randn(4, generator=g)).requires_grad_()  # logits of a policy for observation 0
(exact,) = torch.autograd.grad((theta.softmax(0) * payoff[0]).sum(), theta)
drawn = torch.multinomial(theta.softmax(0).detach(), 200_000, replacement=True, generator=g)
(estimate,) = torch.autograd.grad((payoff[0][drawn] * theta.log_softmax(0)[drawn]).mean(), theta)
assert torch.allclose(exact, estimate, atol=5e-3)  # three standard errors are below 0.004

with seeded(0):
    policy = nn.Linear(4, 4)


def minus_reward(step: int) -> Tensor:
    """REINFORCE surrogate on 32 fresh observations; its gradient estimates that of minus the expected reward."""
    seen = torch.randint(4, (32,), generator=g)
    log_pi = policy(F.one_hot(seen, 4).float()).log_softmax(1)
    action = torch.multinomial(log_pi.detach().exp(), 1, generator=g)
    return -(payoff[seen].gather(1, action) * log_pi.gather(1, action)).mean()


before = (policy(torch.eye(4)).softmax(1) * payoff).sum(1).mean().item()
train(policy.parameters(), minus_reward, steps=400, lr=5e-2, label="agent")
after = (policy(torch.eye(4)).softmax(1) * payoff).sum(1).mean().item()
print(f"expected reward: {before:.2f} before, {after:.2f} after (1 is best, 0.25 is guessing)")
assert before < 0.5 and after > 0.95

# %% [markdown]
# ## 7.2 The frame: inputs/outputs, architecture, loss
#
# Read a project from both ends. The *inputs* suggest the architecture: neighbouring pixels belong together, words come in an order, a pile of numbers has neither.
# The *outputs* suggest the loss: one of C classes wants cross entropy, a real number wants a density, a pile of examples without labels wants
# something that compares distributions. The architecture is what lies between, and gradients run through all of it, backwards.
#
# **Quiz: eight tasks.** For each, pick an architecture (`dense`, `convolution`, `recurrent`, `attention`, `recursive`) and a loss (`cross entropy`,
# `squared error`, `mixture likelihood`, `adversarial`, `variational`). Fill in `my_recipes` below and run the cell; more than one architecture can be right.
#
# | task | inputs → outputs |
# |---|---|
# | `photo` | a picture → one of ten objects |
# | `review` | a text of any length → one of five ratings |
# | `translate` | a sentence → a sentence in another language, perhaps longer |
# | `sound` | a waveform so far → its next sample, a real number that could go one of several ways |
# | `elbow` | where the hand shall be → the arm's joint angles; two poses reach each point |
# | `formula` | the parse tree of an expression → its value |
# | `paint` | a pile of pictures, no labels → new pictures that a judge cannot tell from them |
# | `compress` | a pile of digits, no labels → a short code, whose prior can be sampled, and a bound on the likelihood |


# %%
@dataclass(frozen=True)
class Recipe:
    """The three choices of a project; `draw` shows it as the card that heads a notebook."""

    inputs_outputs: str
    architecture: str
    loss: str

    def draw(self) -> Figure:
        """Three boxes with arrows: forward for numbers, back for gradients."""
        fig, ax = figure(width=7.6, height=1.7)
        ax.set(xlim=(0, 9.6), ylim=(0, 2.2))
        ax.axis("off")
        for left, part in zip((0.1, 3.4, 6.7), ("inputs_outputs", "architecture", "loss")):
            ax.add_patch(
                Rectangle((left, 0.9), 2.7, 1.2, facecolor="white", edgecolor=PALETTE[1], linewidth=1.8)
            )
            ax.text(
                left + 1.35, 1.82, part.replace("_", " / ").upper(), ha="center", va="center", weight="bold"
            )
            ax.text(left + 1.35, 1.3, getattr(self, part), ha="center", va="center", fontsize=9)
        for left in (2.8, 6.1):
            ax.annotate(
                "",
                (left + 0.6, 1.5),
                (left, 1.5),
                arrowprops={"arrowstyle": "->", "color": PALETTE[0], "lw": 1.5},
            )
        ax.annotate(
            "",
            (4.0, 0.5),
            (8.0, 0.5),
            arrowprops={"arrowstyle": "->", "linestyle": "--", "color": PALETTE[2], "lw": 1.5},
        )
        ax.text(6.0, 0.1, "gradient with respect to every weight", ha="center", fontsize=9)
        return fig


ACCEPTED: dict[str, tuple[set[str], set[str]]] = {  # task: (architectures, losses); look only after answering
    "photo": ({"convolution", "attention"}, {"cross entropy"}),
    "review": ({"recurrent", "attention", "convolution"}, {"cross entropy"}),
    "translate": ({"attention", "recurrent"}, {"cross entropy"}),
    "sound": ({"recurrent", "convolution", "attention"}, {"mixture likelihood"}),
    "elbow": ({"dense"}, {"mixture likelihood"}),
    "formula": ({"recursive", "recurrent", "attention"}, {"squared error"}),
    "paint": ({"convolution"}, {"adversarial"}),
    "compress": ({"dense", "convolution"}, {"variational"}),
}


def mark(answers: Mapping[str, tuple[str, ...]], accepted: Mapping[str, tuple[set[str], ...]]) -> int:
    """Print how many answers are right and what to reconsider; an empty answer counts as not given."""
    given = {task: answer for task, answer in answers.items() if all(answer)}
    verdicts = {t: [part in ok for part, ok in zip(answer, accepted[t])] for t, answer in given.items()}
    right = sum(all(verdict) for verdict in verdicts.values())
    print(f"{len(given)} of {len(accepted)} answered, {right} right")
    for task, verdict in verdicts.items():
        doubtful = [part for part, fine in zip(given[task], verdict) if not fine]
        if doubtful:
            print(f"  {task}: reconsider {' and '.join(doubtful)}")
    return right


my_recipes = {
    "photo": ("", ""),  # for example ("convolution", "cross entropy")
    "review": ("", ""),
    "translate": ("", ""),
    "sound": ("", ""),
    "elbow": ("", ""),
    "formula": ("", ""),
    "paint": ("", ""),
    "compress": ("", ""),
}
mark(my_recipes, ACCEPTED)
card = Recipe(
    "a text of any length →\none of five ratings",
    "recurrent: one cell,\nthe last state is read",
    "cross entropy:\n$-\\log p_y$",
)
show(
    card.draw(),
    alt="Three boxes joined by arrows: inputs and outputs, architecture, loss. A dashed arrow runs back from the loss: the gradient.",
)

# %% [markdown]
# <details><summary><b>Answers to the eight tasks, and why</b></summary>
#
# - <b>photo</b>: convolution (or attention over patches), cross entropy. Nearby pixels belong together; the output is one of ten.
# - <b>review</b>: recurrent, attention or convolution over words, cross entropy. A dense layer wants a fixed length. (Ratings are ordered, so there are finer losses.)
# - <b>translate</b>: attention, or a recurrent encoder and decoder; cross entropy, once for each output word.
# - <b>sound</b>: anything that reads a sequence; mixture likelihood, since one mean cannot stand for several continuations.
# - <b>elbow</b>: dense, mixture likelihood. Squared error would answer with the average of two poses, which is a third pose: section 7.8.
# - <b>formula</b>: recursive fits the tree exactly; squared error, because there is one right value.
# - <b>paint</b>: convolution, adversarial: the only loss here in which a second network is the judge.
# - <b>compress</b>: an encoder and a decoder, variational: section 7.11.
#
# </details>
#
# A recipe can be *checked* before any training: build it, feed it one batch, and ask for three things. The loss is one finite number, every weight
# receives a gradient, and one small step downhill makes the loss smaller. This takes a millisecond and finds most shape errors. The next cell does
# it for a complete key, with the smallest network of each family.


# %% tags=["covers:B-01"]
def dense(x: Tensor, width: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(x[0].numel(), 16), nn.Tanh(), nn.Linear(16, width))


def convolution(x: Tensor, width: int) -> nn.Module:  # x (N, C, H, W)
    pool = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, width))
    return nn.Sequential(nn.Conv2d(x.shape[1], 8, 3, padding=1), nn.Tanh(), *pool)


class Recurrent(nn.Module):
    """Read x (N, T, D) step by step, answer (N, width) from the last state."""

    def __init__(self, x: Tensor, width: int) -> None:
        super().__init__()
        self.cell, self.head = nn.RNN(x.shape[-1], 16, batch_first=True), nn.Linear(16, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.cell(x)[0][:, -1])


class Attention(nn.Module):
    """Five learned queries look at x (N, S, D) and answer (N, 5, width): output length need not be S."""

    def __init__(self, x: Tensor, width: int) -> None:
        super().__init__()
        self.queries, self.key = nn.Parameter(torch.randn(5, 8)), nn.Linear(x.shape[-1], 8)
        self.value, self.head = nn.Linear(x.shape[-1], 16), nn.Linear(16, width)

    def forward(self, x: Tensor) -> Tensor:
        weights = (self.queries @ self.key(x).mT / math.sqrt(8)).softmax(-1)  # (N, 5, S)
        return self.head(weights @ self.value(x))


class Recursive(nn.Module):
    """Merge neighbours of x (N, leaves, D) two by two with one shared matrix until one vector is left."""

    def __init__(self, x: Tensor, width: int) -> None:
        super().__init__()
        self.merge, self.head = nn.Linear(2 * x.shape[-1], x.shape[-1]), nn.Linear(x.shape[-1], width)

    def forward(self, x: Tensor) -> Tensor:
        while x.shape[1] > 1:
            x = torch.tanh(self.merge(x.flatten(1).unflatten(1, (x.shape[1] // 2, -1))))
        return self.head(x[:, 0])


class Coder(nn.Module):
    """Dense encoder and decoder: x (N, D) -> mean and logvar of the code (N, 2), reconstruction (N, D)."""

    def __init__(self, x: Tensor, width: int) -> None:
        super().__init__()
        self.encode, self.decode = nn.Linear(x.shape[-1], 2 * width), nn.Linear(width, x.shape[-1])
        self.noise = torch.randn(len(x), width, generator=generator(0))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, logvar = self.encode(x).chunk(2, -1)
        return mean, logvar, self.decode(mean + self.noise * (logvar / 2).exp())


def mixture_nll(out: Tensor, y: Tensor) -> Tensor:
    """Mean of -log p(y), y (N, 1), under a mixture of M Gaussians; out (N, 3 M) holds logits, means, log standard deviations."""
    weight, mean, log_sd = out.chunk(3, -1)
    log_normal = -0.5 * ((y - mean) / log_sd.exp()) ** 2 - log_sd - 0.5 * math.log(2 * math.pi)
    return -(weight.log_softmax(-1) + log_normal).logsumexp(-1).mean()


def variational(out: tuple[Tensor, Tensor, Tensor], x: Tensor) -> Tensor:
    """Minus the evidence bound up to constants: reconstruction (unit variance) + KL(code || N(0, I))."""
    mean, logvar, again = out
    return (0.5 * (again - x).square().sum(-1) + 0.5 * (mean**2 + logvar.exp() - logvar - 1).sum(-1)).mean()


def judge(out: Tensor, real: Tensor) -> Tensor:
    """The discriminator's half of the adversarial loss: out (N, 1) logits, real (N, 1) in {0, 1}."""
    return F.binary_cross_entropy_with_logits(out, real)


g = generator(3)
n = 6
real_or_not = torch.tensor([[1.0], [1], [1], [0], [0], [0]])
KEY: dict[str, tuple[str, str, Callable, Callable, int, Tensor, Tensor | None]] = {
    "photo": ("convolution", "cross entropy", convolution, F.cross_entropy, 10, torch.randn(n, 3, 8, 8, generator=g), torch.arange(n)),
    "review": ("recurrent", "cross entropy", Recurrent, F.cross_entropy, 5, torch.randn(n, 9, 4, generator=g), torch.arange(n) % 5),
    "translate": ("attention", "cross entropy", Attention, lambda out, y: F.cross_entropy(out.flatten(0, 1), y.flatten()), 7,
                  torch.randn(n, 4, 6, generator=g), torch.randint(7, (n, 5), generator=g)),
    "sound": ("recurrent", "mixture likelihood", Recurrent, mixture_nll, 6, torch.randn(n, 20, 1, generator=g), torch.randn(n, 1, generator=g)),
    "elbow": ("dense", "mixture likelihood", dense, mixture_nll, 6, torch.randn(n, 2, generator=g), torch.randn(n, 1, generator=g)),
    "formula": ("recursive", "squared error", Recursive, F.mse_loss, 1, torch.randn(n, 8, 4, generator=g), torch.randn(n, 1, generator=g)),
    "paint": ("convolution", "adversarial", convolution, judge, 1, torch.randn(n, 3, 8, 8, generator=g), real_or_not),
    "compress": ("dense", "variational", Coder, variational, 2, torch.randn(n, 12, generator=g), None),
}  # fmt: skip
assert mark({task: row[:2] for task, row in KEY.items()}, ACCEPTED) == 8
assert mark(dict.fromkeys(KEY, ("dense", "squared error")), ACCEPTED) == 0

print(f"\n{'task':10} {'architecture':12} {'loss':19} weights    loss, after one step")
for task, (architecture, loss_name, build, loss_fn, width, x, y) in KEY.items():
    with seeded(0):
        net = build(x, width)
    target = x if y is None else y
    loss = loss_fn(net(x), target)
    loss.backward()
    assert loss.ndim == 0 and loss.isfinite()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())
    torch.optim.SGD(net.parameters(), lr=1e-2).step()
    after_step = loss_fn(net(x), target)
    assert after_step < loss
    size = sum(p.numel() for p in net.parameters())
    print(f"{task:10} {architecture:12} {loss_name:19} {size:7} {loss.item():8.4f} {after_step.item():8.4f}")

# %% [markdown]
# The last lines of the quiz output also mark a lazy student, who answers `dense` and `squared error` throughout, and gets 0 right. Yet that pair *would
# run* on most of these tasks after some reshaping. Running is not fitting: section 7.8 shows what a wrong loss costs without any error message.
#
# ## 7.3 Zooming out: data sets meet model families
#
# Families of models grew up with data sets. The closing slides of the Maastricht tutorial show three by logo only: Caltech 101 (Fei-Fei, Fergus & Perona
# 2004), one whose name reaches us garbled in a copy of the slides' text, and the shared tasks of the WMT workshop of 2014 (Bojar et al. 2014). Which one is "M2GENET"? Edit distance, the least number of single-letter insertions,
# deletions and substitutions, finds the nearest well-known name.
#
# What each data set asked for shows in a count. For pictures: a first layer of 96 filters of 11 × 11 (Krizhevsky et al. 2012 on ImageNet) against a dense layer between the same
# two shapes. For sentences: a recurrent cell against a dense layer that reads the whole sentence, and grows with it.

# %% tags=["covers:B-14"]
KNOWN = [
    "IMAGENET", "CALTECH101", "CALTECH256", "MNIST", "FASHIONMNIST", "CIFAR10", "CIFAR100", "SVHN", "COCO", "CELEBA", "PLACES", "CITYSCAPES", "KITTI",
    "LSUN", "OMNIGLOT", "TIMIT", "LIBRISPEECH", "WMT2014", "PENNTREEBANK", "WIKITEXT", "SQUAD", "IMDB", "YELP", "GLUE", "FLICKR30K",
]  # fmt: skip


def edit_distance(a: str, b: str) -> int:
    """Levenshtein (1966), one row of the table at a time."""
    row = list(range(len(b) + 1))
    for i, letter in enumerate(a, 1):
        above, row = row, [i]
        for j, other in enumerate(b, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (letter != other)))
    return row[-1]


ranked = sorted((edit_distance("M2GENET", name), name) for name in KNOWN)
print("nearest names to M2GENET:", ", ".join(f"{name} ({distance})" for distance, name in ranked[:3]))
assert ranked[0] == (2, "IMAGENET") and ranked[1][0] >= 5

filters = nn.Conv2d(3, 96, 11, stride=4, device="meta")  # "meta": shapes and counts without any memory
picture, filtered = torch.empty(1, 3, 227, 227, device="meta"), 96 * 55 * 55
assert filters(picture)[0].numel() == filtered
conv_weights, dense_weights = filters.weight.numel(), picture.numel() * filtered
cell_weights = sum(p.numel() for p in nn.RNN(64, 64, device="meta").parameters())
print(f"pictures: {conv_weights:,} weights as a convolution, {dense_weights:,} as a dense layer")
print(
    f"sentences: {cell_weights:,} weights as a recurrent cell at any length; dense: "
    + ", ".join(f"{64 * 64 * s * s:,} at {s} words" for s in (10, 50))
)
assert (conv_weights, dense_weights // conv_weights) == (34_848, 1_288_225)

# %% [markdown]
# So the garbled name is ImageNet. A factor of more than a million is the reason why pictures and convolutions belong together; a cost that stays flat as
# sentences grow is what brought recurrent nets, and later attention, to translation. This course trains on data rendered by the kit, or on the digits that ship with
# scikit-learn, because you can run them offline in seconds; the recipes carry over.
#
# ## 7.4 Zooming in: non-linearities
#
# A non-linearity is the smallest block: one function, applied to each number alone. What matters for training is its slope, because the chain rule multiplies slopes.
#
# $$\max_a \tanh'(a) = 1,\qquad \max_a \sigma'(a) = \tfrac14,\qquad \max_a \mathrm{ReLU}'(a) = 1.$$
#
# The bound $\gamma$ on the slope is what enters the condition for vanishing gradients in notebook 2. After twenty sigmoid layers, the slopes alone have shrunk a gradient to at most $4^{-20}\approx 10^{-12}$.
#
# The menu on the slide also lists GRU and LSTM under non-linearities, and a questioning "Linear...?". Two remarks, both checked below. An LSTM is a
# whole cell, but seen from its memory $c_{t-1}$ it is a *linear* function with slope $f_t\in(0,1)$, the forget gate, and that is its point. And a stack of linear layers is one
# linear layer: depth without a non-linearity adds no function, only factors.

# %% tags=["covers:B-02"]
a = torch.linspace(-5, 5, 1001, dtype=torch.float64, requires_grad=True)
functions = {"tanh": torch.tanh, "sigmoid": torch.sigmoid, "ReLU": torch.relu, "linear": lambda v: 1.0 * v}
slopes = {name: torch.autograd.grad(f(a).sum(), a)[0] for name, f in functions.items()}
for name, bound in {"tanh": 1.0, "sigmoid": 0.25, "ReLU": 1.0, "linear": 1.0}.items():
    assert math.isclose(slopes[name].max().item(), bound, rel_tol=1e-12)
    print(f"{name:8} largest slope {slopes[name].max().item():.2f}; after 20 layers at most {bound**20:.1e}")

with seeded(0):
    cell, stack = nn.LSTMCell(3, 4), nn.Sequential(nn.Linear(5, 9), nn.Linear(9, 2))
x, h, c = torch.randn(1, 3, generator=g), torch.randn(1, 4, generator=g), torch.randn(1, 4, generator=g)
forget = torch.sigmoid(
    x @ cell.weight_ih[4:8].T + cell.bias_ih[4:8] + h @ cell.weight_hh[4:8].T + cell.bias_hh[4:8]
)
memory_slope = torch.autograd.functional.jacobian(lambda c: cell(x, (h, c))[1][0], c)[:, 0]
assert torch.allclose(memory_slope, forget[0].diag(), atol=1e-6)  # dc_t/dc_{t-1} = diag(f_t), nothing else
print("LSTM memory slope (= forget gate):", [round(v, 2) for v in memory_slope.diag().tolist()])

one = nn.Linear(5, 2)
one.weight.data, one.bias.data = (
    stack[1].weight @ stack[0].weight,
    stack[1].weight @ stack[0].bias + stack[1].bias,
)
batch = torch.randn(7, 5, generator=g)
assert torch.allclose(stack(batch), one(batch), atol=1e-6)  # two linear layers are one

fig, axes_row = figure(1, 2, width=7.6, height=2.7)
lines(
    axes_row[0],
    a,
    {k: f(a) for k, f in functions.items()},
    xlabel="pre-activation a",
    ylabel="output",
    title="functions",
    legend=False,
)
lines(axes_row[1], a, slopes, xlabel="pre-activation a", ylabel="slope", title="slopes")
axes_row[0].set_ylim(-1.5, 2.5)
axes_row[1].set_ylim(-0.05, 1.5)
axes_row[1].legend(ncols=2, loc="upper left")
show(
    fig,
    alt="Left: tanh, sigmoid, ReLU and the identity between -5 and 5. Right: their slopes. Tanh peaks at 1, sigmoid at 0.25, ReLU jumps from 0 to 1 at 0.",
)

# %% [markdown]
# ## 7.5 Connectivity: one tensor, six masks
#
# Write any linear layer, or any small network of linear units, as one sparse tensor of weights. Let $x$ be 16 input numbers and $y$ the computed
# numbers, some of which may read others that come before them:
#
# $$y = A x + B y \quad\Longrightarrow\quad y = (I-B)^{-1}A\,x .$$
#
# An architecture is then a **mask** over $[A\;B]$: which entries may be non-zero, and which of them must be equal. Entry 0 stands for "no connection"; entry $k$
# for "use weight number $k$"; $-1$ for "fixed at 1".
#
# - **dense**: everything, all different.
# - **convolution**: a band of three, the same three in each row.
# - **recurrent**: 8 steps of 2 numbers. Each step reads its input by $W_{hx}$ and the step before by $W_{hh}$; both repeat.
# - **recursive**: 8 leaves of 2 numbers. Each inner node reads its two children by one shared 2 × 4 matrix.
# - **skip** (residual): $x$ itself plus a convolution of $x$.
# - **random**: each number reads three inputs, drawn once and then fixed.


# %% tags=["covers:B-03"]
def dense_mask() -> Tensor:
    return torch.cat([torch.arange(1, 257).view(16, 16), torch.zeros(16, 16, dtype=torch.long)], 1)


def convolution_mask() -> Tensor:
    band = sum(torch.diag(torch.full((16 - abs(s),), s + 2), s) for s in (-1, 0, 1))
    return torch.cat([band, torch.zeros_like(band)], 1)


def recurrent_mask() -> Tensor:
    steps, before = torch.eye(8, dtype=torch.long), torch.diag(torch.ones(7, dtype=torch.long), -1)
    w_hx, w_hh = torch.arange(1, 5).view(2, 2), torch.arange(5, 9).view(2, 2)
    return torch.cat([torch.kron(steps, w_hx), torch.kron(before, w_hh)], 1)


def recursive_mask() -> Tensor:
    """Seven inner nodes in the order in which they are computed: four over leaves, two over these, the root (last rows unused)."""
    mask, merge = torch.zeros(16, 32, dtype=torch.long), torch.arange(1, 9).view(2, 4)
    for node in range(7):
        column = 4 * node if node < 4 else 16 + 4 * (node - 4)  # leaves first, then the nodes themselves
        mask[2 * node : 2 * node + 2, column : column + 4] = merge
    return mask


def skip_mask() -> Tensor:
    """Two entries share the diagonal: the fixed 1 and the middle tap; -2 marks "1 + weight 2"."""
    mask = convolution_mask()
    return torch.where(torch.cat([torch.eye(16), torch.zeros(16, 16)], 1) > 0, -2, mask)


def random_mask() -> Tensor:
    chosen = torch.rand(16, 16, generator=generator(4)).argsort(1)[:, :3]
    mask = torch.zeros(16, 32, dtype=torch.long)
    mask.scatter_(1, chosen, torch.arange(1, 49).view(16, 3))
    return mask


MASKS = {
    "dense": dense_mask(), "convolution": convolution_mask(), "recurrent": recurrent_mask(),
    "recursive": recursive_mask(), "skip": skip_mask(), "random": random_mask(),
}  # fmt: skip


def respond(mask: Tensor, weights: Tensor, x: Tensor) -> Tensor:
    """Solve y = A x + B y; mask (16, 32), weights (..., P) for P weights, x (..., N, 16) -> y (..., N, 16)."""
    tensor = F.pad(weights, (1, 0))[..., mask.abs()] + (mask < 0).float()  # the one tensor, (..., 16, 32)
    a, b = tensor.chunk(2, -1)
    return torch.linalg.solve(torch.eye(16) - b, a @ x.mT).mT


def count(mask: Tensor) -> int:
    return len(mask.abs().unique()) - 1  # different numbers, without the 0


x = torch.randn(1, 16, generator=g)
modules: dict[str, tuple[list[Tensor], Callable[[Tensor], Tensor]]] = {}
with seeded(0):
    layer, conv, merge = (
        nn.Linear(16, 16, bias=False),
        nn.Conv1d(1, 1, 3, padding=1, bias=False),
        nn.Linear(4, 2, bias=False),
    )
    w_hx, w_hh = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)


def run_recurrent(x: Tensor) -> Tensor:
    states, h = [], torch.zeros(len(x), 2)
    for step in x.view(-1, 8, 2).unbind(1):
        h = w_hx(step) + w_hh(h)
        states.append(h)
    return torch.cat(states, 1)


def run_tree(x: Tensor) -> Tensor:
    nodes, level = [], x
    while level.shape[1] > 2:
        level = merge(level.view(len(x), -1, 4)).flatten(1)
        nodes.append(level)
    return F.pad(torch.cat(nodes, 1), (0, 2))


modules = {
    "dense": ([layer.weight], layer),
    "convolution": ([conv.weight], lambda x: conv(x[:, None])[:, 0]),
    "recurrent": ([w_hx.weight, w_hh.weight], run_recurrent),
    "recursive": ([merge.weight], run_tree),
    "skip": ([conv.weight], lambda x: x + conv(x[:, None])[:, 0]),
}
for name, (weights, module) in modules.items():
    flat = torch.cat([w.flatten() for w in weights])
    assert count(MASKS[name]) == len(flat), name
    assert torch.allclose(respond(MASKS[name], flat, x), module(x), atol=1e-5), name
assert torch.equal(respond(MASKS["skip"], torch.zeros(3), x), x)  # a skip with zero weights passes x on ...
assert not respond(MASKS["convolution"], torch.zeros(3), x).any()  # ... a plain layer passes on nothing
counts = {name: count(mask) for name, mask in MASKS.items()}
print("different weights:", counts)
assert list(counts.values()) == [256, 3, 8, 8, 3, 48]

fig, panels = figure(2, 3, width=9.0, height=5.4)
for ax, (name, mask) in zip(panels.flat, MASKS.items()):
    wide = 32 if mask[:, 16:].any() else 16
    numbers = mask[:, :wide].abs().float()
    shades = torch.where(numbers > 0, 0.25 + 0.75 * numbers / numbers.max(), torch.nan)
    ax.imshow(shades.numpy(), cmap="cividis", vmin=0, vmax=1, aspect="auto")
    ax.grid(visible=False)
    if counts[name] < 10:
        for i, j in mask[:, :wide].nonzero().tolist():
            number = mask[i, j].item()
            text = f"1+{-number}" if number < 0 else str(number)
            dark = shades[i, j] < 0.6
            ax.text(
                j,
                i,
                text,
                ha="center",
                va="center",
                fontsize=4.5 if number < 0 else 6,
                color="white" if dark else "black",
            )
    if wide == 32:
        ax.axvline(15.5, color=PALETTE[2], linestyle="--", linewidth=1.2)
    ax.set(
        title=f"{name}: {counts[name]} weights", xlabel="inputs x | computed y" if wide == 32 else "inputs x"
    )
    ax.set_ylabel("computed y")
    ax.set_xticks(range(0, wide, 4))
    ax.set_yticks(range(0, 16, 4))
show(fig, alt=(
    "Six masks. Dense: full 16 by 16. Convolution: a band of three. Recurrent: 2 by 2 blocks on the diagonal over inputs and below the diagonal over computed states. "
    "Recursive: 2 by 4 blocks over leaves, then over nodes. Skip: a band with 1 added on the diagonal. Random: three scattered entries a row."
))  # fmt: skip

# %% [markdown]
# Cells with the same number hold the same weight. The masks agree with torch's own layers to $10^{-5}$ (asserted above, for the five that torch has).
#
# **What is a mask for?** It is knowledge about the task, put in before the first example. Take each of the six with random weights as a *teacher*, draw 12 examples of
# what it computes, and fit each of the six as a *student* to them. Twelve examples with 16 inputs are too few for a dense layer, whatever the teacher. All are trained by Adam for 400 steps; about 4 seconds.

# %% tags=["nbval-ignore-output"]
g = generator(5)
names = list(MASKS)
x_few, x_many = torch.randn(12, 16, generator=g), torch.randn(300, 16, generator=g)
teachers = [0.5 * torch.randn(count(MASKS[name]), generator=g) for name in names]
truth_few, truth_many = (
    torch.stack([respond(MASKS[k], w, x) for k, w in zip(names, teachers)]) for x in (x_few, x_many)
)
spread = (
    (truth_many[:, :, :14]).square().mean((1, 2))
)  # the last two numbers are unused by the tree: leave them out
errors = torch.zeros(6, 6)  # (student, teacher)
for i, name in enumerate(track(names, "six students, six teachers")):
    weights = (
        0.1 * torch.randn(6, count(MASKS[name]), generator=g)
    ).requires_grad_()  # one row for each teacher
    descend(
        [weights],
        lambda: (respond(MASKS[name], weights, x_few) - truth_few)[:, :, :14].square().mean((1, 2)).sum(),
        steps=400,
        lr=3e-2,
    )
    with torch.no_grad():
        errors[i] = (respond(MASKS[name], weights, x_many) - truth_many)[:, :, :14].square().mean(
            (1, 2)
        ) / spread

fig, ax = figure(width=6.6, height=3.6)
heatmap(
    ax,
    errors.clamp(max=1.5),
    label="test error / variance (1 = useless)",
    xlabel="teacher",
    ylabel="student",
    xticks=names,
    yticks=names,
)
ax.tick_params(axis="x", labelrotation=25)
for i in range(6):
    for j in range(6):
        shade = "black" if errors[i, j] > 0.7 else "white"
        ax.text(j, i, f"{errors[i, j]:.2f}", ha="center", va="center", fontsize=8, color=shade)
show(
    fig,
    alt="Six by six table of test errors. The diagonal is near zero: a student with its teacher's mask. The dense student is wrong in every column, by 0.4 to 1.25.",
)
own = errors.diag()
print(
    "own mask:",
    [round(v, 2) for v in own.tolist()],
    " dense student:",
    [round(v, 2) for v in errors[0].tolist()],
)
assert own[1:].max() < 0.02 and errors[0].min() > 0.1

# %% [markdown]
# Each student with the teacher's own mask is right to two digits, except the dense one: it could express every column of the table and learns none of them from twelve examples. Convolution and skip
# learn each other's functions: one layer deep, a skip changes what *zero weights* mean, not what can be expressed.
# A random mask is excellent knowledge when it happens to be true and useless otherwise.
#
# ## 7.6 Recursive networks
#
# A recurrent network folds a *list* with one cell. A **recursive** network folds a *tree* with one cell (Pollack 1990; Socher et al. 2011):
#
# $$h_{\text{node}} = \phi\big(W_{\text{op}}\,[h_{\text{left}};\,h_{\text{right}}] + b_{\text{op}}\big).$$
#
# Arithmetic expressions are trees. $(8-3)-2$ and $8-(3-2)$ hold the same tokens in the same order, brackets apart, and even the same *number* of brackets. Any model that sees
# only the bag of tokens must give both the same answer. So there is a floor that no bag model can pass: the variance of the value within a bag. It is half the mean squared difference
# between two random arrangements of the same bag, so we can measure it without training anything.
#
# The cell trains on trees of 2 to 4 leaves, with two kinds of cell, and tests on trees of up to 8. About 4 seconds.

# %% tags=["covers:B-04", "nbval-ignore-output"]
Shape = int | tuple  # a leaf's position, or (left, right)


def shapes(first: int, last: int) -> list[Shape]:
    """All binary trees over leaves first .. last - 1 (their number is a Catalan number)."""
    if last - first == 1:
        return [first]
    return [(l, r) for cut in range(first + 1, last) for l in shapes(first, cut) for r in shapes(cut, last)]


def fold(
    shape: Shape, leaf: Callable[[int], Tensor], combine: Callable[[Tensor, Tensor, int], Tensor]
) -> Tensor:
    """Fold a tree from the leaves up; `combine(left, right, k)` gets the operator's position k, after leaf k."""

    def walk(node: Shape) -> tuple[Tensor, int]:
        if isinstance(node, int):
            return leaf(node), node
        (left, end), (right, last) = walk(node[0]), walk(node[1])
        return combine(left, right, end), last

    return walk(shape)[0]


def value(shape: Shape, digits: Tensor, ops: Tensor) -> Tensor:
    """Value (N,) of expressions with digits (N, leaves) and ops (N, leaves - 1), 0 for plus and 1 for minus."""
    return fold(
        shape, lambda i: digits[:, i].float(), lambda l, r, k: torch.where(ops[:, k] == 0, l + r, l - r)
    )


def expressions(n: int, leaves: int, g: torch.Generator) -> tuple[Tensor, Tensor]:
    """n rows of random digits (n, leaves) and operators (n, leaves - 1)."""
    return torch.randint(10, (n, leaves), generator=g), torch.randint(2, (n, leaves - 1), generator=g)


class TreeNet(nn.Module):
    """A recursive network: one matrix for each operator, shared by all nodes of all trees."""

    def __init__(self, width: int, phi: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.digit, self.read = nn.Embedding(10, width), nn.Linear(width, 1)
        self.weight = nn.Parameter(torch.randn(2, width, 2 * width) / math.sqrt(2 * width))
        self.bias, self.phi = nn.Parameter(torch.zeros(2, width)), phi

    def forward(self, shape: Shape, digits: Tensor, ops: Tensor) -> Tensor:
        def combine(left: Tensor, right: Tensor, k: int) -> Tensor:
            both = torch.cat([left, right], 1)  # (N, 2 width)
            return self.phi(torch.einsum("nij,nj->ni", self.weight[ops[:, k]], both) + self.bias[ops[:, k]])

        return self.read(fold(shape, lambda i: self.digit(digits[:, i]), combine))[:, 0]


pair = torch.tensor([[8, 3, 2]]), torch.tensor([[1, 1]])
print(
    "(8-3)-2 =",
    value(((0, 1), 2), *pair).item(),
    "  8-(3-2) =",
    value((0, (1, 2)), *pair).item(),
    "  trees with 2..6 leaves:",
    [len(shapes(0, k)) for k in range(2, 7)],
)
assert [len(shapes(0, k)) for k in range(2, 7)] == [1, 2, 5, 14, 42]


def batch_loss(net: TreeNet, g: torch.Generator, pool: list[Shape]) -> Tensor:
    """Mean squared error, values in tens, on 64 expressions of each of four shapes from `pool`."""
    total = torch.zeros(())
    for pick in torch.randint(len(pool), (4,), generator=g).tolist():
        digits, ops = expressions(64, str(pool[pick]).count(",") + 1, g)
        total = total + (net(pool[pick], digits, ops) - value(pool[pick], digits, ops) / 10).square().mean()
    return total / 4


@torch.no_grad()
def unexplained(net: TreeNet, leaves: int) -> float:
    """Mean squared error over variance on fresh expressions, over at most 20 tree shapes."""
    g, wrong, spread = generator(99), 0.0, 0.0
    for shape in shapes(0, leaves)[:20]:
        digits, ops = expressions(100, leaves, g)
        truth = value(shape, digits, ops) / 10
        wrong += (net(shape, digits, ops) - truth).square().mean().item()
        spread += truth.var().item()
    return wrong / spread


pool = [shape for leaves in (2, 3, 4) for shape in shapes(0, leaves)]
sizes = [2, 3, 4, 6, 8]
curves: dict[str, list[list[float]]] = {"tanh": [], "linear": []}
for name, phi in {"tanh": torch.tanh, "linear": lambda v: v}.items():
    for seed in (0, 1):
        with seeded(seed):
            net = TreeNet(16, phi)
        g = generator(seed)
        train(
            net.parameters(),
            lambda step: batch_loss(net, g, pool),
            steps=350,
            lr=1e-2,
            clip=math.inf,
            label=f"tree network, {name}, seed {seed}",
        )
        curves[name].append([unexplained(net, leaves) for leaves in sizes])


def arrange(digits: Tensor, ops: Tensor, g: torch.Generator) -> Tensor:
    """Values (N,) after each row's digits, operators and tree are drawn anew from the same bag; 4 leaves."""
    digits = digits.gather(1, torch.rand(digits.shape, generator=g).argsort(1))
    ops = ops.gather(1, torch.rand(ops.shape, generator=g).argsort(1))
    every = torch.stack([value(shape, digits, ops) for shape in shapes(0, 4)])  # (5, N)
    return every.gather(0, torch.randint(5, (1, len(digits)), generator=g))[0]


g = generator(7)
bags = expressions(20_000, 4, g)
one, other = arrange(*bags, g), arrange(*bags, g)
floor = (0.5 * (one - other).square().mean() / one.var()).item()

fig, ax = figure(width=6.2, height=3.0)
for k, (name, runs) in enumerate(curves.items()):
    confidence(ax, sizes, torch.tensor(runs), f"recursive, {name} cell", k)
ax.axhline(floor, color=PALETTE[0], linestyle=":", label="best possible bag of tokens (4 leaves)")
ax.axvspan(1.8, 4, color="0.9", zorder=0)
ax.text(2.05, 2e-4, "trained on", fontsize=9)
ax.set(
    xlabel="leaves in the tree", ylabel="unexplained variance", yscale="log", xlim=(1.8, 8.2), ylim=(1e-6, 1)
)
ax.legend(loc="lower right")
show(
    fig,
    alt="Unexplained variance against tree size, log scale. The tanh cell rises from 0.003 to 0.06 beyond the training sizes, the linear cell from 0.00004 to at most 0.01. The bag of tokens floor is a flat line far above both.",
)
print(f"bag of tokens, best possible: {floor:.2f} of the variance unexplained")
for name, runs in curves.items():
    print(
        f"recursive, {name:6}: "
        + ", ".join(f"{k} leaves {max(run[i] for run in runs):.4f}" for i, k in enumerate(sizes))
    )
assert max(run[2] for run in curves["tanh"]) < floor / 50
assert max(run[4] for run in curves["linear"]) < 0.3 * min(run[4] for run in curves["tanh"])

# %% [markdown]
# Two results. The tree network leaves less than a fiftieth of the error of the best possible bag model. And the "Linear...?" of the menu has its day: plus and minus *are* linear, so
# a recursive net without a non-linearity carries on to trees twice as deep, where tanh saturates on values it never met; its error on 8 leaves is several times larger.
# Knowing when to leave a block out is part of the choice.
#
# ## 7.7 Optimisers: five ways to use one gradient
#
# All five see the same $g=\nabla_\theta L$ and differ in what they remember.
#
# | | memory | step |
# |---|---|---|
# | SGD | none | $\theta \leftarrow \theta-\eta g$ |
# | Momentum (Polyak 1964) | $m\leftarrow \mu m+g$ | $\theta \leftarrow \theta-\eta m$ |
# | Adagrad (Duchi et al. 2011) | $v\leftarrow v+g^2$ | $\theta \leftarrow \theta-\eta\, g/(\sqrt v+\epsilon)$ |
# | RMSProp (Tieleman & Hinton 2012) | $v\leftarrow \alpha v+(1-\alpha)g^2$ | $\theta \leftarrow \theta-\eta\, g/(\sqrt v+\epsilon)$ |
# | Adam (Kingma & Ba 2015) | $m\leftarrow\beta_1 m+(1-\beta_1)g$, $v\leftarrow\beta_2 v+(1-\beta_2)g^2$ | $\theta \leftarrow \theta-\eta\,\hat m/(\sqrt{\hat v}+\epsilon)$, $\hat m=m/(1-\beta_1^t)$, $\hat v=v/(1-\beta_2^t)$ |

# %% tags=["covers:B-05"]
Memory = dict[str, Tensor]


def sgd(g: Tensor, s: Memory, t: int, lr: float) -> Tensor:
    return lr * g


def momentum(g: Tensor, s: Memory, t: int, lr: float, mu: float = 0.9) -> Tensor:
    s["m"] = mu * s.get("m", torch.zeros_like(g)) + g
    return lr * s["m"]


def adagrad(g: Tensor, s: Memory, t: int, lr: float, eps: float = 1e-10) -> Tensor:
    s["v"] = s.get("v", torch.zeros_like(g)) + g**2
    return lr * g / (s["v"].sqrt() + eps)


def rmsprop(g: Tensor, s: Memory, t: int, lr: float, alpha: float = 0.99, eps: float = 1e-8) -> Tensor:
    s["v"] = alpha * s.get("v", torch.zeros_like(g)) + (1 - alpha) * g**2
    return lr * g / (s["v"].sqrt() + eps)


def adam(
    g: Tensor, s: Memory, t: int, lr: float, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8
) -> Tensor:
    s["m"] = b1 * s.get("m", torch.zeros_like(g)) + (1 - b1) * g
    s["v"] = b2 * s.get("v", torch.zeros_like(g)) + (1 - b2) * g**2
    return lr * s["m"] / (1 - b1**t) / ((s["v"] / (1 - b2**t)).sqrt() + eps)


def walk(rule: Callable, hessian: Tensor, start: Tensor, steps: int, **knobs: float) -> Tensor:
    """Path (steps + 1, D) of `rule` on the quadratic 0.5 * theta' hessian theta, whose gradient is hessian theta."""
    theta, memory, path = start, {}, [start]
    for t in range(1, steps + 1):
        theta = theta - rule(hessian @ theta, memory, t, **knobs)
        path.append(theta)
    return torch.stack(path)


def torch_walk(
    kind: type[torch.optim.Optimizer], hessian: Tensor, start: Tensor, steps: int, **knobs: float
) -> Tensor:
    """The same path by an optimiser of torch."""
    theta = start.clone().requires_grad_()
    optimiser, path = kind([theta], **knobs), [start]
    for _ in range(steps):
        optimiser.zero_grad()
        (0.5 * theta @ hessian @ theta).backward()
        optimiser.step()
        path.append(theta.detach().clone())
    return torch.stack(path)


hessian, start = torch.tensor([[4.0, 1.5], [1.5, 1.0]]), torch.tensor([-2.0, 3.0])
RULES = {"SGD": sgd, "Momentum": momentum, "Adagrad": adagrad, "RMSProp": rmsprop, "Adam": adam}
theirs = {
    "SGD": (torch.optim.SGD, {}), "Momentum": (torch.optim.SGD, {"momentum": 0.9}), "Adagrad": (torch.optim.Adagrad, {}),
    "RMSProp": (torch.optim.RMSprop, {}), "Adam": (torch.optim.Adam, {}),
}  # fmt: skip
for name, rule in RULES.items():
    kind, extra = theirs[name]
    gap = (
        (walk(rule, hessian, start, 20, lr=0.05) - torch_walk(kind, hessian, start, 20, lr=0.05, **extra))
        .abs()
        .max()
        .item()
    )
    print(f"{name:9} largest difference to torch.optim over 20 steps below 1e-6: {gap < 1e-6}")
    assert gap < 1e-6

sharpest = torch.linalg.eigvalsh(hessian)[-1].item()
for rule, limit in ((sgd, 2 / sharpest), (momentum, 2 * (1 + 0.9) / sharpest)):
    calm, wild = (
        walk(rule, hessian.double(), start.double(), 400, lr=c * limit)[-1].norm().item()
        for c in (0.99, 1.01)
    )
    assert calm < 1e-2 < 1e3 < wild
scaled = {
    name: (walk(rule, 1000 * hessian, start, 20, lr=1e-4) - walk(rule, hessian, start, 20, lr=1e-4))
    .abs()
    .max()
    .item()
    for name, rule in RULES.items()
}
print(
    "change of the path when the loss is multiplied by 1000:",
    {name: round(v, 4) for name, v in scaled.items()},
)
assert (
    max(scaled["Adagrad"], scaled["RMSProp"], scaled["Adam"])
    < 1e-4
    < 0.1
    < min(scaled["SGD"], scaled["Momentum"])
)

# %% [markdown]
# Two facts worth keeping came out of the same cell. **Plain SGD on a quadratic diverges exactly beyond $\eta=2/\lambda_{\max}$**, and momentum beyond $2(1+\mu)/\lambda_{\max}$ (99 % of the limit comes to rest, 101 % explodes). And
# **multiplying the loss by 1000 changes nothing for Adagrad, RMSProp and Adam**, which divide by the size of the gradients they have seen; it changes everything for the other two.
# A learning rate for one family says nothing about the other.
#
# Move the sliders: which optimiser profits from momentum, and which suffer when the valley is turned away from the axes?


# %%
def trajectories(log_lr: float, mu: float, turn: int) -> Figure:
    """Sixty steps of all five on a valley 20 times as steep across as along, turned by `turn` degrees."""
    angle = math.radians(turn)
    rotation = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    valley = rotation @ torch.diag(torch.tensor([1.0, 20.0])) @ rotation.T
    start = rotation @ torch.tensor([-4.0, 1.2])
    knobs: dict[str, dict[str, float]] = {"Momentum": {"mu": mu}, "Adam": {"b1": mu}}
    fig, (left, right_ax) = figure(1, 2, width=8.4, height=3.3)
    axis = torch.linspace(-5, 5, 81)
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1)
    height = 0.5 * torch.einsum("abi,ij,abj->ab", grid, valley, grid)
    left.contour(axis, axis, height.sqrt(), levels=8, colors="0.8", linewidths=0.8)
    for k, (name, rule) in enumerate(RULES.items()):
        path = walk(rule, valley, start, 60, lr=10**log_lr, **knobs.get(name, {}))
        loss = 0.5 * torch.einsum("ti,ij,tj->t", path, valley, path)
        look = {
            "color": PALETTE[k + 1],
            "linestyle": DASHES[k],
            "marker": "osv^D"[k],
            "markersize": 3,
            "linewidth": 1.1,
            "label": name,
        }
        stay = (
            int((path.abs().amax(1) < 5).long().cumprod(0).sum()) + 1
        )  # up to the step that leaves the picture
        left.plot(path[:stay, 0], path[:stay, 1], markevery=5, **look)
        right_ax.plot(torch.where(loss < 1e4, loss.clamp(min=1e-8), torch.nan), markevery=10, **look)
    left.plot(0, 0, "*", color=PALETTE[0], markersize=10)
    left.set(xlim=(-5, 5), ylim=(-5, 5), xlabel="θ₁", ylabel="θ₂", title="paths (star: minimum)")
    right_ax.set(
        yscale="log",
        ylim=(1e-8, 1e4),
        xlabel="step",
        ylabel="loss",
        title=f"η = {10**log_lr:.3g}, μ = β₁ = {mu:g}",
    )
    right_ax.legend(fontsize=8, ncols=2)
    return fig


explore(
    trajectories,
    alt="Paths and losses of five optimisers in a narrow valley turned by {turn} degrees, at log10 learning rate {log_lr} and momentum {mu}.",
    static=[{"log_lr": -1.3, "mu": 0.9, "turn": 0}, {"log_lr": -0.9, "mu": 0.5, "turn": 45}],
    log_lr=Slider(-3.0, 0.0, 0.1, -1.3, label="log10 learning rate"),
    mu=Slider(0.0, 0.98, 0.02, 0.9, label="momentum"),
    turn=Choice([0, 20, 45], 0, label="valley turned by (°)"),
)

# %% [markdown]
# The first setting is safe for all: SGD creeps along the valley, momentum overshoots and comes back, Adagrad slows down more and more. In the second the rate is above SGD's limit $2/20=0.1$: SGD leaves the picture, while momentum,
# whose limit is $2(1+\mu)/20$, survives.
#
# ## 7.8 Losses: likelihoods in disguise
#
# The menu has six names. Four are negative log-likelihoods or part of one, and each is one line.
#
# | name | formula | what it is |
# |---|---|---|
# | cross entropy | $-\log p_y,\; p=\mathrm{softmax}(z)$ | likelihood of a categorical |
# | maximum likelihood | $-\log p_\theta(y\mid x)$ | the general rule |
# | L2 | $\tfrac12(y-m)^2$ | Gaussian likelihood, $\sigma=1$, without its constant |
# | sparse (L1) | $\lambda\lvert w\rvert$ | Laplace prior on weights or activations |
# | adversarial | $-\log D(x)-\log(1-D(G(z)))$ | a judge learns the loss; at its best, a Jensen-Shannon divergence |
# | variational | $\mathbb E_q[-\log p(x\mid z)]+\mathrm{KL}(q\,\Vert\,p)$ | an upper bound of $-\log p(x)$ |
#
# The last two losses are expectations, so Monte Carlo can check them. For the **adversarial** loss take two Gaussians, give the judge its best possible answer
# $D^*(x)=p(x)/(p(x)+q(x))$ (Goodfellow et al. 2014, proposition 1), and average over samples: the loss must be $2\log 2-2\,\mathrm{JSD}(p,q)$ (theorem 1). For the **variational** one take a model
# that can be solved, $z\sim N(0,1)$, $x=z+\text{noise of variance }s^2$: with the true posterior the bound is tight; with any other it lies above $-\log p(x)$ by the KL to the posterior.

# %% tags=["covers:B-06"]
LOSSES: dict[str, Callable[..., Tensor]] = {
    "cross entropy": lambda z, y: z.logsumexp(-1) - z.gather(-1, y[:, None])[:, 0],
    "maximum likelihood": lambda distribution, y: -distribution.log_prob(y),
    "L2": lambda m, y: 0.5 * (y - m) ** 2,
    "sparse": lambda w, lam: lam * w.abs(),
    "adversarial": lambda d_real, d_fake: F.softplus(-d_real) + F.softplus(d_fake),  # logits of "real"
    "variational": lambda m, logvar: 0.5 * (m**2 + logvar.exp() - logvar - 1),  # the KL term, to N(0, 1)
}
g = generator(8)
z, y = torch.randn(40, 7, generator=g).double(), torch.randint(7, (40,), generator=g)
m, t = torch.randn(40, generator=g).double(), torch.randn(40, generator=g).double()
dist, loss_of = torch.distributions, LOSSES

ce = loss_of["cross entropy"](z, y)  # = NLL of the softmax = the KL from the one-hot target
assert torch.allclose(ce, loss_of["maximum likelihood"](dist.Categorical(logits=z), y))
assert torch.allclose(ce, -z.softmax(-1)[torch.arange(40), y].log())
assert torch.allclose(ce, F.cross_entropy(z, y, reduction="none"))

difference = loss_of["maximum likelihood"](dist.Normal(m, torch.ones_like(m)), t) - loss_of["L2"](
    m, t
)  # Gaussian NLL - L2
assert torch.allclose(difference, torch.full_like(difference, 0.5 * math.log(2 * math.pi)))
laplace = loss_of["maximum likelihood"](dist.Laplace(0.0, 1 / torch.tensor(3.0).double()), m) - loss_of[
    "sparse"
](m, 3.0)
assert torch.allclose(laplace, torch.full_like(laplace, math.log(2 / 3)))

grid, lam, pulls = (
    torch.linspace(-4, 4, 80_001, dtype=torch.float64),
    0.8,
    torch.tensor([-2.5, -0.5, 0.3, 1.7]),
)
for a in pulls.double():  # sparse: the minimiser is exactly 0 for |a| <= lam; with L2 it never is
    l1 = grid[(loss_of["L2"](grid, a) + loss_of["sparse"](grid, lam)).argmin()]
    l2 = grid[(loss_of["L2"](grid, a) + lam * loss_of["L2"](grid, 0.0)).argmin()]
    assert torch.isclose(l1, a.sign() * (a.abs() - lam).clamp(min=0), atol=2e-4) and torch.isclose(
        l2, a / (1 + lam), atol=2e-4
    )
print(
    f"cross entropy = NLL of the softmax; Gaussian NLL - L2 = {difference[0].item():.4f} everywhere; Laplace NLL - L1 = {laplace[0].item():.4f} everywhere"
)

# the last two are expectations: Monte Carlo
g = generator(9)
n = 400_000
p, q = dist.Normal(0.0, 1.0), dist.Normal(1.5, 0.7)
real, fake = torch.randn(n, generator=g), 1.5 + 0.7 * torch.randn(n, generator=g)


def log_ratio(v: Tensor) -> Tensor:
    """The logit of the best judge, D*(v) = p(v) / (p(v) + q(v))."""
    return p.log_prob(v) - q.log_prob(v)


sampled = loss_of["adversarial"](log_ratio(real), log_ratio(fake)).mean().item()
fine = torch.linspace(-8, 8, 160_001, dtype=torch.float64)
p_x, q_x = p.log_prob(fine).exp(), q.log_prob(fine).exp()
middle = (p_x + q_x) / 2
jsd = 0.5 * torch.trapezoid(torch.xlogy(p_x, p_x / middle) + torch.xlogy(q_x, q_x / middle), fine).item()
print(f"adversarial: sampled {sampled:.3f}, 2 log 2 - 2 JSD = {2 * math.log(2) - 2 * jsd:.3f}")
assert abs(sampled - (2 * math.log(2) - 2 * jsd)) < 5e-3  # standard error 0.001

mean, logvar, s2, x_seen = torch.tensor(0.4), torch.tensor(-1.2), 0.5, 1.3
code = mean + (logvar / 2).exp() * torch.randn(n, generator=g)
posterior = dist.Normal(x_seen / (1 + s2), math.sqrt(s2 / (1 + s2)))
guess = dist.Normal(mean, (logvar / 2).exp())
kl = loss_of["variational"](mean, logvar).item()
kl_sampled = (guess.log_prob(code) - dist.Normal(0.0, 1.0).log_prob(code)).mean().item()
evidence = dist.Normal(0.0, math.sqrt(1 + s2)).log_prob(torch.tensor(x_seen)).item()


def bound(q: dist.Normal) -> float:
    """Variational loss of the code distribution q: expected reconstruction in closed form plus KL."""
    expected_square = (x_seen - q.mean) ** 2 + q.variance
    reconstruction = 0.5 * expected_square / s2 + 0.5 * math.log(2 * math.pi * s2)
    return (reconstruction + loss_of["variational"](q.mean, q.variance.log())).item()


print(
    f"variational: KL {kl:.3f}, sampled {kl_sampled:.3f}; -log p(x) {-evidence:.3f}, bound at the posterior {bound(posterior):.3f}, elsewhere {bound(guess):.3f}"
)
assert abs(kl - kl_sampled) < 5e-3 and abs(bound(posterior) + evidence) < 1e-5
assert (
    abs(bound(guess) + evidence - dist.kl_divergence(guess, posterior).item()) < 1e-5
)  # the gap is the KL to the posterior

# %% [markdown]
# ### Discrete outputs: softmax cross entropy with L2
#
# For labels the tutorial's line reads: softmax cross entropy with L2 regularisation. Its gradient is the most useful formula in the field. With logits $z$, one-hot $y$, and penalty $\tfrac\lambda2\lVert w\rVert^2$:
#
# $$\frac{\partial L}{\partial z} = p-y, \qquad \frac{\partial L}{\partial W} = \frac1N (P-Y)^\top X+\lambda W .$$
#
# The short form $p-y+\lambda w$ holds literally where the weights *are* the logits, that is, for a model with no input at all. In general $p-y$ first travels through $X$. Both are compared with autograd below, and then we train with the
# formula alone.
#
# The surprise at the end of the cell: give a linear model of the digits the class number as a real target with squared error, and round its answer. Then give the same
# model one output for each class. Same data, same linear map, same solver; but the first recipe says that a 3 is halfway between a 2 and a 4.


# %% tags=["covers:B-07"]
def hand_gradient(W: Tensor, x: Tensor, y: Tensor, lam: float) -> Tensor:
    """Gradient (C, D) of mean cross entropy + lam / 2 * |W|^2 for logits x W'; x (N, D), y (N,)."""
    error = (x @ W.T).softmax(1) - F.one_hot(y, len(W)).to(x)  # p - y, (N, C)
    return error.T @ x / len(x) + lam * W


g, lam = generator(10), 0.03
w = torch.randn(10, generator=g).double().requires_grad_()  # no input: the weights are the logits
label = torch.tensor(4)
(literal,) = torch.autograd.grad(F.cross_entropy(w, label) + lam / 2 * w.square().sum(), w)
assert torch.allclose(literal, w.softmax(0) - F.one_hot(label, 10) + lam * w, atol=1e-14)

W = torch.randn(10, 64, generator=g).double().requires_grad_()
x64 = x_train.double()
(auto,) = torch.autograd.grad(F.cross_entropy(x64 @ W.T, y_train) + lam / 2 * W.square().sum(), W)
assert torch.allclose(auto, hand_gradient(W.detach(), x64, y_train, lam), atol=1e-13)

W = torch.zeros(10, 64, dtype=torch.float64)
for _ in range(300):
    W -= 1.0 * hand_gradient(W, x64, y_train, 1e-3)
softmax_right = accuracy(x_test.double() @ W.T, y_test)
print(f"p - y + lambda w agrees with autograd; 300 steps with it read {softmax_right:.2f} of the test digits")
assert softmax_right > 0.92

ones = torch.ones(len(x_train), 1)
inputs_train, inputs_test = torch.cat([x_train, ones], 1), torch.cat([x_test, torch.ones(len(x_test), 1)], 1)
ridge = inputs_train.T @ inputs_train + 1e-2 * torch.eye(65)
as_number = inputs_test @ torch.linalg.solve(ridge, inputs_train.T @ y_train[:, None].float())
as_classes = inputs_test @ torch.linalg.solve(ridge, inputs_train.T @ F.one_hot(y_train, 10).float())
number_right = (as_number[:, 0].round() == y_test).float().mean().item()
print(
    f"class number as a real target: {number_right:.2f} right; one output a class: {accuracy(as_classes, y_test):.2f} right"
)
assert number_right < 0.35 and accuracy(as_classes, y_test) > 0.9

# %% [markdown]
# ### Continuous outputs: Gaussian and Gaussian mixture likelihood
#
# Squared error is a Gaussian with one mean. What if the answer is one of two? Let $y=\pm\tfrac12(1+x)$ with a little noise: the two poses of an elbow. The best squared-error answer is $\mathbb E[y\mid x]=0$, a place where no data
# ever lies. A **mixture density network** (Bishop 1994) outputs, for each of M components, a weight, a mean and a width, and is trained by the negative log-likelihood `mixture_nll` from section 7.2. To be fair to the squared-error model we give it the
# best constant $\sigma$ and score both by log-likelihood on fresh data.
#
# A density can also be *sampled*, with a temperature $\tau$: divide the logits of the mixture weights by $\tau$ and multiply the variances by $\tau$ (Ha & Eck 2018). Cold samples sit on the branches; hot ones blur. About 3 seconds.

# %% tags=["covers:B-08", "nbval-ignore-output"]
NOISE = 0.06


def elbow(n: int, g: torch.Generator) -> tuple[Tensor, Tensor]:
    """x (n, 1) in [0, 1], y (n, 1) on one of two branches, never near 0."""
    x = torch.rand(n, 1, generator=g)
    branch = 1 - 2 * torch.randint(2, (n, 1), generator=g)
    return x, branch * (0.5 + 0.5 * x) + NOISE * torch.randn(n, 1, generator=g)


def small_net(width: int, seed: int) -> nn.Module:
    with seeded(seed):
        return nn.Sequential(nn.Linear(1, 24), nn.Tanh(), nn.Linear(24, width))


best_possible = -(
    math.log(2) + math.log(NOISE) + 0.5 * math.log(2 * math.pi) + 0.5
)  # two well separated branches
scores: list[tuple[float, float, float]] = []
for seed in track(range(5), "two losses, five seeds"):
    x, y = elbow(800, generator(seed))
    x_new, y_new = elbow(2000, generator(100 + seed))
    squared, mixture = small_net(1, seed), small_net(6, seed)
    descend(squared.parameters(), lambda: F.mse_loss(squared(x), y), steps=500, lr=2e-2)
    descend(mixture.parameters(), lambda: mixture_nll(mixture(x), y), steps=500, lr=2e-2)
    with torch.no_grad():
        sigma = F.mse_loss(squared(x), y).sqrt()
        gauss = dist.Normal(squared(x_new), sigma).log_prob(y_new).mean().item()
        scores.append((gauss, -mixture_nll(mixture(x_new), y_new).item(), squared(x_new).abs().max().item()))
table = torch.tensor(scores)
print(
    f"log-likelihood per point: squared error {table[:, 0].mean():.2f}, mixture {table[:, 1].mean():.2f}, the truth itself {best_possible:.2f}"
)
print(
    f"largest |prediction| of squared error {table[:, 2].max():.2f}; smallest |y| in the data {y_new.abs().min():.2f}"
)
assert (table[:, 1] - table[:, 0]).min() > 1.4 and (table[:, 1] - best_possible).abs().max() < 0.08
assert table[:, 2].max() < y_new.abs().min()  # between the branches, where no target ever was

x_axis, last_x, last_y = torch.linspace(0, 1, 101)[:, None], x, y  # names that later cells leave alone


def sample_elbow(temperature: float) -> Figure:
    """600 samples from the mixture head at this temperature, over the data, with the squared-error answer."""
    g = generator(11)
    x_new = torch.rand(600, 1, generator=g)
    with torch.no_grad():
        weight, mean, log_sd = mixture(x_new).chunk(3, 1)
        pick = torch.multinomial((weight / temperature).softmax(1), 1, generator=g)
        width = log_sd.gather(1, pick).exp() * math.sqrt(temperature)
        samples = mean.gather(1, pick) + width * torch.randn(600, 1, generator=g)
        curve, means = squared(x_axis), mixture(x_axis).chunk(3, 1)[1]
    fig, (left, right_ax) = figure(1, 2, width=8.0, height=2.9, sharey=True)
    left.plot(last_x, last_y, ".", color="0.6", markersize=3, label="data")
    left.plot(x_axis, curve, color=PALETTE[2], label="squared error")
    left.plot(x_axis, means[:, 0], color=PALETTE[1], linestyle="--", label="mixture means")
    left.plot(x_axis, means[:, 1], color=PALETTE[1], linestyle="--")
    left.set(xlabel="x (position)", ylabel="y (angle, arbitrary units)", title="two heads", ylim=(-1.5, 2.0))
    left.legend(fontsize=8, loc="upper center", ncols=3)
    right_ax.plot(x_new, samples, ".", color=PALETTE[3], markersize=3)
    right_ax.set(xlabel="x (position)", title=f"samples at temperature {temperature:g}")
    return fig


explore(
    sample_elbow,
    alt="Left: data on two branches, the squared-error curve between them near zero, the two mixture means on the branches. Right: samples of the mixture at temperature {temperature}.",
    static=[{"temperature": 0.2}, {"temperature": 5.0}],
    temperature=Slider(0.1, 8.0, 0.1, 1.0, label="temperature"),
)

# %% [markdown]
# The mixture gains about 1.8 nats per point, in each of five seeds, and comes within 0.1 of the density that made the data. The last print line is the verdict on squared error: its answers are
# smaller in size than any target it ever saw.
#
# ## 7.9 Hyper-parameters: a search with a fixed budget
#
# What gradients cannot reach has to be searched. The usual knobs, and a sensible way to draw each:
#
# | knob | draw | | knob | draw |
# |---|---|---|---|---|
# | learning rate | log-uniform | | weight initialisation (scale) | log-uniform |
# | layer size | log-uniform, rounded | | data augmentation | yes / no, or a strength |
# | number of layers | 1, 2, 3, ... | | gradient clipping | log-uniform |
# | batch size | powers of 2 | | weight decay | log-uniform |
# | dropout | uniform in [0, 0.5] | | momentum | $1-\mu$ log-uniform |
#
# **Random search** draws all knobs anew in each trial (Bergstra & Bengio 2012). How far do 20 trials take us? If a fraction $f$ of the draws is good enough, then
#
# $$P(\text{at least one of } n \text{ is good}) = 1-(1-f)^n .$$
#
# We test it on the learning rate of a small network on the digits, between $10^{-4}$ and $10^{2}$. "Good" means: validation loss within 10 % of the best that any rate reaches. To replay thousands of searches cheaply, all rates are first trained
# side by side as one batch (61 rates × 8 seeds, about 3 seconds); a search then looks its trials up in the table.

# %% tags=["covers:B-09", "nbval-ignore-output"]
components = torch.linalg.svd(x_train - x_train.mean(0), full_matrices=False)[2][:16].T
tuned_on, tuned_at = (x_train[:150] - x_train.mean(0)) @ components, y_train[:150]
valid_x, valid_y = (x_train[700:1200] - x_train.mean(0)) @ components, y_train[700:1200]


def train_many(
    lr: Tensor, mu: Tensor, decay: Tensor, scale: Tensor, noise: Tensor, steps: int = 60
) -> Tensor:
    """Validation loss (R,) of R networks 16-16-10 trained side by side; all knobs (R,), noise (R, 16, 26)."""
    knob = {k: v.view(-1, 1, 1) for k, v in {"lr": lr, "mu": mu, "decay": decay, "scale": scale}.items()}
    weights = [w.contiguous() for w in (knob["scale"] * noise / 4).split([16, 10], 2)]
    speed = [torch.zeros_like(w) for w in weights]
    target = F.one_hot(tuned_at, 10).float()
    for _ in range(steps):
        h = torch.tanh(tuned_on @ weights[0])  # (R, N, 16)
        error = ((h @ weights[1]).softmax(2) - target) / len(tuned_on)  # p - y, section 7.8
        back = (error @ weights[1].mT) * (1 - h * h)
        for i, gradient in enumerate((tuned_on.T @ back, h.mT @ error)):
            speed[i] = knob["mu"] * speed[i] + gradient + knob["decay"] * weights[i]
            weights[i] = weights[i] - knob["lr"] * speed[i]
    logits = torch.tanh(valid_x @ weights[0]) @ weights[1]
    losses = -logits.log_softmax(2)[:, torch.arange(len(valid_y)), valid_y].mean(1)
    return losses.nan_to_num(math.inf, posinf=math.inf)


g, seeds = generator(12), 8
rates = torch.logspace(-4, 2, 61)
starts = torch.randn(seeds, 16, 26, generator=g)
constant = torch.ones(len(rates))
rows = []
for start_weights in track(starts, "61 rates for each of 8 seeds"):
    rows.append(
        train_many(rates, 0 * constant, 0 * constant, constant, start_weights.expand(len(rates), -1, -1))
    )
landscape = torch.stack(rows)  # (seeds, rates)
good = landscape <= 1.1 * landscape.min(1, keepdim=True).values
good_share = good.float().mean(1)
print(
    f"good rates run from {rates[good.any(0)].min():.2g} to {rates[good.any(0)].max():.2g}; share of the log range: {good_share.min():.2f} to {good_share.max():.2f} over seeds"
)

searches, budget = 4000, 20


def hit_rate(drawn: Tensor) -> Tensor:
    """Share of searches (seeds,) with a good rate among their trials; drawn (searches, budget) indices into `rates`."""
    return torch.stack([row[drawn].any(1).float().mean() for row in good])


log_uniform = torch.randint(len(rates), (searches, budget), generator=g)
uniform_rates = 1e-4 + (100 - 1e-4) * torch.rand(searches, budget, generator=g)
uniform = ((uniform_rates.log10() + 4) / 6 * 60).round().long()
found, found_uniform = hit_rate(log_uniform), hit_rate(uniform)
formula = 1 - (1 - good_share) ** budget
print(
    f"20 trials, log-uniform: success in {found.min():.2f} to {found.max():.2f} of the searches over 8 seeds (formula {formula.min():.2f} to {formula.max():.2f})"
)
print(f"20 trials, uniform:     success in {found_uniform.min():.2f} to {found_uniform.max():.2f}")
assert (found - formula).abs().max() < 0.03 and found.mean() > 0.9

centres = torch.logspace(-3, 1.4, 50)
factor = 10 ** (6 * good_share.mean().item() / 2)  # half-width of the good window, as a factor
chance = {
    "log-uniform": torch.full((50,), formula.mean().item()),
    "uniform": 1 - (1 - (centres * factor - centres / factor).clamp(max=100) / 100) ** budget,
}
assert chance["uniform"][(centres - 1e-2).abs().argmin()] < 0.01
fig, (left, right_ax) = figure(1, 2, width=8.4, height=3.0)
confidence(left, rates, landscape.clamp(max=20), "8 seeds, mean and range")
left.axvspan(
    rates[good.all(0)].min(),
    rates[good.all(0)].max(),
    color=PALETTE[6],
    alpha=0.35,
    hatch="//",
    label="within 10 % in all seeds",
)
left.set(
    xscale="log", yscale="log", xlabel="learning rate", ylabel="validation loss (nats)", title="the landscape"
)
left.legend(fontsize=8, loc="upper left")
lines(
    right_ax,
    centres,
    chance,
    xlabel="where the good window lies",
    ylabel="chance of success",
    title="20 trials on $[10^{-4}, 10^2]$",
    legend=False,
)
right_ax.set(xscale="log", ylim=(0, 1.05))
right_ax.legend(loc="center left")
show(
    fig,
    alt="Left: validation loss against learning rate on log axes; a flat valley between rates 1.5 and 8, marked, then a cliff. Right: chance of success of log-uniform search is constant near 0.95, that of uniform search falls to zero as the good window lies at small rates.",
)

# %% [markdown]
# So 20 log-uniform trials find a rate within 10 % of the optimum in over nine searches of ten, as the formula says. Uniform draws do not look hopeless here, but only because this network likes rates between 1 and 10. The right panel moves the same window:
# for an optimum at $10^{-2}$ uniform search would nearly always miss. Log-uniform does not care where the window is.
#
# The fine print is what happens with **more knobs**. Below, learning rate, momentum, weight decay and initial scale are drawn together, 500 times. Which of them explains the spread of results, and how often do 20 trials get within 10 % of the best of all 500?

# %% tags=["nbval-ignore-output"]
R = 500
knobs = {
    "learning rate": 10 ** (6 * torch.rand(R, generator=g) - 4),
    "momentum": 1 - 10 ** (-1.3 * torch.rand(R, generator=g)),
    "weight decay": 10 ** (4 * torch.rand(R, generator=g) - 6),
    "initial scale": 10 ** (2 * torch.rand(R, generator=g) - 1),
}
outcome = train_many(*knobs.values(), torch.randn(R, 16, 26, generator=g))
spread_of = outcome.clamp(max=10).log()
share = {}
for name, values in knobs.items():
    tenths = spread_of[values.argsort()].view(10, -1)  # 10 bins of 50 trials, ordered by this knob alone
    share[name] = (tenths.mean(1).var(correction=0) / spread_of.var(correction=0)).item()
print("share of the variance explained by one knob alone:", {name: round(v, 2) for name, v in share.items()})
trials = torch.rand(searches, R, generator=g).argsort(1)[:, :budget]
joint = {
    tolerance: (outcome[trials].min(1).values <= tolerance * outcome.min()).float().mean().item()
    for tolerance in (1.1, 1.5)
}
print(
    f"20 trials, four knobs: within 10 % of the best of 500 in {joint[1.1]:.2f} of the searches, within 50 % in {joint[1.5]:.2f}"
)
assert max(share, key=share.__getitem__) == "learning rate" and share["learning rate"] > 2 * (
    sum(share.values()) - share["learning rate"]
)
assert joint[1.1] < 0.5 < joint[1.5]

# %% [markdown]
# The learning rate explains far more than the other three together, which is also what a search over LSTM variants with 5400 runs found (Greff et al. 2017; notebook 4). Tune it first. And the promise of 20 trials was a
# promise about *one* knob: with four, the same budget rarely comes within 10 % of the best known, although it gets into the neighbourhood.
#
# ## 7.10 With labels and without
#
# The oldest division: **supervised** learning has pairs $(x,y)$ and learns $x\to y$ (classification, regression, detection, segmentation); **unsupervised** learning has $x$ alone and looks for structure (clusters, fewer features, a density).
# Sort ten tasks: `with` or `without` labels. The test is not whether there is a target in the loss, but whether somebody had to provide it.
#
# | | | | |
# |---|---|---|---|
# | `spam` mail or not | `price` of a house | `groups` of similar customers | `boxes` around pedestrians |
# | `axes` that explain most variance | `pixels` labelled road or sky | `fraud` as the rare, odd payment, no examples given | `faces`: new ones like these |
# | `next word` of raw text | `diagnosis` from scans read by doctors | | |

# %% tags=["covers:B-10"]
SORTED: dict[str, tuple[set[str]]] = {
    "spam": ({"with"},), "price": ({"with"},), "groups": ({"without"},), "boxes": ({"with"},), "axes": ({"without"},), "pixels": ({"with"},),
    "fraud": ({"without"},), "faces": ({"without"},), "next word": ({"without"},), "diagnosis": ({"with"},),
}  # fmt: skip
my_sorting = dict.fromkeys(SORTED, ("",))  # fill in, for example my_sorting["spam"] = ("with",)
mark(my_sorting, SORTED)

# The criterion, run on data: a method without labels gives the same answer when the labels are shuffled.
permuted = y_train[torch.randperm(1200, generator=generator(13))]


def supervised(y: Tensor) -> Tensor:
    W = torch.zeros(10, 64)
    for _ in range(100):
        W -= hand_gradient(W, x_train, y, 1e-3)
    return W


def unsupervised(y: Tensor) -> Tensor:
    return torch.linalg.svd(x_train - x_train.mean(0), full_matrices=False)[1]  # never looks at y


assert not torch.allclose(supervised(y_train), supervised(permuted), atol=0.1)
assert torch.equal(unsupervised(y_train), unsupervised(permuted))
honest, fooled = (
    accuracy(x_test @ supervised(y_train).T, y_test),
    accuracy(x_test @ supervised(permuted).T, y_test),
)
print(
    f"softmax regression: {honest:.2f} of the test digits with true labels, {fooled:.2f} with shuffled ones; principal axes: the same for both"
)
assert honest > 0.9 and fooled < 0.25
assert (
    mark({task: tuple(next(iter(ok)) for ok in accepted) for task, accepted in SORTED.items()}, SORTED) == 10
)

# %% [markdown]
# <details><summary><b>Answers to the ten tasks</b></summary>
#
# With labels: spam, price, boxes (detection), pixels (segmentation), diagnosis. Without: groups (clustering), axes (dimensionality reduction), fraud as posed (a density; rare means improbable), faces (generation), and next word. The last has a target for each
# word and is trained like a classifier, but the target comes with the text for free: often called <i>self-supervised</i>.
#
# </details>
#
# How much of the labels is already in the pixels? **k-means** (Lloyd 1982) alternates two steps, each of which can only lower the sum of squared distances: assign each scan to the nearest centre, move each centre to the mean of its scans. **PCA** keeps the directions of
# largest variance. Neither sees a label; we only use labels afterwards, to score *purity*: the share of scans that carry the majority label of their cluster.


# %% tags=["covers:B-11"]
def k_means(x: Tensor, k: int, g: torch.Generator, rounds: int = 30) -> tuple[list[float], Tensor, Tensor]:
    """Lloyd's algorithm from k-means++ seeds (Arthur & Vassilvitskii 2007): cost a round, cluster (N,), centres (k, D)."""
    centres = x[torch.randint(len(x), (1,), generator=g)]
    while len(centres) < k:
        far = torch.cdist(x, centres).min(1).values.square()
        centres = torch.cat([centres, x[torch.multinomial(far, 1, generator=g)]])
    costs = []
    for _ in range(rounds):
        distance, cluster = torch.cdist(x, centres).min(1)
        costs.append(distance.square().sum().item())
        centres = torch.stack(
            [x[cluster == j].mean(0) if (cluster == j).any() else centres[j] for j in range(k)]
        )
    return costs, cluster, centres


def purity(cluster: Tensor, y: Tensor) -> float:
    """Share of items that carry their cluster's most frequent label."""
    return sum(y[cluster == j].bincount().max().item() for j in cluster.unique()) / len(y)


g = generator(14)
runs = [k_means(pixels, 10, g) for _ in range(10)]
assert all(b <= a + 1e-2 for costs, *_ in runs for a, b in itertools.pairwise(costs))  # the cost never rises
costs, cluster, centres = min(runs, key=lambda run: run[0][-1])
by_chance = purity(torch.randint(10, labels.shape, generator=g), labels)
of_25 = purity(k_means(pixels, 25, g)[1], labels)
variance = torch.linalg.svdvals(pixels - pixels.mean(0)).square()
explained = variance.cumsum(0) / variance.sum()
needed = int((explained < 0.9).sum()) + 1
print(
    f"purity of 10 clusters: {purity(cluster, labels):.2f} (random clusters {by_chance:.2f}; 25 clusters {of_25:.2f})"
)
print(f"principal components: 2 keep {explained[1]:.0%} of the variance, {needed} of 64 keep 90 %")
assert purity(cluster, labels) > 0.7 > 0.2 > by_chance and of_25 > purity(cluster, labels)
assert needed == 21 and 0.28 < explained[1] < 0.29

majority = [labels[cluster == j].mode().values.item() for j in range(10)]
assert majority.count(1) == 2 and 8 not in majority
fig, grid_axes = figure(2, 9, width=9.0, height=3.2, gridspec_kw={"width_ratios": [1] * 5 + [0.1, 2, 2, 2]})
for ax in grid_axes.flat:
    ax.axis("off")
for j, k in enumerate(sorted(range(10), key=majority.__getitem__)):
    ax = grid_axes[j // 5, j % 5]
    ax.imshow(centres[k].view(8, 8).numpy(), cmap="gray_r", vmin=0, vmax=1)
    ax.set_title(f"mostly {majority[k]}", fontsize=8, weight="normal")
scatter = fig.add_subplot(grid_axes[0, 0].get_gridspec()[:, 6:])
plane = (pixels - pixels.mean(0)) @ torch.linalg.svd(pixels - pixels.mean(0), full_matrices=False)[2][:2].T
for i in range(400):
    scatter.text(
        plane[i, 0],
        plane[i, 1],
        str(labels[i].item()),
        fontsize=7,
        color=PALETTE[labels[i].item() % 7],
        ha="center",
        va="center",
    )
scatter.set(
    xlim=(-2.1, 2.3),
    ylim=(-2.0, 2.1),
    xlabel="first principal component",
    ylabel="second",
    title="400 scans, written as their labels",
)
show(
    fig,
    alt="Left: ten cluster centres look like blurred digits, titled by their majority label; not every digit has a cluster of its own. Right: scans on two principal components; zeros, fours and sixes form groups, others overlap.",
)

# %% [markdown]
# About eight scans in ten fall into a cluster of their own kind, with no label used; but look at the titles: here two clusters share the 1 while the 8 has none. A label says which differences *matter*; clustering has to take all of them seriously.
#
# ## 7.11 Unsupervised with a network: autoencoder and variational autoencoder
#
# A **traditional autoencoder** learns a code $z$ from which the decoder restores $x$: $\min\ \lVert x-\mathrm{dec}(\mathrm{enc}(x))\rVert^2$. It is a compressor; nothing says how codes are distributed. A **variational** one (Kingma & Welling 2014) puts a probabilistic spin on it: the encoder
# gives a distribution, and a KL term pulls it towards $N(0,I)$ (the formula was checked in section 7.8).
#
# $$L_{\text{AE}} = \lVert x-\hat x\rVert^2,\qquad L_{\text{VAE}} = \frac{1}{2\sigma^2}\lVert x-\hat x\rVert^2+\mathrm{KL}\big(q(z\mid x)\,\Vert\, N(0,I)\big),\quad \sigma^2=0.1.$$
#
# So decode $z\sim N(0,I)$ through both and score the pictures in two ways: distance to the nearest real scan, and the entropy of a digit classifier. Same networks, same steps, three seeds. About 6 seconds.


# %% tags=["covers:B-12", "nbval-ignore-output"]
def classifier(seed: int) -> nn.Module:
    """A 64-128-10 network, not yet trained."""
    with seeded(seed):
        return nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))


def autoencoder(seed: int, variational: bool, Z: int = 8, steps: int = 1200) -> tuple[nn.Module, nn.Module]:
    """Train an encoder (mean and logvar of the code) and a decoder; the plain one ignores logvar."""
    with seeded(seed):
        encoder = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2 * Z))
        decoder = nn.Sequential(nn.Linear(Z, 64), nn.ReLU(), nn.Linear(64, 64), nn.Sigmoid())
    g = generator(seed)

    def loss() -> Tensor:
        x = x_train[torch.randint(1200, (100,), generator=g)]
        mean, logvar = encoder(x).chunk(2, 1)
        if not variational:
            return (decoder(mean) - x).square().sum(1).mean()
        code = mean + (logvar / 2).exp() * torch.randn(mean.shape, generator=g)
        kl = LOSSES["variational"](mean, logvar).sum(1).mean()
        return (decoder(code) - x).square().sum(1).mean() / (2 * 0.1) + kl

    descend([*encoder.parameters(), *decoder.parameters()], loss, steps=steps, lr=3e-3)
    return encoder, decoder


@torch.no_grad()
def score(pictures: Tensor, reader: nn.Module) -> tuple[float, float]:
    """(mean distance to the nearest test scan, mean entropy of the reader in nats)."""
    log_p = reader(pictures).log_softmax(1)
    return torch.cdist(pictures, x_test).min(1).values.mean().item(), -(log_p.exp() * log_p).sum(
        1
    ).mean().item()


report: list[list[float]] = []
gallery: list[Tensor] = []
for seed in track(range(3), "autoencoders, three seeds"):
    reader = classifier(seed)
    g = generator(seed)
    descend(
        reader.parameters(),
        lambda: F.cross_entropy(reader(x_train[(b := torch.randint(1200, (100,), generator=g))]), y_train[b]),
        steps=500,
        lr=3e-3,
    )
    noise, row = torch.randn(1000, 8, generator=generator(200 + seed)), [*score(x_train, reader)]
    for kind in (False, True):
        encoder, decoder = autoencoder(seed, kind)
        with torch.no_grad():
            mean = encoder(x_test)[:, :8]
            restored = (decoder(mean) - x_test).square().sum(1).mean().item()
            pictures = decoder(noise)
        row += [*score(pictures, reader), restored, mean.std(0).max().item()]
        if seed == 0:
            gallery.append(pictures)
    report.append(row)
result = torch.tensor(report)
for name, first in {"plain": 2, "variational": 6}.items():
    d, h, r, s = result[:, first : first + 4].mean(0).tolist()
    print(
        f"{name:12} prior samples: distance {d:.2f}, entropy {h:.2f}; restoring test scans: error {r:.2f}; widest code dimension: sd {s:.1f}"
    )
print(f"real scans   distance {result[:, 0].mean():.2f}, entropy {result[:, 1].mean():.2f}")
assert (result[:, 2] > 1.3 * result[:, 6]).all()  # distance: worse through the plain decoder in every seed
assert result[:, 3].mean() > result[:, 7].mean() and (result[:, 4] < result[:, 8]).all()

fig, panels = figure(1, 2, width=8.4, height=2.0)
for ax, pictures, name in zip(panels, gallery, ("autoencoder", "variational autoencoder")):
    framed = F.pad(pictures[:24].view(24, 8, 8), (1, 1, 1, 1))
    sheet = framed.view(3, 8, 10, 10).permute(0, 2, 1, 3).reshape(30, 80)
    ax.imshow(sheet.numpy(), cmap="gray_r", vmin=0, vmax=1)
    ax.set(title=f"{name}: draws of N(0, I)")
    ax.axis("off")
show(
    fig,
    alt="Two sheets of 24 decoded prior samples. Those of the plain autoencoder are mostly grey blots and fragments; those of the variational one mostly look like blurred digits.",
)

# %% [markdown]
# The plain autoencoder *restores* better and *invents* worse, in every seed. Its codes spread two or three times as far as $N(0,I)$ and leave holes, so a draw from $N(0,I)$ lands where the decoder was never trained. What you optimise
# is what you get: the third block chose between a compressor and a generator. Unit 03 takes this up.
#
# ## 7.12 A loss that fights back: adversarial training of a classifier
#
# The adversarial idea did not start with generators. Its original loop hardens a *discriminative* model:
#
# 1. make samples that fool the model;
# 2. train the model on them, with the right labels;
# 3. fooling it now takes more effort;
# 4. repeat.
#
# Step 1 by the sign of the gradient (Goodfellow, Shlens & Szegedy 2015): $x' = x+\epsilon\,\mathrm{sign}\,\nabla_x L(x,y)$, the steepest way to raise the loss if no pixel may change by more than $\epsilon$. As a stronger judge we also use 20 smaller steps, each projected back into
# the $\epsilon$-box (Madry et al. 2018): a model that only learned to hide its gradient would fail there.


# %% tags=["nbval-ignore-output"]
def attack(net: nn.Module, x: Tensor, y: Tensor, epsilon: float = 0.1, steps: int = 1) -> Tensor:
    """Move x (N, D) within the epsilon-box and [0, 1] so as to raise the loss; one sign step, or several smaller ones."""
    moved, stride = x.clone(), epsilon if steps == 1 else 2.5 * epsilon / steps
    for _ in range(steps):
        moved.requires_grad_()
        (slope,) = torch.autograd.grad(F.cross_entropy(net(moved), y), moved)
        moved = (moved + stride * slope.sign()).detach()
        moved = torch.minimum(torch.maximum(moved, x - epsilon), x + epsilon).clamp(0, 1)
    return moved


def epochs(
    net: nn.Module, adam: torch.optim.Optimizer, x: Tensor, y: Tensor, count: int, g: torch.Generator
) -> None:
    for _ in range(count):
        for rows in torch.randperm(len(x), generator=g).split(100):
            adam.zero_grad()
            F.cross_entropy(net(x[rows]), y[rows]).backward()
            adam.step()


def effort(net: nn.Module) -> float:
    """The epsilon at which half of the test scans are read wrongly (one sign step; steps of 0.01)."""
    for epsilon in torch.arange(0.01, 0.5, 0.01).tolist():
        if accuracy(net(attack(net, x_test, y_test, epsilon)), y_test) < 0.5:
            return epsilon
    return 0.5


def robust(net: nn.Module, steps: int = 1) -> float:
    return accuracy(net(attack(net, x_test, y_test, 0.1, steps)), y_test)


history: list[list[tuple[float, float, float]]] = []
plain: list[nn.Module] = []
for seed in track(range(3), "the loop, three seeds"):
    net, g = classifier(seed), generator(seed)
    adam = torch.optim.Adam(net.parameters(), lr=3e-3)
    epochs(net, adam, x_train, y_train, 40, g)
    plain.append(copy.deepcopy(net))
    rounds = [(accuracy(net(x_test), y_test), robust(net), effort(net))]
    for _ in range(6):  # step 4: repeat
        fooling = attack(net, x_train, y_train)  # step 1: fool
        epochs(
            net, adam, torch.cat([x_train, fooling]), torch.cat([y_train, y_train]), 5, g
        )  # step 2: train on them
        rounds.append((accuracy(net(x_test), y_test), robust(net), effort(net)))  # step 3: measure the effort
    history.append(rounds)
story = torch.tensor(history)  # (seeds, rounds, 3)

fig, panels = figure(1, 2, width=8.0, height=2.8)
confidence(panels[0], range(7), story[:, :, 0], "clean scans", 0)
confidence(panels[0], range(7), story[:, :, 1], "fooled by one sign step, ε = 0.1", 1)
panels[0].set(
    xlabel="round of the loop", ylabel="test accuracy", ylim=(0.3, 1.02), title="fool, retrain, repeat"
)
panels[0].legend(loc="center right", bbox_to_anchor=(1.0, 0.72), fontsize=8)
confidence(panels[1], range(7), story[:, :, 2], "", 2)
panels[1].set(xlabel="round of the loop", ylabel="ε that fools half of the scans", title="the effort needed")
show(
    fig,
    alt="Left: over six rounds clean accuracy stays at about 0.97 while accuracy under attack first stays near 0.45, then rises to nearly 0.7. Right: the perturbation needed to fool half of the scans rises.",
)
print("accuracy under attack, by round:", [round(v, 2) for v in story[:, :, 1].mean(0).tolist()])
assert (story[:, 1, 1] - story[:, 0, 1]).max() < 0.10  # one round alone does little ...
assert (story[:, -1, 1] - story[:, 0, 1]).min() > 0.12 and (
    story[:, -1, 2] > story[:, 0, 2]
).all()  # ... repeating does

# %% [markdown]
# The surprise is round 1: after a whole round of training on fooling samples the model is as easy to fool as before, or a little easier. It learned *those* samples, and the next attack finds others. Only the word "repeat" makes it work. So take it to the limit: make
# fresh fooling samples for **every batch**.

# %% tags=["covers:B-13", "nbval-ignore-output"]
hardened, rows_out = [], []
for seed in track(range(3), "fresh attacks for every batch, three seeds"):
    net, g = classifier(seed), generator(seed)
    adam = torch.optim.Adam(net.parameters(), lr=3e-3)
    for _ in range(40):
        for rows in torch.randperm(1200, generator=g).split(100):
            x, y = x_train[rows], y_train[rows]
            both = torch.cat([x, attack(net, x, y)])
            adam.zero_grad()
            F.cross_entropy(net(both), y.repeat(2)).backward()
            adam.step()
    hardened.append(net)
    for model in (plain[seed], net):
        rows_out.append([accuracy(model(x_test), y_test), robust(model), robust(model, 20)])
compared = torch.tensor(rows_out).view(3, 2, 3)  # (seed, plain | hardened, clean | one step | twenty steps)
for name, values in zip(("plain", "hardened"), compared.mean(0)):
    print(f"{name:9} clean {values[0]:.3f}   one sign step {values[1]:.3f}   twenty steps {values[2]:.3f}")
gained = compared[:, 1, 1:] - compared[:, 0, 1:]
print(
    f"gained under attack: {100 * gained.min():.0f} to {100 * gained.max():.0f} points over seeds and attacks"
)
assert gained.min() > 0.20  # more than 20 points, every seed, both attacks
assert (compared[:, 0, 0] - compared[:, 1, 0]).max() < 0.03  # the clean accuracy drops by less than 3 points

fig, panels = figure(2, 6, width=7.2, height=2.7)
fooled_now = plain[0](attack(plain[0], x_test, y_test)).argmax(1) != y_test
shown = (fooled_now & (plain[0](x_test).argmax(1) == y_test)).nonzero()[
    :6, 0
]  # read rightly before the attack
for row, (net, name) in enumerate(((plain[0], "plain"), (hardened[0], "hardened"))):
    pictures = attack(net, x_test[shown], y_test[shown])
    for ax, picture, guess, truth in zip(panels[row], pictures, net(pictures).argmax(1), y_test[shown]):
        ax.imshow(picture.view(8, 8).numpy(), cmap="gray_r", vmin=0, vmax=1)
        ax.axis("off")
        ax.set_title(f"{truth} read as {guess}", fontsize=8, weight="bold" if truth != guess else "normal")
    panels[row, 0].text(
        -0.35, 0.5, name, rotation=90, va="center", ha="center", transform=panels[row, 0].transAxes
    )
show(
    fig,
    alt="Six test digits that an attack makes the plain classifier misread, and the same six under an attack on the hardened one, titled with the true digit and the one read: the hardened one reads most of them rightly.",
)

# %% [markdown]
# More than 20 points gained against one sign step and against twenty, in each of three seeds, and the clean accuracy does not suffer on this data (on natural images it usually does). A GAN carries the same loop over to generative models: there, the one who fools is a network too.
#
# ## What to remember
#
# 1. A project is three choices: inputs/outputs, architecture, loss. Check a recipe on one batch before training: finite scalar, a gradient for every weight, one step helps.
# 2. An architecture is a mask with shared numbers over one tensor. The right mask replaces data; the wrong one cannot be bought back by data.
# 3. Most losses are negative log-likelihoods. Squared error is one Gaussian, and answers between the modes when there are two.
# 4. Optimisers differ in what they remember. Tune the learning rate first, log-uniformly; 20 trials are enough for one knob, not for four.
# 5. Without labels you get structure, not meaning; what the loss asks for (restore or invent) is what you get.
#
# ## Quiz
#
# <details><summary>1. A recurrent layer reads 8 steps of 2 numbers with a state of 2. How many weights for 80 steps?</summary>
# Eight: W_hx has 4 and W_hh has 4, and both are shared by all steps. The mask grows, the number of different entries does not.
# </details>
#
# <details><summary>2. You multiply a loss by 1000 and keep the learning rate. What happens under SGD, and under Adam?</summary>
# SGD takes steps 1000 times as long and probably diverges. Adam takes the same steps (up to its small ε), since it divides by the size of the gradients.
# </details>
#
# <details><summary>3. Is squared error wrong for the elbow?</summary>
# It estimates the conditional mean, and does so well. The mean is simply not a pose of the arm. The output block was wrong: one number where two answers exist.
# </details>
#
# <details><summary>4. A share of 5 % of all learning rates is good enough. How many log-uniform trials for a success rate of 95 %?</summary>
# 1 − 0.95ⁿ ≥ 0.95 gives n = 59 (log 0.05 / log 0.95 = 58.4).
# </details>
#
# <details><summary>5. Why is the gradient of the regularised cross entropy not p − y + λw in general?</summary>
# p − y is the gradient with respect to the logits. To reach the weights it has to be multiplied by the input: (p − y)xᵀ + λW. Both forms agree only if the weights are the logits.
# </details>
#
# <details><summary>6. Your autoencoder restores pictures perfectly. Can you sample from it?</summary>
# Not from N(0, I): nothing made the codes follow it. Fit a density to the codes first, or train the code's distribution along with the rest, as a variational autoencoder does.
# </details>
#
# ## Where to go from here
#
# The assignment of this unit builds the recurrent cell, gates, attention and a training step protocol by hand: each is one block of this notebook's menu. When an exercise asks for a masked loss, ask which of the three blocks it changes; when it asks for clipping,
# ask what the optimiser would have remembered. The vanishing-gradient condition that uses the slopes of section 7.4 is in notebook 2; attention, the connectivity whose mask depends on the data, is in notebook 6.
#
# ## References
#
# - Spanakis & Driessens (Maastricht), *Deep learning for agents, Part 2* (the frame, the menus, the four-step loop).
# - Chen (HKUST), COMP 5214 & ELEC 5680, lecture *GANs* (with and without labels).
# - Alpaydin & Kaynak 1998, Optical recognition of handwritten digits, UCI.
# - Arthur & Vassilvitskii 2007, k-means++, SODA.
# - Bergstra & Bengio 2012, Random search for hyper-parameter optimization, JMLR 13.
# - Bishop 1994, Mixture density networks, Aston NCRG/94/004.
# - Bojar et al. 2014, Findings of the 2014 workshop on statistical machine translation.
# - Duchi, Hazan & Singer 2011, Adaptive subgradient methods, JMLR 12.
# - Fei-Fei, Fergus & Perona 2004, Learning generative visual models from few training examples, CVPR workshop.
# - Goodfellow et al. 2014, Generative adversarial nets, NIPS.
# - Goodfellow, Shlens & Szegedy 2015, Explaining and harnessing adversarial examples, ICLR.
# - Greff et al. 2017, LSTM: a search space odyssey, IEEE TNNLS 28.
# - Ha & Eck 2018, A neural representation of sketch drawings, ICLR.
# - Kingma & Ba 2015, Adam, ICLR.
# - Kingma & Welling 2014, Auto-encoding variational Bayes, ICLR.
# - Krizhevsky, Sutskever & Hinton 2012, ImageNet classification with deep convolutional neural networks, NIPS.
# - Levenshtein 1966, Soviet Physics Doklady 10.
# - Lloyd 1982, Least squares quantization in PCM, IEEE Trans. Inf. Theory 28.
# - Madry et al. 2018, Towards deep learning models resistant to adversarial attacks, ICLR.
# - Pollack 1990, Recursive distributed representations, Artificial Intelligence 46.
# - Polyak 1964, Some methods of speeding up the convergence of iteration methods.
# - Socher et al. 2011, Parsing natural scenes and natural language with recursive neural networks, ICML.
# - Tieleman & Hinton 2012, RMSProp, Coursera lecture 6.5.
# - Williams 1992, Simple statistical gradient-following algorithms, Machine Learning 8.
