"""Names of cases and of their images."""

import pytest

from nnunet_api.dataset.layout import find_images, name_problem


@pytest.mark.parametrize(
    "name", ["case_01", "Müller 王.v1", "a b", "x_0000", "a..b", "1.2.840.113619.2" * 12, "-x", "é", "a\u200db"]
)
def test_names_that_people_use(name: str) -> None:
    assert not name_problem(name)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("../../x", "must not have /"),
        ("/etc/x", "must not have /"),
        ("a\\b", "must not have /"),
        ("", "must not be empty"),
        (".", "begin with a dot"),
        ("..", "begin with a dot"),
        (".x", "begin with a dot"),
        ("a\nb", "control characters"),
        ("a\0b", "control characters"),
        ("a\u2028b", "control characters"),
        ("a\udcffb", "no UTF-8"),
        ("x" * 201, "longer than 200 bytes"),
        ("王" * 67, "longer than 200 bytes"),
    ],
)
def test_names_that_lead_elsewhere_or_nowhere(name: str, words: str) -> None:
    assert words in name_problem(name)


@pytest.mark.parametrize(
    ("names", "ending", "channels", "words"),
    [
        (["a_0000.png", "b_0000.png"], ".png", 3, ""),
        (["a_0000.png", "a_0001.png", "a_0002.png"], ".png", 3, ""),
        (["a_0000.png", "b_0000.png", "b_0001.png"], ".png", 3, "1 image is missing for the 3 channels"),
        (["a_0001.png"], ".png", 3, "imagesTr/a_0000.png"),
        (["a_0000.png", "a_0001.png"], ".png", 1, "of channels that dataset.json, with 1 channel, does not"),
        (["a_0000.nii.gz"], ".nii.gz", 2, "In .nii.gz files each channel has a file of its own"),
        (["a_0000.tiff"], ".tiff", 3, "2 images are missing"),
        (["a_٠٠٠٠.png"], ".png", 1, "without a channel's number"),
    ],
)
def test_channels_in_one_file_or_in_several(names: list[str], ending: str, channels: int, words: str) -> None:
    found = "; ".join(find_images("imagesTr", names, ending, channels).problems)
    assert words in found and bool(words) == bool(found)
