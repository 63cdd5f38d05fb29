# SPDX-License-Identifier: BSD-2-Clause
"""Make the reference manual of the kernel's calls: manual.py SRCDIR >calls.md

Names, numbers, arguments and rights come from include/exo/call.h, errors from include/exo/error.h, the rest from one
page per call, doc/abi/call/NAME.md. A page that is missing or too many, an argument that its page does not explain and
an error that does not exist are errors here, so the manual cannot lag behind the table.
"""
import pathlib
import re
import sys

LETTERS = {"c": "capability", "s": "slot", "n": "number", "v": "address", "o": "offset", "t": "time", "w": "word"}
CALL = re.compile(r'X\((\d+),\s*(\w+),\s*"([a-z]*)",\s*"([^"]*)",\s*"([^"]*)",\s*"([^"]*)"\)')
ERROR = re.compile(r'X\((\d+),\s*(\w+),\s*"([^"]*)"\)')
HEAD = """# The kernel's calls

Made from `include/exo/call.h`, `include/exo/error.h` and one page per call in `doc/abi/call`.

On x86-64: number in rax; arguments in rdi, rsi, rdx, r10, r8, r9; SYSCALL; result in rax. rcx, r11 and the argument
registers are lost, all others kept. The C name of call `NAME` is `exo_NAME` (libos/core). A result >= 0 is a success,
a negative one the negative of an error below. With an error nothing has changed, unless the call's page says so.

Argument kinds: *capability* is a handle (generation << 32 | slot); *slot* the number of a free slot in the caller's table;
*offset* a place in the caller's argument frame, in bytes; *time* nanoseconds of the monotonic clock; *address* a user
address; *word* anything.
"""


def fail(text):
    sys.exit("manual: " + text)


def page_check(name, names, text, errors):
    """The page explains each argument, and names only errors that there are."""
    for argument in names:
        if "`%s`" % argument not in text:
            fail("doc/abi/call/%s.md does not explain argument '%s'" % (name, argument))
    if "**Errors**" in text:
        for line in text.split("**Errors**", 1)[1].splitlines():
            for error in re.findall(r"`([A-Z]+)`", line.split(":")[0]) if line.startswith("- ") else []:
                if error not in errors:
                    fail("doc/abi/call/%s.md names an error '%s' that there is not" % (name, error))


def main():
    if len(sys.argv) != 2:
        fail("usage: manual.py SRCDIR")
    top = pathlib.Path(sys.argv[1])
    calls = CALL.findall((top / "include/exo/call.h").read_text())
    errors = ERROR.findall((top / "include/exo/error.h").read_text())
    pages = {p.stem: p.read_text() for p in (top / "doc/abi/call").glob("*.md")}
    known = {name for _, name, _ in errors}
    extra = set(pages) - {call[1] for call in calls}
    if extra:
        fail("pages of calls that there are not: " + ", ".join(sorted(extra)))

    print(HEAD)
    print("| nr | call | arguments | needs | meaning |\n| --- | --- | --- | --- | --- |")
    for number, name, _, arguments, rights, meaning in calls:
        print("| %s | [%s](#%s) | %s | %s | %s |" % (number, name, name, arguments, rights, meaning))
    for number, name, kinds, arguments, rights, meaning in calls:
        if name not in pages:
            fail("there is no doc/abi/call/%s.md" % name)
        names = [a.strip() for a in arguments.split(",")] if arguments else []
        if len(names) != len(kinds):
            fail("%s: %d argument kinds, %d names in the table" % (name, len(kinds), len(names)))
        page_check(name, names, pages[name], known)
        typed = ", ".join("*%s* %s" % (LETTERS[k], n) for k, n in zip(kinds, names))
        print("\n## %s\n\nCall %s, `%s`: %s.\n\n(%s)\n" % (name, number, rights, meaning, typed or "no arguments"))
        print(pages[name].strip())
    print("\n## Errors\n\n| nr | name | meaning |\n| --- | --- | --- |")
    for number, name, text in errors:
        print("| %s | %s | %s |" % (number, name, text))


main()
