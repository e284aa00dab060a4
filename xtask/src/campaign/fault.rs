//! The faults of a campaign, and which of them a round has: decided by its seed alone.

use std::sync::atomic::{AtomicU64, Ordering};

use fastrand::Rng;

/// What a fault happens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// One request, or the answer to it.
    Request,
    /// A connection, from its beginning.
    Connection,
    /// A broker, for a while.
    Broker,
    /// The queues of a topic.
    Topic,
    /// What a name server says, for a while.
    NameServer,
    /// What an application does.
    Caller,
}

macro_rules! faults {
    ($($name:ident $scope:ident $text:literal,)*) => {
        /// A kind of fault.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub(super) enum Fault { $($name,)* }

        impl Fault {
            pub(super) const ALL: &'static [Self] = &[$(Self::$name,)*];

            pub(super) fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            pub(super) fn scope(self) -> Scope {
                match self { $(Self::$name => Scope::$scope,)* }
            }
        }
    };
}

faults! {
    CloseBeforeStore Request "closes before it stores",
    CloseAfterStore Request "stores, then closes",
    ResetBeforeStore Request "resets before it stores",
    ResetAfterStore Request "stores, then resets",
    CutAnswer Request "cuts the answer",
    SilentBeforeStore Request "neither stores nor answers",
    SilentAfterStore Request "stores, never answers",
    DelayBeforeStore Request "stores late",
    DelayAfterStore Request "stores, answers late",
    Trickle Request "answers byte by byte",
    AnswerTwice Request "answers twice",
    AnswerToAnother Request "answers a number that no request has",
    Garbage Request "writes garbage",
    UnreadableHeader Request "answers with a header that is no JSON",
    IncompleteAnswer Request "says stored, and not where",
    DeepAnswer Request "answers with JSON a thousand levels deep",
    BinaryAnswer Request "answers with a binary header",
    Busy Request "refuses as busy",
    FlowControl Request "refuses by flow control",
    StoredWeakly Request "stores less firmly",
    GoAway Request "sends away",
    Refusal Request "refuses with a code",
    ProvenRefusal Request "refuses with code 1 and a proof",
    SystemError Request "fails with code 1",
    UnknownCode Request "answers with an unknown code",
    CollidingPush Request "asks with the number of a pending request",
    StopsReading Request "stops reading for a while",
    StrayCheck Request "asks about a transaction that does not exist",
    LateReply Request "replies late, twice or not at all",
    AcceptAndSilence Connection "accepts, and reads nothing",
    AcceptAndClose Connection "accepts, and closes",
    CutRequest Connection "resets in the middle of a request",
    KeepsSideOpen Connection "keeps its side open",
    BrokerRestarts Broker "restarts",
    BrokerMoves Broker "moves to another port",
    DisconnectStorm Broker "cuts all connections again and again",
    BrokerFrozen Broker "reads nothing for a while",
    BrokerBusy Broker "refuses everything as busy for a while",
    BrokerReadOnly Broker "may not be written for a while",
    BrokerStopping Broker "is stopping for a while",
    TopicShrinks Topic "has fewer queues",
    TopicGrows Topic "has more queues",
    TopicRecreated Topic "is deleted, and created with fewer queues",
    IllegalQueue Topic "refuses a queue that is gone",
    NoAnswer NameServer "name server: silent",
    SlowAnswer NameServer "name server: slow",
    ClosesInstead NameServer "name server: closes",
    EmptyRoute NameServer "name server: an empty route",
    NoSuchTopic NameServer "name server: no such topic",
    SlavesOnly NameServer "name server: slaves only",
    NoWritePermission NameServer "name server: no write permission",
    StaleRoute NameServer "name server: an old route",
    WrongAddress NameServer "name server: an address where no server is",
    BrokenRoute NameServer "name server: a route that cannot be read",
    ErrorCode NameServer "name server: an error",
    DroppedFuture Caller "drops a future",
    ClosedInTheMiddle Caller "closes in the middle",
    PanickingCallback Caller "panics in a callback",
    PanickingSelector Caller "panics in a selector",
    PanickingChecker Caller "panics in the transaction checker",
    NoRoom Caller "finds no room",
}

/// How often each fault has happened.
pub(super) struct Counts(Vec<AtomicU64>);

impl Default for Counts {
    fn default() -> Self {
        Self(Fault::ALL.iter().map(|_| AtomicU64::new(0)).collect())
    }
}

impl Counts {
    pub(super) fn add(&self, fault: Fault) {
        if let Some(count) = self.0.get(fault as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn get(&self, fault: Fault) -> u64 {
        self.0.get(fault as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// How many kinds have happened.
    pub(super) fn kinds(&self) -> usize {
        Fault::ALL.iter().filter(|fault| self.get(**fault) > 0).count()
    }
}

/// Random numbers from a seed and from the numbers that distinguish this draw from others.
pub(super) fn dice(parts: &[u64]) -> Rng {
    let mix = |state: u64, part: &u64| {
        // The finish of splitmix64: close numbers draw differently.
        let mut mixed = (state ^ part).wrapping_add(0x9E37_79B9_7F4A_7C15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    };
    Rng::with_seed(parts.iter().fold(0, mix))
}

/// Which faults a round has, and how many of its requests and connections.
///
/// A round has some kinds and not others: what all of them together hide, a few show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Profile {
    request: Vec<Fault>,
    connection: Vec<Fault>,
    requests_per_mille: u32,
    connections_per_mille: u32,
}

impl Profile {
    pub(super) fn draw(dice: &mut Rng) -> Self {
        let some = |dice: &mut Rng, scope: Scope, per_cent: u32| -> Vec<Fault> {
            let all = Fault::ALL.iter().filter(|fault| fault.scope() == scope);
            all.filter(|_| dice.u32(..100) < per_cent).copied().collect()
        };
        let (mut request, connection) =
            (some(dice, Scope::Request, 35), some(dice, Scope::Connection, 40));
        if dice.bool() {
            // Nothing but one or two kinds.
            dice.shuffle(&mut request);
            request.truncate(dice.usize(1..=2));
        }
        let rates = [5, 20, 50, 120, 300];
        Self {
            request,
            connection,
            requests_per_mille: dice.choice(rates).unwrap_or_default(),
            connections_per_mille: dice.choice([0, 50, 200]).unwrap_or_default(),
        }
    }

    /// What happens to a request, if anything does.
    pub(super) fn of_request(&self, dice: &mut Rng) -> Option<Fault> {
        one_of(&self.request, self.requests_per_mille, dice)
    }

    /// What happens to a connection, if anything does.
    pub(super) fn of_connection(&self, dice: &mut Rng) -> Option<Fault> {
        one_of(&self.connection, self.connections_per_mille, dice)
    }
}

fn one_of(faults: &[Fault], per_mille: u32, dice: &mut Rng) -> Option<Fault> {
    let happens = dice.u32(..1000) < per_mille;
    dice.choice(faults).copied().filter(|_| happens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_faults() {
        for seed in 0..50 {
            let profile = |seed| Profile::draw(&mut dice(&[seed, 1]));
            assert_eq!(profile(seed), profile(seed));
            let faults = |seed: u64| -> Vec<_> {
                let of = |number| profile(seed).of_request(&mut dice(&[seed, number, 0]));
                (0..200).map(of).collect()
            };
            assert_eq!(faults(seed), faults(seed));
        }
        assert_ne!(Profile::draw(&mut dice(&[1, 1])), Profile::draw(&mut dice(&[2, 1])));
    }

    #[test]
    fn every_fault_of_a_request_and_of_a_connection_is_drawn() {
        let mut drawn = std::collections::BTreeSet::new();
        for seed in 0..400 {
            let profile = Profile::draw(&mut dice(&[seed]));
            for number in 0..100 {
                let dice = &mut dice(&[seed, number]);
                drawn.extend(profile.of_request(dice));
                drawn.extend(profile.of_connection(dice));
            }
        }
        let scopes = [Scope::Request, Scope::Connection];
        let all = Fault::ALL.iter().filter(|fault| scopes.contains(&fault.scope()));
        assert_eq!(drawn.len(), all.count());
    }

    #[test]
    fn faults_are_as_frequent_as_the_profile_says() {
        let profile = Profile {
            request: vec![Fault::Busy, Fault::GoAway],
            connection: Vec::new(),
            requests_per_mille: 100,
            connections_per_mille: 1000,
        };
        let of = |number| profile.of_request(&mut dice(&[7, number]));
        let count = (0..10_000).filter_map(of).count();
        assert!((900..1100).contains(&count), "{count}");
        assert_eq!(profile.of_connection(&mut dice(&[7])), None);
    }
}
