"""The blocks that networks are made of. A new one is a file here and a line in `Block`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from luthier.model.blocks.activation import ActivationSpec
from luthier.model.blocks.attention import AttentionSpec
from luthier.model.blocks.conv import ConvSpec
from luthier.model.blocks.conv_transpose import ConvTransposeSpec
from luthier.model.blocks.crf import CrfSpec
from luthier.model.blocks.cross_attention import CrossAttentionSpec
from luthier.model.blocks.decompose import DecomposeSpec
from luthier.model.blocks.dense import DenseSpec
from luthier.model.blocks.dropout import DropoutSpec, DropPathSpec
from luthier.model.blocks.each_channel import EachChannelSpec
from luthier.model.blocks.flatten import FlattenSpec
from luthier.model.blocks.gated_conv import GatedConvSpec
from luthier.model.blocks.linear_recurrence import LinearRecurrenceSpec
from luthier.model.blocks.mlp import MlpSpec
from luthier.model.blocks.moe import MoeSpec
from luthier.model.blocks.norm import BatchNormSpec, GroupNormSpec, LayerNormSpec, RmsNormSpec
from luthier.model.blocks.parallel import ParallelSpec
from luthier.model.blocks.patches import PatchesSpec
from luthier.model.blocks.places import PlacesSpec
from luthier.model.blocks.pool import (
    AdaptivePoolSpec,
    AveragePoolSpec,
    GlobalPoolSpec,
    MaxPoolSpec,
)
from luthier.model.blocks.recurrent import RecurrentSpec
from luthier.model.blocks.repeat import RepeatSpec
from luthier.model.blocks.residual import ResidualSpec
from luthier.model.blocks.reversible_norm import ReversibleNormSpec
from luthier.model.blocks.steps import StepsSpec
from luthier.model.blocks.subsample import SubsampleSpec
from luthier.model.blocks.time_dense import TimeDenseSpec
from luthier.model.blocks.tokens import TokensSpec
from luthier.model.blocks.transformers import TransformersSpec
from luthier.model.blocks.unembed import UnembedSpec
from luthier.model.blocks.upsample import UpsampleSpec

Block = Annotated[
    ActivationSpec
    | AdaptivePoolSpec
    | AttentionSpec
    | AveragePoolSpec
    | BatchNormSpec
    | ConvSpec
    | ConvTransposeSpec
    | CrfSpec
    | CrossAttentionSpec
    | DecomposeSpec
    | DenseSpec
    | DropPathSpec
    | DropoutSpec
    | EachChannelSpec
    | FlattenSpec
    | GatedConvSpec
    | GlobalPoolSpec
    | GroupNormSpec
    | LayerNormSpec
    | LinearRecurrenceSpec
    | MaxPoolSpec
    | MlpSpec
    | MoeSpec
    | ParallelSpec
    | PatchesSpec
    | PlacesSpec
    | RecurrentSpec
    | RepeatSpec
    | ResidualSpec
    | ReversibleNormSpec
    | RmsNormSpec
    | SubsampleSpec
    | StepsSpec
    | TimeDenseSpec
    | TokensSpec
    | TransformersSpec
    | UnembedSpec
    | UpsampleSpec,
    Field(discriminator="kind"),
]
"""Any block: what `model.layers` is a list of."""

# Blocks that hold blocks: their files cannot name the union that they are part of.
for _spec in (
    DecomposeSpec,
    EachChannelSpec,
    ParallelSpec,
    RepeatSpec,
    ResidualSpec,
    ReversibleNormSpec,
):
    _spec.model_rebuild()
