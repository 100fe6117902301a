"""# Recurrent networks

You build the networks of the lectures again, each time in a form that the lectures did not show: other weights layouts,
other conventions, other failures. Most answers are three to twelve lines. Run the check under an answer as often as you
like: it says what is right, what is wrong, and which mistake it looks like.

Shapes use one alphabet throughout:

| letter | meaning | symbol | shape |
|---|---|---|---|
| N | sequences in a batch | input $x_t$ | (N, D) |
| T, S | time steps; source steps | hidden state $h_t$ | (N, H) |
| D, H | input and hidden width | cell state $c_t$ | (N, H) |
| V, C | vocabulary; classes | logits | (N, V) or (N, C) |

Tensors that you return have the dtype of the inputs. Numbers are compared with a relative tolerance of 1e-3 and an
absolute one of 1e-5 unless the task says otherwise, and a function must not write into its arguments.
"""
