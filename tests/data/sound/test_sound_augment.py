"""Augmentation of sounds: what it changes, and that it is a function of (seed, epoch, row)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sound_files import tone

from luthier.data.sound.augment import Draw, NoiseSpec, SpecAugmentSpec, SpeedSpec
from luthier.data.sound.resample import resampled


def draw(row: int, epoch: int = 0) -> Draw:
    return Draw(7, epoch, row, "augment/test/1")


@pytest.mark.parametrize(("up", "down"), [(10, 9), (10, 11), (2, 1), (1, 2), (3, 4)])
def test_resampled_is_the_same_tone_at_another_rate(up: int, down: int) -> None:
    rate = 16_000 * up / down
    got = resampled(torch.from_numpy(tone(700, 0.5)).double(), up, down)
    assert len(got) == -(-8000 * up // down)
    times = np.arange(len(got)) / rate
    wanted = 0.5 * np.sin(2 * np.pi * 700 * times)
    np.testing.assert_allclose(got[200:-200], wanted[200:-200], atol=2e-3)


def test_speed_changes_length_and_pitch() -> None:
    wave = torch.from_numpy(tone(500, 1.0))
    lengths = {len(SpeedSpec(factors=(0.8, 1.25)).apply(wave, draw(row))) for row in range(20)}
    assert lengths == {20_000, 12_800}
    fast = SpeedSpec(factors=(1.25,)).apply(wave, draw(0))
    spectrum = torch.fft.rfft(fast).abs()
    assert abs(int(spectrum.argmax()) * 16_000 / len(fast) - 625) < 3


def test_noise_has_the_wanted_loudness() -> None:
    wave = torch.from_numpy(tone(500, 2.0))
    added = NoiseSpec(snr=(20.0, 20.0)).apply(wave, draw(0)) - wave
    ratio = 20 * torch.log10(wave.std() / added.std())
    assert float(ratio) == pytest.approx(20, abs=0.2)
    assert abs(float(added.mean())) < 2e-3


def test_noise_comes_to_its_share_of_the_sounds() -> None:
    wave = torch.from_numpy(tone(500, 0.01))
    spec = NoiseSpec(probability=0.25)
    changed = [not torch.equal(spec.apply(wave, draw(row)), wave) for row in range(400)]
    assert 0.18 < np.mean(changed) < 0.32


def test_spec_augment_hides_stretches_and_leaves_the_input() -> None:
    x = torch.rand(50, 20, dtype=torch.float64)
    before = x.clone()
    y = SpecAugmentSpec(frequency_masks=1, time_masks=1, time_share=0.3).apply(x, draw(3))
    assert torch.equal(x, before)
    changed = y != x
    assert 0 < int(changed.sum()) < x.numel()
    assert bool((y[changed] == x.mean()).all())
    rows, columns = changed.all(1), changed.all(0)
    assert torch.equal(changed, rows[:, None] | columns)


def test_a_draw_is_a_function_of_seed_epoch_and_row() -> None:
    wave = torch.from_numpy(tone(500, 0.1))
    spec = NoiseSpec()
    assert torch.equal(spec.apply(wave, draw(3, 1)), spec.apply(wave, draw(3, 1)))
    assert not torch.equal(spec.apply(wave, draw(3, 1)), spec.apply(wave, draw(3, 2)))
    assert not torch.equal(spec.apply(wave, draw(3, 1)), spec.apply(wave, draw(4, 1)))


@pytest.mark.parametrize(
    ("spec", "settings", "message"),
    [
        (SpeedSpec, {"factors": []}, "wanted some other than 1"),
        (SpeedSpec, {"factors": [1.0]}, "wanted some other than 1"),
        (NoiseSpec, {"snr": [30.0, 10.0]}, r"wanted \[lowest, highest\]"),
        (SpecAugmentSpec, {"frequency_masks": 0, "time_masks": 0}, "hides nothing"),
    ],
)
def test_settings_that_change_nothing_are_refused(
    spec: type[SpeedSpec], settings: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        spec.model_validate(settings)
