# SPDX-License-Identifier: BSD-2-Clause
"""httpd in the machine, over the libOS's own network and files, against real and awkward clients.

What of this is httpd's alone is also tested on this computer, under sanitizers (httpd_host.py); here the same
questions go through the kernel, the rings and lwIP.

Time limit: 240 s
"""

import atexit
import hashlib
import http.client
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import peer
import tap
import wire
from served import Served
from tap import Skip, check, has, same
from web import Connection, fetch, get, raw

TIME = 1000000000
LAST_MODIFIED = "Sun, 09 Sep 2001 01:46:40 GMT"
OLD = "Sat, 01 Jan 2000 00:00:00 GMT"
IDLE = 3                # seconds, of the shared machine's httpd

work = tempfile.mkdtemp(prefix="exo-serve-")
tree = os.path.join(work, "tree")
files = {}
shared = []


def make_tree():
    rand = random.Random(7)
    for size in (0, 1, 2, 511, 512, 513, 1459, 1460, 1461, 2047, 2048, 2049, 4095, 4096, 4097, 65535, 65536,
                 1 << 20, (3 << 20) + 7):
        files["size/%d" % size] = rand.randbytes(size)
    for name in ("a & <b>\"'.txt", "caf\u00e9 \u6f22\u5b57 #?%41;x=1", "new\nline", "back\\slash", "..two",
                 "...", "a:b", "100%", "%2e%2e", "+plus +", "~tilde", " lead and trail ", "tab\there",
                 "\u202e\U0001f600", "-dash", "e\u0301", "q?x=y&z", "semi;colon", "{[^`|]}", "comma,",
                 "star*", "$(x)"):
        files["odd/" + name] = name.encode() * 3
    files["odd/sp ace/in dir \u00fc/file"] = b"spaces"
    files["long/" + "n" * 99] = b"99"
    files["long/" + "n" * 100] = b"100"
    files["long/" + "n" * 101] = b"101"
    files["long/" + "n" * 255] = b"255"
    files["long/" + "\u6f22" * 80] = b"240 bytes of UTF-8"
    files["long/" + "/".join(["directory-%d" % i for i in range(20)]) + "/file"] = b"deep"
    files["long/" + "d" * 155 + "/" + "f" * 100] = b"the longest plain name"
    files["long/" + "d" * 156 + "/" + "f" * 101] = b"longer"
    files["sub/index.html"] = b"<p>index</p>\n"
    files["sub/page.html"] = b"<p>page</p>\n"
    files["plain.txt"] = b"0123456789abcdefghijklmnopqrstuvwxyz"
    files["picture.PNG"] = b"\x89PNG"
    for i in range(150):
        files["many/%03d" % i] = rand.randbytes(rand.randrange(3000))
    for path, content in files.items():
        where = os.path.join(tree, path)
        os.makedirs(os.path.dirname(where), exist_ok=True)
        with open(where, "wb") as file:
            file.write(content)
        os.utime(where, (TIME, TIME))
    with open(os.path.join(tree, "odd").encode() + b"/raw\xff\xfe", "wb") as file:
        file.write(b"no utf-8")
    os.makedirs(os.path.join(tree, "bare"))


def served():
    """The machine that most cases share."""
    if not shared or not shared[0].running():
        check(not shared, "the machine has ended")
        shared.append(Served(tree, args="--idle-timeout %d" % IDLE, name="shared", timeout=230))
    return shared[0]


def clean():
    for machine in shared:
        machine.stop()
    shutil.rmtree(work, ignore_errors=True)


def need(tool):
    path = shutil.which(tool)
    if not path:
        raise Skip("%s is not installed" % tool)
    return path


def run(*words, seconds=60, **how):
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=seconds, check=False, **how)
    return done.returncode, done.stdout.decode("utf-8", "replace")


def sha(data):
    return hashlib.sha256(data).hexdigest()


def url(path):
    return "/" + urllib.parse.quote(path)


def head(*lines, start="GET / HTTP/1.1"):
    return "\r\n".join([start, "Host: h", *lines, "", ""]).encode("latin-1")


def status_of(answer):
    return [int(code) for code in re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", answer)]


def curl_all(*options):
    """Fetch every file by one curl; compare the sums."""
    out = tempfile.mkdtemp(dir=work)
    names = list(files)
    listing = os.path.join(out, "urls")
    with open(listing, "w", encoding="utf-8") as file:
        for i, path in enumerate(names):
            file.write('url = "http://127.0.0.1:%d%s"\noutput = "%s/%d"\n' % (served().http, url(path), out,
                                                                              i))
    status, said = run(need("curl"), "--no-progress-meter", "--path-as-is", "-f", "-m", "60", *options, "-K",
                       listing)
    same(status, 0, "curl's status (%s)" % said[-500:])
    for i, path in enumerate(names):
        with open(os.path.join(out, str(i)), "rb") as file:
            same(sha(file.read()), sha(files[path]), "sum of " + path)
    shutil.rmtree(out)


def test_curl():
    """curl fetches every file on one connection, the sums are right"""
    curl_all()


def test_curl_connections():
    """and with a connection for each, and several at once"""
    curl_all("-H", "Connection: close")
    curl_all("-Z", "--parallel-max", "8")


def test_python_client():
    """Python's own client gets the same, with types and validators"""
    client = http.client.HTTPConnection("127.0.0.1", served().http, timeout=20)
    for path, content in files.items():
        client.request("GET", url(path))
        answer = client.getresponse()
        same((answer.status, sha(answer.read())), (200, sha(content)), path)
        same(answer.getheader("Last-Modified"), LAST_MODIFIED, "date of " + path)
    client.close()
    same(get(served().http, "/odd/raw%ff%FE").body, b"no utf-8", "a name that is not UTF-8")
    for path, kind in (("/picture.PNG", "image/png"), ("/sub/", "text/html; charset=utf-8"),
                       ("/plain.txt", "text/plain; charset=utf-8")):
        same(get(served().http, path).headers["content-type"], kind, "type of " + path)


def test_wget_mirror():
    """wget finds every file by following the listings"""
    out = tempfile.mkdtemp(dir=work)
    status, said = run(need("wget"), "-q", "-r", "-l", "inf", "-np", "-nH", "--restrict-file-names=nocontrol",
                       "--local-encoding=utf-8", "--tries=1", "-T", "20", "-P", out,
                       "http://127.0.0.1:%d/" % served().http,
                       seconds=100, env=dict(os.environ, LC_ALL="C.UTF-8"))
    same(status, 0, "wget's status (%s)" % said[-500:])
    got = set()
    for where, unused, names in os.walk(out):
        for name in names:
            with open(os.path.join(where, name), "rb") as file:
                got.add(sha(file.read()))
    # wget shortens names beyond its own limit, so contents are compared, not names; beside an index there
    # is no listing
    missing = [path for path, content in files.items() if sha(content) not in got and path != "sub/page.html"]
    same(missing, [], "files that wget did not get right")
    shutil.rmtree(out)


def test_head():
    """HEAD says what GET says, and has no body"""
    with Connection(served().http) as c:
        for path in list(files)[:40] + ["sub/", "odd/", "nowhere"]:
            path = url(path)
            answer = c.request(path, "HEAD")
            full = c.request(path)
            for headers in (answer.headers, full.headers):
                headers.pop("date", None)
            same((answer.status, answer.headers), (full.status, full.headers), path)
            same(int(full.headers["content-length"]), len(full.body), "length of " + path)


def test_ranges():
    """ranges of small and large files, unsatisfiable ones, If-Range, curl's resume"""
    port = served().http
    rand = random.Random(3)
    with Connection(port) as c:
        for path in ("plain.txt", "size/2049", "size/65536", "size/3145735"):
            whole = files[path]
            size = len(whole)
            cases = [(0, 0), (0, size - 1), (size - 1, size - 1), (4095, 4096), (1, size + 99)]
            cases += [sorted((rand.randrange(size), rand.randrange(size))) for unused in range(10)]
            for first, last in cases:
                if first >= size:
                    continue
                answer = c.request(url(path), headers=[("Range", "bytes=%d-%d" % (first, last))])
                last = min(last, size - 1)
                same((answer.status, answer.headers["content-range"]), (206, "bytes %d-%d/%d" % (first, last,
                                                                                                 size)))
                check(answer.body == whole[first:last + 1], "bytes %d-%d of %s" % (first, last, path))
            answer = c.request(url(path), headers=[("Range", "bytes=-7")])
            check(answer.body == whole[-7:], "the last seven of " + path)
            answer = c.request(url(path), headers=[("Range", "bytes=%d-" % (size - 9))])
            check(answer.body == whole[-9:], "the last nine of " + path)
            for text in ("%d-" % size, "99999999999999999999-", "-0"):
                answer = c.request(url(path), headers=[("Range", "bytes=" + text)])
                same((answer.status, answer.headers["content-range"]), (416, "bytes */%d" % size), text)
        tag = c.request("/plain.txt", "HEAD").headers["etag"]
        same(c.request("/plain.txt", headers={"Range": "bytes=0-9", "If-Range": tag}).status, 206)
        same(c.request("/plain.txt", headers={"Range": "bytes=0-9", "If-Range": '"x"'}).status, 200)
        same(c.request("/size/0", headers={"Range": "bytes=0-"}).status, 416, "a range of nothing")
    part = os.path.join(work, "part")
    with open(part, "wb") as file:
        file.write(files["size/3145735"][:1000001])
    status, said = run(need("curl"), "-s", "-f", "-C", "-", "-o", part,
                       "http://127.0.0.1:%d/size/3145735" % port)
    same(status, 0, "curl -C (%s)" % said)
    with open(part, "rb") as file:
        same(sha(file.read()), sha(files["size/3145735"]), "sum of the resumed file")


def test_conditions():
    """conditional requests: 304 without a body, 412; curl's -z"""
    port = served().http
    with Connection(port) as c:
        tag = c.request("/plain.txt").headers["etag"]
        for headers, status in (({"If-None-Match": tag}, 304), ({"If-Modified-Since": LAST_MODIFIED}, 304),
                                ({"If-Modified-Since": OLD}, 200), ({"If-Match": '"x"'}, 412),
                                ({"If-None-Match": '"x"', "If-Modified-Since": LAST_MODIFIED}, 200),
                                ({"If-Unmodified-Since": OLD}, 412), ({"If-Match": tag}, 200),
                                ({"If-None-Match": "*"}, 304)):
            same(c.request("/plain.txt", headers=headers).status, status, "status with %s" % headers)
    status, said = run(need("curl"), "-s", "-o", "/dev/null", "-w", "%{http_code} %{size_download}",
                       "-z", LAST_MODIFIED, "http://127.0.0.1:%d/size/1048576" % port)
    same((status, said), (0, "304 0"), "curl -z")


def test_pipelining():
    """pipelined requests are answered in order, however they are cut into packets"""
    paths = ["/plain.txt", "/nowhere", "/size/2048", "/sub/", "/size/1048576", "/size/0", "/size/2049",
             "/odd/"] * 6
    batch = b"".join(b"GET %s HTTP/1.1\r\nHost: h\r\n\r\n" % path.encode() for path in paths)
    port = served().http
    wanted = {path: get(port, path).body for path in set(paths)}
    for step in (len(batch), 1000, 37):
        with Connection(port) as c:
            sender = threading.Thread(target=lambda c=c, step=step: [
                c.send(batch[i:i + step]) for i in range(0, len(batch), step)])
            sender.start()
            for path in paths:
                check(c.answer().body == wanted[path], "body of %s in steps of %d" % (path, step))
            sender.join()
    count = 2000
    answers = raw(port, head(start="HEAD /plain.txt HTTP/1.1") * count + head("Connection: close"))
    same(len(status_of(answers)), count + 1, "answers to a long batch")
    same(status_of(raw(port, head() * 2 + head("Connection: close") + head() * 50)), [200] * 3,
         "nothing after close")


def test_half_close():
    """a client that says that it will send no more still gets its answers"""
    answer = raw(served().http, b"GET /size/1048576 HTTP/1.1\r\nHost: h\r\n\r\n" * 2, end=True)
    same(status_of(answer), [200, 200])
    check(answer.endswith(files["size/1048576"]), "the second answer is whole")


def test_directories():
    """listings lead to every file, index.html is found, missing slashes are redirected, the rest is 404"""
    port = served().http
    for where in ("odd/", "many/", "long/"):
        answer = get(port, "/" + where)
        same(answer.status, 200, where)
        links = re.findall(rb'<a href="([^"]*)">', answer.body)
        names = {path[len(where):].split("/")[0] for path in files if path.startswith(where)}
        same(len(links), 1 + len(names) + (where == "odd/"), "links in " + where)
        for link in links[1:30]:
            check(get(port, "/" + where + link.decode()).status in (200, 301), link)
    check(b"<b>" not in get(port, "/odd/").body, "HTML is escaped")
    same(get(port, "/sub/").body, files["sub/index.html"], "index.html")
    same(get(port, "/bare/").status, 200, "an empty directory")
    answer = get(port, "/sub?x=1&y")
    same((answer.status, answer.headers["location"]), (301, "/sub/?x=1&y"))
    for path in ("/nowhere", "/nowhere/", "/plain.txt/", "/sub/../nowhere", "/.fault/exit", "/" + "n" * 300):
        same(get(port, path).status, 404, path)


def test_escape():
    """no path leaves the served tree"""
    names = ("etc/exo.conf", "bin/httpd.uni", "etc/", "plain.txt")
    with Served(os.path.join(tree, "sub"), name="inner", more="files = /", timeout=60) as inner:
        for name in names:
            for start in ("/../", "/%2e%2e/", "/.%2E/", "/a/../../", "//../", "/./.././", "/%2e%2e%2f",
                          "/..%5c", "/..%00/",
                          "/%c0%ae%c0%ae/", "/%252e%252e/", "/..;/"):
                answer = get(inner.http, start + name)
                check(answer.status in (400, 403, 404), "%s gives %d" % (start + name, answer.status))
        same(get(inner.http, "/x/../page.html").status, 200, "a .. inside the tree")


def test_methods():
    """other methods, versions and bodies are refused or skipped as they should be"""
    port = served().http
    end = head("Connection: close")
    smuggled = b"GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n"
    for data, wanted in (
            (head(start="POST / HTTP/1.1") + end, [405, 200]), (head(start="BREW / HTTP/1.1") + end, [501,
                                                                                                      200]),
            (head(start="PUT /plain.txt HTTP/1.1") + end, [405, 200]),
            (head(start="DELETE / HTTP/1.1") + end, [405, 200]),
            (b"GET / HTTP/2.0\r\n\r\n", [505]), (b"GET / HTTP/1.1\r\n\r\n", [400]),
            (b"GET /plain.txt HTTP/1.0\r\n\r\n", [200]),
            (head("Content-Length: %d" % len(smuggled)) + smuggled + end, [200, 200]),
            (head("Content-Length: 65536") + b"x" * 65536 + end, [200, 200]),
            (head("Content-Length: 65537") + b"x" * 65537, [413]),
            (head("Transfer-Encoding: chunked") + b"5\r\nhello\r\n%x\r\n" % len(smuggled) + smuggled +
             b"\r\n0\r\n\r\n" + end, [200, 200]),
            (head("Transfer-Encoding: chunked", "Content-Length: 4") + b"0\r\n\r\n" + smuggled, [400]),
            (head("Content-Length: 4", "Content-Length: 5") + b"aaaaa" + smuggled, [400]),
            (head("Expect: 100-continue", "Connection: close"), [200])):
        same(status_of(raw(port, data)), wanted, "answers to %r" % data[:100])
    has(raw(port, head(start="POST / HTTP/1.1") + end), b"\r\nAllow: GET, HEAD\r\n", "answer to POST")


def test_malformed():
    """malformed, oversized and truncated requests get their status, and the server goes on"""
    port = served().http
    fields = "".join("Field-%d: value\r\n" % i for i in range(65)).encode()
    for data, wanted in (
            (b"GET /\r\n\r\n", [400]), (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", [400]), (b"\0" * 100,
                                                                                                  [400]),
            (head("A : b"), [400]), (head(" folded"), [400]), (head("A: \0"), [400]), (head("Host: h"),
                                                                                       [400]),
            (b"GET / HTTP/1.1\r\nHost: h\r\n" + fields + b"\r\n", [431]), (head("A: " + "x" * 9000), [431]),
            (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: h\r\n\r\n", [414]), (b"x" * 100000, [501]),
            (b"GET / HT", [408]), (head()[:-1], [408])):
        same(status_of(raw(port, data)), wanted, "answers to %r" % data[:80])
    check(status_of(raw(port, b"\r\n" * 20000)) in ([], [400], [408], [414], [431]), "endless empty lines")
    same(status_of(raw(port, b"GET / HTTP/1.1\r\nHo", end=True)), [400], "cut off in the head")
    same(raw(port, b"", end=True), b"", "nothing at all")
    rand = random.Random(11)
    for unused in range(60):
        data = bytearray(head("Range: bytes=1-2", "If-None-Match: W/\"a\"", "Connection: x") * 2)
        for unused2 in range(rand.randrange(1, 8)):
            data[rand.randrange(len(data))] = rand.choice(b"\r\n\0 :,\"AGH/0129\xff")
        raw(port, bytes(data), end=True)
    same(get(port, "/plain.txt").body, files["plain.txt"], "the answer afterwards")


def dribble(start, more):
    """Send a beginning, then a bit ten times a second, until an answer comes."""
    begin = time.monotonic()
    answer = b""
    with socket.create_connection(("127.0.0.1", served().http), 10) as sock:
        sock.sendall(start)
        sock.settimeout(0.1)
        while b"\r\n\r\n" not in answer and time.monotonic() - begin < 3 * IDLE:
            try:
                sock.sendall(more)
                answer += sock.recv(4096)
            except (TimeoutError, socket.timeout):
                pass
    check(time.monotonic() - begin < 2 * IDLE, "cut off in time")
    return status_of(answer)


def test_slow():
    """clients that dribble or are silent are cut off; one that reads slowly gets all, and holds nobody up"""
    port = served().http
    same(dribble(b"GET / HTTP/1.1\r\n", b"A: b\r\n"), [408], "a dribbled head")
    same(dribble(head("Content-Length: 1000"), b"x"), [408], "a dribbled body")
    begin = time.monotonic()
    with Connection(port) as silent, Connection(port) as idle:
        idle.request("/plain.txt")
        check(silent.closed_by_peer(3 * IDLE) and idle.closed_by_peer(3 * IDLE), "silent ones are closed")
        check(IDLE - 1 < time.monotonic() - begin < 3 * IDLE, "after %.1f s" % (time.monotonic() - begin))
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", port))
        slow.sendall(head("Connection: close", start="GET /size/3145735 HTTP/1.1"))
        answer = b""
        while True:
            part = slow.recv(65536)
            if not part:
                break
            answer += part
            if len(answer) % 50 == 0:
                same(get(port, "/plain.txt").status, 200, "others meanwhile")
            time.sleep(0.001)
        check(answer.endswith(files["size/3145735"]), "a slow reader gets all")


def test_never_reads():
    """clients that ask for much and read nothing are cut off, and others are served"""
    port = served().http
    deaf = []
    for unused in range(20):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", port))
        sock.sendall(head(start="GET /size/3145735 HTTP/1.1") * 10)
        deaf.append(sock)
    same(get(port, "/plain.txt").body, files["plain.txt"], "another one's answer")
    time.sleep(IDLE)
    same(get(port, "/size/1048576").body, files["size/1048576"], "and later")
    for sock in deaf:
        sock.close()


def test_flood():
    """floods of idle and of reset connections: the server answers soon, and its frames are back"""
    cable = wire.Wire()
    with peer.Peer(cable) as client, \
            Served(tree, args="--idle-timeout 2 --max-clients 100", name="flood", timeout=200,
                   net=cable.option) as machine:
        client.wait_guest()
        flood(machine, client)
        storm(machine, client)
        same(client.bad, [], "malformed frames of the guest's")
    cable.close()


def page(client):
    with Connection(0, sock=client.connect(80)) as c:
        same(c.request("/plain.txt").body, files["plain.txt"], "the page")


def flood(machine, client):
    """More connections that send nothing than the server serves at once."""
    figures = []
    for unused in range(3):
        crowd = [client.connect(80) for unused2 in range(250)]
        begin = time.monotonic()
        page(client)
        check(time.monotonic() - begin < 20,
              "the answer in the flood took %.1f s" % (time.monotonic() - begin))
        for sock in crowd:
            sock.abort()
        page(client)
        figures.append(machine.frames())
    same(figures[2], figures[1], "the frames after the third flood")


def storm(machine, client):
    """Connections that are reset at every stage."""
    requests = (b"", b"GET / HT", head(), head(start="GET /size/1048576 HTTP/1.1") * 3, head() * 50)
    figures = []
    for unused in range(3):
        for i in range(400):
            data = requests[i % len(requests)]
            sock = client.connect(80)
            if data:
                sock.sendall(data)
            if i % 3 == 0 and data.endswith(b"\r\n\r\n"):
                sock.recv(1000)
            sock.abort()
        page(client)
        figures.append(machine.frames())
    same(figures[2], figures[1], "the frames after the third storm")


def test_killed():
    """a server that ends by a fault while it sends to many leaves no frame and no flow behind"""
    top = os.path.join(work, "killed")
    os.mkdir(top)
    with open(os.path.join(top, "large"), "wb") as file:
        file.write(bytes(700000))
    for turn, what in enumerate(("illegal", "wild-store", "stack-overflow")):
        cable = wire.Wire()
        with peer.Peer(cable) as client, \
                Served(top, args="--test-faults", name="killed", timeout=60, net=cable.option,
                       main=False) as machine:
            client.wait_guest()
            for unused in range(20):
                client.connect(80).sendall(head(start="GET /large HTTP/1.1") * 3)
            time.sleep(0.05 * turn)
            client.connect(80).sendall(head(start="GET /.fault/%s HTTP/1.1" % what))
            machine.wait_line("^exo: httpd .* ended by ")
            figures = machine.frames()
            check("httpd" not in figures and figures["flows"] == 1, "what is left: %r" % figures)
            check(" behind" not in machine.text, machine.text)
        cable.close()
    shutil.rmtree(top)


def test_load_tools():
    """ab, wrk, h2load and nghttp, those that are installed, see no failure"""
    url_of_page = "http://127.0.0.1:%d/plain.txt" % served().http
    tools = []
    if shutil.which("ab"):
        for words in (("-n", "500", "-c", "4"), ("-k", "-n", "2000", "-c", "8")):
            status, said = run("ab", "-q", "-s", "20", *words, url_of_page)
            same(status, 0, "ab's status (%s)" % said[-500:])
            check(re.search(r"Failed requests: +0$", said, re.MULTILINE) and "Non-2xx" not in said, said)
        tools.append("ab")
    if shutil.which("wrk"):
        status, said = run("wrk", "-t", "1", "-c", "8", "-d", "2", url_of_page)
        check(status == 0 and "Socket errors" not in said and "Non-2xx" not in said, said)
        tools.append("wrk")
    if shutil.which("h2load"):
        status, said = run("h2load", "--h1", "-n", "1000", "-c", "4", url_of_page)
        check(status == 0 and " 1000 succeeded, 0 failed" in said, said)
        tools.append("h2load")
    if not tools:
        raise Skip("none of them is installed")
    tap.say("with " + ", ".join(tools))


def test_large():
    """a file of 64 MiB arrives whole, and a part of it"""
    top = os.path.join(work, "large")
    os.mkdir(top)
    content = random.Random(64).randbytes(64 << 20)
    with open(os.path.join(top, "large"), "wb") as file:
        file.write(content)
    with Served(top, memory="192M", name="large", timeout=120, pcap=False) as machine:
        out = os.path.join(work, "large.out")
        status, said = run(need("curl"), "-s", "-f", "-m", "100", "-o", out,
                           "http://127.0.0.1:%d/large" % machine.http,
                           seconds=110)
        same(status, 0, "curl's status (%s)" % said)
        with open(out, "rb") as file:
            same(sha(file.read()), sha(content), "sum")
        answer = fetch(machine.http, "/large", headers=[("Range", "bytes=%d-" % (len(content) - 70001))])
        check(answer.status == 206 and answer.body == content[-70001:], "the end of it")
    shutil.rmtree(top)


def test_still_there():
    """after all that the first machine still serves, and its console has no complaint"""
    machine = served()
    same(get(machine.http, "/plain.txt").body, files["plain.txt"], "the page")
    lines = [line for line in machine.text.splitlines() if not line.startswith("watch: ")]
    same(lines, ["httpd: serving / on port 80"], "the console")


atexit.register(clean)
make_tree()
if __name__ == "__main__":
    tap.main()
