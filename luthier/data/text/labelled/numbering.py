"""Labels and tags as numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from luthier.data.collection import Rows, Split
from luthier.data.faults import Faults
from luthier.data.readers.naming import sorted_names, unknown_class
from luthier.data.text.labelled.found import Tagging, TextRow
from luthier.data.text.labelled.tagging import in_order
from luthier.data.text.rows.ragged import Ragged
from luthier.errors import nearest
from luthier.spec import Auto

Parts = Mapping[Split, Sequence[TextRow]]


@dataclass(frozen=True)
class Numbering:
    """The names of labels and tags, by number."""

    classes: tuple[str, ...]
    """Empty where labels are not asked for."""
    tags: tuple[str, ...]
    """Empty where tags are not asked for."""
    aliases: Mapping[str, str]
    """Labels that are written as the numbers of their classes."""

    @classmethod
    def of(
        cls, parts: Parts, classes: tuple[str, ...] | Auto | None, tagging: Tagging | None
    ) -> Self:
        """What occurs in any split, in order; or what is given.

        Args:
            parts: The rows of each split.
            classes: Of the labels, by number; auto takes those that occur; none where labels are
                not asked for.
            tagging: What is known of the tags; none where they are not asked for.
        """
        rows = [row for part in parts.values() for row in part]
        labels = {row.label for row in rows if row.label is not None}
        aliases: Mapping[str, str] = {}
        if classes is None:
            classes = ()
        elif classes == "auto":
            classes = sorted_names(labels)
        elif labels.isdisjoint(classes) and labels <= set(map(str, range(len(classes)))):
            aliases = dict(zip(map(str, range(len(classes))), classes, strict=True))
        tags: tuple[str, ...] = ()
        if tagging is not None:
            found = {tag for row in rows for tag in row.tags or ()}
            tags = tagging.names or in_order(found, tagging.scheme)
        return cls(classes, tags, aliases)

    def usable(self, parts: Parts, faults: Faults) -> Parts:
        """The rows whose label and tags have a number; the others become faults."""
        return {
            split: [row for row in part if not self._fault(row, faults)]
            for split, part in parts.items()
        }

    def labels(self, rows: Sequence[TextRow]) -> Rows:
        """`(N,)` class numbers; -1 where labels are not asked for."""
        number = {name: position for position, name in enumerate(self.classes)}
        names = (row.label or "" for row in rows)
        found = [number[self.aliases.get(name, name)] if number else -1 for name in names]
        return np.array(found, dtype=np.int64)

    def tags_of(self, rows: Sequence[TextRow]) -> Ragged:
        """The numbers of the tags of each row."""
        number = {name: position for position, name in enumerate(self.tags)}
        return Ragged.of([number[tag] for tag in row.tags or ()] for row in rows)

    def strata(self, rows: Sequence[TextRow]) -> Rows:
        """`(N,)`: a number for the label of each; where there are none, the rarest of its tags.

        The same whatever of it is asked for: so tasks that learn different things of the same
        texts are measured on the same ones.
        """
        if all(row.label is not None for row in rows):
            return np.unique([str(row.label) for row in rows], return_inverse=True)[1]
        tags = self.tags_of(rows)
        counts = np.bincount(tags.values, minlength=len(self.tags))
        rarest = [min(tags[row], key=counts.__getitem__, default=-1) for row in range(len(rows))]
        return np.array(rarest, dtype=np.int64)

    def _fault(self, row: TextRow, faults: Faults) -> bool:
        if self.classes:
            label = row.label or ""
            if self.aliases.get(label, label) not in self.classes:
                faults.add(row.name, unknown_class(label, self.classes))
                return True
        other = next((tag for tag in row.tags or () if tag not in self.tags), None)
        if other is not None:
            faults.add(
                row.name,
                f'has the tag "{other}", which is not in data.tags{nearest(other, self.tags)}',
            )
        return other is not None
