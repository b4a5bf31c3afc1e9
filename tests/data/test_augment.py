from __future__ import annotations

import numpy as np
import pytest
import torch

from luthier.data.augment import (
    AffineSpec,
    ChangeSpec,
    ColourSpec,
    CropSpec,
    CutmixSpec,
    EraseSpec,
    FlipSpec,
    MixupSpec,
    ShiftSpec,
    streams,
)
from luthier.data.image import Pixels
from luthier.data.randomness import uniforms
from luthier.errors import SpecError
from luthier.spec import Spec, parse

RNG = np.random.default_rng(0)


def pixels(rows: int, height: int = 9, width: int = 7, channels: int = 3) -> Pixels:
    return RNG.integers(0, 256, (rows, height, width, channels), dtype=np.uint8)


def drawn(spec: ChangeSpec, rows: int) -> np.ndarray:
    return uniforms(1, 0, np.arange(rows), spec.kind, spec.draws)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("direction", "axis"), [("horizontal", 1), ("vertical", 0)])
def test_flip(direction: str, axis: int, channels: int) -> None:
    spec = FlipSpec(direction=direction, probability=0.5)
    x = pixels(3, channels=channels)
    y = spec.apply(x.copy(), np.array([[0.1], [0.6], [0.4]]))
    assert (y[1] == x[1]).all()
    for row in (0, 2):
        assert (y[row] == np.flip(x[row], axis)).all()


def test_flip_keeps_its_share() -> None:
    x = pixels(2000, 2, 2, 1)
    y = FlipSpec(probability=0.25).apply(x.copy(), drawn(FlipSpec(), 2000))
    changed = (x[:, :, 0] != x[:, :, 1]).any(axis=(1, 2)) & (x != y).any(axis=(1, 2, 3))
    assert 0.2 < changed.mean() < 0.3


def test_shift_moves_whole_pixels_to_every_place() -> None:
    x = pixels(1, 10, 10)
    seen = set()
    for u in np.linspace(0, 0.999, 15):
        y = ShiftSpec(fraction=0.2, fill=7).apply(x.copy(), np.array([[u, 0.5]]))[0]
        for move in (-2, -1, 0, 1, 2):
            wanted = np.full_like(x[0], 7)
            wanted[max(move, 0) : 10 + min(move, 0)] = x[0, max(-move, 0) : 10 + min(-move, 0)]
            if (y == wanted).all():
                seen.add(move)
                break
        else:
            raise AssertionError("no whole move")
    assert seen == {-2, -1, 0, 1, 2}


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge"])
def test_crop_cuts_out_of_the_padded_picture(mode: str) -> None:
    x = pixels(4)
    u = np.array([[0.0, 0.0], [0.999, 0.999], [0.5, 0.0], [0.5, 0.5]])
    y = CropSpec(padding=2, mode=mode).apply(x.copy(), u)
    padded = np.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0)), mode)
    for row, (top, left) in enumerate([(0, 0), (4, 4), (2, 0), (2, 2)]):
        assert (y[row] == padded[row, top : top + 9, left : left + 7]).all()
    assert (y[3] == x[3]).all()


def test_crop_cannot_mirror_more_than_there_is() -> None:
    with pytest.raises(ValueError, match=r"padding 7 is too much to mirror pictures of 9 x 7"):
        CropSpec(padding=7, mode="reflect").apply(pixels(1), np.array([[0.5, 0.5]]))


def test_a_quarter_turn_is_exact() -> None:
    x = pixels(2, 8, 8)
    spec = AffineSpec(rotate=90)
    # The first is drawn to the end of the range, the second to its middle.
    y = spec.apply(x.copy(), np.array([[0.0, 0, 0.5, 0.5], [0.5, 0, 0.5, 0.5]]))
    assert (y[0] == np.rot90(x[0])).all() or (y[0] == np.rot90(x[0], -1)).all()
    assert (y[1] == x[1]).all()


def test_affine_scales_about_the_middle() -> None:
    x = np.zeros((1, 9, 9, 1), dtype=np.uint8)
    x[0, 3:6, 3:6] = 200
    larger = AffineSpec(scale=(2.0, 2.0)).apply(x.copy(), np.array([[0.5, 0.5, 0.5, 0.5]]))
    assert larger[0, 4, 4, 0] == 200
    assert larger.sum() > 2.5 * x.sum()
    assert (larger[0, ::-1, ::-1] == larger[0]).all()


def test_affine_shears_along_the_rows() -> None:
    x = np.zeros((1, 9, 9, 1), dtype=np.uint8)
    x[0, :, 4] = 200
    y = AffineSpec(shear=45).apply(x.copy(), np.array([[0.5, 0.5, 1.0, 0.5]]))[0, :, :, 0]
    slope = np.argmax(y, axis=1)
    assert (np.abs(np.diff(slope)) == 1).all()


def test_affine_fills_what_comes_in() -> None:
    x = np.full((1, 8, 8, 1), 100, dtype=np.uint8)
    y = AffineSpec(scale=(0.5, 0.5), fill=250).apply(x, np.full((1, 4), 0.5))
    assert y[0, 0, 0, 0] == 250
    assert y[0, 4, 4, 0] == 100


def test_affine_that_would_flatten_does_nothing() -> None:
    x = pixels(1, 8, 8)
    y = AffineSpec(shear=45).apply(x.copy(), np.array([[0.5, 0.5, 1.0, 1.0]]))
    assert y.shape == x.shape


def test_colour() -> None:
    x = np.full((3, 2, 2, 3), 100, dtype=np.uint8)
    x[:, 0, 0] = [200, 100, 0]
    brighter = ColourSpec(brightness=0.5).apply(x.copy(), np.array([[1.0, 0, 0]] * 3))
    assert brighter[0, 0, 0].tolist() == [255, 150, 0]
    grey = ColourSpec(saturation=1.0).apply(x.copy(), np.array([[0.5, 0.5, 0.0]] * 3))
    assert grey[0, 0, 0].tolist() == [118, 118, 118]  # (299 * 200 + 587 * 100) / 1000 = 118.5
    flat = ColourSpec(contrast=1.0).apply(x.copy(), np.array([[0.5, 0.0, 0.5]] * 3))
    assert len(np.unique(flat)) == 1
    same = ColourSpec(brightness=0.5, contrast=0.5, saturation=0.5)
    assert (same.apply(x.copy(), np.full((3, 3), 0.5)) == x).all()


def test_erase_fills_one_rectangle_of_the_right_size() -> None:
    spec = EraseSpec(probability=1.0, area=(0.1, 0.3), fill=0)
    x = np.full((200, 20, 30, 1), 9, dtype=np.uint8)
    y = spec.apply(x, drawn(spec, 200))[..., 0]
    for picture in y:
        rows, columns = np.nonzero(picture == 0)
        tall, wide = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert tall * wide == len(rows)
        assert 0.07 <= len(rows) / 600 <= 0.35
    assert (spec.apply(np.full((1, 4, 4, 1), 9, np.uint8), np.array([[0.5] * 6])) == 0).any()


def test_erase_keeps_its_share() -> None:
    spec = EraseSpec(probability=0.3)
    y = spec.apply(np.full((2000, 8, 8, 1), 9, dtype=np.uint8), drawn(spec, 2000))
    assert 0.25 < (y == 0).any(axis=(1, 2, 3)).mean() < 0.35


def test_mixup() -> None:
    x, partner = torch.ones(500, 1, 2, 2), torch.zeros(500, 1, 2, 2)
    u = uniforms(1, 0, np.arange(500), "mixup", 3)
    mixed, own = MixupSpec(alpha=1.0).mix(x, partner, u)
    assert torch.equal(mixed[:, 0, 0, 0], own)
    np.testing.assert_allclose(own.numpy(), u[:, 1], atol=1e-6)  # Beta(1, 1) is uniform
    _, few = MixupSpec(alpha=0.2).mix(x, partner, u)
    assert 0.4 < few.mean() < 0.6
    # Beta(0.2, 0.2) has a variance of 1 / (4 * 1.4)
    assert abs(few.var() - 1 / 5.6) < 0.02


def test_cutmix_shares_are_areas() -> None:
    x, partner = torch.ones(300, 1, 12, 8), torch.zeros(300, 1, 12, 8)
    u = uniforms(1, 0, np.arange(300), "cutmix", 5)
    mixed, own = CutmixSpec().mix(x, partner, u)
    np.testing.assert_allclose(mixed.mean(dim=(1, 2, 3)).numpy(), own.numpy(), atol=1e-6)
    assert 0.4 < own.mean() < 0.6
    for picture in mixed[:50, 0].numpy():
        rows, columns = np.nonzero(picture == 0)
        if len(rows):
            assert (np.ptp(rows) + 1) * (np.ptp(columns) + 1) == len(rows)
    assert torch.equal(x, torch.ones_like(x))


def test_streams_do_not_move_when_another_kind_is_added() -> None:
    before = streams([FlipSpec(), CropSpec()])
    after = streams([ColourSpec(brightness=0.1), FlipSpec(), EraseSpec(), CropSpec()])
    assert set(before) < set(after)
    assert len(set(streams([FlipSpec(), FlipSpec()]))) == 2


@pytest.mark.parametrize(
    ("cls", "data", "message"),
    [
        (AffineSpec, {}, "changes nothing; give rotate, scale or shear"),
        (AffineSpec, {"scale": [1.2, 0.8]}, r"scale: got \[1.2, 0.8\]; wanted \[smallest, largest"),
        (ColourSpec, {}, "changes nothing; give brightness, contrast or saturation"),
        (EraseSpec, {"area": [0.5, 2.0]}, r"area: got \[0.5, 2.0\]; wanted \[smallest, largest"),
    ],
)
def test_wrong_settings(cls: type[Spec], data: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parse(cls, data)
