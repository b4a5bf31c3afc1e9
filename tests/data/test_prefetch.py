from __future__ import annotations

import threading
import time

import pytest

from luthier.data.prefetch import ordered


def _mine() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("luthier-data")]


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_results_come_in_order(workers: int) -> None:
    def slow_first(item: int) -> int:
        time.sleep(0.01 if item % 3 == 0 else 0)
        return item * item

    got = list(ordered(slow_first, range(20), workers=workers, ahead=2 * workers))
    assert got == [item * item for item in range(20)]
    assert _mine() == []


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_comes_where_its_result_would(workers: int) -> None:
    def work(item: int) -> int:
        if item == 3:
            raise ValueError("item 3 is bad")
        return item

    results = ordered(work, range(10), workers=workers, ahead=4)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="item 3 is bad"):
        next(results)
    assert _mine() == []


def test_no_more_is_begun_than_is_allowed() -> None:
    begun = []
    results = ordered(lambda item: begun.append(item), range(100), workers=2, ahead=4)
    next(results)
    time.sleep(0.05)
    assert len(begun) <= 5
    results.close()


def test_closing_drops_what_has_not_begun() -> None:
    done = []

    def work(item: int) -> None:
        time.sleep(0.02)
        done.append(item)

    results = ordered(work, range(1000), workers=1, ahead=50)
    next(results)
    before = time.perf_counter()
    results.close()
    assert time.perf_counter() - before < 0.3
    assert len(done) <= 51
    assert _mine() == []
