"""How fast Whisper writes what is said: luthier beside transformers, of the same file.

    python benchmarks/speech_speed.py ../models/whisper-tiny.en \
        ../shared/data/speech_recognition/whisper_jfk/jfk.flac --turns 5 --threads 1

Each in a process of its own, the file decoded once before; a turn is from samples to text, greedy.
The real-time factor is the time of a turn by the length of the sound; the median of the turns is
told, after one that does not count. Both must write the same text.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

WHO = ("luthier", "transformers")


def of_luthier(folder: Path, wave: Any) -> Callable[[], str]:
    """A turn of ours."""
    import torch

    from luthier.data.sound.sound_inputs import SoundInputs
    from luthier.model.blueprint import Network
    from luthier.placement.place import PlacementSpec, place
    from luthier.run.finished import Run
    from luthier.run.source import find_model
    from luthier.tasks.dictation import Dictation, heard
    from luthier.tasks.sounds import Sounds

    source = find_model(folder)
    threads = torch.get_num_threads()
    spec = PlacementSpec(device="cpu", precision="fp32", layout="channels_first", threads=threads)
    run = Run(source, place(source.model.network, spec))
    inputs, task, network = run.inputs, run.task, run.placed.network
    assert isinstance(inputs, SoundInputs)
    assert inputs.writer is not None
    assert isinstance(task, Dictation)
    assert isinstance(network, Network)
    form, tokenizer = inputs.form, inputs.writer.tokenizer

    @torch.inference_mode()
    def turn() -> str:
        frames = form.filled(form.normal(form.frames(torch.from_numpy(wave))))
        given, _ = heard(network, Sounds(frames, (len(frames),)))
        return str(tokenizer.decode(task.write(network, given)[0])).strip()

    return turn


def of_transformers(folder: Path, wave: Any) -> Callable[[], str]:
    """A turn of theirs."""
    import torch
    import transformers

    network = transformers.WhisperForConditionalGeneration.from_pretrained(folder).eval()
    extractor = transformers.WhisperFeatureExtractor.from_pretrained(folder)
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))

    @torch.inference_mode()
    def turn() -> str:
        features = extractor(wave, sampling_rate=16_000, return_tensors="pt").input_features
        found = network.generate(features, do_sample=False, num_beams=1)[0]
        return str(tokenizer.decode(found, skip_special_tokens=True)).strip()

    return turn


def measured(who: str, folder: Path, clip: Path, turns: int, threads: int) -> dict[str, Any]:
    """The median of some turns, in this process."""
    import torch

    from luthier.data.sound.decoder import decode

    torch.set_num_threads(threads)
    wave = decode(clip.read_bytes(), 16_000).copy()
    turn = (of_luthier if who == "luthier" else of_transformers)(folder, wave)
    text, times = turn(), []
    for _ in range(turns):
        start = time.process_time() if threads == 1 else time.perf_counter()
        turn()
        times.append((time.process_time() if threads == 1 else time.perf_counter()) - start)
    median = statistics.median(times)
    seconds = len(wave) / 16_000
    return {"who": who, "seconds": median, "factor": median / seconds, "text": text}


def main() -> None:
    """Measures both, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="1 counts the time of the CPU.")
    parser.add_argument("--who", choices=WHO)
    given = parser.parse_args()
    if given.who is not None:
        found = measured(given.who, given.folder, given.clip, given.turns, given.threads)
        print(json.dumps(found))
        return
    results = []
    for who in WHO:
        command = [sys.executable, *sys.argv, "--who", who]
        told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        results.append(json.loads(told.stdout.splitlines()[-1]))
        print(f"{who:>13}: {results[-1]['seconds']:.3f} s, factor {results[-1]['factor']:.4f}")
    assert results[0]["text"] == results[1]["text"], [one["text"] for one in results]
    print(f"luthier is {results[1]['seconds'] / results[0]['seconds']:.2f} times as fast.")


if __name__ == "__main__":
    main()
