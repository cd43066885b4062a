"""What the pool relies on, said by every recorded version of the real CLI."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from supervisor.protocol import Activity, ClaudeSession, Event
from tests.protocol.replay import Replay, replay, replay_file, versions
from tests.realcli.record import ONLY, TRANSCRIPTS

FILES = sorted(TRANSCRIPTS.glob("*/*.jsonl"))
CLEARS = {"2.1.150", "2.1.197", "2.1.330"}
REWINDS = {"2.1.197", "2.1.330"}
SAYS_WHY_IT_ENDED = CLEARS
"""These have `terminal_reason`."""
ENDS_AT_AN_ANCHOR = {"2.0.60"}

every_transcript = pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}-{p.stem}")
every_version = pytest.mark.parametrize("version", [v for v in versions() if v not in ONLY])


def conversation(version: str) -> Replay:
    return replay(version, "clear_only" if version in ONLY else "conversation")


@every_transcript
def test_nothing_of_an_undisturbed_exchange_is_dropped(path: Path) -> None:
    played = replay_file(path)

    assert played.dropped() == []
    assert played.session.unsolicited_results == played.session.garbage_lines == 0


@every_transcript
def test_bytes_cut_anywhere_mean_the_same(path: Path) -> None:
    chance = random.Random(path.name)

    def in_pieces(session: ClaudeSession, data: bytes) -> list[Event]:
        ends = sorted(chance.randint(0, len(data)) for _ in range(40))
        pieces = [data[a:b] for a, b in zip([0, *ends], [*ends, len(data)], strict=True)]
        return [event for piece in pieces for event in session.receive(piece)]

    assert replay_file(path, in_pieces).events == replay_file(path).events


@every_transcript
def test_keys_in_any_order_mean_the_same(path: Path) -> None:
    chance = random.Random(path.name)

    def shuffled(value: Any) -> Any:
        if isinstance(value, list):
            return [shuffled(one) for one in value]
        if not isinstance(value, dict):
            return value
        keys = chance.sample(list(value), len(value))
        return {key: shuffled(value[key]) for key in keys}

    def out_of_order(session: ClaudeSession, data: bytes) -> list[Event]:
        lines = [json.dumps(shuffled(json.loads(line))) for line in data.splitlines()]
        return session.receive("".join(line + "\n" for line in lines).encode())

    # `Usage` and the like are compared by value, an answer's `response` as a dictionary.
    assert replay_file(path, out_of_order).events == replay_file(path).events


@every_transcript
def test_in_the_end_nothing_is_awaited_unless_the_process_ended(path: Path) -> None:
    version, scenario = path.parent.name, path.stem

    ended = scenario == "anchor" and version in ENDS_AT_AN_ANCHOR
    assert replay_file(path).session.idle != ended


@pytest.mark.parametrize("version", versions())
def test_a_turn_tells_the_version(version: str) -> None:
    assert conversation(version).versions() == {version}


@pytest.mark.parametrize("version", versions())
def test_a_task_ends_with_its_own_text(version: str) -> None:
    first = conversation(version).tasks["the first task"]

    assert first.text == "echo: the first task"
    assert first.ok
    assert first.turns == 1
    assert not first.errors
    assert first.usage.output_tokens == 5


@pytest.mark.parametrize("version", versions())
def test_a_clear_is_proved_where_the_version_clears_and_nowhere_else(version: str) -> None:
    assert conversation(version).cleared() == [version in CLEARS]


@pytest.mark.parametrize("version", versions())
def test_after_a_clear_the_context_is_what_its_evidence_says(version: str) -> None:
    last = list(conversation(version).tasks.values())[-1]

    assert ("context: 0 user texts" in last.text) == (version in CLEARS)


@every_version
def test_initialize_is_answered(version: str) -> None:
    (reply,) = conversation(version).replies("initialize")

    assert reply.ok
    assert "commands" in reply.response


@every_version
def test_whether_a_version_rewinds_is_told_by_its_answer_to_an_unknown_target(version: str) -> None:
    replies = conversation(version).replies("rewind_conversation")

    assert any("rewound" in reply.response for reply in replies) == (version in REWINDS)


@pytest.mark.parametrize("version", sorted(REWINDS))
def test_a_rewind_to_the_first_task_proves_itself_and_to_an_unknown_one_does_not(
    version: str,
) -> None:
    replies = conversation(version).replies("rewind_conversation")

    assert [reply.response["rewound"] for reply in replies] == [False, False, True]
    assert (
        "context: 0 user texts" in conversation(version).tasks["the second task [[context]]"].text
    )


@every_version
def test_an_unknown_request_is_refused_or_never_answered(version: str) -> None:
    assert not any(reply.ok for reply in conversation(version).replies("no_such_request"))


@every_version
def test_an_anchor_is_harmless_or_the_end_of_the_process(version: str) -> None:
    tasks = replay(version, "anchor").tasks

    if version in ENDS_AT_AN_ANCHOR:
        assert tasks == {}
    else:
        assert tasks["after the anchor [[context]]"].ok


@every_version
def test_an_interrupted_task_is_no_success_and_the_next_one_is(version: str) -> None:
    played = replay(version, "interrupts")

    assert [result.ok for result in played.tasks.values()] == [False, True, False, True]
    assert [reply.ok for reply in played.replies("interrupt")] == [True, True]


@every_version
def test_a_version_that_says_why_a_turn_ended_tells_an_interrupt(version: str) -> None:
    aborted = [result.aborted for result in replay(version, "interrupts").tasks.values()]

    told = version in SAYS_WHY_IT_ENDED
    assert aborted == [told, False, told, False]


@every_version
def test_an_error_of_the_api_is_no_success_though_it_is_called_so(version: str) -> None:
    tasks = replay(version, "answers").tasks

    for status in (400, 529):
        failed = tasks[f"[[error {status}]]"]
        assert not failed.ok
        assert failed.subtype == "success"
        assert f"API Error: {status}" in failed.text
        assert failed.api_error_status == (status if version in SAYS_WHY_IT_ENDED else None)


@every_version
def test_the_task_after_errors_of_the_api_succeeds(version: str) -> None:
    after = replay(version, "answers").tasks["after all"]

    assert after.ok
    assert after.text == "echo: after all"


@every_version
def test_a_long_answer_comes_whole(version: str) -> None:
    long = replay(version, "answers").tasks["[[size 20000]]"]

    assert long.ok
    assert len(long.text) >= 20_000


@every_version
def test_an_answer_without_content_has_no_text_of_another_task(version: str) -> None:
    empty = replay(version, "answers").tasks["[[empty]]"]

    assert empty.text == ""
    assert empty.ok == (version in SAYS_WHY_IT_ENDED)


@every_version
def test_a_refused_tool_is_named_with_its_task_and_an_allowed_one_is_not(version: str) -> None:
    played = replay(version, "permissions")

    (denial,) = played.denials()
    refused, allowed = played.tasks.values()
    assert denial in refused.denials
    assert denial.tool == "Bash"
    assert denial.detail == "sh -c 'echo made by sh'"
    assert refused.ok
    assert allowed.denials == ()


@every_version
def test_what_the_agent_does_is_told_by_tool_and_object(version: str) -> None:
    told = [e.text for e in replay(version, "permissions").events if isinstance(e, Activity)]

    assert "Bash: sh -c 'echo made by sh'" in told
    assert "Read: note.txt" in told


@every_version
def test_the_costs_of_the_tasks_add_up_to_the_running_total(version: str) -> None:
    played = replay(version, "usage")
    totals = [m["total_cost_usd"] for m in results(version, "usage")]

    # One total for the whole process, or one for each context.
    whole = totals[-1] if totals == sorted(totals) else max(totals[:2]) + totals[-1]
    costs = [result.cost_usd or 0.0 for result in played.tasks.values()]
    assert sum(costs) == pytest.approx(whole)
    assert all(cost > 0 for cost in costs)
    assert (totals == sorted(totals)) == (version != "2.1.330")


@every_version
def test_a_task_costs_what_its_own_output_costs(version: str) -> None:
    one, two, three = replay(version, "usage").tasks.values()

    assert one.usage.output_tokens < two.usage.output_tokens < three.usage.output_tokens
    assert one.cost_usd is not None
    assert two.cost_usd is not None
    assert three.cost_usd is not None
    assert one.cost_usd < two.cost_usd < three.cost_usd


def results(version: str, scenario: str) -> list[dict[str, Any]]:
    """The recorded result lines, as they are."""
    entries = map(
        json.loads, (TRANSCRIPTS / version / f"{scenario}.jsonl").read_text().splitlines()
    )
    messages = (json.loads(entry["line"]) for entry in entries if entry["dir"] == "<<<")
    return [message for message in messages if message.get("type") == "result"]
