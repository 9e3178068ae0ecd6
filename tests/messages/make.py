#!/usr/bin/env python3
"""Writes the messages and labels.jsonl of this directory.

Decision: the special cases are written out one by one with their labels beside them, by hand; everyday mail, of which a
mailbox mostly consists, is put together from a few parts with a fixed seed, and its labels follow from how it was put
together, never from reading it. Running this again changes nothing.
"""

import base64
import json
import pathlib
import random

HERE = pathlib.Path(__file__).parent
RNG = random.Random(20261101)
USERS = {
    "alice": "alice@example.com", "bob": "bob@example.com", "carol": "carol@example.com",
    "dave": "dave@example.com", "erin": "erin@example.org", "frank": "frank@example.org",
    "grace": "grace@example.com", "john": "john.doe@example.com", "@": "@catchall",
}
made = []


def octets(text):
    """A message as a server holds it: CRLF, UTF-8; bytes stay as they are."""
    if isinstance(text, bytes):
        return text
    return text.removeprefix("\n").replace("\n", "\r\n").encode()


def add(name, text, sender, recipients, users, confidence, note, inner=None, kind=None, encoding=None, findings=()):
    """A message; `inner` is the text of the message in a journal report, which must stand there once, and `kind` the report's."""
    number = len(made) + 1
    row = {
        "file": f"{number:03}-{name}.eml",
        "sender": sender,
        "recipients": recipients.split() if isinstance(recipients, str) else recipients,
        "users": sorted(USERS[user] for user in users.split()),
        "confidence": confidence,
        "note": note,
    }
    data = octets(text)
    if kind:
        row["journal"] = {"kind": kind}
    if inner:
        needle = inner if isinstance(text, bytes) else octets(inner)
        assert data.count(needle) == 1, name
        row["journal"] |= {"offset": data.index(needle), "length": len(needle)}
    if encoding:
        row["journal"]["encoding"] = encoding
    if findings:
        row["findings"] = list(findings)
    made.append((row, data))


def when(n):
    """A minute of November 2026, which began on a Sunday."""
    day = n % 27 + 1
    weekday = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")[(day - 1) % 7]
    return f"{weekday}, {day:02} Nov 2026 {n % 24:02}:{n % 60:02}"


def received(n, to=None, by="mail.example.com", helo="mx1.example.net"):
    clause = f"\n\tfor <{to}>" if to else ""
    return (f"Received: from {helo} ({helo} [192.0.2.{n % 200 + 10}])\n\tby {by} (Postfix) with ESMTPS id 4C{n:05X}"
            f"{clause}; {when(n)}:07 +0000 (UTC)\n")


def mail(frm, to, subject, n, body="Hello,\n\nthe papers are on your desk.\n"):
    return (f"From: {frm}\nTo: {to}\nSubject: {subject}\nDate: {when(n)}:00 +0000\n"
            f"Message-ID: <m{n}@mua.example.net>\n\n{body}")


OUT = "Zoe Outside <zoe@example.net>"
RP = "Return-Path: <zoe@example.net>\n"

# --- Envelope trace fields ------------------------------------------------------------------------------------------------

add("delivered-to", RP + "Delivered-To: alice@example.com\n" + received(1) + mail(OUT, "alice@example.com", "The quote", 1),
    "zoe@example.net", "alice@example.com", "alice", "envelope", "one Delivered-To at hop 0")
add("x-original-to-alias", RP + "X-Original-To: info@example.com\nDelivered-To: alice@example.com\n"
    + received(2, "info@example.com") + mail(OUT, "info@example.com", "A question", 2),
    "zoe@example.net", "info@example.com", "alice", "envelope", "X-Original-To is what was addressed; the alias is hers")
add("envelope-to-many", RP + "Envelope-to: alice@example.com, bob@example.com,\n carol@example.org\n"
    "Delivery-date: Tue, 03 Nov 2026 03:03:08 +0000\n" + received(3) + mail(OUT, "alice@example.com", "For three of you", 3),
    "zoe@example.net", "alice@example.com bob@example.com carol@example.org", "alice bob carol", "envelope",
    "Exim's Envelope-to with three addresses, folded; all count")
add("x-envelope-to", "Return-Path: zoe@example.net\n" + received(4) + "X-Envelope-To: frank@example.org\n"
    + mail(OUT, "undisclosed-recipients:;", "Hello", 4),
    "zoe@example.net", "frank@example.org", "frank", "envelope", "field below one Received, nothing above it; Return-Path bare")
add("x-rcpt-to", "X-RCPT-TO: dave@example.com\n" + received(5) + mail(OUT, "support@example.com", "It is broken", 5),
    "zoe@example.net", "dave@example.com", "dave", "envelope", "no Return-Path: the sender is From's")
add("bcc-in-envelope-to", RP + "Envelope-to: erin@example.org, grace@example.com\n" + received(6)
    + mail(OUT, "someone@example.net", "Between us", 6),
    "zoe@example.net", "erin@example.org grace@example.com", "erin grace", "envelope", "blind copies: only the envelope knows")
add("own-address-on-top", RP + "X-Original-To: archive@example.com\nDelivered-To: archive@example.com\n" + received(7)
    + received(8, "bob@example.com", "relay.example.com") + mail(OUT, "bob@example.com", "Monthly figures", 7),
    "zoe@example.net", "bob@example.com", "bob", "received", "always_bcc wrote the box's own address on top; passed over")
add("own-address-only", RP + "Delivered-To: archive@example.com\n" + received(9, "archive@example.com")
    + mail(OUT, "grace@example.com, Bob <bob@example.com>", "Both of you", 9),
    "zoe@example.net", "grace@example.com bob@example.com", "bob grace", "guess", "only To is left once the own address is passed over")
add("lower-hop-must-not-count", RP + "Delivered-To: alice@example.com\n" + received(10) + "Delivered-To: carol@example.com\n"
    + received(11, None, "mx.example.net") + mail(OUT, "alice@example.com", "Forwarded along", 10),
    "zoe@example.net", "alice@example.com", "alice", "envelope", "the Delivered-To below is local and must not count")
add("forged-by-sender", RP + "Delivered-To: bob@example.com\n" + received(12) + "X-Original-To: alice@example.com\n"
    "Envelope-To: carol@example.com, dave@example.com\n" + mail(OUT, "bob@example.com", "You have won", 12),
    "zoe@example.net", "bob@example.com", "bob", "envelope", "the sender wrote trace fields of its own, below the Received")
add("provider-on-top", "Return-Path: <zoe@example.net>\nDelivered-To: customer-4711@hosting.example.net\n"
    + received(13, None, "store.hosting.example.net") + "X-Original-To: carol@example.org\n" + received(14, None, "in.hosting.example.net")
    + mail(OUT, "carol@example.org", "By way of the provider", 13),
    "zoe@example.net", "carol@example.org", "carol", "envelope", "hop 0 names nobody local: hop 1 does")
add("alias-expanded-in-one-hop", RP + "Delivered-To: dave@example.com\n" + received(15, "support@example.com")
    + mail(OUT, "support@example.com", "A leaking tap", 15),
    "zoe@example.net", "support@example.com", "dave", "received", "in one hop Received's for precedes Delivered-To: the alias expanded")
add("subaddress", RP + "Delivered-To: alice+news@example.com\n" + received(16) + mail(OUT, "alice+news@example.com", "Newsletter 4", 16),
    "zoe@example.net", "alice+news@example.com", "alice", "envelope", "subaddress")
add("upper-case", "Return-Path: <Zoe@EXAMPLE.NET>\nDELIVERED-TO: ALICE@EXAMPLE.COM\n" + received(17) + mail(OUT, "Alice@Example.Com", "LOUD", 17),
    "Zoe@EXAMPLE.NET", "ALICE@EXAMPLE.COM", "alice", "envelope", "case makes no difference, in field names or addresses")
add("angle-and-name", RP + "X-Delivered-To: Bob Jones <sales@example.com>\n" + received(18) + mail(OUT, "sales@example.com", "Offer", 18),
    "zoe@example.net", "sales@example.com", "bob", "envelope", "a value with a display name")
add("original-recipient", RP + "Original-Recipient: rfc822;grace@example.com\n" + received(19) + mail(OUT, "grace@example.com", "Typed", 19),
    "zoe@example.net", "grace@example.com", "grace", "envelope", "rfc822; before the address")
add("not-an-address", RP + "Delivered-To: mailing list gardeners@lists.example.net\nDelivered-To: : archiv\nX-Original-To: frank@example.org\n"
    + received(20) + mail(OUT, "gardeners@lists.example.net", "Tulips", 20),
    "zoe@example.net", "frank@example.org", "frank", "envelope", "values that are no addresses are no reason to stop looking")
add("two-of-one-name", RP + "Delivered-To: alice@example.com\nDelivered-To: bob@example.com\n" + received(21)
    + mail(OUT, "alice@example.com", "Twice", 21),
    "zoe@example.net", "alice@example.com", "alice", "envelope", "two fields of one name in one hop: the first")
add("mixed-known-unknown", RP + "Envelope-to: alice@example.com, nobody-here@example.com\n" + received(22)
    + mail(OUT, "alice@example.com", "One of you exists", 22),
    "zoe@example.net", "alice@example.com nobody-here@example.com", "alice", "envelope", "a known user is there, so no @catchall")
add("unknown-local", RP + "X-Original-To: ghost@example.com\nDelivered-To: archive@example.com\n" + received(23)
    + mail(OUT, "ghost@example.com", "Is anybody there", 23),
    "zoe@example.net", "ghost@example.com", "@", "envelope", "a local address that is nobody's")
add("sub-domain", RP + "Delivered-To: alice@mail.example.com\n" + received(24) + mail(OUT, "alice@mail.example.com", "Host part", 24),
    "zoe@example.net", "alice@mail.example.com", "@", "envelope", "only a sub-domain stands anywhere; the address is nobody's")
add("no-local-address", "Return-Path: <zoe@example.net>\n" + received(25) + mail(OUT, "yann@example.net", "Not for us", 25),
    "zoe@example.net", "", "@", "unknown", "no local address at all")

# --- Received ------------------------------------------------------------------------------------------------------------

add("received-for", RP + received(26, "carol@example.com") + mail(OUT, "team@example.net", "Minutes", 26),
    "zoe@example.net", "carol@example.com", "carol", "received", "for <address> in the topmost Received")
add("received-for-semicolon", RP + "Received: by mail.example.com with SMTP for erin@example.com; Wed, 04 Nov 2026 10:00:00 +0000\n"
    + mail(OUT, "list@example.net", "No brackets", 27),
    "zoe@example.net", "erin@example.com", "erin", "received", "for without angle brackets; an alias")
add("received-for-comment", RP + "Received: from a.example.net (for frank@example.org [192.0.2.1])\n by mail.example.com"
    " (smtpd (for host [192.0.2.2])) for <bob@example.com> (single-drop); Wed, 04 Nov 2026 10:00:00 +0000\n"
    + mail(OUT, "list@example.net", "Comments lie", 28),
    "zoe@example.net", "bob@example.com", "bob", "received", "for inside comments means nothing")
add("received-multiple", RP + "Received: from a.example.net by mail.example.com for <multiple recipients>;\n Wed, 04 Nov 2026 10:00:00 +0000\n"
    + mail(OUT, "dave@example.org", "Many", 29), "zoe@example.net", "dave@example.org", "dave", "guess", "for <multiple recipients> is no address")
add("received-lower-for", RP + received(30) + received(31, "alice@example.com", "mx.example.com") + mail(OUT, "sales-list@example.net", "Lower", 30),
    "zoe@example.net", "alice@example.com", "alice", "received", "the second Received is the topmost hop with a local address")
add("qmail-bounce", "Return-Path: <>\nReceived: (qmail 12 invoked for bounce); 4 Nov 2026 10:00:00 -0000\n"
    + mail("MAILER-DAEMON@mx.example.net", "grace@example.com", "failure notice", 32), "<>", "grace@example.com", "grace", "guess",
    "qmail's Received names nobody; null sender")

# --- The guess -----------------------------------------------------------------------------------------------------------

add("only-to-cc", "From: Zoe Outside <zoe@example.net>\nTo: alice@example.com\nCc: Bob <bob@example.com>, yann@example.net\nSubject: No trace\n"
    "Date: Thu, 05 Nov 2026 08:00:00 +0000\nMessage-ID: <plain@example.net>\n\nHello.\n",
    "zoe@example.net", "alice@example.com bob@example.com", "alice bob", "guess", "no trace field: To and Cc")
add("resent", "Resent-From: zoe@example.net\nResent-To: grace@example.com\nResent-Date: Thu, 05 Nov 2026 09:00:00 +0000\n"
    + mail("yann@example.net", "alice@example.com", "Have a look", 33), "yann@example.net", "grace@example.com", "grace", "resent",
    "Resent-To takes the place of To")
add("resent-cc-bcc", "Resent-From: yann@example.net\nResent-To: xenia@example.net\nResent-Cc: carol@example.com\nResent-Bcc: frank@example.org\n"
    + mail("zoe@example.net", "bob@example.com", "Passed on", 34), "zoe@example.net", "carol@example.com frank@example.org", "carol frank",
    "resent", "Resent-To, -Cc and -Bcc together; To doesn't count")
add("bcc-field", "From: zoe@example.net\nTo: yann@example.net\nBcc: dave@example.com\nSubject: Seen by all\n"
    "Date: Thu, 05 Nov 2026 08:00:00 +0000\nMessage-ID: <bcc@example.net>\n\nHello.\n", "zoe@example.net", "dave@example.com", "dave", "guess",
    "a Bcc field that was left in")
add("forty-recipients", RP + "Delivered-To: archive@example.com\n" + received(35) + "From: zoe@example.net\nTo: "
    + ",\n ".join([f"Guest {n} <guest{n}@example.net>" for n in range(1, 35)] + list(v for k, v in USERS.items() if k not in ("@", "john", "grace")))
    + "\nSubject: Summer party\nDate: Thu, 05 Nov 2026 08:00:00 +0000\nMessage-ID: <party@example.net>\n\nYou are invited, all forty of you.\n",
    "zoe@example.net", "alice@example.com bob@example.com carol@example.com dave@example.com erin@example.org frank@example.org",
    "alice bob carol dave erin frank", "guess", "forty addresses over forty lines, six of them ours")
add("group-syntax", "From: zoe@example.net\nTo: Board: alice@example.com, \"Jones, Bob\" <bob@example.com>;, Nobody:;\nSubject: Groups\n"
    "Date: Thu, 05 Nov 2026 08:00:00 +0000\nMessage-ID: <group@example.net>\n\nHello.\n", "zoe@example.net",
    "alice@example.com bob@example.com", "alice bob", "guess", "a group, a comma in a quoted name, an empty group")
add("source-route", "From: zoe@example.net\nTo: <@relay.example.net,@mx.example.com:carol@example.com>\nSubject: Old way\n"
    "Date: Thu, 05 Nov 2026 08:00:00 +0000\nMessage-ID: <route@example.net>\n\nHello.\n", "zoe@example.net", "carol@example.com", "carol",
    "guess", "a source route (RFC 5322, section 4.4)")
add("comments-and-folds", "From: (the one (and only)) zoe@example.net\nTo: dave(not that one)@example.com,\n\t erin @\n example.org (Erin \\) here)\n"
    "Subject: Folded\n here\nDate: Thu, 05 Nov 2026 08:00:00 +0000\nMessage-ID: <cfws@example.net>\n\nHello.\n", "zoe@example.net",
    "dave@example.com erin@example.org", "dave erin", "guess", "comments, nested and escaped, and folds inside addresses")
add("quoted-local-part", RP + "Delivered-To: \"john doe\"@example.com\n" + received(36) + mail(OUT, "\"john doe\"@example.com", "Quoted", 36),
    "zoe@example.net", ['"john doe"@example.com'], "john", "envelope", "a quoted local part with a space")
add("at-in-local-part", "From: zoe@example.net\nTo: \"odd@example.net\"@example.com, bob@example.com\nSubject: Two ats\n"
    "Date: Thu, 05 Nov 2026 08:00:00 +0000\nMessage-ID: <ats@example.net>\n\nHello.\n", "zoe@example.net",
    '"odd@example.net"@example.com bob@example.com', "bob", "guess", "the last @ outside quotes decides; the first address is nobody's")
add("encoded-words", "Return-Path: <zoe@example.net>\nDelivered-To: grace@example.com\n" + received(37)
    + "From: =?UTF-8?Q?Zo=C3=AB_Ou=C3=9Fide?= <zoe@example.net>\nTo: =?ISO-8859-1?Q?Gr=E4ce?= <grace@example.com>\n"
    "Subject: =?UTF-8?B?R3LDvMOfZSBhdXMgZGVtIEdhcnRlbg==?=\nDate: Thu, 05 Nov 2026 08:00:00 +0000\nMessage-ID: <ew@example.net>\n\nHello.\n",
    "zoe@example.net", "grace@example.com", "grace", "envelope", "encoded words in names and subject")
add("encoded-word-hides-address", "From: zoe@example.net\nTo: =?UTF-8?Q?alice=40example=2Ecom?= <yann@example.net>, bob@example.com\nSubject: Hidden\n"
    "Date: Thu, 05 Nov 2026 08:00:00 +0000\nMessage-ID: <hid@example.net>\n\nHello.\n", "zoe@example.net", "bob@example.com", "bob", "guess",
    "what looks like an address in an encoded display name is none")
add("utf8-names", RP + "Delivered-To: carol@example.com\n" + received(38) + mail("Zoë Außen <zoe@example.net>", "Карол <carol@example.com>", "Grüße 🌷", 38),
    "zoe@example.net", "carol@example.com", "carol", "envelope", "raw UTF-8 in the header (RFC 6532)")
add("smtputf8", "Return-Path: <zoë@bücher.example>\nDelivered-To: grüße@example.com\n" + received(39)
    + mail("zoë@bücher.example", "grüße@example.com", "Umlaute", 39), "zoë@bücher.example", "grüße@example.com", "grace", "envelope",
    "SMTPUTF8 local part, IDN domain as U-label")
add("idn-alabel", "Return-Path: <info@xn--bcher-kva.example>\nDelivered-To: bob@example.com\n" + received(40)
    + mail("Bücher <info@xn--bcher-kva.example>", "bob@example.com", "New books", 40), "info@xn--bcher-kva.example", "bob@example.com", "bob",
    "envelope", "IDN domain as A-label")

# --- Sent, lists, bounces --------------------------------------------------------------------------------------------------

add("sent-to-outsider", "Return-Path: <alice@example.com>\nDelivered-To: archive@example.com\n" + received(41, None, helo="desk.example.com")
    + mail("Alice Smith <alice@example.com>", "zoe@example.net", "Your order", 41), "alice@example.com", "", "alice", "unknown",
    "sent by a user, no local recipient: filed under the sender")
add("sent-from-alias", "Return-Path: <sales@example.com>\n" + received(42, None, helo="desk.example.com")
    + mail("Sales <sales@example.com>", "zoe@example.net, yann@example.net", "Offer 12", 42), "sales@example.com", "", "bob", "unknown",
    "sent from an alias")
add("sent-internally", "Return-Path: <alice@example.com>\nDelivered-To: bob@example.com\n" + received(43, None, helo="desk.example.com")
    + mail("alice@example.com", "bob@example.com", "Lunch", 43), "alice@example.com", "bob@example.com", "alice bob", "envelope",
    "from a user to a user: filed under both")
add("list-with-list-address", "Return-Path: <team-bounces@example.com>\nX-Original-To: team@example.com\nDelivered-To: bob@example.com\n" + received(44)
    + "List-Post: <mailto:team@example.com>\nList-Id: The team <team.example.com>\nX-BeenThere: team@example.com\nPrecedence: list\n"
    + mail(OUT, "team@example.com", "[team] Agenda", 44), "team-bounces@example.com", "bob@example.com", "bob", "envelope",
    "X-Original-To is the list's own address, not the reader's")
add("outside-list", "Return-Path: <gardeners-return-77-frank=example.org@lists.example.net>\nDelivered-To: frank@example.org\n" + received(45)
    + "List-Post: <mailto:gardeners@lists.example.net>\nMailing-List: contact gardeners-help@lists.example.net\n"
    + mail(OUT, "gardeners@lists.example.net", "Roses", 45), "gardeners-return-77-frank=example.org@lists.example.net", "frank@example.org", "frank",
    "envelope", "an outside list, VERP in Return-Path")
BOUNDARY = "=_b0undary"


def multipart(kind, *parts):
    return (f"MIME-Version: 1.0\nContent-Type: multipart/{kind}; boundary=\"{BOUNDARY}\"\n\nFor older programs.\n"
            + "".join(f"--{BOUNDARY}\n{part}\n" for part in parts) + f"--{BOUNDARY}--\n")


def head(frm, to, subject, n):
    return mail(frm, to, subject, n).split("\n\n")[0] + "\n"


add("bounce", "Return-Path: <>\nDelivered-To: alice@example.com\n" + received(46, helo="mail.example.com")
    + head("MAILER-DAEMON@mail.example.com (Mail Delivery System)", "alice@example.com", "Undelivered Mail Returned to Sender", 46)
    + "Auto-Submitted: auto-replied\n" + multipart(
        "report; report-type=delivery-status", "Content-Type: text/plain\n\nYour message could not be delivered.\n",
        "Content-Type: message/delivery-status\n\nReporting-MTA: dns; mail.example.com\n\nFinal-Recipient: rfc822; nobody@example.net\n"
        "Original-Recipient: rfc822;bob@example.com\nAction: failed\nStatus: 5.1.1\n",
        "Content-Type: message/rfc822\n\n" + mail("alice@example.com", "nobody@example.net", "Hello?", 47)),
    "<>", "alice@example.com", "alice", "envelope", "null Return-Path; the Original-Recipient inside the report means nothing")
add("vacation", "Return-Path: <>\nDelivered-To: bob@example.com\n" + received(48) + "Auto-Submitted: auto-replied (vacation)\n"
    + mail(OUT, "bob@example.com", "Away", 48), "<>", "bob@example.com", "bob", "envelope", "an automatic answer")
add("calendar", RP + "Delivered-To: erin@example.org\n" + received(49) + head(OUT, "erin@example.org", "Invitation", 49) + multipart(
    "alternative", "Content-Type: text/plain; charset=utf-8\n\nPlease come.\n",
    "Content-Type: text/calendar; method=REQUEST; charset=utf-8\n\nBEGIN:VCALENDAR\nVERSION:2.0\nMETHOD:REQUEST\nBEGIN:VEVENT\nUID:1@example.net\n"
    "DTSTART:20261110T090000Z\nORGANIZER:mailto:zoe@example.net\nATTENDEE:mailto:bob@example.com\nSUMMARY:Planning\nEND:VEVENT\nEND:VCALENDAR\n"),
    "zoe@example.net", "erin@example.org", "erin", "envelope", "an invitation; its ATTENDEE is no evidence")
add("html", RP + "Delivered-To: carol@example.com\n" + received(50) + head(OUT, "carol@example.com", "Colourful", 50)
    + "MIME-Version: 1.0\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n"
    "<html><body><p style=3D\"color:red\">Hello, <b>Carol</b>!</p>=\n</body></html>\n", "zoe@example.net", "carol@example.com", "carol", "envelope", "HTML")
add("iso-2022-jp", octets(RP + "Delivered-To: grace@example.com\n" + received(51) + head(OUT, "grace@example.com", "=?ISO-2022-JP?B?GyRCJDMkcyRLJEEkTxsoQg==?=", 51)
    + "MIME-Version: 1.0\nContent-Type: text/plain; charset=ISO-2022-JP\nContent-Transfer-Encoding: 7bit\n\n")
    + "こんにちは。\r\n資料をお送りします。\r\n".encode("iso-2022-jp"), "zoe@example.net", "grace@example.com", "grace", "envelope", "escape sequences in the body")
add("windows-1252", octets(RP + "Delivered-To: bob@example.com\n" + received(52) + head(OUT, "bob@example.com", "Prices", 52)
    + "MIME-Version: 1.0\nContent-Type: text/plain; charset=windows-1252\nContent-Transfer-Encoding: 8bit\n\n")
    + "The price is 20 € – “net”.\r\n".encode("cp1252"), "zoe@example.net", "bob@example.com", "bob", "envelope", "8-bit body that is no UTF-8")

# --- Attachments ----------------------------------------------------------------------------------------------------------


def attachment(name, size):
    text = base64.encodebytes(RNG.randbytes(size)).decode()
    return f"Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64\nContent-Disposition: attachment; filename=\"{name}\"\n\n{text}"


TEXT_PART = "Content-Type: text/plain\n\nSee the attachment.\n"
add("attachment-small", RP + "Delivered-To: alice@example.com\n" + received(53) + head(OUT, "alice@example.com", "Drawing", 53)
    + multipart("mixed", TEXT_PART, attachment("drawing.bin", 4000)), "zoe@example.net", "alice@example.com", "alice", "envelope", "base64 attachment")
add("attachment-300k", RP + "Delivered-To: dave@example.com\n" + received(54) + head(OUT, "dave@example.com", "Big drawing", 54)
    + multipart("mixed", TEXT_PART, attachment("big.bin", 225_000)), "zoe@example.net", "dave@example.com", "dave", "envelope", "about 300 KB")
add("nested-rfc822", RP + "Delivered-To: frank@example.org\n" + received(55) + head(OUT, "frank@example.org", "Fwd: Fwd: Old", 55)
    + multipart("mixed", TEXT_PART, "Content-Type: message/rfc822\n\nDelivered-To: alice@example.com\n" + head("yann@example.net", "alice@example.com", "Fwd: Old", 56)
    + "Content-Type: message/rfc822\n\nX-Original-To: bob@example.com\n" + mail("xenia@example.net", "bob@example.com", "Old", 57)),
    "zoe@example.net", "frank@example.org", "frank", "envelope", "messages in messages; their trace fields mean nothing")

# --- Copies ---------------------------------------------------------------------------------------------------------------

COPY = mail(OUT, "alice@example.com, bob@example.com, carol@example.com", "To the three of you", 60, "One mail, three copies.\n")
for n, who in enumerate(("alice", "bob", "carol")):
    add(f"copy-for-{who}", RP + f"Delivered-To: {who}@example.com\n" + received(60 + n) + COPY, "zoe@example.net", f"{who}@example.com", who,
        "envelope", "three copies of one mail, which differ only in Delivered-To and Received")
for n in (1, 2):
    add(f"exact-duplicate-{n}", RP + "Delivered-To: dave@example.com\n" + received(64) + mail(OUT, "dave@example.com", "Sent once", 64),
        "zoe@example.net", "dave@example.com", "dave", "envelope", "two messages of the same octets")
for n, what in enumerate(("the first body", "quite another body")):
    add(f"same-id-{n + 1}", RP + "Delivered-To: erin@example.org\n" + received(65 + n) + mail(OUT, "erin@example.org", "Notice", 65, f"This is {what}.\n"),
        "zoe@example.net", "erin@example.org", "erin", "envelope", "one Message-ID, two bodies: two mails")
add("no-message-id", RP + "Delivered-To: bob@example.com\n" + received(67) + "From: zoe@example.net\nTo: bob@example.com\nSubject: No id\n"
    "Date: Fri, 06 Nov 2026 08:00:00 +0000\n\nHello.\n", "zoe@example.net", "bob@example.com", "bob", "envelope", "no Message-ID")
add("no-date", RP + "Delivered-To: bob@example.com\n" + received(68) + "From: zoe@example.net\nTo: bob@example.com\nSubject: No date\n"
    "Message-ID: <nodate@example.net>\n\nHello.\n", "zoe@example.net", "bob@example.com", "bob", "envelope", "no Date")

# --- Octets ---------------------------------------------------------------------------------------------------------------

PLAIN = "Delivered-To: alice@example.com\nFrom: zoe@example.net\nSubject: octets\nDate: Fri, 06 Nov 2026 08:00:00 +0000\nMessage-ID: <oct%d@example.net>\n"


def odd(name, text, note, users="alice", recipients="alice@example.com", confidence="envelope", sender="zoe@example.net"):
    add(name, text, sender, recipients, users, confidence, note)


odd("empty", b"", "no octet at all", "@", "", "unknown", None)
odd("header-only-blank-line", PLAIN % 1 + "\n", "a header and the blank line")
odd("header-only-no-blank-line", PLAIN % 2, "a header without the blank line")
odd("header-only-cut", (PLAIN % 3)[:-1], "a header without its last line end")
odd("body-only", "\nThis message has a body and no header.\n", "begins with the blank line", "@", "", "unknown", None)
odd("no-header-at-all", "just a sentence, and neither field nor blank line\n", "one junk line", "@", "", "unknown", None)
odd("only-crlf", "\n", "two octets", "@", "", "unknown", None)
odd("only-cr", b"\r", "one octet", "@", "", "unknown", None)
odd("from-lines", PLAIN % 4 + "\nFrom here on\n>From there\n>>From above\nfrom below\n From beside\nFrom\n", "lines that mbox would quote")
odd("from-after-blank-line", PLAIN % 5 + "\nHello\n\nFrom zoe@example.net Fri Nov  6 08:00:00 2026\nSubject: looks like the next message\n\nbut is not.\n",
    "a full From line after a blank line")
odd("from-at-the-end", octets(PLAIN % 6 + "\nHello\n") + b"From ", "ends in From and a blank, no line end")
odd("from-line-first", "From zoe@example.net Fri Nov  6 08:00:00 2026\n" + PLAIN % 7 + "\nHello.\n", "an mbox line on top of the header")
odd("quoted-from-line-first", ">From zoe@example.net Fri Nov  6 08:00:00 2026\n" + PLAIN % 8 + "\nHello.\n", "a quoted mbox line on top")
odd("byte-order-mark", b"\xef\xbb\xbfX-First: 1\r\n" + octets(PLAIN % 9 + "\nHello.\n"), "begins with a byte-order mark")
odd("nul", octets(PLAIN % 10 + "\nbefore") + b"\0\0\0after\r\n\0\r\n\0", "NUL in the body, and at the end")
odd("nul-in-header", octets("Delivered-To: alice@example.com\nFrom: zoe@example.net\nSubject: a") + b"\0b\r\n\r\nHello.\r\n", "NUL in the header")
odd("8bit-header", octets("Delivered-To: alice@example.com\nFrom: ") + "Zoë Außen".encode("latin-1") + octets(" <zoe@example.net>\nSubject: caf") + b"\xe9 \xff\xfe\r\n\r\nHello.\r\n",
    "8-bit octets in the header that are no UTF-8")
odd("bare-cr-body", octets(PLAIN % 11 + "\n") + b"one\rtwo\r\rthree\r\n\r", "bare CR in the body, one at the end")
odd("bare-cr-header", octets("Delivered-To: alice@example.com\nFrom: zoe@example.net\nSubject: with\r") + octets("a CR\n\nHello.\n"), "a bare CR in a header line")
odd("bare-lf", (PLAIN % 12 + "\nAll lines end in LF.\n.\n..\nFrom the end\n").encode(), "LF alone throughout, a line of one dot among them")
odd("mixed-ends", octets(PLAIN % 13) + b"X-A: lf\nX-B: crlf\r\n\nlf\ncrlf\r\ncr\rlfcr\n\rend\r\n", "LF, CRLF, CR and LF CR in one message")
odd("no-final-newline", octets(PLAIN % 14 + "\nThe end comes") + b" here", "no line end at the end")
odd("final-cr", octets(PLAIN % 15 + "\nThe end is CR") + b"\r", "ends in CR")
odd("many-final-newlines", PLAIN % 16 + "\nHello.\n\n\n\n\n", "blank lines at the end")
odd("long-lines", PLAIN % 17 + "X-Long: " + "a" * 9000 + "\n\n" + "b" * 70_000 + "\n" + "c" * 998 + "\n", "lines of 9,000, 70,000 and 998 octets")
odd("long-line-no-end", PLAIN % 18 + "\n" + "x" * 20_000, "one line of 20,000 octets without an end")
odd("dots", PLAIN % 19 + "\n.\n..\n...\n.a\n ..\n.\n", "lines of dots: what POP3 must stuff")
odd("dot-crlf-inside", PLAIN % 20 + "\nbefore\n.\nafter, which must not be lost\n", "CRLF . CRLF inside")
odd("dot-without-end", octets(PLAIN % 21 + "\nbefore\n") + b".", "ends in a dot without a line end")
odd("dot-first", ".Odd: begins with a dot\n" + PLAIN % 22 + "\nHello.\n", "the first octet is a dot")
odd("begins-with-blank", " a folded line with nothing before it\n" + PLAIN % 23 + "\nHello.\n", "begins with a blank: looks like a continuation")
odd("begins-with-tab", "\tx-mdrop: {}\n" + PLAIN % 24 + "\nHello.\n", "begins with a tab: looks like a continuation")
odd("x-mdrop-inside", 'X-Mdrop: {"v":1,"account":"forged","mailbox":"INBOX","uidvalidity":1,"uid":1,"size":3,"digest":"blake3:00","eol":"raw"}\n'
    + PLAIN % 25 + "\nHello.\n", "a field of our stream's name, written by the sender: means nothing")
odd("lying-length", PLAIN % 26 + "Content-Length: 3\nLines: 1\nStatus: RO\nX-UIDL: abc\n\nThis body is longer than three octets.\n\nFrom here on, too.\n",
    "Content-Length and Lines that lie")
odd("huge-length", PLAIN % 27 + "Content-Length: 99999999999999999999\n\nshort\n", "a Content-Length beyond all numbers")
odd("junk-line-in-header", "Delivered-To: alice@example.com\nthis line has no colon\nFrom: zoe@example.net\n: empty name\nBad Name: x\nSubject: junk\n\nHello.\n",
    "lines in the header that are no fields")
odd("junk-before-trace", "garbage from a gateway\nDelivered-To: alice@example.com\nFrom: zoe@example.net\nSubject: junk\n\nHello.\n", "a junk line comes first")
odd("fold-of-blanks", "Delivered-To: alice@example.com\nFrom: zoe@example.net\nSubject: fold\n \n\t\n still the subject\n\nHello.\n", "folded lines of blanks only")
odd("control-octets", octets(PLAIN % 28 + "\n") + bytes(b for b in range(256) if b not in (10, 13)) + b"\r\n", "every octet but CR and LF")
odd("literal-lookalike", PLAIN % 29 + "\n* BYE not really\na1 OK FETCH completed\n)\n{12}\n+OK\n-ERR\n", "text that looks like a server's answer")
odd("many-fields", "".join(f"X-Filler-{n}: {n}\n" for n in range(2000)) + PLAIN % 30 + "\nHello.\n", "2,000 fields above the first that matters")

# --- Journal reports --------------------------------------------------------------------------------------------------------

JOURNALED = mail("Alice Smith <alice@example.com>", "zoe@example.net", "Contract", 80, "To: frank@example.org\nThis line in a body means nothing.\n")


def journal(n, lines, inner=JOURNALED, top="Delivered-To: archive@example.com\n", encoding=None):
    text = lines if encoding is None else base64.encodebytes(lines.replace("\n", "\r\n").encode()).decode()
    transfer = "" if encoding is None else f"Content-Transfer-Encoding: {encoding}\n"
    return ("Return-Path: <>\n" + top + received(n) + "X-MS-Journal-Report:\n" + head("journal@example.com", "archive@example.com", "Contract", n)
            + multipart("mixed", f"Content-Type: text/plain; charset=utf-8\n{transfer}\n{text}", "Content-Type: message/rfc822\n\n" + inner))


add("journal-bcc", journal(81, "Sender: alice@example.com\nSubject: Contract\nMessage-Id: <m80@mua.example.net>\nTo: zoe@example.net\n"
    "Bcc: bob@example.com\n"), "alice@example.com", "bob@example.com", "alice bob", "journal", "a Bcc that only the report knows", JOURNALED, "exchange")
add("journal-expanded", journal(82, "Sender: zoe@example.net\nMessage-Id: <m83@mua.example.net>\nSubject: News\n"
    "To: carol@example.com, Expanded: board@example.com\nTo: dave@example.com, Expanded: board@example.com\nCc: yann@example.net\n",
    mail(OUT, "board@example.com", "News", 83)), "zoe@example.net", "carol@example.com dave@example.com", "carol dave", "journal",
    "a list expanded: the left-hand addresses are the recipients", mail(OUT, "board@example.com", "News", 83), "exchange")
add("journal-forwarded", journal(84, "Sender: zoe@example.net\nSubject: Bill\nMessage-Id: <m85@mua.example.net>\n"
    "Recipient: yann@example.net, Forwarded: erin@example.org\n", mail(OUT, "erin@example.org", "Bill", 85)), "zoe@example.net",
    "erin@example.org", "erin", "journal", "a Forwarded source in a local domain is a recipient too",
    mail(OUT, "erin@example.org", "Bill", 85), "exchange")
add("journal-base64", journal(86, "Sender: zoe@example.net\nSubject: Grüße\nMessage-Id: <m87@mua.example.net>\nTo: grace@example.com\n",
    mail(OUT, "grace@example.com", "Grüße", 87), encoding="base64"), "zoe@example.net", "grace@example.com", "grace", "journal", "the envelope is in base64",
    mail(OUT, "grace@example.com", "Grüße", 87), "exchange")
add("journal-outsiders-only", journal(88, "Sender: alice@example.com\nSubject: Contract\nMessage-Id: <m80@mua.example.net>\nTo: zoe@example.net\n"),
    "alice@example.com", "", "alice", "journal", "only outsiders: an answer, not unknown",
    JOURNALED, "exchange")
add("journal-forged", journal(89, "Sender: alice@example.com\nSubject: Contract\nMessage-Id: <m80@mua.example.net>\nTo: carol@example.com\n",
    top="Delivered-To: bob@example.com\n").replace("Return-Path: <>", "Return-Path: <zoe@example.net>").replace("From: journal@example.com", "From: zoe@example.net"),
    "zoe@example.net", "bob@example.com", "bob", "envelope", "looks like a report but was delivered to a user: plain mail",
    findings=["forged"])
add("journal-in-bounce", "Return-Path: <>\nDelivered-To: archive@example.com\n" + received(90) + head("MAILER-DAEMON@mail.example.com", "archive@example.com", "Undeliverable", 90)
    + multipart("report; report-type=delivery-status", "Content-Type: text/plain\n\nThe report could not be delivered.\n",
                "Content-Type: message/delivery-status\n\nReporting-MTA: dns; mail.example.com\n\nFinal-Recipient: rfc822; journal@example.com\nAction: failed\nStatus: 4.4.7\n",
                "Content-Type: message/rfc822\n\n" + journal(91, "Sender: zoe@example.net\nSubject: Late\nMessage-Id: <m92@mua.example.net>\nTo: frank@example.org\n",
                                                             mail(OUT, "frank@example.org", "Late", 92)).replace(BOUNDARY, "=_inner")),
    "zoe@example.net", "frank@example.org", "frank", "journal", "an undeliverable report inside a non-delivery report",
    mail(OUT, "frank@example.org", "Late", 92), "exchange")

TENANT = "MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e"
RFC822 = "Content-Type: message/rfc822\n\n"


def parts(boundary, kind, *each):
    return multipart(kind, *each).replace(BOUNDARY, boundary)


def wrapper(n, mark, body, frm="journal@example.com", to="archive@example.com", path="<>", top="Delivered-To: archive@example.com\n", subject="Papers"):
    return f"Return-Path: {path}\n" + top + received(n) + mark + head(frm, to, subject, n) + body


def envelope(n, sender, *lines, subject="Papers"):
    return f"Sender: {sender}\nSubject: {subject}\nMessage-Id: <m{n}@mua.example.net>\n" + "".join(line + "\n" for line in lines)


def encoded(text, charset):
    return base64.encodebytes(text.replace("\n", "\r\n").encode(charset)).decode()


MS = "X-MS-Journal-Report:\n"
PLAIN_TEXT = "Content-Type: text/plain\n\n"


def ms(name, text, inner, sender, recipients, users, note, head=PLAIN_TEXT, n=300, **more):
    """A report of Exchange's with such a text part."""
    add(name, wrapper(n, MS, parts("=_ms", "mixed", head + text, RFC822 + inner)), sender, recipients, users, "journal", note, inner, "exchange", **more)


# What Microsoft 365 sends, and Exchange in a company's own house, which copies the author and the recipients of the message.
M365 = mail(OUT, "carol@example.com", "Papers", 301)
add("journal-m365", "Return-Path: <>\nDelivered-To: archive@example.com\n"
    "Received: from EUR05-VI1-obe.outbound.protection.outlook.com (mail-vi1eur05on2080.outbound.protection.outlook.com [198.51.100.80])\n"
    "\tby mail.example.com (Postfix) with ESMTPS id 4C0301; Mon, 09 Nov 2026 09:01:07 +0000 (UTC)\n"
    "Received: from AM0PR05MB4321.eurprd05.prod.outlook.com (2001:db8:208:10f::14)\n by VI1PR05MB1234.eurprd05.prod.outlook.com (2001:db8:803:b0::11) with\n"
    " Microsoft SMTP Server (version=TLS1_2) id 15.20.9000.10; Mon, 9 Nov 2026 09:01:05 +0000\n"
    f"From: Microsoft Outlook <{TENANT}@tenant.onmicrosoft.com>\nTo: archive@example.com\nSubject: Papers\n"
    "Thread-Topic: Papers\nThread-Index: AQHZ3JournalReport\nDate: Mon, 9 Nov 2026 09:01:05 +0000\n"
    "Message-ID: <7f0f3cbb-0001-4d51-9e55-5a7d5a6b0301@journal.report.generator>\nX-MS-Exchange-Parent-Message-Id: <m301@mua.example.net>\n"
    "Auto-Submitted: auto-generated\nX-MS-Exchange-Generated-Message-Source: Journal Agent\nX-MS-Journal-Report:\n"
    + parts("_000_7f0f3cbb00014d519e555a7d5a6b0301_", "mixed", 'Content-Type: text/plain; charset="us-ascii"\n\n'
            + envelope(301, "zoe@example.net", "To: carol@example.com", "Bcc: grace@example.com"), "Content-Type: message/rfc822\nContent-Disposition: attachment\n\n" + M365),
    "zoe@example.net", "carol@example.com grace@example.com", "carol grace", "journal", "as Microsoft 365 writes it", M365, "exchange")
add("journal-author-in-from", wrapper(302, "Sender: <" + TENANT + "@example.com>\n" + MS, parts("=_ms", "mixed", PLAIN_TEXT
    + envelope(302, "zoe@example.net", "To: bob@example.com", "Cc: yann@example.net"), RFC822 + M365), OUT, "bob@example.com, yann@example.net"),
    "zoe@example.net", "bob@example.com", "bob", "journal", "Exchange copies From, To and Cc of the message into the report", M365, "exchange")

# Charsets, encodings, and where the text stands.
LETTER = mail(OUT, "dave@example.com", "Grüße", 303)
LINES = envelope(303, "zoe@example.net", "To: dave@example.com", "Bcc: alice@example.com", subject="Grüße aus Köln")
LETTER_IS = ("zoe@example.net", "dave@example.com alice@example.com", "dave alice")
ms("journal-utf16", encoded(LINES, "utf-16"), LETTER, *LETTER_IS, "UTF-16 with a byte-order mark, in base64",
   "Content-Type: text/plain; charset=utf-16\nContent-Transfer-Encoding: base64\n\n", 303)
ms("journal-latin1", encoded(LINES, "iso-8859-1"), LETTER, *LETTER_IS, "ISO-8859-1 in base64",
   'Content-Type: text/plain; charset="iso-8859-1"\nContent-Transfer-Encoding: base64\n\n', 304)
ms("journal-quoted-printable", LINES.replace("ü", "=FC").replace("ö", "=F6").replace("ß", "=DF").replace("dave@", "da=\nve=40"), LETTER, *LETTER_IS,
   "Windows-1252 in quoted-printable, with a soft line end in an address", "Content-Type: text/plain; charset=windows-1252\nContent-Transfer-Encoding: quoted-printable\n\n", 305)
add("journal-ascii-8bit", wrapper(306, MS, parts("=_ms", "mixed", "Content-Type: text/plain; charset=us-ascii\n\n@@", RFC822 + LETTER)).replace("\n", "\r\n").encode()
    .replace(b"@@", LINES.replace("\n", "\r\n").encode("latin-1")), *LETTER_IS, "journal", "says US-ASCII and holds 8-bit octets",
    LETTER.replace("\n", "\r\n").encode(), "exchange")
ms("journal-byte-order-mark", "\ufeff" + LINES, LETTER, *LETTER_IS, "a byte-order mark before the first label", "Content-Type: text/plain; charset=utf-8\n\n", 307)
HTML = "<html><body>" + LINES.replace("<", "&lt;").replace(">", "&gt;").replace("\n", "<br>\n") + "</body></html>\n"
ms("journal-html", HTML, LETTER, *LETTER_IS, "the envelope is HTML and nothing else", "Content-Type: text/html; charset=utf-8\n\n", 308)
ms("journal-alternative", parts("=_alt", "alternative", "Content-Type: text/plain; charset=utf-8\n\n" + LINES, "Content-Type: text/html; charset=utf-8\n\n" + HTML), LETTER,
   *LETTER_IS, "the envelope lies in a multipart/alternative", "", 309)
add("journal-lf", wrapper(310, MS, parts("=_ms", "mixed", PLAIN_TEXT + LINES.replace("ü", "u").replace("ö", "o").replace("ß", "s"), RFC822 + M365)).encode(), *LETTER_IS, "journal",
    "line ends of LF alone", M365.encode(), "exchange")

# What the envelope says.
ms("journal-on-behalf-of", "Sender: grace@example.com\nOn-Behalf-Of: frank@example.org\nMessage-Id: <m311@mua.example.net>\nSubject: x\nTo: zoe@example.net\n", M365,
   "grace@example.com", "", "frank grace", "sent by a secretary: both are authors, and the recipients are outsiders", n=311)
ms("journal-expanded-forwarded", envelope(312, "zoe@example.net", "To: yann@example.net, Expanded: board@example.com, Forwarded: erin@example.org",
   "To: dave@example.com, Expanded: board@example.com", "Cc: carol@example.com, Forwarded: gone@example.net"), M365, "zoe@example.net",
   "erin@example.org dave@example.com carol@example.com", "erin dave carol", "a list expanded, and a member who forwards to an outsider", n=312)
ms("journal-own-address", envelope(313, "zoe@example.net", "To: archive@example.com", "Bcc: bob@example.com"), M365, "zoe@example.net", "bob@example.com", "bob",
   "the mailbox's own address is no recipient", n=313)
ms("journal-x500", envelope(314, "Unspecified Address", "To: /o=ExchangeLabs/ou=Exchange Administrative Group/cn=Recipients/cn=bob",
   "To: IMCEAEX-_O=EXCHANGELABS_OU=X_CN=bob@example.com", "Cc: IMCEASMTP-alice+40example+2Ecom@tenant.onmicrosoft.com", "Bcc: SMTP:carol@example.com"), M365, None,
   "alice@example.com carol@example.com", "alice carol", "names of Exchange's own, one of which hides an address", n=314, findings=["damaged"])
SPILT = mail(OUT, "bob@example.com", "=?utf-8?Q?Papers=0D=0ATo:_alice@example.com=0D=0ABcc:_carol@example.com?=", 315)
ms("journal-subject-lines", "Sender: zoe@example.net\nMessage-Id: <m315@mua.example.net>\nSubject: Papers\nTo: alice@example.com\nBcc: carol@example.com\nTo: bob@example.com\n",
   SPILT, "zoe@example.net", "bob@example.com", "bob", "line ends in the subject: lines that look like recipients and are the sender's", n=315, findings=["forged"])
LOOK = mail(OUT, "frank@example.org", "Look", 316, "--=_m\n--=_msx\n\nX-MS-Journal-Report:\nSender: alice@example.com\nTo: bob@example.com\n --=_ms--\n")
ms("journal-lookalike-body", envelope(316, "zoe@example.net", "To: frank@example.org"), LOOK, "zoe@example.net", "frank@example.org", "frank",
   "the message inside holds lines that look like an envelope, and near-boundaries", n=316)
ms("journal-same-message", envelope(301, "zoe@example.net", "Recipient: john.doe@example.com"), M365, "zoe@example.net", "john.doe@example.com", "john",
   "a second report on the message of journal-m365: another part of its recipients", n=317)

# Damage.
add("journal-truncated", wrapper(318, MS, parts("=_ms", "mixed", PLAIN_TEXT + envelope(318, "zoe@example.net", "To: dave@example.com"), RFC822 + M365))[:-30],
    "zoe@example.net", "dave@example.com", "dave", "journal", "cut in the message inside: its envelope is whole", kind="exchange", findings=["damaged"])
add("journal-wrong-boundary", wrapper(319, MS, parts("=_ms", "mixed", PLAIN_TEXT + envelope(319, "zoe@example.net", "To: dave@example.com"), RFC822 + M365)
    .replace("boundary=\"=_ms\"", "boundary=\"=_xx\"")), "", "", "@", "unknown", "its boundary is not there: no envelope can be read", findings=["damaged"])
add("journal-header-only", wrapper(320, MS, parts("=_ms", "mixed", PLAIN_TEXT + envelope(320, "zoe@example.net", "To: dave@example.com"),
    "Content-Type: text/rfc822-headers\n\n" + M365.split("\n\n")[0] + "\n")), "zoe@example.net", "dave@example.com", "dave", "journal",
    "only the header of the message is there", kind="exchange", findings=["damaged"])
CODED = base64.encodebytes(M365.replace("\n", "\r\n").encode()).decode()
add("journal-encoded-message", wrapper(321, MS, parts("=_ms", "mixed", PLAIN_TEXT + envelope(321, "zoe@example.net", "To: dave@example.com"),
    "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n" + CODED)), "zoe@example.net", "dave@example.com", "dave", "journal",
    "the part that holds the message is in base64, which it must not be", CODED, "exchange", "base64")

# Other servers.
OLD = 'Sender: "Zoe Outside" <SMTP:zoe@example.net>\nMessage-ID: <m322@mua.example.net>\nRecipients:\n'
add("exchange2003", wrapper(322, "Content-Identifier: ExJournalReport\n", parts("=_old", "mixed", PLAIN_TEXT + OLD
    + '\t"Smith, Alice" <SMTP:alice@example.com>\n\tBob Jones <bob@example.com>\n\t"Nobody" <EX:/o=company/cn=nobody>\n', RFC822 + M365)), "zoe@example.net",
    "alice@example.com bob@example.com", "alice bob", "journal", "Exchange 2003", M365, "exchange-2003", findings=["damaged"])
add("exchange2003-misspelt", wrapper(323, "Content-Identifer: ExJournalReport\n", parts("=_old", "mixed", PLAIN_TEXT + "Sender: zoe <zoe@example.net>\n"
    "Message-ID: <m323@mua.example.net>\nRecipients:\n\tgrace@example.com\n\tyann@example.net\n", RFC822 + M365)), "zoe@example.net", "grace@example.com", "grace",
    "journal", "the mark misspelt, the recipients bare", M365, "exchange-2003")
add("exchange2003-copy", RP + "Delivered-To: archive@example.com\nContent-Identifier: ExJournalData\n" + received(324) + mail(OUT, "carol@example.com", "A copy", 324), "zoe@example.net",
    "carol@example.com", "carol", "guess", "ExJournalData is a plain copy")
add("workmail", wrapper(325, "X-WM-Journal-Report: journal\n", parts("----=_Part_1.2", "mixed", PLAIN_TEXT + envelope(325, "john.doe@example.com", "To: yann@example.net",
    "Bcc: erin@example.org"), RFC822 + M365)), "john.doe@example.com", "erin@example.org", "erin john", "journal", "Amazon WorkMail", M365, "workmail")


def intercept(name, n, account, operation, sender, recipients, users, note, frm="Postmaster <postmaster@example.com>", between="\n", **more):
    text = f"Intercepted message for {account}.{between}Operation={operation}.\n"
    add(name, wrapper(n, "Auto-Submitted: auto-replied (zimbra; intercept)\n", parts("----=_Part_77", "mixed", "Content-Type: text/plain; charset=utf-8\n\n" + text,
        RFC822 + M365), frm, subject=f"Intercept message for {account}: Papers"), sender, recipients, users, note=note, **more)


ZIMBRA = {"confidence": "journal", "inner": M365, "kind": "zimbra"}
intercept("zimbra-arrived", 326, "john.doe@example.com", "add message, folder=Inbox, folder ID=2", "zoe@example.net", "john.doe@example.com", "john",
          "Zimbra: what arrives is for the account", **ZIMBRA)
intercept("zimbra-sent", 327, "bob@example.com", "add message, folder=Sent, folder ID=5", "bob@example.com", "", "bob", "what lies in Sent is the account's own", between="", **ZIMBRA)
intercept("zimbra-draft", 328, "bob@example.com", "save draft, folder=Drafts, folder ID=6", "bob@example.com", "", "bob", "and so is a draft", **ZIMBRA)
intercept("zimbra-forged", 329, "bob@example.com", "add message, folder=Inbox, folder ID=2", "", "", "@", "anybody can write such a subject: From is an outsider's",
          frm=OUT, confidence="unknown", findings=["forged"])

# In non-delivery reports, and in each other.
NOTICE = "Content-Type: text/plain\n\nIt could not be delivered.\n"
STATUS = "Content-Type: message/delivery-status\n\nReporting-MTA: dns; mail.example.com\n\nFinal-Recipient: rfc822; journal@example.com\nAction: failed\nStatus: 4.4.7\n"
LOST = wrapper(330, MS, parts("=_lost", "mixed", PLAIN_TEXT + envelope(330, "zoe@example.net", "To: dave@example.com"), RFC822 + M365))
OTHER = wrapper(331, MS, parts("=_other", "mixed", PLAIN_TEXT + envelope(331, "zoe@example.net", "To: erin@example.org"), RFC822 + mail(OUT, "erin@example.org", "Other", 331)))


def returned(name, n, sender, recipients, users, note, *each, confidence="journal", top="Delivered-To: archive@example.com\n", to="archive@example.com", **more):
    add(name, wrapper(n, "X-MS-Exchange-Message-Is-Ndr:\n", parts("=_ndr", "report; report-type=delivery-status", NOTICE, *each), "MAILER-DAEMON@mail.example.com", to, top=top,
                      subject="Undeliverable: Papers"), sender, recipients, users, confidence, note, **more)


returned("journal-global-in-bounce", 332, "zoe@example.net", "dave@example.com", "dave", "returned as message/global", STATUS, "Content-Type: message/global\n\n" + LOST,
         inner=M365, kind="exchange")
returned("journal-deep-in-bounce", 333, "zoe@example.net", "dave@example.com", "dave", "returned one level deeper", STATUS, parts("=_mixed", "mixed", NOTICE, RFC822 + LOST),
         inner=M365, kind="exchange")
returned("journals-in-bounce", 334, "zoe@example.net", "dave@example.com erin@example.org", "dave erin", "two reports in one: their recipients add up", STATUS, RFC822 + LOST,
         RFC822 + OTHER, kind="exchange", findings=["contradictory"])
returned("journal-cut-in-bounce", 335, "zoe@example.net", "dave@example.com", "dave", "the bounce returns only the beginning of the report", STATUS, RFC822 + LOST[:-60],
         kind="exchange", findings=["damaged"])
returned("journal-header-in-bounce", 336, "", "", "@", "the bounce returns only the report's header, which names nobody", STATUS,
         "Content-Type: text/rfc822-headers\n\n" + LOST.split("\n\n")[0] + "\n", confidence="unknown")
returned("notification", 337, "", "alice@example.com", "alice", "a real notification has Original-Recipient, too", STATUS.replace("failed", "relayed")
         .replace("Action", "Original-Recipient: rfc822;carol@example.com\nAction"), RFC822 + M365, confidence="envelope", top="Delivered-To: alice@example.com\n", to="alice@example.com")
add("journal-attached", RP + "Delivered-To: alice@example.com\n" + received(338) + head(OUT, "alice@example.com", "Fwd: Papers", 338)
    + parts("=_fwd", "mixed", PLAIN_TEXT + "See the report.\n", RFC822 + LOST), "zoe@example.net", "alice@example.com", "alice", "envelope", "a report that is merely attached is none")
add("journal-of-journal", wrapper(339, MS, parts("=_up", "mixed", PLAIN_TEXT + envelope(339, "journal@example.com", "To: archive@example.com"), RFC822 + LOST)),
    "zoe@example.net", "dave@example.com", "dave", "journal", "one server journals what another one's journal sends to the mailbox", M365, "exchange")
add("journal-of-forgery", wrapper(340, MS, parts("=_up", "mixed", PLAIN_TEXT + envelope(340, "zoe@example.net", "To: archive@example.com"), RFC822 + LOST)),
    "zoe@example.net", "", "@", "unknown", "an outsider sent the mailbox a report: only the journal's own word counts", LOST, "exchange")

# Forgery.
FAKE = parts("=_ms", "mixed", PLAIN_TEXT + envelope(341, "alice@example.com", "To: carol@example.com"), RFC822 + M365)
add("journal-forged-by-catchall", wrapper(341, MS, FAKE, OUT, "bob@example.com", "<zoe@example.net>", "X-Original-To: bob@example.com\nDelivered-To: archive@example.com\n"),
    "zoe@example.net", "bob@example.com", "bob", "envelope", "the catch-all wrote its own address below the user's: not a report", findings=["forged"])
add("journal-forged-as-list", wrapper(342, MS + "List-Post: <mailto:bob@example.com>\n", FAKE, OUT, "carol@example.com", "<bob-bounces@example.com>", "Delivered-To: bob@example.com\n"),
    "bob-bounces@example.com", "bob@example.com", "bob", "envelope", "the sender calls the user a mailing list: not a report, and still the user's", findings=["forged"])

SPECIAL = len(made)

# --- Everyday mail ----------------------------------------------------------------------------------------------------------

NAMES = ["Ann", "Ben", "Cem", "Dora", "Emil", "Fay", "Gus", "Hana", "Ivo", "Juno", "Kai", "Lea", "Mo", "Nell", "Otto", "Pia"]
WHAT = ["invoice", "delivery", "appointment", "samples", "meeting", "drawing", "order", "return", "contract", "timetable", "price list", "key"]
SAY = ["Thank you for the {w}.", "Could you send the {w} again?", "The {w} has arrived, all is well.", "About the {w}: Thursday suits us.",
       "We can't find the {w} of last month.", "Please confirm the {w} by Friday.", "The {w} is attached to my last mail.",
       "Nothing is wrong with the {w}; it is only late.", "I have put the {w} aside for you."]
ADDRESSES = {
    "alice": ["alice@example.com", "a.smith@example.com", "info@example.com"], "bob": ["bob@example.com", "bob.jones@example.com", "sales@example.com"],
    "carol": ["carol@example.com", "carol@example.org"], "dave": ["dave@example.com", "support@example.com"],
    "erin": ["erin@example.org", "accounts@example.com"], "frank": ["frank@example.org", "office@example.org"],
    "grace": ["grace@example.com"], "john": ["john.doe@example.com"],
}


def everyday(n):
    what = RNG.choice(WHAT)
    stranger = RNG.choice(NAMES)
    outside = f"{stranger.lower()}{RNG.randrange(9)}@{RNG.choice(['example.net', 'shop.example', 'works.example', 'post.example.net'])}"
    who, other = RNG.sample(sorted(ADDRESSES), 2)
    to, cc = RNG.choice(ADDRESSES[who]), RNG.choice(ADDRESSES[other])
    body = "\n".join(RNG.choice(SAY).format(w=what) for _ in range(RNG.randrange(1, 9))) + f"\n\n-- \n{stranger}\n"
    subject = RNG.choice(["", "Re: ", "Fwd: "]) + f"{what} {RNG.randrange(1000, 9999)}"
    frm = f"{stranger} <{outside}>"
    path = f"Return-Path: <{outside}>\n"
    kind = RNG.choice(["postfix"] * 4 + ["exim", "hosted", "received", "bcc", "sent", "internal", "guess"])
    if kind == "postfix":
        add(f"postfix-{n}", path + f"X-Original-To: {to}\nDelivered-To: {ADDRESSES[who][0]}\n" + received(n, to) + mail(frm, to, subject, n, body),
            outside, to, who, "envelope", "everyday: Postfix")
    elif kind == "exim":
        add(f"exim-{n}", path + f"Envelope-to: {to}, {cc}\n" + received(n) + mail(frm, f"{to}, {cc}", subject, n, body),
            outside, f"{to} {cc}", f"{who} {other}", "envelope", "everyday: Exim, two recipients")
    elif kind == "hosted":
        add(f"hosted-{n}", path + f"X-Delivered-to: {to}\n" + received(n, None, "store.hosting.example.net") + mail(frm, to, subject, n, body),
            outside, to, who, "envelope", "everyday: a provider's X-Delivered-to")
    elif kind == "received":
        add(f"received-{n}", path + received(n, to) + received(n + 1, None, "mx.example.net") + mail(frm, to, subject, n, body),
            outside, to, who, "received", "everyday: only Received says for whom")
    elif kind == "bcc":
        add(f"bcc-{n}", path + f"Delivered-To: archive@example.com\n" + received(n) + received(n + 1, cc, "mx.example.com") + mail(frm, "yann@example.net", subject, n, body),
            outside, cc, other, "received", "everyday: blind copy, the box's own address on top")
    elif kind == "sent":
        add(f"sent-{n}", f"Return-Path: <{to}>\nDelivered-To: archive@example.com\n" + received(n, None, helo="desk.example.com") + mail(to, outside, subject, n, body),
            to, "", who, "unknown", "everyday: sent to an outsider")
    elif kind == "internal":
        add(f"internal-{n}", f"Return-Path: <{to}>\nX-Original-To: {cc}\nDelivered-To: {ADDRESSES[other][0]}\n" + received(n, None, helo="desk.example.com") + mail(to, cc, subject, n, body),
            to, cc, f"{who} {other}", "envelope", "everyday: from a user to a user")
    else:
        add(f"guess-{n}", mail(frm, f"{to}, {outside}", subject, n, body).replace("Subject:", f"Cc: {cc}\nSubject:", 1),
            outside, f"{to} {cc}", f"{who} {other}", "guess", "everyday: no trace field at all")


for number in range(100, 100 + 210 - SPECIAL):
    everyday(number)

for old in HERE.glob("*.eml"):
    old.unlink()
for row, data in made:
    (HERE / row["file"]).write_bytes(data)
with (HERE / "labels.jsonl").open("w", encoding="utf-8", newline="\n") as labels:
    for row, _ in made:
        labels.write(json.dumps(row, ensure_ascii=False) + "\n")
