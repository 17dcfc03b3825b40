//! The command line as it is typed: what is taken, what is refused, what is hidden.

use clap::CommandFactory as _;

use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(std::iter::once("pointsman").chain(line.split_whitespace()))
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_documented_command_is_taken() {
    for line in [
        "serve",
        "serve --listen 127.0.0.1:0 --data d --database-url postgres://h/d --public-url https://x --plugins p --role all",
        "serve --show-defaults",
        "migrate --data d",
        "user create --email a@b.c --name A --role owner --password long-enough",
        "key create --name k --role admin --data d",
        "user create --email a@b.c --name A --role owner --password long-enough --tenant tnt_1",
        "tenant create Shop --data d",
        "tenant list",
        "tenant delete tnt_1 --confirm Shop",
        "webhook list",
        "webhook create crm --to https://x.test/in --event message.received --event message.sent",
        "webhook test crm",
        "webhook deliveries crm --state failed --limit 10",
        "webhook replay crm --since 2026-12-31T00:00:00Z",
        "channel list",
        "channel connect twilio --name N --kind whatsapp --set a=b --secret c=d --secret-env e=F --group Billing --active",
        "channel check chn_1",
        "channel backfill chn_1 --since 2026-12-31T00:00:00Z",
        "channel assistant N",
        "assistant list",
        "assistant create openai --name Ada --set model=m --secret-env api_key=K --limit tokens_per_day_max=9 --allow-private-egress",
        "assistant set Ada --instructions Brief. --limit cost_micros_per_day_max=none --active false",
        "assistant check Ada",
        "assistant connect Ada --channel N --replies --insights-at-end --tokens-per-day 9 --cost-per-day 9",
        "assistant disconnect --channel N",
        "assistant usage --from 2026-12-01 --to 2026-12-31",
        "assistant delete Ada",
        "knowledge list",
        "knowledge add Hours --text nine",
        "knowledge edit Hours --title Times --file -",
        "knowledge remove Hours",
        "knowledge pull texts.md",
        "knowledge push texts.md --replace",
        "group instructions Billing",
        "group instructions Billing --text Polite.",
        "group instructions Billing --clear",
        "rules check a.rhai b",
        "rules test a.rhai",
        "rules push a --draft --message why",
        "rules versions Urgent",
        "rules diff Urgent --from 1 --to draft",
        "rules rollback Urgent 2 --message back",
        "rules order Urgent rul_1",
        "rules resume Urgent --conversation cnv_1",
        "rules shadow Urgent on --file a.rhai",
        "rules case Urgent --event evt_1 --no-save",
        "group list",
        "group create Billing --add ana@example.com --policy round_robin --chats-max 3 --first-reply 15",
        "group set Billing --remove ana@example.com --no-calendar",
        "group delete Billing",
        "calendar list",
        "calendar import Office holidays.ics --replace",
        "calendar delete Office",
        "presence",
        "presence ana@example.com away",
        "send --conversation cnv_1 --text hello",
        "tail --conversation cnv_1 --bodies",
        "doctor --database-url postgres://h/d",
        "bench --chat http://127.0.0.1:8080/chat/k --messages 10 --visitors 2",
        "plugin list --url http://127.0.0.1:1 --key pm_x",
        "plugin check a.wasm",
        "plugin-compile",
    ] {
        assert!(parse(line).is_ok(), "{line}: {}", parse(line).unwrap_err());
        assert!(parse(&format!("{line} --json")).unwrap().json, "{line}");
        assert!(parse(&format!("--json {line}")).unwrap().json, "{line}");
    }
}

#[test]
fn wrong_lines_are_refused() {
    for line in [
        "",
        "sreve",
        "serve extra",
        "key create --name k --role king",
        "key create --name k",
        "user create --email a@b.c --name A",
        "channel connect twilio --name N",
        "channel connect twilio --name N --kind sms --set novalue",
        "assistant set Ada --limit answers_max=few",
        "assistant usage --from yesterday",
        "knowledge add Hours --text nine --file -",
        "group instructions Billing --clear --text Polite.",
        "rules check",
        "rules rollback Urgent",
        "rules shadow Urgent maybe",
        "calendar create Office --timezone UTC --open sometimes",
        "presence ana@example.com",
        "send --conversation c",
        "bench",
        "bench --chat http://x/chat/k --messages 0",
        "plugin list --url nowhere",
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
}

#[test]
fn secrets_do_not_show_in_debug_output_or_help() {
    let cli =
        parse("channel connect twilio --name N --kind sms --secret token=hidden --key pm_hidden").unwrap();
    let user = parse("user create --email a@b.c --name A --role owner --password hidden").unwrap();
    let shown = format!("{cli:?} {user:?}");
    assert!(!shown.contains("hidden"), "{shown}");
}

#[test]
fn the_compiling_child_is_not_advertised() {
    let help = Cli::command().render_help().to_string();
    assert!(!help.contains("plugin-compile") && help.contains("Exit codes:"), "{help}");
}
