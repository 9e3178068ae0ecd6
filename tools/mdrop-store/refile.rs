//! `--refile`: files archived mail anew, as the routed stream says, and stores nothing.

use mdrop::archive::commit::Writer;
use mdrop::archive::index::Filed;
use mdrop::archive::refile::{Mail, Outcomes, Refiler, Target, Verdict};
use mdrop::archive::{Archive, Arrival, Learner};
use mdrop::error::{Result, Status, printable};
use mdrop::frame::{self, Run, Stdout};
use mdrop::identity::Digest;
use mdrop::interrupt::Input;
use mdrop::record::{Finding, Record, Role, Volume};
use mdrop::stream::{Meta, ReadError, StreamReader};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{self, Write};

/// How many subjects are remembered for what is printed of mails that wait.
const SUBJECTS: usize = 100_000;

/// Files the messages of the stream anew. With a profile, those of other accounts are passed over: its settings say nothing of them.
pub fn refile(archive: Archive, account: Option<&str>, dry_run: bool, input: Input, run: &mut Run) -> Result<()> {
    let mut writer;
    let target = if dry_run {
        Target::Look(&archive)
    } else {
        writer = Writer::new(archive, "mdrop-store")?;
        Target::Writer(&mut writer)
    };
    let mut job =
        Job { target, refiler: Refiler::default(), output: frame::stdout()?, subjects: HashMap::new(), users: BTreeMap::new(), dry_run };
    let carried = job.read(account, input, run);
    // What has come is recorded, also where the rest does not come.
    let ended = job.refiler.finish(&mut job.target).and_then(|outcomes| job.tell(outcomes, run));
    run.head = job.target.archive().head()?;
    job.sum_up(run);
    job.output.flush()?;
    carried.and(ended)
}

struct Job<'a> {
    target: Target<'a>,
    refiler: Refiler,
    output: Stdout,
    /// Subjects of messages that are not judged yet.
    subjects: HashMap<Digest, String>,
    /// By user: what was gained, and what was lost.
    users: BTreeMap<String, (u64, u64)>,
    dry_run: bool,
}

impl Job<'_> {
    fn read(&mut self, account: Option<&str>, input: Input, run: &mut Run) -> Result<()> {
        let mut reader = StreamReader::new(input);
        let mut others = 0_u64;
        loop {
            let arrival = match next(&mut reader) {
                Ok(Some(arrival)) => arrival,
                Ok(None) => break,
                Err(ReadError::Message(error)) => {
                    run.fail_message(None, &error)?;
                    continue;
                }
                Err(other) => return Err(other.into_error()),
            };
            if account.is_some_and(|account| account != arrival.meta.origin.account.name) {
                others += 1;
                run.count("other-account", arrival.meta.size);
                continue;
            }
            self.take(arrival, run)?;
        }
        if others > 0 {
            run.say(&format!(
                "{others} messages of other accounts stay as they are filed; with --archive in place of -p they are filed, too"
            ));
        }
        Ok(())
    }

    fn take(&mut self, arrival: Arrival, run: &mut Run) -> Result<()> {
        super::intake::tell(&arrival, run)?;
        if self.dry_run && self.subjects.len() < SUBJECTS {
            let subject = arrival.quoted.subject.as_ref().map(|subject| subject.lossy().into_owned());
            self.subjects.insert(arrival.meta.digest, subject.unwrap_or_default());
        }
        let (origin, size) = (arrival.meta.origin.clone(), arrival.meta.size);
        match self.refiler.take(&mut self.target, arrival) {
            Ok(outcomes) => {
                run.count("judged", size);
                self.tell(outcomes, run)
            }
            Err(e) if e.status() == Status::Data => run.fail_message(Some(&origin), &e.about(origin.to_string())),
            Err(e) => Err(e),
        }
    }

    /// After the commit, never before: the refilings, or in a dry run who gains and who loses.
    fn tell(&mut self, outcomes: Outcomes, run: &mut Run) -> Result<()> {
        for record in &outcomes.records {
            if matches!(record, Record::Refiling(_)) {
                self.output.write_all(&record.to_line()?)?;
            }
        }
        for (mail, verdict) in outcomes.verdicts {
            self.tell_of(&mail, &verdict, run)?;
            mail.given.iter().for_each(|given| drop(self.subjects.remove(&given.digest)));
        }
        Ok(())
    }

    fn tell_of(&mut self, mail: &Mail, verdict: &Verdict, run: &mut Run) -> Result<()> {
        if let Some(kept) = verdict.kept.first() {
            let users: Vec<&str> = verdict.kept.iter().map(|filed| filed.filing.user.as_str()).collect();
            let text = format!("{} stays filed under {}: other copies of this mail were not in the stream", kept.digest, users.join(", "));
            run.find(Finding { digest: Some(kept.digest), finding: "unseen".into(), text, ..Finding::default() })?;
        }
        let same = |one: &Filed, other: &Filed| {
            let (one, other) = (&one.filing, &other.filing);
            one.user == other.user && one.role == other.role && one.folder == other.folder
        };
        let lost = verdict.removed.iter().filter(|lost| !verdict.added.iter().any(|gained| same(gained, lost)));
        let gained = verdict.added.iter().filter(|gained| !verdict.removed.iter().any(|lost| same(gained, lost)));
        let changes: Vec<(&Filed, &str)> = lost.map(|filed| (filed, "loses")).chain(gained.map(|filed| (filed, "gains"))).collect();
        let (mut gainers, mut losers) = (HashSet::new(), HashSet::new());
        for (filed, word) in changes {
            let who = if word == "gains" { &mut gainers } else { &mut losers };
            who.insert(filed.filing.user.clone());
            if self.dry_run {
                self.print(mail, filed, word)?;
            }
        }
        gainers.into_iter().for_each(|user| self.users.entry(user).or_default().0 += 1);
        losers.into_iter().for_each(|user| self.users.entry(user).or_default().1 += 1);
        if !verdict.removed.is_empty() || !verdict.added.is_empty() {
            run.count("refiled", 0);
        }
        Ok(())
    }

    /// One line a change, its parts between tabs: user, gains or loses, role, folder, digest, subject.
    fn print(&mut self, mail: &Mail, filed: &Filed, word: &str) -> io::Result<()> {
        let mut known = std::iter::once(filed.digest).chain(mail.given.iter().map(|given| given.digest));
        let subject = known.find_map(|digest| self.subjects.get(&digest)).map_or("", String::as_str);
        let role = if filed.filing.role == Role::Sender { "sender" } else { "recipient" };
        let shown = [printable(&filed.filing.user), word.into(), role.into(), printable(&filed.filing.folder)];
        writeln!(self.output, "{}\t{}\t{}", shown.join("\t"), filed.digest, printable(subject))
    }

    /// A line a user on standard error, and the counts in the run log.
    fn sum_up(&mut self, run: &mut Run) {
        for (user, (gained, lost)) in &self.users {
            let line = format!("{user} gains {gained} and loses {lost} messages");
            if self.dry_run {
                run.say(&line);
            } else {
                run.detail(&line);
            }
            let counts = [("gained", gained), ("lost", lost)];
            for (word, messages) in counts.into_iter().filter(|(_, messages)| **messages > 0) {
                run.counts.entry(format!("{word}:{user}")).or_insert(Volume { messages: *messages, bytes: 0 });
            }
        }
    }
}

/// The next message of the stream, of which only what is learnt as it passes is kept.
fn next(reader: &mut StreamReader<Input>) -> std::result::Result<Option<Arrival>, ReadError> {
    let mut learner = Learner::default();
    let look = |meta: &Meta, learner: &mut Learner| {
        *learner = Learner::of(meta.route.as_ref().and_then(|route| route.journal.as_ref()));
        Ok(())
    };
    let meta = reader.read_into(look, &mut io::sink(), &mut learner)?;
    Ok(meta.map(|meta| learner.finish(meta)))
}
