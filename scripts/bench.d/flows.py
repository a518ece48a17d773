"""Makes tracked connections: flows.py COUNT. Each is one of UDP that lasts an hour, told by nfnetlink
(include/uapi/linux/netfilter/nfnetlink_conntrack.h)."""

import ipaddress
import socket
import struct
import sys

NEW = 1 << 8  # NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_NEW
REQUEST, CREATE, EXCLUSIVE = 1, 0x400, 0x200
NESTED = 0x8000


def attribute(kind, value):
    padding = -len(value) % 4
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(padding)


def tuple_of(kind, source, destination, ports):
    addresses = attribute(1, source) + attribute(2, destination)
    protocol = attribute(1, b"\x11") + attribute(2, struct.pack(">H", ports[0])) + attribute(3, struct.pack(">H", ports[1]))
    return attribute(kind | NESTED, attribute(1 | NESTED, addresses) + attribute(2 | NESTED, protocol))


def flow(number):
    source = (int(ipaddress.ip_address("22.0.0.0")) + number).to_bytes(4, "big")
    destination = ipaddress.ip_address("23.0.0.1").packed
    there = tuple_of(1, source, destination, (4000, 443))
    back = tuple_of(2, destination, source, (443, 4000))
    body = struct.pack("=BBH", socket.AF_INET, 0, 0) + there + back + attribute(7, struct.pack(">I", 3600))
    return struct.pack("=IHHII", 16 + len(body), NEW, REQUEST | CREATE | EXCLUSIVE, 0, 0) + body


def main():
    netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
    netlink.bind((0, 0))
    count = int(sys.argv[1])
    for first in range(0, count, 500):
        netlink.send(b"".join(flow(number) for number in range(first, min(first + 500, count))))


main()
