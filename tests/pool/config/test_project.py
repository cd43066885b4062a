"""What a project's own pool.toml may not decide, until its user trusts it."""

import os
from pathlib import Path

import pytest

from supervisor.pool.trust import distrust, trust
from tests.pool.config.conftest import Files

UNTRUSTED = {
    "command": ('command = "./evil.sh"', "choose the program that agents run"),
    "extra_arguments": (
        'extra_arguments = ["--mcp-config", "evil.json"]',
        "choose arguments of the agent CLI",
    ),
    "environment": ('environment = ["GITHUB_TOKEN"]', "hand your variables to agents"),
    "permission_mode": ('permission_mode = "bypassPermissions"', "bypass permissions"),
    "extra_directories": (
        'extra_directories = ["docs", "../other"]',
        "open folders outside of the project",
    ),
    "working_directory": ('working_directory = "/"', "run outside of the project"),
}


@pytest.mark.parametrize("table", ["defaults.agent", "agents.x"])
@pytest.mark.parametrize("key", UNTRUSTED)
def test_what_would_run_code_is_left_out_with_its_place_and_the_way_out(
    files: Files, table: str, key: str
) -> None:
    said, what = UNTRUSTED[key]
    path = files.write(files.project, f"[{table}]\nqueue_limit = 7\n{said}\n")

    loaded = files.find().read()

    agent = loaded.config.agent("x")
    assert getattr(agent, key) == getattr(Files(Path("/nowhere")).load().defaults.agent, key)
    assert agent.queue_limit == 7
    (warning,) = loaded.warnings
    assert str(warning).startswith(f"{path}:3: {table}.{key}: left out: ")
    assert what in warning.message
    assert f'"agent-pool trust {files.root}"' in warning.message
    assert str(files.user) in warning.message


@pytest.mark.parametrize("key", UNTRUSTED)
def test_of_a_project_that_is_trusted_it_counts(files: Files, key: str) -> None:
    files.write(files.project, f"[agents.x]\n{UNTRUSTED[key][0]}\n")
    trust(files.root, files.environ)

    loaded = files.find().read()

    assert loaded.warnings == ()
    assert key in loaded.config.own("x")


@pytest.mark.parametrize("trusted", [False, True])
@pytest.mark.parametrize(
    "said", ['address = "127.0.0.1:1"', "allow_remote = true", 'allowed_hosts = ["evil.example"]']
)
def test_only_a_trusted_project_may_open_the_pool_to_the_network(
    files: Files, said: str, trusted: bool
) -> None:
    path = files.write(files.project, f'[http]\n{said}\nidle_timeout = "1s"\n')
    if trusted:
        trust(files.root, files.environ)

    loaded = files.find().read()

    key = said.split()[0]
    as_built_in = getattr(Files(Path("/nowhere")).load().http, key)
    assert (getattr(loaded.config.http, key) == as_built_in) is not trusted
    assert loaded.config.http.idle_timeout == 1
    told = [str(warning) for warning in loaded.warnings]
    assert [one.startswith(f"{path}:2: http.{key}: left out: ") for one in told] == (
        [] if trusted else [True]
    )


@pytest.mark.parametrize("whose", ["user", "asked_for"])
@pytest.mark.parametrize("key", UNTRUSTED)
def test_the_users_own_files_may_say_it(files: Files, whose: str, key: str) -> None:
    files.write(getattr(files, whose), f"[agents.x]\n{UNTRUSTED[key][0]}\n")

    loaded = files.find().read()

    assert loaded.warnings == ()
    assert key in loaded.config.own("x")


@pytest.mark.parametrize(
    "text",
    [
        'agents = { x = { command = "evil" } }\n',
        'agents.x.command = "evil"\n',
        '["agents"]\n"x".command = "evil"\n',
    ],
)
def test_it_is_left_out_however_it_is_written(files: Files, text: str) -> None:
    files.write(files.project, text)

    assert files.load().agent("x").command == "claude"
    assert "agents.x.command: left out" in files.warning()


def test_what_the_user_says_fills_what_was_left_out(files: Files) -> None:
    files.write(files.project, '[agents.x]\ncommand = "evil"\n')
    files.write(files.user, '[agents.x]\ncommand = "mine"\n')

    assert files.load().agent("x").command == "mine"


@pytest.mark.parametrize(
    "said",
    [
        'extra_directories = ["docs", "./a/.."]',
        'working_directory = "sub"',
        'permission_mode = "plan"',
        "environment = []",
        'model = "opus"',
        'tools = ["Read"]',
    ],
)
def test_everything_else_counts_at_once(files: Files, said: str) -> None:
    files.write(files.project, f"[agents.x]\n{said}\n")

    loaded = files.find().read()

    assert loaded.warnings == ()
    assert len(loaded.config.own("x")) == 1


def test_a_link_out_of_the_project_is_outside(files: Files, tmp_path: Path) -> None:
    files.write(files.project, '[agents.x]\nworking_directory = "link"\n')
    (files.root / "link").symlink_to(tmp_path)

    assert "run outside of the project" in files.warning()


@pytest.mark.parametrize("trusted", [False, True])
def test_where_the_state_is_kept_no_project_may_say(files: Files, trusted: bool) -> None:
    path = files.write(files.project, '[pool]\nstate_folder = "/etc"\n')
    if trusted:
        trust(files.root, files.environ)

    assert files.load().pool.state_folder == ""
    assert files.warning().startswith(f"{path}:2: pool.state_folder: left out: only your own file")


def test_what_is_wrong_besides_is_told_all_the_same(files: Files) -> None:
    files.write(files.project, '[agents.x]\ncommand = "evil"\nqueue_limit = 0\n')

    assert "agents.x.queue_limit: 0 does not fit" in files.problem()


def test_the_signature_changes_when_the_project_becomes_trusted(files: Files) -> None:
    found = files.find()
    before = found.signature()
    trust(files.root, files.environ)
    trusted = found.signature()
    distrust(files.root, files.environ)

    assert len({before, trusted, found.signature()}) == 3


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_a_list_of_somebody_else_makes_nobody_trusted(files: Files) -> None:
    files.write(files.project, '[agents.x]\ncommand = "evil"\n')
    trust(files.root, files.environ)
    os.chown(files.user.parent / "trusted.json", 4711, 4711)

    assert files.load().agent("x").command == "claude"


@pytest.mark.parametrize("mode", ["acceptEdits", "auto"])
def test_questions_that_the_user_wants_asked_are_not_taken_away(files: Files, mode: str) -> None:
    files.write(files.user, '[defaults.agent]\npermission_mode = "ask"\n')
    files.write(files.project, f'[agents.x]\npermission_mode = "{mode}"\n')

    assert files.find().read().config.agent("x").permission_mode == "ask"

    trust(files.root, files.environ)
    assert files.find().read().config.agent("x").permission_mode == mode
