"""SIGINT and SIGTERM: the first one saves and stops, the second one stops at once."""

from __future__ import annotations

import os
import signal
import threading

import pytest
from toy_training import World, copied, differences

from luthier.errors import Interrupted
from luthier.training.callbacks import Callbacks
from luthier.training.events import Event, Logged
from luthier.training.settings import TrainingSpec
from luthier.training.signals import stop_on_signals
from luthier.training.state import LoopState

WORLD = World(TrainingSpec(steps=9, batch_size=8, log_every_steps=1), dropout=0.3)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_middle_of_a_run(number: signal.Signals) -> None:
    saved: list[LoopState] = []
    made = WORLD.make()

    def strike(event: Event) -> None:
        if isinstance(event, Logged) and event.step == 4:
            os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    with stop_on_signals() as stop:
        callbacks = Callbacks(hooks=(strike,), save=saved.append, stop=stop)
        fitted = WORLD.go(made, callbacks=callbacks)
        assert stop.requested == number.name
    assert signal.getsignal(number) is before
    assert fitted.reason == "signal"
    assert saved[-1].step == fitted.state.step == 4
    WORLD.go(made, saved[-1])
    whole = WORLD.make()
    WORLD.go(whole)
    assert differences(copied(whole.tensors()), copied(made.tensors())) == []


def test_the_second_signal_stops_at_once() -> None:
    with stop_on_signals() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop()
        with pytest.raises(Interrupted, match=r"second signal \(SIGINT\).*--resume"):
            os.kill(os.getpid(), signal.SIGINT)


def test_handlers_come_back_after_an_error() -> None:
    before = signal.getsignal(signal.SIGTERM)

    def fail() -> None:
        assert signal.getsignal(signal.SIGTERM) is not before
        raise KeyError

    with pytest.raises(KeyError), stop_on_signals():
        fail()
    assert signal.getsignal(signal.SIGTERM) is before


def test_in_another_thread_no_signal_comes() -> None:
    found: list[bool] = []

    def work() -> None:
        with stop_on_signals() as stop:
            found.append(stop())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [False]
