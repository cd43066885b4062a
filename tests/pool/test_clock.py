"""A task's clock, in virtual time."""

import trio
import trio.testing

from supervisor.pool.clock import Clock


async def forever() -> None:
    await trio.sleep_forever()


async def test_a_limit_is_reached_after_its_seconds(autojump_clock: trio.testing.MockClock) -> None:
    with Clock().move_on_after(5) as limit:
        await forever()

    assert limit.cancelled_caught
    assert trio.current_time() == 5


async def test_a_limit_does_not_come_nearer_while_the_clock_stands_still(
    autojump_clock: trio.testing.MockClock,
) -> None:
    clock = Clock()

    async def stand_still() -> None:
        await trio.sleep(2)
        with clock.stopped():
            await trio.sleep(100)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(stand_still)
        with clock.move_on_after(5):
            await forever()

    assert trio.current_time() == 105
    assert clock.stood_still_s == 100


async def test_a_limit_that_begins_while_it_stands_still_waits(
    autojump_clock: trio.testing.MockClock,
) -> None:
    clock = Clock()

    async def limited() -> None:
        with clock.move_on_after(5):
            await forever()

    async with trio.open_nursery() as nursery:
        with clock.stopped():
            nursery.start_soon(limited)
            await trio.sleep(50)

    assert trio.current_time() == 55


async def test_it_stands_still_until_the_last_of_several_goes_on(
    autojump_clock: trio.testing.MockClock,
) -> None:
    clock = Clock()

    async def stand_still(seconds: float) -> None:
        with clock.stopped():
            await trio.sleep(seconds)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(stand_still, 10)
        nursery.start_soon(stand_still, 30)
        with clock.move_on_after(5):
            await forever()

    assert trio.current_time() == 35


async def test_a_limit_that_is_no_limit_stays_none(autojump_clock: trio.testing.MockClock) -> None:
    clock = Clock()
    with clock.move_on_after(float("inf")) as limit, clock.stopped():
        await trio.sleep(80_000)

    assert not limit.cancelled_caught


async def test_what_it_stood_still_counts_while_it_does(
    autojump_clock: trio.testing.MockClock,
) -> None:
    clock = Clock()
    with clock.stopped():
        await trio.sleep(7)
        assert clock.stood_still_s == 7
