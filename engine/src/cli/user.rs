//! `pointsman user create`: a person who can sign in, without a browser.

use std::io::IsTerminal as _;

use clap::{Args, Subcommand};
use pointsman_rules::ids::UserId;
use serde_json::json;

use super::client::secret;
use super::database::{self, DatabaseArgs};
use super::error::CliError;
use super::output::Out;
use crate::clock::Clock;
use crate::crypto::{self, Secret};
use crate::store::users::{self, Presence, Role};
use crate::store::{Durability, signin_links};

const PASSWORD_CHARS_MIN: usize = 10;
const PASSWORD_BYTES_MAX: usize = 1_024;

/// People who sign in
#[derive(Debug, Clone, Subcommand)]
pub(super) enum User {
    /// Add a person
    Create(Create),
}

/// Add a person
#[derive(Debug, Clone, Args)]
pub(super) struct Create {
    /// E-mail address they sign in with
    #[arg(long)]
    email: String,
    /// Their name
    #[arg(long)]
    name: String,
    /// owner, admin or agent
    #[arg(long, value_parser = role)]
    role: Role,
    /// Password; without it, it is asked for on standard input
    #[arg(long, env = "POINTSMAN_PASSWORD", hide_env_values = true, value_parser = secret)]
    password: Option<Secret>,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// A role by its word.
pub(super) fn role(word: &str) -> Result<Role, String> {
    Role::from_word(word).ok_or_else(|| "use owner, admin or agent".to_owned())
}

impl User {
    pub(super) async fn run(self, out: Out) -> Result<(), CliError> {
        let Self::Create(create) = self;
        create.run(out).await
    }
}

impl Create {
    async fn run(self, out: Out) -> Result<(), CliError> {
        let email = address(&self.email)?;
        if self.name.trim().is_empty() {
            return Err(CliError::Usage("--name must not be empty".to_owned()));
        }
        let password = match self.password {
            Some(password) => password,
            None => ask_password(out)?,
        };
        check_password(password.expose())?;
        let db = database::open(&self.database.settings(Vec::new())?).await?;
        let tenant = database::first_tenant(&db).await?;
        let clock = Clock::system();
        let hash =
            crypto::hash_password(&clock, password.expose()).map_err(|e| CliError::Failed(e.to_string()))?;
        let user = users::User {
            id: UserId::new(clock.now_ms(), clock.random()),
            email: email.clone(),
            name: self.name.trim().to_owned(),
            role: self.role,
            password_hash: Some(hash),
            presence: Presence::Offline,
            chats_max: None,
            created_ms: clock.now_ms(),
            disabled_ms: None,
        };
        let id = user.id;
        let added = db.write(Durability::Hard, move |tx| {
            let user = user.clone();
            Box::pin(async move {
                let added = users::insert(tx, tenant, &user).await?;
                if added && user.role == Role::Owner {
                    // There is an owner now: the link that would make one is void.
                    signin_links::delete_owner_links(tx, tenant).await?;
                }
                Ok(added)
            })
        });
        if !added.await? {
            return Err(CliError::Failed(format!("{email} is taken; choose another address")));
        }
        let role = self.role.word();
        out.result(&json!({"id": id, "email": email, "role": role}), || {
            format!("{id}  {email} is {role} now")
        })?;
        Ok(())
    }
}

fn address(text: &str) -> Result<String, CliError> {
    let text = text.trim().to_lowercase();
    let plausible = text.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty());
    if plausible && !text.chars().any(char::is_whitespace) {
        return Ok(text);
    }
    Err(CliError::Usage(format!("`{text}` is not an e-mail address")))
}

fn check_password(password: &str) -> Result<(), CliError> {
    if password.chars().count() < PASSWORD_CHARS_MIN {
        return Err(CliError::Usage(format!(
            "the password must have at least {PASSWORD_CHARS_MIN} characters"
        )));
    }
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(CliError::Usage(format!("the password must have at most {PASSWORD_BYTES_MAX} bytes")));
    }
    Ok(())
}

fn ask_password(out: Out) -> Result<Secret, CliError> {
    if std::io::stdin().is_terminal() {
        out.remark("Password (it is shown while you type; end with Enter):");
    }
    let mut line = String::new();
    let read = std::io::stdin().read_line(&mut line).unwrap_or(0);
    if read == 0 {
        let say = "no password: give it on standard input or in POINTSMAN_PASSWORD";
        return Err(CliError::Usage(say.to_owned()));
    }
    Ok(Secret::new(line.trim_end_matches(['\r', '\n'])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_kept_in_lower_case() {
        assert_eq!(address(" Ann@Example.ORG ").unwrap(), "ann@example.org");
        for wrong in ["ann", "@x", "ann@", "a b@x"] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn short_passwords_are_refused() {
        assert!(check_password("ninechars").is_err());
        assert!(check_password("ten chars!").is_ok());
    }
}
