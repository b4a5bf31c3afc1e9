from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter

from luthier.data import DataSpec
from luthier.data.images import ImagesSpec
from luthier.data.prepare_pictures import prepare_pictures
from luthier.data.readers.digits import DigitsSpec
from luthier.data.readers.folder import ImageFolderSpec
from luthier.data.readers.idx import MnistSpec
from luthier.data.split import digests
from luthier.errors import DataError, SpecError
from luthier.spec import parse, plain


def spec(folder: Path, **settings: object) -> ImageFolderSpec:
    return ImageFolderSpec(path=str(folder), **settings)  # type: ignore[arg-type]


def decided(data: object) -> dict[str, object]:
    return {d.place: d.value for d in data.decisions}  # type: ignore[attr-defined]


def test_decisions_written_back_give_the_same_data() -> None:
    first = prepare_pictures(DigitsSpec(), seed=0)
    assert {d.place for d in first.decisions} == {
        "data.classes",
        "data.image_size",
        "data.channels",
        "data.normalize",
        "data.split.validation",
        "data.split.test",
    }
    assert all(d.reason for d in first.decisions)
    settings: dict[str, object] = {"split": {}}
    for place, value in decided(first).items():
        *_, last = place.split(".")
        (settings["split"] if ".split." in place else settings)[last] = value  # type: ignore[index]
    resolved = parse(DigitsSpec, settings)
    second = prepare_pictures(resolved, seed=0)
    assert second.decisions == ()
    assert second.fingerprint == first.fingerprint
    assert second.inputs.files() == first.inputs.files()


def test_a_decoded_file_is_the_same_input_as_its_row(pets: Path) -> None:
    data = prepare_pictures(spec(pets, image_size=(7, 9)), seed=0)
    for row in range(5):
        alone = data.inputs.samples([pets / data.train.name(row)], 0).inputs
        assert (alone == data.train.read(np.array([row]), 0).inputs).all()


@pytest.mark.parametrize(
    ("normalize", "wanted"),
    [
        ("none", lambda x: x),
        ("unit", lambda x: x / 255),
        ({"mean": [0.5], "std": [0.25]}, lambda x: (x / 255 - 0.5) / 0.25),
    ],
)
def test_normalize(normalize: object, wanted: object) -> None:
    data = prepare_pictures(parse(DigitsSpec, {"normalize": normalize}), seed=0)
    ids = np.arange(4)
    pixels = data.train.pictures(ids).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(
        data.train.read(ids, 0).inputs.numpy(),
        wanted(pixels),
        atol=1e-5,  # type: ignore[operator]
    )


def test_auto_normalisation_is_of_the_training_rows() -> None:
    data = prepare_pictures(DigitsSpec(), seed=0)
    inputs = data.train.read(np.arange(len(data.train)), 0).inputs
    assert abs(float(inputs.mean())) < 1e-3
    assert abs(float(inputs.std()) - 1) < 1e-3


def test_sizes_that_differ(paint, tmp_path: Path) -> None:
    for number, size in enumerate([(40, 50), (70, 60), (300, 400), (100, 90), (64, 64)]):
        paint(f"set/{'ab'[number % 2]}/{number}.png", seed=number, size=size, mode="L")
    paint("set/a/colour.png", seed=9, size=(64, 70))
    data = prepare_pictures(spec(tmp_path / "set", split={"test": 0, "validation": 0}), seed=0)
    assert decided(data)["data.image_size"] == [64, 64]
    assert decided(data)["data.channels"] == 3
    reasons = {d.place: d.reason for d in data.decisions}
    assert reasons["data.image_size"].startswith("pictures come in 6 sizes; half of them")
    assert reasons["data.channels"] == "1 of 6 pictures have colours"


def test_equal_pictures_stay_on_one_side(paint, tmp_path: Path) -> None:
    for number in range(60):
        paint(f"set/{'ab'[number % 2]}/{number}.png", seed=number % 14)
    data = prepare_pictures(spec(tmp_path / "set", split={"test": 0.2, "validation": 0.2}), seed=0)
    sides = []
    for part in (data.train, data.validation, data.test):
        assert part is not None
        sides.append(set(digests(part.pictures(np.arange(len(part)))).tolist()))
    assert not sides[0] & sides[1]
    assert not sides[0] & sides[2]
    assert not sides[1] & sides[2]


def test_limit_takes_evenly_from_the_classes(pets: Path) -> None:
    data = prepare_pictures(spec(pets, limit=10, split={"test": 0, "validation": 0}), seed=0)
    assert data.target.counts == (5, 5)
    with pytest.raises(DataError, match=r'class "1": has no training picture \(data.limit is 1\)'):
        prepare_pictures(DigitsSpec(limit=1, split={"test": 0, "validation": 0}), seed=0)


def test_too_few_rows_to_split(paint, tmp_path: Path) -> None:
    for label in "ab":
        paint(f"set/{label}/0.png", seed=ord(label))
    with pytest.raises(DataError, match=r"2 rows, too few to set some apart for test; set data"):
        prepare_pictures(spec(tmp_path / "set"), seed=0)


def test_means_that_do_not_fit(pets: Path) -> None:
    grey = {"mean": [0.5], "std": [0.5]}
    assert prepare_pictures(parse(ImageFolderSpec, {"path": str(pets), "normalize": grey}), seed=0)
    three = {"mean": [0.5] * 3, "std": [0.5] * 3}
    with pytest.raises(DataError, match=r"data.normalize: got 3 means, but the pictures have 1 ch"):
        prepare_pictures(parse(DigitsSpec, {"normalize": three}), seed=0)


def test_the_fingerprint_sees_pixels_labels_and_splits(pets: Path, paint) -> None:
    first = prepare_pictures(spec(pets), seed=0).fingerprint
    assert prepare_pictures(spec(pets), seed=9).fingerprint == first
    assert prepare_pictures(spec(pets, split={"seed": 1}), seed=0).fingerprint != first
    assert prepare_pictures(spec(pets, classes=("dog", "cat")), seed=0).fingerprint != first
    assert prepare_pictures(spec(pets, image_size=9), seed=0).fingerprint != first


def test_validation_and_test_are_not_augmented() -> None:
    data = prepare_pictures(parse(DigitsSpec, {"augment": [{"kind": "mixup"}]}), seed=0)
    ids = np.arange(3)
    assert data.train.read(ids, 0).targets.ndim == 2
    for part in (data.validation, data.test):
        assert part is not None
        assert part.read(ids, 0).targets.ndim == 1
        assert (part.read(ids, 0).inputs == part.read(ids, 5).inputs).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image_size": 0}, "image_size: got 0; wanted one number or"),
        ({"image_size": [3, 4, 5]}, r"image_size: got 3, 4, 5; wanted one number or"),
        ({"image_size": 5000}, "each from 1 to 4096"),
        ({"classes": ["a", "a"]}, 'classes: got "a" more than once; wanted different names'),
        ({"classes": []}, "classes: got none; wanted different names"),
        ({"augment": [{"kind": "mixup"}, {"kind": "flip"}]}, "put them last"),
        ({"augment": [{"kind": "flop"}]}, 'unknown kind "flop"; did you mean "flip"'),
        (
            {"channels": 1, "normalize": {"mean": [0.1] * 3, "std": [1] * 3}},
            "normalize: got 3 means for 1 channels",
        ),
        ({"limit": 0}, "limit: got 0, wanted at least 1"),
        ({"on_error": "ignore"}, "on_error"),
        ({"path": "x"}, 'unknown setting "path"'),
    ],
)
def test_wrong_settings(settings: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parse(DigitsSpec, settings)


def test_every_kind_goes_to_a_recipe_and_back() -> None:
    adapter = TypeAdapter[ImagesSpec](DataSpec)
    augment = [{"kind": "crop", "padding": 2}, {"kind": "cutmix"}]
    for kind in ("mnist", "image_folder", "image_table", "npz", "image_archive", "digits"):
        data: dict[str, object] = {"kind": kind, "augment": augment, "image_size": [8, 9]}
        if kind != "digits":
            data["path"] = "somewhere"
        assert plain(adapter.validate_python(data)) == data
    assert plain(MnistSpec(path="a")) == {"kind": "mnist", "path": "a"}
