"""What `agent-pool init` puts into a project, and what it leaves alone."""

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from supervisor.agents import AgentDefinition, Catalogue, Folders
from supervisor.cli import _init, main
from supervisor.pool import ConfigFiles

BUILT_IN = Path(__file__).parents[2]
SHIPPED = BUILT_IN / "config" / "pool.toml"
CONFIG = Path(".claude/pool.toml")

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


@pytest.fixture
def run(root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: Any) -> Run:
    """`agent-pool init` in the project: exit status, stdout, stderr."""
    for variable in ("CLAUDE_PROJECT_DIR", "AGENTS_DIR", "SKILLS_DIR", "EXPERTISE_DIR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(root)

    def call(*words: str) -> tuple[int, str, str]:
        status = main(["init", *words])
        said = capfd.readouterr()
        return status, said.out, said.err

    return call


def files(folder: Path) -> dict[Path, bytes]:
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def catalogue(root: Path) -> Catalogue:
    nowhere = root / "nowhere"
    return Catalogue(Folders.resolve(root, {}, nowhere, nowhere))


def config_files(root: Path) -> ConfigFiles:
    return ConfigFiles.find(root, {"HOME": str(root / "nowhere")}, SHIPPED)


def test_it_writes_a_pool_toml_an_agent_a_skill_and_an_expertise(run: Run, root: Path) -> None:
    assert run()[0] == 0

    assert set(files(root / ".claude")) == {
        Path("pool.toml"),
        Path("agents/example.md"),
        Path("skills/example-answers/SKILL.md"),
        Path("expertise/example-project.md"),
    }


def test_the_example_agent_loads_without_a_finding(run: Run, root: Path) -> None:
    run()

    (example,) = catalogue(root).all()
    assert isinstance(example, AgentDefinition)
    assert (example.name, example.warnings) == ("example", ())


def test_the_example_agent_uses_the_skill_and_the_expertise(run: Run, root: Path) -> None:
    run()

    prompt = catalogue(root).get("example").system_prompt
    assert "\n# Skill: example-answers\n" in prompt
    assert "\n# Expertise: example-project\n" in prompt


def test_the_example_agent_can_only_read(run: Run, root: Path) -> None:
    run()

    assert catalogue(root).get("example").tools == ("Read", "Grep", "Glob")


def test_no_explanation_gets_into_a_prompt(run: Run, root: Path) -> None:
    run()

    assert "copy it" not in catalogue(root).get("example").system_prompt


def test_the_pool_toml_changes_nothing(run: Run, root: Path) -> None:
    before = config_files(root).load()
    run()

    assert (root / CONFIG).exists()
    assert config_files(root).load() == before


def test_the_pool_toml_holds_no_value(run: Run, root: Path) -> None:
    run()

    def leaves(table: dict[str, Any]) -> list[Any]:
        return [v for value in table.values() for v in _leaves(value)]

    def _leaves(value: Any) -> list[Any]:
        return leaves(value) if isinstance(value, dict) else [value]

    assert leaves(tomllib.loads((root / CONFIG).read_text())) == []


def test_switching_every_key_on_gives_the_shipped_file(run: Run, root: Path) -> None:
    run()

    lines = (root / CONFIG).read_text().splitlines()
    switched_on = [line[1:] if line[:1] == "#" and line[1:2] != " " else line for line in lines]

    assert tomllib.loads("\n".join(switched_on)) == tomllib.loads(SHIPPED.read_text())


def test_every_key_keeps_its_explanation(run: Run, root: Path) -> None:
    run()

    written = (root / CONFIG).read_text().splitlines()
    shipped = SHIPPED.read_text().partition("\n\n")[2].splitlines()
    assert [line for line in shipped if line not in written and f"#{line}" not in written] == []


def test_a_key_that_is_switched_on_counts(run: Run, root: Path) -> None:
    run()
    path = root / CONFIG
    path.write_text(path.read_text().replace('#linger = "60s"', 'linger = "7s"'))

    assert config_files(root).load().pool.linger == 7


def test_lists_and_arrays_of_tables_are_switched_off_whole() -> None:
    shipped = "# head\n\n[a]\nlist = [\n  1,\n  [2],\n]\n\n[[group]]\nname = 'x'\n"

    text = _init.commented(shipped)

    assert tomllib.loads(text) == {"a": {}}


def test_a_file_that_is_there_is_never_overwritten(run: Run, root: Path) -> None:
    mine = root / ".claude" / "agents" / "example.md"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")

    status, said, _ = run()

    assert status == 0
    assert mine.read_text() == "mine"
    assert "was there already, left as it is: .claude/agents/example.md" in said
    assert (root / CONFIG).exists()


def test_a_second_time_changes_nothing_and_says_so(run: Run, root: Path) -> None:
    run()
    before = files(root)

    status, said, _ = run()

    assert status == 0
    assert files(root) == before
    assert said.count("was there already") == 4
    assert "wrote" not in said


def test_it_does_not_write_through_a_link(run: Run, root: Path) -> None:
    (root / ".claude").mkdir()
    (root / CONFIG).symlink_to(root / "elsewhere")

    assert run()[0] == 0
    assert not (root / "elsewhere").exists()


def test_a_dry_run_writes_nothing_and_says_what_it_would(run: Run, root: Path) -> None:
    (root / ".claude").mkdir()
    (root / CONFIG).write_text("")

    status, said, _ = run("--dry-run")

    assert status == 0
    assert files(root) == {CONFIG: b""}
    assert said.count("would write") == 3
    assert "was there already, left as it is: .claude/pool.toml" in said


def test_json_is_one_object_with_the_same_facts(run: Run, root: Path) -> None:
    (root / ".claude").mkdir()
    (root / CONFIG).write_text("")

    facts = json.loads(run("--json")[1])

    assert facts["root"] == str(root)
    assert facts["kept"] == [str(CONFIG)]
    assert len(facts["written"]) == 3
    assert facts["register"][:5] == ["claude", "mcp", "add", "agent-pool", "--"]


@pytest.fixture
def unwritable(tmp_path: Path) -> Path:
    """A folder in which this user cannot write, whoever it is."""
    if os.geteuid() == 0:
        if not Path("/proc/self").exists():
            pytest.skip("root can write everywhere here")
        return Path("/proc/self")
    folder = tmp_path / "unwritable"
    folder.mkdir(mode=0o555)
    return folder


def test_a_folder_that_cannot_be_written_is_a_clear_error(run: Run, unwritable: Path) -> None:
    status, out, said = run("--root", str(unwritable))

    assert (status, out) == (1, "")
    assert "cannot be written" in said
    assert "--root" in said


def test_a_file_in_the_place_of_a_folder_is_a_clear_error(run: Run, root: Path) -> None:
    (root / ".claude").write_text("")

    status, _, said = run()

    assert status == 1
    assert f"{root / '.claude'} is not a folder" in said


def test_a_project_that_is_not_there_is_a_clear_error(run: Run, root: Path) -> None:
    status, _, said = run("--root", str(root / "nope"))

    assert status == 2
    assert f'the project "{root / "nope"}" is not there' in said


def test_a_full_disk_leaves_no_half_file(root: Path, tmp_path: Path) -> None:
    command = 'ulimit -f 1; exec "$0" -B -P -m agent_pool init --root "$1"'
    done = subprocess.run(
        ["sh", "-c", command, sys.executable, str(root)],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert files(root) == {}


def test_an_error_in_json_is_one_object_too(run: Run, root: Path) -> None:
    status, out, _ = run("--json", "--root", str(root / "nope"))

    record = json.loads(out)
    assert (status, record["code"]) == (2, "usage")
    assert "is not there" in record["error"]


# which project


def test_the_project_is_found_from_a_folder_below_it(
    run: Run, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / ".git").mkdir()
    (root / "src").mkdir()
    monkeypatch.chdir(root / "src")

    assert run()[0] == 0
    assert (root / CONFIG).exists()


def test_a_folder_below_home_without_a_mark_becomes_the_project_itself(
    run: Run, root: Path, tmp_path: Path
) -> None:
    (tmp_path / ".claude").mkdir()  # the user's own, in $HOME

    assert run()[0] == 0
    assert (root / CONFIG).exists()
    assert not (tmp_path / CONFIG).exists()


def test_home_that_is_named_is_taken(run: Run, tmp_path: Path) -> None:
    assert run("--root", str(tmp_path))[0] == 0
    assert (tmp_path / CONFIG).exists()


# how to register it


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The program file of this installation, as it was called."""
    path = tmp_path / "an environment" / "bin" / "agent-pool"
    path.parent.mkdir(parents=True)
    path.touch(mode=0o755)
    monkeypatch.setattr(sys, "argv", [str(path), "init"])
    return path


def test_the_program_has_its_full_path_where_path_does_not_find_it(installed: Path) -> None:
    assert _init.program({"PATH": "/nowhere"}) == [str(installed)]


def test_the_program_is_a_word_where_path_finds_it(installed: Path) -> None:
    assert _init.program({"PATH": f"/nowhere:{installed.parent}"}) == ["agent-pool"]


def test_a_link_to_the_program_counts_as_the_program(installed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "links"
    folder.mkdir()
    (folder / "agent-pool").symlink_to(installed)

    assert _init.program({"PATH": str(folder)}) == ["agent-pool"]


def test_another_installation_on_the_path_does_not_count(installed: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "agent-pool"
    other.parent.mkdir()
    other.touch(mode=0o755)

    assert _init.program({"PATH": str(other.parent)}) == [str(installed)]


def test_without_a_program_file_the_module_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["-m"])
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))

    assert _init.program({}) == [str(tmp_path / "python"), "-P", "-m", "agent_pool"]


def test_the_printed_line_can_be_pasted_into_a_shell(run: Run, installed: Path) -> None:
    assert f"  claude mcp add agent-pool -- '{installed}' serve\n" in run()[1]


def test_a_variable_that_points_elsewhere_is_mentioned(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTS_DIR", "/elsewhere")

    assert "AGENTS_DIR is set" in run()[1]
