"""Whole folders of Hugging Face's own: a tiny network with a tokenizer of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tokenizers
import transformers
from foreign import theirs
from tokenizers import decoders, models, pre_tokenizers, processors, trainers

TEXT = (
    "the fox met a dog by the sea. the dog met a fox! a hen saw the fox, and the sea saw a hen. "
    "what did the dog say? it said: the sea is wide, the fox is red, and I am a dog."
)
SPECIALS = ("<pad>", "<s>", "</s>", "<|user|>", "<|bot|>")
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{{ '<|user|>' if m.role == 'user' else '<|bot|>' }}"
    "{{ m.content }}{{ eos_token }}{% endfor %}{% if add_generation_prompt %}<|bot|>{% endif %}"
)


def tokenizer(*, framed: bool | None, template: str | None = None) -> Any:
    """A byte-level BPE as transformers has it, of about 300 tokens.

    Args:
        framed: Whether it puts `<s>` before a text; none puts `<s>` before and `</s>` behind.
        template: For chat.
    """
    inner = tokenizers.Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=list(SPECIALS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator([TEXT] * 3, trainer)
    if framed is not False:
        single = "<s> $A </s>" if framed is None else "<s> $A"
        numbers = [(name, inner.token_to_id(name)) for name in ("<s>", "</s>")]
        inner.post_processor = processors.TemplateProcessing(
            single=single, pair=None, special_tokens=numbers
        )
    made = transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token="<s>", eos_token="</s>", pad_token="<pad>"
    )
    made.chat_template = template
    return made


def folder(
    place: Path,
    kind: str = "LlamaForCausalLM",
    *,
    framed: bool | None = True,
    template: str | None = None,
    spare: int = 0,
    ends: Sequence[int] = (2,),
    **settings: Any,
) -> tuple[Any, Any]:
    """Their network and their tokenizer, written to `place`.

    Args:
        place: The folder.
        kind: Of the network.
        framed: See `tokenizer`.
        template: For chat.
        spare: Vectors for which the tokenizer has no token.
        ends: Tokens that end a text.
        settings: Of its config.
    """
    made = tokenizer(framed=framed, template=template)
    network = theirs(kind, vocab_size=len(made) + spare, **settings)
    if network.can_generate():
        network.generation_config.eos_token_id = list(ends)
        network.generation_config.pad_token_id = 0
    network.save_pretrained(place)
    made.save_pretrained(place)
    return network, made
