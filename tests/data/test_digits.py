from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from luthier.data.faults import Faults
from luthier.data.prepare_pictures import prepare_pictures
from luthier.data.readers import digits
from luthier.data.readers.digits import DigitsSpec
from luthier.errors import DataError


def test_they_are_scikit_learns() -> None:
    part = DigitsSpec().collect(Faults()).parts["train"]
    theirs = load_digits()
    assert (part.labels == theirs.target).all()
    assert (part.pictures[..., 0] == np.round(theirs.images * 255 / 16)).all()
    assert part.pictures.dtype == np.uint8
    assert part.pictures.max() == 255


def test_splits_are_made() -> None:
    data = prepare_pictures(DigitsSpec(), seed=7)
    assert data.validation is not None
    assert data.test is not None
    assert len(data.train) + len(data.validation) + len(data.test) == 1797
    assert data.target.names == tuple("0123456789")
    for part in (data.validation, data.test):
        counts = np.bincount(part.labels)
        assert counts.min() >= 16
        assert counts.max() <= 19
    assert data.recognised == "1,797 embedded handwritten digits of 8 x 8 pixels"


def test_too_few_names_are_an_error() -> None:
    with pytest.raises(DataError, match=r"digits\[9\]: has the label 9; wanted 0 to 8"):
        prepare_pictures(DigitsSpec(classes=tuple("abcdefghi")), seed=0)


def test_a_missing_file_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Distribution:
        def locate_file(self, name: str) -> Path:
            return Path("/nowhere") / name

    monkeypatch.setattr(digits.importlib.metadata, "distribution", lambda _: Distribution())
    with pytest.raises(DataError, match=r"/nowhere/.*digits.csv.gz: is missing; scikit-learn"):
        DigitsSpec().collect(Faults())
