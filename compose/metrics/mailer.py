"""One of the two applications of the recipe metrics: it says by statsd what it does.

It knows one address, localhost:9125, and nothing of Prometheus. Standard library only.

    GET  /                  what it sent so far; the truth to compare metrics with
    POST /burst?count=N     N lines that add to one counter, as fast as it can
    POST /flood?count=N     N lines with names and tags that never were before, as in an attack, or
                            by the mistake of making a tag of a user's number
    GET  /healthz
"""

import json
import random
import signal
import socket
import sys
import threading
import time
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT = 8000
STATSD = ("127.0.0.1", 9125)
TIMEOUT_S = 5
COUNT_MAX = 10_000_000
# Mails that go out by themselves.
MAIL_EVERY_S = 0.1
# Lines of a datagram.
PACKED = 20
REGIONS = ("eu", "us")
TEMPLATES = ("receipt", "welcome")


class Mailer:
    """The work, and the lines that tell of it."""

    def __init__(self):
        self.lock = threading.Lock()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.counts = {"sent": 0, "lines": 0, "datagrams": 0, "burst": 0, "flood": 0}

    def say(self, lines):
        """One datagram. Whether anybody listens is not its business: that is statsd."""
        try:
            self.socket.sendto("\n".join(lines).encode(), STATSD)
        except OSError:
            return
        self.counts["lines"] += len(lines)
        self.counts["datagrams"] += 1

    def mail(self):
        region, template = random.choice(REGIONS), random.choice(TEMPLATES)
        took_ms = random.lognormvariate(4, 0.7)
        with self.lock:
            self.counts["sent"] += 1
            self.say([
                # DogStatsD: labels as tags.
                f"mailer.sent:1|c|#template:{template},region:{region}",
                # Plain statsd: labels in the name. The mapping takes them out.
                f"mailer.smtp.{region}.delivery:{took_ms:.3f}|ms",
                # One in ten is sent and counts for ten.
                f"mailer.debug.{template}:1|c|@0.1",
                f"mailer.queue:{random.randrange(50)}|g",
                f"mailer.recipients:user{random.randrange(100)}|s",
            ])

    def run(self):
        while True:
            self.mail()
            time.sleep(MAIL_EVERY_S)

    def burst(self, count):
        for start in range(0, count, PACKED):
            size = min(PACKED, count - start)
            with self.lock:
                self.say(["mailer.burst:1|c"] * size)
                self.counts["burst"] += size

    def flood(self, count):
        run = f"{random.getrandbits(32):08x}"
        for start in range(0, count, PACKED):
            numbers = range(start, min(start + PACKED, count))
            lines = [
                f"mailer.opened:1|c|#user:{run}-{number}"
                if number % 2
                else f"mailer.user-{run}-{number}.opened:1|c"
                for number in numbers
            ]
            with self.lock:
                self.say(lines)
                self.counts["flood"] += len(lines)


MAILER = Mailer()


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
        if self.path == "/":
            self.answer(200, MAILER.counts)
        elif self.path == "/healthz":
            self.answer(200, {"ok": True})
        else:
            self.answer(404, {"error": "no such page"})

    def do_POST(self):
        url = urllib.parse.urlsplit(self.path)
        work = {"/burst": MAILER.burst, "/flood": MAILER.flood}.get(url.path)
        count = urllib.parse.parse_qs(url.query).get("count", [""])[0]
        if work is None:
            self.answer(404, {"error": "no such page"})
        elif not count.isdecimal() or int(count) > COUNT_MAX:
            self.answer(400, {"error": f"count is a number up to {COUNT_MAX}"})
        else:
            work(int(count))
            self.answer(200, MAILER.counts)

    def log_message(self, *_):
        """Silent: the health check alone would fill the log."""


def main():
    if sys.argv[1:] == ["healthcheck"]:
        urllib.request.urlopen(f"http://127.0.0.1:{PORT}/healthz", timeout=TIMEOUT_S)
        return
    # As process 1 it would otherwise ignore the signal and be killed after the grace period.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    threading.Thread(target=MAILER.run, daemon=True).start()
    ThreadingHTTPServer(("0.0.0.0", PORT), Handler).serve_forever()


if __name__ == "__main__":
    main()
