"""The law as data: statutory values by date, and the words of the articles they stand in.

Owns `law/*.toml`: one file per subject with dated values, and `articles.toml` with what our copy of the
Measures says. History is added to and never edited: a changed law is a new entry, a repeal is an entry
that says so. Nothing here decides a case, and there is no value outside the dates of the law.
"""

import tomllib
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time
from enum import StrEnum
from functools import cache
from importlib.resources import files
from itertools import pairwise
from types import MappingProxyType
from typing import Never


class LawError(ValueError):
    """The law files are not what they must be: a fault of the installation, never of a user."""


class NotInForceError(LookupError):
    """No such statutory value is in force on the day asked for."""


class UnknownArticleError(LookupError):
    """Our copy of the Measures holds no such article or item."""


class Bound(StrEnum):
    """In which direction a company may go beyond the law."""

    AT_LEAST = "at least"
    AT_MOST = "at most"


@dataclass(frozen=True, slots=True)
class Citation:
    """Where a rule stands: "25(2)" is item (二) of article 25.

    `words` are verbatim Chinese. `complete` is False when our copy lacks items of the article cited.
    """

    article: str
    words: str
    complete: bool


@dataclass(frozen=True, slots=True)
class DatedValue:
    """A statutory value from `since` (inclusive) until the next entry of its name.

    `value` is a whole number of `unit`, or the two ends [from, to) of a daily window in Asia/Shanghai.
    `citation.words` are the words that give this value, not the whole article.
    """

    name: str
    since: date
    value: int | tuple[time, time]
    unit: str
    bound: Bound
    citation: Citation

    @property
    def number(self) -> int:
        """The value as a whole number. Raises TypeError if it is a daily window."""
        if isinstance(self.value, tuple):
            raise TypeError(f"{self.name} is a daily window, not a number")
        return self.value

    def is_kept_by(self, number: int) -> bool:
        """Say whether a company that does `number` keeps this law; doing exactly the value keeps it."""
        return number >= self.number if self.bound is Bound.AT_LEAST else number <= self.number

    @property
    def window(self) -> tuple[time, time]:
        """The value as a daily window. Raises TypeError if it is a number."""
        if isinstance(self.value, int):
            raise TypeError(f"{self.name} is a number, not a daily window")
        return self.value


@dataclass(frozen=True, slots=True)
class Repeal:
    """From `since` (inclusive) nothing of this name is in force; `by` names the document that ended it."""

    name: str
    since: date
    by: str
    words: str


@dataclass(frozen=True, slots=True)
class Law:
    """All entries by name, oldest first, and all articles by number."""

    entries: Mapping[str, tuple[DatedValue | Repeal, ...]]
    citations: Mapping[str, Citation]

    def in_force(self, name: str, on: date) -> DatedValue:
        """Return the value called `name` on the Shanghai day `on`. Raises NotInForceError."""
        entries = self.entries.get(name)
        if entries is None:
            raise NotInForceError(f"no statutory value is called {name}; see law/*.toml")
        index = bisect_right(entries, on, key=_first_day)
        if index == 0:
            raise NotInForceError(f"no {name} in force on {on}; first entry begins {entries[0].since}")
        entry = entries[index - 1]
        if isinstance(entry, Repeal):
            raise NotInForceError(f"no {name} in force on {on}; repealed from {entry.since} by {entry.by}")
        return entry

    def citation(self, article: str) -> Citation:
        """Return what our copy says in `article`. Raises UnknownArticleError."""
        found = self.citations.get(article)
        if found is None:
            raise UnknownArticleError(f"our copy of the Measures holds no article {article}")
        return found


def in_force(name: str, on: date) -> DatedValue:
    """Return the statutory value called `name` ("do_not_call.block_months") on the Shanghai day `on`.

    Raises NotInForceError for an unknown name and for a day without such a law; there is no default.
    """
    return shipped_law().in_force(name, on)


def in_force_or_first(name: str, on: date) -> DatedValue:
    """Return the statutory value called `name` on the Shanghai day `on`, the first one ever for a day before it.

    For clocks of what began before the law and goes on under it; a rule on what may be done has no such default.
    Raises NotInForceError for an unknown name and after a repeal.
    """
    return shipped_law().in_force(name, max(on, law_begins()))


@cache
def law_begins() -> date:
    """Return the first day on which any statutory value is in force; nothing done earlier can break this law."""
    return min(entries[0].since for entries in shipped_law().entries.values())


def citation(article: str) -> Citation:
    """Return the words of `article` ("25", "25(2)") in our copy. Raises UnknownArticleError."""
    return shipped_law().citation(article)


@cache
def shipped_law() -> Law:
    """Return the law that this version ships. Raises LawError if its files are damaged."""
    folder = files("compliance") / "law"
    sources = {entry.name: entry.read_text("utf-8") for entry in folder.iterdir() if entry.name.endswith(".toml")}
    return read_law(sources)


# Reading the files: everything is demanded and nothing else let in. A slip in the law must stop the start.

_ARTICLES = "articles.toml"
_VALUE_KEYS = frozenset({"since", "value", "unit", "bound", "article", "words"})
_REPEAL_KEYS = frozenset({"until", "by", "words"})
_ARTICLE_KEYS = frozenset({"number", "words", "complete", "missing"})
_WINDOW_UNIT = "time of day"
_UNITS = frozenset({"calendar months", "calendar years", "working days", "basis points", "years of age", _WINDOW_UNIT})


def read_law(sources: Mapping[str, str]) -> Law:
    """Return the law held in `sources`, file name to TOML text. Raises LawError at the first thing wrong.

    A file has one table, named like the file; in it each name has a list of entries, oldest first.
    """
    if _ARTICLES not in sources:
        raise LawError(f"{_ARTICLES} is missing")
    citations = _read_articles(_read_toml(_ARTICLES, sources[_ARTICLES]))
    entries: dict[str, tuple[DatedValue | Repeal, ...]] = {}
    for file_name in sorted(sources.keys() - {_ARTICLES}):
        subject = file_name.removesuffix(".toml")
        document = _read_toml(file_name, sources[file_name])
        table = document.get(subject)
        if document.keys() != {subject} or not isinstance(table, dict) or not table:
            raise LawError(f"{file_name}: expected the one table [{subject}], got {sorted(document)}")
        for key, items in table.items():
            name = f"{subject}.{key}"
            entries[name] = _read_entries(name, items, citations)
    return Law(MappingProxyType(entries), MappingProxyType(citations))


def _first_day(entry: DatedValue | Repeal) -> date:
    return entry.since


def _refuse(where: str, expected: str, got: object) -> Never:
    raise LawError(f"{where}: expected {expected}, got {got!r}")


def _read_toml(file_name: str, text: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise LawError(f"{file_name}: {error}") from error


def _tables(where: str, found: object) -> list[dict[str, object]]:
    if not isinstance(found, list) or not found or not all(isinstance(item, dict) for item in found):
        _refuse(where, "a list of tables", found)
    return found


def _check_keys(where: str, table: Mapping[str, object], keys: frozenset[str]) -> None:
    if table.keys() != keys:
        _refuse(where, f"the keys {sorted(keys)}", sorted(table))


def _text(where: str, table: Mapping[str, object], key: str) -> str:
    found = table[key]
    if not isinstance(found, str) or not found or found != found.strip():
        _refuse(f"{where}.{key}", "words without space around them", found)
    return found


def _day(where: str, table: Mapping[str, object], key: str) -> date:
    found = table[key]
    # A datetime is a date to isinstance, and not one to the law.
    if type(found) is not date:
        _refuse(f"{where}.{key}", "a date", found)
    return found


def _read_articles(document: dict[str, object]) -> dict[str, Citation]:
    if document.keys() != {"article"}:
        _refuse(_ARTICLES, "only [[article]] entries", sorted(document))
    citations: dict[str, Citation] = {}
    for index, table in enumerate(_tables(_ARTICLES, document["article"])):
        where = f"{_ARTICLES} entry {index + 1}"
        _check_keys(where, table, _ARTICLE_KEYS)
        number = _text(where, table, "number")
        if number in citations:
            _refuse(where, "each article once", number)
        complete, missing = table["complete"], table["missing"]
        if not isinstance(complete, bool) or not isinstance(missing, list) or complete == bool(missing):
            _refuse(where, "`complete = false` exactly when `missing` names items", (complete, missing))
        citations[number] = Citation(number, _text(where, table, "words"), complete)
    return citations


def _read_entries(name: str, found: object, citations: Mapping[str, Citation]) -> tuple[DatedValue | Repeal, ...]:
    entries = tuple(_read_entry(name, table, citations) for table in _tables(name, found))
    if isinstance(entries[0], Repeal):
        _refuse(name, "a value before its repeal", entries[0].since)
    for earlier, later in pairwise(entries):
        if later.since <= earlier.since:
            _refuse(name, f"an entry that begins after {earlier.since}", later.since)
        if isinstance(earlier, Repeal) and isinstance(later, Repeal):
            _refuse(name, "a value between two repeals", later.since)
    return entries


def _read_entry(name: str, table: Mapping[str, object], citations: Mapping[str, Citation]) -> DatedValue | Repeal:
    if "until" in table:
        _check_keys(name, table, _REPEAL_KEYS)
        return Repeal(name, _day(name, table, "until"), _text(name, table, "by"), _text(name, table, "words"))
    _check_keys(name, table, _VALUE_KEYS)
    unit, bound = _text(name, table, "unit"), _text(name, table, "bound")
    if unit not in _UNITS:
        _refuse(f"{name}.unit", f"one of {sorted(_UNITS)}", unit)
    if bound not in set(Bound):
        _refuse(f"{name}.bound", f"one of {[b.value for b in Bound]}", bound)
    return DatedValue(
        name,
        _day(name, table, "since"),
        _value(name, table["value"], is_window=unit == _WINDOW_UNIT),
        unit,
        Bound(bound),
        _quotation(name, table, citations),
    )


def _value(name: str, found: object, *, is_window: bool) -> int | tuple[time, time]:
    if is_window:
        match found:
            case [time() as start, time() as end] if start != end:
                return start, end
        _refuse(f"{name}.value", "two different local times", found)
    if type(found) is not int or found <= 0:
        _refuse(f"{name}.value", "a whole number above 0", found)
    return found


def _quotation(name: str, table: Mapping[str, object], citations: Mapping[str, Citation]) -> Citation:
    article, words = _text(name, table, "article"), _text(name, table, "words")
    if article not in citations:
        _refuse(f"{name}.article", f"an article of {_ARTICLES}", article)
    if words not in citations[article].words:
        _refuse(f"{name}.words", f"words that stand in article {article}", words)
    return Citation(article, words, citations[article].complete)
