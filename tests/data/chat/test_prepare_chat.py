"""From a table of conversations to rows: what is packed, cut, left out, decided and told."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from chat_data import CHATML, NEXT, PAIRS, prepared, tokenizer, written

from luthier.data.chat import meter
from luthier.data.chat.chat import ChatSpec
from luthier.data.chat.chat_doctor import inspect_chat
from luthier.data.chat.prepare_chat import PreparedChat, prepare_chat
from luthier.data.purpose import Purpose
from luthier.data.text.labelled.inputs import TextInputs
from luthier.data.text.rows.samples import RowSamples
from luthier.errors import DataError, InputError, SpecError
from luthier.model.blueprint import LayersSpec, build
from luthier.model.initialize import materialize
from luthier.spec import parse
from luthier.tasks.language import Language, LanguageSpec

FEW = [
    {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yo " * n}]}
    for n in range(1, 8)
]


@pytest.fixture
def pairs(tmp_path: Path) -> str:
    return written(tmp_path / "pairs.jsonl", PAIRS)


@pytest.fixture
def known(tmp_path: Path) -> dict[str, str]:
    """A tokenizer in a file, with the marks of ChatML."""
    path = tmp_path / "tokenizer.json"
    path.write_text(tokenizer().to_json())
    return {"kind": "file", "path": str(path)}


def everything(data: PreparedChat) -> RowSamples:
    return data.train.read(np.arange(len(data.train)), 0)


def targets(data: PreparedChat) -> list[int]:
    """All tokens that are predicted, in order."""
    batch = Language(LanguageSpec(), data.target).collate(everything(data))
    return sorted(batch.targets_N.tolist())  # type: ignore[union-attr]


def test_what_is_learned_is_what_the_assistant_says(pairs: str) -> None:
    data = prepared(pairs, context=64)
    found = data.tokenizer.decode([t for t in targets(data) if t > 2])
    wanted = "".join(row["completion"] for row in PAIRS)
    assert sorted(found) == sorted(wanted)
    stop = data.tokenizer.special_names["<|im_end|>"]
    assert targets(data).count(stop) == len(PAIRS)
    assert data.inputs.form.chat is not None  # type: ignore[attr-defined]
    assert data.inputs.form.chat.stops == (stop,)  # type: ignore[attr-defined]


def test_packed_rows_teach_what_single_rows_teach(pairs: str) -> None:
    """In float64: the same loss and gradient, whatever shares a row."""
    results = {}
    for name, settings in {
        "packed": {},
        "alone": {"packing": False},
        "wide": {"context": 330},
    }.items():
        data = prepared(pairs, **{"context": 160, **settings})
        layers = [
            {"kind": "tokens", "width": 8},
            {"kind": "attention", "heads": 2, "position": "rotary"},
        ]
        model = parse(LayersSpec, {"layers": layers})
        task = Language(LanguageSpec(), data.target)
        network = build(
            model, data.signal, lambda gives, t=data.target: LanguageSpec().head(gives, t)
        )  # type: ignore[misc]
        materialize(network, seed=0, spec=model.initialize)
        network.double()
        batch = task.collate(everything(data))
        loss = task.loss(network, batch)
        loss.sum.backward()
        gradient = torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])
        results[name] = (loss.sum.item(), loss.count.item(), gradient, len(data.train))
        if name == "packed":
            blind = task.loss(network, replace(batch, layout=None)).sum.item()  # type: ignore[type-var]
            assert abs(blind - loss.sum.item()) > 1e-6  # the twin
    rows = {name: found[3] for name, found in results.items()}
    assert rows["wide"] < rows["packed"] < rows["alone"] == len(PAIRS)
    for other in ("alone", "wide"):
        assert results[other][:2] == pytest.approx(results["packed"][:2], rel=1e-12)
        torch.testing.assert_close(results[other][2], results["packed"][2], rtol=1e-10, atol=1e-13)


def test_long_conversations_are_cut_or_left_out(tmp_path: Path, known: dict[str, str]) -> None:
    path = written(tmp_path / "few.jsonl", FEW)
    data = prepared(path, context=18, tokenizer=known)
    whole = [
        len(row.tokens) for row in prepared(path, context=64, tokenizer=known).fitted["train"].rows
    ]
    cut = [length - 19 for length in whole if length > 19]
    assert data.fitted["train"].cut == tuple(cut) != ()
    messages = [finding.message for finding in inspect_chat(data)]
    told = f"{len(cut)} train conversations of 7 longer than 18 tokens: {sum(cut)} tokens are cut"
    assert any(message.startswith(told) for message in messages)
    left = prepared(path, context=18, tokenizer=known, too_long="leave_out")
    assert left.fitted["train"].left_out == len(cut)
    assert len(left.fitted["train"].rows) == 7 - len(cut)
    with pytest.raises(DataError, match="no conversation for train has a reply within"):
        prepared(path, context=4, tokenizer=known)


def test_the_context_is_that_of_the_longest(pairs: str) -> None:
    data = prepared(pairs)
    longest = max(len(row.tokens) for row in data.fitted["train"].rows) - 1
    assert longest <= data.signal.shape[0] < longest + 8
    short = prepare_chat(
        parse(ChatSpec, {"kind": "chat", "path": pairs}), replace(NEXT, most_tokens=48), seed=0
    )
    assert short.signal.shape == (48,)


def test_templates_are_chosen_by_the_marks_of_the_tokenizer(
    pairs: str, tmp_path: Path, known: dict[str, str]
) -> None:
    decided = {d.place: d for d in prepared(pairs, tokenizer=known).decisions}
    assert decided["data.template"].value == "chatml"
    assert "<|im_start|>" in decided["data.template"].reason
    with pytest.raises(DataError, match=r"llama3 ends and begins turns with <\|start_header_id\|>"):
        prepared(pairs, tokenizer=known, template="llama3")
    with pytest.raises(DataError, match='got "chatlm"; did you mean "chatml"'):
        prepared(pairs, template="chatlm")
    learned = prepared(pairs, template="gemma")
    assert "<end_of_turn>" in learned.tokenizer.special_names


def test_templates_of_files(pairs: str, tmp_path: Path, known: dict[str, str]) -> None:
    (tmp_path / "chat_template.jinja").write_text("{{ eos_token }}" + CHATML)
    data = prepared(pairs, tokenizer=known, template=str(tmp_path / "chat_template.jinja"))
    assert data.tokenizer.decode(everything(data).tokens_BS[0], specials=True).startswith("</s>")
    config = {
        "eos_token": {"content": "<s>"},
        "chat_template": [
            {"name": "tool_use", "template": "x"},
            {"name": "default", "template": CHATML},
        ],
    }
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    data = prepared(pairs, tokenizer=known, template=str(tmp_path))
    assert data.template.names["eos_token"] == "<s>"
    assert data.tokenizer.decode(everything(data).tokens_BS[0], specials=True).startswith("<s>")
    data = prepared(pairs, tokenizer=known, template=str(tmp_path / "tokenizer_config.json"))
    assert data.template.source == CHATML
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="has no chat template"):
        prepared(pairs, tokenizer=known, template=str(tmp_path / "empty"))


def test_the_day_is_decided_once(pairs: str, tmp_path: Path, known: dict[str, str]) -> None:
    place = tmp_path / "dated.jinja"
    place.write_text("{{ strftime_now('%Y-%m-%d') }}" + CHATML)
    data = prepared(pairs, tokenizer=known, template=str(place))
    [day] = [d.value for d in data.decisions if d.place == "data.date"]
    assert (
        prepared(pairs, tokenizer=known, template=str(place), date=day).fingerprint
        == data.fingerprint
    )
    other = prepared(pairs, tokenizer=known, template=str(place), date="2001-02-03")
    assert "2001-02-03" in other.tokenizer.decode(everything(other).tokens_BS[0])
    assert not [d for d in prepared(pairs, tokenizer=known).decisions if d.place == "data.date"]
    with pytest.raises(SpecError, match="wanted a day such as"):
        prepared(pairs, date="31.1.2026")


def test_the_fingerprint_is_of_what_is_learned(pairs: str, tmp_path: Path) -> None:
    first = prepared(pairs).fingerprint
    assert prepared(pairs).fingerprint == first
    assert prepared(pairs, template="plain").fingerprint != first
    rows = [*PAIRS[:-1], {**PAIRS[-1], "completion": "Other"}]
    assert prepared(written(tmp_path / "other.jsonl", rows)).fingerprint != first


def test_the_finished_model_keeps_the_template(pairs: str) -> None:
    inputs = prepared(pairs).inputs
    files = inputs.files()
    again = TextInputs.from_files(lambda name: files[name])
    assert isinstance(inputs, TextInputs)
    assert again.template is not None
    assert inputs.template is not None
    assert (again.template.source, again.form) == (inputs.template.source, inputs.form)


def findings(path: str, **settings: Any) -> list[tuple[str, str]]:
    data = prepared(path, **settings)
    return [(finding.severity, finding.message) for finding in inspect_chat(data)]


def says(found: list[tuple[str, str]], severity: str, message: str) -> bool:
    return any(kind == severity and message in text for kind, text in found)


def test_what_check_says(tmp_path: Path, known: dict[str, str], pairs: str) -> None:
    found = findings(pairs, tokenizer=known)
    assert says(found, "note", "train has 12 conversations with")
    assert says(found, "note", "replies end with <|im_end|>, which is trained 12 times")
    assert not any(kind != "note" for kind, _ in found)
    endless = tmp_path / "endless.jinja"
    endless.write_text("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}")
    found = findings(pairs, tokenizer=known, template=str(endless))
    assert found[0][0] == "error"
    assert says(found, "error", "the stop token is never trained: the template of")
    cut = [{"prompt": "a", "completion": "b " * 50}] * 2
    found = findings(written(tmp_path / "cut.jsonl", cut), tokenizer=known, context=12)
    assert says(found, "error", "all replies are cut off before it (data.context)")
    assert says(found, "note", "1 pair of equal conversations in one split")
    deaf = tmp_path / "deaf.jinja"
    deaf.write_text(
        CHATML.replace(
            "for message in messages", "for message in messages if message.role != 'system'"
        )
    )
    found = findings(pairs, tokenizer=known, template=str(deaf), system="Be kind.")
    assert says(found, "warning", "leaves out what system says")


def test_overlap_is_told(tmp_path: Path) -> None:
    written(tmp_path / "train.jsonl", PAIRS)
    written(tmp_path / "test.jsonl", [PAIRS[3], {**PAIRS[4], "completion": "Other"}])
    found = findings(str(tmp_path))
    assert says(found, "warning", "1 test conversation equal to one in train")
    assert says(found, "warning", "1 test question equal to one in train")


def test_nothing_to_learn_is_an_error(tmp_path: Path) -> None:
    rows = [
        {
            "messages": [
                {"role": "user", "content": "a"},
                {"role": "assistant", "content": "b", "train": False},
            ]
        }
    ]
    with pytest.raises(DataError, match="all replies are marked so"):
        prepared(written(tmp_path / "none.jsonl", rows))


def test_templates_that_take_nothing(
    pairs: str, tmp_path: Path, known: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meter, "MOST_STEPS", 20_000)
    loop = tmp_path / "loop.jinja"
    loop.write_text(
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
    )
    with pytest.raises(DataError, match=r"pairs\.jsonl line .*: .*does it loop for ever"):
        prepared(pairs, tokenizer=known, template=str(loop), on_error="skip")
    strict = tmp_path / "strict.jinja"
    strict.write_text("{{ raise_exception('never') }}")
    with pytest.raises(DataError, match=r"12 rows cannot be used(.|\n)*refuses it: never"):
        prepared(pairs, tokenizer=known, template=str(strict))
    with pytest.raises(
        DataError, match=r"no conversation for train can be used; .*refuses it: never"
    ):
        prepared(pairs, tokenizer=known, template=str(strict), on_error="skip")


def test_hidden_tokens_are_not_for_conversations(pairs: str) -> None:
    masked = Purpose(learns="documents", specials=("mask",))
    with pytest.raises(InputError, match=r"set task\.objective: next_token"):
        prepare_chat(parse(ChatSpec, {"kind": "chat", "path": pairs}), masked, seed=0)


def test_shown_tokens(pairs: str, known: dict[str, str]) -> None:
    shown = prepared(pairs, tokenizer=known).shown[0]
    assert [stretch.learned for stretch in shown.stretches] == [False, True, False]
    assert shown.stretches[1].tokens[-1] == "<|im_end|>"
    assert "".join(shown.stretches[1].tokens[:-1]) == "It␣is␣0,␣dear␣user."
    assert shown.to_json()["tokens"][0] == {"text": "<|im_start|>", "learned": False}


def test_what_is_learned_is_shown_behind_a_long_question(
    tmp_path: Path, known: dict[str, str]
) -> None:
    rows = [{"prompt": "a b c d " * 200, "completion": "Yes"}] * 2
    path = written(tmp_path / "long.jsonl", rows)
    data = prepared(path, tokenizer=known, context=4000)
    shown = data.shown[0]
    assert shown.before > 100
    assert [stretch.learned for stretch in shown.stretches] == [False, True, False]
    assert shown.before + sum(len(one.tokens) for one in shown.stretches) + shown.more == len(
        data.fitted["train"].rows[0].tokens
    )
