"""`telesales token`: make, list and revoke access tokens."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

import typer
from sqlalchemy import select

from compliance.audit import note
from compliance.shanghai import SHANGHAI
from infra.clock import clock_with_offset
from infra.ids import new_id
from services.cli.terminal import BAD_USAGE, PERSON, JsonFlag, engine_on, fail, say, settings_or_exit, show
from services.tables import access_tokens
from services.tokens import Role, UnknownTokenError, create_token, revoke_token

commands = typer.Typer(help="Access tokens: stored hashed, shown once.", no_args_is_help=True)

_LONGEST_OWNER = 200


@commands.command()
def create(
    role: Annotated[Role, typer.Option(help="What the token may do.")],
    owner: Annotated[str, typer.Option(help="The person or system it is for; two-person actions compare it.")],
    days: Annotated[int, typer.Option(min=1, max=3660, help="Days until it expires.")] = 90,
    as_json: JsonFlag = False,
) -> None:
    """Make a token and print it; it cannot be shown again."""
    if not 1 <= len(owner.strip()) <= _LONGEST_OWNER or not owner.isprintable():
        fail(f"--owner must be 1 to {_LONGEST_OWNER} printable characters", status=BAD_USAGE)
    settings = settings_or_exit()
    now = clock_with_offset(settings.clock_offset)()
    token_id = new_id()
    with engine_on(settings) as engine, engine.begin() as connection:
        token = create_token(connection, token_id=token_id, role=role, owner=owner, now=now, life=timedelta(days=days))
        details = {"role": role.value, "owner": owner, "days": days}
        note(connection, kind="token_created", subject=str(token_id), details=details, person=PERSON, now=now)
    expires_at = (now + timedelta(days=days)).astimezone(SHANGHAI).isoformat()
    found: dict[str, object] = {
        "token_id": str(token_id),
        "token": token,
        "role": role.value,
        "owner": owner,
        "expires_at": expires_at,
    }
    if not as_json:  # on standard error, so that TOKEN=$(telesales token create …) has the token alone
        say(f"token {token_id} for {owner}, role {role}, until {expires_at}")
    show(found, as_json=as_json, sentence=token)


@commands.command()
def revoke(
    token_id: Annotated[UUID, typer.Argument(help="As printed by create or list.")], as_json: JsonFlag = False
) -> None:
    """End a token at once."""
    settings = settings_or_exit()
    now = clock_with_offset(settings.clock_offset)()
    with engine_on(settings) as engine:
        try:
            with engine.begin() as connection:
                revoke_token(connection, token_id, now=now)
                note(connection, kind="token_revoked", subject=str(token_id), details={}, person=PERSON, now=now)
        except UnknownTokenError as error:
            fail(str(error))
    show({"token_id": str(token_id), "revoked": True}, as_json=as_json, sentence=f"token {token_id} is revoked")


@commands.command("list")
def list_tokens(*, as_json: JsonFlag = False) -> None:
    """List tokens, newest first; never the tokens themselves."""
    settings = settings_or_exit()
    columns = [column for column in access_tokens.c if column.name != "token_hash"]
    with engine_on(settings) as engine, engine.connect() as connection:
        rows = connection.execute(select(*columns).order_by(access_tokens.c.token_id.desc())).mappings().all()
    lines = [
        f"{row['token_id']}  {row['role']:<9}  {row['owner']}  expires {row['expires_at']:%Y-%m-%d}"
        f"{'  revoked' if row['revoked_at'] else ''}"
        for row in rows
    ]
    show({"items": [dict(row) for row in rows]}, as_json=as_json, sentence="\n".join(lines) or "no tokens")
