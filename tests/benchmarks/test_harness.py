"""Turns, statistics, ratios and the JSON, on made-up peers that sleep."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import harness
import pytest
from harness import Case, Contestant, ContestantFailed, Row

RATE = Case("rate", "images/s", "higher", "rate", ("fp32", "bf16"))
RATE_FP32 = Case("rate_fp32", "images/s", "higher", "rate", ("fp32",))
SECONDS = Case("seconds", "s", "lower", "seconds", ("fp32", "bf16"))


def contestant(peer: str, variant: str = "fp32", *, yardstick: bool = False) -> Contestant:
    return Contestant(peer, variant, "none", ("script.py",), yardstick)


def row(case: str, peer: str, median: float) -> Row:
    return Row(case, peer, "u", median, median, median, (median,))


def sleeper(seconds: dict[str, float]) -> harness.Measure:
    """Measures a nap: longer for a slower peer."""

    def measure(one: Contestant, _turn: int) -> harness.Measurement:
        start = time.perf_counter()
        time.sleep(seconds[one.peer])
        took = time.perf_counter() - start
        return {"rate": 1 / took, "seconds": took}

    return measure


def test_turns_alternate() -> None:
    seen: list[tuple[int, str]] = []

    def measure(one: Contestant, turn: int) -> harness.Measurement:
        seen.append((turn, one.name))
        return {"rate": 1}

    harness.take_turns([contestant("luthier"), contestant("slow")], 3, measure)
    assert seen == [(turn, name) for turn in range(3) for name in ("luthier fp32", "slow fp32")]


def test_the_faster_sleeper_is_ahead_in_rate_and_in_seconds() -> None:
    everyone = [contestant("luthier"), contestant("slow"), contestant("slower")]
    nap = sleeper({"luthier": 0.005, "slow": 0.02, "slower": 0.05})
    measured, failed = harness.take_turns(everyone, 3, nap)
    rows = harness.rows_of([RATE, SECONDS], everyone, measured)
    ratios = harness.ratios_of([RATE, SECONDS], everyone, rows)
    assert failed == {}
    assert len(rows) == 6
    assert all(one.low <= one.median <= one.high and len(one.runs) == 3 for one in rows)
    assert 1.5 < ratios["rate"] < 6
    assert ratios["rate"] == pytest.approx(ratios["seconds"], rel=1e-6)


def test_median_and_spread() -> None:
    measured = {"luthier fp32": [{"rate": 5.0}, {"rate": 1.0}, {"rate": 2.0}]}
    (found,) = harness.rows_of([RATE], [contestant("luthier")], measured)
    assert (found.median, found.low, found.high, found.runs) == (2.0, 1.0, 5.0, (5.0, 1.0, 2.0))


def test_a_run_without_an_answer_makes_no_row() -> None:
    measured = {"luthier fp32": [{"seconds": 9.0}, {"seconds": None}]}
    assert harness.rows_of([SECONDS], [contestant("luthier")], measured) == []


def test_a_case_takes_only_its_variants() -> None:
    everyone = [contestant("luthier"), contestant("luthier", "bf16")]
    measured = {"luthier fp32": [{"rate": 1}], "luthier bf16": [{"rate": 2}]}
    rows = harness.rows_of([RATE_FP32, RATE], everyone, measured)
    assert [(one.case, one.peer) for one in rows] == [
        ("rate_fp32", "luthier fp32"),
        ("rate", "luthier fp32"),
        ("rate", "luthier bf16"),
    ]


def test_a_case_may_take_other_variants_of_ours() -> None:
    case = Case("rate", "images/s", "higher", "rate", ("fp32",), ours=("bf16",))
    everyone = [contestant(peer, variant) for peer in ("luthier", "k") for variant in RATE.variants]
    assert [one.name for one in everyone if case.takes(one)] == ["luthier bf16", "k fp32"]


def test_ratio_is_over_the_fastest_peer_and_leaves_the_yardstick_out() -> None:
    everyone = [
        contestant("luthier"),
        contestant("luthier", "bf16"),
        contestant("fast", "bf16"),
        contestant("slow"),
        contestant("bare", yardstick=True),
    ]
    rows = [
        row("rate", "luthier fp32", 80),
        row("rate", "luthier bf16", 300),
        row("rate", "fast bf16", 200),
        row("rate", "slow fp32", 100),
        row("rate", "bare fp32", 400),
        row("seconds", "luthier fp32", 4),
        row("seconds", "fast bf16", 2),
    ]
    assert harness.ratios_of([RATE, SECONDS], everyone, rows) == {"rate": 1.5, "seconds": 0.5}


def test_no_ratio_without_a_peer() -> None:
    everyone = [contestant("luthier"), contestant("bare", yardstick=True)]
    rows = [row("rate", "luthier fp32", 1), row("rate", "bare fp32", 1)]
    assert harness.ratios_of([RATE], everyone, rows) == {}


def test_a_failed_contestant_is_named_and_left_out() -> None:
    def measure(one: Contestant, turn: int) -> harness.Measurement:
        if one.peer == "broken" and turn == 1:
            raise ContestantFailed("it fell over")
        return {"rate": 1.0}

    measured, failed = harness.take_turns([contestant("luthier"), contestant("broken")], 3, measure)
    assert list(measured) == ["luthier fp32"]
    assert failed == {"broken fp32": "it fell over"}


def test_chosen_keeps_luthier_and_rejects_unknown_names() -> None:
    everyone = [contestant("luthier"), contestant("keras"), contestant("jax")]
    assert harness.chosen(everyone, None) == everyone
    assert [one.peer for one in harness.chosen(everyone, "jax")] == ["luthier", "jax"]
    with pytest.raises(SystemExit, match="got kears; wanted some of jax, keras, luthier"):
        harness.chosen(everyone, "kears")


def script(folder: Path, text: str) -> list[str]:
    (folder / "peer.py").write_text(text)
    return ["peer.py"]


def test_a_script_is_read_from_its_last_line(tmp_path: Path) -> None:
    command = script(tmp_path, "print('chatter'); print('{\"rate\": 3}')")
    assert harness.run_script(Path(sys.executable), command, tmp_path) == {"rate": 3}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("raise SystemExit('no such data')", "exit code 1\nno such data"),
        ("print('not JSON')", "no JSON, but 'not JSON'"),
        ("", "exit code 0"),
    ],
)
def test_a_script_without_a_measurement_fails(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ContestantFailed, match=message):
        harness.run_script(Path(sys.executable), script(tmp_path, text), tmp_path)


def result(failed: dict[str, str] | None = None) -> dict[str, object]:
    return harness.document(
        benchmark="image_training",
        machine=harness.machine(),
        rows=[row("rate", "luthier fp32", 2.0)],
        ratios={"rate": 1.5},
        failed=failed or {},
        versions={"torch": {"torch": "2"}},
    )


def test_the_json_has_the_agreed_shape(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "new" / "result.json"
    assert harness.finish(result(), file) == 0
    written = json.loads(file.read_text())
    assert {"machine", "rows", "ratios"} <= set(written)
    assert set(written["rows"][0]) == {"case", "peer", "unit", "median", "low", "high", "runs"}
    assert written["ratios"] == {"rate": 1.5}
    assert written["machine"]["cores"] >= 1
    assert "rate: luthier over the fastest peer 1.500" in capsys.readouterr().out


def test_a_failure_is_printed_and_is_the_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert harness.finish(result({"jax fp32": "no wheel"}), None) == 1
    assert "jax fp32 FAILED: no wheel" in capsys.readouterr().out
