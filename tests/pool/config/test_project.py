"""What a project's own pool.toml may not decide."""

import pytest

from tests.pool.config.conftest import Files


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
