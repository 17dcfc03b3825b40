//! The master key: from the variable, from its file, or made at the first
//! start, and always the one that the database was first used with. It never
//! leaves this module but inside a [`Keyring`].

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::AppError;
use crate::clock::Clock;
use crate::config::{Keys, MASTER_KEY_VARIABLE};
use crate::crypto::Keyring;
use crate::store::{Db, Durability, installation};

/// Only this user may read the file.
const FILE_MODE: u32 = 0o600;
/// What nobody else may have.
const OTHERS_MODE: u32 = 0o077;

/// Why there is no master key.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// The file cannot be read.
    #[error("the master key {path} cannot be read; check its owner and permissions")]
    Read {
        /// Which file.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file cannot be made.
    #[error(
        "the master key {path} cannot be made; make its directory writable, or set {MASTER_KEY_VARIABLE}"
    )]
    Make {
        /// Which file.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file holds something else.
    #[error(
        "{0} does not hold 32 bytes in base64; put the right key back, since a new one opens no stored secret"
    )]
    Unreadable(String),
    /// The file is gone.
    #[error(
        "the master key {0} is missing, and secrets in this database were sealed with it; put it back from your copy, or set {MASTER_KEY_VARIABLE}"
    )]
    Missing(String),
    /// It is another key.
    #[error(
        "{0} is not the master key that sealed the secrets in this database; put the right key back, and give every process the same one"
    )]
    Foreign(String),
}

/// The keyring of this server: the key that this database's secrets were sealed with. A database that was never used
/// takes any key, and one is made when there is none.
///
/// # Errors
/// The key is missing, another one, or cannot be read, made or understood; or the store's.
pub async fn of_database(db: &Db, keys: &Keys, clock: &Clock) -> Result<Keyring, AppError> {
    let known = installation::master_key(&mut db.read().await?).await?;
    let path = keys.master_key_file.display().to_string();
    if known.is_some() && keys.master_key.is_none() && !keys.master_key_file.exists() {
        return Err(MasterKeyError::Missing(path).into());
    }
    let keyring = keyring(keys, clock)?;
    let ours = keyring.fingerprint();
    let offered = ours.clone();
    let kept = db.write(Durability::Hard, move |tx| {
        let offered = offered.clone();
        Box::pin(async move {
            installation::keep_master_key(tx, &offered).await?;
            installation::master_key(tx).await
        })
    });
    if kept.await?.is_some_and(|kept| kept != ours) {
        let place = if keys.master_key.is_some() { MASTER_KEY_VARIABLE.to_owned() } else { path };
        return Err(MasterKeyError::Foreign(place).into());
    }
    Ok(keyring)
}

/// The key as it is given; makes it when there is none.
///
/// # Errors
/// The key cannot be read, made or understood.
pub fn keyring(keys: &Keys, clock: &Clock) -> Result<Keyring, AppError> {
    if let Some(key) = &keys.master_key {
        return decode(key.expose(), MASTER_KEY_VARIABLE);
    }
    let path = &keys.master_key_file;
    match read(path)? {
        Some(text) => decode(&text, &path.display().to_string()),
        None => {
            make(path, clock)
                .map_err(|source| MasterKeyError::Make { path: path.display().to_string(), source })?;
            let text = read(path)?.ok_or_else(|| MasterKeyError::Unreadable(path.display().to_string()))?;
            tracing::warn!(
                path = %path.display(),
                "made a new master key; keep a copy of it apart from the database, without it channel secrets are lost"
            );
            decode(&text, &path.display().to_string())
        }
    }
}

fn decode(text: &str, place: &str) -> Result<Keyring, AppError> {
    let bytes = STANDARD.decode(text.trim()).map_err(|_| MasterKeyError::Unreadable(place.to_owned()))?;
    Keyring::new(&bytes).map_err(|_| MasterKeyError::Unreadable(place.to_owned()).into())
}

fn read(path: &Path) -> Result<Option<String>, MasterKeyError> {
    match fs::read_to_string(path) {
        Ok(text) => {
            if let Some(warning) = readable_by_others(path) {
                tracing::warn!("{warning}");
            }
            Ok(Some(text))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(MasterKeyError::Read { path: path.display().to_string(), source }),
    }
}

/// A sentence when others may read the key file.
pub fn readable_by_others(path: &Path) -> Option<String> {
    let mode = fs::metadata(path).ok()?.permissions().mode();
    let path = path.display();
    (mode & OTHERS_MODE != 0).then(|| format!("others may read the master key; run `chmod 600 {path}`"))
}

/// Written whole under another name first, so that no crash and no second process leaves half a key; an existing
/// key is never replaced.
fn make(path: &Path, clock: &Clock) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut key = clock.random().to_be_bytes().to_vec();
    key.extend(clock.random().to_be_bytes());
    let draft = path.with_extension(format!("{:032x}.new", clock.random()));
    let written = write_new(&draft, &format!("{}\n", STANDARD.encode(key)));
    let linked = written.and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        outcome => outcome,
    });
    let _ = fs::remove_file(&draft); // the key is in its place, or the error is told
    linked
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = File::options().write(true).create_new(true).mode(FILE_MODE).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Secret;
    use crate::store::testing::each_db;

    fn keys(path: &Path) -> Keys {
        Keys { master_key_file: path.to_owned(), master_key: None }
    }

    #[test]
    fn a_key_is_made_once_and_for_this_user_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/master.key");
        let clock = Clock::system();
        let first = keyring(&keys(&path), &clock).unwrap();
        let second = keyring(&keys(&path), &clock).unwrap();
        assert_eq!(second.open("here", &first.seal(&clock, "here", b"x")).unwrap(), b"x");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "a draft was left");
        assert_eq!(readable_by_others(&path), None);
    }

    #[test]
    fn an_existing_key_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        fs::write(&path, "not a key").unwrap();
        assert!(matches!(
            keyring(&keys(&path), &Clock::system()),
            Err(AppError::MasterKey(MasterKeyError::Unreadable(_)))
        ));
        make(&path, &Clock::system()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "not a key");
    }

    #[test]
    fn the_variable_wins_over_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let given = Keys { master_key: Some(Secret::new(STANDARD.encode([7; 32]))), ..keys(&path) };
        let clock = Clock::system();
        let ours = keyring(&given, &clock).unwrap();
        let sealed = Keyring::new(&[7; 32]).unwrap().seal(&clock, "here", b"x");
        assert_eq!(ours.open("here", &sealed).unwrap(), b"x");
        assert!(!path.exists());
    }

    #[test]
    fn a_key_that_others_may_read_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        fs::write(&path, "x").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(readable_by_others(&path).unwrap().contains("chmod 600"));
    }

    #[test]
    fn a_database_stays_with_its_first_key() {
        each_db(|db| async move {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("master.key");
            let clock = Clock::system();
            let first = of_database(&db, &keys(&path), &clock).await.unwrap();
            let again = of_database(&db, &keys(&path), &clock).await.unwrap();
            assert_eq!(first.fingerprint(), again.fingerprint());
            let copy = fs::read(&path).unwrap();
            fs::remove_file(&path).unwrap();
            let missing = of_database(&db, &keys(&path), &clock).await.unwrap_err();
            assert!(matches!(missing, AppError::MasterKey(MasterKeyError::Missing(_))), "{missing}");
            assert!(!path.exists(), "no new key takes the place of a lost one");
            fs::write(&path, STANDARD.encode([9; 32])).unwrap();
            let foreign = of_database(&db, &keys(&path), &clock).await.unwrap_err();
            assert!(matches!(foreign, AppError::MasterKey(MasterKeyError::Foreign(_))), "{foreign}");
            let given = Keys { master_key: Some(Secret::new(STANDARD.encode([7; 32]))), ..keys(&path) };
            let foreign = of_database(&db, &given, &clock).await.unwrap_err().to_string();
            assert!(foreign.starts_with(MASTER_KEY_VARIABLE), "{foreign}");
            fs::write(&path, copy).unwrap();
            of_database(&db, &keys(&path), &clock).await.unwrap();
        });
    }
}
