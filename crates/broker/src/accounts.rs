//! Who may use the broker: accounts, and whether a request is signed by one of them (5.x:
//! `DefaultAuthenticationHandler`).

use std::collections::HashMap;
use std::fmt;

use bytes::{Bytes, BytesMut};
use posthaste_protocol::command::put_answer;
use posthaste_protocol::frame::MAX_FRAME;
use posthaste_protocol::request::Empty;
use posthaste_protocol::{Command, DecodeError, Frame, sign};

use crate::engine::refusal::Refusal;
use crate::request;

/// The shortest secret, as in 4.x.
const SHORTEST_SECRET: usize = 7;

/// Access keys and their secrets. With none of them everybody may do everything.
#[derive(Clone, Default)]
pub(crate) struct Accounts(HashMap<String, String>);

/// What goes on of the frames of a connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Admitted {
    /// The frames that may go on.
    pub(crate) frames: Bytes,
    /// Whether an account has signed one of them.
    pub(crate) is_signed: bool,
}

impl Accounts {
    /// Adds an account, or gives one that there is another secret.
    pub(crate) fn add(&mut self, access_key: String, secret_key: String) {
        self.0.insert(access_key, secret_key);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// # Errors
    /// Which account makes no sense, and why.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.0.contains_key("") {
            return Err("an access key is empty".to_owned());
        }
        match self.0.iter().find(|(_, secret)| secret.len() < SHORTEST_SECRET) {
            Some((name, _)) => {
                Err(format!("the secret of {name} has less than {SHORTEST_SECRET} characters"))
            }
            None => Ok(()),
        }
    }

    /// The frames that are signed by an account. The senders of the other frames get `answers`; only
    /// the headers of these frames have been read then.
    ///
    /// # Errors
    /// When a frame cannot be read; nothing more of its connection can be trusted then.
    pub(crate) fn admit(
        &self,
        frames: Bytes,
        answers: &mut BytesMut,
    ) -> Result<Admitted, DecodeError> {
        if self.is_empty() {
            return Ok(Admitted { frames, is_signed: false });
        }
        // Mostly none is refused, and the run goes on as it is.
        let mut admitted: Option<BytesMut> = None;
        let mut is_signed = false;
        let mut rest = frames.clone();
        loop {
            let start = frames.len() - rest.len();
            let Some(frame) = Frame::take_of_run(&mut rest, MAX_FRAME)? else { break };
            let command = request::read(frame)?;
            let whole = frames.slice(start..frames.len() - rest.len());
            match self.authenticate(&command) {
                Ok(()) => {
                    is_signed |= !command.is_answer();
                    if let Some(admitted) = &mut admitted {
                        admitted.extend_from_slice(&whole);
                    }
                }
                Err(refusal) => {
                    admitted.get_or_insert_with(|| BytesMut::from(&frames.slice(..start)[..]));
                    refuse(&command, &refusal, answers);
                }
            }
        }
        Ok(Admitted { frames: admitted.map_or(frames, BytesMut::freeze), is_signed })
    }

    fn authenticate(&self, request: &Command) -> Result<(), Refusal> {
        if request.is_answer() {
            return Ok(());
        }
        let fields = &request.fields;
        let Some(name) = fields.get(sign::ACCESS_KEY).filter(|name| !name.is_empty()) else {
            return Err(Refusal::forbidden("username cannot be null."));
        };
        let Some(secret) = self.0.get(name) else {
            return Err(Refusal::forbidden(format!("User:{name} is not found.")));
        };
        let signature = fields.get(sign::SIGNATURE).unwrap_or_default();
        match sign::is_signed(fields, request.version, &request.body, secret, signature) {
            true => Ok(()),
            false => Err(Refusal::forbidden("check signature failed.")),
        }
    }
}

fn refuse(request: &Command, refusal: &Refusal, answers: &mut BytesMut) {
    tracing::debug!(code = request.code, remark = refusal.remark, "not authenticated");
    if !request.is_oneway() {
        let remark = Some(refusal.remark.as_str());
        put_answer(answers, request.opaque, refusal.code, remark, &Empty);
    }
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use posthaste_protocol::request::{Heartbeat, RouteOf};
    use posthaste_protocol::sign::Signer;
    use posthaste_protocol::{Command, Request};

    use super::*;

    fn accounts() -> Accounts {
        let mut accounts = Accounts::default();
        accounts.add("me".into(), "my secret".into());
        accounts.add("you".into(), "your secret".into());
        accounts
    }

    fn put<R: Request>(request: &R, opaque: i32, signer: Option<(&str, &str)>) -> BytesMut {
        let signer = signer.map(|(access_key, secret_key)| Signer {
            access_key,
            secret_key,
            security_token: Some("token"),
        });
        let command = Command::of(request, opaque);
        let (mut out, body) = (BytesMut::new(), command.body.clone());
        command.encode_with(signer.as_ref(), &mut out, |out| out.extend_from_slice(&body));
        out
    }

    fn route(opaque: i32, signer: Option<(&str, &str)>) -> BytesMut {
        put(&RouteOf { topic: "t".into(), standard_json: None }, opaque, signer)
    }

    #[test]
    fn what_is_not_signed_by_an_account_is_refused_and_the_rest_goes_on() {
        let mine = route(1, Some(("me", "my secret")));
        let yours = put(&Heartbeat::default(), 2, Some(("you", "your secret")));
        let wrong = [
            (route(11, None), "username cannot be null."),
            (route(12, Some(("", "my secret"))), "username cannot be null."),
            (route(13, Some(("nobody", "my secret"))), "User:nobody is not found."),
            (route(14, Some(("me", "your secret"))), "check signature failed."),
            (put(&Heartbeat::default(), 15, Some(("me", "x"))), "check signature failed."),
        ];
        let mut run = mine.to_vec();
        wrong.iter().for_each(|(frame, _)| run.extend_from_slice(frame));
        run.extend_from_slice(&yours);
        let mut answers = BytesMut::new();
        let admitted = accounts().admit(run.into(), &mut answers).expect("frames");
        assert_eq!(admitted.frames, [&mine[..], &yours[..]].concat());
        assert!(admitted.is_signed);
        for (opaque, (_, remark)) in (11..).zip(wrong) {
            let frame = Frame::take(&mut answers, MAX_FRAME).expect("frame").expect("an answer");
            let answer = Command::decode(frame).expect("answer");
            assert!(answer.is_answer());
            let found = (answer.opaque, answer.code, answer.remark.as_deref());
            assert_eq!(found, (opaque, 16, Some(remark)));
        }
        assert!(answers.is_empty());
    }

    #[test]
    fn a_changed_body_or_field_breaks_the_signature() {
        let whole = put(&Heartbeat::default(), 2, Some(("me", "my secret")));
        for place in [whole.len() - 3, whole.len() / 2] {
            let mut changed = whole.clone();
            changed[place] = if changed[place] == b'x' { b'y' } else { b'x' };
            let mut answers = BytesMut::new();
            // What is not even JSON any more ends the connection.
            if let Ok(admitted) = accounts().admit(changed.freeze(), &mut answers) {
                assert!(!admitted.is_signed, "{place}");
                assert!(admitted.frames.is_empty() && !answers.is_empty(), "{place}");
            }
        }
    }

    #[test]
    fn oneways_are_refused_in_silence_and_without_accounts_everything_goes_on() {
        let route = RouteOf { topic: "t".into(), standard_json: None };
        let command = Command::of(&route, 1).oneway();
        let (mut out, mut answers) = (BytesMut::new(), BytesMut::new());
        command.encode(&mut out);
        let run = out.freeze();
        let admitted = accounts().admit(run.clone(), &mut answers).expect("frames");
        assert!(admitted.frames.is_empty());
        let all = Admitted { frames: run.clone(), is_signed: false };
        assert_eq!(Accounts::default().admit(run, &mut answers), Ok(all));
        assert!(answers.is_empty());
    }

    #[test]
    fn an_answer_goes_on_and_says_nothing_of_who_sent_it() {
        let (mut out, mut answers) = (BytesMut::new(), BytesMut::new());
        put_answer(&mut out, 1, posthaste_protocol::ResponseCode::SUCCESS, None, &Empty);
        let run = out.freeze();
        let admitted = accounts().admit(run.clone(), &mut answers).expect("frames");
        assert_eq!(admitted, Admitted { frames: run, is_signed: false });
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", accounts());
        assert!(shown.contains("me") && !shown.contains("secret"), "{shown}");
    }
}
