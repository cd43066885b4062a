"""What several files make together, and whose a mistake is."""

from pathlib import Path

import pytest

from supervisor.pool.config import ConfigError, ConfigFiles
from tests.pool.config.conftest import SHIPPED, Files

# several files


def test_the_file_of_the_variable_comes_before_the_projects_and_that_before_the_users(
    files: Files,
) -> None:
    files.write(files.asked_for, '[pool]\nlinger = "1s"\n')
    files.write(files.project, '[pool]\nlinger = "2s"\ndisconnect_grace = "2s"\n')
    files.write(
        files.user, '[pool]\nlinger = "3s"\ndisconnect_grace = "3s"\nshutdown_grace = "3s"\n'
    )

    pool = files.load().pool

    assert (pool.linger, pool.disconnect_grace, pool.shutdown_grace) == (1, 2, 3)


def test_what_all_of_them_leave_open_the_shipped_file_fills(files: Files) -> None:
    files.write(files.user, '[defaults.supervisor.backoff]\ninitial = "1s"\n')

    backoff = files.load().defaults.supervisor.backoff

    assert (backoff.initial, backoff.maximum) == (1, 10)


def test_an_agents_table_stands_upon_the_defaults_of_all_files(files: Files) -> None:
    files.write(files.project, '[agents.x]\nqueue_limit = 3\n[agents.y]\nrestart = "temporary"\n')
    files.write(files.user, '[defaults.agent]\ntask_timeout = "9s"\n[agents.x]\nshutdown = "1s"\n')

    config = files.load()

    x = config.agent("x")
    assert (x.queue_limit, x.shutdown, x.task_timeout, x.restart) == (3, 1, 9, "permanent")
    assert config.agent("y").restart == "temporary"
    assert config.agent("z") == config.defaults.agent


def test_the_users_file_is_looked_for_where_xdg_config_home_says(tmp_path: Path) -> None:
    own = tmp_path / "config" / "agent-pool" / "pool.toml"
    own.parent.mkdir(parents=True)
    own.write_text('[pool]\nlinger = "7s"\n')
    environ = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}

    assert ConfigFiles.find(tmp_path, environ, SHIPPED).load().pool.linger == 7


def test_the_signature_changes_with_any_file(files: Files) -> None:
    found = files.find()
    seen = {found.signature()}
    files.write(files.user, "[pool]\n")
    seen.add(found.signature())
    files.write(files.project, "[pool]\n")
    seen.add(found.signature())
    files.user.unlink()
    seen.add(found.signature())

    assert len(seen) == 4


def test_a_configuration_cannot_be_changed(files: Files) -> None:
    config = files.load()

    with pytest.raises(ValueError, match="frozen"):
        config.pool.spawn_limit = 4


def test_several_files_that_are_asked_for_come_in_their_order(files: Files, tmp_path: Path) -> None:
    first = files.write(tmp_path / "1.toml", '[pool]\nlinger = "1s"\n')
    second = files.write(tmp_path / "2.toml", '[pool]\nlinger = "2s"\nshutdown_grace = "2s"\n')
    files.environ["AGENT_POOL_CONFIG"] = f"{first}:{second}"

    pool = files.load().pool

    assert (pool.linger, pool.shutdown_grace) == (1, 2)


def test_an_agents_own_keys_are_those_of_its_table_in_any_file(files: Files) -> None:
    files.write(files.project, "[agents.x]\nqueue_limit = 3\n")
    files.write(files.user, '[agents.x]\nshutdown = "1s"\n[defaults.agent]\nmax_tasks = 7\n')

    config = files.load()

    assert config.own("x") == {"queue_limit", "shutdown"}
    assert config.own("y") == frozenset()


def test_a_value_knows_where_it_was_written(files: Files) -> None:
    project = files.write(files.project, "[agents.x]\n\nqueue_limit = 3\n")
    user = files.write(files.user, '[defaults.agent]\nshutdown = "1s"\n')

    origin = files.find().read().origin

    assert str(origin(("agents", "x", "queue_limit"))) == f"{project}:3"
    assert str(origin(("agents", "x", "shutdown"))) == f"{user}:2"
    assert origin(("pool", "linger")).path == SHIPPED


def test_configurations_are_equal_where_nothing_differs(files: Files) -> None:
    files.write(files.project, "[agents.x]\nqueue_limit = 3\n")
    before = files.load()
    files.write(files.project, "# another text\nagents.x.queue_limit = 3\n")
    same = files.load()
    files.write(files.project, "[agents.x]\nqueue_limit = 4\n")
    other = files.load()

    assert before == same != other
    assert before.defaults == other.defaults
    assert before.agent("x") != other.agent("x")


# agents that no file defines


def test_a_table_of_no_agent_is_told_with_the_nearest_name(files: Files) -> None:
    path = files.write(files.project, "[agents.reviewer]\n\n[agents.code-reviwer]\n")

    (found,) = files.find().read().undefined({"reviewer", "code-reviewer"})

    assert str(found) == (
        f"{path}:3: agents.code-reviwer: no file defines an agent "
        '"code-reviwer"; did you mean "code-reviewer"?'
    )


def test_a_table_of_no_agent_is_told_with_those_there_are(files: Files) -> None:
    files.write(files.project, "[agents.xyzzy]\n")

    (found,) = files.find().read().undefined({"b", "a"})

    assert found.message.endswith('an agent "xyzzy" (there are: a, b)')


def test_the_users_file_may_speak_of_other_projects_agents(files: Files) -> None:
    files.write(files.user, "[agents.xyzzy]\n[agents.code-reviwer]\n")

    found = files.find().read().undefined({"code-reviewer"})

    assert [problem.key for problem in found] == ["agents.code-reviwer"]


# mistakes


def test_a_wrong_default_is_told_once_however_many_agents_stand_upon_it(files: Files) -> None:
    path = files.write(files.user, '[defaults.agent]\nrestart = "no"\n[agents.x]\n[agents.y]\n')

    assert files.problem().startswith(f'{path}:2: defaults.agent.restart: "no" does not fit')


def test_all_findings_of_all_files_are_told_at_once(files: Files, tmp_path: Path) -> None:
    files.ask_for(tmp_path / "nowhere.toml")
    files.write(files.project, "[pool\n")
    files.write(files.user, '[pool]\nlinger = "x"\nspawn_limit = -1\n[logs]\nlevl = "info"\n')

    problems = files.problems()

    assert [(one.path.name, one.line, one.key) for one in problems] == [
        ("nowhere.toml", None, ""),
        ("pool.toml", 1, ""),
        ("pool.toml", 2, "pool.linger"),
        ("pool.toml", 3, "pool.spawn_limit"),
        ("pool.toml", 5, "logs.levl"),
    ]


def test_what_does_not_fit_together_is_told_with_what_is_wrong_by_itself(files: Files) -> None:
    files.write(
        files.user,
        """\
[pool]
lnger = "1s"
[agents.a]
supervisor = "nobody"
queue_limit = 0
[supervisors.g]
parent = "g"
intensity = -1
[supervisors.h]
backoff = 1
[agents.b]
supervisor = "h"
tools = ["Read", 1]
""",
    )

    assert [(one.line, one.key) for one in files.problems()] == [
        (2, "pool.lnger"),
        (4, "agents.a.supervisor"),
        (5, "agents.a.queue_limit"),
        (7, "supervisors.g.parent"),
        (8, "supervisors.g.intensity"),
        (10, "supervisors.h.backoff"),
        (13, "agents.b.tools"),
    ]


@pytest.mark.parametrize("broken", ["[supervisors.g\n", "[supervisors.g]\nx = \xff\n"])
def test_who_names_a_group_of_a_file_that_cannot_be_read_is_not_blamed(
    files: Files, broken: str
) -> None:
    files.write(files.project, broken.encode("latin-1"))
    files.write(files.user, '[agents.a]\nsupervisor = "g"\n[pool]\nlnger = "1s"\n')

    assert [(one.path, one.key) for one in files.problems()] == [
        (files.project, ""),
        (files.user, "pool.lnger"),
    ]


def test_a_group_that_is_no_table_is_told_once(files: Files) -> None:
    files.write(files.user, 'supervisors = { g = 1 }\n[agents.a]\nsupervisor = "g"\n')

    assert files.problem().endswith("a table is expected here: [supervisors.g]")


def test_an_error_says_each_of_its_findings(files: Files) -> None:
    files.write(files.user, '[pool]\nlinger = "x"\nspawn_limit = -1\n')

    with pytest.raises(ConfigError) as caught:
        files.load()

    assert "pool.linger" in str(caught.value)
    assert "pool.spawn_limit" in str(caught.value)


def test_a_mistake_is_told_of_the_file_that_makes_it(files: Files) -> None:
    files.write(files.project, '[pool]\nlinger = "1s"\n')
    user = files.write(files.user, '[pool]\nshutdown_grace = "x"\n')

    assert files.problem().startswith(f"{user}:2: pool.shutdown_grace: ")


def test_a_file_that_the_variable_names_has_to_be_there(files: Files, tmp_path: Path) -> None:
    files.ask_for(tmp_path / "nowhere.toml")

    assert files.problem() == (
        f"{tmp_path}/nowhere.toml: this file is asked for (--config or $AGENT_POOL_CONFIG), "
        "and is not there"
    )


def test_a_folder_where_a_file_should_be_is_told(files: Files, tmp_path: Path) -> None:
    files.ask_for(tmp_path)

    assert files.problem().startswith(f"{tmp_path}: unreadable: ")


def test_a_file_where_an_optional_folder_would_be_is_no_mistake(
    files: Files, tmp_path: Path
) -> None:
    files.write(tmp_path / "project" / ".claude", "not a folder")

    assert files.load().pool.linger == 60


def test_a_file_that_is_no_utf_8_is_told_with_its_line(files: Files) -> None:
    path = files.write(files.project, b'[pool]\n\nlinger = "\xff"\n')

    assert files.problem().startswith(f"{path}:3: this is no UTF-8: ")


# groups


def test_a_group_takes_from_the_defaults_what_it_leaves_open(files: Files) -> None:
    files.write(
        files.project,
        """
        [supervisors.delivery]
        strategy = "rest_for_one"
        backoff.initial = "1s"
        [supervisors.inner]
        parent = "delivery"
        [agents.planner]
        supervisor = "delivery"
        """,
    )
    config = files.load()

    group = config.supervisors["delivery"]
    assert (group.strategy, group.parent, group.intensity) == ("rest_for_one", "", 5)
    assert (group.backoff.initial, group.backoff.maximum) == (1, 10)
    assert config.supervisors["inner"].parent == "delivery"
    assert config.agent("planner").supervisor == "delivery"
    assert config.agent("other").supervisor == ""


def test_groups_and_agents_keep_the_order_of_their_tables(files: Files) -> None:
    names = ["zeta", "alpha", "mu"]
    files.write(
        files.project,
        "\n".join(f'[agents.{name}]\nsupervisor = "g"' for name in names) + "\n[supervisors.g]",
    )

    assert list(files.load().agents) == names
