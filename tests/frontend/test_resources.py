"""What there is to look at: the list, the templates, and what each holds."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from supervisor.frontend._records import AgentRecord, TaskRow, TreeRecord
from supervisor.frontend._resources import Address
from tests.client import LIMIT_S
from tests.frontend.stage import HANDSHAKE_VERSIONS, MODERN_VERSION, Raw, Stage, serving

VERSIONS = [*HANDSHAKE_VERSIONS, MODERN_VERSION]


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with serving(tmp_path, coder="") as stage:
        (stage.project.folder / ".claude" / "agents" / "odd.md").write_text(
            "---\nname: odd one\ndescription: Its name\\nhas a space.\n---\nDo it.\n"
        )
        yield stage


async def read(client: Raw, uri: str) -> list[dict[str, Any]]:
    contents: list[dict[str, Any]] = (await client.result("resources/read", uri=uri))["contents"]
    return contents


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_list_names_the_tree_and_each_agent_with_its_log(
    stage: Stage, version: str
) -> None:
    async with stage.raw(version) as client:
        listed = (await client.result("resources/list"))["resources"]

        found = {one["uri"]: one for one in listed}
        assert {"pool://tree", "pool://agents/coder", "pool://logs/coder"} <= found.keys()
        assert found["pool://agents/coder"]["description"] == "The agent coder."
        assert found["pool://agents/odd%20one"]["description"] == "Its name has a space."


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_templates_are_those_of_agents_tasks_and_logs(stage: Stage, version: str) -> None:
    async with stage.raw(version) as client:
        found = (await client.result("resources/templates/list"))["resourceTemplates"]

        assert [one["uriTemplate"] for one in found] == [
            "pool://agents/{name}", "pool://tasks/{id}", "pool://logs/{agent}",
        ]  # fmt: skip


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_agent_is_read_as_list_tells_of_it(stage: Stage, version: str) -> None:
    async with stage.raw(version) as client:
        (content,) = await read(client, "pool://agents/coder")
        listed = await client.result("tools/call", name="list", arguments={})

        assert content["mimeType"] == "application/json"
        record = json.loads(content["text"])
        assert AgentRecord.model_validate(record).name == "coder"
        assert record in json.loads(listed["content"][0]["text"])["agents"]


async def test_a_name_with_a_space_is_read_by_its_uri(stage: Stage) -> None:
    async with stage.raw() as client:
        (content,) = await read(client, "pool://agents/odd%20one")

        assert json.loads(content["text"])["name"] == "odd one"


async def test_the_tree_is_read_as_the_tool_tells_of_it(stage: Stage) -> None:
    async with stage.raw() as client:
        (content,) = await read(client, "pool://tree")

        assert TreeRecord.model_validate_json(content["text"]).tree[0].name == "root"


async def test_a_task_has_its_record_and_once_it_has_ended_its_outcome(stage: Stage) -> None:
    task = await stage.pool.submit("coder", "[[hang]]", background=True)
    async with stage.raw() as client:
        (running,) = await read(client, f"pool://tasks/{task.id}")
        stage.pool.cancel(task)
        ended, outcome = await read(client, f"pool://tasks/{task.id}")

        assert TaskRow.model_validate_json(running["text"]).outcome is None
        assert TaskRow.model_validate_json(ended["text"]).outcome == "cancelled"
        assert outcome["text"].startswith("cancelled: ")
        listed = (await client.result("resources/list"))["resources"]
        assert f"pool://tasks/{task.id}" in {one["uri"] for one in listed}


async def test_a_log_has_the_last_lines_of_the_agent_alone(stage: Stage) -> None:
    for number in range(60):
        stage.log(agent="coder", event=f"e{number}")
        stage.log(agent="other", event="not_this")
    stage.log(agent="coder@review", event="of_a_conversation")
    async with stage.raw() as client:
        (content,) = await read(client, "pool://logs/coder")

        lines = content["text"].splitlines()
        assert content["mimeType"] == "text/plain"
        assert [line.split()[-1] for line in lines] == [
            *(f"e{number}" for number in range(11, 60)),
            "of_a_conversation",
        ]


@pytest.mark.parametrize(
    ("version", "code"), [("2024-11-05", -32002), ("2025-11-25", -32002), (MODERN_VERSION, -32602)]
)
@pytest.mark.parametrize(
    "uri", ["pool://agents/nobody", "pool://tasks/t-0", "pool://logs/nobody", "pool://x", "x"]
)
async def test_what_is_not_there_is_an_error_with_the_code_of_the_protocol(
    stage: Stage, version: str, code: int, uri: str
) -> None:
    async with stage.raw(version) as client:
        error = (await client.request("resources/read", uri=uri))["error"]

        assert (error["code"], error["data"]["uri"]) == (code, uri)


async def test_an_agent_that_is_nearly_named_is_suggested(stage: Stage) -> None:
    async with stage.raw() as client:
        error = (await client.request("resources/read", uri="pool://agents/codr"))["error"]

        assert "Did you mean coder?" in error["message"]


async def test_a_degraded_pool_lists_what_it_can_and_says_what_is_wrong(tmp_path: Path) -> None:
    async with serving(tmp_path, "[pool]\nlinger = 5\n", coder="") as stage, stage.raw() as client:
        listed = (await client.result("resources/list"))["resources"]
        error = (await client.request("resources/read", uri="pool://agents/coder"))["error"]

        assert "pool://tree" in {one["uri"] for one in listed}
        assert "pool.linger" in error["message"]


@given(st.text(min_size=1), st.sampled_from(["agents", "tasks", "logs"]))
def test_every_name_has_a_uri_that_names_it(name: str, kind: Any) -> None:
    name = name.encode("utf-8", "replace").decode()
    address = Address(kind, name)

    assert Address.of(address.uri) == address
    assert address.uri.isascii()


async def test_the_client_of_the_sdk_reads_what_it_lists(stage: Stage) -> None:
    for mode in ("legacy", "auto"):
        async with stage.client(mode) as client:
            for resource in (await client.list_resources()).resources:
                with trio.fail_after(LIMIT_S):
                    assert (await client.read_resource(resource.uri)).contents
