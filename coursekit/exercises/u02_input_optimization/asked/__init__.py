"""# Input optimisation

The weights stay, the image moves. You attack networks, bound the attack, fool them, defend them, and read pictures back out
of them, each time in a form that the lectures did not show. Most answers are three to twelve lines. Run the check under an
answer as often as you like: it says what is right, what is wrong, and which mistake it looks like.

| letter | meaning | symbol | shape |
|---|---|---|---|
| N | images in a batch | image $I$ | (N, C, H, W), pixels in [-1, 1] |
| C, H, W | channels, height, width | logits $a$ | (N, K) |
| K | classes | label $y$, target $t$ | (N,) int64, 0 to K − 1 |
| $\\epsilon$ | radius of a ball around an image, in units of [-1, 1] | loss $L$ | scalar |

A network `net` maps images (N, C, H, W) to logits (N, K), before any softmax. It is not yours: unless the task says
otherwise, its weights, their `.grad`, their `requires_grad` flags and its train or eval mode are afterwards as they were, and
a function must not write into its arguments. Tensors that you return have the dtype of the inputs and carry no graph. Numbers
are compared with a relative tolerance of 1e-3 and an absolute one of 1e-5 unless the task says otherwise.
"""
