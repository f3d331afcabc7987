"""The copy that browsers play, of a recording in a codec that they do not.

The original stays as it is: the copy is for listening, never for evidence. It is A-law in WAV with the channels and the
rate of the original, the narrowest form that loses nothing that a telephone line carries.
"""

from pathlib import Path

import soundfile

from recordings.audio import RawFormat, read_layout
from recordings.audio_samples import read_samples


def write_playable(original: Path, copy: Path, *, declared: RawFormat | None = None) -> None:
    """Write the copy block by block; on an error nothing is left of it.

    Raises:
        FileExistsError: there is already something at `copy`.
        UnreadableAudioError: the original is no recording that can be kept.
        OSError: the copy cannot be written.
    """
    layout = read_layout(original, declared=declared)
    copy.touch(exist_ok=False)
    try:
        with soundfile.SoundFile(
            copy, "w", samplerate=layout.sample_rate, channels=layout.channels, format="WAV", subtype="ALAW"
        ) as sound:
            for block in read_samples(original, layout):
                sound.write(block)
    except soundfile.LibsndfileError as error:
        copy.unlink()
        raise OSError(f"the copy for browsers cannot be written to {copy.name}: {error.error_string}") from error
    except BaseException:
        copy.unlink()
        raise
