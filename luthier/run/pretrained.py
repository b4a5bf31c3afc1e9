"""Somebody's pretrained network as a finished model of ours, and the way back."""

from __future__ import annotations

from luthier.data.chat.form import ChatForm
from luthier.data.chat.template import USUAL_DAY
from luthier.data.pairs.pair_inputs import PairForm, PairInputs
from luthier.data.purpose import Special
from luthier.data.sound.form import SoundForm
from luthier.data.sound.sound_examples import Writer
from luthier.data.sound.sound_inputs import SoundInputs
from luthier.data.target import Documents, Written
from luthier.data.text.labelled.encoding import TextForm
from luthier.data.text.labelled.inputs import TextInputs
from luthier.data.text.questions.prepare_questions import SHARED
from luthier.data.text.tokens.tokenizer import Tokenizer
from luthier.errors import InputError
from luthier.interop.huggingface.frame import Frame
from luthier.interop.huggingface.read import Pretrained
from luthier.interop.huggingface.special_tokens import THEIR_NAMES, SpecialTokens
from luthier.model.blueprint import Aim, LayersSpec
from luthier.run.model_folder import Blueprint, FinishedModel
from luthier.tasks.classify import ClassifySpec
from luthier.tasks.extract import ExtractSpec
from luthier.tasks.language import LanguageSpec
from luthier.tasks.preference import PreferenceSpec
from luthier.tasks.tag import TagSpec

SPECIALS: tuple[Special, ...] = ("end", "first", "separator", "pad", "mask", "unknown")


def finished_model(pretrained: Pretrained) -> FinishedModel:
    """A pretrained network as a finished model.

    Raises:
        InputError: If there is no tokenizer, or it puts around a text what luthier does not.
    """
    if pretrained.tokenizer is None:
        raise InputError(
            f"{pretrained.source}: has no tokenizer.json; bring it. What older folders have instead"
            " becomes one where transformers is installed: AutoTokenizer.from_pretrained(…)"
            ".save_pretrained(…)"
        )
    if pretrained.sounds is not None:
        return _for_sounds(pretrained, pretrained.sounds, pretrained.tokenizer)
    if isinstance(pretrained.target, Written):
        return _for_pairs(pretrained, pretrained.tokenizer)
    tokenizer, answers = pretrained.tokenizer, pretrained.aim == "answers"
    form = TextForm(
        context=pretrained.reads.shape[0],
        framed=_framed(pretrained, tokenizer),
        words="ends" if pretrained.aim == "tags" else None,
        masks=pretrained.aim == "masked",
        pairs=answers,
        overlap=pretrained.reads.shape[0] // SHARED if answers else None,
        chat=_chat(pretrained),
    )
    template = None
    if form.chat is not None:
        assert pretrained.template is not None
        told = f"the chat template of {pretrained.source}"
        template = form.chat.template(pretrained.template, told)
        template.check()
    return _finished(pretrained, TextInputs(tokenizer, form, template))


def _finished(
    pretrained: Pretrained, inputs: SoundInputs | PairInputs | TextInputs
) -> FinishedModel:
    """Its network and task, with what becomes of what somebody gives it."""
    return FinishedModel(
        blueprint=Blueprint(
            reads=pretrained.reads,
            model=pretrained.model,
            head=tuple(pretrained.head),
            writes=pretrained.writes,
        ),
        network=pretrained.network,
        task=pretrained.task,
        target=pretrained.target,
        inputs=inputs,
    )


def _for_sounds(pretrained: Pretrained, form: SoundForm, tokenizer: Tokenizer) -> FinishedModel:
    """A network that writes what is said in sounds."""
    hop = form.features.hop_seconds
    writer = Writer(tokenizer=tokenizer, language=None, hop_seconds=hop, spaced=True)
    return _finished(pretrained, SoundInputs(form, writer))


def _for_pairs(pretrained: Pretrained, tokenizer: Tokenizer) -> FinishedModel:
    """A network that writes a text of each text."""
    frame = pretrained.frame
    form = PairForm(
        context=pretrained.reads.shape[0], before=frame.before, behind=frame.behind, cut="end"
    )
    return _finished(pretrained, PairInputs(tokenizer, tokenizer, form))


def _of_pairs(model: FinishedModel, target: Written, source: str) -> Pretrained:
    """A network that writes a text of each text, as what another format is written from.

    Raises:
        InputError: If it has a tokenizer for each side.
    """
    blueprint, inputs = model.blueprint, model.inputs
    assert isinstance(inputs, PairInputs)
    assert blueprint.model is not None
    tokenizer = inputs.tokenizer
    if inputs.target_tokenizer is not tokenizer:
        raise InputError(
            f"{source}: has a tokenizer for each side, and the families of Hugging Face's format "
            "that luthier writes have one for both; train it without data.target_tokenizer"
        )
    specials: dict[Special, int] = {"end": target.end}
    pad = tokenizer.special("pad")
    # Theirs fills rows up, and wants a token to do it with.
    specials["pad"] = target.end if pad is None else pad
    if inputs.form.before:
        specials["first"] = inputs.form.before[0]
    return Pretrained(
        source=source,
        family="",
        reads=blueprint.reads,
        model=blueprint.model,
        head=blueprint.head,
        network=model.network,
        aim="pairs",
        tokenizer=tokenizer,
        specials=specials,
        frame=Frame(inputs.form.before, inputs.form.behind),
        task=model.task,
        target=target,
        template=None,
        ends=(target.end,),
        writes=blueprint.writes,
    )


def _of_sounds(model: FinishedModel, source: str) -> Pretrained:
    """A network that writes what is said in sounds, as what another format is written from."""
    blueprint, inputs, target = model.blueprint, model.inputs, model.target
    assert isinstance(inputs, SoundInputs)
    assert isinstance(target, Written)
    assert inputs.writer is not None, "a network that writes"
    assert blueprint.model is not None
    return Pretrained(
        source=source,
        family="",
        reads=blueprint.reads,
        model=blueprint.model,
        head=blueprint.head,
        network=model.network,
        aim="pairs",
        tokenizer=inputs.writer.tokenizer,
        specials={"end": target.end, "first": target.end, "pad": target.end},
        frame=Frame((target.opening, *target.forced), (target.end,)),
        task=model.task,
        target=target,
        template=None,
        ends=(target.end,),
        writes=blueprint.writes,
        sounds=inputs.form,
    )


def pretrained_of(model: FinishedModel, source: str) -> Pretrained:
    """A finished model as what another format is written from.

    Args:
        model: Ours.
        source: Where it is, for messages.

    Raises:
        InputError: If what it does has no name there.
    """
    blueprint, inputs, target = model.blueprint, model.inputs, model.target
    if isinstance(inputs, SoundInputs) and isinstance(target, Written):
        return _of_sounds(model, source)
    if isinstance(inputs, PairInputs) and isinstance(target, Written):
        return _of_pairs(model, target, source)
    if not isinstance(blueprint.model, LayersSpec) or not isinstance(inputs, TextInputs):
        raise InputError(
            f"{source}: reads {blueprint.reads}; networks of luthier's layers that read texts are "
            "what Hugging Face's format has here"
        )
    aim = _aim(model, source)
    if inputs.form.matches:
        raise InputError(
            f"{source}: marks the tokens of a context that the question has too (data.matches), "
            "which nothing in Hugging Face's format says"
        )
    tokenizer, form = inputs.tokenizer, inputs.form
    specials = {name: tokenizer.special(name) for name in SPECIALS}
    found = {name: number for name, number in specials.items() if number is not None}
    frame, ends = Frame(), tuple[int, ...]()
    if isinstance(target, Documents) and aim == "next_token":
        frame = Frame(() if target.begins is None else (target.begins,), ())
        found |= {} if target.begins is None else {"first": target.begins}
        ends = target.ends
    elif form.framed:
        separator = found.get("separator", found.get("end"))
        assert separator is not None, "a text that is framed without a separator"
        frame = Frame((found["first"],), (separator,))
    if form.chat is not None:
        found |= _as_the_template_says(form.chat, tokenizer)
        ends = tuple(dict.fromkeys((*form.chat.stops, *ends)))
    if ends and "end" in found:
        ends = tuple(dict.fromkeys((*ends, found["end"])))
    return Pretrained(
        source=source,
        family="",
        reads=blueprint.reads,
        model=blueprint.model,
        head=blueprint.head,
        network=model.network,
        aim=aim,
        tokenizer=tokenizer,
        specials=found,
        frame=frame,
        task=model.task,
        target=target,
        template=None if inputs.template is None else inputs.template.source,
        ends=ends,
    )


def _as_the_template_says(chat: ChatForm, tokenizer: Tokenizer) -> dict[Special, int]:
    """The special tokens that a template writes by what it calls them: with other ones, it would
    write other texts."""
    told: dict[Special, str] = {"first": "bos_token", "end": "eos_token"}
    numbers = {
        special: tokenizer.number(chat.names[name])
        for special, name in told.items()
        if name in chat.names
    }
    return {special: number for special, number in numbers.items() if number is not None}


def _aim(model: FinishedModel, source: str) -> Aim | None:
    match model.task:
        case LanguageSpec(objective=objective):
            return objective
        case PreferenceSpec():
            return "next_token"
        case ClassifySpec():
            return "labels"
        case TagSpec(crf=False):
            return "tags"
        case ExtractSpec():
            return "answers"
        case None:
            return None
        case other:
            crf = " with crf" if isinstance(other, TagSpec) else ""
            raise InputError(
                f"{source}: learned to {other.kind.replace('_', ' ')}{crf}, which Hugging Face's "
                "format has no class for"
            )


def _framed(pretrained: Pretrained, tokenizer: Tokenizer) -> bool:
    """Whether a text stands between a first token and a separator.

    Raises:
        InputError: If something else stands around it.
    """
    frame = pretrained.frame
    if pretrained.aim == "next_token" or frame == Frame():
        return False
    first = tokenizer.special("first")
    separators = {tokenizer.special("separator"), tokenizer.special("end")} - {None}
    if frame.before == (first,) and len(frame.behind) == 1 and separators & {*frame.behind}:
        return True
    if pretrained.aim is None:
        # Its layers are a start for what is trained yet, which need not be framed as they were.
        return False
    raise InputError(
        f"{pretrained.source}: its tokenizer puts {len(frame.before)} tokens before a text and "
        f"{len(frame.behind)} behind it; luthier can put a first token and a separator, or nothing"
    )


def _chat(pretrained: Pretrained) -> ChatForm | None:
    """How conversations become texts, where it has a template for them."""
    if pretrained.template is None or pretrained.aim != "next_token":
        return None
    assert pretrained.tokenizer is not None
    names = names_for_templates(pretrained.specials, pretrained.tokenizer)
    stops = pretrained.ends or tuple(
        number for name, number in pretrained.specials.items() if name == "end"
    )
    return ChatForm(names=names, stops=stops, day=USUAL_DAY.isoformat())


def names_for_templates(specials: SpecialTokens, tokenizer: Tokenizer) -> dict[str, str]:
    """The names of special tokens, by what chat templates call them: `bos_token`."""
    return {
        f"{word}_token": tokenizer.name(number)
        for special, number in specials.items()
        for word in THEIR_NAMES[special]
    }
