# SPDX-License-Identifier: BSD-2-Clause
"""Prints TAP for a Python test.

A test file has functions `test_...`, whose docstrings are the names of the cases, and ends
with `tap.main()`.  A case passes if its function returns, fails if it raises (the trace is
printed as comments), and is skipped if it raises Skip.  `NAME.py CASE...` runs single cases.
"""

import sys
import time
import traceback


class Skip(Exception):
    """Raised by a case that cannot run here; the text says why."""


def say(text):
    """A comment in the test's log."""
    for line in str(text).splitlines():
        print("# " + line, flush=True)


def check(condition, text="condition does not hold"):
    """Fail the case unless the condition holds."""
    if not condition:
        raise AssertionError(text)


def same(got, wanted, what="value"):
    """Fail the case unless both are equal."""
    if got != wanted:
        raise AssertionError("%s is %r, should be %r" % (what, got, wanted))


def has(text, part, what="text"):
    """Fail the case unless the text has the part in it."""
    if part not in text:
        raise AssertionError("%s lacks %r; it is:\n%s" % (what, part, text))


def wait_until(condition, seconds=10, what="condition", step=0.02):
    """Poll until the condition holds; returns its value."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("%s did not hold within %g s" % (what, seconds))
        time.sleep(step)


def main(finish=None):
    """Run the calling module's cases, or those named on the command line; `finish` is called at the end."""
    module = sys.modules["__main__"]
    cases = [(name, getattr(module, name)) for name in vars(module) if name.startswith("test_")]
    if sys.argv[1:]:
        cases = [case for case in cases if case[0] in sys.argv[1:] or case[0][5:] in sys.argv[1:]]
    failed = 0
    try:
        print("1..%d" % len(cases), flush=True)
        for number, (name, case) in enumerate(cases, 1):
            failed += not run_case(number, name, case)
    finally:
        if finish:
            finish()
    sys.exit(1 if failed else 0)


def run_case(number, name, case):
    text = (case.__doc__ or name).splitlines()[0].rstrip(".").replace("#", "number ")
    start = time.monotonic()
    try:
        case()
    except Skip as reason:
        print("ok %d - %s # SKIP %s" % (number, text, reason), flush=True)
        return True
    except Exception:  # pylint: disable=broad-except
        say(traceback.format_exc())
        print("not ok %d - %s" % (number, text), flush=True)
        return False
    print("ok %d - %s" % (number, text), flush=True)
    say("%s: %.2f s" % (name, time.monotonic() - start))
    return True
