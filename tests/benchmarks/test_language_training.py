"""The tables of the language benchmark, its shares, its corpus and its plot."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import environments
import harness
import language_cases
import language_ceiling
import language_corpus
import language_data
import language_plot
import language_protocol
import language_sizes
import language_training
import pytest
from harness import Contestant
from language_cases import CONTESTS, Contest

SMALL = language_sizes.Gpt(vocab=300, width=8, depth=1, heads=1, context=16, rows=2)


@pytest.mark.parametrize("contest", CONTESTS, ids=lambda contest: contest.name)
def test_every_contestant_has_its_script_and_its_pins(contest: Contest) -> None:
    for one in contest.contestants:
        files = [word for word in one.command if word.endswith(".py")]
        assert all((language_training.PEERS / file).is_file() for file in files)
        pins = environments.REQUIREMENTS / f"{one.environment}.txt"
        assert pins.read_text().startswith("# direct: ")
        if one.peer != language_cases.CEILING:
            assert one.variant.startswith(language_cases.PRECISIONS)


@pytest.mark.parametrize("contest", CONTESTS, ids=lambda contest: contest.name)
def test_names_are_told_apart_and_ceilings_exist(contest: Contest) -> None:
    names = [one.name for one in contest.contestants]
    assert len(names) == len(set(names))
    assert contest.ceiling is None or contest.ceiling in language_ceiling.NETWORKS


def test_losses_are_those_of_the_peers() -> None:
    assert language_cases.LOSSES == language_protocol.LOSSES


def test_cases_are_chosen_by_name() -> None:
    assert language_training.chosen(None) == list(CONTESTS)
    assert [one.name for one in language_training.chosen("lstm, gpt_5m")] == ["lstm", "gpt_5m"]
    with pytest.raises(SystemExit, match="--case: got gpt_6m; wanted some of gpt_5m, gpt_30m"):
        language_training.chosen("gpt_6m")


def test_a_share_is_of_the_ceiling_of_its_round_and_precision() -> None:
    measured = {
        "litgpt bf16-mixed compile": [{"gflops_per_second": 50.0}, {"gflops_per_second": 60.0}],
        "nanogpt fp32": [{"gflops_per_second": 10.0}, {"gflops_per_second": 10.0}],
        "ceiling": [{"fp32": 20.0, "bf16": 100.0}, {"fp32": 40.0, "bf16": 80.0}],
    }
    shared = language_training.with_shares(measured)
    assert [run["share"] for run in shared["litgpt bf16-mixed compile"]] == [0.5, 0.75]
    assert [run["share"] for run in shared["nanogpt fp32"]] == [0.5, 0.25]
    assert shared["ceiling"] == measured["ceiling"]


def test_without_a_ceiling_there_are_no_shares() -> None:
    runs = {"nanogpt fp32": [{"gflops_per_second": 10.0}]}
    assert language_training.with_shares(runs) == runs


def contest(*, losses: tuple[float, ...] = ()) -> Contest:
    """luthier, a peer with two ways to batch, and the tuned loop."""
    run = ("run.py",)
    return Contest(
        name="made_up",
        unit="tokens/s",
        table={
            harness.OURS: ("luthier", run, {"bf16": ()}),
            "peer": ("torch", run, {"bf16 padded": (), "bf16 packed": ()}),
            "bare_loop": ("torch", run, {"bf16": ()}),
        },
        full=(),
        quick=(),
        ceiling="gpt_5m",
        over={"padding": ("bf16 padded",)},
        losses=losses,
    )


def test_ratios_are_over_the_fastest_peer_and_over_padding() -> None:
    made = contest()
    measured = {
        "luthier bf16": [{"rate": 30.0}],
        "peer bf16 padded": [{"rate": 10.0}],
        "peer bf16 packed": [{"rate": 20.0}],
        "bare_loop bf16": [{"rate": 90.0}],
        "ceiling": [{"fp32": 1.0, "bf16": 2.0}],
    }
    rows = harness.rows_of(made.ranked(), made.contestants, measured)
    ratios = harness.ratios_of(made.ranked(), made.contestants, rows)
    assert ratios == {"made_up": 1.5, "made_up_over_padding": 3.0}
    shown = harness.rows_of(made.shown(), made.contestants, measured)
    assert [(row.case, row.median) for row in shown] == [
        ("made_up_ceiling_fp32", 1.0),
        ("made_up_ceiling_bf16", 2.0),
    ]


def test_what_is_less_exact_has_a_ratio_of_its_own() -> None:
    made = replace(
        contest(),
        table={
            harness.OURS: ("luthier", ("run.py",), {"bf16": (), "bf16 int8": ()}),
            "peer": ("torch", ("run.py",), {"fp32": (), "bf16": ()}),
        },
        over={},
        apart={"int8": ("bf16 int8",)},
    )
    measured = {
        "luthier bf16": [{"rate": 30.0}],
        "luthier bf16 int8": [{"rate": 80.0}],
        "peer fp32": [{"rate": 10.0}],
        "peer bf16": [{"rate": 20.0}],
    }
    rows = harness.rows_of(made.ranked(), made.contestants, measured)
    ratios = harness.ratios_of(made.ranked(), made.contestants, rows)
    assert ratios == {"made_up": 1.5, "made_up_int8": 4.0}


def test_seconds_to_a_loss_rank_the_faster_higher() -> None:
    made = contest(losses=(5.0,))
    measured = {
        "luthier bf16": [{"seconds_to_5.0": 20.0}],
        "peer bf16 padded": [{"seconds_to_5.0": 30.0}],
        "peer bf16 packed": [{"seconds_to_5.0": None}],
    }
    rows = harness.rows_of(made.ranked(), made.contestants, measured)
    ratios = harness.ratios_of(made.ranked(), made.contestants, rows)
    assert ratios == {"made_up_seconds_to_5.0": 1.5}


def test_an_environment_that_cannot_be_made_is_skipped_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def versions(name: str) -> dict[str, str]:
        if name == "litgpt":
            raise subprocess.CalledProcessError(1, ["pip"])
        return {"torch": "2"}

    monkeypatch.setattr(environments, "versions", versions)
    usable, unusable = language_training.installed({"torch", "litgpt"})
    assert usable == {"torch": {"torch": "2"}}
    assert "its environment litgpt could not be installed" in unusable["litgpt"]


def test_a_line_of_pip_flags_reaches_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "peer.txt").write_text("# direct: numpy\n# pip: --no-deps\nnumpy==2.0\n")
    ran: list[list[str]] = []

    def run(command: list[str], **_settings: object) -> None:
        ran.append(command)
        (tmp_path / "envs" / "peer").mkdir(parents=True, exist_ok=True)

    monkeypatch.setattr(environments, "REQUIREMENTS", tmp_path)
    monkeypatch.setattr(environments, "ENVIRONMENTS", tmp_path / "envs")
    monkeypatch.setattr(subprocess, "run", run)
    environments.python_of("peer")
    assert ran[1][-3:] == ["--no-deps", "-r", "peer.txt"]


def test_the_corpus_is_split_tokenized_and_read_back(tmp_path: Path) -> None:
    sources = language_corpus.Sources(
        articles=(["one two three four. " * 40], ["five six."]),
        speeches=(["Roman:\nHear me speak. " * 20, "All:\nSpeak, speak."], ["Roman:\nSpeak."]),
        sentences=[(1, "a fine film"), (0, "no")],
    )
    language_corpus.write_streams(sources, SMALL.vocab, tmp_path)
    language_corpus.write_speeches(sources, SMALL, tmp_path)
    stream = language_data.read_stream(tmp_path, SMALL, seed=1)
    end = 0
    assert (stream.train_T == end).sum() == 2, "an end after the article and after the plays"
    assert stream.train_T.max() < SMALL.vocab
    speeches = language_data.read_texts(
        language_data.bpe_folder(tmp_path, SMALL.vocab) / "speeches.npz"
    )
    assert sorted(speeches.lengths.tolist())[-1] == SMALL.context, "cut to the context"
    assert len(speeches) == 2


def test_the_plot_has_a_line_for_each_contestant(tmp_path: Path) -> None:
    run = {"seconds": [1.0, 2.0], "losses": [6.0, 5.0]}
    curves = {"loss_5m": {"luthier bf16": [run, run], "nanogpt fp32": [run]}}
    file = tmp_path / "language_loss.json"
    file.write_text(json.dumps({"curves": curves}))
    assert language_plot.main([file]) == 0
    drawn = file.with_suffix(".svg").read_text()
    assert language_plot.draw(curves, tmp_path / "again.svg").read_text() == drawn
    assert drawn.count("<!-- luthier bf16 -->") == 1, "two runs have one name"
    assert "<!-- nanogpt fp32 -->" in drawn


DATA = Path(os.environ.get("LUTHIER_DATA", Path(__file__).parents[3] / "shared" / "data"))


@pytest.mark.real_data
@pytest.mark.skipif(not (DATA / language_corpus.WIKI).exists(), reason=f"no {DATA}: LUTHIER_DATA")
def test_the_real_corpora_are_as_the_contests_expect() -> None:
    sources = language_corpus.read(DATA)
    assert len(sources.sentences) == 6920
    assert {label for label, _ in sources.sentences} == {0, 1}
    rows = next(one for one in CONTESTS if one.name == "packing").full
    steps = int(rows[rows.index("--chunk-steps") + 1])
    assert len(sources.speeches[0]) >= steps * language_sizes.GPTS["5m"].rows


def test_a_keras_script_gets_its_backend_before_it_is_imported(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import os, sys; print(os.environ['KERAS_BACKEND'], sys.argv[1:])")
    launcher = language_training.PEERS / "language_keras.py"
    done = subprocess.run(
        [sys.executable, str(launcher), "jax", str(script), "--seed", "1"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "jax ['--seed', '1']"


def test_a_contestant_of_luthier_would_be_kept_whatever_peers_are_named() -> None:
    everyone = contest().contestants
    kept = harness.chosen(everyone, "peer")
    assert {one.peer for one in kept} == {harness.OURS, "peer"}
    assert Contestant("bare_loop", "bf16", "torch", ("run.py",), True) in everyone
