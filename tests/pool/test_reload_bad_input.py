"""Whatever is written into the files of a running pool: what held is replaced whole, or stays."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from supervisor.agents import Folders
from supervisor.place import built_in
from supervisor.pool.config import ConfigFiles, ConfigInForce, Problem, changes_between
from supervisor.pool.outcome import PoolError
from supervisor.pool.roles import Roles
from supervisor.pool.trust import distrust, trust

SHIPPED = Path(built_in()) / "config" / "pool.toml"
GOOD = b'[pool]\nlinger = "7s"\n[agents.one]\nqueue_limit = 7\n'
AGENT = b"---\nname: one\ndescription: It works.\ntools: [Read, Grep]\n---\nYou are ONE.\n"


def damaged(whole: bytes) -> st.SearchStrategy[bytes]:
    """Bytes as an interrupted or a mistaken editor leaves them."""

    def cut(at: tuple[int, int, bytes]) -> bytes:
        first, last = sorted(at[:2])
        return whole[:first] + at[2] + whole[last:]

    places = st.integers(0, len(whole))
    return st.tuples(places, places, st.binary(max_size=12)).map(cut) | st.binary(max_size=200)


def in_force(folder: Path) -> tuple[Path, ConfigInForce]:
    path = folder / ".claude" / "pool.toml"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(GOOD)
    environ = {"HOME": str(folder / "home")}
    return path, ConfigInForce(ConfigFiles.find(folder, environ, SHIPPED), environ)


def roles(folder: Path) -> tuple[Path, Roles]:
    path = folder / ".claude" / "agents" / "one.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(AGENT)
    _, config = in_force(folder)
    environ = {"HOME": str(folder / "home")}
    folders = Folders.resolve(folder, environ, folder / "home", folder / "nothing")
    return path, Roles(folder, environ, folders, lambda: config.config)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=damaged(GOOD))
def test_a_pool_toml_holds_whole_or_not_at_all(tmp_path: Path, data: bytes) -> None:
    path, config = in_force(tmp_path)
    before = config.config
    path.write_bytes(data)
    config.read_again()

    assert config.error is None
    if config.refused:
        assert config.config is before
        assert all(str(path) in str(problem) for problem in config.refused)
    else:
        assert config.config == ConfigFiles(SHIPPED, (path,)).load()


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=damaged(AGENT))
def test_a_definition_has_its_agent_changed_or_as_it_was(tmp_path: Path, data: bytes) -> None:
    path, agents = roles(tmp_path)
    before = agents.define("one")
    path.write_bytes(data)
    agents.read_again()

    if agents.refused:
        assert agents.define("one").digest == before.digest
        assert all(f.path == path for f in agents.refused["one"].findings)
    elif "one" in agents.names:
        assert agents.define("one").source == path


def test_what_is_trusted_no_longer_is_not_kept(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path / "home")}
    path, _ = in_force(tmp_path)
    trust(tmp_path, environ)
    path.write_text('[defaults.agent]\ncommand = "mine"\n')
    config = ConfigInForce(ConfigFiles.find(tmp_path, environ, SHIPPED), environ)
    assert config.config.defaults.agent.command == "mine"

    distrust(tmp_path, environ)
    path.write_text("[broken")
    config.read_again()
    assert config.config.defaults.agent.command == "claude"
    assert config.error is not None


def test_what_is_trusted_no_longer_is_not_kept_for_what_cannot_be_started_without_it(
    tmp_path: Path,
) -> None:
    environ = {"HOME": str(tmp_path / "home")}
    path, _ = in_force(tmp_path)
    trust(tmp_path, environ)
    path.write_text('[defaults.agent]\npermission_mode = "bypassPermissions"\n')
    config = ConfigInForce(ConfigFiles.find(tmp_path, environ, SHIPPED), environ)
    trusted = config.config
    assert trusted.defaults.agent.permission_mode == "bypassPermissions"

    distrust(tmp_path, environ)
    without = Problem(path, None, "agents.one.command", "cannot be started")
    config.read_again(lambda one: [] if one.config is trusted else [without])
    assert config.config.defaults.agent.permission_mode == "acceptEdits"


def test_a_removed_agent_serves_nobody_by_what_is_trusted_no_longer(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path / "home")}
    trust(tmp_path, environ)
    path, agents = roles(tmp_path)
    path.unlink()
    agents.read_again()
    assert agents.serving("one").source == path

    distrust(tmp_path, environ)
    agents.read_again()
    with pytest.raises(PoolError, match="unknown_agent"):
        agents.serving("one")


def test_an_agent_that_was_broken_from_the_start_is_no_agent(tmp_path: Path) -> None:
    path, _ = roles(tmp_path)
    path.write_bytes(AGENT.replace(b"Read, Grep]", b"Read"))
    environ = {"HOME": str(tmp_path / "home")}
    folders = Folders.resolve(tmp_path, environ, tmp_path / "home", tmp_path / "nothing")
    config = ConfigFiles(SHIPPED).load()
    agents = Roles(tmp_path, environ, folders, lambda: config)
    with pytest.raises(PoolError, match="tools"):
        agents.define("one")
    path.write_bytes(AGENT)
    agents.read_again()
    assert agents.define("one").system_prompt == "You are ONE."


def test_changes_are_told_key_by_key_where_they_were_said(tmp_path: Path) -> None:
    path, config = in_force(tmp_path)
    before = config.config
    path.write_text(
        '[agents.two]\nmodel = "opus"\n[supervisors.team]\n'
        "[defaults.agent]\nretries = 2\n[agents.one]\nqueue_limit = 8\n"
    )
    config.read_again()

    assert sorted(changes_between(before, config.config)) == [
        "agents.one.queue_limit: 7 → 8",
        'agents.two.model: not said → "opus"',
        "agents.two: not said → {}",
        "defaults.agent.retries: 0 → 2",
        'pool.linger: "7s" → "1min"',
        "supervisors.team: not said → {}",
    ]
