"""What an s3:// URL says, and that nothing else is taken for one."""

import pytest

from infra.s3_place import S3Place, S3PlaceError, read_s3_place


@pytest.mark.parametrize(
    ("url", "place"),
    [
        pytest.param("s3://evidence", S3Place("evidence"), id="a bucket"),
        pytest.param("s3://evidence/", S3Place("evidence"), id="a bucket and a slash"),
        pytest.param("s3://evidence/ledger/one/", S3Place("evidence", "ledger/one"), id="a prefix"),
        pytest.param(
            "s3://evidence?endpoint=https://store.example:9000",
            S3Place("evidence", endpoint="https://store.example:9000"),
            id="an endpoint",
        ),
        pytest.param(
            "s3://evidence/l?endpoint=http://127.0.0.1:9000/&region=cn-north-1",
            S3Place("evidence", "l", "http://127.0.0.1:9000", "cn-north-1"),
            id="everything",
        ),
        pytest.param(
            "s3://evidence?endpoint=https%3A%2F%2F[::1]%3A9000",
            S3Place("evidence", endpoint="https://[::1]:9000"),
            id="an encoded endpoint, IPv6",
        ),
    ],
)
def test_a_url_names_bucket_prefix_endpoint_and_region(url: str, place: S3Place) -> None:
    assert read_s3_place(url) == place


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("https://evidence", id="another scheme"),
        pytest.param("s3:///ledger", id="no bucket"),
        pytest.param("s3://Evidence", id="capital letters"),
        pytest.param("s3://ab", id="a bucket too short"),
        pytest.param("s3://key:hidden@evidence", id="credentials"),
        pytest.param("s3://evidence:9000", id="a port"),
        pytest.param("s3://evidence:hidden", id="a port that is none"),
        pytest.param("s3://[hidden", id="half an address"),
        pytest.param("s3://evidence//ledger", id="an empty first segment"),
        pytest.param("s3://evidence/a//b", id="an empty segment"),
        pytest.param("s3://evidence/a/../b", id="upwards"),
        pytest.param("s3://evidence/a%20b", id="an encoded prefix"),
        pytest.param("s3://evidence/账", id="other letters"),
        pytest.param("s3://evidence#hidden", id="a fragment"),
        pytest.param("s3://evidence?secret=hidden", id="another parameter"),
        pytest.param("s3://evidence?region=a&region=b", id="a parameter twice"),
        pytest.param("s3://evidence?region=", id="an empty region"),
        pytest.param("s3://evidence?region=north_1", id="no region"),
        pytest.param("s3://evidence?endpoint=", id="an empty endpoint"),
        pytest.param("s3://evidence?endpoint=store.example:9000", id="an endpoint without scheme"),
        pytest.param("s3://evidence?endpoint=https://key:hidden@store.example", id="credentials in the endpoint"),
        pytest.param("s3://evidence?endpoint=https://@store.example", id="no credentials in the endpoint, but their @"),
        pytest.param("s3://evidence?endpoint=https://store.example/path", id="a path in the endpoint"),
        pytest.param("s3://evidence?endpoint=https://store.example:hidden", id="no port in the endpoint"),
        pytest.param("s3://evidence?endpoint=https://a_b:9000", id="a host that boto3 refuses"),
        pytest.param("s3://evidence?endpoint=https://", id="no host in the endpoint"),
    ],
)
def test_anything_else_is_refused_without_being_quoted(url: str) -> None:
    with pytest.raises(S3PlaceError) as raised:
        read_s3_place(url)

    assert "hidden" not in str(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize(
    ("place", "shown", "key"),
    [
        (S3Place("evidence"), "s3://evidence", "keys.json"),
        (S3Place("evidence", "a/b", "https://store.example"), "s3://evidence/a/b", "a/b/keys.json"),
    ],
)
def test_a_place_shows_itself_and_makes_keys(place: S3Place, shown: str, key: str) -> None:
    assert (str(place), place.key("keys.json")) == (shown, key)
