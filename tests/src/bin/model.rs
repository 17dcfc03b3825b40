//! The stand-in model server by itself, for clients that are tried against it:
//! prints its base URL and its key, then answers until it is ended.

use anyhow::Result;
use pointsman_tests::Model;
use pointsman_tests::model::KEY;

#[tokio::main]
async fn main() -> Result<()> {
    let model = Model::start().await?;
    println!("{} {KEY}", model.url());
    std::future::pending::<()>().await;
    Ok(())
}
