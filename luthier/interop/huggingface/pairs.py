"""What a folder says of the texts that its network writes of others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from luthier.data.target import Written
from luthier.errors import InputError
from luthier.interop.huggingface.config import Config
from luthier.interop.huggingface.folder import CONFIG, GENERATION, ModelFiles
from luthier.signal import Signal
from luthier.tasks.seq2seq import Seq2SeqSpec


def written_of_texts(folder: ModelFiles, config: Config, writes: Signal, end: int) -> Written:
    """What its texts begin with, end at, and never have.

    Args:
        folder: With generation_config.json, or an older config.json that says the same.
        config: Its config.json.
        writes: What the decoder reads.
        end: The token that ends a text.

    Raises:
        InputError: If what is said is of no token of the network.
    """
    said = Config(_said(folder, config), str(folder.path / CONFIG))
    places = writes.shape[0]
    forced, opening = (
        said.values.get(name) for name in ("forced_bos_token_id", "decoder_start_token_id")
    )
    never = [words[0] for words in said.values.get("bad_words_ids") or () if len(words) == 1]
    found = Written(
        vocab=writes.vocab,
        # Theirs counts the token before the first one too.
        context=max(1, min(said.whole("max_length", places + 1) - 1, places)),
        end=end,
        opening=end if opening is None else opening,
        forced=() if forced is None else (forced,),
        suppressed=tuple(dict.fromkeys([*(said.values.get("suppress_tokens") or ()), *never])),
        suppressed_first=tuple(said.values.get("begin_suppress_tokens") or ()),
        one_tokenizer=True,
    )
    numbers = (found.opening, *found.forced, *found.suppressed, *found.suppressed_first)
    wrong = [number for number in numbers if not 0 <= number < writes.vocab]
    if wrong:
        raise InputError(
            f"{folder.path}: {GENERATION} or {CONFIG} names the token {wrong[0]}, but the network "
            f"has {writes.vocab:,}; these files do not belong together: bring all of them again"
        )
    return found


def task_of_texts(folder: ModelFiles, config: Config) -> Seq2SeqSpec:
    """How its texts are searched for."""
    said = Config(_said(folder, config), str(folder.path / CONFIG))
    usual = Seq2SeqSpec()
    return Seq2SeqSpec(
        beams=said.whole("num_beams", usual.beams),
        length_penalty=said.number("length_penalty", usual.length_penalty),
    )


def about_written(target: Written, task: Any) -> dict[str, Any]:
    """The same as generation_config.json has it, beside the numbers of special tokens."""
    found: dict[str, Any] = {
        "decoder_start_token_id": target.opening,
        "max_length": target.context + 1,
    }
    if target.forced:
        found["forced_bos_token_id"] = target.forced[0]
    if target.suppressed:
        found["suppress_tokens"] = list(target.suppressed)
    if target.suppressed_first:
        found["begin_suppress_tokens"] = list(target.suppressed_first)
    if isinstance(task, Seq2SeqSpec):
        found |= {
            "num_beams": task.beams,
            "length_penalty": task.length_penalty,
            "early_stopping": True,
        }
    return found


def _said(folder: ModelFiles, config: Config) -> Mapping[str, Any]:
    return {**config.values, **(folder.json(GENERATION) or {})}
