"""Units and their names."""

from __future__ import annotations

import pytest

from coursekit.course import UNITS, unit
from coursekit.errors import CourseError


def test_titles_are_written_as_the_field_writes_them() -> None:
    assert [u.title for u in UNITS] == [
        "Recurrent networks",
        "Input optimization",
        "Autoencoders",
        "GANs",
        "DCGAN",
        "Conditional GANs",
        "Image translation",
        "Text to image",
    ]


@pytest.mark.parametrize("name", ["04", "04_gan"])
def test_a_unit_is_found_by_its_number_and_by_its_folder(name: str) -> None:
    assert unit(name).name == "04_gan"


def test_an_unknown_unit_is_told() -> None:
    with pytest.raises(CourseError, match="99"):
        unit("99")
