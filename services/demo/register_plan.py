"""The demo's registers but agents and customers: the insurer, centres, caller numbers, products, scripts, campaigns.

Pure: rows as values, in the form in which the registers store them. Rows of the example checks hold from
2015 to 2049; all others have dates around the day on which the demo is loaded. No row is newer than 35 days:
the checks of the last 30 days were all made with these registers.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from compliance.phone_numbers import normalise_caller
from compliance.regions import MAINLAND_PROVINCES
from compliance.register_book import INSURER_ROW
from compliance.shanghai import midnight
from services.demo.facts import (
    CALLER_NUMBERS,
    CENTRE_KEYS,
    EXPIRED_CAMPAIGN,
    FIRST_DAY,
    LAST_DAY,
    NATIONAL,
    OWN,
    PARTICIPATING,
    REFERENCE,
    REGIONAL,
    REGIONAL_PROVINCES,
    RETIRED_CALLER_NUMBER,
    TERM_LIFE,
    UNIVERSAL,
    WITHOUT_SCRIPT,
    register_id,
)

_OFFICE_HOURS_BEGIN = timedelta(hours=10)
_EVERYWHERE = sorted(MAINLAND_PROVINCES)


@dataclass(frozen=True, slots=True)
class PlannedVersion:
    """One version of a register row; both ends are inclusive."""

    register: str
    row_id: str
    effective_from: date
    body: Mapping[str, object]
    recorded_at: datetime
    effective_through: date | None = None


def version(register: str, row_id: str, day: date, body: Mapping[str, object]) -> PlannedVersion:
    """Return a version without an end, recorded in the morning of its first day."""
    return PlannedVersion(register, row_id, day, body, midnight(day) + _OFFICE_HOURS_BEGIN)


def planned_registers(today: date) -> Iterator[PlannedVersion]:
    """Yield every version of these registers, rows in an order in which each names only earlier ones."""
    yield _insurer()
    yield from _centres()
    yield from _caller_numbers(today)
    for product in _PRODUCTS:
        yield version("products", product.code, FIRST_DAY, product.body())
    for mode in ("own_centre", "agency"):
        for product in _PRODUCTS:
            if (mode, product.code) not in _WITHOUT_ANY_SCRIPT and product.type != "universal":
                yield from _scripts(mode, product)
    for key in CENTRE_KEYS:
        for campaign in CAMPAIGNS[key]:
            yield _campaign(key, campaign, today)


def _insurer() -> PlannedVersion:
    body = {
        "name": "示例人寿保险股份有限公司",
        "operating_regions": _EVERYWHERE,
        "telesales_since": FIRST_DAY.isoformat(),
        "major_penalties_on": [],
    }
    return version("insurer", INSURER_ROW, FIRST_DAY, body)


_CENTRE_FIELDS = (
    "approval_no",
    "insurance_licence_no",
    "business_licence_no",
    "licensed_on",
    "filed_on",
    "qualified_through",
    "contract_from",
    "contract_through",
    "telesales_since",
    "major_penalties_on",
)


def _centre(key: str, day: date, **fields: object) -> PlannedVersion:
    row_id = register_id("centres", key)
    body = {**dict.fromkeys(_CENTRE_FIELDS), **fields, "centre_id": row_id}
    body["reported_regions"] = body["sales_regions"]
    return version("centres", row_id, day, body)


def _centres() -> Iterator[PlannedVersion]:
    own = {
        "kind": "own_centre",
        "name": "示例人寿电话销售中心",
        "operator_name": "示例人寿保险股份有限公司",
        "place": "110000",
        "sales_regions": _EVERYWHERE,
        "approval_no": "示例批〔2014〕1号",
    }
    licences = {
        "insurance_licence_no": "DEMO-0001",
        "business_licence_no": "DEMO-91110000",
        "licensed_on": "2014-12-15",
    }
    yield _centre(OWN, date(2014, 7, 1), **own, state="preparing")
    yield _centre(OWN, FIRST_DAY, **own, **licences, state="open")
    yield _centre(NATIONAL, FIRST_DAY, **_agency("示例全国保险代理有限公司", "310000", _EVERYWHERE, date(2014, 12, 20)))
    regional = _agency("示例南方保险代理有限公司", "440000", list(REGIONAL_PROVINCES), date(2014, 12, 25))
    yield _centre(REGIONAL, FIRST_DAY, **regional)


def _agency(name: str, place: str, sales_regions: list[str], filed_on: date) -> dict[str, object]:
    return {
        "kind": "agency",
        "name": name,
        "operator_name": name,
        "state": "open",
        "place": place,
        "sales_regions": sales_regions,
        "filed_on": filed_on.isoformat(),
        "qualified_through": LAST_DAY.isoformat(),
        "contract_from": FIRST_DAY.isoformat(),
        "contract_through": LAST_DAY.isoformat(),
    }


def _caller_numbers(today: date) -> Iterator[PlannedVersion]:
    """Yield one number per owner; the regional agency has changed its own, and the new one is in its first year."""
    changed_on = today - timedelta(days=200)
    yield _caller_number("own", CALLER_NUMBERS[OWN], None, FIRST_DAY)
    yield _caller_number("national", CALLER_NUMBERS[NATIONAL], NATIONAL, FIRST_DAY)
    retired = _caller_number("retired", RETIRED_CALLER_NUMBER, REGIONAL, FIRST_DAY)
    yield retired
    announced_on = changed_on - timedelta(days=30)
    body = {**retired.body, "retired_on": changed_on.isoformat()}
    yield version("caller-numbers", retired.row_id, announced_on, body)
    yield _caller_number("regional", CALLER_NUMBERS[REGIONAL], REGIONAL, changed_on)


def _caller_number(key: str, number: str, owner: str | None, day: date) -> PlannedVersion:
    row_id = register_id("caller-numbers", key)
    body = {
        "caller_number_id": row_id,
        "phone": normalise_caller(number),
        "centre_id": None if owner is None else register_id("centres", owner),
        "in_use_from": day.isoformat(),
        "retired_on": None,
    }
    return version("caller-numbers", row_id, day, body)


@dataclass(frozen=True, slots=True)
class _Product:
    code: str
    name: str
    type: str = "ordinary"
    cooling_off_days: int = 15
    medical_exam: bool = False
    sold_through: date | None = None

    def body(self) -> dict[str, object]:
        return {
            "product_code": self.code,
            "name": self.name,
            "type": self.type,
            "cooling_off_days": self.cooling_off_days,
            "medical_exam": self.medical_exam,
            "sold_from": FIRST_DAY.isoformat(),
            "sold_through": None if self.sold_through is None else self.sold_through.isoformat(),
        }


_PRODUCTS = (
    _Product(TERM_LIFE, "示例二十年定期寿险"),
    _Product("DEMO-ACCIDENT-1", "示例一年期意外伤害保险", cooling_off_days=10),
    _Product("DEMO-MEDICAL-1", "示例一年期医疗保险"),
    _Product("DEMO-CRITICAL-30", "示例重大疾病保险", cooling_off_days=20, medical_exam=True),
    _Product("DEMO-WHOLE-LIFE", "示例终身寿险", cooling_off_days=20),
    _Product("DEMO-PENSION", "示例养老年金保险"),
    _Product(WITHOUT_SCRIPT, "示例少儿定期寿险"),
    _Product("DEMO-OLD-TERM", "示例旧款定期寿险(已停售)", sold_through=date(2019, 12, 31)),
    _Product(PARTICIPATING, "示例两全保险(分红型)", type="participating"),
    _Product("DEMO-PAR-PENSION", "示例年金保险(分红型)", type="participating"),
    _Product(UNIVERSAL, "示例终身寿险(万能型)", type="universal"),
    _Product("DEMO-UNIVERSAL-PENSION", "示例年金保险(万能型)", type="universal"),
)

_WITHOUT_ANY_SCRIPT = frozenset(
    {("agency", "DEMO-WHOLE-LIFE"), ("agency", "DEMO-PAR-PENSION"), ("agency", WITHOUT_SCRIPT)}
)

_SCRIPT = (
    "您好,我是{seller}的电话销售人员,工号是……。请问您现在方便接听电话吗?今天向您介绍{product}。"
    "{agency}缴费方式为按年从您本人名下账户扣款,保单自承保次日零时生效,投保意愿通过电话录音确认,"
    "保单为电子保单,发送至您的电子邮箱。您收到保单并书面签收后有{days}天犹豫期,犹豫期内可全额退保。"
    "客户服务电话为95000,保单可在公司官网和客户服务电话查询。"
    "请问您是否同意通过电话录音确认投保?如果您不希望再接到此类电话,请告诉我,我们会立即登记。"
)
_AGENCY_WORDS = "我公司为保险代理机构,受示例人寿保险股份有限公司委托销售,保险责任由该公司承担。"


def _scripts(mode: str, product: _Product) -> Iterator[PlannedVersion]:
    """Yield the script of a sales mode and product: approved, and revised in 2021; a draft for `WITHOUT_SCRIPT`."""
    row_id = register_id("scripts", mode, product.code)
    approved_on, approved_by = FIRST_DAY.isoformat(), "总公司法律合规部"
    is_agency = mode == "agency"
    words = _SCRIPT.format(
        seller="示例代理公司" if is_agency else "示例人寿保险股份有限公司",
        product=product.name,
        agency=_AGENCY_WORDS if is_agency else "",
        days=product.cooling_off_days,
    )
    is_draft = product.code == WITHOUT_SCRIPT
    body = {
        "script_id": row_id,
        "sales_mode": mode,
        "product_code": product.code,
        "version": "1.0",
        "text": words,
        "approved_on": None if is_draft else approved_on,
        "approved_by": None if is_draft else approved_by,
    }
    yield version("scripts", row_id, FIRST_DAY, body)
    if product.code == TERM_LIFE:
        revised_on = date(2021, 3, 1)
        revised = {**body, "version": "2.0", "approved_on": "2021-02-20", "text": f"{words}感谢您的接听。"}
        yield version("scripts", row_id, revised_on, revised)


@dataclass(frozen=True, slots=True)
class PlannedCampaign:
    """`expires_after_days` counts from the day of loading, None means `LAST_DAY`."""

    key: str
    name: str
    product_code: str
    expires_after_days: int | None = 60
    legal_basis: str | None = "个人信息保护法第十三条第一款第一项:个人同意"
    lead_source: str = "官网投保意向表单,客户勾选同意电话联系"


CAMPAIGNS: Mapping[str, tuple[PlannedCampaign, ...]] = {
    OWN: (
        PlannedCampaign(REFERENCE, "老客户回访加保", TERM_LIFE, None, lead_source="本公司存量客户,投保时书面同意"),
        PlannedCampaign("accident", "出行保障", "DEMO-ACCIDENT-1"),
        PlannedCampaign("medical", "健康保障", "DEMO-MEDICAL-1", 100),
        PlannedCampaign("participating", "两全保障", PARTICIPATING),
        PlannedCampaign("whole-life", "终身保障", "DEMO-WHOLE-LIFE"),
        PlannedCampaign("child", "少儿保障", WITHOUT_SCRIPT),
        PlannedCampaign(EXPIRED_CAMPAIGN, "秋季活动", TERM_LIFE, -8),
        PlannedCampaign("unproven", "待补授权的名单", TERM_LIFE, legal_basis=None),
    ),
    NATIONAL: (
        PlannedCampaign(REFERENCE, "代理渠道定期寿险", TERM_LIFE, None),
        PlannedCampaign("medical", "代理渠道健康保障", "DEMO-MEDICAL-1"),
        PlannedCampaign("participating", "代理渠道两全保障", PARTICIPATING, 45),
        PlannedCampaign("whole-life", "代理渠道终身保障", "DEMO-WHOLE-LIFE"),
    ),
    REGIONAL: (
        PlannedCampaign(REFERENCE, "南方定期寿险", TERM_LIFE, None),
        PlannedCampaign("accident", "南方出行保障", "DEMO-ACCIDENT-1", 30),
        PlannedCampaign("critical", "南方重疾保障", "DEMO-CRITICAL-30"),
    ),
}


def _campaign(key: str, campaign: PlannedCampaign, today: date) -> PlannedVersion:
    row_id = register_id("campaigns", key, campaign.key)
    is_lasting = campaign.expires_after_days is None
    begins_on = FIRST_DAY if is_lasting else today - timedelta(days=110)
    expires_on = LAST_DAY if campaign.expires_after_days is None else today + timedelta(campaign.expires_after_days)
    body = {
        "campaign_id": row_id,
        "name": campaign.name,
        "centre_id": register_id("centres", key),
        "purpose": "sales",
        "product_code": campaign.product_code,
        "lead_source": campaign.lead_source,
        "legal_basis": campaign.legal_basis,
        "leads_collected_on": begins_on.isoformat(),
        "leads_expire_on": expires_on.isoformat(),
    }
    return version("campaigns", row_id, begins_on, body)
