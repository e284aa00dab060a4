//! The engine, without sockets, threads and clocks.

mod administering;
mod brittle;
mod consuming;
mod deleting;
mod failing;
mod grouping;
mod harness;
mod keeping;
mod membership;
mod querying;
mod replying;
mod retrying;
mod sending;
mod timing;
mod transacting;
