# SPDX-License-Identifier: BSD-2-Clause
"""Published ports: [ADDR:]HOST:GUEST[/udp], and whether the host's side is free.

The address is the loopback one unless another is given: nothing is shown to the
network by accident.  HOST 0 means "any free port"; the one chosen is printed.
"""

import errno
import ipaddress
import re
import socket

from .util import ExoError

LOOPBACK = "127.0.0.1"


class Publish:
    """One forwarded port."""

    def __init__(self, address, host, guest, protocol):
        self.address, self.host, self.guest, self.protocol = address, host, guest, protocol

    def __str__(self):
        return "%s:%d:%d/%s" % (self.address, self.host, self.guest, self.protocol)

    def key(self):
        return (self.address, self.host, self.protocol)

    def claim(self):
        """The guest's side as a `port` key of the configuration."""
        return "%s/%d" % (self.protocol, self.guest)


def parse_port(text, low=1):
    if not re.fullmatch(r"[0-9]{1,5}", text, re.ASCII) or not low <= int(text) <= 65535:
        raise ValueError("'%s' is not a port; it is a number from %d to 65535" % (text, low))
    return int(text)


def parse_publish(text):
    body, slash, protocol = text.partition("/")
    protocol = protocol if slash else "tcp"
    if protocol not in ("tcp", "udp"):
        raise ValueError("'%s' is neither tcp nor udp" % protocol)
    parts = body.split(":")
    if "[" in body:
        raise ValueError("the emulator publishes on IPv4 addresses only; write for example 127.0.0.1:8080:80")
    if len(parts) not in (2, 3):
        raise ValueError("'%s' is not HOST:GUEST or ADDRESS:HOST:GUEST; write for example 8080:80" % text)
    address = parts[0] if len(parts) == 3 else LOOPBACK
    if address == "localhost":
        address = LOOPBACK
    try:
        address = str(ipaddress.IPv4Address(address))
    except ValueError:
        raise ValueError("'%s' is not an IPv4 address; write for example 127.0.0.1" % address) from None
    return Publish(address, parse_port(parts[-2], 0), parse_port(parts[-1]), protocol)


def parse_claim(text):
    """A guest port as `tcp/80` or `udp/53`, or of some of its clients, as `tcp/80/1of4`."""
    protocol, slash, port = text.partition("/")
    if not slash or protocol not in ("tcp", "udp"):
        raise ValueError("'%s' is not PROTOCOL/PORT; write for example tcp/80 or udp/53" % text)
    port, slash, part = port.partition("/")
    if not slash:
        return "%s/%d" % (protocol, parse_port(port))
    match = re.fullmatch("([0-9]+)of(2|4|8|16)", part)
    if not match or not 1 <= int(match.group(1)) <= int(match.group(2)):
        raise ValueError("a part of a port's clients is written 1of2, 2of4 and so on: of 2, 4, 8, 16")
    return "%s/%d/%dof%s" % (protocol, parse_port(port), int(match.group(1)), match.group(2))


def claims_meet(one, other):
    """Can one packet be for both of two ports as parse_claim writes them?"""
    one, other = [claim.split("/") for claim in (one, other)]
    if one[:2] != other[:2]:
        return False
    parts = [tuple(map(int, claim[2].split("of"))) for claim in (one, other) if len(claim) == 3]
    return len(parts) < 2 or (parts[0][0] - parts[1][0]) % min(parts[0][1], parts[1][1]) == 0


def _try_bind(publish):
    kind = socket.SOCK_STREAM if publish.protocol == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as probe:
        if publish.protocol == "tcp":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((publish.address, publish.host))
        if publish.protocol == "tcp":
            probe.listen(1)
        return probe.getsockname()[1]


def check_free(publishes):
    """Fail unless every port can be had; replace 0 by a free port."""
    seen = set()
    for publish in publishes:
        where = "port %d of %s (%s)" % (publish.host, publish.address, publish.protocol)
        try:
            publish.host = _try_bind(publish)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise ExoError(where, "is busy: another program listens there",
                               "choose another with -p, or end that program") from None
            if error.errno == errno.EACCES:
                raise ExoError(where, "only the administrator may listen there",
                               "choose a port from 1024 up with -p") from None
            if error.errno == errno.EADDRNOTAVAIL:
                raise ExoError(where, "this computer has no such address",
                               "leave the address out, or use 0.0.0.0 for all") from None
            raise ExoError(where, "cannot listen there: %s" % error.strerror) from None
        if publish.key() in seen:
            raise ExoError(where, "is published twice", "give each -p a host port of its own")
        seen.add(publish.key())
