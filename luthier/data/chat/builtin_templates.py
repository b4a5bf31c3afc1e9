"""Templates that need no file: the forms of dialogue of known models, and plainer ones.

Source:
    The forms are those that the models' makers document: ChatML (OpenAI), Llama 2 and 3 (Meta),
    Mistral, Gemma (Google), Phi-3 (Microsoft), Zephyr (Hugging Face H4), Alpaca (Stanford),
    Vicuna (LMSYS). What the assistant calls stands in `<tool_call>`, as Hermes and Qwen have it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_REPLY = (
    "{{ m.content }}{% for call in m.tool_calls or [] %}"
    "{{ '' if loop.first and not m.content else '\\n' }}<tool_call>\n"
    "{{ (call.function or call) | tojson }}\n</tool_call>{% endfor %}"
)
"""What the assistant says and calls."""
_TOOLS = (
    "{% if tools %}{{ '\\n\\n' if said else '' }}# Tools\n\n<tools>{% for tool in tools %}\n"
    "{{ tool | tojson }}{% endfor %}\n</tools>{% endif %}"
)
"""What it may call, behind the system message."""
_SYSTEM = (
    "{% set said = messages[0].content if messages[0].role == 'system' else '' %}"
    "{% set turns = messages[1:] if messages[0].role == 'system' else messages %}"
)
"""The system message, and the turns without it."""


@dataclass(frozen=True)
class Builtin:
    """A template, and the special tokens that it writes."""

    source: str
    marks: tuple[str, ...] = ()
    """Their names; the others are `bos_token` and `eos_token`."""


def _marked(opens: str, closes: str, roles: str = "m.role", begin: str = "") -> str:
    """Each turn between marks: `opens` with the role in it, and `closes`.

    Args:
        opens: With `ROLE` in place of the role.
        closes: What ends a turn.
        roles: What the role is called, as an expression of the message `m`.
        begin: What stands before the first turn.
    """
    system = opens.replace("ROLE", "system")
    turn = opens.replace("ROLE", "{{ " + roles + " }}")
    answer = opens.replace("ROLE", "assistant")
    return (
        f"{begin}{_SYSTEM}{{% if said or tools %}}{system}{{{{ said }}}}{_TOOLS}{closes}"
        f"{{% endif %}}{{% for m in turns %}}{turn}"
        f"{{% if m.role == 'assistant' %}}{_REPLY}{{% else %}}{{{{ m.content }}}}{{% endif %}}"
        f"{closes}{{% endfor %}}{{% if add_generation_prompt %}}{answer}{{% endif %}}"
    )


def _written(user: str, answer: str, tool: str, gap: str, between: str = "\\n") -> str:
    """Turns under headings; only what ends a reply is a special token.

    Args:
        user: The heading of what the user says.
        answer: Of what the assistant says.
        tool: Of what a tool says.
        gap: Between a heading and what is said. It belongs to what is said: where a network goes
            on behind a heading, no token has a part on either side.
        between: Behind each turn.
    """
    return (
        f"{{{{ bos_token }}}}{_SYSTEM}{{% if said or tools %}}{{{{ said }}}}{_TOOLS}"
        "{{ '\\n\\n' }}{% endif %}{% for m in turns %}{% if m.role == 'assistant' %}"
        f"{{{{ '{answer}{gap}' }}}}{_REPLY}{{{{ eos_token }}}}{{% elif m.role == 'tool' %}}"
        f"{{{{ '{tool}{gap}' ~ m.content }}}}{{% else %}}{{{{ '{user}{gap}' ~ m.content }}}}"
        f"{{% endif %}}{{{{ '{between}' }}}}{{% endfor %}}"
        f"{{% if add_generation_prompt %}}{{{{ '{answer}' }}}}{{% endif %}}"
    )


_LLAMA2 = (
    _SYSTEM + "{% set ns = namespace(text=said) %}{% if tools %}{% set ns.text %}{{ said }}"
    + _TOOLS + "{% endset %}{% endif %}{% for m in turns %}{% if m.role == 'assistant' %}"
    "{{ ' ' }}" + _REPLY + "{{ ' ' ~ eos_token }}{% else %}{{ bos_token }}[INST] "
    "{% if loop.first and ns.text %}<<SYS>>\n{{ ns.text }}\n<</SYS>>\n\n{% endif %}"
    "{{ m.content }} [/INST]{% endif %}{% endfor %}"
)  # fmt: skip
_MISTRAL = (
    "{{ bos_token }}" + _SYSTEM + "{% for m in turns %}{% if m.role == 'assistant' %}{{ ' ' }}"
    + _REPLY + "{{ eos_token }}{% else %}[INST] {% if loop.first and (said or tools) %}{{ said }}"
    + _TOOLS + "{{ '\\n\\n' }}{% endif %}{{ m.content }} [/INST]{% endif %}{% endfor %}"
)  # fmt: skip
_GEMMA = (
    "{{ bos_token }}" + _SYSTEM + "{% for m in turns %}<start_of_turn>"
    "{{ 'model' if m.role == 'assistant' else 'user' }}\n{% if loop.first and (said or tools) %}"
    "{{ said }}" + _TOOLS + "{{ '\\n\\n' }}{% endif %}{% if m.role == 'assistant' %}" + _REPLY
    + "{% else %}{{ m.content }}{% endif %}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)  # fmt: skip
_LLAMA3_ROLE = "'ipython' if m.role == 'tool' else m.role"

BUILTINS: Mapping[str, Builtin] = {
    "chatml": Builtin(
        _marked("<|im_start|>ROLE\n", "<|im_end|>\n"), ("<|im_start|>", "<|im_end|>")
    ),
    "llama3": Builtin(
        _marked(
            "<|start_header_id|>ROLE<|end_header_id|>\n\n",
            "<|eot_id|>",
            roles=_LLAMA3_ROLE,
            begin="{{ bos_token }}",
        ),
        ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    ),
    "phi3": Builtin(
        _marked("<|ROLE|>\n", "<|end|>\n"), ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>")
    ),
    "gemma": Builtin(_GEMMA, ("<start_of_turn>", "<end_of_turn>")),
    "llama2": Builtin(_LLAMA2),
    "mistral": Builtin(_MISTRAL),
    "zephyr": Builtin(_marked("<|ROLE|>\n", "{{ eos_token }}\n")),
    "alpaca": Builtin(
        _written("### Instruction:", "### Response:", "### Observation:", "\\n", "\\n\\n")
    ),
    "vicuna": Builtin(_written("USER:", "ASSISTANT:", "OBSERVATION:", " ")),
    "plain": Builtin(_written("User:", "Assistant:", "Tool:", " ")),
}
"""By name. Those with marks come first, the ones that are told apart by them."""
