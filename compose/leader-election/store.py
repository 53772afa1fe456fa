"""The store of the recipe leader-election: a set that is only read and written as a whole.

Whoever reads it, adds something and writes it back undoes what others wrote meanwhile. The store
can prevent that for one who held a lease and lost it, if the fencing token comes with each write,
and with each read that a write will rest on: a token below the highest one seen is refused. Without
the token of the read, an old leader could still write between a new one's read and its first write.
Standard library only.

    GET  /set?token=N            {"items": [...]}, or 409 when the token is stale
    PUT  /set                    {"items": [...], "added": ITEM, "token": N, "writer": NAME}
                                 200, or 409 when the token is stale
    GET  /report                 who wrote, what was refused, which acknowledged items are gone
    POST /fencing?on=true|false  whether tokens are checked
    GET  /healthz
"""

import json
import signal
import sys
import threading
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT = 8000
TIMEOUT_S = 5
BODY_BYTES_MAX = 1 << 20
# At this size the set is counted and begun anew, so that nothing grows without bound.
ITEMS_MAX = 5_000
# Of so many leaders, the latest, is told who they were.
HISTORY_MAX = 1_000


class Store:
    """The set, and what is known of those who wrote it."""

    def __init__(self):
        self.lock = threading.Lock()
        self.fencing = True
        self.items = []
        self.acknowledged = set()
        self.counts = {"accepted": 0, "refused": 0, "backwards": 0, "shared_tokens": 0}
        self.lost = 0
        self.token_highest = 0
        self.token_last = 0
        # Writers by token, in the order in which the tokens came.
        self.writers = {}

    def read(self, token):
        """The whole set for a leader who is going to change it; none if its token is stale."""
        with self.lock:
            if self.fencing and token < self.token_highest:
                return None
            self.token_highest = max(self.token_highest, token)
            return list(self.items)

    def write(self, items, added, token, writer):
        """Takes the whole set, unless the token is stale."""
        with self.lock:
            if self.fencing and token < self.token_highest:
                self.counts["refused"] += 1
                return False
            if self.writers.setdefault(token, writer) != writer:
                self.counts["shared_tokens"] += 1
            while len(self.writers) > HISTORY_MAX:
                del self.writers[next(iter(self.writers))]
            self.counts["accepted"] += 1
            self.counts["backwards"] += token < self.token_last
            self.token_last = token
            self.token_highest = max(self.token_highest, token)
            self.items = items
            self.acknowledged.add(added)
            if len(self.items) >= ITEMS_MAX:
                self.lost += self.missing()
                self.items, self.acknowledged = [], set()
            return True

    def missing(self):
        return len(self.acknowledged.difference(self.items))

    def report(self):
        with self.lock:
            return {
                **self.counts,
                "lost": self.lost + self.missing(),
                "fencing": self.fencing,
                "token": self.token_last,
                "writer": self.writers.get(self.token_last),
                "leaders": [{"token": t, "writer": w} for t, w in self.writers.items()],
            }


STORE = Store()


class Handler(BaseHTTPRequestHandler):
    """The routes listed at the head of this file."""

    timeout = TIMEOUT_S

    def answer(self, status, body):
        body = json.dumps(body).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        if url.path == "/set":
            token = urllib.parse.parse_qs(url.query).get("token", [""])[0]
            items = STORE.read(int(token)) if token.isdecimal() else None
            if not token.isdecimal():
                self.answer(400, {"error": "bad_request"})
            elif items is None:
                self.answer(409, {"error": "stale", "highest": STORE.token_highest})
            else:
                self.answer(200, {"items": items})
        elif self.path in ("/", "/report"):
            self.answer(200, STORE.report())
        elif self.path == "/healthz":
            self.answer(200, {"ok": True})
        else:
            self.answer(404, {"error": "not_found"})

    def do_PUT(self):
        size = self.headers.get("Content-Length", "")
        if self.path != "/set":
            self.answer(404, {"error": "not_found"})
            return
        if not size.isdecimal() or int(size) > BODY_BYTES_MAX:
            self.answer(413, {"error": "too_large"})
            return
        try:
            body = json.loads(self.rfile.read(int(size)))
            items = [str(item) for item in body["items"]]
            write = items, str(body["added"]), int(body["token"]), str(body["writer"])
        except (ValueError, KeyError, TypeError):
            self.answer(400, {"error": "bad_request"})
            return
        if len(items) > ITEMS_MAX:
            self.answer(413, {"error": "too_large"})
        elif STORE.write(*write):
            self.answer(200, {"accepted": True})
        else:
            self.answer(409, {"error": "stale", "highest": STORE.token_highest})

    def do_POST(self):
        url = urllib.parse.urlsplit(self.path)
        on = urllib.parse.parse_qs(url.query).get("on", [""])[0]
        if url.path != "/fencing" or on not in ("true", "false"):
            self.answer(404, {"error": "not_found"})
            return
        STORE.fencing = on == "true"
        self.answer(200, {"fencing": STORE.fencing})

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
