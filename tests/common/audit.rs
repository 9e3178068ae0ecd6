//! Reads an archive with zstd and JSON alone, as mdrop-archive(5) describes it, to say what it holds and whether it hangs together.

use blake3::hash;
use mdrop::record::{Receipt, Record};
use mdrop::stream::StreamReader;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::sink;
use std::path::{Path, PathBuf};

/// What an archive holds. Two archives that are equal here are the same to everybody.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Audit {
    /// The filings in force: user, role, fingerprint.
    pub filings: BTreeSet<(String, String, String)>,
    /// Messages that a receipt names and that were read back with their digest.
    pub readable: BTreeSet<String>,
    /// Origins that a receipt ties to a message, with that one, and whether their copy was purged since.
    pub origins: BTreeMap<String, (String, bool)>,
}

/// The files of a series, by number.
pub fn numbered(archive: &Path, folder: &str) -> BTreeMap<u64, PathBuf> {
    let files = walkdir::WalkDir::new(archive.join(folder)).into_iter().flatten().filter(|entry| entry.file_type().is_file());
    let number = |path: &Path| path.file_name()?.to_str()?.split('.').next()?.parse().ok();
    files.filter_map(|entry| Some((number(entry.path())?, entry.into_path()))).collect()
}

/// Messages of one frame: the digest of each by its position.
type Frame = HashMap<u64, String>;

/// Reads everything; an error says what does not hang together. Packs that no segment names are no error.
pub fn audit(archive: &Path) -> Result<Audit, String> {
    let mut audit = Audit::default();
    let mut frames: HashMap<(u64, u64), Frame> = HashMap::new();
    let segments = numbered(archive, "catalog");
    // What appears while this reads is left to the next reading: the packs are looked at after the segments.
    let packs = numbered(archive, "packs");
    let mut previous: Option<String> = None;
    for (number, path) in segments {
        let about = |what: &str| format!("segment {number}: {what}");
        let file = std::fs::read(&path).map_err(|e| about(&e.to_string()))?;
        let lines = zstd::decode_all(file.as_slice()).map_err(|e| about(&e.to_string()))?;
        let mut lines = lines.split_inclusive(|octet| *octet == b'\n');
        let header: serde_json::Value = serde_json::from_slice(lines.next().unwrap_or_default()).map_err(|e| about(&e.to_string()))?;
        if header["previous"].as_str() != previous.as_deref() || header["segment"].as_u64() != Some(number) {
            return Err(about("does not stand on the one before"));
        }
        previous = Some(format!("blake3:{}", hash(&file)));
        pack_is_there(&header, &packs).map_err(|what| about(&what))?;
        for line in lines {
            let record = Record::parse(line).map_err(|e| about(&e.to_string()))?;
            audit.take(record, &packs, &mut frames).map_err(|what| about(&what))?;
        }
    }
    Ok(audit)
}

/// What the catalog says, record by record, without looking at any pack.
pub fn records(archive: &Path) -> Vec<Record> {
    let segments = numbered(archive, "catalog").into_values();
    let lines = segments.map(|path| zstd::decode_all(std::fs::File::open(path).unwrap()).unwrap());
    let parse = |lines: Vec<u8>| {
        lines.split_inclusive(|octet| *octet == b'\n').skip(1).map(|line| Record::parse(line).unwrap()).collect::<Vec<_>>()
    };
    lines.flat_map(parse).collect()
}

/// Whether each segment that is there names a pack that is there; for an archive that is being written to. Returns how many segments.
pub fn packs_are_there(archive: &Path) -> Result<usize, String> {
    let segments = numbered(archive, "catalog");
    let packs = numbered(archive, "packs");
    for (number, path) in &segments {
        let lines = zstd::decode_all(std::fs::File::open(path).unwrap()).map_err(|e| format!("segment {number}: {e}"))?;
        let header = serde_json::from_slice(lines.split(|octet| *octet == b'\n').next().unwrap_or_default()).map_err(|e| e.to_string())?;
        pack_is_there(&header, &packs).map_err(|what| format!("segment {number}: {what}"))?;
    }
    Ok(segments.len())
}

/// The pack that a segment names must be there, octet for octet.
fn pack_is_there(header: &serde_json::Value, packs: &BTreeMap<u64, PathBuf>) -> Result<(), String> {
    let Some(number) = header["pack"]["pack"].as_u64() else { return Ok(()) };
    let path = packs.get(&number).ok_or(format!("names pack {number}, which is not there"))?;
    let pack = std::fs::read(path).map_err(|e| e.to_string())?;
    let right = header["pack"]["blake3"] == format!("blake3:{}", hash(&pack)).as_str() && header["pack"]["size"] == pack.len();
    right.then_some(()).ok_or(format!("names pack {number}, which is another one"))
}

impl Audit {
    fn take(&mut self, record: Record, packs: &BTreeMap<u64, PathBuf>, frames: &mut HashMap<(u64, u64), Frame>) -> Result<(), String> {
        let filing = |filing: &mdrop::record::Filing, print: &mdrop::identity::Fingerprint| {
            (filing.user.clone(), format!("{:?}", filing.role), print.to_string())
        };
        match record {
            Record::Receipt(receipt) => {
                self.readable.insert(read_back(&receipt, packs, frames)?);
                self.filings.extend(receipt.filings.iter().map(|it| filing(it, &receipt.fingerprint)));
                self.origins.insert(receipt.origin.to_string(), (receipt.digest.to_string(), false));
            }
            Record::Refiling(refiling) => {
                self.filings.extend(refiling.added.iter().map(|it| filing(it, &refiling.fingerprint)));
                for removed in &refiling.removed {
                    self.filings.remove(&filing(removed, &refiling.fingerprint));
                }
            }
            Record::Purge(purge) => drop(self.origins.insert(purge.origin.to_string(), (purge.digest.to_string(), true))),
            _ => {}
        }
        Ok(())
    }

    /// Whether what a receipt says is so.
    pub fn has(&self, receipt: &Receipt) -> bool {
        let origin = self.origins.get(&receipt.origin.to_string());
        self.readable.contains(&receipt.digest.to_string()) && origin.is_some_and(|(digest, _)| *digest == receipt.digest.to_string())
    }
}

/// Reads the message of a receipt where it is said to lie.
fn read_back(receipt: &Receipt, packs: &BTreeMap<u64, PathBuf>, frames: &mut HashMap<(u64, u64), Frame>) -> Result<String, String> {
    let key = (receipt.pack, receipt.frame.offset);
    if let Entry::Vacant(vacant) = frames.entry(key) {
        let pack = std::fs::read(packs.get(&receipt.pack).ok_or("a receipt's pack is not there")?).map_err(|e| e.to_string())?;
        let (from, length) = (usize::try_from(receipt.frame.offset).unwrap(), usize::try_from(receipt.frame.length).unwrap());
        let frame = zstd::decode_all(pack.get(from..from + length).ok_or("a frame is not there")?).map_err(|e| e.to_string())?;
        vacant.insert(messages(&frame)?);
    }
    let at = frames[&key].get(&receipt.position).ok_or("no message where a receipt says")?;
    (*at == receipt.digest.to_string()).then(|| at.clone()).ok_or("another message where a receipt says".into())
}

fn messages(frame: &[u8]) -> Result<Frame, String> {
    let mut reader = StreamReader::new(frame);
    let mut found = Frame::new();
    loop {
        let position = reader.position();
        match reader.read(&mut sink(), &mut sink()) {
            Ok(Some(meta)) => drop(found.insert(position, meta.digest.to_string())),
            Ok(None) => return Ok(found),
            Err(e) => return Err(e.into_error().to_string()),
        }
    }
}
