"""Columns of tokens and tags: a word a line, an empty line between texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from luthier.data.faults import Faults
from luthier.data.readers.lines import read_lines
from luthier.data.readers.stored import Stored
from luthier.data.text.labelled.found import problem_with

DOCUMENT_START = "-DOCSTART-"
NEARLY = 0.99
"""The share of tokens that must end with their position."""
COMMENTED = ".conllu"
"""Files of this kind have comments: lines that begin with #."""


class Sentence(NamedTuple):
    """The words of one text, and the tag of each."""

    name: str
    """Where it begins: `dev.conll line 3`."""
    words: Sequence[str]
    tags: Sequence[str]


def read_sentences(
    file: Stored, token_column: int, tag_column: int, faults: Faults
) -> Iterator[Sentence]:
    """The texts of a file.

    Columns are divided by tabs where the line has one, else by white space. A text with a line
    at fault is left out as a whole. Lines `-DOCSTART-`, and comments in .conllu files, are no
    words.

    Args:
        file: Where it lies.
        token_column: Of the word; negative counts from the last.
        tag_column: Of its tag.
        faults: Takes up texts that cannot be used.

    Raises:
        DataError: If the file cannot be read at all.
    """
    words: list[str] = []
    tags: list[str] = []
    begun, problem = 0, ""
    commented = file.path.suffix.lower() == COMMENTED
    for number, text, wrong in read_lines(file):
        if commented and text.startswith("#"):
            continue
        if wrong or text.strip():
            begun = begun or number
            word, tag = "", ""
            if not wrong:
                word, tag, wrong = _columns(text, token_column, tag_column)
            if wrong:
                problem = problem or f"line {number} {wrong}"
            elif word:
                words.append(word)
                tags.append(tag)
            continue
        yield from _ended(file, begun, words, tags, problem, faults)
        words, tags, begun, problem = [], [], 0, ""
    yield from _ended(file, begun, words, tags, problem, faults)


def without_positions(sentences: Sequence[Sentence]) -> list[Sentence] | None:
    """Texts of characters without the position in its word that follows each.

    Returns:
        None if it does not follow nearly every one; a slip of the pen is forgiven.

    Example:
        >>> read = without_positions([Sentence("", ["科0", "学1", "好0"], ["O"] * 3)])
        >>> [sentence.words for sentence in read]
        [['科', '学', '好']]
        >>> read = without_positions([Sentence("", ["Room", "101"], ["O"] * 2)])
        >>> read is None
        True
    """
    found = []
    total = right = 0
    for sentence in sentences:
        words, position = [], -1
        for word in sentence.words:
            expected = next((end for end in (str(position + 1), "0") if word.endswith(end)), "")
            ending = expected or (word[-1] if word[-1].isdecimal() else "")
            total += 1
            if ending and word != ending:
                right += bool(expected)
                position = int(ending)
                word = word[: -len(ending)]
            words.append(word)
        found.append(sentence._replace(words=words))
    return found if right >= NEARLY * total else None


def _columns(text: str, token_column: int, tag_column: int) -> tuple[str, str, str | None]:
    """The word and the tag of a line, and what is wrong with it; no word where it holds none."""
    columns = text.split("\t") if "\t" in text else text.split()
    if columns[0] == DOCUMENT_START:
        return "", "", None
    least = max(2, *(-n if n < 0 else n + 1 for n in (token_column, tag_column)))
    if len(columns) < least:
        count = f"{len(columns)} column{'s' if len(columns) != 1 else ''}"
        return "", "", f"has {count}, too few for a token and a tag"
    word, tag = columns[token_column].strip(), columns[tag_column].strip()
    if not tag:
        return "", "", "has no tag"
    problem = problem_with(word)
    return word, tag, f"has a token that {problem}" if problem else None


def _ended(
    file: Stored,
    begun: int,
    words: Sequence[str],
    tags: Sequence[str],
    problem: str,
    faults: Faults,
) -> Iterator[Sentence]:
    name = f"{file.name} line {begun}"
    if problem:
        faults.add(name, f"{problem}; the whole text is left out")
    elif words:
        yield Sentence(name, words, tags)
