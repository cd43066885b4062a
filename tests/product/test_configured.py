"""What pool.toml says of an agent's process, as the real CLI takes it."""

import json
from pathlib import Path

from tests.product.stage import Stage, text_of


async def test_model_effort_tools_and_folders_reach_the_cli(stage: Stage, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "note.txt").write_text("the note from outside\n")
    (stage.project.folder / "sub").mkdir()
    stage.configure(
        '[agents.worker]\nmodel = "claude-sonnet-4-5"\neffort = "low"\n'
        'tools = ["Read", "Bash(pwd)"]\n'
        'disallowed_tools = ["Write"]\nworking_directory = "sub"\n'
        f"extra_directories = [{json.dumps(str(outside))}]\n"
    )
    path = json.dumps({"file_path": str(outside / "note.txt")})
    async with stage.connect() as client:
        read = await client.call("invoke", agent="worker", task=f"[[tool Read {path}]]")
        ran = await client.call("invoke", agent="worker", task="[[bash pwd]]")

    assert "the note from outside" in text_of(read)
    assert text_of(ran).strip() == f"bash: {stage.project.folder.resolve()}/sub"
    request = await stage.request(lambda one: bool(one.tool_names()))
    assert request.body["model"] == "claude-sonnet-4-5"
    assert set(request.tool_names()) == {"Read", "Bash"}
