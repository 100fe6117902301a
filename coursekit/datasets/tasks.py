"""What recurrent networks train on, as worlds: the tasks of `sequences` and `signals`, reviews and translation.

Shapes: N batch, T time, V symbols. `draw` takes the lengths that a card states; the functions of those modules take any.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from coursekit.datasets import reviews, sequences, signals, translation
from coursekit.datasets.signals import Labelled
from coursekit.datasets.world import Card, Sample, World

_TASK = "nothing: a task of its own"
_SOURCE = "drawn by the kit (MIT) from a rule; no recording, person or text went into it"
_LENGTH = 20
_SYMBOLS = 8


def _card(title: str, shows: str, limits: str, stands_for: str = _TASK, style: str = "None.") -> Card:
    return Card(title=title, shows=shows, stands_for=stands_for, style=style, limits=limits, source=_SOURCE)


def _mapped(task: Callable[..., Labelled | sequences.Pair], *sizes: int) -> Callable[[int, torch.Generator], Sample]:
    """A task whose answer is a tensor: x and y."""
    return lambda n, generator: Sample(x=(pair := task(n, *sizes, generator=generator))[0], y=pair[1])


def _classed(task: Callable[..., Labelled], *sizes: int) -> Callable[[int, torch.Generator], Sample]:
    """A task whose answer is one class for the whole sequence: x and labels (N, 1)."""
    return lambda n, generator: Sample((pair := task(n, *sizes, generator=generator)).x, pair.y.unsqueeze(1))


def _arithmetic(n: int, generator: torch.Generator) -> Sample:
    tasks = sequences.arithmetic(n, 3, 4, generator=generator)
    return Sample([task.text for task in tasks], y=torch.tensor([task.value for task in tasks]))


def _reviews(n: int, generator: torch.Generator) -> Sample:
    written = reviews.reviews(n, clauses=2, generator=generator)
    return Sample([r.text for r in written], torch.tensor([[int(r.positive)] for r in written]))


def _translation(n: int, generator: torch.Generator) -> Sample:
    pairs = translation.pairs(n, generator=generator)
    return Sample([pair.english for pair in pairs], y=[pair.dutch for pair in pairs])


WORLDS: dict[str, World] = {
    world.name: world
    for world in (
        World(
            name="parity",
            card=_card(
                "Parity",
                f"{_LENGTH} bits, x (N, T, 1), and at each step whether the number of ones so far is even, y (N, T).",
                "Uniform bits: chance is one half at every step, and says nothing of rare events.",
            ),
            drawing=_mapped(sequences.parity, _LENGTH),
        ),
        World(
            name="recall",
            card=_card(
                "Recall of the first symbol",
                f"{_LENGTH} one-hot symbols of {_SYMBOLS}, x (N, T, V); the label is the first.",
                "The noise is of the same alphabet and independent; a memory may keep more than it would of real data.",
            ),
            names={"first": tuple(f"symbol {k}" for k in range(_SYMBOLS))},
            drawing=_classed(sequences.first_symbol, _LENGTH, _SYMBOLS),
        ),
        World(
            name="adding",
            card=_card(
                "The adding problem",
                f"{_LENGTH} numbers with two markers, x (N, T, 2), and the sum of the marked ones, y (N,).",
                "The answer 1 has a mean squared error of 1/6: an error is to be compared with that.",
            ),
            drawing=_mapped(sequences.adding, _LENGTH),
        ),
        World(
            name="reversal",
            card=_card(
                "Reversal",
                f"{_LENGTH} symbols of {_SYMBOLS} as ids, x (N, T), and the same backwards, y (N, T).",
                "Symbols are independent: nothing can be predicted, all must be remembered.",
            ),
            drawing=_mapped(sequences.reversal, _LENGTH, _SYMBOLS),
        ),
        World(
            name="counting",
            card=_card(
                "Counting",
                f"Spikes in {_LENGTH} steps, x (N, T, 1), and 1 five steps after each, y (N, T).",
                "One period only, and no jitter: a delay line would do.",
            ),
            drawing=_mapped(sequences.counting, _LENGTH),
        ),
        World(
            name="arithmetic",
            card=_card(
                "Arithmetic with distractors",
                "A sum or difference of numbers of up to three digits with four letters strewn in, and its value, y (N,).",
                "Two operands and two operations; whoever learns it has not learnt to calculate.",
                stands_for="The arithmetic task of Jozefowicz, Zaremba and Sutskever 2015",
                style="Where the letters stand, and which.",
            ),
            drawing=_arithmetic,
        ),
        World(
            name="xml",
            card=_card(
                "Nested tags",
                "A well-formed string of tags, nested at most four deep.",
                "Tags without text or attributes; thirty names.",
                stands_for="The XML task of Jozefowicz, Zaremba and Sutskever 2015",
            ),
            drawing=lambda n, generator: Sample(sequences.xml(n, 4, generator=generator)),
        ),
        World(
            name="chords",
            card=_card(
                "Chords",
                f"{_LENGTH} frames of four-part harmony, x (N, T, {signals.PITCHES}), and the frame after each, y.",
                "Five triads, no rhythm and no melody; one voice in twenty is silent at random.",
                stands_for="JSB Chorales",
                style="The key.",
            ),
            drawing=_mapped(signals.chords, _LENGTH),
        ),
        World(
            name="formants",
            card=_card(
                "Formants",
                f"{_LENGTH} spectral frames of gliding vowels, x (N, T, {signals.BANDS}), and the vowel of each, y (N, T).",
                "Vowels only, of mean male formants; no consonant, pitch or pause.",
                stands_for="TIMIT",
                style="The length of the speaker's vocal tract; noise.",
            ),
            drawing=_mapped(signals.formants, _LENGTH),
        ),
        World(
            name="strokes",
            card=_card(
                "Pen strokes",
                f"A digit as {signals.PEN_STEPS} movements of a pen, x (N, T, 3).",
                "One way to write each digit; all have the same number of movements.",
                stands_for="IAM online handwriting",
                style="Slant, turn, width, height and wobble.",
            ),
            names={"digit": tuple("0123456789")},
            drawing=_classed(signals.strokes),
        ),
        World(
            name="reviews",
            card=_card(
                "Reviews",
                "A review of two clauses whose last one decides whether its author was pleased.",
                "Thirty-one words and one rule; real sentiment has neither.",
                stands_for="IMDB and other reviews",
                style="The subjects and the degrees.",
            ),
            names={"sentiment": ("negative", "positive")},
            drawing=_reviews,
        ),
        World(
            name="translation",
            card=_card(
                "English to Dutch",
                "An English sentence, x, and the same in Dutch, y, whose words change places.",
                f"{len(translation.all_pairs())} sentences in all: a table would do, so hold some back.",
                stands_for="WMT parallel corpora",
            ),
            drawing=_translation,
        ),
    )
}
