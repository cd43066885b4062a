"""Which CLI is found, what its installation tells of it, and what is remembered of a binary."""

import json
import shlex
from pathlib import Path

import pytest

from supervisor.place import settled_variables
from supervisor.pool import PoolError, TaskError
from supervisor.pool.launch import (
    Cli,
    CliFinder,
)


def program(path: Path, mode: int = 0o755) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(mode)
    return path


def find(command: str | None = None, path: str = "") -> Cli:
    environ = {"PATH": path} if command is None else {"PATH": path, "CLAUDE_CLI": command}
    return CliFinder(environ).find()


def refusal(command: str | None = None, path: str = "") -> TaskError:
    with pytest.raises(PoolError) as caught:
        find(command, path)
    return caught.value.error


def test_without_the_variable_claude_is_looked_for_on_the_path(tmp_path: Path) -> None:
    claude = program(tmp_path / "bin" / "claude")

    assert find(path=str(tmp_path / "bin")).argv == (str(claude),)


def test_a_command_of_pool_toml_is_found_where_the_variable_is_silent(tmp_path: Path) -> None:
    mine = program(tmp_path / "bin" / "mine")
    finder = CliFinder({"PATH": str(tmp_path / "bin")}).otherwise("mine --flag", tmp_path)

    assert finder.find().argv == (str(mine), "--flag")


def test_the_variable_comes_before_a_command_of_pool_toml(tmp_path: Path) -> None:
    claude = program(tmp_path / "claude")
    finder = CliFinder({"CLAUDE_CLI": str(claude)}).otherwise("mine", tmp_path)

    assert finder.find().argv == (str(claude),)


def test_a_relative_path_in_a_command_of_pool_toml_starts_in_the_project(tmp_path: Path) -> None:
    mine = program(tmp_path / "bin" / "mine")

    assert CliFinder({}).otherwise("./bin/mine", tmp_path).find().argv == (str(mine),)


def test_what_a_binary_taught_is_known_under_every_command(tmp_path: Path) -> None:
    finder = CliFinder({"CLAUDE_CLI": str(program(tmp_path / "claude"))})
    finder.capabilities(finder.find()).rewind = True

    other = finder.otherwise("mine", tmp_path)

    assert other.capabilities(other.find()).rewind is True


def test_a_cli_that_is_nowhere_is_told_with_what_to_do(tmp_path: Path) -> None:
    error = refusal(path=str(tmp_path))

    assert error.code == "cli_missing"
    assert 'the agent CLI "claude" cannot be started: no such program on the PATH' in error.message
    assert "npm install -g @anthropic-ai/claude-code" in error.advice
    assert "CLAUDE_CLI" in error.advice


def test_a_path_to_nothing_is_told(tmp_path: Path) -> None:
    error = refusal(f"{tmp_path}/nothing")

    assert (error.code, "no such file" in error.message) == ("cli_missing", True)


def test_a_folder_is_no_cli(tmp_path: Path) -> None:
    error = refusal(str(tmp_path))

    assert (error.code, "it is a folder" in error.message) == ("cli_missing", True)


@pytest.mark.parametrize("name", ["claude", "a claude"])
def test_a_file_that_is_not_executable_is_told(tmp_path: Path, name: str) -> None:
    error = refusal(str(program(tmp_path / name, 0o644)))

    assert (error.code, "it is not executable" in error.message) == ("cli_missing", True)


@pytest.mark.parametrize("command", ["claude 'x", '"', "   ", "''"])
def test_a_command_line_that_is_none_is_told(tmp_path: Path, command: str) -> None:
    error = refusal(command, str(tmp_path))

    assert error.code == "cli_missing"
    assert command in error.message


def test_a_command_line_is_split_as_a_shell_splits_it(tmp_path: Path) -> None:
    claude = program(tmp_path / "claude")

    assert find(f"{claude} --flag 'two words' x\\ y").argv == (
        str(claude),
        "--flag",
        "two words",
        "x y",
    )


@pytest.mark.parametrize("name", ["with space", "it's", 'a"b', "a\\b", "$HOME"])
def test_a_path_to_a_file_is_taken_as_it_is(tmp_path: Path, name: str) -> None:
    claude = program(tmp_path / name / "claude")

    assert find(str(claude)).argv == (str(claude),)


def test_a_path_with_a_space_may_be_quoted_in_a_command_line(tmp_path: Path) -> None:
    claude = program(tmp_path / "with space" / "claude")

    assert find(f"{shlex.quote(str(claude))} --flag").argv == (str(claude), "--flag")


@pytest.mark.parametrize("command", ["./claude", "../here/claude", "./claude --flag", "~/claude"])
def test_a_relative_path_means_what_it_means_to_the_client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    here = tmp_path / "here"
    claude = program(here / "claude")
    monkeypatch.setenv("HOME", str(here))

    settled = settled_variables({"CLAUDE_CLI": command}, str(here))["CLAUDE_CLI"]

    assert find(settled).argv[0] == str(claude)


def test_a_script_that_the_command_line_names_is_settled_too(tmp_path: Path) -> None:
    node, script = program(tmp_path / "bin" / "node"), program(tmp_path / "a b" / "cli.js", 0o644)

    settled = settled_variables({"CLAUDE_CLI": "node './a b/cli.js'"}, str(tmp_path))

    assert find(settled["CLAUDE_CLI"], str(node.parent)).argv == (str(node), str(script))


def npm_package(folder: Path, version: str, name: str = "@anthropic-ai/claude-code") -> Path:
    """As npm lays it out: a link in bin/ to the script in the package."""
    package = folder / "lib" / "node_modules" / name
    script = program(package / "cli.js")
    (package / "package.json").write_text(json.dumps({"name": name, "version": version}))
    link = folder / "bin" / "claude"
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(script)
    return link


def test_npms_package_tells_the_version_through_the_link_in_bin(tmp_path: Path) -> None:
    assert find(str(npm_package(tmp_path, "2.1.197"))).version == "2.1.197"


def test_a_script_that_node_runs_tells_it_too(tmp_path: Path) -> None:
    node = program(tmp_path / "node")
    script = npm_package(tmp_path, "2.1.50").resolve()

    assert find(f"{node} {script}").version == "2.1.50"


def test_a_package_of_somebody_else_tells_nothing(tmp_path: Path) -> None:
    assert find(str(npm_package(tmp_path, "1.0.0", "some-cli"))).version is None


@pytest.mark.parametrize("text", ["", "[]", "{", '{"name": 3}', "\0"])
def test_a_broken_package_json_tells_nothing(tmp_path: Path, text: str) -> None:
    link = npm_package(tmp_path, "2.1.197")
    (link.resolve().parent / "package.json").write_text(text)

    assert find(str(link)).version is None


def test_the_native_installers_file_name_is_its_version(tmp_path: Path) -> None:
    binary = program(tmp_path / "share" / "claude" / "versions" / "2.1.150")
    link = tmp_path / "claude"
    link.symlink_to(binary)

    assert find(str(link)).version == "2.1.150"


@pytest.mark.parametrize("version", ["2.0.59", "1.9.999", "0.2.126"])
def test_a_cli_that_ignores_the_agents_prompt_is_refused(tmp_path: Path, version: str) -> None:
    error = refusal(str(npm_package(tmp_path, version)))

    assert error.code == "cli_too_old"
    assert f"is version {version}; agents need 2.0.60 or newer" in error.message
    assert "Update it" in error.advice


@pytest.mark.parametrize("version", ["2.0.60", "2.1.0", "10.0.0", "2.0.100-beta.1"])
def test_a_newer_one_is_not(tmp_path: Path, version: str) -> None:
    assert find(str(npm_package(tmp_path, version))).version == version


def test_what_one_process_of_a_binary_taught_the_next_one_knows(tmp_path: Path) -> None:
    finder = CliFinder({"CLAUDE_CLI": str(program(tmp_path / "claude"))})

    finder.capabilities(finder.find()).rewind = True

    assert finder.capabilities(finder.find()).rewind is True


def test_a_binary_that_was_replaced_is_found_out_anew(tmp_path: Path) -> None:
    claude = program(tmp_path / "claude")
    finder = CliFinder({"CLAUDE_CLI": str(claude)})
    finder.capabilities(finder.find()).rewind = True

    claude.write_text("#!/bin/sh\n# updated\n")

    assert finder.capabilities(finder.find()).rewind is None


def test_a_script_that_was_replaced_is_found_out_anew(tmp_path: Path) -> None:
    node, script = program(tmp_path / "node"), program(tmp_path / "cli.js", 0o644)
    finder = CliFinder({"CLAUDE_CLI": f"{node} {script}"})
    finder.capabilities(finder.find()).clear = True

    script.write_text("// updated\n")

    assert finder.capabilities(finder.find()).clear is None


def test_a_cli_that_is_installed_later_is_found_then(tmp_path: Path) -> None:
    finder = CliFinder({"PATH": str(tmp_path)})
    with pytest.raises(PoolError):
        finder.find()

    claude = program(tmp_path / "claude")

    assert finder.find().argv == (str(claude),)
