from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from luthier.data.doctor import inspect
from luthier.data.finding import Finding
from luthier.data.prepare_pictures import prepare_pictures
from luthier.data.readers.digits import DigitsSpec
from luthier.data.readers.folder import ImageFolderSpec
from luthier.data.readers.table import ImageTableSpec


def spec(folder: Path, **settings: object) -> ImageFolderSpec:
    return ImageFolderSpec(path=str(folder), **settings)  # type: ignore[arg-type]


def one(findings: list[Finding], part: str) -> Finding:
    found = [finding for finding in findings if part in finding.message]
    assert len(found) == 1, [finding.message for finding in findings]
    return found[0]


def test_clean_data_has_no_findings() -> None:
    assert inspect(DigitsSpec()) == []


def test_files_that_cannot_be_used_are_errors(pets: Path) -> None:
    for name in ("x.png", "y.png"):
        (pets / "cat" / name).write_bytes(b"nonsense")
    (pets / "bird").mkdir()
    findings = inspect(spec(pets))
    bad = one(findings, "is no picture of a known format")
    assert bad.severity == "error"
    assert bad.message.startswith("2 files cannot be used: is no picture")
    assert bad.files == ("cat/x.png", "cat/y.png")
    assert one(findings, "is an empty class").files == ("bird/",)
    assert [finding.severity for finding in findings[:2]] == ["error", "error"]
    assert findings == inspect(prepare_pictures(spec(pets, on_error="skip"), seed=0))


def test_rows_of_a_table_with_the_same_fault_are_one_finding(paint, tmp_path: Path) -> None:
    for number in range(8):
        paint(f"table/{number}.png", seed=number)
    rows = [f"{number}.png,{'ab'[number % 2]}" for number in range(12)]
    (tmp_path / "table" / "metadata.csv").write_text("\n".join(["file_name,label", *rows]))
    finding = one(inspect(ImageTableSpec(path=str(tmp_path / "table"))), "cannot be used")
    assert finding.message.startswith("4 files cannot be used: does not exist in")
    assert finding.files == ("8.png", "9.png", "10.png", "11.png")


def test_a_place_that_cannot_be_read_is_one_error(tmp_path: Path) -> None:
    (finding,) = inspect(spec(tmp_path))
    assert finding.severity == "error"
    assert finding.message == f"{tmp_path}: is empty; wanted CLASS/picture.png and so on"


def test_copies_across_splits_and_labels(paint, tmp_path: Path) -> None:
    for split, seeds in (("train", range(30)), ("val", [0, 50]), ("test", [0, 1, 60])):
        for seed in seeds:
            paint(f"set/{split}/{'ab'[seed % 2]}/{seed}.png", seed=seed)
    paint("set/train/b/twin.png", seed=2)
    paint("set/train/a/again.png", seed=4)
    findings = inspect(spec(tmp_path / "set"))
    leak = one(findings, "test pictures equal to one in train")
    assert leak.severity == "warning"
    assert leak.message.startswith("2 test pictures equal to one in train; what is learned by")
    assert leak.files == ("train/a/0.png = test/a/0.png", "train/b/1.png = test/b/1.png")
    assert one(findings, "1 validation picture equal to one in train").severity == "warning"
    labels = one(findings, "1 pair of equal pictures with two labels")
    assert labels.files == ("train/a/2.png = train/b/twin.png",)
    inside = one(findings, "2 pairs of equal pictures in one split")
    assert inside.severity == "note"


def test_nearly_equal_pictures(tmp_path: Path, paint) -> None:
    for number in range(12):
        values = np.random.default_rng(number).integers(0, 256, (4, 4, 3), dtype=np.uint8)
        image = Image.fromarray(values).resize((32, 32), Image.Resampling.BICUBIC)
        folder = tmp_path / "set" / "train" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        image.save(folder / f"{number}.png")
        if number < 3:
            (tmp_path / "set" / "test" / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
            image.save(tmp_path / "set" / "test" / "ab"[number % 2] / "copy.jpg", quality=85)
    findings = inspect(spec(tmp_path / "set", split={"validation": 0}))
    leak = one(findings, "test pictures nearly equal to one in train")
    assert leak.message.startswith("2 test")  # number 2 overwrote number 0
    assert leak.files == ("train/b/1.png = test/b/copy.jpg", "train/a/2.png = test/a/copy.jpg") or (
        leak.files == ("train/a/2.png = test/a/copy.jpg", "train/b/1.png = test/b/copy.jpg")
    )


def test_classes_that_are_small_or_missing(paint, tmp_path: Path) -> None:
    for number in range(40):
        paint(f"set/train/many/{number}.png", seed=number)
    for number in range(3):
        paint(f"set/train/few/{number}.png", seed=100 + number)
    paint("set/test/many/x.png", seed=300)
    findings = inspect(spec(tmp_path / "set", split={"validation": 0}))
    assert one(findings, "1 class with fewer than 20 training pictures: few (3)")
    imbalance = one(findings, '"many" has 40 training pictures and "few" has 3; accuracy will')
    assert imbalance.severity == "warning"
    assert one(findings, "test has no pictures of 1 class: few").severity == "warning"


def test_looks(paint, tmp_path: Path) -> None:
    for number in range(6):
        paint(f"set/{'ab'[number % 2]}/{number}.png", seed=number, size=(40, 40))
    paint("set/a/long.png", seed=10, size=(200, 40))
    paint("set/a/small.png", seed=11, size=(8, 9))
    paint("set/b/grey.png", seed=12, size=(40, 40), mode="L")
    flat = tmp_path / "set" / "b" / "flat.png"
    Image.new("RGB", (40, 40), (9, 9, 9)).save(flat)
    findings = inspect(spec(tmp_path / "set", split={"validation": 0, "test": 0}))
    sizes = one(findings, "pictures come in 3 sizes, most often 40 x 40 (8)")
    assert sizes.message.endswith("all become 32 x 32 pixels")
    assert one(findings, "1 picture of 10 smaller than 32 x 32").severity == "note"
    assert one(findings, "1 picture more than twice as long").severity == "warning"
    grey = one(findings, "1 of 10 pictures are grey")
    assert grey.message.endswith("grey ones stay grey")
    constant = one(findings, "1 picture of one single colour")
    assert constant.files == ("b/flat.png",)


@pytest.mark.parametrize("count", [3, 12])
def test_long_lists_are_cut(count: int, paint, tmp_path: Path) -> None:
    for label in range(count):
        for number in range(2):
            paint(f"set/c{label:02}/{number}.png", seed=10 * label + number)
    findings = inspect(spec(tmp_path / "set", split={"validation": 0, "test": 0}))
    few = one(findings, "with fewer than 20 training pictures")
    assert few.message.endswith("c02 (2)" if count == 3 else "c07 (2) and 4 more")
