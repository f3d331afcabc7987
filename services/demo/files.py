"""The files beside the demo: tokens and logins, a check, a lead list, a recording. Written whole or not at all."""

import json
import os
import secrets
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
from sqlalchemy import Connection

from compliance.shanghai import shanghai_day
from services.demo.chance import Chance
from services.demo.facts import Desk, demo_facts
from services.demo.phone_plan import NumberUse, mobile_digits
from services.demo.recording_file import demo_recording
from services.tokens import Role, create_token

OWNERS = {
    "dialer": Role.DIALER,
    "inspector": Role.INSPECTOR,
    "inspector2": Role.INSPECTOR,
    "officer": Role.OFFICER,
    "officer2": Role.OFFICER,
    "admin": Role.ADMIN,
    "auditor": Role.AUDITOR,
}
"""Who gets a token and a login; each key is a person of its own."""

TOKENS_FILE = "demo-tokens.json"
USERS_FILE = "demo-users.json"
CHECK_FILE = "demo-check.json"
AGENCY_CHECK_FILE = "demo-check-agency.json"
LIST_FILE = "demo-list.csv"
OPTIONS_FILE = "demo-options.txt"
CALL_FILE = "demo-call.wav"
RECORDING_FILE = "demo-recording.json"

_TOKEN_LIFE = timedelta(days=365)
_FOR_THE_OWNER_ALONE = 0o600
_FOR_EVERYBODY = 0o644


def write_files(connection: Connection, chance: Chance, data_dir: Path, *, now: datetime) -> None:
    """Make tokens in the caller's transaction and write all files below `data_dir`, over those of a load that broke."""
    tokens = {
        owner: create_token(
            connection,
            token_id=chance.uuid7(now, "token", owner),
            role=role,
            owner=owner,
            now=now,
            life=_TOKEN_LIFE,
        )
        for owner, role in OWNERS.items()
    }
    users = {owner: {"login": owner, "password": secrets.token_urlsafe(12), "user_id": owner} for owner in OWNERS}
    facts = demo_facts()
    _write(data_dir / TOKENS_FILE, _json(tokens), mode=_FOR_THE_OWNER_ALONE)
    _write(data_dir / USERS_FILE, _json(users), mode=_FOR_THE_OWNER_ALONE)
    _write(data_dir / CHECK_FILE, _check(facts.own, facts.callee))
    _write(data_dir / AGENCY_CHECK_FILE, _check(facts.agency, facts.callee))
    _write(data_dir / OPTIONS_FILE, _options(facts.own).encode())
    _write(data_dir / LIST_FILE, lead_list().encode("gb18030"))
    recording = demo_recording(connection, today=shanghai_day(now))
    _write(data_dir / CALL_FILE, recording.wav)
    _write(data_dir / RECORDING_FILE, _json(recording.metadata))


def _json(value: object) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode()


def _check(desk: Desk, callee: str) -> bytes:
    call = msgspec.to_builtins(desk.call(callee))
    return _json({name: value for name, value in call.items() if value is not None})


def _options(desk: Desk) -> str:
    """Return the facts of a desk as options of the commands `check` and `scrub`."""
    return (
        f"--caller-number {desk.caller_number} --agent {desk.agent_id} --centre {desk.centre_id}"
        f" --campaign {desk.campaign_id} --product {desk.product_code}\n"
    )


_FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")
_PROVINCES = ("北京市", "上海市", "广东省", "四川省", "湖北省")


def lead_list() -> str:
    """Return a list as Excel exports it in China: number cells of every kind, four on the do-not-call list."""
    lead = [str(mobile_digits(NumberUse.LEAD, index)).removeprefix("86") for index in range(20)]
    listed = [str(mobile_digits(NumberUse.LISTED, index)).removeprefix("86") for index in range(4)]
    cells = (
        lead[0],
        f"{lead[1][:3]} {lead[1][3:7]} {lead[1][7:]}",
        f"+86-{lead[2]}",
        listed[0],
        f"0086 {lead[3]}",
        lead[4].translate(_FULL_WIDTH),
        f"0{listed[1]}",
        "010-61007001",
        "1.47E+10",
        "无",
        None,
        f"{lead[5]}.0",
        f"17909{listed[2]}",
        "12345",
        f"{lead[6]}/{lead[7]}",
        "+85291234567",
        listed[3],
        "",
        lead[8],
    )
    rows = [
        ",," if cell is None else f"示例{number:02d},{cell},{_PROVINCES[number % len(_PROVINCES)]}"
        for number, cell in enumerate(cells, start=1)
    ]
    return "".join(f"{row}\r\n" for row in ("姓名,手机号,省份", *rows))


def _write(path: Path, content: bytes, *, mode: int = _FOR_EVERYBODY) -> None:
    """Write the whole file beside its place and put it there: nobody ever reads half of it."""
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
