"""One supervisor in the agents' part of the tree, and the places of workers in it."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, Protocol

import trio
from trio_util import AsyncValue

from supervisor.pool.agent import Agent, Seat
from supervisor.pool.config import SupervisorTable
from supervisor.tree import ChildStatus, StartFunction, Supervisor

Status = trio.TaskStatus[object]
"""Told once a worker has started."""


class Leaver(Protocol):
    """A worker, as far as the tree asks something of it."""

    def leave(self, why: str) -> None:
        """Let the seat go after the task in hand."""


@dataclass(eq=False)
class Post:
    """The place of one worker below one supervisor."""

    agent: Agent
    """Whose worker it is."""
    seat: Seat
    """What it works with; by two posts at once only while one of them waits for the other."""
    restart: Literal["permanent", "transient", "temporary"]
    """When it is restarted, in OTP's words."""
    significant: bool
    """Its end for good may end its supervisor."""
    worker: AsyncValue[Leaver | None] = field(default_factory=lambda: AsyncValue(None))
    """Who has the seat by this post now."""
    is_leaving: bool = False
    """It is to go, and nobody works here any more."""

    def is_like(self, other: "Post") -> bool:
        """Whether it is the same place, and supervised in the same way."""
        mine = (self.seat, self.restart, self.significant)
        return mine == (other.seat, other.restart, other.significant)


def taking_turns(post: Post, serve: Callable[[Status], Awaitable[None]]) -> StartFunction:
    """The life of the worker of a post: `serve`, while it has the seat.

    A seat that another post has is waited for; a seat that has been let go, since `serve` has
    returned, is another post's to take, and this one waits for its supervisor to take it away.
    """

    async def live(*, task_status: ChildStatus) -> None:
        status: Status = task_status
        try:
            post.seat.turn.acquire_nowait()
        except trio.WouldBlock:
            task_status.started()
            status = trio.TASK_STATUS_IGNORED
            await post.seat.turn.acquire()
        try:
            if post.is_leaving:  # its supervisor has started it again meanwhile
                status.started()
            else:
                await serve(status)
        finally:
            post.worker.value = None
            post.seat.turn.release()
        await trio.sleep_forever()

    return live


@dataclass(frozen=True)
class Wanted:
    """A supervisor as it is configured."""

    key: str
    """What it is for: a group, by `GROUP` and its name, or an agent, by its name."""
    table: SupervisorTable
    """How it restarts."""
    above: str | None
    """What the one above is for; None: it is below the top."""
    posts: list[Post]
    """Its workers, in start order."""


@dataclass(eq=False)
class Branch:
    """A supervisor as it is."""

    id: str
    """What the tree calls it: its key, or with a number where one of that name still leaves."""
    key: str
    """As in `Wanted`."""
    table: SupervisorTable
    """How it restarts."""
    above: "Branch | None"
    """The one above; None: it is below the top."""
    posts: list[Post]
    """Its workers, in start order."""
    inner: list["Branch"] = field(default_factory=list)
    """Those below it."""
    leaving: list[Post] = field(default_factory=list)
    """Workers that go once they have no task in hand."""
    supervisor: Supervisor | None = None
    """It, as it was started last."""
    is_retired: bool = False
    """There is another one in its place; it goes with the last of its workers."""
    has_gone: trio.Event = field(default_factory=trio.Event)
    """Set when it is no part of the tree any more."""

    def fits(self, wanted: Wanted, above: "Branch | None") -> bool:
        """Whether it can become what is wanted by workers that come and go."""
        if self.table != wanted.table or self.above is not above or self.is_retired:
            return False
        new = self.new_of(wanted.posts)
        # A child's name is free again, and how it is restarted can be another, when it has gone.
        taken = {post.seat.name for post in (*self.posts, *self.leaving)}
        if any(post.seat.name in taken for post in new):
            return False
        gone = set(self.without(wanted.posts))
        kept = [post.seat for post in self.posts if post not in gone]
        order = [*kept, *(post.seat for post in new)]
        is_ordered = self.table.strategy == "rest_for_one"
        return not is_ordered or order == [post.seat for post in wanted.posts]

    def without(self, wanted: list[Post]) -> list[Post]:
        """Its posts that are none of those."""
        return [post for post in self.posts if not any(map(post.is_like, wanted))]

    def new_of(self, wanted: list[Post]) -> list[Post]:
        """Those posts that it has not."""
        return [post for post in wanted if not any(map(post.is_like, self.posts))]

    def post(self, child: str) -> Post | None:
        """The post of a child by its name; None: it is no worker, or one that leaves."""
        return next((post for post in self.posts if post.seat.name == child), None)

    def all_posts(self) -> Iterator[Post]:
        """Its posts, and those of all below it."""
        yield from self.posts
        for inner in self.inner:
            if not inner.is_retired:
                yield from inner.all_posts()
