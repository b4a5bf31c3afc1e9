from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import luthier.data.augment.colour as colour
from luthier.data.augment import (
    AffineSpec,
    ChangeSpec,
    ColourSpec,
    CropSpec,
    CutmixSpec,
    EraseSpec,
    FlipSpec,
    MixSpec,
    MixupSpec,
    ShiftSpec,
)
from luthier.data.collection import Decoded
from luthier.data.image import Preprocessing
from luthier.data.pictures import PictureExamples
from luthier.signal import Signal

ROWS = 25
EACH = [
    FlipSpec(),
    ShiftSpec(),
    CropSpec(padding=3, mode="reflect"),
    AffineSpec(rotate=30, scale=(0.7, 1.4), shear=15),
    ColourSpec(brightness=0.4, contrast=0.4, saturation=0.4),
    EraseSpec(),
    MixupSpec(probability=0.7),
    CutmixSpec(probability=0.7),
]
IDS = st.lists(st.integers(0, ROWS - 1), min_size=1, max_size=8)


def examples(*augment: ChangeSpec | MixSpec, channels: int = 3, seed: int = 1) -> PictureExamples:
    """Pictures of an awkward size, so that vectorised loops have a rest to do."""
    rng = np.random.default_rng(0)
    data = Decoded(
        recognised="noise",
        classes=("a", "b", "c"),
        images=rng.integers(0, 256, (ROWS + 5, 29, 33, channels), dtype=np.uint8),
        labels=np.arange(ROWS + 5) % 3,
        names=None,
        splits={},
        looks={},
    )
    figures = (0.1, 0.2, 0.3)[:channels], (0.9, 1.1, 1.3)[:channels]
    preprocessing = Preprocessing(
        height=29, width=33, channels=channels, mean=figures[0], std=figures[1]
    )
    return PictureExamples(data, "train", np.arange(5, ROWS + 5), preprocessing, augment, seed)


def batch_invariant(reader: PictureExamples, ids: list[int], epoch: int) -> bool:
    rows = np.array(ids, dtype=np.int64)
    whole = reader.read(rows, epoch)
    alone = [reader.read(rows[i : i + 1], epoch) for i in range(len(ids))]
    return all(
        torch.equal(one.inputs[0], whole.inputs[i])
        and torch.equal(one.targets[0], whole.targets[i])
        for i, one in enumerate(alone)
    )


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("spec", EACH, ids=lambda spec: spec.kind)
@settings(max_examples=12, deadline=None)
@given(ids=IDS, epoch=st.integers(0, 9))
def test_each_augmentation_is_batch_invariant(
    spec: ChangeSpec | MixSpec, channels: int, ids: list[int], epoch: int
) -> None:
    assert batch_invariant(examples(spec, channels=channels), ids, epoch)


def test_a_mean_over_the_batch_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def over_the_batch(x_BCHW: np.ndarray) -> np.ndarray:
        return np.full(len(x_BCHW), x_BCHW.mean(), dtype=np.float32)

    reader = examples(ColourSpec(contrast=0.4))
    assert batch_invariant(reader, [1, 2, 3], 0)
    monkeypatch.setattr(colour, "_mean_grey", over_the_batch)
    assert not batch_invariant(reader, [1, 2, 3], 0)


def test_partners_of_the_same_batch_are_caught() -> None:
    class InBatch(PictureExamples):
        def _mixed(self, inputs_BCHW, targets_B, ids, epoch):  # type: ignore[no-untyped-def]
            return inputs_BCHW * 0.7 + inputs_BCHW.flip(0) * 0.3, targets_B

    good = examples(MixupSpec())
    broken = InBatch(
        good._data,
        "train",
        good.rows,
        Preprocessing(height=29, width=33, channels=3),
        [MixupSpec()],
    )
    assert not batch_invariant(broken, [1, 2, 3], 0)


def test_reading() -> None:
    reader = examples()
    assert reader.signal == Signal("image", (3, 29, 33))
    assert len(reader) == ROWS
    samples = reader.read(np.array([4, 0]), epoch=0)
    assert samples.targets.dtype == torch.int64
    assert samples.targets.tolist() == [9 % 3, 5 % 3]
    assert samples.ids.tolist() == [4, 0]
    wanted = (reader.pictures(np.array([4]))[0] / 255 - [0.1, 0.2, 0.3]) / [0.9, 1.1, 1.3]
    np.testing.assert_allclose(samples.inputs[0].permute(1, 2, 0).numpy(), wanted, atol=1e-5)
    assert samples.inputs.is_contiguous(memory_format=torch.channels_last)
    assert reader.name(12) == "train[12]"


def test_pictures_stay_as_they_were() -> None:
    reader = examples(*EACH)
    before = reader.pictures(np.arange(ROWS)).copy()
    reader.read(np.arange(ROWS), 0)
    assert (reader.pictures(np.arange(ROWS)) == before).all()
    assert (reader.augmented(np.arange(ROWS), 0) != before).any()


def test_seeds_and_epochs_change_what_is_seen() -> None:
    ids = np.arange(ROWS)
    first = examples(FlipSpec(), seed=1).read(ids, 0).inputs
    assert torch.equal(first, examples(FlipSpec(), seed=1).read(ids, 0).inputs)
    assert not torch.equal(first, examples(FlipSpec(), seed=2).read(ids, 0).inputs)
    assert not torch.equal(first, examples(FlipSpec(), seed=1).read(ids, 1).inputs)


def test_mixed_targets_are_shares() -> None:
    ids = np.arange(ROWS)
    targets = examples(MixupSpec(alpha=1.0), CutmixSpec()).read(ids, 0).targets
    assert targets.shape == (ROWS, 3)
    assert targets.dtype == torch.float32
    torch.testing.assert_close(targets.sum(dim=1), torch.ones(ROWS))
    assert (targets >= 0).all()
    assert ((targets > 0).sum(dim=1) > 1).any()


def test_mixing_is_what_it_says() -> None:
    ids = np.arange(ROWS)
    reader, plain = examples(MixupSpec(alpha=1.0)), examples()
    mixed = reader.read(ids, 0)
    everything = plain.read(ids, 0).inputs.double()
    for row in ids:
        x, found = mixed.inputs[row].double(), False
        for partner in ids:
            own, other = everything[row], everything[partner]
            difference = own - other
            share = 1.0
            if partner != row:
                share = float(((x - other) * difference).sum() / (difference**2).sum())
            if torch.allclose(x, own * share + other * (1 - share), atol=1e-5):
                target = torch.zeros(3)
                target[(row + 5) % 3] += share
                target[(partner + 5) % 3] += 1 - share
                found = torch.allclose(mixed.targets[row], target, atol=1e-4)
                break
        assert found
