"""docs/agents.md names every key, and its example is one."""

import re
from pathlib import Path

from supervisor.agents import HONOURED, NOT_HONOURED, AgentDefinition, Catalogue, Folders

PAGE = (Path(__file__).parents[2] / "docs" / "agents.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(\w+)` \| (.+) \|$", re.MULTILINE)


def test_every_key_has_its_row_and_every_row_is_a_key() -> None:
    assert {key for key, _ in ROW.findall(PAGE)} == {*HONOURED, *NOT_HONOURED}


def test_what_is_not_honoured_is_said_to_be_so() -> None:
    said = {key for key, text in ROW.findall(PAGE) if text.startswith("not honoured")}
    assert said == {*NOT_HONOURED}


def test_the_example_is_an_agent(tmp_path: Path) -> None:
    found = re.search(r"^```markdown\n(.*?)^```\n", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None
    folder = tmp_path / ".claude" / "agents"
    folder.mkdir(parents=True)
    (folder / "changelog-writer.md").write_text(found[1])
    folders = Folders.resolve(tmp_path, {}, tmp_path / "home", tmp_path / "built-in")

    definition = Catalogue(folders).get("changelog-writer")
    assert isinstance(definition, AgentDefinition)
    # Its skill and its server are not there.
    assert [warning.key for warning in definition.warnings] == ["skills", "mcpServers"]
