"""Measures: pure functions of tensors, each a few lines, each with its source.

::

    attributes   does the picture match what was asked: attribute_accuracy, caption_accuracy; attribute_entropy
    modes        samples of a mixture of known Gaussians: mode_coverage
    sets         two sets of vectors (an oracle's features): frechet_distance, kid, precision_recall, density_coverage;
                 of one set: diversity; against the training set: memorisation
    pictures     pictures pixel by pixel: psnr, ssim, laplacian_sharpness
    scenes       two things and their relation: what of a scene is right, boxes and their overlap

Distances between sets, PSNR and SSIM are computed by torchmetrics, which is imported when the first of them is called.
"""

from coursekit.metrics.attributes import CaptionAccuracy, attribute_accuracy, attribute_entropy, caption_accuracy
from coursekit.metrics.modes import Modes, mode_coverage
from coursekit.metrics.pictures import laplacian_sharpness, psnr, ssim
from coursekit.metrics.sets import (
    Memorisation,
    density_coverage,
    diversity,
    frechet_distance,
    gaussian_frechet,
    kid,
    memorisation,
    mmd2,
    nearest,
    precision_recall,
)

__all__ = [
    "CaptionAccuracy",
    "Memorisation",
    "Modes",
    "attribute_accuracy",
    "attribute_entropy",
    "caption_accuracy",
    "density_coverage",
    "diversity",
    "frechet_distance",
    "gaussian_frechet",
    "kid",
    "laplacian_sharpness",
    "memorisation",
    "mmd2",
    "mode_coverage",
    "nearest",
    "precision_recall",
    "psnr",
    "ssim",
]
