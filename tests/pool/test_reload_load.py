"""Edits, good and bad, while tasks come and go: each call has its own answer, or is told why not.

Longer, and with other edits:

    AGENT_POOL_RELOAD_S=180 AGENT_POOL_RELOAD_SEEDS=3,4 pytest tests/pool/test_reload_load.py
"""

import contextlib
import os
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import psutil
import pytest
import trio

from tests.client import Client, Message, Project, open_project
from tests.pool.edits import AGENTS, Editor

SECONDS: Final = float(os.environ.get("AGENT_POOL_RELOAD_S", "4"))
SEEDS: Final = [int(seed) for seed in os.environ.get("AGENT_POOL_RELOAD_SEEDS", "1").split(",")]
CALLERS: Final = 16

REFUSED: Final = {"unknown_agent", "agent_broken", "queue_full"}
"""What a caller may be told where an agent has gone, was never right, or has too much to do."""


class Load:
    """Callers, and what has become of their calls."""

    def __init__(self, client: Client, editor: Editor) -> None:
        self.client = client
        self.editor = editor
        self.wrong: list[str] = []
        self.codes: Counter[str] = Counter()
        self.ends = False

    async def call(self, caller: int, choose: random.Random) -> None:
        """One call after the other."""
        kinds = (self._invoke, self._invoke, self._invoke, self._converse, self._submit)
        number = 0
        while not self.ends:
            number += 1
            agents = sorted(self.editor.there) if choose.random() < 0.9 else AGENTS
            await choose.choice(kinds)(choose.choice(agents), f"{caller}-{number}")

    async def _invoke(self, agent: str, word: str) -> None:
        task = f"[[sleep 0.02]] [[say {word}]] [[system]]"
        self._check(await self.client.call("invoke", agent=agent, task=task), agent, word)

    async def _converse(self, agent: str, word: str) -> None:
        task, name = f"[[say {word}]] [[system]]", f"k{len(word) % 2}"
        answer = await self.client.call("invoke", agent=agent, task=task, conversation=name)
        self._check(answer, agent, word)

    async def _submit(self, agent: str, word: str) -> None:
        task = f"[[sleep 0.02]] [[say {word}]] [[system]]"
        answer = await self.client.call("submit", agent=agent, task=task)
        if not answer.get("isError"):
            task_id = answer["structuredContent"]["task_id"]
            await self.client.call("wait", task_ids=[task_id], timeout_s=600)
            answer = await self.client.call("result", task_id=task_id)
        self._check(answer, agent, word)

    def _check(self, answer: Message, agent: str, word: str) -> None:
        text = answer["content"][0]["text"]
        code = answer["_meta"]["code"] if answer.get("isError") else "result"
        self.codes[code] += 1
        if code == "result":
            is_own = text.startswith(f"{word}") and f"You are {agent}." in text
        else:
            is_own = code in REFUSED
        if not is_own:
            self.wrong.append(f"{agent}, {word}: {code}: {text}")


@pytest.mark.parametrize("seed", SEEDS)
async def test_each_call_is_answered_and_no_process_is_left_or_missing(
    tmp_path: Path, seed: int
) -> None:
    choose = random.Random(seed)
    async with open_project(tmp_path) as project:
        editor = Editor(project, choose)
        async with project.connect(AGENTS_DIR=str(project.folder / ".claude" / "agents")) as client:
            load = Load(client, editor)
            async with trio.open_nursery() as calling:
                for caller in range(CALLERS):
                    calling.start_soon(load.call, caller, random.Random(f"{seed} {caller}"))
                with trio.move_on_after(SECONDS):
                    while True:
                        editor.edit()
                        await trio.sleep(choose.uniform(0.0, 0.4))
                editor.settle()
                load.ends = True
            assert load.wrong == []
            await client.call("reload")
            await eventually(lambda: tree_is_right(client, editor), "the tree is as configured")
            await eventually(
                lambda: processes_are_right(client, editor, project), "no process too many"
            )
        faults = [line for line in project.log_lines() if line["event"] == "fault"]

    assert faults == []
    assert load.codes["result"] > 0, load.codes


async def eventually(look: Callable[[], Awaitable[str]], what: str) -> None:
    """Wait until it finds nothing."""
    found = ""
    with trio.move_on_after(60):
        while True:
            found = await look()
            if not found:
                return
            await trio.sleep(0.1)
    raise AssertionError(f"not so: {what}: {found}")


async def tree_is_right(client: Client, editor: Editor) -> str:
    rows: list[dict[str, Any]] = (await client.call("tree"))["structuredContent"]["tree"]
    workers = Counter(row["name"] for row in rows if "#" in row["name"])
    talking = {name for name in workers if "@" in name}
    if gone := {name for name in talking if name.partition("@")[0] not in editor.there}:
        return f"{gone}, whose agents are gone"
    known = {name.partition("#")[0] for name in workers}
    known |= {name for name in editor.there if editor.group[name]}
    wanted = Counter(
        f"{name}#{number}"
        for name in known & editor.there
        for number in range(editor.replicas[name])
    )
    if workers != wanted + Counter(talking):
        return f"workers {sorted(workers.elements())}, not {sorted(wanted)}"
    for row in rows:
        name = row["name"].partition("#")[0]
        above = row["path"].split("/")[-2].partition(" (")[0] if "#" in row["name"] else ""
        group = editor.group.get(name, "")
        if above and above != (f"group:{group}" if group else name):
            return f"{row['path']}, which is not its place"
    return ""


def is_agent(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return "rehearsal" in process.cmdline()
    return False


async def processes_are_right(client: Client, editor: Editor, project: Project) -> str:
    agents = await client.agents()
    talking = [one for row in agents.values() for one in row["conversations"]]
    listed = {one["pid"] for one in talking if one["pid"] is not None}
    listed |= {w["pid"] for row in agents.values() for w in row["workers"] if w["pid"] is not None}
    states = {one["state"] for one in talking} | {
        w["state"] for row in agents.values() for w in row["workers"]
    }
    if not states <= {"idle", "stopped"}:
        return f"workers are {states}"
    for name, least in editor.least.items():
        workers = agents[name]["workers"] if name in editor.there else []
        if workers and any(worker["pid"] is None for worker in workers[:least]):
            return f"{name} has too few processes: {workers}"
    alive = {one.pid for one in project.processes() if is_agent(one)}
    return "" if alive == listed else f"alive are {alive}, listed {listed}"
