//! Reports of every kind, whole, cut, misleading and hostile, each read at once and in small pieces.

use super::*;

mod hostile;

const INNER: &str = "From: a@example.com\r\nTo: x@y.example\r\nSubject: Hello\r\n\r\nBcc: trap@example.com\r\n";

/// A multipart of these parts, each with its header.
fn multipart(kind: &str, boundary: &str, parts: &[&str]) -> String {
    let mut text = format!("Content-Type: {kind};\r\n boundary=\"{boundary}\"\r\n\r\npreamble\r\n");
    for part in parts {
        text.extend(["--", boundary, "\r\n", part, "\r\n"]);
    }
    text + &format!("--{boundary}--\r\n")
}

fn wrapped(mark: &str, head: &str, text: &str, inner: &str) -> String {
    let text = format!("Content-Type: text/plain{head}\r\n\r\n{text}");
    format!("{mark}\r\n{}", multipart("multipart/mixed", "b 1", &[&text, &format!("Content-Type: message/rfc822\r\n\r\n{inner}")]))
}

fn exchange(text: &str) -> String {
    wrapped("X-MS-Journal-Report: ", "; charset=utf-8", text, INNER)
}

fn shown(report: &Report) -> Vec<String> {
    let addresses = |all: &[Address]| all.iter().map(Address::normal).collect::<Vec<_>>().join(" ");
    let source = |source: &Source| match source {
        Source::Expanded(list) => format!(" expanded {}", addresses(list)),
        Source::Forwarded(by) => format!(" forwarded {}", addresses(by)),
    };
    let line = |line: &Line| {
        let sources: String = line.sources.iter().map(source).collect();
        format!("{}:{} {}{}{sources}", line.label, line.position, addresses(&line.addresses), line.value)
    };
    report.lines.iter().map(line).collect()
}

fn inner_of<'a>(octets: &'a str, report: &Report) -> Option<&'a str> {
    let place = report.inner.as_ref()?;
    octets.get(usize::try_from(place.offset).ok()?..)?.get(..usize::try_from(place.length).ok()?)
}

/// Reads at once, and in pieces of a few sizes, which must agree.
fn read_in_pieces(octets: &[u8]) -> Option<Report> {
    let whole = read(octets);
    for size in [1, 2, 3, 7, 1000] {
        let mut reader = Reader::default();
        for piece in octets.chunks(size) {
            reader.write_all(piece).unwrap();
        }
        assert_eq!(reader.finish(), whole, "in pieces of {size}");
    }
    whole
}

fn lines(octets: &str) -> Vec<String> {
    read_in_pieces(octets.as_bytes()).map(|report| shown(&report)).unwrap_or_default()
}

#[test]
fn a_report_is_read_in_every_transfer_encoding_and_charset() {
    let text = "Sender: a@example.com\r\nOn-Behalf-Of: boss@example.com\r\nSubject: Grüße\r\nMessage-Id: <1@x>\r\nLabel: secret\r\nMailbox: m\r\nSentUtc: 1\r\nReceivedUtc: 2\r\nTo: b@example.com, Expanded: list@example.com\r\nBcc: c@example.com\r\nTo: d@other.example, Forwarded: e@example.com\r\nRecipient: f@example.com, Expanded: l@example.com, Forwarded: g@example.com\r\n";
    let expected = [
        "sender:1 a@example.com",
        "on-behalf-of:1 boss@example.com",
        "to:1 b@example.com expanded list@example.com",
        "bcc:1 c@example.com",
        "to:2 d@other.example forwarded e@example.com",
        "recipient:1 f@example.com expanded l@example.com forwarded g@example.com",
    ];
    let base64 = |octets: Vec<u8>| {
        use base64::Engine;
        let text = base64::engine::general_purpose::STANDARD.encode(octets);
        let lines: Vec<_> = text.as_bytes().chunks(76).map(|line| String::from_utf8_lossy(line)).collect();
        lines.join("\r\n")
    };
    let quoted = text.replace("list@", "li=\r\nst=40").replace('ü', "=C3=BC").replace('ß', "=C3=9F");
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let marked = [b"\xff\xfe".as_slice(), &utf16].concat();
    let latin: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    let cases = [
        ("; charset=utf-8\r\nContent-Transfer-Encoding: 8bit", text.to_owned()),
        ("", text.to_owned()),
        ("; charset=us-ascii", format!("\u{feff}{text}")),
        ("; charset=utf-8\r\nContent-Transfer-Encoding: Quoted-Printable", quoted),
        ("; charset=\"utf-8\"\r\nContent-Transfer-Encoding: base64", base64(text.into())),
        ("; charset=iso-8859-1\r\nContent-Transfer-Encoding: BASE64", base64(latin.clone())),
        ("; charset=windows-1252\r\nContent-Transfer-Encoding: base64", base64(latin.clone())),
        ("; charset=us-ascii\r\nContent-Transfer-Encoding: base64", base64(latin)),
        ("; charset=utf-16\r\nContent-Transfer-Encoding: base64", base64(utf16)),
        ("; charset=utf-16\r\nContent-Transfer-Encoding: base64", base64(marked)),
        ("; charset=utf-16\r\nContent-Transfer-Encoding: base64", base64(big)),
        ("; charset=no-such\r\nContent-Transfer-Encoding: base64", base64(text.into())),
    ];
    for (head, text) in cases {
        let octets = wrapped("X-MS-Journal-Report: ", head, &text, INNER);
        let report = read_in_pieces(octets.as_bytes()).unwrap();
        assert_eq!(shown(&report), expected, "{head}");
        assert_eq!(inner_of(&octets, &report), Some(INNER), "{head}");
        assert!(report.notes.is_empty() && report.nested.is_none(), "{head}: {:?}", report.notes);
    }
}

#[test]
fn a_report_with_bare_line_feeds_has_its_message_in_the_right_place() {
    let octets = exchange("Sender: a@example.com\r\nTo: b@example.com\r\n").replace('\r', "");
    let report = read_in_pieces(octets.as_bytes()).unwrap();
    assert_eq!(inner_of(&octets, &report), Some(INNER.replace('\r', "").as_str()));
}

#[test]
fn an_envelope_that_is_html_or_lies_deeper_is_read() {
    let html = "<html><body><p>Sender: a@example.com<br>\r\nSubject: x &lt;y&gt;<br>Message-Id: &lt;1@x&gt;</p><div>To: &quot;B&quot; &lt;b@example.com&gt;, Expanded: l@example.com</div></body></html>";
    let expected = ["sender:1 a@example.com", "to:1 b@example.com expanded l@example.com"];
    let inner = format!("Content-Type: message/rfc822\r\n\r\n{INNER}");
    let html = format!("Content-Type: text/html\r\n\r\n{html}");
    let only = multipart("multipart/mixed", "b", &[&html, &inner]);
    assert_eq!(lines(&format!("X-MS-Journal-Report:\r\n{only}")), expected);
    let plain = "Content-Type: text/plain\r\n\r\nSender: a@example.com\r\nSubject: x\r\nTo: b@example.com, Expanded: l@example.com\r\n";
    let banner = "Content-Type: text/plain\r\n\r\nThis mail comes from elsewhere.\r\n";
    let alternative = multipart("multipart/alternative", "c", &[plain, &html]);
    let deep = multipart("multipart/mixed", "b", &[banner, &alternative, &inner]);
    let octets = format!("X-MS-Journal-Report:\r\n{deep}");
    assert_eq!(lines(&octets), expected);
    assert_eq!(inner_of(&octets, &read(octets.as_bytes()).unwrap()), Some(INNER));
}

#[test]
fn every_mark_is_known_and_its_envelope_read() {
    let newer = "Sender: a@example.com\r\nSubject: x\r\nMessage-ID: <1@x>\r\nTo: b@example.com\r\n";
    let older = "Sender: \"A\" <SMTP:a@example.com>\r\nMessage-ID: <1@x>\r\nRecipients:\r\n\tB <b@example.com>\r\n";
    let intercept = "Intercepted message for b@example.com.\r\nOperation=add message, folder=Inbox, folder ID=2.\r\n";
    let cases = [
        ("X-MS-Journal-Report:", newer, "exchange"),
        ("X-MS-Exchange-Organization-Journal-Report: jrnl", newer, "exchange"),
        ("X-WM-Journal-Report: journal", newer, "workmail"),
        ("Content-Identifier: ExJournalReport", older, "exchange-2003"),
        ("Content-Identifer: exjournalreport", older, "exchange-2003"),
        ("Content-Identifier: ExJournalReport\r\nX-MS-Journal-Report:", older, "exchange"),
        ("Auto-Submitted: auto-replied (zimbra; intercept)", intercept, "zimbra"),
        ("Subject: Intercept message for b@example.com: Hello", intercept, "zimbra"),
        ("Subject: =?utf-8?Q?Intercept_message_for_b=40example.com=3A_H=C3=A4?=", intercept, "zimbra"),
        ("Subject:\r\n =?UTF-8?B?SW50ZXJjZXB0ZWQgbWVzc2FnZSBmb3IgYkBleGFtcGxlLmNvbTog4oKs?=", intercept, "zimbra"),
    ];
    for (mark, text, kind) in cases {
        let report = read_in_pieces(wrapped(mark, "", text, INNER).as_bytes()).unwrap();
        assert_eq!(report.format.name(), kind, "{mark}");
        assert!(shown(&report).iter().any(|line| line.ends_with("1 b@example.com")), "{mark}: {:?}", shown(&report));
        assert!(report.senders().any(|line| line.addresses[0].normal() == "a@example.com"), "{mark}");
    }
    for mark in
        ["Content-Identifier: ExJournalData", "X-WM-Journal-Report: no", "Subject: Re: Intercept message for b@example.com", "X-Other: 1"]
    {
        assert_eq!(read_in_pieces(wrapped(mark, "", newer, INNER).as_bytes()), None, "{mark}");
    }
}

#[test]
fn a_subject_can_name_no_recipient_and_no_sender() {
    let inner = |subject: &str| format!("From: a@example.com\r\nSubject: {subject}\r\n\r\nx\r\n");
    let encoded = "=?utf-8?Q?Hello=0D=0ATo:_trap@example.com=0D=0AOn-Behalf-Of:_boss@example.com=0D=0A?=";
    let spilt = "Subject: Hello\r\nTo: trap@example.com\r\nOn-Behalf-Of: boss@example.com\r\n";
    let cases = [
        // The subject's lines above the Message-ID, and below it.
        (encoded, format!("Sender: a@example.com\r\n{spilt}Message-Id: <1@x>\r\nTo: b@example.com\r\n")),
        (encoded, format!("Sender: a@example.com\r\nMessage-Id: <1@x>\r\n{spilt}To: b@example.com\r\n")),
        // A folded subject, and one that only says so.
        ("Hello\r\n To: trap@example.com", "Sender: a@example.com\r\nMessage-Id: <1@x>\r\nSubject: Hello\r\n To: trap@example.com\r\nTo: b@example.com\r\n".into()),
        ("To: trap@example.com", "Sender: a@example.com\r\nSubject: To: trap@example.com\r\nMessage-Id: <1@x>\r\nTo: b@example.com\r\n".into()),
        // One that repeats a real recipient doesn't hide it.
        ("=?utf-8?Q?Hello=0D=0ATo:_b@example.com?=", "Sender: a@example.com\r\nMessage-Id: <1@x>\r\nSubject: Hello To: b@example.com\r\nTo: b@example.com\r\n".into()),
        ("=?utf-8?Q?Hello=0ATo:_b@example.com?=", "Sender: a@example.com\r\nMessage-Id: <1@x>\r\nSubject: Hello\r\nTo: b@example.com\r\nTo: b@example.com\r\n".into()),
        // A second Message-ID of the sender's own changes nothing.
        ("=?utf-8?Q?Hello=0ATo:_trap@example.com=0AMessage-ID:_=3C2=40x=3E=0ABcc:_trap@example.com?=", "Sender: a@example.com\r\nMessage-Id: <1@x>\r\nSubject: Hello\r\nTo: trap@example.com\r\nMessage-ID: <2@x>\r\nBcc: trap@example.com\r\nTo: b@example.com\r\n".into()),
    ];
    for (subject, text) in cases {
        let octets = wrapped("X-MS-Journal-Report:", "", &text, &inner(subject));
        assert_eq!(lines(&octets), ["sender:1 a@example.com", "to:1 b@example.com"], "{text}");
    }
    let told = wrapped(
        "X-MS-Journal-Report:",
        "",
        &format!("Sender: a@example.com\r\nMessage-Id: <1@x>\r\n{spilt}To: b@example.com\r\n"),
        &inner(encoded),
    );
    assert_eq!(read(told.as_bytes()).unwrap().notes.iter().map(|(word, _)| *word).collect::<Vec<_>>(), ["forged"]);
}

#[test]
fn a_value_that_is_no_smtp_address_is_kept_and_one_that_hides_one_is_undone() {
    let x500 = "/o=ExchangeLabs/ou=Exchange Administrative Group/cn=Recipients/cn=b@example.com";
    let text = format!(
        "Sender: Unspecified Address\r\nSubject: x\r\nMessage-Id: Unknown Message-ID\r\nTo: {x500}\r\nTo: IMCEAEX-_O=EXCHANGELABS_OU=X_CN=b@example.com\r\nTo: IMCEASMTP-b+2Ec+40example+2Ecom@other.example\r\nCc: SMTP:d@example.com\r\nCc: \"E <trap@example.com>\" <e@example.com>\r\nCc: EX:/o=x\r\nBcc:\r\n"
    );
    let expected = [
        "sender:1 Unspecified Address".to_owned(),
        format!("to:1 {x500}"),
        "to:2 IMCEAEX-_O=EXCHANGELABS_OU=X_CN=b@example.com".into(),
        "to:3 b.c@example.com".into(),
        "cc:1 d@example.com".into(),
        "cc:2 e@example.com".into(),
        "cc:3 EX:/o=x".into(),
    ];
    assert_eq!(lines(&exchange(&text)), expected);
}

#[test]
fn the_list_of_exchange_2003_is_read_with_names_over_lines_and_notes() {
    let text = "Sender: \"Alice\" <SMTP:a@example.com>\r\nMessage-ID: <1@x>\r\nRecipients:\r\n\t\"Bob\" <SMTP:b@example.com>,\r\n\tc@example.com\r\n\t\"A long\r\n\tname <trap@example.com>\" <smtp:d@example.com>\r\n\tErin <e@example.com>, Expanded: l@example.com\r\n\t\"X\" <EX:/o=org/cn=x>\r\n\tNobody\r\n\r\nBcc: trap@example.com\r\n\ttrap@example.com\r\n";
    let expected = [
        "sender:1 a@example.com",
        "recipients:1 b@example.com",
        "recipients:2 c@example.com",
        "recipients:3 d@example.com",
        "recipients:4 e@example.com expanded l@example.com",
        "recipients:5 \"X\" <EX:/o=org/cn=x>",
        "recipients:6 Nobody",
    ];
    assert_eq!(lines(&wrapped("Content-Identifer: ExJournalReport", "", text, INNER)), expected);
}

#[test]
fn an_intercept_is_the_accounts_own_where_it_sent_or_drafted() {
    let cases = [
        ("add message, folder=Inbox, folder ID=2", "account:1 b.c@example.com"),
        ("add message, folder=Sent, folder ID=300", "account:1 b.c@example.com"),
        ("add message, folder=Gesendet, folder ID=5", "sender"),
        ("save draft, folder=Drafts, folder ID=6", "sender"),
        ("send message, folder=none, folder ID=none", "sender"),
        ("add message, folder=a, folder ID=5, folder=x, folder ID=2", "account:1 b.c@example.com"),
    ];
    for (operation, expected) in cases {
        for between in ["\r\n", ""] {
            let text = format!("Intercepted message for b.c@example.com.{between}Operation={operation}.\r\n");
            let octets = wrapped("Subject: Intercept message for b.c@example.com x", "", &text, INNER);
            let report = read_in_pieces(octets.as_bytes()).unwrap();
            let account = report.lines.iter().find(|line| line.label == "account").unwrap();
            assert_eq!(account.addresses[0].normal(), "b.c@example.com", "{operation}");
            assert_eq!(account.party == Party::Sender, expected == "sender", "{operation}");
            assert!(expected == "sender" || shown(&report) == [expected, "from:1 a@example.com"], "{operation}");
        }
    }
    let text = "Intercepted message for b@example.com.\r\nOperation=add message, folder=Inbox, folder ID=2.\r\n";
    let only =
        multipart("multipart/mixed", "b", &[&format!("\r\n{text}"), "Content-Type: text/rfc822-headers\r\n\r\nFrom: a@example.com\r\n"]);
    let report = read(format!("Subject: Intercept message for b@example.com\r\n{only}").as_bytes()).unwrap();
    assert_eq!((report.inner, report.notes.len()), (None, 1));
    let plain = multipart("multipart/mixed", "b", &[&format!("\r\n{text}")]);
    assert_eq!(read(format!("Subject: Intercept message for b@example.com\r\n{plain}").as_bytes()), None);
}

#[test]
fn a_report_inside_a_non_delivery_report_is_found_and_several_add_up() {
    let inside = exchange("Sender: a@example.com\r\nTo: b@example.com\r\n");
    let notice = "Content-Type: text/plain\r\n\r\nfailed\r\n";
    let status = "Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; x\r\n\r\nFinal-Recipient: rfc822; j@x\r\nAction: failed\r\nStatus: 4.4.7\r\n";
    for kind in ["message/rfc822", "message/global"] {
        let returned = format!("Content-Type: {kind}\r\n\r\n{inside}");
        let flat = multipart("multipart/report; report-type=delivery-status", "o", &[notice, status, &returned]);
        let mixed = multipart("multipart/mixed", "m", &[notice, &returned]);
        let deep = multipart("multipart/report", "o", &[notice, &mixed]);
        let twice = multipart("multipart/report", "p", &[notice, &format!("Content-Type: message/rfc822\r\n\r\n{flat}")]);
        for octets in [flat, deep, twice] {
            let report = read_in_pieces(octets.as_bytes()).unwrap();
            assert_eq!(
                (shown(&report), report.format),
                (vec!["sender:1 a@example.com".into(), "to:1 b@example.com".into()], Format::Exchange)
            );
            assert_eq!(inner_of(&octets, &report), Some(INNER));
        }
    }
    let other = exchange("Sender: a@example.com\r\nTo: c@example.com\r\n").replace("b 1", "b 2");
    let part = |report: &str| format!("Content-Type: message/rfc822\r\n\r\n{report}");
    let both = multipart("multipart/report", "o", &[notice, &part(&inside), &part(&other)]);
    assert_eq!(lines(&both), ["sender:1 a@example.com", "to:1 b@example.com", "sender:2 a@example.com", "to:2 c@example.com"]);
    let report = read(both.as_bytes()).unwrap();
    assert_eq!((report.inner, report.notes[0].0), (None, "contradictory"));
}

#[test]
fn an_ordinary_bounce_or_a_report_that_is_attached_is_none() {
    let inside = exchange("Sender: a@example.com\r\nTo: b@example.com\r\n");
    let attached = multipart("multipart/mixed", "o", &["\r\nSee this.\r\n", &format!("Content-Type: message/rfc822\r\n\r\n{inside}")]);
    assert_eq!(read(attached.as_bytes()), None);
    let returned = format!("Content-Type: message/rfc822\r\n\r\n{attached}");
    let bounce = multipart("multipart/report", "p", &["\r\nfailed\r\n", &returned]);
    assert_eq!(read(bounce.as_bytes()), None);
    let mut reader = Reader::default();
    reader.write_all(bounce.as_bytes()).unwrap();
    assert!(reader.is_done(), "nothing more of an ordinary bounce need be read");
}

#[test]
fn a_report_on_a_report_or_on_a_bounce_tells_both() {
    let lower = exchange("Sender: a@example.com\r\nTo: b@example.com\r\n");
    let upper = wrapped("X-MS-Journal-Report:", "", "Sender: j@example.com\r\nTo: box@example.com\r\n", &lower).replace("b 1", "b 2");
    let upper = upper.replace("--b 2\r\nContent-Type: text/plain; charset=utf-8", "--b 1\r\nContent-Type: text/plain; charset=utf-8");
    let part = format!("Content-Type: message/rfc822\r\n\r\n{lower}");
    let text = "\r\nSender: j@example.com\r\nTo: box@example.com\r\n";
    let octets = format!("X-MS-Journal-Report:\r\n{}", multipart("multipart/mixed", "up", &[text, &part]));
    assert!(!upper.is_empty());
    let report = read_in_pieces(octets.as_bytes()).unwrap();
    assert_eq!((shown(&report)[1].as_str(), inner_of(&octets, &report)), ("to:1 box@example.com", Some(lower.as_str())));
    let nested = report.nested.unwrap();
    assert_eq!((shown(&nested)[1].as_str(), inner_of(&octets, &nested)), ("to:1 b@example.com", Some(INNER)));
    let bounce = multipart("multipart/report", "q", &["\r\nfailed\r\n", "Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\ny\r\n"]);
    let octets = format!(
        "X-MS-Journal-Report:\r\n{}",
        multipart("multipart/mixed", "up", &[text, &format!("Content-Type: message/rfc822\r\n\r\n{bounce}")])
    );
    let report = read_in_pieces(octets.as_bytes()).unwrap();
    assert_eq!((inner_of(&octets, &report), report.nested), (Some(bounce.as_str()), None));
}

#[test]
fn a_captured_copy_looks_like_a_notification_that_tells_of_no_failure() {
    let status = |action: &str| {
        format!(
            "Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; x\r\n\r\nOriginal-Recipient: rfc822;b@example.com\r\nAction: {action}\r\n\r\nOriginal-Recipient: rfc822; c@example.com\r\n"
        )
    };
    let inner = format!("Content-Type: message/rfc822\r\n\r\n{INNER}");
    let octets = multipart("multipart/report", "o", &["\r\nnotice\r\n", &status("delivered"), &inner]);
    let report = read_in_pieces(octets.as_bytes()).unwrap();
    assert_eq!(shown(&report), ["original-recipient:1 b@example.com", "original-recipient:2 c@example.com", "from:1 a@example.com"]);
    assert_eq!((report.format, inner_of(&octets, &report)), (Format::Capture, Some(INNER)));
    assert_eq!(read(multipart("multipart/report", "o", &["\r\nnotice\r\n", &status("failed"), &inner]).as_bytes()), None);
}

#[test]
fn an_encoded_message_has_its_place_with_its_encoding() {
    for (head, encoding) in [("base64", Some("base64")), ("Quoted-Printable (odd)", Some("quoted-printable")), ("8bit", None)] {
        let part = format!("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: {head}\r\n\r\nRnJvbTogYQ==\r\n");
        let octets = format!(
            "X-MS-Journal-Report:\r\n{}",
            multipart("multipart/mixed", "b", &["\r\nSender: a@example.com\r\nTo: b@example.com\r\n", &part])
        );
        let report = read_in_pieces(octets.as_bytes()).unwrap();
        assert_eq!(report.inner.as_ref().map(|place| place.encoding), Some(encoding));
        assert_eq!(inner_of(&octets, &report), Some("RnJvbTogYQ==\r\n"));
    }
    let part = "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\nx\r\n";
    let octets = format!(
        "X-MS-Journal-Report:\r\n{}",
        multipart("multipart/mixed", "b", &["\r\nSender: a@example.com\r\nTo: b@example.com\r\n", part])
    );
    let report = read(octets.as_bytes()).unwrap();
    assert_eq!((report.inner, report.notes[0].0), (None, "damaged"));
}

#[test]
fn what_is_cut_is_told_and_what_is_no_report_is_none() {
    let whole = exchange("Sender: a@example.com\r\nSubject: x\r\nTo: b@example.com\r\n");
    for end in 0..whole.len() {
        if let Some(report) = read(&whole.as_bytes()[..end]) {
            assert!(report.inner.is_none() || end >= whole.len() - 4, "{end}");
            assert!(report.inner.is_some() || report.notes.iter().any(|(word, _)| *word == "damaged"), "{end}");
        }
    }
    assert!(read(&whole.as_bytes()[..whole.len() - 20]).is_some_and(|cut| shown(&cut).len() == 2));
    assert_eq!(read(exchange("Hello\r\n").as_bytes()), None);
    assert_eq!(read(b"X-MS-Journal-Report:\r\n\r\nSender: a@example.com\r\n"), None);
    assert_eq!(read(whole.replace("--b 1", "--other").as_bytes()), None);
    // A report that a bounce returns only in part: the outer boundary does not make it whole.
    let cut = whole.replace("--b 1--\r\n", "");
    let bounce = multipart("multipart/report", "o", &["\r\nfailed\r\n", &format!("Content-Type: message/rfc822\r\n\r\n{cut}")]);
    let report = read_in_pieces(bounce.as_bytes()).unwrap();
    assert_eq!((shown(&report).len(), report.inner), (2, None));
}
