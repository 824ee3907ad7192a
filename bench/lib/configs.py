"""Configurations of the peers, as proxies and as the server behind all proxies. Same features on every side:
access log with the fields of OBS-27, a request id made and passed on, forwarded headers, upstream keepalive."""

HOST = "bench.localhost"
JSON_BODY = '{"id":1234567,"name":"a small answer of one hundred bytes","ok":true,"tags":["alpha","beta","gamm"]}'
assert len(JSON_BODY) == 100

ECHOED = ["x-request-id", "x-real-ip", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "host"]

_LOG_FIELDS = {
    "time": "$time_iso8601", "client": "$remote_addr", "method": "$request_method", "host": "$host",
    "path": "$request_uri", "status": "$status", "bytes": "$body_bytes_sent", "upstream": "$upstream_addr",
    "upstream_time": "$upstream_response_time", "total_time": "$request_time", "tls": "$ssl_protocol",
    "cache": "$upstream_cache_status", "id": "$request_id",
}

_NGINX_COMMON = """
user www-data;
worker_processes 1;
worker_rlimit_nofile {files};
pid /mnt/{name}.pid;
error_log stderr warn;
events {{ worker_connections {files}; }}
http {{
    default_type application/octet-stream;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
"""


def nginx(name: str, port: int, backend: int, files: int, log: str = "buffer=64k flush=1s", extra: str = "",
          server: str = "", http: str = "") -> str:
    """nginx as a proxy; `log` are the options of its access log, `extra` goes into the location, `server` before it, `http` before its
    server."""
    fields = ",".join(f'"{key}":"{value}"' for key, value in _LOG_FIELDS.items())
    return _NGINX_COMMON.format(name=name, files=files) + f"""
    log_format json escape=json '{{{fields}}}';
    access_log /mnt/{name}.access.log json {log};
    {http}
    upstream backend {{
        server 127.0.0.1:{backend};
        keepalive 1024;
        keepalive_requests 1000000000;
        keepalive_timeout 600s;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        server_name {HOST};
        {server}
        location / {{
            proxy_pass http://backend;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $http_host;
            proxy_set_header X-Request-Id $request_id;
            {extra}
        }}
    }}
}}
"""


def nginx_files(port: int, files: int, headers: dict[str, str], https: int | None = None) -> str:
    """nginx with the run's files: descriptors and heads kept open, access log the cheap way, these headers added; with `https`
    also over TLS on that port."""
    tls = f"""
        listen 127.0.0.1:{https} ssl backlog=4096;
        ssl_certificate /mnt/tls/cert.pem;
        ssl_certificate_key /mnt/tls/key.pem;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_session_tickets on;""" if https else ""
    fields = ",".join(f'"{key}":"{value}"' for key, value in _LOG_FIELDS.items())
    added = "\n".join(f'        add_header {name} "{value}" always;' for name, value in headers.items())
    return _NGINX_COMMON.format(name="nginx", files=files) + f"""
    open_file_cache max=1000 inactive=60s;
    open_file_cache_valid 1s;
    log_format json escape=json '{{{fields}}}';
    access_log /mnt/nginx.access.log json buffer=64k flush=1s;
    server {{
        listen 127.0.0.1:{port} backlog=4096;{tls}
        server_name {HOST};
        root /mnt/files;
        add_header X-Request-Id $request_id always;
{added}
    }}
}}
"""


def nginx_backend(port: int, files: int) -> str:
    """nginx as the server behind: 100 bytes of JSON, files from the run's tmpfs, and `/echo`, which says what reached it."""
    echo = "\\n".join(f"{name}=$http_{name.replace('-', '_')}" for name in ECHOED)
    return _NGINX_COMMON.format(name="backend", files=files) + f"""
    access_log off;
    open_file_cache max=100;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location = /json {{ default_type application/json; return 200 '{JSON_BODY}'; }}
        location = /echo {{
            default_type text/plain;
            return 200 "{echo}\\nconnection=$connection\\nrequests=$connection_requests\\n";
        }}
        location / {{ root /mnt/files; }}
    }}
}}
"""


def haproxy(port: int, backend: int, connections: int, extra: str = "") -> str:
    """HAProxy as a proxy; `extra` goes into its defaults. Its access log is written to its standard output, which is a file."""
    fields = {
        "time": "%trg", "client": "%ci", "method": "%HM", "host": "%[capture.req.hdr(0)]", "path": "%HU",
        "status": "%ST", "bytes": "%B", "upstream": "%si:%sp", "upstream_time": "%Tr", "total_time": "%Ta",
        "tls": "%sslv", "cache": "-", "id": "%ID",
    }
    log = ",".join(f'"{key}":"{value}"' for key, value in fields.items())
    return f"""
global
    nbthread 1
    maxconn {connections}
    log stdout format raw local0
    user haproxy
    group haproxy
defaults
    mode http
    log global
    option dontlognull
    log-format '{{{log}}}'
    timeout connect 5s
    timeout client 600s
    timeout server 600s
    timeout http-keep-alive 600s
    unique-id-format %[uuid()]
    {extra}
frontend front
    bind 127.0.0.1:{port} backlog 4096
    maxconn {connections}
    http-request capture req.hdr(host) len 64
    unique-id-header X-Request-Id
    option forwardfor
    http-request set-header X-Real-IP %[src]
    http-request set-header X-Forwarded-Proto http
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    default_backend back
backend back
    http-reuse always
    server one 127.0.0.1:{backend} pool-max-conn -1
"""


def haproxy_tls(plain: int, port: int, connections: int) -> str:
    """HAProxy answering the small file over TLS."""
    front = haproxy(plain, plain, connections)
    return front.replace(
        f"bind 127.0.0.1:{plain} backlog 4096",
        f"bind 127.0.0.1:{plain} backlog 4096\n    bind 127.0.0.1:{port} ssl crt /mnt/tls/both.pem alpn http/1.1 backlog 4096",
    ).replace(
        "default_backend back",
        "http-request return status 200 content-type application/octet-stream file /mnt/files/1k\n    default_backend back",
    )
