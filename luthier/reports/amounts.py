"""Numbers as people read them."""

from __future__ import annotations

import math

from luthier.metrics.interval import Metric

NARROW = "\u202f"
"""A narrow space that does not break, between a number and its unit."""
NO_BREAK = "\u00a0"
"""A space that does not break."""
CONFIDENCE = f"95{NARROW}%"
"""Of every interval."""


def percent(share: float, decimals: int = 1) -> str:
    """A share of one.

    Example:
        >>> percent(0.9806).replace(NARROW, " ")
        '98.1 %'
    """
    return f"{100 * share:.{decimals}f}{NARROW}%"


def decimals_of(metric: Metric) -> int:
    """The decimals of a percentage that say something, by the width of its interval."""
    if metric.interval is None:
        return 1
    low, high = metric.interval
    return 1 if high - low >= 0.01 else 2


def signed_points(difference: float, decimals: int = 2) -> str:
    """A difference of shares, in percentage points.

    Example:
        >>> signed_points(-0.0123)
        '−1.23'
    """
    number = f"{100 * abs(difference):.{decimals}f}"
    if float(number) == 0:
        return number
    return ("−" if difference < 0 else "+") + number


def number(value: float, digits: int = 3) -> str:
    """A number of any size, to `digits` significant digits.

    Example:
        >>> number(0.061549), number(12345.0), number(1.5e-7), number(-2.0)
        ('0.0615', '12,345', '1.5e-07', '−2')
    """
    if value < 0:
        return "−" + number(-value, digits)
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    if 1e-4 <= value < 1:
        return f"{value:.{digits}g}"
    if 1 <= value < 10**7:
        places = max(0, digits - 1 - int(math.log10(value)))
        whole = f"{value:,.{places}f}"
        return whole.rstrip("0").rstrip(".") if places else whole
    return f"{value:.{digits}g}"


def count(value: float) -> str:
    """A count, whole.

    Example:
        >>> count(421642)
        '421,642'
    """
    return f"{round(value):,}"


def short(value: float) -> str:
    """A large count, with a letter.

    Example:
        >>> [short(value).replace(NARROW, " ") for value in (999, 421_642, 1.82e9)]
        ['999', '422 k', '1.82 G']
    """
    for letter, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= size:
            return f"{value / size:.3g}{NARROW}{letter}"
    return count(value)


def size(value_bytes: float) -> str:
    """Bytes.

    Example:
        >>> [size(value).replace(NARROW, " ") for value in (12, 96_000, 2.5e9)]
        ['12 B', '96 kB', '2.5 GB']
    """
    brief = short(value_bytes)
    return f"{brief}B" if NARROW in brief else f"{brief}{NARROW}B"


def seconds(value: float) -> str:
    """A span of time.

    Example:
        >>> [seconds(value).replace(NARROW, " ") for value in (0.042, 3.21, 14.2, 200, 7500)]
        ['0.042 s', '3.2 s', '14 s', '3 min 20 s', '2 h 5 min']
    """
    if value < 1:
        return f"{value:.2g}{NARROW}s"
    if value < 9.95:
        return f"{value:.1f}{NARROW}s"
    whole = round(value)
    if whole < 60:
        return f"{whole}{NARROW}s"
    if whole < 3600:
        return _two(whole // 60, "min", whole % 60, "s")
    minutes = round(value / 60)
    return _two(minutes // 60, "h", minutes % 60, "min")


def p_value(value: float) -> str:
    """The p-value of a test, by itself or as a bound.

    Example:
        >>> p_value(0.0123), p_value(0.00001), p_value(0.5)
        ('0.012', '< 0.001', '0.50')
    """
    if value < 0.001:
        return "< 0.001"
    return f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def cut(name: str, letters: int) -> str:
    """`name`, no longer than `letters`.

    Example:
        >>> cut("barn owl", 8), cut("great horned owl", 8)
        ('barn owl', 'great h…')
    """
    return name if len(name) <= letters else name[: letters - 1] + "…"


def plural(value: int, noun: str) -> str:
    """A count of things.

    Example:
        >>> plural(1, "image"), plural(1200, "image"), plural(2, "class"), plural(3, "entry")
        ('1 image', '1,200 images', '2 classes', '3 entries')
    """
    if value != 1:
        if noun.endswith(("s", "x", "ch", "sh")):
            noun += "es"
        elif noun.endswith("y") and noun[-2] not in "aeiou":
            noun = noun[:-1] + "ies"
        else:
            noun += "s"
    return f"{count(value)} {noun}"


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    text = f"{large}{NARROW}{large_unit}"
    return f"{text} {small}{NARROW}{small_unit}" if small else text
