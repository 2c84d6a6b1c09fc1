//! Machines that are nothing but their frames.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::time::SystemTime;

use headcount::daemon::ProductFile;
use headcount::fingerprint::Fingerprint;
use headcount::time::{Minutes, UnixTime};
use headcount::trust::TagSchedule;
use headcount::wire::{
    Cmid, FRAME_LEN, Frame, LicenceStatus, Method, Name, Nonce, Request, Response, Verdict,
};
use rand::RngExt;

use crate::PATIENCE;

/// A product, as its machines know it.
#[derive(Debug)]
pub struct Product(ProductFile);

impl Product {
    /// By the vendor's product file.
    pub fn read(path: &Path) -> Self {
        Self(ProductFile::read(path).unwrap())
    }

    /// A request of the machine with this number.
    pub fn request(&self, machine: u64, rng: &mut impl RngExt) -> Frame {
        let product = self.0.for_client(&[]).unwrap();
        let mut cmid = [0xC1; 16];
        cmid[8..].copy_from_slice(&machine.to_be_bytes());
        TagSchedule::new(&product.tag_key).seal(&Request {
            virtual_machine: false,
            renewal: false,
            licence_status: LicenceStatus::InitialGrace,
            method: Method::Count,
            required_count: product.required_count,
            time_left: Minutes(60),
            application_id: product.application_id,
            activation_id: product.activation_id,
            counted_id: product.counted_id,
            cmid: Cmid::new(cmid).unwrap(),
            previous_cmid: None,
            client_time: Some(UnixTime::from(SystemTime::now())),
            nonce: Nonce(rng.random()),
            fingerprint: Fingerprint::new([machine as u16 + 1; 8]),
            workstation_name: Name::new("frames").unwrap(),
            key_id: product.key_id,
        })
    }
}

/// One exchange by TCP; an error when there is no answer.
pub fn exchange(host: SocketAddr, request: &Frame) -> std::io::Result<Frame> {
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request)?;
    let mut answer = [0; FRAME_LEN];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

/// One exchange by UDP, with retransmissions.
pub fn exchange_datagrams(host: SocketAddr, request: &Frame) -> std::io::Result<Frame> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(host)?;
    socket.set_read_timeout(Some(PATIENCE / 20))?;
    let mut answer = [0; FRAME_LEN + 1];
    for _ in 0..20 {
        socket.send(request)?;
        if let Ok(FRAME_LEN) = socket.recv(&mut answer) {
            return Ok(answer[..FRAME_LEN].try_into().unwrap());
        }
    }
    Err(std::io::ErrorKind::TimedOut.into())
}

/// How many machines an answer says there are; 0 in a refusal.
pub fn count(answer: &Frame) -> u32 {
    match Response::parse(answer).expect("a well-formed answer").body.verdict {
        Verdict::Granted { count, .. } => count,
        Verdict::Refused(_) => 0,
    }
}
