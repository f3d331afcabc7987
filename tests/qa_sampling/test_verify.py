"""Verification: a bundle that is whole holds, and whatever is changed in it is found, in words and without a fault."""

import json
import subprocess
import sys
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qa_sampling import verify
from qa_sampling.verify import describe, verify_bundle, verify_file
from tests.qa_sampling.bundles import Bundle, changed, whole_bundle, with_frame, written
from tests.qa_sampling.draw_vectors import CASES

WHOLE = written(whole_bundle())
ID = "01a20951-105f-70d7-b2ae-0000000000ff"


def places(content: bytes) -> list[str]:
    return [one.where for one in verify_bundle(content).problems]


def test_a_whole_bundle_holds() -> None:
    report = verify_bundle(WHOLE)

    assert (report.ok, report.problems) == (True, [])
    assert report.counts == {"frame": 10, "sample": 3, "additions": 8, "replacements": 2}
    assert describe(report).startswith("The draw holds: frame 10, sample 3, additions 8, replacements 2")


@pytest.mark.parametrize("name", CASES)
def test_golden_draws_hold(name: str) -> None:
    case = CASES[name]
    first = case["frame"].split("\n")[0].split("\t")
    days = sorted(line.split("\t")[1] for line in case["frame"].split("\n")[:-1])
    bundle = whole_bundle() | {name: case[name] for name in case if name in whole_bundle()}
    bundle["stratum"]["class"] = first[2]
    bundle |= {"from": days[0], "to": days[-1], "committed_before": days[0] == days[-1], "replacements": []}
    bundle["sample"] = [
        {
            "policy_no": one,
            "ticket": case["tickets"][one],
            "inspection_id": f"{number:08x}{ID[8:]}",
        }
        for number, one in enumerate(case["sample"])
    ]
    bundle["additions"] = []

    assert verify_bundle(written(bundle)).problems == []


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict):
        return [leaf for name, one in value.items() for leaf in leaves(one, (*path, name))]
    if isinstance(value, list):
        return [leaf for place, one in enumerate(value) for leaf in leaves(one, (*path, place))]
    return [path]


ONLY_THE_LEDGER_KNOWS = {"draw_id", "actor", "centre_id", "sales_mode", "policy_digest", "ledger_entry", "reason"}
"""What the bundle says and cannot prove: the draw's entry in the ledger has it, or the row of the replacement."""
ORDER_ONLY = {"drawn_at", "recorded_at", "inspection_id", "committed_before"}
"""Checked for form, order or uniqueness; another value that fits proves nothing."""
CHECKED = [path for path in leaves(whole_bundle()) if path[-1] not in ONLY_THE_LEDGER_KNOWS | ORDER_ONLY]


def value_at(value: Any, path: tuple[Any, ...]) -> Any:
    return reduce(lambda found, name: found[name], path, value)


def with_value(bundle: Bundle, path: tuple[Any, ...], value: Any) -> Bundle:
    value_at(bundle, path[:-1])[path[-1]] = value
    return bundle


def flipped(value: Any) -> Any:
    """Return another value of the same form."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if value is None:
        return "01a20951-105f-70d7-b2ae-0000000000ff"
    last = "0" if value[-1:] != "0" else "1"
    return value[:-1] + last


@pytest.mark.parametrize("path", CHECKED, ids=lambda path: ".".join(map(str, path)))
def test_a_changed_byte_in_what_is_checked_is_found(path: tuple[Any, ...]) -> None:
    bundle = whole_bundle()

    assert places(written(with_value(bundle, path, flipped(value_at(bundle, path))))) != []


WRONG_TYPES: list[Any] = [None, [], {}, "", 1, -1, 1.5, True, "x", [None], {"a": 1}, "\ud800", 10**17]


@pytest.mark.parametrize("path", leaves(whole_bundle()), ids=lambda path: ".".join(map(str, path)))
def test_another_type_in_any_place_is_a_problem_or_fits_and_never_a_fault(path: tuple[Any, ...]) -> None:
    right = value_at(whole_bundle(), path)
    reports = [
        verify_bundle(json.dumps(with_value(whole_bundle(), path, wrong)).encode())
        for wrong in WRONG_TYPES
        if wrong is not right
    ]

    fits = path[-1] in ONLY_THE_LEDGER_KNOWS | ORDER_ONLY | {"public_number"}
    assert fits or all(one.problems for one in reports)


@pytest.mark.parametrize("name", sorted(verify.FIELDS))
def test_every_field_must_be_there(name: str) -> None:
    assert name in places(changed(lambda bundle: bundle.pop(name)))


def swap(items: list[Any], one: int, other: int) -> None:
    items[one], items[other] = items[other], items[one]


def drop_from_frame(bundle: Bundle) -> None:
    with_frame(bundle, bundle["frame"].replace("P-3\t2026-11-02\tover_1y\n", ""))


BROKEN: dict[str, tuple[Callable[[Bundle], object], str]] = {
    "a line left out of the frame": (lambda b: b.update(frame=b["frame"].replace("P-3", "", 1)), "frame"),
    "a sale left out, with digest and size to match": (drop_from_frame, "additions"),
    "lines in another order": (
        lambda b: with_frame(b, "\n".join([*reversed(b["frame"].split("\n")[:-1]), ""])),
        "frame",
    ),
    "a line twice": (lambda b: with_frame(b, b["frame"] + b["frame"].split("\n")[-2] + "\n"), "frame"),
    "no last line end": (lambda b: with_frame(b, b["frame"][:-1]), "frame"),
    "an empty frame": (lambda b: with_frame(b, ""), "frame"),
    "a carriage return": (lambda b: with_frame(b, b["frame"].replace("\n", "\r\n")), "frame"),
    "a day outside": (lambda b: with_frame(b, b["frame"].replace("P-1\t2026-11-02", "P-1\t2026-11-03")), "frame"),
    "another class": (
        lambda b: with_frame(b, b["frame"].replace("over_1y", "gift", 1)),
        "frame",
    ),
    "another seed with its commitment": (
        lambda b: b.update(
            seed="00" * 32,
            seed_commitment="sha256:66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925",
        ),
        "sample[0].ticket",
    ),
    "a public number": (lambda b: b.update(public_number="1"), "sample[0].ticket"),
    "the period the wrong way round": (lambda b: b.update({"from": "2026-11-03"}), "to"),
    "committed for two days": (lambda b: b.update(to="2026-11-03"), "committed_before"),
    "a smaller rate": (lambda b: b.update(rate_bp=2000, sample_size=2), "sample"),
    "a rate of nothing": (lambda b: b.update(rate_bp=0, sample_size=0, sample=[]), "rate_bp"),
    "somebody dropped": (lambda b: b["sample"].pop(), "sample"),
    "somebody twice": (lambda b: b["sample"].append(dict(b["sample"][0])), "sample"),
    "the sample in another order": (lambda b: swap(b["sample"], 0, 1), "sample"),
    "a friend left out for another": (lambda b: b["sample"][0].update(policy_no="P-3"), "sample"),
    "a sale that is not in the frame": (lambda b: b["sample"][0].update(policy_no="X-1"), "sample"),
    "a late sale of the frame": (lambda b: b["additions"][0].update(policy_no="P-1"), "additions[0]"),
    "a late sale twice": (lambda b: b["additions"].append(dict(b["additions"][-1])), "additions[8]"),
    "a late sale left out": (lambda b: b["additions"].pop(0), "additions[0]"),
    "a late sale of another day": (
        lambda b: b["additions"][0].update(closed_on="2026-11-03"),
        "additions[0].closed_on",
    ),
    "late sales in another order": (lambda b: swap(b["additions"], 0, 2), "additions[1]"),
    "a late sale as old as the draw": (
        lambda b: b["additions"][0].update(recorded_at="2026-11-23T12:00:00+08:00"),
        "additions[0].recorded_at",
    ),
    "nobody promoted": (lambda b: b["additions"].pop(1), "additions"),
    "promoted and not drawn": (lambda b: b["additions"][1].update(drawn=False, inspection_id=None), "additions[1]"),
    "promoted later": (lambda b: b["additions"][1].update(recorded_at="2026-11-23T12:00:59+08:00"), "additions[1]"),
    "somebody promoted who is not": (
        lambda b: b["additions"].append({**b["additions"][1], "policy_no": "P-3"}),
        "additions[8]",
    ),
    "a replacement from outside": (lambda b: b["replacements"][0].update(policy_no="X-1"), "replacements[0]"),
    "a replacement that was drawn": (
        lambda b: b["replacements"][0].update(policy_no=b["sample"][1]["policy_no"]),
        "replacements[0]",
    ),
    "a replacement of one not drawn": (
        lambda b: b["replacements"][0].update(replaces="P-3"),
        "replacements[0].replaces",
    ),
    "a sale replaced twice": (
        lambda b: b["replacements"][1].update(replaces=b["replacements"][0]["replaces"]),
        "replacements[1].replaces",
    ),
    "a replacement that was promoted before": (
        lambda b: stand_in(b, "P-5", at="01.000001"),
        "replacements[0]",
    ),
    "a replacement that was drawn late before": (
        lambda b: stand_in(b, "L-4", at="07.000001"),
        "replacements[0]",
    ),
    "a replacement of one that was drawn only later": (
        lambda b: b["replacements"][0].update(replaces="L-4", recorded_at="2026-11-23T12:00:07+08:00"),
        "replacements[0].replaces",
    ),
    "drawn before the day was over": (lambda b: b.update(drawn_at="2026-11-02T15:59:59.999999Z"), "drawn_at"),
    "a replacement without a reason": (lambda b: b["replacements"][0].update(reason=" "), "replacements[0].reason"),
    "an inspection for two": (
        lambda b: b["sample"][0].update(inspection_id=b["sample"][1]["inspection_id"]),
        "inspection_id",
    ),
    "an inspection of nobody drawn": (
        lambda b: b["additions"][0].update(inspection_id="01a20951-105f-70d7-b2ae-0000000000ff"),
        "inspection_id",
    ),
    "another algorithm": (lambda b: b.update(algorithm="telesales-draw-2"), "algorithm"),
    "an instant without offset": (lambda b: b.update(drawn_at="2026-11-23T12:00:00"), "drawn_at"),
    "a month that is none": (lambda b: b.update(drawn_at="2026-13-23T12:00:00+08:00"), "drawn_at"),
    "an offset that is none": (lambda b: b.update(drawn_at="2026-11-23T12:00:00+99:00"), "drawn_at"),
    "a day that is none": (lambda b: b.update(to="2026-02-30"), "to"),
    "a list that is an object": (lambda b: b.update(sample={}), "sample"),
    "items that are texts": (lambda b: b.update(sample=["P-1"]), "sample[0]"),
}


def stand_in(bundle: Bundle, policy_no: str, *, at: str) -> None:
    """Let a sale that its ticket draws as well stand for P-9 before all that stand for others."""
    names = ("policy_no", "ticket", "inspection_id")
    found = next(one for one in bundle["additions"] if one["policy_no"] == policy_no)
    more = {"replaces": "P-9", "reason": "no recording", "recorded_at": f"2026-11-23T12:00:{at}+08:00"}
    bundle["replacements"].insert(0, {**{name: found[name] for name in names}, **more})


def stand_in_twice(bundle: Bundle, policy_no: str, *, at: str) -> None:
    """Let P-4 stand for P-9 as well, after that sale."""
    stand_in(bundle, policy_no, at=at)
    bundle["replacements"][1]["replaces"] = "P-9"


STOOD_IN = [
    pytest.param("P-5", "00.500000", id="a sale of the frame before it was promoted"),
    pytest.param("L-4", "07", id="a late sale before it was drawn"),
]


@pytest.mark.parametrize(("policy_no", "at"), STOOD_IN)
def test_who_stood_for_another_may_be_drawn_for_itself_later(policy_no: str, at: str) -> None:
    assert places(changed(lambda b: stand_in(b, policy_no, at=at))) == []


@pytest.mark.parametrize(("policy_no", "at"), STOOD_IN)
def test_then_the_sale_that_it_stood_for_may_be_replaced_once_more(policy_no: str, at: str) -> None:
    assert places(changed(lambda b: stand_in_twice(b, policy_no, at=at))) == []


@pytest.mark.parametrize(("change", "where"), BROKEN.values(), ids=BROKEN)
def test_a_broken_bundle_is_told_where_it_is_broken(change: Callable[[Bundle], object], where: str) -> None:
    assert where in places(changed(change))


HOSTILE = {
    "nothing": b"",
    "no JSON": b"{",
    "a number": b"1",
    "a list": b"[]",
    "null": b"null",
    "not UTF-8": b'{"frame": "\xff"}',
    "UTF-16": '{"frame": ""}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf" + WHOLE,
    "a field twice": WHOLE[:-1] + b', "seed": "' + b"0" * 64 + b'"}',
    "an inner field twice": WHOLE.replace(b'"policy_no"', b'"policy_no": "P-1", "policy_no"', 1),
    "NaN": WHOLE.replace(b'"rate_bp": 3000', b'"rate_bp": NaN'),
    "Infinity": WHOLE.replace(b'"rate_bp": 3000', b'"rate_bp": -Infinity'),
    "a float": WHOLE.replace(b'"rate_bp": 3000', b'"rate_bp": 3000.0'),
    "a float beyond all": WHOLE.replace(b'"rate_bp": 3000', b'"rate_bp": 1e999'),
    "a huge number": WHOLE.replace(b'"rate_bp": 3000', b'"rate_bp": ' + b"9" * 100_000),
    "a huge size": WHOLE.replace(b'"frame_size": 10', b'"frame_size": ' + b"9" * 18),
    "lists without end": b"[" * 200_000,
    "objects without end": b'{"a":' * 200_000,
    "half a pair in the frame": WHOLE.replace(b'"frame": "P-1', b'"frame": "\\ud800'),
    "half a pair as a name": WHOLE[:-1] + b', "\\ud800": 1, "\\ud800": 2}',
    "half a pair as a policy number": WHOLE.replace(b'"policy_no": "P-1"', b'"policy_no": "\\udfff"'),
    "a NUL in the frame": WHOLE.replace(b"P-1\\t", b"P-1\\u0000\\t"),
    "many wrong lines": written({**whole_bundle(), "frame": "x\n" * 10_000}),
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_bundle_is_a_problem_and_never_a_fault(content: bytes) -> None:
    report = verify_bundle(content)

    assert 1 <= len(report.problems) < 100
    assert json.loads(json.dumps(report.as_json()))["ok"] is False
    assert describe(report).encode("utf-8", "backslashreplace")


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))
def test_any_byte_may_be_any_other_without_a_fault(place: int, value: int) -> None:
    found = verify_bundle(WHOLE[:place] + bytes([value]) + WHOLE[place + 1 :])

    assert isinstance(found.ok, bool)


@settings(max_examples=100)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda one: st.lists(one) | st.dictionaries(st.text(), one),
    )
)
def test_any_json_in_the_place_of_a_bundle_is_a_problem(value: Any) -> None:
    assert not verify_bundle(json.dumps(value).encode()).ok


def run(path: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-S", verify.__file__, str(path), *more]
    return subprocess.run(command, capture_output=True, text=True, check=False, encoding="utf-8")


def test_the_file_runs_alone_with_the_standard_library(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole.json", tmp_path / "broken.json"
    whole.write_bytes(WHOLE)
    broken.write_bytes(changed(lambda bundle: bundle["sample"].pop()))

    good, bad, as_json = run(whole), run(broken), run(broken, "--json")

    assert (good.returncode, good.stderr, good.stdout.startswith("The draw holds")) == (0, "", True)
    assert (bad.returncode, bad.stderr, "is missing" in bad.stdout) == (1, "", True)
    assert (as_json.returncode, json.loads(as_json.stdout)["ok"]) == (1, False)
    assert run(tmp_path / "nothing").stdout.count("cannot be read") == 1
    assert subprocess.run([sys.executable, verify.__file__], capture_output=True, check=False).returncode == 2


def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    assert [one.message for one in verify_file(tmp_path).problems] == ["cannot be read (IsADirectoryError)"]


def test_it_imports_nothing_but_the_standard_library() -> None:
    source = Path(verify.__file__).read_text()
    imported = {
        line.split()[1].partition(".")[0] for line in source.splitlines() if line.startswith(("import ", "from "))
    }

    assert imported <= sys.stdlib_module_names
