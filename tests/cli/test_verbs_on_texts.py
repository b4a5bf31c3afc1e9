"""Runs of texts: what predict, check, generate and chat print, and promise to programs."""

from __future__ import annotations

import inspect
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command import Command

import luthier as package
from luthier.cli.generate import chat, generate
from luthier.placement.inference import for_inference


def typed(monkeypatch: pytest.MonkeyPatch, text: str | bytes) -> None:
    """What standard input holds."""
    given = text.encode() if isinstance(text, str) else text
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given)))


class TestPredict:
    def test_classes(self, luthier: Command) -> None:
        outcome = luthier("predict", "films", "a fine film", "a dull one")
        assert outcome.code == 0, outcome.err
        head, first, second = outcome.out.splitlines()[:3]
        assert head.split() == ["text", "label", "probability", "else"]
        assert first.startswith("a fine film  ")
        assert second.startswith("a dull one  ")
        assert first.count("%") == 2

    def test_for_programs(self, luthier: Command) -> None:
        found = json.loads(luthier("predict", "films", "a fine film", "--json").out)
        assert found == package.load("films").predict(["a fine film"])
        assert found[0]["input"] == "a fine film"
        assert {item["label"] for item in found[0]["top"]} == {"good", "bad"}

    def test_files_and_standard_input(
        self, luthier: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = tmp_path / "some.txt"
        file.write_text("a fine film\n\na dull film\n")
        typed(monkeypatch, "from a pipe\n")
        found = json.loads(luthier("predict", "films", str(file), "gone.txt", "-", "--json").out)
        inputs = ["a fine film", "a dull film", "gone.txt", "from a pipe"]
        assert [item["input"] for item in found] == inputs

    def test_a_very_long_text_is_no_file(self, luthier: Command) -> None:
        outcome = luthier("predict", "films", "fine " * 2000)
        assert outcome.code == 0, outcome.err
        assert len(outcome.out) < 500

    @pytest.mark.parametrize(
        ("run", "text", "head"),
        [
            ("names", "Ann sees New York", ["text", "entities"]),
            ("kinds", "the cat sleeps", ["text", "tags"]),
            ("wishes", "Play jam", ["text", "label", "probability", "else", "entities"]),
            ("tales", "the c", ["text", "token", "probability", "else"]),
            ("gaps", "the <|mask|> saw <|mask|>", ["text", "token", "probability", "else"]),
        ],
    )
    def test_every_task_has_a_table(
        self, luthier: Command, run: str, text: str, head: list[str]
    ) -> None:
        outcome = luthier("predict", run, text)
        assert outcome.code == 0, outcome.err
        lines = outcome.out.splitlines()
        assert lines[0].split() == head
        rows = [line for line in lines[1:] if line]
        assert len(rows) == max(1, text.count("<|mask|>"))
        assert all(row.startswith(text) for row in rows)
        found = json.loads(luthier("predict", run, text, "--json").out)
        assert found[0]["input"] == text
        if "tags" in head:
            assert rows[0].split()[3:] == found[0]["tags"]


def test_entities_in_words() -> None:
    from luthier.cli.predicted import _entities

    marked = [
        {"type": "LOC", "start": 2, "stop": 4, "text": "New York"},
        {"type": "PER", "start": 0, "stop": 1},
    ]
    assert _entities({"entities": marked}) == "New York (LOC), words 1 to 1 (PER)"


class TestCheck:
    @pytest.mark.parametrize(
        ("run", "phrases"),
        [
            (
                "films",
                ("32 train, 4 validation, 4 test; 2 classes", "bytes per token", "a | dull | film"),
            ),
            ("names", ("4 tags. ", "entities", "ann | sees0")),
            ("wishes", ("2 classes", "bytes per token")),
            ("tales", ("rows of 16 tokens", "bytes each", "t | h | e | ␣")),
            ("gaps", ("tokens", "the | cat")),
        ],
    )
    def test_texts(self, luthier: Command, run: str, phrases: tuple[str, ...]) -> None:
        outcome = luthier("check", f"{run}.yaml")
        assert outcome.code in (0, 2), outcome.err
        for phrase in (*phrases, "texts are split as these are"):
            assert phrase in outcome.out, outcome.out

    def test_leaks_cuts_and_unknowns(self, luthier: Command, tmp_path: Path) -> None:
        train, test = tmp_path / "train.csv", tmp_path / "test.csv"
        rows = [f"a film of {n} parts,{'ab'[n % 2]}" for n in range(20)]
        train.write_text("text,label\n" + "\n".join(rows) + "\n")
        test.write_text("text,label\nA film of 3  parts,b\nsome words that nobody has seen,a\n")
        data = (
            f"data={{kind: text_table, path: {tmp_path}, context: 3, "
            "tokenizer: {kind: words, least: 1}}"
        )
        outcome = luthier("check", "films.yaml", data)
        assert "equal" in outcome.out
        assert "test.csv line 2" in outcome.out
        assert "longer than 3 tokens" in outcome.out
        assert "unknown to the tokenizer" in outcome.out

    def test_for_programs(self, luthier: Command) -> None:
        found = json.loads(luthier("check", "tales.yaml", "--json").out)
        assert found["classes"] == 0
        assert set(found["splits"]) == {"train", "validation"}
        assert any(item["files"] for item in found["findings"])

    def test_the_data_is_read_once(self, luthier: Command, monkeypatch: pytest.MonkeyPatch) -> None:
        from luthier.run import reading

        calls: list[Any] = []
        prepare = reading.prepare

        def counted(*args: Any, **settings: Any) -> Any:
            calls.append(settings)
            return prepare(*args, **settings)

        monkeypatch.setattr(reading, "prepare", counted)
        for name in ("films", "tales", "digits"):
            luthier("check", f"{name}.yaml")
        assert len(calls) == 3

    def test_what_cannot_be_used_is_found(self, luthier: Command) -> None:
        data = "data={kind: text_table, path: latin.csv}"
        outcome = luthier("check", "films.yaml", data, "--json")
        assert outcome.code == 2
        errors = [f for f in json.loads(outcome.out)["findings"] if f["severity"] == "error"]
        assert any("UTF-8" in error["message"] for error in errors)


class TestGenerate:
    def test_the_text_follows_the_prompt(self, luthier: Command) -> None:
        outcome = luthier("generate", "tales", "--prompt", "the c", "--max-tokens", "5", "--greedy")
        assert outcome.code == 0, outcome.err
        settings = {"max_tokens": 5, "greedy": True}
        [found] = package.load("tales").generate(["the c"], settings)
        assert outcome.out == f"the c{found.text}\n"

    def test_without_a_prompt(self, luthier: Command) -> None:
        outcome = luthier("generate", "tales", "--max-tokens", "4", "--seed", "3")
        [found] = package.load("tales").generate([""], {"max_tokens": 4, "seed": 3})
        assert outcome.out == f"{found.text}\n"

    def test_several_prompts(self, luthier: Command) -> None:
        outcome = luthier(
            "generate", "tales", "--prompt", "the", "--prompt", "a [d]", "--max-tokens", "3"
        )
        found = package.load("tales").generate(["the", "a [d]"], {"max_tokens": 3})
        assert outcome.out == "".join(f"{one.prompt}{one.text}\n\n" for one in found)

    def test_for_programs(self, luthier: Command) -> None:
        arguments = ("generate", "tales", "--max-tokens", "3", "--json", "--prompt", "the")
        one = json.loads(luthier(*arguments).out)
        assert one.keys() == {"prompt", "text", "tokens", "ending"}
        assert one["prompt"] == "the"
        two = json.loads(luthier(*arguments, "--prompt", "a").out)
        assert [item["prompt"] for item in two] == ["the", "a"]
        assert two[0] == one

    @pytest.mark.parametrize("weights", ["auto", "fp32", "bf16", "int8"])
    def test_weights(self, weights: str, luthier: Command, monkeypatch: pytest.MonkeyPatch) -> None:
        kept: list[object] = []
        monkeypatch.setattr(
            "luthier.placement.inference.Readied.with_weights",
            lambda readied, chosen: kept.append(chosen) or for_inference(readied._placed, chosen),
        )
        arguments = ("tales", "--greedy", "--max-tokens", "5", "--weights", weights)
        outcome = luthier("generate", *arguments, "--prompt", "the")
        assert outcome.code == 0, outcome.err
        typed(monkeypatch, "the\n")
        assert luthier("chat", *arguments).code == 0
        assert kept == [weights, weights]

    def test_standard_input(self, luthier: Command, monkeypatch: pytest.MonkeyPatch) -> None:
        typed(monkeypatch, "the cat\n")
        arguments = ("generate", "tales", "--prompt", "-", "--max-tokens", "2", "--json")
        assert json.loads(luthier(*arguments).out)["prompt"] == "the cat\n"
        typed(monkeypatch, b"caf\xe9")
        outcome = luthier(*arguments)
        assert (outcome.code, outcome.out) == (2, "")
        assert outcome.err == "error: standard input: is not UTF-8 text, byte 3\n"

    def test_nothing_is_shown_before_it_is_sure(self, luthier: Command) -> None:
        for arguments in (("gone", "--prompt", "a"), ("tales", "--prompt", "a" * 99)):
            outcome = luthier("generate", *arguments)
            assert (outcome.code, outcome.out) == (2, "")


class TestChat:
    def test_a_line_each(self, luthier: Command, monkeypatch: pytest.MonkeyPatch) -> None:
        typed(monkeypatch, "the cat\r\na dog\n\nnot read\n")
        outcome = luthier("chat", "tales", "--greedy", "--max-tokens", "4")
        assert outcome.code == 0, outcome.err
        conversation = package.load("tales").converse(
            {"greedy": True, "max_tokens": 4, "stop": ["\n"]}
        )
        wanted = [conversation.say(f"{line}\n") for line in ("the cat", "a dog")]
        assert outcome.out == "".join(f"{text}\n" for text in wanted)

    def test_every_way_to_draw(self, luthier: Command, monkeypatch: pytest.MonkeyPatch) -> None:
        def named(verb: Callable[..., None]) -> set[str]:
            return set(inspect.signature(verb).parameters)

        assert named(chat) == named(generate) - {"prompt", "json"}
        drawing = {"max_tokens": 5, "temperature": 3.0, "seed": 3, "repetition_penalty": 1.5}
        drawing |= {"top_k": 6, "top_p": 0.9, "min_p": 0.01}
        given = [f"--{name.replace('_', '-')}={value}" for name, value in drawing.items()]
        typed(monkeypatch, "the cat\n")
        outcome = luthier("chat", "tales", *given)
        assert outcome.code == 0, outcome.err
        wanted = package.load("tales").converse(drawing | {"stop": ["\n"]}).say("the cat\n")
        assert outcome.out == f"{wanted}\n"

    def test_the_end_of_what_is_typed(
        self, luthier: Command, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        typed(monkeypatch, b"caf\xe9")
        outcome = luthier("chat", "tales", "--max-tokens", "2")
        assert (outcome.code, outcome.err) == (0, "")


@pytest.mark.parametrize(
    ("run", "pipeline", "use"),
    [
        ("films", "text-classification", 'luthier predict RUN "some text"'),
        ("tales", "text-generation", 'luthier generate RUN --prompt "some text"'),
        ("gaps", "fill-mask", 'luthier predict RUN "some [MASK] text"'),
        ("digits", "image-classification", 'luthier predict RUN "picture.png"'),
    ],
)
def test_the_card_says_how_to_use_it(world: Path, run: str, pipeline: str, use: str) -> None:
    card = Path("runs", run, "model", "README.md").read_text()
    assert f"pipeline_tag: {pipeline}\n" in card
    assert use in card
