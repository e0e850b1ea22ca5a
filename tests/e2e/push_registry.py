"""A registry that takes what it is sent, with bad manners: for what a real one cannot be made to do.

    push_registry.py

Repositories are called MODE/anything; the mode says how they behave. Prints its port and that of a second server, the
"other host", then a line for each request: METHOD PATH AUTHORIZATION CONTENT-RANGE LENGTH ("-" where there is none). Ends
with its standard input.
"""
import hashlib
import http.server
import json
import re
import sys
import threading

PLACES = {
    "file": "file:///etc/passwd",
    "ftp": "ftp://127.0.0.1/x",
    "http": "http://registry.invalid/x",
    "nowhere": "",
    "line": "/v2/x%0d%0aHost: evil",
}
blobs = {}
uploads = {}
manifests = {}
counts = {}
lock = threading.Lock()
ports = []


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def complain(self, status, message):
        # Nothing of a body that was not read may be taken for the next request.
        self.close_connection = True
        self.answer(status, json.dumps({"errors": [{"code": "DENIED", "message": message}]}).encode())

    def count(self, key):
        with lock:
            counts[key] = counts.get(key, 0) + 1
            return counts[key]

    def handle_one(self):
        length = int(self.headers.get("Content-Length") or 0)
        authorization = self.headers.get("Authorization", "-").replace(" ", "_")
        with lock:
            print(self.command, self.path, authorization, self.headers.get("Content-Range", "-"), length, flush=True)
        path, _, query = self.path.partition("?")
        if path == "/v2/":
            return self.answer(200)
        if path == "/token":
            scopes = "+".join(re.findall(r"scope=([^&]*)", query)).replace("%3A", ":").replace("%2C", ",").replace("%2F", "/")
            return self.answer(200, json.dumps({"token": scopes}).encode())
        mode = path.split("/")[2]
        if mode == "token" and authorization == "-":
            realm = f'Bearer realm="http://127.0.0.1:{ports[0]}/token",service="s"'
            return self.answer(401, WWW_Authenticate=realm)
        if mode == "basic" and authorization == "-" and "/elsewhere/" not in path:
            return self.answer(401, WWW_Authenticate='Basic realm="x"')
        if mode == "denied":
            return self.complain(403, "no pushing on Saturdays")
        if mode == "readonly" and self.command not in ("GET", "HEAD"):
            return self.complain(405, "read-only")
        if mode == "busy" and self.count(("busy", self.command)) == 1:
            self.close_connection = True
            return self.answer(503, Retry_After="0")
        if "/uploads/" in path:
            return self.upload(mode, path, query, length)
        if "/blobs/" in path:
            blob = blobs.get(path.rsplit("/", 1)[1])
            return self.answer(200, Content_Length=str(len(blob))) if blob is not None else self.answer(404)
        return self.manifest(mode, path, length)

    def manifest(self, mode, path, length):
        if self.command in ("GET", "HEAD"):
            found = manifests.get(path)
            return self.answer(404) if found is None else self.answer(200, found)
        body = self.rfile.read(length)
        if mode == "refuses":
            return self.complain(400, "manifest invalid")
        manifests[path] = body
        digest = "sha256:" + hashlib.sha256(body).hexdigest()
        headers = {"Docker_Content_Digest": "sha256:" + "0" * 64 if mode == "lies" else digest}
        subject = json.loads(body).get("subject")
        if mode == "subject" and subject:
            headers["OCI_Subject"] = subject["digest"]
        self.answer(201, **headers)

    def endless(self, status):
        """An answer that goes on until nobody listens."""
        self.close_connection = True
        self.send_response(status)
        self.end_headers()
        try:
            while True:
                self.wfile.write(b" " * 65536)
        except OSError:
            pass

    def upload(self, mode, path, query, length):
        if mode == "endless":
            return self.endless(202)
        if mode == "grumbles":
            return self.endless(400)
        if mode == "corrects":
            # Whatever it is sent, it is somewhere else.
            self.rfile.read(length)
            if self.command == "POST":
                return self.answer(202, Location=path)
            return self.answer(416 if self.command != "GET" else 204, Location=path, Range="0-5")
        if mode == "beyond":
            self.rfile.read(length)
            if self.command == "POST":
                return self.answer(202, Location=path)
            return self.answer(416 if self.command != "GET" else 204, Location=path, Range="0-99999999999999999999")
        if mode in PLACES:
            return self.answer(202, Location=PLACES[mode])
        if self.command == "POST":
            number = str(self.count("uploads"))
            uploads[number] = b""
            host = f"http://127.0.0.1:{ports[1]}" if mode == "basic" else ""
            where = f"/v2/{mode}/elsewhere/blobs/uploads/{number}?state=x"
            extra = {"OCI_Chunk_Min_Length": "1000000"} if mode == "pieces" else {}
            return self.answer(202, Location=host + where, **extra)
        number = path.rsplit("/", 1)[1]
        if mode == "loses" or number not in uploads:
            return self.complain(404, "upload unknown")
        if self.command == "GET":
            return self.answer(204, Location=self.path, Range=f"0-{max(len(uploads[number]) - 1, 0)}")
        if mode in ("pieces", "small") and length > (1000000 if mode == "pieces" else 0):
            return self.complain(413, "too large")
        # The line breaks in the middle of the first body that is large enough.
        if mode in ("breaks", "forgets") and length > 100000 and self.count((mode, "broken")) == 1:
            uploads[number] += self.rfile.read(length // 2)
            if mode == "forgets":
                del uploads[number]
            self.close_connection = True
            return self.connection.close()
        start = int(self.headers.get("Content-Range", "0-").split("-")[0])
        if self.headers.get("Content-Range") and start != len(uploads[number]):
            return self.complain(416, "out of order")
        uploads[number] += self.rfile.read(length)
        if self.command == "PATCH":
            return self.answer(202, Location=self.path, Range=f"0-{len(uploads[number]) - 1}")
        digest = re.search(r"digest=([^&]*)", query).group(1).replace("%3A", ":")
        content = uploads.pop(number)
        if digest != "sha256:" + hashlib.sha256(content).hexdigest():
            return self.complain(400, "digest invalid")
        blobs[digest] = content
        self.answer(201)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = handle_one


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass


servers = [Server(("127.0.0.1", 0), Handler) for _ in range(2)]
ports += [server.server_address[1] for server in servers]
for server in servers:
    threading.Thread(target=server.serve_forever, daemon=True).start()
print(ports[0], ports[1], flush=True)
sys.stdin.read()
