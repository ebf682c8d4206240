"""Figures as people read them."""

import pytest

from echoic.reports import format as formats


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (formats.percent(0.95644), "95.6%"),
        (formats.percent(0.95644, 2), "95.64%"),
        (formats.percent(None), "–"),
        (formats.percents((0.95, 0.962)), "95.0% – 96.2%"),
        (formats.percents(None), "–"),
        (formats.points(-0.147), "-14.7"),
        (formats.points(0.0008, 2), "+0.08"),
        (formats.count(4890), "4,890"),
        (formats.count(None), "–"),
        (formats.seconds(0.154), "0.15 s"),
        (formats.seconds(None), "–"),
        (formats.microseconds(0.0014149), "1,415 µs"),
        (formats.kilobytes(1_318_900), "1,319 kB"),
        (formats.megabytes(44_100_000), "44 MB"),
        (formats.megabytes(None), "–"),
        (formats.duration(42.4), "42 s"),
        (formats.duration(125), "2 min 5 s"),
        (formats.duration(7500), "2 h 5 min"),
        (formats.listing(()), ""),
        (formats.listing(["a"]), "a"),
        (formats.listing(["a", "b", "c"]), "a, b and c"),
    ],
)
def test_written(written, expected):
    assert written == expected


def test_a_rate_of_none_is_only_bounded():
    accepts = {"count": 0, "hours": 0.25, "per_hour": None, "interval": [0.0, 14.756]}
    assert formats.per_hour(accepts) == "fewer than 14.8"
    assert formats.per_hour_with_interval(accepts) == "fewer than 14.8"
    accepts |= {"count": 4, "per_hour": 16, "interval": [4.3, 41]}
    assert formats.per_hour_with_interval(accepts) == "16.0 (4.3 – 41.0)"
