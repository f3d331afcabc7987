from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from recordings.audio_layout import Codec, Container, Layout
from recordings.audio_samples import read_samples
from recordings.unreadable_audio import Reason, UnreadableAudioError
from tests.recordings.audio_files import tone, write

TWO_SECONDS = Layout(Container.WAV, Codec.PCM_S16LE, 1, 8000, 16_000, 16_000)

CONTRADICTED = {
    "other channels": (replace(TWO_SECONDS, channels=2), Reason.HEADER_LIES),
    "another rate": (replace(TWO_SECONDS, sample_rate=16_000), Reason.HEADER_LIES),
    "more samples": (replace(TWO_SECONDS, least_frames=16_001), Reason.TRUNCATED),
    "fewer samples": (replace(TWO_SECONDS, most_frames=15_999), Reason.HEADER_LIES),
    "another MD5": (replace(TWO_SECONDS, md5=bytes(15) + b"1"), Reason.DAMAGED),
}


@pytest.mark.parametrize(("layout", "reason"), CONTRADICTED.values(), ids=CONTRADICTED)
def test_what_the_decoder_contradicts_is_refused(tmp_path: Path, layout: Layout, reason: Reason) -> None:
    path = write(tmp_path / "recording", tone(2), "wav-pcm-s16le")
    with pytest.raises(UnreadableAudioError) as raised:
        list(read_samples(path, layout))
    assert raised.value.reason is reason


def test_samples_after_those_that_count_are_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "recording", tone(40), "wav-pcm-s16le")
    blocks = list(read_samples(path, replace(TWO_SECONDS, frames=8000 * 20 + 7, most_frames=320_000)))
    expected = soundfile.read(str(path), dtype="int16", always_2d=True)[0][: 8000 * 20 + 7]
    assert (np.concatenate(blocks) == expected).all()


def test_every_block_but_the_last_is_of_whole_steps_of_20_ms(tmp_path: Path) -> None:
    path = write(tmp_path / "recording", tone(50.001, rate=11_025), "wav-pcm-s16le", rate=11_025)
    frames = round(50.001 * 11_025)
    layout = replace(TWO_SECONDS, sample_rate=11_025, least_frames=frames, most_frames=frames)
    *blocks, last = read_samples(path, layout)
    assert [len(block) % 220 for block in blocks] == [0] * len(blocks)
    assert sum(map(len, blocks)) + len(last) == frames
