# SPDX-License-Identifier: BSD-2-Clause
"""Programs that others wrote, built by their recipes (ports/README) for the tests that run them.

    ported.build("dash", "busybox")             built, if they are not there yet
    shell = ported.program("dash", "dash")      the same, and the path of one program

A source that cannot be fetched, or a tool of this computer that a recipe wants and does not find, skips the case.
"""

import os
import subprocess

import guest
import tap

PORTS = os.path.join(guest.build_dir(), "ports")
unfetched = set()               # tried in vain, and not tried again


def build(*ports):
    if ports in unfetched:
        raise tap.Skip("a source cannot be fetched")
    done = subprocess.run([os.path.join(guest.SOURCE, "ports", "build"), *ports], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False, timeout=1500)
    said = done.stdout.decode("utf-8", "replace")
    if done.returncode == 2:
        unfetched.add(ports)
        raise tap.Skip("a source cannot be fetched")
    if "libtool is not there" in said:
        raise tap.Skip("a configure script cannot be made without GNU libtool (libtool)")
    tap.same(done.returncode, 0, "status of ports/build (%s)" % said[-1000:])


def program(port, name, libos="posix"):
    build(port)
    return os.path.join(PORTS, port, "bin", "%s.%s" % (name, libos))
