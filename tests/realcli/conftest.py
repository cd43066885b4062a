from tests.realcli.fixtures import loopback, real_cli

__all__ = ["loopback", "real_cli"]
