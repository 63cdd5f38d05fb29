# SPDX-License-Identifier: BSD-2-Clause
"""busybox's httpd, nc and wget, as they are built, talk with real peers on this computer.

Without the sources (no network, and no folder that holds them) all is skipped.

Time limit: 600 s
"""

import hashlib
import http.server
import os
import shutil
import socket
import sys
import tempfile
import threading
import urllib.error
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import ported
import tap
from guest import Guest
from tap import check, has, same

BIG = bytes(range(256)) * 8000
CGI = "#!/bin/sh\necho 'Content-Type: text/plain'\necho\necho \"query $QUERY_STRING\"\nread line && echo \"body $line\"\n"
scratch = tempfile.TemporaryDirectory()
root = os.path.join(scratch.name, "root")


def put(path, data, mode=0o644):
    path = os.path.join(root, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)
    os.chmod(path, mode)


def start(script, name):
    """A machine whose first process is a shell with this script."""
    shell = ported.program("dash", "dash")
    if not os.path.exists(root):
        put("www/index.html", b"<h1>here</h1>\n")
        put("www/big", BIG)
        put("www/cgi-bin/say", CGI.encode(), 0o755)
        os.makedirs(os.path.join(root, "bin"))
        shutil.copy(shell, os.path.join(root, "bin/sh"))
        shutil.copy(ported.program("busybox", "busybox"), os.path.join(root, "bin/busybox"))
        for tool in ("httpd", "nc", "wget", "cat", "sleep", "cmp", "ps"):
            os.link(os.path.join(root, "bin/busybox"), os.path.join(root, "bin", tool))
    put(name, script.encode())
    return Guest("-m", "128M", "-p", "0:80", "-p", "0:7", "-v", root + ":/", shell, "--", "/" + name, name=name, timeout=120)


def get(port, path, headers=None, data=None):
    request = urllib.request.Request("http://127.0.0.1:%d%s" % (port, path), data=data, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_httpd():
    """httpd: pages, a range, a large file for many at once, a script with a body, what is not there"""
    server = start("httpd -p 80 -h /www && echo serving\nsleep 1000\n", "httpd")
    server.wait_line("^serving")
    port = server.port(80)
    same(get(port, "/"), (200, b"<h1>here</h1>\n"), "the page")
    same(get(port, "/big", {"Range": "bytes=250-259"}), (206, BIG[250:260]), "a range")
    same(get(port, "/nothing")[0], 404, "status of what is not there")
    same(get(port, "/../etc/passwd")[0] in (400, 403, 404), True, "status of what is outside")
    same(get(port, "/cgi-bin/say?a=1", data=b"some words\n"), (200, b"query a=1\nbody some words\n"), "the script")
    wrong = []

    def client():
        status, body = get(port, "/big")
        if (status, hashlib.sha256(body).digest()) != (200, hashlib.sha256(BIG).digest()):
            wrong.append((status, len(body)))

    clients = [threading.Thread(target=client) for _ in range(8)]
    for one in clients:
        one.start()
    for one in clients:
        one.join()
    same(wrong, [], "clients that got something else")
    server.stop()


class Pages(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = {"/big": BIG, "/page": b"a page\n"}.get(self.path)
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/page")
        else:
            self.send_response(200 if body else 404)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_):
        pass


def test_wget():
    """wget: from this computer, also what has moved and what is not there; and from the httpd beside it"""
    pages = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    host = "http://10.0.2.2:%d" % pages.server_address[1]
    client = start("""\
cd /tmp
wget -q -O - %s/page
wget -q -O big %s/big && cmp big /www/big && echo same
wget -q -O - %s/moved
wget -q -O - %s/nothing || echo none $?
httpd -p 80 -h /www
wget -q -O - http://127.0.0.1/index.html
wget -q -O again http://127.0.0.1/big && cmp again /www/big && echo again
exit 7
""" % (host, host, host, host), "wget")
    same(client.wait(), 7, "status (%s)" % client.text[-1000:])
    has(client.text, "a page\nsame\na page\n")
    has(client.text, "none 1\n<h1>here</h1>\nagain\n")
    pages.shutdown()


def test_nc():
    """nc: listens for this computer, and connects to it"""
    listener = socket.create_server(("127.0.0.1", 0))
    machine = start("""\
echo listening
nc -l -p 7 </www/index.html >/tmp/heard
echo "heard $(cat /tmp/heard)"
echo from the machine | nc 10.0.2.2 %d
nc -w 2 10.0.2.2 1 </dev/null || echo refused
""" % listener.getsockname()[1], "nc")
    machine.wait_line("^listening")
    port = machine.port(7)

    def talk():
        """False: it does not listen yet."""
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=20) as link:
                link.sendall(b"from this computer\n")
                link.shutdown(socket.SHUT_WR)
                return link.makefile("rb").read() == b"<h1>here</h1>\n"
        except ConnectionError:
            return False

    tap.wait_until(talk, 20, "answer of nc", 0.3)
    machine.wait_line("^heard from this computer")
    listener.settimeout(30)
    link, _ = listener.accept()
    link.sendall(b"and back\n")
    link.shutdown(socket.SHUT_WR)
    same(link.makefile("rb").read(), b"from the machine\n", "what the machine said")
    link.close()
    machine.wait_line("^and back")
    same(machine.wait(), 0, "status (%s)" % machine.text[-1000:])
    check("refused" in machine.text, "a closed port is refused: %s" % machine.text[-1000:])


if __name__ == "__main__":
    tap.main()
