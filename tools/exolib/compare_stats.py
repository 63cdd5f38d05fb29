# SPDX-License-Identifier: BSD-2-Clause
"""What a few runs tell: the median, and between which limits it can be trusted.

The interval of a median is that of order statistics: of n sorted values the k-th smallest and
the k-th largest enclose the true median with a probability that follows from the binomial
distribution alone, whatever the values' own distribution is (David and Nagaraja, Order
Statistics, section 7.1).  The narrowest one with at least 95 % is taken; with fewer than six
values even the whole range has less, and that is said.  Nothing is drawn at random, so the
same values give the same text.
"""

import math
import statistics

WANTED = 0.95


class Summary:
    """Values of one quantity: `median`, `low` to `high` (which cover it with `coverage`), `least`, `most`, `count`."""

    def __init__(self, values):
        self.values = [float(value) for value in values if value is not None]
        if not self.values:
            raise ValueError("no values")
        ordered = sorted(self.values)
        self.count, self.least, self.most = len(ordered), ordered[0], ordered[-1]
        self.median = statistics.median(ordered)
        rank, self.coverage = interval_rank(self.count)
        self.low, self.high = ordered[rank], ordered[-1 - rank]

    def spread(self):
        """The whole range as a share of the median; 0 if all values are 0."""
        return (self.most - self.least) / abs(self.median) if self.median else 0.0


def coverage(count, rank):
    """How probably the values at places rank and count - 1 - rank (sorted, from 0) enclose the true median."""
    outside = sum(math.comb(count, i) for i in range(rank + 1))
    return max(0.0, 1.0 - 2.0 * outside / 2 ** count)


def interval_rank(count, wanted=WANTED):
    """How many values at each end lie outside of the interval, and what it covers."""
    rank = 0
    while 2 * (rank + 1) < count and coverage(count, rank + 1) >= wanted:
        rank += 1
    return rank, coverage(count, rank)


def ratios(values, base):
    """One quantity against another's, run by run: what all runs of a pair have in common cancels out."""
    return Summary([a / b for a, b in zip(values, base) if a is not None and b])


def per_operation(total, idle, operations):
    """What one operation took, when the machine would have done `idle` of the total in the same time anyway."""
    if operations <= 0:
        raise ValueError("no operations")
    return max(0.0, (total - idle) / operations)



def show(value, unit=""):
    """A number as a table shows it: four digits, thousands apart."""
    if value is None:
        return "-"
    if unit == "bytes":
        return show_bytes(value)
    if value and abs(value) < 0.01:
        return "%.1g" % value
    if abs(value) < 10:
        return "%.2f" % value
    if abs(value) < 100:
        return "%.1f" % value
    return "{:,.0f}".format(value)


def show_bytes(value):
    for shift, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if value >= 1 << shift:
            return "%.4g %s" % (value / (1 << shift), unit)
    return "%d B" % value
