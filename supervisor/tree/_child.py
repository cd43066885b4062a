"""One child as its supervisor's loop sees it: a spec and what has become of it."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Literal

import trio

from ._life import Life
from ._spec import ChildSpec

ChildState = Literal["running", "undefined", "restarting"]


@dataclass(slots=True, eq=False)
class Timer:
    """A start that is due later: a restart after its backoff, or one after a cool-down."""

    purpose: Literal["restart", "cool-down"]
    scope: trio.CancelScope


class Child:
    """Touched by its supervisor's loop alone."""

    __slots__ = ("args", "consecutive_restarts", "last", "life", "restarting", "spec", "timer")

    def __init__(self, spec: ChildSpec, args: tuple[Any, ...] = ()) -> None:
        self.spec = spec
        self.args = args
        """Of its start function; `simple_one_for_one` only."""
        self.life: Life | None = None
        """The one that runs, or whose end has not been noticed."""
        self.last: Life | None = None
        """The last one that was up: what others may know it by."""
        self.restarting = False
        """A restart waits: in the queue, or for its `timer`."""
        self.timer: Timer | None = None
        self.consecutive_restarts = 0

    @property
    def state(self) -> ChildState:
        """OTP's word for what it does."""
        if self.life is not None:
            return "running"
        return "restarting" if self.restarting else "undefined"

    @property
    def key(self) -> Hashable:
        """What it is found by below its supervisor: instances of one template share their id."""
        return self.spec.id

    def forget_start(self) -> None:
        """End whatever start waits."""
        self.restarting = False
        if self.timer is not None:
            self.timer.scope.cancel()
            self.timer = None


class Instance(Child):
    """A child of `simple_one_for_one`."""

    __slots__ = ()

    @property
    def key(self) -> Hashable:
        """Itself."""
        return self
