//! Name servers that lie, and those that do not.

use std::sync::Arc;

use domain::base::iana::Opcode;
use domain::base::{MessageBuilder, Ttl};
use domain::rdata::A;
use domain::tsig::ServerTransaction;
use tokio::net::TcpListener;

use super::*;
use crate::daemon::publication::name;
use crate::os::SystemClock;

const KEY: &str =
    "key k { algorithm hmac-sha256; secret c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3I=; };";
const OTHER: &str =
    "key k { algorithm hmac-sha256; secret b3RoZXIgb3RoZXIgb3RoZXIgb3RoZXIgb3RoZXIgb3Q=; };";

fn key(text: &str) -> TsigKey {
    TsigKey::parse(text).unwrap()
}

fn host() -> DnsName {
    name::parse("a.example.org").unwrap()
}

/// What a server makes of a request, by UDP and by TCP.
type Reply = dyn Fn(&[u8], Transport) -> Vec<Vec<u8>> + Send + Sync;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Transport {
    Udp,
    Tcp,
}

/// A server on loopback, for both transports.
async fn server(
    reply: impl Fn(&[u8], Transport) -> Vec<Vec<u8>> + Send + Sync + 'static,
) -> SocketAddr {
    let reply: Arc<Reply> = Arc::new(reply);
    let (socket, listener) = loop {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        if let Ok(listener) = TcpListener::bind(socket.local_addr().unwrap()).await {
            break (socket, listener);
        }
    };
    let address = socket.local_addr().unwrap();
    let by_udp = reply.clone();
    tokio::spawn(async move {
        let mut buffer = [0; 1_024];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            for message in by_udp(&buffer[..length], Transport::Udp) {
                socket.send_to(&message, from).await.unwrap();
            }
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = std::vec![0; stream.read_u16().await.unwrap().into()];
            stream.read_exact(&mut request).await.unwrap();
            for message in reply(&request, Transport::Tcp) {
                let length = u16::try_from(message.len()).unwrap().to_be_bytes();
                stream.write_all(&[&length, &message[..]].concat()).await.unwrap();
            }
        }
    });
    address
}

/// A true answer with an address, signed when there is the key of the request, and changed before
/// that.
fn answer(
    request: &[u8],
    key: Option<&TsigKey>,
    change: impl FnOnce(&mut domain::base::header::Header),
) -> Vec<u8> {
    let mut request = Message::from_octets(request.to_vec()).unwrap();
    let (key, now) = (key.and_then(TsigKey::for_exchange), Time48::now());
    let signer =
        key.and_then(|key| ServerTransaction::request(&key, &mut request, now).ok().flatten());
    let mut answer = MessageBuilder::new_vec().start_answer(&request, Rcode::NOERROR).unwrap();
    answer.push((host(), Ttl::from_secs(1), A::from_octets(192, 0, 2, 1))).unwrap();
    change(answer.header_mut());
    let mut answer = answer.additional();
    if let Some(signer) = signer {
        signer.answer(&mut answer, now).unwrap();
    }
    answer.finish()
}

async fn ask(address: SocketAddr, key: Option<&TsigKey>) -> Result<Vec<u8>, PublicationError> {
    let clock = SystemClock::start();
    let server = NameServer { address, key, clock: &clock, recursion: false };
    let answer = server.query(&host(), Rtype::A).await?;
    assert_eq!(message::addresses(&answer, &host()).len(), 1);
    Ok(answer.into_octets())
}

#[tokio::test]
async fn a_signed_answer_is_found_among_lies() {
    let address = server(|request, _| {
        let true_answer = answer(request, Some(&key(KEY)), |_| {});
        let mut cut = true_answer.clone();
        cut.truncate(true_answer.len() - 1);
        std::vec![
            b"no".to_vec(),
            request.to_vec(),
            cut,
            answer(request, None, |_| {}),
            answer(request, Some(&key(OTHER)), |_| {}),
            answer(request, Some(&key(KEY)), |header| header.set_id(header.id() ^ 1)),
            answer(request, Some(&key(KEY)), |header| header.set_opcode(Opcode::NOTIFY)),
            true_answer,
        ]
    });
    ask(address.await, Some(&key(KEY))).await.unwrap();
}

#[tokio::test]
async fn what_nobody_vouches_for_is_not_believed() {
    // A server without the key, and one that has another secret for it.
    for lie in [None, Some(OTHER)] {
        let address =
            server(move |request, _| std::vec![answer(request, lie.map(key).as_ref(), |_| {})]);
        let error = ask(address.await, Some(&key(KEY))).await.unwrap_err();
        assert!(error.to_string().ends_with("it is not signed"), "{error}");
    }
}

#[tokio::test]
async fn what_does_not_fit_is_asked_for_by_tcp_and_verified_there() {
    let long = |key_there: &'static str, cut_by_tcp: bool| {
        server(move |request, transport| {
            let is_cut = transport == Transport::Udp || cut_by_tcp;
            let key = (transport == Transport::Tcp && !cut_by_tcp).then(|| key(key_there));
            std::vec![answer(request, key.as_ref(), |header| header.set_tc(is_cut))]
        })
    };
    ask(long(KEY, false).await, Some(&key(KEY))).await.unwrap();
    let error = ask(long(OTHER, false).await, Some(&key(KEY))).await.unwrap_err();
    assert!(matches!(error, PublicationError::NotVerified { .. }), "{error}");
    let error = ask(long(KEY, true).await, Some(&key(KEY))).await.unwrap_err();
    assert!(error.to_string().contains("cut off, by TCP"), "{error}");
}

#[tokio::test]
async fn no_byte_of_an_answer_can_be_changed() {
    let (tsig, clock) = (key(KEY), SystemClock::start());
    let address = ([127, 0, 0, 1], 53).into();
    let server = NameServer { address, key: Some(&tsig), clock: &clock, recursion: false };
    let mut message = message::question(&host(), Rtype::A, false).unwrap();
    let signed =
        ClientTransaction::request(tsig.for_exchange().unwrap(), &mut message, server.time());
    let asked = Asked { server: &server, message, transaction: Some(signed.unwrap()) };
    let true_answer = answer(asked.message.as_slice(), Some(&tsig), |_| {});
    asked.judge(&true_answer).unwrap();
    for length in 0..true_answer.len() {
        assert!(asked.judge(&true_answer[..length]).is_err(), "{length}");
    }
    let mut believed = Vec::new();
    for index in 0..true_answer.len() {
        for bit in 0..8 {
            let mut changed = true_answer.clone();
            changed[index] ^= 1 << bit;
            match asked.judge(&changed) {
                // It is asked again, by TCP.
                Ok(answer) if answer.header().tc() => {}
                Ok(_) => believed.push(index),
                Err(_) => {}
            }
        }
    }
    // Case of letters in names, class and time to live of the signature's record are not signed.
    let unsigned = answer(asked.message.as_slice(), None, |_| {}).len();
    let (name, fields, algorithm) = (3, 10, 13);
    let loose = unsigned..unsigned + name + fields + algorithm;
    assert!(believed.iter().all(|index| loose.contains(index)), "{believed:?} {loose:?}");
}
