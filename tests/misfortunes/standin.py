"""A stand-in agent CLI that owes nothing to the rehearsal agent, and misbehaves on demand.

    python standin.py FOLDER … [--model NAME] …

It answers at once, prints no `init` lines, acknowledges every control request with an empty
success, and clears with `/clear`. `FOLDER/NAME.json` says how it misbehaves; what a task is to
cause stands in the task itself, as directives: `@crash=3`, `@sleep=0.2`, `@twice`, and so on.
Each process adds lines to `FOLDER/NAME.journal`: what it was started with, and each task.
"""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

Message = dict[str, Any]


class StandIn:
    """One process."""

    def __init__(self, folder: Path, name: str) -> None:
        path = folder / f"{name}.json"
        self.ways: Message = json.loads(path.read_text()) if path.exists() else {}
        self.journal = folder / f"{name}.journal"
        self.go = folder / f"{name}.go"
        self.session = "constant" if self.ways.get("constant_session") else str(uuid.uuid4())
        self.since_clear = 0
        self.hanging: str | None = None

    # its life

    def run(self) -> None:
        self.note(
            started=os.getpid(),
            argv=sys.argv[1:],
            env=dict(os.environ),
            cwd=os.getcwd(),
            session=os.getsid(0),
            group=os.getpgid(0),
            descriptors=sorted(map(int, os.listdir("/proc/self/fd"))),
            status=Path("/proc/self/status").read_text(),
        )
        self.begin()
        for line in sys.stdin.buffer:
            message = json.loads(line)
            if message["type"] == "control_request":
                self.control(message["request_id"], message["request"])
            elif message["type"] == "user":
                self.user(message["message"]["content"])

    def begin(self) -> None:
        ways = self.ways
        if ways.get("ignore_term"):
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
        if "stderr" in ways:
            self.complain(ways["stderr"])
        if "babble" in ways:
            write(ways["babble"].encode())
        if "babble_bytes" in ways:
            write(b"x" * ways["babble_bytes"] + b"\n")
        if "close_stdin" in ways:
            os.close(0)
            time.sleep(3600)
        if "exit" in ways:
            sys.exit(ways["exit"])
        if ways.get("deaf_from_start"):
            time.sleep(3600)

    def note(self, **what: object) -> None:
        with self.journal.open("a") as file:
            file.write(json.dumps(what) + "\n")

    def complain(self, text: str) -> None:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()

    # what it is told

    def control(self, request_id: str, request: Message) -> None:
        subtype = request["subtype"]
        silent = self.ways.get(f"silent_{subtype}") or (
            self.ways.get("silent_controls") and subtype != "initialize"
        )
        answer: Message = {"subtype": "success", "request_id": request_id, "response": {}}
        if subtype == "initialize" and "refuse_initialize" in self.ways:
            error = self.ways["refuse_initialize"]
            answer = {"subtype": "error", "request_id": request_id, "error": error}
        if not silent:
            say({"type": "control_response", "response": answer})
        if subtype == "initialize":
            self.initialized()
        elif subtype == "interrupt" and self.hanging and not self.ways.get("ignore_interrupt"):
            self.hanging = None
            self.result("", subtype="error_during_execution", is_error=True)

    def initialized(self) -> None:
        if "exit_when_ready" in self.ways:
            sys.exit(self.ways["exit_when_ready"])
        if self.ways.get("close_stdin_when_ready"):
            os.close(0)
            time.sleep(3600)
        if self.ways.get("stop_reading"):
            time.sleep(3600)

    def user(self, text: str) -> None:
        if text == "/clear":
            self.clear()
            return
        self.since_clear += 1
        if self.ways.get("journal_tasks", True):
            self.note(task=text[:200], pid=os.getpid())
        directives = [word[1:] for word in text[:300].split() if word.startswith("@")]
        answer = f"done {self.since_clear}: {text}"
        for directive in directives:
            name, _, value = directive.partition("=")
            act: Callable[[str, str], bool] = getattr(self, f"do_{name}")
            if act(value, answer):
                return
        if "exit_on_task" in self.ways:
            self.complain("it is more than I can take")
            sys.exit(self.ways["exit_on_task"])
        self.result(answer)

    def clear(self) -> None:
        way = self.ways.get("clear", "right")
        if way == "silent":
            return
        if way == "exit":
            sys.exit(4)
        if way == "error":
            self.result("/clear is not available here")
            return
        if way != "same_session" and not self.ways.get("constant_session"):
            self.session = str(uuid.uuid4())
        self.since_clear = 0
        self.result("")

    def result(self, text: object, **more: object) -> None:
        line: Message = {
            "type": "result",
            "subtype": "success",
            "is_error": False,
            "result": text,
            "session_id": self.session,
            **more,
        }
        if self.ways.get("no_session"):
            del line["session_id"]
        say(line)

    # what a task can cause; each returns whether the task has been dealt with

    def do_exit(self, value: str, answer: str) -> bool:
        sys.exit(int(value or 0))

    def do_last_words(self, value: str, answer: str) -> bool:
        self.complain("these are my last words")
        sys.exit(3)

    def do_kill(self, value: str, answer: str) -> bool:
        os.kill(os.getpid(), signal.SIGKILL)
        return True

    def do_stop(self, value: str, answer: str) -> bool:
        os.kill(os.getpid(), signal.SIGSTOP)
        return False

    def do_hang(self, value: str, answer: str) -> bool:
        self.hanging = answer
        return True

    def do_sleep(self, value: str, answer: str) -> bool:
        time.sleep(float(value))
        return False

    def do_wait(self, value: str, answer: str) -> bool:
        while not self.go.exists():
            time.sleep(0.01)
        return False

    def do_close_stdout(self, value: str, answer: str) -> bool:
        os.close(1)
        time.sleep(3600)
        return True

    def do_twice(self, value: str, answer: str) -> bool:
        self.result(answer)
        return False

    def do_afterwards(self, value: str, answer: str) -> bool:
        # A result that nobody asked for, when the context has been cleared and all is quiet.
        self.result(answer)
        assert json.loads(sys.stdin.buffer.readline())["message"]["content"] == "/clear"
        self.clear()
        self.result("I have something to add")
        return True

    def do_no_result(self, value: str, answer: str) -> bool:
        say({"type": "result", "subtype": "success", "session_id": self.session})
        return True

    def do_odd_result(self, value: str, answer: str) -> bool:
        self.result(json.loads(value))
        return True

    def do_failed(self, value: str, answer: str) -> bool:
        self.result("the API said no", is_error=True, api_error_status=529)
        return True

    def do_wrong_types(self, value: str, answer: str) -> bool:
        odd = {"usage": [1], "permission_denials": 7, "errors": "x", "total_cost_usd": "much"}
        self.result(answer, num_turns="many", uuid=5, **odd)
        return True

    def do_split(self, value: str, answer: str) -> bool:
        line = {"type": "result", "subtype": "success", "result": answer, "session_id": "s"}
        line["session_id"] = self.session
        for byte in json.dumps(line, ensure_ascii=False).encode() + b"\n":
            write(bytes([byte]))
            if byte > 127:
                time.sleep(0.005)
        return True

    def do_crlf(self, value: str, answer: str) -> bool:
        line = {"type": "result", "subtype": "success", "result": answer}
        write(b"\r\n" + json.dumps({**line, "session_id": self.session}).encode() + b"\r\n\r\n")
        return True

    def do_no_newline(self, value: str, answer: str) -> bool:
        line = {"type": "result", "subtype": "success", "result": answer}
        write(json.dumps({**line, "session_id": self.session}).encode())
        sys.exit(0)

    def do_answer_and_exit(self, value: str, answer: str) -> bool:
        self.result(answer)
        sys.exit(int(value or 0))

    def do_big(self, value: str, answer: str) -> bool:
        self.result("é" * int(value))
        return True

    def do_flood_stderr(self, value: str, answer: str) -> bool:
        lines = "".join(f"complaint {n}\n" for n in range(int(value)))
        sys.stderr.write(lines)
        sys.stderr.flush()
        return False

    def do_flood_stdout(self, value: str, answer: str) -> bool:
        one = json.dumps({"type": "assistant", "message": {"content": [{"type": "tool_use"}]}})
        write((one + "\n").encode() * int(value))
        return False

    def do_flood_garbage(self, value: str, answer: str) -> bool:
        write(b"this is not JSON\n" * int(value))
        return False

    def do_nonsense(self, value: str, answer: str) -> bool:
        write(b'\n  \n{}\n[]\n42\nnull\n"x"\n{"type":7}\n\xff\xfe\n{"type":"result"')
        write(b"\n" + b"[" * 5000 + b"\n{\n")
        say({"type": "system", "subtype": "init", "session_id": 4})
        say({"type": "assistant", "message": "not an object"})
        say({"type": "control_response", "response": "nobody asked"})
        return False

    def do_orphan(self, value: str, answer: str) -> bool:
        # It holds our stdout and stderr open, and outlives us.
        self.descend(start_new_session=False)
        sys.exit(int(value or 0))

    def do_daemon(self, value: str, answer: str) -> bool:
        self.descend(start_new_session=True)
        return False

    def descend(self, start_new_session: bool) -> None:
        deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(3600)"
        argv = [sys.executable, "-S", "-c", deaf]
        child = subprocess.Popen(argv, start_new_session=start_new_session)
        self.note(descendant=child.pid)

    def do_ask(self, value: str, answer: str) -> bool:
        request = {"subtype": "can_use_tool", "tool_name": "Bash", "input": {}}
        say({"type": "control_request", "request_id": "q", "request": request})
        reply = json.loads(sys.stdin.buffer.readline())
        self.result(reply["response"]["response"]["behavior"])
        return True


def say(message: Message) -> None:
    write(json.dumps(message).encode() + b"\n")


def write(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


def main() -> None:
    words = sys.argv[1:]
    name = words[words.index("--model") + 1] if "--model" in words else "default"
    StandIn(Path(words[0]), name).run()


if __name__ == "__main__":
    main()
