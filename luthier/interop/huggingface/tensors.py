"""From the tensors of a folder to those of a network, and back: each is used exactly once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from luthier.errors import InputError, nearest
from luthier.interop.huggingface.correspondence import Match
from luthier.interop.huggingface.family import Family
from luthier.model.blueprint import Network

_FEW = 3


@torch.no_grad()
def fill(
    network: Network,
    given: Mapping[str, Tensor],
    matches: Sequence[Match],
    family: Family,
    source: str,
) -> None:
    """Copies the tensors of a folder into a network that has its memory.

    Args:
        network: Ours; keeps its own type of numbers.
        given: The tensors of the folder, by the names in its files.
        matches: Whose is whose.
        family: For the names that are no weights, or are old.
        source: The folder, for messages.

    Raises:
        InputError: If a tensor is missing, unknown, of another shape or not finite.
    """
    own = network.state_dict()
    _all_used_once(own, matches)
    named = _named(given, matches, family)
    must_be_all(named, matches, family, source)
    for match in matches:
        if match.theirs not in named:  # nothing of ours is in it
            continue
        theirs = named[match.theirs]
        ours = [own[name] for name in match.ours]
        wanted = match.way.to_theirs([tensor.to("meta") for tensor in ours]).shape
        if theirs.shape != wanted:
            raise InputError(
                f"{source}: {match.theirs} is {tuple(theirs.shape)}, but config.json describes "
                f"{tuple(wanted)}; these files do not belong together: bring all of them again"
            )
        must_be_finite(theirs, match.theirs, source)
        whole = theirs.to(ours[0].dtype) if ours else theirs
        parts = match.way.to_ours(whole, [tensor.shape for tensor in ours])
        for tensor, part in zip(ours, parts, strict=True):
            tensor.copy_(part)


def must_be_finite(tensor: Tensor, name: str, source: str) -> None:
    """Refuses weights that are no numbers: all that a network says would be none either.

    Raises:
        InputError: If one is infinite or none.
    """
    bad = int((~torch.isfinite(tensor)).sum())
    if bad:
        raise InputError(
            f"{source}: {bad:,} of the {tensor.numel():,} values of {name} are no finite numbers; "
            "the file was changed on its way, or its training has diverged: bring it again"
        )


@torch.no_grad()
def foreign(network: Network, matches: Sequence[Match]) -> dict[str, Tensor]:
    """The tensors of a network as a folder holds them.

    Args:
        network: Ours.
        matches: Whose is whose.
    """
    own = network.state_dict()
    _all_used_once(own, matches)
    found: dict[str, Tensor] = {}
    for match in matches:
        tensor = match.way.to_theirs([own[name] for name in match.ours])
        found |= dict.fromkeys((match.theirs, *match.also), tensor)
    return found


def _all_used_once(own: Mapping[str, Tensor], matches: Sequence[Match]) -> None:
    used = Counter(name for match in matches for name in match.ours)
    theirs = Counter(match.theirs for match in matches)
    assert set(used) == set(own), f"matched and not: {sorted(set(used) ^ set(own))[:5]}"
    assert max((*used.values(), *theirs.values()), default=1) == 1, "a tensor is matched twice"


def _named(
    given: Mapping[str, Tensor], matches: Sequence[Match], family: Family
) -> dict[str, Tensor]:
    """The tensors by the names that the matches have, without those that are no weights."""
    wanted = {match.theirs for match in matches}
    again = {copy: match.theirs for match in matches for copy in match.also}
    bare = not any(name.startswith(family.prefix) for name in given)
    found = {}
    for name, tensor in given.items():
        for old, new in family.renamed:
            name = re.sub(old, new, name)
        if bare and family.prefix + name in wanted:
            name = family.prefix + name
        is_copy = name in again or family.tied.get(name) in wanted
        unused = any(re.search(pattern, name) for pattern in family.unused)
        if name in wanted or is_copy or not unused:
            found[name] = tensor
    for copy, original in again.items():
        if copy in found:
            found.setdefault(original, found.pop(copy))
    return found


def must_be_all(
    named: dict[str, Tensor], matches: Sequence[Match], family: Family, source: str
) -> None:
    """Refuses tensors that are too few or too many; takes out copies of those that are tied.

    Raises:
        InputError: Naming some of them.
    """
    wanted = {match.theirs for match in matches}
    for copy, original in family.tied.items():
        if copy in named and copy not in wanted and original in named:
            if not torch.equal(named[copy], named[original]):
                raise InputError(
                    f"{source}: config.json says that {copy} is {original} "
                    "(tie_word_embeddings), but the file holds another one; set "
                    "tie_word_embeddings to false to use it"
                )
            del named[copy]
    needed = {match.theirs for match in matches if match.ours}
    missing, unknown = sorted(needed - named.keys()), sorted(named.keys() - wanted)
    if not missing and not unknown:
        return
    hint = nearest(missing[0], unknown) if missing and unknown else ""
    raise InputError(
        f"{source}: its weights are not those of the {family.name} that config.json describes: "
        f"missing {_listed(missing)}, not known {_listed(unknown)}{hint}"
    )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _FEW} more" if len(names) > _FEW else ""
    return (", ".join(names[:_FEW]) or "nothing") + more
