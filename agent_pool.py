"""The `agent-pool` command's first step, in a module of its own.

The import name `supervisor` also belongs to another well-known distribution. Where both are
installed in one environment, either may shadow the other, or their files may have been mixed
in one folder. This module has a name that nobody else uses, so it can always say so.
"""

import os
import signal
import sys

CLASH = """\
agent-pool: the import package `supervisor` found here is not agent-pool's
  found: {found}
  The distribution `supervisor` (supervisord) has the same import name, so the two cannot
  share an environment. Install agent-pool in one of its own, for example:
    pipx install agent-pool
  or
    python3 -m venv ~/.agent-pool && ~/.agent-pool/bin/pip install agent-pool
"""


def clash() -> str | None:
    """Where another distribution's `supervisor` package is in the way, or None."""
    try:
        import supervisor
    except Exception as error:  # theirs may fail in any way
        return f"none that can be imported ({error!r})"
    folder = next(iter(getattr(supervisor, "__path__", ())), None)
    if folder is None:
        return str(supervisor.__file__)
    ours = os.path.exists(os.path.join(folder, "relay.py")) and hasattr(supervisor, "__version__")
    theirs = os.path.exists(os.path.join(folder, "supervisord.py"))
    return None if ours and not theirs else str(folder)


def main() -> int:
    """Run the command line; exit status 2 where another `supervisor` is in the way."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Until all is loaded, Ctrl-C has nothing to cancel, and a traceback to tell nobody.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    found = clash()
    if found is not None:
        sys.stderr.write(CLASH.format(found=found))
        return 2
    from supervisor.__main__ import main as command

    return command()


if __name__ == "__main__":
    sys.exit(main())
