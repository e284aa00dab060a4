//! A pause: events of connections are left for later, and no answer leaves.

use std::collections::VecDeque;

use super::Event;

/// Whether there is a pause, and the events that it has held up.
#[derive(Default)]
pub(super) struct Pause {
    /// Whether there is one.
    pub(super) is_on: bool,
    held: VecDeque<Event>,
}

impl Pause {
    /// Holds an event up if it is one of a connection, and there is a pause; gives back any other.
    pub(super) fn hold(&mut self, event: Event) -> Option<Event> {
        match event {
            Event::Opened { .. } | Event::Frames { .. } | Event::Closed(_) if self.is_on => {
                self.held.push_back(event);
                None
            }
            event => Some(event),
        }
    }

    /// The next event that was held up in a pause that is over. Held events come before new ones.
    pub(super) fn release(&mut self) -> Option<Event> {
        if self.is_on { None } else { self.held.pop_front() }
    }
}
