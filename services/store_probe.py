"""Tries the store of first copies when a process starts: until it has passed, nothing may call it WORM."""

from threading import Event, Thread

from infra.logs import logger
from infra.object_store import ObjectStoreError, ProbedStore

AGAIN_SECONDS = 60.0
_LONGEST_WAIT_SECONDS = 5.0

log = logger(__name__)


class StartProbe:
    """Probes a store in a thread of its own, again and again until it answers once; the start does not wait for it."""

    def __init__(self, store: ProbedStore, *, again_seconds: float = AGAIN_SECONDS) -> None:
        self._store = store
        self._again_seconds = again_seconds
        self._ended = Event()
        self._thread = Thread(target=self._probe, name="start-probe", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join(_LONGEST_WAIT_SECONDS)

    def _probe(self) -> None:
        while not self._is_probed() and not self._ended.wait(self._again_seconds):
            pass

    def _is_probed(self) -> bool:
        try:
            rows = self._store.probe()
        except ObjectStoreError as error:
            log.warning("store_not_probed", store=self._store.name, reason=str(error))
            return False
        except Exception:
            # Whatever it is, the checks beside which this runs have no part in it.
            log.exception("store_not_probed", store=self._store.name)
            return False
        failed = [row.name for row in rows if row.is_needed and not row.is_ok]
        log.info("store_probed", store=self._store.name, worm=self._store.is_worm, failed=failed)
        return True
