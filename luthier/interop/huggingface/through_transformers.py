"""From a Hugging Face folder to a network through the transformers library: what luthier has no
family for."""

from __future__ import annotations

from pathlib import Path

import torch

from luthier.errors import InputError, missing_extra
from luthier.interop.huggingface.folder import ModelFolder, open_folder
from luthier.interop.huggingface.read import Pretrained, config_of, frame_of, tokenizer_of
from luthier.interop.huggingface.special_tokens import special_tokens
from luthier.interop.huggingface.tensors import must_be_finite
from luthier.model.blocks.transformers import Transformers, TransformersSpec
from luthier.model.blueprint import LayersSpec, Network, build
from luthier.signal import Signal

USUAL_CONTEXT = 512
"""Of a network whose config names no longest text."""
_SHOWN = 3


def read_through_transformers(place: Path | str) -> Pretrained:
    """The layers in a Hugging Face folder, as one block, with their weights in float32.

    Any head in it is left: what is trained next brings its own.

    Args:
        place: The folder, or the name of a model on the hub.

    Raises:
        InputError: If transformers is not installed, or cannot read the folder without running
            code that is in it.
    """
    folder = open_folder(place)
    config = config_of(folder)
    vocab = config.whole("vocab_size")
    reads = Signal.tokens(config.whole("max_position_embeddings", USUAL_CONTEXT), vocab)
    model = LayersSpec(layers=(TransformersSpec(config=dict(config.values)),), head="none")
    network = build(model, reads)
    network.to_empty(device="cpu")
    _fill(network, folder)
    tokenizer = tokenizer_of(folder, vocab)
    return Pretrained(
        source=str(folder.path),
        family=f"{config.values.get('model_type')} of transformers",
        reads=reads,
        model=model,
        head=(),
        network=network.eval(),
        aim=None,
        tokenizer=tokenizer,
        specials=special_tokens(folder, config, tokenizer),
        frame=frame_of(folder),
        task=None,
        target=None,
        template=None,
    )


@torch.no_grad()
def _fill(network: Network, folder: ModelFolder) -> None:
    """Copies the weights that the library finds in a folder."""
    try:
        import transformers
    except ImportError:
        raise missing_extra("transformers", "transformers") from None
    block = next(module for module in network.modules() if isinstance(module, Transformers))
    try:
        given, told = transformers.AutoModel.from_pretrained(
            folder.path,
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
        )
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"{folder.path}: transformers cannot read it: {reason}") from None
    theirs, own = given.state_dict(), block.network.state_dict()
    missing = sorted((own.keys() - theirs.keys()) | (own.keys() & set(told["missing_keys"])))
    if missing:
        shown = ", ".join(missing[:_SHOWN])
        raise InputError(f"{folder.path}: lacks weights that its config.json describes: {shown}")
    for name, tensor in own.items():
        must_be_finite(theirs[name], name, str(folder.path))
        tensor.copy_(theirs[name])
