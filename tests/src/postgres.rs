//! Where the PostgreSQL of the stories comes from: the variable
//! `POINTSMAN_TEST_PG_URL` (set by `tests/pg.sh run`, so that all test processes
//! share one server), else a private throw-away server of this process. One
//! fresh database per story.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// The variable that names a server to use: a role that may create databases.
pub const URL_VARIABLE: &str = "POINTSMAN_TEST_PG_URL";

/// The server's own database, as URL; none when this machine has no PostgreSQL.
pub fn server_url() -> Option<String> {
    static PRIVATE: OnceLock<Option<(String, Child)>> = OnceLock::new();
    if let Ok(url) = std::env::var(URL_VARIABLE) {
        return Some(url);
    }
    PRIVATE.get_or_init(|| start().ok()).as_ref().map(|(url, _)| url.clone())
}

/// Starts a server that lives until this process closes the pipe, that is at the latest at its end.
fn start() -> Result<(String, Child)> {
    let mut child = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/pg.sh"))
        .arg("serve")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    let output = child.stdout.as_mut().context("the pipe was asked for")?;
    BufReader::new(output).read_line(&mut line)?;
    if line.trim().is_empty() {
        bail!("no throw-away PostgreSQL");
    }
    Ok((line.trim().to_owned(), child))
}

/// A database of its own, dropped with this value.
#[derive(Debug)]
pub struct Database {
    admin_url: String,
    name: String,
}

impl Database {
    /// `name`: unique on the server, lower-case letters, digits and underscores.
    ///
    /// # Errors
    /// The server cannot be reached or refuses.
    pub async fn create(admin_url: &str, name: &str) -> Result<Self> {
        let mut admin = PgConnection::connect(admin_url).await.context("PostgreSQL of the stories")?;
        sqlx::query(AssertSqlSafe(format!("create database {name}"))).execute(&mut admin).await?;
        Ok(Self { admin_url: admin_url.to_owned(), name: name.to_owned() })
    }

    /// Its URL.
    pub fn url(&self) -> String {
        let (server, parameters) = self.admin_url.split_once('?').unwrap_or((&self.admin_url, ""));
        let host = server.rsplit_once('/').map_or(server, |(host, _)| host);
        let joiner = if parameters.is_empty() { "" } else { "?" };
        format!("{host}/{}{joiner}{parameters}", self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (url, name) = (self.admin_url.clone(), self.name.clone());
        // Dropping happens inside a runtime, where blocking is refused; hence a thread of its own.
        let cleaner = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut admin = PgConnection::connect(&url).await?;
                let statement = format!("drop database if exists {name} with (force)");
                sqlx::query(AssertSqlSafe(statement)).execute(&mut admin).await?;
                anyhow::Ok(())
            })
        });
        if !matches!(cleaner.join(), Ok(Ok(()))) {
            eprintln!("the database {} stays behind", self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{self, Backend};

    #[test]
    fn a_database_comes_and_goes() {
        backend::run(Backend::Postgres, |_| async {
            let admin = server_url().context("it is there")?;
            let name = format!("harness_{}", std::process::id());
            let database = Database::create(&admin, &name).await?;
            let mut connection = PgConnection::connect(&database.url()).await?;
            let found: String =
                sqlx::query_scalar("select current_database()::text").fetch_one(&mut connection).await?;
            anyhow::ensure!(found == name, "{found}");
            drop(database); // with a connection still open
            let gone = "select count(*) from pg_database where datname = $1";
            let mut admin = PgConnection::connect(&admin).await?;
            let left: i64 = sqlx::query_scalar(gone).bind(&name).fetch_one(&mut admin).await?;
            anyhow::ensure!(left == 0, "it stays behind");
            Ok(())
        });
    }
}
