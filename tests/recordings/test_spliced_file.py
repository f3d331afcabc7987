import io
from pathlib import Path

import pytest

from recordings.spliced_file import SplicedFile


@pytest.mark.parametrize(
    ("at", "size", "expected"),
    [
        pytest.param(0, 3, b"HEA", id="in the head"),
        pytest.param(2, 4, b"AD23", id="over the border"),
        pytest.param(5, 2, b"34", id="in the file"),
        pytest.param(0, 100, b"HEAD23456789", id="all of it"),
        pytest.param(12, 5, b"", id="behind the end"),
    ],
)
def test_the_head_is_read_in_place_of_the_beginning(tmp_path: Path, at: int, size: int, expected: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    with SplicedFile(path, b"HEAD", 2) as file:
        file.seek(at)
        assert (file.read(size), file.tell()) == (expected, at + len(expected))
        assert file.seek(0, io.SEEK_END) == 12
        assert file.seek(-2, io.SEEK_CUR) == 10
