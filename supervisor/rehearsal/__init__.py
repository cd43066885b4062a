"""The rehearsal agent: a stand-in for the Claude CLI that needs no network and no model.

It speaks stream-json as version 2.1.197 was measured to, answers by a script in the task's text,
and misbehaves on request. `python -m supervisor.rehearsal --help` prints everything it can do,
and where it deliberately differs from the real CLI.
"""
