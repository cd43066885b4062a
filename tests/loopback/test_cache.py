"""The model of the prompt cache."""

from typing import Any

import pytest

from tests.loopback.cache import PromptCache, Tokens
from tests.loopback.requests import Request

MARK = {"cache_control": {"type": "ephemeral"}}


def request(*texts: str, system: str = "s" * 8000, model: str = "m", mark: bool = True) -> Request:
    """A conversation of those user texts; the system prompt and the last text are marked."""
    blocks: list[dict[str, Any]] = [{"type": "text", "text": text} for text in texts]
    if mark:
        blocks[-1] |= MARK
    body = {
        "model": model,
        "system": [{"type": "text", "text": system, **(MARK if mark else {})}],
        "messages": [{"role": "user", "content": [block]} for block in blocks],
    }
    return Request("POST", "/v1/messages", body, {}, 0.0)


def test_the_first_request_is_written_up_to_its_last_mark() -> None:
    tokens = PromptCache().send(request("hello"), 3)

    assert (tokens.read, tokens.fresh, tokens.output) == (0, 0, 3)
    assert tokens.written > 2000


def test_the_next_turn_reads_what_the_turn_before_it_wrote() -> None:
    cache = PromptCache()
    first = cache.send(request("hello"), 0)

    second = cache.send(request("hello", "w" * 4000), 0)

    assert second.read == first.written
    assert 1000 < second.written < 1050


def test_another_conversation_reads_the_shared_prefix_alone() -> None:
    cache = PromptCache()
    cache.send(request("one " * 1000), 0)

    other = cache.send(request("two " * 1000), 0)

    assert 2000 < other.read < 2050
    assert 1000 < other.written < 1050


@pytest.mark.parametrize(
    "other", [request("hello", model="n"), request("hello", system="t" * 8000)]
)
def test_nothing_is_read_by_another_model_or_after_another_beginning(other: Request) -> None:
    cache = PromptCache()
    cache.send(request("hello"), 0)

    assert cache.send(other, 0).read == 0


@pytest.mark.parametrize("sent", [request("short", system="s"), request("w" * 9000, mark=False)])
def test_what_is_short_or_unmarked_is_always_fresh(sent: Request) -> None:
    cache = PromptCache()

    assert cache.send(sent, 0) == cache.send(sent, 0)
    assert cache.send(sent, 0).fresh > 0


def test_cost_units_are_as_stated() -> None:
    assert Tokens(read=10, written=4, fresh=2, output=1).units == 1 + 5 + 2 + 5
