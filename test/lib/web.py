# SPDX-License-Identifier: BSD-2-Clause
"""A small HTTP/1.1 client that hides nothing: it sends what it is told and shows what came back."""

import socket


class Response:
    """Status line, headers (names in small letters; repeated ones joined by a comma) and body."""

    def __init__(self, version, status, reason, headers, body):
        self.version, self.status, self.reason = version, status, reason
        self.headers, self.body = headers, body

    def __repr__(self):
        return "<%s %d %s, %d bytes>" % (self.version, self.status, self.reason, len(self.body))


class Connection:
    """One TCP connection. `sock` may be any object with recv(), sendall() and close()."""

    def __init__(self, port, address="127.0.0.1", timeout=20, sock=None):
        self.sock = sock or socket.create_connection((address, port), timeout)
        self.buffer = b""
        self.ended = False

    def send(self, data):
        self.sock.sendall(data)

    def ask(self, path, method="GET", headers=(), body=b"", version="HTTP/1.1", host="exo"):
        """Send one request without waiting for the answer."""
        lines = ["%s %s %s" % (method, path, version)]
        if host is not None:
            lines.append("Host: " + host)
        lines += ["%s: %s" % pair for pair in (headers.items() if hasattr(headers, "items") else headers)]
        if body:
            lines.append("Content-Length: %d" % len(body))
        self.send("\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + body)

    def request(self, path, method="GET", **how):
        """Send one request and read its answer."""
        self.ask(path, method, **how)
        return self.answer(method)

    def _more(self):
        data = self.sock.recv(65536)
        if not data:
            self.ended = True
        self.buffer += data
        return bool(data)

    def _until(self, mark):
        while mark not in self.buffer:
            if not self._more():
                raise EOFError("the connection ended inside an answer: %r" % self.buffer[-200:])
        head, unused, self.buffer = self.buffer.partition(mark)
        return head

    def _exactly(self, count):
        parts, have = [self.buffer], len(self.buffer)
        while have < count:
            data = self.sock.recv(min(1 << 20, count - have))
            if not data:
                self.ended = True
                raise EOFError("the connection ended %d bytes early" % (count - have))
            parts.append(data)
            have += len(data)
        whole = b"".join(parts)
        self.buffer = whole[count:]
        return whole[:count]

    def answer(self, method="GET"):
        """Read one answer."""
        lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        version, unused, rest = lines[0].partition(" ")
        status, unused, reason = rest.partition(" ")
        headers = {}
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if not colon:
                raise ValueError("not a header line: %r" % line)
            name = name.lower()
            headers[name] = headers[name] + ", " + value.strip() if name in headers else value.strip()
        body = self._body(method, int(status), headers)
        return Response(version, int(status), reason, headers, body)

    def _body(self, method, status, headers):
        if method == "HEAD" or status in (204, 304) or 100 <= status < 200:
            return b""
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return self._chunks()
        if "content-length" in headers:
            return self._exactly(int(headers["content-length"]))
        while self._more():
            pass
        body, self.buffer = self.buffer, b""
        return body

    def _chunks(self):
        parts = []
        while True:
            size = int(self._until(b"\r\n").split(b";")[0], 16)
            if not size:
                while self._until(b"\r\n"):
                    pass
                return b"".join(parts)
            parts.append(self._exactly(size))
            self._until(b"\r\n")

    def closed_by_peer(self, seconds=5):
        """Whether the other side ends the connection within the time, with nothing more to read."""
        if hasattr(self.sock, "settimeout"):
            self.sock.settimeout(seconds)
        try:
            return not self.buffer and self.sock.recv(1) == b""
        except ConnectionResetError:
            return True
        except (TimeoutError, socket.timeout):
            return False

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()


def get(port, path, **how):
    """One GET on a connection of its own."""
    return fetch(port, path, "GET", **how)


def fetch(port, path, method="GET", timeout=20, headers=(), **how):
    """One request on a connection of its own, which the answer ends."""
    with Connection(port, timeout=timeout) as connection:
        return connection.request(path, method, headers=list(headers) + [("Connection", "close")], **how)


def raw(port, data, timeout=20, end=False):
    """Send bytes, read until the other side ends the connection, return all that came."""
    with socket.create_connection(("127.0.0.1", port), timeout) as sock:
        sock.sendall(data)
        if end:
            sock.shutdown(socket.SHUT_WR)
        parts = []
        while True:
            try:
                part = sock.recv(65536)
            except ConnectionResetError:
                break
            if not part:
                break
            parts.append(part)
        return b"".join(parts)
