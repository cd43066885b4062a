"""`CLAUDE_CLI` that names nothing, nothing useful, or something that cannot clear its context."""

import os
import shlex
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.misfortunes.conftest import CONFIG, Theatre
from tests.misfortunes.stage import STANDIN, Stage, code_of, exists, text_of

QUICK = CONFIG.format(intensity=1000, maximum="100ms")


@asynccontextmanager
async def open_stage(base: Path, **variables: str) -> AsyncIterator[Stage]:
    """A pool of its own, with a connection; what it started is gone at the end."""
    theatre = Theatre.build(base, QUICK, **variables)
    try:
        async with theatre.project.connect(**theatre.variables) as client:
            yield Stage(theatre.project, client, theatre.ways, theatre.variables)
    finally:
        await theatre.project.close()


@pytest.mark.parametrize(
    ("cli", "words"),
    [
        ("{base}/no such file", "no such"),
        ("no-such-program-at-all --flag", "PATH"),
        ("{base}", "folder"),
        ("{base}/plain", "not executable"),
        ("{base}/plain 'unbalanced", "cannot be split"),
    ],
)
async def test_a_cli_that_is_not_there_is_told_and_found_once_it_is(
    tmp_path: Path, cli: str, words: str
) -> None:
    plain = tmp_path / "plain"
    plain.write_text("#!/bin/sh\n")
    cli = cli.format(base=tmp_path)
    base = tmp_path / "b"
    base.mkdir()
    async with open_stage(base, CLAUDE_CLI=cli) as stage:
        agent = stage.agent()
        for result in (await agent.invoke("x"), await agent.warmup()):
            assert code_of(result) == "cli_missing"
            assert words in text_of(result)
        row = await agent.row()
        assert (row["state"], row["restarts"]) == ("stopped", 0)
        if Path(cli) == plain:
            _install(plain, base / "w")
            await agent.answers_right()


def _install(path: Path, ways: Path) -> None:
    """Put a stand-in, as a program of its own, to `path`."""
    command = shlex.join([sys.executable, "-S", "-E", str(STANDIN), str(ways)])
    path.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    path.chmod(0o755)


async def test_a_cli_with_spaces_in_its_path_that_goes_and_comes(tmp_path: Path) -> None:
    folder = tmp_path / "my programs"
    folder.mkdir()
    cli = folder / "the cli"
    async with open_stage(tmp_path, CLAUDE_CLI=str(cli)) as stage:
        _install(cli, stage.ways)
        agent = stage.agent()
        _, answer = await agent.start("@wait first")
        await agent.has_task("@wait")
        shutil.rmtree(folder)
        agent.go()
        # It has answered, whatever has become of the program meanwhile.
        assert text_of(await answer) == "done 1: @wait first"
        await agent.reset()
        assert code_of(await agent.invoke("x")) == "cli_missing"
        folder.mkdir()
        _install(cli, stage.ways)
        await agent.answers_right()


async def test_a_cli_that_is_no_program_fails_to_start(tmp_path: Path) -> None:
    cli = tmp_path / "cli"
    cli.write_bytes(b"\x7fELF but not really")
    cli.chmod(0o755)
    async with open_stage(tmp_path, CLAUDE_CLI=str(cli)) as stage:
        result = await stage.agent().invoke("x")
        assert code_of(result) == "agent_start_failed"
        assert "Exec format error" in text_of(result)


@pytest.mark.parametrize(
    "ways",
    [
        {"clear": "silent"},
        {"clear": "error"},
        {"clear": "same_session"},
        {"constant_session": True},
        {"no_session": True},
    ],
)
async def test_a_context_that_is_not_seen_to_be_cleared_ends_with_its_process(
    stage: Stage, ways: dict[str, Any]
) -> None:
    await stage.agent().answers_right()  # the CLI as such can clear
    agent = stage.agent(**ways)
    pids = [await agent.answers_right(f"task {n}") for n in range(3)]
    assert len(set(pids)) == 3
    row = await agent.row()
    assert (row["restarts"], row["tasks_done"]) == (0, 3)
    assert row["recycles"] >= 2
    assert not any(map(exists, pids[:-1]))


async def test_a_cli_that_cannot_clear_gets_a_new_process_for_each_task(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        agent = stage.agent(clear="same_session")
        pids = {await agent.answers_right(f"task {n}") for n in range(4)}
        assert len(pids) == 4
        assert (await agent.row())["reset_by"] == "new process"


async def test_a_process_that_ends_at_a_clear_loses_no_task(stage: Stage) -> None:
    agent = stage.agent(clear="exit")
    for n in range(4):
        await agent.answers_right(f"task {n}")


async def test_one_stumble_of_one_process_does_not_condemn_the_cli(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        agent = stage.agent(clear="error")
        await agent.answers_right()
        agent.behave()
        await agent.row()
        await agent.reset()
        pids = {await agent.answers_right() for _ in range(3)}
        assert len(pids) == 1


async def test_a_project_that_is_deleted_under_a_pool_is_told(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        agent = stage.agent()
        await agent.pid()
        source = stage.project.folder
        moved = tmp_path / "moved"
        os.rename(source, moved)
        try:
            result = await agent.invoke("x")
            assert code_of(result) in (None, "unknown_agent")
            await stage.client.call("reset", agent=agent.name)
            assert code_of(await agent.invoke("x")) in ("unknown_agent", "agent_start_failed")
        finally:
            os.rename(moved, source)
        await agent.answers_right()
