"""Any file at all is a configuration, or located mistakes; never a traceback."""

import tomllib
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from supervisor.pool.config import ConfigError
from tests.pool.config.conftest import SHIPPED, Files
from tests.pool.config.test_mistakes import MISTAKES

SEEDS = [SHIPPED.read_text(encoding="utf-8"), *(mistake.text for mistake in MISTAKES.values())]

PIECES = (
    "[", "]", "[[", "]]", "=", ".", ",", "{", "}", '"', "'", '"""', "#", "\n", "\r", "\0",
    "true", "nan", "-1", "0x", "9" * 400, "1979-05-27", "agents", "defaults", "pool", "\ufeff",
    "[agents.x]\n", "[agents]\n", "x = 1\n", 'linger = "1s"\n', "permission_mode", "\u2028",
    "bypassPermissions", "é", 'command = "x"\n', 'tools = ["Read", 1]\n',
    "extra_arguments = [[]]\n", '[pool]\nstate_folder = "x"\n', "working_directory = {}\n",
    '[supervisors."a/b"]\n',
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """The shipped file, or one with a mistake, with some pieces put in or in place of others."""
    text = draw(st.sampled_from(SEEDS[:1]) | st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(text)))
        end = at + draw(st.sampled_from([0, 0, 1, 2, 8, 40]))
        piece = draw(st.sampled_from(PIECES) | st.text(max_size=5))
        text = text[:at] + piece + text[end:]
    return text.encode("utf-8", draw(st.sampled_from(["replace", "surrogatepass"])))


VALUES = st.recursive(
    st.sampled_from(["1", "-1", "1.5", "nan", "true", '""', '"1s"', '"1GiB"', '"x"', "07:32:00"]),
    lambda inner: (
        st.lists(inner, max_size=2).map(lambda items: f"[{', '.join(items)}]")
        | st.lists(inner, max_size=2).map(
            lambda items: "{" + ", ".join(f"k{n} = {item}" for n, item in enumerate(items)) + "}"
        )
    ),
    max_leaves=4,
)


@st.composite
def other_values(draw: st.DrawFn) -> bytes:
    """The shipped file, with other values: valid TOML, all the keys, anything in them."""
    lines = SEEDS[0].split("\n")
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, len(lines) - 1))
        key, is_pair, _ = lines[at].partition(" = ")
        if is_pair and not key.startswith("#"):
            lines[at] = f"{key} = {draw(VALUES)}"
    text = "\n".join(lines)
    return text.replace("[defaults.agent]", draw(st.sampled_from(TABLES))).encode()


TABLES = ["[defaults.agent]", "[agents.x]", "[agents]", "[[agents.x]]", "[agents.x.y]", "[pool.x]"]

TESTED = settings(
    max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


def blamed(files: Files, path: Path, data: bytes) -> set[tuple[Path, bool]]:
    """The files that are blamed, and whether with a line. Whatever else is raised fails."""
    files.write(path, data)
    try:
        found = list(files.find().read().warnings)
    except ConfigError as error:
        found = [*error.problems, *error.warnings]
    return {(problem.path, problem.line is not None) for problem in found}


@TESTED
@given(data=mutated() | other_values() | st.binary(max_size=60))
def test_any_file_gives_a_configuration_or_located_mistakes(tmp_path: Path, data: bytes) -> None:
    files = Files(tmp_path)

    assert {path for path, _ in blamed(files, files.project, data)} <= {files.project}


@TESTED
@given(data=mutated() | other_values())
def test_whatever_is_wrong_in_a_file_that_is_toml_has_a_line(tmp_path: Path, data: bytes) -> None:
    try:
        tomllib.loads(data.decode())
    except (ValueError, RecursionError):
        return
    files = Files(tmp_path)

    assert all(has_line for _, has_line in blamed(files, files.user, data))
