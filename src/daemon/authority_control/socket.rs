//! The socket on which a running service takes commands: one a connection, a line of JSON, then
//! lines of JSON back.
//!
//! Only the folder's owner can reach it. What it cannot do all the same is stop the service: lines
//! have a greatest length, connections a greatest number, and whoever neither writes nor reads is
//! dropped.

use core::time::Duration;
use std::fs;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;
use std::vec::Vec;

use super::CONTROL_SOCKET;
use super::command::{Command, Failure, Reply};
use super::office::Office;
use crate::daemon::files::FileError;
use crate::os::{Clock, SystemClock};
use crate::storage;

/// The longest command or reply: a product file in JSON has a tenth of it.
const LONGEST_LINE: u64 = 64 << 10;

/// Connections that are served at once; more wait.
const CONNECTIONS: usize = 32;

/// How long a command may take to arrive, and each part of a reply to be taken.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a program waits for the next line of a reply. A commit can wait for a slow disk, a
/// confirmation for a root key that is elsewhere.
const REPLY_PATIENCE: Duration = Duration::from_secs(60);

/// A service's ear for commands. Dropping it stops listening and removes the socket.
#[derive(Debug)]
pub struct ControlSocket {
    path: PathBuf,
    stop: Arc<AtomicBool>,
    listener: Option<JoinHandle<()>>,
}

impl ControlSocket {
    /// Listens in the office's folder. Whoever has the folder's lock has the socket as well, so one
    /// that is there already is a dead service's.
    pub fn listen(office: Arc<Office>) -> Result<Self, FileError> {
        let path = office.files().folder().join(CONTROL_SOCKET);
        let fail = |error: io::Error| FileError::new(&path, "cannot listen on", error);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fail(error)),
            _ => {}
        }
        let listener = UnixListener::bind(&path).map_err(fail)?;
        // The folder keeps others out until then.
        fs::set_permissions(&path, fs::Permissions::from_mode(storage::OWNER_ONLY))
            .map_err(fail)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let listener = thread::spawn(move || serve(&listener, &office, &stopped));
        Ok(Self { path, stop, listener: Some(listener) })
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // The listener looks up when somebody comes.
        let woken = UnixStream::connect(&self.path).is_ok();
        if let Some(listener) = self.listener.take().filter(|_| woken) {
            let _ = listener.join();
        }
        let _ = fs::remove_file(&self.path);
    }
}

/// How many connections are served now.
#[derive(Default)]
struct Served {
    count: Mutex<usize>,
    changed: Condvar,
}

/// One of the connections that are served.
struct Turn(Arc<Served>);

impl Served {
    fn wait_for_turn(self: &Arc<Self>) -> Turn {
        let count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |count: &mut usize| *count >= CONNECTIONS;
        let mut count =
            self.changed.wait_while(count, full).unwrap_or_else(PoisonError::into_inner);
        *count = count.saturating_add(1);
        Turn(self.clone())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut count = self.0.count.lock().unwrap_or_else(PoisonError::into_inner);
        *count = count.saturating_sub(1);
        self.0.changed.notify_one();
    }
}

fn serve(listener: &UnixListener, office: &Arc<Office>, stop: &AtomicBool) {
    let served = Arc::new(Served::default());
    loop {
        let accepted = listener.accept();
        if stop.load(Ordering::Relaxed) {
            return;
        }
        match accepted {
            Ok((stream, _)) => {
                let (turn, office) = (served.wait_for_turn(), office.clone());
                thread::spawn(move || {
                    let _turn = turn;
                    if let Err(error) = converse(&stream, &office) {
                        tracing::debug!(%error, "a command's connection broke off");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a command's connection");
                thread::sleep(Duration::from_secs(1));
            }
        }
    }
}

/// One connection: a command in, replies out.
fn converse(stream: &UnixStream, office: &Office) -> io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    let command = read_command(stream)?;
    let mut writer = BufWriter::new(stream);
    let now = SystemClock::start().now().clock.unwrap_or_default();
    let mut result = Ok(());
    let mut tell = |reply: Reply| {
        // A list goes out as it comes; who does not take it has no further part of it made.
        result = write_line(&mut writer, &reply);
        result.is_ok()
    };
    match command {
        Ok(command) => office.handle(&command, now, &mut tell),
        Err(failure) => {
            tell(Reply::Failed(failure));
        }
    }
    result.and_then(|()| writer.flush())
}

/// Reads a line, which must be here in time however slowly it drips.
fn read_command(stream: &UnixStream) -> io::Result<Result<Command, Failure>> {
    let start = Instant::now();
    let mut line = Vec::new();
    let mut part = [0; 4_096];
    loop {
        let left = PATIENCE.saturating_sub(start.elapsed()).max(Duration::from_millis(1));
        if start.elapsed() >= PATIENCE {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        let read = (&mut &*stream).read(&mut part)?;
        line.extend(part.iter().take(read));
        if line.len() as u64 > LONGEST_LINE {
            return Ok(Err(Failure::usage("the command is longer than 64 KiB")));
        }
        if line.ends_with(b"\n") {
            break;
        }
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let not_understood = |error| {
        Failure::usage(std::format!("the service does not understand the command: {error}"))
            .advise("Is it of the same version as this program?")
    };
    Ok(serde_json::from_slice(&line).map_err(not_understood))
}

fn write_line<T: serde::Serialize>(writer: &mut impl Write, value: &T) -> io::Result<()> {
    serde_json::to_writer(&mut *writer, value)?;
    writer.write_all(b"\n")
}

/// The socket of the service that has this folder, when one listens.
pub(super) fn running(folder: &Path) -> Option<PathBuf> {
    let path = folder.join(CONTROL_SOCKET);
    UnixStream::connect(&path).is_ok().then_some(path)
}

/// Has the service do a command.
pub(super) fn ask(
    socket: &Path,
    command: &Command,
    hear: &mut dyn FnMut(Reply),
) -> Result<(), Failure> {
    let fail = |error: io::Error| {
        Failure::failed(std::format!("the service at {}: {error}", socket.display()))
            .advise("Is it still running? 'headcount authority status' tells.")
    };
    let stream = UnixStream::connect(socket).map_err(fail)?;
    stream.set_read_timeout(Some(REPLY_PATIENCE)).map_err(fail)?;
    let mut writer = BufWriter::new(&stream);
    write_line(&mut writer, command).and_then(|()| writer.flush()).map_err(fail)?;
    let mut reader = BufReader::new(&stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        (&mut reader).take(LONGEST_LINE).read_until(b'\n', &mut line).map_err(fail)?;
        if line.is_empty() {
            return Ok(());
        }
        let reply = serde_json::from_slice(&line).map_err(|error| {
            Failure::failed(std::format!("the service's reply is not understood: {error}"))
                .advise("Is it of the same version as this program?")
        })?;
        hear(reply);
    }
}
