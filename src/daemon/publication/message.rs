//! Messages of DNS: questions, UPDATE (RFC 2136), and what is an answer to them.

use core::net::IpAddr;
use std::vec::Vec;

use domain::base::iana::{Class, Opcode, Rtype};
use domain::base::message_builder::{AdditionalBuilder, PushError};
use domain::base::name::ParsedName;
use domain::base::rdata::{ParseRecordData, UnknownRecordData};
use domain::base::{Message, MessageBuilder, Record};
use domain::rdata::{A, Aaaa, Soa, Srv};
use rand_core::Rng;

use super::name::{DnsName, canonical};
use super::records::{ServiceRecord, Target};
use crate::daemon::Transport;
use crate::os::system_rng;

/// What is to be sent, but for the signature.
pub(super) type Unsigned = AdditionalBuilder<Vec<u8>>;

/// Payload that an answer by UDP may have: what no network cuts into fragments.
const PAYLOAD: u16 = 1_232;

fn random_id() -> u16 {
    system_rng().next_u32() as u16
}

/// A question for the records of a name.
pub(super) fn question(
    name: &DnsName,
    rtype: Rtype,
    recursion: bool,
) -> Result<Unsigned, PushError> {
    let mut builder = MessageBuilder::new_vec();
    builder.header_mut().set_id(random_id());
    builder.header_mut().set_rd(recursion);
    let mut question = builder.question();
    question.push((name, rtype))?;
    let mut additional = question.additional();
    additional.opt(|opt| {
        opt.set_udp_payload_size(PAYLOAD);
        Ok(())
    })?;
    Ok(additional)
}

/// What an UPDATE changes.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Names where no alias may be. A server passes over additions in silence where one is.
    pub(super) no_alias: Vec<DnsName>,
    pub(super) delete: Vec<Change>,
    /// With the time to live.
    pub(super) add: Vec<(Change, u32)>,
}

/// One record, exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Service(DnsName, ServiceRecord),
    Address(DnsName, IpAddr),
}

impl Changes {
    pub(super) fn is_empty(&self) -> bool {
        self.delete.is_empty() && self.add.is_empty()
    }

    /// The message: first what must hold, then what goes, then what comes.
    pub(super) fn message(&self, zone: &DnsName) -> Result<Unsigned, PushError> {
        let mut builder = MessageBuilder::new_vec();
        builder.header_mut().set_id(random_id());
        builder.header_mut().set_opcode(Opcode::UPDATE);
        let mut zones = builder.question();
        zones.push((zone, Rtype::SOA))?;
        let mut prerequisites = zones.answer();
        for name in &self.no_alias {
            // "RRset does not exist" (RFC 2136, section 2.4.3). No data is never too long.
            if let Ok(nothing) = UnknownRecordData::from_octets(Rtype::CNAME, [0; 0]) {
                prerequisites.push((name, Class::NONE, 0, nothing))?;
            }
        }
        let mut updates = prerequisites.authority();
        let mut push = |change: &Change, class, ttl| match change {
            Change::Service(owner, record) => {
                let ServiceRecord { priority, weight, port, target, .. } = record;
                updates.push((owner, class, ttl, Srv::new(*priority, *weight, *port, &target.0)))
            }
            Change::Address(owner, IpAddr::V4(v4)) => {
                updates.push((owner, class, ttl, A::new(*v4)))
            }
            Change::Address(owner, IpAddr::V6(v6)) => {
                updates.push((owner, class, ttl, Aaaa::new(*v6)))
            }
        };
        for change in &self.delete {
            push(change, Class::NONE, 0)?;
        }
        for (change, ttl) in &self.add {
            push(change, Class::IN, *ttl)?;
        }
        Ok(updates.additional())
    }
}

/// Whether a message answers that one; if not, what is wrong with it.
pub(super) fn answers(answer: &Message<Vec<u8>>, asked: &Unsigned) -> Result<(), &'static str> {
    let (header, asked_header) = (answer.header(), asked.header());
    if !header.qr() {
        return Err("no answer, but a question");
    }
    if header.id() != asked_header.id() {
        return Err("the answer to something else");
    }
    if header.opcode() != asked_header.opcode() {
        return Err("an answer of another kind");
    }
    // Servers may leave it out when they answer with an error.
    let is_short = answer.header_counts().qdcount() == 0 && answer.is_error();
    if !is_short && answer.sole_question().ok() != asked.as_message().sole_question().ok() {
        return Err("the answer to another question");
    }
    Ok(())
}

/// The service records of a name, in an answer about it. Targets that no host has are passed over.
pub(super) fn services(
    answer: &Message<Vec<u8>>,
    owner: &DnsName,
    transport: Transport,
) -> Vec<ServiceRecord> {
    let records = answer_records::<Srv<ParsedName<&[u8]>>>(answer);
    let own = records.into_iter().filter(|record| canonical(record.owner()) == *owner);
    own.map(|record| {
        let data = record.data();
        ServiceRecord {
            transport,
            priority: data.priority(),
            weight: data.weight(),
            port: data.port(),
            target: Target(canonical(data.target())),
            ttl: record.ttl().as_secs(),
        }
    })
    .collect()
}

/// The addresses of a name, in an answer about it.
pub(super) fn addresses(answer: &Message<Vec<u8>>, owner: &DnsName) -> Vec<IpAddr> {
    let v4 = answer_records::<A>(answer);
    let v6 = answer_records::<Aaaa>(answer);
    let v4 = v4.iter().map(|record| (record.owner(), IpAddr::V4(record.data().addr())));
    let v6 = v6.iter().map(|record| (record.owner(), IpAddr::V6(record.data().addr())));
    v4.chain(v6).filter(|(name, _)| canonical(name) == *owner).map(|(_, address)| address).collect()
}

/// The zone that an answer about a start of authority tells of, and its primary server.
pub(super) fn authority(answer: &Message<Vec<u8>>) -> Option<(DnsName, DnsName)> {
    let sections = [answer.answer(), answer.authority()];
    let mut records = sections
        .into_iter()
        .flatten()
        .flat_map(|section| section.limit_to::<Soa<ParsedName<&[u8]>>>().filter_map(Result::ok));
    records.next().map(|soa| (canonical(soa.owner()), canonical(soa.data().mname())))
}

fn answer_records<'a, D>(answer: &'a Message<Vec<u8>>) -> Vec<Record<ParsedName<&'a [u8]>, D>>
where
    D: ParseRecordData<'a, Vec<u8>>,
{
    let section = answer.answer().into_iter();
    section.flat_map(|section| section.limit_to_in::<D>().filter_map(Result::ok)).collect()
}
