"""No sequence of changes, restarts and torn lines shortens or loses what a directory store has acknowledged."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from infra.directory_store import DirectoryStore
from infra.object_store import VersionLockedError
from tests.conftest import NOON, SettableClock
from tests.infra.stored_contents import content

KEYS = ("ab/abcd", "ab/abcd/below")
DATA = (b"", b"voice", b"other voice")


@dataclass(frozen=True)
class Kept:
    key: str
    data: bytes
    is_held: bool
    until: datetime | None = None

    def is_locked(self, now: datetime) -> bool:
        return self.is_held or (self.until is not None and now < self.until)


class Stores(RuleBasedStateMachine):
    """The store beside a model of what it has acknowledged, by version."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.top = Path(self.directory.name)
        self.clock = SettableClock(NOON)
        self.kept: dict[str, Kept] = {}
        self.hidden: set[str] = set()
        self.reopen()

    def teardown(self) -> None:
        self.directory.cleanup()

    @rule()
    def reopen(self) -> None:
        self.store = DirectoryStore(self.top / "store", clock=self.clock)

    @rule(days=st.integers(1, 40))
    def wait(self, days: int) -> None:
        self.clock.advance(timedelta(days=days))

    @rule(key=st.sampled_from(KEYS), data=st.sampled_from(DATA), is_held=st.booleans())
    def put(self, key: str, data: bytes, is_held: bool) -> None:
        found = self.store.put(key, content(self.top, data), is_held=is_held)
        already = self.kept.get(found.version_id, Kept(key, data, is_held))
        assert (already.key, already.data, already.is_held) == (key, data, is_held)
        self.kept[found.version_id] = already

    @precondition(lambda self: self.kept)
    @rule(chosen=st.data(), is_held=st.booleans())
    def hold(self, chosen: st.DataObject, is_held: bool) -> None:
        version_id, kept = self.choose(chosen)
        self.store.set_hold(kept.key, version_id, is_held=is_held)
        self.kept[version_id] = replace(kept, is_held=is_held)

    @precondition(lambda self: self.kept)
    @rule(chosen=st.data(), days=st.integers(-5, 80))
    def lock(self, chosen: st.DataObject, days: int) -> None:
        version_id, kept = self.choose(chosen)
        until = self.clock() + timedelta(days=days)
        try:
            self.store.set_retention(kept.key, version_id, until)
        except VersionLockedError:
            assert kept.until is not None
            assert until < kept.until
        except ValueError:
            assert days <= 0
        else:
            assert kept.until is None or until >= kept.until
            self.kept[version_id] = replace(kept, until=until)

    @precondition(lambda self: self.kept)
    @rule(chosen=st.data())
    def delete(self, chosen: st.DataObject) -> None:
        version_id, kept = self.choose(chosen)
        try:
            self.store.delete_version(kept.key, version_id)
        except VersionLockedError:
            assert kept.is_locked(self.clock())
        else:
            assert not kept.is_locked(self.clock())
            del self.kept[version_id]

    @precondition(lambda self: self.kept)
    @rule(chosen=st.data())
    def hide(self, chosen: st.DataObject) -> None:
        self.hidden.add(self.store.hide(self.choose(chosen)[1].key))

    @precondition(lambda self: self.kept)
    @rule(torn=st.binary(max_size=60))
    def tear(self, torn: bytes) -> None:
        for journal in self.journals():
            with journal.open("ab") as file:
                file.write(torn.replace(b"\n", b""))

    @invariant()
    def all_that_was_acknowledged_is_there(self) -> None:
        for version_id, kept in self.kept.items():
            shown = self.store.head(kept.key, version_id)
            assert (shown.is_held, shown.retain_until) == (kept.is_held, kept.until)
            assert b"".join(self.store.read(kept.key, version_id)) == kept.data
        listed = {one.version_id for key in KEYS for one in self.store.versions(key)}
        assert listed == self.kept.keys() | self.hidden

    def choose(self, chosen: st.DataObject) -> tuple[str, Kept]:
        return chosen.draw(st.sampled_from(sorted(self.kept.items(), key=lambda one: one[0])))

    def journals(self) -> Iterator[Path]:
        return self.top.rglob("*+versions.jsonl")


TestStores = Stores.TestCase
TestStores.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
