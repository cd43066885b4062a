"""Which session of the agent CLI holds a conversation, so that a later program finds it again."""

import sqlite3
from typing import Final

from supervisor.ledger._encoding import bind, unbind

KEPT_FOR_S: Final = 90 * 86_400.0
"""Seconds for which a conversation is remembered that nobody goes on with."""


def keep(
    connection: sqlite3.Connection,
    agent: str,
    conversation: str,
    session_id: str | None,
    now: float,
) -> None:
    """Remember the session, in place of an earlier one; None: there is none any more."""
    with connection:
        connection.execute("BEGIN")
        connection.execute("DELETE FROM session WHERE used_at < ?", (now - KEPT_FOR_S,))
        key = bind(agent), bind(conversation)
        connection.execute("DELETE FROM session WHERE agent = ? AND conversation = ?", key)
        if session_id is not None:
            row = (*key, bind(session_id), now)
            connection.execute("INSERT INTO session VALUES (?, ?, ?, ?)", row)


def get(connection: sqlite3.Connection, agent: str, conversation: str) -> str | None:
    """The session that holds the conversation; None: nobody knows of one."""
    found = connection.execute(
        "SELECT session_id FROM session WHERE agent = ? AND conversation = ?",
        (bind(agent), bind(conversation)),
    ).fetchone()
    return None if found is None else str(unbind(found[0]))
