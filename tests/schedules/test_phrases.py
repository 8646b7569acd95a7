"""What staff type, and how it is read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from time import perf_counter

import pytest

from schedules import cron, phrases

NOW = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)  # a Saturday, 05:00 in Berlin


def read(text: str) -> phrases.Phrase:
    return phrases.parse(text, now=NOW, timezone="Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("every weekday at 9", "0 9 * * 1-5"),
        ("Weekdays at 9am", "0 9 * * 1-5"),
        ("every day at 8:30", "30 8 * * *"),
        ("daily at 8.30", "30 8 * * *"),
        ("daily", "0 9 * * *"),
        ("at 7pm", "0 19 * * *"),
        ("noon", "0 12 * * *"),
        ("first Monday of the month 07:30", "30 7 * * 1#1"),
        ("on the first Monday of every month at 07:30", "30 7 * * 1#1"),
        ("last Friday of the month at 17:00", "0 17 * * 5L"),
        ("every 15 minutes between 8 and 18", "*/15 8-17 * * *"),
        ("every 15 minutes from 8 to 18 on weekdays", "*/15 8-17 * * 1-5"),
        ("every 15 minutes", "*/15 * * * *"),
        ("every 2 hours", "0 */2 * * *"),
        ("hourly", "0 * * * *"),
        ("last day of the month at noon", "0 12 L * *"),
        ("Monday at 9", "0 9 * * mon"),
        ("mondays and thursdays at 7pm", "0 19 * * mon,thu"),
        ("Monday, Wednesday and Friday at 10", "0 10 * * mon,wed,fri"),
        ("monday to friday at 9", "0 9 * * mon-fri"),
        ("weekends at 10", "0 10 * * 6,0"),
        ("on the 1st and 15th at 6", "0 6 1,15 * *"),
        ("every month on the 5th at 9", "0 9 5 * *"),
        ("quarterly", "0 9 1 1,4,7,10 *"),
        ("every year on 24 December at 18:00", "0 18 24 12 *"),
        ("twice a day at 8 and 20", "0 8,20 * * *"),
        ("three times a day at 8, 12 and 16", "0 8,12,16 * * *"),
        ("every day except Sunday at 9", "0 9 * * mon,tue,wed,thu,fri,sat"),
        ("daily but not saturday and sunday at 9", "0 9 * * mon,tue,wed,thu,fri"),
        ("every second Tuesday of the month at 9", "0 9 * * 2#2"),
        ("0 9 * * 1", "0 9 * * 1"),
        ("every weekday at half past 7", "30 7 * * 1-5"),
        ("weekdays at quarter to 9", "45 8 * * 1-5"),
        ("Weekdays", "0 9 * * 1-5"),
        ("quarter to 9", "45 8 * * *"),
        ("quarter to 1 pm", "45 12 * * *"),
        ("twenty past eight", "20 8 * * *"),
        ("every friday at six in the evening", "0 18 * * fri"),
        ("midnight", "0 0 * * *"),
        ("every day at midnight", "0 0 * * *"),
        ("at 9am and 5pm", "0 9,17 * * *"),
        ("9am and 5pm on weekdays", "0 9,17 * * 1-5"),
        ("at noon on the last day of the month", "0 12 L * *"),
        ("9:00 every monday", "0 9 * * mon"),
        ("on the 1st and 15th at 8", "0 8 1,15 * *"),
        ("every 15th at 9", "0 9 15 * *"),
        ("every month", "0 9 1 * *"),
        ("every 2 months at 8", "0 8 1 */2 *"),
        ("every quarter", "0 9 1 1,4,7,10 *"),
        ("end of month", "0 9 L * *"),
        ("end of the month at 17:00", "0 17 L * *"),
        ("end of every quarter", "0 9 L 3,6,9,12 *"),
        ("beginning of the month", "0 9 1 * *"),
        ("every week", "0 9 * * mon"),
        ("every week on monday and thursday at 10", "0 10 * * mon,thu"),
        ("every morning", "0 9 * * *"),
        ("every evening at 8", "0 20 * * *"),
        ("nightly", "0 3 * * *"),
        ("every night at 11", "0 23 * * *"),
        ("friday afternoon at 3", "0 15 * * fri"),
        ("Monday mornings", "0 9 * * mon"),
        ("every hour on weekdays", "0 * * * 1-5"),
        ("every 15 minutes on mondays", "*/15 * * * mon"),
        ("every day except the weekend at 9", "0 9 * * mon,tue,wed,thu,fri"),
        ("every Monday at 9 in December", "0 9 * 12 mon"),
        ("every weekday at 9 in July and August", "0 9 * 7,8 1-5"),
    ],
)
def test_it_reads_a_pattern(text: str, expression: str) -> None:
    phrase = read(text)
    assert phrase.expression == expression
    assert phrase.words == cron.parse(expression, "Europe/Berlin").describe()


@pytest.mark.parametrize(
    ("text", "every"),
    [
        ("every 90 minutes", timedelta(minutes=90)),
        ("every other day", timedelta(days=2)),
        ("every 2 weeks", timedelta(weeks=2)),
        ("fortnightly", timedelta(weeks=2)),
    ],
)
def test_it_reads_an_interval(text: str, every: timedelta) -> None:
    assert read(text).every == every


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("tomorrow 14:00", datetime(2026, 11, 22, 13, tzinfo=UTC)),
        ("today at 6", datetime(2026, 11, 21, 5, tzinfo=UTC)),
        ("next friday at 5pm", datetime(2026, 11, 27, 16, tzinfo=UTC)),
        ("next saturday at 4", datetime(2026, 11, 28, 3, tzinfo=UTC)),
        ("on 3 December at 10:00", datetime(2026, 12, 3, 9, tzinfo=UTC)),
        ("3 January", datetime(2027, 1, 3, 8, tzinfo=UTC)),
        ("2026-12-03 10:00", datetime(2026, 12, 3, 9, tzinfo=UTC)),
        ("24.12.2026 18:00", datetime(2026, 12, 24, 17, tzinfo=UTC)),
        ("2026-12-03T10:00", datetime(2026, 12, 3, 9, tzinfo=UTC)),
        ("in 2 hours", datetime(2026, 11, 21, 6, tzinfo=UTC)),
        ("once on monday", datetime(2026, 11, 23, 8, tzinfo=UTC)),
        ("at quarter to 9 tomorrow", datetime(2026, 11, 22, 7, 45, tzinfo=UTC)),
    ],
)
def test_it_reads_one_moment(text: str, at: datetime) -> None:
    assert read(text).at == at


@pytest.mark.parametrize(
    "text",
    [
        "",
        "banana",
        "every day at 25",
        "every day at 9:75",
        "yesterday",
        "a" * 5000,
        "every 5 fridays",
        "every 0 minutes",
        "every 0 months",
        "every 0 hours from 9 to 17",
        "except holidays",
        "in may",
        "until friday",
        "13 in the morning",
    ],
)
def test_it_says_that_it_cannot_read_and_gives_examples(text: str) -> None:
    with pytest.raises(phrases.PhraseError, match=r"I could not read .* Try for example “every weekday at 9”"):
        read(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("2026-02-30 10:00", "does not exist"),
        ("30 february at 9", "There is no 30 February"),
        ("today at 2", "has passed"),
        ("2020-01-01 10:00", "has passed"),
        ("every day at 8:30 and 20:15", "share their minutes"),
        ("twice a day", "at which times of the day"),
        ("3 times a day at 8 and 20", "at which times of the day"),
        ("every second Tuesday", "two things. Write “second Tuesday of the month”"),
        ("every other friday at 9", "every 2 weeks"),
        ("biweekly", "two things"),
        ("31.2.2027 9:00", "does not exist"),
        ("every 2 weeks on Monday", "first and third Monday of the month at 9”, or only “every 2 weeks”"),
        ("every other tuesday", "first and third Tuesday"),
        ("fortnightly on Fridays at 9", "first and third Friday"),
        ("every 3 weeks at 9", "only “every 3 weeks”, which counts from the moment that you save it"),
        ("every other day at 9", "“Monday, Wednesday and Friday at 9”, or only “every 2 days”"),
        ("every 50 minutes on mondays", "every 15 minutes on weekdays"),
        ("twice a week", "on which days, such as “Monday and Thursday at 9”"),
        ("twice a month", "on the 1st and 15th at 9"),
        ("bimonthly", "two things"),
        ("first working day of the month", "no pattern says it. Write “first Monday of the month at 9”"),
        ("last working day at 17:00", "last Friday of the month"),
        ("every day at half 8", "Write 8:30 or 7:30"),
    ],
)
def test_it_says_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(phrases.PhraseError, match=says):
        read(text)


@pytest.mark.parametrize(
    ("text", "expression", "notes"),
    [
        ("every monday at 9 except holidays", "0 9 * * mon", ["Holidays of"]),
        ("every weekday except bank holidays at half past 8", "30 8 * * 1-5", ["Holidays of"]),
        ("every working day at 9, not on public holidays", "0 9 * * 1-5", ["Holidays of"]),
        ("every day at 8 unless it's a holiday", "0 8 * * *", ["Holidays of"]),
        ("every day in May at 9 but not on holidays", "0 9 * 5 *", ["Holidays of"]),
        ("every monday at 9 until 31 december", "0 9 * * mon", ["Ends on"]),
        ("every monday at 9 except holidays until christmas", "0 9 * * mon", ["Holidays of", "Ends on"]),
    ],
)
def test_what_belongs_into_another_field_is_named_beside_the_reading_without_it(
    text: str, expression: str, notes: list[str]
) -> None:
    phrase = read(text)
    assert phrase.expression == expression
    assert phrase.words == cron.parse(expression, "Europe/Berlin").describe()
    assert all(f"“{note}”" in phrase.note for note in notes), phrase.note


@pytest.mark.parametrize("text", phrases.EXAMPLES)
def test_every_example_that_it_gives_can_be_read(text: str) -> None:
    assert read(text).words


@pytest.mark.parametrize(
    "piece",
    ["9 and ", "every mon,", "half past ", "except holidays ", "in may and ", "until ", "1st and the ", "9 am in the "],
)
def test_long_nonsense_is_answered_at_once(piece: str) -> None:
    before = perf_counter()
    with pytest.raises((phrases.PhraseError, cron.CronError)):
        read((piece * 200)[:199] + "x")
    assert perf_counter() - before < 1
