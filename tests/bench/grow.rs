//! grow: makes a large archive of generated mail quickly, or a stream of more of it.
//!
//! Decision: it is what scripts/bench archive measures, so it writes packs and segments as a commit does, with the library's own writers, but
//! tells no index, syncs nothing in between, and looks nothing up: ten million messages take minutes and not hours. Each message has an
//! origin in one mailbox, a sender from outside, two recipients and two filings; dates run over ten years. The same numbers give the
//! same mail.

use mdrop::archive::pack::PackWriter;
use mdrop::archive::segment::{self, PackName, SegmentHeader, SegmentType};
use mdrop::archive::shelf::Series;
use mdrop::archive::{Archive, Arrival, Learner};
use mdrop::error::{Error, Result, Status};
use mdrop::identity::{Account, Digest, Origin, Place, Uid, UidValidity};
use mdrop::record::{Eol, Evidence, Filing, Frame, Kind, Outcome, Receipt, Recipient, Record, Role, Sender, V1};
use mdrop::stream::{Meta, Routing, StreamWriter};
use mdrop::time::Time;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "usage: grow ARCHIVE LOGIN FIRST COUNT EACH SPAN | grow - LOGIN FIRST COUNT EACH SPAN";
/// How many users there are, and how many people write to them.
const USERS: u64 = 2000;
const AUTHORS: u64 = 50_000;
/// From 2016-12-01 on, ten years.
const BEGINS: i64 = 1_480_550_400;
const YEARS: i64 = 10 * 31_557_600;
/// How many messages share a frame.
const FRAME: usize = 1000;

/// What is to be made: messages `first` and on, `count` of them, `each` to a pack, of `span` over ten years.
struct Plan {
    login: String,
    first: u64,
    count: u64,
    each: u64,
    span: u64,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("grow: {error}");
            ExitCode::from(error.status().code())
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    let usage = || Error::new(Status::Usage, USAGE);
    let [target, login, numbers @ ..] = arguments else { return Err(usage()) };
    let numbers: Vec<u64> = numbers.iter().map_while(|number| number.parse().ok()).collect();
    let &[first, count, each, span] = numbers.as_slice() else { return Err(usage()) };
    let plan = Plan { login: login.clone(), first, count, each: each.max(1), span: span.max(1) };
    if target == "-" { stream(&plan) } else { grow(Path::new(target), &plan) }
}

/// Prints the messages as a routed stream.
fn stream(plan: &Plan) -> Result<()> {
    let mut output = BufWriter::new(std::io::stdout().lock());
    let mut writer = StreamWriter::new(&mut output);
    for number in plan.first..plan.first + plan.count {
        let (arrival, encoded) = message(plan, number)?;
        writer.write_encoded(&arrival.meta, &mut encoded.as_slice())?;
    }
    drop(writer);
    Ok(output.flush()?)
}

fn grow(root: &Path, plan: &Plan) -> Result<()> {
    let archive = Archive::open_or_create(root, None)?;
    let mut head = archive.head()?;
    let end = plan.first + plan.count;
    for first in (plan.first..end).step_by(usize::try_from(plan.each).unwrap_or(usize::MAX)) {
        let number = head.as_ref().map_or(0, |head| head.segment) + 1;
        let previous = head.as_ref().map(|head| head.blake3);
        let blake3 = commit(&archive, plan, number, previous, first..end.min(first + plan.each))?;
        head = Some(mdrop::record::Head { archive: archive.id.clone(), segment: number, blake3 });
    }
    Ok(())
}

/// One pack and its segment; returns the segment's BLAKE3.
fn commit(archive: &Archive, plan: &Plan, number: u64, previous: Option<Digest>, messages: std::ops::Range<u64>) -> Result<Digest> {
    let time = date(plan, messages.end);
    let mut pack = PackWriter::create(&archive.shelf, 3)?;
    let mut stored = Vec::new();
    let all: Vec<u64> = messages.collect();
    for numbers in all.chunks(FRAME) {
        let mut frame = pack.frame(1 << 20, 1 << 10)?;
        let mut met = Vec::new();
        for number in numbers {
            let (arrival, encoded) = message(plan, *number)?;
            let packed = Meta { route: None, flags: Vec::new(), server_size: None, ..arrival.meta.clone() };
            met.push((frame.add(&packed, &mut encoded.as_slice())?, arrival));
        }
        let place = frame.finish()?;
        stored.extend(met.into_iter().map(|(position, arrival)| (place, position, arrival)));
    }
    let (file, size, blake3) = pack.finish();
    file.sync()?;
    taken(archive.shelf.put(&file, Series::Pack, number)?)?;
    let header = SegmentHeader {
        kind: SegmentType::Segment,
        v: V1,
        archive: archive.id.clone(),
        segment: number,
        previous,
        pack: Some(PackName { pack: number, size, blake3 }),
        time,
        tool: "grow 1".into(),
    };
    let receipts = stored.into_iter().map(|(frame, position, arrival)| receipt(&header, frame, position, arrival));
    let records: Vec<Record> = receipts.map(|receipt| Record::Receipt(Box::new(receipt))).collect();
    let written = segment::write(&archive.shelf, &header, &records)?;
    taken(archive.shelf.put(&written.file, Series::Segment, number)?)?;
    Ok(written.blake3)
}

fn taken(put: bool) -> Result<()> {
    put.then_some(()).ok_or_else(|| Error::new(Status::CantCreate, "the archive's next number is taken: it is to be new"))
}

/// A number that looks as if drawn by lot, the same each time.
fn lot(number: u64, which: u64) -> u64 {
    let mut mixed = (number ^ (which << 56)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// When a message was received.
fn date(plan: &Plan, number: u64) -> Time {
    let passed = i128::from(YEARS) * i128::from(number) / i128::from(plan.span);
    Time::from_unix(BEGINS + i64::try_from(passed).unwrap_or(YEARS))
}

fn evidence(field: &str, kind: Kind) -> Evidence {
    Evidence { field: field.into(), position: 1, hop: 0, kind }
}

/// A message, and its encoded form.
fn message(plan: &Plan, number: u64) -> Result<(Arrival, Vec<u8>)> {
    let received = date(plan, number);
    let author = format!("author{}@example.org", lot(number, 1) % AUTHORS);
    let users = [lot(number, 2) % USERS, lot(number, 3) % USERS];
    let to = users.map(|user| format!("user{user}@example.com"));
    let written = received.to_ctime();
    let (day, clock) = (written.get(8..10).unwrap_or("1").trim(), written.get(11..19).unwrap_or("00:00:00"));
    let (month, year) = (written.get(4..7).unwrap_or("Jan"), written.get(20..).unwrap_or("2020"));
    let mut text = format!(
        "From: Author <{author}>\nTo: {}, {}\nSubject: about {} and {}\nDate: {day} {month} {year} {clock} +0000\nMessage-ID: <{number}.grow@example.org>\nContent-Type: text/plain\n\n",
        to[0],
        to[1],
        lot(number, 4) % 10_000,
        lot(number, 5) % 10_000
    );
    for line in 0..6 {
        let (one, other) = (lot(number, 6 + line) % 100_000, lot(number, 12 + line) % 1000);
        text.extend(["word", &one.to_string(), " is as good as word", &other.to_string(), ", they say\n"]);
    }
    let octets = text.replace('\n', "\r\n").into_bytes();
    let place =
        Place::Imap { mailbox: "INBOX".into(), uidvalidity: UidValidity(1), uid: Uid(u32::try_from(number + 1).unwrap_or(u32::MAX)) };
    let filing = |user: &String| Filing {
        user: user.clone(),
        folder: "INBOX".into(),
        role: Role::Recipient,
        evidence: Some(evidence("delivered-to", Kind::Envelope)),
    };
    let recipient = |user: &String| Recipient {
        address: Some(user.as_str().into()),
        user: Some(user.clone()),
        evidence: evidence("delivered-to", Kind::Envelope),
    };
    let routing = Routing {
        sender: Some(Sender { address: Some(author.as_str().into()), evidence: evidence("from", Kind::Sender) }),
        recipients: to.iter().map(recipient).collect(),
        filings: to.iter().map(filing).collect(),
        journal: None,
        findings: Vec::new(),
        skip: None,
        settings: None,
    };
    let meta = Meta {
        v: V1,
        origin: Origin { account: Account { name: "grow".into(), login: plan.login.clone() }, place },
        size: octets.len() as u64,
        digest: Digest::of(&octets),
        eol: Eol::Crlf,
        received: Some(received),
        server_size: Some(octets.len() as u64),
        flags: Vec::new(),
        objects: mdrop::record::ObjectIds::default(),
        route: Some(routing),
    };
    let mut learner = Learner::default();
    learner.write_all(&octets)?;
    Ok((learner.finish(meta), text.into_bytes()))
}

fn receipt(header: &SegmentHeader, frame: Frame, position: u64, arrival: Arrival) -> Receipt {
    let Arrival { meta, fingerprint, quoted, journal, .. } = arrival;
    let (sender, recipients, filings) = meta.route.map(|route| (route.sender, route.recipients, route.filings)).unwrap_or_default();
    Receipt {
        v: V1,
        origin: meta.origin,
        digest: meta.digest,
        fingerprint,
        size: meta.size,
        server_size: meta.server_size,
        received: meta.received,
        archived: header.time,
        message_id: quoted.message_id,
        date: quoted.date,
        from: quoted.from,
        subject: quoted.subject,
        archive: header.archive.clone(),
        segment: header.segment,
        pack: header.segment,
        frame,
        position,
        flags: meta.flags,
        objects: meta.objects,
        sender,
        recipients,
        journal,
        filings,
        same_message_id: None,
        outcome: Outcome::New,
    }
}
