"""What the data says of each input: what a task is built for.

A target is data: it is kept with a finished model, and tells what its outputs mean.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from luthier.data.purpose import Special
from luthier.spec import Many, Spec


class Labels(Spec):
    """One of several classes."""

    kind: Literal["labels"] = "labels"
    names: Many[str]
    """Of the classes, by number."""
    counts: Many[int] = ()
    """Training rows of each; empty where nothing is trained."""


class Tags(Spec):
    """A tag for each word."""

    kind: Literal["tags"] = "tags"
    names: Many[str]
    """Of the tags, by number, as the data writes them: `O`, `B-person`, …"""
    counts: Many[int] = ()
    """Training words of each; empty where nothing is trained."""
    scheme: Literal["BIO", "BIOES", "plain"] = "BIO"
    """How the tags of the words of an entity are written; plain: each word's tag stands alone,
    as of parts of speech."""


class Documents(Spec):
    """The text itself."""

    kind: Literal["documents"] = "documents"
    vocab: int
    """Tokens of the tokenizer."""
    specials: dict[Special, int] = Field(default_factory=dict)
    """The numbers of the special tokens that the task asked for."""
    opening: int | Literal["end", "nothing"] = "end"
    """The token that a text begins with: the one that ends the document before it, another one,
    or none, as where another's network was not trained on it."""
    ends: Many[int] = ()
    """Tokens that end a text that is written, beside the end token."""

    @property
    def begins(self) -> int | None:
        """The number of the token that a text begins with; none where there is none."""
        match self.opening:
            case "end":
                return self.specials.get("end")
            case "nothing":
                return None
            case number:
                return number


class Transcripts(Spec):
    """What is said in a sound."""

    kind: Literal["transcripts"] = "transcripts"
    vocab: int
    """Tokens of the tokenizer; the blank of CTC is one more."""


class Written(Spec):
    """A text of each input: its translation, its summary."""

    kind: Literal["written"] = "written"
    vocab: int
    """Tokens of the tokenizer."""
    context: int
    """The most tokens that are written."""
    end: int
    """The token that ends a text."""
    opening: int
    """The token that a text begins with, before the first one that is written."""
    forced: Many[int] = ()
    """The first tokens of each text, whatever the network says."""
    suppressed: Many[int] = ()
    """Tokens that are never written, whatever the network says."""
    suppressed_first: Many[int] = ()
    """Tokens that no text begins with."""
    one_tokenizer: bool = False
    """Whether the input is of the same tokens."""


class LabelsAndTags(Spec):
    """A class for each text, and a tag for each of its words."""

    kind: Literal["labels_and_tags"] = "labels_and_tags"
    labels: Labels
    tags: Tags


class Spans(Spec):
    """Which span of a context answers a question."""

    kind: Literal["spans"] = "spans"
    rules: Literal["squad", "cmrc"] = "squad"
    """How answers are compared: by words, or by characters."""
    longest: int = Field(ge=1)
    """Tokens of the longest answer that was trained on."""
    unanswerable: bool = False
    """Whether a context may have no answer."""
    threshold: float = 0.0
    """By how much no answer must be worth more than the best span to be said; chosen on the
    validation split."""


class Series(Spec):
    """What a series is in the steps that follow."""

    kind: Literal["series"] = "series"
    names: Many[str]
    """The columns that are forecast, in their order."""
    season: int = 1
    """Steps of a season; 1 for none."""


def names_of(target: Target) -> tuple[str, ...]:
    """The classes or tags of a target, by number; empty where there are none."""
    match target:
        case Labels() | Tags():
            return target.names
        case LabelsAndTags():
            return target.labels.names
        case Documents() | Spans() | Transcripts() | Written() | Series():
            return ()


Target = Annotated[
    Labels | Tags | Documents | LabelsAndTags | Spans | Transcripts | Written | Series,
    Field(discriminator="kind"),
]
"""Everything that a task can be built for."""
