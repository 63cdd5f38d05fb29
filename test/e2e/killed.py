# SPDX-License-Identifier: BSD-2-Clause
"""Environments killed at random instants beside a server under load: no request fails, and nothing of them is left.

One machine with two CPUs: httpd is asked all the time by several clients, and test/guest/killer makes environments
that make calls of all kinds, on both CPUs, and ends each at a random instant: 1,000 of them, 100,000 in a long run.

Time limit: 240 s
"""

import os
import re
import sys
import tempfile
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import tap
import web
from tap import check, same

LONG = bool(os.environ.get("EXO_TEST_LONG"))
COUNT = 100000 if LONG else 1000
CLIENTS = 3
PAGE = b"<p>" + b"0123456789" * 200 + b"</p>\n"
CONFIG = """\
[machine]
memory = 64M
[program httpd]
args = --idle-timeout 600 /
net = own
volume = %(directory)s:/
main = yes
[program killer]
image = %(killer)s
args = %(count)d %(seed)d
"""


class Client(threading.Thread):
    """Asks for a page again and again, on new connections and kept ones by turns."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.over, self.answers, self.wrong = port, threading.Event(), 0, []
        self.start()

    def ask(self):
        if self.answers % 2:
            return web.get(self.port, "/").body
        with web.Connection(self.port) as connection:
            first = connection.request("/").body
            return first if first == connection.request("/").body else b"two answers differ"

    def run(self):
        while not self.over.is_set():
            try:
                body = self.ask()
                if body != PAGE:
                    self.wrong.append("body %r" % body[:60])
            except Exception as error:      # pylint: disable=broad-except
                self.wrong.append(repr(error))
            self.answers += 1


def test_killed():
    """no request fails while environments are killed on two CPUs, and their frames are all back"""
    seed = int(os.environ.get("EXO_TEST_SEED", "1"))
    with tempfile.TemporaryDirectory(prefix="exo-killed-") as tree:
        with open(os.path.join(tree, "index.html"), "wb") as page:
            page.write(PAGE)
        config = os.path.join(tree, "killed.conf")
        with open(config, "w", encoding="utf-8") as file:
            file.write(CONFIG % {"directory": tree, "count": COUNT, "seed": seed,
                                 "killer": os.path.join(guest.build_dir(), "test", "guest", "killer.uni")})
        limit = 2300 if LONG else 230
        with guest.Guest("--smp", "2", "-p", "0:80", "--config", config, name="one", timeout=limit,
                         pcap=False) as machine:
            machine.wait_line("^httpd: serving ")
            clients = [Client(machine.port(80)) for unused in range(CLIENTS)]
            machine.wait_line("^killer: %d killed" % COUNT, seconds=limit)
            for client in clients:
                client.over.set()
            for client in clients:
                client.join(30)
            same(web.get(machine.port(80), "/").body, PAGE, "the page afterwards")
            text = machine.text
        last = re.findall(r"^killer: (\d+) killed, (\d+) rounds, (\d+) bad", text, re.M)[-1]
        tap.say("seed %d; %s killed, %s rounds of calls, %d answers" % (seed, last[0], last[1],
                                                                       sum(client.answers for client in clients)))
        same([wrong for client in clients for wrong in client.wrong][:5], [], "requests that failed")
        check(sum(client.answers for client in clients) > 20, "there was no load")
        check(int(last[1]) > COUNT // 4, "they had done nothing when they were killed")
        same(last[2], "0", "rounds after which frames were missing")
        check("left" not in text, "init says that something is left:\n" + text[-500:])


if __name__ == "__main__":
    tap.main()
