"""The law as data: what is in force when, and that damaged law files stop the start."""

from datetime import date, time
from pathlib import Path

import pytest

from compliance.legal import (
    Bound,
    DatedValue,
    Law,
    LawError,
    NotInForceError,
    Repeal,
    UnknownArticleError,
    citation,
    in_force,
    in_force_or_first,
    law_begins,
    read_law,
    shipped_law,
)

ON = date(2026, 11, 23)
FIRST_DAY = date(2013, 1, 1)
DOCUMENTATION = (Path(__file__).parents[2] / "docs" / "law.md").read_text("utf-8")

STATUTORY = {
    "calling_hours.prohibited": ((time(21), time(9)), "time of day", "at least", "25(1)"),
    "caller_numbers.in_use_years": (1, "calendar years", "at least", "20"),
    "complaints.explain_working_days": (2, "working days", "at most", "42"),
    "complaints.resolve_working_days": (10, "working days", "at most", "42"),
    "delivery.paper_working_days": (7, "working days", "at most", "38"),
    "do_not_call.block_months": (6, "calendar months", "at least", "25(2)"),
    "filing.agency_end_working_days": (15, "working days", "at least", "23"),
    "products.participating_clean_years": (2, "calendar years", "at least", "19"),
    "retention.years_10y": (10, "calendar years", "at least", "35"),
    "retention.years_5y": (5, "calendar years", "at least", "35"),
    "sampling.gift_bp": (100, "basis points", "at least", "37"),
    "sampling.over_1y_bp": (3000, "basis points", "at least", "34(1)"),
    "sampling.within_1y_bp": (2000, "basis points", "at least", "34(2)"),
    "voice_confirmation.oldest_years": (60, "years of age", "at most", "30(1)"),
    "voice_confirmation.youngest_years": (18, "years of age", "at least", "30(1)"),
}

ARTICLES_OF_RULES = [
    *("4", "5", "6", "10", "14", "15", "16", "17", "17(4)", "18", "19", "20", "22", "23", "24"),
    *("25", "25(1)", "25(2)", "25(3)", "26", "26(2)", "26(4)", "27", "28", "29", "30", "30(1)", "30(2)", "30(3)"),
    *("33", "33(2)", "33(4)", "34", "34(1)", "34(2)", "35", "37", "38", "39", "40", "42", "47"),
]
MISSING_ITEMS = [
    *("5(2)", "5(3)", "7(3)", "11(1)", "11(2)", "12(1)", "15(1)", "17(1)", "17(5)"),
    *("21(2)", "26(1)", "26(3)", "29(2)", "33(1)", "33(3)"),
]


def test_every_shipped_value_is_the_figure_of_its_article() -> None:
    shipped = {name: in_force(name, ON) for name in shipped_law().entries}

    figures = {n: (v.value, v.unit, str(v.bound), v.citation.article) for n, v in shipped.items()}
    assert figures == STATUTORY


@pytest.mark.parametrize("name", STATUTORY)
def test_each_value_is_in_force_from_its_first_day(name: str) -> None:
    assert in_force(name, FIRST_DAY).since == FIRST_DAY


@pytest.mark.parametrize("name", STATUTORY)
def test_there_is_no_value_on_the_day_before_the_first(name: str) -> None:
    with pytest.raises(NotInForceError, match=f"no {name} in force on 2012-12-31; first entry begins 2013-01-01"):
        in_force(name, date(2012, 12, 31))


@pytest.mark.parametrize("name", STATUTORY)
def test_what_began_before_the_law_goes_by_its_first_text(name: str) -> None:
    assert in_force_or_first(name, date(1990, 1, 1)) == in_force_or_first(name, FIRST_DAY) == in_force(name, FIRST_DAY)


def test_the_law_begins_with_its_first_entry() -> None:
    assert law_begins() == FIRST_DAY


@pytest.mark.parametrize("name", STATUTORY)
def test_each_value_is_in_the_documentation_with_its_article(name: str) -> None:
    (row,) = [line for line in DOCUMENTATION.splitlines() if line.startswith(f"| `{name}`")]

    assert row.endswith(f"| {STATUTORY[name][3]} |")


def test_an_unknown_name_is_not_in_force() -> None:
    with pytest.raises(NotInForceError, match=r"no statutory value is called do_not_call\.block_weeks"):
        in_force("do_not_call.block_weeks", ON)


def test_a_value_quotes_the_words_that_give_it() -> None:
    assert in_force("do_not_call.block_months", ON).citation.words == "设定不少于6个月的禁止拨打时限"


def test_a_citation_gives_the_words_of_the_item() -> None:
    found = citation("25(3)")

    assert found.words == "应建立因禁拨管理不当对客户造成骚扰的责任追究机制。"
    assert found.complete


@pytest.mark.parametrize(
    "article",
    ARTICLES_OF_RULES,
)
def test_every_article_that_a_rule_may_cite_has_words(article: str) -> None:
    assert citation(article).words


@pytest.mark.parametrize("item", MISSING_ITEMS)
def test_an_item_missing_in_our_copy_cannot_be_cited(item: str) -> None:
    with pytest.raises(UnknownArticleError, match="our copy of the Measures holds no article"):
        citation(item)


def test_articles_are_incomplete_exactly_where_items_are_missing() -> None:
    incomplete = {number for number, found in shipped_law().citations.items() if not found.complete}

    assert incomplete == {item.partition("(")[0] for item in MISSING_ITEMS}


def test_article_48_with_its_wrong_years_cannot_be_cited() -> None:
    with pytest.raises(UnknownArticleError):
        citation("48")


@pytest.mark.parametrize(
    ("name", "number", "kept"),
    [
        pytest.param("do_not_call.block_months", 5, False, id="below at least"),
        pytest.param("do_not_call.block_months", 6, True, id="exactly at least"),
        pytest.param("do_not_call.block_months", 7, True, id="above at least"),
        pytest.param("complaints.explain_working_days", 1, True, id="below at most"),
        pytest.param("complaints.explain_working_days", 2, True, id="exactly at most"),
        pytest.param("complaints.explain_working_days", 3, False, id="above at most"),
    ],
)
def test_the_bound_says_which_numbers_keep_the_law(name: str, number: int, *, kept: bool) -> None:
    assert in_force(name, ON).is_kept_by(number) is kept


def test_a_window_is_not_a_number() -> None:
    with pytest.raises(TypeError, match="is a daily window, not a number"):
        _ = in_force("calling_hours.prohibited", ON).number


def test_a_number_is_not_a_window() -> None:
    with pytest.raises(TypeError, match="is a number, not a daily window"):
        _ = in_force("do_not_call.block_months", ON).window


ARTICLES = """
[[article]]
number = "1"
words = "不少于6个月,不少于9个月,21时至次日9时"
complete = true
missing = []
"""
SIX = """
[[block.months]]
since = 2013-01-01
value = 6
unit = "calendar months"
bound = "at least"
article = "1"
words = "不少于6个月"
"""
NINE = SIX.replace("2013-01-01", "2027-03-01").replace("6", "9")
REPEAL = """
[[block.months]]
until = 2030-07-01
by = "a later law"
words = "同时废止"
"""


def law(block: str, articles: str = ARTICLES) -> Law:
    return read_law({"block.toml": block, "articles.toml": articles})


@pytest.mark.parametrize(
    ("on", "value"),
    [
        pytest.param(date(2013, 1, 1), 6, id="first day of the first law"),
        pytest.param(date(2027, 2, 28), 6, id="last day of the first law"),
        pytest.param(date(2027, 3, 1), 9, id="first day of the changed law"),
        pytest.param(date(2030, 6, 30), 9, id="last day before the repeal"),
    ],
)
def test_a_changed_law_is_a_new_entry_from_its_day(on: date, value: int) -> None:
    assert law(SIX + NINE + REPEAL).in_force("block.months", on).value == value


def test_a_repealed_law_is_not_in_force_from_the_day_of_repeal() -> None:
    with pytest.raises(NotInForceError, match="on 2030-07-01; repealed from 2030-07-01 by a later law"):
        law(SIX + NINE + REPEAL).in_force("block.months", date(2030, 7, 1))


def test_a_law_may_come_back_after_its_repeal() -> None:
    again = SIX.replace("2013-01-01", "2031-01-01")

    assert law(SIX + REPEAL + again).in_force("block.months", date(2031, 1, 1)).since == date(2031, 1, 1)


def test_entries_keep_what_the_file_says() -> None:
    value, repeal = law(SIX + REPEAL).entries["block.months"]

    expected = DatedValue(
        "block.months", FIRST_DAY, 6, "calendar months", Bound.AT_LEAST, law(SIX).in_force("block.months", ON).citation
    )
    assert value == expected
    assert repeal == Repeal("block.months", date(2030, 7, 1), "a later law", "同时废止")


def test_a_daily_window_is_read_as_two_times() -> None:
    window = SIX.replace("= 6", "= [21:00:00, 09:00:00]").replace("calendar months", "time of day")

    assert law(window).in_force("block.months", ON).window == (time(21), time(9))


DAMAGED_BLOCKS = {
    "not TOML": ("[[block.months", "block.toml: "),
    "another table": ("[other]\nx = 1", r"expected the one table \[block\]"),
    "a second table": (SIX + "[other]\nx = 1", r"expected the one table \[block\]"),
    "no table but a number": ("block = 6", r"expected the one table \[block\]"),
    "an empty table": ("[block]", r"expected the one table \[block\]"),
    "a value without a list": ("[block]\nmonths = 6", "expected a list of tables, got 6"),
    "an empty list": ("[block]\nmonths = []", "expected a list of tables"),
    "a list of numbers": ("[block]\nmonths = [6]", "expected a list of tables"),
    "a key too few": (SIX.replace('bound = "at least"', ""), "expected the keys"),
    "a key too many": (SIX + "note = 1", "expected the keys"),
    "a misspelt key": (SIX.replace("since", "sinse"), "expected the keys"),
    "a time instead of a date": (SIX.replace("2013-01-01", "2013-01-01T00:00:00"), r"since: expected a date"),
    "words instead of a date": (SIX.replace("2013-01-01", '"2013"'), r"since: expected a date"),
    "an unknown unit": (SIX.replace("calendar months", "months"), r"unit: expected one of"),
    "an unknown bound": (SIX.replace("at least", "about"), r"bound: expected one of"),
    "an empty bound": (SIX.replace("at least", ""), "expected words without space"),
    "space around words": (SIX.replace("at least", " at least"), "expected words without space"),
    "a number for words": (SIX.replace('"不少于6个月"', "6"), "expected words without space"),
    "zero": (SIX.replace("= 6", "= 0"), "expected a whole number above 0"),
    "a boolean": (SIX.replace("= 6", "= true"), "expected a whole number above 0"),
    "a decimal number": (SIX.replace("= 6", "= 6.0"), "expected a whole number above 0"),
    "a number of time": (SIX.replace("calendar months", "time of day"), "expected two different local times"),
    "an empty window": (
        SIX.replace("= 6", "= [09:00:00, 09:00:00]").replace("calendar months", "time of day"),
        "expected two different local times",
    ),
    "an unknown article": (SIX.replace('article = "1"', 'article = "2"'), "expected an article of articles.toml"),
    "words that the article does not hold": (SIX.replace("不少于6", "不少于5"), "words that stand in article 1"),
    "two entries of one day": (SIX + SIX, "expected an entry that begins after 2013-01-01"),
    "entries out of order": (NINE + SIX, "expected an entry that begins after 2027-03-01"),
    "a repeal of nothing": (REPEAL, "expected a value before its repeal"),
    "a repeal twice": (SIX + REPEAL + REPEAL.replace("2030", "2031"), "expected a value between two repeals"),
    "a repeal with a value": (SIX + REPEAL + "value = 6", "expected the keys"),
}


@pytest.mark.parametrize(("block", "message"), DAMAGED_BLOCKS.values(), ids=DAMAGED_BLOCKS.keys())
def test_damaged_values_are_refused(block: str, message: str) -> None:
    with pytest.raises(LawError, match=message):
        law(block)


DAMAGED_ARTICLES = {
    "nothing": ("", r"expected only \[\[article\]\] entries"),
    "another table": (ARTICLES + "[other]", r"expected only \[\[article\]\] entries"),
    "no list": ("article = 1", "expected a list of tables"),
    "a key too few": (ARTICLES.replace("missing = []", ""), "expected the keys"),
    "twice": (ARTICLES + ARTICLES, "entry 2: expected each article once"),
    "complete with missing items": (ARTICLES.replace("[]", '["1(2)"]'), "exactly when `missing` names items"),
    "incomplete without naming items": (ARTICLES.replace("true", "false"), "exactly when `missing` names items"),
    "complete is no boolean": (ARTICLES.replace("true", "1"), "exactly when `missing` names items"),
    "missing is no list": (ARTICLES.replace("[]", "0"), "exactly when `missing` names items"),
    "no words": (ARTICLES.replace("不少于6个月,不少于9个月,21时至次日9时", ""), "expected words without space"),
}


@pytest.mark.parametrize(("articles", "message"), DAMAGED_ARTICLES.values(), ids=DAMAGED_ARTICLES.keys())
def test_damaged_articles_are_refused(articles: str, message: str) -> None:
    with pytest.raises(LawError, match=message):
        law(SIX, articles)


def test_law_without_articles_is_refused() -> None:
    with pytest.raises(LawError, match=r"articles\.toml is missing"):
        read_law({"block.toml": SIX})
