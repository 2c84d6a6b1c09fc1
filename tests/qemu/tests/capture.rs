//! What goes over the wire: 250 bytes each way, and nothing else.

use std::path::Path;

use headcount::wire::{FRAME_LEN, Frame, Request, Response};
use headcount_qemu::capture::{Payload, payloads};
use headcount_qemu::site::{Site, THIS_MACHINE};

const HOST_PORT: u16 = 1688;

#[test]
fn an_exchange_with_the_hosts_firmware_is_250_bytes_each_way() {
    for transport in ["tcp", "udp"] {
        let site = Site::new();
        site.machine("machine", "station");
        let host = site.captured_host(&["answers=1"], Some("host.pcap"));
        site.activate("machine", host.address, transport).expect(3);
        host.firmware.expect(0);
        one_exchange(&site.join("host.pcap"), HOST_PORT, transport);
    }
}

#[test]
fn an_exchange_of_the_clients_firmware_is_250_bytes_each_way() {
    for transport in ["tcp", "udp"] {
        let site = Site::new();
        let host = site.program_host();
        let port = if transport == "tcp" { host.tcp } else { host.udp };
        let address = format!("{THIS_MACHINE}:{port}");
        let transport_argument = format!("transport={transport}");
        let client =
            site.captured_client("unit", &address, &[&transport_argument], Some("client.pcap"));
        client.expect(3);
        host.stop();
        one_exchange(&site.join("client.pcap"), port, transport);
    }
}

/// One request to this port and its response, by this transport, are all that the capture has.
#[track_caller]
fn one_exchange(capture: &Path, port: u16, transport: &str) {
    let payloads = payloads(capture);
    for Payload { udp, from_port, to_port, bytes } in &payloads {
        assert_eq!(*udp, transport == "udp");
        assert_ne!(*from_port == port, *to_port == port, "between a host and a client");
        assert!(!udp || bytes.len() == FRAME_LEN, "a datagram of {} bytes", bytes.len());
    }
    let request = sent(&payloads, |payload| payload.to_port == port);
    let response = sent(&payloads, |payload| payload.from_port == port);
    Request::parse(&request).expect("a request");
    Response::parse(&response).expect("a response");
}

/// All that was sent in one direction. What a slow machine sent again is taken once.
#[track_caller]
fn sent(payloads: &[Payload], direction: impl Fn(&Payload) -> bool) -> Frame {
    let mut parts: Vec<&[u8]> = Vec::new();
    for Payload { bytes, .. } in payloads.iter().filter(|payload| direction(payload)) {
        if !parts.contains(&bytes.as_slice()) {
            parts.push(bytes);
        }
    }
    let bytes = parts.concat();
    bytes.as_slice().try_into().unwrap_or_else(|_| panic!("{} bytes", bytes.len()))
}
