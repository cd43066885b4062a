"""Through the relay and the pool's socket, as every client comes: the pool's own process tells."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.client import Client, Project, open_project, until

UPDATED = "notifications/resources/updated"


@pytest.fixture
async def project(tmp_path: Path) -> AsyncIterator[Project]:
    async with open_project(tmp_path) as project:
        project.write_agent("coder")
        project.write_agent("reader", "Look it up.", "tools: Read")
        project.write_config('[agents.reader]\nreplicas = 2\n[frontend]\ntools = "all"\n')
        yield project


async def result(client: Client, method: str, **params: object) -> dict[str, object]:
    _, answer = await client.start(method, params)
    return await answer


def updates(client: Client) -> list[str]:
    return [one["params"]["uri"] for one in client.notifications if one["method"] == UPDATED]


async def test_who_subscribed_is_told_by_a_pool_at_work_and_reads_its_log(
    project: Project,
) -> None:
    async with project.connect() as client, project.connect() as other:
        await result(client, "resources/subscribe", uri="pool://agents/coder")
        await other.call("invoke", agent="coder", task="[[say done]]")

        await until(lambda: updates(client), "an update")

        assert not updates(other)
        read = await result(client, "resources/read", uri="pool://logs/coder")
        assert "info coder task_started" in json.dumps(read)


async def test_a_warning_is_sent_to_who_asked_for_it(project: Project) -> None:
    async with project.connect() as client:
        await result(client, "logging/setLevel", level="warning")
        await client.call("invoke", agent="coder", task="[[crash 3]]")

        def restarted() -> bool:
            return "worker_restarted" in json.dumps(client.notifications)

        await until(restarted, "the warning of the restart")


async def test_calls_of_consult_run_at_once(project: Project) -> None:
    async with project.connect() as client:
        calls = [
            await client.start_call("consult", agent="reader", task="[[hang]]") for _ in range(2)
        ]

        def started() -> bool:
            events = [line["event"] for line in project.log_lines()]
            return events.count("task_started") == 2 and "task_ended" not in events

        await until(started, "the start of both")
        for number, _ in calls:
            await client.cancel(number)


async def test_a_pool_that_is_stopped_ends_the_streams_of_its_clients_in_order(
    project: Project,
) -> None:
    envelope = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    async with project.connect_raw() as client:
        params = {"notifications": {"toolsListChanged": True}, "_meta": envelope}
        _, answer = await client.start("subscriptions/listen", params)
        await until(lambda: client.notifications, "the acknowledgement")
        await client.request("tools/call", {"name": "list", "arguments": {}, "_meta": envelope})

        await project.stop()

        assert await answer
