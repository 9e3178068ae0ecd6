//! What goes wrong, for a person and for the shell: one line that names the object, and one sysexits status.
//!
//! Every error of the library is this one type, because a tool does only two things with an error: it prints the line
//! and it remembers the status. The order in which statuses outweigh each other is fixed here and nowhere else.

use std::fmt;
use std::io;

/// An exit status of sysexits(3). The variants are listed from the worst to the mildest; [`Status::worse`] relies on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// 70, `EX_SOFTWARE`: a fault of mdrop itself.
    Software,
    /// 74, `EX_IOERR`: reading or writing failed; a broken pipe too.
    Io,
    /// 73, `EX_CANTCREAT`: a file can't be created.
    CantCreate,
    /// 71, `EX_OSERR`: the system refused something that should work.
    System,
    /// 65, `EX_DATAERR`: bad input data, or a digest that does not match.
    Data,
    /// 76, `EX_PROTOCOL`: the server broke the protocol.
    Protocol,
    /// 78, `EX_CONFIG`: the profile or the users file is wrong.
    Config,
    /// 77, `EX_NOPERM`: login refused, or permission denied.
    NoPermission,
    /// 64, `EX_USAGE`: the command line is wrong.
    Usage,
    /// 66, `EX_NOINPUT`: no such input.
    NoInput,
    /// 68, `EX_NOHOST`: unknown host.
    NoHost,
    /// 69, `EX_UNAVAILABLE`: the service can't be reached.
    Unavailable,
    /// 75, `EX_TEMPFAIL`: try again later.
    TryAgain,
    /// 0, `EX_OK`.
    Ok,
}

impl Status {
    /// The number the shell sees, from sysexits(3).
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Usage => 64,
            Self::Data => 65,
            Self::NoInput => 66,
            Self::NoHost => 68,
            Self::Unavailable => 69,
            Self::Software => 70,
            Self::System => 71,
            Self::CantCreate => 73,
            Self::Io => 74,
            Self::TryAgain => 75,
            Self::Protocol => 76,
            Self::NoPermission => 77,
            Self::Config => 78,
        }
    }

    /// The worse of two outcomes: a run ends with the status of its worst message.
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        self.min(other)
    }
}

/// One failure: what it is about, what happened, and the status it deserves.
#[derive(Debug)]
pub struct Error {
    status: Status,
    objects: Vec<String>,
    what: String,
    source: Option<io::Error>,
}

/// The result of anything that can fail in mdrop.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A failure described in words, lower case and without a full stop.
    pub fn new(status: Status, what: impl Into<String>) -> Self {
        Self { status, objects: Vec::new(), what: what.into(), source: None }
    }

    /// A failure of the system while `doing` something (“read”, “create”), with the status the kind of failure deserves.
    #[must_use]
    pub fn io(doing: &str, source: io::Error) -> Self {
        let status = match source.kind() {
            io::ErrorKind::NotFound => Status::NoInput,
            io::ErrorKind::PermissionDenied => Status::NoPermission,
            io::ErrorKind::Interrupted => Status::TryAgain,
            _ => Status::Io,
        };
        Self { status, objects: Vec::new(), what: format!("{doing}: {source}"), source: Some(source) }
    }

    /// The same failure with another status.
    #[must_use]
    pub fn with_status(mut self, status: Status) -> Self {
        self.status = status;
        self
    }

    /// Names the object the failure is about; a later call names what holds that object (`acme/INBOX` before `UID 7`).
    #[must_use]
    pub fn about(mut self, object: impl Into<String>) -> Self {
        let object = object.into();
        // A host that is named by its address is its own address.
        if self.objects.first() != Some(&object) {
            self.objects.insert(0, object);
        }
        self
    }

    /// The same failure without a secret that a server may have echoed, nor the beginning of it where an excerpt ends within.
    #[must_use]
    pub fn without(mut self, secret: &str) -> Self {
        if !secret.is_empty() && self.what.contains(secret) {
            self.what = self.what.replace(secret, "***");
        }
        let end = self.what.trim_end_matches('\u{fffd}');
        let begun = secret.char_indices().skip(3).filter_map(|(at, _)| end.strip_suffix(secret.get(..at)?)).last();
        if let Some(before) = begun {
            self.what = format!("{before}***");
        }
        self
    }

    /// The status the run deserves for this failure.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// What happened, without the objects it is about.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }

    /// Whether the reader of our output has gone, which is an end and not a message.
    #[must_use]
    pub fn is_broken_pipe(&self) -> bool {
        self.source.as_ref().is_some_and(|source| source.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for object in &self.objects {
            write!(f, "{}: ", printable(object))?;
        }
        f.write_str(&printable(&self.what))
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}

impl From<io::Error> for Error {
    /// An I/O failure that already carries an [`Error`] keeps it; any other is reported as the system words it.
    fn from(source: io::Error) -> Self {
        match source.downcast::<Self>() {
            Ok(error) => error,
            Err(source) => Self::io("input/output", source),
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = error.source.as_ref().map_or(io::ErrorKind::Other, io::Error::kind);
        Self::new(kind, error)
    }
}

/// Text from elsewhere made fit for a line on a terminal: control characters (C0, DEL, C1) and the Unicode marks that turn the writing
/// direction become escapes, so that nothing a server or a sender wrote can move the cursor or add a line.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_status_wins_in_the_documented_order() {
        let order = [70, 74, 73, 71, 65, 76, 78, 77, 64, 66, 68, 69, 75, 0];
        let all = [
            Status::Ok,
            Status::Usage,
            Status::Data,
            Status::NoInput,
            Status::NoHost,
            Status::Unavailable,
            Status::Software,
            Status::System,
            Status::CantCreate,
            Status::Io,
            Status::TryAgain,
            Status::Protocol,
            Status::NoPermission,
            Status::Config,
        ];
        for a in all {
            for b in all {
                let rank = |s: Status| order.iter().position(|code| *code == s.code());
                assert_eq!(rank(a.worse(b)), rank(a).min(rank(b)), "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn a_secret_is_taken_out_even_where_an_excerpt_cuts_it() {
        let told = |what: &str| Error::new(Status::Protocol, what).without("sécret").to_string();
        assert_eq!(told("you said sécret, sécret"), "you said ***, ***");
        assert_eq!(told("you said sécre"), "you said ***");
        assert_eq!(told("you said séc\u{fffd}"), "you said ***");
        assert_eq!(told("no sé"), "no sé");
        assert_eq!(Error::new(Status::Protocol, "x").without("").to_string(), "x");
    }

    #[test]
    fn octets_from_the_network_are_escaped_in_messages() {
        let error = Error::new(Status::Protocol, "NO \x1b[2J\r\nroot").about("UID 7").about("acme/IN\u{202e}BOX");
        assert_eq!(error.to_string(), "acme/IN\\u{202e}BOX: UID 7: NO \\u{1b}[2J\\r\\nroot");
    }

    #[test]
    fn an_object_is_named_once_where_it_lies_in_itself() {
        let error = Error::new(Status::Unavailable, "connection refused").about("127.0.0.1:1").about("127.0.0.1:1").about("acme");
        assert_eq!(error.to_string(), "acme: 127.0.0.1:1: connection refused");
    }
}
