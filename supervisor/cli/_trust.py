"""`agent-pool trust`: whose own files may also say what runs code."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from supervisor.cli._failure import fail
from supervisor.cli._manual import FAILED
from supervisor.place import TAG, PlaceError, find_place, settled_variables
from supervisor.pool.trust import TrustError, distrust, trust_file, trusted_roots
from supervisor.pool.trust import trust as trust_root

ANSWER_S = 10.0
"""How long a running pool may take to read all files again."""


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
    facts: dict[str, object] = {"root": real, "trusted": not removed, "changed": changed}
    if changed:
        text += "\na pool that runs there takes it over at once; agents that it changes start anew"
        needs = _needs_restart(real, environ)
        facts |= {} if needs is None else {"needs_restart": needs}
        text += "".join(f"\nneeds a new pool: {one}" for one in needs or ())
    _say(as_json, facts, text)
    return 0


def _needs_restart(root: str, environ: Mapping[str, str]) -> list[str] | None:
    """What the project's running pool cannot take over; None: none runs, or it does not answer."""
    from supervisor.cli._client import ClientError
    from supervisor.cli._session import looking

    settled = {**environ, **settled_variables(environ, root)}
    try:
        place = find_place(root, settled)
        if place.holder() is None:
            return None
        with looking(place, ANSWER_S) as (_, client):
            record = client.call("reload").get("structuredContent") or {}
    except (OSError, ValueError, ClientError, PlaceError):
        return None  # what is trusted is written all the same, and it will see that
    needs: list[str] | None = record.get("needs_restart")
    return needs


def _say(as_json: bool, facts: dict[str, object], text: str) -> None:
    print(json.dumps(facts) if as_json else text)
