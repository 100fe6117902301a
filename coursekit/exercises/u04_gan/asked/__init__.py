"""# Generative adversarial networks

Two networks play against each other. One turns noise into imitations, the other tells them from data, and each learns from
the other's opinion. You compute the value of the game, its optimum and its gradients, write the steps that train the two
without spoiling each other, and repair what breaks. Most answers are three to twelve lines. Run the check under an answer as
often as you like: it says what is right, what is wrong, and which mistake it looks like.

| letter | meaning | symbol | shape |
|---|---|---|---|
| N, M | examples, fakes in a batch | data $x \\sim p_{data}$ | (N, ...), in [-1, 1] |
| Z | width of the noise | noise $z \\sim p_z$ | (N, Z) |
| G | generator | fakes $G(z)$, their density $p_g$ | as the data |
| D | discriminator | logit $a$ | (N,) |
| k | steps of D for one of G | | |

A discriminator gives a logit $a$ per example, and $\\sigma(a)$ is the probability that it is **real**, unless the task says
otherwise. All logarithms are natural. Numbers that you return are 0-dimensional tensors in the dtype of the inputs unless the
task says otherwise, and a function must not write into its arguments. Numbers are compared with a relative tolerance of 1e-3
and an absolute one of 1e-5 unless the task says otherwise.
"""
