# SPDX-License-Identifier: BSD-2-Clause
"""Claims on packets from tcpdump expressions.

tcpdump (libpcap) compiles an expression to a classic BPF program.  Each way through it that accepts is a conjunction of
conditions on fields; it becomes a claim, a list of terms as include/exo/flow.h has them.  Two ways part at a test that
one passes and the other fails, so claims exclude each other; the kernel sees that only in a field that both name, so
this is looked at here, too, with the kernel's rule.  What cannot be said so is refused, with the reason.

A claim is written as terms parted by blanks: OFFSET:WIDTH[&MASK]=VALUE, or != for all other values; an offset may be
relative to a byte of the packet: @BYTE&MASK<<SHIFT+OFFSET:WIDTH...  `@14&15<<2+16:2=80` is a TCP or UDP destination
port behind an IPv4 header of any length.
"""

import re
import shutil
import subprocess

from .util import ExoError

TERMS_MAX = 8                   # of a claim: EXO_TERMS_MAX
CLAIMS_MAX = 16                 # of a program
WAYS_MAX = 4096
FRAME_BYTES_MAX = 1514
PREFIX = "tcpdump:"
MEND = "install it (apt-get install tcpdump, or ./bootstrap)"

# Classic BPF: class, size, mode, operation.
LD, LDX, ST, STX, ALU, JMP, RET, MISC = range(8)
WIDTHS = {0x00: 4, 0x08: 2, 0x10: 1}
IMM, ABS, IND, MSH = 0x00, 0x20, 0x40, 0xa0
AND, JA, JEQ, JGT, JGE, JSET = 0x50, 0x00, 0x10, 0x20, 0x30, 0x40


class Refused(ValueError):
    """The expression is no set of disjoint conjunctions."""


class Term:
    """A condition on one field: (field & mask) == value, or != with `other`."""

    def __init__(self, place, mask, value, other=False):
        self.place, self.mask, self.value, self.other = place, mask, value, other

    def __str__(self):
        base, offset, width = self.place
        text = "@%d&%d<<%d+" % base if base else ""
        text += "%d:%d" % (offset, width)
        if self.mask != full(width):
            text += "&0x%x" % self.mask
        return text + ("!=" if self.other else "=") + ("0x%x" % self.value if self.value > 9 else "%d" % self.value)

    def holds(self, frame):
        base, offset, width = self.place
        if base:
            if base[0] >= len(frame):
                return False
            offset += (frame[base[0]] & base[1]) << base[2]
        if offset + width > len(frame):
            return False
        field = int.from_bytes(frame[offset:offset + width], "big")
        return (field & self.mask == self.value) != self.other


def full(width):
    return (1 << 8 * width) - 1


def show(claim):
    """A claim as a configuration has it."""
    return " ".join(str(term) for term in claim) or "all"


def matches(claims, frame):
    """Does a frame belong to one of the claims?"""
    return any(all(term.holds(frame) for term in claim) for claim in claims)


# --- reading claims

TERM = re.compile(r"(?:@N&N<<N\+)?N:([124])(?:&N)?(!?=)N$".replace("N", "(0x[0-9a-fA-F]+|[0-9]+)"))


def _number(text):
    return int(text, 16 if text.startswith("0x") else 10) if text else None


def parse_claim(text):
    """A claim from terms, or `all`; ValueError says what is wrong."""
    claim, places = [], set()
    for word in [] if text.strip() == "all" else text.split():
        found = TERM.match(word)
        try:
            numbers = [_number(number) for number in found.groups()[:6] + found.groups()[7:]]
        except AttributeError:
            raise ValueError("'%s' is no term; write for example 12:2=0x800, 20:2&0x3fff!=0 or @14&15<<2+16:2=80"
                             % word) from None
        base, (offset, width, mask, value) = tuple(numbers[:3]), numbers[3:]
        mask = full(width) if mask is None else mask
        if (offset + width > FRAME_BYTES_MAX or not 0 < mask <= full(width) or value & ~mask or
                (base[0] is not None and (base[0] >= FRAME_BYTES_MAX or not 0 < base[1] < 256 or base[2] > 7))):
            raise ValueError("'%s' is no field of a frame, or its value lies outside its mask" % word)
        place = (base if base[0] is not None else None, offset, width)
        if place in places:
            raise ValueError("'%s' says something of a field that stands before; a field stands once in a claim" % word)
        places.add(place)
        claim.append(Term(place, mask, value, found.group(7) == "!="))
    if len(claim) > TERMS_MAX:
        raise ValueError("a claim of %d terms is too long; it may have %d" % (len(claim), TERMS_MAX))
    return claim


def parse_claims(text):
    """The value of a configuration's key `claim`: claims, as text."""
    if not text.startswith(PREFIX):
        return [show(parse_claim(text))]
    try:
        return [show(claim) for claim in compile_claims(text[len(PREFIX):])]
    except ExoError as error:
        raise ValueError(str(error)) from None


# --- from an expression

def program_of(expression):
    """The classic BPF program of an expression: (code, jt, jf, k) each."""
    tool = shutil.which("tcpdump") or shutil.which("tcpdump", path="/usr/sbin:/sbin:/usr/local/sbin")
    if not tool:
        raise ExoError("tcpdump", "is not there; it compiles filter expressions", MEND)
    done = subprocess.run([tool, "-y", "EN10MB", "-ddd", "--", expression], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, timeout=30)
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["status %d" % done.returncode]
        raise ExoError("expression '%s'" % expression, lines[-1], "see pcap-filter(7)")
    lines = done.stdout.decode("ascii").split("\n")[1:]
    return [tuple(int(word) for word in line.split()) for line in lines if line]


def pieces(low, high, bits):
    """The numbers from low to high as disjoint (mask, value) prefixes."""
    found = []
    while low <= high:
        size = low & -low if low else 1 << bits
        while low + size - 1 > high:
            size >>= 1
        found.append((((1 << bits) - 1) & ~(size - 1), low))
        low += size
    return found


class Way:
    """A way through the program so far: conditions by place, what A and X hold, the loads that nothing was asked of."""

    def __init__(self, at):
        self.at, self.conditions, self.a, self.x, self.bare = at, {}, None, None, set()

    def copy(self, at):
        other = Way(at)
        other.conditions = {place: list(terms) for place, terms in self.conditions.items()}
        other.a, other.x, other.bare = self.a, self.x, set(self.bare)
        return other

    def ask(self, mask, value, other):
        """A condition on what A holds; false if it cannot hold."""
        place, seen = self.a
        if value & ~seen:
            return other
        mask &= seen
        if not mask:
            return (value == 0) != other
        self.conditions.setdefault(place, []).append((mask, value & mask, other))
        self.bare.discard(place)
        return True


def load(way, code, k):
    size, mode = WIDTHS.get(code & 0x18), code & 0xe0
    if code & 7 == LDX:
        if mode != MSH:
            raise Refused("it computes with the packet's length or with constants")
        way.x = (k, 15, 2)
        return
    if mode == ABS and k < FRAME_BYTES_MAX:
        place = (None, k, size)
    elif mode == IND and way.x and k < FRAME_BYTES_MAX:
        place = (way.x, k, size)
    else:
        raise Refused("it asks for the packet's length, or for something that is not in the packet")
    way.a = (place, full(size))
    if place not in way.conditions:
        way.bare.add(place)


def branches(way, code, jt, jf, k):
    """The ways on from a conditional jump."""
    if code & 0x08 or not way.a:
        raise Refused("it compares fields with each other")
    most = full(way.a[0][2])
    operation = code & 0xf0
    if operation == JEQ:
        both = [(jt, (most, k, False)), (jf, (most, k, True))] if k <= most else [(jf, None)]
    elif operation == JSET:
        both = [(jt, (k & most, 0, True)), (jf, (k & most, 0, False))] if k & most else [(jf, None)]
    elif operation in (JGT, JGE):
        first = min(k + (operation == JGT), most + 1)
        bits = 8 * way.a[0][2]
        both = [(jt, (mask, value, False)) for mask, value in pieces(first, most, bits)]
        both += [(jf, (mask, value, False)) for mask, value in pieces(0, first - 1, bits)]
    else:
        raise Refused("it has a jump of an unknown kind")
    for skip, condition in both:
        on = way.copy(way.at + 1 + skip)
        if condition is None or condition[0] == 0 or on.ask(*condition):
            yield on


def ways_of(program):
    """The conditions of each way that accepts."""
    open_ways, found, seen = [Way(0)], [], 0
    while open_ways:
        way = open_ways.pop()
        seen += 1
        if seen > WAYS_MAX:
            raise Refused("there are too many cases")
        while True:
            code, jt, jf, k = program[way.at]
            kind = code & 7
            if kind == RET:
                if code & 0x18 or k:
                    found.append(way)
                break
            if kind in (LD, LDX):
                load(way, code, k)
            elif code == ALU | AND and way.a:
                way.a = (way.a[0], way.a[1] & k)
            elif code == JMP | JA:
                way.at += k
            elif kind == JMP:
                open_ways.extend(on for on in branches(way, code, jt, jf, k) if feasible(on))
                break
            else:
                raise Refused("it computes with fields (only `&` with a constant can be had)")
            way.at += 1
    return found


def simplify(conditions):
    """Conditions on one field as ((mask, value) or None, others); None if nothing satisfies them."""
    mask = value = 0
    others = []
    for m, v, other in conditions:
        if other and m & (m - 1) == 0:          # one bit: what is not so is otherwise
            v, other = v ^ m, False
        if other:
            others.append((m, v))
        elif (value ^ v) & mask & m:
            return None
        else:
            mask, value = mask | m, value | v
    while True:
        left = []
        for m, v in others:
            if (v ^ value) & m & mask:
                continue                        # holds in any case
            m, v = m & ~mask, v & ~mask
            if not m:
                return None
            if m & (m - 1) == 0:
                mask, value, left = mask | m, value | (v ^ m), None
                break
            if (m, v) not in left:
                left.append((m, v))
        if left is not None:
            return ((mask, value) if mask else None), left


def feasible(way):
    return all(simplify(conditions) for conditions in way.conditions.values())


def wider(place):
    """The same field in wider ones that end where it does, with the bits to shift its mask by (none)."""
    base, offset, width = place
    return [(base, offset + width - more, more) for more in (1, 2, 4) if more > width and offset + width >= more]


def claim_of(way):
    """The claim of one way."""
    if way.bare:
        raise Refused("it asks whether a field is there, and nothing of what it holds")
    claim, used = [], set(way.conditions)
    for place, conditions in sorted(way.conditions.items(), key=lambda item: (item[0][0] or (), item[0][1:])):
        which, others = simplify(conditions)
        places = [place] + [more for more in wider(place) if more not in used]
        terms = ([Term(place, *which)] if which else []) + [Term(place, m, v, True) for m, v in others]
        if len(terms) > len(places):
            raise Refused("too many values of one field are left out (%s)" % show(terms))
        for term, at in zip(terms, places):
            term.place = at
            used.add(at)
        claim += terms
    if len(claim) > TERMS_MAX:
        raise Refused("one case asks for %d fields; there may be %d (%s)" % (len(claim), TERMS_MAX, show(claim)))
    return claim


def exclude(a, b):
    """Does the kernel see that no packet satisfies both claims? The rule of exo/flow_claim.c."""
    theirs = {term.place: term for term in b}
    for s in a:
        t = theirs.get(s.place)
        if not t:
            continue
        if s.other and t.other:
            if s.mask == t.mask and s.mask & (s.mask - 1) == 0 and s.value != t.value:
                return True
        elif s.other or t.other:
            out, eq = (s, t) if s.other else (t, s)
            if eq.mask & out.mask == out.mask and eq.value & out.mask == out.value:
                return True
        elif (s.value ^ t.value) & s.mask & t.mask:
            return True
    return False


def compile_claims(expression):
    """The claims of an expression, which exclude each other; ExoError if it has none."""
    try:
        claims = [claim_of(way) for way in ways_of(program_of(expression))]
        claims = [claim for i, claim in enumerate(claims) if show(claim) not in map(show, claims[:i])]
        if len(claims) > CLAIMS_MAX:
            raise Refused("it has %d cases; there may be %d" % (len(claims), CLAIMS_MAX))
        for i, claim in enumerate(claims):
            for other in claims[:i]:
                if not exclude(claim, other):
                    raise Refused("two of its cases exclude each other in no field that both name: `%s` and `%s`" % (
                        show(other), show(claim)))
    except Refused as reason:
        raise ExoError("expression '%s'" % expression, "cannot be made claims: %s" % reason,
                       "ask for less, or look at the rest in the program") from None
    if not claims:
        raise ExoError("expression '%s'" % expression, "no packet satisfies it", "ask for something else")
    return claims
