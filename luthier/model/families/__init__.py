"""Known designs: a file each, and its line in `Family`; their published sizes are tables there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from luthier.model.blueprint import LayersSpec
from luthier.model.encoder_decoder import EncoderDecoderSpec
from luthier.model.families.bart import BartSpec
from luthier.model.families.bert import BertSpec
from luthier.model.families.conformer import ConformerSpec
from luthier.model.families.crnn import CrnnSpec
from luthier.model.families.dlinear import DlinearSpec
from luthier.model.families.family import FamilySpec
from luthier.model.families.gemma import GemmaSpec
from luthier.model.families.gpt2 import Gpt2Spec
from luthier.model.families.gru import GruSpec
from luthier.model.families.llama import LlamaSpec
from luthier.model.families.lstm import LstmSpec
from luthier.model.families.mistral import MistralSpec
from luthier.model.families.modernbert import ModernBertSpec
from luthier.model.families.nlinear import NlinearSpec
from luthier.model.families.patchtst import PatchtstSpec
from luthier.model.families.qwen import QwenSpec
from luthier.model.families.roberta import RobertaSpec
from luthier.model.families.tcn import TcnSpec
from luthier.model.families.text_cnn import TextCnnSpec
from luthier.model.families.transformer import TransformerSpec
from luthier.model.families.whisper import WhisperSpec

Family = Annotated[
    BartSpec
    | BertSpec
    | ConformerSpec
    | CrnnSpec
    | DlinearSpec
    | GemmaSpec
    | Gpt2Spec
    | GruSpec
    | LlamaSpec
    | LstmSpec
    | MistralSpec
    | ModernBertSpec
    | NlinearSpec
    | PatchtstSpec
    | QwenSpec
    | RobertaSpec
    | TcnSpec
    | TextCnnSpec
    | TransformerSpec
    | WhisperSpec,
    Field(discriminator="kind"),
]
"""Any family."""


_DIALS = {"size", "depth", "width"}


def _form(model: Any) -> str:
    """What a `model` is meant to be: a family has a kind, layers have none."""
    family = isinstance(model, FamilySpec)
    if isinstance(model, EncoderDecoderSpec):
        return EncoderDecoderSpec.__name__
    if isinstance(model, Mapping):
        if "kind" not in model and not {"encoder", "decoder"}.isdisjoint(model):
            return EncoderDecoderSpec.__name__
        # With a dial and no layers, it is the kind that was forgotten.
        family = "kind" in model or ("layers" not in model and not _DIALS.isdisjoint(model))
    return "family" if family else LayersSpec.__name__


ModelSpec = Annotated[
    Annotated[LayersSpec, Tag(LayersSpec.__name__)]
    | Annotated[EncoderDecoderSpec, Tag(EncoderDecoderSpec.__name__)]
    | Annotated[Family, Tag("family")],
    Discriminator(_form),
]
"""Everything that `model:` can be in a recipe: layers from a blank page, those of an encoder and
a decoder, or a family."""
