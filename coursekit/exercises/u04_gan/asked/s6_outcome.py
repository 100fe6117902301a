"""## 6. What comes out

A generator that leaves no mode out: weights that are measured, not code that is read.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from coursekit.checks.declare import Findings, Inputs, Part, Question
from coursekit.checks.weights import UNFIT, HandedOver, figures_law, load_or_train
from coursekit.datasets.toy2d import WORLDS
from coursekit.metrics.modes import mode_coverage

# ring_generator


class RingGenerator(nn.Module):
    """Noise z (N, 4) -> points (N, 2)."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):  # the global generator stays as it was
            torch.manual_seed(seed)
            self.first, self.second, self.head = nn.Linear(4, 64), nn.Linear(64, 64), nn.Linear(64, 2)

    def forward(self, z: Tensor) -> Tensor:
        return self.head(torch.relu(self.second(torch.relu(self.first(z)))))


class RingDiscriminator(nn.Module):
    """Points (N, 2) -> logits (N,)."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.body = nn.Sequential(nn.Linear(2, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2))
            self.head = nn.Linear(64, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))[:, 0]


def ring_points(n: int, generator: torch.Generator) -> Tensor:
    """Data (N, 2): one of eight modes on the circle of radius 1, each as likely, plus noise of standard deviation 0.05."""
    angle = torch.randint(0, 8, (n,), generator=generator) * (math.pi / 4)
    return torch.stack([angle.cos(), angle.sin()], 1) + 0.05 * torch.randn(n, 2, generator=generator)


def update(optimizer, loss: Tensor) -> None:
    """Clear the gradients, differentiate the loss, and step."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


WEIGHTS = HandedOver("ring_weights", RingGenerator, "RingGenerator")
_SAMPLES = 2500
_SIGMA = 0.05
ENOUGH_MODES, ENOUGH_SHARE, ENOUGH_QUALITY, ENOUGH_SPREAD = 7, 0.02, 0.80, 0.3
"""What the solution's training reaches with each of 20 seeds, on 4000 samples: 8 modes of 8, of which the least has a share of
0.101 to 0.114; a quality of 0.934 to 0.953 (median 0.945); a spread of 0.65 to 0.80 (data: 1.35). All 20 trainings passed,
at 6 to 8 CPU seconds each. Of 2500 samples, a share of 0.02 has a standard deviation of 0.003, a quality of 0.94 one of 0.005."""


def _measure(inputs: Inputs, found: Findings) -> Findings:
    """What a generator with these weights makes of fresh noise; runs where the judge runs."""
    G = WEIGHTS.load(found)
    if G is None:
        return {"fits": False}
    z = torch.randn(_SAMPLES, 4, generator=torch.Generator().manual_seed(inputs["seed"]))
    with torch.no_grad():
        x = G(z).double()
    if not bool(torch.isfinite(x).all()):
        return {"fits": False}
    centres = WORLDS["ring"].modes().double()
    modes = mode_coverage(x, centres, _SIGMA)
    distance = torch.cdist(x, centres, compute_mode="donot_use_mm_for_euclid_dist").amin(1)
    good = distance <= 3 * _SIGMA
    spread = float((distance[good] / _SIGMA).square().mean().sqrt()) if bool(good.any()) else 0.0
    shares = modes.counts.double() / _SAMPLES
    return {
        "fits": True,
        "covered": int((shares >= ENOUGH_SHARE).sum()),
        "touched": modes.covered,
        "quality": modes.quality,
        "spread": spread,
        "largest share": float(shares.max()),
        "radius": float(x.norm(dim=1).mean()),
        "spread of all": float(x.var(0).sum().sqrt()),
    }


RING_GENERATOR = Question(
    unit="04",
    name="ring_generator",
    title="Leave no mode out",
    difficulty=5,
    minutes=40,
    task="""
Eight narrow Gaussians on a circle: the classic trap for a GAN that collapses. Train one that does not, with whatever remedy
of this unit you like. What is graded is what comes out, the weights of the generator.

Write `train_ring(seed)`, which trains a `RingGenerator(seed)` and returns its `state_dict()`, or that of an average of its
weights over the training. Given below are the generator, the data `ring_points`, a discriminator that you may use or
replace, and `update`. All random numbers come from a `torch.Generator` with this seed. A training of 15 seconds is plenty;
when your work is graded without its file, it may take 40 at most.

The cell after yours runs it once with seed 0 and keeps the weights in `ring.safetensors` (hand in this file, too). It
trains again only where the file is absent: **delete it after a change**. The check loads `ring_weights` into a
`RingGenerator` of its own (names and shapes as there, float32 or float64), and measures 2500 samples from fresh noise
$z \\sim N(0, I)$, of width 4. A sample is *good* if it lies within 3σ = 0.15 of its nearest mode.

- **Modes**: at least 7 of the 8 have a share of at least 2 % each, counted in good samples out of all 2500.
- **Quality**: at least 80 % of the samples are good.
- **Spread**: the root mean square distance of good samples from their modes is at least 0.3 σ (that of data is 1.35 σ):
  eight points that are always the same are learned by heart, not generated.

Quality and spread count only for a generator that covers at least 4 modes. (The solution trains for 7 seconds, and with 20
seeds it covered all 8 modes, with a quality of 0.93 to 0.95 and a spread of 0.65 to 0.80.)
""",
    answers=("ring_weights",),
    given=(RingGenerator, RingDiscriminator, ring_points, update, load_or_train),
    file="ring.safetensors",
    setup="""
try:
    ring_weights = load_or_train("ring.safetensors", train_ring)
except NotImplementedError:
    ring_weights = None  # not started
""",
    draw=lambda rng: {"seed": rng.integer(1, 1_000_000_000)},
    parts=(
        WEIGHTS.part(points=0.5, finite="Lower the learning rate, or raise the penalty."),
        Part(
            name="modes",
            points=1.5,
            tests="at least 7 of 8 modes, each with a share of at least 2 %",
            probe=WEIGHTS.probe,
            measure=_measure,
            compared=False,
            laws=(
                UNFIT,
                figures_law(
                    "one point",
                    "Whatever the noise is, the generator makes the same point. Either nothing was trained, or all modes "
                    "have collapsed into one place. Does the noise reach the output?",
                    lambda f: f["spread of all"] > 0.02,
                ),
                figures_law(
                    "not trained",
                    "The points lie in a heap around the middle, as those of a fresh network do. Do you step "
                    "G's optimiser, and "
                    "return the network that you trained?",
                    lambda f: f["radius"] > 0.45,
                ),
                figures_law(
                    "another radius",
                    "Hardly a point lies near the circle of radius 1. Was the data scaled, or did the training diverge?",
                    lambda f: f["quality"] > 0.02,
                ),
                figures_law(
                    "one mode only",
                    "Good points, but all of one mode: a complete collapse. Lower the learning rate, penalise "
                    "D's gradient at the "
                    "data, and give G as much as D.",
                    lambda f: f["covered"] != 1 or f["largest share"] < 0.5,
                ),
                figures_law(
                    "half of the modes",
                    "Modes are missing, and many. Train longer, with a gradient penalty; an average of G's "
                    "weights does not hop.",
                    lambda f: f["covered"] > 4,
                ),
                figures_law(
                    "modes that are barely touched",
                    "Each mode gets a sample now and then, which is not covering it: 2 % of the samples are asked for.",
                    lambda f: f["covered"] >= ENOUGH_MODES or f["touched"] < 8,
                ),
                figures_law(
                    "two modes missing",
                    "Nearly: two or three modes are missing. Train longer, or with a larger batch.",
                    lambda f: f["covered"] >= ENOUGH_MODES,
                ),
            ),
        ),
        Part(
            name="quality",
            points=1.0,
            tests="at least 80 % good samples",
            probe=WEIGHTS.probe,
            measure=_measure,
            compared=False,
            laws=(
                UNFIT,
                figures_law(
                    "quality without modes",
                    "With fewer than 4 modes quality counts for nothing: one perfect point would have it all.",
                    lambda f: f["covered"] >= 4,
                ),
                figures_law(
                    "a ring without modes",
                    "The circle is right, but the points lie all around it. D cannot tell the gaps yet: a "
                    "smaller penalty, a higher "
                    "learning rate, or a longer training.",
                    lambda f: f["quality"] >= 0.6,
                ),
                figures_law(
                    "bridges between the modes",
                    "The modes are there, with too many points on the way from one to the next. Train longer, "
                    "or average the weights.",
                    lambda f: f["quality"] >= ENOUGH_QUALITY,
                ),
            ),
        ),
        Part(
            name="spread",
            points=0.5,
            tests="good samples differ: at least 0.3 sigma from their modes",
            probe=WEIGHTS.probe,
            measure=_measure,
            compared=False,
            laws=(
                UNFIT,
                figures_law(
                    "spread without modes",
                    "With fewer than 4 modes the spread counts for nothing. See to the modes first.",
                    lambda f: f["covered"] >= 4,
                ),
                figures_law(
                    "learned by heart",
                    "Every mode is one point, always the same. Does the data have its noise, and the generator its own?",
                    lambda f: f["spread"] >= ENOUGH_SPREAD,
                ),
            ),
        ),
    ),
    hints=(
        "Twelve lines: two networks, two Adams with `betas=(0.0, 0.9)`, a loop of some 3000 steps of batch 128. "
        "In the loop one update "
        "of D and one of G, with the non-saturating loss.",
        "What keeps D from running away is a penalty on its gradient **at the data**: 0.01 times the mean "
        "squared norm (Mescheder et al. "
        "2018). It needs `x.requires_grad_()` and `create_graph=True`.",
        "A learning rate of 0.004 for both, and a second `RingGenerator` whose weights follow G's: after each "
        "step `lerp_` them by 0.002 "
        "towards G's. Return the follower's `state_dict()`.",
    ),
)
