//! What a client of the benchmark and its driver say to each other, and how a client measures.
//!
//! A client is a process of its own. It gets its [`Arguments`] on the command line, warms up, says
//! `ready`, waits for `go`, measures, and prints one [`Measurement`] as a line of JSON. Then it stays
//! until its standard input closes, so that the driver can read its peak memory.

mod arguments;
mod callers;
mod latencies;
mod measurement;
mod meter;
mod runtime;
mod stage;

pub use arguments::{Arguments, Shape};
pub use callers::{Caller, Outcome, drive};
pub use latencies::Latencies;
pub use measurement::{Measurement, Moment, Tally};
pub use meter::Meter;
pub use runtime::runtime;
pub use stage::Stage;
