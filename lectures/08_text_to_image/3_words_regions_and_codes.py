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
# # 8.3 Words, regions and codes
#
# A sentence vector is one list of numbers for the whole caption. Yet "red wings" is about a few pixels, and "a yellow head" about
# others. Two ideas take the pieces seriously:
#
# - **words look at regions** (AttnGAN, Xu et al. 2018): each word of the caption finds the part of the picture that shows it, and each place
#   of a generator finds the words that concern it;
# - **pictures become words** (VQ autoencoders, van den Oord et al. 2017; VQGAN, Esser et al. 2021): a picture is rewritten in 64 signs from a
#   book of 256, and a language model writes those signs after the caption.
#
# After this notebook you can
#
# - write the matching loss of words and regions, and explain its three sharpnesses $\gamma_1,\gamma_2,\gamma_3$;
# - *measure* whether attention looks at the right part, against chance and against a harder control;
# - put words into a generator, and say when that pays and when it does not;
# - train a codebook, find dead codes by its perplexity, and send gradients through a step that has none;
# - draw pictures from a transformer, and say what temperature does to them.
#
# **Reading time** 45 minutes. **Running time** about a minute on one core.
#
# | symbol | meaning | shape |
# |---|---|---|
# | $e_i$ | feature of word $i$; $\bar e$ of the sentence | (N, T, D); (N, D) |
# | $v_j$ | feature of region $j$; $\bar v$ of the picture | (N, R, D); (N, D) |
# | $\alpha_{ij}$ | how much word $i$ looks at region $j$ | (N, T, R) |
# | $\beta_{ji}$ | how much place $j$ of a generator looks at word $i$ | (N, H W, T) |
# | $K$ | codes in the book, $v_k$ one of them | (K, D) |
# | $c_l$ | the code at place $l$ of the 8 by 8 grid | (N, 64) |

# %%
import math
import time

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit import oracles
from coursekit.datasets import birds
from coursekit.datasets.text import Vocabulary, tokenise
from coursekit.datasets.worlds import world
from coursekit.metrics.attributes import attribute_accuracy, caption_accuracy
from coursekit.metrics.sets import frechet_distance
from coursekit.models.vq import (
    Codebook,
    VQAutoencoder,
    load_autoencoder,
    load_prior,
    perplexity,
)
from coursekit.models.word_attention import (
    WordMatcher,
    load_matcher,
    load_word_generator,
    region_contexts,
    relevance,
    told,
    untold,
)
from coursekit.plots import figure, heatmap, lines, picture, pictures, show, use_style
from coursekit.runtime import generator, seeded
from coursekit.training.classify import shuffled
from coursekit.training.progress import track
from coursekit.training.vq import prior_loss, train_autoencoder
from coursekit.training.word_attention import fitting, matching_loss, sentence_scores, train_matcher, word_scores
from coursekit.widgets import Choice, Slider, explore

use_style()
torch.set_num_threads(1)
flock, reader = world("birds"), oracles.oracle("birds")
PARTS = ("body", "wing", "head", "belly")

# %% [markdown]
# ## 1. Words that look
#
# Here is a bird and a caption. You know at once where each word belongs. Nobody will tell the network: it gets pictures with
# captions, and has to find out.

# %%
KIND = {"body": "yellow", "wing": "blue", "head": "red", "belly": "white", "size": "large", "beak": "long", "facing": "right"}
LABELS = flock.labels([KIND])
CAPTION = "this yellow bird has blue wings, a red head and a white belly"
bird = flock.render(LABELS, generator=generator(4))
fig, ax = figure(1, 1, 1.5, 1.5)
picture(ax, bird[0])
show(fig, alt="A large yellow bird with blue wings, a red head and a white belly.")
print(CAPTION)

# %% [markdown]
# An LSTM that reads in both directions gives each word a feature $e_i$: that of "red" in "a red head" knows of the head that follows. A
# small convolutional network gives each of the 8 by 8 regions a feature $v_j$. Then, with $s_{ij}=e_i\cdot v_j$ (Xu et al. 2018,
# equations 7 to 9),
#
# $$\bar s_{ij}=\frac{\exp s_{ij}}{\sum_{k}\exp s_{kj}},\qquad
# \alpha_{ij}=\frac{\exp(\gamma_1\bar s_{ij})}{\sum_k\exp(\gamma_1\bar s_{ik})},\qquad c_i=\sum_j\alpha_{ij}\,v_j .$$
#
# There are *two* softmaxes. In the first the words compete for a region: a bit of sky belongs to nobody in particular, a bit of wing to "blue"
# and "wings". In the second the regions compete for a word. What the word then sees, $c_i$, should resemble the word. The better, the
# more relevant is picture $Q$ to caption $D$ (equation 10):
#
# $$R(Q,D)=\log\Big(\sum_i\exp\big(\gamma_2\cos(c_i,e_i)\big)\Big)^{1/\gamma_2}.$$
#
# And the right pair should win among all pairs of a batch, seen from both sides (equations 11 to 13):
#
# $$L=-\sum_i\log\frac{\exp\gamma_3R(Q_i,D_i)}{\sum_j\exp\gamma_3R(Q_i,D_j)}-\sum_i\log\frac{\exp\gamma_3R(Q_i,D_i)}{\sum_j\exp\gamma_3R(Q_j,D_i)}.$$
#
# The same loss once more with the cosine of the wholes, $\bar e$ and $\bar v$. The kit computes all pairs at once. Is that what the equations
# say? Three captions and three pictures with plain loops, words of unequal number:

# %% tags=["covers:J-11"]
own = generator(0)
counts, e, v = (4, 2, 3), torch.randn(3, 4, 5, generator=own).double(), torch.randn(3, 6, 5, generator=own).double()
real_words = torch.arange(4) < torch.tensor(counts)[:, None]
slow = torch.zeros(3, 3).double()
for d, q in torch.cartesian_prod(torch.arange(3), torch.arange(3)).tolist():
    s = [[(e[d, i] @ v[q, j]).item() for j in range(6)] for i in range(counts[d])]
    seen = []
    for i in range(counts[d]):
        bar = [math.exp(s[i][j]) / sum(math.exp(s[k][j]) for k in range(counts[d])) for j in range(6)]
        total = sum(math.exp(5 * b) for b in bar)
        c = sum(math.exp(5 * bar[j]) / total * v[q, j] for j in range(6))
        seen.append(math.exp(5 * (c @ e[d, i] / c.norm() / e[d, i].norm()).item()))
    slow[d, q] = math.log(sum(seen)) / 5
p = (10 * slow).exp()
slow_loss = -sum((p[i, i] / p[i].sum()).log() + (p[i, i] / p[:, i].sum()).log() for i in range(3)) / 3
fast = relevance(e, region_contexts(e, v, real_words).contexts, real_words)
print(
    f"largest difference of R {float((fast - slow).abs().max()):.0e}, loss {float(slow_loss):.4f} and {float(matching_loss(fast)):.4f}"
)
assert torch.allclose(fast, slow) and torch.allclose(matching_loss(fast), slow_loss)

# %% [markdown]
# One trap is left. "A small bird facing left" is true of a quarter of all pictures. In a batch of 32 it has eight right answers, and
# a loss that punishes seven of them teaches nonsense. The paper leaves pictures of the same class out of the sum. We know more: the facts of
# each caption and the attributes of each picture.

# %%
lesson = flock.draw(4000, generator=generator(1))
facts = [birds.parse(text) for text in lesson.captions]
fits = fitting(facts[:32], lesson.labels[:32], flock.names)
print(
    f"of the other 31 pictures of a batch, {(fits.sum(1) - 1).float().mean():.1f} fit a caption in the mean, and up to {int(fits.sum(1).max()) - 1}"
)

# %% [markdown]
# Train it, briefly. 120 steps take about 10 seconds.

# %% tags=["nbval-ignore-output"]
with seeded(0):
    young = WordMatcher(Vocabulary.of(lesson.captions).tokens[4:])
    untrained = WordMatcher(young.vocabulary.tokens[4:]).eval().requires_grad_(False)
draws = generator(2)


def batch(k: int) -> tuple[Tensor, list[str], Tensor]:
    at = torch.randint(4000, (32,), generator=draws)
    some = at.tolist()
    return (
        lesson.x[at],
        [lesson.captions[n] for n in some],
        fitting([facts[n] for n in some], lesson.labels[at], flock.names),
    )


losses = [record.loss for record in track(train_matcher(young, batch, steps=120), "words and regions", 120)]
print(f"loss of the first ten steps {sum(losses[:10]) / 10:.1f}, of the last ten {sum(losses[-10:]) / 10:.1f}")

# %% [markdown]
# ### A ruler for attention
#
# Papers show attention maps that look convincing. We want a number, so we must know where the wing *is*. The renderer draws everything from a
# generator in a fixed number of draws. So render the same bird twice with the same seed, once with another wing colour: the pixels
# that differ are the wing, whatever covers it.


# %%
def where(labels: Tensor, part: str, seed: int) -> Tensor:
    """(N, 32, 32) bool: the pixels that show a part of the birds rendered from `seed`."""
    column = list(flock.names).index(part)
    changed = labels.clone()
    changed[:, column] = (changed[:, column] + len(flock.names[part]) // 2) % len(flock.names[part])
    once, twice = (flock.render(some, generator=generator(seed)) for some in (labels, changed))
    return (once - twice).abs().amax(1) > 0.2


def cells_of(pixels: Tensor) -> Tensor:
    """(N, 8, 8) bool: the regions of which the part fills at least a quarter."""
    return F.avg_pool2d(pixels.float()[:, None], 4)[:, 0] >= 0.25


masks = torch.cat([where(LABELS, part, 4) for part in PARTS])
tiles = torch.cat([bird, bird * masks[:, None] + 0.85 * ~masks[:, None]])
show(
    pictures(tiles, cols=5, width=7, titles=["the bird", *PARTS]),
    alt="The bird, and on empty ground its body, its wing, its head and its belly, each cut out where it is visible.",
)

# %% [markdown]
# Now the maps. The shipped matcher has had 1,000 steps (`python benchmarks/train_words_and_codes.py matcher --seed 0`).

# %%
matchers = [load_matcher(seed) for seed in range(3)]


def overlay(x: Tensor, weights: Tensor) -> Tensor:
    """A picture (3, 32, 32), bright where it is looked at: weights (8, 8) over their largest."""
    spot = F.interpolate((weights / weights.max())[None, None], scale_factor=4, mode="bilinear")[0]
    return x * (0.25 + 0.75 * spot) - 0.75 * (1 - spot)


spoken = tokenise(CAPTION)
looks = matchers[0].look([CAPTION], bird)[0]
show(
    pictures(torch.stack([overlay(bird[0], a) for a in looks]), cols=7, width=8, titles=spoken),
    alt="For each word of the caption the bird, lit where the word looks: blue lights the wing, red the head, white the belly; the nouns and the small words look nearly everywhere.",
)

# %% [markdown]
# The adjectives look: "blue" at the wing, "red" at the head. The nouns look almost everywhere, as "a" and "and" do. The LSTM has written the noun
# into the feature of its adjective, and one word that finds its match is enough for the soft maximum of equation 10.
#
# It looks right. Looks may deceive: count. For each part we take captions that name all four colours, find the word of the colour, and ask whether
# the region with its largest weight is one of the part's. Chance is the share of regions that are. Controls: a network before
# training, and ours after 10 seconds.

# %% tags=["covers:J-11", "nbval-ignore-output"]
EXAM = 300
exam = flock.sample(EXAM, generator=generator(70))
exam_x = flock.render(exam, generator=generator(71))
exam_texts = birds.caption(birds.Attributes(*exam.unbind(1)), facts=PARTS, generator=generator(72))
truth = {part: cells_of(where(exam, part, 71)) for part in PARTS}


def hits(a: Tensor, part: str) -> tuple[float, float]:
    """Weights (N, T, 8, 8) -> share of colour words whose strongest region shows the part; and by chance."""
    right, chance = [], []
    for n, text in enumerate(exam_texts):
        words, colour = tokenise(text), flock.describe(exam[n])[part]
        if words.count(colour) == 1:  # a colour said twice comes below
            right.append(truth[part][n].flatten()[a[n, words.index(colour)].argmax()].item())
            chance.append(truth[part][n].float().mean().item())
    return sum(right) / len(right), sum(chance) / len(chance)


seen_by = [net.look(exam_texts, exam_x) for net in (untrained, young, *matchers)]
print("part    chance  untrained  120 steps  1,000 steps, three seeds")
for part in PARTS:
    found = [hits(a, part) for a in seen_by]
    print(f"{part:7} {found[0][1]:5.0%}   " + "      ".join(f"{hit:5.0%}" for hit, _ in found))
    assert min(hit for hit, _ in found[2:]) > 3 * found[0][1]

# %% [markdown]
# Several times chance, in every seed and for every part. Nobody ever said which region is the head.
#
# But is it the *head*, or just *red*? In these birds the only red thing is usually the head, so a word that looks for its colour and ignores
# the noun would pass. The harder exam: birds whose head and wing have **one colour**, and captions that name both. Each of the two equal words has to
# look at its own part.

# %% tags=["covers:J-11", "nbval-ignore-output"]
twins = exam.clone()
twins[:, 1] = twins[:, 2]  # the wing gets the head's colour
for other in (0, 3):  # body and belly another
    twins[:, other] = torch.where(twins[:, other] == twins[:, 2], (twins[:, 2] + 1) % 9, twins[:, other])
twin_x = flock.render(twins, generator=generator(73))
place = {part: cells_of(where(twins, part, 73)) for part in ("head", "wing")}
twin_texts = [f"a bird with a {c} head and {c} wings" for c in (flock.describe(row)["head"] for row in twins)]


def own_and_other(net: WordMatcher) -> Tensor:
    """For the word before "head", then the one before "wings": share of birds where it looks at head, and at wing."""
    a, table = net.look(twin_texts, twin_x), torch.zeros(2, 2)
    for n, text in enumerate(twin_texts):
        words = tokenise(text)
        for i, noun in enumerate(("head", "wings")):
            strongest = a[n, words.index(noun) - 1].argmax()
            for j, part in enumerate(("head", "wing")):
                table[i, j] += place[part][n].flatten()[strongest].item() / len(twin_texts)
    return table


for seed, net in enumerate(matchers):
    table = own_and_other(net)
    print(
        f'seed {seed}: the colour of "head" looks at the head in {table[0, 0]:.0%}, at the wing in {table[0, 1]:.0%}; '
        f'that of "wings" at the wing in {table[1, 1]:.0%}, at the head in {table[1, 0]:.0%}'
    )
    assert table[0, 0] > table[0, 1] and table[1, 1] > table[1, 0]

# %% [markdown]
# The two words are spelt alike and look at different places: the noun is in the feature of the adjective. That is what the recurrent network is for.
# About one in ten to one in four still goes astray.
#
# Slide through the words, with captions and birds of your choice. The last caption is *false* of its bird: what does a word do that finds nothing?

# %%
STORIES = {
    CAPTION: (LABELS, 4),
    "a small bird with a black head and a black belly, facing left": (
        flock.labels(
            [
                {
                    "body": "green",
                    "wing": "brown",
                    "head": "black",
                    "belly": "black",
                    "size": "small",
                    "beak": "short",
                    "facing": "left",
                }
            ]
        ),
        9,
    ),
    "this yellow bird has pink wings and a green head": (LABELS, 4),
}


def look_at(story: str, word: int):
    labels, seed = STORIES[story]
    x, words = flock.render(labels, generator=generator(seed)), tokenise(story)
    word = min(word, len(words)) - 1
    weights = matchers[0].look([story], x)[0, word]
    fig, axes = figure(1, 3, 7.2, 2.5)
    picture(axes[0], x[0], "the bird")
    picture(axes[1], overlay(x[0], weights), f'"{words[word]}" (word {word + 1} of {len(words)})')
    heatmap(axes[2], weights, label="weight of a region", xlabel="column", ylabel="row")
    return fig


explore(
    look_at,
    alt='A bird beside the same bird lit where word {word} of "{story}" looks, and the weights of the 64 regions.',
    static=[{"story": CAPTION, "word": 5}, {"story": list(STORIES)[2], "word": 5}],
    story=Choice(list(STORIES), CAPTION, label="caption"),
    word=Slider(1, 14, 1, 5, label="word"),
)

# %% [markdown]
# Nothing is pink here, and the weights of "pink" are spread thin. But they still sum to 1: a softmax must look somewhere. A map of attention does not
# say that the thing is there; the *relevance* $R$ does. Does it tell? Retrieval among 50 pictures, by words, by the sentence, and by both:

# %% tags=["nbval-ignore-output"]
fresh = flock.draw(300, generator=generator(74))
fresh_facts = [birds.parse(text) for text in fresh.captions]


@torch.no_grad()
def found_first(net: WordMatcher) -> list[float]:
    counts = torch.zeros(3)
    for rows in torch.arange(300).split(50):
        texts = [fresh.captions[n] for n in rows.tolist()]
        text, told_words = net.read(texts)
        seen = net.picture(fresh.x[rows])
        by_words, by_whole = word_scores(text, seen, told_words.mask), sentence_scores(text, seen)
        good = fitting([fresh_facts[n] for n in rows.tolist()], fresh.labels[rows], flock.names)
        for k, scores in enumerate((by_words, by_whole, by_words + by_whole)):
            counts[k] += good[torch.arange(50), scores.argmax(1)].sum()
    return (counts / 300).tolist()


blind = fitting(fresh_facts, fresh.labels, flock.names).float().mean()
print(f"a picture at random has all facts of a caption: {blind:.0%}")
for seed, net in enumerate(matchers):
    print(
        f"seed {seed}: the best of 50 pictures has all facts, by words {{:.0%}}, by the sentence {{:.0%}}, by both {{:.0%}}".format(
            *found_first(net)
        )
    )

# %% [markdown]
# ## 2. Words inside the generator
#
# AttnGAN turns the look around. At a middle stage of the generator each place $j$ has a feature $h_j$. Words are carried into the space of the
# features, $e'_i=U e_i$, and each place asks for the words that concern it (Xu et al. 2018, section 3.1):
#
# $$\beta_{ji}=\frac{\exp(h_j\cdot e'_i)}{\sum_k\exp(h_j\cdot e'_k)},\qquad c_j=\sum_i\beta_{ji}\,e'_i .$$
#
# $h$ and $c$ then go on together. Captions of a batch have unequal lengths; padding must get no weight. Is that so in the kit's layer?

# %%
painters = {"sentence": load_word_generator(attend=False), "words": load_word_generator(attend=True)}
texts = [CAPTION, "a small bird"]
code = told(matchers[0], texts)
_, said, which = untold(code, 48)
h = torch.randn(2, 16, 16, 16, generator=generator(80))
context = painters["words"].context
beta = context.weights(h, said, which)
by_hand = torch.einsum("nthw,ntc->nchw", beta, context.carry(said))
print(
    f"weights of a place sum to 1: {torch.allclose(beta.sum(1), torch.ones(2, 16, 16))}; of padding: {beta[1, 3:].sum():.0f}"
)
assert torch.allclose(by_hand, context(h, said, which), atol=1e-4) and beta[1, 3:].sum() == 0

# %% [markdown]
# Two generators, equal but for this layer at 16 by 16. Both get the sentence vector $\bar e$ of the matcher, through conditional batch norm, as in
# lecture 8.2; the same discriminator, which reads the sentence alone; and the same CPU time, about 200 seconds of one core each
# (`python benchmarks/train_words_and_codes.py painter_words painter_sentence`). Both have half the maps of 8.2's, and less time.
# Which one draws what the caption says?

# %% tags=["nbval-ignore-output"]
PROBE = 500
asked = flock.draw(PROBE, generator=generator(81))
probe_codes = told(matchers[0], asked.captions)


@torch.no_grad()
def paint(name: str, codes: Tensor, seed: int) -> Tensor:
    net = painters[name]
    z = torch.randn(len(codes), net.latent, generator=generator(seed))
    return torch.cat([net(a, b) for a, b in zip(z.split(250), codes.split(250))])


def facts_shown(x: Tensor, captions: list[str]) -> float:
    return caption_accuracy(captions, reader.read(x), flock.names, birds.parse).facts


scores = {}
for name in painters:
    scores[name] = [facts_shown(paint(name, probe_codes, seed), asked.captions) for seed in range(3)]
    print(
        f"{name:9} facts of the caption that the picture shows, three draws of noise: "
        + ", ".join(f"{s:.3f}" for s in scores[name])
    )

assert min(min(three) for three in scores.values()) > 0.4  # chance: 0.29

# %%
WISHES = [
    "a small red bird with black wings",
    "a large blue bird with a yellow belly, facing left",
    "this bird has a green head and white wings",
    "a pink bird with a very long beak, facing right",
]
drawn = torch.cat([paint(name, told(matchers[0], [w for w in WISHES for _ in range(3)]), 5) for name in painters])
show(
    pictures(drawn, cols=12, width=9),
    alt="Two rows of twelve generated birds, three for each of four captions: above by the generator of sentences, below by that of words.",
)
for wish in WISHES:
    print(wish)

# %% [markdown]
# A draw: the words bought one or two points at most. (One training a side, 2,600 steps with words against 2,800 without; a gap that small
# means nothing.) Both show two thirds of the facts; chance would be 29 %.
#
# Why no gain? The matcher's sentence vector was trained to hold all that our short captions say, so words have little to add. The
# discriminator reads the sentence alone: nobody asks whether the *wings* are red. The paper trains G with the matching loss of section 1 as well, at up to 256 pixels,
# where a place has more to decide. Attention pays where one vector is too narrow for what has to be said; test before you believe it.

# %% [markdown]
# ## 3. A picture in 64 signs
#
# Now the other way round: not words that look at regions, but regions that become words. An encoder makes an 8 by 8 grid of features; each feature
# $z$ is replaced by the nearest vector of a book, $k^*=\arg\min_k|z-v_k|^2$, and a decoder paints from those. A picture is then 64 whole numbers.
#
# Rounding to the nearest has slope zero almost everywhere: no gradient reaches the encoder. The straight-through estimator
# pretends that rounding was the identity. Forward, the code; backward, the gradient passes as it is:
#
# $$\text{forward: } q=v_{k^*},\qquad\text{backward: }\frac{\partial L}{\partial z}:=\frac{\partial L}{\partial q}.$$

# %% tags=["covers:H-18"]
with seeded(0):
    book = Codebook(k=32, features=6).eval()
features = torch.randn(5, 6, 4, 3, generator=generator(90)).requires_grad_()
result = book(features)

# Nearest code: no other code is nearer, for any of the 60 features, by plain distances.
gaps = torch.stack([(features.detach() - code[:, None, None]).square().sum(1) for code in book.vectors], -1)
assert (gaps.argmin(-1) == result.codes).all() and torch.equal(
    result.z.detach().movedim(1, -1), book.vectors[result.codes]
)

# Straight through: whatever gradient arrives at the code arrives at the feature, unchanged.
arriving = torch.randn(features.shape, generator=generator(91))
(slope,) = torch.autograd.grad((result.z * arriving).sum(), features)
hard = book.vectors[result.codes].movedim(-1, 1)
print(
    f"gradient equal to the one that arrived: {torch.equal(slope, arriving)}; without the trick the code has a gradient: {hard.requires_grad}"
)
assert torch.equal(slope, arriving)

# %% [markdown]
# It is a lie, and a useful one. What makes it harmless is that $z$ and $v_{k^*}$ lie close together; hence the *commitment* loss
# $\beta|z-\mathrm{sg}(v_{k^*})|^2$, which pulls the feature to its code ("sg" stops the gradient). The code must come to the features, too. The
# paper has a second loss for that, $|\mathrm{sg}(z)-v_{k^*}|^2$. Its appendix has what we use: each code is the running mean of the features
# that chose it, as in k-means.
#
# ### Dead codes
#
# A code that nothing chooses has no features to follow, so it stays where it is, and is never chosen again. The book's **perplexity**, $\exp$ of the
# entropy of its codes' frequencies, tells how many are alive: $K$ if all are used alike, 1 if one is. The remedy is as crude as it is
# good: put a dead code where some feature of the batch is. Here a code is dead that less
# than one feature in a hundred batches has chosen of late. Two trainings of 240 steps, 8 seconds each:

# %% tags=["nbval-ignore-output", "covers:H-18"]
studied, held = flock.draw(3000, generator=generator(92)).x, flock.draw(300, generator=generator(93))
life, at_step = {}, [*range(0, 240, 20), 239]
for name, restart in {"left alone": False, "dead codes restarted": True}.items():
    with seeded(1):
        net = VQAutoencoder(k=256, restart=restart)
    take = shuffled(studied, batch=32, seed=0)
    life[name] = [
        perplexity(net.codes(held.x), 256)
        for record in track(train_autoencoder(net, lambda k: take(k)[0], steps=240), name, 240)
        if record.step in at_step
    ]
fig, ax = figure(1, 1, 5.6, 2.6)
lines(ax, at_step, life, xlabel="step", ylabel="perplexity (of 256)")
show(
    fig,
    alt="Perplexity of the codebook over 240 steps: it stays low when dead codes are left alone, and rises after step 150 when they are restarted.",
)
print("perplexity after 240 steps: " + ", ".join(f"{name} {values[-1]:.0f}" for name, values in life.items()))
assert life["dead codes restarted"][-1] > 1.5 * life["left alone"][-1]

# %% [markdown]
# The shipped autoencoder has had 3,000 steps. Its loss is the absolute error (flat colours have medians, not means), plus a *perceptual* term: the
# copy's regions shall resemble the original's in the features of section 1's matcher. (VQGAN does so with a network that was trained on
# ImageNet, and adds a discriminator of patches.)

# %% tags=["covers:H-18"]
vq = load_autoencoder()
signs = vq.codes(held.x)
copies = vq.paint(signs)
psnr = 10 * math.log10(4 / (copies - held.x).square().mean())
both = [attribute_accuracy(reader.read(x), held.labels) for x in (held.x, copies)]
print(
    f"PSNR {psnr:.1f} dB; perplexity {perplexity(signs, 256):.0f} of 256; codes never used by {len(held.x)} birds: {256 - len(signs.unique())}"
)
print(
    "read by the oracle: "
    + ", ".join(f"{name} {a:.2f} -> {b:.2f}" for name, a, b in zip(flock.names, *(s.tolist() for s in both)))
)
print(f"a picture of {32 * 32 * 3} bytes has become {64 * math.log2(256) / 8:.0f} bytes")
shown = torch.cat([held.x[:10], copies[:10]])
show(
    pictures(shown, cols=10, width=8),
    alt="Above ten birds, below their copies from 64 signs: the same birds, with softer edges and some colours off.",
)

# %% [markdown]
# The row of numbers is worth a look: size and facing survive, some colours do not. It is a **ceiling** for all that follows. Whoever writes signs, however well,
# cannot have pictures better than the decoder's.
#
# ## 4. Writing a picture
#
# 64 signs in reading order are a sentence, and sentences are what language models write. A causal transformer sees the words of the caption, a sign
# for "begin", and the signs so far:
#
# $$p(c\mid\text{words})=\prod_{l=1}^{64}p(c_l\mid\text{words},c_1,\dots,c_{l-1}).$$
#
# Causal means: the prediction at $l$ may not change when a later sign does. Test that first; a leak here gives wonderful losses and useless samples.

# %% tags=["covers:H-18"]
prior = load_prior()
ids, _, mask = prior.vocabulary.batch(held.captions[:4])
line = signs[:4].flatten(1)
other = line.clone()
other[:, 20] = (other[:, 20] + 1) % 256
with torch.no_grad():
    before, after = prior(ids, mask, line), prior(ids, mask, other)
moved = (before - after).abs().amax((0, 2)) > 1e-5
print(f"sign 20 changed; the first prediction that moves is that of sign {int(moved.nonzero()[0])}")
assert not moved[:21].any() and moved[21]

# %% [markdown]
# How good is it? Three rulers, in nats a sign: all signs alike, $\log K$; the entropy of the frequencies, for a model that knows how often each
# sign occurs and nothing else; and the same prior with *another bird's* caption.

# %% tags=["covers:H-18"]
flat = signs.flatten(1)
with torch.no_grad():
    nll = float(
        torch.stack([prior_loss(prior, flat[k : k + 100], held.captions[k : k + 100]) for k in (0, 100, 200)]).mean()
    )
    strangers = held.captions[150:] + held.captions[:150]
    mismatched = float(
        torch.stack([prior_loss(prior, flat[k : k + 100], strangers[k : k + 100]) for k in (0, 100, 200)]).mean()
    )
many = vq.codes(studied)
unigram = math.log(perplexity(many, 256))
print(
    f"log K {math.log(256):.2f}, frequencies alone {unigram:.2f}, prior with another's caption {mismatched:.2f}, prior {nll:.2f} nats a sign"
)
assert nll < mismatched < unigram < math.log(256)

# %% [markdown]
# Where is the difficulty? At each place of the grid, the surprise with the right caption, and what the caption saves:

# %% tags=["nbval-ignore-output"]


@torch.no_grad()
def surprise(captions: list[str]) -> Tensor:
    """(8, 8): mean of -log p at each place, over 300 birds."""
    rows = []
    for k in (0, 100, 200):
        ids, _, mask = prior.vocabulary.batch(captions[k : k + 100])
        logits = prior(ids, mask, flat[k : k + 100])
        rows.append(F.cross_entropy(logits.mT, flat[k : k + 100], reduction="none"))
    return torch.cat(rows).mean(0).view(8, 8)


fig, axes = figure(1, 2, 7.4, 2.9)
with_own, with_other = surprise(held.captions), surprise(strangers)
heatmap(axes[0], with_own, label="nats", title="surprise", xlabel="column", ylabel="row")
heatmap(
    axes[1],
    with_other - with_own,
    label="nats",
    center=0,
    title="saved by the right caption",
    xlabel="column",
    ylabel="row",
)
show(
    fig,
    alt="Two 8 by 8 maps: surprise is lowest on the ground and highest where the bird is; the caption saves most there, too.",
)

# %% [markdown]
# The ground writes itself, and so does the sky once its first sign has chosen the colour. The bird is hard, and there the caption helps.
#
# How much does it help in all? A picture is 64 signs. Set what the caption saves beside what the picture costs:

# %% tags=["nbval-ignore-output"]
print(f"a picture costs {64 * nll:.0f} nats; with a wrong caption {64 * (mismatched - nll):.1f} more")

# %% [markdown]
# A few nats of more than a hundred. The colours of a caption are worth $\log 9=2.2$ nats each, whoever names them; edges, branches and clouds cost
# the rest. Likelihood hardly notices whether the caption was read, so the prior learns that last. A matching-aware discriminator is
# asked nothing else. Keep this in mind for the comparison below.
#
# ### Temperature
#
# To draw, divide the logits by a temperature $\tau$ before the softmax, keep the $k$ likeliest signs, and pick one by lot. $\tau\to0$ takes the likeliest sign each
# time. What is best for telling the truth is not best for variety.


# %% tags=["covers:H-18", "nbval-ignore-output"]
def spread(x: Tensor) -> float:
    """Mean distance of pictures of one caption, in the oracle's features, over that of renders of fresh birds."""
    f, g = reader.features(x), reader.features(held.x)
    return float(torch.pdist(f).mean() / torch.pdist(g).mean())


VERSIONS = {
    "0.0": (0.0, None),
    "0.5": (0.5, None),
    "0.8": (0.8, None),
    "1.0": (1.0, None),
    "1.0, top 20": (1.0, 20),
    "1.3": (1.3, None),
}
truthful = {}
for name, (temperature, top) in VERSIONS.items():
    x = vq.paint(prior.write(asked.captions[:200], temperature=temperature, top=top, generator=generator(95)))
    same = vq.paint(prior.write(WISHES[:1] * 24, temperature=temperature, top=top, generator=generator(96)))
    truthful[name] = facts_shown(x, asked.captions[:200])
    print(
        f"temperature {name:11}: facts shown {truthful[name]:.2f}, spread of 24 pictures of one caption {spread(same):.2f}"
    )
chance = facts_shown(
    flock.render(flock.sample(200, generator=generator(97)), generator=generator(98)), asked.captions[:200]
)
print(
    f"birds at random show {chance:.2f} of the facts; copies of the right birds {facts_shown(copies, held.captions):.2f}"
)
assert truthful["0.8"] > 1.3 * chance

# %% [markdown]
# Cold, the prior tells the truth a little more often and always paints the same bird; hot, it is varied and less true. The gap to the copies shows which part
# is weak: not the decoder, which keeps 95 % of the facts, but the prior, which heeds about half. It has 150,000 weights and had 200 seconds. It is no worse on fresh birds
# than on those that it studied (the manifest's 1.78 nats against 1.77 in its last batches), so more training or a larger network, not more data, is the next thing to try.


# %%
def written(temperature: float, top: int, caption: str):
    codes = prior.write([caption] * 8, temperature=temperature, top=top, generator=generator(99))
    return pictures(vq.paint(codes), cols=8, width=8)


explore(
    written,
    alt='Eight pictures written for "{caption}" at temperature {temperature}, among the {top} likeliest signs.',
    static=[{"temperature": t, "top": 256, "caption": WISHES[0]} for t in (0.3, 0.8, 1.5)],
    temperature=Slider(0.0, 2.0, 0.1, 0.8, label="temperature"),
    top=Slider(1, 256, 1, 256, label="likeliest signs"),
    caption=Choice(WISHES, WISHES[0], label="caption"),
)

# %% [markdown]
# Above $\tau=0.3$, then 0.8, then 1.5. Cold pictures agree with each other; hot ones fall apart, because one unlikely sign is a strange past for all that follow.
#
# ### One step or sixty-four
#
# The generator paints in one pass, the transformer writes sign by sign. What does that cost, and what does it buy?

# %% tags=["nbval-ignore-output"]


def seconds_each(make, n: int = 64) -> float:
    began = time.process_time()
    make(n)
    return (time.process_time() - began) / n


def write_and_paint(n: int) -> Tensor:
    return vq.paint(prior.write(asked.captions[:n], temperature=0.8, generator=generator(0)))


MAKERS = {
    "GAN, sentence": lambda n: paint("sentence", probe_codes[:n], 0),
    "GAN, words": lambda n: paint("words", probe_codes[:n], 0),
    "VQ + transformer": write_and_paint,
}
renders_read = reader.features(studied)
race = {}
for name, make in MAKERS.items():
    x = make(PROBE)
    apart = frechet_distance(renders_read, reader.features(x))
    race[name] = facts_shown(x, asked.captions), apart, seconds_each(make)
    print(
        f"{name:17} facts shown {race[name][0]:.2f}, Frechet distance to renders {apart:5.1f}, {1000 * race[name][2]:6.2f} ms a picture"
    )
assert race["VQ + transformer"][2] > race["GAN, words"][2]

# %% [markdown]
# Read all three columns. The GANs show more facts, lie nearer to renders, and paint in a fraction of the time. The discriminator asked about the caption at
# every step; likelihood hardly did. In an earlier version of this lecture, with GANs of 45 seconds, the second column was the other way round: they told more of the truth in smears that
# lay further from birds than the transformer's wrong birds. **Caption accuracy is not quality, and quality is not obedience**; a comparison that prints
# one number hides this, and one moment of training is not the last word.
#
# Time to train: 200 seconds for each GAN; about 150 for the autoencoder and 200 for the prior. What likelihood has for it: it punishes
# whatever is left out, where a GAN may lose a mode unpunished (8.2, section 6).
#
# ## Does yours work?
#
# - **Matching loss.** It begins near $4\log N$ (four cross entropies among $N$) and must fall well below. Count hits against chance; do not trust one handsome map.
# - **Attention in a generator.** Weights of padding are exactly zero. Retrain without the layer at equal *time*, and compare a number.
# - **Codebook.** Watch the perplexity from the first step. Below a quarter of $K$ something is dead.
# - **Autoencoder.** Read the copies by an oracle, not only by PSNR: the prior can never be better than they are.
# - **Prior.** Test causality by changing one sign. Its loss must beat the entropy of frequencies, and rise with a wrong caption.
#
# ## Quiz
#
# **1.** In equation 8 the words compete for each region. What would happen to the map of "the" or "a" without that step?
#
# <details><summary>Answer</summary>
#
# Its scores would go straight into the softmax over regions, and it would look firmly somewhere: any small difference, times $\gamma_1$ and the
# size of the features, becomes a peak. With the competition a word that wins no region has nearly equal shares everywhere, and looks
# everywhere a little.
# </details>
#
# **2.** The exam with four different colours was passed. Why was it not enough?
#
# <details><summary>Answer</summary>
#
# A word that looks for its colour and ignores the noun passes it. The control must make the easy strategy fail: two parts of one colour.
# </details>
#
# **3.** The gradient that arrives at the code is passed on to the feature unchanged. For which step would that be exact?
#
# <details><summary>Answer</summary>
#
# For a rounding that shifts every feature of the neighbourhood by the same amount: then the output moves exactly as the input does. Nearest-code rounding
# does not move at all, or jumps. The nearer features lie to their codes, the better the loss at the code stands for that at the feature.
# </details>
#
# **4.** A prior reaches 0.3 nats a sign, yet its samples are noise. What do you test first?
#
# <details><summary>Answer</summary>
#
# Whether it sees the sign that it predicts: shifted by one too few, or a mask with the wrong triangle. Change one sign and see which predictions move.
# </details>
#
# **5.** Perplexity 12 at $K=256$, and good copies. Is that bad?
#
# <details><summary>Answer</summary>
#
# Not for the copies. But 244 vectors are dead weight, and a picture then has at most $64\log_2 12$, that is 229 bits instead of 512. Either take a smaller
# book or revive the codes; with more codes in use the copies get better still.
# </details>
