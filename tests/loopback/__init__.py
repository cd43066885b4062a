"""A loopback stand-in of the Anthropic Messages API, scripted by the text of the task."""

from tests.loopback.directives import Directive, parse
from tests.loopback.requests import Request
from tests.loopback.server import LoopbackAPI

__all__ = ["Directive", "LoopbackAPI", "Request", "parse"]
