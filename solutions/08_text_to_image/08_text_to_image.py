# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] nbgrader={"grade": false, "grade_id": "intro", "locked": true, "schema_version": 3, "solution": false, "task": false}
# # Text to image
#
# A sentence goes in, a picture comes out. Two problems are in it: to read from the text what can be seen (sections 1 and 5), and
# to make a picture that is not only good but *of this text* (sections 2 to 4). Sections 6 and 7 are about pictures as words, and
# about how to know whether it worked. At the end you train a small generator and hand in its weights. Most answers are three to
# twelve lines. Run the check under an answer as often as you like: it says what is right, what is wrong, and which mistake it
# looks like.
#
# | letter | meaning | symbol | shape |
# |---|---|---|---|
# | N | pictures, or pairs, in a batch | pictures $x$, in [-1, 1] | (N, C, H, W) |
# | C, H, W | channels, height, width | noise $z$ | (N, Z) |
# | Z | width of the noise | text $t$, its embedding $\varphi(t)$: `phi` | (N, D) |
# | D | width of an embedding | words of a caption | (N, T, D) |
# | T | words or characters | codebook $e$ | (K, D) |
# | K, L | codes in the codebook, codes of a picture | logits of the discriminator | (N,) |
# | A | attributes | attributes of a picture: `labels` | (N, A) int64 |
#
# The networks are $G(z, \varphi(t))$, $D(x, \varphi(t))$ and the style encoder $S(x)$; in code `G(z, phi)`, `D(x, phi)`,
# `S(x)`. $D$ gives logits: large means *real, and of this text*. A network that is handed to a function is not yours: unless the
# task says otherwise, its weights, their `.grad`, its buffers and the train or eval mode of each of its modules are afterwards
# as they were, and a function must not write into its arguments. Tensors that you return have the dtype of the inputs, and lie
# in the graph, so that gradients flow, unless the task says otherwise. Numbers are compared with a relative tolerance of 1e-3
# and an absolute one of 1e-5 unless the task says otherwise.

# %% nbgrader={"grade": false, "grade_id": "setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coursekit.exercises import check, hint, progress


# %% [markdown] nbgrader={"grade": false, "grade_id": "section-s1_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 1. Text as numbers, and one space for both
#
# The encoder of Reed et al. reads a caption character by character, and is trained together with an encoder of pictures until
# what belongs together lies together. Retrieval says how well that went.

# %% [markdown] nbgrader={"grade": false, "grade_id": "task-char_one_hot", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### A caption, character by character
#
# Difficulty ●●○○○ · about 12 minutes · 2 points
#
# A reader of characters knows no unknown words: "yelow" shares five of six letters with "yellow", where a vocabulary of words
# has nothing. The price is that the encoding has to be right to the letter, for a shift by one place changes every window that
# the convolution sees.
#
# `char_one_hot(captions, alphabet, length)` takes a list of N strings, the `alphabet` as one string of A different characters
# (small letters and signs), and the number of places, `length` = T. It returns **(N, A, T)**, dtype `torch.float32` always:
# channels before places, as `nn.Conv1d` wants it. The entry is 1 where the character at place $t$ of caption $n$ is number $a$
# of the alphabet, and 0 elsewhere.
#
# - Capitals count as the small letter.
# - A character that is not in the alphabet keeps its place, as a column of zeros.
# - A caption of more than T characters is cut: its first T are read. A shorter one (there are empty ones) ends in zeros.
#
# *What the check looks at*
#
# - captions that fit, small letters only: 0.5 points
# - captions with capitals: 0.5 points
# - unknown letters and signs: 0.5 points
# - captions too long, short, and empty: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# What does your look-up give for a character that is not there? `str.find` gives -1, which is a valid index.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# Begin with `torch.zeros(N, A, T)` of the right dtype and set ones; characters that are unknown are passed over.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# Two loops, `for n, caption in enumerate(captions)` and `for t, c in enumerate(caption.lower()[:length])`, with `if c in alphabet: codes[n, alphabet.index(c), t] = 1`.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "char_one_hot", "locked": false, "schema_version": 3, "solution": true, "task": false}
def char_one_hot(captions: list[str], alphabet: str, length: int) -> Tensor:
    """N strings -> (N, A, T) float32: which character of the alphabet stands at which place."""
    ### BEGIN SOLUTION
    found = torch.zeros(len(captions), len(alphabet), length, dtype=torch.float32)
    for n, told in enumerate(captions):
        for place, sign in enumerate(told.lower()[:length]):
            if sign in alphabet:
                found[n, alphabet.index(sign), place] = 1
    return found
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-char_one_hot", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.0}
check("08.char_one_hot", char_one_hot)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-structured_hinge", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### One space for pictures and captions, by a margin
#
# Difficulty ●●●●○ · about 30 minutes · 2.5 points
#
# A caption of one red bird fits every other red bird: to push it away from them, as a softmax over the batch does, teaches
# the encoder that two truths contradict each other. The loss of Reed et al. (2016, *Learning deep representations of
# fine-grained visual descriptions*, equations 2 to 6) therefore compares **classes**, and it has a margin: a pair that is well
# apart from all others no longer pulls at the weights.
#
# Pair $n$ is a picture $v_n$ with a caption $t_n$, both encoded, of class $y_n$; $F(v, t) = v \cdot t$ is their compatibility.
# With $\mathcal T(y)$ the captions of class $y$ **in the batch**, and $\Delta(y_n, y) = 0$ for $y = y_n$ and 1 otherwise,
#
# $$\ell_v(n) = \max_y \Big(0,\; \Delta(y_n, y) + \tfrac{1}{|\mathcal T(y)|} \textstyle\sum_{t \in
# \mathcal T(y)} F(v_n, t) - F(v_n, t_n)\Big)$$
#
# where $y$ runs over all classes of the batch, $y_n$ among them. $\ell_t(n)$ is the same with the parts exchanged: caption
# $t_n$ against the mean over the **pictures** of each class, $\tfrac{1}{|\mathcal V(y)|}\sum_{v \in \mathcal V(y)}
# F(v, t_n)$. The loss is symmetric:
#
# $$\mathcal L = \tfrac1N \textstyle\sum_n \ell_v(n) + \ell_t(n)$$
#
# Write `structured_hinge(images, texts, y)` for `images` (N, D), `texts` (N, D), `y` (N,) int64, any whole numbers. It returns a
# scalar. The embeddings are used as they are, not normalised. How to know that it works: with every class a class of its own and
# all far apart it is exactly 0.
#
# *What the check looks at*
#
# - seven pairs of four classes: 1 point
# - five pairs, each a class of its own: 0.5 points
# - classes that are far apart: 0.5 points
# - gradients of both sides: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# All F at once are one product, (N, N): rows are pictures, columns captions. Where does each pair's own F stand?
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# `same = y[:, None] == y` says which pairs share a class. A column of `F @ same / same.sum(0)` holds, for each picture, the mean over the captions of one class; a class that stands in several columns does no harm to a maximum.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `(1 - same) + means - F.diagonal()[:, None]`, then `.amax(1).clamp(min=0).mean()`. The other side: the same with `F.T`. `same` needs the dtype of F.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "structured_hinge", "locked": false, "schema_version": 3, "solution": true, "task": false}
def structured_hinge(images: Tensor, texts: Tensor, y: Tensor) -> Tensor:
    """images (N, D), texts (N, D), classes y (N,) -> the symmetric structured hinge loss, a scalar."""
    ### BEGIN SOLUTION
    fit = images @ texts.T
    kin = (y[:, None] == y[None, :]).to(fit.dtype)
    needed = (1 - kin) - fit.diagonal()[:, None]
    sides = [needed + table @ kin / kin.sum(0) for table in (fit, fit.T)]
    return sum(side.amax(1).clamp(min=0).mean() for side in sides)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-structured_hinge", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.5}
check("08.structured_hinge", structured_hinge)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-recall_at_k", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### How often is the right one among the first k?
#
# Difficulty ●●○○○ · about 15 minutes · 2 points
#
# Retrieval is the honest test of a shared space: a hundred pictures, one caption, is the right picture among the first k? It has
# a trap that many evaluation scripts fall into. An encoder that has collapsed gives **every** pair the same score; with ties
# broken by position, or in one's favour, it scores anything up to 100 %.
#
# `recall_at_k(scores, k)` takes `scores` (N, N), rows being captions and columns pictures, the right ones on the diagonal, and a
# whole number k from 1 to N. It returns two numbers, the recall from **caption to picture** and that from **picture to
# caption**. Each is the share of the N queries, from 0 to 1, whose right answer is among the first k, where **ties count
# against it**: the rank of the right answer is 1 plus the number of *other* candidates with a score at least as large.
#
# Plain numbers or tensors of one element both do.
#
# *What the check looks at*
#
# - scores without ties, k = 1, 3, 5: 0.5 points
# - scores with many ties, k = 1, 2, 4, 6: 1 point
# - a collapsed encoder: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# No sorting is needed: what decides is a count. Of what?
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# `scores >= own`, summed over the candidates, counts the right answer as well. That is its rank.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `own = scores.diagonal()`; for captions `(scores >= own[:, None]).sum(1) <= k`, for pictures `(scores >= own).sum(0) <= k`; the mean of each, in a floating dtype.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "recall_at_k", "locked": false, "schema_version": 3, "solution": true, "task": false}
def recall_at_k(scores: Tensor, k: int) -> tuple[float, float]:
    """scores (N, N), rows captions, columns pictures -> recall from caption to picture, from picture to caption."""
    ### BEGIN SOLUTION
    true_pair = scores.diagonal()
    ahead = scores >= true_pair[:, None], (scores >= true_pair).T
    to_picture, to_caption = ((rivals.sum(1) <= k).double().mean().item() for rivals in ahead)
    return to_picture, to_caption
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-recall_at_k", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.0}
check("08.recall_at_k", recall_at_k)


# %% [markdown] nbgrader={"grade": false, "grade_id": "section-s2_pairs", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 2. Real, and of this text
#
# A discriminator that never sees a good picture with a wrong text has no reason to read. Here are the third case and the texts
# for it, and what a slide forgets.

# %% [markdown] nbgrader={"grade": false, "grade_id": "task-wrong_captions", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### A wrong caption that is really wrong
#
# Difficulty ●●●●○ · about 25 minutes · 3 points
#
# The matching-aware discriminator is shown real pictures with wrong captions. The usual code takes the caption of the neighbour
# in the batch, or a permutation without fixed points. But "a small bird" from the neighbour's picture is *true* of every other
# small bird, so that D is punished for being right, the more often the shorter captions are.
#
# People are vague, too: "a warm-coloured bird" is true of red and of yellow ones. So what a caption tells is given as `fits`
# (M, A, V) bool: `fits[m, a, v]` says whether the value $v$ of attribute $a$ agrees with caption $m$. Where a caption does not
# speak of an attribute, every value does. `labels` (N, A) int64 holds the true values of N pictures, 0 to V − 1. Captions and
# pictures are not in the same order, and M and N may differ.
#
# - `is_true_of(fits, labels)` returns (N, M) bool: whether caption $m$ is true of picture $n$, that is, whether the picture's
#   value of **every** attribute agrees with it. A caption that speaks of nothing is true of all pictures.
# - `wrong_captions(fits, labels, generator)` returns for each picture the index of a caption that is **not** true of it,
#   (N,) int64, each such caption with the same probability, drawn independently for each picture. All randomness comes from
#   `generator`, a `torch.Generator`. If there is a picture of which all captions are true, raise a `ValueError`.
#
# Shares are counted over 4000 copies of each picture and may be off by 0.07. A right answer fails this less than once in a
# million checks.
#
# *What the check looks at*
#
# - which captions are true of which pictures: 1 point
# - wrong captions for 12000 pictures: all wrong, and evenly drawn: 1 point
# - the given generator and no other: 0.5 points
# - a picture of which every caption is true: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# For one attribute a and all pictures and captions: `fits[:, a]` is (M, V), and `labels[:, a]` picks N of its columns.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# `fits[:, torch.arange(A), labels]` picks them for all attributes at once: with `labels` (N, A) it has the shape (M, N, A). Then all attributes must agree; mind which axis is which.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# Give the false captions weight 1 and the true ones 0: `torch.multinomial(weights, 1, generator=generator)` draws a column (N, 1). Before that look for rows without any weight.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "wrong_captions", "locked": false, "schema_version": 3, "solution": true, "task": false}
def is_true_of(fits: Tensor, labels: Tensor) -> Tensor:
    """fits (M, A, V) bool, labels (N, A) -> (N, M) bool: is the caption true of the picture?"""
    ### BEGIN SOLUTION
    upheld = fits[:, torch.arange(labels.shape[1]), labels]
    return upheld.all(dim=2).T
    ### END SOLUTION


def wrong_captions(fits: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    """For each of N pictures the index (N,) int64 of a caption that is not true of it."""
    ### BEGIN SOLUTION
    eligible = ~is_true_of(fits, labels)
    if not eligible.any(dim=1).all():
        raise ValueError("there is a picture of which every caption is true.")
    return torch.multinomial(eligible.double(), 1, generator=generator)[:, 0]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-wrong_captions", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 3.0}
check("08.wrong_captions", is_true_of, wrong_captions)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-best_answers", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### The value that forgot the text
#
# Difficulty ●●●●○ · about 30 minutes · 2.5 points
#
# **A slip on a slide.** A slide on text to image (HKUST, *Advanced Deep Learning Architectures: Generative Adversarial Networks*) defines the generator
# as $\hat x := G(z, \varphi(t))$, and then gives the value of the unconditional game, $\mathbb E \log D(x) + \mathbb E \log
# (1 - D(G(z)))$. The text has gone, and with it every reason for G to listen. How much does that cost? With few pictures and
# few texts it can be computed.
#
# There are X pictures and T texts. `joint` (X, T) holds $p(x, t)$, the real pairs; `made` (X, T) holds $p_G(x \mid t)$, so that
# each **column** sums to 1. Texts for the generator, and wrong texts, are drawn from $p(t) = \sum_x p(x, t)$, whatever the
# picture. Write `best_answers(joint, made)`: the best $D(x, t)$ for three values, three tables (X, T) in this order.
#
# 1. The slide's, taken literally: D sees $x$ alone (so the columns are equal), real pictures against made ones.
# 2. With the text put back: $\mathbb E_{p(x,t)} \log D(x, t) + \mathbb E_{p(t)\, p_G(x|t)} \log (1 - D(x, t))$.
# 3. With wrong texts as well, matching-aware (Reed et al. 2016): $\mathbb E_{p(x,t)} \log D(x, t) + \tfrac12\,\mathbb
#    E_{p(x)\,p(t)} \log (1 - D(x, t)) + \tfrac12\,\mathbb E_{p(t)\,p_G(x|t)} \log (1 - D(x, t))$.
#
# Where nothing is ever shown to D, real or made, the answer is ½. It works if a generator that draws real pictures *without
# listening*, $p_G(x \mid t) = p(x)$, gets ½ everywhere from the slide's D, and is found out by the others. And look at
# the third D of a **perfect** generator: it is not ½.
#
# *What the check looks at*
#
# - the three tables: 1 point
# - a picture that only the generator makes: 0.5 points
# - a deaf generator and a perfect one: 1 point
#
# <details><summary>Hint 1 of 3</summary>
#
# For each cell: $a \log D + b \log(1 - D)$ is largest at $D = a / (a + b)$. What are a and b in each of the three?
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# Sums over cells that D cannot tell apart belong together: the slide's D has $a = p(x)$ and $b = \sum_t p(t)\,p_G(x \mid t)$.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `text = joint.sum(0)`, `picture = joint.sum(1, keepdim=True)`, `shown = made * text`. In the third, b is `picture * text / 2 + shown / 2`. Where a + b is 0 use `torch.where`.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "best_answers", "locked": false, "schema_version": 3, "solution": true, "task": false}
def best_answers(joint: Tensor, made: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """joint p(x, t), made p_G(x | t), both (X, T) -> the best D (X, T) of three values: slide, conditional, matching-aware."""
    ### BEGIN SOLUTION
    picture, text = joint.sum(1, keepdim=True), joint.sum(0)
    shown = made * text
    against = (
        (picture.expand_as(joint), shown.sum(1, keepdim=True).expand_as(joint)),
        (joint, shown),
        (joint, picture * text / 2 + shown / 2),
    )
    return tuple(torch.where(a + b > 0, a / (a + b), 0.5) for a, b in against)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-best_answers", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.5}
check("08.best_answers", best_answers)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-matching_aware", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Three cases, and not the set {0, 1}
#
# Difficulty ●●●○○ · about 20 minutes · 2.5 points
#
# **A slip on a slide.** A slide (Shi, *A Brief Review on GANs*) gives the text-conditional discriminator as $D: \mathbf R^D \times \mathbf R^T
# \to 0, 1$; another course says that D outputs a *likelihood in (0, 1)*. Taken literally, the first is a set of two decisions:
# their logarithm is 0 or −∞, and there is no gradient anywhere. What is meant is the open interval, and what D gives in there
# is a **probability**, not a likelihood (nothing sums to 1 over pictures). As a number it is best never computed: keep the logit.
# And the value of the slide before lacks the third case, the real picture with a wrong text. From the paper (Reed et al. 2016,
# *Generative adversarial text to image synthesis*, algorithm 1), with $s_r$ for the right pair, $s_w$ for a real picture with a
# wrong text, and $s_f$ for a fake with the right text, D **ascends**
#
# $$\log s_r + \tfrac12 \big(\log(1 - s_w) + \log(1 - s_f)\big)$$
#
# and G ascends $\log s_f$. Write both as losses to be **descended**, from logits, where $s = \sigma(\text{logit})$:
#
# - `matching_loss_D(right, wrong, fake)` takes the logits of the three cases, (n,) each, where n **differs** from case to case.
#   Each expectation is a mean over its own case. It returns a scalar.
# - `matching_loss_G(fake)` returns G's loss, a scalar.
#
# Both must be right, with finite gradients, for logits of ±250. The halves keep the two kinds of negatives together as heavy as
# the positives: D at logits 0 costs $2 \log 2 \approx 1.386$.
#
# *What the check looks at*
#
# - both losses, batches of 5, 3 and 7: 1 point
# - gradients of all logits: 0.5 points
# - logits around ±200: 1 point
#
# <details><summary>Hint 1 of 3</summary>
#
# $-\log \sigma(a) = \log(1 + e^{-a})$. Torch has a function for $\log(1 + e^a)$ that neither overflows nor loses digits.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# `F.softplus(-right).mean()` is the first term. Of which sign is the argument for what D should reject?
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# Mean each case by itself, then `positives + (wrong_term + fake_term) / 2`. G wants its fakes accepted: `F.softplus(-fake).mean()`.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "matching_aware", "locked": false, "schema_version": 3, "solution": true, "task": false}
def matching_loss_D(right: Tensor, wrong: Tensor, fake: Tensor) -> Tensor:
    """Logits of right pairs, of real pictures with wrong texts, of fakes -> what D descends."""
    ### BEGIN SOLUTION
    rejected = F.softplus(wrong).mean() + F.softplus(fake).mean()
    return F.softplus(-right).mean() + rejected / 2
    ### END SOLUTION


def matching_loss_G(fake: Tensor) -> Tensor:
    """Logits of fakes with their texts -> what G descends."""
    ### BEGIN SOLUTION
    return F.softplus(-fake).mean()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-matching_aware", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.5}
check("08.matching_aware", matching_loss_D, matching_loss_G)


# %% [markdown] nbgrader={"grade": false, "grade_id": "section-s3_conditioning", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 3. Networks that read
#
# A vector must get into a network that thinks in maps, and a generator must know what lies between the captions that it was
# shown.

# %% [markdown] nbgrader={"grade": false, "grade_id": "task-text_maps", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### A sentence at every place of the picture
#
# Difficulty ●●●○○ · about 20 minutes · 2 points
#
# The discriminator thinks in maps, a sentence is a vector. Reed et al. (2016, section 4.1 and figure 2) compress the vector,
# copy it to **every place** of the last small maps, and let a convolution of 1 × 1 look at both together: so each place can ask
# whether what it shows is in the sentence. If the copy is laid out wrongly, shapes fit all the same, and D reads one caption with
# another's picture.
#
# `text_maps(h, phi, W, b, K, c)` takes features `h` (N, C, H, W), embeddings `phi` (N, D), a linear layer `W` (P, D), `b` (P,),
# and the 1 × 1 convolution `K` (F, C + P), `c` (F,). With $\ell(a) = \max(a, 0.2\,a)$:
#
# 1. $u_n = \ell(W \varphi_n + b)$, of width P;
# 2. $u_n$ is put behind the C channels of picture $n$, at each of its H × W places: (N, C + P, H, W);
# 3. at each place $\ell(K\,[h; u] + c)$. The result is (N, F, H, W).
#
# Gradients reach everything.
#
# *What the check looks at*
#
# - three pictures with their texts: 1 point
# - one pair; maps of 1 × 2: 0.5 points
# - gradients of all six: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# `expand` copies without copying: which shape must u have before it can be expanded to (N, P, H, W)?
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# `u[:, :, None, None].expand(-1, -1, H, W)`, and `torch.cat([h, ...], dim=1)` puts it behind the channels.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# A 1 × 1 convolution is `F.conv2d(both, K[:, :, None, None], c)`; `F.leaky_relu(..., 0.2)` after both layers.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "text_maps", "locked": false, "schema_version": 3, "solution": true, "task": false}
def text_maps(h: Tensor, phi: Tensor, W: Tensor, b: Tensor, K: Tensor, c: Tensor) -> Tensor:
    """Features (N, C, H, W) and texts (N, D) -> (N, F, H, W), each place having seen the text."""
    ### BEGIN SOLUTION
    squeezed = F.leaky_relu(phi @ W.T + b, 0.2)
    everywhere = squeezed[:, :, None, None].expand(-1, -1, *h.shape[2:])
    joined = torch.cat([h, everywhere], dim=1)
    return F.leaky_relu(F.conv2d(joined, K[:, :, None, None], c), 0.2)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-text_maps", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.0}
check("08.text_maps", text_maps)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-between_loss", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Learn from sentences that nobody wrote
#
# Difficulty ●●●○○ · about 15 minutes · 2 points
#
# A data set has few captions for what could be said, and between them the generator is on its own. Interpolating embeddings
# (GAN-INT, Reed et al. 2016, section 4.3, equation 5) gives it texts without pictures: no picture is needed, since G's own term
# asks only that D accept what was made **with the text that it was made from**.
#
# `between_loss(G, D, phi, partner, beta, z)` takes `phi` (N, D), `partner` (N,) int64 (for each sentence the index of
# another), `beta` (N,), **one number for each pair**, and noise `z` (N, Z). With
#
# $$\bar\varphi_n = \beta_n\,\varphi_n + (1 - \beta_n)\,\varphi_{\text{partner}(n)}$$
#
# it returns the scalar $-\tfrac1N \sum_n \log \sigma\big(D(G(z_n, \bar\varphi_n), \bar\varphi_n)\big)$, the
# non-saturating loss that G descends. D gives logits. `G(z, phi)` and `D(x, phi)` are called **once** each, on the whole batch
# (G has batch norm).
#
# *What the check looks at*
#
# - the loss: 1 point
# - what G and D were given to read: 0.5 points
# - gradients of G's weights: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# `phi[partner]` are the other sentences. Which shape does beta need to weigh rows?
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# The mixture is what G reads **and** what D compares its picture with.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `mixed = torch.lerp(phi[partner], phi, beta[:, None])`, then `F.softplus(-D(G(z, mixed), mixed)).mean()`.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "between_loss", "locked": false, "schema_version": 3, "solution": true, "task": false}
def between_loss(G: nn.Module, D: nn.Module, phi: Tensor, partner: Tensor, beta: Tensor, z: Tensor) -> Tensor:
    """phi (N, D), partner (N,), beta (N,), z (N, Z) -> G's loss on texts in between, a scalar."""
    ### BEGIN SOLUTION
    unwritten = torch.lerp(phi[partner], phi, beta[:, None])
    verdicts = D(G(z, unwritten), unwritten)
    return F.softplus(-verdicts).mean()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-between_loss", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.0}
check("08.between_loss", between_loss)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-matching_step", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### One step of the discriminator that reads
#
# Difficulty ●●●○○ · about 20 minutes · 2.5 points
#
# Now the three cases as one step of training, as algorithm 1 of Reed et al. (2016) has it, but with **least squares** (Mao et al.
# 2017) in place of the logarithms: a score is to be 1 or 0, and beyond its target it is pulled back. Easily mixed up here are
# which text goes with which picture, and who may learn.
#
# `matching_step(D, G, optimizer, x, phi, wrong, z)` takes the networks, an optimiser of D's weights, real pictures `x` (N, C,
# H, W) with their texts `phi` (N, D), texts that are wrong for them, `wrong` (N, D), and noise `z` (N, Z). It makes **one**
# update of D with
#
# $$\mathcal L = \tfrac1N \textstyle\sum_n (r_n - 1)^2 + \tfrac12 w_n^2 + \tfrac12 f_n^2$$
#
# $r$, $w$ and $f$ being D's scores, taken as they are, of the real picture with the right text, of the real picture with the
# wrong text, and of a fake made from `phi` and `z`, judged with `phi`. It returns the loss before the update, as a plain `float`.
#
# - G runs once, and no gradient is to reach its weights (their `.grad` stays `None`). Its mode stays as it is.
# - D's weights have gradients left over from before: clear them with `optimizer.zero_grad()`.
#
# *What the check looks at*
#
# - one step: the gradients it used, the new weights, the loss: 1.5 points
# - G: one pass, its text, no gradient, no change: 0.5 points
# - the loss is a plain number: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# Three calls of D. Write beside each which picture and which text it gets, and which sign it should have.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# `fake = G(z, phi).detach()`. What D accepts has the target 1, what it rejects the target 0.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `loss = ((D(x, phi) - 1) ** 2).mean() + ((D(x, wrong) ** 2).mean() + (D(fake, phi) ** 2).mean()) / 2`; then `zero_grad`, `backward`, `step`, and `loss.item()`.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "matching_step", "locked": false, "schema_version": 3, "solution": true, "task": false}
def matching_step(D: nn.Module, G: nn.Module, optimizer, x: Tensor, phi: Tensor, wrong: Tensor, z: Tensor) -> float:
    """One update of D on right pairs, wrong texts and fakes -> the loss before it."""
    ### BEGIN SOLUTION
    forged = G(z, phi).detach()
    mistaken = D(x, wrong).square().mean() + D(forged, phi).square().mean()
    penalty = (D(x, phi) - 1).square().mean() + mistaken / 2
    optimizer.zero_grad()
    penalty.backward()
    optimizer.step()
    return penalty.item()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-matching_step", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.5}
check("08.matching_step", matching_step)


# %% [markdown] nbgrader={"grade": false, "grade_id": "section-s4_style", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 4. Style
#
# What a caption leaves open is style. It comes from the noise, and a picture's style can be read back: the noise from which G
# would have made it.

# %% [markdown] nbgrader={"grade": false, "grade_id": "task-style_loss", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Read the style back
#
# Difficulty ●●●○○ · about 20 minutes · 2.5 points
#
# The decks show a grid: captions down, pictures across, each cell drawn as $s \leftarrow S(x)$, $\hat x \leftarrow G(s,
# \varphi(t))$, the content from the caption and the style from the picture. They do not say where S comes from. It is trained
# on G's own pictures, whose style is known, because it was put in (Reed et al. 2016, section 4.4, equation 6):
#
# $$\mathcal L(S) = \mathbb E_{t,\,z \sim N(0, I)} \lVert z - S(G(z, \varphi(t))) \rVert^2$$
#
# Only S may learn. If G learns along, it will write z into a corner of the picture where S finds it at once, and the loss falls
# to nothing.
#
# `style_loss(S, G, phi, z)` takes both networks, texts `phi` (N, D) and noise `z` (N, Z), and returns the scalar loss: the
# squared length of a difference is a **sum** over Z, the expectation a **mean** over N.
#
# - G draws in **eval** mode, all of its modules, as it will when it is used. Afterwards the mode of each module is what it was
#   (they may differ from one to the next), and buffers, weights and their `.grad` are untouched. `G.train()` at the end is not
#   enough.
# - Gradients reach the weights of S and nothing else: not G's weights, not `phi`, not `z`. S runs in the mode in which it is.
#
# *What the check looks at*
#
# - the loss: 1 point
# - gradients reach S, and S alone: 1 point
# - G afterwards: weights, gradients, buffers, modes: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# Which part of the chain needs a graph, and which must not have one?
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# `with torch.no_grad(): x = G(z, phi)`, between noting `module.training` of each module and putting it back. S comes after that, outside.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `before = [(m, m.training) for m in G.modules()]`, `G.eval()`, draw, `for m, was in before: m.training = was`; then `(S(x) - z.detach()).square().sum(1).mean()`.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "style_loss", "locked": false, "schema_version": 3, "solution": true, "task": false}
def style_loss(S: nn.Module, G: nn.Module, phi: Tensor, z: Tensor) -> Tensor:
    """phi (N, D), z (N, Z) -> the mean squared length of z - S(G(z, phi)); G as it was."""
    ### BEGIN SOLUTION
    habits = [(part, part.training) for part in G.modules()]
    G.eval()
    with torch.no_grad():
        drawn = G(z, phi)
    for part, was in habits:
        part.training = was
    return (S(drawn) - z.detach()).square().sum(dim=1).mean()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-style_loss", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.5}
check("08.style_loss", style_loss)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-verification_auc", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Is it the same style?
#
# Difficulty ●●○○○ · about 10 minutes · 1.5 points
#
# Does the style encoder work? Reed et al. (2016, section 5.1 and figure 5) test it like a passport control: pairs of pictures
# that share a style should be more similar than pairs that do not. A threshold would have to be chosen, so every one is tried:
# the area under the ROC curve. It has a meaning that needs no curve. It is the probability that a pair of one style, picked at
# random, gets a **higher** similarity than a pair of two styles, a tie counting one half.
#
# `verification_auc(same, other)` takes the similarities of the pairs of one style, (n,), and of the pairs of two styles, (m,),
# and returns that area over all n × m comparisons: a number from 0 to 1, plain or as a tensor of one element.
#
# *What the check looks at*
#
# - 9 and 14 similarities, all different: 0.5 points
# - similarities with ties: 0.5 points
# - all alike; perfectly apart: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# n × m comparisons fit into one table.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# `same[:, None] > other` is that table; `==` finds the ties.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# Mean of the one plus half the mean of the other, in a floating dtype.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "verification_auc", "locked": false, "schema_version": 3, "solution": true, "task": false}
def verification_auc(same: Tensor, other: Tensor) -> float:
    """Similarities (n,) of pairs of one style and (m,) of two -> the area under the ROC curve."""
    ### BEGIN SOLUTION
    won = (same[:, None] > other[None, :]).double().mean()
    drawn = (same[:, None] == other[None, :]).double().mean()
    return float(won + drawn / 2)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-verification_auc", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 1.5}
check("08.verification_auc", verification_auc)


# %% [markdown] nbgrader={"grade": false, "grade_id": "section-s5_words", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 5. Words, not sentences
#
# One vector for the sentence has to remember everything at once. AttnGAN lets every place of the picture look for the words that
# concern it.

# %% [markdown] nbgrader={"grade": false, "grade_id": "task-word_context", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Each place looks for its words, or for none
#
# Difficulty ●●●●○ · about 25 minutes · 3 points
#
# In AttnGAN (Xu et al. 2018, section 3.1) each place of the feature maps gets a mixture of the words, weighted by how much they
# concern it. The weights of a softmax sum to 1, so that the sky, too, has to pick from "a red bird", and a caption that is all
# padding gives NaN. Here every place has a way out: besides the words there is **silence**, with the score 0 and the vector 0.
#
# `word_context(h, words, U, mask)` takes maps `h` (N, C, H, W), word features `words` (N, T, D), the matrix `U` (C, D) that
# carries words to the width of the maps, and `mask` (N, T) bool, True for a word, False for padding. With $e'_i = U e_i$ for word
# $i$, $h_j$ the vector of C features at place $j$, and $s_{ji} = h_j \cdot e'_i$,
#
# $$\beta_{ji} = \frac{\exp s_{ji}}{1 + \sum_k \exp s_{jk}}, \qquad c_j = \sum_i \beta_{ji}\, e'_i$$
#
# where $i$ and $k$ run over the words of that caption **without** the padding. It returns the context (N, C, H, W) and the
# weights (N, T, H, W), which are 0 for padding. A caption without any word has context and weights 0. Scores may be of the
# size of several thousand, of either sign.
#
# *What the check looks at*
#
# - captions of 5, 3 and 1 words: 1 point
# - padding has no weight, and what stands there does not matter: 0.5 points
# - a caption that is all padding: 0.5 points
# - scores of several thousand: 0.5 points
# - gradients of maps, words and U: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# The 1 in the denominator is exp 0: silence is one more word. What does that make of the softmax?
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# `torch.einsum` keeps the axes apart: words carried over (N, T, C), scores (N, T, H, W). Padding gets the score −∞, which is fine as long as something else in the row is finite: silence always is.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# Put a score of zeros in front, `torch.cat([zeros, scores], dim=1).softmax(dim=1)[:, 1:]`, and mix: `torch.einsum('nthw,ntc->nchw', weights, carried)`.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "word_context", "locked": false, "schema_version": 3, "solution": true, "task": false}
def word_context(h: Tensor, words: Tensor, U: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """h (N, C, H, W), words (N, T, D), U (C, D), mask (N, T) -> context (N, C, H, W), weights (N, T, H, W)."""
    ### BEGIN SOLUTION
    spoken = words @ U.T
    affinity = torch.einsum("nchw,ntc->nthw", h, spoken)
    affinity = affinity.masked_fill(~mask[:, :, None, None], -math.inf)
    silence = torch.zeros_like(affinity[:, :1])
    shares = torch.cat([silence, affinity], dim=1).softmax(dim=1)[:, 1:]
    return torch.einsum("nthw,ntc->nchw", shares, spoken), shares
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-word_context", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 3.0}
check("08.word_context", word_context)


# %% [markdown] nbgrader={"grade": false, "grade_id": "section-s6_codes", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 6. Pictures in a language of their own
#
# A VQ autoencoder turns a picture into a grid of signs, and a causal transformer learns to write them, after the words of a
# caption: the other way from text to image.

# %% [markdown] nbgrader={"grade": false, "grade_id": "task-residual_codes", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### The nearest code, and the nearest to what is left
#
# Difficulty ●●●○○ · about 20 minutes · 2.5 points
#
# The heart of every VQ model is one look-up: which vector of the codebook is nearest? One code out of K is coarse. Residual
# quantisation (Lee et al. 2022, section 3.1) asks again with **what is left over**, in the same codebook: with depth R there
# are $K^R$ combinations from K vectors. For the features $z$ at each place, starting from $r_0 = z$:
#
# $$k_d = \arg\min_k \lVert r_{d-1} - e_k \rVert^2, \qquad r_d = r_{d-1} - e_{k_d}, \qquad d = 1, \dots, R$$
#
# `residual_codes(z, codebook, depth)` takes features `z` (N, D, H, W), `codebook` (K, D), and a whole number `depth` = R of at
# least 1. It returns
#
# - the codes $k_1, \dots, k_R$, (N, R, H, W) int64; of several that are equally near the one with the smallest index;
# - the sum of the chosen vectors, $\sum_d e_{k_d}$, (N, D, H, W).
#
# With depth 1 this is plain vector quantisation.
#
# *What the check looks at*
#
# - depth 1: the nearest code: 1 point
# - depth 4: 1 point
# - places as near to several codes: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# Distances need the D features last and the K codes beside them. Which axis do they go to, and how do they come back?
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# `rest = z.movedim(1, -1)` is (N, H, W, D); `((rest[..., None, :] - codebook) ** 2).sum(-1)` are all distances, (N, H, W, K).
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `argmin(-1)` is the code, `codebook[code]` its vector, which is taken off the rest. In the end stack the codes along axis 1; the sum of the vectors is what is missing from z.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "residual_codes", "locked": false, "schema_version": 3, "solution": true, "task": false}
def residual_codes(z: Tensor, codebook: Tensor, depth: int) -> tuple[Tensor, Tensor]:
    """z (N, D, H, W), codebook (K, D) -> codes (N, R, H, W) and the sum of their vectors (N, D, H, W)."""
    ### BEGIN SOLUTION
    rest, picked = z.movedim(1, -1), []
    for _ in range(depth):
        gaps = (rest[..., None, :] - codebook).square().sum(dim=-1)
        picked.append(gaps.argmin(dim=-1))
        rest = rest - codebook[picked[-1]]
    return torch.stack(picked, dim=1), z - rest.movedim(-1, 1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-residual_codes", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.5}
check("08.residual_codes", residual_codes)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-quantise", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### A gradient through a choice that has none
#
# Difficulty ●●●●○ · about 25 minutes · 3 points
#
# The nearest code is a step function: its derivative is 0 wherever it exists, and the encoder would never learn. The
# straight-through estimator copies the decoder's gradient past the choice as if nothing had happened. But then nobody teaches the
# codebook, so two losses do, with the same value and opposite duties: one moves the codes to the features, the other keeps the
# features at their codes (van den Oord et al. 2017, equation 3).
#
# `quantise(z, codebook, codes, beta)` takes features `z` (N, D, H, W), `codebook` (K, D), the codes chosen for each place,
# `codes` (N, H, W) int64, and a number `beta`. With $e$ the vectors of the chosen codes, laid out like z, and sg the
# stop-gradient, it returns
#
# - the quantised features (N, D, H, W): their **value** is $e$; their **gradient** goes to z unchanged, and to the codebook not
#   at all;
# - the loss of each picture, (N,): $\lVert \text{sg}[z] - e \rVert^2 + \beta\, \lVert z - \text{sg}[e] \rVert^2$, each a
#   **sum** over the D features and a **mean** over the H × W places.
#
# *What the check looks at*
#
# - the quantised features and the losses: 1 point
# - gradients of z and of the codebook through the quantised features: 1 point
# - gradients of z and of the codebook by the loss: 1 point
#
# <details><summary>Hint 1 of 3</summary>
#
# Which expression has the value of e and the derivative 1 with respect to z? `detach` takes the derivative away and leaves the value.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# `e = codebook[codes]` is (N, H, W, D): bring the features to the front with `movedim`. The quantised features are `z + (e - z).detach()`.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `(z.detach() - e)` moves the codes, `(z - e.detach())` the features; squared, `.sum(1).mean((1, 2))`, the second times beta.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "quantise", "locked": false, "schema_version": 3, "solution": true, "task": false}
def quantise(z: Tensor, codebook: Tensor, codes: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    """z (N, D, H, W), codes (N, H, W) -> quantised features with a straight-through gradient, losses (N,)."""
    ### BEGIN SOLUTION
    chosen = codebook[codes].movedim(-1, 1)
    pulls_codes = (z.detach() - chosen).square()
    pulls_features = (z - chosen.detach()).square()
    losses = (pulls_codes + beta * pulls_features).sum(dim=1).mean(dim=(1, 2))
    return z + (chosen - z).detach(), losses
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-quantise", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 3.0}
check("08.quantise", quantise)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-code_nll", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### What does the next sign cost?
#
# Difficulty ●●●●○ · about 25 minutes · 3 points
#
# The prior writes a picture code by code, each given the words and the codes before it. Training does all places at once, and
# cheating is easy: a shift by one too little, or a mask the wrong way round, and the network copies the answer from its input.
# The loss then falls to nothing and the samples are noise. That the loss looks *too* good is the only symptom.
#
# `code_nll(net, text, codes, start)` takes the network, `text` (N, T) int64, `codes` (N, L) int64 and the token `start`. The
# network reads **one** sequence of S = T + L tokens, in one call `net(tokens, hidden)`:
#
# - `tokens` (N, S): the text, then `start`, then all codes **but the last**;
# - `hidden` (S, S) bool, in the convention of `nn.MultiheadAttention`: **True where place s may *not* look at place t**. (In
#   `F.scaled_dot_product_attention` True means the opposite.) The words see all words, but no code; `start` and the codes see
#   all words, and of `start` and the codes those up to and including themselves.
#
# It returns logits (N, S, V) for V tokens, of which those at place T + l are for code l, l = 0 to L − 1. Return the cost of each
# code in nats, (N, L): $-\log p(k_l \mid \text{text}, k_0, \dots, k_{l-1})$, with p over **all** V tokens. A network that
# knows nothing costs $\log V$ for each.
#
# *What the check looks at*
#
# - the cost of each code: 1 point
# - tokens and mask that the network was given, in one pass: 1 point
# - later codes do not matter, the text does: 0.5 points
# - the gradient of the embeddings: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# Write the sequence for T = 2 and L = 3 on paper, and under each place what it is to predict. Which places predict nothing?
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# `F.pad(codes[:, :-1], (1, 0), value=start)` shifts. `torch.ones(S, S, dtype=torch.bool).triu(1)` hides what comes later; the words among themselves are then shown again.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `hidden[:T, :T] = False`; `logits = net(torch.cat([text, shifted], 1), hidden)[:, T:]`; the cost is `F.cross_entropy(logits.transpose(1, 2), codes, reduction='none')`.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "given-code_nll", "locked": true, "schema_version": 3, "solution": false, "task": false}
class TinyWriter(nn.Module):
    """Tokens (N, S) int64, 0 to 8 -> logits (N, S, 9). Place s looks at place t only where `hidden[s, t]` is False."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.place = nn.Embedding(9, 8), nn.Parameter(torch.zeros(12, 8))
        self.mix = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, 9)
        self.seen: list[tuple[Tensor, Tensor]] = []

    def forward(self, tokens: Tensor, hidden: Tensor) -> Tensor:
        self.seen.append((tokens.clone(), hidden.clone()))
        e = self.embed(tokens) + self.place[: tokens.shape[1]]
        h = e + self.mix(e, e, e, attn_mask=hidden, need_weights=False)[0]
        return self.head(torch.tanh(h))


# %% nbgrader={"grade": false, "grade_id": "code_nll", "locked": false, "schema_version": 3, "solution": true, "task": false}
def code_nll(net: nn.Module, text: Tensor, codes: Tensor, start: int) -> Tensor:
    """text (N, T), codes (N, L) -> what each code costs in nats, (N, L)."""
    ### BEGIN SOLUTION
    T = text.shape[1]
    said = torch.cat([text, F.pad(codes[:, :-1], (1, 0), value=start)], dim=1)
    closed = torch.ones(said.shape[1], said.shape[1], dtype=torch.bool).triu(1)
    closed[:T, :T] = False
    guesses = net(said, closed)[:, T:]
    return F.cross_entropy(guesses.transpose(1, 2), codes, reduction="none")
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-code_nll", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 3.0}
check("08.code_nll", code_nll)


# %% [markdown] nbgrader={"grade": false, "grade_id": "section-s7_measures", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 7. Drawn, and true?
#
# Which noise to draw from, how to count what is right, and a caption that says where things are.

# %% [markdown] nbgrader={"grade": false, "grade_id": "task-caption_score", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Only what was asked for
#
# Difficulty ●●○○○ · about 15 minutes · 2 points
#
# "A small bird" was asked for and a small blue bird came: is that right? It is, whatever its colour. A measure that counts the
# attributes nobody named punishes a generator for deciding, or rewards it for guessing, and the number says less about text than
# about luck.
#
# `caption_score(read, facts)` takes what an oracle read from N pictures, `read` (N, A) int64, and what their captions ask for,
# `facts` (N, A) int64, with **−1 where the caption does not name the attribute**. It returns two things:
#
# - for each attribute the share of pictures that have the value asked for, **among the captions that name it**: (A,) float64, and
#   NaN for an attribute that no caption names;
# - the share of captions that are wholly true, **among those that name at least one attribute**: every fact that it names is
#   read from its picture. A number, plain or as a tensor of one element; NaN if no caption names anything.
#
# *What the check looks at*
#
# - nine captions; one attribute is never named, one caption is silent: 1 point
# - captions that name everything: 0.5 points
# - captions that name nothing: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# Two tables of truth values decide everything: named, and right.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# `(named & right).sum(0) / named.sum(0)`: 0 divided by 0 is NaN in floating numbers, which is what is wanted.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# A caption is wholly true where `(right | ~named).all(1)`; keep the rows with `named.any(1)`. Convert to `.double()` before taking means: the mean of an empty tensor is NaN.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "caption_score", "locked": false, "schema_version": 3, "solution": true, "task": false}
def caption_score(read: Tensor, facts: Tensor) -> tuple[Tensor, float]:
    """read (N, A), facts (N, A) with -1 for what is not named -> shares (A,), share of captions wholly true."""
    ### BEGIN SOLUTION
    asked_for, met = facts != -1, facts == read
    shares = (asked_for & met).sum(0).double() / asked_for.sum(0)
    spoke = asked_for.any(dim=1)
    return shares, float((met | ~asked_for).all(dim=1)[spoke].double().mean())
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-caption_score", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.0}
check("08.caption_score", caption_score)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-truncated_noise", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Cut off, not clamped
#
# Difficulty ●●●○○ · about 15 minutes · 3 points
#
# Pictures from noise near 0 look better and resemble each other more: BigGAN (Brock et al. 2019, section 3.1) draws z from a
# normal distribution **cut off** at a limit, which trades variety for fidelity with one knob. The two short ways are wrong:
# clamping piles numbers up at the limit itself, and scaling makes another distribution.
#
# `truncated_noise(n, Z, limit, generator)` returns `n` × `Z` numbers, (n, Z) float32, each drawn independently from $N(0, 1)$
# **given that** $|z| \le$ `limit`, for any limit above 0.3. All randomness comes from `generator`, a `torch.Generator`; the
# global one stays untouched.
#
# Shares of ten intervals of equal width are counted over 40000 numbers, and may be off by 0.02, as may the mean of $(z /$
# `limit`$)^2$; mean and mean square for a limit of 5 by 0.08. A right answer fails this less than once in a million checks.
#
# *What the check looks at*
#
# - shares of ten intervals; nothing outside, nothing piled up at the limit: 1.5 points
# - a limit of 5: 0.5 points
# - each number is drawn by itself; dtype: 0.5 points
# - the given generator and no other: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# There are two good ways: draw again what lies outside until nothing does, or turn uniform numbers into these.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# Again: `bad = z.abs() > limit`, and `z[bad] = torch.randn(int(bad.sum()), generator=generator)` as long as there are any. Only the bad **numbers**, not their whole rows.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# The other way: uniform numbers from $\Phi(-L)$ to $\Phi(L)$, L being the limit, and `torch.special.ndtri` of them.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "truncated_noise", "locked": false, "schema_version": 3, "solution": true, "task": false}
def truncated_noise(n: int, Z: int, limit: float, generator: torch.Generator) -> Tensor:
    """(n, Z) float32 from N(0, 1) given |z| <= limit."""
    ### BEGIN SOLUTION
    noise = torch.randn(n, Z, generator=generator, dtype=torch.float32)
    while (beyond := noise.abs() > limit).any():
        noise[beyond] = torch.randn(int(beyond.sum()), generator=generator, dtype=torch.float32)
    return noise
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-truncated_noise", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 3.0}
check("08.truncated_noise", truncated_noise)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-caption_boxes", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### From a caption to a layout
#
# Difficulty ●●●○○ · about 25 minutes · 3.5 points
#
# A scene is more than its words: "a red circle above a blue square" and "a blue square above a red circle" hold the same ones. So
# a text-to-scene system reads a **layout** first, things with boxes, and draws then. One deck has it in its title; here it is
# in small.
#
# The captions are "a COLOUR SHAPE" or "a COLOUR SHAPE RELATION a COLOUR SHAPE", with the shapes circle, square, star, the
# colours red, green, blue, white, and the relations *above*, *below*, *left of*, *right of*, where the latter two may also be
# written *to the left of*, *to the right of*. Capitals do not matter, nor does a full stop at the end. The **first** thing
# stands in the relation to the second.
#
# `caption_boxes(text, size)` returns a list of the things in the order in which they are named, each a tuple `(colour, shape,
# box)`, all words in small letters. `box` is (left, top, right, bottom), four numbers in pixels, x to the right and **y
# downwards**, as pictures are stored. The picture is a square with edges of `size`.
#
# - One thing has the whole picture as its cell. Two things share it in halves: an upper and a lower one, or a left and a right
#   one.
# - The box is a square in the **middle** of the cell, with edges of half of `size`, $0.5 \times$ `size`, for a single thing,
#   and $0.4 \times$ `size` for each of two.
# - Any other caption raises a `ValueError`.
#
# *What the check looks at*
#
# - one thing: 0.5 points
# - two things in all four relations: 1.5 points
# - “to the left of”, “to the right of”: 0.5 points
# - capitals, a full stop: 0.5 points
# - captions of another kind: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# `re.fullmatch` (after `import re`) refuses everything that does not fit the pattern as a whole.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# A thing is `a (red|green|blue|white) (circle|square|star)`; the relation and the second thing are an optional group `(?: ... )?`. Each relation is a pair of centres, as shares of the size: above is (0.5, 0.25) for the first and (0.5, 0.75) for the second.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# A box from its centre (x, y) and its edge e: `(x - e / 2, y - e / 2, x + e / 2, y + e / 2)`.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "caption_boxes", "locked": false, "schema_version": 3, "solution": true, "task": false}
def caption_boxes(text: str, size: int) -> list:
    """A caption -> [(colour, shape, (left, top, right, bottom)), ...] in pixels, y downwards."""
    ### BEGIN SOLUTION
    import re

    item = "a (red|green|blue|white) (circle|square|star)"
    link = "(?: (?:to the )?(left of|right of)| (above|below))"
    found = re.fullmatch(f"{item}(?:{link} {item})?", text.lower().removesuffix("."))
    if found is None:
        raise ValueError(f"cannot read {text!r}")
    c, s, sideways, upright, *second = found.groups()
    dx, dy = {"left of": (1, 0), "right of": (-1, 0), "above": (0, 1)}.get(sideways or upright, (0, -1))
    half = size * (0.2 if second[0] else 0.25)
    listed = [(c, s, -1), (*second, 1)] if second[0] else [(c, s, 0)]
    spots = [(c, s, size * (2 + way * dx) / 4, size * (2 + way * dy) / 4) for c, s, way in listed]
    return [(c, s, (x - half, y - half, x + half, y + half)) for c, s, x, y in spots]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-caption_boxes", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 3.5}
check("08.caption_boxes", caption_boxes)


# %% [markdown] nbgrader={"grade": false, "grade_id": "section-s8_outcome", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 8. What comes out
#
# A generator of cards that does what its caption says: weights that are measured, not code that is read.

# %% [markdown] nbgrader={"grade": false, "grade_id": "task-card_painter", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Paint what you are told
#
# Difficulty ●●●●● · about 45 minutes · 3.5 points
#
# Everything together: a generator that reads. The pictures are small enough for a minute of one core, yet all that goes wrong
# with birds goes wrong here: colours are read long before shapes, a caption that leaves something open, one picture for each
# caption. What is graded is what comes out, the weights of the generator.
#
# Write `train_painter(seed)`, which trains a `CardGenerator(seed)` and returns its `state_dict()`, or that of an average of its
# weights over the training. Given below are the generator, the cards and their captions, a discriminator that you may use or
# replace, and `update`. A caption is its embedding here: φ(t) holds one-hot colour, shape and side, with zeros for what it leaves
# out. A card of the same batch may well fit a neighbour's caption: see to it that your wrong texts are wrong. All random
# numbers come from a `torch.Generator` with this seed. A training of 20 seconds is plenty; when your work is graded without its
# file, it may take 60 at most.
#
# The cell after yours runs it once with seed 0 and keeps the weights in `painter.safetensors` (hand in this file, too). It trains
# again only where the file is absent: **delete it after a change**. The check loads `card_weights` into a `CardGenerator` of
# its own (names and shapes as there, float32 or float64), and paints 600 cards for captions made by `tell` from all 24
# combinations. Each is compared with the cards that there can be. It is *clear* if the nearest one is within a root mean square
# distance of 0.6 on the ink and 0.25 beside it.
#
# - **Clear**: at least 80% of the cards are clear.
# - **Right**: of the captions that name a colour at least 85% get a clear card of that colour, and likewise for
#   the shape and for the side.
# - **Open**: with the caption fixed, the grey of the background has a standard deviation of at least 0.08 (that of
#   cards is 0.23), and no more than 70% of the shapes stand in the commonest of the six rows (of cards about a
#   third), both as means over all 24 captions.
#
# (The solution trains for 12 seconds, and with 12 seeds it painted 98 to 99.7 % clear cards; at least 99 % of the colours, 98 % of
# the sides and 95 to 99 % of the shapes were right; the greys spread by 0.17, and 36 to 45 % stood in the commonest row.)
#
# *What the check looks at*
#
# - names, shapes and finite numbers of the 6 tensors: 0.5 points
# - at least 80% clear cards: 1 point
# - at least 85% of the colours, shapes and sides that are named: 1.5 points
# - grey and row still vary when the caption is fixed: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# Fourteen lines: two networks, an average, two Adams with `betas=(0.0, 0.99)`, a loop of some 1500 steps of batch 64. In the loop one update of D with three cases and one of G.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# The hinge suits a D with spectral norm: `F.relu(1 - right)`, `F.relu(1 + wrong)`, `F.relu(1 + fake)`, the latter two by halves; G descends `-D(fake, told).mean()`. A learning rate of 0.004 for both.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `wrong = told.roll(1, 0)` is wrong where `(wrong * facts).sum(1) < wrong.sum(1)`: something that it tells is not so. Weigh its term by that. After each step `lerp_` the average's weights by 0.005 towards G's.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "given-card_painter", "locked": true, "schema_version": 3, "solution": false, "task": false}
class CardGenerator(nn.Module):
    """Noise z (N, 8) and text phi (N, 9) -> cards (N, 3, 8, 8) in [-1, 1]."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):  # the global generator stays as it was
            torch.manual_seed(seed)
            self.first, self.second, self.head = nn.Linear(17, 192), nn.Linear(192, 192), nn.Linear(192, 192)

    def forward(self, z: Tensor, phi: Tensor) -> Tensor:
        h = torch.relu(self.second(torch.relu(self.first(torch.cat([z, phi], dim=1)))))
        return torch.tanh(self.head(h)).view(-1, 3, 8, 8)


class CardDiscriminator(nn.Module):
    """Cards (N, 3, 8, 8) and text phi (N, 9) -> scores (N,): spectral norm; the text enters as an inner product."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        steady = nn.utils.parametrizations.spectral_norm
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.first, self.second = steady(nn.Linear(192, 192)), steady(nn.Linear(192, 192))
            self.head, self.text = steady(nn.Linear(192, 1)), steady(nn.Linear(9, 192, bias=False))

    def forward(self, x: Tensor, phi: Tensor) -> Tensor:
        leak = nn.functional.leaky_relu
        h = leak(self.second(leak(self.first(x.flatten(1)), 0.2)), 0.2)
        return 3 * (self.head(h)[:, 0] + (self.text(phi) * h).sum(1))


def draw_cards(n: int, generator: torch.Generator) -> tuple:
    """n cards (N, 3, 8, 8), and what is true of them, (N, 9): one-hot colour (4), shape (3) and side (2), side by side.

    A card shows a square, a plus or a cross, on the left or right, in red, green, blue or yellow. Its height (6 rows) and the
    grey of the background are style: no caption speaks of them.
    """
    inks = torch.tensor([[0.9, -0.8, -0.8], [-0.8, 0.7, -0.7], [-0.7, -0.5, 0.9], [0.9, 0.8, -0.8]])
    shapes = torch.tensor([[1, 1, 1, 1, 1, 1, 1, 1, 1], [0, 1, 0, 1, 1, 1, 0, 1, 0], [1, 0, 1, 0, 1, 0, 1, 0, 1]])
    colour, shape, side, row = (torch.randint(k, (n,), generator=generator) for k in (4, 3, 2, 6))
    grey = (-0.7 + 0.8 * torch.rand(n, generator=generator)).view(n, 1, 1, 1)
    place = torch.arange(9)
    ink = torch.zeros(n, 1, 8, 8)
    at = (row[:, None] + place // 3) * 8 + 1 + 3 * side[:, None] + place % 3
    ink.view(n, 64).scatter_(1, at, shapes[shape].float())
    facts = [nn.functional.one_hot(value, k) for value, k in ((colour, 4), (shape, 3), (side, 2))]
    return grey * (1 - ink) + inks[colour].view(n, 3, 1, 1) * ink, torch.cat(facts, 1).float()


def tell(facts: Tensor, generator: torch.Generator) -> Tensor:
    """What a caption tells (N, 9): the facts, of which each attribute is left out (zeros) in a quarter of the cases."""
    named = torch.rand(len(facts), 3, generator=generator) < 0.75
    return facts * named.repeat_interleave(torch.tensor([4, 3, 2]), dim=1)


def update(optimizer, loss: Tensor) -> None:
    """Clear the gradients, differentiate the loss, and step."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def load_or_train(path: str, train: Callable[[int], dict[str, Tensor]], seed: int = 0) -> dict[str, Tensor]:
    """The tensors in the file, or where there is none those that train(seed) returns, which are then kept in the file."""
    import os
    import time

    from safetensors.torch import load_file, save_file

    if os.path.exists(path):
        print(f"{path}: loaded. Delete the file to train again.")
        kept: dict[str, Tensor] = load_file(path)
        return kept
    start = time.perf_counter()
    weights = train(seed)
    if not isinstance(weights, dict):
        raise TypeError(f"the training returned a {type(weights).__name__}, expected a dictionary: net.state_dict().")
    save_file({name: tensor.detach().contiguous() for name, tensor in weights.items()}, path + ".part")
    os.replace(path + ".part", path)  # all or nothing: a run that is stopped leaves no half file
    print(f"{path}: trained in {time.perf_counter() - start:.0f} s, and kept.")
    return weights


# %% nbgrader={"grade": false, "grade_id": "card_painter", "locked": false, "schema_version": 3, "solution": true, "task": false}
def train_painter(seed: int) -> dict:
    """A CardGenerator(seed), trained on draw_cards and tell -> the state_dict of its averaged weights."""
    ### BEGIN SOLUTION
    dice, D = torch.Generator().manual_seed(seed), CardDiscriminator(seed + 1)
    G, steady = CardGenerator(seed), CardGenerator(seed)
    for_G, for_D = (torch.optim.Adam(net.parameters(), lr=0.004, betas=(0.0, 0.99)) for net in (G, D))
    for _ in range(1500):
        cards, truth = draw_cards(64, dice)
        told = tell(truth, dice)
        stray, painted = told.roll(1, 0), G(torch.randn(64, 8, generator=dice), told)
        lie = ((stray * truth).sum(1) < stray.sum(1)).float()
        fits, errs, fakes = D(torch.cat([cards, cards, painted.detach()]), torch.cat([told, stray, told])).view(3, -1)
        update(for_D, (F.relu(1 - fits) + lie * F.relu(1 + errs) / 2 + F.relu(1 + fakes) / 2).mean())
        update(for_G, -D(painted, told).mean())
        for slow, fast in zip(steady.parameters(), G.parameters()):
            slow.data.lerp_(fast.data, 0.005)
    return steady.state_dict()
    ### END SOLUTION


# %% nbgrader={"grade": false, "grade_id": "run-card_painter", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["nbval-ignore-output"]
try:
    card_weights = load_or_train("painter.safetensors", train_painter)
except NotImplementedError:
    card_weights = None  # not started

# %% nbgrader={"grade": true, "grade_id": "check-card_painter", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 3.5}
check("08.card_painter", card_weights)

# %% [markdown] nbgrader={"grade": false, "grade_id": "closing", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Where you stand
#
# `progress` keeps your best scores on this computer, across sessions. Before you hand in, restart the kernel and run all
# cells: what the grader sees is the notebook run from top to bottom.
#

# %% nbgrader={"grade": false, "grade_id": "progress", "locked": true, "schema_version": 3, "solution": false, "task": false}
progress("08")
