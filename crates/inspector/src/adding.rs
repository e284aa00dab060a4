//! Adding fault rules: all of them or none, and not too many.

use std::sync::PoisonError;

use axum::http::StatusCode;
use posthaste_broker::{Fault, FaultRule};

use crate::reply::Problem;
use crate::shared::Shared;

/// Rules that a broker may have for more to be added here: each request is compared with all of them.
const MOST: usize = 100;
/// Bytes of a rule in words.
const LONGEST: usize = 4 * 1024;

/// Adds all rules, or none.
pub(crate) fn add(shared: &Shared, faults: Vec<Fault>) -> Result<Vec<FaultRule>, Problem> {
    for fault in &faults {
        fault.check().map_err(|error| senseless(error.to_string()))?;
        if fault.to_string().len() > LONGEST {
            let kib = LONGEST >> 10;
            return Err(senseless(format!("a rule in words has at most {kib} KiB")));
        }
    }
    // Two requests at a time would not see each other's rules.
    let _adding = shared.adding.lock().unwrap_or_else(PoisonError::into_inner);
    let there = shared.broker.faults().len();
    if there + faults.len() > MOST {
        let message = format!("{there} rules are there, and at most {MOST} may be");
        let help = "remove some: DELETE /api/v1/faults, or /api/v1/faults/{id}";
        return Err(Problem::new(StatusCode::CONFLICT, "too_many_faults", message, help));
    }
    let add = |fault| shared.broker.fault(fault).map_err(|error| senseless(error.to_string()));
    faults.into_iter().map(add).collect()
}

/// A rule that makes no sense.
pub(crate) fn senseless(message: String) -> Problem {
    let help = "POST a rule such as {\"on\": \"send\", \"first\": 3, \"do\": \"refuse\", \"code\": \
                \"SYSTEM_BUSY\"}, or a list of rules";
    Problem::new(StatusCode::BAD_REQUEST, "bad_fault", message, help)
}
