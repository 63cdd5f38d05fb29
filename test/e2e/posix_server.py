# SPDX-License-Identifier: BSD-2-Clause
"""lighttpd, built unmodified from its source, serves real clients.

Without the source (no network, and no folder that holds it) all is skipped.

Time limit: 600 s
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import ported
import tap
from guest import Guest
from tap import check, has, same

CONFIG = """\
server.document-root = "/www"
server.modules = ( "mod_access", "mod_status", "mod_indexfile", "mod_cgi", "mod_dirlisting", "mod_staticfile" )
server.upload-dirs = ( "/tmp" )
index-file.names = ( "index.html" )
mimetype.assign = ( ".html" => "text/html", "" => "application/octet-stream" )
dir-listing.activate = "enable"
status.status-url = "/status"
cgi.assign = ( ".cgi" => "" )
"""
CGI = """\
#!/bin/sh
echo 'Content-Type: text/plain'
echo
echo "query $QUERY_STRING"
read line && echo "body $line"
"""
server = None
root = tempfile.mkdtemp(prefix="exo-lighttpd-")


def put(path, data, mode=0o644):
    path = os.path.join(root, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)
    os.chmod(path, mode)


def start():
    """The one server of all cases."""
    global server
    if server:
        return server
    program, shell = ported.program("lighttpd", "lighttpd"), ported.program("dash", "dash")
    put("etc/lighttpd.conf", CONFIG.encode())
    put("www/index.html", b"<h1>here</h1>\n")
    put("www/files/big", bytes(range(256)) * 20000)
    put("www/say.cgi", CGI.encode(), 0o755)
    put("tmp/.keep", b"")
    with open(shell, "rb") as file:
        put("bin/sh", file.read(), 0o755)
    server = Guest("-m", "128M", "-p", "0:80", "-v", root + ":/", program, "--", "-D", "-f", "/etc/lighttpd.conf",
                   name="lighttpd", timeout=400)
    server.wait_line("server started")
    return server


def get(path, headers=None, data=None):
    """(status, headers, body)"""
    request = urllib.request.Request("http://127.0.0.1:%d%s" % (start().port(80), path), data=data, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def test_pages():
    """a page, a large file, a range, what is not there, a list"""
    same(get("/")[2], b"<h1>here</h1>\n", "the page")
    status, headers, body = get("/files/big")
    same((status, headers["Content-Length"]), (200, "5120000"), "the large file")
    same(hashlib.sha256(body).digest(), hashlib.sha256(bytes(range(256)) * 20000).digest(), "its bytes")
    status, headers, body = get("/files/big", {"Range": "bytes=250-259"})
    same((status, body), (206, bytes(range(250, 256)) + bytes(range(4))), "a range")
    same(get("/nothing")[0], 404, "status of what is not there")
    has(get("/files/")[2].decode(), ">big<", "the list")


def test_programs():
    """a script, which the server starts for each request"""
    status, _, body = get("/say.cgi?a=1")
    same((status, body), (200, b"query a=1\n"), "what it says")
    same(get("/say.cgi", data=b"some words\n")[2], b"query \nbody some words\n", "what it reads")


def test_load():
    """thousands of requests on many connections"""
    done = subprocess.run(["wrk", "-c", "40", "-t", "1", "-d", "4", "http://127.0.0.1:%d/" % start().port(80)],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=60)
    same(done.returncode, 0, "status of wrk (%s)" % done.stdout)
    check("Socket errors" not in done.stdout and "Non-2xx" not in done.stdout, "errors: %s" % done.stdout)
    same(get("/")[0], 200, "status afterwards")
    has(get("/status?auto")[2].decode(), "Total Accesses:", "the server's own count")


def stop():
    if server:
        server.stop()
    shutil.rmtree(root)


if __name__ == "__main__":
    tap.main(stop)
