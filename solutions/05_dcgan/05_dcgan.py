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
# # DCGAN and larger generators
#
# Strided convolutions down, transposed ones up, batch norm between them: with these a GAN learns pictures. You take the layer
# apart, build both networks to a specification, train a step, walk through the latent space, and use what the discriminator has
# learnt. The last section is about generators that grow and that are styled. Most answers are three to twelve lines. Run the
# check under an answer as often as you like: it says what is right, what is wrong, and which mistake it looks like.
#
# | letter | meaning | symbol | shape |
# |---|---|---|---|
# | N | pictures in a batch | data $x$, in [-1, 1] | (N, C, H, W) |
# | C, H, W | channels, height, width | noise $z$ | (N, Z) |
# | Z | width of the latent space | logits of $D$ | (N,) |
# | D, F | channels that go out, features | features | (N, F) |
# | K, L | rows and columns of a kernel | kernel $k$ | (C, D, K, L) |
# | K | in sections 4 and 5: neighbours; classes | labels $y$ | (N,) int64, 0 to K − 1 |
#
# $D$ gives logits: large means real. A network that is handed to a function is not yours: unless the task says otherwise, its
# weights, their `.grad`, its buffers, its hooks and the train or eval mode of each of its modules are afterwards as they were,
# and a function must not write into its arguments. Tensors that you return have the dtype of the inputs. Numbers are compared
# with a relative tolerance of 1e-3 and an absolute one of 1e-5 unless the task says otherwise.

# %% nbgrader={"grade": false, "grade_id": "setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coursekit.exercises import check, hint, progress


# %% [markdown] nbgrader={"grade": false, "grade_id": "section-s1_layer", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 1. The layer that makes pictures larger
#
# A transposed convolution, three times by hand: as stamps that add up, as an ordinary convolution of a stretched picture, and
# as a count of who reaches where.

# %% [markdown] nbgrader={"grade": false, "grade_id": "task-stamp_conv", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### A transposed convolution, stamp by stamp
#
# Difficulty ●●●○○ · about 20 minutes · 2.5 points
#
# An ordinary convolution reads a window and writes one number. Its transpose reads one number and writes a window: each entry
# of the input is a stamp, the kernel times that entry, set down every $s$ pixels; where stamps overlap they **add up**. Of the
# canvas, $p$ rows and columns are cut off on each side, and the bias comes last, once for each pixel:
#
# $$y_{n,d,\,hs+i-p,\;ws+j-p} \mathrel{+}= \sum_c x_{n,c,h,w}\; k_{c,d,i,j}, \qquad y_{n,d} \mathrel{+}= b_d$$
#
# Write `stamp_conv(x, weight, bias, stride, padding)` for `x` (N, C, H, W), `weight` $k$ (C, D, K, L) (input channels first, as in
# `nn.ConvTranspose2d`), `bias` (D,), and whole numbers `stride` $s \ge 1$ and `padding` $p \ge 0$. It returns
# (N, D, (H − 1)s − 2p + K, (W − 1)s − 2p + L). Gradients reach `x`, `weight` and `bias`.
#
# By hand: torch's convolutions, transposed or not, may not be called. The check records which operations ran, and a part in which
# a convolution was called earns nothing.
#
# *What the check looks at*
#
# - kernel (4, 3), stride 2, padding 1: 1 point
# - kernel (2, 2), stride 3, padding 0: gaps: 0.5 points
# - gradients of x, weight and bias: 1 point
#
# <details><summary>Hint 1 of 3</summary>
#
# Draw it on paper for one channel: input 1 x 3, kernel 1 x 4, stride 2. Which pixels get two contributions?
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# `torch.einsum("nchw,cdij->nhwdij", x, weight)` makes all stamps at once. Two loops, over h and w, set them down.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# Start with zeros of the uncut size, add each stamp to `canvas[:, :, h * s : h * s + K, w * s : w * s + L]`, cut the edge (beware of `[p:-p]` when p is 0), and add `bias[:, None, None]`.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "stamp_conv", "locked": false, "schema_version": 3, "solution": true, "task": false}
def stamp_conv(x: Tensor, weight: Tensor, bias: Tensor, stride: int, padding: int) -> Tensor:
    """x (N, C, H, W), weight (C, D, K, L), bias (D,) -> (N, D, (H - 1)s - 2p + K, (W - 1)s - 2p + L)."""
    ### BEGIN SOLUTION
    (N, _, H, W), (_, D, K, L) = x.shape, weight.shape
    canvas = x.new_zeros(N, D, (H - 1) * stride + K, (W - 1) * stride + L)
    stamps = torch.einsum("nchw,cdij->nhwdij", x, weight)
    for h in range(H):
        for w in range(W):
            top, left = h * stride, w * stride
            canvas[:, :, top : top + K, left : left + L] += stamps[:, h, w]
    rows, columns = canvas.shape[2:]
    return canvas[:, :, padding : rows - padding, padding : columns - padding] + bias[:, None, None]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-stamp_conv", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.5}
check("05.stamp_conv", stamp_conv)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-stretched_conv", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### The same layer, with an ordinary convolution
#
# Difficulty ●●●○○ · about 20 minutes · 2.5 points
#
# The name *fractionally strided* comes from another view: stretch the picture by putting $s - 1$ zeros **between** neighbouring
# pixels, give it a border of zeros, and run an ordinary convolution of stride 1 over it. Four things have to be found: the
# stretched size, the border, which way round the kernel lies, and which of its axes comes first.
#
# Write `stretched_conv(x, weight, stride, padding, output_padding)` for `x` (N, C, H, W), `weight` (C, D, K, L), input channels
# first as in `nn.ConvTranspose2d`, and whole numbers `stride` at least 1, `padding` $p$ from 0 to the smaller of K and L less 1,
# and `output_padding` $o$ from 0 to `stride` − 1. It returns what `F.conv_transpose2d(x, weight, None, stride, padding,
# output_padding)` would, of shape (N, D, (H − 1)s − 2p + K + o, (W − 1)s − 2p + L + o): the $o$ additional rows and columns are
# at the **bottom and right**, and kernels may reach into them.
#
# Ordinary convolutions (`F.conv2d`) are allowed. Transposed ones, and the gradients of convolutions, are not: a part in which
# one was called earns nothing.
#
# *What the check looks at*
#
# - stride 2, padding 1: 1 point
# - stride 3, padding 2, output padding 2: 0.5 points
# - stride 1, padding 0: 0.5 points
# - gradients of x and weight: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# With stride 1 and padding 0 the output is larger than the input by K − 1: how wide must the border be?
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# The stretched picture has (H − 1)s + 1 rows. The kernel is turned by 180 degrees and its first two axes change places.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# Fill `stretched[:, :, ::s, ::s]`, pad by K − 1 − p above and K − 1 − p + o below (and so on with L), and use `weight.flip(2, 3).transpose(0, 1)`.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "stretched_conv", "locked": false, "schema_version": 3, "solution": true, "task": false}
def stretched_conv(x: Tensor, weight: Tensor, stride: int, padding: int, output_padding: int) -> Tensor:
    """x (N, C, H, W), weight (C, D, K, L) -> what F.conv_transpose2d returns, without bias."""
    ### BEGIN SOLUTION
    (N, C, H, W), (K, L) = x.shape, weight.shape[2:]
    stretched = x.new_zeros(N, C, (H - 1) * stride + 1, (W - 1) * stride + 1)
    stretched[:, :, ::stride, ::stride] = x
    above, before = K - 1 - padding, L - 1 - padding
    bordered = F.pad(stretched, (before, before + output_padding, above, above + output_padding))
    return F.conv2d(bordered, weight.flip(2, 3).transpose(0, 1))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-stretched_conv", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.5}
check("05.stretched_conv", stretched_conv)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-size_rules", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### How large it gets, and how to make it fit
#
# Difficulty ●●○○○ · about 15 minutes · 2 points
#
# Along one axis, a transposed convolution of $n$ pixels with kernel size $k$, stride $s$, padding $p$, output padding $o$ and
# dilation $d$ (the taps of the kernel lie $d$ pixels apart) makes
#
# $$m = (n - 1)\,s - 2p + d\,(k - 1) + o + 1$$
#
# pixels. Write two functions of whole numbers.
#
# - `transposed_size(n, k, s, p, o, d)` returns $m$, an `int`.
# - `scale_settings(k, s, d)` answers the question that one really has: which padding and output padding make $m = s\,n$ for
#   **every** $n$? It returns the pair `(p, o)` of `int`s with $p, o \ge 0$ and the **smallest possible** $o$. There is always
#   one; the kernel may be smaller than the stride.
#
# *What the check looks at*
#
# - sizes for eleven settings: 1 point
# - settings for k = 2..6, s = 1..4, d = 1, 2: 1 point
#
# <details><summary>Hint 1 of 3</summary>
#
# Set $m = s\,n$ in the rule: $n$ drops out. What is left for $2p - o$?
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# $2p - o = d(k - 1) + 1 - s$. If the right side is even and not negative, $o$ is 0. If it is odd?
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# With `gap = d * (k - 1) + 1 - s`: a negative gap is filled by output padding alone; otherwise `p = (gap + 1) // 2`, and `o` makes up for the rounding.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "size_rules", "locked": false, "schema_version": 3, "solution": true, "task": false}
def transposed_size(n: int, k: int, s: int, p: int, o: int, d: int) -> int:
    """Pixels along one axis after a transposed convolution."""
    ### BEGIN SOLUTION
    return (n - 1) * s - 2 * p + d * (k - 1) + o + 1
    ### END SOLUTION


def scale_settings(k: int, s: int, d: int) -> tuple[int, int]:
    """The padding and the smallest output padding with which n pixels become s n."""
    ### BEGIN SOLUTION
    gap = d * (k - 1) + 1 - s
    p = max(0, (gap + 1) // 2)
    return p, 2 * p - gap
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-size_rules", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.0}
check("05.size_rules", transposed_size, scale_settings)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-overlap_map", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Where the checkerboard comes from
#
# Difficulty ●●○○○ · about 15 minutes · 1.5 points
#
# Where many stamps overlap a pixel is written to more often than its neighbours, and an untrained generator paints a
# checkerboard (Odena, Dumoulin and Olah 2016). Count, for one channel without padding.
#
# - `overlap_map(size, kernel, stride)` takes three pairs of whole numbers (rows, columns): the size of the input, the kernel and
#   the stride. It returns an int64 tensor, ((H − 1)s + K, (W − 1)t + L) for size (H, W), kernel (K, L) and stride (s, t): how many
#   kernel taps reach each pixel of the output.
# - `is_even(kernel, stride)` returns `True` if for large inputs all pixels far from the edge are reached equally often, else
#   `False`.
#
# *What the check looks at*
#
# - three maps, one with gaps, all with edges: 1 point
# - 72 pairs of kernel and stride: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# Which pixels does the first input pixel reach? Which the second?
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# The count is that of the rows times that of the columns: both axes can be counted alone.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# For each input pixel add 1 to `counts[h * s : h * s + K, w * t : w * t + L]`. As for evenness: in one axis, a pixel is reached by either the rounded-down or the rounded-up K / s stamps.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "overlap_map", "locked": false, "schema_version": 3, "solution": true, "task": false}
def overlap_map(size: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int]) -> Tensor:
    """How many taps reach each output pixel, int64."""
    ### BEGIN SOLUTION
    (H, W), (K, L), (s, t) = size, kernel, stride
    counts = torch.zeros((H - 1) * s + K, (W - 1) * t + L, dtype=torch.int64)
    for h in range(H):
        for w in range(W):
            counts[h * s : h * s + K, w * t : w * t + L] += 1
    return counts
    ### END SOLUTION


def is_even(kernel: tuple[int, int], stride: tuple[int, int]) -> bool:
    """Whether all pixels far from the edge are reached equally often."""
    ### BEGIN SOLUTION
    return all(k % s == 0 for k, s in zip(kernel, stride))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-overlap_map", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 1.5}
check("05.overlap_map", overlap_map, is_even)


# %% [markdown] nbgrader={"grade": false, "grade_id": "section-s2_networks", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 2. Two networks to a specification
#
# How the weights begin, and both networks for pictures that are not square. The check does not care how you write a network: it
# looks at what goes into and comes out of each layer.

# %% [markdown] nbgrader={"grade": false, "grade_id": "task-init_weights", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### How the weights begin
#
# Difficulty ●●●○○ · about 15 minutes · 3 points
#
# Radford et al. (2016, section 4) draw all weights from a normal distribution around 0 with standard deviation 0.02. The gain of
# a batch norm is another matter: around 0 it would switch its layer off, so it is drawn around **1**. (Published course code
# does it.)
#
# `init_weights(net, std, generator)` sets the weights of `net` **in place**, wherever in it they are nested:
#
# - the `weight` of every convolution and transposed convolution (of 1, 2 or 3 dimensions) and of every linear layer:
#   normal, mean 0, standard deviation `std`; their `bias`, if there is one, 0;
# - the `weight` of every batch norm (again 1, 2 or 3 dimensions): normal, mean 1, standard deviation `std`; its `bias` 0. A
#   batch norm with `affine=False` has neither;
# - nothing else changes: not embeddings, not other norms, not running statistics, not which objects the parameters are.
#
# All numbers come from the `torch.Generator` called `generator`, none from torch's global one. The order in which layers are
# drawn is up to you. Means and spreads are compared with a tolerance of 0.3 `std`, and the shape of the distribution is looked
# at.
#
# *What the check looks at*
#
# - mean, spread and tails of six layers at several depths: 1 point
# - gains and biases of batch norm: 1 point
# - biases; everything else as it was: 0.5 points
# - where the numbers come from: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# `net.children()` stops after one level. What does not?
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# `for layer in net.modules():` reaches all of them. `nn.modules.batchnorm._BatchNorm` and `nn.modules.conv._ConvNd` are the base classes of all dimensions.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `layer.weight.normal_(mean, std, generator=generator)` under `torch.no_grad()` writes in place; so does `zero_()`. The mean is 1 for batch norm, 0 for the others.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "init_weights", "locked": false, "schema_version": 3, "solution": true, "task": false}
def init_weights(net: nn.Module, std: float, generator: torch.Generator) -> None:
    """Convolutions and linear layers N(0, std), gains of batch norm N(1, std), their biases 0; in place."""
    ### BEGIN SOLUTION
    weighed = (nn.modules.conv._ConvNd, nn.Linear)
    with torch.no_grad():
        for piece in net.modules():
            normed = isinstance(piece, nn.modules.batchnorm._BatchNorm)
            if not (normed or isinstance(piece, weighed)) or piece.weight is None:
                continue
            piece.weight.normal_(1.0 if normed else 0.0, std, generator=generator)
            if piece.bias is not None:
                piece.bias.zero_()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-init_weights", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 3.0}
check("05.init_weights", init_weights)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-PictureGenerator", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### A generator for pictures that are not square
#
# Difficulty ●●●○○ · about 25 minutes · 3 points
#
# Build the generator of DCGAN for pictures of 24 x 32 pixels. `PictureGenerator(Z, C, width)` makes an `nn.Module` that maps
# noise (N, Z) to pictures (N, C, 24, 32) in (−1, 1). It has exactly four `nn.ConvTranspose2d`, after which the maps are, in
# this order:
#
# | layer | maps | rows x columns |
# |---|---|---|
# | 1 | 4 · width | 3 x 4 |
# | 2 | 2 · width | 6 x 8 |
# | 3 | width | 12 x 16 |
# | 4 | C | 24 x 32 |
#
# - Between two of them: an `nn.BatchNorm2d` of its own, directly on what the convolution gives, then ReLU. The convolutions
#   before a batch norm have **no bias**: it would be subtracted again at once.
# - The last one has a bias, **no** batch norm, and tanh after it.
# - No linear layer, no other weights, nothing random.
#
# Kernels are yours to choose, as long as the sizes come out; each layer after the first has a stride of 2 in both axes. The
# check looks through the layers with hooks, so call each convolution and batch norm as a module.
#
# *What the check looks at*
#
# - every size on the way, at two widths: 1 point
# - what lies between the convolutions: 1 point
# - range; train and eval mode; a batch of one: 1 point
#
# <details><summary>Hint 1 of 3</summary>
#
# A vector of Z numbers is a picture of Z maps and 1 x 1 pixels. Which kernel makes 3 x 4 of it?
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# `nn.Unflatten(1, (Z, 1, 1))` or `z[:, :, None, None]`, then a kernel of (3, 4). From there on kernel 4, stride 2, padding 1 doubles.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `nn.Sequential` of: transposed convolution `(Z, 4 * width, (3, 4), bias=False)`, batch norm, ReLU; twice transposed convolution `(…, 4, 2, 1, bias=False)`, batch norm, ReLU; the last one with its bias; tanh.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "PictureGenerator", "locked": false, "schema_version": 3, "solution": true, "task": false}
class PictureGenerator(nn.Module):
    """z (N, Z) -> pictures (N, C, 24, 32) in (-1, 1)."""

    def __init__(self, Z: int, C: int, width: int) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        maps, layers = [Z, 4 * width, 2 * width, width], [nn.Unflatten(1, (Z, 1, 1))]
        for k in range(3):
            shape = {"kernel_size": (3, 4)} if k == 0 else {"kernel_size": 4, "stride": 2, "padding": 1}
            layers += [
                nn.ConvTranspose2d(maps[k], maps[k + 1], bias=False, **shape),
                nn.BatchNorm2d(maps[k + 1]),
                nn.ReLU(),
            ]
        self.layers = nn.Sequential(*layers, nn.ConvTranspose2d(width, C, 4, 2, 1), nn.Tanh())
        ### END SOLUTION

    def forward(self, z: Tensor) -> Tensor:
        ### BEGIN SOLUTION
        return self.layers(z)
        ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-PictureGenerator", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 3.0}
check("05.PictureGenerator", PictureGenerator)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-PictureDiscriminator", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Batch norm after each layer?
#
# Difficulty ●●●○○ · about 25 minutes · 3 points
#
# **A slip on a slide.** A lecture's slide gives these rules for DCGAN: strided convolutions instead of pooling; batch normalisation after **each**
# layer; no fully connected hidden layers; ReLU in the generator, tanh at its end. Its discriminator has a batch norm too many
# at either end, and an activation that the slide does not name.
# Radford et al. (2016, section 3) have two more things: batch norm is applied neither to the **input layer of the
# discriminator** nor to its output, and the discriminator's activation is **LeakyReLU** with a slope of 0.2, in all layers but
# the last.
#
# Build it as the paper has it. `PictureDiscriminator(C, width)` makes an `nn.Module` that maps pictures (N, C, 24, 32) to one
# logit each, shape (N,), for every N from 1 (in eval mode). It has exactly four `nn.Conv2d`:
#
# | layer | maps | rows x columns | bias | batch norm | activation |
# |---|---|---|---|---|---|
# | 1 | width | 12 x 16 | yes | none | LeakyReLU 0.2 |
# | 2 | 2 · width | 6 x 8 | no | yes | LeakyReLU 0.2 |
# | 3 | 4 · width | 3 x 4 | no | yes | LeakyReLU 0.2 |
# | 4 | 1 | 1 x 1 | yes | none | none: logits |
#
# Sizes are halved by strides. Batch norm (`nn.BatchNorm2d`, one for each layer) works directly on what the convolution gives. No
# linear layer, no other weights, nothing random. Call each convolution and batch norm as a module: the check looks through them
# with hooks.
#
# *What the check looks at*
#
# - every size on the way, at two widths: 1 point
# - what lies between the convolutions: 1 point
# - train and eval mode; a batch of one: 1 point
#
# <details><summary>Hint 1 of 3</summary>
#
# Which of the four layers may have a batch norm? Why not the last: what would it do to a batch that is all real?
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# Kernel 4, stride 2, padding 1 halves. A kernel of (3, 4) without padding turns the last 3 x 4 cells into one number.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `nn.Sequential`: convolution, `nn.LeakyReLU(0.2)`; twice convolution without bias, batch norm, LeakyReLU; convolution `(4 * width, 1, (3, 4))`; `nn.Flatten(0)`, which gives (N,) for N = 1, too (`squeeze()` does not).
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "PictureDiscriminator", "locked": false, "schema_version": 3, "solution": true, "task": false}
class PictureDiscriminator(nn.Module):
    """Pictures (N, C, 24, 32) -> logits (N,)."""

    def __init__(self, C: int, width: int) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        layers = [nn.Conv2d(C, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for maps in (width, 2 * width):
            halving = nn.Conv2d(maps, 2 * maps, 4, 2, 1, bias=False)
            layers += [halving, nn.BatchNorm2d(2 * maps), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(4 * width, 1, (3, 4)), nn.Flatten(0))
        ### END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        ### BEGIN SOLUTION
        return self.layers(x)
        ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-PictureDiscriminator", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 3.0}
check("05.PictureDiscriminator", PictureDiscriminator)


# %% [markdown] nbgrader={"grade": false, "grade_id": "section-s3_training", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 3. One step of training, and a look at it
#
# Batch norm makes a network's answer depend on its company. So it matters which pictures go through together, and in which mode.

# %% [markdown] nbgrader={"grade": false, "grade_id": "task-preview", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### A look in passing
#
# Difficulty ●●○○○ · about 12 minutes · 2 points
#
# During training you want to look at samples, without training on the look. `preview(G, z, size)` takes a generator, noise `z`
# (N, Z) and a whole number `size` $\ge 1$, and returns all N pictures ready for `plt.imshow`: a tensor (N, H, W, C), scaled from
# [−1, 1] to **[0, 1]**, without a graph.
#
# - G runs in **eval** mode, without recording gradients, on at most `size` noise vectors at a time (memory is short). N need not be
#   a multiple of `size`.
# - Afterwards **each module** of G is in the mode in which it was found. Someone may have put a single layer into eval mode on
#   purpose: `G.train()` at the end would wake it up.
#
# *What the check looks at*
#
# - seven pictures, two at a time: 1 point
# - size, mode and recording of each pass: 0.5 points
# - modes, weights, gradients, statistics: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# What does `G.train()` do to the modules inside G?
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# `{module: module.training for module in G.modules()}` remembers all modes; `module.training = mode` sets one.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `z.split(size)` cuts the noise. Under `torch.no_grad()`: `torch.cat([G(part) for part in …])`, then `(x + 1) / 2` and `permute(0, 2, 3, 1)`.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "preview", "locked": false, "schema_version": 3, "solution": true, "task": false}
def preview(G: nn.Module, z: Tensor, size: int) -> Tensor:
    """Pictures (N, H, W, C) in [0, 1] of noise z (N, Z), made in eval mode, `size` at a time."""
    ### BEGIN SOLUTION
    found_in = {module: module.training for module in G.modules()}
    G.eval()
    with torch.no_grad():
        pictures = torch.cat([G(part) for part in z.split(size)])
    for module, mode in found_in.items():
        module.training = mode
    return (pictures.permute(0, 2, 3, 1) + 1) / 2
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-preview", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.0}
check("05.preview", preview)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-dcgan_step", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### One step of DCGAN, to the protocol
#
# Difficulty ●●●●○ · about 30 minutes · 3.5 points
#
# One step trains both networks once. The protocol here has one-sided label smoothing (Salimans et al. 2016, section 3.4) and runs
# the generator **once**; every logit goes into a binary cross entropy, mean over the batch:
#
# 1. fakes $G(z)$, made once;
# 2. D on the real batch `x` (target `target`, such as 0.9), **then** D on the fakes alone (target 0). $L_D$ is the **sum** of
#    the two means. One update of D; no gradient reaches G from it;
# 3. the updated D on the **same** fakes (target 1): $L_G$. One update of G, which uses nothing but the gradient of $L_G$.
#
# `dcgan_step(G, D, g_optimizer, d_optimizer, x, z, target)` does that and returns $(L_D, L_G)$ as two Python numbers. D gives
# logits (N,), the optimisers have `zero_grad()` and `step()`, both networks are in train mode and stay there, with every
# weight's `requires_grad` as it was. `x` and `z` have the same N.
#
# Batch norm is why the order is fixed: real and fake pictures go through D in **separate** batches, since in one batch each
# would be normalised by the other's statistics. D's running statistics therefore move three times in a step, G's once, and the
# check compares them. It calls the function twice, too, with optimisers that record the gradients.
#
# *What the check looks at*
#
# - D's gradient and weights, one step: 1 point
# - G's gradient and weights, one step: 1 point
# - two steps in a row: gradients, losses, batch-norm statistics, modes: 1.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# Which weights does each `backward()` leave a gradient in? When is it cleared?
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# `fakes.detach()` for D's step, `fakes` for G's: the graph of G is still there. `F.binary_cross_entropy_with_logits` takes targets between 0 and 1.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# fakes; clear D, two passes, add, backward, D steps; clear G, `D(fakes)` with ones, backward, G steps. G's step leaves gradients in D: that D is cleared right before its own backward takes care of them.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "dcgan_step", "locked": false, "schema_version": 3, "solution": true, "task": false}
def dcgan_step(G, D, g_optimizer, d_optimizer, x: Tensor, z: Tensor, target: float) -> tuple[float, float]:
    """One update of D on x and G(z), one of G on the same fakes -> (L_D, L_G)."""
    ### BEGIN SOLUTION
    bce = F.binary_cross_entropy_with_logits
    fakes = G(z)
    on_real, on_fakes = D(x), D(fakes.detach())
    d_loss = bce(on_real, torch.full_like(on_real, target)) + bce(on_fakes, torch.zeros_like(on_fakes))
    d_optimizer.zero_grad()
    d_loss.backward()
    d_optimizer.step()
    verdict = D(fakes)
    g_loss = bce(verdict, torch.ones_like(verdict))
    g_optimizer.zero_grad()
    g_loss.backward()
    g_optimizer.step()
    return d_loss.item(), g_loss.item()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-dcgan_step", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 3.5}
check("05.dcgan_step", dcgan_step)


# %% [markdown] nbgrader={"grade": false, "grade_id": "section-s4_latents", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 4. Walks and sums in the latent space
#
# Codes are points far from the origin, nearly all at one distance: that changes how one walks between them and what one may do
# with their sums. No network is needed here.

# %% [markdown] nbgrader={"grade": false, "grade_id": "task-great_circle", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Along the sphere, for codes of any length
#
# Difficulty ●●●○○ · about 20 minutes · 2.5 points
#
# Halfway on the straight line between two normal codes lies a code shorter than nearly any that the generator was trained on.
# Spherical interpolation goes along the sphere instead. For codes of **different** lengths the usual formula bends the length,
# too; here direction and length are kept apart. With $u = a / \lVert a \rVert$, $v = b / \lVert b \rVert$,
# $\cos \Omega = u \cdot v$:
#
# $$c(t) = \big((1 - t) \lVert a \rVert + t \lVert b \rVert\big)\;
# \frac{\sin((1 - t)\,\Omega)\, u + \sin(t\,\Omega)\, v}{\sin \Omega}$$
#
# `great_circle(a, b, t)` takes `a` and `b` (N, Z), none of them zero, and `t` (T,) from 0 to 1, and returns the points (N, T,
# Z). Each pair has an angle of its own.
#
# - Pairs with $\cos \Omega > 1 - 10^{-5}$ count as parallel: the fraction is then replaced by $(1 - t)\,u + t\,v$. Other
#   pairs of the same batch still go along the sphere. No result may be NaN.
# - If **any** pair has $\cos \Omega < -1 + 10^{-5}$ there is no shortest way: raise a `ValueError`.
#
# *What the check looks at*
#
# - three pairs, five points each: 1 point
# - two codes of one length: it is kept: 0.5 points
# - a batch with two parallel pairs: 0.5 points
# - one pair opposite; all pairs opposite: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# Which shapes do the angles, the lengths and t need so that everything broadcasts to (N, T, Z)?
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# `u[:, None]` is (N, 1, Z), `t[None, :, None]` is (1, T, 1), and the angles are (N, 1, 1). Rounding can make a cosine exceed 1: clamp it before `acos`.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# Compute both formulas for all pairs and choose with `torch.where(cosine > 1 - 1e-5, straight, curved)`: what is NaN in the other one is not taken.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "great_circle", "locked": false, "schema_version": 3, "solution": true, "task": false}
def great_circle(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """a and b (N, Z), t (T,) -> points (N, T, Z): direction along the sphere, length along the line."""
    ### BEGIN SOLUTION
    t, r, s = t[None, :, None], a.norm(dim=1)[:, None, None], b.norm(dim=1)[:, None, None]
    u, v = a[:, None] / r, b[:, None] / s
    cosine = (u * v).sum(dim=2, keepdim=True)
    if (cosine < -1 + 1e-5).any():
        raise ValueError("opposite codes: no way between them is the shortest.")
    omega = torch.acos(cosine.clamp(-1, 1))
    curved = (torch.sin((1 - t) * omega) * u + torch.sin(t * omega) * v) / torch.sin(omega)
    way = torch.where(cosine > 1 - 1e-5, (1 - t) * u + t * v, curved)
    return ((1 - t) * r + t * s) * way
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-great_circle", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.5}
check("05.great_circle", great_circle)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-analogy", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Sums of concepts, at the right distance
#
# Difficulty ●●○○○ · about 12 minutes · 2 points
#
# *Smiling woman − neutral woman + neutral man* makes a smiling man, if each concept is the **average** of several codes
# (Radford et al. 2016, section 6.3.2): single codes are unstable. But a mean is shorter than what goes into it, and a sum of
# three has a length of its own. Codes $z \sim N(0, I)$ of width Z lie close to the distance $\sqrt Z$ from the origin; there
# the generator is at home.
#
# `analogy(a, b, c, noise)` takes three groups of codes, (n, Z) each, where n **differs** from group to group, and `noise` (K,
# Z). It returns 1 + K codes, (1 + K, Z):
#
# - first $v = \sqrt Z \; s / \lVert s \rVert$ with $s = \bar a - \bar b + \bar c$, the bars being means over each group;
# - then K neighbours $v + 0.25\,\epsilon_k$ with the rows $\epsilon_k$ of `noise`, **not** rescaled again. (They show
#   whether the result is stable. In the paper's figure 7 there are eight of them, with uniform noise.)
#
# *What the check looks at*
#
# - the sum, for groups of 2, 3 and 4 codes: 1 point
# - the sum, for groups of one code: 0.5 points
# - shape; the neighbours: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# Four codes here, two there: what must happen before anything can be subtracted?
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# `a.mean(dim=0)` is one code. `s.norm()` is its length, `len(s) ** 0.5` the distance where codes are at home.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# Rescale the sum, not the means. `torch.cat([v[None], v + 0.25 * noise])`.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "analogy", "locked": false, "schema_version": 3, "solution": true, "task": false}
def analogy(a: Tensor, b: Tensor, c: Tensor, noise: Tensor) -> Tensor:
    """Groups (n, Z) of different n, noise (K, Z) -> (1 + K, Z): a - b + c at the distance sqrt(Z), then its neighbours."""
    ### BEGIN SOLUTION
    concept = a.mean(dim=0) - b.mean(dim=0) + c.mean(dim=0)
    v = concept * len(concept) ** 0.5 / concept.norm()
    return torch.cat([v[None], v + 0.25 * noise])
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-analogy", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.0}
check("05.analogy", analogy)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-set_pose", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### The turn vector, set rather than added
#
# Difficulty ●●●○○ · about 15 minutes · 2 points
#
# The mean of codes whose faces look right, minus that of codes whose faces look left, is a *turn* vector (Radford et al. 2016,
# section 6.3.2). Adding it to a code turns the face **by** an angle: where it ends depends on where it was. To turn all faces
# **to** the same pose, set the coordinate along the axis, and leave all else.
#
# `set_pose(z, left, right, t)` takes codes `z` (N, Z), the two groups `left` (n, Z) and `right` (m, Z), n ≠ m, and `t` (T,).
# With the means $l$ and $r$ of the groups, the unit vector $u = (r - l) / \lVert r - l \rVert$, and the target
# $q(t) = u \cdot \left(\tfrac{1 - t}{2}\, l + \tfrac{1 + t}{2}\, r\right)$, it returns the codes (N, T, Z)
#
# $$z_n(t) = z_n + \left(q(t) - u \cdot z_n\right) u$$
#
# so that $t = -1$ reads like the mean of the left group, $t = 1$ like that of the right one, $t = 0$ like halfway; $t$ may lie
# beyond.
#
# *What the check looks at*
#
# - three codes at five poses: 1 point
# - the reading along the axis, and the rest: 0.5 points
# - left and right exchanged: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# What does every z have along u, and what should it have?
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# `z @ u` is (N,), the targets are (T,): `targets[None] - (z @ u)[:, None]` is (N, T).
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# Mean first, then the difference, then the unit vector. The result is `z[:, None]` plus what is missing, `(…)[..., None]`, times `u`.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "set_pose", "locked": false, "schema_version": 3, "solution": true, "task": false}
def set_pose(z: Tensor, left: Tensor, right: Tensor, t: Tensor) -> Tensor:
    """z (N, Z), groups (n, Z) and (m, Z), t (T,) -> codes (N, T, Z) whose coordinate along the turn is set."""
    ### BEGIN SOLUTION
    l, r = left.mean(dim=0), right.mean(dim=0)
    u = (r - l) / (r - l).norm()
    targets = (1 - t) / 2 * (u @ l) + (1 + t) / 2 * (u @ r)
    missing = targets[None] - (z @ u)[:, None]
    return z[:, None] + missing[..., None] * u
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-set_pose", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.0}
check("05.set_pose", set_pose)


# %% [markdown] nbgrader={"grade": false, "grade_id": "section-s5_features", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 5. What the networks have learnt
#
# The discriminator as a source of features for a classifier with few labels, and the generator made to forget.

# %% [markdown] nbgrader={"grade": false, "grade_id": "task-doubling_stacks", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### 28,672 features: from which network?
#
# Difficulty ●●○○○ · about 12 minutes · 1 point
#
# **A slip on a slide.** A slide sums up an experiment with DCGAN's discriminator as a feature extractor: the feature maps of **all** layers are
# max-pooled to a grid of 4 x 4, flattened and joined to one vector of **28,672** numbers; its table says "max. number of
# feature units: **512**". In DCGAN each layer has twice as many maps as the one before. Can both numbers be right?
#
# Write `doubling_stacks(total, grid)`. It returns every list `[w, 2 * w, 4 * w, ...]` of **two or more** whole numbers,
# $w \ge 1$, such that one layer of that many maps each, pooled to `grid` x `grid`, gives exactly `total` features. The lists
# hold `int`s and are ordered by length, shortest first; where there are none, the result is an empty list.
#
# Then look at `doubling_stacks(28_672, 4)`, and at what the usual 64, 128, 256 and 512 maps give: 15,360. Whatever the network
# was, one of the two numbers does not belong to a stack that doubles.
#
# *What the check looks at*
#
# - 28,672 and 15,360 on a grid of 4: 0.5 points
# - three drawn cases, one without a solution: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# How many features does a layer of w maps give on a grid of 4?
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# w + 2w + 4w + … with L terms is w (2^L − 1).
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# If `total` is no multiple of `grid ** 2` there is none. Otherwise try L = 2, 3, … as long as 2^L − 1 is not larger than the number of maps, and keep L where the division leaves nothing.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "doubling_stacks", "locked": false, "schema_version": 3, "solution": true, "task": false}
def doubling_stacks(total: int, grid: int) -> list[list[int]]:
    """Every [w, 2w, 4w, ...] of two or more numbers of maps that gives `total` features on a grid x grid, shortest first."""
    ### BEGIN SOLUTION
    maps, rest = divmod(total, grid**2)
    stacks: list[list[int]] = []
    terms = 2
    while rest == 0 and 2**terms - 1 <= maps:
        if maps % (2**terms - 1) == 0:
            first = maps // (2**terms - 1)
            stacks.append([first * 2**k for k in range(terms)])
        terms += 1
    return stacks
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-doubling_stacks", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 1.0}
check("05.doubling_stacks", doubling_stacks)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-pooled_features", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### All layers of D as one vector
#
# Difficulty ●●●○○ · about 20 minutes · 2.5 points
#
# Radford et al. (2016, section 5.1) use the discriminator as it is for a classifier: the maps of **all** its layers, each
# max-pooled to a fixed grid, flattened and joined.
#
# `pooled_features(D, x, grid)` takes a discriminator, an `nn.Module` whose forward pass you cannot change, pictures `x`
# (N, C, H, W) and a whole number `grid`. It returns a tensor (N, F), without a graph:
#
# - the maps are the outputs of every `nn.LeakyReLU` inside D, in the order in which they **run** in the forward pass. One
#   module may be called at several places: each call counts.
# - each, (N, M, h, w) with h and w multiples of `grid`, is cut into `grid` x `grid` equal cells, of which the **maximum**
#   remains; then it is flattened with the maps first, (N, M · grid · grid), and the pieces are joined in order.
#
# D runs in **eval** mode, without recording gradients. Afterwards each of its modules is in the mode in which it was, and no
# hook is left.
#
# *What the check looks at*
#
# - features on a grid of 2; no graph: 1 point
# - features on a grid of 1: 0.5 points
# - modes, hooks, weights, statistics: 1 point
#
# <details><summary>Hint 1 of 3</summary>
#
# A forward hook sees what a module puts out, without any change to the network.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# `module.register_forward_hook(lambda module, inputs, output: maps.append(output))` returns a handle with a method `remove()`. A list keeps the order of the calls, a dictionary of modules does not.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `F.adaptive_max_pool2d(m, grid).flatten(1)` for each map in the list, then `torch.cat(…, dim=1)`. The modes of all modules have to be remembered one by one.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "pooled_features", "locked": false, "schema_version": 3, "solution": true, "task": false}
def pooled_features(D: nn.Module, x: Tensor, grid: int) -> Tensor:
    """Pictures (N, C, H, W) -> (N, F): all LeakyReLU outputs of D, max-pooled to grid x grid, flattened and joined."""
    ### BEGIN SOLUTION
    found_in = {module: module.training for module in D.modules()}
    layers, caught = [module for module in D.modules() if isinstance(module, nn.LeakyReLU)], []
    handles = [layer.register_forward_hook(lambda _, __, out: caught.append(out)) for layer in layers]
    D.eval()
    with torch.no_grad():
        D(x)
    for handle in handles:
        handle.remove()
    for module, mode in found_in.items():
        module.training = mode
    return torch.cat([F.adaptive_max_pool2d(maps, grid).flatten(1) for maps in caught], dim=1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-pooled_features", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.5}
check("05.pooled_features", pooled_features)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-svm_gradient", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### An L2-SVM, gradient by hand
#
# Difficulty ●●●○○ · about 20 minutes · 2 points
#
# On the features sits an L2-SVM: linear, one versus the rest, with the **squared** hinge. With scores
# $a_{nk} = w_k \cdot f_n + b_k$ and signs $s_{nk} = +1$ if $k = y_n$, else $-1$:
#
# $$L = \tfrac12 \sum_k \lVert w_k \rVert^2 + c \sum_n \sum_k \max(0,\; 1 - s_{nk}\, a_{nk})^2$$
#
# The sums are sums, not means; the offsets $b$ are not regularised. `svm_gradient(W, b, features, y, cost)` takes `W` (K, F),
# `b` (K,), `features` $f$ (N, F), `y` (N,) int64 from 0 to K − 1, and the number `cost` $= c$. It returns three things: $L$ (a
# number or a scalar tensor), $\partial L / \partial W$ (K, F) and $\partial L / \partial b$ (K,).
#
# By hand: the check runs in `torch.inference_mode()`, where autograd records nothing.
#
# *What the check looks at*
#
# - the loss, at two costs: 0.5 points
# - gradients of W and b: 1 point
# - everything far on the right side: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# The derivative of max(0, m)² is 2 max(0, m) times that of m: no case distinction is left.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# With the violations m = max(0, 1 − s a), shape (N, K): dL/da = −2 c s m. From there it is a linear layer.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `s = 2 * F.one_hot(y, K) - 1` in the dtype of W; `d_a = -2 * cost * s * m`; then `W + d_a.T @ features` and `d_a.sum(dim=0)`.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "svm_gradient", "locked": false, "schema_version": 3, "solution": true, "task": false}
def svm_gradient(W: Tensor, b: Tensor, features: Tensor, y: Tensor, cost: float) -> tuple[Tensor, Tensor, Tensor]:
    """W (K, F), b (K,), features (N, F), y (N,) -> loss, its gradients by W and by b."""
    ### BEGIN SOLUTION
    signs = 2 * F.one_hot(y, len(W)).to(W.dtype) - 1
    violations = (1 - signs * (features @ W.T + b)).clamp(min=0)
    loss = W.square().sum() / 2 + cost * violations.square().sum()
    d_scores = -2 * cost * signs * violations
    return loss, W + d_scores.T @ features, d_scores.sum(dim=0)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-svm_gradient", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.0}
check("05.svm_gradient", svm_gradient)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-drop_maps", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Forgetting to draw something
#
# Difficulty ●●●○○ · about 15 minutes · 2.5 points
#
# Radford et al. (2016, section 6.3.1) found the feature maps that draw windows and dropped them, at **all** places: the
# generator went on to paint bedrooms without windows. Write the part that drops.
#
# `drop_maps(net, layer, maps, z)` runs `net` (an `nn.Module`) on `z` and returns its output, without a graph, where in the
# output (N, M, h, w) of `layer` (one of the modules inside `net`, called once) the maps whose numbers are in the list `maps`
# are **0** everywhere, for all N. `maps` may be empty.
#
# - `net` runs in **eval** mode, without recording gradients.
# - Afterwards the network is as it was: weights, statistics, the mode of each module, and no hook left. That holds **also if the
#   network raises an error** on the way; the error then comes through to the caller.
#
# *What the check looks at*
#
# - two of three maps dropped; no graph: 1 point
# - another layer; an empty list: 0.5 points
# - weights, statistics, modes, hooks: 0.5 points
# - hooks and modes after an error: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# Zeroing a layer's weights does not zero its output: there is a bias, and a batch norm. Besides, it would change the network.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# A forward hook that returns a tensor replaces the module's output by it.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# The hook: `output.index_fill(1, torch.tensor(maps, dtype=torch.int64), 0.0)`. Put the run between `try:` and `finally:`, and in `finally` remove the hook and set the modes back, module by module.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "drop_maps", "locked": false, "schema_version": 3, "solution": true, "task": false}
def drop_maps(net: nn.Module, layer: nn.Module, maps: list[int], z: Tensor) -> Tensor:
    """net(z) in eval mode with these maps of the layer's output at 0; the network is afterwards as it was."""
    ### BEGIN SOLUTION
    dropped = torch.tensor(maps, dtype=torch.int64)
    found_in = {module: module.training for module in net.modules()}
    handle = layer.register_forward_hook(lambda _, __, out: out.index_fill(1, dropped, 0.0))
    net.eval()
    try:
        with torch.no_grad():
            return net(z)
    finally:
        handle.remove()
        for module, mode in found_in.items():
            module.training = mode
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-drop_maps", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.5}
check("05.drop_maps", drop_maps)


# %% [markdown] nbgrader={"grade": false, "grade_id": "section-s6_larger", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 6. Generators that grow, and generators that are styled
#
# Three pieces of larger GANs, each from the side that the lecture left out: the discriminator's, the older form, the later
# layers.

# %% [markdown] nbgrader={"grade": false, "grade_id": "task-faded_logits", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Fading in, seen from the discriminator
#
# Difficulty ●●●○○ · about 15 minutes · 2 points
#
# When a progressive GAN doubles its resolution (Karras et al. 2018, section 2 and figure 2), the new layers are faded in on
# **both** sides. The generator mixes two pictures. The discriminator cannot: it has one picture, and two ways to read it. The
# old way halves the picture and reads it with the old input layer; the new way reads it with the new input layer and halves
# the *features* in the new block. Mixed are the features, before the layers that both ways share:
#
# $$D(x) = \text{rest}\big(\alpha\; \text{block}(\text{from}_{large}(x))
# + (1 - \alpha)\; \text{from}_{small}(\text{half}(x))\big)$$
#
# `faded_logits(x, alpha, from_small, from_large, block, rest)` takes pictures `x` (N, C, H, W) with even H and W, the number
# `alpha` from 0 to 1, and four functions of tensors: `from_small`, (N, C, H/2, W/2) to features (N, M, H/2, W/2); `from_large`,
# (N, C, H, W) to (N, M', H, W); `block`, which makes (N, M, H/2, W/2) of these; and `rest`, features to logits (N,). half is the
# **mean** of 2 x 2 pixels.
#
# At $0 < \alpha < 1$ each function is called exactly once. At 0 the result is that of the small discriminator, to the bit or
# nearly; at 1 the old input layer is out.
#
# *What the check looks at*
#
# - logits between 0 and 1; what was called: 1 point
# - alpha = 0 and alpha = 1: 0.5 points
# - gradients of x and of every layer: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# Which of the four functions appears in the formula twice? None. So where is the sum?
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# `F.avg_pool2d(x, 2)` halves a picture.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `old = from_small(F.avg_pool2d(x, 2))`, `new = block(from_large(x))`, and `rest` of the mixture.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "faded_logits", "locked": false, "schema_version": 3, "solution": true, "task": false}
def faded_logits(x: Tensor, alpha: float, from_small, from_large, block, rest) -> Tensor:
    """Pictures (N, C, H, W) -> logits (N,) of a discriminator whose newest layers count by alpha."""
    ### BEGIN SOLUTION
    old_way = from_small(F.avg_pool2d(x, 2))
    new_way = block(from_large(x))
    return rest(alpha * new_way + (1 - alpha) * old_way)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-faded_logits", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.0}
check("05.faded_logits", faded_logits)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-adain", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Adaptive instance norm, with a picture for a style
#
# Difficulty ●●○○○ · about 15 minutes · 2.5 points
#
# StyleGAN computes scale and shift of a layer from a vector, with learnt weights. In the form in which AdaIN was first published
# (Huang and Belongie 2017, equations 5 to 8, 14) nothing is learnt: the style is **another picture's features**, and its mean
# and deviation are put in place of the content's, map by map:
#
# $$\text{AdaIN}(c, s) = \sigma(s)\; \frac{c - \mu(c)}{\sigma(c)} + \mu(s), \qquad
# \sigma(x)_{nm} = \sqrt{\tfrac1{HW} \textstyle\sum_{hw} (x_{nmhw} - \mu(x)_{nm})^2 + \epsilon}$$
#
# `adain(content, style, eps, strength)` takes features `content` (N, C, H, W) and `style` (N, C, H', W'), whose size
# **differs**, and two numbers. Means and deviations belong to each map of each picture, the variance is divided by HW, and `eps`
# $= \epsilon$ stands under the root, for content and style alike. With `strength` $= \lambda$ in [0, 1] it returns, of the
# shape of `content`,
#
# $$(1 - \lambda)\, c + \lambda\, \text{AdaIN}(c, s)$$
#
# Gradients reach both.
#
# *What the check looks at*
#
# - strength 1: 1 point
# - strength 0 and between: 0.5 points
# - one pair alone; content without contrast: 0.5 points
# - gradients of content and style: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# Which axes does a mean run over that belongs to each map of each picture?
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# `x.mean(dim=(2, 3), keepdim=True)`, and `x.var(dim=(2, 3), keepdim=True, correction=0)` divides by HW.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# Four statistics, (N, C, 1, 1) each, the deviations as `(variance + eps).sqrt()`; then the formula, then the mixture.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "adain", "locked": false, "schema_version": 3, "solution": true, "task": false}
def adain(content: Tensor, style: Tensor, eps: float, strength: float) -> Tensor:
    """content (N, C, H, W) with means and deviations of style (N, C, H', W'), mixed with itself by strength."""
    ### BEGIN SOLUTION
    c_mean, s_mean = (x.mean(dim=(2, 3), keepdim=True) for x in (content, style))
    c_std, s_std = ((x.var(dim=(2, 3), keepdim=True, correction=0) + eps).sqrt() for x in (content, style))
    styled = s_std * (content - c_mean) / c_std + s_mean
    return (1 - strength) * content + strength * styled
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-adain", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.5}
check("05.adain", adain)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-truncate_w", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Truncation towards the mean, in some layers
#
# Difficulty ●●○○○ · about 12 minutes · 2 points
#
# BigGAN draws noise again until it lies within a bound. StyleGAN (Karras et al. 2019, appendix B) truncates in w, where there
# is no known distribution to draw from: it pulls each w towards the **mean** of w, and may do so in the first, coarse layers
# alone, so that poses become ordinary and colours stay as they are.
#
# - `follow_mean(mean, w, beta)` keeps the mean during training: from the running `mean` (Z,), a batch `w` (n, Z) and a number
#   `beta` near 1 it returns the new running mean, $\beta\, m + (1 - \beta)\, \bar w$.
# - `truncate_w(w, mean, psi, cutoff, layers)` takes `w` (N, Z), `mean` $m$ (Z,), the number `psi` $= \psi$, and whole numbers
#   $0 \le$ `cutoff` $\le$ `layers`. It returns one w for each layer, (N, layers, Z): $m + \psi\,(w - m)$ for layers 0 to
#   `cutoff` − 1, and `w` itself from layer `cutoff` on.
#
# *What the check looks at*
#
# - six layers, four of them truncated: 1 point
# - cutoff 0 and all; psi 0 and 1: 0.5 points
# - the running mean over batches of 7, 20 and 13: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# What does psi = 0 give, what psi = 1?
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# One psi for each layer, shape (layers, 1): `psi` for the first `cutoff`, 1 for the rest. Then one formula does for all.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `w[:, None]` is (N, 1, Z), `torch.where(torch.arange(layers) < cutoff, psi, 1.0)[:, None]` is (layers, 1): mind its dtype.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "truncate_w", "locked": false, "schema_version": 3, "solution": true, "task": false}
def follow_mean(mean: Tensor, w: Tensor, beta: float) -> Tensor:
    """The running mean (Z,) after another batch w (n, Z)."""
    ### BEGIN SOLUTION
    return beta * mean + (1 - beta) * w.mean(dim=0)
    ### END SOLUTION


def truncate_w(w: Tensor, mean: Tensor, psi: float, cutoff: int, layers: int) -> Tensor:
    """w (N, Z) -> (N, layers, Z): pulled to the mean by psi in the first `cutoff` layers."""
    ### BEGIN SOLUTION
    pulled = mean + psi * (w - mean)
    return torch.stack([pulled if layer < cutoff else w for layer in range(layers)], dim=1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-truncate_w", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.0}
check("05.truncate_w", follow_mean, truncate_w)

# %% [markdown] nbgrader={"grade": false, "grade_id": "closing", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Where you stand
#
# `progress` keeps your best scores on this computer, across sessions. Before you hand in, restart the kernel and run all
# cells: what the grader sees is the notebook run from top to bottom.
#

# %% nbgrader={"grade": false, "grade_id": "progress", "locked": true, "schema_version": 3, "solution": false, "task": false}
progress("05")
