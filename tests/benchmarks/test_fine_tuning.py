"""The tables of the fine-tuning benchmark, what its peers read, and that they begin as equals."""

from __future__ import annotations

import dataclasses
import importlib
import json
import resource
from pathlib import Path

import environments
import fine_tuning
import fine_tuning_cases
import harness
import language_protocol
import luthier_tuning
import numpy as np
import pytest
import torch
import tuning_memory
import tuning_protocol
import tuning_rows
import tuning_sizes
from fine_tuning import Prepared
from fine_tuning_cases import CONTESTS, Contest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from tuning_rows import Conversations
from tuning_sizes import TUNED, Tuned

TINY = Tuned(
    vocab=300,
    width=64,
    depth=2,
    attended=64,
    context=24,
    block=((64, 192), (64, 64), (64, 256), (256, 64)),
    targets=TUNED["30m"].targets,
)


@pytest.mark.parametrize("contest", CONTESTS, ids=lambda contest: contest.name)
def test_every_contestant_has_its_script_its_pins_and_its_name(contest: Contest) -> None:
    for one in contest.contestants:
        assert (fine_tuning.PEERS / one.command[0]).is_file()
        pins = environments.REQUIREMENTS / f"{one.environment}.txt"
        assert pins.read_text().startswith("# direct: ")
    names = [one.name for one in contest.contestants]
    assert len(names) == len(set(names))
    assert contest.kind in TUNED
    cases = {case.name for case in contest.ranked()}
    assert set(contest.targets) <= cases
    assert set(contest.needs) <= {one.variant for one in contest.contestants}


def test_the_pins_are_those_that_luthier_is_tested_with() -> None:
    root = environments.HERE.parent
    tested = set((root / "constraints.txt").read_text().split("\n"))
    pinned = (environments.REQUIREMENTS / "hf_peft.txt").read_text().split("\n")
    for package in ("torch", "transformers", "peft", "accelerate", "gguf"):
        [pin] = [line for line in pinned if line.startswith(f"{package}==")]
        assert pin in tested


def run(peak: float, rate: float) -> dict[str, float]:
    return {"peak_mib": peak, "rate": rate, "gflops_per_second": 2 * rate, "start_loss": 5.0}


def test_the_fastest_and_the_leanest_peer_need_not_be_the_same() -> None:
    contest = CONTESTS[0]
    measured = {
        "luthier bf16": [run(600, 30)],
        "hf_peft bf16 padded": [run(2000, 10)],
        "hf_peft bf16 packed": [run(2000, 20)],
        "trl bf16-weights packed checkpointing": [run(900, 5)],
    }
    rows = harness.rows_of(contest.ranked(), contest.contestants, measured)
    assert harness.ratios_of(contest.ranked(), contest.contestants, rows) == {
        "lora_30m": 1.5,
        "lora_30m_over_padding": 3.0,
        "lora_30m_peak_memory": 1.5,
    }


def test_targets_are_said_with_what_was_reached() -> None:
    found = fine_tuning.Found(
        ratios={"a": 1.2, "b": 1.0},
        targets={"a": 1.15, "b": 1.25, "c": 2.0},
        skipped={"lora_135m: all": "no weights"},
    )
    assert fine_tuning.said(found) == [
        "a: reached, 1.200 of 1.150",
        "b: not reached, 1.000 of 1.250",
        "lora_135m: all SKIPPED: no weights",
    ]


def test_who_cannot_take_part_is_skipped_with_the_reason() -> None:
    lora, qlora = CONTESTS[1], CONTESTS[2]
    everyone = {*lora.contestants, *qlora.contestants}
    missing = Prepared(Path(), {"135m": "no weights"}, frozenset({"lora"}))
    assert fine_tuning.able_of(lora, everyone, missing, {}) == ([], {"all": "no weights"})
    there = dataclasses.replace(missing, missing={})
    able, skipped = fine_tuning.able_of(qlora, everyone, there, {})
    assert [one.name for one in able] == ["luthier bf16 lora", "ceiling"]
    assert skipped == {"luthier bf16 qlora": "this luthier has no adapter of the kind qlora"}
    later = dataclasses.replace(there, adapters=frozenset({"lora", "qlora"}))
    assert fine_tuning.able_of(qlora, everyone, later, {})[1] == {}
    _, without = fine_tuning.able_of(lora, everyone, there, {"hf_peft": "no pip"})
    assert set(without.values()) == {"no pip"}


def test_cases_are_chosen_by_name() -> None:
    assert fine_tuning.chosen(None) == list(CONTESTS)
    assert [one.name for one in fine_tuning.chosen("qlora_135m, lora_30m")] == [
        "qlora_135m",
        "lora_30m",
    ]
    with pytest.raises(SystemExit, match="--case: got lora_5m; wanted some of lora_30m"):
        fine_tuning.chosen("lora_5m")


def test_another_start_is_found_out() -> None:
    measured = {
        "luthier bf16": [{"start_loss": 5.03}],  # frozen weights in bf16
        "peer bf16": [{"start_loss": 5.0005}],
        "peer bf16 grouped": [{"start_loss": 5.0}],
        "peer bf16 packed": [{"start_loss": 5.02}],
        "peer bf16-weights": [{"start_loss": 5.02}],
        "peer bf16-weights packed": [{"start_loss": 5.1}],
        "ceiling": [{"bf16": 100.0}],
    }
    assert list(fine_tuning.other_starts(measured)) == [
        "peer bf16 packed",
        "peer bf16-weights packed",
    ]


def test_a_contest_ends_in_rows_ratios_and_who_failed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Everything but the peers themselves."""
    asked: list[list[str]] = []
    shown = ("learned_rate", "validation_loss", "growth_mib")
    more = dict.fromkeys([*shown, *(f"{part}_mib" for part in fine_tuning_cases.PARTS)], 1.0)

    def run_script(_python: Path, command: list[str], _folder: Path) -> dict[str, float]:
        asked.append(command)
        if command[0] == "tuning_ceiling.py":
            return {"bf16": 100.0}
        if command[0] == "tuning_trl.py":
            raise harness.ContestantFailed("trl: exit code 1")
        ours = command[0] == "luthier_tuning.py"
        told = run(600 if ours else 900, 40 if ours else 20) | more
        return told | ({"start_loss": 9.0} if "padded" in command else {})

    monkeypatch.setattr(harness, "run_script", run_script)
    monkeypatch.setattr(environments, "python_of", Path)
    contest, found = CONTESTS[0], fine_tuning.Found()
    fine_tuning._take_part(contest, contest.contestants, 2, tmp_path, False, found)
    assert found.ratios == {"lora_30m": 2.0, "lora_30m_peak_memory": 1.5}
    assert {name: why[:5] for name, why in found.failed.items()} == {
        "lora_30m: trl bf16 packed": "trl: ",
        "lora_30m: trl bf16-weights packed checkpointing": "trl: ",
        "lora_30m: hf_peft bf16 padded": "began",
    }
    rows = {(row.case, row.peer): row for row in found.rows}
    share = rows["lora_30m_share", "luthier bf16"]
    assert (share.median, len(share.runs)) == (0.8, 2)
    assert rows["lora_30m_ceiling", "ceiling"].median == 100.0
    assert {case for case, _ in rows} >= {case.name for case in contest.shown()}
    seeds = [command[command.index("--seed") + 1] for command in asked if "--seed" in command]
    assert set(seeds) == {"1", "2"}
    assert [command[-2:] for command in asked if "--seed" not in command] == [
        ["--repeats", str(fine_tuning.CEILING_REPEATS)]
    ] * 2


rows_of_tokens = st.lists(
    st.lists(st.tuples(st.integers(0, 49151), st.booleans()), min_size=1, max_size=9),
    min_size=1,
    max_size=9,
)


@given(rows_of_tokens, st.integers(1, 9))
def test_conversations_come_back_cut_and_with_something_to_learn(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[tuple[int, bool]]], context: int
) -> None:
    encoded = [([token for token, _ in row], [learned for _, learned in row]) for row in rows]
    wanted = [row[:context] for row in rows if any(learned for _, learned in row[:context])]
    if not wanted:
        return
    file = tmp_path_factory.mktemp("rows") / "conversations.npz"
    assert tuning_rows.write(encoded, context, file) == len(wanted)
    with np.load(file) as arrays:
        found = Conversations(arrays["tokens"], arrays["learned"], arrays["lengths"])
    again = [
        list(zip(*(part.tolist() for part in found[at]), strict=True)) for at in range(len(found))
    ]
    assert sorted(again) == sorted(wanted)
    assert found.learned_lengths.tolist() == [sum(one for _, one in row) for row in again]
    assert found.learned == found.learned_lengths.sum()


def test_more_conversations_than_there_are_is_an_error() -> None:
    with pytest.raises(ValueError, match="got 2 conversations, wanted 3; take fewer steps"):
        conversations([3, 4]).part(0, 3)


def conversations(lengths: list[int], seed: int = 0) -> Conversations:
    """Tokens by chance; the second half of each is learned."""
    tokens = np.random.default_rng(seed).integers(1, TINY.vocab, sum(lengths)).astype(np.int32)
    learned = np.concatenate([np.arange(length) >= length // 2 for length in lengths])
    return Conversations(tokens, learned, np.array(lengths, np.int64))


def test_a_token_that_is_not_learned_costs_no_head() -> None:
    size = TUNED["30m"]
    head = tuning_sizes.FROZEN * 2 * size.width * size.vocab
    assert size.training_flops(100, 50) - size.training_flops(100, 49) == head
    plain = language_sizes_flops(100)
    assert size.training_flops(100, 100) < plain, "no gradients of frozen weights"
    assert size.training_flops(100, 100) > 2 / 3 * plain


def language_sizes_flops(length: int) -> float:
    return tuning_sizes.GPTS["30m"].training_flops(length)


def test_smollm_has_the_parameters_of_its_matrices() -> None:
    size = TUNED["135m"]
    weights = sum(one.inputs * one.outputs for one in size.matmuls(1))
    norms = (2 * size.depth + 1) * size.width
    assert weights + norms == 134_515_008


def test_memory_is_taken_before_the_last_evaluation(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(TUNED, "30m", TINY)
    peaks = iter([300 * tuning_protocol.MIB, 900 * tuning_protocol.MIB])
    monkeypatch.setattr(tuning_protocol, "highest", lambda: next(peaks))
    losses = iter([5.0, 4.0])
    order = order_of(Path(), chunks=1)
    watched = tuning_protocol.Watched(order, lambda: next(losses), loaded=tuning_protocol.MIB)
    watched.training.begin()
    watched.training.step()
    read = conversations([4, 8])
    watched.report(read, 7, {"still": tuning_protocol.MIB})
    told = json.loads(capsys.readouterr().out)
    assert (told["start_loss"], told["validation_loss"]) == (5.0, 4.0)
    assert (told["peak_mib"], told["growth_mib"], told["still_mib"]) == (300, 299, 1)
    assert told["learned_rate"] == pytest.approx(told["rate"] * 6 / 12)


def test_what_is_resident_is_no_more_than_the_most() -> None:
    assert 0 < tuning_protocol.resident() <= tuning_protocol.highest() + 2**20
    assert tuning_protocol.highest() >= resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def test_parts_of_the_memory_are_those_of_the_tensors() -> None:
    network = nn.Sequential(nn.Linear(4, 8, bias=False), nn.Linear(8, 2, bias=False))
    network[0].requires_grad_(False).bfloat16()
    optimizer = torch.optim.AdamW([network[1].weight])
    network[1].weight.grad = torch.ones(2, 8)
    optimizer.step()
    found = tuning_memory.parts(network, optimizer)
    assert {name: found[name] for name in ("still", "moving", "gradients")} == {
        "still": 64,
        "moving": 64,
        "gradients": 64,
    }
    assert found["optimizer"] == 2 * 64 + 4, "two moments, and a count of steps"
    assert set(found) == set(fine_tuning_cases.PARTS)


def order_of(cache: Path, *, chunks: int = 2, precision: str = "fp32") -> language_protocol.Order:
    return language_protocol.Order(
        chunks=chunks,
        chunk_steps=1,
        seed=1,
        precision=precision,
        compile=False,
        every_chunk=False,
        cache=cache,
        kind="30m",
    )


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny GPT-2 in the place of the 30M one, with 8 conversations to train on."""
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("peft")
    monkeypatch.setitem(TUNED, "30m", TINY)
    monkeypatch.setattr(tuning_rows, "HELD_OUT", 3)
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=TINY.vocab,
        n_positions=TINY.context,
        n_embd=TINY.width,
        n_layer=TINY.depth,
        n_head=2,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=0,
        eos_token_id=0,
    )
    folder = tuning_rows.folder(tmp_path, "30m")
    transformers.GPT2LMHeadModel(config).save_pretrained(folder)
    read = conversations([5, 24, 9, 7, 12, 24, 3, 10, 8, 6, 11])
    read.tokens_T[read.learned_T] = 7  # quickly learned, and held out too
    rows = [tuple(part.tolist() for part in read[at]) for at in range(len(read))]
    tuning_rows.write(rows, TINY.context, folder / "conversations.npz")  # type: ignore[arg-type]
    return tmp_path


def test_ours_and_peft_begin_with_the_same_loss(cache: Path) -> None:
    tuning_peft = importlib.import_module("tuning_peft")
    order = order_of(cache)
    _, held_out = tuning_rows.read(cache, "30m", 8)
    theirs = tuning_peft.held_out_loss(tuning_peft.adapted(order), held_out)()
    ours, learner = luthier_tuning.adapted(order, "lora")
    rows = luthier_tuning.packed(held_out, "30m")
    assert luthier_tuning.held_out_loss(ours, rows)() == pytest.approx(theirs, abs=1e-5)
    wrong = dataclasses.replace(held_out, learned_T=np.ones_like(held_out.learned_T))
    other = tuning_peft.held_out_loss(tuning_peft.adapted(order), wrong)()
    assert abs(other - theirs) > 1e-3, "a mask that is not read would be seen"
    moving = {name for name, one in ours.network.named_parameters() if one.requires_grad}
    assert moving
    assert all("adapters" in name for name in moving)
    assert len(learner.optimizer.param_groups[0]["params"]) == len(moving)


def test_our_peer_trains_and_reports(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = f"--chunks 4 --chunk-steps 1 --seed 1 --precision fp32 --cache {cache} --kind 30m"
    monkeypatch.setattr("sys.argv", ["luthier_tuning.py", *words.split()])
    luthier_tuning.main()
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["validation_loss"] < told["start_loss"]
    assert len(told["chunk_seconds"]) == 4
    assert told["peak_mib"] >= told["growth_mib"]


@pytest.mark.parametrize("batching", ["padded", "grouped", "packed"])
def test_the_trainers_peer_trains_and_reports(
    batching: str, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tuning_hf = importlib.import_module("tuning_hf")
    words = f"--chunks 4 --chunk-steps 1 --seed 1 --precision fp32 --cache {cache} --kind 30m"
    monkeypatch.setattr("sys.argv", ["tuning_hf.py", *words.split(), "--batching", batching])
    tuning_hf.main()
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["validation_loss"] < told["start_loss"]
    assert len(told["chunk_seconds"]) == 4
    assert told["parameters"] == TINY.adapter_parameters


def test_rows_cut_across_conversations_keep_what_is_learned() -> None:
    pytest.importorskip("peft")
    tuning_hf = importlib.import_module("tuning_hf")
    read = conversations([5, 24, 9, 12])
    found = tuning_hf.packed(read, context=16)
    assert found.lengths.tolist() == [16, 16, 16]
    assert found.tokens_T.tolist() == read.tokens_T[:48].tolist()
    assert found.learned_T.tolist() == read.learned_T[:48].tolist()


def test_a_template_learns_the_answer_and_the_end_of_the_turn() -> None:
    pytest.importorskip("transformers")
    tuning_corpus = importlib.import_module("tuning_corpus")
    row = {"instruction": "Name a colour.", "input": "", "output": "Blue."}
    tokenizer = tuning_corpus.tokenizer_of(["Name a colour. Blue. ### Instruction:"], 300)
    tokens, learned = tuning_corpus.in_plain(row, tokenizer)
    answer = [token for token, one in zip(tokens, learned, strict=True) if one]
    assert tokenizer.decode(answer, skip_special_tokens=False) == f"Blue.{tuning_corpus.END}"
    assert tokenizer.decode(tokens).startswith("### Instruction:\nName a colour.\n\n### Response:")
