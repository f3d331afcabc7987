"""Who sees a number whole."""

import pytest

from infra.ids import new_id
from services.shown_numbers import shown, shown_words
from services.tokens import Actor, Role

PHONE = "+8613800138000"


@pytest.mark.parametrize(
    ("role", "sent", "seen"),
    [
        pytest.param(Role.OFFICER, (), PHONE, id="an officer"),
        pytest.param(Role.DIALER, (PHONE,), PHONE, id="a dialer what it sent"),
        pytest.param(Role.DIALER, (None, "+8613900139000"), "138****8000", id="a dialer another number"),
        pytest.param(Role.INSPECTOR, (PHONE,), "138****8000", id="an inspector what it sent"),
        pytest.param(Role.ADMIN, (), "138****8000", id="an administrator"),
        pytest.param(Role.AUDITOR, (PHONE,), "138****8000", id="an auditor what it asked for"),
    ],
)
def test_numbers_are_whole_for_officers_and_for_a_dialer_that_sent_them(
    role: Role, sent: tuple[str | None, ...], seen: str
) -> None:
    assert shown(PHONE, actor=Actor(new_id(), role, "owner"), sent=sent) == seen


@pytest.mark.parametrize(
    ("role", "seen"),
    [
        (Role.OFFICER, "客户13800138000投诉"),
        (Role.INSPECTOR, "客户138****8000投诉"),
        (Role.ADMIN, "客户138****8000投诉"),
        (Role.DIALER, "客户138****8000投诉"),
    ],
)
def test_numbers_in_words_are_whole_for_officers_alone(role: Role, seen: str) -> None:
    assert shown_words("客户13800138000投诉", actor=Actor(new_id(), role, "owner")) == seen
