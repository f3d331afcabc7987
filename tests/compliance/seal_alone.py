"""Seals all that waits in a process of its own: URL, directory of keys, the most bytes a file may have (0: any).

Prints how many entries were sealed, what was in the way, and how much memory the process took at most, in KiB.
"""

import json
import resource
import sys
from datetime import timedelta
from pathlib import Path

from compliance.checkpoint_stores import CheckpointDirectory
from compliance.ledger_runs import Ledger, seal_waiting
from infra.application_role import application_url
from infra.clock import utc_now
from infra.database import make_engine
from infra.logs import configure_logs


def main() -> None:
    url, directory, most = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    configure_logs("WARNING")  # on standard error
    engine = make_engine(application_url(url), application_name="tests-sealer")
    began = utc_now() - timedelta(days=1)
    ledger = Ledger(engine, lambda: began, directory / "data", CheckpointDirectory(directory / "outside"))
    if most:
        # As on a full disk a write fails; Python has the signal ignored.
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
    done = seal_waiting(ledger)
    # Linux starts ru_maxrss of a new program at the peak of whoever started it; VmHWM begins anew.
    [peak] = [one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmHWM:")]
    sys.stdout.write(json.dumps({"entries": done.entries, "trouble": done.trouble, "peak_kib": int(peak.split()[1])}))


if __name__ == "__main__":
    main()
