"""Files on a disk into the archive, one by one: what the command line and the spool have in common."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sqlalchemy import Engine

from infra.clock import Clock
from recordings.archive import take_in
from recordings.metadata import Fault, Metadata, MetadataError
from recordings.places import Places
from recordings.registration import Arrival, DisposedRecordingError, Registered
from recordings.registration_queue import RegistrationQueue, registered_alone
from recordings.staging import NoRegularFileError, UnreadableSourceError, source_faults, stage_file
from recordings.unreadable_audio import UnreadableAudioError

MetadataReader = Callable[[datetime], Metadata]
"""Reads what is said of a file, at the instant given; raises MetadataError."""

_GROWING = frozenset({"metadata", "sha256"})


class FileRefusedError(ValueError):
    """A file that is not taken in, and will not be as it stands; `faults` say why.

    `may_be_unfinished`: it could be one that is still being written.
    """

    def __init__(self, reason: str, faults: Sequence[Fault], *, may_be_unfinished: bool = False) -> None:
        super().__init__("; ".join(f"{one.loc}: {one.msg}" for one in faults))
        self.reason = reason
        self.faults = tuple(faults)
        self.may_be_unfinished = may_be_unfinished


@dataclass(frozen=True, slots=True)
class FileIntake:
    """What taking in files works with. `source` is the way in, `person` who or what brings them."""

    engine: Engine
    places: Places
    clock: Clock
    source: str
    person: str
    queue: RegistrationQueue[Registered] = field(init=False)

    def __post_init__(self) -> None:
        queue = RegistrationQueue(self.engine, self.places, clock=self.clock, answers=registered_alone)
        object.__setattr__(self, "queue", queue)


def take_file(intake: FileIntake, path: Path, read: MetadataReader, *, follow_links: bool) -> Registered:
    """Take one file in, committed when this returns; the file itself is left as it is.

    Raises:
        FileRefusedError: it cannot be used.
        ObjectStoreError: the store cannot keep it now.
        OSError: the staging directory cannot be written to.
    """
    try:
        with source_faults():
            metadata = read(intake.clock())
        staged = stage_file(path, intake.places.staging, follow_links=follow_links)
        try:
            arrival = Arrival(staged, metadata, intake.source, intake.person)
            return take_in(intake.queue, arrival)
        finally:
            staged.discard()
    except MetadataError as error:
        grows = any(one.loc in _GROWING for one in error.faults)
        raise FileRefusedError("metadata", error.faults, may_be_unfinished=grows) from error
    except UnreadableAudioError as error:
        raise FileRefusedError(error.reason, [Fault("file", str(error))], may_be_unfinished=True) from error
    except DisposedRecordingError as error:
        raise FileRefusedError("disposed", [Fault("file", str(error))]) from error
    except NoRegularFileError as error:
        raise FileRefusedError("no_regular_file", [Fault("file", str(error))]) from error
    except UnreadableSourceError as error:
        raise FileRefusedError("unreadable_file", [Fault("file", f"cannot be read: {error}")]) from error
