//! A resolver's answers: what a real one said, and what a bad one may try.

#[path = "discovery/captured.rs"]
mod captured;

use std::net::IpAddr;

use captured::{CAPTURED, CNAME, Captured, Message, QUESTION, Replay, SRV, srv, wire};
use headcount::discovery::DomainName;
use headcount::discovery::message::{
    Address, Answer, AnswerError, Fault, MAX_POINTERS, Malformed, QUERY_LEN, Query, Rcode,
    RecordType, Service,
};

const SERVICE: &str = "_headcount._tcp.example.com";

fn name(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

fn service(priority: u16, weight: u16, port: u16, ttl: u32, target: &str) -> Service {
    Service { priority, weight, port, ttl, target: name(target) }
}

fn addresses(answer: &Answer<'_>, of: &str) -> Vec<(String, u32)> {
    answer.addresses(&name(of)).map(|Address { ip, ttl }| (ip.to_string(), ttl)).collect()
}

fn services(answer: &Answer<'_>) -> Vec<Service> {
    answer.services().collect()
}

/// A question whose name is in lower case.
fn ask(record_type: RecordType, of: &str) -> Query {
    Query::new(record_type, &name(of), &mut Replay([0; 34]))
}

/// The rule that the message breaks.
fn fault(query: &Query, message: &[u8]) -> Option<Fault> {
    match query.answer(message) {
        Err(AnswerError::Malformed(Malformed { fault, .. })) => Some(fault),
        _ => None,
    }
}

/// Looks at everything that an answer has, but for the addresses of all hosts save the first.
fn read(answer: &Answer<'_>) -> usize {
    let first = answer.services().next().map_or(DomainName::ROOT, |service| service.target);
    answer.addresses(&first).count() + answer.skipped()
}

#[test]
fn a_query_asks_as_it_should() {
    let query = Query::new(RecordType::Srv, &name(SERVICE), &mut Replay([0x55; 34]));
    let mut expected = b"\x55\x55\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01".to_vec();
    expected.extend(wire("_HeAdCoUnT._tCp.eXaMpLe.cOm"));
    expected.extend(b"\x00\x21\x00\x01\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00");
    assert_eq!(query.as_bytes(), expected);
    assert_eq!((query.record_type(), query.name()), (RecordType::Srv, name(SERVICE)));
    assert_eq!(format!("{query:?}"), format!("Query(Srv {SERVICE:?})"));

    let root = ask(RecordType::A, ".");
    assert_eq!(root.as_bytes().len(), 12 + 5 + 11);
    assert!(root.name().is_root());
    let longest = [["a"; 63].concat().as_str(); 4].join(".");
    let longest = ask(RecordType::Aaaa, &longest[2..]);
    assert_eq!(longest.as_bytes().len(), QUERY_LEN);
    assert_eq!(longest.name().as_str().len(), 253);
}

#[test]
fn bind_lists_services_with_their_addresses() {
    let case = Captured::named("srv");
    let answer = case.query().answer(case.answer).unwrap();
    assert_eq!(
        services(&answer),
        [
            service(10, 20, 1688, 120, "host2.example.com"),
            service(10, 60, 1688, 120, "host1.example.com"),
            service(20, 0, 1688, 120, "host.example.net"),
            service(20, 0, 11688, 120, "host3.example.com"),
        ]
    );
    assert_eq!(
        addresses(&answer, "host1.example.com"),
        [("192.0.2.1", 3600), ("192.0.2.101", 3600), ("2001:db8::1", 3600)]
            .map(|(ip, ttl)| (ip.to_owned(), ttl))
    );
    assert_eq!(addresses(&answer, "host2.example.com"), [("192.0.2.2".to_owned(), 600)]);
    assert_eq!(addresses(&answer, "host3.example.com"), [("2001:db8::3".to_owned(), 3600)]);
    assert!(addresses(&answer, "host.example.net").is_empty(), "BIND does not know it");
    assert_eq!((answer.skipped(), answer.is_nonexistent()), (0, false));

    let case = Captured::named("srv-alias");
    let answer = case.query().answer(case.answer).unwrap();
    let ttls: Vec<_> = answer.services().map(|service| service.ttl).collect();
    assert_eq!(ttls, [30; 4], "the shortest of the aliases' and the record's");

    let case = Captured::named("srv-none");
    let answer = case.query().answer(case.answer).unwrap();
    assert_eq!(services(&answer), [service(0, 0, 0, 3600, ".")]);

    let case = Captured::named("srv-odd");
    let answer = case.query().answer(case.answer).unwrap();
    assert_eq!(services(&answer), [service(4, 5, 6, 3600, "host1.example.com")]);
    assert_eq!(answer.skipped(), 1);

    let case = Captured::named("srv-many");
    let answer = case.query().answer(case.answer).unwrap();
    for (index, service) in (0..).zip(services(&answer)) {
        assert_eq!((service.priority, service.weight), (index, index));
    }
    assert_eq!(answer.services().count(), 60);
}

#[test]
fn bind_says_that_there_is_nothing() {
    for (file, nonexistent) in [("srv-nxdomain", true), ("srv-nodata", false), ("a-nodata", false)]
    {
        let case = Captured::named(file);
        let query = case.query();
        let answer = query.answer(case.answer).unwrap();
        assert_eq!(answer.is_nonexistent(), nonexistent, "{file}");
        assert_eq!(answer.negative_ttl(), Some(300), "{file}");
        assert_eq!(answer.services().count(), 0, "{file}");
        assert_eq!(answer.addresses(&query.name()).count(), 0, "{file}");
    }
    for (file, error) in [
        ("srv-truncated", AnswerError::Truncated),
        ("srv-refused", AnswerError::Failed(Rcode(5))),
        ("srv-servfail", AnswerError::Failed(Rcode(2))),
    ] {
        let case = Captured::named(file);
        assert_eq!(case.query().answer(case.answer).unwrap_err(), error, "{file}");
    }
}

#[test]
fn bind_gives_addresses_and_their_aliases() {
    for (file, of, expected) in [
        ("a", "host1.example.com", &[("192.0.2.1", 3600), ("192.0.2.101", 3600)][..]),
        ("a-alias", "www.example.com", &[("192.0.2.1", 40), ("192.0.2.101", 40)]),
        ("a-chain-8", "chain7.example.com", &[("192.0.2.1", 3600), ("192.0.2.101", 3600)]),
        ("aaaa", "host1.example.com", &[("2001:db8::1", 3600)]),
        ("aaaa-upper", "host3.example.com", &[("2001:db8::3", 3600)]),
    ] {
        let case = Captured::named(file);
        let answer = case.query().answer(case.answer).unwrap();
        let expected: Vec<_> = expected.iter().map(|(ip, ttl)| ((*ip).to_owned(), *ttl)).collect();
        assert_eq!(addresses(&answer, of), expected, "{file}");
    }
    let case = Captured::named("a-chain-9");
    assert_eq!(fault(&case.query(), case.answer), Some(Fault::Aliases));
    // BIND sees the loop by itself.
    let case = Captured::named("a-loop");
    let error = case.query().answer(case.answer).unwrap_err();
    assert_eq!(error, AnswerError::Failed(Rcode(2)));
}

#[test]
fn dnsmasq_says_the_same_in_its_own_way() {
    let case = Captured::named("dnsmasq-srv");
    let answer = case.query().answer(case.answer).unwrap();
    let (one, other) = ("host1.example.com", "host2.example.com");
    assert_eq!(
        services(&answer),
        [service(10, 20, 1688, 60, other), service(10, 60, 1688, 60, one)]
    );
    let ips = [("192.0.2.1", 60), ("2001:db8::1", 60)].map(|(ip, ttl)| (ip.to_owned(), ttl));
    assert_eq!(addresses(&answer, one), ips);
    assert_eq!(addresses(&answer, other), [("192.0.2.2".to_owned(), 60)]);

    let case = Captured::named("dnsmasq-a-alias");
    let answer = case.query().answer(case.answer).unwrap();
    assert_eq!(addresses(&answer, "www.example.com"), [("192.0.2.1".to_owned(), 60)]);

    let case = Captured::named("dnsmasq-nxdomain");
    let answer = case.query().answer(case.answer).unwrap();
    assert_eq!((answer.is_nonexistent(), answer.negative_ttl()), (true, None));
}

#[test]
fn aliases_that_lead_in_a_circle_are_no_answer() {
    let query = ask(RecordType::A, "a.example.com");
    let (one, other) = (wire("a.example.com"), wire("b.example.com"));
    for circle in [&[(&one, &one)][..], &[(&one, &other), (&other, &one)]] {
        let start = Message::answer_to(&query).record(&one, 1, 60, &[192, 0, 2, 1]);
        let message =
            circle.iter().fold(start, |message, (from, to)| message.record(from, CNAME, 60, to));
        assert_eq!(fault(&query, &message.0), Some(Fault::Aliases));
    }
}

#[test]
fn no_answer_may_be_cut() {
    for case in CAPTURED {
        let query = case.query();
        let question = case.query.len() - 11;
        for length in 0..case.answer.len() {
            let error = query.answer(&case.answer[..length]).unwrap_err();
            match error {
                AnswerError::NotOurs => assert!(length < question, "{} {length}", case.file),
                AnswerError::Truncated => assert_eq!(case.file, "srv-truncated"),
                AnswerError::Malformed(malformed) => {
                    assert!(usize::from(malformed.offset) <= length, "{}", case.file);
                    // A loop of aliases may be seen before the end is missed, but never is.
                    assert_ne!(malformed.fault, Fault::Aliases, "{}", case.file);
                }
                AnswerError::Failed(_) => panic!("{} cut to {length} is believed", case.file),
            }
        }
    }
}

#[test]
fn no_flipped_bit_does_harm() {
    for case in CAPTURED {
        let query = case.query();
        let question = 12..case.query.len() - 11;
        let mut bytes = case.answer.to_vec();
        for index in 0..bytes.len() {
            for bit in 0..8 {
                bytes[index] ^= 1 << bit;
                let answer = query.answer(&bytes);
                if question.contains(&index) || [0, 1, 4, 5].contains(&index) {
                    assert_eq!(answer.unwrap_err(), AnswerError::NotOurs, "{index} {bit}");
                } else if let Ok(answer) = answer {
                    read(&answer);
                }
                bytes[index] ^= 1 << bit;
            }
        }
    }
}

#[test]
fn only_the_answer_to_this_question_is_ours() {
    let case = Captured::named("srv");
    let query = case.query();
    // Another id.
    let mut bytes = case.answer.to_vec();
    bytes[1] ^= 1;
    assert_eq!(query.answer(&bytes).unwrap_err(), AnswerError::NotOurs);
    // The query itself, and another operation.
    assert_eq!(query.answer(case.query).unwrap_err(), AnswerError::NotOurs);
    let mut bytes = case.answer.to_vec();
    bytes[2] |= 0x28;
    assert_eq!(query.answer(&bytes).unwrap_err(), AnswerError::NotOurs);
    // The right name in one wrong case, another name, another type, another class.
    let end = case.query.len() - 11;
    for (index, flip) in [(13 + 1, 0x20), (13 + 1, 1), (end - 3, 1), (end - 1, 2)] {
        let mut bytes = case.answer.to_vec();
        bytes[index] ^= flip;
        assert_eq!(query.answer(&bytes).unwrap_err(), AnswerError::NotOurs, "{index}");
    }
    // No question, and two of them.
    for count in [0, 2] {
        let mut bytes = case.answer.to_vec();
        bytes[5] = count;
        assert_eq!(query.answer(&bytes).unwrap_err(), AnswerError::NotOurs);
    }
    // The same question asked anew.
    let again = Query::new(RecordType::Srv, &query.name(), &mut Replay([0xA5; 34]));
    assert_eq!(again.answer(case.answer).unwrap_err(), AnswerError::NotOurs);
}

#[test]
fn response_codes_are_extended_by_edns() {
    let query = ask(RecordType::A, "host1.example.com");
    let code = |basic: u8, extended: u32| {
        let mut message = Message::answer_to(&query);
        message.0[3] |= basic;
        let message = message.record_of(10, &[0], 41, 1232, extended << 24, b"\0\x0a\0\x02ok");
        query.answer(&message.0).map(|answer| answer.is_nonexistent())
    };
    assert_eq!(code(0, 0), Ok(false));
    assert_eq!(code(3, 0), Ok(true));
    assert_eq!(code(0, 1), Err(AnswerError::Failed(Rcode(16))));
    assert_eq!(code(3, 1), Err(AnswerError::Failed(Rcode(19))));
    for rcode in (1..16).filter(|code| *code != 3) {
        assert_eq!(code(rcode, 0), Err(AnswerError::Failed(Rcode(rcode.into()))));
    }
    // A second OPT record is not looked at, nor one in another section.
    let message = Message::answer_to(&query)
        .record_of(6, &[0], 41, 1232, 1 << 24, &[])
        .record_of(10, &[0], 41, 1232, 0, &[])
        .record_of(10, &[0], 41, 1232, 1 << 24, &[]);
    assert!(query.answer(&message.0).is_ok());
}

#[test]
fn what_does_not_exist_has_no_records() {
    let query = ask(RecordType::A, "host1.example.com");
    let mut message = Message::answer_to(&query).record(QUESTION, 1, 60, &[192, 0, 2, 1]);
    assert_eq!(query.answer(&message.0).unwrap().addresses(&query.name()).count(), 1);
    message.0[3] |= 3;
    let answer = query.answer(&message.0).unwrap();
    assert!(answer.is_nonexistent());
    assert_eq!(answer.addresses(&query.name()).count(), 0);
    assert_eq!(answer.negative_ttl(), None);
}

#[test]
fn records_of_other_names_classes_and_sections_are_passed_over() {
    let query = ask(RecordType::Srv, SERVICE);
    let other = wire("_headcount._tcp.example.net");
    let host = srv(1, 1, 1688, &wire("host.example.net"));
    let message = Message::answer_to(&query)
        .record(&other, SRV, 60, &host)
        .record_of(6, QUESTION, SRV, 3, 60, &host)
        .record(&wire("www.example.com"), CNAME, 60, &other)
        .record_of(8, QUESTION, SRV, 1, 60, &host)
        .record_of(8, &wire("host.example.net"), 1, 1, 60, &[192, 0, 2, 66])
        .record_of(10, QUESTION, SRV, 1, 60, &host)
        .record_of(10, QUESTION, CNAME, 1, 60, &other)
        .record_of(10, &wire("host.example.org"), 1, 1, 60, &[192, 0, 2, 66])
        .record_of(10, &wire("host.example.net"), 1, 4, 60, &[192, 0, 2, 66]);
    let answer = query.answer(&message.0).unwrap();
    assert_eq!(answer.services().count(), 0);
    assert_eq!(answer.skipped(), 0);
    assert_eq!(addresses(&answer, "host.example.net"), []);
    assert_eq!(addresses(&answer, "host.example.org").len(), 1, "for whoever asks for it");
}

#[test]
fn names_are_the_same_in_any_case_and_any_form() {
    let query = ask(RecordType::Srv, SERVICE);
    let start = Message::answer_to(&query);
    let target = start.here();
    let message = start
        .record_of(6, &wire("HOST.Example.COM"), 16, 1, 60, b"\x04text")
        .record(&wire("_HEADCOUNT._TCP.EXAMPLE.COM"), SRV, 60, &srv(1, 2, 3, &target))
        .record_of(10, &wire("host.EXAMPLE.com"), 28, 1, 60, &[1; 16])
        .record_of(10, &target, 1, 1, 60, &[192, 0, 2, 1]);
    let answer = query.answer(&message.0).unwrap();
    assert_eq!(services(&answer), [service(1, 2, 3, 60, "host.example.com")]);
    assert_eq!(addresses(&answer, "host.example.com").len(), 2);
}

#[test]
fn times_to_live_above_the_largest_count_as_none() {
    let query = ask(RecordType::Srv, SERVICE);
    for (ttl, counted) in [(0x7FFF_FFFF, 0x7FFF_FFFF), (0x8000_0000, 0), (u32::MAX, 0)] {
        let message = Message::answer_to(&query)
            .record(QUESTION, SRV, ttl, &srv(0, 0, 1, &wire("a")))
            .record_of(10, &wire("a"), 1, 1, ttl, &[192, 0, 2, 1]);
        let answer = query.answer(&message.0).unwrap();
        assert_eq!(services(&answer)[0].ttl, counted);
        assert_eq!(addresses(&answer, "a"), [("192.0.2.1".to_owned(), counted)]);
    }
    let soa = |ttl: u32, minimum: u32| {
        let data = [wire("ns"), wire("root"), vec![0; 16], minimum.to_be_bytes().to_vec()].concat();
        // The first one counts, whatever comes after it.
        let message = Message::answer_to(&query)
            .record_of(8, &[0], 6, 1, ttl, &data)
            .record_of(8, &[0], 6, 1, 1, &data)
            .record_of(8, &[0], 2, 1, 60, &wire("ns"));
        query.answer(&message.0).unwrap().negative_ttl()
    };
    assert_eq!(soa(60, 90), Some(60));
    assert_eq!(soa(90, 60), Some(60));
    assert_eq!(soa(90, 0x8000_0001), Some(0));
}

#[test]
fn aliases_of_a_target_are_followed_to_a_limit() {
    let query = ask(RecordType::Srv, SERVICE);
    let chain = |length: u32| {
        let mut message =
            Message::answer_to(&query).record(QUESTION, SRV, 60, &srv(0, 0, 1, &wire("a0")));
        for step in 0..length {
            let (from, to) = (format!("a{step}"), format!("a{}", step + 1));
            message = message.record_of(10, &wire(&from), CNAME, 1, 50 - step, &wire(&to));
        }
        let last = wire(&format!("a{length}"));
        let message = message.record_of(10, &last, 1, 1, 60, &[192, 0, 2, 1]);
        addresses(&query.answer(&message.0).unwrap(), "a0")
    };
    assert_eq!(chain(0), [("192.0.2.1".to_owned(), 60)]);
    assert_eq!(chain(8), [("192.0.2.1".to_owned(), 43)]);
    assert_eq!(chain(9), []);
}

#[test]
fn pointers_lead_back_and_are_few() {
    let query = ask(RecordType::A, "host1.example.com");
    let start = Message::answer_to(&query);
    let here = start.here();
    let after = (u16::from_be_bytes(here) + 2).to_be_bytes();
    for owner in [
        &here[..],                        // to itself
        &after,                           // forward
        &[0xC0, 0],                       // into the header
        &[0xC0, 11],                      // the same
        &[0xFF, 0xFF],                    // beyond the end
        &[1, b'a', here[0], here[1]],     // to the start of the name it is in
        &[1, b'a', here[0], here[1] + 2], // to itself, after a label
    ] {
        let message = start.clone().record(owner, 1, 60, &[192, 0, 2, 1]);
        assert_eq!(fault(&query, &message.0), Some(Fault::Pointer), "{owner:?}");
    }
    // Back to a label that runs into the pointer.
    let data = [10_u8, 0, 0, 0];
    let inside = (u16::from_be_bytes(here) + 12).to_be_bytes();
    let message =
        start.clone().record(QUESTION, 99, 60, &data).record(&inside, 1, 60, &[192, 0, 2, 1]);
    assert_eq!(fault(&query, &message.0), Some(Fault::Pointer));
    for first in [0x40, 0x80, 0xBF] {
        let message = start.clone().record(&[first, 0], 1, 60, &[192, 0, 2, 1]);
        assert_eq!(fault(&query, &message.0), Some(Fault::Label));
    }
    // Pointers to pointers, in the data of a record of another type.
    let chain = |length: u16| {
        let first = start.0.len() + 12;
        let mut data = QUESTION.to_vec();
        for index in 1..length - 1 {
            let back = u16::try_from(first).unwrap() + 2 * (index - 1);
            data.extend((0xC000 | back).to_be_bytes());
        }
        let last = u16::try_from(first + data.len() - 2).unwrap();
        let message = start.clone().record(QUESTION, 99, 60, &data).record(
            &(0xC000 | last).to_be_bytes(),
            1,
            60,
            &[192, 0, 2, 1],
        );
        query.answer(&message.0).map(|answer| answer.addresses(&query.name()).count())
    };
    let most = u16::from(MAX_POINTERS);
    assert_eq!(chain(2), Ok(1));
    assert_eq!(chain(most), Ok(1));
    let error = chain(most + 1).unwrap_err();
    assert!(matches!(error, AnswerError::Malformed(Malformed { fault: Fault::Pointer, .. })));
}

#[test]
fn names_have_255_bytes_at_most() {
    let query = ask(RecordType::A, "a");
    // The question's name is 3 bytes with the root.
    for (label, fits) in [(59, true), (60, false)] {
        let long = [&[63; 64][..], &[63; 64], &[63; 64], &[label; 61][..=usize::from(label)]];
        let owner = [long.concat().as_slice(), QUESTION].concat();
        let message = Message::answer_to(&query).record(&owner, 1, 60, &[192, 0, 2, 1]);
        let expected = (!fits).then_some(Fault::NameLength);
        assert_eq!(fault(&query, &message.0), expected, "{label}");
    }
}

#[test]
fn data_has_the_length_of_its_type() {
    let query = ask(RecordType::Srv, SERVICE);
    let target = wire("host");
    let soa = [target.as_slice(), &target, &[0; 20]].concat();
    for (kind, data) in [
        (1, vec![0; 4]),
        (28, vec![0; 16]),
        (SRV, srv(1, 2, 3, &target)),
        (SRV, srv(1, 2, 3, QUESTION)),
        (CNAME, target.clone()),
        (6, soa),
    ] {
        let with = |data: &[u8]| {
            let mut message = Message::answer_to(&query).record(&wire("other"), kind, 60, data);
            // The message goes on, so that reading too far is no end of the message.
            message.0.extend([0; 40]);
            message.0
        };
        assert!(query.answer(&with(&data)).is_ok(), "{kind}");
        let longer = [data.as_slice(), &[0]].concat();
        assert_eq!(fault(&query, &with(&longer)), Some(Fault::Data), "{kind}");
        // What a name lacks may be read as a part of what follows, but never counts.
        let shorter = &data[..data.len() - 1];
        assert!(fault(&query, &with(shorter)).is_some(), "{kind}");
    }
}

#[test]
fn bytes_after_the_last_record_are_ignored() {
    for case in CAPTURED.iter().filter(|case| case.file.starts_with('a')) {
        let more = [case.answer, b"more"].concat();
        let query = case.query();
        let both = [case.answer, &more].map(|bytes| query.answer(bytes).map(|a| read(&a)));
        assert_eq!(both[0], both[1], "{}", case.file);
    }
}

/// The longest messages there are, each made so that one thing is as much work as it can be. They
/// need no more than a moment; without the limits some would need hours.
#[test]
fn the_longest_answers_are_no_trouble() {
    let query = ask(RecordType::Srv, SERVICE);
    let whole = |mut message: Message| {
        message.0.resize(65_535, 0);
        message.0
    };
    let counted = |mut message: Message, count: usize| {
        message.0[6..8].copy_from_slice(&u16::try_from(count).unwrap().to_be_bytes());
        whole(message)
    };
    // Nothing but zeros, in as many records as one may announce.
    let zeros = counted(Message::answer_to(&query), 65_535);
    assert_eq!(fault(&query, &zeros), Some(Fault::Length));

    // As many services as fit, all of one name that is compared to its end each time.
    let services = |target: &[u8]| {
        let mut message = Message::answer_to(&query);
        let mut count = 0;
        while message.0.len() < 65_000 {
            message = message.record(QUESTION, SRV, 60, &srv(0, 0, 1, target));
            count += 1;
        }
        (whole(message), count)
    };
    let (bytes, count) = services(QUESTION);
    assert_eq!(query.answer(&bytes).unwrap().services().count(), count);
    let (bytes, count) = services(&[1, b'!', 0]);
    assert_eq!(query.answer(&bytes).unwrap().skipped(), count);

    // As many names as fit that take as many pointers as a name may have.
    let mut message = Message::answer_to(&query);
    let mut pointers = QUESTION.to_vec();
    let first = u16::try_from(message.0.len() + 12).unwrap();
    for index in 0..u16::from(MAX_POINTERS) - 2 {
        pointers.extend((0xC000 | (first + 2 * index)).to_be_bytes());
    }
    let last = (0xC000 | (first + 2 * (u16::from(MAX_POINTERS) - 2))).to_be_bytes();
    message = message.record(QUESTION, 99, 60, &pointers);
    while message.0.len() < 65_000 {
        message = message.record(&last, CNAME, 60, &last);
    }
    assert_eq!(fault(&query, &whole(message)), Some(Fault::Aliases));

    // One byte too many.
    let mut long = zeros;
    long.push(0);
    assert_eq!(fault(&query, &long), Some(Fault::Length));
}

#[test]
fn errors_have_texts() {
    for (error, text) in [
        (AnswerError::NotOurs, "not the answer to the question asked"),
        (AnswerError::Truncated, "the answer is truncated"),
        (
            AnswerError::Failed(Rcode(5)),
            "the resolver answered REFUSED: it is not willing to answer",
        ),
        (AnswerError::Failed(Rcode(23)), "the resolver answered with response code 23"),
        (
            AnswerError::Malformed(Malformed { offset: 12, fault: Fault::Aliases }),
            "the aliases have no end, at byte 12",
        ),
    ] {
        assert_eq!(error.to_string(), text);
    }
    let ip: IpAddr = "192.0.2.1".parse().unwrap();
    assert_eq!(Address { ip, ttl: 1 }, Address { ip, ttl: 1 });
}
