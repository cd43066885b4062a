"""One conversation with a CLI over its pipes, as plain and blocking as can be.

For recording and for tests that ask what the real CLI does; the product's own way of talking to
it lives in `supervisor`, and is tested against what this one sees.
"""

import contextlib
import json
import queue
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

Object = dict[str, Any]
STREAM_JSON: Final = (
    "-p",
    "--input-format=stream-json",
    "--output-format=stream-json",
    "--verbose",
)
EXIT_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Line:
    """One line on stdin (`>>>`) or stdout (`<<<`)."""

    direction: str
    text: str
    at_s: float
    """Seconds since the spawn."""


class Session:
    """A running CLI. Leaving the block closes its stdin, and kills it if that does not end it."""

    def __init__(
        self, argv: Sequence[str], env: Mapping[str, str], cwd: Path, stderr: Path
    ) -> None:
        self.lines: list[Line] = []
        self._arrived: queue.SimpleQueue[Object | None] = queue.SimpleQueue()
        self._started = time.monotonic()
        with stderr.open("wb") as errors:
            self._process = subprocess.Popen(
                argv,
                env=env,
                cwd=cwd,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> int:
        """Close stdin and give the exit status; negative if it had to be killed."""
        assert self._process.stdin
        with contextlib.suppress(BrokenPipeError):  # it has left with lines unread
            self._process.stdin.close()
        return self.wait()

    def wait(self) -> int:
        """Wait for the exit that a line asked for, and kill what does not exit; the status."""
        assert self._process.stdout
        try:
            status = self._process.wait(EXIT_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        self._reader.join()
        self._process.stdout.close()
        return status

    def send(self, message: Object) -> None:
        """Write one line."""
        assert self._process.stdin
        text = json.dumps(message)
        self._note(">>>", text)
        self._process.stdin.write(text.encode() + b"\n")
        self._process.stdin.flush()

    def read_until(self, wanted: Callable[[Object], bool], timeout_s: float = 30.0) -> Object:
        """Read on until a line that is wanted.

        Raises:
            TimeoutError: it did not come in time.
            EOFError: stdout ended before it came.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                message = self._arrived.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise TimeoutError(f"nothing of that kind within {timeout_s} s") from None
            if message is None:
                raise EOFError("the CLI has closed its stdout")
            if wanted(message):
                return message

    def ask(self, subtype: str, timeout_s: float = 30.0, **fields: Any) -> Object:
        """Send a control request and give the `response` of its answer, an error's included."""
        request_id = f"{subtype}-{len(self.lines)}"
        request = {"subtype": subtype, **fields}
        self.send({"type": "control_request", "request_id": request_id, "request": request})

        def answers(message: Object) -> bool:
            if message.get("type") != "control_response":
                return False
            return bool(message["response"].get("request_id") == request_id)

        response: Object = self.read_until(answers, timeout_s)["response"]
        return response

    def give(self, text: str) -> str:
        """Send a task and give the uuid that its line had; the result is not waited for."""
        name = str(uuid.uuid4())
        message = {"role": "user", "content": text}
        self.send({"type": "user", "message": message, "uuid": name})
        return name

    def result(self, timeout_s: float = 30.0) -> Object:
        """The next `result` line."""
        return self.read_until(lambda message: message.get("type") == "result", timeout_s)

    def task(self, text: str, timeout_s: float = 30.0) -> Object:
        """Send a task and give its result."""
        self.give(text)
        return self.result(timeout_s)

    def _read(self) -> None:
        assert self._process.stdout
        for raw in self._process.stdout:
            text = raw.decode().rstrip("\n")
            self._note("<<<", text)
            self._arrived.put(json.loads(text))
        self._arrived.put(None)

    def _note(self, direction: str, text: str) -> None:
        self.lines.append(Line(direction, text, time.monotonic() - self._started))
