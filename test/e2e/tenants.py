#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Tenants of one machine: CPUs, slices, guarantees, limits and demands as their configuration says.

Time limit: 120 s
"""

import os
import re
import shutil
import sys
import tempfile
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import peer
import tap
import wire
from tap import check, has, same

work = tempfile.mkdtemp(prefix="exo-tenants-")
TENANT = os.path.join(guest.build_dir(), "test", "guest", "tenant.uni")


def run(machine, look, hold, status=0):
    path = os.path.join(work, "lab.conf")
    with open(path, "w", encoding="ascii") as file:
        file.write("[machine]\n%s[program db]\nimage = %s\nargs = look batch\n%s[program batch]\nimage = %s\n"
                   "args = hold\n%s" % (machine, TENANT, look, TENANT, hold))
    done = guest.exo("run", "-t", 30, "--config", path)
    same(done.returncode, status, "status (%s%s)" % (done.stdout, done.stderr))
    check("behind" not in done.stdout, done.stdout)
    return done.stdout + done.stderr


def test_plain():
    """nothing said: CPU 0, no slices, no limit, nobody's account"""
    text = run("", "", "")
    for line in ("cpu 0 slices 0", "rights 0", "archive none", "envs good", "slice good", "exec good", "demand CAP"):
        has(text, line + "\n")


def test_tenants():
    """CPU, slices, limits; READ on the account that may be demanded from, and a demand that is accepted"""
    text = run("cpus = 2\n", "cpu = 1\nslices = 3\nmemory = 16M\nguarantee = 8M\nlimit_envs = 1\n"
               "limit_slices = 7\nseal = yes\ndemand = batch\n", "memory = 16M\nanswer = 0.1\n")
    for line in ("cpu 1 slices 3", "rights 1", "archive given", "envs QUOTA", "slice QUOTA", "exec SEALED", "demand good"):
        has(text, line + "\n")
    text = run("", "demand = batch\nguarantee = 8M\n", "guarantee = 8M\n")
    has(text, "demand STATE\n")


def test_end():
    """who ends first takes its account along, also if another may demand from it"""
    path = os.path.join(work, "end.conf")
    with open(path, "w", encoding="ascii") as file:
        for name, ms, more in (("front", 1500, "demand = top\nguarantee = 4M\nmain = yes\n"), ("top", 1, "")):
            file.write("[program %s]\nimage = %s\nargs = pause %d\n%s" % (name, TENANT, ms, more))
    done = guest.exo("run", "-t", 30, "--config", path)
    same((done.returncode, done.stdout), (0, ""), "outcome (%s)" % done.stderr)


def test_children():
    """what a program has left behind, and nobody names, ends with it, if its configuration says so"""
    for more, left in (("end_children = yes\n", 0), ("", 3)):
        path = os.path.join(work, "children.conf")
        with open(path, "w", encoding="ascii") as file:
            file.write("[program family]\nimage = %s\nargs = orphans\n%s[program last]\nimage = %s\nargs = count 300\n"
                       "main = yes\n" % (TENANT, more, TENANT))
        done = guest.exo("run", "-t", 30, "--config", path)
        same(done.returncode, 0, "status (%s%s)" % (done.stdout, done.stderr))
        has(done.stdout, "orphans %d\n" % left)
        same("behind" in done.stdout, left > 0, "frames that init misses (%s)" % done.stdout)


def flooded(budget):
    """What a packet to a flooded server takes of another program's time (us), what is left to that one, and what was dropped."""
    path = os.path.join(work, "flood.conf")
    with open(path, "w", encoding="ascii") as file:
        file.write("[program address]\nnet = own\n[program web]\nimage = httpd\nargs = --port 8081 /\nnet = share\n"
                   "port = tcp/8081\n%s[program victim]\nimage = %s\nargs = work 30\nmain = yes\n" % (budget, TENANT))
    cable, over = wire.Wire(), threading.Event()
    machine = guest.Guest("--icount", "--net", cable.option, "--config", path, name="flood", timeout=60, pcap=False)
    host = peer.Peer(cable)
    machine.wait_line("^go$", 40)
    host.wait_guest()
    packet = wire.ipv4("10.77.0.1", host.guest_ip, wire.TCP,
                       wire.tcp("10.77.0.1", host.guest_ip, 1024, 8081, 1, 0, wire.SYN, b"x" * 1400))
    frame = wire.ether(host.guest_mac, host.mac, wire.IPV4, packet)

    def send():
        while not over.is_set():
            cable.send_plain(frame)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        line = machine.wait_line(r"^of (\d+) us (\d+) are left, packets (\d+) over (\d+)$", 40)
    finally:
        over.set()
        sender.join()
    same(machine.wait(), 0, "status")
    cable.close()
    took, left, packets, dropped = map(int, line.groups())
    check(packets >= 1500, "%d packets came" % packets)
    return (took - left) / packets, left / took, dropped


def test_budget():
    """a server is flooded: with a budget it takes little from another program, without one much more (instructions as time)"""
    cost, left, dropped = flooded("budget = 2000\n")
    cost_without, left_without, none = flooded("")
    tap.say("a packet takes %.2f us from the victim, which keeps %.1f %% of its time; %.2f us and %.1f %% without a budget; %d dropped"
            % (cost, 100 * left, cost_without, 100 * left_without, dropped))
    check(dropped > 0 and none == 0, "packets beyond the budget: %d, %d without one" % (dropped, none))
    check(cost < cost_without / 2, "a packet costs the victim %.2f us, %.2f without a budget" % (cost, cost_without))


def test_too_much():
    """guarantees beyond what there is, CPUs that there are not"""
    has(run("memory = 32M\n", "guarantee = 20M\n", "guarantee = 20M\n", status=125),
        "init: program batch: more is guaranteed than there is")
    has(run("", "slices = 60\n", "slices = 60\n", status=125), "not that many slices in a row are free")
    has(run("", "cpu = 1\n", "", status=125), "one CPU")


if __name__ == "__main__":
    tap.main(lambda: shutil.rmtree(work, ignore_errors=True))
