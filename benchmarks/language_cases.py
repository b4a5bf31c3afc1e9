"""Who takes part in which contest of the language benchmark, and what each is asked.

The networks are in `peers/language_sizes.py`. A contest is one table below; to take part is one
row of it. Variants begin with the precision, by which a row is set against the ceiling.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import harness
from harness import Case, Contestant

CEILING = "ceiling"
"""A yardstick in each contest: the products with weights of one step, and nothing else."""
PRECISIONS = ("fp32", "bf16")
LOSSES = (6.0, 5.75, 5.5, 5.4, 5.3)
"""Those of `peers/language_protocol.py`."""

Table = Mapping[str, tuple[str, tuple[str, ...], Mapping[str, tuple[str, ...]]]]
"""By peer: its environment, what its Python runs, and by variant the arguments for it."""


@dataclass(frozen=True)
class Contest:
    """One question that can be asked alone: `--case NAME`."""

    name: str
    unit: str
    table: Table
    full: tuple[str, ...]
    """How much each does in one run."""
    quick: tuple[str, ...]
    """The same, to see that it runs."""
    ceiling: str | None
    """The network whose products are the ceiling; none: no shares."""
    over: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Further ratios: by what they are over, the variants of the peers."""
    apart: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """luthier's variants that do less exactly what the peers do, and so have ratios of their own:
    by what they are."""
    losses: tuple[float, ...] = ()
    """Losses until which the seconds are asked, in the place of the rate."""
    rounds: int = 3

    @property
    def contestants(self) -> tuple[Contestant, ...]:
        """Everyone, and the ceiling."""
        everyone = [
            Contestant(peer, variant, environment, (*command, *arguments), peer == _YARDSTICK)
            for peer, (environment, command, variants) in self.table.items()
            for variant, arguments in variants.items()
        ]
        if self.ceiling is not None:
            command = ("language_ceiling.py", "--network", self.ceiling)
            everyone.append(Contestant(CEILING, "", "torch", command, yardstick=True))
        return tuple(everyone)

    def ranked(self) -> list[Case]:
        """What luthier is to be ahead in."""
        variants = tuple(dict.fromkeys(one.variant for one in self.contestants if one.variant))
        if self.losses:
            return [
                Case(f"{self.name}_seconds_to_{loss}", "s", "lower", f"seconds_to_{loss}", variants)
                for loss in self.losses
            ]
        ours = tuple(one.variant for one in self.contestants if one.peer == harness.OURS)
        rate: tuple[str, harness.Better, str] = (self.unit, "higher", "rate")
        apart = {variant for some in self.apart.values() for variant in some}
        variants = tuple(variant for variant in variants if variant not in apart)
        return [
            Case(self.name, *rate, variants),
            *(
                Case(f"{self.name}_over_{name}", *rate, theirs, ours=ours)
                for name, theirs in self.over.items()
            ),
            *(
                Case(f"{self.name}_{name}", *rate, variants, ours=some)
                for name, some in self.apart.items()
            ),
        ]

    def shown(self) -> list[Case]:
        """What is shown beside that, and makes no ratio."""
        variants = tuple(dict.fromkeys(one.variant for one in self.contestants if one.variant))
        cases = [
            Case(f"{self.name}_loss", "nats", "lower", "validation_loss", variants),
            Case(f"{self.name}_share", "of the matmul ceiling", "higher", "share", variants),
        ]
        return cases + [
            Case(f"{self.name}_ceiling_{precision}", "GFLOP/s", "higher", precision, ("",))
            for precision in PRECISIONS
        ]


_COMPILE = "--compile"
_FP32, _BF16 = ("--precision", "fp32"), ("--precision", "bf16")
_BOTH = {"fp32": _FP32, "bf16": _BF16}
_YARDSTICK = "bare_loop"
"""Hand-written and tuned for one network: shown, and no peer to be ahead of."""


def _keras(backend: str, script: str) -> tuple[str, ...]:
    return ("language_keras.py", backend, script)


_GPT: Table = {
    harness.OURS: (
        "luthier",
        ("luthier_gpt.py",),
        {**_BOTH, "bf16 compile": (*_BF16, _COMPILE)},
    ),
    "hf_trainer": (
        "hf_trainer",
        ("language_hf_gpt.py",),
        {**_BOTH, "bf16 compile": (*_BF16, _COMPILE)},
    ),
    "litgpt": (
        "litgpt",
        ("language_litgpt.py",),
        {
            "fp32": _FP32,
            "bf16-mixed compile": ("--precision", "bf16-mixed", _COMPILE),
            "bf16-true compile": ("--precision", "bf16-true", _COMPILE),
        },
    ),
    "nanogpt": (
        "torch",
        ("language_nanogpt.py",),
        {"fp32": _FP32, "fp32 compile": (*_FP32, _COMPILE)},
    ),
    "keras_hub_tensorflow": (
        "keras_hub_tensorflow",
        _keras("tensorflow", "language_keras_gpt.py"),
        _BOTH,
    ),
    "keras_hub_jax": ("keras_hub_jax", _keras("jax", "language_keras_gpt.py"), _BOTH),
    "torch_loop": ("torch", ("language_torch_loop.py",), _BOTH),
    "bare_loop": (
        "torch",
        ("language_bare.py",),
        {
            "bf16": _BF16,
            "bf16 compile": (*_BF16, _COMPILE),
            "bf16-weights compile": ("--precision", "bf16-weights", _COMPILE),
        },
    ),
}

# To the same loss each goes once or twice: in its fastest precision, and without the compiling too
# where that has to be earned back. Each has its own usual settings; luthier, which may choose, has
# those of `peers/luthier_gpt.py`.
_LOSS = {
    harness.OURS: ("bf16", "bf16 compile"),
    "hf_trainer": ("bf16", "bf16 compile"),
    "litgpt": ("bf16-mixed compile",),
    "nanogpt": ("fp32", "fp32 compile"),
    "keras_hub_tensorflow": ("bf16",),
    "keras_hub_jax": ("fp32",),
    "torch_loop": ("bf16",),
    "bare_loop": ("bf16 compile",),
}

_LSTM: Table = {
    harness.OURS: (
        "luthier",
        ("luthier_texts.py", "--lstm"),
        _BOTH,
    ),
    "keras_tensorflow": (
        "keras_tensorflow",
        _keras("tensorflow", "language_lstm_keras.py"),
        _BOTH,
    ),
    "keras_jax": ("keras_jax", _keras("jax", "language_lstm_keras.py"), _BOTH),
    "torch_loop": ("torch", ("language_lstm_torch.py",), _BOTH),
    "bare_loop": (
        "torch",
        ("language_lstm_torch.py", "--tuned"),
        _BOTH,
    ),
}


def _bert(*kinds: str, rest: str) -> Table:
    """By Hugging Face's ways to batch; `rest` is what the others are asked for."""
    tensorflow = _keras("tensorflow", "language_bert_keras.py")
    others = {name: (*arguments, "--kind", rest) for name, arguments in _BOTH.items()}
    return {
        harness.OURS: ("luthier", ("luthier_texts.py",), others),
        "hf_trainer": (
            "hf_trainer",
            ("language_bert_hf.py",),
            {
                " ".join([precision, *kind.split("_")[1:]]): (*arguments, "--kind", kind)
                for precision, arguments in _BOTH.items()
                for kind in kinds
            },
        ),
        "keras_hub_tensorflow": (
            "keras_hub_tensorflow",
            tensorflow,
            others,
        ),
    }


_DECODING: Table = {
    harness.OURS: ("luthier", ("luthier_decode.py",), _BOTH),
    "hf_generate": (
        "hf_trainer",
        ("language_decode_hf.py",),
        {**_BOTH, "bf16 static": (*_BF16, "--static")},
    ),
    "litgpt": (
        "litgpt",
        ("language_decode_litgpt.py",),
        _BOTH,
    ),
    "keras_hub_jax": ("keras_hub_jax", _keras("jax", "language_decode_keras.py"), _BOTH),
}

_INT8 = "bf16 int8"
# LitGPT compiles the step for one prompt alone; weights of 8 bits too are for few rows.
_DECODING_ONE: Table = {
    **_DECODING,
    harness.OURS: (
        "luthier",
        ("luthier_decode.py",),
        {**_BOTH, _INT8: ("--precision", "bf16-int8")},
    ),
    "litgpt": (
        "litgpt",
        ("language_decode_litgpt.py",),
        {**_BOTH, "bf16 compile": (*_BF16, _COMPILE)},
    ),
}

_PACKING: Table = {
    harness.OURS: ("luthier", ("luthier_packing.py",), {"bf16": (*_BF16, "--kind", "packed")}),
    "hf_trainer": (
        "hf_trainer",
        ("language_hf_packing.py",),
        {
            f"bf16 {kind}": (*_BF16, "--kind", kind)
            for kind in ("padded", "grouped", "packed", "flattened")
        },
    ),
}


def _steps(chunks: int, steps: int, *more: str) -> tuple[str, ...]:
    return ("--chunks", str(chunks), "--chunk-steps", str(steps), *more)


def _gpt(size: str, steps: int) -> Contest:
    return Contest(
        name=f"gpt_{size}",
        unit="tokens/s",
        table=_GPT,
        full=_steps(4, steps, "--kind", size),
        quick=_steps(2, 1, "--kind", size),
        ceiling=f"gpt_{size}",
    )


def _decoding(rows: int, table: Table) -> Contest:
    return Contest(
        name=f"decode_{rows}",
        unit="new tokens/s",
        table=table,
        full=("--rows", str(rows), "--repeats", "7"),
        quick=("--rows", str(rows), "--repeats", "1"),
        ceiling=f"decode_{rows}",
        apart={"int8": (_INT8,)} if _INT8 in table[harness.OURS][2] else {},
    )


CONTESTS = (
    _gpt("5m", steps=12),
    _gpt("30m", steps=4),
    Contest(
        name="loss_5m",
        unit="tokens/s",
        table={
            peer: (
                environment,
                (*command, *(("--tuned",) if peer == harness.OURS else ())),
                {name: variants[name] for name in _LOSS[peer]},
            )
            for peer, (environment, command, variants) in _GPT.items()
        },
        full=_steps(12, 50, "--kind", "5m", "--every-chunk"),
        quick=_steps(2, 1, "--kind", "5m", "--every-chunk"),
        ceiling=None,
        losses=LOSSES,
        rounds=1,
    ),
    Contest(
        name="lstm",
        unit="sequences/s",
        table=_LSTM,
        full=_steps(4, 80, "--kind", "equal"),
        quick=_steps(2, 2, "--kind", "equal"),
        ceiling="lstm",
    ),
    Contest(
        name="bert_equal",
        unit="sequences/s",
        table=_bert("equal", rest="equal"),
        full=_steps(4, 5),
        quick=_steps(2, 1),
        ceiling="bert",
    ),
    Contest(
        name="bert_real",
        unit="sequences/s",
        table=_bert("real_padded", "real_grouped", rest="real"),
        full=_steps(2, 32),
        quick=_steps(2, 1),
        ceiling="bert",
        over={"padding": ("bf16 padded",)},
    ),
    _decoding(1, _DECODING_ONE),
    _decoding(8, _DECODING),
    Contest(
        name="packing",
        unit="real tokens/s",
        table=_PACKING,
        full=_steps(2, 96),
        quick=_steps(2, 6),
        ceiling="gpt_5m",
        over={"padding": ("bf16 padded",)},
    ),
)
