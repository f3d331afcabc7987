"""The key of the seeds: made once, readable by its owner alone; no seed opens on another day or with another key."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest

from qa_sampling.seed_vault import SealedSeedError, SeedKeyError, SeedVault

DAY = date(2026, 11, 2)
SEED = bytes(range(32))


@pytest.fixture
def vault(tmp_path: Path) -> SeedVault:
    return SeedVault(tmp_path, random_bytes=secrets.token_bytes)


def key_of(tmp_path: Path) -> Path:
    return tmp_path / "draw-keys" / "seeds.key"


def test_a_sealed_seed_opens_on_its_day(vault: SeedVault, tmp_path: Path) -> None:
    sealed = vault.seal(DAY, SEED)

    assert SeedVault(tmp_path, random_bytes=secrets.token_bytes).open(DAY, sealed) == SEED
    assert SEED not in sealed


def test_the_key_is_readable_by_its_owner_alone(vault: SeedVault, tmp_path: Path) -> None:
    vault.seal(DAY, SEED)

    assert key_of(tmp_path).stat().st_mode & 0o777 == 0o600
    assert key_of(tmp_path).parent.stat().st_mode & 0o777 == 0o700


def test_the_same_seed_is_never_sealed_the_same_way(vault: SeedVault) -> None:
    assert vault.seal(DAY, SEED) != vault.seal(DAY, SEED)


def test_many_at_once_make_one_key(tmp_path: Path) -> None:
    vaults = [SeedVault(tmp_path, random_bytes=secrets.token_bytes) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        sealed = list(pool.map(lambda one: one.seal(DAY, SEED), vaults))

    assert {vaults[0].open(DAY, one) for one in sealed} == {SEED}


def test_a_key_half_written_by_a_killed_process_is_nobodys(vault: SeedVault, tmp_path: Path) -> None:
    key_of(tmp_path).parent.mkdir()
    key_of(tmp_path).with_suffix(".new").write_bytes(b"half")

    assert vault.open(DAY, vault.seal(DAY, SEED)) == SEED


@pytest.mark.parametrize("place", [0, 11, 12, 30, -1])
def test_a_changed_byte_does_not_open(vault: SeedVault, place: int) -> None:
    sealed = bytearray(vault.seal(DAY, SEED))
    sealed[place] ^= 1

    with pytest.raises(SealedSeedError, match="2026-11-02"):
        vault.open(DAY, bytes(sealed))


@pytest.mark.parametrize("sealed", [b"", b"x", bytes(12), bytes(27), bytes(60)])
def test_what_was_never_sealed_does_not_open(vault: SeedVault, sealed: bytes) -> None:
    vault.seal(DAY, SEED)

    with pytest.raises(SealedSeedError):
        vault.open(DAY, sealed)


def test_a_seed_does_not_open_on_another_day(vault: SeedVault) -> None:
    with pytest.raises(SealedSeedError):
        vault.open(date(2026, 11, 3), vault.seal(DAY, SEED))


def test_a_new_key_does_not_open_what_the_lost_one_sealed(vault: SeedVault, tmp_path: Path) -> None:
    sealed = vault.seal(DAY, SEED)
    key_of(tmp_path).unlink()
    with pytest.raises(SeedKeyError, match="not there"):
        vault.open(DAY, sealed)
    vault.seal(DAY, SEED)

    with pytest.raises(SealedSeedError, match="another one"):
        vault.open(DAY, sealed)


@pytest.mark.parametrize("content", [b"", b"short", b"!" * 44, b"QUJD"])
def test_a_broken_key_is_said_to_be_broken_and_stays(vault: SeedVault, tmp_path: Path, content: bytes) -> None:
    vault.seal(DAY, SEED)
    key_of(tmp_path).write_bytes(content)

    with pytest.raises(SeedKeyError, match="32 bytes"):
        vault.seal(DAY, SEED)
    assert key_of(tmp_path).read_bytes() == content


def test_a_key_that_others_may_read_is_not_used(vault: SeedVault, tmp_path: Path) -> None:
    vault.seal(DAY, SEED)
    key_of(tmp_path).chmod(0o644)

    with pytest.raises(SeedKeyError, match="0644"):
        vault.seal(DAY, SEED)


def test_a_key_that_is_a_directory_cannot_be_read(vault: SeedVault, tmp_path: Path) -> None:
    key_of(tmp_path).mkdir(parents=True)

    with pytest.raises(SeedKeyError, match="IsADirectoryError"):
        vault.seal(DAY, SEED)


def test_a_place_where_nothing_can_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "draw-keys").write_text("a file")

    with pytest.raises(SeedKeyError, match="no key can be written"):
        SeedVault(tmp_path, random_bytes=secrets.token_bytes).seal(DAY, SEED)


def test_no_message_says_what_the_key_or_the_seed_is(vault: SeedVault, tmp_path: Path) -> None:
    sealed = vault.seal(DAY, SEED)
    key = key_of(tmp_path).read_text().strip()
    key_of(tmp_path).chmod(0o604)
    with pytest.raises(SeedKeyError) as caught:
        vault.open(DAY, sealed)

    assert key not in str(caught.value)
