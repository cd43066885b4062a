"""The agents' part of the tree becomes what is configured, whatever it was before, in any order."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from unittest.mock import patch

import trio
import trio.testing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from supervisor.place import built_in
from supervisor.pool.agent import Agent, Limits, Seat
from supervisor.pool.agent_tree import AgentTree
from supervisor.pool.branch import Post, Status, taking_turns
from supervisor.pool.config import Config, ConfigFiles
from supervisor.pool.outcome import Task, TaskError
from supervisor.tree import ChildRef, StartFunction, Supervisor, SupervisorFlags, snapshot

SHIPPED = Path(built_in()) / "config" / "pool.toml"
AGENTS = ("a", "b", "c", "d")
GROUPS = ("x", "y", "z")
LONG_S = 10_000.0
"""Longer than all tasks together."""

Placing = dict[str, tuple[str, int]]
"""Agent → its group (empty: none), and its replicas."""


@st.composite
def configurations(draw: st.DrawFn) -> tuple[str, Placing]:
    """pool.toml with groups, possibly within each other, and agents in them."""
    groups = draw(st.lists(st.sampled_from(GROUPS), unique=True))
    lines: list[str] = []
    for number, name in enumerate(groups):
        parent = draw(st.sampled_from(["", "", *groups[:number]]))
        # Mostly the same as before, so that not each change makes a new supervisor.
        strategy = draw(st.sampled_from([*["rest_for_one"] * 4, "one_for_all", "one_for_one"]))
        intensity = draw(st.sampled_from([5, 5, 5, 6]))
        lines += [f"[supervisors.{name}]", f'parent = "{parent}"', f'strategy = "{strategy}"']
        lines.append(f"intensity = {intensity}")
    placing: Placing = {}
    for name in draw(st.permutations(AGENTS)):
        group, replicas = draw(st.sampled_from(["", *groups])), draw(st.integers(1, 3))
        placing[name] = group, replicas
        lines += [f"[agents.{name}]", f'supervisor = "{group}"', f"replicas = {replicas}"]
    return "\n".join(lines), placing


class Stage:
    """A tree of workers that only stand in for some: a task takes virtual time."""

    def __init__(self, folder: Path, task_s: float) -> None:
        self.files = ConfigFiles(SHIPPED, (folder / "pool.toml",))
        self.serving: dict[Seat, Worker] = {}
        self.had_twice: list[str] = []
        self._task_s = task_s
        self.config: Config
        self.agents: dict[str, Agent] = {}
        self.tree = AgentTree(lambda: self.config, self.agents, self._work, lambda event: None)

    @asynccontextmanager
    async def runs(self) -> AsyncIterator[Supervisor]:
        """Its tree, below a supervisor of its own, until the block is left."""
        root = Supervisor("root", SupervisorFlags(), [self.tree.spec])
        async with trio.open_nursery() as nursery:
            await nursery.start(root.run)
            await nursery.start(self.tree.tidy)
            yield root
            nursery.cancel_scope.cancel()

    def write(self, text: str) -> None:
        self.files.asked_for[0].write_text(text)
        self.config = self.files.load()
        for name in self.config.agents:
            if name not in self.agents:
                self.agents[name] = Agent(name, self._limits(name))
                self.agents[name].is_supervised = True
            self.agents[name].resize()

    def _limits(self, name: str) -> Callable[[], Limits]:
        return lambda: Limits(9, self.config.agent(name).replicas)

    def _work(self, post: Post) -> StartFunction:
        async def serve(status: Status) -> None:
            if post.seat in self.serving:  # an exception would be a crash, and forgiven
                self.had_twice.append(post.seat.name)
            post.agent.come_up(post.seat)
            me = post.worker.value = self.serving[post.seat] = Worker()
            status.started()
            try:
                await me.leaving.wait()
                # Not all at once: those that leave do so in any order.
                await trio.sleep(self._task_s * (1 + post.seat.number))
                if me.fails:
                    raise RuntimeError("it has crashed")
            finally:
                self.serving.pop(post.seat, None)

        return taking_turns(post, serve)

    def down(self, agent: str) -> str:
        """Why it is down; empty: it is not."""
        down = self.agents[agent].down
        return "" if down is None else down.reason

    def crash(self, agent: str) -> None:
        """Have its first worker fail after its task."""
        failing = self.serving[self.agents[agent].seats[0]]
        failing.fails = True
        failing.leave("now")

    async def rows(self, root: Supervisor) -> dict[str, list[str]]:
        """The children of each supervisor, by its name; numbers of those that are new taken off."""
        found: dict[str, list[str]] = {}

        def note(name: str, children: object) -> None:
            assert name not in found, "two supervisors for one thing"
            found[name] = []
            for info, below in children:  # type: ignore[attr-defined]
                plain = re.sub(r" \(\d+\)$", "", info.id)
                found[name].append(plain)
                if below is not None:
                    note(plain, below.children)

        top = await snapshot(root)
        note("root", top.children)
        return found


class Worker:
    """Somebody who has a seat."""

    def __init__(self) -> None:
        self.leaving = trio.Event()
        self.fails = False

    def leave(self, why: str) -> None:
        self.leaving.set()


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    steps=st.lists(
        st.tuples(configurations(), st.sampled_from([0.0, 1.5, LONG_S])), min_size=2, max_size=5
    ),
    task_s=st.sampled_from([0.0, 1.0, 7.0]),
)
def test_it_becomes_what_is_configured_and_no_seat_is_ever_had_twice(
    tmp_path: Path, steps: list[tuple[tuple[str, Placing], float]], task_s: float
) -> None:
    async def play() -> None:
        stage = Stage(tmp_path, task_s)
        stage.write(steps[0][0][0])
        async with stage.runs() as root:
            for (text, _), pause_s in steps[1:]:
                stage.write(text)
                await stage.tree.follow()
                await trio.sleep(pause_s)
            await trio.sleep(LONG_S)
            placing = steps[-1][0][1]
            found = await stage.rows(root)

        assert stage.had_twice == []
        assert len(found) == len(stage.config.supervisors) + 2 + sum(
            not group for group, _ in placing.values()
        )
        for name, (group, replicas) in placing.items():
            seats = [f"{name}#{number}" for number in range(replicas)]
            children = found[f"group:{group}" if group else name]
            assert [one for one in children if one.startswith(f"{name}#")] == seats
            assert [seat.name for seat in stage.agents[name].seats] == seats
        for name, table in stage.config.supervisors.items():
            above = f"group:{table.parent}" if table.parent else "agents"
            assert f"group:{name}" in found[above]
            if table.strategy == "rest_for_one":
                members = [one for one in found[f"group:{name}"] if "#" in one]
                order = [agent for agent in placing if placing[agent][0] == name]
                assert members == sorted(members, key=lambda m: order.index(m[0]))

    trio.run(play, clock=trio.testing.MockClock(autojump_threshold=0))


def test_who_is_not_concerned_goes_on_undisturbed(tmp_path: Path) -> None:
    one = '[supervisors.x]\n[agents.a]\nsupervisor = "x"\n[agents.b]\n[agents.c]\n'
    other = (
        '[supervisors.x]\n[agents.a]\nsupervisor = "x"\nqueue_limit = 7\n[agents.b]\nreplicas = 2\n'
        '[supervisors.y]\n[agents.c]\nsupervisor = "y"\n'
    )

    async def play() -> None:
        stage = Stage(tmp_path, 1.0)
        stage.write(one)
        async with stage.runs():
            before = {name: stage.serving[stage.agents[name].seats[0]] for name in "abc"}
            stage.write(other)
            await stage.tree.follow()
            await trio.sleep(LONG_S)
            after = {name: stage.serving[stage.agents[name].seats[0]] for name in "abc"}
        assert [name for name in "abc" if before[name] is not after[name]] == ["c"]

    trio.run(play, clock=trio.testing.MockClock(autojump_threshold=0))


def test_a_place_that_is_wanted_again_while_its_neighbour_has_gone_is_there_once(
    tmp_path: Path,
) -> None:
    async def play() -> None:
        stage = Stage(tmp_path, 1.0)
        stage.write("[agents.a]\nreplicas = 3\n")
        async with stage.runs() as root:
            stage.write("[agents.a]\nreplicas = 1\n")
            await stage.tree.follow()
            await trio.sleep(2.5)
            assert [seat.name for seat in stage.agents["a"].seats] == ["a#0", "a#2"]
            stage.write("[agents.a]\nreplicas = 3\n")
            await stage.tree.follow()
            await trio.sleep(LONG_S)
            assert (await stage.rows(root))["a"] == ["a#0", "a#1", "a#2"]

    trio.run(play, clock=trio.testing.MockClock(autojump_threshold=0))


def test_an_agent_is_down_whose_other_workers_only_finish_what_they_have(tmp_path: Path) -> None:
    async def play() -> None:
        stage = Stage(tmp_path, 10.0)
        stage.write('[agents.a]\nreplicas = 2\nrestart = "temporary"\n')
        async with stage.runs():
            stage.write('[agents.a]\nreplicas = 1\nrestart = "temporary"\n')
            await stage.tree.follow()
            stage.crash("a")
            await trio.sleep(LONG_S)
            assert stage.agents["a"].down is not None

    trio.run(play, clock=trio.testing.MockClock(autojump_threshold=0))


def test_who_comes_into_a_group_that_has_ended_is_down_and_told_of_it_by_its_name(
    tmp_path: Path,
) -> None:
    one = '[supervisors.x]\nintensity = 0\ncool_down = "10h"\n[agents.a]\nsupervisor = "x"\n'

    async def play() -> None:
        stage = Stage(tmp_path, 1.0)
        stage.write(one)
        async with stage.runs():
            stage.crash("a")
            await trio.sleep(5)
            stage.write(one + '[agents.b]\nsupervisor = "x"\n')
            await stage.tree.follow()
            down = stage.agents["b"].down
        assert down is not None
        assert down.reason == "its group x has ended"

    trio.run(play, clock=trio.testing.MockClock(autojump_threshold=0))


ALL = '[supervisors.x]\nstrategy = "one_for_all"\n[agents.b]\nsupervisor = "x"\n'


def test_a_place_that_its_group_started_again_while_it_went_can_be_had_anew(tmp_path: Path) -> None:
    async def play() -> None:
        stage = Stage(tmp_path, 1.0)
        stage.write(ALL + '[agents.a]\nsupervisor = "x"\nreplicas = 2\n')
        async with stage.runs() as root:
            group = stage.tree._branches["group:x"].supervisor
            assert group is not None
            terminate = group.terminate_child

            async def terminate_and_restart(child: str | ChildRef) -> None:
                await terminate(child)
                with patch.object(group, "terminate_child", terminate):
                    stage.crash("b")
                    await trio.sleep(5)

            with patch.object(group, "terminate_child", terminate_and_restart):
                stage.write(ALL + '[agents.a]\nsupervisor = "x"\nreplicas = 1\n')
                await stage.tree.follow()
                await trio.sleep(LONG_S)
            assert (await stage.rows(root))["group:x"] == ["b#0", "a#0"]
            stage.write(ALL + '[agents.a]\nsupervisor = "x"\nreplicas = 2\n')
            await stage.tree.follow()
            await trio.sleep(LONG_S)
            assert all(seat in stage.serving for seat in stage.agents["a"].seats)

    trio.run(play, clock=trio.testing.MockClock(autojump_threshold=0))


def test_an_agent_is_down_once_the_last_worker_leaves_that_has_not_ended(tmp_path: Path) -> None:
    config = '[agents.a]\nrestart = "temporary"\nreplicas = '

    async def play() -> None:
        stage = Stage(tmp_path, 1.0)
        stage.write(config + "2")
        async with stage.runs():
            stage.crash("a")
            await trio.sleep(LONG_S)
            assert stage.down("a") == ""
            waiting = Task("a", "text", 1.0)
            stage.agents["a"].queue.put(waiting)
            stage.write(config + "1")
            await stage.tree.follow()
            assert stage.down("a") == "it has crashed, and it is not to be restarted"
            assert isinstance(waiting.outcome, TaskError)
            stage.write(config + "2")
            await stage.tree.follow()
            await trio.sleep(LONG_S)
            assert stage.down("a") == ""
            assert stage.serving

    trio.run(play, clock=trio.testing.MockClock(autojump_threshold=0))


def test_an_agent_whose_group_does_not_start_it_again_is_down(tmp_path: Path) -> None:
    async def play() -> None:
        stage = Stage(tmp_path, 1.0)
        stage.write(ALL + '[agents.a]\nsupervisor = "x"\nrestart = "temporary"\n')
        async with stage.runs() as root:
            stage.crash("b")
            await trio.sleep(LONG_S)
            assert (await stage.rows(root))["group:x"] == ["b#0"]
            why = "its group was restarted for b#0, and it is not to be restarted"
            assert stage.down("a") == why
            await stage.tree.bring_back(stage.agents["a"])
            assert stage.down("a") == ""

    trio.run(play, clock=trio.testing.MockClock(autojump_threshold=0))
