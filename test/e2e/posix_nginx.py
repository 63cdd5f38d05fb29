#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""nginx, built unmodified from its source, a master and two workers, serves real clients.

It runs below a shell that does what this test writes to it. Without the sources (no network, and no folder that holds
them) all is skipped; what wants many connections in one moment also where no wire can be made.

Time limit: 900 s
"""

import gzip
import hashlib
import http.client
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))

import ported
import tap
from exolib import wire
from exolib.util import ExoError
from guest import SOURCE, Guest
from tap import Skip, check, has, same

CONFIG = """\
user root;
worker_processes 2;
events { worker_connections 1000; }
http {
    types { text/html html; text/plain txt; }
    access_log off;
    gzip on;
    gzip_types text/plain;
    keepalive_requests 100000;
    limit_req_zone $binary_remote_addr zone=slow:64k rate=1r/s;
    proxy_cache_path /tmp/cache keys_zone=cache:1m;
    server {
        listen 80;
        root /srv;
        autoindex on;
        location /status { stub_status; }
        location /dav/ { root /tmp; dav_methods PUT DELETE; create_full_put_path on; client_max_body_size 20m; }
        location /limited { limit_req zone=slow; alias /srv/index.html; }
        location /back/ { proxy_pass http://127.0.0.1:8080/; proxy_cache cache; proxy_cache_valid 200 60s; }
    }
    server { listen 8080; root /srv; }
}
stream { server { listen 81; proxy_pass 127.0.0.1:8080; } }
"""
SHELL = 'while read -r line; do eval "$line"; done'
COPY = ("while read -r line; do case $line in autoindex*) echo '%s';; esac; echo \"$line\"; "
        "done </etc/nginx/nginx.conf >/tmp/nginx.conf; ")
WORDS = b"some words " * 3000
BIG = bytes(range(256)) * 20000
CLIENTS = 1000
BURST = """\
import socket, sys
links = [socket.socket() for unused in range(int(sys.argv[2]))]
for link in links:
    link.setblocking(False)
    link.connect_ex((sys.argv[1], 80))
for link in links:
    link.settimeout(60)
    link.sendall(b"GET / HTTP/1.1\\r\\nHost: here\\r\\n\\r\\n")
print(sum(b"<h1>here</h1>" in link.recv(65536) for link in links))
"""
server = None
root = tempfile.mkdtemp(prefix="exo-nginx-")


def put(path, data, mode=0o644):
    path = os.path.join(root, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)
    os.chmod(path, mode)


def folder():
    """What the guest has: the program, a shell, a configuration and pages. Its folder, and the shell's program."""
    program, shell = ported.program("nginx", "nginx"), ported.program("dash", "dash")
    with open(program, "rb") as file:
        put("bin/nginx", file.read(), 0o755)
    put("etc/nginx/nginx.conf", CONFIG.encode())
    put("srv/index.html", b"<h1>here</h1>\n")
    put("srv/words.txt", WORDS)
    put("srv/big", BIG)
    return root, shell


class Server(Guest):
    def __init__(self):
        place, shell = folder()
        super().__init__("-m", "192M", "-p", "0:80", "-p", "0:81", "-v", place + ":/", shell, "--", "-c", SHELL,
                         name="nginx", timeout=400, stdin=subprocess.PIPE)
        self.said = 0
        self.do(COPY % "" + "nginx -c /tmp/nginx.conf && echo started")
        self.expect("^started")

    def do(self, line):
        """The shell does this."""
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def expect(self, pattern):
        """What it says next."""
        match = self.wait_line(pattern, start=self.said)
        self.said = match.end()
        return match


def start():
    """The one server of all cases."""
    global server
    server = server or Server()
    return server


def ask(path, headers=None, data=None, method=None, port=80):
    """(status, headers, body)"""
    request = urllib.request.Request("http://127.0.0.1:%d%s" % (start().port(port), path), data=data, headers=headers or {},
                                     method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def test_pages():
    """a page, a large file, a range, one that has not changed, one that is packed, a list, what is not there"""
    same(ask("/")[2], b"<h1>here</h1>\n", "the page")
    status, headers, body = ask("/big")
    same((status, headers["Content-Length"]), (200, str(len(BIG))), "the large file")
    same(hashlib.sha256(body).digest(), hashlib.sha256(BIG).digest(), "its bytes")
    same(ask("/", {"If-None-Match": ask("/")[1]["ETag"]})[0], 304, "status of what has not changed")
    status, headers, body = ask("/big", {"Range": "bytes=250-259"})
    same((status, body), (206, bytes(range(250, 256)) + bytes(range(4))), "a range")
    status, headers, body = ask("/words.txt", {"Accept-Encoding": "gzip"})
    same((headers["Content-Encoding"], gzip.decompress(body)), ("gzip", WORDS), "what is packed")
    same(ask("/none")[0], 404, "status of what is not there")


def test_keepalive():
    """three hundred requests over one connection"""
    link = http.client.HTTPConnection("127.0.0.1", start().port(80), timeout=30)
    for unused in range(300):
        link.request("GET", "/index.html")
        same(link.getresponse().read(), b"<h1>here</h1>\n", "the page")
    link.close()


def test_modules():
    """files put and deleted, another server behind this one (by HTTP with a cache, by TCP), a limit that workers share"""
    same(ask("/dav/one/big", data=BIG, method="PUT")[0], 201, "status of PUT")
    same(hashlib.sha256(ask("/dav/one/big")[2]).digest(), hashlib.sha256(BIG).digest(), "its bytes")
    same(ask("/dav/one/big", method="DELETE")[0], 204, "status of DELETE")
    same(ask("/dav/one/big")[0], 404, "afterwards")
    for unused in range(2):
        same(ask("/back/words.txt")[2], WORDS, "from behind")
    same(ask("/words.txt", port=81)[2], WORDS, "from behind by TCP")
    same(sorted({ask("/limited")[0] for unused in range(8)}), [200, 503], "statuses under a limit")
    has(ask("/status")[2].decode(), "Active connections: ", "the state")


def test_reload():
    """SIGHUP: another configuration, by new workers; who is being served by an old one still is"""
    guest = start()
    slow = http.client.HTTPConnection("127.0.0.1", guest.port(80), timeout=30)
    slow.putrequest("PUT", "/dav/slow")
    slow.putheader("Content-Length", "10")
    slow.endheaders(b"first")
    same(ask("/new/")[0], 404, "status of what is not there yet")
    guest.do(COPY % "location /new/ { alias /srv/; }" + "read -r pid </run/nginx.pid; kill -HUP $pid && echo sent")
    guest.expect("^sent")
    tap.wait_until(lambda: ask("/new/")[2] == b"<h1>here</h1>\n", 20, "the new configuration")
    for unused in range(20):
        same(ask("/")[2], b"<h1>here</h1>\n", "the page meanwhile")
    slow.send(b"-last")
    same(slow.getresponse().status, 201, "status of what an old worker began with")
    slow.close()
    guest.do(COPY % "nonsense;" + "nginx -t -q -c /tmp/nginx.conf || echo refused")
    guest.expect("^refused")
    guest.do("kill -HUP $pid")
    guest.expect("unknown directive .nonsense.")
    same(ask("/dav/slow")[2], b"first-last", "what it put there")


def test_quit():
    """SIGQUIT ends all of it, and it can be started again"""
    guest = start()
    ask("/")
    guest.do("while kill -QUIT $pid; do :; done 2>/dev/null; echo gone")
    guest.expect("^gone")
    guest.do(COPY % "" + "nginx -c /tmp/nginx.conf && echo again")
    guest.expect("^again")
    same(ask("/")[2], b"<h1>here</h1>\n", "the page")


def test_many():
    """a thousand clients in one moment, over a wire"""
    place, unused = folder()
    try:
        cable = wire.Wire().__enter__()
    except ExoError as error:
        raise Skip("no wire: " + str(error)) from None
    with cable:
        wait = cable.first_answer(80)
        machine = cable.start([sys.executable, os.path.join(SOURCE, "tools", "exo"), "run", "-q", "--net", "tap:" + cable.tap,
                               "--mac", cable.mac, "-m", "192M", "-t", "200", "-v", place + ":/",
                               os.path.join(place, "bin", "nginx"), "--", "-g", "daemon off;"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        check(wait(60, machine), "no answer")
        status, said, wrong = cable.run([sys.executable, "-c", BURST, cable.guest, str(CLIENTS)], 120)
        same((status, said, wrong), (0, "%d\n" % CLIENTS, ""), "how many of the clients were answered")


if __name__ == "__main__":
    try:
        tap.main(lambda: server and server.running() and server.stop())
    finally:
        shutil.rmtree(root, ignore_errors=True)
