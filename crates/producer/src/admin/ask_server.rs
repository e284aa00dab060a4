//! Questions to a single server, for tools that look for what is wrong with it.

use posthaste_protocol::{Command, Request};

use crate::connection::Peer;
use crate::{Admin, AdminError};

impl Admin {
    /// Asks this name server, and no other, over a connection of its own. The answer may have any
    /// code. Signatures, TLS and proxy are those of the producer.
    ///
    /// Requests and answers are those of the crate `posthaste-protocol`.
    ///
    /// # Errors
    /// When there is no answer: [`AdminError::Unreachable`] when the server cannot be connected to,
    /// or the connection breaks; else one of the errors of every call.
    pub async fn ask_name_server<R: Request>(
        &self,
        address: &str,
        request: &R,
    ) -> Result<Command, AdminError> {
        self.ask_server(address, request).await
    }

    /// As [`ask_name_server`](Self::ask_name_server), for the broker at this very address: it is not
    /// rewritten by the [address map](crate::ProducerBuilder::address_map). The broker gets no
    /// heartbeat but one that is the request.
    ///
    /// # Errors
    /// As there, and [`AdminError::Untrusted`].
    pub async fn ask_broker<R: Request>(
        &self,
        address: &str,
        request: &R,
    ) -> Result<Command, AdminError> {
        if !self.client()?.ledger.config().trusts(address) {
            let reason = format!("{address} is not among the trusted brokers; it was not asked");
            return Err(AdminError::Untrusted { topic: String::new(), reason });
        }
        self.ask_server(address, request).await
    }

    async fn ask_server<R: Request>(
        &self,
        address: &str,
        request: &R,
    ) -> Result<Command, AdminError> {
        // To a connection, every peer that gets no heartbeats is a name server.
        let connection = self.client()?.open(address.into(), Peer::NameServer);
        let answer = connection.call_raw(request, self.deadline()).await;
        answer.map_err(|error| AdminError::of_call(error, ""))
    }
}
