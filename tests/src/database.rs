//! Everything that lies in a server's database, row by row as JSON text: for
//! stories about what must not be there any more. It knows no table by name.

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};

use crate::server::Server;

/// A row: its table, and all columns as one JSON object.
pub type Row = (String, String);

/// All rows of all tables. Bodies of kept webhooks, which are base64, are added in clear.
///
/// # Errors
/// The database cannot be read.
pub async fn dump(server: &Server) -> Result<Vec<Row>> {
    let mut rows = match server.database_url() {
        Some(url) => postgres(url).await?,
        None => sqlite(server).await?,
    };
    for (_, row) in &mut rows {
        let value: Value = serde_json::from_str(row)?;
        let request = value["request"].as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
        let body = request.as_ref().and_then(|request| request["body"].as_str());
        if let Some(bytes) = body.and_then(|body| STANDARD.decode(body).ok()) {
            row.push_str(&String::from_utf8_lossy(&bytes));
        }
    }
    Ok(rows)
}

async fn postgres(url: &str) -> Result<Vec<Row>> {
    let mut db = PgConnection::connect(url).await?;
    let tables: Vec<String> = sqlx::query_scalar(
        "select table_name::text from information_schema.tables where table_schema = 'public' order by 1",
    )
    .fetch_all(&mut db)
    .await?;
    let mut rows = Vec::new();
    for table in tables {
        let sql = format!("select row_to_json(t)::text from \"{table}\" t");
        let found: Vec<String> = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut db).await?;
        rows.extend(found.into_iter().map(|row| (table.clone(), row)));
    }
    Ok(rows)
}

async fn sqlite(server: &Server) -> Result<Vec<Row>> {
    let entries = std::fs::read_dir(server.data())?.filter_map(Result::ok).map(|entry| entry.path());
    let file = entries.into_iter().find(|path| path.extension().is_some_and(|it| it == "db"));
    let file = file.context("there is a database file")?;
    let mut db = SqliteConnection::connect(&format!("sqlite://{}?mode=ro", file.display())).await?;
    let tables: Vec<String> = sqlx::query_scalar(
        "select name from sqlite_master where type = 'table' and name not like 'sqlite_%' and name not like '!_%' escape '!'",
    )
    .fetch_all(&mut db)
    .await?;
    let mut rows = Vec::new();
    for table in tables {
        let columns: Vec<String> = sqlx::query_scalar("select name from pragma_table_info($1)")
            .bind(&table)
            .fetch_all(&mut db)
            .await?;
        let pairs: Vec<String> = columns.iter().map(|name| format!("'{name}', \"{name}\"")).collect();
        let sql = format!("select json_object({}) from \"{table}\"", pairs.join(", "));
        let found: Vec<String> = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut db).await?;
        rows.extend(found.into_iter().map(|row| (table.clone(), row)));
    }
    Ok(rows)
}
