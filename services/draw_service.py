"""Draws as the processes make them: each in a transaction of its own, sealed before anybody is told of it."""

import secrets
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, text

from compliance.ledger_runs import Ledger
from qa_sampling.samples import Drawn, DrawOrder, draw_sample
from qa_sampling.seed_vault import SeedVault
from services.sealing import seal_if_possible

_TAKE_TIME = text("SELECT set_config('statement_timeout', '600000', true), set_config('lock_timeout', '60000', true)")


def open_vault(data_dir: Path) -> SeedVault:
    """Return what keeps the seeds of this installation secret."""
    return SeedVault(data_dir, random_bytes=secrets.token_bytes)


def take_time(connection: Connection) -> None:
    """Let what follows in this transaction last longer than a check may: a frame may hold a million sales."""
    connection.execute(_TAKE_TIME)


def make_draw(ledger: Ledger, order: DrawOrder, *, now: datetime) -> Drawn:
    """Make the draw of an order, or find the one that was made of it, and seal what was made.

    Raises:
        PeriodError: the period ends before it begins.
        PeriodNotOverError: it has not ended.
        EmptyFrameError: there is no sale in it.
    """
    with ledger.engine.begin() as connection:
        take_time(connection)
        drawn = draw_sample(connection, order, vault=open_vault(ledger.data_dir), now=now)
    if drawn.is_new:
        # So that the entry has its number in the answer. If it cannot be sealed now it will be in seconds.
        seal_if_possible(ledger)
    return drawn
