#!/usr/bin/env python3
"""Receives MetaHub's events and writes a build matrix. docs/build-hook.md says how to run it.

Events are data from elsewhere. Each value must match a strict grammar, in which no character means anything to a shell,
to bake or to GitHub's expressions; an event that breaks it is refused as a whole. Nothing is run here.
"""

import argparse
import hashlib
import hmac
import http.server
import json
import os
import re
import sys
import threading
import time

MAX_BODY = 128 * 1024
# GitHub runs no more jobs of one matrix.
MAX_TARGETS = 256
# The variable that MetaHub's `header_env` names too.
HEADER = "METAHUB_EVENTS_HEADER"
REASONS = {"missing_variant", "absent_tag", "nothing_fits"}

WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
TEXTS = {
    "registry": re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(?::[0-9]{1,5})?", re.ASCII),
    "repository": re.compile(rf"(?=.{{1,255}}\Z){COMPONENT}(?:/{COMPONENT})*", re.ASCII),
    "tag": re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", re.ASCII),
    "variant_tag": re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", re.ASCII),
    "index": re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}", re.ASCII),
    "machine_type": re.compile(r"[a-z0-9][a-z0-9._-]{0,127}", re.ASCII),
    "os": WORD,
    "os_version": WORD,
    "architecture": WORD,
    "variant": WORD,
}
NULLABLE = {"variant_tag", "index", "os_version", "variant"}
LISTS = {"features", "missing"}
NUMBERS = {"first_seen", "count"}
# `cpu:skylake`, `nvcap:8.6`, `gfx:gfx90a:xnack-`, a bare flag.
FEATURE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}(?::[A-Za-z0-9._:+-]{1,128})?", re.ASCII)


class Refused(Exception):
    """Why an event is refused, without a word of it."""


def unique(pairs):
    """An object in which no name stands twice: readers would differ on which counts."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Refused("a name stands twice")
    return found


def read(line):
    """The event in a line, or Refused."""
    try:
        event = json.loads(line, object_pairs_hook=unique)
    except (ValueError, RecursionError):
        raise Refused("not JSON") from None
    if not isinstance(event, dict) or set(event) != set(TEXTS) | LISTS | NUMBERS | {"reason"}:
        raise Refused("not the names that events.schema.json has")
    if not isinstance(event["reason"], str) or event["reason"] not in REASONS:
        raise Refused("reason")
    for name, grammar in TEXTS.items():
        value = event[name]
        if value is None and name in NULLABLE:
            continue
        # Not match and not $: both would let a line break pass.
        if not isinstance(value, str) or not grammar.fullmatch(value):
            raise Refused(name)
    for name in LISTS:
        value = event[name]
        if not isinstance(value, list) or len(value) > 64:
            raise Refused(name)
        if not all(isinstance(item, str) and FEATURE.fullmatch(item) for item in value):
            raise Refused(name)
    for name in NUMBERS:
        # True is an int to Python.
        if type(event[name]) is not int or not 0 <= event[name] < 2**53:
            raise Refused(name)
    return event


def target_of(event):
    """A name for what is to be built: the same for two events about the same image and machine."""
    names = ["registry", "repository", "tag", "variant_tag", "os", "os_version", "architecture", "variant", "features"]
    text = json.dumps([event[name] for name in names])
    return "v" + hashlib.sha256(text.encode()).hexdigest()[:16]


def include(target, event):
    """The item of a GitHub workflow's matrix. All values are text."""
    platform = "/".join(filter(None, [event["os"], event["architecture"], event["variant"]]))
    return {
        "target": target,
        "reason": event["reason"],
        "image": f"{event['registry']}/{event['repository']}",
        "tag": event["tag"],
        "variant_tag": event["variant_tag"] or "",
        "index": event["index"] or "",
        "platform": platform,
        "machine_type": event["machine_type"],
        "features": ",".join(event["features"]),
        "missing": ",".join(event["missing"]),
        "count": str(event["count"]),
    }


def bake(item):
    """The target of docker-bake.json. A Dockerfile gets the values as ARG, which is environment to RUN."""
    tag = item["variant_tag"] or f"{item['tag'][:100]}-{item['target']}"
    return {
        "platforms": [item["platform"]],
        "tags": [f"{item['image']}:{tag}"],
        "args": {
            "METAHUB_MACHINE_TYPE": item["machine_type"],
            "METAHUB_FEATURES": item["features"],
            "METAHUB_MISSING": item["missing"],
        },
    }


class Matrix:
    """The targets, by name, each with its event and when that came; kept in a folder."""

    def __init__(self, folder, images, keep_hours):
        self.folder, self.images, self.keep = folder, set(images), keep_hours * 3600
        self.lock = threading.Lock()
        self.targets = {}
        os.makedirs(folder, exist_ok=True)
        try:
            with open(os.path.join(folder, "events.json"), encoding="utf-8") as file:
                kept = json.load(file)
            for item in kept:
                event = read(json.dumps(item["event"]))
                self.targets[target_of(event)] = (float(item["received"]), event)
        except FileNotFoundError:
            pass
        self.write()

    def add(self, events):
        with self.lock:
            for event in events:
                if not self.images or f"{event['registry']}/{event['repository']}" in self.images:
                    self.targets[target_of(event)] = (time.time(), event)
            self.write()

    def remove(self, target):
        with self.lock:
            found = self.targets.pop(target, None) is not None
            self.write()
        return found

    def write(self):
        """Writes the files, each complete at any moment."""
        now = time.time()
        newest = sorted(self.targets.items(), key=lambda item: item[1][0], reverse=True)[:MAX_TARGETS]
        self.targets = {target: kept for target, kept in newest if now - kept[0] < self.keep}
        items = [include(target, event) for target, (_, event) in sorted(self.targets.items())]
        group = {"default": {"targets": [item["target"] for item in items]}}
        self.put("matrix.json", {"include": items})
        self.put("docker-bake.json", {"group": group, "target": {item["target"]: bake(item) for item in items}})
        self.put("events.json", [{"received": at, "event": event} for at, event in self.targets.values()])

    def put(self, name, document):
        path = os.path.join(self.folder, name)
        with open(path + ".new", "w", encoding="utf-8") as file:
            json.dump(document, file, separators=(",", ":"))
            file.write("\n")
        os.replace(path + ".new", path)


def secret():
    """Name and value of the header that callers must show, or None."""
    line = os.environ.get(HEADER, "")
    name, colon, value = line.partition(":")
    if line and not (colon and name.strip() and value.strip()):
        sys.exit(f"{HEADER} must have the name of a header, a colon and a value")
    return (name.strip(), value.strip()) if line else None


def handler_of(matrix, header):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30

        def do_POST(self):
            length = self.headers.get("Content-Length", "")
            if not length.isascii() or not length.isdigit() or int(length) > MAX_BODY:
                return self.answer(413, {"error": "a body with a Content-Length of at most 128 KiB"}, close=True)
            body = self.rfile.read(int(length))
            if not self.is_known():
                return self.answer(401, {"error": "another header is needed"})
            accepted, refused = [], []
            for line in body.splitlines():
                try:
                    accepted.append(read(line))
                except Refused as problem:
                    refused.append(str(problem))
            matrix.add(accepted)
            for problem in refused:
                print(f"refused an event: {problem}", file=sys.stderr, flush=True)
            # The rest of a batch does not suffer from a bad line; a batch of bad lines is not to come again.
            self.answer(202 if accepted else 400, {"accepted": len(accepted), "refused": refused})

        def do_GET(self):
            name = self.path.removeprefix("/")
            if not self.is_known():
                return self.answer(401, {"error": "another header is needed"})
            if name not in ("matrix.json", "docker-bake.json"):
                return self.answer(404, {"error": "there are matrix.json and docker-bake.json"})
            with open(os.path.join(matrix.folder, name), encoding="utf-8") as file:
                self.answer(200, json.load(file))

        def do_DELETE(self):
            if not self.is_known():
                return self.answer(401, {"error": "another header is needed"})
            found = matrix.remove(self.path.removeprefix("/targets/"))
            self.answer(200 if found else 404, {"removed": found})

        def is_known(self):
            if header is None:
                return True
            name, value = header
            shown = self.headers.get(name, "")
            return hmac.compare_digest(shown.strip().encode(), value.encode())

        def answer(self, status, document, close=False):
            body = json.dumps(document, separators=(",", ":")).encode() + b"\n"
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            if close:
                self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, form, *values):
            # Escaped: a request line is of the client's making.
            print(ascii(f"{self.address_string()} {form % values}")[1:-1], file=sys.stderr, flush=True)

    return Handler


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--listen", default="127.0.0.1:8088", help="address and port (default: %(default)s)")
    parser.add_argument("--out", default="matrix", help="the folder for the files (default: %(default)s)")
    parser.add_argument("--image", action="append", default=[], help="registry/repository to build; default: all")
    parser.add_argument("--keep-hours", type=float, default=24, help="without a new event (default: %(default)s)")
    options = parser.parse_args()
    host, _, port = options.listen.rpartition(":")
    matrix = Matrix(options.out, options.image, options.keep_hours)
    server = http.server.ThreadingHTTPServer((host, int(port)), handler_of(matrix, secret()))
    print(f"listening on {options.listen}, writing to {options.out}", file=sys.stderr, flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
