"""`python -m supervisor`: the relay at once, everything else through the command line."""

import signal
import sys


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns its exit status.

    `serve` is what an MCP client starts, and must answer within milliseconds, so nothing but
    the relay is imported for it.
    """
    arguments = sys.argv[1:] if argv is None else argv
    if arguments == ["serve"] or (arguments[:2] == ["serve", "--config"] and len(arguments) == 3):
        from supervisor.relay import main as relay

        return relay(*arguments[2:])
    if arguments == ["hook"]:
        from supervisor.cli._hook import main as hook

        return hook()
    if arguments[:1] == ["rehearsal"]:
        from supervisor.rehearsal._cli import main as rehearsal

        _hear_ctrl_c()
        return rehearsal(arguments[1:])
    from supervisor.cli import main as command

    _hear_ctrl_c()
    return command(arguments)


def _hear_ctrl_c() -> None:
    """From here on it is an exception; `agent_pool` had it end the program without a word."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)


if __name__ == "__main__":
    # By way of the module that can tell when another distribution's files are mixed with ours.
    from agent_pool import main as checked

    sys.exit(checked())
