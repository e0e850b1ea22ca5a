"""A registry with bad manners, for what a real one cannot be made to do.

    mock_registry.py LAYOUT

Serves the one image of an OCI layout as /v2/MODE/app; the mode says how. Prints its port, then one line for each
request: METHOD PATH AUTHORIZATION RANGE ("-" where there is none). A second server, the "other host", listens on the
port printed second.
"""
import http.server
import json
import os
import sys
import threading
import time
import urllib.parse

LAYOUT = sys.argv[1]
PARTS = ("ranges", "token-ranges", "hangup", "toc-only", "toc-416", "toc-403", "toc-503", "toc-shifted", "toc-unsaid", "toc-spoiled", "toc-long",
         "toc-short", "spoiled-toc")
seen = {}
lock = threading.Lock()


def blob(digest):
    with open(os.path.join(LAYOUT, "blobs", *digest.split(":")), "rb") as file:
        return file.read()


def manifest():
    with open(os.path.join(LAYOUT, "index.json")) as file:
        return json.load(file)["manifests"][0]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", headers.pop("length", len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            pass

    def count(self, key):
        with lock:
            seen[key] = seen.get(key, 0) + 1
            return seen[key]

    # A part of a layer. "toc-…" gives the first one that is asked for, the table, and then does something else.
    def answer_part(self, mode, body):
        begin, _, end = self.headers["Range"].removeprefix("bytes=").partition("-")
        begin, end = int(begin), int(end) + 1 if end else len(body)
        part = body[begin:end]
        said = f"bytes {begin}-{end - 1}/{len(body)}"
        nth = self.count((mode, "part"))
        bad = mode.removeprefix("toc-") if nth > 1 and end < len(body) else ""
        if bad == "only":
            return self.answer(200, body)
        if bad in ("416", "403", "503") or mode == "toc-503" and nth > 1:
            return self.answer(int(mode.removeprefix("toc-")), b"{}")
        if bad == "shifted":
            said = f"bytes {begin + 1}-{end}/{len(body)}"
        if bad == "unsaid":
            return self.answer(206, part)
        if bad == "spoiled" or mode == "spoiled-toc" and nth == 1:
            part = bytes(byte ^ 1 for byte in part)
        if bad == "long":
            part += b"x" * 1000
        if bad == "short":
            part = part[: len(part) // 2]
        if bad == "hangup" and nth == 2:
            self.answer(206, part[: len(part) // 2], Content_Range=said, length=len(part))
            self.close_connection = True
            return None
        return self.answer(206, part, Content_Range=said)

    # OAuth2 of a token server: only who shows the token of a login gets one for a repository.
    def do_POST(self):
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        wanted = {"grant_type": "refresh_token", "refresh_token": "remember me+", "service": "s",
                  "scope": "repository:oauth/app:pull"}
        if all(form.get(name) == [value] for name, value in wanted.items()):
            return self.answer(200, json.dumps({"access_token": "refreshed"}).encode())
        return self.answer(401, b"{}")

    def do_GET(self):
        authorization = self.headers.get("Authorization", "-").replace(" ", "_")
        line = f"GET {self.path} {authorization} {self.headers.get('Range', '-')}\n"
        with lock:
            sys.stdout.write(line)
            sys.stdout.flush()
        parts = self.path.split("?")[0].split("/")
        if self.path == "/v2/":
            return self.answer(200, b"{}")
        if parts[1] == "token":
            return self.answer(200, json.dumps({"token": "t0ken"}).encode())
        if parts[1] == "stolen":
            return self.answer(200, blob(parts[2]))
        _, _, mode, _, kind, what = parts
        is_layer = kind == "blobs" and what in layer_digests
        try_number = self.count((mode, kind, what))
        if mode == "oauth" and authorization != "Bearer_refreshed":
            return self.answer(401, b"{}", WWW_Authenticate=f'Bearer realm="http://127.0.0.1:{ports[0]}/token",service="s"')
        if mode in ("token", "token-ranges", "basic") and authorization == "-":
            challenge = (
                'Basic realm="x"' if mode == "basic" else f'Bearer realm="http://127.0.0.1:{ports[0]}/token",service="s"'
            )
            return self.answer(401, b"{}", WWW_Authenticate=challenge)
        if mode == "evilrealm":
            return self.answer(401, b"{}", WWW_Authenticate='Bearer realm="gopher://127.0.0.1/token"')
        if mode.isdigit():
            return self.answer(int(mode), b"{}")
        if mode == "quota":
            text = "You have reached your pull rate limit. You may increase the limit by authenticating and upgrading."
            body = json.dumps({"errors": [{"code": "TOOMANYREQUESTS", "message": text}]}).encode()
            return self.answer(429, body, Retry_After="3600")
        if mode == "busy" and try_number == 1:
            return self.answer(429, b"{}", Retry_After="0")
        if mode == "loop":
            return self.answer(307, Location=self.path)
        if mode == "ftp" and is_layer:
            return self.answer(307, Location="file:///etc/passwd")
        if is_layer and mode in ("elsewhere", "basic"):
            return self.answer(307, Location=f"http://127.0.0.1:{ports[1]}/stolen/{what}")
        body = blob(what) if ":" in what else blob(manifest()["digest"])
        if is_layer and mode == "slow":
            time.sleep(0.5)
        if mode == "lie" and kind == "manifests":
            body = body.replace(b"2", b"3", 1)
        if is_layer and mode == "endless":
            body = body + b"x" * 50_000_000
        if is_layer and mode == "short":
            return self.answer(200, body[: len(body) // 2])
        if is_layer and "Range" in self.headers and mode in PARTS:
            return self.answer_part(mode, body)
        if is_layer and mode in ("broken", "norange"):
            start = self.headers.get("Range", "bytes=0-")[6:-1]
            if try_number == 1:
                # Promises all and hangs up half-way.
                self.answer(200, body[: len(body) // 2], length=len(body))
                self.close_connection = True
                return None
            if mode == "broken" and int(start) > 0:
                return self.answer(206, body[int(start) :])
        return self.answer(200, body)


layer_digests = {layer["digest"] for layer in json.loads(blob(manifest()["digest"]))["layers"]}
servers = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) for _ in range(2)]
ports = [server.server_address[1] for server in servers]
print(*ports, flush=True)
threading.Thread(target=servers[1].serve_forever, daemon=True).start()
threading.Thread(target=servers[0].serve_forever, daemon=True).start()
# The test holds our standard input; when it ends, so do we.
sys.stdin.read()
