//! LINE Messaging API: texts, pictures and quick replies out, every kind of
//! message in. LINE reports nothing after it has taken a message. Vendor facts:
//! LINE's OpenAPI documents as line-bot-sdk 3.27 carries them, and developers.line.biz.

#![allow(
    clippy::result_large_err,
    reason = "the contract's failure is a record, passed by value once per call"
)]

mod account;
mod events;
mod manifest;
mod media;
mod send;
mod settings;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pointsman_plugin::account::{Report, Task};
use pointsman_plugin::descriptor::Manifest;
use pointsman_plugin::sender::{Message, Receipt};
use pointsman_plugin::webhook::{Claim, Event, HmacAlgorithm, HmacProof, Proof, Reply, Request, Verdict};
use pointsman_plugin::{Account, Context, Failure, Http, Media, Provider, export};

use settings::CHANNEL_SECRET;

/// Header with the HMAC-SHA256 of the raw body, base64.
const SIGNATURE: &str = "x-line-signature";

/// The provider.
pub struct Line;

export!(Line: account, media);

impl Provider for Line {
    fn describe() -> Manifest {
        manifest::describe()
    }

    fn authenticate(_: &Context, request: &Request) -> Verdict {
        let Some(tag) = request.header(SIGNATURE).and_then(|tag| STANDARD.decode(tag.trim()).ok()) else {
            return Verdict::refuse("the header X-Line-Signature is missing, repeated or not base64");
        };
        let proof = HmacProof {
            algorithm: HmacAlgorithm::Sha256,
            key: CHANNEL_SECRET.into(),
            message: request.body.clone(),
            tag,
        };
        let reply = Reply { status: 200, headers: vec![], body: vec![] };
        Verdict::Accept(Claim { proofs: vec![Proof::Hmac(proof)], reply })
    }

    fn parse(context: &Context, request: &Request) -> Result<Vec<Event>, Failure> {
        events::parse(context, request)
    }

    async fn send(context: &Context, message: Message, http: &Http) -> Result<Receipt, Failure> {
        send::send(context, message, http).await
    }
}

impl Account for Line {
    async fn account(context: &Context, task: Task, http: &Http) -> Result<Report, Failure> {
        account::run(context, task, http).await
    }
}

impl Media for Line {
    async fn fetch(context: &Context, vendor_ref: &str, http: &Http) -> Result<String, Failure> {
        media::fetch(context, vendor_ref, http).await
    }
}
