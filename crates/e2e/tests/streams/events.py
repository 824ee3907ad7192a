"""Event streams for many: GET /publish/TEXT sends TEXT to all who listen on /events and answers with their number."""
import asyncio, os

listeners = set()


async def serve(reader, writer):
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ")[1].decode()
            if path == "/events":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
                listeners.add(writer)
                await reader.read()
                return
            data = ("data: %s\n\n" % path.rsplit("/", 1)[1]).encode()
            for listener in listeners:
                listener.write(b"%x\r\n%s\r\n" % (len(data), data))
            body = b"%d" % len(listeners)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        listeners.discard(writer)
        writer.close()


async def main():
    server = await asyncio.start_server(serve, os.environ["HOST"], int(os.environ["PORT"]), backlog=1024)
    await server.serve_forever()

asyncio.run(main())
