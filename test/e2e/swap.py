#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A policy of one of two loaded servers is changed, the server linked again and swapped: the other loses no request.

The machine runs on: the new program is written to its disk and started by apps/swap. The policy is the order in which
httpd's threads run, one function in application code.

Time limit: 120 s
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import tap
import web
from tap import check, same

SECONDS = 10 if os.environ.get("EXO_TEST_LONG") else 1      # of load around each swap
CONFIG = """\
[program address]
net = own
memory = 8M
[program one]
image = httpd
args = --port 81 /
net = share
port = tcp/81
memory = 8M
main = yes
volume = %(site)s:/
[program two]
image = swap
args = extent:image --port 82 /
net = share
port = tcp/82
memory = 40M
limit_envs = 4
input = yes
extent = image
"""
POLICY = """\
#include <stdio.h>
#include "libos/core/thread.h"

static struct thread *%(name)s_ready_list;

/* Which of the threads that are ready runs next? */
static struct thread *pick(void)
{
	struct thread **link = &%(name)s_ready_list, *thread;

	while (*link && %(last)d && (*link)->next)
		link = &(*link)->next;
	thread = *link;
	if (thread)
		*link = thread->next;
	return thread;
}

static void ready(struct thread *thread)
{
	thread->next = %(name)s_ready_list;
	%(name)s_ready_list = thread;
}

static struct thread *turn(struct thread *thread)
{
	struct thread *next = pick();

	if (!next)
		return thread;
	ready(thread);
	return next;
}

static const struct sched mine = { "%(name)s", ready, pick, turn };

static __attribute__((constructor)) void choose(void)
{
	thread_schedule_by(&mine);
	printf("policy: %(name)s\\n");
}
"""
work = tempfile.mkdtemp(prefix="exo-swap-")


def sources(name):
    """The files of a list in apps/local.am, and of those that it names."""
    with open(os.path.join(guest.SOURCE, "apps", "local.am"), encoding="ascii") as file:
        listed = re.search(r"^%s = \\\n((?:\t.*\n)+)" % name, file.read(), re.MULTILINE).group(1)
    return [path for word in re.findall(r"\$\(\w+\)|\S+\.c", listed)
            for path in (sources(word[2:-1]) if word.startswith("$") else [word])]


def link(name, last):
    """httpd with another policy: one file compiled, the rest linked as it is."""
    source = os.path.join(work, name + ".c")
    with open(source, "w", encoding="ascii") as file:
        file.write(POLICY % {"name": name, "last": last})
    objects = [os.path.join(guest.build_dir(), path[:-2] + ".u.o") for path in sources("httpd_src")]
    image = os.path.join(work, name + ".uni")
    subprocess.run([sys.executable, os.path.join(guest.SOURCE, "tools", "exo-cc"), "-O2", "-I" + guest.SOURCE, source]
                   + objects + ["-o", image], check=True)
    return image


def install(disk, image):
    """The program becomes the contents of the extent, also of a disk that is in use."""
    done = guest.exo("disk", "import", "-q", "--live", disk, "image", image)
    same((done.returncode, done.stdout + done.stderr), (0, ""), "exo disk import")


class Load:
    """Requests until finish(): a new connection each, and many on one."""

    def __init__(self, port, tolerant):
        self.port, self.tolerant = port, tolerant
        self.over, self.done, self.wrong = False, 0, []
        self.threads = [threading.Thread(target=self.run, args=(kept,), daemon=True) for kept in (False, True)]
        for thread in self.threads:
            thread.start()

    def run(self, kept):
        connection = None
        while not self.over:
            try:
                if connection is None:
                    connection = web.Connection(self.port)
                answer = connection.request("/page")
                same((answer.status, answer.body), (200, PAGE), "answer")
                self.done += 1
            except Exception as error:  # pylint: disable=broad-except
                self.wrong.append("%s: %s" % (type(error).__name__, error))
                connection = None
                if not self.tolerant:
                    return
                time.sleep(0.05)
            if not kept and connection is not None:
                connection.close()
                connection = None

    def finish(self):
        self.over = True
        for thread in self.threads:
            thread.join(30)
        return self.done


PAGE = b"the same page\n" * 40


def test_swap():
    """two policies after each other in one server, both loaded; the other one answers every request"""
    site, disk = os.path.join(work, "site"), os.path.join(work, "disk.img")
    os.mkdir(site)
    with open(os.path.join(site, "page"), "wb") as file:
        file.write(PAGE)
    config = os.path.join(work, "swap.conf")
    with open(config, "w", encoding="ascii") as file:
        file.write(CONFIG % {"site": site})
    done = guest.exo("disk", "create", "-q", disk, "8M", "--label", "image:6M")
    same(done.returncode, 0, done.stderr)
    install(disk, link("oldest", 1))
    with guest.Guest("-p", "0:81", "-p", "0:82", "--disk", disk, "--config", config, name="swap", timeout=100,
                     pcap=False, stdin=subprocess.PIPE) as machine:
        machine.wait_line("^policy: oldest")
        machine.wait_line("^httpd: serving / on port 82")
        machine.wait_line("^httpd: serving / on port 81")
        loads = Load(machine.port(81), False), Load(machine.port(82), True)
        time.sleep(SECONDS)
        for name, last in (("latest", 0), ("again", 1)):
            install(disk, link(name, last))
            before = loads[1].done
            machine.process.stdin.write(b"\n")
            machine.process.stdin.flush()
            machine.wait_line("^policy: %s" % name)
            deadline = time.monotonic() + 20
            while loads[1].done < before + 20 and time.monotonic() < deadline:
                time.sleep(0.05)
            check(loads[1].done >= before + 20, "the swapped server answers again")
            time.sleep(SECONDS)
        machine.process.stdin.write(b"/page\n")
        machine.process.stdin.flush()
        machine.wait_line("^swap: /page: .*; what runs runs on")
        answers = [load.finish() for load in loads]
        same(loads[0].wrong, [], "requests of the other that failed (of %d)" % answers[0])
        check(answers[0] > 50 and answers[1] > 50, "both were loaded: %r" % answers)
        same(web.get(machine.port(82), "/page").body, PAGE, "what ran, runs on")


if __name__ == "__main__":
    tap.main(lambda: shutil.rmtree(work, ignore_errors=True))
