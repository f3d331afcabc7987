"""Rows of a do-not-call list, read as refusals: which columns count, what each cell may hold, why a row is refused.

Nothing is guessed: a cell that could mean two things is refused with the name of its column and what is expected
there. Days are days in Asia/Shanghai, from whose 00:00 a refusal without a time of day counts.
"""

import re
import unicodedata
from collections.abc import Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import NamedTuple

from msgspec import Struct

from compliance.do_not_call import PERMANENT, blocked_through
from compliance.list_rows import Row, find_column
from compliance.phone_numbers import is_scientific_notation, normalise, normalise_caller
from compliance.shanghai import midnight, shanghai_day

REFUSED_AT = ("refused_at", "拒绝时间", "拒绝日期")
BLOCKED_THROUGH = ("blocked_through", "截止日期", "有效期")
CUSTOMER_ID = ("customer_id", "客户号")
PERMANENTLY = ("permanent", "永久")
REASON = ("reason", "原因", "拒绝原因")
"""Accepted headers, the best one first. That of the number stands in `list_rows`."""

_LONGEST_CUSTOMER_ID = 100
_LONGEST_REASON = 20_000
_FIRST_YEAR, _LAST_YEAR = 1900, 2200
_REMEMBERED = 1 << 14

_DAY = re.compile(r"([0-9]{4})(?:([-/.])([0-9]{1,2})\2([0-9]{1,2})|([0-9]{2})([0-9]{2}))(?:[ T]0{1,2}:00(?::00)?)?")
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?(Z|[+-][0-9]{2}:?[0-9]{2})?"
)
_LOCAL_TIME = re.compile(r"(.+?)[T ][0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?")
"""A day and a time of day without an offset, as spreadsheets write them; the day may have any form of a day."""
_CHINESE_DAY = str.maketrans({"年": "-", "月": "-", "日": None})
_EMERGENCY_OR_SHORT = re.compile(r"1[0-9]{2,5}")
_YES = frozenset({"1", "true", "yes", "y", "t", "x", "permanent", "是", "永久", "真", "√", "✓"})
_NO = frozenset({"", "0", "false", "no", "n", "f", "否", "假", "-", "×"})
_FOR_EVER = frozenset({"permanent", "永久", "长期"})


class ImportedRefusal(Struct, frozen=True, gc=False):
    """What one row asks for. `through` is inclusive; `raised` says that the row named an earlier day than the floor."""

    line: int
    phone_e164: str | None
    customer_id: str | None
    refused_at: datetime
    through: date
    raised: bool
    reason: str | None


class RejectedRow(NamedTuple):
    """A row that is not imported. `input` is its number as it came."""

    line: int
    input: str
    reason: str
    message: str
    message_zh: str


class _BadCellError(ValueError):
    """A cell that cannot be read: the code of the reason, and what is wrong in two languages."""

    def __init__(self, code: str, message: str, message_zh: str) -> None:
        super().__init__(message)
        self.code = code
        self.message_zh = message_zh


class RefusalReader:
    """Reads the rows of one list.

    A row without a time of refusal counts as refused at `moment`, that of the import. One later than `latest` is
    refused. `block_months` is the policy's figure, the floor of every block.
    """

    def __init__(
        self,
        headers: Sequence[str],
        number_column: int,
        *,
        moment: datetime,
        latest: datetime,
        block_months: int,
    ) -> None:
        self._number = number_column
        self._refused_at = find_column(headers, REFUSED_AT)
        self._blocked_through = find_column(headers, BLOCKED_THROUGH)
        self._customer_id = find_column(headers, CUSTOMER_ID)
        self._permanent = find_column(headers, PERMANENTLY)
        self._reason = find_column(headers, REASON)
        self._names_ends = self._permanent is not None or self._blocked_through is not None
        self._moment = moment.astimezone(UTC)
        self._latest = latest
        self._months = block_months
        self._moment_floor = blocked_through(shanghai_day(moment), block_months)

    def read(self, row: Row) -> ImportedRefusal | RejectedRow:
        """Return what a row that is not blank asks for, or why it is not imported."""
        if row.fault is not None:
            shown = self._cell(row, self._number) or " ".join(row.cells)
            return RejectedRow(row.line, shown, "unreadable_row", row.fault.message, row.fault.message_zh)
        try:
            return self._refusal(row)
        except _BadCellError as error:
            return RejectedRow(row.line, self._cell(row, self._number), error.code, str(error), error.message_zh)

    def _refusal(self, row: Row) -> ImportedRefusal:
        # This runs millions of times: columns that the list does not have cost no call.
        customer_id = reason = None
        if self._customer_id is not None:
            customer_id = self._text(row, self._customer_id, _LONGEST_CUSTOMER_ID, "customer_id")
        phone = _phone(row.cells[self._number], is_optional=customer_id is not None)
        refused_at, through = self._moment, self._moment_floor
        if self._refused_at is not None:
            refused_at, through = self._refused(row, self._refused_at)
        is_raised = False
        if self._names_ends:
            through, is_raised = self._through(row, through)
        if self._reason is not None:
            reason = self._text(row, self._reason, _LONGEST_REASON, "reason")
        return ImportedRefusal(row.line, phone, customer_id, refused_at, through, is_raised, reason)

    def _cell(self, row: Row, column: int | None) -> str:
        return row.cells[column] if column is not None and column < len(row.cells) else ""

    def _text(self, row: Row, column: int, longest: int, name: str) -> str | None:
        text = self._cell(row, column).strip()
        if len(text) > longest:
            raise _bad(name, f"at most {longest} characters", f"最多{longest}个字符")
        return text or None

    def _refused(self, row: Row, column: int) -> tuple[datetime, date]:
        """Return the instant of the refusal and the last day that it blocks by the policy's months."""
        text = self._cell(row, column).strip()
        if not text:
            return self._moment, self._moment_floor
        refused_at, floor = _refusal(text, self._months)
        if refused_at > self._latest:
            raise _BadCellError(
                "refused_at_in_future",
                "column refused_at: the refusal lies in the future; expected the past or the present",
                "拒绝时间列:该时间晚于现在;应为过去或当前时间",
            )
        return refused_at, floor

    def _through(self, row: Row, floor: date) -> tuple[date, bool]:
        if self._permanent is not None and _is_yes(self._cell(row, self._permanent)):
            return PERMANENT, False
        if self._blocked_through is None or not (text := self._cell(row, self._blocked_through).strip()):
            return floor, False
        through = _last_day(text)
        return (floor, True) if through < floor else (through, False)


@lru_cache(_REMEMBERED)
def _refusal(text: str, months: int) -> tuple[datetime, date]:
    """Return the instant of a refusal, in UTC, and the last day that it blocks by the policy's months."""
    refused_at, day = _refusal_instant(text)
    return refused_at, blocked_through(day, months)


def _phone(text: str, *, is_optional: bool) -> str | None:
    number = normalise(text)
    if number is not None:
        return number.e164
    if text.strip():
        raise _no_number(text)
    if is_optional:
        return None
    raise _BadCellError(
        "no_number",
        "the row has neither a telephone number nor a customer_id; fill in one of them",
        "该行既无电话号码也无客户号;请至少填写一项",
    )


def _no_number(text: str) -> _BadCellError:
    if is_scientific_notation(text):
        return _BadCellError(
            "scientific_notation",
            "a spreadsheet turned the number into scientific notation such as 1.38E+10, and its last digits are lost; "
            "format the column as text and enter the number again",
            "表格软件已将号码转换为科学计数法(如 1.38E+10),末尾数字已丢失;请将该列设为文本格式后重新录入号码",
        )
    digits = re.sub(r"[\s-]", "", unicodedata.normalize("NFKC", text))
    if normalise_caller(text) is not None or _EMERGENCY_OR_SHORT.fullmatch(digits):
        return _BadCellError(
            "short_number",
            "a short or emergency number, which belongs to no customer; give the customer's own number",
            "该号码为短号码或紧急号码,不属于任何客户;请填写客户本人号码",
        )
    return _BadCellError(
        "invalid_number",
        "not a telephone number on which a person can be called; "
        "expected a mobile number, or a landline with its area code",
        "不是可拨打的电话号码;应为手机号码,或带区号的固定电话",
    )


_COLUMN_ZH = {
    "refused_at": "拒绝时间",
    "blocked_through": "截止日期",
    "permanent": "永久",
    "customer_id": "客户号",
    "reason": "原因",
}


def _bad(column: str, expected: str, expected_zh: str) -> _BadCellError:
    return _BadCellError(
        f"invalid_{column}", f"column {column}: expected {expected}", f"{_COLUMN_ZH[column]}列:应为{expected_zh}"
    )


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).strip().strip("'").upper()


def _refusal_instant(text: str) -> tuple[datetime, date]:
    """Return the instant of a refusal, in UTC, and its day in Shanghai."""
    plain = _plain(text)
    day = _day(plain)
    if day is not None and _FIRST_YEAR <= day.year <= _LAST_YEAR:
        return midnight(day).astimezone(UTC), day
    shape = _INSTANT.fullmatch(plain)
    local = _LOCAL_TIME.fullmatch(plain)
    if local is not None and _day(local[1]) is not None:
        raise _bad(
            "refused_at",
            "an offset after the time of day, such as 2026-03-15T14:30:00+08:00, or the date alone; in a spreadsheet, "
            "format the column as a date (yyyy-mm-dd) and save it again",
            "带时区的时间(如 2026-03-15T14:30:00+08:00),或仅填日期;"
            "请在表格软件中将该列设为日期格式(yyyy-mm-dd)后重新保存",
        )
    at = _instant(plain) if shape is not None else None
    if at is None or not _FIRST_YEAR < at.year < _LAST_YEAR:
        raise _bad(
            "refused_at",
            "a date such as 2026-03-15, or an instant with an offset such as 2026-03-15T14:30:00+08:00",
            "日期(如 2026-03-15),或带时区的时间(如 2026-03-15T14:30:00+08:00)",
        )
    return at.astimezone(UTC), shanghai_day(at)


@lru_cache(_REMEMBERED)
def _last_day(text: str) -> date:
    """Return the last blocked day that a cell names. Any day of the year 9999 means for ever."""
    plain = _plain(text)
    day = PERMANENT if plain.lower() in _FOR_EVER else _day(plain)
    if day is None or day.year < _FIRST_YEAR:
        raise _bad(
            "blocked_through", "the last blocked day, such as 2026-09-15, or permanent", "日期(如 2026-09-15)或“永久”"
        )
    return PERMANENT if day.year == PERMANENT.year else day


@lru_cache(_REMEMBERED)
def _is_yes(text: str) -> bool:
    plain = _plain(text).lower()
    if plain in _YES or plain in _NO:
        return plain in _YES
    raise _bad("permanent", "yes or no", "“是”或“否”")


def _instant(plain: str) -> datetime | None:
    try:
        return datetime.fromisoformat(plain)
    except ValueError:
        return None


def _day(plain: str) -> date | None:
    """Return the civil date that a text without any time of day, or with that of midnight, names."""
    shape = _DAY.fullmatch(plain.translate(_CHINESE_DAY))
    if shape is None:
        return None
    try:
        return date(int(shape[1]), int(shape[3] or shape[5]), int(shape[4] or shape[6]))
    except ValueError:
        return None
