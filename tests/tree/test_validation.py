"""Which word of OTP a refusal bears, and what is checked where."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from supervisor.tree import BadFlags, BadSpec, ChildSpec, Supervisor, SupervisorFlags

from .stage import Puppet, on_stage


async def child(*, task_status: trio.TaskStatus[object]) -> None:
    raise AssertionError("nothing here is started")


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("id", "", "missing_id"),
        ("id", None, "missing_id"),
        ("start", None, "missing_start"),
        ("restart", "always", "invalid_restart_type"),
        ("shutdown", -1, "invalid_shutdown"),
        ("shutdown", "later", "invalid_shutdown"),
        ("shutdown", [], "invalid_shutdown"),
        ("type", "agent", "invalid_child_type"),
        ("significant", 1, "invalid_significant"),
        ("significant", None, "invalid_significant"),
    ],
)
def test_the_word_for_a_bad_child_spec(field: str, value: object, code: str) -> None:
    fields: dict[str, Any] = {"id": "a", "start": child, field: value}
    with pytest.raises(BadSpec) as bad:
        ChildSpec(**fields)
    assert bad.value.code == code


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("strategy", "one_for_two", "invalid_strategy"),
        ("strategy", None, "invalid_strategy"),
        ("intensity", -1, "invalid_intensity"),
        ("intensity", "1", "invalid_intensity"),
        ("period_s", 0, "invalid_period"),
        ("period_s", -5, "invalid_period"),
        ("auto_shutdown", True, "invalid_auto_shutdown"),
        ("auto_shutdown", "some_significant", "invalid_auto_shutdown"),
        ("backoff", 1, "invalid_backoff"),
    ],
)
def test_the_word_for_bad_flags(field: str, value: object, code: str) -> None:
    fields: dict[str, Any] = {field: value}
    with pytest.raises(BadFlags) as bad:
        SupervisorFlags(**fields)
    assert bad.value.code == code


@pytest.mark.parametrize(
    ("auto_shutdown", "restart", "message"),
    [
        ("any_significant", "permanent", "needs restart 'transient' or 'temporary'"),
        ("all_significant", "permanent", "needs restart 'transient' or 'temporary'"),
        ("never", "transient", "needs a supervisor whose auto_shutdown is"),
        ("never", "temporary", "needs a supervisor whose auto_shutdown is"),
    ],
)
def test_significant_is_refused_where_it_means_nothing(
    auto_shutdown: Any, restart: Any, message: str
) -> None:
    spec = ChildSpec("a", child, restart, significant=True)
    flags = SupervisorFlags(auto_shutdown=auto_shutdown)
    with pytest.raises(BadSpec, match=f"child 'a': significant=True {message}") as bad:
        Supervisor("root", flags, [spec])
    assert bad.value.code == "bad_combination"


@pytest.mark.parametrize("restart", ["transient", "temporary"])
@pytest.mark.parametrize("auto_shutdown", ["any_significant", "all_significant"])
def test_significant_is_fine_where_a_child_can_end_for_good(
    auto_shutdown: Any, restart: Any
) -> None:
    spec = ChildSpec("a", child, restart, significant=True)
    Supervisor("root", SupervisorFlags(auto_shutdown=auto_shutdown), [spec])


def test_the_word_for_two_children_of_one_name_and_for_what_is_no_spec() -> None:
    spec = ChildSpec("a", child)
    with pytest.raises(BadSpec) as twice:
        Supervisor("root", SupervisorFlags(), [spec, spec])
    assert twice.value.code == "duplicate_child_name"
    with pytest.raises(BadSpec) as no_spec:
        Supervisor("root", SupervisorFlags(), [None])  # type: ignore[list-item]
    assert no_spec.value.code == "invalid_child_spec"


def test_the_template_of_simple_one_for_one_is_checked_like_any_child() -> None:
    template = ChildSpec("a", child, "transient", significant=True)
    with pytest.raises(BadSpec) as bad:
        Supervisor("root", SupervisorFlags("simple_one_for_one"), [template])
    assert bad.value.code == "bad_combination"


@pytest.mark.parametrize("type_", ["worker", "supervisor"])
@pytest.mark.parametrize("shutdown", ["brutal_kill", "infinity", 0, 0.5, 5, None])
def test_every_shutdown_is_fine_for_every_type(shutdown: Any, type_: Any) -> None:
    ChildSpec("a", child, shutdown=shutdown, type=type_)


async def test_start_child_of_a_bad_spec_changes_nothing(autojump_clock: MockClock) -> None:
    a = Puppet("a")
    async with on_stage([ChildSpec("a", a.start)]) as stage:
        with pytest.raises(BadSpec) as bad:
            await stage.supervisor.start_child("b")  # type: ignore[arg-type]
        assert bad.value.code == "invalid_child_spec"
        assert await stage.states() == {"a": "running"}
        assert a.starts == 1


@pytest.mark.parametrize("listener", [3, child])
def test_a_listener_that_cannot_be_called_at_once_is_refused(listener: Any) -> None:
    with pytest.raises(BadFlags, match="on_event must be a function") as bad:
        Supervisor("root", SupervisorFlags(), [], on_event=listener)
    assert bad.value.code == "invalid_on_event"
