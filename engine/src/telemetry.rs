//! Log lines: for people on a terminal, JSON elsewhere, on standard error.
//! Spans are named `room.verb` and carry ids. Message texts, phone numbers and
//! secrets never get here; nothing below removes them, so nobody may log them.

use std::io::IsTerminal as _;
use std::panic::PanicHookInfo;

use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt};

use crate::config::{Log, LogFormat};

/// Libraries whose debug lines hold requests and SQL. They speak up only when asked by name.
const QUIET: &str =
    "sqlx=warn,hyper=warn,hyper_util=warn,reqwest=warn,rustls=warn,wasmtime=warn,cranelift=warn";

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The directives do not parse.
    #[error("log.level is not readable")]
    Level(#[from] tracing_subscriber::filter::ParseError),
    /// Somebody else set it up before.
    #[error("logging was set up twice in one process")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// Starts logging for the whole process and logs panics from now on.
///
/// # Errors
/// Bad directives, or a second call in one process.
pub fn start(log: &Log) -> Result<(), TelemetryError> {
    let json = match log.format {
        LogFormat::Auto => !std::io::stderr().is_terminal(),
        LogFormat::Human => false,
        LogFormat::Json => true,
    };
    subscriber(log, json, std::io::stderr)?.try_init()?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

fn subscriber<W>(
    log: &Log,
    json: bool,
    writer: W,
) -> Result<Box<dyn Subscriber + Send + Sync>, TelemetryError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    // What the operator writes comes last and wins over the quiet list.
    let filter = EnvFilter::builder().parse(format!("{QUIET},{}", log.level))?;
    let registry = tracing_subscriber::registry().with(filter);
    Ok(if json {
        let layer = fmt::layer().json().flatten_event(true).with_current_span(true).with_span_list(false);
        Box::new(registry.with(layer.with_writer(writer)))
    } else {
        let ansi = std::io::stderr().is_terminal();
        Box::new(registry.with(fmt::layer().compact().with_ansi(ansi).with_writer(writer)))
    })
}

/// A panic is a bug: logged with its place. Its text is logged only when it is a literal, since a formatted one
/// may quote what a customer wrote; the standard hook with `RUST_BACKTRACE` would print it.
fn log_panic(info: &PanicHookInfo<'_>) {
    let said = info.payload().downcast_ref::<&'static str>().copied().unwrap_or("(text withheld)");
    let place = info.location().map_or_else(|| "unknown place".to_owned(), ToString::to_string);
    let thread = std::thread::current();
    tracing::error!(
        place,
        thread = thread.name().unwrap_or("unnamed"),
        "panic: {said}; please report this bug"
    );
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: &str, json: bool, body: impl FnOnce()) -> String {
        let sink = Sink::default();
        let log = Log { format: LogFormat::Auto, level: level.to_owned() };
        let writer = sink.clone();
        let subscriber = subscriber(&log, json, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, body);
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_json_line_carries_its_span() {
        let text = logged("info", true, || {
            let _span = tracing::info_span!("flow.turn", lane = "lan_1").entered();
            tracing::info!(rows = 2, "turned");
            tracing::debug!("hidden");
        });
        let line: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
        assert_eq!((&line["message"], &line["rows"]), (&"turned".into(), &2.into()));
        assert_eq!((&line["span"]["name"], &line["span"]["lane"]), (&"flow.turn".into(), &"lan_1".into()));
    }

    #[test]
    fn libraries_are_quiet_unless_asked() {
        let speak = || tracing::debug!(target: "sqlx::query", "select");
        assert_eq!(logged("trace", false, speak), "");
        assert!(logged("info,sqlx=debug", false, speak).contains("select"));
    }

    #[test]
    fn a_panic_shows_its_place_and_no_formatted_text() {
        let text = logged("info", true, || {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(log_panic));
            let private = "+34600111222";
            let caught = std::panic::catch_unwind(|| panic!("bad number {private}"));
            std::panic::set_hook(before);
            assert!(caught.is_err());
        });
        assert!(
            text.contains("telemetry.rs") && text.contains("withheld") && !text.contains("+34600"),
            "{text}"
        );
    }
}
