//! Signed requests (Java: `AclClientRPCHook`, `AclSigner`; the same for ACL 1.0 and 2.0).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use crate::Fields;

/// Field with the name of whoever signs.
pub const ACCESS_KEY: &str = "AccessKey";
/// Field with the signature; it covers every other field and the body.
pub const SIGNATURE: &str = "Signature";
/// Field with the token of temporary credentials.
pub const SECURITY_TOKEN: &str = "SecurityToken";

/// The signature of a request with these fields, [`ACCESS_KEY`] and [`SECURITY_TOKEN`] among them,
/// and this body: Base64 of the HMAC-SHA1 of the fields' values, in the order of their names, and
/// the body. A [`SIGNATURE`] among the fields is passed over.
pub fn signature(fields: &Fields, body: &[u8], secret_key: &str) -> String {
    STANDARD.encode(mac(fields, body, secret_key).finalize().into_bytes())
}

/// Whether `signature` is that of a request with these fields and this body. Takes as long for
/// every wrong signature.
pub fn is_signed(fields: &Fields, body: &[u8], secret_key: &str, signature: &str) -> bool {
    STANDARD
        .decode(signature)
        .is_ok_and(|signature| mac(fields, body, secret_key).verify_slice(&signature).is_ok())
}

fn mac(fields: &Fields, body: &[u8], secret_key: &str) -> Hmac<Sha1> {
    let mut sorted: Vec<_> = fields.iter().filter(|(name, _)| *name != SIGNATURE).collect();
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
        assert_eq!(signature(&fields, b"", "12345678"), expected);
        fields.push(SIGNATURE, expected);
        assert_eq!(signature(&fields, b"", "12345678"), expected, "it does not sign itself");
        assert!(is_signed(&fields, b"", "12345678", expected));

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
        assert_eq!(signature(&fields, b"hello", "12345678"), expected);
        for (body, secret, signature) in [
            (&b"hallo"[..], "12345678", expected),
            (b"hello", "12345679", expected),
            (b"hello", "12345678", "ruwf4iavSa6z5ITFHA8A8WK8zJ9="),
            (b"hello", "12345678", "not base64!"),
            (b"hello", "12345678", ""),
        ] {
            assert!(!is_signed(&fields, body, secret, signature), "{secret} {signature}");
        }
    }
}
