"""Conversations, templates and a tokenizer to try things with."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from luthier.data.chat.builtin_templates import BUILTINS
from luthier.data.chat.chat import ChatSpec, day_of
from luthier.data.chat.conversation import Conversation, Message, Role
from luthier.data.chat.prepare_chat import PreparedChat, prepare_chat
from luthier.data.chat.template import ChatTemplate
from luthier.data.chat.template_choice import choose_template
from luthier.data.purpose import Purpose
from luthier.data.text.tokens.tokenizer import Tokenizer
from luthier.data.text.tokens.tokenizer_training import BpeSpec, train_tokenizer
from luthier.spec import parse

NEXT = Purpose(learns="documents", specials=("end",), ahead=1)
TEXTS = ["What is the capital of Norway? Oslo is. A user asks, the assistant answers: yes, no."] * 9
TEXTS += ["Think about it: two and two make four, and the system is kind to everybody."] * 9

CHATML = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content']"
    " + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""As most models write it."""
THOUGHTS = (
    "{% set ns = namespace(last=-1) %}{% for m in messages %}{% if m.role == 'user' %}"
    "{% set ns.last = loop.index0 %}{% endif %}{% endfor %}"
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}{% if m.role == 'assistant' %}"
    "{% set said = m.content.split('</think>')[-1].lstrip('\n') %}"
    "{% if loop.index0 > ns.last %}{{ '<think>\n' }}{% if '</think>' in m.content %}"
    "{{ m.content.split('</think>')[0].split('<think>')[-1].strip() }}{% endif %}"
    "{{ '\n</think>\n\n' + said }}{% else %}{{ said }}{% endif %}{% else %}{{ m.content }}"
    "{% endif %}{{ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""As Qwen 3 writes it: what was thought is shown in the last turn only, and is there always."""
MARKED = (
    "{% for m in messages %}{% if m.role == 'assistant' %}<|im_start|>assistant\n"
    "{% generation %}{{ m.content }}<|im_end|>{% endgeneration %}{{ '\n' }}{% else %}"
    "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endif %}{% endfor %}"
)
STRICT = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant') }}{% endif %}"
    "<|im_start|>{{ 'model' if m.role == 'assistant' else m.role }}\n{{ m.content | trim }}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>model\n{% endif %}"
)
"""As Gemma writes it: no system, and what is said is trimmed."""
AT_THE_END = (
    "{% for m in messages %}{{ m.role }}: {{ m.content }}{% if loop.last and not "
    "add_generation_prompt %}{{ eos_token }}{% else %}{{ '\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)
"""Ends the conversation, but not its turns; and stops behind a space."""


@functools.cache
def tokenizer(*marks: str) -> Tokenizer:
    """A small one, with the marks of ChatML and others."""
    return train_tokenizer(
        BpeSpec(vocab=400),
        TEXTS,
        specials=["end"],
        marks=["<|im_start|>", "<|im_end|>", "<s>", "</s>", *marks],
    )


@functools.cache
def builtin(name: str) -> tuple[ChatTemplate, Tokenizer]:
    """A built-in template with a tokenizer that has its marks."""
    made = tokenizer(*(mark for mark in BUILTINS[name].marks if "im_" not in mark))
    return choose_template(name, made, day_of("2026-01-31"))[0], made


def template(source: str) -> ChatTemplate:
    """A template with the usual tokens."""
    return ChatTemplate(source, {"bos_token": "<s>", "eos_token": "</s>"}, "this template")


def talk(*turns: str, name: str = "a row", learned: Sequence[bool] = ()) -> Conversation:
    """Turns in the form `role: text`."""
    messages = []
    for number, turn in enumerate(turns):
        said, _, text = turn.partition(": ")
        role: Role = said  # type: ignore[assignment]
        is_learned = learned[number] if learned else True
        messages.append(Message(role=role, content=text, learned=is_learned))
    return Conversation(name=name, messages=tuple(messages))


def written(path: Path, rows: Sequence[Any]) -> str:
    """Rows as a table at `path`."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return str(path)


def prepared(path: str, **settings: Any) -> PreparedChat:
    """Conversations, all for training unless a split is asked for."""
    settings = {"split": {"validation": 0}, **settings}
    return prepare_chat(parse(ChatSpec, {"kind": "chat", "path": path, **settings}), NEXT, seed=0)


PAIRS = [
    {"prompt": f"What is {n} and {n}?", "completion": f"It is {2 * n}, dear user."}
    for n in range(12)
]
