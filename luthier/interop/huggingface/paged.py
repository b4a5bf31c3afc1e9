"""From a design's page to a network: layers, or an encoder and a decoder."""

from __future__ import annotations

from luthier.interop.huggingface.family import Design
from luthier.model.blueprint import Head, LayersSpec, Network, build
from luthier.model.encoder_decoder import EncoderDecoderSpec, build_pair
from luthier.signal import Signal
from luthier.spec import parse


def model_of(design: Design, source: str) -> LayersSpec | EncoderDecoderSpec:
    """What a recipe would say of the network.

    Args:
        design: Of a config.
        source: Where it stands, for messages.
    """
    if "encoder" in design.page:
        return parse(EncoderDecoderSpec, design.page, source=source, prefix="model")
    return parse(LayersSpec, design.page, source=source, prefix="model")


def built(
    model: LayersSpec | EncoderDecoderSpec, reads: Signal, texts: Signal, head: Head
) -> Network:
    """The network, on the meta device.

    Args:
        model: Its layers.
        reads: What it reads; where there is an encoder, what that reads.
        texts: What a decoder reads.
        head: The blocks behind the layers and the neck.
    """
    if isinstance(model, EncoderDecoderSpec):
        return build_pair(model, reads, texts, head)
    return build(model, reads, head)
