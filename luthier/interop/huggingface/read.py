"""From a Hugging Face folder to a network in use: `read_pretrained`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from luthier.data.sound.form import SoundForm
from luthier.data.target import Documents, Labels, Spans, Tags, Target
from luthier.data.text.tokens.tokenizer import Tokenizer
from luthier.errors import DataError, InputError
from luthier.interop.huggingface.config import Config
from luthier.interop.huggingface.correspondence import Match
from luthier.interop.huggingface.designs import designs
from luthier.interop.huggingface.families import family_of
from luthier.interop.huggingface.family import Design, Family
from luthier.interop.huggingface.folder import (
    CHAT_TEMPLATE,
    CONFIG,
    TOKENIZER,
    TOKENIZER_CONFIG,
    ModelFiles,
    open_folder,
)
from luthier.interop.huggingface.frame import Frame
from luthier.interop.huggingface.labels import names_of_labels
from luthier.interop.huggingface.paged import built, model_of
from luthier.interop.huggingface.pairs import task_of_texts, written_of_texts
from luthier.interop.huggingface.row import Row
from luthier.interop.huggingface.special_tokens import SpecialTokens, ends, special_tokens
from luthier.interop.huggingface.speech import sound_form, written
from luthier.interop.huggingface.tensors import fill
from luthier.model.block import BlockSpec
from luthier.model.blocks.unembed import UnembedSpec
from luthier.model.blueprint import SCORES_TOKENS, Aim, LayersSpec, Network
from luthier.model.encoder_decoder import EncoderDecoderSpec
from luthier.signal import Signal
from luthier.tasks import TaskSpec
from luthier.tasks.classify import ClassifySpec
from luthier.tasks.extract import ExtractSpec
from luthier.tasks.language import LanguageSpec
from luthier.tasks.tag import TagSpec
from luthier.tasks.transcribe import TranscribeSpec

MOST_VECTORS_A_TOKEN = 2
"""Networks have some vectors more than tokens, for a size that divides well; with twice as many,
the tokenizer is another one's."""
LONGEST_ANSWER = 30
"""Tokens, where nothing is known of what was learned: those of BERT's own program for SQuAD."""


@dataclass(frozen=True, kw_only=True)
class Pretrained:
    """A network that somebody trained, with all that its use needs.

    What `luthier/run` makes a finished model of.
    """

    source: str
    """Where it was read from."""
    family: str
    """What messages call its family: `Llama`."""
    reads: Signal
    model: LayersSpec | EncoderDecoderSpec
    head: tuple[BlockSpec, ...]
    """The blocks behind the layers and the neck."""
    network: Network
    """With its weights, on the CPU, in evaluation mode."""
    aim: Aim | None
    """What it was trained for; none for layers without a head."""
    tokenizer: Tokenizer | None
    """None where the folder has none."""
    specials: SpecialTokens
    frame: Frame
    """What its tokenizer puts around a text."""
    task: TaskSpec | None
    """None for layers without a head."""
    target: Target | None
    template: str | None
    """The chat template, in Jinja."""
    ends: tuple[int, ...] = ()
    """The tokens of which each ends a text that it writes."""
    designs: Mapping[Aim, LayersSpec] = field(default_factory=dict)
    """The layers with the neck that its family has for an aim, for what is trained next."""
    writes: Signal | None = None
    """What its decoder reads; none where there is no encoder."""
    sounds: SoundForm | None = None
    """How a sound becomes what it reads; none where it reads texts."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What config.json says of a network, before any weight is read."""

    config: Config
    family: Family
    aim: Aim | None
    reads: Signal
    model: LayersSpec | EncoderDecoderSpec
    head: tuple[BlockSpec, ...]
    texts: Signal
    """What reads or writes tokens: the network, or its decoder."""

    @property
    def writes(self) -> Signal | None:
        """What a decoder reads; none where there is no encoder."""
        return self.texts if isinstance(self.model, EncoderDecoderSpec) else None

    def network(self, context: int | None = None) -> Network:
        """The network, on the meta device.

        Args:
            context: The longest text that it is measured for; none takes all that it reads.
        """
        longest = self.texts.shape[0]
        texts = Signal.tokens(min(context or longest, longest), self.texts.vocab)
        reads = texts if self.reads.form == "tokens" else self.reads
        return built(self.model, reads, texts, self.head)


def plan_of(folder: ModelFiles) -> Plan:
    """The network that a folder describes.

    Raises:
        InputError: If luthier has no family for it, or the family no such layers.
    """
    config = config_of(folder)
    family = family_of(config)
    _, aim = family.aim(config)
    design = family.design(config, aim)
    vocab = config.whole("vocab_size")
    texts = Signal.tokens(design.context, vocab)
    return Plan(
        config=config,
        family=family,
        aim=aim,
        reads=design.source or texts,
        model=model_of(design, config.source),
        head=_head(design, aim, vocab),
        texts=texts,
    )


def read_pretrained(place: Path | str, dtype: torch.dtype | None = torch.float32) -> Pretrained:
    """The network in a Hugging Face folder.

    Args:
        place: The folder, or the name of a model on the hub.
        dtype: Of the weights; none leaves them as they are stored.

    Raises:
        InputError: If the folder cannot be used; says why, and what to do.
    """
    return read_files(open_folder(place), dtype)


def read_files(folder: ModelFiles, dtype: torch.dtype | None = torch.float32) -> Pretrained:
    """The network that some files hold. Raises what `read_pretrained` raises."""
    plan = plan_of(folder)
    tokenizer = tokenizer_of(folder, plan.texts.vocab)
    network = plan.network()
    matches = plan.family.matches(Row.of(network), plan.aim)
    _load(network, folder.tensors(), plan.family, matches, dtype, str(folder.path))
    specials = special_tokens(folder, plan.config, tokenizer)
    around, last = frame_of(folder), ends(folder, plan.config)
    sounds = None if plan.reads.form == "tokens" else sound_form(folder, plan.reads)
    task: TaskSpec | None = task_of(plan.aim)
    target: Target | None
    if plan.writes is not None:
        task, target = _writing(folder, plan, plan.writes, _end(folder, specials, last))
    else:
        said = partial(documents, plan.reads.vocab, specials, around, last)
        target = _target(plan.config, plan.aim, said)
    return Pretrained(
        source=str(folder.path),
        family=plan.family.name,
        reads=plan.reads,
        model=plan.model,
        head=plan.head,
        network=network.eval(),
        aim=plan.aim,
        tokenizer=tokenizer,
        specials=specials,
        frame=around,
        task=task,
        target=target,
        template=_template(folder),
        ends=last,
        designs=designs(folder, plan.family, plan.config),
        writes=plan.writes,
        sounds=sounds,
    )


def _writing(folder: ModelFiles, plan: Plan, writes: Signal, end: int) -> tuple[TaskSpec, Target]:
    """What a decoder does, and what its texts begin with and end at."""
    if plan.reads.form == "tokens":
        target = written_of_texts(folder, plan.config, writes, end)
        return task_of_texts(folder, plan.config), target
    return TranscribeSpec(by="attention"), written(folder, plan.config, writes, end)


def _end(folder: ModelFiles, specials: SpecialTokens, last: tuple[int, ...]) -> int:
    """The token that ends a text.

    Raises:
        InputError: If no file names one.
    """
    found = last[0] if last else specials.get("end")
    if found is None:
        raise InputError(f"{folder.path}: names no eos_token_id, so that no text would end")
    return found


def config_of(folder: ModelFiles) -> Config:
    """What config.json says."""
    values = folder.json(CONFIG)
    assert values is not None, "a folder without config.json"
    return Config(values, str(folder.path / CONFIG))


def task_of(aim: Aim | None) -> TaskSpec | None:
    """The task that a network was trained for."""
    match aim:
        case "next_token" | "masked":
            return LanguageSpec(objective=aim)
        case "labels":
            return ClassifySpec()
        case "tags":
            return TagSpec()
        case "answers":
            return ExtractSpec()
        case _:
            return None


def _head(design: Design, aim: Aim | None, vocab: int) -> tuple[BlockSpec, ...]:
    if aim in SCORES_TOKENS:
        return (UnembedSpec(vocab=vocab),)
    return design.head


def _load(
    network: Network,
    tensors: Mapping[str, Tensor],
    family: Family,
    matches: Sequence[Match],
    dtype: torch.dtype | None,
    source: str,
) -> None:
    """Gives a network from the meta device its memory and its weights."""
    kinds = {tensor.dtype for tensor in tensors.values() if tensor.is_floating_point()}
    if dtype is None:
        # One that is kept more exactly than the others says what all must hold.
        dtype = max(kinds, key=lambda kind: kind.itemsize, default=torch.float32)
    network.to(dtype).to_empty(device="cpu")
    fill(network, tensors, matches, family, source)


def tokenizer_of(folder: ModelFiles, vocab: int) -> Tokenizer | None:
    """The tokenizer of a network with so many tokens; none where the folder has none.

    Raises:
        InputError: If it does not belong to the network.
    """
    text = folder.text(TOKENIZER)
    if text is None:
        return None
    try:
        found = Tokenizer.from_json(text)
        if found.own_size * MOST_VECTORS_A_TOKEN < vocab:
            raise DataError(f"has {found.own_size:,} tokens, but the network vectors for {vocab:,}")
        return found.of_a_network(vocab)
    except DataError as error:
        raise InputError(
            f"{folder.path / TOKENIZER}: {error}; bring the one that belongs to the network"
        ) from None


def frame_of(folder: ModelFiles) -> Frame:
    """What the tokenizer of a folder puts around a text."""
    text = folder.text(TOKENIZER)
    return Frame() if text is None else Frame.of(text)


def _template(folder: ModelFiles) -> str | None:
    """The chat template: in a file of its own, or in tokenizer_config.json."""
    text = folder.text(CHAT_TEMPLATE)
    if text is not None:
        return text
    found = (folder.json(TOKENIZER_CONFIG) or {}).get("chat_template")
    if isinstance(found, list):  # several, each with a name
        named = {one.get("name"): one.get("template") for one in found if isinstance(one, dict)}
        found = named.get("default")
    return found if isinstance(found, str) else None


def documents(
    vocab: int, specials: SpecialTokens, frame: Frame, last: tuple[int, ...], aim: Aim
) -> Documents:
    """What a network learned that gives scores to tokens.

    Args:
        vocab: Its tokens.
        specials: Those with a meaning of their own.
        frame: What its tokenizer puts around a text.
        last: The tokens that end a text.
        aim: Whether it writes.

    Raises:
        InputError: If its tokenizer puts several tokens before a text that it writes on.
    """
    wanted = LanguageSpec(objective="masked" if aim == "masked" else "next_token").purpose()
    found = {name: specials[name] for name in wanted.specials if name in specials}
    if aim == "masked":
        return Documents(vocab=vocab, specials=found)
    if len(frame.before) > 1:
        raise InputError(
            f"the tokenizer puts {len(frame.before)} tokens before a text; wanted one or none"
        )
    if not frame.before:
        return Documents(vocab=vocab, specials=found, opening="nothing", ends=last)
    return Documents(vocab=vocab, specials=found, opening=frame.before[0], ends=last)


def _target(config: Config, aim: Aim | None, written: Callable[[Aim], Documents]) -> Target | None:
    match aim:
        case "labels":
            return Labels(names=names_of_labels(config))
        case "tags":
            return Tags(names=names_of_labels(config))
        case "answers":
            return Spans(longest=LONGEST_ANSWER)
        case "masked" | "next_token":
            return written(aim)
        case _:
            return None
