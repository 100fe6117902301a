"""# DCGAN and larger generators

Strided convolutions down, transposed ones up, batch norm between them: with these a GAN learns pictures. You take the layer
apart, build both networks to a specification, train a step, walk through the latent space, and use what the discriminator has
learnt. The last section is about generators that grow and that are styled. Most answers are three to twelve lines. Run the
check under an answer as often as you like: it says what is right, what is wrong, and which mistake it looks like.

| letter | meaning | symbol | shape |
|---|---|---|---|
| N | pictures in a batch | data $x$, in [-1, 1] | (N, C, H, W) |
| C, H, W | channels, height, width | noise $z$ | (N, Z) |
| Z | width of the latent space | logits of $D$ | (N,) |
| D, F | channels that go out, features | features | (N, F) |
| K, L | rows and columns of a kernel | kernel $k$ | (C, D, K, L) |
| K | in sections 4 and 5: neighbours; classes | labels $y$ | (N,) int64, 0 to K − 1 |

$D$ gives logits: large means real. A network that is handed to a function is not yours: unless the task says otherwise, its
weights, their `.grad`, its buffers, its hooks and the train or eval mode of each of its modules are afterwards as they were,
and a function must not write into its arguments. Tensors that you return have the dtype of the inputs. Numbers are compared
with a relative tolerance of 1e-3 and an absolute one of 1e-5 unless the task says otherwise.
"""
