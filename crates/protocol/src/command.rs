//! A command: one request or answer, as it travels.

use bytes::{Bytes, BytesMut};

use crate::header::{Envelope, Parts, binary, json};
use crate::language::Language;
use crate::payload::{Payload, Request};
use crate::sign::{self, Signer};
use crate::{
    DecodeError, Fields, Frame, HeaderEncoding, RequestCode, ResponseCode, VERSION, frame,
};

/// Bit of `flag`: this command answers another.
pub(crate) const ANSWER: i32 = 1;
/// Bit of `flag`: no answer is wanted.
pub(crate) const ONEWAY: i32 = 2;

/// Whether a command with this `flag` is an answer.
pub(crate) fn is_answer(flag: i32) -> bool {
    flag & ANSWER != 0
}

/// A request or an answer with its fields not yet typed (Java: `RemotingCommand`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// A [`RequestCode`] or a [`ResponseCode`].
    pub code: i32,
    /// The sender's language.
    pub language: Language,
    /// The sender's protocol version (`MQVersion` ordinal).
    pub version: i32,
    /// Number by which an answer finds its request.
    pub opaque: i32,
    /// Bit 0: answer; bit 1: one-way.
    pub flag: i32,
    /// A text for people, mostly the reason of an error.
    pub remark: Option<String>,
    /// The header's fields.
    pub fields: Fields,
    /// The body; empty when there is none.
    pub body: Bytes,
    /// How the header was, or will be, written.
    pub encoding: HeaderEncoding,
}

impl Command {
    /// A request of a code that has no type here.
    pub fn request(code: RequestCode, opaque: i32, fields: Fields, body: Bytes) -> Self {
        Self {
            code: code.0,
            language: Language::Rust,
            version: VERSION,
            opaque,
            flag: 0,
            remark: None,
            fields,
            body,
            encoding: HeaderEncoding::Json,
        }
    }

    /// A request as a command, with the request's body.
    pub fn of<R: Request>(request: &R, opaque: i32) -> Self {
        let mut fields = Fields::new();
        request.write(&mut fields);
        let body = request.body().into_owned().into();
        Self { version: R::VERSION, ..Self::request(R::CODE, opaque, fields, body) }
    }

    /// The same request, to which no answer is wanted.
    #[must_use]
    pub fn oneway(self) -> Self {
        Self { flag: self.flag | ONEWAY, ..self }
    }

    /// Reads a frame's header.
    ///
    /// # Errors
    /// [`DecodeError::Header`] when the header is not what its encoding says.
    pub fn decode(frame: Frame) -> Result<Self, DecodeError> {
        let parts = match frame.encoding {
            HeaderEncoding::Json => json::read(&frame.header)?,
            HeaderEncoding::Binary => binary::read(&frame.header)?,
        };
        let Parts { code, language, version, opaque, flag, remark, fields } = parts;
        let (body, encoding) = (frame.body, frame.encoding);
        Ok(Self { code, language, version, opaque, flag, remark, fields, body, encoding })
    }

    /// Appends the command, as a frame, to `out`. What the binary layout cannot carry, such as the
    /// codes above 200,000 of 5.5, is written as JSON, which every peer reads.
    pub fn encode(&self, out: &mut BytesMut) {
        let envelope = self.envelope();
        let encoding = match self.encoding {
            HeaderEncoding::Binary if binary::can_carry(&envelope, &self.fields) => {
                HeaderEncoding::Binary
            }
            _ => HeaderEncoding::Json,
        };
        let header = |out: &mut BytesMut| match encoding {
            HeaderEncoding::Binary => binary::write(out, &envelope, &self.fields),
            HeaderEncoding::Json => json::write(out, &envelope, |writer| {
                self.fields.iter().for_each(|(name, value)| writer.put(name, value));
            }),
        };
        frame::put(out, encoding, header, |out| out.extend_from_slice(&self.body));
    }

    /// Appends the command to `out` as a frame with a JSON header and a body that `put_body`
    /// appends, whatever body the command has; signed if there is a signer.
    ///
    /// The signature's place is left free until what it covers is written.
    pub fn encode_with(
        mut self,
        signer: Option<&Signer<'_>>,
        out: &mut BytesMut,
        put_body: impl FnOnce(&mut BytesMut),
    ) {
        if let Some(signer) = signer {
            signer.introduce(&mut self.fields);
        }
        let (mut place, mut body_at) = (0, 0);
        let header = |out: &mut BytesMut| {
            json::write(out, &self.envelope(), |writer| {
                self.fields.iter().for_each(|(name, value)| writer.put(name, value));
                if signer.is_some() {
                    place = writer.leave_free(sign::SIGNATURE, sign::SIGNATURE_LENGTH);
                }
            });
        };
        frame::put(out, HeaderEncoding::Json, header, |out| {
            body_at = out.len();
            put_body(out);
        });
        let Some(signer) = signer else { return };
        let body = out.get(body_at..).unwrap_or_default();
        let signature = sign::signature(&self.fields, self.version, body, signer.secret_key);
        if let Some(free) = out.get_mut(place..place + signature.len()) {
            free.copy_from_slice(signature.as_bytes());
        }
    }

    fn envelope(&self) -> Envelope<'_> {
        Envelope {
            code: self.code,
            flag: self.flag,
            language: self.language,
            opaque: self.opaque,
            remark: self.remark.as_deref(),
            version: self.version,
        }
    }

    /// Whether this is an answer; otherwise it is a request.
    pub fn is_answer(&self) -> bool {
        is_answer(self.flag)
    }

    /// Whether the sender wants no answer.
    pub fn is_oneway(&self) -> bool {
        self.flag & ONEWAY != 0
    }

    /// The code of an answer.
    pub fn response_code(&self) -> ResponseCode {
        ResponseCode(self.code)
    }

    /// The code of a request.
    pub fn request_code(&self) -> RequestCode {
        RequestCode(self.code)
    }

    /// Gives the fields and the body the types of `P`.
    ///
    /// # Errors
    /// When a field is missing or of another type, or the body does not follow its layout.
    pub fn read<P: Payload>(&self) -> Result<P, DecodeError> {
        P::read(&self.fields, &self.body)
    }
}

/// Appends a request, as a frame, to `out`. `oneway` says that no answer is wanted.
pub fn put_request<R: Request>(out: &mut BytesMut, opaque: i32, oneway: bool, request: &R) {
    put_request_with(out, opaque, oneway, request, |out| out.extend_from_slice(&request.body()));
}

/// As [`put_request`], with a body that `put_body` appends to `out`, whatever body the request has.
///
/// A batch is written into the connection's buffer at once in this way, message by message.
pub fn put_request_with<R: Request>(
    out: &mut BytesMut,
    opaque: i32,
    oneway: bool,
    request: &R,
    put_body: impl FnOnce(&mut BytesMut),
) {
    put(out, &request_envelope::<R>(opaque, oneway), request, put_body);
}

/// What the header of a request says beside its fields.
pub(crate) fn request_envelope<R: Request>(opaque: i32, oneway: bool) -> Envelope<'static> {
    Envelope {
        code: R::CODE.0,
        flag: request_flag(oneway),
        language: Language::Rust,
        opaque,
        remark: None,
        version: R::VERSION,
    }
}

pub(crate) fn request_flag(oneway: bool) -> i32 {
    if oneway { ONEWAY } else { 0 }
}

/// Appends an answer, as a frame, to `out`. `opaque` is the request's.
///
/// The language is given as Java: a 4.7 client turns a name that it does not know into null.
pub fn put_answer<P: Payload>(
    out: &mut BytesMut,
    opaque: i32,
    code: ResponseCode,
    remark: Option<&str>,
    answer: &P,
) {
    let envelope = answer_envelope(opaque, code, remark);
    put(out, &envelope, answer, |out| out.extend_from_slice(&answer.body()));
}

/// What the header of an answer says beside its fields.
pub(crate) fn answer_envelope(
    opaque: i32,
    code: ResponseCode,
    remark: Option<&str>,
) -> Envelope<'_> {
    Envelope {
        code: code.0,
        flag: ANSWER,
        language: Language::Java,
        opaque,
        remark,
        version: VERSION,
    }
}

fn put<P: Payload>(
    out: &mut BytesMut,
    envelope: &Envelope<'_>,
    payload: &P,
    put_body: impl FnOnce(&mut BytesMut),
) {
    let header = |out: &mut BytesMut| json::write(out, envelope, |writer| payload.write(writer));
    frame::put(out, HeaderEncoding::Json, header, put_body);
}
