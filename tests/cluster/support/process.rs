//! A process that does not outlive what holds it, however that goes away.
//!
//! Where the tests themselves are ended before they can end it, the rig does: its number and the
//! time at which it began are noted in the rig's state, and `rig.sh down` ends what is noted there.

use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};

use super::rig::rig;

/// A process.
pub struct Process {
    child: Child,
    note: PathBuf,
}

impl Process {
    /// Starts one.
    pub fn start(mut command: Command) -> Self {
        let child = command.spawn().unwrap();
        let note = rig().folder("stories/pids").join(child.id().to_string());
        let process = Self { child, note };
        let line = format!("{} {}\n", process.id(), began(process.id()));
        std::fs::write(&process.note, line).unwrap();
        process
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended.
    pub fn ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Ends it with SIGKILL, if it has not ended.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_file(&self.note);
    }
}

/// When a process began, in the kernel's ticks: with it a number names one process for ever.
fn began(id: u32) -> String {
    let line = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    let (_, rest) = line.rsplit_once(") ").unwrap();
    rest.split(' ').nth(19).unwrap().to_owned()
}

/// Sends a signal to a process that somebody waits for.
pub fn signal(id: u32, name: &str) {
    let sent = Command::new("sh").arg("-c").arg(format!("kill -{name} {id}")).status();
    assert!(sent.unwrap().success(), "no process {id}");
}
