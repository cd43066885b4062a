"""The pool's own program: what `agent-pool run` loads below its outer reaper."""

import contextlib
import logging
import os
import resource
import secrets
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import trio

from supervisor import __version__, guardian, reaper
from supervisor.agents import Folders
from supervisor.cli._http import NoHttp, open_http
from supervisor.cli._leftovers import end_leftovers, forget_cgroup
from supervisor.cli._lock import Hold, sign_ending
from supervisor.cli._start import Ways
from supervisor.frontend import FrontEnd, claim_stdio, close, listen
from supervisor.logs import OnLine, Rotation, Transcripts, adjust_log, open_log
from supervisor.place import FOLDER, Place, built_in, settled_variables
from supervisor.pool import ConfigFiles, Pool, PoolEvent
from supervisor.pool.config import LogsTable
from supervisor.process import (
    become_subreaper,
    end_everything_below,
    end_subtree,
    on_children,
    reap_adopted_forever,
    use_cgroups,
)
from supervisor.temporary import TemporaryFolders
from supervisor.tree import ChildExited, ChildSpec, Event, Supervisor, SupervisorFlags

FIRST_CLIENT_S = 10.0
"""How long a pool that lingers waits for the client that started it."""

LOOK_S = 2.0
"""Seconds between two looks whether the state folder is this pool's yet."""

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""The signals that end a pool in order; SIGHUP has a daemon reload instead."""


_LEVELS = {name.lower(): number for name, number in logging.getLevelNamesMapping().items()}


def serve(place: Place, environ: Mapping[str, str], cwd: str, ways: Ways, hold: Hold) -> int:
    """Serve until told to stop; returns the exit status.

    The arguments are those of `run`, and what it holds of the place.
    """
    _raise_descriptor_limit()
    _restore_quit()
    stdio = claim_stdio() if ways.stdio else None
    # Who is told to stop from here on does so in order, if a moment later.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    for number in STOPPING:
        # What holds again once nobody listens: who is impatient then must not cut off the last
        # look for what is left.
        signal.signal(number, signal.SIG_IGN)
    try:
        program = _Program(place, environ, cwd, ways, hold, stdio)
    except NoHttp as error:
        _say(str(error))
        return 1
    if not ways.linger:
        _say(f"pool of {place.root}; log: {place.log}; Ctrl-C ends it")
    return trio.run(program.main)


def _say(text: str) -> None:
    sys.stderr.write(f"agent-pool: {text}\n")


def _raise_descriptor_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        # macOS refuses "unlimited", and takes this number.
        for wanted in (hard, 10240):
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
                return


def _restore_quit() -> None:
    """What a shell has a background job ignore, agents are not to inherit as ignored."""
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)


class _Program:
    """The running pool and what belongs to it."""

    def __init__(
        self,
        place: Place,
        environ: Mapping[str, str],
        cwd: str,
        ways: Ways,
        hold: Hold,
        stdio: trio.abc.Stream | None,
    ) -> None:
        variables = settled_variables(environ, cwd)
        settled = {**environ, **variables, FOLDER: place.folder}
        home = Path(environ.get("HOME") or Path.home())
        root = Path(place.root)
        files = ConfigFiles.find(root, settled, Path(built_in()) / "config" / "pool.toml")
        folders = Folders.resolve(root, settled, home, Path(built_in()))
        self._place = place
        self._environ = environ
        self._linger = ways.linger
        self._hold = hold
        self._stdio = stdio
        self._cgroup: Path | None = None
        self._temporary = TemporaryFolders(place.folder, environ)
        self._transcripts: Transcripts | None = None
        self._pool = Pool(
            root,
            settled,
            files,
            folders,
            self._emit,
            place.mark,
            self._temporary,
            Path(place.folder),
            self._transcript,
        )
        self._pool.log = Path(place.log)
        self._logs = self._pool.config.logs
        self._log: Any = open_log(Path(place.log), self._logs.level, _rotation(self._logs))
        self._open_transcripts()
        self._pool.on_reload = self._adjust_logs
        self._front_end = FrontEnd(self._pool, place, variables, self._fault)
        self._http = open_http(self._front_end, self._pool.config.http, place, ways)
        self._stop = trio.Event()
        self._unguarded = trio.Event()
        self._reloads: trio.Nursery | None = None
        self._had_terminal = _has_terminal()
        self._why = ""

    async def main(self) -> int:
        """Run the tree until it is to stop; end everything; returns the exit status."""
        become_subreaper()
        on_children(guardian.tell)
        self._log.info(
            "pool_started",
            name=self._pool.name,
            root=self._place.root,
            version=__version__,
            pid=os.getpid(),
        )
        for warning in self._pool.warnings:
            self._log.warning("config_warning", warning=warning)
        if self._pool.problem:
            if not self._linger:
                _say(f"degraded: {self._pool.problem}")
            self._log.error("pool_degraded", problem=self._pool.problem)
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(self._await_signals)
                # Not before: it starts a thread, which inherits the signals that are blocked.
                nursery.start_soon(reap_adopted_forever)
                nursery.start_soon(self._end_at_once, nursery.cancel_scope)
                nursery.start_soon(self._await_guardians_end)
                nursery.start_soon(self._await_loss)
                self._reloads = nursery
                await self._end_strays()
                self._use_cgroup()
                # Whoever started this program waits for the socket.
                listener = listen(self._place)
                self._tell_of_http()
                await self._serve(listener)
                nursery.cancel_scope.cancel()
        finally:
            self._take_socket_away()
            left = await end_everything_below()
            if self._cgroup is not None:
                end_subtree(self._cgroup)
            if self._hold.loss() is None:
                await self._temporary.clean()
                forget_cgroup(self._place.folder)
            self._log.info("pool_ended", why=self._why, processes_left=left)
            if self._transcripts is not None:
                self._transcripts.close()
        return 1 if left else 0

    async def _end_strays(self) -> None:
        """End what a pool of this place that was killed has left: nobody else would."""
        found, there = await end_leftovers(self._place.folder, self._environ)
        if found.pids:
            pids, left = sorted(found.pids), sorted(there.pids)
            self._log.warning("strays_ended", pids=pids, processes_left=left)
        if found.folders:
            removed = len(found.folders) - len(there.folders)
            self._log.warning("temporary_folders_removed", number=removed)

    def _use_cgroup(self) -> None:
        path = use_cgroups(f"{self._place.cgroup}-{secrets.token_hex(4)}")
        if path is None:
            return
        try:
            Path(self._place.cgroup_note).write_text(str(path))
        except OSError as error:
            # Whom a killed pool has left there, nobody would find.
            end_subtree(path)
            self._log.warning("no_cgroup", why=str(error))
            return
        self._cgroup = path

    def _take_socket_away(self) -> None:
        if self._hold.loss() is None:
            close(self._place)

    async def _await_loss(self) -> None:
        """End where the state folder is not ours any more: nobody finds this pool again."""
        while True:
            await trio.sleep(LOOK_S)
            if (loss := self._hold.loss()) is not None:
                self._log.error("place_lost", why=loss)
                with contextlib.suppress(OSError):
                    _say(f"the pool of {self._place.root} ends: {loss}")
                self._end(loss)
                return

    async def _serve(self, listener: trio.SocketListener) -> None:
        async def front_end(*, task_status: trio.TaskStatus[object]) -> None:
            await self._front_end.run(listener, task_status=task_status)

        http = self._http
        root = Supervisor(
            "root",
            SupervisorFlags(intensity=5, period_s=60),
            [
                *self._pool.children,
                ChildSpec("notices", self._front_end.notices.run),
                ChildSpec("front end", front_end, shutdown="infinity"),
                *([] if http is None else [ChildSpec("http", http.run, shutdown="infinity")]),
            ],
            on_event=self._tell_tree,
        )
        self._pool.root_supervisor = root
        async with trio.open_nursery() as nursery:
            await nursery.start(root.run)
            if self._linger:
                nursery.start_soon(self._await_lingered)
            if self._stdio is not None:
                nursery.start_soon(self._serve_stdio, self._stdio)
            await self._stop.wait()
            self._log.info("pool_stopping", why=self._why)
            # First the door, then the house: who comes now finds no socket, and waits for the
            # next pool.
            self._take_socket_away()
            listener.socket.close()
            if http is not None:
                http.close()
            await self._pool.drain()
            await self._front_end.flush()
            nursery.cancel_scope.cancel()

    async def _serve_stdio(self, stdio: trio.abc.Stream) -> None:
        try:
            await self._front_end.serve_stream(stdio)
        except* (OSError, trio.BrokenResourceError):
            pass  # it has gone in the middle of something
        except* Exception as faults:
            for fault in faults.exceptions:
                self._fault(fault)
        if not self._linger:
            self._end("the client that started it has gone")

    def _tell_of_http(self) -> None:
        told = self._front_end.http
        if "problem" in told:
            self._log.error("http_not_served", problem=told["problem"])
            text = f"no HTTP: {told['problem']}"
        elif told:
            self._log.info("http_served", **told)
            text = f"MCP over HTTP: {told['url']}; the token is in {told['token_file']}"
        if told and not self._linger:
            _say(text)

    async def _await_signals(self, *, task_status: trio.TaskStatus[None]) -> None:
        with trio.open_signal_receiver(*STOPPING) as signals:
            # Before any other thread or process is started, which would inherit the mask.
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
            task_status.started()
            async for number in signals:
                if reaper.lost():
                    self._unguarded.set()
                    self._end("its reaper was killed")
                if number == signal.SIGHUP and self._is_asked_to_reload():
                    assert self._reloads is not None
                    self._reloads.start_soon(self._pool.reload, "SIGHUP")
                    continue
                self._end(signal.Signals(number).name)

    def _is_asked_to_reload(self) -> bool:
        """Whether SIGHUP means what it means to a daemon: nothing that we run in has gone.

        In a session that is somebody else's, a shell's, it means the end, as for every program.
        """
        terminal_has_gone = self._had_terminal and not _has_terminal()
        return self._reloads is not None and _leads_session() and not terminal_has_gone

    async def _await_guardians_end(self) -> None:
        # Where there is a guardian, there is no parent-death signal.
        descriptor = guardian.end_of_guardian()
        if descriptor is not None:
            await trio.lowlevel.wait_readable(descriptor)
            self._unguarded.set()
            self._end("its reaper was killed")

    async def _end_at_once(self, everything: trio.CancelScope) -> None:
        """Without a reaper, being killed next would leave all of it: end it while we can."""
        await self._unguarded.wait()
        # First this, which keeps the tree from starting anew whom we kill.
        everything.cancel()
        await end_everything_below()

    async def _await_lingered(self) -> None:
        with trio.move_on_after(FIRST_CLIENT_S) as first:
            await self._until_used()
        if first.cancelled_caught:
            # Whoever started this pool has been killed, or has joined one that was faster.
            self._end("nobody came")
            return
        while True:
            await self._until_unused()
            with trio.move_on_after(self._pool.config.pool.linger):
                await self._until_used()
            if not self._front_end.clients:
                self._end("nobody has used it for a while")
                return

    async def _until_unused(self) -> None:
        while self._front_end.clients or not self._pool.idle.is_set():
            if self._front_end.clients:
                await self._front_end.changed.wait()
            else:
                await self._pool.idle.wait()

    async def _until_used(self) -> None:
        while not self._front_end.clients:
            await self._front_end.changed.wait()

    def _end(self, why: str) -> None:
        if not self._why and self._hold.loss() is None:
            sign_ending(self._place.lock)
        self._why = self._why or why
        self._front_end.ending = True  # at once: nobody is to be let into an ending pool
        self._stop.set()

    def _tell_tree(self, event: Event) -> None:
        crashed = isinstance(event, ChildExited) and event.reason == "crash"
        (self._log.error if crashed else self._log.debug)("tree", happened=repr(event))

    def _fault(self, error: Exception) -> None:
        self._log.error("fault", exc_info=error)

    def _transcript(self, task_id: str) -> OnLine | None:
        return None if self._transcripts is None else self._transcripts.of(task_id)

    def _emit(self, event: PoolEvent) -> None:
        if self._log.isEnabledFor(_LEVELS[event.level]):
            getattr(self._log, event.level)(event.kind, **event.fields())
        self._front_end.told(event)

    def _adjust_logs(self) -> None:
        """Write the log as it is configured now."""
        logs, before = self._pool.config.logs, self._logs
        if logs == before:
            return
        self._logs = logs
        adjust_log(logs.level, _rotation(logs))
        if (logs.transcripts, logs.total, logs.compress) != (
            before.transcripts, before.total, before.compress
        ):  # fmt: skip
            if self._transcripts is not None:
                self._transcripts.close()
            self._transcripts = None
            self._open_transcripts()

    def _open_transcripts(self) -> None:
        logs = self._logs
        if logs.transcripts:
            folder = Path(self._place.transcripts)
            self._transcripts = Transcripts(folder, logs.total // 2, logs.compress)


def _rotation(logs: LogsTable) -> Rotation:
    return Rotation(logs.max_size, logs.max_age, logs.keep, logs.total // 2, compress=logs.compress)


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


def _leads_session() -> bool:
    """Whether a session is this program's own: a relay, a manager of services began it."""
    return os.getsid(0) in (os.getpid(), reaper.above())
