"""A worker by itself, where a whole pool could not be brought into its state at will."""

from typing import cast

import trio

from supervisor.pool.agent import Agent, Limits
from supervisor.pool.outcome import Task, TaskError
from supervisor.pool.serving import Surroundings
from supervisor.pool.worker import Worker


async def test_a_worker_that_has_ended_in_the_meantime_keeps_nobody_waiting(
    autojump_clock: trio.testing.MockClock,
) -> None:
    agent = Agent("steady", lambda: Limits(1))
    worker = Worker(agent, agent.seats[0], cast("Surroundings", None))  # it is never asked for
    async with trio.open_nursery() as nursery:
        await nursery.start(worker.run)
        nursery.cancel_scope.cancel()

    with trio.fail_after(1):
        await worker.reset()
        await worker.retire(TaskError("pool_stopping", "it stops", ""))


async def test_a_worker_that_leaves_its_place_is_not_waited_for_to_take_what_waits() -> None:
    replicas = 2
    agent = Agent("fewer", lambda: Limits(9, replicas))
    staying, leaving = agent.seats
    leaving.state = "idle"
    agent.queue.put(Task("fewer", "well?", 60))
    assert not agent.needs(staying)

    replicas = 1
    agent.resize()
    assert agent.needs(staying)
