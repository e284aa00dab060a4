//! What is accepted, and how it ends.

mod awaited_replies;
mod checks;
mod close_report;
mod undecided;

pub(crate) use awaited_replies::Requests;
pub(crate) use checks::Checks;
pub use close_report::{CloseReport, Undelivered};
pub(crate) use undecided::Transactions;
