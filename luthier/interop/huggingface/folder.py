"""The files of a Hugging Face folder, read as data: nothing in it is run or unpickled.

config.json                     what the network is
model.safetensors               its weights; or several files and model.safetensors.index.json
tokenizer.json                  its tokenizer, in the format of the tokenizers library
tokenizer_config.json           which tokens are special, and often the chat template
special_tokens_map.json         the same, in older folders
chat_template.jinja             the chat template, in newer folders
generation_config.json          what ends a text that it writes
preprocessor_config.json        of a network for speech, how a sound becomes its input
1_Pooling/config.json           of a sentence encoder, how one vector stands for a text

Source:
    https://huggingface.co/docs/transformers, "Loading models" and `PreTrainedModel`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from luthier.checkpoint.document import from_json
from luthier.checkpoint.manifest import DamagedError
from luthier.checkpoint.weights import map_weights
from luthier.errors import InputError, missing_extra
from luthier.interop.huggingface.unchanged import must_be_unchanged

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
TOKENIZER = "tokenizer.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
SPECIAL_TOKENS = "special_tokens_map.json"
CHAT_TEMPLATE = "chat_template.jinja"
GENERATION = "generation_config.json"
PREPROCESSOR = "preprocessor_config.json"
POOLING = "1_Pooling/config.json"
FETCHED = (
    CONFIG,
    "*.safetensors",
    INDEX,
    TOKENIZER,
    TOKENIZER_CONFIG,
    SPECIAL_TOKENS,
    CHAT_TEMPLATE,
    GENERATION,
    PREPROCESSOR,
    POOLING,
)
"""What is fetched of a model on the hub."""

MOST_BYTES = 256 * 2**20
"""Of a file that is no weights: a tokenizer of a million tokens has a tenth of it."""
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack")
"""How files with weights end that luthier does not read."""
_CONVERT = (
    'where transformers is installed: python -c "from transformers import AutoModel as M, '
    "AutoConfig as C; import transformers as t; p = '{path}'; "
    'getattr(t, C.from_pretrained(p).architectures[0]).from_pretrained(p).save_pretrained(p)"'
)


class ModelFiles(Protocol):
    """The files of a pretrained network, by the names that they have in a folder."""

    @property
    def path(self) -> Path:
        """Where they are."""

    def json(self, name: str) -> dict[str, Any] | None:
        """What a JSON file says; none where there is no such file."""

    def text(self, name: str) -> str | None:
        """The text of a file; none where there is no such file."""

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor by its name."""


@dataclass(frozen=True)
class ModelFolder:
    """A folder with a config.json.

    Args:
        path: The folder.
    """

    path: Path

    def json(self, name: str) -> dict[str, Any] | None:
        """What a JSON file says; none where there is no such file.

        Raises:
            InputError: If it is no JSON object.
        """
        text = self.text(name)
        if text is None:
            return None
        try:
            found = from_json(text.encode())
        except ValueError as error:
            raise InputError(f"{self.path / name}: is no JSON: {error}; bring it again") from None
        if not isinstance(found, dict):
            raise InputError(f"{self.path / name}: holds no JSON object; bring it again")
        return found

    def text(self, name: str) -> str | None:
        """The text of a file; none where there is no such file.

        Raises:
            InputError: If it is no text, or larger than any such file.
        """
        place = self.path / name
        if not place.is_file():
            return None
        size = place.stat().st_size
        if size > MOST_BYTES:
            raise InputError(f"{place}: has {size:,} bytes; at most {MOST_BYTES:,} will do")
        try:
            return place.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"{place}: is no UTF-8 text, byte {error.start}") from None

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor by its name, mapped into memory: none is read before it is looked at.

        Raises:
            InputError: If the weights are missing, pickled, or not whole; says what to do.
        """
        index = self.json(INDEX)
        if (self.path / WEIGHTS).is_file():
            return self._mapped(WEIGHTS)
        if index is None:
            raise InputError(self._without_weights())
        return self._of_index(index)

    def _mapped(self, name: str) -> dict[str, Tensor]:
        must_be_unchanged(self.path / name)
        try:
            return map_weights(self.path / name)
        except DamagedError as error:
            raise InputError(
                f"{self.path / name}: {error.reason}; it was cut off or changed on its way: bring "
                "it again"
            ) from None

    def _of_index(self, index: Mapping[str, Any]) -> dict[str, Tensor]:
        where, place = index.get("weight_map"), self.path / INDEX
        if not isinstance(where, dict) or not where:
            raise InputError(f"{place}: has no weight_map, which says in which file a tensor is")
        found: dict[str, Tensor] = {}
        for name in sorted(set(map(str, where.values()))):
            if Path(name).name != name or not name.endswith(".safetensors"):
                raise InputError(f'{place}: names the file "{name}"; wanted one of this folder')
            if not (self.path / name).is_file():
                raise InputError(f"{self.path}: {name} is missing, which {INDEX} names; bring it")
            own = self._mapped(name)
            wanted = {tensor for tensor, file in where.items() if file == name}
            for tensor in sorted(wanted ^ own.keys()):
                lacks, has = (INDEX, name) if tensor in own else (name, INDEX)
                raise InputError(
                    f'{self.path}: {lacks} lacks the tensor "{tensor}", which {has} has; these '
                    "files do not belong together: bring all of them again"
                )
            found |= own
        return found

    def _without_weights(self) -> str:
        pickled = sorted(file.name for kind in PICKLES for file in self.path.glob(f"*{kind}"))
        if pickled:
            return (
                f"{self.path}: has its weights as {pickled[0]}, not as {WEIGHTS}; such a file can "
                "run code when it is read, so luthier does not. Convert it "
                + _CONVERT.format(path=self.path)
            )
        return f"{self.path}: has no {WEIGHTS}, and no {INDEX}; bring them"


def is_model_folder(path: Path) -> bool:
    """Whether `path` is a Hugging Face folder: one with a config.json."""
    return (path / CONFIG).is_file()


def is_model_name(name: str) -> bool:
    """Whether `name` may be that of a model on the hub: `org/model`."""
    return _NAME.fullmatch(name) is not None


def open_folder(place: Path | str) -> ModelFolder:
    """The folder at `place`, or the model of that name, fetched from the hub.

    Raises:
        InputError: If there is none, or it cannot be had; says which files to bring.
    """
    path = Path(place)
    if path.is_dir():
        if not is_model_folder(path):
            raise InputError(
                f"{path}: has no {CONFIG}; wanted a Hugging Face folder, with "
                f"{', '.join(_brought())}"
            )
        return ModelFolder(path)
    if path.exists() or not is_model_name(str(place)):
        raise InputError(
            f"{place}: is no folder; wanted a Hugging Face folder, or the name of a model such as "
            "HuggingFaceTB/SmolLM2-135M"
        )
    return ModelFolder(_fetched(str(place)))


def _fetched(name: str) -> Path:
    """The folder of a model on the hub, kept where huggingface_hub keeps them."""
    try:
        import huggingface_hub
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    except ImportError:
        raise InputError(f"{missing_extra('huggingface_hub', 'hub')}; {_bring(name)}") from None
    try:
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=list(FETCHED)))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"{name}: cannot be fetched: {reason}; {_bring(name)}") from None


def _bring(name: str) -> str:
    return (
        f"or bring {', '.join(_brought())} from https://huggingface.co/{name} in a folder, and "
        "give its path"
    )


def _brought() -> Iterator[str]:
    yield CONFIG
    yield f"{WEIGHTS} (or {INDEX} and the files that it names)"
    yield from (TOKENIZER, TOKENIZER_CONFIG, GENERATION)
