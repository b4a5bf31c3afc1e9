"""How long a run is, in which batches it learns, and what it keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from luthier.spec import Auto, Many, Spec

DEFAULT_EPOCHS = 10
MOST_EPOCHS = 1_000_000
MOST_STEPS = 10**12
"""More than anybody waits for: a number above is a mistake."""

Tracker = Literal["tensorboard", "wandb", "mlflow"]


class TrainingSpec(Spec):
    """The training section of a recipe.

    Example:
        >>> TrainingSpec(epochs=3, batch_size=100).total_steps(steps_per_epoch=600)
        1800
    """

    epochs: int | None = Field(default=None, ge=1, le=MOST_EPOCHS)
    """Passes over the training rows; 10 if neither epochs nor steps are given."""
    steps: int | None = Field(default=None, ge=1, le=MOST_STEPS)
    """Optimizer steps, instead of epochs."""
    max_minutes: float | None = Field(default=None, gt=0)
    """Stops after so many minutes, over all parts of the run; the schedule is not shortened."""
    batch_size: int | Auto = Field(default="auto", union_mode="left_to_right")
    """Rows that one step learns from; auto is 128, or fewer where there is little data; of text
    that fills whole contexts, as many as make about 8,192 tokens."""
    batch_tokens: int | None = Field(default=None, ge=1)
    """Tokens that one step learns from, instead of batch_size: whole rows of the context."""
    accumulate: int = Field(default=1, ge=1)
    """Parts of a batch that go through the network one after the other, to save memory. The step
    is the same as with the whole batch at once (but for batch norm and dropout)."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Decides the initial weights, the order of the data, its augmentation and dropout."""
    clip_norm: float | None = Field(default=None, gt=0)
    """The most that the gradient's norm may be; a longer gradient is shortened to it."""
    samples: Many[str] = ()
    """Prompts that a language network continues at each evaluation, to be looked at."""
    sample_tokens: int | None = Field(default=None, ge=1, le=10_000)
    """How long each sample is, in tokens; none means 100."""
    ema_decay: float | None = Field(default=None, gt=0, lt=1)
    """Keeps a moving average of the weights, such as 0.999, and evaluates and finishes with it."""
    evaluate_every_epochs: int | None = Field(default=None, ge=1)
    """Epochs between evaluations on the validation split; 1 if no interval is given."""
    evaluate_every_steps: int | None = Field(default=None, ge=1)
    """Steps between evaluations on the validation split, instead of epochs."""
    patience: int | None = Field(default=None, ge=1)
    """Stops early after so many evaluations in a row without a better headline metric."""
    keep_best: bool = False
    """Whether the finished model is the one with the best headline metric on the validation
    split, instead of the last one."""
    checkpoint_every_steps: int | None = Field(default=None, ge=1)
    """Steps between checkpoints; if left out, one is saved at the end of each epoch."""
    keep_checkpoints: int = Field(default=2, ge=1)
    """How many of the newest checkpoints to keep; the best one is kept besides."""
    log_every_steps: int = Field(default=50, ge=1)
    """Steps between rows of metrics.jsonl."""
    workers: int | Auto = Field(default="auto", union_mode="left_to_right")
    """Threads that read ahead; 0 reads in the loop; auto is 1 where rows are augmented."""
    max_skipped_in_a_row: int = Field(default=10, ge=1)
    """A step with a loss or gradient that is not finite is skipped; so many in a row stop the
    run."""
    track: Many[Tracker] = ()
    """Where to send metrics besides metrics.jsonl: tensorboard, wandb, mlflow."""

    @model_validator(mode="before")
    @classmethod
    def _with_a_length(cls, data: Any) -> Any:
        """Writes the default length down, so that the resolved recipe shows it."""
        if isinstance(data, Mapping) and data.get("epochs") is None and data.get("steps") is None:
            return {**data, "epochs": DEFAULT_EPOCHS}
        return data

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.epochs is not None and self.steps is not None:
            raise ValueError(
                f"got both epochs ({self.epochs}) and steps ({self.steps}); wanted one of them"
            )
        if self.evaluate_every_epochs is not None and self.evaluate_every_steps is not None:
            raise ValueError(
                f"got both evaluate_every_epochs ({self.evaluate_every_epochs}) and "
                f"evaluate_every_steps ({self.evaluate_every_steps}); wanted one of them"
            )
        if self.batch_tokens is not None and self.batch_size != "auto":
            raise ValueError(
                f"got both batch_size ({self.batch_size}) and batch_tokens ({self.batch_tokens}); "
                "wanted one of them"
            )
        if self.sample_tokens is not None and not self.samples:
            raise ValueError("got sample_tokens, but no samples; give prompts, or leave it out")
        if self.batch_size != "auto":
            if self.batch_size < 1:
                raise ValueError(f"batch_size: got {self.batch_size}; wanted auto or at least 1")
            if self.batch_size % self.accumulate:
                raise ValueError(
                    f"batch_size: got {self.batch_size}, which cannot be cut in accumulate "
                    f"({self.accumulate}) equal parts; wanted a multiple"
                )
        if self.workers != "auto" and self.workers < 0:
            raise ValueError(f"workers: got {self.workers}; wanted auto or at least 0")
        return self

    def total_steps(self, steps_per_epoch: int) -> int:
        """Steps of the whole run."""
        if self.steps is not None:
            return self.steps
        assert self.epochs is not None
        return self.epochs * steps_per_epoch

    def evaluation_interval(self, steps_per_epoch: int) -> int:
        """Steps between evaluations."""
        if self.evaluate_every_steps is not None:
            return self.evaluate_every_steps
        return (self.evaluate_every_epochs or 1) * steps_per_epoch

    def checkpoint_interval(self, steps_per_epoch: int) -> int:
        """Steps between checkpoints."""
        return self.checkpoint_every_steps or steps_per_epoch

    def needs_validation(self) -> dict[str, Any]:
        """The settings that would not be used without a validation split, with their values."""
        settings = {
            "evaluate_every_epochs": self.evaluate_every_epochs,
            "evaluate_every_steps": self.evaluate_every_steps,
            "patience": self.patience,
            "keep_best": self.keep_best or None,
            "samples": self.samples or None,
        }
        return {name: value for name, value in settings.items() if value is not None}
