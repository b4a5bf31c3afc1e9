"""Series in a table: what a recipe says of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from luthier.data.faults import OnError
from luthier.data.series.timing import Step, read_time
from luthier.errors import DataError
from luthier.spec import Auto, Many, Spec

Part = Annotated[int | float | str, Field(union_mode="left_to_right")]
MOST_STEPS = 2**20


class TimeSplitSpec(Spec):
    """How the rows are divided in time: train first, then validation, then test.

    A whole number is so many rows, a number below 1 a share of them, and a date says where the
    part begins: `{train: 8640, validation: 2880, test: 2880}`, `{validation: 0.1, test: 0.2}`,
    `{validation: "2018-01-01", test: "2018-05-01"}`. Rows behind the last part are left out.
    Of several series, rows and shares are of each one's own.
    """

    train: Annotated[int | float | None, Field(union_mode="left_to_right")] = None
    """Rows, or their share; none takes all that the others leave."""
    validation: Part = 0.1
    """The rows that choose the best checkpoint; 0 makes no such split."""
    test: Part = 0.2
    """The rows that measure the finished model; 0 makes no such split."""

    @field_validator("train", "validation", "test")
    @classmethod
    def _usable(cls, part: Any) -> Any:
        if isinstance(part, str):
            try:
                read_time(part)
            except DataError as error:
                raise ValueError(f"got something that {error}; or a share such as 0.2") from None
        elif part is not None and (part < 0 or (isinstance(part, float) and part >= 1)):
            raise ValueError(f"got {part}; wanted a number of rows, a share below 1, or a date")
        return part

    @model_validator(mode="after")
    def _all_alike(self) -> Self:
        dated = [isinstance(part, str) for part in (self.validation, self.test) if part != 0]
        if any(dated) and not all(dated):
            raise ValueError("got a date and a number; give both parts as dates, or neither")
        if any(dated) and self.train is not None:
            raise ValueError("train: ends where validation begins, which is a date; leave it out")
        if any(dated) and self.validation != 0 and self.test == 0:
            raise ValueError("test: got 0, but validation has a date; give test one too")
        shares = [p for p in (self.train, self.validation, self.test) if isinstance(p, float)]
        if sum(shares) > 1 + 1e-9 or (self.train is None and sum(shares) >= 1):
            raise ValueError(f"the shares add up to {sum(shares):g}; wanted less than 1")
        return self


class SeriesSpec(Spec):
    """What was measured over time, in a table: a row a time (wide), or a row a series and time
    (long, with `series`)."""

    kind: Literal["series"] = "series"

    path: str
    """The table: .csv, .tsv, .txt, .jsonl, .json or .parquet; .gz is unpacked."""
    time: str | Auto | None = "auto"
    """The column with the times, such as 2024-07-31 18:00. auto finds it; null where there is
    none, and rows follow one another in equal steps."""
    series: str | None = None
    """In a long table, the column that says which series a row belongs to. All series have the
    same columns, and one network learns all of them, each at its own scale."""
    targets: Many[str] | Literal["all"] = "all"
    """The columns that are forecast; all takes every column of numbers that is named nowhere
    else."""
    known: Many[str] = ()
    """Columns that are known beforehand: prices, holidays. They are read as far ahead as the
    forecast reaches."""
    past: Many[str] = ()
    """Other columns that help, and are known only once they are measured."""
    calendar: bool = False
    """Whether the hour, the day of the week and the day of the year are read too, as far as the
    steps are short enough, known beforehand."""
    lookback: int | Auto = Field(default="auto", union_mode="left_to_right")
    """Steps that the network reads; auto takes three times the horizon, or two seasons."""
    frequency: str = "auto"
    """The step between rows: 15min, 1h, 1d, 1w, 1mo, 1q, 1y; auto finds it. rows takes each row as
    a step, whatever its time: of trading days."""
    season: int | Auto = Field(default="auto", union_mode="left_to_right")
    """Steps of a season: 24 for hours that repeat by day. What the seasonal naive forecast repeats;
    1 for none; auto goes by the frequency."""
    scale: Literal["standard", "none"] = "standard"
    """standard takes away each column's mean and divides by its standard deviation, both of the
    training rows alone, of each series by itself."""
    missing: Literal["stop", "fill", "skip"] = "stop"
    """What becomes of a missing value, or of a time that has no row: stop with an error; fill
    reads the last value before it, and takes it for nothing to be forecast; skip leaves out each
    window that touches it."""
    split: TimeSplitSpec = Field(default_factory=TimeSplitSpec)
    """Which rows are for what."""
    columns: Many[str] | None = None
    """The names of all columns, where the file has no line with them."""
    delimiter: str | None = None
    """What stands between values, where it is no comma, semicolon or tab."""
    on_error: OnError = "stop"
    """Whether a row that cannot be read, a time that is there twice or off the step, or a series
    that is too short stops everything, or is left out and listed."""
    limit: int | None = Field(default=None, ge=1)
    """The most windows of each split, evenly over its time: for quick tries."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        given = (*self.chosen, *self.known, *self.past)
        twice = sorted({name for name in given if given.count(name) > 1})
        roles = [name for name in (self.time, self.series) if name and name in given]
        if twice or roles:
            raise ValueError(f"the column {(twice or roles)[0]} has two roles; wanted one for each")
        if self.targets == ():
            raise ValueError("targets: got none of them; wanted a column, or all")
        for name in ("lookback", "season"):
            steps = getattr(self, name)
            if steps != "auto" and not 1 <= steps <= MOST_STEPS:
                raise ValueError(f"{name}: got {steps}; wanted at least 1")
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '"\n\r'):
            raise ValueError(f'delimiter: got "{self.delimiter}"; wanted one character')
        if self.columns is not None and len(set(self.columns)) < len(self.columns):
            raise ValueError(f"columns: got {', '.join(self.columns)}; wanted different names")
        if self.time is None and (self.calendar or self.frequency != "auto"):
            what = "calendar" if self.calendar else "frequency"
            raise ValueError(f"{what}: belongs to rows with a time; name its column, or leave it")
        if self.time is None and any(
            isinstance(part, str) for part in (self.split.validation, self.split.test)
        ):
            raise ValueError("split: got a date, but rows have no time; give rows or shares")
        return self

    @field_validator("frequency")
    @classmethod
    def _a_step(cls, text: str) -> str:
        if text != "auto":
            Step.parse(text)
        return text

    @property
    def chosen(self) -> tuple[str, ...]:
        """The targets that are named."""
        return () if self.targets == "all" else self.targets
