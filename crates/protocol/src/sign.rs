//! Signed requests (Java: `AclClientRPCHook`, `AclSigner`; the same for ACL 1.0 and 2.0).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use crate::Fields;

/// Field with the name of the signer.
pub const ACCESS_KEY: &str = "AccessKey";
/// Field with the signature; it covers every other field and the body.
pub const SIGNATURE: &str = "Signature";
/// Field with the token of temporary credentials.
pub const SECURITY_TOKEN: &str = "SecurityToken";
/// Bytes of every signature: Base64 of the 20 bytes of an HMAC-SHA1.
pub const SIGNATURE_LENGTH: usize = 28;

/// A flag of queries that clients up to this version add after signing (5.x:
/// `AclUtils.combineRequestContent`). Servers of 4.x leave it out for every client.
const ADDED_LATER: (&str, i32) = ("_UNIQUE_KEY_QUERY", 399);

/// Who signs a request.
#[derive(Clone, Copy)]
pub struct Signer<'a> {
    /// The name by which the server knows the signer.
    pub access_key: &'a str,
    /// The secret that only server and signer know.
    pub secret_key: &'a str,
    /// The token of temporary credentials.
    pub security_token: Option<&'a str>,
}

impl Signer<'_> {
    /// Adds the fields that say who signs.
    pub(crate) fn introduce(&self, fields: &mut Fields) {
        fields.push(ACCESS_KEY, self.access_key);
        if let Some(token) = self.security_token {
            fields.push(SECURITY_TOKEN, token);
        }
    }
}

/// The signature of a request that declares this version and has these fields, [`ACCESS_KEY`] and
/// [`SECURITY_TOKEN`] among them, and this body: Base64 of the HMAC-SHA1 of the fields' values, in
/// the order of their names, and the body. A [`SIGNATURE`] among the fields is passed over, and up
/// to version 399 the flag `_UNIQUE_KEY_QUERY`.
pub fn signature(fields: &Fields, version: i32, body: &[u8], secret_key: &str) -> String {
    STANDARD.encode(mac(fields, version, body, secret_key).finalize().into_bytes())
}

/// Whether `signature` is that of a request with this version, these fields and this body. Takes
/// as long for every wrong signature.
pub fn is_signed(
    fields: &Fields,
    version: i32,
    body: &[u8],
    secret_key: &str,
    signature: &str,
) -> bool {
    let mac = || mac(fields, version, body, secret_key);
    STANDARD.decode(signature).is_ok_and(|signature| mac().verify_slice(&signature).is_ok())
}

fn mac(fields: &Fields, version: i32, body: &[u8], secret_key: &str) -> Hmac<Sha1> {
    let (late, up_to) = ADDED_LATER;
    let is_signed = |name: &str| name != SIGNATURE && !(name == late && version <= up_to);
    let mut sorted: Vec<_> = fields.iter().filter(|(name, _)| is_signed(name)).collect();
    // Of a name that occurs twice readers know the last value alone; the sort is stable.
    sorted.sort_by_key(|(name, _)| *name);
    let last_of_name = |at: usize| {
        let name = |at: usize| sorted.get(at).map(|(name, _)| *name);
        name(at) != name(at + 1)
    };
    // A key of any length will do.
    let mut mac = Hmac::<Sha1>::new_from_slice(secret_key.as_bytes())
        .unwrap_or_else(|_| Hmac::new(&Default::default()));
    for (_, value) in sorted.iter().enumerate().filter(|(at, _)| last_of_name(*at)).map(|(_, f)| f)
    {
        mac.update(value.as_bytes());
    }
    mac.update(body);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_java_clients() {
        let mut fields: Fields =
            [("topic", "TopicTest"), (ACCESS_KEY, "RocketMQ")].into_iter().collect();
        let expected = "0jiwhsaYp5ObE5GObbZH1I8/FT4=";
        assert_eq!(signature(&fields, 513, b"", "12345678"), expected);
        fields.push(SIGNATURE, expected);
        assert_eq!(signature(&fields, 513, b"", "12345678"), expected, "it does not sign itself");
        assert!(is_signed(&fields, 513, b"", "12345678", expected));

        let fields: Fields = [
            ("i", "WAIT\u{1}true\u{2}"),
            ("b", "t"),
            ("a", "g"),
            (SECURITY_TOKEN, "tok"),
            (ACCESS_KEY, "RocketMQ"),
        ]
        .into_iter()
        .collect();
        let expected = "ruwf4iavSa6z5ITFHA8A8WK8zJ8=";
        assert_eq!(signature(&fields, 513, b"hello", "12345678"), expected);
        for (body, secret, signature) in [
            (&b"hallo"[..], "12345678", expected),
            (b"hello", "12345679", expected),
            (b"hello", "12345678", "ruwf4iavSa6z5ITFHA8A8WK8zJ9="),
            (b"hello", "12345678", "not base64!"),
            (b"hello", "12345678", ""),
        ] {
            assert!(!is_signed(&fields, 513, body, secret, signature), "{secret} {signature}");
        }
    }
    /// 4.x servers leave the flag out for every client, 5.x servers for clients up to version 399:
    /// a frame that declares that version and leaves it out is understood by all.
    #[test]
    fn the_flag_of_a_query_is_signed_by_newer_clients_alone() {
        let plain: Fields = [(ACCESS_KEY, "k"), ("key", "x")].into_iter().collect();
        let mut flagged = plain.clone();
        flagged.push("_UNIQUE_KEY_QUERY", "true");
        let sign = |fields, version| signature(fields, version, b"", "secret-key");
        assert_eq!(sign(&flagged, 399), sign(&plain, 399));
        assert_ne!(sign(&flagged, 400), sign(&plain, 400));
        assert_eq!(sign(&plain, 399), sign(&plain, 400));
    }
}
