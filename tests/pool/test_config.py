"""pool.toml: what each file may say, what is made of several, and how mistakes are told."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from supervisor.pool.config import (
    Config,
    ConfigError,
    ConfigFiles,
    Problem,
    parse_duration,
    parse_size,
)

SHIPPED: Final = Path(__file__).resolve().parents[2] / "config" / "pool.toml"
TEXT: Final = SHIPPED.read_text(encoding="utf-8")


class Files:
    """The four places of pool.toml under one folder."""

    def __init__(self, folder: Path) -> None:
        self.asked_for = folder / "asked" / "mine.toml"
        self.project = folder / "project" / ".claude" / "pool.toml"
        self.user = folder / "home" / ".config" / "agent-pool" / "pool.toml"
        self._root = folder / "project"
        self._environ = {"HOME": str(folder / "home")}

    def write(self, path: Path, text: str | bytes) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        if path == self.asked_for:
            self._environ["AGENT_POOL_CONFIG"] = str(path)
        return path

    def ask_for(self, path: Path) -> None:
        self._environ["AGENT_POOL_CONFIG"] = str(path)

    def find(self) -> ConfigFiles:
        return ConfigFiles.find(self._root, self._environ, SHIPPED)

    def load(self) -> Config:
        return self.find().load()

    def problems(self) -> list[Problem]:
        with pytest.raises(ConfigError) as caught:
            self.load()
        return caught.value.problems

    def problem(self) -> str:
        (one,) = self.problems()
        return str(one)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def keys_of_model(table: type[BaseModel] = Config, at: str = "") -> Iterator[str]:
    for name, field in table.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from keys_of_model(kind, f"{at}{name}.")
        elif name not in ("agents", "supervisors"):  # tables of tables, under the user's names
            yield f"{at}{name}"


def keys_of_toml(table: Mapping[str, Any], at: str = "") -> Iterator[str]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from keys_of_toml(value, f"{at}{name}.")
        else:
            yield f"{at}{name}"


# the shipped file


def test_the_shipped_file_holds_every_key_of_the_model_and_no_other() -> None:
    assert sorted(keys_of_toml(tomllib.loads(TEXT))) == sorted(keys_of_model())


def test_without_files_the_shipped_one_holds(files: Files) -> None:
    config = files.load()

    assert config.pool.linger == 60
    assert config.defaults.supervisor.intensity == 5
    assert config.logs.max_size == 10 * 2**20


# durations and sizes

UNITS_S = {"ms": 0.001, "s": 1, "min": 60, "h": 3600, "d": 86400}
UNITS_B = {"B": 1, "kB": 1000, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


@given(
    st.integers(0, 10**9), st.sampled_from(sorted(UNITS_S)), st.sampled_from(["", " ", "  ", "\t"])
)
def test_a_duration_is_a_number_and_a_unit(number: int, unit: str, gap: str) -> None:
    assert parse_duration(f"{number}{gap}{unit}") == pytest.approx(number * UNITS_S[unit])


@given(st.integers(0, 10**6), st.integers(0, 99), st.sampled_from(sorted(UNITS_S)))
def test_a_duration_may_have_a_fraction(whole: int, hundredths: int, unit: str) -> None:
    written = f"{whole}.{hundredths:02}{unit}"

    assert parse_duration(written) == pytest.approx((whole + hundredths / 100) * UNITS_S[unit])


@given(st.integers(0, 10**6), st.sampled_from(sorted(UNITS_B)))
def test_a_size_is_a_whole_number_of_bytes(number: int, unit: str) -> None:
    size = parse_size(f"{number}{unit}")

    assert (type(size), size) == (int, number * UNITS_B[unit])


@given(st.text() | st.integers() | st.floats() | st.none() | st.lists(st.text()) | st.booleans())
@example("9" * 400 + "h")
@example("٣s")
@example("1e3s")
@example("-1s")
@example("1s\n")
@example("1 S")
def test_what_is_no_quantity_is_a_value_error_that_says_what_is_allowed(value: object) -> None:
    for parse, units in ((parse_duration, UNITS_S), (parse_size, UNITS_B)):
        words = "|".join(units)
        if isinstance(value, str) and re.fullmatch(
            rf"[0-9]{{1,300}}(\.[0-9]+)?\s*({words})", value
        ):
            continue
        with pytest.raises(ValueError, match=r"allowed is a (duration|size), such as "):
            parse(value)


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


# mistakes: path, line, key, value, what is allowed, a suggestion

MISTAKES = {
    "a wrong duration": (
        '[pool]\n\nlinger = "60"\n',
        r":3: pool\.linger: '60' does not fit: allowed is a duration, such as \"250ms\"",
    ),
    "a duration that is a number": ("[pool]\nlinger = 60\n", r":2: pool\.linger: 60 does not fit"),
    "a duration too large": (
        f'[pool]\nlinger = "{"9" * 400}s"\n',
        r":2: pool\.linger: '9{60,99} does not fit: it is too large",
    ),
    "a wrong size": (
        '[logs]\nmax_size = "10 mb"\n',
        r":2: logs\.max_size: '10 mb' does not fit: allowed is a size",
    ),
    "a size too large": (
        f'[logs]\nmax_size = "{"9" * 400}GiB"\n',
        r":2: logs\.max_size: .* does not fit: it is too large",
    ),
    "a misspelled key": (
        '# first\n[pool]\nlnger = "1s"\n',
        r":3: pool\.lnger: no such key; did you mean \"linger\"\? \(allowed: .*linger",
    ),
    "a key like no other": ("[pool]\nxyzzy = 1\n", r":2: pool\.xyzzy: no such key \(allowed: "),
    "a misspelled table": (
        "[deflauts.agent]\n",
        r":1: deflauts: no such key; did you mean \"defaults\"\?",
    ),
    "a misspelled key of an agent": (
        "[agents.x]\nqueue_limt = 1\n",
        r":2: agents\.x\.queue_limt: no such key; did you mean \"queue_limit\"\?",
    ),
    "a misspelled word": (
        '[defaults.agent]\nrestart = "permanant"\n',
        r":2: defaults\.agent\.restart: 'permanant' does not fit: .*'permanent', 'transient' or "
        r"'temporary'; did you mean \"permanent\"\?",
    ),
    "a period of no time": (
        '[defaults.supervisor]\nperiod = "0s"\n',
        r":2: defaults\.supervisor\.period: '0s' does not fit: .*greater than 0",
    ),
    "a backoff that begins above its maximum": (
        '[defaults.supervisor.backoff]\ninitial = "20s"\nmaximum = "10s"\n',
        r":3: defaults\.supervisor\.backoff\.maximum: '10s' does not fit: .*below initial",
    ),
    "a hard ceiling below the soft one": (
        '[defaults.agent]\nsoft_ceiling = "2GiB"\nhard_ceiling = "1GiB"\n',
        r":3: defaults\.agent\.hard_ceiling: '1GiB' does not fit: .*below the soft one",
    ),
    "a word like no other": (
        '[logs]\nlevel = "q"\n',
        r":2: logs\.level: 'q' does not fit: .*'debug', 'info', 'warning' or 'error'$",
    ),
    "a number too small": (
        "[defaults.agent]\nqueue_limit = 0\n",
        r":2: defaults\.agent\.queue_limit: 0 does not fit: .*greater than or equal to 1",
    ),
    "a number too large": (
        "[defaults.supervisor.backoff]\njitter = 1.5\n",
        r":2: defaults\.supervisor\.backoff\.jitter: 1\.5 does not fit: .*less than or equal to 1",
    ),
    "no number": ("[logs]\nkeep = nan\n", r":2: logs\.keep: nan does not fit: .*integer"),
    "a truth value for a number": (
        "[logs]\nkeep = true\n",
        r":2: logs\.keep: True does not fit: .*integer",
    ),
    "a text for a number": ('[logs]\nkeep = "5"\n', r":2: logs\.keep: '5' does not fit: .*integer"),
    "a table for a value": (
        "[pool.linger]\nx = 1\n",
        r":1: pool\.linger: \{'x': 1\} does not fit: allowed is a duration",
    ),
    "a value for a table": ("pool = 1\n", r":1: pool: 1 does not fit: a table is expected here"),
    "a value for all defaults": (
        "defaults = 1\n",
        r":1: defaults: 1 does not fit: a table is expected here",
    ),
    "a value for all agents": (
        "agents = 1\n",
        r":1: agents: 1 does not fit: a table is expected here",
    ),
    "a value for an agent": (
        "[agents]\nx = 1\n",
        r":2: agents\.x: 1 does not fit: a table is expected here",
    ),
    "a dotted key": ('pool.linger = "x"\n', r":1: pool\.linger: 'x' does not fit"),
    "a key in an inline table": (
        '\npool = { spawn_limit = 1, linger = "x" }\n',
        r":2: pool\.linger: 'x' does not fit",
    ),
    "a quoted key": ('["pool"]\n"linger" = "x"\n', r":2: pool\.linger: 'x' does not fit"),
    "a line after one with a line separator in it": (
        '[pool]\n# \u2028 \x85\nlinger = "x"\n',
        r":3: pool\.linger: 'x' does not fit",
    ),
    "lines that end as on windows": (
        '[pool]\r\n\r\nlinger = "x"\r\n',
        r":3: pool\.linger: 'x' does not fit",
    ),
    "no TOML": ("[pool]\nlinger = \n", r":2: no valid TOML: "),
    "a key twice": ('[pool]\nlinger = "1s"\nlinger = "2s"\n', r":3: no valid TOML: "),
    "a number of thousands of digits": (f"[logs]\nkeep = {'9' * 5000}\n", r": no valid TOML: "),
    "lists in lists without end": (f"x = {'[' * 5000}\n", r": no valid TOML: "),
    "tables in tables without end": (
        f"{'.'.join('a' * 3000)} = 1\n",
        r": no valid TOML: tables are nested too deeply",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_with_its_place_and_what_is_allowed(files: Files, name: str) -> None:
    text, pattern = MISTAKES[name]
    path = files.write(files.user, text)

    problems = [str(one) for one in files.problems()]

    assert re.search(re.escape(str(path)) + pattern, problems[0])


def test_a_wrong_default_is_told_once_however_many_agents_stand_upon_it(files: Files) -> None:
    path = files.write(files.user, '[defaults.agent]\nrestart = "no"\n[agents.x]\n[agents.y]\n')

    assert files.problem().startswith(f"{path}:2: defaults.agent.restart: 'no' does not fit")


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
        f"{tmp_path}/nowhere.toml: $AGENT_POOL_CONFIG names this file, and it is not there"
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


# what a project's own file may not say


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[defaults.agent]\npermission_mode = "bypassPermissions"\n', 2),
        ('[agents.x]\n\npermission_mode = "bypassPermissions"\n', 3),
        ('agents = { x = { permission_mode = "bypassPermissions" } }\n', 1),
        ('agents.x.permission_mode = "bypassPermissions"\n', 1),
    ],
)
def test_a_projects_own_file_may_not_bypass_permissions(files: Files, text: str, line: int) -> None:
    path = files.write(files.project, text)

    said = files.problem()

    assert said.startswith(f"{path}:{line}: ")
    assert "a project's own file may not bypass permissions" in said
    assert "~/.config/agent-pool/pool.toml" in said


@pytest.mark.parametrize("whose", ["user", "asked_for"])
def test_the_users_own_files_may_bypass_permissions(files: Files, whose: str) -> None:
    files.write(getattr(files, whose), '[agents.x]\npermission_mode = "bypassPermissions"\n')

    config = files.load()

    assert config.agent("x").permission_mode == "bypassPermissions"
    assert config.agent("y").permission_mode == "acceptEdits"


# anything at all

PIECES = (
    "[", "]", "[[", "]]", "=", ".", ",", "{", "}", '"', "'", '"""', "#", "\n", "\r", "\0",
    "true", "nan", "-1", "0x", "9" * 400, "1979-05-27", "agents", "defaults", "pool", "\ufeff",
    "[agents.x]\n", "[agents]\n", "x = 1\n", 'linger = "1s"\n', "permission_mode", "\u2028",
    "bypassPermissions", "é",
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    text = TEXT
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(text)))
        end = at + draw(st.sampled_from([0, 0, 1, 2, 8, 40]))
        piece = draw(st.sampled_from(PIECES) | st.text(max_size=5))
        text = text[:at] + piece + text[end:]
    return text.encode("utf-8", draw(st.sampled_from(["replace", "surrogatepass"])))


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=mutated() | st.binary(max_size=60))
def test_any_file_gives_a_configuration_or_located_mistakes(tmp_path: Path, data: bytes) -> None:
    files = Files(tmp_path)
    path = files.write(files.project, data)

    # Whatever else is raised fails the test.
    try:
        files.load()
        blamed = {path}
    except ConfigError as error:
        blamed = {problem.path for problem in error.problems}

    assert blamed == {path}


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


@pytest.mark.parametrize(
    ("text", "key", "reason"),
    [
        (
            '[agents.a]\nsupervisor = "nobody"',
            "agents.a.supervisor",
            "(allowed: none is configured",
        ),
        (
            '[supervisors.delivery]\n[agents.a]\nsupervisor = "delivry"',
            "agents.a.supervisor",
            'did you mean "delivery"?',
        ),
        ('[supervisors.a]\nparent = "b"', "supervisors.a.parent", "no such group"),
        (
            '[supervisors.a]\nparent = "a"',
            "supervisors.a.parent",
            "the group is within itself: a",
        ),
        (
            '[supervisors.a]\nparent = "b"\n[supervisors.b]\nparent = "a"',
            "supervisors.a.parent",
            "the group is within itself: b in a",
        ),
        ('[supervisors.a]\nstrategy = "one_for_al"', "supervisors.a.strategy", "one_for_all"),
        ("[supervisors.a]\nintensty = 3", "supervisors.a.intensty", 'did you mean "intensity"?'),
        (
            '[supervisors.g]\nauto_shutdown = "any_significant"\n'
            '[agents.a]\nsupervisor = "g"\nsignificant = true',
            "agents.a.significant",
            'restart must be "transient" or "temporary"',
        ),
        (
            '[agents.a]\nrestart = "transient"\nsignificant = true',
            "agents.a.significant",
            "auto_shutdown is not never",
        ),
        (
            '[defaults.agent]\nrestart = "transient"\nsignificant = true',
            "defaults.agent.significant",
            "auto_shutdown is not never",
        ),
    ],
)
def test_a_mistake_in_groups_is_named_with_its_place(
    files: Files, text: str, key: str, reason: str
) -> None:
    files.write(files.project, text)
    problems = [str(one) for one in files.problems()]

    assert any(f": {key}: " in one and reason in one for one in problems), problems
    assert all(re.search(r"pool\.toml:\d+: ", one) for one in problems), problems
