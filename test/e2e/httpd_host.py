# SPDX-License-Identifier: BSD-2-Clause
"""apps/httpd compiled for this computer, against hostile and awkward clients on the loopback.

The same source runs in the machine over the libOS uni; here it runs under the host's sanitizers, so
that a mistake of httpd's own is seen apart from the libOS's. EXO_HTTPD names another binary: httpd_events_host.py runs all
of it against httpd-events, over poll().

Time limit: 240 s
"""

import atexit
import hashlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from tap import check, has, same
from web import Connection, fetch, get, raw

HTTPD = os.environ.get("EXO_HTTPD") or os.path.join(os.environ.get("EXO_BUILD", "."), "test/e2e/httpd-host")
EVENTS = "events" in os.path.basename(HTTPD)    # one thread for all, and a port must be named
OLD = "Sat, 01 Jan 2000 00:00:00 GMT"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """One httpd on a free port."""

    def __init__(self, *options, root=None):
        port = str(free_port()) if EVENTS else "0"
        self.process = subprocess.Popen([HTTPD, "--port", port, *options, root or tree], text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        line = self.process.stdout.readline()
        found = re.match(r"httpd: serving .* on port ([0-9]+)$", line)
        if not found:
            raise AssertionError("httpd did not start: " + line + (self.process.stdout.read() or ""))
        self.port = int(found.group(1))
        servers.append(self)

    def stop(self):
        """End it; what it wrote. It must still have been there."""
        alive = self.process.poll() is None
        self.process.send_signal(signal.SIGTERM)
        text = self.process.communicate(timeout=10)[0]
        servers.remove(self)
        check(alive and self.process.returncode == -signal.SIGTERM, "httpd ended by itself: %s" % text)
        return text

    def __enter__(self):
        return self

    def __exit__(self, kind, *unused):
        if kind:
            self.process.kill()
            tap.say(self.process.communicate()[0])
            servers.remove(self)
        else:
            self.stop()


servers = []
tree = tempfile.mkdtemp(prefix="httpd-host-")
outside = tree + "-secret"
files = {
    "index.html": b"<h1>root</h1>\n",
    "plain.txt": b"0123456789abcdefghijklmnopqrstuvwxyz",
    "empty": b"",
    "sub/page.html": b"<p>page</p>",
    "sub/UPPER.PNG": b"\x89PNG",
    "listed/a & <b>\"'.txt": b"odd",
    "listed/caf\u00e9 \u6f22\u5b57 #?%41;x=1": b"utf-8",
    "listed/new\nline": b"line",
    "listed/back\\slash": b"backslash",
    "listed/..two": b"dots",
    "listed/...": b"three dots",
    "listed/a:b": b"colon",
    "2047": bytes(range(256)) * 7 + bytes(255),
    "2048": bytes(range(256)) * 8,
    "2049": bytes(range(256)) * 8 + b"x",
    "large": random.Random(1).randbytes(3 << 20),
}


def make_tree():
    for path, content in files.items():
        path = os.path.join(tree, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
        os.utime(path, (1000000000, 1000000000))
    with open(os.path.join(tree, "listed").encode() + b"/raw\xff\xfe", "wb") as file:
        file.write(b"no utf-8")
    os.makedirs(os.path.join(tree, "bare"))
    os.mkfifo(os.path.join(tree, "fifo"))
    with open(outside, "wb") as file:
        file.write(b"secret")


def clean():
    for server in list(servers):
        server.process.kill()
        server.process.wait()
    shutil.rmtree(tree, ignore_errors=True)
    if os.path.exists(outside):
        os.unlink(outside)


def status_of(answer):
    """Status codes of all the answers in a byte string."""
    return [int(code) for code in re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", answer)]


def head(*lines, start="GET / HTTP/1.1"):
    return "\r\n".join([start, "Host: h", *lines, "", ""]).encode("latin-1")


def test_options():
    """Options: help, and mistakes that name the nearest one"""
    done = subprocess.run([HTTPD, "--help"], capture_output=True, text=True, timeout=10)
    same(done.returncode, 0, "status of --help")
    has(done.stdout, "--max-clients")
    for words, text in (
            (["--prot", "80", tree], "unknown option --prot; the nearest known one is --port"),
            (["--idel-timeout=3", tree], "nearest known one is --idle-timeout"),
            (["--port", "65536", tree], "from 0 to 65535"),
            (["--port", "8o", tree], "from 0 to 65535"),
            (["--port"], "needs a number"),
            (["--no-listing=1", tree], "takes no value"),
            ([], "no directory"),
            ([tree, tree], "one directory"),
            ([tree + "/nowhere"], "No such file"),
            ([tree + "/plain.txt"], "not a directory")):
        done = subprocess.run([HTTPD, *words], capture_output=True, text=True, timeout=10)
        same(done.returncode, 2, "status of %r" % words)
        has(done.stderr, text)
        same(len(done.stderr.splitlines()), 1, "lines of the message")
    with Server() as server:
        done = subprocess.run([HTTPD, "--port", str(server.port), tree], capture_output=True, text=True,
                              timeout=10)
        same(done.returncode, 2, "status with a busy port")
        has(done.stderr, "port %d: Address already in use" % server.port)


def test_files():
    """Every file, byte for byte, with length, type and validators"""
    with Server() as server, Connection(server.port) as c:
        for path, content in files.items():
            r = c.request("/" + urllib.parse.quote(path))
            same((r.status, len(r.body)), (200, len(content)), path)
            same(hashlib.sha256(r.body).digest(), hashlib.sha256(content).digest(), "hash of " + path)
            same(r.headers["last-modified"], "Sun, 09 Sep 2001 01:46:40 GMT")
            check(re.match(r'"[0-9a-f]+-[0-9a-f]+"$', r.headers["etag"]), "a strong tag")
            check("connection" not in r.headers, "kept alive")
            h = c.request("/" + urllib.parse.quote(path), "HEAD")
            same((h.status, h.headers), (200, r.headers | {"date": h.headers["date"]}), "HEAD " + path)
        same(get(server.port, "/listed/raw%ff%FE").body, b"no utf-8", "a name that is not UTF-8")
        same(get(server.port, "/sub/UPPER.PNG").headers["content-type"], "image/png")
        same(get(server.port, "/").headers["content-type"], "text/html; charset=utf-8")
        same(get(server.port, "/empty?a/../b").status, 200, "a query")
        same(get(server.port, "http://other/empty").status, 200, "an absolute target")


def test_directories():
    """Listings lead to every file, missing slashes are redirected, --no-listing hides"""
    with Server() as server:
        r = get(server.port, "/listed/")
        same(r.status, 200)
        links = re.findall(rb'<a href="([^"]*)">([^<]*)</a>', r.body)
        same(len(links), 1 + 8, "links")
        check(b"<b>" not in r.body and b"&lt;b&gt;" in r.body, "HTML is escaped")
        for link, unused in links[1:]:
            same(get(server.port, "/listed/" + link.decode()).status, 200, link)
        same(get(server.port, "/listed/", version="HTTP/1.0").body, r.body)
        same(fetch(server.port, "/listed/", "HEAD").headers["content-length"], str(len(r.body)))
        r = get(server.port, "/sub?x=1&y")
        same((r.status, r.headers["location"]), (301, "/sub/?x=1&y"))
        r = get(server.port, "//sub/%2e/../listed")
        same((r.status, r.headers["location"]), (301, "/listed/"))
        same(get(server.port, "/bare/").status, 200)
        same(get(server.port, "/plain.txt/").status, 404)
        same(get(server.port, "/nowhere/").status, 404)
        same(get(server.port, "/nowhere").status, 404)
        same(get(server.port, "/fifo").status, 403)
        same(get(server.port, "/.fault/exit").status, 404, "faults are off")
        os.makedirs(os.path.join(tree, "many"))
        for i in range(3000):
            open(os.path.join(tree, "many", "%04d%s" % (i, "<" * (i % 240))), "w").close()
        r = get(server.port, "/many/")
        same(r.body.count(b"<li>"), 3001, "entries of a large directory")
        same(get(server.port, "/many/", version="HTTP/1.0").body, r.body, "again")
        shutil.rmtree(os.path.join(tree, "many"))
    with Server("--no-listing") as server:
        same(get(server.port, "/listed/").status, 403)
        same(get(server.port, "/").status, 200, "index.html is no listing")
        same(get(server.port, "/nowhere/").status, 404)


def test_escape():
    """No path leaves the served tree"""
    secret = os.path.basename(outside)
    with Server(root=tree + "/sub///") as server:
        for path in ("/../index.html", "/%2e%2e/index.html", "/.%2E/index.html", "/a/../../index.html",
                     "//../x", "/..", "/./.././index.html", "/%2e%2e%2findex.html", "/..%5cindex.html",
                     "/..%00/", "/%c0%ae%c0%ae/x", "/%252e%252e/index.html",
                     "/../../" + secret, "/....//index.html", "/..;/index.html",
                     "/%uff0e%uff0e/x"):
            r = get(server.port, path)
            check(r.status in (400, 403, 404), "%s gives %d" % (path, r.status))
            check(b"secret" not in r.body and b"root" not in r.body, path)
        same(get(server.port, "/x/../page.html").status, 200, "a .. inside the tree")
        same(get(server.port, "/" + "a/" * 1100 + "../" * 1101).status, 414)
        same(get(server.port, "/" + "a/" * 500 + "../" * 501).status, 403)


def test_ranges():
    """Ranges: single ones, unsatisfiable ones, and If-Range"""
    whole = files["plain.txt"]
    with Server() as server, Connection(server.port) as c:
        for text, first, last in (("0-0", 0, 0), ("5-9", 5, 9), ("30-", 30, 35), ("-6", 30, 35),
                                  ("0-999", 0, 35)):
            r = c.request("/plain.txt", headers=[("Range", "bytes=" + text)])
            same((r.status, r.body), (206, whole[first:last + 1]), text)
            same(r.headers["content-range"], "bytes %d-%d/36" % (first, last))
        for text in ("36-", "99999999999999999999-", "-0"):
            r = c.request("/plain.txt", headers=[("Range", "bytes=" + text)])
            same((r.status, r.headers["content-range"]), (416, "bytes */36"), text)
        for text in ("5-4", "0-1,3-4", "x", ""):
            r = c.request("/plain.txt", headers=[("Range", "bytes=" + text)])
            same((r.status, r.body), (200, whole), "no range: " + text)
        large = files["large"]
        for first, last in ((0, 3 << 20), (1 << 20, 2 << 20), (4095, 6144), (4097, 4097), (3 << 20, 3 << 20)):
            r = c.request("/large", headers=[("Range", "bytes=%d-%d" % (first, last - 1))])
            wanted = (206, large[first:last]) if first < last else (200, large)
            check((r.status, r.body) == wanted, "bytes %d to %d" % (first, last))
        tag = c.request("/large", "HEAD").headers["etag"]
        same(c.request("/large", headers={"Range": "bytes=0-9", "If-Range": tag}).status, 206)
        same(c.request("/large", headers={"Range": "bytes=0-9", "If-Range": '"x"'}).status, 200)


def test_conditions():
    """Conditional requests: 304 without a body, 412"""
    with Server() as server, Connection(server.port) as c:
        first = c.request("/plain.txt")
        tag, date = first.headers["etag"], first.headers["last-modified"]
        r = c.request("/plain.txt", headers={"If-None-Match": tag})
        same((r.status, r.headers["etag"]), (304, tag))
        same(c.request("/plain.txt", headers={"If-Modified-Since": date}).status, 304)
        same(c.request("/plain.txt", headers={"If-Modified-Since": OLD}).status, 200)
        same(c.request("/plain.txt", headers={"If-None-Match": '"x"', "If-Modified-Since": date}).status, 200)
        same(c.request("/plain.txt", headers={"If-Match": '"x"'}).status, 412)
        same(c.request("/plain.txt", headers={"If-Unmodified-Since": OLD}).status, 412)
        same(c.request("/plain.txt", headers={"If-Match": tag}).status, 200)
        same(c.request("/nowhere", headers={"If-Match": tag}).status, 404, "conditions are for what exists")


def test_pipelining():
    """Pipelined requests are answered in order, however they are cut into packets"""
    paths = ["/plain.txt", "/nowhere", "/2048", "/", "/large", "/empty", "/2049", "/listed/"] * 8
    batch = b"".join(b"GET %s HTTP/1.1\r\nHost: h\r\n\r\n" % p.encode() for p in paths)
    with Server() as server:
        wanted = {p: get(server.port, p).body for p in set(paths)}
        for step in (len(batch), 1000, 37, 7):
            with Connection(server.port) as c:
                sender = threading.Thread(target=lambda c=c, step=step: [
                    c.send(batch[i:i + step]) for i in range(0, len(batch), step)])
                sender.start()
                for path in paths:
                    check(c.answer().body == wanted[path], "body of %s in steps of %d" % (path, step))
                sender.join()
        answers = raw(server.port, head() * 2 + head("Connection: close") + head() * 50)
        same(status_of(answers), [200] * 3, "nothing after close")
        count = 2000
        answers = raw(server.port, head(start="HEAD /plain.txt HTTP/1.1") * count + head("Connection: close"))
        same(len(status_of(answers)), count + 1, "answers to a long batch")


def test_bodies():
    """Request bodies are framed strictly, thrown away up to a limit, and never taken for requests"""
    smuggled = b"GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n"
    end = head("Connection: close")
    with Server("--idle-timeout", "2") as server:
        for data, wanted in (
                (head("Content-Length: %d" % len(smuggled)) + smuggled + end, [200, 200]),
                (head("Content-Length: 0") + end, [200, 200]),
                (head("Content-Length: 65536") + b"x" * 65536 + end, [200, 200]),
                (head("Content-Length: 65537") + b"x" * 65537 + end, [413]),
                (head("Content-Length: 9223372036854775807") + b"x", [413]),
                (head("Content-Length: 9223372036854775808") + b"x", [400]),
                (head("Transfer-Encoding: chunked") + b"5\r\nhello\r\n%x\r\n" % len(smuggled) + smuggled +
                 b"\r\n0\r\nA: b\r\n\r\n" + end, [200, 200]),
                (head("Transfer-Encoding: chunked") + b"0\r\n\r\n" + end, [200, 200]),
                (head("Transfer-Encoding: chunked") + b"fffff\r\n" + b"x" * 100000, [413]),
                (head("Transfer-Encoding: chunked") + b"1;" + b"e" * 100000, [413]),
                (head("Transfer-Encoding: chunked") + b"5\r\nhello!\r\n", [400]),
                (head("Transfer-Encoding: chunked") + b"zz\r\n" + smuggled, [400]),
                (head("Transfer-Encoding: chunked", "Content-Length: 4") + b"0\r\n\r\n" + smuggled, [400]),
                (head("Content-Length: 4", "Content-Length: 5") + b"aaaaa" + smuggled, [400]),
                (head("Content-Length : 4") + smuggled, [400]),
                (head("Transfer-Encoding: x, chunked") + smuggled, [501]),
                (head("Content-Length: 5", start="POST / HTTP/1.1") + b"hello" + smuggled, [405]),
                (head(start="POST / HTTP/1.1") + end, [405, 200]),
                (head(start="BREW / HTTP/1.1") + end, [501, 200]),
                (head("Content-Length: 5", "Expect: 100-continue") + b"hello" + end, [200, 200]),
                (head("Expect: 100-continue", "Connection: close"), [200]),
                (head("Expect: 200-ok"), [417]),
                (head("Content-Length: 5") + b"hel", [408])):
            answers = raw(server.port, data)
            same(status_of(answers), wanted, "answers to %r" % data[:120])
            if 405 in wanted:
                has(answers, b"\r\nAllow: GET, HEAD\r\n")
        with Connection(server.port) as c:
            c.send(head("Content-Length: 5", "Expect: 100-continue"))
            same(c.answer().status, 100)
            c.send(b"hello" + end)
            same((c.answer().status, c.answer().status), (200, 200), "after 100")


def test_malformed():
    """Malformed, oversized and truncated requests get their status, then the connection is closed"""
    fields = "".join("Field-%d: value\r\n" % i for i in range(65)).encode()
    with Server("--idle-timeout", "2") as server:
        for data, wanted in (
                (b"GET / HTTP/1.1\r\n\r\n", [400]),
                (b"GET /\r\n\r\n", [400]),
                (b"GET / HTTP/1.0\n\n", [400]),
                (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", [400]),
                (b"\0" * 100, [400]),
                (b"GET / HTTP/2.0\r\n\r\n", [505]),
                (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [505]),
                (head("A : b"), [400]), (head(" folded"), [400]), (head("A: b", "\tc"), [400]),
                (head("A: \0"), [400]), (head("Host: h"), [400]),
                (b"GET / HTTP/1.1\r\nHost: h\r\n" + fields + b"\r\n", [431]),
                (head("A: " + "x" * 9000), [431]),
                (head("A: " + "x" * 7590, "Connection: close"), [200]),
                (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: h\r\n\r\n", [414]),
                (b"GET /" + b"x" * 3000 + b" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", [414]),
                (b"x" * 100000, [501]),
                (b"\r\n" * 20 + head("Connection: close"), [200]),
                (b"\r\n" * 20000, []),
                (b"GET / HT", [408]), (b"G", [408]), (head()[:-1], [408]), (head()[:-2], [408])):
            answers = raw(server.port, data)
            if data[:2] == b"\r\n" and not wanted:
                check(status_of(answers) in ([], [400], [408], [414], [431]), "endless empty lines")
                continue
            same(status_of(answers), wanted, "answers to %r" % data[:80])
        same(status_of(raw(server.port, b"GET / HTTP/1.1\r\nHo", end=True)), [400], "cut off in the head")
        same(raw(server.port, b"", end=True), b"", "nothing at all")
        same(get(server.port, "/").status, 200, "still serving")


def test_slow_clients():
    """Clients that dribble a head or body, or are silent, are cut off; one that reads slowly gets all"""
    with Server("--idle-timeout", "2") as server:
        for start, dribble in ((b"GET / HTTP/1.1\r\n", b"A: b\r\n"), (head("Content-Length: 1000"), b"x")):
            begin = time.monotonic()
            with socket.create_connection(("127.0.0.1", server.port), 10) as s:
                s.sendall(start)
                s.settimeout(0.2)
                answer = b""
                while b"\r\n\r\n" not in answer and time.monotonic() - begin < 8:
                    try:
                        s.sendall(dribble)
                        answer += s.recv(4096)
                    except (TimeoutError, socket.timeout):
                        pass
            same(status_of(answer), [408], "dribbled")
            check(time.monotonic() - begin < 4, "cut off in time")
        begin = time.monotonic()
        with Connection(server.port) as c:
            check(c.closed_by_peer(5) and 1.5 < time.monotonic() - begin < 4, "a silent client is closed")
        with Connection(server.port) as c:
            c.request("/")
            begin = time.monotonic()
            check(c.closed_by_peer(5) and 1.5 < time.monotonic() - begin < 4, "so is an idle kept-alive one")
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.connect(("127.0.0.1", server.port))
            s.sendall(head("Connection: close", start="GET /large HTTP/1.1"))
            got = b""
            while True:
                part = s.recv(65536)
                if not part:
                    break
                got += part
                time.sleep(0.003)
            check(got.endswith(files["large"]), "a slow reader gets all")
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.connect(("127.0.0.1", server.port))
            s.sendall(head(start="GET /large HTTP/1.1") * 20)
            time.sleep(4)
            with Connection(server.port) as c:
                same(c.request("/").status, 200, "others are served")
        answered = len(os.listdir("/proc/%d/task" % server.process.pid))
        check(answered < 10, "workers are used again: %d" % answered)


def test_flood():
    """More clients than workers: those who wait are served as soon as the idle ones are cut off"""
    with Server("--max-clients", "8", "--idle-timeout", "3") as server:
        idle = [socket.create_connection(("127.0.0.1", server.port), 10) for i in range(40)]
        begin = time.monotonic()
        same(get(server.port, "/").status, 200)
        check(time.monotonic() - begin < 20, "served in %.1f s" % (time.monotonic() - begin))
        same(len(os.listdir("/proc/%d/task" % server.process.pid)) <= 9, True, "threads")
        for s in idle:
            s.close()
        same(get(server.port, "/").status, 200)
    with Server() as server:
        many = [Connection(server.port) for i in range(256)]
        for turn in range(3):
            for c in many:
                same(c.request("/plain.txt").body, files["plain.txt"], "kept alive")
        for c in many:
            c.close()


def test_no_reset():
    """After an error the client reads the whole answer: no reset overtakes it"""
    with Server() as server:
        for i in range(20):
            with socket.create_connection(("127.0.0.1", server.port), 10) as s:
                s.sendall(head("Content-Length: 1000000", start="POST / HTTP/1.1"))
                for unused in range(20):
                    s.sendall(b"x" * 2000)
                time.sleep(0.01)
                s.shutdown(socket.SHUT_WR)
                answer = b""
                while True:
                    part = s.recv(4096)     # ConnectionResetError fails the case
                    if not part:
                        break
                    answer += part
                same(status_of(answer), [405])
                has(answer, b"\r\nConnection: close\r\n")


def test_storm():
    """Many threads of requests, good and broken, at once"""
    stop = time.monotonic() + 6
    wrong = []

    def client(seed):
        rand = random.Random(seed)
        try:
            while time.monotonic() < stop:
                if rand.random() < 0.4:
                    data = bytearray(head("Range: bytes=1-2", "If-None-Match: W/\"a\"", "Connection: x") * 2)
                    for unused in range(rand.randrange(6)):
                        data[rand.randrange(len(data))] = rand.choice(b"\r\n\0 :,\"AGH/0129\xff")
                    try:
                        raw(server.port, bytes(data), end=True)
                    except BrokenPipeError:
                        pass
                else:
                    path = rand.choice(list(files))
                    r = get(server.port, "/" + urllib.parse.quote(path))
                    if r.body != files[path]:
                        wrong.append(path)
        except Exception as error:      # pylint: disable=broad-except
            wrong.append(repr(error))

    with Server("--max-clients", "20", "--idle-timeout", "3") as server:
        clients = [threading.Thread(target=client, args=(i,)) for i in range(24)]
        for c in clients:
            c.start()
        for c in clients:
            c.join()
        same(wrong, [], "what went wrong")


def test_log():
    """--log prints a line for each request, and a target cannot forge one"""
    server = Server("--log")
    get(server.port, "/plain.txt?q")
    get(server.port, "/a%0Ab")
    raw(server.port, b"GET /a\nb HTTP/1.1\r\n\r\n")
    same(server.stop().splitlines(), ["httpd: GET /plain.txt?q 200", "httpd: GET /a%0Ab 404",
                                      "httpd: malformed request 400"])


atexit.register(clean)
make_tree()
if __name__ == "__main__":
    tap.main()
