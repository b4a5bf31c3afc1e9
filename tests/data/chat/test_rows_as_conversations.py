"""Rows in the formats of the field, read as conversations; and those that are none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from chat_data import written
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.data.chat.chat import ChatSpec
from luthier.data.chat.conversation import Conversation, UnusableRowError
from luthier.data.chat.reading import read_comparisons, read_conversations
from luthier.data.chat.row_columns import FIELDS, RowColumns, recognised
from luthier.data.chat.row_reading import RowReading
from luthier.data.recognise import recognise
from luthier.errors import DataError, SpecError
from luthier.spec import parse

USER, BOT = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yo"}
HUMAN = {"from": "human", "value": "Hi"}
CALL = {"name": "area", "arguments": {"side": 2}}


def read(values: dict[str, Any], **settings: Any) -> Conversation:
    columns = recognised("a table", list(values), {})
    return RowReading(columns=columns, **settings).conversation("a row", values)[0]


def turns(conversation: Conversation) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in conversation.messages]


ASKED = [("user", "Hi"), ("assistant", "Yo")]
SAME = {
    "messages": {"messages": [USER, BOT], "id": 7},
    "parts": {
        "messages": [{**USER, "content": [{"type": "text", "text": "Hi"}]}, {**BOT, "name": None}]
    },
    "sharegpt": {
        "conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Yo"}]
    },
    "roles in conversations": {"conversations": [USER, BOT]},
    "alpaca": {"instruction": "Hi", "input": "", "output": "Yo"},
    "prompt and completion": {"prompt": "Hi", "completion": "Yo"},
    "messages in both": {"prompt": [USER], "completion": [BOT]},
    "chosen": {"prompt": "Hi", "chosen": "Yo", "rejected": "No"},
    "HH-RLHF": {
        "chosen": "\n\nHuman: Hi\n\nAssistant: Yo",
        "rejected": "\n\nHuman: Hi\n\nAssistant: No",
    },
    "ranking": {
        "instruction": "Hi",
        "chosen": {"from": "gpt", "value": "Yo"},
        "rejected": {"from": "gpt", "value": "No"},
    },
    "a good answer": {"prompt": "Hi", "completion": "Yo", "label": True},
}


@pytest.mark.parametrize("values", SAME.values(), ids=SAME.keys())
def test_all_formats_say_the_same(values: dict[str, Any]) -> None:
    assert turns(read(values)) == ASKED


def test_more_than_a_question() -> None:
    row = {
        "instruction": "Add",
        "input": "2, 3",
        "output": "5",
        "system": "Be brief.",
        "history": [["Hi", "Yo"]],
    }
    assert turns(read(row)) == [
        ("system", "Be brief."),
        *ASKED,
        ("user", "Add\n2, 3"),
        ("assistant", "5"),
    ]
    assert turns(read({"prompt": "Hi", "completion": "Yo"}, system="Be kind."))[0] == (
        "system",
        "Be kind.",
    )
    developer = {"messages": [{"role": "developer", "content": "Do"}, USER, BOT, USER]}
    assert turns(read(developer)) == [("system", "Do"), *ASKED]


def test_calls_are_those_of_the_assistant() -> None:
    row = {
        "conversations": [
            {"from": "human", "value": "Hi"},
            {"from": "function_call", "value": json.dumps(CALL)},
            {"from": "observation", "value": "4"},
            {"from": "gpt", "value": "Four"},
        ],
        "tools": json.dumps([{"name": "area"}]),
    }
    found = read(row)
    assert [message.role for message in found.messages] == [
        "user",
        "assistant",
        "tool",
        "assistant",
    ]
    assert found.messages[1].calls == ({"type": "function", "function": CALL},)
    assert found.messages[1].plain()["tool_calls"][0]["function"]["name"] == "area"
    assert found.tools == ({"name": "area"},)


@pytest.mark.parametrize("flag", ["loss", "train", "weight", "loss_weight"])
def test_flags_say_what_is_learned(flag: str) -> None:
    row = {"messages": [{**USER, flag: 0}, {**BOT, flag: 0.0}, USER, {**BOT, flag: True}]}
    assert [message.learned for message in read(row).messages[1::2]] == [False, True]


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown role": ({"messages": [{**USER, "role": "usr"}]}, 'usr.*did you mean "user"'),
    "an unknown key": ({"messages": [{**USER, "contents": 1}]}, 'did you mean "content"'),
    "no role": ({"messages": [{"content": "Hi"}]}, 'has no "role"'),
    "an empty question": ({"prompt": " ", "completion": "Yo"}, "an empty turn of user .message 1"),
    "an empty answer": (
        {"prompt": "Hi", "completion": ""},
        "an empty turn of assistant .message 2",
    ),
    "two answers": ({"messages": [USER, BOT, BOT]}, "two turns of assistant in a row .message 3"),
    "no answer": ({"messages": [USER]}, "no turn of assistant"),
    "an answer to nobody": ({"messages": [BOT]}, "nobody has said a word"),
    "a late system message": ({"messages": [USER, {"role": "system", "content": "x"}]}, "first"),
    "two system messages": (
        {"system": "a", "messages": [{"role": "system", "content": "b"}, USER, BOT]},
        "two system messages",
    ),
    "an image": (
        {"messages": [{**USER, "content": [{"type": "image_url", "image_url": "x"}]}]},
        "part of type 'image_url'; only text",
    ),
    "a number": ({"prompt": 3, "completion": "Yo"}, "has 3 as its prompt; wanted a text"),
    "a fraction of a flag": ({"messages": [USER, {**BOT, "weight": 0.5}]}, "weight is 0.5; wanted"),
    "flags against each other": (
        {"messages": [USER, {**BOT, "weight": 1, "train": False}]},
        "contradict",
    ),
    "a question to learn": ({"messages": [{**USER, "train": True}, BOT]}, "only replies can be"),
    "a call that is no JSON": (
        {
            "conversations": [
                {"from": "human", "value": "a"},
                {"from": "function_call", "value": "b"},
            ]
        },
        "no JSON",
    ),
    "no messages": ({"messages": []}, "wanted a list of messages"),
    "a mark": ({"prompt": "a\ufdd0", "completion": "b"}, "no character"),
    "no rejected answer": ({"prompt": "a", "chosen": "b", "rejected": None}, "no rejected answer"),
    "an empty rejected answer": ({"prompt": "a", "chosen": "b", "rejected": ""}, "no rejected"),
    "the same answers": ({"prompt": "a", "chosen": "b", "rejected": "b"}, "the same"),
    "a label that is none": (
        {"prompt": "a", "completion": "b", "label": "good"},
        "label is 'good'",
    ),
    "a bad answer": ({"prompt": "a", "completion": "b", "label": False}, "bad answer"),
}


@pytest.mark.parametrize(("values", "message"), FAULTS.values(), ids=FAULTS.keys())
def test_rows_that_cannot_be_used(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UnusableRowError, match=message):
        read(values)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.text("Hi \n{", max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "content", "from", "value", "weight", "tool_calls", "type"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@given(
    fields=st.sets(st.sampled_from(FIELDS)),
    data=st.data(),
)
@settings(deadline=None)
def test_whatever_stands_in_a_row_is_a_conversation_or_said_to_be_none(
    fields: set[str], data: st.DataObject
) -> None:
    values = {field: data.draw(JSON) for field in sorted(fields)}
    reading = RowReading(columns=RowColumns(names={field: field for field in fields}))
    try:
        found, _ = reading.conversation("a row", values)
    except UnusableRowError:
        return
    assert found.messages[-1].role == "assistant"
    assert not any(message.says_nothing for message in found.messages)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["prompt", "answer"], "but no completion; .*data.columns={completion: …}"),
        (["prompt", "completions"], 'no completion; did you mean "completions"'),
        (["a", "b"], "no conversations; wanted chosen, rejected · messages"),
        (["prompt", "completion", "reward"], r"reward: not known.*data.ignore=\[reward\]"),
        (["messages", "sytem"], 'sytem: not known beside messages; did you mean "system"'),
    ],
)
def test_columns_that_are_not_known(columns: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        recognised("a table", columns, {})


def test_columns_by_other_names() -> None:
    found = recognised("t", ["q", "a", "x", "id"], {"prompt": "q", "completion": "a"}, ["x"])
    assert found.names == {"prompt": "q", "completion": "a"}
    assert found.format == "prompt and completion"
    with pytest.raises(DataError, match='no column "z"'):
        recognised("t", ["q", "a"], {"prompt": "z"})
    with pytest.raises(SpecError, match='got "promt"; did you mean "prompt"'):
        parse(ChatSpec, {"kind": "chat", "path": "x", "columns": {"promt": "q"}})


def chat(path: str, **settings: Any) -> ChatSpec:
    return parse(ChatSpec, {"kind": "chat", "path": path, **settings})


def test_faults_are_gathered_or_left_out(tmp_path: Path) -> None:
    rows = [{"prompt": f"Hi {n}", "completion": "Yo" if n % 3 else ""} for n in range(9)]
    path = written(tmp_path / "pairs.jsonl", rows)
    with pytest.raises(
        DataError, match=r"3 rows cannot be used(.|\n)*pairs\.jsonl line 1: has an empty turn"
    ):
        read_conversations(chat(path))
    found = read_conversations(chat(path, on_error="skip", split={"validation": 0}))
    assert len(found.parts["train"]) == 6
    assert found.skipped[0] == ("pairs.jsonl line 1", "has an empty turn of assistant (message 2)")
    assert "6 conversations as prompt and completion" in found.recognised
    late = written(tmp_path / "late.jsonl", [*rows[1:3], *[rows[1]] * 100, {**rows[1], "x": 1}])
    with pytest.raises(DataError, match='has the column "x", which no row had before'):
        read_conversations(chat(late))


def test_conversations_that_begin_alike_are_on_one_side(tmp_path: Path) -> None:
    rows = [{"prompt": f"Hi {n // 4}", "completion": f"Yo {n}"} for n in range(200)]
    found = read_conversations(chat(written(tmp_path / "a.jsonl", rows)))
    sides = [{row.asked for row in part} for part in found.parts.values()]
    assert found.parts.keys() == {"train", "validation"}
    assert not sides[0] & sides[1]
    assert sum(map(len, found.parts.values())) == 200


def test_files_say_their_split(tmp_path: Path) -> None:
    for name, count in (("train", 5), ("test", 2)):
        rows = [{"prompt": f"{name} {n}", "completion": "x"} for n in range(count)]
        written(tmp_path / f"{name}.jsonl", rows)
    found = read_conversations(chat(str(tmp_path), split={"validation": 0}))
    assert {split: len(rows) for split, rows in found.parts.items()} == {"train": 5, "test": 2}
    written(tmp_path / "more.jsonl", [{"prompt": "a", "completion": "b"}])
    with pytest.raises(DataError, match="some files are called"):
        read_conversations(chat(str(tmp_path)))


def test_messages_behind_the_last_reply_are_told(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", [{"messages": [USER, BOT, USER]}] * 3)
    found = read_conversations(chat(path, split={"validation": 0}))
    assert "3 messages behind the last reply" in found.findings[0].message


def info(tmp_path: Path, about: dict[str, Any], rows: list[dict[str, Any]]) -> ChatSpec:
    written(tmp_path / "rows.jsonl", rows)
    described = {"mine": {"file_name": "rows.jsonl", **about}, "other": {"file_name": "x"}}
    (tmp_path / "dataset_info.json").write_text(json.dumps(described))
    return chat(str(tmp_path / "dataset_info.json"), dataset="mine", split={"validation": 0})


def test_dataset_info(tmp_path: Path) -> None:
    about: dict[str, Any] = {"columns": {"prompt": "q", "query": "more", "response": "a"}}
    found = read_conversations(info(tmp_path, about, [{"q": "Hi", "more": "", "a": "Yo"}]))
    assert turns(found.parts["train"][0]) == ASKED
    about = {
        "formatting": "sharegpt",
        "columns": {"messages": "talk"},
        "tags": {"role_tag": "who", "content_tag": "what", "user_tag": "me", "assistant_tag": "it"},
    }
    talk = [{"who": "me", "what": "Hi"}, {"who": "it", "what": "Yo"}]
    found = read_conversations(info(tmp_path, about, [{"talk": talk}]))
    assert turns(found.parts["train"][0]) == ASKED
    about = {"formatting": "openai"}
    with pytest.raises(DataError, match="messages"):  # its column is called conversations there
        read_conversations(info(tmp_path, about, [{"messages": [USER, BOT], "talk": 1}]))
    about = {"ranking": True}
    row = {"instruction": "Hi", "input": "", "chosen": "Yo", "rejected": "No"}
    compared = read_comparisons(info(tmp_path, about, [row]))
    assert compared.parts["train"][0].chosen is not None


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({"format": "sharegpt"}, 'unknown key "format"; did you mean "formatting"'),
        ({"formatting": "sharegtp"}, 'did you mean "sharegpt"'),
        ({"columns": {"promt": "q"}}, 'did you mean "prompt"'),
        ({"formatting": "sharegpt", "tags": {"role": "x"}}, "unknown key"),
        ({"ranking": "yes"}, "wanted true or false"),
        ({"subset": "x"}, "lies elsewhere"),
    ],
)
def test_dataset_info_that_is_wrong(tmp_path: Path, about: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_conversations(info(tmp_path, about, [{"instruction": "Hi", "output": "Yo"}]))


def test_data_sets_are_named(tmp_path: Path) -> None:
    spec = info(tmp_path, {}, [{"instruction": "Hi", "output": "Yo"}])
    with pytest.raises(DataError, match="names 2 data sets; say which"):
        read_conversations(spec.model_copy(update={"dataset": None}))
    with pytest.raises(DataError, match='no data set "mime"; did you mean "mine"'):
        read_conversations(spec.model_copy(update={"dataset": "mime"}))
    with pytest.raises(DataError, match=r"is no dataset_info\.json; leave it out"):
        read_conversations(spec.model_copy(update={"path": str(tmp_path / "rows.jsonl")}))


def test_conversations_are_recognised(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", [{"prompt": "Hi", "completion": "Yo"}] * 3)
    for learns in ("documents", "preferences"):
        assert recognise(Path(path), learns) == ChatSpec(path=path)  # type: ignore[arg-type]
    texts = written(tmp_path / "b.jsonl", [{"text": "Once"}] * 3)
    assert recognise(Path(texts), "documents").kind == "text"
    with pytest.raises(DataError, match="nothing that is known"):
        recognise(Path(texts), "preferences")
