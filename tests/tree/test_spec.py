"""What specs and flags may hold."""

import math
from typing import Any

import pytest
import trio

from supervisor.tree import BadFlags, BadSpec, ChildSpec, Supervisor, SupervisorFlags


async def child(*, task_status: trio.TaskStatus[object]) -> None:
    raise AssertionError("nothing here is started")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("id", "", "child id must be a non-empty string, not ''"),
        ("id", 7, "child id must be a non-empty string, not 7"),
        ("start", None, "child 'a': start must be an async callable, not None"),
        ("restart", "permanant", "restart must be .* not 'permanant'; did you mean 'permanent'?"),
        ("restart", None, "child 'a': restart must be .* not None"),
        ("type", "agent", "type must be 'worker' or 'supervisor', not 'agent'"),
        ("shutdown", -1, "child 'a': shutdown must be seconds .* not -1"),
        ("shutdown", True, "shutdown must be .* not True"),
        ("shutdown", math.nan, "shutdown must be .* not nan"),
        ("shutdown", "brutal-kill", "shutdown must be .* did you mean 'brutal_kill'?"),
    ],
)
def test_a_bad_child_spec_is_refused_and_named(field: str, value: object, message: str) -> None:
    fields: dict[str, Any] = {"id": "a", "start": child, field: value}
    with pytest.raises(BadSpec, match=message):
        ChildSpec(**fields)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("strategy", "one_for_al", "did you mean 'one_for_all'?"),
        ("auto_shutdown", "all", "auto_shutdown must be 'never' or 'any_significant' or"),
        ("strategy", "one_for_on", "did you mean 'one_for_one'?"),
        ("intensity", -1, "intensity must be 0 or more, not -1"),
        ("intensity", 1.5, "intensity must be a whole number, not 1.5"),
        ("intensity", True, "intensity must be a whole number, not True"),
        ("period_s", 0, "period_s must be seconds, more than 0, not 0"),
        ("period_s", math.inf, "period_s must be .* not inf"),
        ("backoff", 2, "backoff must be a Backoff or None, not 2"),
    ],
)
def test_bad_flags_are_refused_and_named(field: str, value: object, message: str) -> None:
    fields: dict[str, Any] = {field: value}
    with pytest.raises(BadFlags, match=message):
        SupervisorFlags(**fields)


def test_the_defaults_are_those_of_otp() -> None:
    spec, flags = ChildSpec("a", child), SupervisorFlags()
    assert (spec.restart, spec.type, spec.shutdown_s) == ("permanent", "worker", 5)
    assert (flags.strategy, flags.intensity, flags.period_s) == ("one_for_one", 1, 5)
    assert ChildSpec("s", child, type="supervisor").shutdown_s == math.inf


def test_two_children_of_one_name_are_refused() -> None:
    with pytest.raises(BadSpec, match="child 'a': the id is used twice"):
        Supervisor("root", SupervisorFlags(), [ChildSpec("a", child), ChildSpec("a", child)])


def test_a_child_that_is_no_spec_is_refused() -> None:
    with pytest.raises(BadSpec, match="a child must be a ChildSpec, not 'a'"):
        Supervisor("root", SupervisorFlags(), ["a"])  # type: ignore[list-item]


def test_a_supervisor_without_a_name_is_refused() -> None:
    with pytest.raises(BadFlags, match="name must be a non-empty string, not ''"):
        Supervisor("", SupervisorFlags(), [])


def test_flags_that_are_none_are_refused() -> None:
    with pytest.raises(BadFlags, match="flags must be SupervisorFlags, not"):
        Supervisor("root", {}, [])  # type: ignore[arg-type]
