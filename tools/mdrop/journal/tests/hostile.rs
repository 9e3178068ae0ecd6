//! Mail that is made to cost time or memory, or to look like what it is not.

use super::*;
use proptest::prelude::*;

#[test]
fn boundaries_of_all_shapes_end_what_they_should() {
    for boundary in ["b", "b-1", "=_x?y:z(1)", "a b c", "--", "--b--", &"x".repeat(200)] {
        let near = format!("{INNER}--{boundary}x\r\n -- \r\n--{}\r\n---{boundary}\r\nx--{boundary}\r\n", &boundary[1..]);
        let text = "\r\nSender: a@example.com\r\nTo: b@example.com\r\n";
        let octets = format!(
            "X-MS-Journal-Report:\r\n{}",
            multipart("multipart/mixed", boundary, &[text, &format!("Content-Type: message/rfc822\r\n\r\n{near}")])
        );
        let report = read_in_pieces(octets.as_bytes()).unwrap();
        assert_eq!(inner_of(&octets, &report), Some(near.as_str()), "{boundary}");
    }
}

#[test]
fn hostile_mail_costs_a_time_in_proportion_to_its_octets() {
    let numbered = |text: &str| (0..10_000).map(|n| text.replace('#', &n.to_string())).collect::<String>();
    let nested = numbered(
        "Content-Type: multipart/mixed; boundary=b#

--b#
",
    );
    let messages = numbered(
        "Content-Type: multipart/report; boundary=b#

--b#
Content-Type: message/rfc822

",
    );
    let parts = format!("Content-Type: multipart/report; boundary=b\r\n\r\n{}", "--b\r\n\r\nx\r\n".repeat(1_000_000));
    let dashes = format!("Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\n{}", "--\r\n".repeat(1_000_000));
    let endless = format!("Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\n\r\n--{}", "b".repeat(4_000_000));
    let names = exchange(&format!("Sender: a@example.com\r\n{}", "To: b@example.com, Expanded: l@example.com\r\n".repeat(90_000)));
    let colons = exchange(&format!("Sender: a@example.com\r\nTo: {}\r\n", "expanded:,".repeat(300_000)));
    let quotes = wrapped(
        "Content-Identifier: ExJournalReport",
        "",
        &format!("Sender: a@example.com\r\nRecipients:\r\n{}", "\t\"x\r\n".repeat(300_000)),
        INNER,
    );
    let senders = format!("Recipients:\r\n{}\r\n{}", "\ta@example.com\r\n".repeat(90_000), "Sender:\r\n".repeat(200_000));
    let senders = wrapped("Content-Identifier: ExJournalReport", "", &senders, INNER);
    let subject = wrapped(
        "X-MS-Journal-Report:",
        "",
        "Sender: a@example.com\r\nTo: b@example.com\r\n",
        &format!("Subject: {}\r\n\r\n", "=?".repeat(1_000_000)),
    );
    let begun = std::time::Instant::now();
    for octets in
        [nested, format!("X-MS-Journal-Report:\r\n{messages}"), messages, parts, dashes, endless, names, colons, quotes, senders, subject]
    {
        let _ = read(octets.as_bytes());
    }
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
}

proptest! {
    #[test]
    fn anything_is_read_in_pieces_as_at_once(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "X-MS-Journal-Report:\r\n", "Content-Type: multipart/mixed; boundary=b\r\n", "Content-Type: multipart/report; boundary=c\n",
            "Content-Type: message/rfc822\r\n", "Content-Type: text/plain\r\n", "\r\n", "\n", "--b\r\n", "--c\n", "--b--\r\n", "--c--\n", "-", "\r",
            "Sender: a@example.com\r\n", "To: b@example.com, Expanded: l@example.com\r\n", "Subject: x\r\n", "Recipients:\r\n\t\"q <x@y>\r\n", "text",
        ]), 0..40),
        size in 1..20_usize,
    ) {
        let octets = pieces.concat();
        let whole = read(octets.as_bytes());
        let mut reader = Reader::default();
        for piece in octets.as_bytes().chunks(size) {
            reader.write_all(piece).unwrap();
        }
        prop_assert_eq!(&reader.finish(), &whole);
        if let Some(place) = whole.and_then(|report| report.inner) {
            prop_assert!(place.offset + place.length <= octets.len() as u64);
        }
    }

    #[test]
    fn a_report_with_other_octets_in_it_is_read_in_pieces_as_at_once(
        changes in prop::collection::vec((0..2000_usize, any::<u8>()), 1..12),
        size in 1..300_usize,
    ) {
        let inside = exchange("Sender: a@example.com\r\nSubject: x\r\nTo: b@example.com, Forwarded: c@example.com\r\n");
        let returned = format!("Content-Type: message/rfc822\r\n\r\n{inside}");
        let mut octets = multipart("multipart/report", "o", &["\r\nfailed\r\n", &returned]).into_bytes();
        let length = octets.len();
        for (at, octet) in changes {
            octets[at % length] = octet;
        }
        let whole = read(&octets);
        let mut reader = Reader::default();
        for piece in octets.chunks(size) {
            reader.write_all(piece).unwrap();
        }
        prop_assert_eq!(&reader.finish(), &whole);
    }
}
