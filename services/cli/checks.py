"""`telesales check` and `telesales scrub`: the gate for people at a terminal."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from compliance.call_checks import Gate, check_calls, simulate_calls
from compliance.call_facts import ProposedCall, Purpose
from compliance.check_rows import JudgedCall
from compliance.decision import Verdict
from compliance.list_rows import UnreadableListError
from compliance.register_book import Shelf
from compliance.scrubs import scrub_file
from compliance.shanghai import SHANGHAI
from compliance.working_days import package_calendar
from infra.clock import clock_with_offset
from services.check_answers import answers
from services.cli.terminal import (
    BAD_USAGE,
    FAILED,
    PERSON,
    JsonFlag,
    engine_on,
    fail,
    progress_bar,
    settings_or_exit,
    show,
    writable_target,
)

FIRST_SIMULATED = datetime(2015, 1, 1, tzinfo=SHANGHAI)
LAST_SIMULATED = datetime(2201, 1, 1, tzinfo=SHANGHAI)

CallerNumber = Annotated[str | None, typer.Option(help="Number shown to the customer.")]
Agent = Annotated[str | None, typer.Option(help="Agent id.")]
Centre = Annotated[str | None, typer.Option(help="Centre or agency id.")]
Campaign = Annotated[str | None, typer.Option(help="Campaign id, the provenance of the number.")]
Product = Annotated[str | None, typer.Option(help="Product code.")]
Customer = Annotated[str | None, typer.Option(help="Customer id.")]
PurposeOption = Annotated[Purpose, typer.Option(help="What the call is for.")]
At = Annotated[str | None, typer.Option(help="Simulate this instant, RFC 3339 with offset; records nothing.")]


def parsed_instant(text: str | None) -> datetime | None:
    """Return the instant written in `text`; end with bad usage when it has no offset or is none."""
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        fail(f"--at {text}: not an instant; write it as 2026-11-23T16:00:00+08:00", status=BAD_USAGE)
    if at.tzinfo is None:
        fail(f"--at {text}: an offset is missing; write it as 2026-11-23T16:00:00+08:00", status=BAD_USAGE)
    if not FIRST_SIMULATED <= at < LAST_SIMULATED:
        fail(f"--at {text}: instants of the years 2015 to 2200 can be simulated", status=BAD_USAGE)
    return at


def check(  # noqa: PLR0913 - one option per fact
    number: Annotated[str, typer.Argument(help="The number to be called, in any spelling.")],
    *,
    caller_number: CallerNumber = None,
    agent: Agent = None,
    centre: Centre = None,
    campaign: Campaign = None,
    product: Product = None,
    customer: Customer = None,
    purpose: PurposeOption = Purpose.SALES,
    at: At = None,
    as_json: JsonFlag = False,
) -> None:
    """May this number be called now? Exit status 0: allow, 1: deny."""
    call = ProposedCall(
        callee=number,
        caller_number=caller_number,
        agent_id=agent,
        centre_id=centre,
        campaign_id=campaign,
        product_code=product,
        customer_id=customer,
        purpose=purpose,
    )
    instant = parsed_instant(at)
    settings = settings_or_exit()
    now = clock_with_offset(settings.clock_offset)()
    calendar = package_calendar()
    with engine_on(settings) as engine, engine.begin() as connection:
        if instant is None:
            gate = Gate(shelf=Shelf(), calendar=calendar)
            judged = check_calls(connection, [call], gate=gate, actors=[PERSON], now=now)
        else:
            judged = simulate_calls(connection, [call], policy=None, calendar=calendar, at=instant, now=now)
    answer = msgspec.json.decode(answers(judged, simulated=instant is not None)[0])
    show(answer, as_json=as_json, sentence=_sentence(judged[0]))
    if judged[0].decision.verdict is Verdict.DENY:
        raise typer.Exit(FAILED)


def _sentence(judged: JudgedCall) -> str:
    decision = judged.decision
    lines = [f"{decision.verdict.value.upper()} at {judged.at.astimezone(SHANGHAI):%Y-%m-%d %H:%M:%S} (Shanghai)"]
    lines += [f"  art. {one.article:<6} {one.code}: {one.message}" for one in decision.reasons]
    if decision.valid_until is not None:
        lines.append(f"  valid until {decision.valid_until:%H:%M:%S}")
    if decision.next_callable_at is not None:
        lines.append(f"  callable from {decision.next_callable_at:%Y-%m-%d %H:%M}")
    return "\n".join(lines)


def scrub(  # noqa: PLR0913 - one option per fact
    source: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV or XLSX with a number column.")],
    target: Annotated[Path, typer.Argument(dir_okay=False, help="Where the answer goes.")],
    *,
    caller_number: CallerNumber = None,
    agent: Agent = None,
    centre: Centre = None,
    campaign: Campaign = None,
    product: Product = None,
    purpose: PurposeOption = Purpose.SALES,
    at: At = None,
    as_json: JsonFlag = False,
) -> None:
    """Decide on every row of a list; TARGET gets the rows with e164, decision, reasons and next_callable_at."""
    template = ProposedCall(
        callee="",
        caller_number=caller_number,
        agent_id=agent,
        centre_id=centre,
        campaign_id=campaign,
        product_code=product,
        purpose=purpose,
    )
    instant = parsed_instant(at)
    settings = settings_or_exit()
    written = writable_target(source, target, advice="name another TARGET")
    with engine_on(settings) as engine, progress_bar("scrubbing", quiet=as_json) as advance:
        try:
            result = scrub_file(
                engine,
                source,
                written,
                call=template,
                at=instant,
                clock=clock_with_offset(settings.clock_offset),
                calendar=package_calendar(),
                cache_dir=settings.data_dir / "cache",
                progress=advance,
            )
        except UnreadableListError as error:
            fail(str(error))
        except OSError as error:
            fail(f"{error.filename or target} cannot be used: {error.strerror}")
    show(
        result,
        as_json=as_json,
        sentence=f"{result['rows']} rows: {result['allow']} may be called, {result['deny']} may not"
        f" ({result['invalid']} are no telephone numbers) -> {target}",
    )
