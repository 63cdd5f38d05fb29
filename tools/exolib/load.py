# SPDX-License-Identifier: BSD-2-Clause
"""Load for servers: wrk for HTTP, exo-kvload (tools/load/kvload.c) for memcached's text protocol.

Both keep one request on its way per connection for some seconds and tell the rate and the
percentiles of the time an answer took.  They run on a wire (wire.py), or, without one, on
this computer's own network.
"""

import re
import shutil
import subprocess

from . import tree
from .util import ExoError

UNITS = {"us": 1.0, "ms": 1e3, "s": 1e6, "m": 6e7, "h": 3.6e9}


class Result:
    """What a load has seen. Times in microseconds; `errors` counts requests and connections that failed."""

    def __init__(self, words, values):
        self.words = words
        self.rate = values["rate"]
        self.requests = int(values["requests"])
        self.seconds = values["seconds"]
        self.p50_us, self.p90_us, self.p99_us = values["p50_us"], values["p90_us"], values["p99_us"]
        self.max_us = values["max_us"]
        self.errors = int(values["errors"])
        self.bytes = int(values.get("bytes", 0))


def _run(cable, words, seconds):
    """A load generator's output."""
    limit = seconds + 30
    if cable:
        status, out, said = cable.run(words, limit)
    else:
        try:
            done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  timeout=limit, check=False)
        except subprocess.TimeoutExpired:
            raise ExoError(words[0], "did not end within %g s" % limit) from None
        status, out, said = done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
    if status:
        raise ExoError(" ".join(words), "ended with status %d: %s" % (status, (said or out).strip()[-300:]))
    return out


def find_wrk():
    path = shutil.which("wrk")
    if not path:
        raise ExoError("wrk", "is not installed, and makes the HTTP load", "apt-get install wrk")
    return path


def _span(text):
    """wrk's `1.23ms` in microseconds."""
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m|h)", text).groups()
    return float(number) * UNITS[unit]


def parse_wrk(text):
    """What wrk writes with --latency, as the values of a Result."""
    def span(pattern):
        found = re.search(pattern, text, re.M)
        return _span(found.group(1)) if found else 0.0
    total = re.search(r"([\d]+) requests in ([\d.]+(?:us|ms|s|m|h)), ([\d.]+)([KMGT]?)B read", text)
    rate = re.search(r"^Requests/sec:\s+([\d.]+)", text, re.M)
    if not total or not rate:
        raise ExoError("wrk", "its output is not understood: %r" % text[-300:])
    errors = sum(int(n) for n in re.findall(r" (?:connect|read|write|timeout) (\d+)", text))
    other = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    maximum = re.search(r"^\s*Latency\s+\S+\s+\S+\s+(\S+)", text, re.M)
    return {"rate": float(rate.group(1)), "requests": int(total.group(1)), "seconds": _span(total.group(2)) / 1e6,
            "bytes": float(total.group(3)) * 1024 ** " KMGT".index(total.group(4) or " "),
            "p50_us": span(r"^\s+50%\s+(\S+)"), "p90_us": span(r"^\s+90%\s+(\S+)"),
            "p99_us": span(r"^\s+99%\s+(\S+)"), "max_us": _span(maximum.group(1)) if maximum else 0.0,
            "errors": errors + (int(other.group(1)) if other else 0)}


def http(cable, path="/", connections=64, seconds=5, threads=1, address=None, port=80, keepalive=True):
    """GET of one path: on kept connections, or a connection for each."""
    host = address or (cable.guest if cable else "127.0.0.1")
    words = [find_wrk(), "-t%d" % min(threads, connections), "-c%d" % connections, "-d%ds" % seconds, "--latency",
             "--timeout", "10s", *(() if keepalive else ("-H", "Connection: close")), "http://%s:%d/%s" % (host, port, path.lstrip("/"))]
    return Result(words, parse_wrk(_run(cable, words, seconds)))


def kv(cable, connections=64, seconds=5, get_share=0.9, value_bytes=100, keys=1000, address=None, port=11211):
    """Gets and sets of random keys, one at a time on each connection."""
    host = address or (cable.guest if cable else "127.0.0.1")
    words = [tree.find().host_tool("exo-kvload"), "-c", str(connections), "-d", str(seconds), "-g",
             str(round(100 * get_share)), "-v", str(value_bytes), "-k", str(keys), host, str(port)]
    fields = _run(cable, words, seconds).split()
    return Result(words, {name: float(value) for name, value in zip(fields[::2], fields[1::2])})
