"""A tiny MCP server over stdio: the tool `greet` answers with the variable GREETING.

    python greeter.py MARK

It writes its pid to the file MARK as soon as it runs.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

TOOL = {
    "name": "greet",
    "description": "Greets.",
    "inputSchema": {"type": "object", "properties": {}},
}


def answer(method: str, params: dict[str, Any]) -> dict[str, Any]:
    """The result of a request."""
    if method == "initialize":
        return {
            "protocolVersion": params["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "greeter", "version": "1"},
        }
    if method == "tools/list":
        return {"tools": [TOOL]}
    if method == "tools/call":
        return {"content": [{"type": "text", "text": f"{os.environ.get('GREETING')}!"}]}
    return {}


def main() -> None:
    """Serve until stdin ends."""
    Path(sys.argv[1]).write_text(f"{os.getpid()}\n")
    for line in sys.stdin:
        message = json.loads(line)
        if "id" in message:
            result = answer(message["method"], message.get("params") or {})
            reply = {"jsonrpc": "2.0", "id": message["id"], "result": result}
            print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
