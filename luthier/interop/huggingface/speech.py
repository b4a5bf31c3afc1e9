"""What a folder for speech says beside its network: of sounds, and of the texts that it writes.

preprocessor_config.json        how a sound becomes features
generation_config.json          what a text begins with and ends at, and which tokens it never has
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from luthier.data.sound.features import LogMelSpec
from luthier.data.sound.form import SoundForm
from luthier.data.target import Written
from luthier.errors import InputError
from luthier.interop.huggingface.config import Config
from luthier.interop.huggingface.folder import GENERATION, PREPROCESSOR, ModelFiles
from luthier.signal import Signal

RATE, HOP, WINDOW = 16_000, 160, 400
"""Samples a second; from one frame to the next; of a frame. Whisper's, where the file is not there.
"""
LANGUAGE, TASK = "<|en|>", "transcribe"
"""What a model of many languages is told, where the folder does not say another."""


def sound_form(folder: ModelFiles, reads: Signal) -> SoundForm:
    """How a sound becomes what the network reads.

    Args:
        folder: With preprocessor_config.json, or what is usual.
        reads: What the encoder reads.

    Raises:
        InputError: If the file speaks of other features than Whisper's, or of more of them.
    """
    about = Config(folder.json(PREPROCESSOR) or {}, str(folder.path / PREPROCESSOR))
    about.must_be("feature_extractor_type", ("WhisperFeatureExtractor",), "features of another")
    rate, hop = about.whole("sampling_rate", RATE), about.whole("hop_length", HOP)
    bins, (frames, width) = about.whole("feature_size", reads.width), reads.shape
    if bins != width:
        raise about.wrong("feature_size", bins, f"{width}, as in config.json (num_mel_bins)")
    return SoundForm(
        rate=rate,
        features=LogMelSpec(
            bins=bins,
            window_seconds=about.whole("n_fft", WINDOW) / rate,
            hop_seconds=hop / rate,
        ),
        normalize="none",
        seconds=frames * hop / rate,
        fill_seconds=frames * hop / rate,
    )


def written(folder: ModelFiles, config: Config, writes: Signal, end: int) -> Written:
    """What its texts begin with, end at, and never have.

    Args:
        folder: With generation_config.json, or an older config.json that says the same.
        config: Its config.json.
        writes: What the decoder reads.
        end: The token that ends a text.

    Raises:
        InputError: If what is said is of no token of the network.
    """
    generation = folder.json(GENERATION) or {}
    said = {**config.values, **generation}
    longest = Config(generation, str(folder.path / GENERATION)).whole("max_length", writes.shape[0])
    opening = said.get("decoder_start_token_id")
    found = Written(
        vocab=writes.vocab,
        context=min(longest, writes.shape[0]),
        end=end,
        opening=end if opening is None else opening,
        forced=_forced(said),
        suppressed=tuple(said.get("suppress_tokens") or ()),
        suppressed_first=tuple(said.get("begin_suppress_tokens") or ()),
    )
    numbers = (found.opening, *found.forced, *found.suppressed, *found.suppressed_first)
    wrong = [number for number in numbers if not 0 <= number < writes.vocab]
    if wrong:
        raise InputError(
            f"{folder.path / GENERATION}: names the token {wrong[0]}, but the network has "
            f"{writes.vocab:,}; these files do not belong together: bring all of them again"
        )
    return found


def _forced(said: Mapping[str, Any]) -> tuple[int, ...]:
    """The tokens behind the first: language and task, where there are several, and that no times
    are written."""
    given = {place: token for place, token in said.get("forced_decoder_ids") or () if token}
    languages, tasks = said.get("lang_to_id") or {}, said.get("task_to_id") or {}
    usual = [languages.get(LANGUAGE), tasks.get(TASK)]
    found = [given.get(place, token) for place, token in enumerate(usual, 1) if languages or given]
    timeless = said.get("no_timestamps_token_id")
    if timeless is None:
        found += [token for place, token in sorted(given.items()) if place > len(usual)]
    tokens = [*found, timeless]
    return tuple(dict.fromkeys(token for token in tokens if isinstance(token, int)))


def of_speech(form: SoundForm, target: Written) -> dict[str, dict[str, Any]]:
    """Both files, as `sound_form` and `written` read them.

    Raises:
        InputError: If the features are none that the format has a name for.
    """
    features, seconds = form.features, form.fill_seconds
    if (
        not isinstance(features, LogMelSpec)
        or features.convention != "whisper"
        or seconds is None
        or form.normalize != "none"
    ):
        raise InputError(
            "data: Hugging Face's format has Whisper's features alone: features {kind: log_mel}, "
            "normalize: none and fill_seconds: 30"
        )
    window, hop = features.samples(form.rate)
    generation: dict[str, Any] = {
        "decoder_start_token_id": target.opening,
        "eos_token_id": target.end,
        "pad_token_id": target.end,
        "bos_token_id": target.end,
        "max_length": target.context,
        "suppress_tokens": list(target.suppressed),
        "begin_suppress_tokens": list(target.suppressed_first),
        "return_timestamps": False,
    }
    if target.forced:
        generation["no_timestamps_token_id"] = target.forced[-1]
    if len(target.forced) > 1:
        forced = target.forced[:-1]
        generation["forced_decoder_ids"] = [list(pair) for pair in enumerate(forced, 1)]
    generation["is_multilingual"] = len(target.forced) > 1
    return {
        PREPROCESSOR: {
            "feature_extractor_type": "WhisperFeatureExtractor",
            "processor_class": "WhisperProcessor",
            "feature_size": features.bins,
            "sampling_rate": form.rate,
            "hop_length": hop,
            "n_fft": window,
            "chunk_length": round(seconds),
            "n_samples": round(seconds * form.rate),
            "nb_max_frames": round(seconds * form.rate) // hop,
            "padding_side": "right",
            "padding_value": 0.0,
            "return_attention_mask": False,
        },
        GENERATION: generation,
    }
