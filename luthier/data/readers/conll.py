"""Texts whose words have tags: CoNLL columns, or JSON lines and Parquet with lists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from luthier.data.collection import Split
from luthier.data.faults import Faults
from luthier.data.finding import Finding, counted
from luthier.data.readers.naming import check_names
from luthier.data.readers.rows import read_rows
from luthier.data.readers.sentences import Sentence, read_sentences, without_positions
from luthier.data.readers.splits import SplitFiles, locate, only_one
from luthier.data.readers.stored import Stored
from luthier.data.text.labelled.found import (
    CutOff,
    FoundTexts,
    Tagging,
    TextRow,
    problem_with,
    sole_part,
)
from luthier.data.text.labelled.tagging import Written, broken, brought, scheme_of, written_in
from luthier.data.text.labelled.texts import TextsSpec
from luthier.data.text.labelled.words import Division, division_of
from luthier.errors import DataError, nearest
from luthier.spec import Auto, Decision, Many

SUFFIXES = (".conll", ".conllu", ".iob", ".bio", ".jsonl", ".parquet")
LISTS = (".jsonl", ".ndjson", ".json", ".parquet")
FILES = 20


class ConllSpec(TextsSpec):
    """Texts whose words have tags: a token and its tag a line, an empty line between texts; or
    JSON lines (Parquet) with lists `tokens` and `ner_tags`."""

    kind: Literal["conll"] = "conll"

    path: str | None = None
    """The file; or a folder or an archive with files whose names say train, val (dev) or test."""
    files: SplitFiles | None = None
    """Instead of a path: the file of each split."""
    token_column: int | str = Field(default=0, union_mode="left_to_right")
    """The column of the token, from 0; or its name in JSON lines, where 0 means `tokens`."""
    tag_column: int | str = Field(default=-1, union_mode="left_to_right")
    """The column of the tag, from 0, or from -1 for the last; or its name in JSON lines, where -1
    means `ner_tags` or `tags`."""
    positions: bool | Auto = "auto"
    """Whether a character's position in its word follows it, as in Weibo's `那0`; it is no part
    of the text."""
    scheme: Written | Auto = "auto"
    """How tags are written. IOB1 is brought to BIO, BILOU and BMES to BIOES; plain tags, as of
    parts of speech, stand each alone."""
    tags: Many[str] | Auto = "auto"
    """The names of the tags, in the order of their numbers."""
    words: Division | Auto = "auto"
    """What divides new texts into words, as these were: spaces, ends (signs at a word's ends are
    words), signs (each sign is a word), characters."""
    first: bool | Auto = "auto"
    """Whether a token that stands for the whole text goes before it, and a separator behind it;
    auto: as the start of the run had it, else if the task asks."""
    cut: CutOff = "end"
    """What is cut off of a text that is longer than the context."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        only_one(self.path, self.files)
        check_names(self.tags, "tags")
        return self

    def collect(self, faults: Faults) -> FoundTexts:
        """Every text of the files."""
        what = "a file with a token and its tag a line, or a folder with one for each split"
        located = locate(self.path, self.files, what, SUFFIXES, faults)
        parts: dict[Split, list[Sentence]] = {}
        for split, files in located.parts.items():
            for file in files:
                parts.setdefault(split, []).extend(self._sentences(file, faults))
        every = [sentence for part in parts.values() for sentence in part]
        if not every:
            faults.settle()  # if all were at fault, their faults tell more
            raise DataError(f"{located.told}: holds no words with tags")
        read, decisions = self._as_written(parts, every)
        findings = [] if read.written == "plain" else list(_broken(read))
        return FoundTexts(
            recognised=f"tagged words {located.told}",
            parts=sole_part({split: _rows(part, read) for split, part in read.parts.items()}),
            tagging=Tagging(
                scheme=scheme_of(read.written),
                division=read.division,
                names=None if self.tags == "auto" else self.tags,
            ),
            decisions=(*located.decisions, *decisions),
            findings=tuple(findings),
        )

    def _sentences(self, file: Stored, faults: Faults) -> Iterator[Sentence]:
        if file.path.suffix.lower() in LISTS:
            return self._lists(file, faults)
        for setting in ("token_column", "tag_column"):
            column = getattr(self, setting)
            if isinstance(column, str):
                raise DataError(
                    f'{file.where}: columns have no names; got "{column}" for data.{setting}, '
                    "wanted a number"
                )
        return read_sentences(file, int(self.token_column), int(self.tag_column), faults)

    def _lists(self, file: Stored, faults: Faults) -> Iterator[Sentence]:
        names: tuple[str, str] | None = None
        for place, values in read_rows(file, faults):
            names = names or self._list_names(file, values)
            words, tags = values.get(names[0]), values.get(names[1])
            if not isinstance(words, list) or not isinstance(tags, list):
                faults.add(place, f'has no lists "{names[0]}" and "{names[1]}"')
            elif len(words) != len(tags):
                faults.add(place, f"has {len(words)} words, but {len(tags)} tags")
            elif problem := next((p for p in map(problem_with, words) if p), None):
                faults.add(place, f"has a word that {problem}")
            elif words:
                yield Sentence(place, words, [self._tag(tag) for tag in tags])

    def _list_names(self, file: Stored, values: Mapping[str, Any]) -> tuple[str, str]:
        tokens = "tokens" if self.token_column == 0 else str(self.token_column)
        usual = "ner_tags" if "ner_tags" in values else "tags"
        tags = usual if self.tag_column == -1 else str(self.tag_column)
        for setting, name in (("token_column", tokens), ("tag_column", tags)):
            if name not in values:
                raise DataError(
                    f'{file.where}: has no "{name}" (data.{setting})'
                    f"{nearest(name, [str(key) for key in values])}"
                )
        return tokens, tags

    def _tag(self, tag: Any) -> str:
        """A tag as it is written; a number is one of the names, where they are given."""
        if isinstance(tag, int) and self.tags != "auto" and 0 <= tag < len(self.tags):
            return self.tags[tag]
        return str(tag)

    def _as_written(
        self, parts: Mapping[Split, list[Sentence]], every: Sequence[Sentence]
    ) -> tuple[_Read, list[Decision]]:
        """What was left to the reader: positions, scheme, words."""
        decisions = []
        stripped = None if self.positions is False else without_positions(every)
        if self.positions is True and stripped is None:
            raise DataError(
                "data.positions: got true, but the tokens do not end with their position in a word"
            )
        if self.positions == "auto":
            positions = stripped is not None
            reason = f"tokens {'end' if positions else 'do not end'} with their position in a word"
            decisions.append(Decision(place="data.positions", value=positions, reason=reason))
        if stripped is not None:
            given = iter(stripped)
            parts = {split: [next(given) for _ in part] for split, part in parts.items()}
            every = stripped
        written = self.scheme
        if written == "auto":
            written = written_in(sentence.tags for sentence in every)
            decisions.append(
                Decision(place="data.scheme", value=written, reason=_reason(every, written))
            )
        division, why = self.words, ""
        if division == "auto":
            train = parts.get("train", every)
            division, why = division_of(word for sentence in train for word in sentence.words)
            decisions.append(Decision(place="data.words", value=division, reason=why))
        return _Read(parts, written, division), decisions


@dataclass(frozen=True)
class _Read:
    parts: Mapping[Split, Sequence[Sentence]]
    written: Written
    division: Division


def _rows(part: Sequence[Sentence], read: _Read) -> list[TextRow]:
    between = "" if read.division == "characters" else " "
    return [
        TextRow(
            sentence.name,
            between.join(sentence.words),
            words=sentence.words,
            tags=brought(sentence.tags, read.written),
        )
        for sentence in part
    ]


def _reason(every: Sequence[Sentence], written: Written) -> str:
    counts = Counter(tag for sentence in every for tag in sentence.tags)
    common = ", ".join(tag for tag, _ in counts.most_common(4))
    made = {"IOB1": "; brought to BIO", "BILOU": "; brought to BIOES", "BMES": "; brought to BIOES"}
    return f"as the tags {common} and others are written{made.get(written, '')}"


def _broken(read: _Read) -> Iterator[Finding]:
    """Tags that cannot follow each other, by split."""
    scheme = scheme_of(read.written)
    for split, part in read.parts.items():
        places = []
        count = 0
        for sentence in part:
            found = broken(brought(sentence.tags, read.written), scheme)
            if found:
                count += found
                places.append(sentence.name)
        if count:
            yield Finding(
                severity="warning",
                message=f"{counted(count, 'tag')} in {counted(len(places), f'{split} text')} "
                f"cannot follow the one before ({scheme}: I after O or after another type); each "
                "is taken as it is, and counts as the beginning of an entity",
                files=tuple(places[:FILES]),
            )
