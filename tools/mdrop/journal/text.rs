//! An envelope's text: its transfer encoding, its charset and, where it is nothing but HTML, its tags undone.

use charset::Charset;

/// A part that may hold an envelope.
#[derive(Clone, Debug, Default)]
pub struct Text {
    /// Its media type, in lower case.
    pub kind: String,
    /// Its Content-Type.
    pub content_type: String,
    /// Its Content-Transfer-Encoding, in lower case.
    pub encoding: String,
    /// Its octets.
    pub octets: Vec<u8>,
    /// Whether all of it is there.
    pub is_whole: bool,
}

impl Text {
    /// The text.
    pub fn decoded(&self) -> String {
        let octets = match self.encoding.as_str() {
            "base64" => base64(&self.octets),
            "quoted-printable" => quoted_printable(&self.octets),
            _ => self.octets.clone(),
        };
        let label = mailparse::parse_content_type(&self.content_type).params.remove("charset").unwrap_or_default();
        let text = characters(&octets, &label);
        if self.kind == "text/html" { without_tags(&text) } else { text }
    }
}

/// Undoes base64, of which whatever is cut off or no digit is left out.
pub fn base64(octets: &[u8]) -> Vec<u8> {
    let digit = |b: u8| match b {
        b'A'..=b'Z' => Some(b - b'A'),
        b'a'..=b'z' => Some(b - b'a' + 26),
        b'0'..=b'9' => Some(b - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let mut out = Vec::with_capacity(octets.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0);
    for digit in octets.iter().take_while(|b| **b != b'=').filter_map(|b| digit(*b)) {
        bits = bits << 6 | u32::from(digit);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.extend((bits >> count).to_le_bytes().first());
        }
    }
    out
}

pub fn quoted_printable(octets: &[u8]) -> Vec<u8> {
    let part = [b"Content-Transfer-Encoding: quoted-printable\r\n\r\n", octets].concat();
    let decoded = mailparse::parse_mail(&part).and_then(|mail| mail.get_body_raw());
    decoded.unwrap_or_else(|_| octets.to_vec())
}

/// The characters that octets stand for. UTF-16 is known by its zeros, whatever the label says; ASCII and no label at all are UTF-8 where
/// that is possible, else Windows-1252, in which every octet is a character.
pub fn characters(octets: &[u8], label: &str) -> String {
    let named = Charset::for_label(label.trim().as_bytes()).filter(|_| !is_ascii(label));
    let charset = utf16(octets).and_then(|name| Charset::for_label(name.as_bytes())).or(named);
    let text = match (charset, std::str::from_utf8(octets)) {
        (Some(charset), _) => charset.decode(octets).0.into_owned(),
        (None, Ok(text)) => text.to_owned(),
        (None, Err(_)) => charset::decode_latin1(octets).into_owned(),
    };
    text.trim_start_matches('\u{feff}').replace('\0', "")
}

fn is_ascii(label: &str) -> bool {
    matches!(label.trim().to_ascii_lowercase().as_str(), "" | "us-ascii" | "ascii" | "ansi_x3.4-1968" | "iso646-us")
}

/// Which UTF-16 it is, if any: most of an envelope is ASCII, so every second octet is zero.
fn utf16(octets: &[u8]) -> Option<&'static str> {
    let head = octets.get(..octets.len().min(200))?;
    let zeros = |first: usize| head.iter().skip(first).step_by(2).filter(|b| **b == 0).count();
    let most = head.len() * 3 / 8;
    match head.len() >= 8 {
        true if zeros(1) >= most && zeros(0) * 4 < most => Some("utf-16le"),
        true if zeros(0) >= most && zeros(1) * 4 < most => Some("utf-16be"),
        _ => None,
    }
}

/// The tags after which a new line begins.
const LINES: [&str; 7] = ["br", "p", "div", "tr", "li", "h1", "pre"];

/// Text without its tags; character references are undone afterwards, so that none becomes a tag.
fn without_tags(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        let (before, tag) = rest.split_at(at);
        out.push_str(before);
        let Some(end) = tag.find('>') else { break };
        let name = tag.get(1..end).unwrap_or_default().trim_start_matches('/');
        let name = name.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
        if LINES.iter().any(|line| name.eq_ignore_ascii_case(line)) {
            out.push('\n');
        }
        rest = tag.get(end + 1..).unwrap_or_default();
    }
    out.push_str(if rest.starts_with('<') { "" } else { rest });
    let lines: Vec<String> = out.lines().map(|line| characters_of(line.trim())).collect();
    lines.join("\n")
}

/// Undoes the character references that an address or a label may need.
fn characters_of(line: &str) -> String {
    let named = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&nbsp;", " "), ("&#64;", "@"), ("&#39;", "'"), ("&amp;", "&")];
    named.iter().fold(line.to_owned(), |line, (reference, character)| line.replace(reference, character))
}
