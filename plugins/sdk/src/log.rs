//! The plugin's log, shown to the channel's admin and the plugin's author.
//! Never write message bodies or phone numbers here; the host removes secrets.

#[cfg(target_arch = "wasm32")]
use crate::bindings::base::pointsman::plugin::log as host;

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// For the author.
    Debug,
    /// Worth knowing.
    Info,
    /// Something to look at.
    Warn,
    /// Something is broken.
    Error,
}

/// Writes one line; the host cuts it at 2 KiB and keeps 100 lines of a call.
pub fn write(level: Level, message: &str) {
    #[cfg(target_arch = "wasm32")]
    host::write(
        match level {
            Level::Debug => host::Level::Debug,
            Level::Info => host::Level::Info,
            Level::Warn => host::Level::Warn,
            Level::Error => host::Level::Error,
        },
        message,
    );
    #[cfg(not(target_arch = "wasm32"))]
    native::LINES.with_borrow_mut(|lines| lines.push((level, message.to_owned())));
}

/// Makes a panic show where it happened. Its words are shown only when they are
/// a literal: formatted ones may quote a contact's message.
#[cfg(target_arch = "wasm32")]
pub(crate) fn report_panics() {
    std::panic::set_hook(Box::new(|info| {
        let words = info.payload().downcast_ref::<&'static str>().copied();
        let words = words.unwrap_or("run the case natively to see the message");
        match info.location() {
            Some(at) => {
                let (file, line, column) = (at.file(), at.line(), at.column());
                write(Level::Error, &format!("panicked at {file}:{line}:{column}: {words}"));
            }
            None => write(Level::Error, &format!("panicked: {words}")),
        }
    }));
}

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use std::cell::RefCell;

    use super::Level;

    thread_local! {
        pub(super) static LINES: RefCell<Vec<(Level, String)>> = const { RefCell::new(vec![]) };
    }
}

/// Takes what was written on this thread since the last time.
#[cfg(all(feature = "testing", not(target_arch = "wasm32")))]
pub fn take() -> Vec<(Level, String)> {
    native::LINES.take()
}
