"""The transcript of a task, where it is switched on."""

import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.client import Project, open_project


@pytest.fixture
async def project(tmp_path: Path) -> AsyncIterator[Project]:
    async with open_project(tmp_path) as project:
        project.write_agent("coder")
        yield project


async def say(project: Project, text: str) -> None:
    async with project.connect() as client:
        await client.call("invoke", agent="coder", task=text)
    await project.stop()


def transcripts(project: Project) -> dict[str, list[dict[str, Any]]]:
    folder = Path(project.place.transcripts)
    if not folder.exists():
        return {}
    return {
        path.name.removesuffix(".jsonl.gz"): [
            json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()
        ]
        for path in folder.iterdir()
    }


async def test_it_holds_the_task_and_its_result_and_no_secret(project: Project) -> None:
    project.write_config("[logs]\ntranscripts = true\n")

    await say(project, "[[say hello]] with the key sk-ant-12345678")

    ((task_id, lines),) = transcripts(project).items()
    first = next(one for one in lines if one["direction"] == "in")
    result = next(one for one in lines if (one["line"] or {}).get("type") == "result")
    ended = [one for one in project.log_lines() if one["event"] == "task_ended"]
    assert "with the key [redacted]" in json.dumps(first["line"])
    assert result["direction"] == "out"
    assert "hello" in result["line"]["result"]
    assert [one["task_id"] for one in ended] == [task_id]
    assert "12345678" not in json.dumps(lines)


async def test_there_is_none_unless_it_is_asked_for(project: Project) -> None:
    await say(project, "[[say hello]]")

    assert transcripts(project) == {}
