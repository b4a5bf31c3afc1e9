"""Sounds that are filled up with silence, as Whisper learned them; and long ones in windows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from luthier.data.sound.features import LogMelSpec
from luthier.data.sound.form import SoundForm

RATE, SECONDS = 16_000, 2.0
FEATURES = LogMelSpec(bins=20)
FORM = SoundForm(rate=RATE, features=FEATURES, normalize="none", fill_seconds=SECONDS)
NOISE = torch.randn(RATE * 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("samples", [1, 500, 9_999, 16_000, 31_500, 31_999, 32_000, 40_000])
def test_filled_frames_are_those_of_a_filled_sound(samples: int) -> None:
    wave = NOISE[:samples]
    whole = F.pad(wave[:32_000], (0, max(0, 32_000 - samples)))
    wanted = FEATURES(whole, RATE)
    kept = FORM.frames(wave)
    got = FORM.filled(kept)
    assert got.shape == (200, 20)
    torch.testing.assert_close(got, wanted, rtol=0, atol=1e-12)
    assert len(kept) == 200 or len(kept) <= samples / 160 + 5  # the silence is not kept


def test_nothing_is_filled_without_being_asked() -> None:
    form = SoundForm(rate=RATE, features=FEATURES, normalize="none")
    frames = form.frames(NOISE[:8000])
    assert form.filled(frames) is frames
    assert len(frames) == 50
    assert len(form.windows(NOISE[:80_000].numpy())) == 1


def test_a_long_sound_is_cut_where_it_is_quiet() -> None:
    wave = NOISE.float().numpy().copy()
    wave[28_000:31_800] = 0.0
    parts = FORM.windows(wave)
    assert np.array_equal(np.concatenate(parts), wave)
    assert 28_000 < len(parts[0]) < 31_800
    assert all(0 < len(part) <= 32_000 for part in parts)
    assert [len(part) for part in FORM.windows(wave[:32_000])] == [32_000]
