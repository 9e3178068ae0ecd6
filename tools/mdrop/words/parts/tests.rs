//! What is read of messages, whole and broken.

use super::*;

fn read(message: &[u8]) -> Words {
    let all: Vec<Words> = [1, 7, 1 << 20]
        .iter()
        .map(|piece| {
            let mut reader = Reader::default();
            message.chunks(*piece).for_each(|piece| reader.write_all(piece).unwrap());
            reader.finish()
        })
        .collect();
    assert!(all.iter().all(|words| *words == all[0]), "in pieces of any size");
    all.into_iter().next().unwrap()
}

const MIXED: &str = "From: =?utf-8?Q?J=C3=B6rg?= <joerg@example.com>\r\nTo: Alice Smith <alice@example.org>,\r\n bob@example.org\r\nBcc: hidden@example.org\r\n\
Subject: =?iso-8859-1?Q?Gr=FC=DFe?=\r\n aus\r\nContent-Type: multipart/mixed; boundary=\"B 1\"\r\n\r\npreamble\r\n--B 1\r\nContent-Type: multipart/alternative; boundary=B2\r\n\r\n\
--B2\r\n\r\nHallo Welt\r\n--B2\r\nContent-Type: text/html; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
<p>Hallo Welt<p>nur hier sch=F6n=\r\ner\r\n--B2--\r\n--B 1\r\nContent-Type: application/pdf; name=x.pdf\r\nContent-Transfer-Encoding: base64\r\n\
Content-Disposition: attachment;\r\n filename*=utf-8''Rechnung%20M%C3%A4rz.pdf\r\n\r\nJVBERi0=\r\n--B 1--\r\nepilogue\r\n";

#[test]
fn each_part_of_a_message_gives_its_words() {
    let words = read(MIXED.as_bytes());
    assert_eq!(words.subject, "grusse aus");
    assert!(words.sender.starts_with("jorg joerg example com "), "{}", words.sender);
    assert!(words.recipients.starts_with("alice smith alice example org bob example org "), "{}", words.recipients);
    let address = |text: &str| address_word(&crate::address::Address::parse(text).unwrap());
    assert!(words.recipients.split(' ').any(|word| word == address("Alice@Example.ORG")));
    assert!(words.recipients.split(' ').any(|word| word == domain_word("example.org")));
    assert_eq!(words.body, "hallo welt nur hier schoner", "what HTML says again is left out");
    assert_eq!((words.attachments.as_str(), words.has_attachment), ("rechnung marz pdf", true));
    assert!(!format!("{words:?}").contains("hidden"), "Bcc");
}

#[test]
fn messages_inside_are_part_of_the_text() {
    let inner = "Subject: inner one\nFrom: carol@example.com\n\nbody two\n";
    let outer = |header: &str, inner: &str| {
        let part = format!("{header}\n\n{inner}\n--B--\n");
        read(format!("Subject: outer\nContent-Type: multipart/mixed; boundary=B\n\n--B\n\ncover\n--B\n{part}").as_bytes())
    };
    let encoded = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, inner);
    for (header, inner) in
        [("Content-Type: message/rfc822", inner), ("Content-Type: message/rfc822\nContent-Transfer-Encoding: base64", encoded.as_str())]
    {
        let words = outer(header, inner);
        assert_eq!((words.subject.as_str(), words.body.as_str()), ("outer", "cover inner one carol example com body two"), "{header}");
        assert!(words.sender.is_empty());
    }
    let digest = "Content-Type: multipart/digest; boundary=B\n\n--B\n\nSubject: a\n\nb\n--B\n\nSubject: c\n\nd\n--B--\n";
    assert_eq!(read(digest.as_bytes()).body, "a b c d");
}

#[test]
fn what_people_would_not_call_an_attachment_is_none() {
    let part = |header: &str| {
        let words = read(format!("Content-Type: multipart/mixed; boundary=B\n\n--B\n{header}\n\nx\n--B--\n").as_bytes());
        (words.has_attachment, words.attachments)
    };
    assert_eq!(part("Content-Type: image/png; name=\"Foto.png\""), (true, "foto png".into()));
    assert_eq!(part("Content-Disposition: attachment"), (true, String::new()));
    assert_eq!(part("Content-Type: image/png; name=logo.png\nContent-ID: <a@b>\nContent-Disposition: inline"), (false, "logo png".into()));
    assert_eq!(part("Content-Type: application/pgp-signature; name=signature.asc"), (false, "signature asc".into()));
    assert_eq!(part("Content-Type: text/plain"), (false, String::new()));
}

#[test]
fn texts_are_read_in_their_charset() {
    let text = |header: &str, octets: &[u8]| read(&[format!("{header}\r\n\r\n").as_bytes(), octets].concat()).body;
    assert_eq!(
        text("Content-Type: text/plain; charset=iso-2022-jp", b"\x1b$BEl5~ET\x1b(B\r\n"),
        "\u{6771}\u{4eac} \u{4eac}\u{90fd} \u{90fd}"
    );
    assert_eq!(text("Content-Type: text/plain; charset=koi8-r", b"\xed\xcf\xd3\xcb\xd7\xc1"), "\u{43c}\u{43e}\u{441}\u{43a}\u{432}\u{430}");
    assert_eq!(text("Content-Type: text/plain", b"Gr\xfc\xdfe"), "grusse");
    assert_eq!(text("Content-Type: text/plain; charset=\"utf-8\"\r\nContent-Transfer-Encoding: base64", b"R3LDvMOfZQ==\r\n"), "grusse");
    assert_eq!(text("Content-Type: text/plain; charset=nonsense", b"plain"), "plain");
    let armour = format!("before\r\n{}\r\nafter\r\n", "hQEMA0x+/".repeat(8));
    assert_eq!(text("Subject: x", armour.as_bytes()), "before after");
}

#[test]
fn a_message_that_is_broken_has_fewer_words() {
    assert_eq!(read(b""), Words::default());
    assert_eq!(read(b"\r\n").body, "");
    assert_eq!(read(b"a body and no header\r\n\r\nsecond\r\n").body, "a body and no header second");
    assert_eq!(read(b"Subject: only").subject, "only");
    assert_eq!(read(b"Content-Type: multipart/mixed\n\nno boundary").body, "no boundary");
    assert_eq!(read(b"Content-Type: multipart/mixed; boundary=B\n\n--B\nContent-Type: text/plain\n\ncut").body, "cut");
    assert_eq!(read(b"\xff\xfe\x00: x\n\n\x00\xff").subject, "");
    assert!(read(&MIXED.as_bytes()[..MIXED.len() / 2]).body.starts_with("hallo"));
}

#[test]
fn what_is_hostile_stays_small() {
    let parts: Vec<String> = (0..5000).map(|n| format!("Content-Type: multipart/mixed; boundary=B{n}\n\n--B{n}\n")).collect();
    read(parts.concat().as_bytes());
    read("Content-Type: message/rfc822\n\n".repeat(5000).as_bytes());
    read(format!("Content-Type: multipart/mixed; boundary=B\n\n{}", "--B\n\nx\n".repeat(20_000)).as_bytes());
    let large = [b"Subject: x\n\n".as_slice(), "word ".repeat(2_000_000).as_bytes()].concat();
    let mut reader = Reader::default();
    reader.write_all(&large).unwrap();
    assert!(reader.finish().body.len() <= crate::words::LONGEST_TEXT);
}
