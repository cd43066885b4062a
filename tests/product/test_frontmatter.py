"""What each key of an agent's file comes to with the real CLI: in the request to the model, and in
what runs on the machine."""

import itertools
import json
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from supervisor.agents import HOW_TO_TRUST
from tests.client import Client, Message
from tests.loopback import Request
from tests.product import greeter
from tests.product.stage import Stage, code_of, pid_of, text_of

GREETER = Path(greeter.__file__)
CALL = "[[tool mcp__greeter__greet {}]]"

_numbers = itertools.count(1)


class Agents:
    """Agents of a test: they and their processes go with it."""

    def __init__(self, stage: Stage, client: Client) -> None:
        self.stage = stage
        self.client = client
        self._paths: dict[str, Path] = {}

    def own(self, *frontmatter: str, body: str = "You are {name}.") -> str:
        """An agent of the user's own; its name."""
        return self._write(self.stage.project.home / ".claude" / "agents", frontmatter, body)

    def projects(self, *frontmatter: str) -> str:
        """An agent of the project's; its name."""
        folder = self.stage.project.folder / ".claude" / "agents"
        return self._write(folder, frontmatter, "You are {name}.")

    async def invoke(self, name: str, task: str) -> Message:
        return await self.client.call("invoke", agent=name, task=task)

    async def request(self, name: str, task: str = "hello") -> Request:
        """The request by which a task reaches the model; it holds the agent's name."""
        written = f"{task} {name} {next(_numbers)}"
        text_of(await self.invoke(name, written))
        return await self.stage.request_for(written)

    async def warnings(self, name: str) -> list[str]:
        rows = (await self.client.call("list"))["structuredContent"]["agents"]
        (row,) = [row for row in rows if row["name"] == name]
        warnings: list[str] = row["warnings"]
        return warnings

    async def end(self) -> None:
        for name, path in self._paths.items():
            await self.client.call("reset", agent=name)
            path.unlink()

    def _write(self, folder: Path, frontmatter: tuple[str, ...], body: str) -> str:
        name = f"keyed-{next(_numbers)}"
        folder.mkdir(parents=True, exist_ok=True)
        self._paths[name] = folder / f"{name}.md"
        lines = ["---", f"name: {name}", f"description: {name}.", *frontmatter, "---"]
        self._paths[name].write_text("\n".join([*lines, body.format(name=name), ""]))
        return name


@pytest.fixture
async def agents(shared: Stage, client: Client) -> AsyncIterator[Agents]:
    made = Agents(shared, client)
    yield made
    await made.end()


def _put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def hook(event: str, command: str, matcher: str = "*") -> str:
    """The frontmatter's line for one hook."""
    group = {"matcher": matcher, "hooks": [{"type": "command", "command": command}]}
    return f"hooks: {json.dumps({event: [group]})}"


def server(mark: Path, **more: object) -> dict[str, object]:
    return {"command": sys.executable, "args": [str(GREETER), str(mark)], **more}


# what reaches the model


async def test_the_model_is_offered_the_tools_that_are_listed_less_those_that_are_denied(
    agents: Agents,
) -> None:
    name = agents.own("tools: Read, Bash(git log:*), Grep, Write", "disallowedTools: Write")

    assert (await agents.request(name)).tool_names() == ["Bash", "Grep", "Read"]


async def test_model_and_effort_are_those_of_the_file(agents: Agents) -> None:
    name = agents.own("tools: Read", "model: claude-sonnet-4-6", "effort: low")

    body = (await agents.request(name)).body
    assert (body["model"], body["output_config"]["effort"]) == ("claude-sonnet-4-6", "low")


async def test_the_prompt_is_kept_as_long_as_the_file_says(agents: Agents) -> None:
    name = agents.own("tools: Read", "experimental: {cacheTtl: 1h}")

    (_, block) = (await agents.request(name)).body["system"]
    assert block["cache_control"]["ttl"] == "1h"


async def test_a_task_ends_at_the_limit_of_turns_and_the_next_one_is_served(
    agents: Agents,
) -> None:
    name = agents.own("tools: Bash", "maxTurns: 1")

    first = await agents.invoke(name, "[[bash echo hi]] done")
    second = await agents.invoke(name, "hello")
    assert code_of(first) == "agent_failed"
    assert "maxTurns" in first["content"][0]["text"]
    assert text_of(second) == "echo: hello"


async def test_the_prompt_of_an_agent_with_every_key_is_the_same_in_every_process(
    agents: Agents, shared: Stage, tmp_path: Path
) -> None:
    _put(shared.project.home / ".claude" / "skills" / "with-files" / "SKILL.md", "See data.csv.")
    _put(shared.project.home / ".claude" / "skills" / "with-files" / "data.csv", "1")
    servers = json.dumps([{"greeter": server(tmp_path / "pid")}])
    name = agents.own(
        "tools: Read, Bash", "model: sonnet", "effort: low", "maxTurns: 9", "memory: user",
        "skills: with-files", f"mcpServers: {servers}", hook("Stop", "true"),
        "omitClaudeMd: true", "settingSources: user", "experimental: {cacheTtl: 1h}",
    )  # fmt: skip

    first = await agents.request(name)
    await agents.client.call("reset", agent=name)
    second = await agents.request(name)
    assert first.prefix() == second.prefix()
    assert "mcp__greeter__greet" in first.tool_names()


# MCP servers


async def test_an_agent_has_the_server_that_its_file_brings_and_may_use_it(
    agents: Agents, tmp_path: Path
) -> None:
    definition = server(tmp_path / "pid", env={"GREETING": "${GREETER_KEY:-Hello}"})
    name = agents.own("tools: Read", f"mcpServers: {json.dumps([{'greeter': definition}])}")

    results = [await agents.invoke(name, CALL) for _ in range(2)]
    assert [text_of(result) for result in results] == ["tool: Hello!"] * 2
    assert pid_of(results[0]) == pid_of(results[1])


async def test_a_servers_key_reaches_the_server_and_nobody_else(
    stage: Stage, tmp_path: Path
) -> None:
    definition = server(tmp_path / "pid", env={"GREETING": "${GREETER_KEY}"})
    line = f"mcpServers: {json.dumps([{'greeter': definition}])}"
    async with stage.connect(GREETER_KEY="a-secret-key") as client:
        agents = Agents(stage, client)
        name = agents.own("tools: Bash", line)
        greeting = await agents.invoke(name, CALL)
        environment = await agents.invoke(name, "[[bash env]]")
        arguments = psutil.Process(pid_of(greeting)).cmdline()

    assert text_of(greeting) == "tool: a-secret-key!"
    assert "a-secret-key" not in text_of(environment)
    assert "a-secret-key" not in "".join(arguments)


async def test_a_server_that_fails_is_logged_and_the_agent_works_without_it(
    agents: Agents, shared: Stage
) -> None:
    name = agents.own("tools: Read", "mcpServers: [{gone: {command: /nowhere/at/all}}]")

    assert text_of(await agents.invoke(name, "hello")) == "echo: hello"
    (event,) = shared.logged("server_failed", name)
    assert event["server"] == "gone"


async def test_a_project_that_is_not_trusted_starts_no_server(
    agents: Agents, shared: Stage, tmp_path: Path
) -> None:
    inline = json.dumps([{"greeter": server(tmp_path / "inline")}, "configured"])
    configured = {"mcpServers": {"configured": server(tmp_path / "configured")}}
    config = _put(shared.project.folder / ".mcp.json", json.dumps(configured))
    name = agents.projects("tools: Read", f"mcpServers: {inline}")

    request = await agents.request(name)
    warnings = await agents.warnings(name)
    config.unlink()
    assert request.tool_names() == ["Read"]
    assert names_in(tmp_path) == []
    assert len(warnings) == 2
    assert all(HOW_TO_TRUST in warning for warning in warnings)


# hooks and settings


async def test_a_hook_of_the_users_own_file_runs_and_may_forbid(
    agents: Agents, tmp_path: Path
) -> None:
    mark = tmp_path / "asked"
    name = agents.own(
        "tools: Bash", hook("PreToolUse", f"touch {mark}; echo not that >&2; exit 2", "Bash")
    )

    assert "not that" in text_of(await agents.invoke(name, "[[bash echo hi]]"))
    assert mark.exists()


async def test_a_project_that_is_not_trusted_runs_no_hook_of_its_own(
    agents: Agents, shared: Stage, tmp_path: Path
) -> None:
    command = {"type": "command", "command": f"touch {tmp_path}/settings"}
    settings = {
        "hooks": {event: [{"hooks": [command]}] for event in ("SessionStart", "PreToolUse")},
        "apiKeyHelper": f"touch {tmp_path}/helper; echo dummy",
        "env": {"ANTHROPIC_BASE_URL": "http://127.0.0.1:9"},
    }
    folder = shared.project.folder / ".claude"
    files = [
        _put(folder / n, json.dumps(settings)) for n in ("settings.json", "settings.local.json")
    ]
    of_project = agents.projects("tools: Bash", hook("PreToolUse", f"touch {tmp_path}/file"))
    of_user = agents.own("tools: Bash")
    for name in (of_project, of_user):
        assert text_of(await agents.invoke(name, "[[bash echo hi]]")) == "bash: hi"

    (warning,) = await agents.warnings(of_project)
    for file in files:
        file.unlink()
    assert HOW_TO_TRUST in warning
    assert names_in(tmp_path) == []


@pytest.mark.parametrize(
    ("line", "read"),
    [
        ("color: red", ["OF THE PROJECT", "OF THE USER"]),
        ("omitClaudeMd: true", []),
        ("settingSources: user", ["OF THE USER"]),
        ("settingSources: project", ["OF THE PROJECT"]),
        ("settingSources: []", []),
    ],
)
async def test_the_file_says_which_claude_md_its_agent_reads(
    agents: Agents, shared: Stage, line: str, read: list[str]
) -> None:
    files = [
        _put(shared.project.folder / "CLAUDE.md", "OF THE PROJECT"),
        _put(shared.project.home / ".claude" / "CLAUDE.md", "OF THE USER"),
    ]
    sent = json.dumps((await agents.request(agents.projects("tools: Read", line))).body)
    for file in files:
        file.unlink()

    assert [text for text in ("OF THE PROJECT", "OF THE USER") if text in sent] == read


# what is beside


async def test_the_files_of_the_users_skill_can_be_read_from_a_project(
    agents: Agents, shared: Stage
) -> None:
    folder = shared.project.home / ".claude" / "skills" / "of-the-user"
    _put(folder / "SKILL.md", "See notes.txt.")
    notes = _put(folder / "notes.txt", "the notes")
    name = agents.own("tools: Read", "skills: of-the-user")
    task = f"[[tool Read {json.dumps({'file_path': str(notes)})}]]"

    assert "the notes" in text_of(await agents.invoke(name, task))
    system = text_of(await agents.invoke(name, "[[system]]"))
    assert f"This skill's own files are in {folder}" in system


@pytest.mark.parametrize("scope", ["user", "project"])
async def test_an_agent_with_a_memory_may_write_it_and_read_it_in_the_next_task(
    agents: Agents, shared: Stage, scope: str
) -> None:
    name = agents.projects("tools: Grep", f"memory: {scope}")
    base = shared.project.home if scope == "user" else shared.project.folder.resolve()
    notes = base / ".claude" / "agent-memory" / name / "MEMORY.md"
    write = json.dumps({"file_path": str(notes), "content": "a note"})
    read = json.dumps({"file_path": str(notes)})

    before = await agents.request(name)
    await agents.invoke(name, f"[[tool Write {write}]]")
    answer = text_of(await agents.invoke(name, f"[[tool Read {read}]]"))
    after = await agents.request(name)
    with suppress(OSError):
        notes.unlink()
    assert "a note" in answer
    assert str(notes.parent) in before.system_text()
    assert before.prefix() == after.prefix()


async def test_an_agent_may_hand_work_to_the_projects_agents_and_their_hooks_do_not_run(
    agents: Agents, tmp_path: Path
) -> None:
    worker = agents.projects("tools: Bash", hook("PreToolUse", f"touch {tmp_path}/hook"))
    leader = agents.projects("tools: Agent, Bash")  # it can hand on what it may do itself
    order = {"description": "d", "prompt": "[[bash echo at work]]", "subagent_type": worker}

    answer = text_of(await agents.invoke(leader, f"[[tool Agent {json.dumps(order)}]]"))
    assert "bash: at work" in answer
    assert names_in(tmp_path) == []
