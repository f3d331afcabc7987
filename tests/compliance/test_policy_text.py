"""The text of a policy file: what cannot be seen, parsed or held in memory is refused with its place."""

import pytest

from compliance.policy_text import PolicyTextError, read_document

REFUSED = {
    "an open text": ('name = "x', "not TOML: Unterminated string (at line 1, column 10, the end of"),
    "a second time": ("[sampling]\n[sampling]", "(at line 2, column "),
    "24 hours": ("[quiet_hours]\ndaily = [21:00:00, 24:00:00]", "(at line 2, column "),
    "nested too deeply": ("a = " + "[" * 400 + ("\n" + "[" * 400) * 10, "nested too deeply"),
    "NUL": ("# a\n# \0", "character U+0000 at line 2, column 3 cannot be seen"),
    "a bidi mark in a comment": ("# 21:00 \u202e", "character U+202E at line 1, column 9 cannot be seen"),
    "a lone surrogate": ("# \ud800", "character U+D800 at line 1, column 3 cannot be seen"),
    "a byte order mark": ("\ufeff[sampling]", "character U+FEFF at line 1, column 1 cannot be seen"),
    "a carriage return alone": ("# a\r[sampling]", "character U+000D at line 1, column 4 cannot be seen"),
    "a long line": ("\n# " + "x" * 499, "line 2 is longer than 500 characters"),
    "too large": ("# x\n" * 65_537, "larger than 256 KiB"),
    "too large in bytes": ("# 电\n" * 50_000, "larger than 256 KiB"),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_a_text_that_nobody_can_read_is_refused(text: str, message: str) -> None:
    with pytest.raises(PolicyTextError) as refusal:
        read_document(text)

    assert message in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "document"),
    [
        pytest.param("", {}, id="nothing"),
        pytest.param("# x\n" * 65_536, {}, id="exactly 256 KiB"),
        pytest.param("#" + "x" * 499, {}, id="a line of 500 characters"),
        pytest.param("# 一\u3000二\u00a0三\tx\r\n[a]\r\n", {"a": {}}, id="Chinese spaces, tabs, Windows lines"),
    ],
)
def test_a_text_at_the_edge_is_read(text: str, document: dict[str, object]) -> None:
    assert read_document(text) == document
