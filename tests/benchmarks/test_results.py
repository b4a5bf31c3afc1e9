"""RESULTS.md from JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import results

RESULT = {
    "benchmark": "image_training",
    "date": "2026-01-02",
    "command": "python benchmarks/image_training.py --quick",
    "machine": {
        "cpu": "Some CPU",
        "cores": 2,
        "memory_gib": 23.4,
        "system": "Linux x86_64",
        "python": "3.11.7",
        "load_before": 0.01,
    },
    "versions": {"torch": {"torch": "2.13.0"}},
    "rows": [
        {
            "case": "images_per_second",
            "peer": "luthier bf16",
            "unit": "images/s",
            "median": 19345.6,
            "low": 19000.0,
            "high": 20000.0,
            "runs": [19000.0, 19345.6, 20000.0],
        },
        {
            "case": "seconds_to_98.5",
            "peer": "luthier bf16",
            "unit": "s",
            "median": 12.3456,
            "low": 12.0,
            "high": 13.0,
            "runs": [12.0, 12.3456, 13.0],
        },
    ],
    "ratios": {"images_per_second": 1.387},
    "failed": {"keras_jax fp32": "keras_jax.py: exit code 1\nTraceback"},
}


def test_the_page_names_machine_date_command_and_figures() -> None:
    page = results.page([RESULT])
    for text in (
        "## image_training, 2026-01-02",
        "`python benchmarks/image_training.py --quick`",
        "Some CPU, 2 cores, 23.4 GiB",
        "| images_per_second | 1.39 |",
        "| images_per_second | luthier bf16 | 19,346 | 19,000 | 20,000 | 3 | images/s |",
        "| seconds_to_98.5 | luthier bf16 | 12.35 | 12 | 13 | 3 | s |",
        "Failed: keras_jax fp32: keras_jax.py: exit code 1\n",
        "- torch: torch 2.13.0",
    ):
        assert text in page


def test_main_writes_the_page(tmp_path: Path) -> None:
    file, target = tmp_path / "one.json", tmp_path / "RESULTS.md"
    file.write_text(json.dumps(RESULT))
    assert results.main([file], target) == 0
    assert target.read_text() == results.page([RESULT])


def test_without_results_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert results.main([], tmp_path / "RESULTS.md") == 2
    assert not (tmp_path / "RESULTS.md").exists()
    assert "run a benchmark with --json" in capsys.readouterr().err


def test_what_was_learned_is_a_table_of_its_own() -> None:
    row = {"case": "mr_cnn", "who": "luthier", "metric": "accuracy", "reference": "0.761"}
    learned = {
        **{key: RESULT[key] for key in ("date", "command", "machine")},
        "benchmark": "text_learning",
        "seeds": [1, 2],
        "rows": [{**row, "median": 0.78949, "low": 0.77, "high": 0.79}],
        "notes": ["A sentence."],
    }
    text = results.page([learned])
    assert "Seeds 1, 2;" in text
    assert "| mr_cnn | luthier | accuracy | 0.7895 | 0.7700 | 0.7900 | 0.761 |" in text
    assert "A sentence." in text
