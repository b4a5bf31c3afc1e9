"""Transformers: the layers of any network of that library, as one block.

Dimension key, for the whole file:
    B  rows      T  positions      N  documents      L  positions of the longest      D  width
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, Literal

import torch
from torch import Tensor, nn

from luthier.errors import ShapeError, missing_extra
from luthier.model.block import BlockSpec
from luthier.model.stream import Stream, Streamed
from luthier.signal import Signal
from luthier.spec import Auto

POOLER = {"add_pooling_layer": False}
"""What is behind the vectors of the tokens in some networks, and belongs to a head."""
_CODE = ("auto_map", "quantization_config", "torch_dtype", "dtype", "transformers_version")
"""Settings that are no part of the network: code is not run, and luthier sets the type."""


class TransformersSpec(BlockSpec):
    """The layers of a network of the transformers library, which read tokens.

    For what luthier has no blocks for; with `start` naming the folder of its weights. Needs the
    transformers extra.
    """

    kind: Literal["transformers"] = "transformers"
    config: dict[str, Any] | Auto = "auto"
    """What its config.json says; auto takes that of the folder which the recipe's start names."""

    def build(self, signal: Signal) -> Transformers:
        """A `Transformers` for `signal`."""
        if signal.form != "tokens":
            raise ShapeError(f"transformers reads tokens, but gets {signal}; let it be the first")
        if self.config == "auto":
            raise ShapeError(
                "transformers wraps the network that start names, and there is no start; give "
                "start: FOLDER, or a config"
            )
        return Transformers(self.config, signal)


class Transformers(Streamed):
    """A network of the transformers library, without its head: a vector for each token.

    Each document is read by itself, from its first position on, with a mask over the padding.

    Args:
        config: Its config.json.
        signal: Tokens `(T,)`.

    Shape:
        `(B, T)` whole numbers to `(B, T, D)`.

    Cost:
        As the network; it is made once on the CPU, whatever the device, for the tensors that are
        no weights.

    Raises:
        InputError: If transformers is not installed.
        ShapeError: If it has no such network, or not one that gives a vector for each token; if it
            has learned fewer tokens or positions than it gets.
    """

    def __init__(self, config: Mapping[str, Any], signal: Signal) -> None:
        super().__init__()
        made = _made(config)
        _must_fit(made.config, signal)
        self.network: nn.Module = made
        self.tie: Callable[[], None] = made.tie_weights
        self.typed = "token_type_ids" in inspect.signature(made.forward).parameters
        # What no file of weights holds: angles, counts of positions. In a dictionary, a module's
        # tensors are not moved, cast or emptied with it.
        state = made.state_dict().keys()
        self._fixed = {
            name: tensor.clone() for name, tensor in made.named_buffers() if name not in state
        }
        self.config = dict(config)
        self.network.to("meta")

    def begin(self, generator: torch.Generator) -> None:
        """Gives its weights the first values that the library draws.

        Args:
            generator: Says which.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))
            fresh = _made(self.config).state_dict()
        with torch.no_grad():
            for name, tensor in self.network.state_dict().items():
                tensor.copy_(fresh[name])

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Transformers:
        """Where its tensors are moved, cast or emptied, those that are no weights stay right."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, fixed in self._fixed.items():
            owner, _, own = name.rpartition(".")
            module = self.network.get_submodule(owner)
            now: Tensor = getattr(module, own)
            setattr(module, own, fixed.to(device=now.device, dtype=now.dtype))
        self.tie()
        return self

    def forward(self, x_BT: Tensor, stream: Stream | None = None) -> Tensor:
        """A vector for each token."""
        if stream is not None and stream.state is not None:
            raise ShapeError(
                "transformers cannot read a text step by step; read it whole, or take a network "
                "of luthier's own layers"
            )
        types_BT = None if stream is None else stream.types_BT
        layout = None if stream is None else stream.layout
        if layout is None:
            return self._read(x_BT, None, types_BT)
        x_NL = layout.documents_apart(x_BT[..., None])[..., 0]
        types_NL = None if types_BT is None else layout.documents_apart(types_BT[..., None])[..., 0]
        return layout.together(self._read(x_NL, layout.present_NL.long(), types_NL))

    def _read(self, x_NL: Tensor, present_NL: Tensor | None, types_NL: Tensor | None) -> Tensor:
        more = {"token_type_ids": types_NL} if self.typed and types_NL is not None else {}
        output = self.network(input_ids=x_NL, attention_mask=present_NL, **more)
        if "last_hidden_state" not in output:
            raise ShapeError("transformers gives no vector for each token; take another network")
        y_NLD: Tensor = output.last_hidden_state
        return y_NLD


def _library() -> ModuleType:
    """The transformers library.

    Raises:
        InputError: If it is not installed.
    """
    try:
        import transformers
    except ImportError:
        raise missing_extra("transformers", "transformers") from None
    library: ModuleType = transformers
    return library


def _made(config: Mapping[str, Any]) -> Any:
    """The network of a config, with weights that the library draws, on the CPU.

    Raises:
        ShapeError: If the library has no such network, or it is of another make.
    """
    library = _library()
    plain = {name: value for name, value in config.items() if name not in _CODE}
    kind = plain.pop("model_type", None)
    try:
        about = library.AutoConfig.for_model(kind, **plain)
        if about.is_encoder_decoder:
            raise ShapeError(
                f"transformers: a {kind} reads one text and writes another; wanted a network that "
                "gives a vector for each token of one"
            )
        with torch.device("cpu"):
            try:
                return library.AutoModel.from_config(about, **POOLER)
            except TypeError:  # one that knows no pooler
                return library.AutoModel.from_config(about)
    except ValueError as error:
        reason = str(error).strip().splitlines()[0]
        raise ShapeError(f"transformers: has no network for this config: {reason}") from None


def _must_fit(about: Any, signal: Signal) -> None:
    """Refuses tokens and positions that the network has not learned.

    Raises:
        ShapeError: In words.
    """
    if signal.vocab > about.vocab_size:
        raise ShapeError(
            f"transformers has vectors for {about.vocab_size:,} tokens, but gets {signal.vocab:,}; "
            "take the tokenizer that belongs to it"
        )
    most = getattr(about, "max_position_embeddings", None)
    if isinstance(most, int) and 0 < most < signal.shape[0]:
        raise ShapeError(
            f"transformers has {most} positions, but gets {signal}; set data.context to {most} or "
            "less"
        )
