"""Data cards of the real sets: what they are, whose they are, what their publishers allow, what they cost in bytes."""

from __future__ import annotations

from collections.abc import Mapping

from coursekit.datasets.real.data import RealCard

_REED = "Captions: Reed, Akata, Lee and Schiele, CVPR 2016, ten for each picture, written by paid workers."

CARDS: Mapping[str, RealCard] = {
    "mnist": RealCard(
        title="MNIST",
        shows="One handwritten digit, white on black, 28 x 28 pixels.",
        style="The hand of one of about 500 writers; the writers of train and test are different people.",
        limits="Solved: a small network reads 99 %. Figures on it say little about harder pictures.",
        source="LeCun, Cortes and Burges 1998, from NIST's special databases 1 and 3",
        terms="The publishers' page names no licence; it is often given as CC BY-SA 3.0.",
        size="60,000 and 10,000 pictures, 12 MB",
        used_for="GANs, autoencoders and conditional GANs on what the decks show.",
        page="https://ossci-datasets.s3.amazonaws.com/mnist/",
        standin="digits",
    ),
    "fashion_mnist": RealCard(
        title="Fashion-MNIST",
        shows="One article of clothing, white on black, 28 x 28 pixels.",
        style="Cut, pattern and brightness.",
        limits="Product photographs of one shop; shirt, coat and pullover are hard to tell apart at this size.",
        source="Xiao, Rasul and Vollgraf 2017 (Zalando)",
        terms="MIT licence.",
        size="60,000 and 10,000 pictures, 31 MB",
        used_for="A harder drop-in for MNIST.",
        page="https://github.com/zalandoresearch/fashion-mnist",
        standin="digits",
    ),
    "cifar10": RealCard(
        title="CIFAR-10",
        shows="One object of ten classes in colour, 32 x 32 pixels.",
        style="Everything but the class: pose, background, light, breed and make.",
        limits="Taken from the Tiny Images, which its authors withdrew in 2020 for the words it was collected with. "
        "About 3 % of the test pictures have a near copy in train.",
        source="Krizhevsky 2009, Learning multiple layers of features from tiny images (technical report)",
        terms="The publishers' page names no licence and asks to cite the report.",
        size="50,000 and 10,000 pictures, 162 MB (the binary version; the kit unpickles no stranger's file)",
        used_for="Classifiers, adversarial inputs, DCGANs in colour.",
        page="https://www.cs.toronto.edu/~kriz/cifar.html",
        standin="things",
    ),
    "svhn": RealCard(
        title="Street View House Numbers",
        shows="A digit of a house number in colour, 32 x 32 pixels, with parts of its neighbours.",
        style="Typeface, colour, light, and what stands beside it.",
        limits="The label is that of the digit in the middle. `extra` is easier than train and test.",
        source="Netzer, Wang, Coates, Bissacco, Wu and Ng 2011",
        terms="For non-commercial use only, as its publishers state.",
        size="73,257, 26,032 and 531,131 pictures; 182 MB, 64 MB and 1.3 GB",
        used_for="Digits in colour: translation between styles, conditional GANs.",
        page="http://ufldl.stanford.edu/housenumbers/",
        standin="digits",
    ),
    "flowers102": RealCard(
        title="Oxford Flowers 102",
        shows="A photograph of a flower of one of 102 kinds, cut to its middle square; ten captions.",
        style="Everything but the kind: how many, how near, background, light.",
        limits="The largest split is test. Text-to-image papers split by kind instead (82 to train, 20 to test).",
        source=f"Nilsback and Zisserman 2008. {_REED}",
        terms="Photographs from the web: their publishers name no licence, nor do those of the captions. Research use.",
        size="1,020, 1,020 and 6,149 photographs, 345 MB",
        used_for="Text-to-image.",
        page="https://www.robots.ox.ac.uk/~vgg/data/flowers/102/, captions: https://github.com/reedscot/cvpr2016",
        standin="flowers",
    ),
    "cub": RealCard(
        title="Caltech-UCSD Birds 200-2011",
        shows="A photograph of a bird of one of 200 kinds, cut to a square around it; ten captions.",
        style="Everything but the kind: pose, age, sex, background, light.",
        limits="Some of its pictures are in ImageNet, too. Text-to-image papers split by kind (150 to train, 50 to test).",
        source=f"Wah, Branson, Welinder, Perona and Belongie 2011. {_REED}",
        terms="Images belong to their photographers; for non-commercial research and education only, as its publishers "
        "state. Those of the captions name no licence.",
        size="5,994 and 5,794 photographs, 1.15 GB",
        used_for="Text-to-image.",
        page="https://www.vision.caltech.edu/datasets/cub_200_2011/, captions: https://github.com/reedscot/cvpr2016",
        standin="birds",
    ),
    "celeba": RealCard(
        title="CelebA",
        shows="A famous person's face, aligned by the eyes, cut to its middle square; 40 attributes, each no or yes.",
        style="Everything that the attributes do not name.",
        limits="Real people who were not asked. Attributes are annotators' opinions, some demeaning "
        "(Attractive), and tied to one another: most of Heavy_Makeup is not Male. Do not identify anyone with it.",
        source="Liu, Luo, Wang and Tang 2015, Deep learning face attributes in the wild",
        terms="For non-commercial research only; pictures must not be published or passed on, as its publishers state.",
        size="162,770, 19,867 and 19,962 photographs, 1.4 GB (64 px: 49 kB each in memory, 8 GB for all of train)",
        used_for="Autoencoders and GANs on faces; arithmetic of attributes.",
        page="https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
        standin="faces",
    ),
    "tiny_shakespeare": RealCard(
        title="Tiny Shakespeare",
        shows="A window of characters (100 unless told otherwise) from Shakespeare's plays; y is one character later.",
        style="Who speaks, in which play.",
        limits="40,000 lines: a network learns them by heart. Train is the first nine tenths, test the last.",
        source="Karpathy 2015, char-rnn; from the plays of William Shakespeare",
        terms="The plays are in the public domain.",
        size="1,115,394 characters, 1.1 MB",
        used_for="Language models by character.",
        page="https://github.com/karpathy/char-rnn",
        standin="xml",
    ),
}


def render() -> str:
    """All cards as one page of Markdown."""
    lines = [
        "# Real data",
        "",
        'Not shipped. `real.load("NAME")` reads the publishers\' files from `data/real/NAME/`; `download=True` fetches them.',
    ]
    for name, card in CARDS.items():
        lines += [
            "", f"## {card.title}", "", f'`real.load("{name}")`', "", card.shows, "", "| | |", "|---|---|",
            f"| stand-in without files | `{card.standin}` |", f"| style, not told | {card.style} |",
            f"| limits | {card.limits} |", f"| source | {card.source} |", f"| terms | {card.terms} |",
            f"| size | {card.size} |", f"| used for | {card.used_for} |", f"| page | {card.page} |",
        ]  # fmt: skip
    return "\n".join(lines) + "\n"
