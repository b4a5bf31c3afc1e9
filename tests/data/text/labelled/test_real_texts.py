"""The published data sets as they lie: counts as their makers say."""

from __future__ import annotations

from pathlib import Path

import pytest

from luthier.data.faults import Faults
from luthier.data.purpose import Purpose
from luthier.data.readers.clinc import ClincSpec
from luthier.data.readers.conll import ConllSpec
from luthier.data.readers.snips import SnipsSpec
from luthier.data.readers.text_table import TextTableSpec
from luthier.data.recognise import recognise
from luthier.data.target import names_of
from luthier.data.text.labelled.labelled import read_labelled
from luthier.data.text.labelled.prepare_texts import PreparedTexts, prepare_texts
from luthier.data.text.labelled.tagging import entities_in

pytestmark = pytest.mark.real_data


def rows(data: PreparedTexts) -> tuple[int, ...]:
    return tuple(len(part or ()) for part in (data.train, data.validation, data.test))


@pytest.mark.parametrize(
    ("place", "learns", "counts", "names"),
    [
        ("text_classification/sst2", "labels", (6920, 872, 1821), 2),
        ("text_classification/csl_category_zh", "labels", (8000, 1000, 1000), 13),
        ("text_classification/clinc150", "labels", (15000, 3000, 4500), 150),
        ("text_classification/mr_sentence_polarity", "labels", (8530, 1066, 1066), 2),
        ("ner/wnut17", "tags", (3394, 1009, 1287), 13),
        ("ner/weibo_ner_zh", "tags", (1350, 270, 270), 17),
        ("intent_slot_text/snips", "labels_and_tags", (13084, 700, 700), 7),
    ],
)
def test_recognised_and_whole(
    real_data: Path, place: str, learns: str, counts: tuple[int, ...], names: int
) -> None:
    if not (real_data / place).exists():
        pytest.skip(f"no {place}")
    spec = recognise(real_data / place)
    data = prepare_texts(spec, Purpose(learns=learns), seed=0)  # type: ignore[arg-type]
    assert rows(data) == counts
    assert len(names_of(data.target)) == names
    assert data.skipped == ()


def test_entities(real_data: Path) -> None:
    # Weibo's counts are of tags B; the 10 and 4 more are begun by an I.
    wanted = {"wnut17": [1975, 836, 1079], "weibo_ner_zh": [1885 + 10, 389, 414 + 4]}
    for name, counts in wanted.items():
        parts = ConllSpec(path=str(real_data / "ner" / name)).collect(Faults()).parts
        found = [sum(len(entities_in(row.tags or (), "BIO")) for row in p) for p in parts.values()]
        assert found == counts
    begun = sum(tag[0] == "B" for row in parts["train"] for tag in row.tags or ())
    assert begun == 1885


def test_out_of_scope_and_slots(real_data: Path) -> None:
    clinc = ClincSpec(path=str(real_data / "text_classification/clinc150"), out_of_scope="class")
    labelled = read_labelled(clinc, Purpose(learns="labels"))
    assert [len(part) for part in labelled.parts.values()] == [15100, 3100, 5500]
    assert "oos" in labelled.numbering.classes
    snips = SnipsSpec(path=str(real_data / "intent_slot_text/snips"))
    labelled = read_labelled(snips, Purpose(learns="tags"))
    assert [len(part) for part in labelled.parts.values()] == [13084, 700, 700]
    assert len(labelled.numbering.tags) == 72  # 39 slots: as in the usual conversion


def test_a_column_without_a_name(real_data: Path) -> None:
    spec = recognise(real_data / "text_classification/csl_category_zh/dev.tsv")
    assert isinstance(spec, TextTableSpec)
    assert spec.columns == ("column_1", "text", "label")
