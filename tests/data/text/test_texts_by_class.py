"""Class folders of texts, files of lines, CLINC150 and Snips."""

from __future__ import annotations

import json
import tarfile
import zipfile
from pathlib import Path

import pytest

from luthier.data.faults import Faults
from luthier.data.readers.clinc import ClincSpec
from luthier.data.readers.snips import Request, SnipsSpec, tagged_words
from luthier.data.readers.text_folder import TextFolderSpec
from luthier.data.readers.text_lines import TextLinesSpec
from luthier.data.text.labelled.found import FoundTexts
from luthier.errors import DataError, SpecError
from luthier.spec import parse


def texts(found: FoundTexts) -> dict[str, list[tuple[str, str | None]]]:
    return {split: [(row.text, row.label) for row in part] for split, part in found.parts.items()}


def write(root: Path, files: dict[str, bytes | str]) -> Path:
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return root


class TestFolders:
    def test_classes_and_splits(self, tmp_path: Path) -> None:
        root = write(
            tmp_path / "imdb",
            {
                "train/pos/0.txt": "\ufeffgood\r\nfilm \n",
                "train/neg/0.txt": "bad",
                "train/unsup/0.txt": "who knows",
                "train/pos/notes.csv": "aside",
                "test/neg/1.txt": "worse",
                "vocab.txt": "aside",
                "README": "aside",
            },
        )
        spec = TextFolderSpec(path=str(root), classes=("neg", "pos"))
        wanted = {"train": [("bad", "neg"), ("good\nfilm", "pos")], "test": [("worse", "neg")]}
        found = spec.collect(Faults())
        assert texts(found) == wanted
        assert found.recognised == f"folders of texts {root} (4 other files left aside)"
        with tarfile.open(tmp_path / "imdb.tar.gz", "w:gz") as packed:
            packed.add(root, "imdb")
        packed_spec = TextFolderSpec(path=str(tmp_path / "imdb.tar.gz"), classes=("neg", "pos"))
        assert texts(packed_spec.collect(Faults())) == wanted
        everything = TextFolderSpec(path=str(root)).collect(Faults())
        assert ("who knows", "unsup") in texts(everything)["train"]

    def test_files_at_fault(self, tmp_path: Path) -> None:
        write(
            tmp_path,
            {"a/0.txt": "x", "b/0.txt": b"caf\xe9 ole", "b/1.txt": " \n", "b/2.txt": "y"},
        )
        faults = Faults("skip")
        found = TextFolderSpec(path=str(tmp_path)).collect(faults)
        assert texts(found) == {"train": [("x", "a"), ("y", "b")]}
        assert faults.found == [
            ("b/0.txt", "is not UTF-8 text: byte 0xe9 at byte 3"),
            ("b/1.txt", "is empty"),
        ]

    def test_places(self, tmp_path: Path) -> None:
        write(tmp_path, {"x.txt": "x"})
        with pytest.raises(DataError, match=r"holds no text files in class folders; wanted CLASS/"):
            TextFolderSpec(path=str(tmp_path)).collect(Faults())
        write(tmp_path, {"train/a/x.txt": "x", "cats/x.txt": "y"})
        with pytest.raises(DataError, match=r"has cats beside train; wanted either folders of spl"):
            TextFolderSpec(path=str(tmp_path)).collect(Faults())


class TestLines:
    def test_names_say_classes(self, tmp_path: Path) -> None:
        files = {
            "set/rt-polarity.pos": "good\n\nfine\n",
            "set/rt-polarity.neg": "bad\r\n",
            "set/README.txt": "aside",
        }
        write(tmp_path, files)
        wanted = {"train": [("bad", "neg"), ("good", "pos"), ("fine", "pos")]}
        assert texts(TextLinesSpec(path=str(tmp_path / "set")).collect(Faults())) == wanted
        with zipfile.ZipFile(tmp_path / "x.zip", "w") as packed:
            for name in files:
                packed.write(tmp_path / name, name)
        found = TextLinesSpec(path=str(tmp_path / "x.zip")).collect(Faults())
        assert texts(found) == wanted
        assert found.parts["train"][2].name == "rt-polarity.pos line 3"

    def test_names_say_splits_too(self, tmp_path: Path) -> None:
        names = ("cats_train.txt", "cats_test.txt", "dogs_train.txt", "dogs_test.txt")
        write(tmp_path, {name: name for name in names})
        found = TextLinesSpec(path=str(tmp_path)).collect(Faults())
        assert texts(found) == {
            "train": [("cats_train.txt", "cats"), ("dogs_train.txt", "dogs")],
            "test": [("cats_test.txt", "cats"), ("dogs_test.txt", "dogs")],
        }
        write(tmp_path, {"birds.txt": "x"})
        with pytest.raises(DataError, match=r"birds.txt say no split .*; name the files: dat"):
            TextLinesSpec(path=str(tmp_path)).collect(Faults())

    def test_named_files(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write(tmp_path, {"a": "one\n\xff\n".encode("latin-1"), "b": "two"})
        monkeypatch.chdir(tmp_path)
        faults = Faults("skip")
        spec = parse(TextLinesSpec, {"files": {"up": "a", "down": "b"}})
        found = spec.collect(faults)
        assert texts(found) == {"train": [("one", "up"), ("two", "down")]}
        assert faults.found == [("a line 2", "is not UTF-8 text: byte 0xff at byte 4 of the file")]
        assert found.decisions[0].value == {"up": str(tmp_path / "a"), "down": str(tmp_path / "b")}
        with pytest.raises(SpecError, match="files: got fewer than 2; wanted a file for each clas"):
            parse(TextLinesSpec, {"files": {"up": "a"}})

    def test_names_that_say_nothing(self, tmp_path: Path) -> None:
        write(tmp_path, {"train.txt": "x", "test.txt": "y"})
        with pytest.raises(DataError, match=r"\(test.txt, train.txt\) do not say classes; name th"):
            TextLinesSpec(path=str(tmp_path)).collect(Faults())
        (tmp_path / "train.txt").unlink()
        with pytest.raises(DataError, match="has 1 file with texts; wanted one for each class"):
            TextLinesSpec(path=str(tmp_path)).collect(Faults())


LISTS: dict[str, list[list[object]]] = {
    "train": [["send money", "transfer"], [" ", "transfer"], ["x"], ["a b", 5]],
    "val": [["how much", "balance"]],
    "test": [["pay him", "transfer"]],
    "oos_train": [["sing", "oos"]],
    "oos_val": [],
    "oos_test": [["dance", "oos"]],
}


class TestClinc:
    def test_lists(self, tmp_path: Path) -> None:
        (tmp_path / "data_full.json").write_text(json.dumps(LISTS))
        faults = Faults("skip")
        found = ClincSpec(path=str(tmp_path)).collect(faults)
        assert texts(found) == {
            "train": [("send money", "transfer"), ("a b", "5")],
            "validation": [("how much", "balance")],
            "test": [("pay him", "transfer")],
        }
        assert [place for place, _ in faults.found] == [
            "data_full.json train[1]",
            "data_full.json train[2]",
        ]
        assert "2 out of scope left out" in found.recognised
        spec = ClincSpec(path=str(tmp_path / "data_full.json"), out_of_scope="class")
        everything = texts(spec.collect(Faults("skip")))
        assert everything["test"] == [("pay him", "transfer"), ("dance", "oos")]

    def test_another_file(self, tmp_path: Path) -> None:
        (tmp_path / "data_full.json").write_text('{"train": []}')
        with pytest.raises(DataError, match="wanted an object with the lists train, val, test"):
            ClincSpec(path=str(tmp_path)).collect(Faults())


class TestSnips:
    def test_slots_of_words(self) -> None:
        text = "play  Hey Jude by the beatles, now"
        slots = [("track", 6, 14), ("artist", 18, 29), ("artist", 31, 34)]
        words, tags, divided = tagged_words(Request(text, slots), "signs")
        assert words == ["play", "Hey", "Jude", "by", "the", "beatles", ",", "now"]
        assert tags == ["O", "B-track", "I-track", "O", "B-artist", "I-artist", "O", "B-artist"]
        assert divided == 0
        words, tags, divided = tagged_words(Request(text, slots), "spaces")
        assert words[5:7] == ["beatles", ","]
        assert (tags[5:7], divided) == (["I-artist", "O"], 1)

    def test_neighbours_of_one_type_are_two(self) -> None:
        slots = [("city", 0, 5), ("city", 6, 10)]
        assert tagged_words(Request("Paris Rome", slots), "signs")[1] == ["B-city", "B-city"]

    def test_files(self, tmp_path: Path) -> None:
        def request(*parts: object) -> dict[str, object]:
            return {
                "data": [
                    {"text": part} if isinstance(part, str) else dict(part)  # type: ignore
                    for part in parts
                ]
            }

        song = {"text": "Café", "entity": "track"}
        train = {"PlayMusic": [request("play ", song, "."), {"data": 5}, request(" ")]}
        encoded = json.dumps(train, ensure_ascii=False).encode("latin-1")
        held = {"PlayMusic": [request(song, "\n now")]}
        write(
            tmp_path,
            {
                "PlayMusic/train_PlayMusic_full.json": encoded,
                "PlayMusic/train_PlayMusic.json": "not read",
                "PlayMusic/validate_PlayMusic.json": json.dumps(held),
            },
        )
        faults = Faults("skip")
        found = SnipsSpec(path=str(tmp_path)).collect(faults)
        (row,) = found.parts["train"]
        assert (row.text, row.label) == ("play Café.", "PlayMusic")
        assert list(zip(row.words or (), row.tags or (), strict=True)) == [
            ("play", "O"),
            ("Café", "B-track"),
            (".", "O"),
        ]
        assert found.parts["test"][0].text == "Café now"
        assert [why for _, why in faults.found] == ['has no list "data"', "is empty"]
        assert found.findings[0].message.startswith("1 byte of train_PlayMusic_full.json are no")

    def test_another_place(self, tmp_path: Path) -> None:
        write(tmp_path, {"x/y.json": "{}"})
        with pytest.raises(DataError, match=r"has no INTENT/train_INTENT_full.json; wanted Snips"):
            SnipsSpec(path=str(tmp_path)).collect(Faults())
