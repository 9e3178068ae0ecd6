//! From stream to stream: each message is held until it is known to be whole, its header is read, and it goes on with what was decided.

use crate::calibrate::Calibration;
use crate::decide::{self, Decision, Delivery};
use crate::evidence;
use crate::missing::Missing;
use crate::policy::Policy;
use crate::tally;
use mdrop::error::Result;
use mdrop::frame::Run;
use mdrop::identity::Digest;
use mdrop::journal::{self, Report};
use mdrop::record::{Finding, Record, Route, V1};
use mdrop::spool::Spool;
use mdrop::stream::{Decoder, Meta, ReadError, Routing, StreamReader, StreamWriter};
use std::collections::HashSet;
use std::io::{self, BufRead, Read, Write};

/// How much of a message is held in memory.
const IN_MEMORY: usize = 16 << 20;
/// How much of a message that may be a journal report is read at once.
const PIECE: usize = 64 << 10;
/// How much of a header is searched for what people are called.
const LONGEST_NAMES: usize = 256 << 10;
/// From which size on a message is handed on at once.
const LARGE: u64 = 1 << 20;

/// What comes out.
enum Output<W: Write> {
    /// The stream.
    Stream(StreamWriter<W>),
    /// Records, one a message.
    Records(W),
    /// What the sample of all messages comes to.
    Calibration(Box<Calibration>, W),
    /// The local addresses of nobody.
    Missing(Box<Missing>, W),
}

/// The stage of the pipeline.
pub struct Stage<'a, W: Write> {
    policy: &'a Policy,
    output: Output<W>,
    /// Whether it was said that reports are believed unverified.
    told: bool,
}

impl<'a, W: Write> Stage<'a, W> {
    /// A stage that writes a stream, or with `explain` records.
    pub fn new(policy: &'a Policy, output: W, explain: bool) -> Self {
        let output = if explain { Output::Records(output) } else { Output::Stream(StreamWriter::new(output)) };
        Self { policy, output, told: false }
    }

    /// A stage that gathers messages and writes what they come to at the end.
    pub fn calibrate(policy: &'a Policy, output: W, calibration: Calibration) -> Self {
        Self { policy, output: Output::Calibration(Box::new(calibration), output), told: false }
    }

    /// A stage that counts the local addresses of nobody and writes them at the end.
    pub fn users_missing(policy: &'a Policy, output: W, missing: Missing) -> Self {
        Self { policy, output: Output::Missing(Box::new(missing), output), told: false }
    }

    /// Carries every message from `input` to the output. A damaged message is reported and left behind.
    ///
    /// # Errors
    /// What the input, the output and the run log report; what was whole before has been written.
    pub fn run(mut self, input: impl Read, run: &mut Run) -> Result<()> {
        let carried = self.carry_all(input, run);
        if matches!(&self.output, Output::Missing(missing, _) if missing.is_incomplete()) {
            run.say("more addresses belong to nobody than are counted: the rarest are left out, and missed says how many messages may be");
        }
        let flushed = self.flush();
        carried.and(flushed)
    }

    fn carry_all(&mut self, input: impl Read, run: &mut Run) -> Result<()> {
        let mut reader = StreamReader::new(input);
        let mut spool = Spool::new(IN_MEMORY);
        loop {
            spool.clear();
            match reader.read(&mut spool, &mut io::sink()) {
                Ok(None) => return Ok(()),
                Ok(Some(meta)) => self.carry(meta, &mut spool, run)?,
                Err(ReadError::Message(error)) => run.fail_message(None, &error)?,
                Err(other) => return Err(other.into_error()),
            }
        }
    }

    fn carry(&mut self, meta: Meta, spool: &mut Spool, run: &mut Run) -> Result<()> {
        let explain = matches!(self.output, Output::Records(_) | Output::Calibration(..));
        let header = match spool.in_memory() {
            Some(octets) => evidence::read(self.policy, octets, explain),
            None => evidence::read_long(self.policy, spool, explain)?,
        };
        let may_hold = header.report.is_some() || journal::may_hold_report(&header.content_type);
        let report = if may_hold { read_report(&meta, spool)? } else { None };
        if let Output::Calibration(calibration, _) = &mut self.output {
            run.count("sampled", meta.size);
            calibration.add(self.policy, meta.origin.to_string(), header, report, spool.in_memory());
            return Ok(());
        }
        let mailbox = meta.origin.folder().lossy().into_owned();
        let delivery = Delivery { account: &meta.origin.account.name, mailbox: &mailbox, moment: meta.received };
        let mut decision = decide::decide(self.policy, &header, report.as_ref(), &delivery, explain);
        if header.is_cut {
            let text = "its header is out of all measure: a field of many megabytes, a thousand Received fields, 2,000 senders, or 20,000 addresses in your domains; not all of it was looked at";
            decision.findings.push(("damaged", text.into()));
        }
        count(&meta, &decision, run);
        if let Output::Missing(missing, _) = &mut self.output {
            let beginning = || spool.beginning(LONGEST_NAMES);
            return missing.add(self.policy, &header, report.as_ref(), &decision, meta.received, beginning);
        }
        self.tell(&meta, &decision, run)?;
        self.write(meta, decision, spool)
    }

    fn write(&mut self, mut meta: Meta, decision: Decision, spool: &mut Spool) -> Result<()> {
        let Output::Stream(output) = &mut self.output else { return self.explain(meta, decision) };
        let settings = decision.skip.is_some().then_some(self.policy.digest);
        meta.route = Some(Routing {
            sender: decision.sender,
            recipients: decision.recipients,
            filings: decision.filings,
            journal: decision.journal,
            findings: findings(decision.findings),
            skip: decision.skip,
            settings,
        });
        match spool.in_memory() {
            Some(encoded) => output.write_slice(&meta, encoded)?,
            None => output.write_encoded(&meta, &mut spool.reader()?)?,
        }
        if meta.size >= LARGE { output.flush() } else { Ok(()) }
    }

    fn explain(&mut self, meta: Meta, decision: Decision) -> Result<()> {
        let Output::Records(output) = &mut self.output else { return Ok(()) };
        let route = Route {
            v: V1,
            origin: meta.origin,
            digest: meta.digest,
            sender: decision.sender,
            recipients: decision.recipients,
            filings: decision.filings,
            rejected: decision.rejected,
            findings: findings(decision.findings),
            skip: decision.skip,
        };
        Ok(output.write_all(&Record::Route(Box::new(route)).to_line()?)?)
    }

    /// Findings go to stderr and the run log, too; that reports are believed unverified is said once a run.
    fn tell(&mut self, meta: &Meta, decision: &Decision, run: &mut Run) -> Result<()> {
        for (word, text) in &decision.findings {
            run.find(finding(Some(meta), word, text.clone()))?;
        }
        if decision.is_unverified && !std::mem::replace(&mut self.told, true) {
            let text = "journal reports are believed without proof: name those who may send them in journal-from";
            run.find(finding(None, "unverified", text.into()))?;
        }
        Ok(())
    }

    fn flush(self) -> Result<()> {
        match self.output {
            Output::Stream(output) => output.finish().map(drop),
            Output::Records(mut output) => Ok(output.flush()?),
            Output::Calibration(calibration, mut output) => {
                output.write_all(calibration.finish()?.as_bytes())?;
                Ok(output.flush()?)
            }
            Output::Missing(missing, mut output) => {
                missing.write(&mut output)?;
                Ok(output.flush()?)
            }
        }
    }
}

/// Counts the message by its outcome, and under every user it is filed for.
fn count(meta: &Meta, decision: &Decision, run: &mut Run) {
    let outcome = match &decision.skip {
        Some(_) => "skipped",
        None if decision.is_unknown => "unknown",
        None => "routed",
    };
    run.count(outcome, meta.size);
    tally::add(&mut run.evidence, tally::decided_by(decision));
    let users: HashSet<&str> = decision.filings.iter().map(|filing| filing.user.as_str()).collect();
    for user in users {
        run.users.entry(user.into()).or_default().add(meta.size);
    }
}

/// Reads a report in the message's original octets, so that the inner message's place is one in them. Of a message of any size no more
/// than a piece is looked at, and no more of them than it takes.
fn read_report(meta: &Meta, spool: &mut Spool) -> Result<Option<Report>> {
    let mut decoder = Decoder::new(meta.eol, meta.size, journal::Reader::default());
    let mut encoded = spool.reader()?;
    while !decoder.output().is_done() {
        let octets = encoded.fill_buf()?;
        let piece = octets.get(..octets.len().min(PIECE)).unwrap_or_default();
        if piece.is_empty() {
            break;
        }
        decoder.write_all(piece)?;
        let used = piece.len();
        encoded.consume(used);
    }
    Ok(decoder.finish()?.0.finish())
}

/// Findings as they stand beside their message, which they need not name.
fn findings(found: Vec<(&'static str, String)>) -> Vec<Finding> {
    found.into_iter().map(|(word, text)| finding(None, word, text)).collect()
}

fn finding(meta: Option<&Meta>, word: &str, text: String) -> Finding {
    let (origin, digest): (_, Option<Digest>) = meta.map_or((None, None), |meta| (Some(meta.origin.clone()), Some(meta.digest)));
    Finding { origin, digest, finding: word.into(), text, ..Finding::default() }
}
