"""The adapter of a finished run, in PEFT's format.

adapter_config.json           PEFT's
adapter_model.safetensors     PEFT's: the adapter, and the layers that moved whole
luthier.json                  what it is put on: a run or folder, and the SHA-256 of its weights
manifest.json                 size and SHA-256 of each file
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from luthier.adapters.attach import merge, quantise_dense
from luthier.adapters.fingerprint import fingerprint
from luthier.adapters.new_rows import Span, grow
from luthier.checkpoint.document import from_json
from luthier.checkpoint.folder import read_folder
from luthier.checkpoint.manifest import DamagedError
from luthier.checkpoint.weights import read_weights
from luthier.errors import InputError, RunError
from luthier.interop.huggingface.membership import member
from luthier.interop.huggingface.row import Row
from luthier.interop.huggingface.write import PIPELINES
from luthier.interop.peft.places import OWN, Names
from luthier.interop.peft.read import put_on
from luthier.interop.peft.write import CONFIG, WEIGHTS
from luthier.model.blueprint import Aim, Network

ABOUT = "luthier.json"
FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class AdapterFolder:
    """An adapter that was read back."""

    path: Path
    base: str
    """The run or folder that it is put on."""
    sha256: str
    """Of the weights of that, but for those that moved."""
    aim: Aim
    classes: tuple[str, ...]
    whole: frozenset[str]
    """The names of our weights that moved beside it."""
    tokens: Span | None
    """The numbers of new tokens."""
    bits: int | None
    config: Mapping[str, Any]
    tensors: Mapping[str, Tensor]

    @torch.no_grad()
    def fill(self, network: Network, base: Mapping[str, Tensor]) -> None:
        """Gives a network the weights of its base, with what the adapter adds to them.

        Args:
            network: With memory, and no weights yet.
            base: Those of the base.

        Raises:
            RunError: If the base is not what the adapter was trained on.
        """
        own = network.state_dict()
        if self.tokens is not None:
            base = {**base, **grow(own, base, self.tokens)}
        moved = {name.rpartition(".")[0] for name in self.whole}
        for name in sorted(own):
            if name.rpartition(".")[0] in moved:
                continue  # the adapter brings it
            given = base.get(name)
            if given is None or given.shape != own[name].shape:
                raise self._another()
            own[name].copy_(given)
        still = {n: w for n, w in network.named_parameters() if n not in self.whole}
        if fingerprint(still) != self.sha256:
            raise self._another()
        if self.bits is not None:
            quantise_dense(network, tuple(self.whole))
        names = names_for(network, self.aim, self.classes)
        merge(put_on(network, self.config, self.tensors, names, source=str(self.path)))

    def _another(self) -> RunError:
        return RunError(
            f"{self.base} is not what the adapter {self.path} was trained on; bring it back as it "
            "was, or train again"
        )


def read_adapter(path: Path) -> AdapterFolder:
    """The adapter in a folder that `write_adapter` wrote.

    Raises:
        RunError: A file of it is damaged, or of a newer luthier.
    """
    try:
        folder = read_folder(path)
        about = folder.json(ABOUT)
        if about["format"] != FORMAT:
            raise RunError(
                f"{path} has the format {about['format']}, this luthier reads {FORMAT}; update "
                "luthier"
            )
        return AdapterFolder(
            path=path,
            base=about["base"],
            sha256=about["sha256"],
            aim=about["aim"],
            classes=tuple(about["classes"]),
            whole=frozenset(about["whole"]),
            tokens=None if about["tokens"] is None else Span(*about["tokens"]),
            bits=about["bits"],
            config=folder.json(CONFIG),
            tensors=folder.tensors(WEIGHTS),
        )
    except DamagedError as error:
        raise RunError(f"{path} is damaged: {error}; train again, or bring back a copy") from None


def is_adapter(path: Path) -> bool:
    """Whether `path` is a folder with an adapter in PEFT's format."""
    return (path / CONFIG).is_file()


def read_foreign_adapter(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What anybody's adapter in PEFT's format says, and its tensors.

    Raises:
        InputError: If a file is missing or damaged, or no base is named.
    """
    try:
        config = from_json((path / CONFIG).read_bytes())
    except ValueError as error:
        raise InputError(f"{path / CONFIG}: is no JSON: {error}; bring it again") from None
    if not isinstance(config, dict) or not config.get("base_model_name_or_path"):
        raise InputError(
            f"{path / CONFIG}: names no base_model_name_or_path; write there the folder of the "
            "network that the adapter is put on"
        )
    if not (path / WEIGHTS).is_file():
        raise InputError(f"{path}: has no {WEIGHTS}; bring it (not a .bin file, which is a pickle)")
    try:
        return config, read_weights(path / WEIGHTS)
    except DamagedError as error:
        raise InputError(f"{path / WEIGHTS}: {error.reason}; bring it again") from None


def names_for(network: Network, aim: Aim, classes: tuple[str, ...]) -> Names:
    """The names of the Hugging Face family that a network is a member of; else our own."""
    if network.reads.form != "tokens" or aim not in PIPELINES:
        return OWN
    try:
        found = member(network, aim, classes)
    except InputError:
        return OWN
    return Names(found.family.matches(Row.of(network), aim), found.family.tied)
