"""An app for tests of data services. /env gives its environment as JSON; /sql/STATEMENT (percent-encoded) what the database answers to
it, in the server's own client and with the app's own account, or 503 with what the client said; /pid its process id.
"""
import http.server, json, os, subprocess, urllib.parse


def ask(statement):
    env = os.environ
    client = ["mariadb", "--no-defaults", "--protocol=tcp", "--connect-timeout=3", "--batch", "--skip-column-names"]
    client += ["--host=" + env["DB_HOST"], "--port=" + env["DB_PORT"], "--user=" + env["DB_USER"], env["DB_NAME"]]
    if "DB_SSL_CA" in env:
        client += ["--ssl-ca=" + env["DB_SSL_CA"], "--ssl-verify-server-cert"]
    asked = dict(env, MYSQL_PWD=env["DB_PASSWORD"])
    done = subprocess.run(client, input=statement.encode(), env=asked, capture_output=True)
    return (200, done.stdout) if done.returncode == 0 else (503, done.stderr)


class App(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path.startswith("/sql/"):
            status, body = ask(urllib.parse.unquote(self.path[5:]))
        elif self.path == "/health":
            status, body = ask("select 1")
        else:
            status, body = 200, (str(os.getpid()) if self.path == "/pid" else json.dumps(dict(os.environ))).encode()
        if status != 200:
            print(body.decode().strip(), flush=True)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), App).serve_forever()
