"""The application of the recipe sharded-cache.

It knows one memcached on localhost:11211 and one Redis on localhost:6379 and nothing of
shards. Standard library only: the two clients below are the few commands it needs.

    PUT  /cache/KEY, /db/KEY              store the request body
    GET  /cache/KEY, /db/KEY              200 with the value, 404, or 502 with the error
    POST /fill/cache?count=N, /fill/db    write key:0 .. key:N-1; answers counts as JSON
    GET  /read/cache?count=N, /read/db    read them again; answers counts as JSON
    GET  /                                a page that tells all this;  GET /healthz
"""

import html
import json
import signal
import socket
import sys
import urllib.parse
import urllib.request
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT = 8000
MEMCACHED = ("127.0.0.1", 11211)
REDIS = ("127.0.0.1", 6379)
TIMEOUT_S = 5
VALUE_BYTES_MAX = 1 << 20
KEY_BYTES_MAX = 200
COUNT_MAX = 10_000


class StoreError(Exception):
    """The store answered with an error, or did not answer."""


class Connection:
    """One connection to one address, with the two reads both protocols need."""

    def __init__(self, address):
        self.socket = socket.create_connection(address, TIMEOUT_S)
        self.reader = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.reader.close()
        self.socket.close()

    def line(self):
        line = self.reader.readline(4096)
        if not line.endswith(b"\r\n"):
            raise StoreError("connection closed")
        return line[:-2]

    def block(self, size):
        block = self.reader.read(size + 2)
        if len(block) != size + 2:
            raise StoreError("connection closed")
        return block[:-2]


class Memcached:
    """`set` and `get` of memcached's text protocol."""

    address = MEMCACHED

    @staticmethod
    def set(connection, key, value):
        connection.socket.sendall(b"set %s 0 0 %d\r\n%s\r\n" % (key, len(value), value))
        answer = connection.line()
        if answer != b"STORED":
            raise StoreError(answer.decode(errors="replace"))

    @staticmethod
    def get(connection, key):
        connection.socket.sendall(b"get %s\r\n" % key)
        answer = connection.line()
        if answer == b"END":
            return None
        if not answer.startswith(b"VALUE "):
            raise StoreError(answer.decode(errors="replace"))
        value = connection.block(int(answer.split()[3]))
        connection.line()
        return value


class Redis:
    """`SET` and `GET` of RESP2."""

    address = REDIS

    @staticmethod
    def command(connection, *words):
        parts = [b"*%d\r\n" % len(words)]
        parts += [b"$%d\r\n%s\r\n" % (len(word), word) for word in words]
        connection.socket.sendall(b"".join(parts))
        answer = connection.line()
        if answer.startswith(b"$"):
            size = int(answer[1:])
            return None if size < 0 else connection.block(size)
        if answer.startswith(b"-"):
            raise StoreError(answer[1:].decode(errors="replace"))
        return answer

    @classmethod
    def set(cls, connection, key, value):
        cls.command(connection, b"SET", key, value)

    @classmethod
    def get(cls, connection, key):
        return cls.command(connection, b"GET", key)


STORES = {"cache": Memcached, "db": Redis}
SEEN = Counter()


def attempt(store, action, key, *value):
    """Does one operation on a connection of its own; every failure becomes a StoreError."""
    try:
        with Connection(STORES[store].address) as connection:
            result = getattr(STORES[store], action)(connection, key, *value)
    except StoreError:
        SEEN[f"{store} {action} error"] += 1
        raise
    except (OSError, ValueError, IndexError) as error:
        SEEN[f"{store} {action} error"] += 1
        raise StoreError(str(error)) from error
    SEEN[f"{store} {action}"] += 1
    return result


def fill(store, count):
    """Writes `count` keys; says how many were stored and which errors came back."""
    stored, errors = 0, Counter()
    for number in range(count):
        try:
            attempt(store, "set", b"key:%d" % number, b"value of key:%d" % number)
            stored += 1
        except StoreError as error:
            errors[str(error)] += 1
    return {"stored": stored, "errors": sum(errors.values()), "error_texts": errors}


def read(store, count):
    """Reads `count` keys; a value that is not the one written counts as wrong."""
    hits, misses, wrong, errors = 0, 0, 0, Counter()
    for number in range(count):
        try:
            value = attempt(store, "get", b"key:%d" % number)
        except StoreError as error:
            errors[str(error)] += 1
            continue
        if value is None:
            misses += 1
        elif value == b"value of key:%d" % number:
            hits += 1
        else:
            wrong += 1
    return {
        "hits": hits,
        "misses": misses,
        "wrong": wrong,
        "errors": sum(errors.values()),
        "error_texts": errors,
    }


PAGE = """<!doctype html><meta charset="utf-8"><title>sharded-cache</title>
<h1>An application and its cache</h1>
<p>This application knows one memcached on localhost:11211 and one Redis on localhost:6379.
What stands behind these addresses is the business of its ambassador.</p>
<pre>curl -X POST 'http://{host}/fill/cache?count=300'
curl 'http://{host}/read/cache?count=300'
curl -X PUT -d hello http://{host}/db/greeting
curl http://{host}/db/greeting</pre>
<h2>Operations so far</h2><table>{rows}</table>
"""


class Handler(BaseHTTPRequestHandler):
    """The routes listed at the head of this file."""

    timeout = TIMEOUT_S

    def answer(self, status, body, kind="text/plain; charset=utf-8"):
        body = body if isinstance(body, bytes) else body.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def page(self):
        host = html.escape(self.headers.get("Host", f"localhost:{PORT}"))
        rows = "".join(f"<tr><td>{k}<td>{n}" for k, n in sorted(dict(SEEN).items()))
        self.answer(200, PAGE.format(host=host, rows=rows), "text/html; charset=utf-8")

    def key(self, text):
        key = urllib.parse.unquote_to_bytes(text)
        plain = all(byte > 32 and byte != 127 for byte in key)
        return key if 0 < len(key) <= KEY_BYTES_MAX and plain else None

    def one(self, store, name, *value):
        key = self.key(name)
        if key is None:
            self.answer(400, f"a key has 1 to {KEY_BYTES_MAX} bytes and no blanks\n")
            return
        try:
            found = attempt(store, "set" if value else "get", key, *value)
        except StoreError as error:
            self.answer(502, f"{error}\n")
            return
        if value:
            self.answer(204, b"")
        elif found is None:
            self.answer(404, "no such key\n")
        else:
            self.answer(200, found, "application/octet-stream")

    def many(self, work, store, query):
        count = urllib.parse.parse_qs(query).get("count", ["300"])[0]
        if not count.isdecimal() or int(count) > COUNT_MAX:
            self.answer(400, f"count is a number up to {COUNT_MAX}\n")
            return
        self.answer(200, json.dumps(work(store, int(count))) + "\n", "application/json")

    def route(self):
        url = urllib.parse.urlsplit(self.path)
        return url.path.split("/", 2)[1:] + [""], url.query

    def do_GET(self):
        (first, second, *_), query = self.route()
        if first == "" and second == "":
            self.page()
        elif first == "healthz":
            self.answer(200, "ok\n")
        elif first in STORES:
            self.one(first, second)
        elif first == "read" and second in STORES:
            self.many(read, second, query)
        else:
            self.answer(404, "no such page\n")

    def do_PUT(self):
        (first, second, *_), _ = self.route()
        size = self.headers.get("Content-Length", "")
        if first not in STORES:
            self.answer(404, "no such page\n")
        elif not size.isdecimal() or int(size) > VALUE_BYTES_MAX:
            self.answer(413, f"a value has a Content-Length up to {VALUE_BYTES_MAX}\n")
        else:
            self.one(first, second, self.rfile.read(int(size)))

    def do_POST(self):
        (first, second, *_), query = self.route()
        if first == "fill" and second in STORES:
            self.many(fill, second, query)
        else:
            self.answer(404, "no such page\n")

    def log_message(self, *_):
        """Silent: the health check alone would fill the log."""


def main():
    if sys.argv[1:] == ["healthcheck"]:
        urllib.request.urlopen(f"http://127.0.0.1:{PORT}/healthz", timeout=TIMEOUT_S)
        return
    # As process 1 it would otherwise ignore the signal and be killed after the grace period.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    ThreadingHTTPServer(("0.0.0.0", PORT), Handler).serve_forever()


if __name__ == "__main__":
    main()
