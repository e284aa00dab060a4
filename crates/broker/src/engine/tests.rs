//! The engine, without sockets, threads and clocks.

mod consuming;
mod harness;
mod keeping;
mod querying;
mod replying;
mod sending;
mod timing;
mod transacting;
