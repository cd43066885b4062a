"""The two parsers of a task's script, the rehearsal agent's and the loopback API's, agree."""

from hypothesis import given
from hypothesis import strategies as st

from supervisor.rehearsal import _directives as rehearsal
from tests.loopback import directives as loopback

FRAGMENTS = (
    *(f"[[{name} 1]]" for name in sorted(loopback.WITH_ARGUMENT)),
    *(f"[[{name}]]" for name in sorted(loopback.BARE)),
    "[[bash if [[ -e x ]]; then true; fi]]",
    "[[1, 2]]",
    "[[",
    "]]",
    "[",
    " ",
    "\n",
    "word",
)


def test_both_know_the_same_shared_directives() -> None:
    assert set(rehearsal.SHARED) == loopback.BARE | loopback.WITH_ARGUMENT


def test_misbehaviour_never_takes_a_shared_name() -> None:
    assert not set(rehearsal.MISBEHAVIOUR) & set(rehearsal.SHARED)


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=8).map("".join))
def test_both_read_the_same_steps(text: str) -> None:
    ours = [tuple(directive) for directive in rehearsal.parse(text)]
    theirs = [(directive.name, directive.argument) for directive in loopback.parse(text)]
    assert ours == theirs
