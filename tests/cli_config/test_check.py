"""`agent-pool check`: all that is wrong, at once, with its place; nothing is started."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cli_config.conftest import Desk, Run


def test_a_desk_in_order_is_status_0(run: Run) -> None:
    done = run("check", "--strict")

    assert (done.status, done.err) == (0, "")
    assert done.lines[-1] == "nothing is wrong"


def test_all_findings_are_told_at_once_errors_first(desk: Desk, run: Run) -> None:
    desk.write(desk.own, '[pool]\nlnger = "1s"\nbudget = "1"\n')
    agent = desk.write_agent("bad", "permissionMode: none-such")
    desk.install("2.0.1")

    done = run("check")

    assert done.status == 2
    errors = [
        line for line in done.lines[:-1] if ": warning: " not in line and ": note: " not in line
    ]
    assert done.lines[: len(errors)] == errors
    assert [line.split(": ")[0] for line in errors] == [
        f"{desk.own}:2",
        f"{desk.own}:3",
        f"{agent}:4",
        "defaults.agent.command",
    ]
    assert 'did you mean "linger"?' in errors[0]
    assert done.lines[-1].startswith("4 errors, ")


def test_a_warning_counts_only_where_it_is_asked_for(desk: Desk, run: Run) -> None:
    desk.write(desk.own, "[agents.code-reviwer]\n")

    assert run("check").status == 0
    strict = run("check", "--strict")

    assert strict.status == 1
    assert f"{desk.own}:1: agents.code-reviwer: warning: no file defines an agent" in strict.out
    assert 'did you mean "code-reviewer"?' in strict.out


def test_json_is_one_object_with_every_finding(desk: Desk, run: Run) -> None:
    desk.write(desk.own, '[pool]\nlnger = "1s"\n')

    record = run("check", "--json").record

    assert (record["root"], record["errors"], record["warnings"]) == (str(desk.root), 1, 0)
    first = record["findings"][0]
    assert (first["severity"], first["path"], first["line"], first["key"]) == (
        "error",
        str(desk.own),
        2,
        "pool.lnger",
    )


def test_nothing_is_started_and_nothing_is_written(
    desk: Desk, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*args: Any, **kwargs: Any) -> None:
        raise AssertionError(args)

    for name in ("posix_spawn", "fork", "execve", "system"):
        monkeypatch.setattr(os, name, refused)
    monkeypatch.setattr(subprocess, "Popen", refused)
    before = sorted(desk.root.parent.rglob("*"))

    assert run("check").status == 0
    assert sorted(desk.root.parent.rglob("*")) == before


# pool.toml and the variables


def test_a_wrong_file_does_not_hide_what_else_is_wrong(desk: Desk, run: Run) -> None:
    desk.write(desk.own, "[pool\n")
    desk.write_agent("bad", "permissionMode: none-such")

    assert {f["path"] for f in run("check", "--json").record["findings"]} >= {
        str(desk.own),
        str(desk.root / ".claude" / "agents" / "bad.md"),
    }


def test_what_is_left_out_of_an_untrusted_file_is_a_warning_also_beside_errors(
    desk: Desk, run: Run
) -> None:
    desk.write(desk.own, '[agents.x]\ncommand = "evil"\nqueue_limit = 0\n')

    said = run("check").out

    assert f"{desk.own}:2: agents.x.command: warning: left out" in said
    assert f"{desk.own}:3: agents.x.queue_limit: error: 0 does not fit" in said


def test_a_file_that_is_asked_for_is_checked(desk: Desk, run: Run) -> None:
    mine = desk.write(desk.root / "mine.toml", "[pool]\nx = 1\n")

    assert f"{mine}:2: pool.x: error: no such key" in run("check", "--config", "mine.toml").out
    missing = run("check", "--config", "nowhere.toml")
    assert missing.status == 2
    assert f"{desk.root}/nowhere.toml: error: this file is asked for" in missing.out


def test_a_wrong_variable_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASK_TIMEOUT_MS", "soon")

    assert 'environment: TASK_TIMEOUT_MS: error: "soon" does not fit' in run("check").out


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_file_that_others_may_write_is_told(desk: Desk, run: Run, mode: int) -> None:
    desk.write(desk.user, "", mode)

    done = run("check", "--strict")

    assert done.status == 1
    assert f"{desk.user}: warning: others may write this file" in done.out
    assert f"chmod go-w {desk.user}" in done.out


def test_a_list_of_trusted_projects_that_is_none_is_told(desk: Desk, run: Run) -> None:
    path = desk.write(desk.user.parent / "trusted.json", "{")

    done = run("check")

    assert done.status == 2
    assert f"{path} is no JSON" in done.out


# agents


def test_warnings_of_definitions_are_told(desk: Desk, run: Run) -> None:
    agent = desk.write_agent("mine", "colour: red")

    assert f"{agent}:4: colour: warning: unknown key" in run("check").out


def test_a_skill_that_is_not_there_is_told(desk: Desk, run: Run) -> None:
    agent = desk.write_agent("mine", "skills: nowhere")

    done = run("check", "--strict")

    assert done.status == 1
    assert f"{agent}:4: skills: " in done.out


def test_a_folder_of_agents_that_is_not_there_is_told(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTS_DIR", "/nowhere")

    assert "/nowhere: warning: AGENTS_DIR names a folder that does not exist" in run("check").out


def test_a_bypass_that_is_not_granted_is_a_warning(desk: Desk, run: Run) -> None:
    agent = desk.write_agent("mine", "permissionMode: bypassPermissions")

    assert f"{agent}: warning: permissionMode: bypassPermissions is not granted" in run("check").out


def test_who_runs_without_permissions_is_told(desk: Desk, run: Run) -> None:
    desk.write_agent("mine")
    desk.write(desk.user, '[agents.mine]\npermission_mode = "bypassPermissions"\n')

    done = run("check", "--strict")

    assert done.status == 0
    assert "agents.mine: note: runs without asking for any permission" in done.out


def test_a_working_directory_that_is_not_there_is_an_error(desk: Desk, run: Run) -> None:
    desk.write_agent("mine")
    desk.write(desk.own, '[agents.mine]\n\nworking_directory = "sub"\n')

    done = run("check")

    assert done.status == 2
    place = f"{desk.own}:3: agents.mine.working_directory"
    assert f"{place}: error: {desk.root}/sub is no folder" in done.out


def test_a_further_directory_that_is_not_there_is_a_warning(desk: Desk, run: Run) -> None:
    desk.write_agent("mine")
    desk.write(desk.own, '[agents.mine]\nextra_directories = [".", "sub"]\n')

    done = run("check", "--strict")

    assert done.status == 1
    assert f"extra_directories: warning: {desk.root}/sub is no folder" in done.out


# the CLI


def test_the_cli_and_its_version_are_told(desk: Desk, run: Run) -> None:
    assert f"note: {desk.bin}/claude: Claude Code 2.1.197" in run("check").out


def test_no_cli_is_an_error_with_what_to_do(desk: Desk, run: Run) -> None:
    (desk.bin / "claude").unlink()

    done = run("check")

    assert done.status == 2
    assert "no such program on the PATH" in done.out
    assert "npm install -g @anthropic-ai/claude-code" in done.out


def test_a_cli_that_the_variable_names_is_blamed_on_it(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLAUDE_CLI", "./nothing")

    assert "environment: CLAUDE_CLI: error: the agent CLI " in run("check").out


def test_a_cli_that_a_table_names_is_blamed_on_its_line(desk: Desk, run: Run) -> None:
    desk.write_agent("mine")
    desk.write(desk.user, '[agents.mine]\ncommand = "nothing"\n')

    assert f'{desk.user}:2: agents.mine.command: error: the agent CLI "nothing"' in run("check").out


@pytest.mark.parametrize(
    ("version", "status", "lack"),
    [
        ("2.0.59", 2, "agents need 2.0.60 or newer"),
        ("2.0.60", 1, "each task costs a new process"),
        ("2.1.149", 1, "each task costs a new process"),
        ("2.1.150", 0, "cannot take its last task back"),
        ("2.1.174", 0, "max_cost_usd interrupts none"),
        ("2.1.79", 1, "cannot be asked to end"),
        ("2.1.49", 1, "knows no effort"),
        ("2.0.76", 1, "leaves a file of every task"),
    ],
)
def test_what_a_version_lacks_is_told(
    desk: Desk, run: Run, version: str, status: int, lack: str
) -> None:
    desk.install(version)

    done = run("check", "--strict")

    assert done.status == status
    assert lack in done.out


@pytest.mark.parametrize("version", ["2.1.197", "2.1.332", "3.0.0"])
def test_a_newer_version_lacks_nothing(desk: Desk, run: Run, version: str) -> None:
    desk.install(version)

    assert "Claude Code" not in run("check").out.replace(f"Claude Code {version}\n", "")


def test_of_a_context_that_cannot_be_cleared_it_is_not_said_that_clear_is_used(
    desk: Desk, run: Run
) -> None:
    desk.install("2.1.50")

    assert "/clear" not in run("check").out


def test_a_stand_in_tells_no_version_and_needs_no_login(
    desk: Desk, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    standin = desk.write(desk.bin / "standin", "#!/bin/sh\n", 0o755)
    monkeypatch.setenv("CLAUDE_CLI", str(standin))

    done = run("check", "--strict")

    assert done.status == 0
    assert "its installation does not tell: agent-pool doctor asks it" in done.out


@pytest.mark.parametrize("command", ["check", "doctor"])
def test_the_rehearsal_agent_is_known_and_not_asked_for_a_version(
    desk: Desk, run: Run, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    program = desk.write(desk.bin / "agent-pool", "#!/bin/sh\n", 0o755)
    monkeypatch.setenv("CLAUDE_CLI", f"{program} rehearsal")

    said = run(command).out

    assert f"{program} rehearsal: agent-pool's own rehearsal agent, a stand-in" in said
    assert "does not tell" not in said


# the login


def test_a_login_is_told_by_its_kind_and_never_by_its_value(run: Run) -> None:
    done = run("check")

    assert "login: note: logged in by $ANTHROPIC_API_KEY" in done.out
    assert "not-to-be-told" not in done.out


def test_no_sign_of_a_login_is_a_warning(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY")

    done = run("check", "--strict")

    assert done.status == 1
    assert "login: warning: no sign of a login of Claude Code: run claude once" in done.out


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (".claude/.credentials.json", "{}"),
        (".claude/settings.json", '{"apiKeyHelper": "/bin/key"}'),
        (".claude.json", '{"oauthAccount": {"emailAddress": "x"}}'),
    ],
)
def test_a_login_in_a_file_is_seen(
    desk: Desk, run: Run, monkeypatch: pytest.MonkeyPatch, file: str, text: str
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    desk.write(desk.home / file, text)

    assert str(desk.home / file) in run("check", "--strict").out


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 100_000, '{"apiKeyHelper": ""}'])
def test_a_file_that_holds_no_login_is_none(
    desk: Desk, run: Run, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    desk.write(desk.home / ".claude" / "settings.json", text)

    assert "no sign of a login" in run("check").out


# the state folder


def test_a_state_folder_that_cannot_be_made_is_an_error(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", os.devnull)

    done = run("check")

    assert done.status == 2
    assert "/dev/null is not a folder; make it writable, or set XDG_STATE_HOME" in done.out


def test_a_state_folder_that_is_none_is_told_by_every_command(desk: Desk, run: Run) -> None:
    desk.write(desk.user, "[pool]\nstate_folder = 1\n")

    checked, status = run("check"), run("status")

    assert (checked.status, status.status) == (2, 1)
    assert f"{desk.user}: pool.state_folder: 1 does not fit" in checked.out
    assert f"agent-pool: {desk.user}: pool.state_folder: 1 does not fit" in status.err


def test_names_that_are_no_utf_8_are_printed(desk: Desk, run: Run) -> None:
    odd = Path(f"{desk.root}/.claude/agents/\udc80.md")
    odd.parent.mkdir()
    odd.write_text("x")

    assert run("check").status in (0, 2)


def test_an_agent_is_told_of_sub_agents_that_would_have_no_tool_in_its_hands(
    desk: Desk, run: Run
) -> None:
    leader = desk.write_agent("leader", "tools: Agent, Read")
    desk.write_agent("runner", "tools: Bash(make:*)")
    desk.write_agent("scout", "tools: Read, Grep")

    done = run("check")

    (told,) = [line for line in done.lines if "hand work to" in line]
    assert told.startswith(f"{leader}: tools: warning: leader may hand work to runner, ")


@pytest.mark.parametrize(
    "tools",
    ["Read", "Agent, Bash", "Agent(scout), Read", '"*"', "Agent(runner), Bash(git log:*)"],
)
def test_an_agent_whose_sub_agents_have_what_they_need_is_told_nothing(
    desk: Desk, run: Run, tools: str
) -> None:
    desk.write_agent("leader", f"tools: {tools}")
    desk.write_agent("runner", "tools: Bash")
    desk.write_agent("scout", "tools: Read, Bash")

    assert "hand work to" not in run("check").out
