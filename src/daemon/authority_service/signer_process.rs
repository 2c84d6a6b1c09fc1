//! A root key in a process of its own, such as one that speaks to a security module.
//!
//! The process is asked a line at a time on its standard input and answers each with one line on
//! its standard output, hexadecimal:
//!
//! ```text
//! public                 64 digits: the public key
//! sign HEX               128 digits: the Ed25519 signature of those bytes
//! ```
//!
//! Anything else it says, such as `error no card in the reader`, is a failure. It ends when its
//! input does.

use core::fmt;
use core::time::Duration;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::string::{String, ToString};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;
use std::vec::Vec;

use crate::daemon::files::{from_hex, to_hex};
use crate::trust::{Signer, SigningKey, Verifier as _, VerifyingKey};
use crate::wire::{PublicKey, SIGNATURE_LEN, Signature};

/// How long an answer is waited for; then the process is ended and started again.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// The shortest time between two starts, so that a process that fails and fails costs little.
const START_PAUSE: Duration = Duration::from_secs(1);

/// The longest line: a prefix, and the digits of a message of any length that is ever signed.
const LONGEST_LINE: u64 = 4_096;

/// A signer in a process of its own. It is started when first needed, and started again when it has
/// died or does not answer.
pub struct SignerProcess {
    program: String,
    arguments: Vec<String>,
    public_key: PublicKey,
    state: Mutex<State>,
}

/// Why a signature could not be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignerError(String);

#[derive(Default)]
struct State {
    running: Option<Running>,
    started: Option<Instant>,
}

struct Running {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

impl SignerProcess {
    /// A signer that is started by this command, and must have this public key.
    #[must_use]
    pub fn new(program: String, arguments: Vec<String>, public_key: PublicKey) -> Self {
        Self { program, arguments, public_key, state: Mutex::default() }
    }

    /// Whether the process runs, or can be started, and answers with the right public key.
    pub fn check(&self) -> Result<(), SignerError> {
        self.ask("public").map(|_| ())
    }

    /// Asks a line. A process that fails is ended, so that the next question starts another one.
    fn ask(&self, question: &str) -> Result<String, SignerError> {
        let mut state = self.lock();
        let asked = match self.running(&mut state) {
            Ok(running) => running.ask(question),
            Err(error) => Err(error),
        };
        if asked.is_err() {
            state.running = None;
        }
        asked.map_err(|error| SignerError(std::format!("{}: {error}", self.program)))
    }

    fn running<'a>(&self, state: &'a mut State) -> Result<&'a mut Running, String> {
        let dead = match &mut state.running {
            Some(running) => !matches!(running.child.try_wait(), Ok(None)),
            None => true,
        };
        if dead {
            state.running = None;
            if state.started.is_some_and(|started| started.elapsed() < START_PAUSE) {
                return Err("it has only just failed; it is started again in a second".into());
            }
            state.started = Some(Instant::now());
            state.running = Some(self.start()?);
        }
        state.running.as_mut().ok_or_else(|| "it does not run".into())
    }

    fn start(&self) -> Result<Running, String> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child =
            command.spawn().map_err(|error| std::format!("cannot be started: {error}"))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("has no standard input and output".into());
        };
        // A read has no time limit; waiting for what a thread has read does.
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            let mut output = BufReader::new(output);
            while let Ok(Some(line)) = read_line(&mut output) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut running = Running { child, input, lines };
        let public = running.ask("public")?;
        if from_hex(&public).as_deref() != Some(&self.public_key.0) {
            return Err("it has another key than authority.toml names".into());
        }
        tracing::info!(program = self.program, "the signer runs");
        Ok(running)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Signer for SignerProcess {
    type Error = SignerError;

    fn public_key(&self) -> PublicKey {
        self.public_key
    }

    /// A signature that does not verify is never handed on: nobody would believe it, and what it is
    /// under may have been recorded as granted.
    fn sign(&self, message: &[u8]) -> Result<Signature, SignerError> {
        let answer = self.ask(&std::format!("sign {}", to_hex(message)))?;
        let signature = from_hex(&answer).and_then(|bytes| bytes.try_into().ok());
        let signature: [u8; SIGNATURE_LEN] =
            signature.ok_or_else(|| SignerError(std::format!("{}: no signature", self.program)))?;
        let signature = Signature(signature);
        if is_signed_by(&self.public_key, message, &signature) {
            Ok(signature)
        } else {
            Err(SignerError(std::format!("{}: a signature that does not verify", self.program)))
        }
    }
}

impl Running {
    fn ask(&mut self, question: &str) -> Result<String, String> {
        let asked = writeln!(self.input, "{question}").and_then(|()| self.input.flush());
        asked.map_err(|error| std::format!("it does not listen: {error}"))?;
        match self.lines.recv_timeout(ANSWER_LIMIT) {
            Ok(line) => match line.strip_prefix("error") {
                Some(reason) => Err(reason.trim().to_string()),
                None => Ok(line),
            },
            Err(mpsc::RecvTimeoutError::Timeout) => Err("it does not answer".into()),
            Err(mpsc::RecvTimeoutError::Disconnected) => Err("it has ended".into()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already; either way nothing is left of it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl fmt::Debug for SignerProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignerProcess")
            .field("program", &self.program)
            .field("public_key", &self.public_key)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for SignerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the signer {}", self.0)
    }
}

impl core::error::Error for SignerError {}

fn is_signed_by(key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
    VerifyingKey::from_public_key(key).is_some_and(|key| key.verify(message, signature))
}

/// The other side: answers questions with a key in memory until the input ends.
pub fn serve_signer(
    key: &SigningKey,
    input: &mut impl BufRead,
    output: &mut impl Write,
) -> io::Result<()> {
    while let Some(line) = read_line(input)? {
        match answer(key, &line) {
            Ok(answer) => writeln!(output, "{answer}")?,
            Err(reason) => writeln!(output, "error {reason}")?,
        }
        output.flush()?;
    }
    Ok(())
}

fn answer(key: &SigningKey, line: &str) -> Result<String, &'static str> {
    if line == "public" {
        return Ok(to_hex(&key.public_key().0));
    }
    let message = line.strip_prefix("sign ").and_then(from_hex);
    let message = message.ok_or("the questions are 'public' and 'sign HEX'")?;
    match key.sign(&message) {
        Ok(Signature(signature)) => Ok(to_hex(&signature)),
        Err(never) => match never {},
    }
}

/// A line without its end; `None` after the last one.
fn read_line(input: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = String::new();
    match input.by_ref().take(LONGEST_LINE).read_line(&mut line)? {
        0 => Ok(None),
        _ => Ok(Some(line.trim().to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_signer_answers_lines() {
        let key = SigningKey::from_seed(&[7; 32]);
        let mut output = Vec::new();
        serve_signer(&key, &mut &b"public\nsign 00ff\nsign x\nhello\n"[..], &mut output).unwrap();
        let output = String::from_utf8(output).unwrap();
        let lines: Vec<_> = output.lines().collect();
        let [public, signature, bad, unknown] = *lines else { panic!("{output}") };
        assert_eq!(public, to_hex(&key.public_key().0));
        let signature = Signature(from_hex(signature).unwrap().try_into().unwrap());
        assert!(is_signed_by(&key.public_key(), &[0, 0xff], &signature));
        assert!(!is_signed_by(&key.public_key(), &[0, 0xfe], &signature));
        assert!(bad.starts_with("error ") && unknown.starts_with("error "), "{output}");
    }
}
