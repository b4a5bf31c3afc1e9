"""LLaMA-Factory's `dataset_info.json`: where data sets lie, and what their columns hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luthier.data.chat.row_columns import Tags
from luthier.data.readers.place import existing
from luthier.data.readers.rows import read_json
from luthier.data.readers.stored import Stored
from luthier.errors import DataError, nearest

FILE_NAME = "dataset_info.json"
_COLUMNS: Mapping[str, str] = {
    "prompt": "instruction",
    "query": "input",
    "response": "output",
    "history": "history",
    "messages": "conversations",
    "system": "system",
    "tools": "tools",
    "chosen": "chosen",
    "rejected": "rejected",
    "kto_tag": "label",
}
"""What it calls a column → what we do."""
_USUAL: Mapping[str, str] = {
    "prompt": "instruction",
    "query": "input",
    "response": "output",
    "messages": "conversations",
}
"""The columns that it takes where none is named."""
_ROLES: Mapping[str, str] = {
    "user_tag": "user",
    "assistant_tag": "assistant",
    "observation_tag": "tool",
    "function_tag": "function_call",
    "system_tag": "system",
}
_KEYS = (
    "file_name", "formatting", "ranking", "columns", "tags", "split", "num_samples", "subset",
    "folder", "hf_hub_url", "ms_hub_url", "om_hub_url", "script_url", "cloud_file_name",
    "load_from",
)  # fmt: skip
_ELSEWHERE = ("hf_hub_url", "ms_hub_url", "om_hub_url", "script_url", "cloud_file_name")
_FORMATS = ("alpaca", "sharegpt", "openai")


@dataclass(frozen=True, kw_only=True)
class Described:
    """A data set as the file describes it."""

    path: str
    columns: Mapping[str, str]
    """Field → column."""
    tags: Tags | None
    limit: int | None
    ranking: bool


def is_dataset_info(path: str) -> bool:
    """Whether a path names such a file, or a folder that has one."""
    place = Path(path).expanduser()
    return place.name == FILE_NAME or (place / FILE_NAME).is_file()


def described(path: str, dataset: str | None) -> Described:
    """What it says of a data set.

    Raises:
        DataError: If it has no such set, or says what is not known.
    """
    place = existing(path, f"a {FILE_NAME}")
    place = place / FILE_NAME if place.is_dir() else place
    sets = read_json(Stored.at(place))
    if not isinstance(sets, dict):
        raise DataError(f"{place}: wanted {{name: {{file_name: …}}}}")
    if dataset is None:
        raise DataError(f"{place}: names {len(sets)} data sets; say which: data.dataset=…")
    if dataset not in sets:
        raise DataError(f'{place}: has no data set "{dataset}"{nearest(dataset, sets)}')
    return _described(f"{place}: {dataset}", place, sets[dataset])


def _described(where: str, place: Path, about: Any) -> Described:
    _known(where, about, _KEYS)
    for key in _ELSEWHERE:
        if key in about and "file_name" not in about:
            raise DataError(f"{where}: lies elsewhere ({key}); fetch it, and name its file_name")
    for key in ("subset", "folder", "split", "load_from"):
        if key in about:
            raise DataError(f"{where}: {key} is for data that lies elsewhere; name the file alone")
    form = about.get("formatting", "alpaca")
    if form not in _FORMATS:
        raise DataError(f"{where}: formatting is {form!r}{nearest(str(form), _FORMATS)}")
    if not isinstance(about.get("file_name"), str):
        raise DataError(f"{where}: has no file_name")
    ranking = about.get("ranking", False)
    if not isinstance(ranking, bool):
        raise DataError(f"{where}: ranking is {ranking!r:.40}; wanted true or false")
    limit = about.get("num_samples")
    return Described(
        path=str(place.parent / about["file_name"]),
        columns=_columns(where, form, about.get("columns", {}), ranking=ranking),
        tags=None if form == "alpaca" else _tags(where, form, about.get("tags", {})),
        limit=limit if isinstance(limit, int) else None,
        ranking=ranking,
    )


def _columns(where: str, form: str, given: Any, *, ranking: bool) -> dict[str, str]:
    """Field → column, those that are there by default only where the table has them."""
    _known(f"{where}: columns", given, _COLUMNS)
    columns = {_COLUMNS[key]: str(column) for key, column in given.items()}
    wanted = ("prompt", "query", "response") if form == "alpaca" else ("messages",)
    for key in wanted:
        if not (key == "response" and ranking):
            columns.setdefault(_COLUMNS[key], _USUAL[key])
    return columns


def _tags(where: str, form: str, given: Any) -> Tags:
    _known(f"{where}: tags", given, ("role_tag", "content_tag", *_ROLES))
    usual = ("role", "content") if form == "openai" else ("from", "value")
    return Tags(
        role=str(given.get("role_tag", usual[0])),
        content=str(given.get("content_tag", usual[1])),
        roles={str(given[key]): role for key, role in _ROLES.items() if key in given},
    )


def _known(where: str, given: Any, keys: Any) -> None:
    """Raise if something is no object, or has another key."""
    if not isinstance(given, dict):
        raise DataError(f"{where}: is {given!r:.40}; wanted {{…}}")
    for key in given:
        if key not in keys:
            raise DataError(f'{where}: has the unknown key "{key}"{nearest(key, keys)}')
