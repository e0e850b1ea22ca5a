"""A proxy that speaks CONNECT: connect_proxy.py PORT LOG TARGET_PORT

Whatever host is asked for, it connects to 127.0.0.1:TARGET_PORT. The whole head of each request goes to LOG.
"""
import socket
import sys
import threading

port, log, target = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])


def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    finally:
        try:
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def serve(client):
    head = b""
    while b"\r\n\r\n" not in head:
        data = client.recv(4096)
        if not data:
            return
        head += data
    with open(log, "ab") as file:
        file.write(head)
    server = socket.create_connection(("127.0.0.1", target))
    if head.startswith(b"CONNECT "):
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
    else:
        # A plain request has the whole address in it; the server wants the path alone.
        method, address, rest = head.split(b" ", 2)
        server.sendall(method + b" /" + address.split(b"/", 3)[3] + b" " + rest)
    threading.Thread(target=pump, args=(client, server), daemon=True).start()
    pump(server, client)


listener = socket.create_server(("127.0.0.1", port))
while True:
    connection, _ = listener.accept()
    threading.Thread(target=serve, args=(connection,), daemon=True).start()
