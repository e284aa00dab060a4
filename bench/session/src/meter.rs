//! Time and processor time of an interval, of this process or another.

use std::time::{Duration, Instant};

use anyhow::Result;
use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// Measures an interval that begins when it is made.
#[derive(Debug)]
pub struct Meter {
    clock: ClockId,
    began: Instant,
    cpu: Duration,
}

impl Meter {
    /// Begins an interval of this process.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn start() -> Result<Self> {
        Self::of_clock(ClockId::CLOCK_PROCESS_CPUTIME_ID)
    }

    /// Begins an interval of another process.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn of_process(id: u32) -> Result<Self> {
        Self::of_clock(clock_getcpuclockid(Pid::from_raw(i32::try_from(id)?))?)
    }

    fn of_clock(clock: ClockId) -> Result<Self> {
        Ok(Self { clock, began: Instant::now(), cpu: read(clock)? })
    }

    /// Time since the beginning.
    pub fn took(&self) -> Duration {
        self.began.elapsed()
    }

    /// User and system time of the whole process, all of its threads, since the beginning.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn cpu(&self) -> Result<Duration> {
        Ok(read(self.clock)?.saturating_sub(self.cpu))
    }
}

fn read(clock: ClockId) -> Result<Duration> {
    Ok(clock_gettime(clock)?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_counts_and_sleep_does_not() {
        let meter = Meter::start().unwrap();
        std::thread::sleep(Duration::from_millis(30));
        let asleep = meter.cpu().unwrap();
        while meter.cpu().unwrap() < asleep + Duration::from_millis(20) {}
        let other = Meter::of_process(std::process::id()).unwrap();
        assert!(meter.took() >= asleep + Duration::from_millis(20));
        assert!(other.cpu().unwrap() < meter.cpu().unwrap());
    }
}
