from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from luthier.data.purpose import Purpose
from luthier.data.readers.conll import ConllSpec
from luthier.data.readers.snips import SnipsSpec
from luthier.data.readers.text_table import TextTableSpec
from luthier.data.target import Labels, LabelsAndTags, Tags
from luthier.data.text.labelled.prepare_texts import PreparedTexts, prepare_texts
from luthier.data.text.tokens.subwords import WordpieceSpec
from luthier.data.text.tokens.symbols import WordsSpec
from luthier.errors import DataError, InputError

LABELS = Purpose(learns="labels")
TAGS = Purpose(learns="tags")
NO_SPLIT = {"validation": 0, "test": 0}


def table(path: Path, rows: list[tuple[str, object]]) -> Path:
    lines = [json.dumps({"text": text, "label": label}) for text, label in rows]
    path.write_text("\n".join(lines))
    return path


def films(number: int) -> list[tuple[str, object]]:
    return [(f"film {n} is {'good' if n % 3 else 'bad'}", int(n % 3 > 0)) for n in range(number)]


def prepared(path: Path, purpose: Purpose = LABELS, **settings: object) -> PreparedTexts:
    spec = TextTableSpec(path=str(path), **settings)  # type: ignore[arg-type]
    return prepare_texts(spec, purpose, seed=0)


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    return table(tmp_path / "reviews.jsonl", films(60))


def test_splits_are_stratified_and_told(reviews: Path) -> None:
    data = prepared(reviews)
    assert (len(data.train), len(data.validation or ()), len(data.test or ())) == (48, 6, 6)
    assert data.target == Labels(names=("0", "1"), counts=(16, 32))
    decisions = {each.place: each.value for each in data.decisions}
    assert decisions["data.classes"] == ["0", "1"]
    assert decisions["data.split.test"] == decisions["data.split.validation"] == 0.1
    assert decisions["data.tokenizer"]["kind"] == "words"
    assert decisions["data.context"] == 64
    assert data.recognised == f"table {reviews}: 60 train texts, 2 classes"
    assert data.noun.many == "texts"


def on_two_sides(path: Path) -> int:
    """Texts, but for case and spaces, that are in more than one split."""
    data = prepared(path)
    parts = [part for part in (data.train, data.validation, data.test) if part is not None]
    sides = [{" ".join(row.text.lower().split()) for row in part.rows} for part in parts]
    return sum(map(len, sides)) - len(set.union(*sides))


def test_equal_texts_are_on_one_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [(f"Text{' ' * (n % 3 + 1)}{n // 3}", "ab"[n % 2]) for n in range(90)]
    mixed = [(text.upper() if n % 2 else text, label) for n, (text, label) in enumerate(rows)]
    path = table(tmp_path / "x.jsonl", mixed)
    assert on_two_sides(path) == 0
    monkeypatch.setattr(  # the broken twin: no text is equal to another
        "luthier.data.text.labelled.labelled.groups_of",
        lambda rows: np.arange(len(rows)).view("V8"),
    )
    assert on_two_sides(path) > 0


def test_reading_is_pure_and_says_what_was_read(reviews: Path) -> None:
    data = prepared(reviews, tokenizer=WordsSpec(least=1))
    ids = np.array([5, 0, 5])
    samples = data.train.read(ids, epoch=3)
    again = data.train.read(ids[:1], epoch=0)
    assert samples.ids.tolist() == [5, 0, 5]
    for text, row in zip(samples.texts, ids, strict=True):
        assert data.tokenizer.decode(text.tokens) == data.train.text(int(row)).lower()
    assert again.texts[0].tokens.tolist() == samples.texts[0].tokens.tolist()
    assert samples.labels.tolist() == data.train.labels[ids].tolist()
    assert data.train.lengths[ids].tolist() == [len(text.tokens) for text in samples.texts]
    assert data.train.plain() is data.train
    assert data.train.name(0).startswith("reviews.jsonl line ")
    assert data.signal.shape == (64,)
    assert data.signal.vocab == data.tokenizer.size


def test_the_tokenizer_learns_from_training_texts_alone(tmp_path: Path) -> None:
    for name, word in (("train", "seen"), ("dev", "hidden")):
        table(tmp_path / f"{name}.jsonl", [(f"{word} {word} {n % 2}", n % 2) for n in range(4)])
    data = prepared(tmp_path, split=NO_SPLIT)
    known = data.tokenizer.encode(["seen hidden"])[0].tokens.tolist()
    assert known[1] == data.tokenizer.special("unknown") != known[0]


@pytest.mark.parametrize(
    "change",
    [
        {"rows": [("film 0 is fine", 0), *films(60)[1:]]},
        {"rows": [("film 0 is bad", 1), *films(60)[1:]]},
        {"settings": {"split": {"seed": 1}}},
        {"settings": {"tokenizer": {"kind": "bytes"}}},
        {"settings": {"cut": "start"}},
        {"settings": {"context": 9}},
        {"settings": {"classes": ["1", "0"]}},
    ],
)
def test_the_fingerprint_changes_with_what_it_stands_for(
    reviews: Path, tmp_path: Path, change: dict[str, object]
) -> None:
    before = prepared(reviews).fingerprint
    assert prepared(reviews).fingerprint == before
    rows = change.get("rows", films(60))
    other = table(tmp_path / "other.jsonl", rows)  # type: ignore[arg-type]
    assert (prepared(other).fingerprint == before) == ("rows" not in change)
    settings = {"kind": "text_table", "path": str(other), **change.get("settings", {})}  # type: ignore
    spec = TextTableSpec.model_validate(settings)
    assert prepare_texts(spec, LABELS, seed=0).fingerprint != before


def test_context_and_what_is_cut(tmp_path: Path) -> None:
    rows = [("w " * 40 + str(n), n % 2) for n in range(400)] + [("w " * 600, 1)]
    path = table(tmp_path / "x.jsonl", rows)
    data = prepared(path, split=NO_SPLIT)
    decision = next(each for each in data.decisions if each.place == "data.context")
    assert decision.value == 64  # 99.5 % have 41 tokens, the longest far more
    assert "the longest has 600; 1 of 401 are cut at their end" in decision.reason
    assert data.train.encoded.cut.tolist() == [400]
    assert data.train.lengths.max() == 64
    short = prepared(path, split=NO_SPLIT, context=5, cut="start")
    assert len(short.train.encoded.cut) == 401
    shown = short.tokenizer.decode(short.train.read(np.array([2]), 0).texts[0].tokens)
    assert shown.startswith("w w w w")
    long = table(tmp_path / "y.jsonl", [("w " * 3000, n % 2) for n in range(4)])
    assert prepared(long, split=NO_SPLIT).signal.shape == (512,)


def test_limit_takes_evenly_from_the_classes(reviews: Path) -> None:
    data = prepared(reviews, limit=20, split=NO_SPLIT)
    assert data.target == Labels(names=("0", "1"), counts=(10, 10))


def test_numbers_as_names_of_given_classes(reviews: Path) -> None:
    data = prepared(reviews, classes=("bad", "good"), split=NO_SPLIT)
    assert data.target == Labels(names=("bad", "good"), counts=(20, 40))
    with pytest.raises(DataError, match=r'line 2: has the label "1", which is not in data.classe'):
        prepared(reviews, classes=("0", "2"))
    with pytest.raises(DataError, match=r'class "2": has no training text'):
        prepared(reviews, classes=("0", "1", "2"))
    lenient = prepared(reviews, classes=("0", "1", "2"), on_error="skip")
    assert lenient.skipped == (('class "2"', "has no training text"),)


def test_the_first_token_is_there_if_the_task_asks(reviews: Path) -> None:
    asked = Purpose(learns="labels", specials=("first", "pad"))
    data = prepared(reviews, asked)
    tokens = data.train.read(np.array([0]), 0).texts[0].tokens
    assert tokens[0] == data.tokenizer.special("first") == 0
    assert tokens[-1] == data.tokenizer.special("separator")
    assert data.train.read(np.array([0]), 0).pad == data.tokenizer.special("pad") == 1
    plain = prepared(reviews, asked, first=False)
    assert plain.train.lengths.max() == data.train.lengths.max() - 2


def test_pairs_have_types(tmp_path: Path) -> None:
    rows = [{"a": f"one {n}", "b": f"two two {n}", "label": n % 2} for n in range(8)]
    path = tmp_path / "x.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    data = prepared(path, text=("a", "b"), split=NO_SPLIT, tokenizer=WordsSpec(least=1))
    text = data.train.read(np.array([3]), 0).texts[0]
    assert data.tokenizer.decode(text.tokens, specials=True) == "one 3 <|separator|> two two 3"
    assert text.types is not None
    assert text.types.tolist() == [0, 0, 0, 1, 1, 1]
    assert data.train.text(3) == "one 3\ntwo two 3"


@pytest.fixture
def tagged(tmp_path: Path) -> Path:
    path = tmp_path / "x.conll"
    sentences = [f"Anna B-name\nAdams{n} I-name\nsings O\n" for n in range(20)]
    path.write_text(
        "\n".join(sentences) + "\nRome B-place\n\nin O\nRome B-place\n\nRome B-place\nis O\n"
    )
    return path


def test_tags(tagged: Path) -> None:
    data = prepare_texts(ConllSpec(path=str(tagged)), TAGS, seed=0)
    assert isinstance(data.target, Tags)
    assert data.target.names == ("O", "B-name", "I-name", "B-place")
    assert data.target.scheme == "BIO"
    sample = data.train.read(np.array([0]), 0)
    (text,) = sample.texts
    assert text.tags is not None
    assert text.words is not None
    assert text.words.tolist() == list(range(len(text.tags)))
    assert sample.labels.tolist() == [-1]
    assert data.validation is not None
    assert data.test is not None
    for part in (data.validation, data.test):  # rare tags are in each split
        assert "B-place" in {tag for row in part.rows for tag in row.tags or ()}


def test_a_tag_outside_of_the_list(tagged: Path) -> None:
    spec = ConllSpec(path=str(tagged), tags=("O", "B-name", "I-name", "B-plaza"))
    with pytest.raises(DataError, match=r'has the tag "B-place", .* did you mean "B-plaza"\?'):
        prepare_texts(spec, TAGS, seed=0)


def test_one_split_for_all_that_is_learned(tmp_path: Path) -> None:
    for intent in ("Play", "Book"):
        entries = [
            {"data": [{"text": f"{intent} "}, {"text": f"it {n}", "entity": "what"}]}
            for n in range(30)
        ]
        (tmp_path / intent).mkdir()
        (tmp_path / intent / f"train_{intent}_full.json").write_text(json.dumps({intent: entries}))
    spec = SnipsSpec(path=str(tmp_path))
    both = prepare_texts(spec, Purpose(learns="labels_and_tags"), seed=0)
    labels = prepare_texts(spec, LABELS, seed=0)
    tags = prepare_texts(spec, TAGS, seed=0)
    assert isinstance(both.target, LabelsAndTags)
    names = [
        [data.train.name(row) for row in range(len(data.train))] for data in (both, labels, tags)
    ]
    assert names[0] == names[1] == names[2]
    assert both.train.read(np.array([0]), 0).texts[0].tags is not None
    assert labels.train.read(np.array([0]), 0).texts[0].words is None
    assert tags.train.labels.tolist() == [-1] * len(tags.train)
    with pytest.raises(InputError, match=r"data.classes: the task learns tags, so leave it out"):
        prepare_texts(spec.model_copy(update={"classes": ("Play", "Book")}), TAGS, seed=0)
    given = SnipsSpec(path=str(tmp_path), words="spaces")
    with pytest.raises(InputError, match=r"data.words: the task learns labels, so leave it out"):
        prepare_texts(given, LABELS, seed=0)


def test_data_without_what_the_task_learns(reviews: Path, tagged: Path) -> None:
    with pytest.raises(InputError, match="text_table has a label for each text; the task learns t"):
        prepared(reviews, TAGS)
    with pytest.raises(InputError, match="conll has a tag for each word; the task learns labels"):
        prepare_texts(ConllSpec(path=str(tagged)), LABELS, seed=0)
    with pytest.raises(InputError, match=r"wants \{kind: text\}, which reads tables too"):
        prepared(reviews, Purpose(learns="documents"))


def test_faults_are_settled_or_listed(tmp_path: Path) -> None:
    rows = [*films(12), ("", 1), ("x", None)]
    path = table(tmp_path / "x.jsonl", rows)
    with pytest.raises(DataError) as caught:
        prepared(path)
    assert str(caught.value).startswith("2 texts cannot be used:\n  x.jsonl line 13: is empty in")
    assert [name for name, _ in prepared(path, on_error="skip").skipped] == [
        "x.jsonl line 13",
        "x.jsonl line 14",
    ]
    table(path, [("", 1)])
    with pytest.raises(DataError, match="holds no texts that can be used"):
        prepared(path, on_error="skip")
    table(path, films(1))
    with pytest.raises(DataError, match="got 1 row, too few to set some apart for test"):
        prepared(path)


def test_texts_without_tokens(tmp_path: Path) -> None:
    path = table(tmp_path / "x.jsonl", [("...", 0), ("a b", 1), ("\x01", 0), ("a", 1)])
    with pytest.raises(DataError, match=r"x.jsonl line 3: gives no tokens: .*take another data.to"):
        prepared(path, split=NO_SPLIT, tokenizer=WordpieceSpec(vocab=50))


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (["the cat saw the dog", "the dog saw a cat"] * 20, "words"),
        ([f"这是第{n}条消息，打开灯" for n in range(40)], "characters"),
        (["คุณสบายดีไหมครับ", "สบายดีครับขอบคุณมาก"] * 20, "characters"),
        (["고양이가 강아지를 보았다", "강아지가 고양이를 보았다"] * 20, "words"),
        (["Donaudampfschifffahrt ist schön", "die Fahrt ist schön"] * 20, "words"),
    ],
)
def test_the_tokenizer_suits_the_script(tmp_path: Path, texts: list[str], kind: str) -> None:
    path = table(tmp_path / "x.jsonl", [(text, n % 2) for n, text in enumerate(texts)])
    data = prepared(path, split=NO_SPLIT)
    decision = next(each for each in data.decisions if each.place == "data.tokenizer")
    assert decision.value["kind"] == kind
    assert "characters between two spaces" in decision.reason


def test_many_texts_are_made_tokens_once(
    reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("luthier.data.text.labelled.text_tokens.KEPT_FROM_CHARACTERS", 100)
    home = tmp_path / "cache"
    seen: list[str] = []

    def again(**settings: object) -> PreparedTexts:
        seen.clear()
        spec = TextTableSpec(path=str(reviews), **settings)  # type: ignore[arg-type]
        told = lambda what, done, total: seen.append(what)  # noqa: E731
        return prepare_texts(spec, LABELS, seed=0, progress=told, cache=home)

    first = again()
    assert "making tokens" in seen
    second = again(context=7)
    assert "making tokens" not in seen
    assert second.fingerprint != first.fingerprint == again().fingerprint
    tokens = [data.train.encoded.tokens for data in (first, again())]
    assert tokens[0].values.tolist() == tokens[1].values.tolist()
    again(tokenizer=WordsSpec(least=3))
    assert "making tokens" in seen
    for file in (home / "texts").glob("*/train.npz"):  # torn: it is made anew
        file.write_bytes(file.read_bytes()[:-50])
    assert again().fingerprint == first.fingerprint
    assert "making tokens" in seen
    table(reviews, [*films(59), ("film 59 is other", 1)])
    assert again().fingerprint != first.fingerprint
    assert "making tokens" in seen
