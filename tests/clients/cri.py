#!/usr/bin/python3
"""Usage: cri.py SOCKET METHOD JSON

What the kubelet says to a node's container runtime: one call of the Container Runtime Interface (CRI, version 1). Its answer
is printed as JSON, of which only the fields below are known. Debian has no client of it.
"""
import json
import sys

import grpc

# A message is its fields: name -> (number, type). A type is a message, or int, str, bytes, or a list of one of these.
NAMESPACES = {"network": (1, int), "pid": (2, int), "ipc": (3, int)}
RESOURCES = {"cpu_period": (1, int), "cpu_quota": (2, int), "cpu_shares": (3, int), "memory_limit_in_bytes": (4, int)}
SANDBOX = {
    "metadata": (1, {"name": (1, str), "uid": (2, str), "namespace": (3, str)}),
    "hostname": (2, str),
    "log_directory": (3, str),
    "linux": (8, {"cgroup_parent": (1, str), "security_context": (2, {"namespace_options": (1, NAMESPACES)})}),
}
CONTAINER = {
    "metadata": (1, {"name": (1, str)}),
    "image": (2, {"image": (1, str)}),
    "command": (3, [str]),
    "log_path": (11, str),
    "linux": (15, {"resources": (1, RESOURCES), "security_context": (2, {"namespace_options": (3, NAMESPACES)})}),
}
POD_ID, CONTAINER_ID = {"pod_sandbox_id": (1, str)}, {"container_id": (1, str)}
METHODS = {
    "RunPodSandbox": ({"config": (1, SANDBOX), "runtime_handler": (2, str)}, POD_ID),
    "CreateContainer": (POD_ID | {"config": (2, CONTAINER), "sandbox_config": (3, SANDBOX)}, CONTAINER_ID),
    "StartContainer": (CONTAINER_ID, {}),
    "UpdateContainerResources": (CONTAINER_ID | {"linux": (2, RESOURCES)}, {}),
    "ExecSync": (CONTAINER_ID | {"cmd": (2, [str]), "timeout": (3, int)},
                 {"stdout": (1, str), "stderr": (2, str), "exit_code": (3, int)}),
    "ContainerStatus": (CONTAINER_ID, {"status": (1, {"state": (3, int), "exit_code": (7, int), "reason": (10, str)})}),
    "StopContainer": (CONTAINER_ID | {"timeout": (2, int)}, {}),
    "RemoveContainer": (CONTAINER_ID, {}),
    "StopPodSandbox": (POD_ID, {}),
    "RemovePodSandbox": (POD_ID, {}),
}


def varint(number):
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out) + bytes([number])


def encode(message, value):
    out = b""
    for name, content in value.items():
        number, kind = message[name]
        for one in content if isinstance(kind, list) else [content]:
            if kind is int:
                out += varint(number << 3) + varint(one)
            else:
                data = encode(kind, one) if isinstance(kind, dict) else one.encode()
                out += varint(number << 3 | 2) + varint(len(data)) + data
    return out


def decode(message, data):
    known = {number: (name, kind) for name, (number, kind) in message.items()}
    # What is nought is not sent.
    value = {name: 0 if kind is int else "" for name, kind in known.values() if not isinstance(kind, dict)}
    at = 0

    def number():
        nonlocal at
        shift = out = 0
        while True:
            byte = data[at]
            at += 1
            out |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return out

    while at < len(data):
        key = number()
        if key & 7 == 0:
            content = number()
        else:
            length = number()
            content = data[at:at + length]
            at += length
        if key >> 3 in known:
            name, kind = known[key >> 3]
            value[name] = decode(kind, content) if isinstance(kind, dict) else content if kind is int else content.decode()
    return value


socket, method, text = sys.argv[1:]
request, response = METHODS[method]
call = grpc.insecure_channel("unix:" + socket).unary_unary("/runtime.v1.RuntimeService/" + method)
try:
    print(json.dumps(decode(response, call(encode(request, json.loads(text)), timeout=60))))
except grpc.RpcError as error:
    sys.exit(f"{method}: {error.details()}")
