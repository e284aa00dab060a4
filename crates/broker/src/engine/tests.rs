//! The engine, without sockets, threads and clocks.

mod administering;
mod brittle;
mod consuming;
mod deleting;
mod failing;
mod harness;
mod keeping;
mod querying;
mod replying;
mod sending;
mod timing;
mod transacting;
