"""The real CLI as a spare: it takes over as the very agent that a start of its own would give."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.client import open_project, until
from tests.loopback import LoopbackAPI, Request
from tests.product.stage import Stage, pid_of, text_of
from tests.realcli.install import RealCLI

FRESH = "context: 0 user texts: []"


@pytest.fixture
async def stage(tmp_path: Path, loopback: LoopbackAPI, real_cli: RealCLI) -> AsyncIterator[Stage]:
    async with open_project(tmp_path) as project:
        stage = Stage(project, loopback, real_cli.argv)
        stage.extra["AGENTS_DIR"] = str(project.folder / ".claude" / "agents")
        yield stage


def standing_by(stage: Stage) -> list[int]:
    return [line["pid"] for line in stage.logged("spare_ready", "spare")]


async def served(stage: Stage, task: str, config: str) -> tuple[Request, int, str]:
    """What the model is asked for the first task of a pool of this configuration."""
    stage.configure(config)
    before = len(standing_by(stage))
    async with stage.connect() as client:
        if "spares" in config:
            await until(lambda: len(standing_by(stage)) > before, "a spare")
        answer = await client.call("invoke", agent="chosen", task=task)
        again = await client.call("invoke", agent="chosen", task=f"[[context]] {task}")
        assert pid_of(answer) == pid_of(again)
    await stage.project.close()
    return await stage.request_for(task), pid_of(answer), text_of(again)


@pytest.mark.parametrize("frontmatter", [(), ("model: haiku",)], ids=["its own model", "haiku"])
async def test_the_model_is_asked_the_same_whether_a_spare_took_over_or_not(
    stage: Stage, frontmatter: tuple[str, ...]
) -> None:
    stage.write_agent("chosen", *frontmatter)

    by_itself, _, _ = await served(stage, "task by itself", "")
    by_spare, pid, context = await served(stage, "task by spare", "[pool]\nspares = 1\n")

    assert pid in standing_by(stage)
    for key in ("model", "system", "tools"):
        assert json.dumps(by_spare.body[key]) == json.dumps(by_itself.body[key])
    assert context.startswith(FRESH)
    if not frontmatter:  # some versions note a model that was chosen late, before the task
        told = json.dumps(by_spare.body["messages"]).replace("by spare", "by itself")
        assert told == json.dumps(by_itself.body["messages"])
