"""Any change of any file of a checkpoint is seen, told, and got around."""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from luthier.checkpoint import manifest
from luthier.checkpoint.manifest import DamagedError
from luthier.checkpoint.store import Checkpoint, Store
from luthier.errors import InputError, LuthierError, RunError

TRIALS = 1000
_PAGE = 4096

Damage = Callable[[bytes, random.Random], bytes]


def flip_a_bit(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    changed[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def truncate(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))]


def zero_a_page(data: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(0, len(data), _PAGE)
    page = data[start : start + _PAGE]
    return data[:start] + bytes(len(page)) + data[start + len(page) :]


def repeat_a_page(data: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(0, max(1, len(data) - _PAGE), _PAGE)
    page = data[start : start + _PAGE]
    after = data[start + len(page) : start + 2 * len(page)]
    changed = data[: start + len(page)] + page[: len(after)] + data[start + 2 * len(page) :]
    return changed if changed != data else data + page


KINDS: tuple[Damage, ...] = (flip_a_bit, flip_a_bit, truncate, zero_a_page, repeat_a_page)


def saved(run: Path, steps: tuple[int, ...] = (100, 200)) -> Store:
    store = Store(run / "checkpoints", keep=5)
    for step in steps:
        generator = torch.Generator().manual_seed(step)
        tensors = {
            key: {"w": torch.randn(2000, generator=generator), "b": torch.full((3,), float(step))}
            for key in ("weights", "optimizer")
        }
        store.save(step, tensors, {"done": step, "best": 0.5})
    return store


def unseen(run: Path) -> list[str]:
    """The trials in which damage was not noticed, not told, or not got around."""
    store = saved(run)
    newest = store.path(200)
    files = sorted(newest.iterdir())
    assert len(files) == 4
    chance = random.Random(11)
    faults: list[str] = []
    for trial in range(TRIALS):
        file = files[trial % len(files)]
        kind = chance.choice(KINDS)
        original = file.read_bytes()
        file.write_bytes(kind(original, chance))
        store.warnings.clear()
        try:
            found = store.newest()
        except LuthierError as error:
            faults.append(f"{trial}: {error}")
            found = None
        told = " ".join(store.warnings)
        if found is not None and found.step != 100:
            faults.append(f"{trial}: {kind.__name__} of {file.name} went unseen")
        elif not re.search(rf"step-000200 is damaged: {file.name} (has|is) .+; using", told):
            faults.append(f"{trial}: {told}")
        aside = newest.with_name("step-000200.corrupt")
        if aside.exists():
            aside.rename(newest)
        file.write_bytes(original)
    return faults


def test_every_damage_is_seen_told_and_got_around(scratch: Path):
    assert unseen(scratch) == []


def test_the_campaign_finds_that_only_sizes_are_compared(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(manifest, "_checked", lambda *_: None)
    assert len(unseen(scratch)) > TRIALS // 4


def test_the_campaign_finds_that_the_manifest_is_not_sealed(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(manifest, "_sealed", lambda plain: plain)
    assert unseen(scratch)


def test_the_warning_says_what_is_lost_and_what_to_do(scratch: Path):
    store = saved(scratch, (100, 200, 300))
    (store.path(300) / "weights.safetensors").unlink()
    size = (store.path(200) / "state.json").stat().st_size
    (store.path(200) / "state.json").write_bytes(b"{}")
    found = store.newest()
    assert found is not None
    assert (found.step, found.state) == (100, {"done": 100, "best": 0.5})
    assert torch.equal(found.tensors("weights")["b"], torch.full((3,), 100.0))
    assert store.warnings == [
        f"checkpoint {store.path(300)} is damaged: weights.safetensors is missing;"
        " using step-000100 (200 steps lost); kept as step-000300.corrupt; check the disk",
        f"checkpoint {store.path(200)} is damaged: state.json has 2 bytes, but the manifest says"
        f" {size}; using step-000100 (100 steps lost); kept as step-000200.corrupt; check the disk",
    ]
    assert store.steps() == [100]
    assert store.save(300, {}, {}) == store.path(300)
    (store.path(300) / "manifest.json").write_bytes(b"[]")
    store.newest()
    assert (store.directory / "step-000300.corrupt-2").is_dir()


def test_who_does_not_hold_the_lock_changes_nothing(scratch: Path):
    store = saved(scratch)
    (store.path(200) / "state.json").write_bytes(b"{}")
    (store.directory / ".writing-step-000300").mkdir()
    before = sorted(scratch.rglob("*"))
    found = store.newest(repair=False)
    assert found is not None
    assert found.step == 100
    assert sorted(scratch.rglob("*")) == before
    assert store.warnings[0].endswith("using step-000100 (100 steps lost); check the disk")


def refusal(newest: Callable[[], Checkpoint | None]) -> str:
    """The message of a store of which nothing is whole; it must not look like a new one."""
    with pytest.raises(RunError) as caught:
        newest()
    return str(caught.value)


def test_where_nothing_is_whole_the_run_never_starts_afresh(scratch: Path):
    store = saved(scratch)
    (store.path(100) / "manifest.json").unlink()
    size = (store.path(200) / "optimizer.safetensors").stat().st_size
    (store.path(200) / "optimizer.safetensors").write_bytes(b"")
    wanted = "\n".join(
        [
            f"no checkpoint in {store.directory} is whole:",
            f"  step-000200: optimizer.safetensors has 0 bytes, but the manifest says {size}",
            "  step-000100: manifest.json is missing",
            "bring one back from a copy, or remove that folder to start from the first step",
        ]
    )
    assert refusal(store.newest) == wanted
    assert refusal(store.newest) == wanted  # and not another story when asked again
    store.path(200).rename(store.directory / "step-000200.corrupt")
    shutil.rmtree(store.path(100))
    assert "step-000200.corrupt: was set aside as damaged" in refusal(store.newest)


class FreshStore(Store):
    """Broken: what cannot be read is taken for what never was."""

    def newest(self, *, repair: bool = True) -> Checkpoint | None:
        try:
            return super().newest(repair=repair)
        except RunError:
            return None


def test_the_proof_finds_a_silent_fresh_start(scratch: Path):
    saved(scratch)
    store = FreshStore(scratch / "checkpoints")
    for step in store.steps():
        (store.path(step) / "manifest.json").unlink()
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        refusal(store.newest)


def test_a_change_after_the_checkpoint_was_found_is_seen_when_it_is_read(scratch: Path):
    found = saved(scratch).newest()
    assert found is not None
    file = found.path / "weights.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(DamagedError, match=r"weights.safetensors has the SHA-256 \w{12}…, but the"):
        found.tensors("weights")
    assert found.tensors("optimizer").keys() == {"b", "w"}
    with pytest.raises(InputError, match="holds no average, only optimizer, weights"):
        found.tensors("average")
