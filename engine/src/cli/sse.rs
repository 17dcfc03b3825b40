//! Reads server-sent events out of a byte stream.
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream>

/// Longest line; a server that sends longer ones is not ours.
const LINE_BYTES_MAX: usize = 4 << 20;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct SseEvent {
    /// Where to go on after a break; the last one that was given.
    pub(super) id: Option<String>,
    /// Its type; `message` when the server names none.
    pub(super) name: String,
    /// Its data lines.
    pub(super) data: String,
}

/// The stream is not of events.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stream has a line of more than {LINE_BYTES_MAX} bytes; is it Pointsman?")]
pub(super) struct NotEvents;

/// What was read so far.
#[derive(Debug, Default)]
pub(super) struct SseReader {
    line: Vec<u8>,
    after_return: bool,
    begun: bool,
    last_id: Option<String>,
    name: String,
    data: Option<String>,
    retry_ms: Option<u64>,
}

impl SseReader {
    /// Takes the next bytes and gives the events that they complete.
    ///
    /// # Errors
    /// A line without end.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<SseEvent>, NotEvents> {
        let mut events = Vec::new();
        for &byte in bytes {
            let second_of_pair = self.after_return && byte == b'\n';
            self.after_return = byte == b'\r';
            match byte {
                b'\n' if second_of_pair => {}
                b'\n' | b'\r' => {
                    let line = std::mem::take(&mut self.line);
                    events.extend(self.end_of_line(&String::from_utf8_lossy(&line)));
                }
                _ if self.line.len() >= LINE_BYTES_MAX => return Err(NotEvents),
                _ => self.line.push(byte),
            }
        }
        Ok(events)
    }

    /// How long the server wants us to wait before we connect again, milliseconds.
    pub(super) fn retry_ms(&self) -> Option<u64> {
        self.retry_ms
    }

    fn end_of_line(&mut self, line: &str) -> Option<SseEvent> {
        let line = if self.begun { line } else { line.trim_start_matches('\u{feff}') };
        self.begun = true;
        if line.is_empty() {
            return self.dispatch();
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            "event" => value.clone_into(&mut self.name),
            "id" if !value.contains('\0') => self.last_id = Some(value.to_owned()),
            "retry" if value.bytes().all(|b| b.is_ascii_digit()) => self.retry_ms = value.parse().ok(),
            _ => {} // a comment (no name before the colon) or a field of the future
        }
        None
    }

    fn dispatch(&mut self) -> Option<SseEvent> {
        let name = std::mem::take(&mut self.name);
        let data = self.data.take()?;
        let name = if name.is_empty() { "message".to_owned() } else { name };
        Some(SseEvent { id: self.last_id.clone(), name, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<SseEvent> {
        let whole = SseReader::default().feed(text.as_bytes()).unwrap();
        // However the bytes are cut, the events are the same.
        let mut reader = SseReader::default();
        let single: Vec<_> = text.bytes().flat_map(|byte| reader.feed(&[byte]).unwrap()).collect();
        assert_eq!(whole, single);
        whole
    }

    fn event(id: Option<&str>, name: &str, data: &str) -> SseEvent {
        SseEvent { id: id.map(str::to_owned), name: name.to_owned(), data: data.to_owned() }
    }

    #[test]
    fn events_end_with_an_empty_line() {
        let text = ": hello\n\nid: evt_1\nevent: message.sent\ndata: {\"a\":1}\n\ndata: b\n\ndata: cut off";
        assert_eq!(
            read(text),
            [event(Some("evt_1"), "message.sent", "{\"a\":1}"), event(Some("evt_1"), "message", "b")]
        );
    }

    #[test]
    fn every_line_end_counts_once() {
        let text = "data: a\r\ndata: b\r\n\r\ndata:c\r\rdata:  d\n\n";
        assert_eq!(
            read(text),
            [event(None, "message", "a\nb"), event(None, "message", "c"), event(None, "message", " d")]
        );
    }

    #[test]
    fn an_event_without_data_is_none() {
        assert_eq!(read("\u{feff}event: x\n\ndata\n\n"), [event(None, "message", "")]);
    }

    #[test]
    fn odd_characters_survive() {
        assert_eq!(read("data: ñandú 🙂: x\n\n"), [event(None, "message", "ñandú 🙂: x")]);
    }

    #[test]
    fn the_server_may_ask_for_patience() {
        let mut reader = SseReader::default();
        reader.feed(b"retry: 2500\n\nretry: soon\n\n").unwrap();
        assert_eq!(reader.retry_ms(), Some(2_500));
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut reader = SseReader::default();
        assert_eq!(reader.feed(&vec![b'x'; LINE_BYTES_MAX + 1]), Err(NotEvents));
    }
}
