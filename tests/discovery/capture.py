#!/usr/bin/env python3
"""Captures the answers in this directory again: tests/discovery/capture.py

Starts a BIND 9 and a dnsmasq (Debian's packages bind9 and dnsmasq-base) with the names below on
loopback ports, asks them, and writes what was asked and what came. README.md lists the cases. Needs
nothing else but Python, and no privileges.
"""

import os
import pathlib
import random
import socket
import struct
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
TYPES = {"A": 1, "AAAA": 28, "SRV": 33}
SERVICE = "_headcount._tcp.example.com"

ZONE = """
$ORIGIN example.com.
$TTL 3600
@ SOA ns hostmaster 7 3600 600 86400 300
@ NS ns
ns A 192.0.2.53
host1 A 192.0.2.1
host1 A 192.0.2.101
host1 AAAA 2001:db8::1
host2 600 A 192.0.2.2
HOST3 AAAA 2001:db8::3
_headcount._tcp 120 SRV 10 60 1688 host1
_headcount._tcp 120 SRV 10 20 1688 host2
_headcount._tcp 120 SRV 20 0 11688 HOST3
_headcount._tcp 120 SRV 20 0 1688 host.example.net.
_headcount._tcp.alias 60 CNAME _headcount._tcp.step
_headcount._tcp.step 30 CNAME _headcount._tcp
_headcount._tcp.none SRV 0 0 0 .
_headcount._tcp.odd SRV 1 2 3 two\\032words
_headcount._tcp.odd SRV 4 5 6 host1
www CNAME www2
www2 40 CNAME host1
loop1 CNAME loop2
loop2 CNAME loop1
chain0 CNAME host1
""" + "".join(
    f"chain{n} CNAME chain{n - 1}\n" for n in range(1, 9)
) + "".join(
    f"_headcount._tcp.many SRV {n} {n} 1688 a-host-with-a-rather-long-name-{n}\n" for n in range(60)
)

CONF = """
options {{
    directory "."; pid-file none; session-keyfile none; recursion no; check-names primary ignore;
    listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; rrset-order {{ order none; }};
}};
controls {{ }};
zone "example.com" {{ type primary; file "zone"; }};
zone "broken.example" {{ type primary; file "there-is-no-such-file"; }};
"""

# What small routers run. It writes messages in another way: names of additional records point into
# the data of SRV records, and there is no SOA record with what does not exist.
DNSMASQ = """
keep-in-foreground
no-daemon
port={port}
listen-address=127.0.0.1
bind-interfaces
no-resolv
no-hosts
no-poll
conf-file=/dev/null
pid-file=
user=
local=/example.com/
local-ttl=60
host-record=host1.example.com,192.0.2.1,2001:db8::1
host-record=host2.example.com,192.0.2.2
srv-host=_headcount._tcp.example.com,host1.example.com,1688,10,60
srv-host=_headcount._tcp.example.com,host2.example.com,1688,10,20
cname=www.example.com,host1.example.com
"""

# File name, name, type, by TCP.
CASES = [
    ("srv", SERVICE, "SRV", False),
    ("srv-alias", "_headcount._tcp.alias.example.com", "SRV", False),
    ("srv-none", "_headcount._tcp.none.example.com", "SRV", False),
    ("srv-odd", "_headcount._tcp.odd.example.com", "SRV", False),
    ("srv-truncated", "_headcount._tcp.many.example.com", "SRV", False),
    ("srv-many", "_headcount._tcp.many.example.com", "SRV", True),
    ("srv-nxdomain", "_headcount._tcp.nowhere.example.com", "SRV", False),
    ("srv-nodata", "host1.example.com", "SRV", False),
    ("srv-refused", "_headcount._tcp.example.org", "SRV", False),
    ("srv-servfail", "_headcount._tcp.broken.example", "SRV", False),
    ("a", "host1.example.com", "A", False),
    ("a-alias", "www.example.com", "A", False),
    ("a-loop", "loop1.example.com", "A", False),
    ("a-chain-8", "chain7.example.com", "A", False),
    ("a-chain-9", "chain8.example.com", "A", False),
    ("a-nodata", "host3.example.com", "A", False),
    ("aaaa", "host1.example.com", "AAAA", False),
    ("aaaa-upper", "host3.example.com", "AAAA", False),
]

DNSMASQ_CASES = [
    ("dnsmasq-srv", SERVICE, "SRV", False),
    ("dnsmasq-a-alias", "www.example.com", "A", False),
    ("dnsmasq-nxdomain", "_headcount._udp.example.com", "SRV", False),
]


def query(name, kind, source):
    """As `Query::new` writes it: a random id, letters in random case, RD, an OPT record."""
    mixed = "".join(source.choice((c.lower(), c.upper())) for c in name)
    labels = b"".join(bytes([len(label)]) + label.encode() for label in mixed.split("."))
    header = struct.pack(">6H", source.randrange(65536), 0x0100, 1, 0, 0, 1)
    question = labels + b"\0" + struct.pack(">2H", TYPES[kind], 1)
    return header + question + b"\0" + struct.pack(">HHIH", 41, 1232, 0, 0)


def ask_udp(address, message):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(1)
        udp.connect(address)
        udp.send(message)
        return udp.recv(65535)


def ask_tcp(address, message):
    with socket.create_connection(address, 5) as tcp:
        tcp.sendall(struct.pack(">H", len(message)) + message)
        stream = tcp.makefile("rb")
        (length,) = struct.unpack(">H", stream.read(2))
        return stream.read(length)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def capture(command, port, cases, source):
    """Starts the server, waits until it answers, and asks."""
    address = ("127.0.0.1", port)
    log = pathlib.Path("log")
    server = subprocess.Popen(command, stdout=log.open("w"), stderr=subprocess.STDOUT)
    try:
        for _ in range(50):
            try:
                ask_udp(address, query("example.com", "A", random.Random(1)))
                break
            except OSError:
                time.sleep(0.1)
        else:
            sys.exit(log.read_text())
        for file, name, kind, tcp in cases:
            message = query(name, kind, source)
            answer = (ask_tcp if tcp else ask_udp)(address, message)
            (HERE / f"{file}.query.bin").write_bytes(message)
            (HERE / f"{file}.answer.bin").write_bytes(answer)
            print(f"{file}: {len(message)} bytes asked, {len(answer)} came")
    finally:
        server.terminate()
        server.wait(10)


def main():
    # The same ids and cases every time, so that only what has changed differs.
    source = random.Random(12)
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        port = free_port()
        pathlib.Path("zone").write_text(ZONE)
        pathlib.Path("named.conf").write_text(CONF.format(port=port))
        named = ["/usr/sbin/named", "-4", "-n1", "-g", "-c", "named.conf"]
        capture(named, port, CASES, source)
        port = free_port()
        pathlib.Path("dnsmasq.conf").write_text(DNSMASQ.format(port=port))
        capture(["/usr/sbin/dnsmasq", "-C", "dnsmasq.conf"], port, DNSMASQ_CASES, source)
        os.chdir(HERE)


if __name__ == "__main__":
    main()
