"""# Conditional GANs

A generator that is told what to make, and a discriminator that is told what it should have been. You hand a label to both
networks, compute what the game with labels is worth, train by it, let codes name themselves, split pictures into octaves, make
two domains share their layers, and find the code of a picture that exists. Most answers are three to twelve lines. Run the
check under an answer as often as you like: it says what is right, what is wrong, and which mistake it looks like.

| letter | meaning | symbol | shape |
|---|---|---|---|
| N, M | examples, fakes in a batch | data $x$, in [-1, 1] | (N, C, H, W) |
| K | classes | labels $y$ | (N,) int64, 0 to K − 1 |
| Z | width of the noise | noise $z$ | (N, Z) |
| G, E | generator, encoder | fakes $G(z \\mid y)$ | as the data |
| D | discriminator | logit $a$, or $D(x \\mid y)$ | (N,) |
| u, d | up and down | next size up, next size down | (N, C, H', W') |

A discriminator gives logits, and $\\sigma(a)$ is the probability that the picture is **real**, unless the task says otherwise.
All logarithms are natural. A network that is handed to a function is not yours: unless the task says otherwise, its weights,
their `.grad`, their `requires_grad` and its train or eval mode are afterwards as they were, and a function must not write into
its arguments. Results have the dtype of the inputs, and losses are 0-dimensional tensors. Numbers are compared with a relative
tolerance of 1e-3 and an absolute one of 1e-5 unless the task says otherwise.
"""
