//! Whether an assistant may be asked once more today. Pure. What is under way
//! counts with the most that it may use, so that a cap is kept even when many
//! calls begin at the same moment.

use crate::store::assistant_usage::{Place, Used};
use crate::store::assistants::Limits;
use crate::store::channel_assistants::Consent;

/// Tokens of what a plugin itself tells a model: its own words and the form of the answer. The bundled one needs fewer.
const PLUGIN_TOKENS: i64 = 1_000;

/// A tokens' and a money's cap, either of which may be absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Cap {
    pub(super) tokens: Option<i64>,
    pub(super) cost_micros: Option<i64>,
}

/// The caps of a day: the assistant's, the channel's, the organisation's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Caps([Cap; 3]);

impl Caps {
    pub(super) fn new(limits: &Limits, consent: &Consent, tenant: Cap) -> Self {
        let assistant =
            Cap { tokens: limits.tokens_per_day_max, cost_micros: limits.cost_micros_per_day_max };
        let channel =
            Cap { tokens: consent.tokens_per_day_max, cost_micros: consent.cost_micros_per_day_max };
        Self([assistant, channel, tenant])
    }

    /// Is there none?
    pub(super) fn are_absent(&self) -> bool {
        self.0.iter().all(|cap| *cap == Cap::default())
    }

    /// Why a call that may use `at_most` must not be made, if so. `used`: by the assistant, on the channel, by the
    /// organisation.
    pub(super) fn refuse(&self, used: &[Used; 3], at_most: Used) -> Option<String> {
        let owners = ["the assistant", "the channel", "the organisation"];
        self.0.iter().zip(used).zip(owners).find_map(|((cap, used), whose)| {
            let then = used.plus(at_most);
            let is_over = |cap: Option<i64>, then: i64| cap.is_some_and(|cap| then > cap);
            let tokens = is_over(cap.tokens, then.tokens()).then_some("tokens");
            let what = tokens.or(is_over(cap.cost_micros, then.cost_micros).then_some("money"))?;
            Some(format!("Of what {whose} may use in a day, too little is left: {what}."))
        })
    }
}

/// The sums of what was used: by the assistant on all channels, on the channel by all assistants, and altogether.
pub(super) fn sums(of: Place, used: &[(Place, Used)]) -> [Used; 3] {
    let sum = |counts: &dyn Fn(&Place) -> bool| {
        let used = used.iter().filter(|(at, _)| counts(at)).map(|(_, used)| *used);
        used.fold(Used::default(), Used::plus)
    };
    [sum(&|at| at.assistant == of.assistant), sum(&|at| at.channel == of.channel), sum(&|_| true)]
}

/// What a call may use at most. `read_tokens`: of what it is given to read. `so_far`: by this assistant today; where
/// only the vendor knows the prices, a call is taken to cost what one cost so far.
pub(super) fn at_most(limits: &Limits, read_tokens: usize, so_far: Used) -> Used {
    let input_tokens = i64::try_from(read_tokens).unwrap_or(i64::MAX).saturating_add(PLUGIN_TOKENS);
    let output_tokens = limits.output_tokens_max;
    let mean = if so_far.runs > 0 { so_far.cost_micros / so_far.runs } else { 0 };
    let cost_micros = price(limits, input_tokens, output_tokens).max(mean);
    Used { runs: 1, input_tokens, output_tokens, cost_micros }
}

/// What tokens cost, millionths of the organisation's currency, rounded up.
pub(super) fn price(limits: &Limits, input_tokens: i64, output_tokens: i64) -> i64 {
    const PER_PRICE: i128 = 1_000_000;
    let of = |tokens: i64, price: i64| i128::from(tokens.max(0)) * i128::from(price.max(0));
    let whole = of(input_tokens, limits.input_price_micros) + of(output_tokens, limits.output_price_micros);
    i64::try_from((whole + PER_PRICE - 1) / PER_PRICE).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use pointsman_rules::ids::{AssistantId, ChannelId};

    use super::*;

    fn used(tokens: i64) -> Used {
        Used { runs: 1, input_tokens: tokens, output_tokens: 0, cost_micros: tokens }
    }

    fn consent(tokens_per_day_max: Option<i64>) -> Consent {
        Consent {
            channel: ChannelId::new(1, 1),
            assistant: AssistantId::new(1, 1),
            replies: true,
            insights_at_end: false,
            instructions: String::new(),
            tokens_per_day_max,
            cost_micros_per_day_max: None,
            version: 1,
            created_ms: 1,
        }
    }

    #[test]
    fn the_first_cap_that_would_be_passed_says_whose_it_is() {
        let limits = Limits { tokens_per_day_max: Some(100), ..Limits::default() };
        let all = |assistant, channel, tenant| [used(assistant), used(channel), used(tenant)];
        let caps = |consent: &Consent, tenant| Caps::new(&limits, consent, tenant);
        let (open, one) = (Cap::default(), used(10));
        assert_eq!(caps(&consent(None), open).refuse(&all(90, 0, 0), one), None, "it is just enough");
        let by_assistant = caps(&consent(None), open).refuse(&all(91, 0, 0), one).unwrap();
        assert!(by_assistant.contains("the assistant may use in a day, too little is left: tokens"));
        let by_channel = caps(&consent(Some(50)), open).refuse(&all(10, 45, 0), one).unwrap();
        assert!(by_channel.contains("the channel may use"), "{by_channel}");
        let cap = Cap { tokens: None, cost_micros: Some(7) };
        let by_tenant = caps(&consent(None), cap).refuse(&all(1, 1, 0), one).unwrap();
        assert!(by_tenant.contains("the organisation may use in a day, too little is left: money"));
        assert!(!caps(&consent(None), open).are_absent());
        assert!(Caps::new(&Limits::default(), &consent(None), open).are_absent());
    }

    #[test]
    fn a_day_is_summed_for_the_assistant_the_channel_and_the_organisation() {
        let at = |channel, assistant| Place {
            day: 9,
            channel: ChannelId::new(1, channel),
            assistant: AssistantId::new(1, assistant),
        };
        let rows = [(at(1, 1), used(200)), (at(2, 1), used(10)), (at(1, 2), used(5))];
        assert_eq!(sums(at(1, 1), &rows).map(|it| it.tokens()), [210, 205, 215]);
    }

    #[test]
    fn prices_are_for_a_million_tokens() {
        let limits =
            Limits { input_price_micros: 150_000, output_price_micros: 600_000, ..Limits::default() };
        assert_eq!(price(&limits, 1_000_000, 0), 150_000);
        assert_eq!(price(&limits, 10, 1), 3, "2.1 rounded up");
        assert_eq!(price(&Limits::default(), i64::MAX, i64::MAX), 0);
    }

    #[test]
    fn a_call_may_use_what_it_reads_and_all_that_it_may_write() {
        let limits = Limits { output_tokens_max: 500, input_price_micros: 1_000_000, ..Limits::default() };
        let most = at_most(&limits, 200, Used::default());
        assert_eq!((most.input_tokens, most.output_tokens, most.cost_micros), (1_200, 500, 1_200));
        let told = Used { runs: 4, cost_micros: 8_000, ..Used::default() };
        assert_eq!(at_most(&Limits::default(), 200, told).cost_micros, 2_000, "the vendor knows the prices");
    }
}
