"""A model that is there to be used: a finished run, or a network that somebody pretrained."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from torch import Tensor, nn

from luthier.adapters.attach import merge
from luthier.checkpoint.files import told
from luthier.data.target import names_of
from luthier.errors import InputError
from luthier.interop.gguf import is_gguf, read_gguf
from luthier.interop.huggingface.folder import PICKLES, is_model_folder, is_model_name
from luthier.interop.huggingface.read import Pretrained, read_pretrained
from luthier.interop.huggingface.through_transformers import read_through_transformers
from luthier.interop.peft.places import OWN
from luthier.interop.peft.read import put_on
from luthier.interop.peft.write import CONFIG
from luthier.model.blocks.transformers import Transformers
from luthier.model.blueprint import Network
from luthier.run.adapter_folder import is_adapter, names_for, read_adapter, read_foreign_adapter
from luthier.run.directory import RUNS, RunDirectory, find_run
from luthier.run.model_folder import FinishedModel, read_model
from luthier.run.pretrained import finished_model, pretrained_of


@dataclass(frozen=True, kw_only=True)
class Source:
    """A model, and where it is."""

    path: Path
    """The run, the folder or the file."""
    model: FinishedModel
    files: Path | None
    """The folder with its tokenizer.json and its chat template; none where there is no such."""
    directory: RunDirectory | None = None
    """The run; none of a network that somebody pretrained."""
    foreign: Pretrained | None = None
    """What was read, where it is no run."""

    @property
    def name(self) -> str:
        """What a person calls it."""
        if self.directory is not None:
            return self.directory.read_resolved().name
        return self.path.name

    def pretrained(self) -> Pretrained:
        """What another format is written from.

        Raises:
            InputError: If the model is of a kind that has no other format.
        """
        return self.foreign or pretrained_of(self.model, str(self.path))


def find_model(
    place: Path | str, network: nn.Module | None = None, *, wrapped: bool = False
) -> Source:
    """The finished run at `place`, or of that name in `runs/`; or a pretrained network: its
    folder, its GGUF file, or its name on the hub; or an adapter of such a network in PEFT's
    format, put on it.

    Args:
        place: Where it is.
        network: The module that Python code gave when it was trained; else none.
        wrapped: Whether a folder's network is read through the transformers library, as a block.

    Raises:
        InputError: If there is none, or it is not finished, or cannot be used.
        RunError: If the model of a run is damaged.
    """
    if is_adapter(Path(place)):
        return _of_adapter(Path(place), network)
    if not is_foreign(place):
        _must_be_no_file(Path(place))
        directory = find_run(place)
        directory.must_be_finished()
        model = read_finished(directory, network)
        return Source(path=directory.path, model=model, files=directory.model, directory=directory)
    if network is not None:
        raise InputError(f"{place}: describes its own network; leave network out")
    foreign = _read(place, wrapped=wrapped)
    path = Path(foreign.source)
    return Source(
        path=path,
        model=finished_model(foreign),
        files=path if path.is_dir() else None,
        foreign=foreign,
    )


def read_finished(directory: RunDirectory, network: nn.Module | None = None) -> FinishedModel:
    """The finished model of a run; where it is an adapter alone, put on what the run started from.

    Raises what `read_model` raises.
    """
    return read_model(directory.model, network, partial(_with_adapter, directory))


def _must_be_no_file(path: Path) -> None:
    """Refuses weights alone, which say nothing of their network; and pickles, which can run code.

    Raises:
        InputError: If `path` is a file.
    """
    if not path.is_file():
        return
    with told("read", path), open(path, "rb") as file:
        begin = file.read(4)
    if path.suffix == ".safetensors":
        raise InputError(
            f"{path}: holds weights alone; give the folder in which its config.json and its "
            f"tokenizer.json are, too: {path.parent}"
        )
    if path.suffix in PICKLES or begin.startswith((b"PK\x03\x04", b"\x80")):
        raise InputError(
            f"{path}: is a checkpoint of torch.save or the like, which can run code when it is "
            "read, so luthier does not; wanted a folder with config.json, model.safetensors and "
            'tokenizer.json. Convert its weights: python -c "import torch, safetensors.torch as s; '
            f"s.save_file(torch.load('{path}', weights_only=True), 'model.safetensors')\", where "
            "it holds the tensors by name"
        )
    raise InputError(
        f"{path}: is a file; wanted a run directory such as runs/digits, a Hugging Face folder, or "
        "a .gguf file"
    )


def _of_adapter(path: Path, network: nn.Module | None) -> Source:
    """The network that an adapter in PEFT's format names as its base, with what it adds."""
    config, tensors = read_foreign_adapter(path)
    base = str(config["base_model_name_or_path"])
    beside = path / base  # a folder may travel with its adapter
    try:
        found = find_model(beside if is_model_folder(beside) else base, network)
    except InputError as error:
        raise InputError(
            f"{path}: is an adapter of {base}, which its {CONFIG} names, and which cannot be used: "
            f"{error}"
        ) from None
    model = found.model
    aim = found.pretrained().aim
    classes = () if model.target is None else names_of(model.target)
    names = OWN if aim is None else names_for(model.network, aim, classes)
    merge(put_on(model.network, config, tensors, names, source=str(path)))
    return replace(found, path=path, directory=None)


def _read(place: Path | str, *, wrapped: bool) -> Pretrained:
    if is_gguf(Path(place)):
        return read_gguf(Path(place))
    return read_through_transformers(place) if wrapped else read_pretrained(place)


def weights_of(place: Path | str, *, wrapped: bool = False) -> dict[str, Tensor]:
    """The weights of the model at `place`."""
    return find_model(place, wrapped=wrapped).model.network.state_dict()


def _with_adapter(directory: RunDirectory, network: Network) -> None:
    """Gives a network the weights of what the run started from, with its adapter's added."""
    adapter = read_adapter(directory.adapter)
    wrapped = any(isinstance(module, Transformers) for module in network.modules())
    adapter.fill(network, weights_of(adapter.base, wrapped=wrapped))


def is_foreign(place: Path | str) -> bool:
    """Whether `place` is a pretrained network, and no run of ours."""
    path = Path(place)
    if is_adapter(path):
        return True
    if any((home / "resolved.yaml").exists() for home in (path, RUNS / path)):
        return False
    if is_model_folder(path) or is_gguf(path):
        return True
    # What is called as a folder here is, that is not there, is no name of the hub.
    is_local = os.path.lexists(path) or os.path.lexists(path.parent) or path.parts[:1] == ("runs",)
    return not is_local and is_model_name(str(place))
