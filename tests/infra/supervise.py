"""Supervises shell commands, one per argument; says "ready", and gives children the time of argv[1] to stop."""

import sys

from infra.supervisor import Child, Patience, run


def _say_ready() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()


if __name__ == "__main__":
    patience = Patience(stop_within_s=float(sys.argv[1]))
    children = [
        Child(name=f"child {number}", command=("sh", "-c", command))
        for number, command in enumerate(sys.argv[2:], start=1)
    ]
    sys.exit(run(children, on_ready=_say_ready, patience=patience))
