"""The adapter of a run: on what it is put, and what moves then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from luthier.adapters import AdapterSpec
from luthier.adapters.attach import attach, exact
from luthier.adapters.fingerprint import fingerprint
from luthier.adapters.freeze import FreezeSpec, rates, thawing
from luthier.adapters.lora import LoraSpec
from luthier.adapters.moving import Moves, moves
from luthier.adapters.new_rows import Span
from luthier.adapters.targets import short_targets, targets
from luthier.errors import InputError, Problem, SpecError
from luthier.model.blueprint import Network
from luthier.recipe import Recipe
from luthier.resolve import Resolved
from luthier.run.directory import RunDirectory
from luthier.run.start import Start
from luthier.spec import Decision
from luthier.training.groups import Rates
from luthier.training.thaw import Thaw


@dataclass(frozen=True, kw_only=True)
class Adapting:
    """What an adapter made of the network of a run."""

    moves: Moves
    still: frozenset[str]
    """The names of the weights that never move."""
    whole: frozenset[str]
    """The names of those that move, and are no adapter's."""
    roundable: frozenset[str]
    """The names of weights that never move, and of which a product's precision is enough."""
    base: str
    """The SHA-256 of what does not, as the start has it."""
    rates: Rates
    """What the learning rate of each weight is multiplied by."""
    thawing: Sequence[Sequence[nn.Parameter]]
    """The weights of the layers that stay at first only, in the order in which they are freed."""
    spec: AdapterSpec
    tokens: Span | None
    """The numbers of the recipe's new tokens."""

    def thaw(self, network: nn.Module, steps_per_epoch: int) -> Thaw | None:
        """What frees them; none where nothing does."""
        if not isinstance(self.spec, FreezeSpec) or not self.spec.thaws:
            return None
        steps = self.spec.thaw_every_steps
        if steps is None:
            assert self.spec.thaw_every_epochs is not None
            steps = max(1, round(self.spec.thaw_every_epochs * steps_per_epoch))
        return Thaw(network, self.thawing, steps)

    def to_json(self) -> dict[str, Any]:
        """As the facts of a run hold it."""
        return {**self.moves.to_json(), "base": self.base}

    def must_be_same(self, directory: RunDirectory) -> None:
        """Refuses another base than the one that the run began with: its checkpoints hold what
        moves alone.

        Raises:
            InputError: If a weight differs.
        """
        if self.base != directory.read_facts()["adapter"]["base"]:
            raise InputError(
                f"the weights under the adapter are not those that {directory.path} began with; "
                "bring its start back as it was, or train another run"
            )


def with_adapter(network: Network, recipe: Recipe, start: Start | None) -> Moves:
    """Puts a recipe's adapter on its network, and says what moves then.

    Raises:
        InputError: If the adapter does not suit the network.
    """
    assert recipe.adapter is not None
    new = _new(recipe, start)
    tokens = None if start is None else start.tokens(recipe)
    attach(network, recipe.adapter, new=new, tokens=tokens, seed=recipe.training.seed)
    return moves(network)


def adapting(
    network: Network, resolved: Resolved, start: Start | None
) -> tuple[Resolved, Adapting | None]:
    """Puts the recipe's adapter on the network, if it has one.

    Args:
        network: With its first weights, not placed yet.
        resolved: The recipe.
        start: What gave the weights; none where Python code gave the network.

    Returns:
        The recipe with the adapter's targets settled too, and what the adapter made.

    Raises:
        InputError: If the adapter does not suit the network.
    """
    recipe, spec = resolved.recipe, resolved.recipe.adapter
    if spec is None:
        return resolved, None
    new = _new(recipe, start)
    if isinstance(spec, LoraSpec) and spec.targets == "auto":
        found = short_targets(network, targets(network, spec, new))
        reason = "each layer of which two thin matrices are smaller than its weights"
        resolved = resolved.with_decision(
            Decision(place="adapter.targets", value=found, reason=reason)
        )
        spec = spec.model_copy(update={"targets": tuple(found)})
    before = dict(network.named_parameters())
    tokens = None if start is None else start.tokens(recipe)
    attach(network, spec, new=new, tokens=tokens, seed=recipe.training.seed)
    still = {name for name, weight in network.named_parameters() if not weight.requires_grad}
    moving = network.state_dict().keys() - still
    held = spec if isinstance(spec, FreezeSpec) else None
    made = Adapting(
        spec=spec,
        tokens=tokens,
        moves=moves(network),
        still=frozenset(still),
        roundable=frozenset(still - exact(network)),
        whole=frozenset(name for name in before if name in moving),
        base=fingerprint({name: w for name, w in before.items() if name not in moving}),
        rates=rates(network, held, new) if held else {},
        thawing=thawing(network, held, new) if held and held.thaws else (),
    )
    return resolved, made


def _new(recipe: Recipe, start: Start | None) -> tuple[str, ...]:
    """What the names of weights begin with that were not trained before.

    Raises:
        SpecError: If no weights were.
    """
    spec = recipe.adapter
    if start is None and recipe.model is not None:
        message = (
            "is put on weights that were trained before, but the recipe has no start; give start, "
            "or leave adapter out"
        )
        raise SpecError([Problem(place="adapter", message=message)])
    if start is None and isinstance(spec, LoraSpec) and spec.keep == "adapter":
        message = (
            "got adapter, but Python code gave the network, which no run could find; wanted model"
        )
        raise SpecError([Problem(place="adapter.keep", message=message)])
    return () if start is None else start.new(recipe)
