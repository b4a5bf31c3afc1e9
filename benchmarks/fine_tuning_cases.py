"""Who takes part in which contest of the fine-tuning benchmark, and what each is asked.

The networks are in `peers/tuning_sizes.py`. As in `language_cases`, a contest is one table, and
variants begin with the precision.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import harness
from harness import Case, Contestant
from language_cases import CEILING, Table

PADDED = ("bf16 padded",)
ROUNDED = "bf16-weights"
"""The precision of those whose frozen weights are rounded."""
PARTS = ("still", "moving", "gradients", "optimizer")
"""Those of `peers/tuning_memory.py`."""


@dataclass(frozen=True)
class Contest:
    """One question that can be asked alone: `--case NAME`."""

    name: str
    kind: str
    """The network, of `peers/tuning_sizes.py`."""
    table: Table
    full: tuple[str, ...]
    """How much each does in one run."""
    quick: tuple[str, ...]
    """The same, to see that it runs."""
    targets: Mapping[str, float] = field(default_factory=dict)
    """By case: the ratio that is to be reached."""
    needs: Mapping[str, str] = field(default_factory=dict)
    """By luthier's variant: the kind of adapter without which it is skipped."""
    rounds: int = 3

    @property
    def contestants(self) -> tuple[Contestant, ...]:
        """Everyone, and the ceiling."""
        everyone = [
            Contestant(peer, variant, environment, (*command, *arguments))
            for peer, (environment, command, variants) in self.table.items()
            for variant, arguments in variants.items()
        ]
        command = ("tuning_ceiling.py", "--network", self.kind)
        return (*everyone, Contestant(CEILING, "", "torch", command, yardstick=True))

    def ranked(self) -> list[Case]:
        """What luthier is to be ahead in: all tokens that are read, and memory.

        The fastest and the leanest peer need not be the same.
        """
        rate: tuple[str, harness.Better, str] = ("real tokens/s", "higher", "rate")
        return [
            Case(self.name, *rate, self._variants),
            Case(f"{self.name}_over_padding", *rate, PADDED, ours=self._ours),
            Case(f"{self.name}_peak_memory", "MiB", "lower", "peak_mib", self._variants),
        ]

    def shown(self) -> list[Case]:
        """What is shown beside that, and makes no ratio."""
        wanted: list[tuple[str, str, harness.Better, str]] = [
            ("learned_tokens", "learned tokens/s", "higher", "learned_rate"),
            ("loss_before", "nats", "lower", "start_loss"),
            ("loss_after", "nats", "lower", "validation_loss"),
            ("share", "of the matmul ceiling", "higher", "share"),
            ("memory_growth", "MiB over the loaded model", "lower", "growth_mib"),
            *((f"memory_{part}", "MiB", "lower", f"{part}_mib") for part in PARTS),
        ]
        cases = [
            Case(f"{self.name}_{name}", unit, better, key, self._variants)
            for name, unit, better, key in wanted
        ]
        return [*cases, Case(f"{self.name}_ceiling", "GFLOP/s", "higher", "bf16", ("",))]

    @property
    def _variants(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(one.variant for one in self.contestants if one.variant))

    @property
    def _ours(self) -> tuple[str, ...]:
        return tuple(one.variant for one in self.contestants if one.peer == harness.OURS)


_BF16 = ("--precision", "bf16")
_HALVED = ("--precision", ROUNDED)

_LORA: Table = {
    harness.OURS: ("luthier", ("luthier_tuning.py",), {"bf16": _BF16}),
    "hf_peft": (
        "hf_peft",
        ("tuning_hf.py",),
        {
            "bf16 padded": (*_BF16, "--batching", "padded"),
            "bf16 grouped": (*_BF16, "--batching", "grouped"),
            "bf16 packed": (*_BF16, "--batching", "packed"),
            f"{ROUNDED} packed": (*_HALVED, "--batching", "packed"),
        },
    ),
    "trl": (
        "hf_peft",
        ("tuning_trl.py",),
        {
            "bf16 packed": _BF16,
            f"{ROUNDED} packed checkpointing": (*_HALVED, "--checkpointing"),
        },
    ),
}
"""The last is the leanest that the stack has: half the weights, and its own default of keeping no
activations."""

_QLORA: Table = {
    harness.OURS: (
        "luthier",
        ("luthier_tuning.py",),
        {f"bf16 {kind}": (*_BF16, "--adapter", kind) for kind in ("lora", "qlora")},
    ),
}


def _asked(kind: str, chunks: int, steps: int) -> tuple[str, ...]:
    return ("--chunks", str(chunks), "--chunk-steps", str(steps), "--kind", kind)


def _lora(kind: str, steps: int) -> Contest:
    name = f"lora_{kind}"
    return Contest(
        name=name,
        kind=kind,
        table=_LORA,
        full=_asked(kind, 2, steps),
        quick=_asked(kind, 1, 1),
        targets={name: 1.15, f"{name}_over_padding": 2.0, f"{name}_peak_memory": 1 / 0.8},
    )


CONTESTS = (
    _lora("30m", steps=24),
    _lora("135m", steps=12),
    Contest(
        name="qlora_135m",
        kind="135m",
        table=_QLORA,
        full=_asked("135m", 2, 12),
        quick=_asked("135m", 1, 1),
        needs={"bf16 qlora": "qlora"},
        rounds=1,
    ),
)
