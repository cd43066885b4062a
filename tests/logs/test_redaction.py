"""What looks like a secret is not written, wherever it stands."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.logs import redact

KEY_BODY: Final = st.text("abcdefghijkmnopqrstuvwxyzABCDEF0123456789", min_size=20, max_size=40)
LOOKS: Final = st.one_of(
    KEY_BODY.map("sk-ant-api03-{}".format),
    KEY_BODY.map("sk-{}".format),
    KEY_BODY.map("ghp_{}".format),
    KEY_BODY.map("gho_{}".format),
    KEY_BODY.map(lambda body: f"AKIA{body[:16].upper().ljust(16, 'Q')}"),
)
"""Secrets that are known by their look."""

NAMES: Final = st.sampled_from(
    [
        "ANTHROPIC_API_KEY", "api_key", "apiKey", "x-api-key", "AWS_SECRET_ACCESS_KEY", "token",
        "ANTHROPIC_AUTH_TOKEN", "AWS_SESSION_TOKEN", "client_secret", "PASSWORD", "passwd",
        "CLAUDE_CODE_CLIENT_KEY_PASSPHRASE", "Authorization", "Cookie", "Set-Cookie",
    ]
)  # fmt: skip
"""What their names end with, in whatever case."""

WORDS: Final = st.text(" abc.,:é\n", max_size=10)


@dataclass(frozen=True)
class Holder:
    """A value that JSON has no form for."""

    held: Any


def nested(leaf: st.SearchStrategy[Any], opaque: bool) -> st.SearchStrategy[Any]:
    """A value that holds exactly one `leaf`, somewhere; `opaque`: also inside of an object."""
    plain = WORDS | st.integers() | st.none() | st.booleans() | st.floats()
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.tuples(plain, inner),
            inner.map(lambda one: [1, one]),
            st.tuples(WORDS, inner, plain).map(lambda t: {t[0] or "a": t[1], "other": t[2]}),
            inner.map(lambda one: Holder(one) if opaque else (one,)),
        ),
        max_leaves=1,
    )


@st.composite
def planted(draw: st.DrawFn) -> tuple[str, Any]:
    """A secret, and a value that holds it."""
    secret = draw(LOOKS)
    text = f"{draw(WORDS)} {secret} {draw(WORDS)}"
    leaf = draw(
        st.sampled_from(
            [text, {text}, text.encode(), {text: 1}, Path(text), ValueError(text), Holder(text)]
        )
    )
    return secret, draw(nested(st.just(leaf), opaque=True))


@given(planted())
def test_no_secret_known_by_its_look_survives(given: tuple[str, Any]) -> None:
    secret, value = given

    assert secret not in repr(redact(value))


@given(NAMES, KEY_BODY, st.data())
def test_no_secret_known_by_its_name_survives(name: str, secret: str, data: st.DataObject) -> None:
    held = data.draw(st.sampled_from([secret, [secret], {"value": secret}, secret.encode()]))
    value = data.draw(nested(st.just({name: held}), opaque=False))

    assert secret not in repr(redact(value))


@given(
    NAMES,
    KEY_BODY,
    st.sampled_from(["{}={}", '{}="{}"', "export {}={} x", '"{}": "{}"', "'{}': '{}'"]),
)
def test_no_secret_that_a_text_gives_a_name_survives(name: str, secret: str, form: str) -> None:
    assert secret not in redact(f"before {form.format(name, secret)} after")


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer abcdefgh.ijkl-mnop",
        "http://user:abcdefgh@proxy:8080/",
        "-----BEGIN RSA PRIVATE KEY-----\nabcdefgh\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_other_forms_of_secrets_do_not_survive(text: str) -> None:
    assert "abcdefgh" not in redact(text)


@pytest.mark.parametrize(
    "value",
    [
        "an ordinary sentence: the task took 3 s, with 5 tokens",
        "http://localhost:8080/path?query=1",
        "risk-averse, task-force, disk-1234567890",
        {"input_tokens": 12, "max_tokens": 5, "token": 3, "secret": None},
        {"pid": 1, "ok": True, "seconds": 0.5, "names": ["a", "b"]},
    ],
)
def test_what_is_no_secret_is_left_as_it_is(value: object) -> None:
    assert redact(value) == value


@given(st.text())
def test_redacting_twice_changes_no_more(text: str) -> None:
    assert redact(redact(text)) == redact(text)


def test_what_was_hidden_is_seen_to_be() -> None:
    assert redact({"password": "x", "text": "key sk-abcdefghijkl."}) == {
        "password": "[redacted]",
        "text": "key [redacted].",
    }


@pytest.mark.parametrize("filler", ["x" * 6000, "a line\n" * 2000, "1, " * 3000, "token " * 2000])
@pytest.mark.parametrize(
    "secret",
    [
        "sk-ant-abcdefgh",
        'api_key="abcdefgh"',
        '"Token": "abcdefgh"',
        '{\\"secret\\": \\"abcdefgh\\"}',
    ],
)
def test_no_secret_in_a_long_text_survives(filler: str, secret: str) -> None:
    assert "abcdefgh" not in redact(f"{filler} {secret} {filler}")
