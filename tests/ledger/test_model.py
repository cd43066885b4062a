"""The ledger against a dict, under random calls, restarts and bad disks."""

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.ledger import KeepText, Ledger, LedgerError, Settings, TaskRecord
from tests.ledger.stage import LIMIT_S, NAME, NOW, Clock, mended, no_write_works, task


@dataclass
class Known:
    """What the ledger has to know of a task."""

    agent: str
    text: str
    keep_text: str
    state: str = "queued"
    outcome: str | None = None
    attempts: int = 0
    attempt_is_open: bool = False
    cost_usd: float | None = None
    reply: str | None = None

    @property
    def kept_text(self) -> str | None:
        while_open = self.keep_text == "while_open" and self.state != "ended"
        return self.text if self.keep_text == "always" or while_open else None


Call = tuple[str, Any]
WHICH = st.integers(0, 5)
TEXTS = st.text(st.characters(codec=None, exclude_categories=()), max_size=30)
COSTS = st.none() | st.sampled_from([0.25, 0.5, 1.0])
CALLS: st.SearchStrategy[Call] = st.one_of(
    st.tuples(
        st.just("accept"),
        st.tuples(WHICH, st.sampled_from("ab"), TEXTS, st.sampled_from(get_args(KeepText))),
    ),
    st.tuples(st.just("start"), WHICH),
    st.tuples(st.just("attempt_end"), WHICH),
    st.tuples(st.just("bill"), st.tuples(WHICH, COSTS)),
    st.tuples(
        st.just("end"),
        st.tuples(
            WHICH, st.sampled_from(["result", "cancelled"]), st.none() | TEXTS, COSTS, st.booleans()
        ),
    ),
    st.tuples(st.sampled_from(["settle", "restart", "fail", "work", "look"]), st.none()),
)


class Play:
    """A ledger, and the dict that it has to agree with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.known: dict[str, Known] = {}
        self.ledger: Ledger
        self.failing = ExitStack()
        self.fails = False

    async def open(self) -> None:
        options = Settings(clock=Clock(), first_retry_s=0.001, longest_retry_s=0.001)
        self.ledger = await Ledger.open(self.folder / NAME, self.folder / "replies", options)

    async def accept(self, call: tuple[int, str, str, KeepText]) -> None:
        number, agent, text, keep_text = call
        name = f"t-{number}"
        record = task(name, agent, accepted_at=NOW + number, keep_text=keep_text)
        try:
            await self.ledger.accept(record, text)
        except ValueError:
            assert name in self.known
        except LedgerError:
            assert self.fails
        else:
            assert name not in self.known
            assert not self.fails
            self.known[name] = Known(agent, text, keep_text)

    async def start(self, number: int) -> None:
        def change(known: Known) -> None:
            known.state, known.attempt_is_open = "running", True
            known.attempts += 1

        self.tell(number, lambda known: known.state == "queued", change, "started", 4711)

    async def attempt_end(self, number: int) -> None:
        def change(known: Known) -> None:
            known.attempt_is_open = False
            known.state = "queued" if known.state == "running" else known.state

        self.tell(number, lambda known: known.attempt_is_open, change, "attempt_ended")

    async def bill(self, call: tuple[int, float | None]) -> None:
        number, cost = call

        def change(known: Known) -> None:
            known.cost_usd = known.cost_usd if cost is None else cost

        def may(known: Known) -> bool:
            return known.state != "ended" or known.attempt_is_open

        name = f"t-{number}"
        if name in self.known and may(self.known[name]):
            self.tell(number, may, change, "billed", cost_usd=cost)

    async def end(self, call: tuple[int, str, str | None, float | None, bool]) -> None:
        number, outcome, reply, cost, in_file = call

        def change(known: Known) -> None:
            known.state, known.outcome, known.reply = "ended", outcome, reply
            known.cost_usd = known.cost_usd if cost is None else cost
            known.attempt_is_open = known.attempt_is_open and outcome != "result"

        rest = {"reply": reply, "cost_usd": cost, "reply_in_file": in_file}
        self.tell(number, lambda known: known.state != "ended", change, "ended", outcome, **rest)

    def tell(
        self,
        number: int,
        may: Callable[[Known], bool],
        change: Callable[[Known], None],
        call: str,
        *values: Any,
        **rest: Any,
    ) -> None:
        name = f"t-{number}"
        known = self.known.get(name)
        if known is None or not may(known):
            with pytest.raises(ValueError, match=name):
                getattr(self.ledger, call)(name, *values, **rest)
            return
        getattr(self.ledger, call)(name, *values, **rest)
        change(known)

    async def settle(self, _: None) -> None:
        for name in self.known:
            await self.ledger.written(name)

    async def restart(self, _: None) -> None:
        """A program that ends without a word, as far as the open tasks go."""
        await self.work(None)
        await self.ledger.aclose()
        await self.open()
        found = await self.ledger.interrupt_open("It was killed.")
        gone = [name for name, known in self.known.items() if known.state != "ended"]
        assert {record.id for record in found.ended} == set(gone)
        for known in self.known.values():
            if known.state != "ended":
                known.state, known.outcome = "ended", "interrupted"
            known.attempt_is_open = False

    async def fail(self, _: None) -> None:
        if not self.fails:
            self.fails = True
            self.failing.enter_context(no_write_works())

    async def work(self, _: None) -> None:
        self.failing.close()
        self.fails = False
        await mended(self.ledger)

    async def look(self, _: None) -> None:
        records = {record.id: record for record in await self.ledger.tasks()}
        assert {name: self.seen(record) for name, record in records.items()} == self.expected()
        assert list(records) == sorted(records, reverse=True)
        for name, known in self.known.items():
            record = await self.ledger.get(name)
            assert record is not None
            assert self.seen(record) == self.seen(records[name])
            assert await self.ledger.text_of(name) == known.kept_text
            assert await self.ledger.reply_of(name) == known.reply
        ended = [known for known in self.known.values() if known.state == "ended"]
        assert sum(one.tasks for one in await self.ledger.stats("agent")) == len(ended)
        spent = await self.ledger.spent()
        assert spent.cost_usd == sum(known.cost_usd or 0 for known in self.known.values())

    def seen(self, record: TaskRecord) -> tuple[object, ...]:
        return (
            record.agent, record.state, record.outcome, len(record.attempts), record.cost_usd,
            record.attempt_is_open,
        )  # fmt: skip

    def expected(self) -> dict[str, tuple[object, ...]]:
        return {
            name: (
                known.agent,
                known.state,
                known.outcome,
                known.attempts,
                known.cost_usd,
                known.attempt_is_open,
            )
            for name, known in self.known.items()
        }


async def play(folder: Path, calls: list[Call]) -> None:
    stage = Play(folder)
    with trio.fail_after(LIMIT_S), stage.failing:
        await stage.open()
        for name, values in calls:
            await getattr(stage, name)(values)
        await stage.look(None)
        await stage.restart(None)
        await stage.look(None)
        await stage.ledger.check()
        await stage.ledger.aclose()


@given(st.lists(CALLS, max_size=30))
@settings(max_examples=80, deadline=None)
def test_the_ledger_knows_what_a_dict_would(calls: list[Call]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        trio.run(play, Path(folder), calls)
