from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

import luthier.data.duplicates as duplicates
from luthier.data.duplicates import equal_groups, near_pairs


def photographs(count: int, side: int = 32) -> np.ndarray:
    """Different pieces of photographs."""
    rng = np.random.default_rng(0)
    pieces = []
    for number in range(count):
        image = load_sample_images().images[number % 2]
        top, left = rng.integers(0, 427 - 96), rng.integers(0, 640 - 96)
        piece = Image.fromarray(image[top : top + 96, left : left + 96])
        pieces.append(np.asarray(piece.resize((side, side))))
    return np.stack(pieces)


def changed(image: np.ndarray, how: str) -> np.ndarray:
    picture = Image.fromarray(image)
    if how == "jpeg":
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=80)
        return np.asarray(Image.open(buffer).convert("RGB"))
    if how == "darker":
        return (image * 0.8).astype(np.uint8)
    if how == "resized":
        return np.asarray(picture.resize((24, 24)).resize((32, 32)))
    return image.copy()


IMAGES = photographs(80)


@pytest.mark.parametrize(
    ("how", "least"), [("equal", 20), ("darker", 19), ("jpeg", 12), ("resized", 14)]
)
def test_copies_are_found(how: str, least: int) -> None:
    assert len(near_pairs(IMAGES)) == 0
    copies = np.stack([changed(image, how) for image in IMAGES[:20]])
    pairs = {tuple(pair) for pair in near_pairs(np.concatenate([IMAGES, copies])).tolist()}
    wanted = {(row, 80 + row) for row in range(20)}
    assert len(pairs & wanted) >= least
    assert pairs <= wanted


def test_what_compares_nothing_finds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "_candidates", lambda *_: iter(()))
    assert near_pairs(np.concatenate([IMAGES, IMAGES])).shape == (0, 2)


def test_pictures_of_one_colour_are_no_copies() -> None:
    plain = np.repeat(np.arange(10, dtype=np.uint8), 64).reshape(10, 8, 8, 1)
    assert len(near_pairs(plain)) == 0


def test_equal_groups() -> None:
    groups = equal_groups(np.concatenate([IMAGES, IMAGES[5:7]]))
    assert groups[80] == groups[5]
    assert groups[81] == groups[6]
    assert len(set(groups.tolist())) == 80


def test_very_many_copies_stay_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "LARGEST_RUN", 4)
    pairs = near_pairs(np.repeat(IMAGES[:1], 500, axis=0))
    assert len(set(pairs.flatten().tolist())) == 500  # each is known to be a copy
    assert len(pairs) <= 3 * 3 * 500
