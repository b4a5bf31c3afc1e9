"""The training loop. There is one."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from luthier.data.loader import StepBatches
from luthier.errors import DivergedError
from luthier.tasks.task import SurveysBatches, Task
from luthier.training.best import Best
from luthier.training.callbacks import Callbacks
from luthier.training.events import (
    Evaluated,
    Event,
    Logged,
    Saved,
    Started,
    Stopped,
    StopReason,
    Ticked,
)
from luthier.training.gradient import backward, finish, total
from luthier.training.groups import RATE
from luthier.training.guard import Guard
from luthier.training.learner import Learner
from luthier.training.meter import Meter
from luthier.training.noise import own_noise, seed_part
from luthier.training.schedule import Schedule
from luthier.training.settings import TrainingSpec
from luthier.training.state import LoopState
from luthier.training.tally import Tally

__all__ = ["Callbacks", "Fitted", "StepLoader", "fit"]

TICK_SECONDS = 0.5
"""How often whoever watches is told, at most."""
_MEND = (
    "begin again, in another --out, with a lower learning rate, a longer warmup, or "
    "training.clip_norm=1; "
    "if it comes at once, look for values in the data that are not finite"
)


class StepLoader(Protocol):
    """Gives each step its batch: a function of the step, so that any step can be the first."""

    @property
    def steps_per_epoch(self) -> int:
        """Steps that read each row once."""

    def batches(self, start_step: int, stop_step: int) -> Iterator[StepBatches[Any]]:
        """The batches of the steps from `start_step` to before `stop_step`."""


@dataclass(frozen=True)
class Fitted:
    """How a run, or a part of one, ended."""

    state: LoopState
    reason: StopReason


def fit(
    learner: Learner,
    task: Task[Any],
    loader: StepLoader,
    schedule: Schedule,
    settings: TrainingSpec,
    *,
    start: LoopState | None = None,
    callbacks: Callbacks | None = None,
) -> Fitted:
    """Trains until the steps are done, or something stops it.

    A step is a pure function of the learner's tensors and of the step's number: a run that goes
    on from `start`, with the tensors that were saved with it, ends in the same bits as one that
    was never stopped.

    Args:
        learner: Changes in place.
        task: What is learned.
        loader: The training split.
        schedule: The learning rate at each step, as a multiple of the optimizer's.
        settings: With no `auto` left; the batch size and its parts are the loader's business.
        start: Where to go on; none begins at the first step.
        callbacks: What to call between steps.

    Raises:
        DivergedError: If too many steps in a row had a loss or a gradient that is not finite, or
            a weight has become so.
    """
    with own_noise(learner.placed.device):
        state, calls = start or LoopState(), callbacks or Callbacks()
        return _Loop(learner, task, loader, schedule, settings, state, calls).run()


class _Loop:
    def __init__(
        self,
        learner: Learner,
        task: Task[Any],
        loader: StepLoader,
        schedule: Schedule,
        settings: TrainingSpec,
        start: LoopState,
        callbacks: Callbacks,
    ) -> None:
        self.learner = learner
        self.task = task
        self.loader = loader
        self.schedule = schedule
        self.settings = settings
        self.callbacks = callbacks
        self.step = start.step
        self.evaluated_step = start.evaluated_step
        self.total_steps = settings.total_steps(loader.steps_per_epoch)
        self.evaluation_interval = settings.evaluation_interval(loader.steps_per_epoch)
        self.checkpoint_interval = settings.checkpoint_interval(loader.steps_per_epoch)
        self.parameters = [p for p in learner.placed.network.parameters() if p.requires_grad]
        self.norm: Tensor | None = None
        self.guard = Guard(learner)
        self.tally = Tally(start)
        self.meter = Meter(start)
        self.best = Best(start, task.higher_is_better)
        self.ticked = self.logged = self.meter.now()

    def run(self) -> Fitted:
        """All steps that are left, each with what is due after it."""
        self.learner.placed.network.train()
        for group in self.learner.optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"] * group[RATE])
        steps_per_epoch = self.loader.steps_per_epoch
        self.tell(
            Started(step=self.step, total_steps=self.total_steps, steps_per_epoch=steps_per_epoch)
        )
        steps = self.loader.batches(self.step, self.total_steps)
        try:
            reason = self.reason_to_stop()
            if self.step:
                # A signal may have come between a step and its evaluation.
                reason = self.evaluate_if_due(reason)
            while reason is None:
                asked = time.perf_counter()
                batches = next(steps)
                waiting_seconds = time.perf_counter() - asked
                skipped = self.learn(batches)
                self.step += 1
                self.meter.add_step(sum(batch.size for batch in batches.micro), waiting_seconds)
                if skipped:
                    self.check_skipped()
                reason = self.after_step()
        finally:
            if isinstance(steps, Generator):
                steps.close()
        self.tell(Stopped(step=self.step, reason=reason, seconds=self.meter.seconds()))
        return Fitted(self.state(), reason)

    def learn(self, batches: StepBatches[Any]) -> bool:
        """One training step, whole. Returns whether it was skipped, where that is known."""
        placed, optimizer = self.learner.placed, self.learner.optimizer
        multiple = self.schedule(self.step)
        if self.learner.thaw is not None:
            self.learner.thaw.at(self.step)
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * multiple
        optimizer.zero_grad()
        self.guard.begin()
        parts = len(batches.micro)
        losses = []
        for part, batch in enumerate(self.surveyed(batches.micro)):
            seed_part(placed.device, self.settings.seed, self.step, part)
            with placed.autocast():
                loss = self.task.loss(placed.network, batch.to(placed.device))
            losses.append(backward(loss, parts))
        loss = total(losses)
        checked = finish(
            self.parameters,
            loss,
            parts,
            clip_norm=self.settings.clip_norm,
            measure=self.is_logged(self.step + 1),
        )
        self.norm = checked.norm
        self.tally.add(loss, checked.witness)
        return self.guard.end(self.step, checked.witness)

    def surveyed(self, micro: Sequence[Any]) -> Sequence[Any]:
        """The parts of a batch, with what the task measures on all of them first, if it does."""
        if not isinstance(self.task, SurveysBatches):
            return micro
        placed = self.learner.placed
        placed.network.eval()
        try:
            with torch.no_grad(), placed.autocast():
                parts = [batch.to(placed.device) for batch in micro]
                return self.task.survey(placed.network, parts)
        finally:
            placed.network.train()

    def after_step(self) -> StopReason | None:
        """What is due after a step, and why to stop, if there is a reason."""
        if self.is_logged(self.step):
            self.log()
        elif self.callbacks.hooks:
            self.tick()
        best_before = self.best.step
        reason = self.evaluate_if_due(self.reason_to_stop())
        better = self.settings.keep_best and self.best.step != best_before
        if reason or better or self.step % self.checkpoint_interval == 0:
            self.save()
        return reason

    def is_logged(self, step: int) -> bool:
        """Whether a row of the log ends with `step` steps done."""
        return step % self.settings.log_every_steps == 0 or step == self.total_steps

    def reason_to_stop(self) -> StopReason | None:
        """Why to stop here, but for what an evaluation says."""
        patience, max_minutes = self.settings.patience, self.settings.max_minutes
        if self.step >= self.total_steps:
            return "finished"
        if patience is not None and self.best.evaluations_since >= patience:
            return "patience"
        if max_minutes is not None and self.meter.seconds() >= 60 * max_minutes:
            return "max_minutes"
        return "signal" if self.callbacks.stop() else None

    def evaluate_if_due(self, reason: StopReason | None) -> StopReason | None:
        """Evaluates at each interval and at the end, and says why to stop, now that it knows.

        Not when a signal asks to stop: whoever sends it does not wait long. The run that goes
        on from here makes up for it.
        """
        due = self.step % self.evaluation_interval == 0 or reason is not None
        evaluate = self.callbacks.evaluate
        if evaluate is None or not due or reason == "signal" or self.evaluated_step == self.step:
            return reason
        with self.meter.pause(), self.learner.finishing():
            measured = evaluate()
        self.evaluated_step = self.step
        best = self.best.is_improved(measured.metrics[measured.headline].value, self.step)
        self.tell(
            Evaluated(
                step=self.step,
                epoch=self.epoch,
                headline=measured.headline,
                metrics=measured.metrics,
                loss=measured.loss,
                best=best,
                samples=measured.samples,
            )
        )
        return reason or self.reason_to_stop()

    def save(self) -> None:
        """Has a checkpoint written."""
        self.check_skipped()
        if self.callbacks.save is None:
            return
        with self.meter.pause():
            if not self.learner.is_finite():
                raise DivergedError(
                    f"a weight is not finite after step {self.step}; no checkpoint was made of "
                    f"it; {_MEND}"
                )
            self.callbacks.save(self.state())
        self.tell(Saved(step=self.step, best=self.best.step == self.step))

    def check_skipped(self) -> None:
        """Stops a run that only skips. Waits for the device."""
        in_all, _, longest = self.tally.skipped()
        if longest >= self.settings.max_skipped_in_a_row:
            raise DivergedError(
                f"by step {self.step}, the loss or the gradient was not finite in {longest} steps "
                f"in a row ({in_all} in all); they were skipped, so the last checkpoint is good; "
                f"{_MEND}"
            )

    def log(self) -> None:
        """Tells what the steps since the last time were like."""
        now = self.meter.now()
        since = now - self.logged
        self.check_skipped()
        assert self.norm is not None
        self.tell(
            Logged(
                step=self.step,
                epoch=self.epoch,
                loss=self.tally.mean_loss(),
                loss_parts=self.tally.mean_parts(),
                learning_rate=self.learner.optimizer.param_groups[0]["lr"],
                gradient_norm=self.norm.item(),
                rows_per_second=since.rows_per_second,
                waiting_share=since.waiting_share,
                skipped=self.tally.skipped()[0],
                seconds=self.meter.seconds(),
            )
        )
        self.logged = now
        self.tally.begin_row()

    def tick(self) -> None:
        """Tells whoever watches how far the run is, now and then."""
        now = self.meter.now()
        since = now - self.ticked
        if since.seconds < TICK_SECONDS:
            return
        self.tell(
            Ticked(
                step=self.step,
                epoch=self.epoch,
                loss=self.tally.mean_loss(),
                rows_per_second=since.rows_per_second,
                waiting_share=since.waiting_share,
                seconds_left=since.seconds_per_step * (self.total_steps - self.step),
            )
        )
        self.ticked = now

    @property
    def epoch(self) -> float:
        """Epochs done."""
        return self.step / self.loader.steps_per_epoch

    def state(self) -> LoopState:
        """Where the run is. Waits for the device."""
        skipped, skipped_in_a_row, _ = self.tally.skipped()
        loss_sum, loss_count = self.tally.losses()
        now = self.meter.now()
        return LoopState(
            step=self.step,
            skipped=skipped,
            skipped_in_a_row=skipped_in_a_row,
            loss_sum=loss_sum,
            loss_count=loss_count,
            loss_parts=self.tally.parts(),
            evaluated_step=self.evaluated_step,
            best_step=self.best.step,
            best_value=self.best.value,
            evaluations_since_best=self.best.evaluations_since,
            rows=now.rows,
            seconds=self.meter.seconds(),
            step_seconds=now.seconds,
            waiting_seconds=now.waiting_seconds,
        )

    def tell(self, event: Event) -> None:
        """Tells everyone who wants to know."""
        for hook in self.callbacks.hooks:
            hook(event)
