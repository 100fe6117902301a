"""# Text to image

A sentence goes in, a picture comes out. Two problems are in it: to read from the text what can be seen (sections 1 and 5), and
to make a picture that is not only good but *of this text* (sections 2 to 4). Sections 6 and 7 are about pictures as words, and
about how to know whether it worked. At the end you train a small generator and hand in its weights. Most answers are three to
twelve lines. Run the check under an answer as often as you like: it says what is right, what is wrong, and which mistake it
looks like.

| letter | meaning | symbol | shape |
|---|---|---|---|
| N | pictures, or pairs, in a batch | pictures $x$, in [-1, 1] | (N, C, H, W) |
| C, H, W | channels, height, width | noise $z$ | (N, Z) |
| Z | width of the noise | text $t$, its embedding $\\varphi(t)$: `phi` | (N, D) |
| D | width of an embedding | words of a caption | (N, T, D) |
| T | words or characters | codebook $e$ | (K, D) |
| K, L | codes in the codebook, codes of a picture | logits of the discriminator | (N,) |
| A | attributes | attributes of a picture: `labels` | (N, A) int64 |

The networks are $G(z, \\varphi(t))$, $D(x, \\varphi(t))$ and the style encoder $S(x)$; in code `G(z, phi)`, `D(x, phi)`,
`S(x)`. $D$ gives logits: large means *real, and of this text*. A network that is handed to a function is not yours: unless the
task says otherwise, its weights, their `.grad`, its buffers and the train or eval mode of each of its modules are afterwards
as they were, and a function must not write into its arguments. Tensors that you return have the dtype of the inputs, and lie
in the graph, so that gradients flow, unless the task says otherwise. Numbers are compared with a relative tolerance of 1e-3
and an absolute one of 1e-5 unless the task says otherwise.
"""
