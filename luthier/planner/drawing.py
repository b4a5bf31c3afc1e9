"""A picture of a network: one SVG that needs nothing else, for light and dark pages."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from torch import nn

from luthier.model.block import BlockSpec
from luthier.model.blocks.decompose import Decompose
from luthier.model.blocks.each_channel import EachChannel
from luthier.model.blocks.parallel import Parallel, ParallelSpec
from luthier.model.blocks.repeat import Repeat
from luthier.model.blocks.residual import Pad, Residual, ResidualSpec
from luthier.model.blocks.reversible_norm import ReversibleNorm
from luthier.model.blocks.sublayer import Sublayer
from luthier.model.blueprint import Network
from luthier.model.chain import Chain, Step
from luthier.planner.caption import amount, details, shape, title
from luthier.planner.figure import PADDING, Figure, around, beside, box, pill, repeated, stack
from luthier.signal import Signal

_FAMILIES = {
    "conv": "conv",
    "conv_transpose": "conv",
    "dense": "dense",
    "max_pool": "pool",
    "average_pool": "pool",
    "adaptive_pool": "pool",
    "global_pool": "pool",
    "upsample": "pool",
    "batch_norm": "norm",
    "layer_norm": "norm",
    "group_norm": "norm",
    "rms_norm": "norm",
    "tokens": "tokens",
    "unembed": "tokens",
    "attention": "attention",
    "cross_attention": "attention",
    "mlp": "dense",
    "moe": "dense",
    "recurrent": "recurrent",
    "linear_recurrence": "recurrent",
    "time_dense": "dense",
    "patches": "conv",
}
"""The colour of a kind; the others share one."""

_LIGHT = {
    "paper": "#ffffff",
    "ink": "#1c2430",
    "soft": "#5c6877",
    "flow": "#8a95a3",
    "skip": "#c2571a",
    "frame": "#f4f6f8",
    "edge": "#d3d9e0",
    "conv": "#dbe9fb",
    "dense": "#fde6cf",
    "pool": "#d8f0e0",
    "norm": "#ece4f8",
    "tokens": "#fbf3cc",
    "attention": "#fadce6",
    "recurrent": "#d5eff2",
    "other": "#e6eaee",
}
_COLOURED = ("conv", "dense", "pool", "norm", "tokens", "attention", "recurrent", "other")
_DARK = {
    "paper": "#12161c",
    "ink": "#e8ecf1",
    "soft": "#9aa6b4",
    "flow": "#6d7885",
    "skip": "#f0975a",
    "frame": "#1a2028",
    "edge": "#353f4b",
    "conv": "#1d3a5f",
    "dense": "#5a3714",
    "pool": "#1b4a2f",
    "norm": "#3d2d5c",
    "tokens": "#51471a",
    "attention": "#5a2338",
    "recurrent": "#1b474d",
    "other": "#2b333d",
}


def draw(network: Network) -> str:
    """`network` as a self-contained SVG image.

    Boxes are blocks, with the shape that each one gives as a solid beside it; a line around is a
    shortcut, a pile of cards a repeat. Colours follow the page: light or dark.
    """
    whole = _decoder(network)
    width, height = whole.width + 2 * PADDING, whole.height + 2 * PADDING
    drawn = whole.at(PADDING, PADDING)
    if network.encoder is not None:
        first = _ends(network.encoder.reads, _figures(network.encoder), network.encoder)
        drawn = first.at(PADDING, PADDING) + whole.at(2 * PADDING + first.width, PADDING)
        width += first.width + PADDING
        height = max(height, first.height + 2 * PADDING)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="luthier-network" role="img" '
        f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}">'
        f"<title>{escape(_title(network))}</title><style>{_style()}</style>"
        f'<rect class="paper" width="{width:g}" height="{height:g}" rx="12"/>'
        f"{drawn}</svg>\n"
    )


def _ends(reads: Signal, figures: list[Figure], chain: Chain) -> Figure:
    """The blocks of an encoder between what it reads and what it gives."""
    ends = [pill(f"{signal.form} {shape(signal)}") for signal in (reads, chain.gives)]
    labels = ["", *(shape(step.gives) for step in chain.steps)]
    return stack([ends[0], *figures, ends[1]], labels)


def _decoder(network: Network) -> Figure:
    """The blocks of a network; where it has an encoder, of its decoder."""
    reads = network.writes or network.reads
    figures = [pill(f"{reads.form} {shape(reads)}")]
    labels = [""]
    if isinstance(network.layers, Chain):
        figures += _figures(network.layers)
        labels += [shape(step.gives) for step in network.layers.steps]
    else:
        gives = network.neck.reads
        name = type(network.layers).__name__
        figures.append(box(name, ["own module"], _parameters(network.layers), gives, "other"))
        labels.append(shape(gives))
    for chain in (network.neck, network.head):
        figures += _figures(chain)
        labels += [shape(step.gives) for step in chain.steps]
    figures.append(pill(f"{network.gives.form} {shape(network.gives)}"))
    return stack(figures, labels)


def _title(network: Network) -> str:
    count = sum(parameter.numel() for parameter in network.parameters())
    return f"A network from {network.reads} to {network.gives}: {count:,} parameters"


def _figures(chain: Chain) -> list[Figure]:
    return [_figure(step, block) for step, block in zip(chain.steps, chain, strict=True)]


def _stacked(chain: Chain) -> Figure:
    return stack(_figures(chain), [shape(step.gives) for step in chain.steps])


def _figure(step: Step, block: nn.Module) -> Figure:
    match block, step.spec:
        case Residual(), ResidualSpec() as spec:
            return around(_stacked(block.layers), _shortcut(block.shortcut), _after(spec))
        case Parallel(), ParallelSpec() as spec:
            return beside([_stacked(branch) for branch in block.chains()], spec.join)
        case Repeat(), _:
            return _repeat(block)
        case Decompose(), _:
            return beside([_stacked(block.trend), _stacked(block.season)], "add")
        case EachChannel(), _:
            return repeated(_stacked(block.layers), f"each of {step.reads.width}")
        case ReversibleNorm(), _:
            return around(_stacked(block.layers), "level", "")
    family = _FAMILIES.get(step.spec.kind, "other")
    drawn = box(title(step.spec), details(step.spec), _parameters(block), step.gives, family)
    return around(drawn, "", "") if isinstance(block, Sublayer) and block.residual else drawn


def _repeat(block: Repeat) -> Figure:
    """Runs of equal copies as piles; the first copy often differs, in its stride or its shapes."""
    runs: list[tuple[Chain, int]] = []
    for copy in block.chains():
        if runs and _alike(runs[-1][0], copy):
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((copy, 1))
    figures = [
        _stacked(copy) if times == 1 else repeated(_stacked(copy), f"× {times}")
        for copy, times in runs
    ]
    return stack(figures, [shape(copy.gives) for copy, _ in runs])


def _alike(one: Chain, other: Chain) -> bool:
    def look(chain: Chain) -> tuple[Sequence[tuple[BlockSpec, Signal]], Signal]:
        return [(step.spec, step.gives) for step in chain.steps], chain.reads

    return look(one) == look(other)


def _shortcut(module: nn.Module) -> str:
    if isinstance(module, nn.Identity):
        return ""
    return "pad" if isinstance(module, Pad) else f"projection {_parameters(module)}"


def _after(spec: ResidualSpec) -> str:
    words = [] if spec.activation == "none" else [spec.activation]
    return " · ".join(words + ([f"drop path {spec.drop_path:g}"] if spec.drop_path else []))


def _parameters(module: nn.Module) -> str:
    count = sum(parameter.numel() for parameter in module.parameters())
    return amount(count) if count else ""


def _style() -> str:
    """The rules for a light page, and again for a dark one."""
    return f"{_rules(_LIGHT)}@media (prefers-color-scheme:dark){{{_rules(_DARK)}}}"


def _rules(colour: dict[str, str]) -> str:
    c = colour
    rules = {
        "text": f"font-family:system-ui,-apple-system,'Segoe UI',sans-serif;fill:{c['ink']}",
        ".paper": f"fill:{c['paper']}",
        ".box": f"stroke:{c['edge']}",
        ".solid": f"stroke:{c['ink']};stroke-width:.8;stroke-linejoin:round;fill-opacity:.85",
        ".pill": f"fill:{c['frame']};stroke:{c['flow']}",
        ".frame": f"fill:{c['frame']};stroke:{c['edge']};fill-opacity:.6",
        ".card": f"fill:{c['frame']};stroke:{c['flow']}",
        ".join": f"fill:{c['paper']};stroke:{c['skip']};stroke-width:1.6",
        ".flow": f"fill:none;stroke:{c['flow']};stroke-width:1.5",
        ".skip": f"fill:none;stroke:{c['skip']};stroke-width:1.6;stroke-linejoin:round",
        ".head": f"fill:{c['flow']}",
        ".title": "font-size:13px;font-weight:600",
        ".detail": f"font-size:11px;fill:{c['soft']}",
        ".label": f"font-size:10.5px;fill:{c['soft']}",
        ".count": f"font-size:11px;fill:{c['soft']}",
        ".times": f"font-size:12px;font-weight:600;fill:{c['skip']}",
        ".sign": f"font-size:14px;font-weight:600;fill:{c['skip']}",
        **{f".{family}": f"fill:{c[family]}" for family in _COLOURED},
    }
    return "".join(f".luthier-network {name}{{{rule}}}" for name, rule in rules.items())
