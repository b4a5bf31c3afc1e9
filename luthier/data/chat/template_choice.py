"""Which template renders the conversations of a run: its own, a built-in one, a file's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from luthier.data.chat.builtin_templates import BUILTINS
from luthier.data.chat.template import MOST_SOURCE_CHARACTERS, ChatTemplate
from luthier.data.readers.place import existing
from luthier.data.text.labelled.inputs import ABOUT, TEMPLATE_FILE
from luthier.data.text.tokens.tokenizer import Tokenizer
from luthier.errors import DataError, nearest
from luthier.spec import Decision

CONFIG_FILE = "tokenizer_config.json"
PLACE = "data.template"
LEARNED = "chatml"
"""The template of a network that starts from nothing: its tokenizer gets the marks."""
NAMES = ("bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token")
MOST_BYTES = 64 * 2**20


def marks_for(template: str) -> tuple[str, ...]:
    """Special tokens that a tokenizer gets which is learned for a template of that name."""
    name = LEARNED if template == "auto" else template
    return BUILTINS[name].marks if name in BUILTINS else ()


def choose_template(
    given: str, tokenizer: Tokenizer, day: date, *, learned: bool = False
) -> tuple[ChatTemplate, Decision | None]:
    """The template that a recipe names, or that suits a tokenizer, and why.

    Args:
        given: What the recipe says.
        tokenizer: Of the network.
        day: That the template is told.
        learned: Whether the tokenizer was learned with the marks of the template.

    Raises:
        DataError: If there is no such template, or the tokenizer lacks its marks.
    """
    decision = None
    if given == "auto":
        given, reason = (LEARNED, "the tokenizer is new, and has its marks")
        if not learned:
            given, reason = _suited(tokenizer)
        decision = Decision(place=PLACE, value=given, reason=reason)
    if given in BUILTINS:
        found = _builtin(given, tokenizer)
    elif "/" in given or given.endswith((".jinja", ".json")) or Path(given).exists():
        place = existing(given, f"a {TEMPLATE_FILE} or a {CONFIG_FILE}")
        read = template_at(place)
        if read is None:
            raise DataError(f"{PLACE}: {place} has no chat template")
        found = replace(read, names={**usual_names(tokenizer), **read.names})
    else:
        raise DataError(f'{PLACE}: got "{given}"{nearest(given, [*BUILTINS, "auto"])}; or a file')
    found = replace(found, day=day)
    found.check()
    return found, decision


def _suited(tokenizer: Tokenizer) -> tuple[str, str]:
    names = tokenizer.special_names
    for name, builtin in BUILTINS.items():
        if builtin.marks and all(mark in names for mark in builtin.marks):
            return name, f"the tokenizer has {', '.join(builtin.marks)}"
    return "plain", "the tokenizer has the marks of no other template"


def _builtin(name: str, tokenizer: Tokenizer) -> ChatTemplate:
    builtin = BUILTINS[name]
    lacking = [mark for mark in builtin.marks if mark not in tokenizer.special_names]
    if lacking:
        raise DataError(
            f"{PLACE}: {name} ends and begins turns with {', '.join(lacking)}, for which the "
            "tokenizer has no token; take another template, such as plain, or add them to those of "
            f"the start: new_tokens: [{', '.join(lacking)}]"
        )
    return ChatTemplate(builtin.source, usual_names(tokenizer), f"the template {name}")


def usual_names(tokenizer: Tokenizer) -> dict[str, str]:
    """What templates call the tokens that begin and end a text.

    A tokenizer of ours has one token for both, as documents have it.
    """
    by_number = {number: name for name, number in tokenizer.special_names.items()}
    end, first = tokenizer.special("end"), tokenizer.special("first")
    names = {"eos_token": end, "bos_token": end if first is None else first}
    return {key: by_number[number] for key, number in names.items() if number in by_number}


def template_at(place: Path) -> ChatTemplate | None:
    """The template of a file, or of a folder with a model; none if it has none.

    Args:
        place: A `.jinja` file, a `tokenizer_config.json`, or a folder that holds either.

    Raises:
        DataError: If it cannot be read.
    """
    folder = place if place.is_dir() else place.parent
    config = place if place.suffix == ".json" else folder / CONFIG_FILE
    about = _config(config) if config.is_file() else {}
    ours = _config(folder / ABOUT) if (folder / ABOUT).is_file() else {}
    if place.is_file() and place.suffix != ".json":
        source: str | None = _read(place)
    elif place.is_dir() and (place / TEMPLATE_FILE).is_file():
        source = _read(place / TEMPLATE_FILE)
    else:
        source = _in_config(config, about)
    if source is None:
        return None
    if len(source) > MOST_SOURCE_CHARACTERS:
        raise DataError(f"{place}: is longer than {MOST_SOURCE_CHARACTERS:,} characters")
    names = (ours.get("chat") or {}).get("names") or names_in(about)
    return ChatTemplate(source, names, f"the template of {place}")


def names_in(config: Mapping[str, Any]) -> dict[str, str]:
    """The special tokens of a `tokenizer_config.json`, by what templates call them."""
    found = {}
    for name in NAMES:
        value = config.get(name)
        content = value.get("content") if isinstance(value, Mapping) else value
        if isinstance(content, str):
            found[name] = content
    return found


def _in_config(config: Path, about: Mapping[str, Any]) -> str | None:
    """The template of a `tokenizer_config.json`; of several, the one called default."""
    source = about.get("chat_template")
    if isinstance(source, list):
        named = {one.get("name"): one.get("template") for one in source if isinstance(one, dict)}
        source = named.get("default")
    if source is not None and not isinstance(source, str):
        raise DataError(f"{config}: chat_template is {source!r:.40}; wanted a text")
    return source


def _config(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(_read(path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"{path}: is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise DataError(f"{path}: wanted an object: {{…}}")
    return found


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise DataError(f"{path}: is larger than {MOST_BYTES // 2**20} MiB")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: is no text; wanted a template") from None
