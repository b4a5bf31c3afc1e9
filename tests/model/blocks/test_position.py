"""Numbers for distances: ALiBi, and T5's buckets."""

from __future__ import annotations

import math

import pytest
import torch

from luthier.model.blocks.position import Alibi, Relative

CPU = torch.device("cpu")


def test_slopes() -> None:
    assert Alibi(8).slopes == tuple(2.0**-n for n in range(1, 9))
    assert Alibi(4).slopes == (1 / 4, 1 / 16, 1 / 64, 1 / 256)
    assert Alibi(1).slopes == (2.0**-8,)
    # Those of 8 heads, then the first, third, fifth and seventh of 16.
    between = (2**-0.5, 2**-1.5, 2**-2.5, 2**-3.5)
    assert Alibi(12).slopes == pytest.approx((*Alibi(8).slopes, *between))


def test_a_penalty_that_grows_with_the_distance() -> None:
    bias_HR = Alibi(2)(3, CPU)
    assert bias_HR.tolist() == [
        [-slope * far for far in (2, 1, 0, 1, 2)] for slope in (2.0**-4, 2.0**-8)
    ]


def bucket_of(distance: int, buckets: int, reach: int, *, causal: bool) -> int:
    """The paper's rule for one distance: half of the buckets alone, the others on a log scale."""
    first = 0
    if causal:
        far = max(-distance, 0)
    else:
        buckets //= 2
        first = buckets if distance > 0 else 0
        far = abs(distance)
    single = buckets // 2
    if far < single:
        return first + far
    share = math.log(far / single) / math.log(reach / single)
    return first + min(single + int(share * (buckets - single)), buckets - 1)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(("buckets", "reach"), [(32, 128), (8, 20), (4, 5)])
def test_buckets(buckets: int, reach: int, causal: bool) -> None:
    relative = Relative(1, buckets, reach, causal=causal)
    distances = torch.arange(-200, 201)
    got = relative.bucket(distances).tolist()
    want = [bucket_of(distance, buckets, reach, causal=causal) for distance in range(-200, 201)]
    # On the edge of a bucket, float32 may fall to the other side.
    assert sum(one != other for one, other in zip(got, want, strict=True)) <= 1
    assert set(got) == set(range(buckets)) - ({buckets // 2} if not causal else set())


def test_the_numbers_of_the_buckets() -> None:
    relative = Relative(2, 8, 16, causal=False)
    bias_HR = relative(4, CPU)
    assert bias_HR.shape == (2, 7)
    for place, distance in enumerate(range(-3, 4)):
        bucket = int(relative.bucket(torch.tensor([distance])))
        assert torch.equal(bias_HR[:, place], relative.table.weight[bucket])
