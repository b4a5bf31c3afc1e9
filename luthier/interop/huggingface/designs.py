"""What stands behind the layers of a pretrained network, for whatever it is trained to do next."""

from __future__ import annotations

from collections.abc import Mapping

from luthier.interop.huggingface.config import Config
from luthier.interop.huggingface.family import Family
from luthier.interop.huggingface.folder import POOLING, ModelFiles
from luthier.model.blocks.pool import GlobalPoolSpec, Reduce
from luthier.model.blueprint import Aim, LayersSpec
from luthier.spec import parse

_OF_A_HEAD = ("id2label", "label2id", "num_labels", "problem_type")
"""Settings of the head that was trained, which say nothing of another one."""
_POOLS: Mapping[str, Reduce] = {
    "pooling_mode_mean_tokens": "average",
    "pooling_mode_max_tokens": "max",
}
"""How sentence-transformers makes one vector of a text's."""


def designs(folder: ModelFiles, family: Family, config: Config) -> dict[Aim, LayersSpec]:
    """The network of a config for each aim: its layers, and the neck that its family has for it.

    So that what is trained has a class in transformers. Of a sentence encoder, whose vectors were
    trained to be pooled in a way of their own, a text is classified by what is pooled so.

    Args:
        folder: For how sentences are pooled.
        family: Of the network.
        config: Its config.json.
    """
    plain = {name: value for name, value in config.values.items() if name not in _OF_A_HEAD}
    about = Config(plain, config.source)
    aims = {aim for aim in family.architectures.values() if aim is not None}
    pages = {aim: family.design(about, aim).page for aim in sorted(aims)}
    found = {
        aim: parse(LayersSpec, page, source=config.source, prefix="model")
        for aim, page in pages.items()
        if "encoder" not in page
    }
    pool = _pool_of_sentences(folder)
    if pool is not None and "labels" in found:
        neck = (GlobalPoolSpec(reduce=pool),)
        found["labels"] = found["labels"].model_copy(update={"neck": neck})
    return found


def _pool_of_sentences(folder: ModelFiles) -> Reduce | None:
    """How the sentences of a sentence encoder are pooled; none where it is none, or in another way
    than by one number for each feature."""
    about = folder.json(POOLING) or {}
    ways = [name for name, value in about.items() if "pooling_mode_" in name and value is True]
    return _POOLS.get(ways[0]) if len(ways) == 1 else None
