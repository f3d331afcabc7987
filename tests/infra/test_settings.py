"""The environment, read once: defaults, what is refused, and that every fault is named in one error."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from infra.settings import Settings, SettingsError, child_environment, read_settings

WITNESS_KEY = "witness.example/w1+01234567+BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
VARIABLES = {name.upper() for name in Settings.model_fields}


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_without_any_variable_everything_has_a_default() -> None:
    found = read_settings()

    assert (found.host, found.port, found.data_dir) == ("127.0.0.1", 8000, Path("var"))
    assert [found.database_url, found.broker_url, found.policy_file, found.demo_clock] == [None] * 4
    assert found.clock_offset == timedelta()


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.setenv(name, "")

    assert read_settings() == Settings()
    assert read_settings().database_url is None


@pytest.mark.parametrize("name", ["PORT", "port", "Port"])
def test_names_are_read_in_any_case(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "8123")

    assert read_settings().port == 8123


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("PORT", "0", id="port below all"),
        pytest.param("PORT", "65536", id="port above all"),
        pytest.param("PORT", "eighty", id="port in words"),
        pytest.param("DATABASE_URL", "mysql://user@host/db", id="another database"),
        pytest.param("DATABASE_URL", "host=/tmp dbname=x", id="keywords of libpq"),
        pytest.param("BROKER_URL", "localhost", id="no URL"),
        pytest.param("WITNESS_URL", "nowhere", id="no URL of a witness"),
        pytest.param("WITNESS_URL", "ftp://witness.example", id="another protocol"),
        pytest.param("WITNESS_URL", "https:///path", id="no host"),
        pytest.param("WITNESS_URL", "https://witness.example:70000", id="no port"),
        pytest.param("WITNESS_URL", "https://witness.example/a b", id="a blank in the URL"),
        pytest.param("WITNESS_KEY", "witness.example", id="no key"),
        pytest.param("WITNESS_KEY", "w+0123456+BAAA", id="a short hash"),
        pytest.param("WITNESS_KEY", WITNESS_KEY, id="a key without its witness"),
        pytest.param("TIMESTAMP_URL", "tsa.example", id="no URL of an authority"),
        pytest.param("TIMESTAMP_ROOTS", "/etc/roots.pem", id="roots without their authority"),
        pytest.param("DEMO_CLOCK", "2027-01-02T03:04:05", id="no offset"),
        pytest.param("DEMO_CLOCK", "noon", id="no instant"),
        pytest.param("CHECKPOINTS_URL", "gs://evidence", id="another kind of place"),
        pytest.param("CHECKPOINTS_URL", "s3://key:secret@evidence", id="credentials in a URL"),
        pytest.param("CHECKPOINTS_URL", "s3://evidence?endpoint=store:9000", id="an endpoint without scheme"),
        pytest.param("RECORDINGS_URL", "gs://recordings", id="another kind of store"),
        pytest.param("RECORDINGS_COPY_URL", "s3://key:secret@recordings", id="credentials in the URL of a store"),
        pytest.param("RECORDINGS_WORM", "yes", id="another word than required"),
        pytest.param("LOG_LEVEL", "LOUD", id="unknown level"),
        pytest.param("UPLOAD_LIMIT_BYTES", "1023", id="limit too small"),
        pytest.param("CLOCK_OFFSET_MS", "soon", id="offset in words"),
    ],
)
def test_a_bad_variable_is_refused_by_name_without_its_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError, match=f"\\b{name}: ") as raised:
        read_settings()

    assert value not in str(raised.value).replace(f"{name}: ", "")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param("{}/one", "{}/one", id="the same path"),
        pytest.param("{}/one", "file://{}/two/../one/", id="another spelling"),
        pytest.param("{}/one", "{}/link", id="a link"),
        pytest.param("{}/data/recordings-copy", None, id="the default of the second"),
        pytest.param(None, "{}/data/recordings", id="the default of the first"),
        pytest.param("s3://bucket/of-us", "s3://bucket/of-us/?region=cn-north-1", id="a bucket"),
    ],
)
def test_second_copies_in_the_place_of_the_first_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, first: str | None, second: str | None
) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "one")
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("RECORDINGS_URL", (first or "").format(tmp_path))
    monkeypatch.setenv("RECORDINGS_COPY_URL", (second or "").format(tmp_path))

    with pytest.raises(SettingsError, match=r"RECORDINGS_COPY_URL: .*wants a backup"):
        read_settings()


@pytest.mark.parametrize("second", ["s3://bucket/copies", "s3://bucket?endpoint=https://other.example", "there"])
def test_second_copies_elsewhere_are_well(monkeypatch: pytest.MonkeyPatch, second: str) -> None:
    monkeypatch.setenv("RECORDINGS_URL", "s3://bucket")
    monkeypatch.setenv("RECORDINGS_COPY_URL", second)

    assert read_settings().recordings_copy_url == second


@pytest.mark.parametrize(
    ("name", "value", "missing"),
    [
        ("WITNESS_URL", "https://witness.example", "WITNESS_KEY"),
        ("TIMESTAMP_URL", "http://tsa.example", "TIMESTAMP_ROOTS"),
    ],
)
def test_half_of_a_pair_is_refused_and_the_other_half_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, missing: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError, match=f"{missing}: .*{name}.*both or neither"):
        read_settings()


def test_a_bad_half_of_a_pair_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WITNESS_URL", "nowhere")
    monkeypatch.setenv("WITNESS_KEY", WITNESS_KEY)

    with pytest.raises(SettingsError) as raised:
        read_settings()

    assert len(str(raised.value).splitlines()) == 3


def test_a_witness_and_an_authority_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WITNESS_URL", "https://user:secret@witness.example:8443/prefix")
    monkeypatch.setenv("WITNESS_KEY", WITNESS_KEY)
    monkeypatch.setenv("TIMESTAMP_URL", "http://[::1]/tsa")
    monkeypatch.setenv("TIMESTAMP_ROOTS", "/etc/roots.pem")

    found = read_settings()

    assert (found.witness_url, found.witness_key) == ("https://user:secret@witness.example:8443/prefix", WITNESS_KEY)
    assert (found.timestamp_url, found.timestamp_roots) == ("http://[::1]/tsa", Path("/etc/roots.pem"))


def test_all_bad_variables_stand_in_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    bad = {"PORT": "-1", "DATABASE_URL": "secret-of-mine", "BROKER_URL": "x", "DEMO_CLOCK": "x", "LOG_LEVEL": "x"}
    for name, value in bad.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError) as raised:
        read_settings()

    named = {line.strip().partition(":")[0] for line in str(raised.value).splitlines()[1:-1]}
    assert named == set(bad)
    assert "secret-of-mine" not in str(raised.value)


def test_an_error_does_not_carry_the_values_as_its_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "secret-of-mine")

    with pytest.raises(SettingsError) as raised:
        read_settings()

    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


@pytest.mark.parametrize(
    "url", ["postgresql://u@h/d", "postgres://u@h/d", "postgresql+psycopg://u@h/d", "postgresql://postgres@/d?host=/s"]
)
def test_every_spelling_of_a_postgresql_url_is_taken(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("DATABASE_URL", url)

    assert read_settings().database_url == url


@pytest.mark.parametrize(
    "place", ["/srv/x", "x", "file:///srv/x", "s3://evidence/x?endpoint=http://[::1]:9000&region=r"]
)
def test_checkpoints_go_to_a_directory_or_a_bucket(monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    monkeypatch.setenv("CHECKPOINTS_URL", place)

    assert read_settings().checkpoints_url == place


def test_the_demo_clock_is_an_instant_whatever_its_offset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMO_CLOCK", "2026-11-23T16:00:00+08:00")

    assert read_settings().demo_clock == datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def test_the_offset_of_the_clock_is_in_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOCK_OFFSET_MS", "-1500")

    assert read_settings().clock_offset == timedelta(seconds=-1.5)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Settings().port = 1


def test_a_child_gets_the_environment_with_its_own_variables_over_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "8123")
    monkeypatch.setenv("HOST", "::1")

    found = child_environment(PORT="1", CLOCK_OFFSET_MS="5")

    assert (found["HOST"], found["PORT"], found["CLOCK_OFFSET_MS"]) == ("::1", "1", "5")
