//! A name server without a network: zones in, answers out. Names are not compressed; what a real
//! server does to them is in the captured answers and in the tests with a real server.

use std::net::IpAddr;

use headcount::discovery::DomainName;

pub(crate) const SRV: u16 = 33;

/// A record that a zone has.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) owner: String,
    pub(crate) ttl: u32,
    pub(crate) data: Data,
}

#[derive(Clone, Debug)]
pub(crate) enum Data {
    Service { priority: u16, weight: u16, port: u16, target: String },
    Address(IpAddr),
}

/// What a server has to tell.
#[derive(Clone, Debug, Default)]
pub(crate) struct NameServer {
    pub(crate) records: Vec<Record>,
    /// Whether addresses of targets come along.
    pub(crate) adds_addresses: bool,
}

impl NameServer {
    pub(crate) fn service(&mut self, domain: &str, host: (u16, u16, u16, &str), ttl: u32) {
        let (priority, weight, port, target) = host;
        self.records.push(Record {
            owner: format!("_headcount._tcp.{domain}"),
            ttl,
            data: Data::Service { priority, weight, port, target: target.into() },
        });
    }

    pub(crate) fn address(&mut self, owner: &str, address: &str) {
        let data = Data::Address(address.parse().unwrap());
        self.records.push(Record { owner: owner.into(), ttl: 300, data });
    }

    /// All addresses of a name.
    pub(crate) fn look_up(&self, name: &DomainName) -> Vec<IpAddr> {
        self.of(name.as_str(), |data| matches!(data, Data::Address(_)))
            .filter_map(|record| match record.data {
                Data::Address(ip) => Some(ip),
                Data::Service { .. } => None,
            })
            .collect()
    }

    /// The answer to a query.
    pub(crate) fn answer(&self, query: &[u8]) -> Vec<u8> {
        let (name, end) = question(query);
        let wanted = u16::from_be_bytes([query[end - 4], query[end - 3]]);
        let answers: Vec<_> = self.of(&name, |data| data.kind() == wanted).collect();
        let exists = self.records.iter().any(|record| record.owner == name);
        let additional: Vec<_> = answers
            .iter()
            .filter(|_| self.adds_addresses)
            .filter_map(|record| match &record.data {
                Data::Service { target, .. } => Some(target),
                Data::Address(_) => None,
            })
            .flat_map(|target| self.of(target, |data| data.kind() != SRV))
            .collect();
        let rcode = if exists { 0 } else { 3 };
        let mut message = query[..2].to_vec();
        message.extend([0x84, 0x80 | rcode, 0, 1]);
        message.extend(u16::try_from(answers.len()).unwrap().to_be_bytes());
        message.extend([0, 0]);
        message.extend(u16::try_from(additional.len()).unwrap().to_be_bytes());
        message.extend(&query[12..end]);
        for record in answers.into_iter().chain(additional) {
            record.put(&mut message);
        }
        message
    }

    fn of(&self, name: &str, kind: impl Fn(&Data) -> bool) -> impl Iterator<Item = &Record> {
        self.records.iter().filter(move |record| record.owner == name && kind(&record.data))
    }
}

impl Data {
    const fn kind(&self) -> u16 {
        match self {
            Self::Service { .. } => SRV,
            Self::Address(IpAddr::V4(_)) => 1,
            Self::Address(IpAddr::V6(_)) => 28,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Service { priority, weight, port, target } => {
                let numbers = [priority, weight, port].map(|number| number.to_be_bytes());
                [numbers.concat(), wire_name(target)].concat()
            }
            Self::Address(IpAddr::V4(address)) => address.octets().to_vec(),
            Self::Address(IpAddr::V6(address)) => address.octets().to_vec(),
        }
    }
}

impl Record {
    fn put(&self, message: &mut Vec<u8>) {
        let data = self.data.bytes();
        message.extend(wire_name(&self.owner));
        message.extend(self.data.kind().to_be_bytes());
        message.extend([0, 1]);
        message.extend(self.ttl.to_be_bytes());
        message.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        message.extend(data);
    }
}

/// The name that a query asks for, in lower case, and where its question ends.
pub(crate) fn question(query: &[u8]) -> (String, usize) {
    let mut labels = Vec::new();
    let mut at = 12;
    while query[at] != 0 {
        let length = usize::from(query[at]);
        let label = std::str::from_utf8(&query[at + 1..][..length]).unwrap();
        labels.push(label.to_ascii_lowercase());
        at += 1 + length;
    }
    (labels.join("."), at + 5)
}

fn wire_name(name: &str) -> Vec<u8> {
    let labels = name.split('.').filter(|label| !label.is_empty());
    let bytes = labels.flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat());
    bytes.chain([0]).collect()
}
