"""Small texts of every kind, recipes for them, and files of texts that somebody got wrong."""

from __future__ import annotations

import json
from pathlib import Path

RECIPE = """\
name: {name}
task: {task}
data: {data}
model: {{layers: [{layers}]}}
optimizer: {{kind: adam, learning_rate: 1.0e-2}}
training: {{steps: 4, batch_size: 8, seed: 7}}
placement: {{threads: 1, precision: fp32}}
"""
TOKENS = "{kind: tokens, width: 8}"
CAUSAL = f"{TOKENS}, {{kind: attention, heads: 2}}"
BOTH_WAYS = f"{TOKENS}, {{kind: attention, heads: 2, causal: false}}"
POOLED = f"{TOKENS}, {{kind: global_pool}}"
WORDS = "tokenizer: {kind: words, least: 1}"

RECIPES = {
    "films": ("{kind: classify}", f"{{kind: text_table, path: films.csv, {WORDS}}}", POOLED),
    "names": ("{kind: tag}", f"{{kind: conll, path: names.conll, {WORDS}}}", BOTH_WAYS),
    "kinds": ("{kind: tag}", f"{{kind: conll, path: kinds.conll, {WORDS}}}", BOTH_WAYS),
    "wishes": ("{kind: classify_and_tag}", f"{{kind: snips, path: wishes, {WORDS}}}", BOTH_WAYS),
    "tales": (
        "{kind: language}",
        "{kind: text, path: tales.txt, document: line, context: 16, tokenizer: {kind: characters}}",
        CAUSAL,
    ),
    "gaps": (
        "{kind: language, objective: masked}",
        f"{{kind: text, path: tales.txt, document: line, context: 16, {WORDS}}}",
        BOTH_WAYS,
    ),
}
"""The task, the data and the layers of each run of texts."""


def write_texts() -> None:
    """Texts, and a recipe for each run, in the working directory."""
    kinds = (("fine", "good"), ("dull", "bad"))
    lines = [f"a {word} film of number {n},{label}" for n in range(20) for word, label in kinds]
    Path("films.csv").write_text("text,label\n" + "\n".join(lines) + "\n")
    people = ("Ann", "Bob", "Eve")
    sentences = [f"{people[n % 3]} B-PER\nsees{n} O\nNew B-LOC\nYork I-LOC\n" for n in range(24)]
    Path("names.conll").write_text("\n".join(sentences))
    Path("kinds.conll").write_text(
        "\n".join(f"the DET\ncat{n} NOUN\nsleeps VERB\n" for n in range(24))
    )
    for intent, slot in (("Play", "song"), ("Eat", "food")):
        Path("wishes", intent).mkdir(parents=True)
        wishes = [
            {"data": [{"text": f"{intent} {n} "}, {"text": "jam", "entity": slot}]}
            for n in range(24)
        ]
        for name, some in (
            (f"train_{intent}_full.json", wishes[4:]),
            (f"validate_{intent}.json", wishes[:4]),
        ):
            Path("wishes", intent, name).write_text(json.dumps({intent: some}))
    animals = ("cat", "dog", "cow", "hen", "pig", "fox", "owl")
    tales = [f"the {one} saw the {other}\n" for one in animals for other in animals]
    Path("tales.txt").write_text("".join(tales))
    for name, (task, data, layers) in RECIPES.items():
        text = RECIPE.format(name=name, task=task, data=data, layers=layers)
        Path(f"{name}.yaml").write_text(text)


def write_wrong_texts() -> None:
    """Files that a person might give by mistake."""
    Path("empty.txt").write_text("")
    Path("blank.txt").write_text("\n \n\t\n")
    Path("latin.txt").write_bytes(b"good\ncaf\xe9\n")
    Path("empty.csv").write_text("")
    Path("header.csv").write_text("text,label\n")
    Path("column.csv").write_text("text,lable\ngood,1\nbad,0\n")
    Path("latin.csv").write_bytes(
        b"text,label\n" + b"".join(b"film %d,%d\n" % (n, n % 2) for n in range(40)) + b"caf\xe9,0\n"
    )
    Path("nul.csv").write_bytes(b"text,label\ngood,1\nb\x00d,0\n")
    Path("one_class.csv").write_text("text,label\n" + "good,1\n" * 20)
    Path("short.jsonl").write_text('{"text": "good", "label": "a"}\n{"text": "ba')
    Path("untagged.conll").write_text("Ann B-PER\nsees\n\nBob B-PER\n")
    Path("broken.conll").write_text("Ann B-PER\nsees X-LOC\n\n" * 9)
