"""`agent-pool trust`: whose own files may also say what runs code."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from supervisor.cli._failure import fail
from supervisor.cli._manual import FAILED
from supervisor.place import TAG
from supervisor.pool.trust import TrustError, distrust, trust_file, trusted_roots
from supervisor.pool.trust import trust as trust_root


def trust(
    root: Path, environ: Mapping[str, str], listed: bool, removed: bool, as_json: bool
) -> int:
    """Trust a project, or no longer, or list who is trusted; returns the exit status.

    Args:
        root: the project.
        environ: describes the user.
        listed: change nothing, print all trusted projects.
        removed: trust the project no longer.
        as_json: print one JSON object.
    """
    real = os.path.realpath(root)
    try:
        if listed:
            roots = trusted_roots(environ)
            _say(as_json, {"roots": roots}, "\n".join(roots) or "no project is trusted")
            return 0
        if environ.get(TAG):
            text = f"an agent of a pool may not decide whom to trust ({TAG} is set)"
            return fail(as_json, FAILED, "inside_agent", text)
        if removed:
            changed, state = distrust(real, environ), "no longer trusted"
        else:
            changed, state = trust_root(real, environ), "trusted"
    except TrustError as error:
        return fail(as_json, FAILED, "trust_unreadable", str(error))
    text = f"{real} is {state}" + ("" if changed else ", as before")
    text += f" ({trust_file(environ)})"
    if changed:
        text += "\na pool that runs there takes it over at once; agents that it changes start anew"
    _say(as_json, {"root": real, "trusted": not removed, "changed": changed}, text)
    return 0


def _say(as_json: bool, facts: dict[str, object], text: str) -> None:
    print(json.dumps(facts) if as_json else text)
