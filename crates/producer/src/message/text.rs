//! Names and keys as an application has them at hand.

use std::borrow::Cow;
use std::sync::Arc;

/// A name or a key, such as a topic, made from `&str`, `String`, `&String`, `Arc<str>` and others.
///
/// An `Arc<str>` is taken as it is, and everything else is copied once: to send many messages to a
/// topic, keep its name as an `Arc<str>` and give `&name`.
///
/// ```
/// # use std::sync::Arc;
/// # use posthaste::Message;
/// let (topic, key): (Arc<str>, String) = ("orders".into(), "o-1".into());
/// let message = Message::new(&topic, "created").order_by(&key);
/// # assert_eq!((message.topic(), message.ordering_key()), ("orders", Some("o-1")));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(Arc<str>);

impl Text {
    pub(crate) fn into_arc(self) -> Arc<str> {
        self.0
    }
}

macro_rules! from {
    ($($type:ty),*) => {
        $(
            impl From<$type> for Text {
                fn from(text: $type) -> Self {
                    Self(Arc::from(text))
                }
            }
        )*
    };
}

from!(&str, String, Box<str>, Arc<str>, Cow<'_, str>);

impl From<&String> for Text {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<&&str> for Text {
    fn from(text: &&str) -> Self {
        Self::from(*text)
    }
}

impl From<&Arc<str>> for Text {
    fn from(text: &Arc<str>) -> Self {
        Self(text.clone())
    }
}

impl From<&Text> for Text {
    fn from(text: &Text) -> Self {
        text.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Message, MessageQueue, NameServers, Producer};

    /// A user wrote each of these lines, and it did not compile.
    #[test]
    fn what_an_application_has_at_hand_will_do() {
        let owned = String::from("orders");
        let shared: Arc<str> = "orders".into();
        for message in [
            Message::new("orders", "x").order_by("orders"),
            Message::new(&owned, "x").order_by(&owned),
            Message::new(owned.clone(), "x").order_by(owned.clone()),
            Message::new(&shared, "x").order_by(&shared),
            Message::new(shared.clone(), "x").order_by(shared.clone()),
            Message::new(Cow::from(&owned), "x").order_by(Cow::from("orders")),
            Message::new(Box::<str>::from("orders"), "x").order_by(Box::<str>::from("orders")),
        ] {
            assert_eq!((message.topic(), message.ordering_key()), ("orders", Some("orders")));
        }
        assert_eq!(MessageQueue::new(&owned, &owned, 1), MessageQueue::new("orders", "orders", 1));
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], 9876));
        let builder = Producer::builder(&owned, address);
        drop(builder.topics(["a"]).topics(std::slice::from_ref(&owned)).topics(vec![owned]));
        let named = format!("{:?}", NameServers::from(address));
        assert!(named.contains("127.0.0.1:9876"), "{named}");
    }

    /// A body that the application has borrowed is copied, and no other.
    #[test]
    fn a_borrowed_body_is_copied() {
        let body = vec![1_u8, 2, 3];
        assert_eq!(Message::copied("t", &body).body(), &body);
        assert_eq!(Message::copied("t", &body[..2]).body(), &body[..2]);
        let text = String::from("text");
        assert_eq!(Message::copied("t", &text).body().as_ref(), text.as_bytes());
        assert_eq!(Message::copied("t", text.as_str()).body().as_ref(), text.as_bytes());
    }

    #[test]
    fn an_arc_is_taken_as_it_is() {
        let shared: Arc<str> = "orders".into();
        assert!(Arc::ptr_eq(&Text::from(&shared).into_arc(), &shared));
    }
}
