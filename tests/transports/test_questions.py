"""Whoever calls over HTTP by MCP 2026-07-28 is asked what an agent may do."""

import json
from typing import Any

import mcp_types
import pytest
import trio

from tests.client import LIMIT_S, POLL_S
from tests.transports.stage import Served, answer_of, call, modern
from tests.transports.test_clients_that_go import until_outcome

pytestmark = pytest.mark.xdist_group("http")

FORMS: dict[str, Any] = {"elicitation": {"form": {}}}


def ask_mode(served: Served) -> None:
    served.project.write_agent("asker", "Do it.", "tools: Bash", "permissionMode: ask")


async def test_the_sdks_client_shows_one_question_after_the_other(shared: Served) -> None:
    asked: list[str] = []

    async def person(context: Any, params: Any) -> mcp_types.ElicitResult:
        asked.append(params.message)
        return mcp_types.ElicitResult(action="accept", content={"answer": "allow once"})

    ask_mode(shared)
    made = [shared.project.folder / f"asked-{number}" for number in (1, 2)]
    task = " ".join(f"[[bash touch {path.name}]]" for path in made)
    async with shared.client("auto", person) as client:
        result = await client.call_tool("invoke", {"agent": "asker", "task": task})

    assert not result.is_error
    assert len(asked) == 2
    assert all(path.exists() for path in made)


async def test_a_client_that_goes_with_its_second_call_ends_the_task_after_the_grace(
    hasty: Served,
) -> None:
    ask_mode(hasty)
    invoke = call("invoke", agent="asker", task="[[bash sleep 1000]]")
    request, headers = modern(invoke, FORMS)
    asked = answer_of(await trio.to_thread.run_sync(lambda: hasty.post(request, **headers)))
    question = asked["result"]
    given = {"action": "accept", "content": {"answer": "allow once"}}
    request["params"] |= {
        "requestState": question["requestState"],
        "inputResponses": dict.fromkeys(question["inputRequests"], given),
    }
    body = json.dumps(request).encode()

    with hasty.connect() as client:
        client.sendall(hasty.head(len(body), **headers) + body)
        await until_doing(hasty, "Bash: sleep 1000")

    await until_outcome(hasty, "cancelled")


async def until_doing(served: Served, wanted: str) -> None:
    """Wait until that is what the newest task does."""
    async with served.project.connect() as client:
        with trio.fail_after(LIMIT_S):
            while True:
                (row,) = (await client.call("tasks", limit=1))["structuredContent"]["tasks"]
                if row["doing"] == wanted:
                    return
                await trio.sleep(POLL_S)
