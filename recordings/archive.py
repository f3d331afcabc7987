"""Taking recordings into the archive (arts. 35, 36): what comes in by any way passes through here.

A staged file is checked, decoded, put into the first store under hold and read back; only then is it registered, in
one transaction with others that came meanwhile, and only after its commit is it acknowledged. A break at any step
leaves nothing that counts: who tries again finds the object that was put by its key, and ends with the same recording.
The second copy and the retention that both stores enforce are brought about by tasks, whose queue the rows are.
"""

from infra.object_store import StoredObject
from recordings.audio import Audio, RawFormat, probe
from recordings.metadata import Fault, Metadata, MetadataError
from recordings.object_keys import object_key, playable_key
from recordings.places import Places
from recordings.playable import write_playable
from recordings.registration import Arrival, Prepared, Registered, may_be_known, register_known
from recordings.registration_queue import RegistrationQueue
from recordings.staging import StagedFile, staged_at, staging_path


def take_in(queue: RegistrationQueue[Registered], arrival: Arrival) -> Registered:
    """Take a staged file in, committed when this returns; the file is the caller's to discard.

    Raises:
        MetadataError: the file is not what the metadata say.
        UnreadableAudioError: it is no recording that can be kept.
        DisposedRecordingError: it was here, and was disposed of.
        ObjectStoreError: the store cannot keep it now; nothing is registered.
    """
    check_digest(arrival)
    if may_be_known(queue.engine, arrival):
        with queue.engine.begin() as connection:
            known = register_known(connection, arrival, now=queue.clock())
        if known is not None:
            return known
    return queue.register(prepare(queue.places, arrival))


def check_digest(arrival: Arrival) -> None:
    """Refuse a file whose bytes are not those that were sent.

    Raises:
        MetadataError: its SHA-256 is not the one declared.
    """
    declared = arrival.metadata.sha256
    if declared is not None and declared != arrival.staged.sha256:
        found = arrival.staged.sha256.hex()
        message = f"the {arrival.staged.size_bytes} bytes received have the SHA-256 {found}; send the file again"
        raise MetadataError((Fault("sha256", message),))


def prepare(places: Places, arrival: Arrival) -> Prepared:
    """Decode the file and put it into the first store, under hold and read back. No transaction may be open.

    Raises:
        MetadataError: the file has other channels than said, or is over before a hold is.
        UnreadableAudioError: it is no recording that can be kept.
        ObjectStoreError: the store cannot keep it now.
    """
    check_digest(arrival)
    staged, metadata = arrival.staged, arrival.metadata
    raw = _raw_format(metadata)
    audio = probe(staged.path, declared=raw)
    if audio.channels != len(metadata.channels):
        message = f"names {len(metadata.channels)} channels and the file has {audio.channels}; name the voice of each"
        raise MetadataError((Fault("channels", message),))
    _check_holds(metadata, audio)
    key = object_key(staged.sha256, metadata.call_id)
    stored = places.first.put(key, staged.content(), is_held=True)
    playable = None if audio.is_playable else _put_playable(places, staged, key, raw)
    return Prepared(arrival, audio, stored, playable)


def _check_holds(metadata: Metadata, audio: Audio) -> None:
    if metadata.holds_ms and metadata.holds_ms[-1][1] > audio.duration_ms:
        message = f"ends at {metadata.holds_ms[-1][1]}, beyond the end of the recording at {audio.duration_ms}"
        raise MetadataError((Fault("holds_ms", message),))


def _raw_format(metadata: Metadata) -> RawFormat | None:
    if metadata.raw_codec is None or metadata.raw_sample_rate is None:
        return None
    return RawFormat(metadata.raw_codec, metadata.raw_sample_rate, len(metadata.channels))


def _put_playable(places: Places, staged: StagedFile, key: str, raw: RawFormat | None) -> StoredObject:
    """Put a copy that browsers play beside the original. It can be made again, so nothing holds it."""
    derived = staging_path(places.staging)
    try:
        write_playable(staged.path, derived, declared=raw)
        copy = staged_at(derived)
        return places.first.put(playable_key(key), copy.content(), is_held=False)
    finally:
        derived.unlink(missing_ok=True)
