//! The engine, without sockets, threads and clocks.

mod consuming;
mod harness;
mod keeping;
mod sending;
