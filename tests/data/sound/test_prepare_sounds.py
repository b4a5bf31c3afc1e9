"""Sounds on disk to splits: readers, the cache, faults, and what finished models keep."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from sound_files import folder_of_tones, tone, wav_bytes

from luthier.data.prepare import prepare
from luthier.data.readers.sound_folder import SoundFolderSpec
from luthier.data.reading import read_inputs
from luthier.data.sound.prepare_sounds import PreparedSounds
from luthier.data.sound.sound_doctor import inspect_sounds
from luthier.data.sources import DataSpec
from luthier.errors import DataError, InputError, SpecError
from luthier.spec import parse

BINS = {"kind": "log_mel", "bins": 20}


def prepared(data: dict[str, Any], seed: int = 0) -> PreparedSounds:
    spec: Any = TypeAdapter(DataSpec).validate_python({"features": BINS, **data})
    found = prepare(spec, seed=seed)
    assert isinstance(found, PreparedSounds)
    return found


def test_folders_become_splits_with_frames(tmp_path: Path) -> None:
    data = prepared({"kind": "sound_folder", "path": str(folder_of_tones(tmp_path / "tones"))})
    assert data.target.names == ("high", "low")
    assert data.validation is not None
    assert data.test is not None
    assert len(data.train) + len(data.validation) + len(data.test) == 16
    assert data.form.rate == 8000
    assert data.signal.shape == (int(data.train.lengths.max()), 20)
    samples = data.train.read(np.arange(3), epoch=0)
    assert [len(frames) for frames in samples.frames] == data.train.lengths[:3].tolist()
    everything = torch.cat(list(data.train.read(np.arange(len(data.train)), 0).frames))
    np.testing.assert_allclose(everything.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(everything.std(0, correction=0), 1, atol=1e-3)


def test_the_cache_gives_the_same_and_decodes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = {"kind": "sound_folder", "path": str(folder_of_tones(tmp_path / "tones"))}
    first = prepared({**data, "sample_rate": 8000})
    monkeypatch.setattr("luthier.data.sound.waves.decode", None)
    again = prepared({**data, "sample_rate": 8000})
    assert again.fingerprint == first.fingerprint


def test_a_torn_entry_is_made_anew(tmp_path: Path, cache: Path) -> None:
    data = {"kind": "sound_folder", "path": str(folder_of_tones(tmp_path / "tones"))}
    first = prepared(data)
    for values in cache.glob("sounds/*/values.bin"):
        values.write_bytes(values.read_bytes()[:-4])
    assert prepared(data).fingerprint == first.fingerprint


def test_another_file_is_noticed(tmp_path: Path) -> None:
    root = folder_of_tones(tmp_path / "tones")
    data = {"kind": "sound_folder", "path": str(root)}
    first = prepared(data)
    (root / "low" / "3.wav").write_bytes(wav_bytes(tone(333, 0.2, 8000), 8000))
    assert prepared(data).fingerprint != first.fingerprint


def test_augmented_rows_are_a_function_of_epoch_and_row(tmp_path: Path) -> None:
    path = str(folder_of_tones(tmp_path / "tones"))
    changes = [{"kind": "speed"}, {"kind": "noise"}, {"kind": "spec_augment"}]
    data = prepared({"kind": "sound_folder", "path": path, "augment": changes}, seed=3)
    together = data.train.read(np.arange(6), epoch=2).frames
    for row in range(6):
        alone = data.train.read(np.array([row]), epoch=2).frames[0]
        torch.testing.assert_close(alone, together[row], rtol=0, atol=0)
    other = data.train.read(np.arange(6), epoch=3).frames
    assert any(a.shape != b.shape or not torch.equal(a, b) for a, b in zip(together, other))  # noqa: B905
    plain = data.train.plain().read(np.arange(6), epoch=2).frames
    assert [len(frames) for frames in plain] == data.train.lengths[:6].tolist()


def test_names_say_what_sounds_are(tmp_path: Path) -> None:
    archive = tmp_path / "digits.tar.gz"
    with tarfile.open(archive, "w:gz") as file:
        for digit in range(2):
            for speaker in ("ann", "bob"):
                for number in range(4):
                    path = tmp_path / "one.wav"
                    hertz = 300 + 900 * digit + 17 * number + (speaker == "bob")
                    path.write_bytes(wav_bytes(tone(hertz, 0.2, 8000), 8000))
                    file.add(path, f"recordings/{digit}_{speaker}_{number}.wav")
    settings = {
        "kind": "sound_names",
        "path": str(archive),
        "pattern": "{label}_{speaker}_{n}",
        "test": {"n": [0]},
        "split": {"validation": 0.0},
    }
    data = prepared(settings)
    assert data.test is not None
    assert data.test.names == ["0_ann_0.wav", "0_bob_0.wav", "1_ann_0.wav", "1_bob_0.wav"]
    assert data.test.labels.tolist() == [0, 0, 1, 1]
    assert prepared({**settings, "label": "speaker"}).target.names == ("ann", "bob")
    with pytest.raises(DataError, match=r"data.test: no sound of .* has such a name"):
        prepared({**settings, "test": {"n": [77]}})
    with pytest.raises(DataError, match=r'has a name that is not "x\{label\}"'):
        prepared({**settings, "pattern": "x{label}", "test": {}})


def test_tables_are_read_as_they_are(tmp_path: Path) -> None:
    root = folder_of_tones(tmp_path / "tones")
    lines = [f"{c}/{n}.wav,{c}" for c in ("low", "high") for n in range(8)]
    (root / "metadata.csv").write_text("\n".join(["file_name,label", *lines]) + "\n")
    data = prepared({"kind": "sound_table", "path": str(root / "metadata.csv")})
    assert data.target.names == ("high", "low")
    assert {d.place for d in data.decisions} >= {"data.file", "data.label", "data.sample_rate"}
    with pytest.raises(DataError, match=r'has no column "klass" \(data.label\)'):
        prepared({"kind": "sound_table", "path": str(root / "metadata.csv"), "label": "klass"})
    (root / "t.jsonl").write_text('{"audio_filepath": "low/1.wav", "text": "a"}\n')
    with pytest.raises(InputError, match=r"each sound here, .* or task: {kind: transcribe}"):
        prepared({"kind": "sound_table", "path": str(root / "t.jsonl")})


def test_lists_of_speech_commands_make_splits(tmp_path: Path) -> None:
    root = folder_of_tones(tmp_path / "tones")
    (root / "validation_list.txt").write_text("low/1.wav\nhigh/1.wav\n")
    (root / "testing_list.txt").write_text("low/2.wav\nhigh/2.wav\n")
    (root / "_background_noise_").mkdir()
    (root / "_background_noise_" / "hum.wav").write_bytes(wav_bytes(tone(50, 1.0)))
    data = prepared({"kind": "sound_folder", "path": str(root)})
    assert data.test is not None
    assert sorted(data.test.names) == ["high/2.wav", "low/2.wav"]
    assert data.target.names == ("high", "low")


def test_bad_files_are_told_together_or_left_out(tmp_path: Path) -> None:
    root = folder_of_tones(tmp_path / "tones")
    (root / "low" / "bad.wav").write_bytes(b"no sound at all, not even a bit of it")
    (root / "low" / "none.wav").write_bytes(wav_bytes(np.zeros(0)))
    (root / "high" / "long.wav").write_bytes(wav_bytes(np.zeros(8000 * 31), 8000))
    data = {"kind": "sound_folder", "path": str(root)}
    with pytest.raises(DataError) as caught:
        prepared(data)
    for part in ("3 sounds cannot be used", "bad.wav: is no sound", "none.wav: holds no sound"):
        assert part in str(caught.value)
    assert "long.wav: is longer than 30 seconds (data.longest_seconds)" in str(caught.value)
    found = prepared({**data, "on_error": "skip"})
    assert len(found.skipped) == 3
    told = [finding.message for finding in inspect_sounds(found)]
    assert any("1 sound cannot be used: holds no sound" in message for message in told)


def test_the_doctor_finds_copies_and_silence(tmp_path: Path) -> None:
    root = folder_of_tones(tmp_path / "tones")
    (root / "low" / "copy.wav").write_bytes((root / "high" / "1.wav").read_bytes())
    (root / "low" / "silent.wav").write_bytes(wav_bytes(np.zeros(3000), 8000))
    told = [
        f.message for f in inspect_sounds(prepared({"kind": "sound_folder", "path": str(root)}))
    ]
    assert "1 pair of equal sounds with two labels" in told
    assert "1 sound with nothing to hear" in told


def test_a_finished_model_reads_sounds_as_training_did(tmp_path: Path) -> None:
    root = folder_of_tones(tmp_path / "tones")
    data = prepared({"kind": "sound_folder", "path": str(root)})
    files = data.inputs.files()
    inputs = read_inputs(lambda name: files[name])
    names = [data.train.name(row) for row in range(3)]
    wanted = data.train.read(np.arange(3), 0).frames
    items = inputs.listed([root / name for name in names])
    for got, want in zip(inputs.samples(items, 0).frames, wanted, strict=True):
        torch.testing.assert_close(got, want, rtol=0, atol=0)
    assert len(inputs.listed([root])) == 16
    with pytest.raises(DataError, match="does not exist"):
        inputs.listed([root / "nothing.wav"])


def test_what_is_no_data_for_the_task_is_told(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    (empty / "class").mkdir(parents=True)
    (empty / "class" / "a.txt").write_text("a")
    with pytest.raises(DataError, match="holds no sounds in class folders"):
        prepared({"kind": "sound_folder", "path": str(empty)})
    changes = [{"kind": "spec_augment"}, {"kind": "speed"}]
    with pytest.raises(SpecError, match="put spec_augment last"):
        parse(SoundFolderSpec, {"path": str(empty), "augment": changes})
    root = folder_of_tones(tmp_path / "tones")
    features = {"kind": "log_mel", "bins": 200}
    with pytest.raises(DataError, match=r"data\.features\.bins: got 200"):
        prepared({"kind": "sound_folder", "path": str(root), "features": features})
