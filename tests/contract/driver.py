"""A synchronous client of one agent CLI: raw pipes, a JSON object a line, a limit to each wait."""

import json
import os
import select
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import psutil

LIMIT_S: Final = 20.0
POLL_S: Final = 0.01
"""Between two looks at what cannot be waited for."""
Line = dict[str, Any]
STREAM_JSON: Final = (
    "-p",
    "--input-format",
    "stream-json",
    "--output-format",
    "stream-json",
    "--verbose",
    "--no-session-persistence",
    "--strict-mcp-config",
    "--setting-sources",
    "",
    "--model",
    "claude-sonnet-4-5",
    "--tools",
    "Bash",
)


class Driver:
    """One running CLI; the scope that opened it kills it.

    Every line that was read is kept in `lines`, in order.
    """

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str], cwd: Path) -> None:
        self.lines: list[Line] = []
        self.strange: list[bytes] = []
        """Lines that were no JSON object."""
        self._unread = b""
        self._stderr = (cwd / "stderr").open("w+b")
        self._process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=environment,
            cwd=cwd,
            bufsize=0,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        for file in (self._process.stdin, self._process.stdout, self._stderr):
            if file is not None:
                file.close()

    @property
    def pid(self) -> int:
        """The CLI's process id."""
        return self._process.pid

    # Writing

    def write(self, raw: bytes) -> None:
        """Write bytes as they are."""
        assert self._process.stdin is not None
        self._process.stdin.write(raw)

    def send(self, line: object) -> None:
        """Write one line."""
        self.write(json.dumps(line).encode() + b"\n")

    def user(self, text: object, **more: object) -> str:
        """Send one task; gives its uuid."""
        fields = {"uuid": str(uuid.uuid4()), **more}
        self.send({"type": "user", "message": {"role": "user", "content": text}, **fields})
        return str(fields["uuid"])

    def anchor(self) -> None:
        """Plant an assistant message, so that there is something to rewind to."""
        content = [{"type": "text", "text": "Ready."}]
        self.send({"type": "assistant", "message": {"role": "assistant", "content": content}})

    def request(self, subtype: str, **fields: object) -> str:
        """Send a control request; gives its id."""
        request_id = str(uuid.uuid4())
        request = {"subtype": subtype, **fields}
        self.send({"type": "control_request", "request_id": request_id, "request": request})
        return request_id

    def end_input(self) -> None:
        """Close stdin."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the CLI alone."""
        self._process.send_signal(number)

    # Reading

    def until(self, found: Callable[[Line], bool]) -> Line:
        """The first line not read yet that satisfies the predicate.

        Raises:
            AssertionError: none came within `LIMIT_S`, or stdout ended; with what was read.
        """
        end = time.monotonic() + LIMIT_S
        while (line := self._read_line(end)) is not None:
            if found(line):
                return line
        raise AssertionError(f"stdout ended; it said {self.lines[-8:]}, stderr {self.stderr()!r}")

    def result(self) -> Line:
        """The next result."""
        return self.until(lambda line: line["type"] == "result")

    def idle(self) -> Line:
        """The next word that nothing runs."""
        return self.until(lambda line: line.get("state") == "idle")

    def init(self) -> Line:
        """The next start of a turn."""
        return self.until(lambda line: line.get("subtype") == "init")

    def ask(self, text: object, **more: object) -> Line:
        """Send one task while idle; gives its result, read to the end of the turn."""
        self.user(text, **more)
        result = self.result()
        self.idle()
        return result

    def control(self, subtype: str, **fields: object) -> Line:
        """Send a control request; gives the `response` of its answer."""
        return self.answer(self.request(subtype, **fields))

    def answer(self, request_id: str) -> Line:
        """The `response` to that control request."""

        def is_it(line: Line) -> bool:
            response = line.get("response")
            return isinstance(response, dict) and response["request_id"] == request_id

        response: Line = self.until(is_it)["response"]
        return response

    def exit_code(self) -> int:
        """The exit code, after everything it says has been read."""
        end = time.monotonic() + LIMIT_S
        while self._read_line(end) is not None:
            pass
        return self._process.wait(LIMIT_S)

    def stderr(self) -> str:
        """What was written to stderr so far."""
        return os.pread(self._stderr.fileno(), 1 << 20, 0).decode(errors="replace")

    def since(self, line: Line) -> list[Line]:
        """That line and what was read after it."""
        return self.lines[next(i for i, known in enumerate(self.lines) if known is line) :]

    def _read_line(self, end: float) -> Line | None:
        while True:
            while b"\n" not in self._unread:
                chunk = self._read_chunk(end)
                if not chunk:
                    return None
                self._unread += chunk
            raw, _, self._unread = self._unread.partition(b"\n")
            try:
                line = json.loads(raw)
            except ValueError:
                self.strange.append(raw)
                continue
            self.lines.append(line)
            return self.lines[-1]

    def _read_chunk(self, end: float) -> bytes:
        assert self._process.stdout is not None
        readable, _, _ = select.select([self._process.stdout], [], [], end - time.monotonic())
        if not readable:
            said = f"{self.lines[-8:]}, stderr {self.stderr()!r}"
            raise AssertionError(f"nothing came within {LIMIT_S} s; it had said {said}")
        return os.read(self._process.stdout.fileno(), 1 << 20)


def wait_until_gone(pid: int) -> None:
    """Block until that process, which need not be a child of ours, has ended.

    Raises:
        AssertionError: it lives after `LIMIT_S`.
    """
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return  # nobody has reaped it, which is not ours to do
        except psutil.NoSuchProcess:
            return
        select.select([], [], [], POLL_S)
    raise AssertionError(f"process {pid} is still there after {LIMIT_S} s")


def read_pid(file: Path) -> int:
    """The number that a shell writes into a file (`echo $$ > file`), as soon as it is there.

    Raises:
        AssertionError: nothing was written within `LIMIT_S`.
    """
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        if file.exists() and (written := file.read_text()).endswith("\n"):
            return int(written)
        select.select([], [], [], POLL_S)
    raise AssertionError(f"{file} was not written")
