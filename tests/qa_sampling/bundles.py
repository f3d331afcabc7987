"""Bundles of draws for the tests of verification: one whole, with late sales, one promoted and replacements."""

import copy
import hashlib
import json
from collections.abc import Callable
from typing import Any

from tests.qa_sampling.draw_vectors import CASES

CASE = CASES["ten sales"]
Bundle = dict[str, Any]


def _id(number: int) -> str:
    return f"01a20951-105f-70d7-b2ae-{number:012x}"


def _at(second: int) -> str:
    return f"2026-11-23T12:00:{second:02}.000001+08:00"


def whole_bundle() -> Bundle:
    """Return the bundle of the golden draw of ten sales, as the service would give it."""
    ids = {name: _id(number) for number, name in enumerate([*CASE["tickets"], *CASE["late"]], 1)}
    return {
        "draw_id": _id(0),
        "stratum": {"sales_mode": "own_centre", "centre_id": "centre-1", "class": "over_1y"},
        "from": "2026-11-02",
        "to": "2026-11-02",
        **{
            name: CASE[name]
            for name in ("frame", "frame_digest", "frame_size", "rate_bp", "sample_size", "seed", "seed_commitment")
        },
        "committed_before": True,
        "public_number": CASE["public_number"],
        "algorithm": "telesales-draw-1",
        "policy_digest": "sha256:" + "0" * 64,
        "actor": "officer",
        "drawn_at": "2026-11-23T12:00:00+08:00",
        "ledger_entry": 17,
        "sample": [
            {"policy_no": name, "ticket": CASE["tickets"][name], "inspection_id": ids[name]} for name in CASE["sample"]
        ],
        "additions": _additions(ids),
        "replacements": _replacements(ids),
    }


def _additions(ids: dict[str, str]) -> list[Bundle]:
    second, found = 0, []
    for one in CASE["additions"]:
        second += 0 if one["in_frame"] else 1
        more = {
            "closed_on": "2026-11-02",
            "inspection_id": ids[one["policy_no"]] if one["drawn"] else None,
            "recorded_at": _at(second),
        }
        found.append({**one, **more})
    return found


def _replacements(ids: dict[str, str]) -> list[Bundle]:
    """Return two: the next sale stands for one of the sample, and when it cannot be heard either, another for it."""
    taken = {*CASE["sample"], *(one["policy_no"] for one in CASE["additions"])}
    first, second = sorted(set(CASE["tickets"]) - taken, key=CASE["tickets"].__getitem__)[:2]
    return [
        {
            "policy_no": name,
            "ticket": CASE["tickets"][name],
            "inspection_id": ids[name],
            "replaces": replaces,
            "reason": "no recording",
            "recorded_at": _at(30),
        }
        for name, replaces in ((first, CASE["sample"][0]), (second, first))
    ]


def written(bundle: Bundle) -> bytes:
    return json.dumps(bundle, ensure_ascii=False).encode()


def changed(change: Callable[[Bundle], object]) -> bytes:
    """Return the whole bundle with a change made to it."""
    bundle = copy.deepcopy(whole_bundle())
    change(bundle)
    return written(bundle)


def with_frame(bundle: Bundle, frame: str) -> None:
    """Put another frame in, with the digest that goes with it: somebody who forges does that, too."""
    bundle["frame"] = frame
    bundle["frame_digest"] = "sha256:" + hashlib.sha256(frame.encode()).hexdigest()
    bundle["frame_size"] = frame.count("\n")
