//! Status callbacks of the stand-in: `sent`, `delivered`, `read` for each
//! accepted message, in order or as badly as Twilio's documentation allows
//! ("order is not guaranteed", duplicates happen).

use std::time::Duration;

use super::Shared;
use crate::dice::Dice;
use crate::server::to_local;
use crate::twilio::{AUTH_TOKEN, Form, encode, signature, status_form};

/// What a delivered and read message goes through.
const STATUSES: [&str; 3] = ["sent", "delivered", "read"];
/// Attempts per callback: the server may be down for a while in the crash stories.
const ATTEMPTS_MAX: u32 = 100;
/// Pause between two attempts.
const ATTEMPT_PAUSE: Duration = Duration::from_millis(50);

/// How the stand-in calls back about accepted messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Callbacks {
    /// Never.
    None,
    /// Each status once, in order.
    InOrder,
    /// In random order, some twice; the seed repeats it.
    Shuffled(u64),
}

/// Starts the callbacks of one message, if any are wanted.
pub(super) fn start(shared: &Shared, order: usize, sid: &str, request: &Form) {
    let (plan, base) = {
        let state = shared.lock();
        (state.callbacks, state.callback_base.clone())
    };
    let field = |name: &str| request.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let (Some(base), Some(url), Some(to)) = (base, field("StatusCallback"), field("To")) else { return };
    let statuses = match plan {
        Callbacks::None => return,
        Callbacks::InOrder => STATUSES.to_vec(),
        Callbacks::Shuffled(seed) => shuffled(seed ^ order as u64),
    };
    let (http, sid) = (shared.http.clone(), sid.to_owned());
    tokio::spawn(async move {
        for status in statuses {
            let form = status_form(&sid, &to, status, None);
            deliver(&http, &to_local(&url, &base), &url, &form).await;
        }
    });
}

fn shuffled(seed: u64) -> Vec<&'static str> {
    let mut dice = Dice::new(seed);
    let mut statuses = STATUSES.to_vec();
    for status in STATUSES {
        if dice.chance(30) {
            statuses.push(status);
        }
    }
    dice.shuffle(&mut statuses);
    statuses
}

/// Posts until it is acknowledged; a callback that never is shows as a wrong final status.
async fn deliver(http: &reqwest::Client, local: &str, public: &str, form: &Form) {
    let signed = signature(AUTH_TOKEN, public, form);
    for _ in 0..ATTEMPTS_MAX {
        let request = http
            .post(local)
            .header("content-type", "application/x-www-form-urlencoded; charset=UTF-8")
            .header("x-twilio-signature", &signed)
            .body(encode(form));
        if request.send().await.is_ok_and(|response| response.status().is_success()) {
            return;
        }
        tokio::time::sleep(ATTEMPT_PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shuffled_callbacks_leave_nothing_out() {
        let plans: Vec<_> = (0..50).map(shuffled).collect();
        assert!(plans.iter().all(|plan| STATUSES.iter().all(|status| plan.contains(status))));
        assert!(plans.iter().any(|plan| plan.len() > STATUSES.len()), "no duplicates");
        assert!(plans.iter().any(|plan| plan[0] == "read"), "never out of order");
    }
}
