"""Whose turn it is: by priority, then by caller, then by age."""

import itertools
from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from supervisor.pool.outcome import PRIORITIES, Priority, Task, TaskError
from supervisor.pool.queue import TaskQueue

CALLERS = ("a", "b", "c")
GONE = TaskError("cancelled", "it was cancelled")


def task(caller: str = "a", priority: Priority = "normal") -> Task:
    made = Task.__new__(Task)  # outside of a run there is no clock
    made.caller, made.priority, made.outcome = caller, priority, None
    return made


def emptied(queue: TaskQueue) -> list[Task]:
    return list(iter(queue.take, None))


def test_an_empty_queue_gives_none() -> None:
    queue = TaskQueue()

    assert not queue
    assert queue.take() is None


def test_a_caller_with_many_tasks_does_not_keep_another_waiting_for_all_of_them() -> None:
    queue = TaskQueue()
    many, one = [task("greedy") for _ in range(5)], task("modest")
    for each in (*many, one):
        queue.put(each)

    assert emptied(queue) == [many[0], one, *many[1:]]


def test_what_comes_back_is_next_whatever_its_priority() -> None:
    queue = TaskQueue()
    urgent, low = task(priority="high"), task(priority="low")
    queue.put(urgent)
    queue.put_back(low)

    assert emptied(queue) == [low, urgent]


@given(st.lists(st.tuples(st.sampled_from(CALLERS), st.sampled_from(PRIORITIES))))
def test_the_more_urgent_come_first_and_each_caller_keeps_its_order(
    made: list[tuple[str, Priority]],
) -> None:
    queue = TaskQueue()
    tasks = [task(*one) for one in made]
    for each in tasks:
        queue.put(each)
    assert len(queue) == len(list(queue)) == len(tasks)
    taken = emptied(queue)

    ranks = [PRIORITIES.index(each.priority) for each in taken]
    assert ranks == sorted(ranks)
    lines: defaultdict[tuple[str, str], list[Task]] = defaultdict(list)
    for each in taken:
        lines[each.caller, each.priority].append(each)
    for (caller, priority), line in lines.items():
        assert line == [t for t in tasks if (t.caller, t.priority) == (caller, priority)]


@given(st.lists(st.sampled_from(CALLERS), min_size=1))
def test_between_two_turns_of_a_caller_each_other_that_waits_has_one(callers: list[str]) -> None:
    queue = TaskQueue()
    for caller in callers:
        queue.put(task(caller))
    taken = [each.caller for each in emptied(queue)]

    for caller in set(callers):
        turns = [n for n, name in enumerate(taken) if name == caller]
        for this, following in itertools.pairwise(turns):
            assert {n for n in taken[following:] if n != caller} <= set(taken[this:following])


@given(
    st.lists(st.tuples(st.sampled_from(CALLERS), st.sampled_from(PRIORITIES))),
    st.integers(0, 3),
    st.integers(0, 5),
)
def test_the_place_of_a_task_is_when_it_will_be_taken(
    made: list[tuple[str, Priority]], returned: int, taken: int
) -> None:
    queue = TaskQueue()
    for one in made:
        queue.put(task(*one))
    for _ in range(returned):
        queue.put_back(task())
    for _ in range(taken):
        queue.take()
    waiting = list(queue)
    places = {queue.place(each): each for each in waiting}

    assert [places[at] for at in range(1, len(waiting) + 1)] == emptied(queue)


def test_a_task_that_does_not_wait_has_no_place() -> None:
    queue = TaskQueue()
    queue.put(task("b"))

    assert queue.place(task("b")) is None
    assert queue.place(task("a")) is None


@given(st.lists(st.tuples(st.sampled_from(CALLERS), st.booleans())))
def test_a_task_that_has_its_outcome_is_never_given_out(made: list[tuple[str, bool]]) -> None:
    for forget in (True, False):
        queue = TaskQueue()
        tasks = [task(caller) for caller, _ in made]
        for each in tasks:
            queue.put(each)
        wanted = []
        for each, (_, settled) in zip(tasks, made, strict=True):
            if settled:
                each.outcome = GONE
            else:
                wanted.append(each)
        if forget:
            queue.forget_settled()
            assert len(queue) == len(wanted)

        assert set(emptied(queue)) == set(wanted)
