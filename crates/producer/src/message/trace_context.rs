//! The trace that a message belongs to, as W3C has it, in its properties (feature `opentelemetry`): a
//! consumer that reads `traceparent` goes on with the trace of its producer.

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use posthaste_protocol::Properties;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::Message;
use crate::message::content::Content;
use crate::message::validate;
use crate::message::wire_size::property_bytes;

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// Adds the trace of the current span to each message, unless the message names one itself.
pub(crate) fn propagate(mut content: Content) -> Content {
    // Where `tracing` has no span that OpenTelemetry knows of, OpenTelemetry may have its own span.
    if !add(&mut content, &Span::current().context()) {
        Context::map_current(|context| add(&mut content, context));
    }
    content
}

/// Says whether there was a trace to add.
fn add(content: &mut Content, context: &Context) -> bool {
    let span = context.span();
    let trace = span.span_context();
    if trace.is_valid() {
        let (parent, state) = (traceparent(trace), trace.trace_state().header());
        let added = content.messages().map(|message| properties(message, &parent, &state));
        content.add(added.collect());
    }
    trace.is_valid()
}

/// A trace that brokers would not take is left out, rather than the message refused.
fn properties(message: &Message, parent: &str, state: &str) -> Properties {
    let mut added = Properties::new();
    if message.properties().any(|(name, _)| [TRACEPARENT, TRACESTATE].contains(&name)) {
        return added;
    }
    for (name, value) in [(TRACEPARENT, parent), (TRACESTATE, state)] {
        if validate::property(name, value).is_err() {
            continue;
        }
        added.set(name, value);
        if validate::properties_length(property_bytes(message, Some(&added))).is_err() {
            added.remove(name);
        }
    }
    added
}

/// Version, trace, span, flags (W3C Trace Context, section 3.2).
fn traceparent(context: &SpanContext) -> String {
    let (trace, span, flags) = (context.trace_id(), context.span_id(), context.trace_flags());
    format!("00-{trace}-{span}-{:02x}", flags.to_u8() & 1)
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanId, TraceFlags, TraceId, TraceState};

    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn trace(state: &str) -> Context {
        Context::new().with_remote_span_context(SpanContext::new(
            TraceId::from_hex("0af7651916cd43dd8448eb211c80319c").unwrap(),
            SpanId::from_hex("b7ad6b7169203331").unwrap(),
            TraceFlags::SAMPLED,
            true,
            state.parse().unwrap_or(TraceState::NONE),
        ))
    }

    /// What is added to a message.
    fn added(message: Message, context: &Context) -> Vec<(String, String)> {
        let _entered = context.clone().attach();
        let content = propagate(message.into());
        let added = content.added_to(0).into_iter().flat_map(Properties::iter);
        added.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn a_message_takes_the_trace_along() {
        let plain = || Message::new("t", "x");
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let parent = pair("traceparent", PARENT);
        assert_eq!(added(plain(), &trace("")), vec![parent.clone()]);
        assert_eq!(added(plain(), &trace("a=1")), [parent.clone(), pair("tracestate", "a=1")]);
        assert_eq!(added(plain(), &Context::new()), [], "there is none");
        let own = plain().property("traceparent", "00-mine");
        assert_eq!(added(own, &trace("a=1")), [], "the message names one itself");
        // As long as it can be, and what does not fit beside the trace.
        let room = properties_that_leave(TRACEPARENT.len() + PARENT.len() + 2);
        assert_eq!(added(room, &trace("a=1")), [parent], "no room for the state");
        assert_eq!(added(properties_that_leave(20), &trace("")), [], "no room at all");
    }

    /// A message whose properties leave this many bytes.
    fn properties_that_leave(bytes: usize) -> Message {
        let plain = Message::new("t", "x");
        let most = (0..).find(|n| validate::properties_length(n + 1).is_err()).unwrap();
        let taken = property_bytes(&plain, None) + "n".len() + 2;
        plain.property("n", "v".repeat(most - taken - bytes))
    }
}
