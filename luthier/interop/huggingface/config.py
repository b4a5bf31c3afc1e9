"""A config.json, asked setting by setting: each answer is of the kind that was asked for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from luthier.errors import InputError, nearest
from luthier.wording import shown

WRAPPED = (
    "what luthier has no family for, the transformers extra runs, as a start with "
    "model: {layers: [{kind: transformers}]}"
)
"""The way out."""
_ELSE = f"; {WRAPPED}"
Choice = TypeVar("Choice")


@dataclass(frozen=True)
class Config:
    """The settings of a network, as Hugging Face names them.

    Each question is asked with what the family means where the file says nothing; none makes
    silence an error. A null counts as silence.

    Args:
        values: What the file says.
        source: The file, for messages.
    """

    values: Mapping[str, Any]
    source: str

    def whole(self, name: str, default: int | None = None) -> int:
        """A whole number above 0.

        Raises:
            InputError: If it is anything else.
        """
        found = self._found(name, default)
        if isinstance(found, bool) or not isinstance(found, int) or found < 1:
            raise self.wrong(name, found, "a whole number above 0")
        return found

    def whole_or_none(self, name: str, default: int | None = None) -> int | None:
        """A whole number above 0, or null, which says that there is none.

        Raises:
            InputError: If it is anything else.
        """
        if name not in self.values:
            return default
        return None if self.values[name] is None else self.whole(name)

    def number(self, name: str, default: float | None = None) -> float:
        """A number of at least 0.

        Raises:
            InputError: If it is anything else.
        """
        found = self._found(name, default)
        if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found < 1e30:
            raise self.wrong(name, found, "a number of at least 0")
        return float(found)

    def numbers(self, name: str) -> list[float]:
        """A list of numbers above 0.

        Raises:
            InputError: If it is anything else.
        """
        found = self.values.get(name)
        if not isinstance(found, list) or not all(
            isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e6
            for value in found
        ):
            raise self.wrong(name, found, "a list of numbers above 0")
        return [float(value) for value in found]

    def flag(self, name: str, default: bool | None = None) -> bool:
        """True or false.

        Raises:
            InputError: If it is anything else.
        """
        found = self._found(name, default)
        if not isinstance(found, bool):
            raise self.wrong(name, found, "true or false")
        return found

    def choice(
        self, name: str, choices: Mapping[str, Choice], default: str | None = None
    ) -> Choice:
        """What one of some words stands for.

        Raises:
            InputError: If it is no such word.
        """
        found = self._found(name, default)
        if not isinstance(found, str) or found not in choices:
            hint = nearest(str(found), choices)
            raise InputError(f"{self.source}: {name}: got {shown(found)}{hint}{_ELSE}")
        return choices[found]

    def inner(self, name: str) -> Config | None:
        """The settings inside a setting; none where there are none.

        Raises:
            InputError: If it is anything else.
        """
        found = self.values.get(name)
        if found is None:
            return None
        if not isinstance(found, dict):
            raise self.wrong(name, found, "settings")
        return Config(found, f"{self.source}: {name}")

    def words(self, name: str) -> list[str] | None:
        """A list of words; none where there is none.

        Raises:
            InputError: If it is anything else.
        """
        found = self.values.get(name)
        if found is None:
            return None
        if not isinstance(found, list) or not all(isinstance(word, str) for word in found):
            raise self.wrong(name, found, "a list of words")
        return found

    def has(self, name: str) -> bool:
        """Whether the file says anything of it."""
        return self.values.get(name) is not None

    def must_be(self, name: str, allowed: Collection[Any], why: str) -> None:
        """Refuses a setting that luthier's network cannot follow.

        Args:
            name: The setting; where the file says nothing, it is as wanted.
            allowed: Values that the network does follow.
            why: What it would be: `scores that are scaled by the layer's number`.

        Raises:
            InputError: If it is another one.
        """
        found = self.values.get(name)
        if found is not None and found not in allowed:
            wanted = " or ".join(shown(value) for value in allowed)
            raise InputError(
                f"{self.source}: {name}: got {shown(found)}, {why}; wanted {wanted}{_ELSE}"
            )

    def wrong(self, name: str, got: Any, wanted: str) -> InputError:
        """The error for a value of the wrong kind."""
        return InputError(f"{self.source}: {name}: got {shown(got)}, wanted {wanted}")

    def _found(self, name: str, default: Any) -> Any:
        found = self.values.get(name)
        return default if found is None else found
