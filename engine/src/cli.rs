//! The command line: one file per command. Commands that change a running
//! system go over its API; only `serve`, `migrate`, `user create`, `key create`,
//! `tenant` and `doctor` open the database. Decides nothing that the API does not.

mod assistant;
mod bench;
mod calendar;
mod channel;
mod channel_backfill;
mod channel_session;
mod client;
mod contact;
mod database;
mod doctor;
mod error;
mod given;
mod group;
mod key;
mod knowledge;
mod migrate;
mod named;
mod output;
mod plugin;
mod plugin_form;
mod presence;
mod rules;
mod send;
mod serve;
mod sse;
mod tail;
mod tenant;
mod user;
mod webhook;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use error::CliError;
use output::Out;

const EXIT_CODES: &str = "\
Exit codes:
  0   done
  1   failed: refused by the server, a mistake in a rule, a check that does not pass
  2   wrong command line
  64  wrong settings, one line per mistake
  69  the server or the database does not answer";

/// Rules-driven workflows for customer messaging
#[derive(Debug, Parser)]
#[command(name = "pointsman", version, after_help = EXIT_CODES, disable_help_subcommand = true)]
struct Cli {
    /// Print results as JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Serve(serve::Serve),
    /// Bring the database schema up to date
    Migrate(migrate::Migrate),
    /// People who sign in
    #[command(subcommand)]
    User(user::User),
    /// API keys
    #[command(subcommand)]
    Key(key::Key),
    /// Organisations of this installation
    #[command(subcommand)]
    Tenant(tenant::TenantCommand),
    /// Teams that receive conversations
    #[command(subcommand)]
    Group(group::Group),
    /// Working hours and holidays
    #[command(subcommand)]
    Calendar(calendar::Calendar),
    /// Who is there; or say it for somebody
    Presence(presence::Presence),
    /// Connected numbers and accounts
    #[command(subcommand)]
    Channel(channel::Channel),
    /// AI assistants, and the channels that they may read
    #[command(subcommand)]
    Assistant(assistant::Assistant),
    /// Texts that assistants may use
    #[command(subcommand)]
    Knowledge(knowledge::Knowledge),
    /// Endpoints of other programs that are told what happens
    #[command(subcommand)]
    Webhook(webhook::Webhook),
    /// People outside
    #[command(subcommand)]
    Contact(contact::Contact),
    /// Automation rules
    #[command(subcommand)]
    Rules(rules::Rules),
    /// Write to a conversation
    Send(send::Send),
    /// Follow what happens
    Tail(tail::Tail),
    /// Look for problems in settings, database and files
    Doctor(doctor::Doctor),
    /// Measure a running server over its chat page
    Bench(bench::Bench),
    /// Plugins
    #[command(subcommand)]
    Plugin(plugin::Plugin),
    /// Compile a plugin given on standard input; the server runs this
    #[command(hide = true)]
    PluginCompile {
        /// Make a component of a core module instead
        #[arg(long)]
        component: bool,
    },
}

/// Runs one command to its end.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print(); // nobody can be told that the terminal is gone
            return ExitCode::from(if error.use_stderr() { error::EXIT_USAGE } else { 0 });
        }
    };
    let out = Out { json: cli.json };
    match run(cli.command, out) {
        Ok(code) => code,
        Err(error) => {
            if let Some(text) = error.said(out.json) {
                out.remark(&text);
            }
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(command: Command, out: Out) -> Result<ExitCode, CliError> {
    if let Command::PluginCompile { component } = command {
        // Limits itself to little memory, so no runtime and no threads come first.
        return Ok(crate::plugins::compile_child_main(crate::plugins::CompileLimits::default(), component));
    }
    // Only one provider is compiled in; a second installation is refused and changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::Failed(format!("no threads can be started: {error}")))?;
    runtime.block_on(dispatch(command, out))?;
    Ok(ExitCode::SUCCESS)
}

async fn dispatch(command: Command, out: Out) -> Result<(), CliError> {
    match command {
        Command::Serve(command) => command.run(out).await,
        Command::Migrate(command) => command.run(out).await,
        Command::User(command) => command.run(out).await,
        Command::Key(command) => command.run(out).await,
        Command::Tenant(command) => command.run(out).await,
        Command::Group(command) => command.run(out).await,
        Command::Calendar(command) => command.run(out).await,
        Command::Presence(command) => command.run(out).await,
        Command::Channel(command) => command.run(out).await,
        Command::Assistant(command) => command.run(out).await,
        Command::Knowledge(command) => command.run(out).await,
        Command::Webhook(command) => command.run(out).await,
        Command::Contact(command) => command.run(out).await,
        Command::Rules(command) => command.run(out).await,
        Command::Send(command) => command.run(out).await,
        Command::Tail(command) => command.run(out).await,
        Command::Doctor(command) => command.run(out).await,
        Command::Bench(command) => command.run(out).await,
        Command::Plugin(command) => command.run(out).await,
        Command::PluginCompile { .. } => Ok(()), // done before, without a runtime
    }
}

#[cfg(test)]
mod tests;
