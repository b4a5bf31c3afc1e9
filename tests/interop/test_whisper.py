"""Whisper: theirs in our network gives what it gives in transformers, ours as a folder too.

LUTHIER_MODELS names a folder with whisper-tiny.en, LUTHIER_DATA one with the clip of Kennedy.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

pytest.importorskip("transformers")

import transformers
from foreign import difference
from safetensors.torch import load_file, save_file

from luthier.errors import InputError
from luthier.interop.huggingface.folder import WEIGHTS
from luthier.interop.huggingface.read import Pretrained, read_pretrained
from luthier.interop.huggingface.write import write_pretrained
from luthier.model.stream import Source
from luthier.placement.place import PlacementSpec, place
from luthier.run.finished import Run
from luthier.run.source import find_model
from luthier.tasks.dictation import Dictation, heard
from luthier.tasks.sounds import Sounds

ENOUGH = 1e-5
EXACT = PlacementSpec(device="cpu", precision="fp32", layout="channels_first", threads=1)
ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("LUTHIER_DATA", ROOT.parent / "shared" / "data"))
CLIP = DATA / "speech_recognition" / "whisper_jfk" / "jfk.flac"
FRAMES = torch.randn(2, 40, 10, generator=torch.Generator().manual_seed(1))
TOKENS = torch.randint(0, 61, (2, 7), generator=torch.Generator().manual_seed(2))
SETTINGS = {
    "vocab_size": 61,
    "d_model": 24,
    "encoder_layers": 3,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 40,
    "decoder_ffn_dim": 28,
    "num_mel_bins": 10,
    "max_source_positions": 20,
    "max_target_positions": 16,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 3,
    "suppress_tokens": [5, 6],
    "begin_suppress_tokens": [7, 2],
}


@pytest.fixture(scope="module")
def theirs() -> Any:
    """A small one, with random weights: of norms and biases too, but not of the sines."""
    network = transformers.WhisperForConditionalGeneration(
        transformers.WhisperConfig(**SETTINGS)
    ).eval()
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, tensor in network.named_parameters():
            if name != "model.encoder.embed_positions.weight":
                drawn = torch.randn(tensor.shape, generator=random)
                tensor.copy_(drawn * 0.2 if tensor.ndim > 1 else tensor + drawn * 0.1)
    return network


@pytest.fixture(scope="module")
def folder(theirs: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("whisper") / "theirs"
    theirs.save_pretrained(place)
    return place


@pytest.fixture(scope="module")
def ours(folder: Path) -> Pretrained:
    return read_pretrained(folder)


@torch.no_grad()
def logits(network: Any) -> Tensor:
    given = FRAMES.transpose(1, 2)
    found: Tensor = network(input_features=given, decoder_input_ids=TOKENS).logits
    return found


@torch.no_grad()
def test_logits(theirs: Any, ours: Pretrained) -> None:
    got, wanted = ours.network(TOKENS, None, FRAMES), logits(theirs)
    assert difference(got, wanted) < ENOUGH * max(1.0, float(wanted.abs().max()))
    assert difference(ours.network(TOKENS, None, FRAMES.flip(1)), wanted) > 1e-2


@torch.no_grad()
def test_it_writes_what_is_likeliest_but_not_what_is_suppressed(
    theirs: Any, ours: Pretrained
) -> None:
    """Step by step, without a cache, as Whisper's own program: never means minus infinity."""
    assert ours.target.kind == "written"
    assert ours.target.forced == ()
    task = Dictation(1, ours.target)
    source = Source(ours.network.encode(FRAMES, None), None)
    for row, got in enumerate(task.write(ours.network, source)):
        tokens = [3]
        while len(tokens) < 16:
            scores = theirs(
                input_features=FRAMES[row : row + 1].transpose(1, 2),
                decoder_input_ids=torch.tensor([tokens]),
            ).logits[0, -1]
            scores[SETTINGS["suppress_tokens"]] = -torch.inf
            if len(tokens) == 1:
                scores[SETTINGS["begin_suppress_tokens"]] = -torch.inf
            if int(scores.argmax()) == 2:
                break
            tokens.append(int(scores.argmax()))
        assert got == tokens[1:]


@torch.no_grad()
def test_transformers_reads_what_is_written(theirs: Any, ours: Pretrained, tmp_path: Path) -> None:
    written = write_pretrained(ours, tmp_path / "ours")
    kind = transformers.WhisperForConditionalGeneration
    again, told = kind.from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not told["missing_keys"]
    assert not told["unexpected_keys"]
    assert not told["mismatched_keys"]
    wanted = logits(theirs)
    assert difference(logits(again.eval()), wanted) < ENOUGH * max(1.0, float(wanted.abs().max()))
    assert written.family == "Whisper"
    assert again.generation_config.decoder_start_token_id == 3
    assert again.generation_config.suppress_tokens == [5, 6]


def test_other_positions_than_sines_are_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    tensors = load_file(folder / WEIGHTS)
    tensors["model.encoder.embed_positions.weight"][3, 4] += 0.01
    save_file(tensors, tmp_path / WEIGHTS)
    with pytest.raises(InputError, match=r"embed_positions\.weight: is not the sines"):
        read_pretrained(tmp_path)


@pytest.fixture(scope="module")
def real() -> Path:
    """Where Whisper tiny.en lies on this machine."""
    models = os.environ.get("LUTHIER_MODELS")
    found = sorted(Path(models).glob("**/whisper-tiny.en/config.json")) if models else []
    if not found:
        pytest.skip("no whisper-tiny.en: LUTHIER_MODELS")
    if not CLIP.exists():
        pytest.skip(f"no {CLIP}: LUTHIER_DATA")
    return found[0].parent


@pytest.mark.real_weights
@pytest.mark.real_data
@torch.no_grad()
def test_the_same_tokens_of_a_real_clip(real: Path) -> None:
    source = find_model(real)
    run = Run(source, place(source.model.network, EXACT))
    frames = run.inputs.samples([CLIP], 0).frames[0]
    extractor = transformers.WhisperFeatureExtractor.from_pretrained(real)
    wave = source.model.inputs.form.wave(CLIP.read_bytes()).copy()
    features = extractor(wave, sampling_rate=16_000, return_tensors="pt").input_features
    assert difference(frames.T[None], features) < 1e-3
    network = transformers.WhisperForConditionalGeneration.from_pretrained(real).eval()
    pair = source.model.network
    for beams in (1, 3):
        wanted = network.generate(features, num_beams=beams, do_sample=False)[0].tolist()
        prompt = [50257, 50362]
        wanted = [token for token in wanted if token not in (*prompt, 50256)]
        given, _ = heard(pair, Sounds(frames, (len(frames),)))
        assert run.task.with_beams(beams).write(pair, given)[0] == wanted
    said = run.predict([CLIP])[0]
    assert said["text"].startswith("And so my fellow Americans")
    assert said["seconds"] == 11.0
