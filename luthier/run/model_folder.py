"""The finished model: a folder that holds all that its use needs, and no code.

model.safetensors     the weights, in canonical order; not where an adapter is kept alone
network.json          the blueprint: what it reads, its layers and head
task.json             what it does: the task, and the classes or tags that its output means
preprocessing.json    how a picture or a text becomes its input
tokenizer.json        of texts, in the format of the tokenizers library
README.md             the model card
manifest.json         size and SHA-256 of each file
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from luthier.checkpoint.document import to_json
from luthier.checkpoint.files import Files
from luthier.checkpoint.folder import Content, Folder, read_folder, write_folder
from luthier.checkpoint.manifest import DamagedError
from luthier.checkpoint.weights import write_tensors
from luthier.data.prepared import Inputs
from luthier.data.reading import read_inputs
from luthier.data.target import Target
from luthier.errors import InputError, RunError
from luthier.model.blocks import Block
from luthier.model.blueprint import LayersSpec, Network, build
from luthier.model.encoder_decoder import EncoderDecoderSpec, build_pair
from luthier.signal import Signal
from luthier.spec import Many, parse, plain
from luthier.tasks import TaskSpec

FORMAT = 2
WEIGHTS = "model.safetensors"


@dataclass(frozen=True, kw_only=True)
class Blueprint:
    """What a network is built from, beside its weights."""

    reads: Signal
    model: LayersSpec | EncoderDecoderSpec | None
    """None where Python code gave the network."""
    head: tuple[Any, ...] = ()
    writes: Signal | None = None
    """What a decoder reads; none where there is no encoder."""

    def network(self) -> Network:
        """The network, on the meta device."""
        assert self.model is not None
        if isinstance(self.model, EncoderDecoderSpec):
            assert self.writes is not None
            return build_pair(self.model, self.reads, self.writes, self.head)
        return build(self.model, self.reads, self.head)


@dataclass(frozen=True, kw_only=True)
class FinishedModel:
    """A model that was read back."""

    blueprint: Blueprint
    network: Network
    task: TaskSpec | None
    """None of layers that somebody pretrained, without a head: a start, and no more."""
    target: Target | None
    inputs: Inputs


def write_model(
    path: Path,
    *,
    weights: Mapping[str, Tensor] | None,
    blueprint: Blueprint,
    task: TaskSpec,
    target: Target,
    inputs: Inputs,
    card: str,
    files: Files,
) -> Folder:
    """Writes the folder `path`, whole or not at all.

    Without `weights`, whoever reads it must bring them.

    Raises:
        StorageError: The disk refused; what was there before is whole.
    """
    network = {
        "format": FORMAT,
        "reads": _plain_signal(blueprint.reads),
        "model": None if blueprint.model is None else plain(blueprint.model),
        "head": [plain(block) for block in blueprint.head],
    }
    if blueprint.writes is not None:
        network["writes"] = _plain_signal(blueprint.writes)
    contents: dict[str, Content] = {
        **({} if weights is None else {WEIGHTS: partial(write_tensors, weights)}),
        "network.json": to_json(network),
        "task.json": to_json({"task": plain(task), "target": plain(target)}),
        **inputs.files(),
        "README.md": card.encode(),
    }
    return write_folder(path, contents, files)


def read_model(
    path: Path, network: nn.Module | None = None, fill: Callable[[Network], None] | None = None
) -> FinishedModel:
    """The model in the folder `path`, every file of it checked.

    Args:
        path: The folder.
        network: The module that Python code gave when it was trained; none for a network that
            the folder describes.
        fill: Gives the network its weights, where the folder has none.

    Raises:
        RunError: A file of it is damaged, or of a newer luthier.
        InputError: It needs, or has no use for, the module.
    """
    try:
        return _read(read_folder(path), network, fill)
    except DamagedError as error:
        raise _damaged(path, error) from None


def read_network(path: Path) -> Network | None:
    """The network of the model in `path`, on the meta device; none if Python code gave it.

    Raises:
        RunError: Its description is damaged, or of a newer luthier.
    """
    try:
        blueprint = _blueprint(read_folder(path, verify=False))
    except DamagedError as error:
        raise _damaged(path, error) from None
    return None if blueprint.model is None else blueprint.network()


def _damaged(path: Path, error: DamagedError) -> RunError:
    return RunError(f"{path} is damaged: {error}; train again, or bring back a copy")


def _blueprint(folder: Folder) -> Blueprint:
    about = folder.json("network.json")
    if about["format"] != FORMAT:
        raise RunError(
            f"{folder.path} has the format {about['format']}, this luthier reads {FORMAT}; "
            "update luthier"
        )
    source = str(folder.path)
    given, writes = about["model"], about.get("writes")
    model: LayersSpec | EncoderDecoderSpec | None = None
    if given is not None and writes is not None:
        model = parse(EncoderDecoderSpec, given, source=source)
    elif given is not None:
        model = parse(LayersSpec, given, source=source)
    return Blueprint(
        reads=_signal(about["reads"]),
        model=model,
        head=TypeAdapter(Many[Block]).validate_python(about["head"]),
        writes=None if writes is None else _signal(writes),
    )


def _plain_signal(signal: Signal) -> dict[str, Any]:
    return {"form": signal.form, "shape": list(signal.shape), "vocab": signal.vocab}


def _signal(about: Mapping[str, Any]) -> Signal:
    return Signal(about["form"], tuple(about["shape"]), about["vocab"])


def _read(
    folder: Folder, module: nn.Module | None, fill: Callable[[Network], None] | None
) -> FinishedModel:
    blueprint = _blueprint(folder)
    if blueprint.model is None:
        if module is None:
            raise InputError(
                f"{folder.path} was trained with a network of your own code; load it in Python "
                "with luthier.load(run, network=module)"
            )
        network = Network.of(module, blueprint.reads)
    elif module is not None:
        raise InputError(f"{folder.path} describes its own network; leave network out")
    else:
        network = blueprint.network()
        network.to_empty(device="cpu")
    if WEIGHTS in folder.names:
        load_weights(network, folder.tensors(WEIGHTS), str(folder.path))
    else:
        assert fill is not None, "a model without weights"
        fill(network)
    about_task = folder.json("task.json")
    return FinishedModel(
        blueprint=blueprint,
        network=network,
        task=TypeAdapter(TaskSpec).validate_python(about_task["task"]),
        target=TypeAdapter(Target).validate_python(about_task["target"]),
        inputs=read_inputs(folder.read),
    )


@torch.no_grad()
def load_weights(network: nn.Module, weights: Mapping[str, Tensor], source: str) -> None:
    """Copies `weights`, in canonical order, into a network that is not placed yet.

    Raises:
        RunError: If a weight is missing, unknown or of another shape.
    """
    own = network.state_dict()
    missing, unknown = sorted(own.keys() - weights.keys()), sorted(weights.keys() - own.keys())
    if missing or unknown:
        raise RunError(
            f"{source} does not fit the network: missing {missing[:3] or 'nothing'}, "
            f"unknown {unknown[:3] or 'nothing'}"
        )
    for name, tensor in own.items():
        if tensor.shape != weights[name].shape:
            raise RunError(
                f"{source} does not fit the network: {name} is {tuple(weights[name].shape)}, "
                f"wanted {tuple(tensor.shape)}"
            )
        tensor.copy_(weights[name])
