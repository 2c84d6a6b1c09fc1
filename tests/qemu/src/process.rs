//! A process that ends when its value does.

use std::process::{Child, Command};

use crate::eventually;

/// A process of this test, killed unless it has ended.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    /// Its exit status once it has ended by itself.
    #[track_caller]
    pub(crate) fn ended(&mut self) -> i32 {
        let status = eventually("the end of a process", || self.0.try_wait().unwrap());
        status.code().unwrap_or_else(|| panic!("ended by a signal: {status}"))
    }

    /// Kills it, as a power cut ends a machine.
    pub(crate) fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// Asks it to end (SIGTERM), as a service manager does.
    pub(crate) fn terminate(&self) {
        let status = Command::new("kill").arg(self.0.id().to_string()).status().unwrap();
        assert!(status.success(), "cannot end process {}", self.0.id());
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
