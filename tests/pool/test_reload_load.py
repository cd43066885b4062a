"""Edits, good and bad, while tasks come and go: none is lost, each gets its own answer."""

import random
from pathlib import Path
from typing import Any

import trio

from tests.client import Client, Project, open_project

AGENTS = ("one", "two", "three")
CALLERS, EACH = 6, 25
CONFIGS = (
    "",
    "[agents.one]\nreplicas = 2\n",
    '[supervisors.team]\nstrategy = "rest_for_one"\n'
    '[agents.two]\nsupervisor = "team"\n[agents.one]\nsupervisor = "team"\n',
    '[supervisors.team]\n[supervisors.inner]\nparent = "team"\nintensity = 9\n'
    '[agents.one]\nsupervisor = "inner"\nreplicas = 3\n[agents.three]\nsupervisor = "team"\n',
    '[defaults.agent]\nqueue_limit = 200\n[defaults.supervisor]\nperiod = "9s"\n',
    '[agents.two]\nmodel = "sonnet"\npriority = "high"\n',
)
WRONG = ("[agents.one\n", "[agents.one]\nreplicas = 900\n", '[agents.one]\nsupervisor = "x"\n')


async def test_no_task_is_lost_by_edits_good_and_bad(tmp_path: Path) -> None:
    choose = random.Random(7)
    async with open_project(tmp_path) as project:
        for name in AGENTS:
            project.write_agent(name)
        async with project.connect() as client:
            answers: dict[str, dict[str, Any]] = {}
            async with trio.open_nursery() as editing:
                editing.start_soon(edit, project, choose)
                async with trio.open_nursery() as calling:
                    for caller in range(CALLERS):
                        calling.start_soon(call, client, caller, answers)
                editing.cancel_scope.cancel()
            wrong = {
                word: answer["content"][0]["text"]
                for word, answer in answers.items()
                if answer["content"][0]["text"] != word
            }
            events = [line["event"] for line in project.log_lines()]

    assert len(answers) == CALLERS * EACH
    assert wrong == {}
    assert events.count("configuration_reloaded") > 3
    assert events.count("configuration_refused") > 3
    assert "fault" not in events
    assert events.count("task_ended") == CALLERS * EACH


async def call(client: Client, caller: int, answers: dict[str, dict[str, Any]]) -> None:
    for number in range(EACH):
        word = f"{caller}-{number}"
        agent = AGENTS[(caller + number) % len(AGENTS)]
        task = f"[[sleep 0.02]] [[say {word}]]"
        answers[word] = await client.call("invoke", agent=agent, task=task)


async def edit(project: Project, choose: random.Random) -> None:
    """Between two edits a moment, so that some are noticed one by one and some together."""
    while True:
        kind = choose.choice(("config", "config", "wrong", "agent", "broken", "rename"))
        name = choose.choice(AGENTS)
        if kind == "config":
            project.write_config(choose.choice(CONFIGS))
        elif kind == "wrong":
            project.write_config(choose.choice(WRONG))
        elif kind == "agent":
            project.write_agent(name, f"Do it, {choose.random()}.")
        elif kind == "broken":
            project.write_agent(name, "Do it.", choose.choice(("tools: [x", "model: {}")))
        else:
            path = project.write_agent(name)
            new = path.with_suffix(".tmp")
            new.write_text(path.read_text())
            new.replace(path)
        await trio.sleep(choose.uniform(0.0, 0.4))
