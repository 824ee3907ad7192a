"""A server that solves in several processes, as the poker team starts it: `python backend/equity_server.py`, on port 5001."""
import http.server
import multiprocessing
import os
import time


def solve(number):
    time.sleep(0.05)  # so that no worker takes all of them
    return os.getpid(), number * number


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        solved = pool.map(solve, range(12), chunksize=1)
        pids = sorted({pid for pid, _ in solved})
        body = f"{sum(square for _, square in solved)} {' '.join(map(str, pids))}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    pool = multiprocessing.Pool(3)
    http.server.ThreadingHTTPServer(("127.0.0.1", 5001), Handler).serve_forever()
