//! What every request gets beside its own fields: the fields that all requests have and, last of all,
//! the signature.
//!
//! Every request to a server passes through here when it is encoded. With nothing to add the
//! request is written straight into the connection's buffer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::BytesMut;
use posthaste_protocol::{Command, Request, command};

use crate::config::credentials::{Credentials, CredentialsProvider};

/// What is added to every request.
#[derive(Clone, Default)]
pub(crate) struct Seal {
    /// Fields that every request has.
    pub(crate) fields: Vec<(&'static str, String)>,
    /// Who signs.
    pub(crate) credentials: Option<Arc<dyn CredentialsProvider>>,
}

impl Seal {
    /// Appends a request to `out`; gives the credentials that it was signed with.
    pub(crate) fn put<R: Request>(
        &self,
        out: &mut BytesMut,
        opaque: i32,
        oneway: bool,
        request: &R,
    ) -> Option<Credentials> {
        let put_body = |out: &mut BytesMut| out.extend_from_slice(&request.body());
        self.put_with(out, opaque, oneway, request, put_body)
    }

    /// As [`put`](Self::put), with a body that `put_body` appends in place of the request's.
    #[inline]
    pub(crate) fn put_with<R: Request>(
        &self,
        out: &mut BytesMut,
        opaque: i32,
        oneway: bool,
        request: &R,
        put_body: impl FnOnce(&mut BytesMut),
    ) -> Option<Credentials> {
        if self.adds_nothing() {
            command::put_request_with(out, opaque, oneway, request, put_body);
            return None;
        }
        let command = Command::of(request, opaque);
        let command = if oneway { command.oneway() } else { command };
        self.put_sealed(command, out, put_body)
    }

    /// As [`put`](Self::put), of a request whose type is not known any more.
    pub(crate) fn put_command(&self, command: Command, out: &mut BytesMut) {
        if self.adds_nothing() {
            return command.encode(out);
        }
        let body = command.body.clone();
        self.put_sealed(command, out, |out| out.extend_from_slice(&body));
    }

    /// Whether a request that was signed with these would be signed with others now.
    pub(crate) fn has_changed(&self, signed_with: &Option<Credentials>) -> bool {
        self.credentials.is_some() && self.current() != *signed_with
    }

    /// Whether requests leave as they are.
    pub(crate) fn adds_nothing(&self) -> bool {
        self.credentials.is_none() && self.fields.is_empty()
    }

    fn put_sealed(
        &self,
        mut command: Command,
        out: &mut BytesMut,
        put_body: impl FnOnce(&mut BytesMut),
    ) -> Option<Credentials> {
        for (name, value) in &self.fields {
            command.fields.push(name, value);
        }
        let credentials = self.current();
        let signer = credentials.as_ref().map(Credentials::signer);
        command.encode_with(signer.as_ref(), out, put_body);
        credentials
    }

    /// What the provider gives; `None` also when it panics.
    fn current(&self) -> Option<Credentials> {
        let provider = self.credentials.as_ref()?;
        let asked = catch_unwind(AssertUnwindSafe(|| provider.credentials()));
        asked.inspect_err(|_| tracing::error!("the credentials provider panicked")).ok()
    }
}

#[cfg(test)]
mod tests {
    use posthaste_protocol::request::{QueryMessages, RouteOf};
    use posthaste_protocol::{Frame, RequestCode, frame, sign};

    use super::*;

    fn written(put: impl FnOnce(&mut BytesMut)) -> Command {
        let mut out = BytesMut::new();
        put(&mut out);
        let frame = Frame::take(&mut out, frame::MAX_FRAME).unwrap().unwrap();
        assert!(out.is_empty());
        Command::decode(frame).unwrap()
    }

    fn route_of() -> RouteOf {
        RouteOf { topic: "t".into(), standard_json: Some(true) }
    }

    fn of(fields: &[(&'static str, &str)], credentials: Option<Credentials>) -> Seal {
        let provider = |one| Arc::new(one) as Arc<dyn CredentialsProvider>;
        Seal {
            fields: fields.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(),
            credentials: credentials.map(provider),
        }
    }

    fn is_signed(command: &Command, secret: &str) -> bool {
        let Command { fields, version, body, .. } = command;
        let signature = fields.get(sign::SIGNATURE);
        signature.is_some_and(|one| sign::is_signed(fields, *version, body, secret, one))
    }

    #[test]
    fn what_is_added_is_added_to_every_form_and_signed_last() {
        let me = Credentials::new("me", "hush").security_token("tok");
        for (fields, credentials) in [
            (&[][..], None),
            (&[("ns", "space")][..], None),
            (&[][..], Some(me.clone())),
            (&[("ns", "space")][..], Some(me)),
        ] {
            let seal = of(fields, credentials.clone());
            let request = route_of();
            let typed = written(|out| assert_eq!(seal.put(out, 7, true, &request), credentials));
            let raw = written(|out| seal.put_command(Command::of(&request, 7).oneway(), out));
            assert_eq!(typed, raw);
            assert!(typed.is_oneway());
            assert_eq!(typed.read::<RouteOf>().unwrap(), request);
            assert_eq!(typed.fields.get("ns"), fields.first().map(|(_, value)| *value));
            assert_eq!(is_signed(&typed, "hush"), credentials.is_some());
        }
    }

    /// What is signed is the body as it travels, wherever it comes from.
    #[test]
    fn a_body_written_in_place_is_signed() {
        let seal = of(&[], Some(Credentials::new("me", "hush")));
        let sealed = written(|out| {
            seal.put_with(out, 7, false, &route_of(), |out| out.extend_from_slice(b"in place"));
        });
        assert_eq!(&sealed.body[..], b"in place");
        assert!(is_signed(&sealed, "hush"));
    }

    /// 4.x leaves the flag of a query out of the signature, 5.x up to version 399.
    #[test]
    fn a_query_declares_a_version_that_leaves_its_flag_unsigned() {
        let seal = of(&[], Some(Credentials::new("me", "hush")));
        let query = QueryMessages { by_unique_id: Some(true), ..QueryMessages::default() };
        let typed = written(|out| drop(seal.put(out, 7, false, &query)));
        let raw = written(|out| seal.put_command(Command::of(&query, 7), out));
        assert_eq!(typed, raw);
        assert_eq!((typed.request_code(), typed.version), (RequestCode::QUERY_MESSAGE, 399));
        let mut unflagged = posthaste_protocol::Fields::new();
        let others = typed.fields.iter().filter(|(name, _)| *name != "_UNIQUE_KEY_QUERY");
        others.for_each(|(name, value)| unflagged.push(name, value));
        assert_eq!(unflagged.len() + 1, typed.fields.len());
        assert!(is_signed(&Command { fields: unflagged, ..typed }, "hush"));
    }

    #[test]
    fn a_provider_that_panics_leaves_a_request_unsigned() {
        let seal =
            Seal { fields: Vec::new(), credentials: Some(Arc::new(|| panic!("on purpose"))) };
        let sent = written(|out| assert_eq!(seal.put(out, 7, false, &route_of()), None));
        assert_eq!(sent.fields.get(sign::ACCESS_KEY), None);
        assert_eq!(sent.read::<RouteOf>().unwrap(), route_of());
    }
}
