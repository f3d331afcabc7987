"""The demo's agents and customers: invented names, numbers by plan, dates around the day of loading.

Pure. Some agents may not sell and some not everything, so that the gate has something to refuse. No row is
newer than 35 days.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import cast

from compliance.periods import add_years
from compliance.phone_numbers import normalise
from services.demo.chance import Chance
from services.demo.facts import FIRST_DAY, LAST_DAY, NATIONAL, OWN, REGIONAL, customer_id, register_id
from services.demo.phone_plan import NumberUse, landline_digits, mobile_digits
from services.demo.register_plan import PlannedVersion, version

AGENTS_OF = {OWN: 30, NATIONAL: 18, REGIONAL: 12}
CUSTOMERS = 300

_SURNAMES = "甲乙丙丁戊己庚辛壬癸子丑寅卯辰"
_GIVEN_NAMES = ("示例", "样例", "演示", "试用")
"""No person is called so: heavenly stems and earthly branches, with the words for example and trial."""

_OLDER_THAN_THE_CALLS = 36
_SIXTY_YEARS = 60


@dataclass(frozen=True, slots=True)
class PlannedAgent:
    """One agent; those with a `flaw` are refused for some or all calls."""

    key: str
    index: int
    flaw: str | None

    @property
    def agent_id(self) -> str:
        return register_id("agents", self.key, self.index)


_NEW_AGENT = 6
"""By index within each centre; certified shortly before the demo's calls."""

_FLAWS = {5: "not_certified", 7: "expired", 9: "not_trained", 10: "ended"}
"""By index within each centre."""


def planned_agents() -> list[PlannedAgent]:
    """Return all agents, those of each centre together, the one of the example checks first."""
    return [PlannedAgent(key, index, _FLAWS.get(index)) for key, count in AGENTS_OF.items() for index in range(count)]


def sells_participating(agent: PlannedAgent) -> bool:
    """Say whether the agent has the special training: two of three have."""
    return agent.index % 3 != 1


def agent_versions(chance: Chance, today: date) -> Iterator[PlannedVersion]:
    """Yield the versions of all agents; some had their certification renewed."""
    for number, agent in enumerate(planned_agents()):
        if agent.index == 0:
            yield _agent_version(agent, number, FIRST_DAY, FIRST_DAY, LAST_DAY)
            continue
        joined_on = today - timedelta(days=_OLDER_THAN_THE_CALLS + 60 + chance.below(1500, "joined", number))
        if agent.index == _NEW_AGENT:
            joined_on = today - timedelta(days=_OLDER_THAN_THE_CALLS + chance.below(20, "joined", number))
        through = today + timedelta(days=40 + chance.below(600, "certified", number))
        if agent.flaw == "expired":
            through = today - timedelta(days=12 + agent.index)
        if agent.index % 4 == 1 and agent.flaw is None:
            renewed_on = today - timedelta(days=_OLDER_THAN_THE_CALLS + chance.below(50, "renewed", number))
            yield _agent_version(agent, number, joined_on, joined_on, renewed_on + timedelta(days=20))
            yield _agent_version(agent, number, renewed_on, joined_on, through)
        else:
            yield _agent_version(agent, number, joined_on, joined_on, through)


def _agent_version(
    agent: PlannedAgent, number: int, day: date, joined_on: date, certified_through: date
) -> PlannedVersion:
    is_certified = agent.flaw != "not_certified"
    trained_on = None if agent.flaw == "not_trained" else joined_on.isoformat()
    body = {
        "agent_id": agent.agent_id,
        "name": _SURNAMES[number % len(_SURNAMES)] + _GIVEN_NAMES[number // len(_SURNAMES)],
        "staff_no": f"D{number + 1:04d}",
        "centre_id": register_id("centres", agent.key),
        "user_id": None,
        "supervisor_user_id": None,
        "trained_on": trained_on,
        "certified_from": joined_on.isoformat() if is_certified else None,
        "certified_through": certified_through.isoformat() if is_certified else None,
        "participating_trained_on": joined_on.isoformat() if sells_participating(agent) else None,
    }
    made = version("agents", agent.agent_id, day, body)
    if agent.flaw != "ended":
        return made
    ends_on = day + timedelta(days=60)
    return PlannedVersion(made.register, made.row_id, day, body, made.recorded_at, effective_through=ends_on)


@dataclass(frozen=True, slots=True)
class PlannedCustomer:
    """One customer and all the numbers the customer has today, E.164 digits."""

    index: int
    phones: tuple[int, ...]
    versions: tuple[PlannedVersion, ...]

    @property
    def customer_id(self) -> str:
        return customer_id(self.index)

    @property
    def first_phones(self) -> tuple[int, ...]:
        """The numbers that the customer had from the beginning."""
        return self.phones[: len(cast("list[str]", self.versions[0].body["phones"]))]

    @property
    def is_policy_holder(self) -> bool:
        return bool(self.versions[-1].body["policy_nos"])


_DISTRICTS = {"110000": "110105", "310000": "310115", "440000": "440106", "440300": "440305", "330200": "330203"}


def planned_customers(chance: Chance, today: date) -> list[PlannedCustomer]:
    """Return all customers, each with one to three numbers; some got the last one later."""
    return [_customer(index, chance, today) for index in range(CUSTOMERS)]


def _customer(index: int, chance: Chance, today: date) -> PlannedCustomer:
    mobile = mobile_digits(NumberUse.CUSTOMER, index)
    region = _residence(index, mobile, chance)
    phones = [mobile]
    if (landline := landline_digits(f"{region[:2]}0000", index)) is not None and chance.hits(400, "landline", index):
        phones.append(landline)
    since = today - timedelta(days=_OLDER_THAN_THE_CALLS + 60 + chance.below(1500, "customer since", index))
    has_second = chance.hits(300, "second", index)
    first = version("customers", customer_id(index), since, _customer_body(index, phones, region, chance, today))
    versions = [first]
    if has_second:
        phones.append(mobile_digits(NumberUse.SECOND_OF_CUSTOMER, index))
        changed_on = today - timedelta(days=_OLDER_THAN_THE_CALLS + chance.below(50, "new number", index))
        body = {**first.body, "phones": [f"+{digits}" for digits in phones]}
        versions.append(version("customers", customer_id(index), changed_on, body))
    return PlannedCustomer(index, tuple(phones), tuple(versions))


def _residence(index: int, mobile: int, chance: Chance) -> str:
    """Return where the customer lives: mostly where the number was issued, else somewhere else."""
    number = normalise(f"+{mobile}")
    issued_in = number.region if number is not None else None
    region = "510000" if issued_in is None or chance.hits(150, "moved", index) else issued_in
    return _DISTRICTS.get(region, region)


def _customer_body(index: int, phones: list[int], region: str, chance: Chance, today: date) -> dict[str, object]:
    age_years = 22 + chance.below(57, "age", index)
    born_on = date(today.year - age_years, 1 + chance.below(12, "month", index), 1 + chance.below(28, "day", index))
    policies = chance.pick((0, 1, 1, 2), "policies", index)
    is_sixty = add_years(born_on, _SIXTY_YEARS) <= today
    return {
        "customer_id": customer_id(index),
        "phones": [f"+{digits}" for digits in phones],
        "region": region,
        "region_verified_on": (today - timedelta(days=100 + chance.below(900, "verified", index))).isoformat(),
        "birth_date": born_on.isoformat(),
        "segments": ["age_60_plus"] if is_sixty else [],
        "policy_nos": [f"DEMO-P-{index + 1:04d}-{policy + 1}" for policy in range(policies)],
    }
