"""Every family that luthier reads and writes: a file each, and its line here."""

from __future__ import annotations

from luthier.errors import InputError, nearest
from luthier.interop.huggingface.bart import BART
from luthier.interop.huggingface.bert import BERT
from luthier.interop.huggingface.config import WRAPPED, Config
from luthier.interop.huggingface.distilbert import DISTILBERT
from luthier.interop.huggingface.family import Family
from luthier.interop.huggingface.gemma import GEMMA_2, GEMMA_3
from luthier.interop.huggingface.gpt2 import GPT_2
from luthier.interop.huggingface.llama import LLAMA
from luthier.interop.huggingface.mistral import MISTRAL
from luthier.interop.huggingface.modernbert import MODERNBERT
from luthier.interop.huggingface.phi3 import PHI_3
from luthier.interop.huggingface.qwen import QWEN_2, QWEN_3
from luthier.interop.huggingface.roberta import ROBERTA
from luthier.interop.huggingface.whisper import WHISPER

FAMILIES: tuple[Family, ...] = (
    LLAMA,
    MISTRAL,
    QWEN_2,
    QWEN_3,
    GEMMA_2,
    GEMMA_3,
    PHI_3,
    GPT_2,
    ROBERTA,
    BERT,
    DISTILBERT,
    MODERNBERT,
    BART,
    WHISPER,
)
"""In the order in which a network of ours looks for one that it is a member of."""


def family_of(config: Config) -> Family:
    """The family of a config.json.

    Raises:
        InputError: If luthier has none of that name, or the config names code.
    """
    kind = str(config.values.get("model_type"))
    known = {family.model_type: family for family in FAMILIES}
    if kind not in known:
        raise InputError(
            f'{config.source}: has the model_type "{kind}"{nearest(kind, known)}; {WRAPPED}'
        )
    if config.has("auto_map"):
        raise InputError(
            f"{config.source}: auto_map names code, and luthier runs no code of a folder; take "
            f"auto_map out of the file to have the network read as a plain {known[kind].name}"
        )
    if config.has("quantization_config"):
        raise InputError(
            f"{config.source}: quantization_config says that the weights are kept in few bits; "
            "take the folder with the whole ones"
        )
    return known[kind]
