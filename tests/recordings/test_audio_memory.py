"""Memory does not grow with what stands in front of the sound, however much that is."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.recordings.audio_files import tone
from tests.recordings.broken_files import encoded

TAG_BYTES = 2**28 - 1
"""The most that an ID3v2 tag can name."""

TAG = b"ID3\4\0\0" + bytes([127] * 4)
MOST_MIB = 32

# The sound alone is read first: what the libraries themselves need is no growth.
PROBE = """
import resource, sys
from pathlib import Path
from recordings.audio import probe
plain, tagged = map(Path, sys.argv[1:])
expected = probe(plain)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert probe(tagged) == expected
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.parametrize("name", ["mp3", "flac"])
def test_a_tag_of_256_mib_is_passed_over(tmp_path: Path, name: str) -> None:
    plain, tagged = tmp_path / "plain", tmp_path / "tagged"
    plain.write_bytes(encoded(name, tone(1)))
    with tagged.open("wb") as file:
        file.write(TAG)
        file.seek(TAG_BYTES, 1)
        file.write(plain.read_bytes())

    grown = subprocess.run(
        [sys.executable, "-c", PROBE, plain, tagged], capture_output=True, text=True, check=True
    ).stdout

    assert int(grown) < MOST_MIB
