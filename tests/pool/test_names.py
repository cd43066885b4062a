"""One name that can be written in two ways is one agent."""

from pathlib import Path

from tests.client import open_project

COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"


async def test_an_agent_is_one_however_the_accents_of_its_name_are_written(tmp_path: Path) -> None:
    async with open_project(tmp_path) as project:
        project.write_agent(COMPOSED)
        async with project.connect() as client:
            first = await client.call("invoke", agent=COMPOSED, task="well?")
            other = await client.call("invoke", agent=DECOMPOSED, task="well?")
            warm = await client.call("warmup", agent=DECOMPOSED)
            assert other["_meta"]["pid"] == first["_meta"]["pid"]
            assert warm["structuredContent"]["pid"] == first["_meta"]["pid"]
            reset = await client.call("reset", agent=DECOMPOSED)
            assert reset["structuredContent"]["pid"] == first["_meta"]["pid"]
