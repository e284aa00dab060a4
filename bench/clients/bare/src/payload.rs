//! What callers send, how it becomes requests, and what they get.

mod call;
mod prepared;
mod whole;

use std::future::Future;
use std::sync::Arc;

pub(crate) use call::{Call, lock};
pub(crate) use prepared::Prepared;
pub(crate) use whole::Whole;

/// What callers send. Its numbers count from 0.
pub(crate) trait Payload: Sized + Send + 'static {
    /// What callers share.
    type Shared: Clone + Send + Sync + 'static;
    type Message: Send + Sync + 'static;
    type Receipt: Send + 'static;

    fn shared(&self) -> Self::Shared;

    /// A message of the next call of this caller.
    fn accept(shared: &Self::Shared, caller: usize) -> impl Future<Output = Self::Message> + Send;

    /// Appends the request of this number to the output.
    fn leave(&mut self, number: usize, members: &[Arc<Call<Self>>]);

    fn output(&self) -> &[u8];

    /// So many bytes of the output are written.
    fn wrote(&mut self, bytes: usize);

    /// What a message gets for which no answer comes.
    fn written() -> Self::Receipt;

    /// The number of an answer, and what each message of its request gets.
    fn read(&mut self, answer: &[u8]) -> Option<(usize, impl Iterator<Item = Self::Receipt>)>;

    /// So many messages have ended, and their callers are about to be woken.
    fn done(&mut self, messages: usize);

    fn is_stored(receipt: Self::Receipt) -> bool;
}
