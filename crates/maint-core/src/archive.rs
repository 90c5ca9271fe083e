//! One archive: a tar that every `tar` unpacks, compressed on its way, and with each member the record of
//! the file it was. Only the member at hand is in memory.
//!
//! A member is a pax header, a ustar header and the content. [`read`] is for archives of [`Writer`] alone
//! and takes nothing else: what it has read to its end is what was written.

use crate::time::Timestamp;
use std::{
    borrow::Cow,
    ffi::CString,
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek as _, Write as _},
};
use tar::{EntryType, Header};
use zstd::stream::{read::Decoder, write::Encoder};

/// What a tar is made of.
const BLOCK: usize = 512;

/// Two empty blocks are the end of a tar.
const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// How much of a member is read at once.
const CHUNK: usize = 64 << 10;

/// Room for all attributes of one file: ext4 keeps 64 KiB, and a damaged header must not claim gigabytes.
const LONGEST_RECORDS: usize = 16 << 20;

/// As many bytes as a ustar header has for a name.
const SHORT_NAME: usize = 100;

/// The largest numbers of the octal fields of a ustar header; pax has no limit.
const LARGEST_SIZE: u64 = (1 << 33) - 1;
const LARGEST_ID: u32 = (1 << 21) - 1;

const NANOS: u64 = 1_000_000_000;

/// Every tar skips a comment in silence; GNU tar complains about keys it does not know.
const INODE: &str = "maint inode ";

const XATTR: &[u8] = b"SCHILY.xattr.";

/// The file that a member was when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Inode number.
    pub inode: u64,
    /// Length in bytes, and exactly what the archive holds of it.
    pub size: u64,
    /// When its content last changed.
    pub modified: Timestamp,
    /// Permission bits; the kind of file is left out.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Extended attributes, in the order they were given.
    pub xattrs: Vec<(CString, Vec<u8>)>,
}

/// What became of a file on its way into the archive; its member is well-formed in any case.
#[derive(Debug)]
pub enum Added {
    /// Exactly `size` bytes were there.
    Whole,
    /// It was shorter, and zeros stand for the rest, or longer, and the rest is left out.
    Changed,
    /// It could not be read to its end, and zeros stand for the rest.
    Unreadable(io::Error),
}

/// A member as [`read`] hands it out.
pub struct Stored<'a> {
    /// Its path, below whatever the writer took for the root.
    pub path: &'a [u8],
    /// The file it was.
    pub member: &'a Member,
    /// Its content, `member.size` bytes; what is not read is skipped.
    pub content: &'a mut dyn Read,
}

/// An archive being written. After an error of its file it is to be dropped.
pub struct Writer {
    out: Encoder<'static, File>,
    chunk: Vec<u8>,
}

impl Writer {
    /// Begins an archive at the file's position; `level` is zstd's.
    pub fn new(file: File, level: i32) -> io::Result<Self> {
        let mut out = Encoder::new(file, level)?;
        out.include_checksum(true)?;
        Ok(Self { out, chunk: vec![0; CHUNK] })
    }

    /// Adds a file from its current position; trouble with the archive itself is an error, and so is, with
    /// nothing written, a path or a record that no archive takes (`InvalidInput`).
    pub fn add(&mut self, path: &[u8], source: &mut File, member: &Member) -> io::Result<Added> {
        self.add_from(path, source, member)
    }

    /// Ends the archive; the file has still to be synced.
    pub fn finish(mut self) -> io::Result<File> {
        self.out.write_all(&END)?;
        self.out.finish()
    }

    fn add_from(&mut self, path: &[u8], source: &mut dyn Read, member: &Member) -> io::Result<Added> {
        if !stays_below(path) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no path of an archive's member"));
        }
        let records = records(path, member);
        if records.len() > LONGEST_RECORDS {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "more attributes than an archive takes"));
        }
        self.out.write_all(records_header(records.len() as u64).as_bytes())?;
        self.out.write_all(&records)?;
        self.zeros(padding(records.len() as u64))?;
        self.out.write_all(member_header(path, member).as_bytes())?;
        self.content(source, member.size)
    }

    fn content(&mut self, source: &mut dyn Read, size: u64) -> io::Result<Added> {
        let mut left = size;
        let added = loop {
            // At the end one byte more is asked for: a file that grew is not the one that was looked at.
            let room = at_most(left.max(1), self.chunk.len());
            match read_some(source, &mut self.chunk[..room]) {
                Ok(0) if left == 0 => break Added::Whole,
                Ok(n) if n == 0 || left == 0 => break Added::Changed,
                Ok(n) => {
                    self.out.write_all(&self.chunk[..n])?;
                    left -= n as u64;
                }
                Err(error) => break Added::Unreadable(error),
            }
        };
        self.zeros(left.saturating_add(padding(size)))?;
        Ok(added)
    }

    fn zeros(&mut self, count: u64) -> io::Result<()> {
        io::copy(&mut io::repeat(0).take(count), &mut self.out)?;
        Ok(())
    }
}

/// Reads an archive from its first byte to its last and answers how many members it has.
///
/// Only the answer says that the archive is undamaged: members are handed to `each` before the checksum at
/// the end is reached. An error of `each` ends the reading.
pub fn read(mut file: File, each: &mut dyn FnMut(Stored<'_>) -> io::Result<()>) -> io::Result<u64> {
    file.rewind()?;
    read_from(BufReader::with_capacity(CHUNK, file), each)
}

fn read_from(source: impl BufRead, each: &mut dyn FnMut(Stored<'_>) -> io::Result<()>) -> io::Result<u64> {
    let mut archive = Decoder::with_buffer(source)?.single_frame();
    let mut count = 0;
    while let Some(header) = next_header(&mut archive)? {
        let (path, member) = next_member(&mut archive, &header)?;
        let mut content = Content { archive: &mut archive, left: member.size, broken: false };
        each(Stored { path: &path, member: &member, content: &mut content })?;
        content.skip()?;
        skip_padding(&mut archive, member.size)?;
        count += 1;
    }
    read_end(archive)?;
    Ok(count)
}

/// The content of one member on its way out.
struct Content<'a> {
    archive: &'a mut dyn Read,
    left: u64,
    /// Whoever reads may swallow an error, and what follows it means nothing.
    broken: bool,
}

impl Content<'_> {
    fn skip(mut self) -> io::Result<()> {
        if self.broken {
            return Err(damaged("a member cannot be read"));
        }
        io::copy(&mut self, &mut io::sink())?;
        Ok(())
    }
}

impl Read for Content<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = at_most(self.left, buffer.len());
        if room == 0 {
            return Ok(0);
        }
        let n = match read_some(self.archive, &mut buffer[..room]) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            answer => answer,
        };
        self.broken |= n.is_err();
        self.left -= *n.as_ref().unwrap_or(&0) as u64;
        n
    }
}

/// The header that comes next, or nothing at the first of the two empty blocks.
fn next_header(archive: &mut dyn Read) -> io::Result<Option<Header>> {
    let mut header = Header::new_old();
    archive.read_exact(header.as_mut_bytes())?;
    if header.as_bytes()[..] == END[..BLOCK] {
        return Ok(None);
    }
    let mut summed = header.clone();
    summed.set_cksum();
    if summed.as_bytes() == header.as_bytes() && header.as_ustar().is_some() {
        Ok(Some(header))
    } else {
        Err(damaged("a header does not add up"))
    }
}

/// Goes from a pax header to the start of the content it announces.
fn next_member(archive: &mut dyn Read, header: &Header) -> io::Result<(Vec<u8>, Member)> {
    let records = read_records(archive, header)?;
    match next_header(archive)? {
        Some(header) if header.entry_type() == EntryType::Regular => described(&header, &records),
        _ => Err(damaged("a member is missing")),
    }
}

fn read_records(archive: &mut dyn Read, header: &Header) -> io::Result<Vec<u8>> {
    let size = header.entry_size()?;
    if header.entry_type() != EntryType::XHeader || size > LONGEST_RECORDS as u64 {
        return Err(damaged("a member has no record"));
    }
    let mut records = vec![0; at_most(size, LONGEST_RECORDS)];
    archive.read_exact(&mut records)?;
    skip_padding(archive, size)?;
    Ok(records)
}

fn skip_padding(archive: &mut dyn Read, size: u64) -> io::Result<()> {
    archive.read_exact(&mut [0; BLOCK][..at_most(padding(size), BLOCK)])
}

/// The second empty block, and nothing behind it inside or outside the compressed frame. Asking for a byte
/// that must not be there also makes zstd compare its checksum.
fn read_end(mut archive: Decoder<'_, impl BufRead>) -> io::Result<()> {
    let mut block = [0; BLOCK];
    archive.read_exact(&mut block)?;
    if block[..] != END[..BLOCK] || read_some(&mut archive, &mut block)? != 0 {
        return Err(damaged("it goes on after its end"));
    }
    if archive.finish().fill_buf()?.is_empty() { Ok(()) } else { Err(damaged("something is appended to it")) }
}

/// Path and file of a member; what a record says goes before the header.
fn described(header: &Header, mut records: &[u8]) -> io::Result<(Vec<u8>, Member)> {
    let (mut path, mut modified, mut inode) = (header.path_bytes(), None, None);
    let (mut size, mut uid, mut gid) = (header.entry_size()?, header.uid()?, header.gid()?);
    let mut xattrs = Vec::new();
    while !records.is_empty() {
        let (key, value, rest) = next_record(records).ok_or_else(|| damaged("a record is torn"))?;
        records = rest;
        match key {
            b"path" => path = Cow::Borrowed(value),
            b"mtime" => modified = timestamp_in(value),
            b"size" => size = number_in(value)?,
            b"uid" => uid = number_in(value)?,
            b"gid" => gid = number_in(value)?,
            b"comment" => inode = value.strip_prefix(INODE.as_bytes()).map(number_in).transpose()?,
            key => xattrs.push((attribute_in(key)?, value.to_vec())),
        }
    }
    let (Some(modified), Some(inode), true) = (modified, inode, stays_below(&path)) else {
        return Err(damaged("a record is not ours"));
    };
    let id = |id: u64| u32::try_from(id).map_err(|_| damaged("a number is too large"));
    let member = Member { inode, size, modified, mode: header.mode()?, uid: id(uid)?, gid: id(gid)?, xattrs };
    Ok((path.into_owned(), member))
}

/// Splits `LENGTH KEY=VALUE\n` off; only the length says where a value ends.
fn next_record(records: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = records.iter().position(|byte| *byte == b' ')?;
    let length: usize = parsed(&records[..space])?;
    let (record, rest) = records.split_at_checked(length)?;
    let record = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    Some((&record[..equals], &record[equals + 1..], rest))
}

fn records(path: &[u8], member: &Member) -> Vec<u8> {
    let mut records = Vec::new();
    let mut push = |key: &[u8], value: &[u8]| push_record(&mut records, key, value);
    if !fits_header(path) {
        push(b"path", path);
    }
    push(b"mtime", decimal(member.modified).as_bytes());
    if member.size > LARGEST_SIZE {
        push(b"size", member.size.to_string().as_bytes());
    }
    for (key, id) in [("uid", member.uid), ("gid", member.gid)] {
        if id > LARGEST_ID {
            push(key.as_bytes(), id.to_string().as_bytes());
        }
    }
    push(b"comment", format!("{INODE}{}", member.inode).as_bytes());
    for (name, value) in &member.xattrs {
        push(&attribute_key(name.to_bytes()), value);
    }
    records
}

/// A record begins with its own length, and that counts its own digits too.
fn push_record(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let bare = key.len() + value.len() + b" =\n".len();
    let mut length = bare;
    while length != bare + length.to_string().len() {
        length = bare + length.to_string().len();
    }
    records.extend_from_slice(length.to_string().as_bytes());
    for part in [b" ", key, b"=", value, b"\n"] {
        records.extend_from_slice(part);
    }
}

/// An equals sign would end the key, so it is written as GNU tar writes it.
fn attribute_key(name: &[u8]) -> Vec<u8> {
    let mut key = XATTR.to_vec();
    for byte in name {
        match byte {
            b'%' => key.extend_from_slice(b"%25"),
            b'=' => key.extend_from_slice(b"%3D"),
            byte => key.push(*byte),
        }
    }
    key
}

fn attribute_in(key: &[u8]) -> io::Result<CString> {
    let strange = || damaged("a record has a strange key");
    let mut rest = key.strip_prefix(XATTR).ok_or_else(strange)?;
    let mut name = Vec::with_capacity(rest.len());
    while let Some((&byte, after)) = rest.split_first() {
        let (byte, after) = match (byte, after) {
            (b'%', [b'2', b'5', after @ ..]) => (b'%', after),
            (b'%', [b'3', b'D', after @ ..]) => (b'=', after),
            (b'%', _) => return Err(strange()),
            plain => plain,
        };
        name.push(byte);
        rest = after;
    }
    CString::new(name).map_err(|_| strange())
}

/// Seconds with a fraction. Half a second before 1970 is `-0.5`, in a [`Timestamp`] minus one and a half.
fn decimal(time: Timestamp) -> String {
    let nanos = i128::from(time.seconds) * i128::from(NANOS) + i128::from(time.nanos);
    let sign = if nanos < 0 { "-" } else { "" };
    let (whole, part) = (nanos.unsigned_abs() / u128::from(NANOS), nanos.unsigned_abs() % u128::from(NANOS));
    format!("{sign}{whole}.{part:09}")
}

fn timestamp_in(value: &[u8]) -> Option<Timestamp> {
    let magnitude = value.strip_prefix(b"-").unwrap_or(value);
    let (whole, part) =
        str::from_utf8(magnitude).ok()?.split_once('.').filter(|(_, part)| part.len() == 9)?;
    let (whole, part): (u64, u32) = (whole.parse().ok()?, part.parse().ok()?);
    let magnitude = i128::from(whole) * i128::from(NANOS) + i128::from(part);
    let nanos = if value.starts_with(b"-") { -magnitude } else { magnitude };
    Some(Timestamp {
        seconds: nanos.div_euclid(NANOS.into()).try_into().ok()?,
        nanos: nanos.rem_euclid(NANOS.into()).try_into().ok()?,
    })
}

fn records_header(size: u64) -> Header {
    let mut header = plain_header(b"././@PaxHeader", EntryType::XHeader, size);
    header.set_mode(0o644);
    header.set_cksum();
    header
}

fn member_header(path: &[u8], member: &Member) -> Header {
    // A tar too old for pax gets a name that is at least no other member's.
    let stand_in = format!("inode-{}", member.inode);
    let name = if fits_header(path) { path } else { stand_in.as_bytes() };
    let mut header = plain_header(name, EntryType::Regular, member.size);
    header.set_mode(member.mode & 0o7777);
    header.set_uid(member.uid.into());
    header.set_gid(member.gid.into());
    header.set_mtime(u64::try_from(member.modified.seconds).unwrap_or(0));
    header.set_cksum();
    header
}

fn plain_header(name: &[u8], kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header
}

fn fits_header(path: &[u8]) -> bool {
    path.len() <= SHORT_NAME && path.iter().all(|byte| matches!(byte, b' '..=b'~'))
}

/// Whether a path names something below the folder it is unpacked in, with nothing for a tar to tidy.
fn stays_below(path: &[u8]) -> bool {
    !path.contains(&0) && path.split(|byte| *byte == b'/').all(|part| !matches!(part, b"" | b"." | b".."))
}

/// Bytes from the end of a content to the next block.
fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

/// The smaller of what is left and the room there is.
fn at_most(left: u64, room: usize) -> usize {
    usize::try_from(left).map_or(room, |left| left.min(room))
}

fn read_some(source: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match source.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            answer => return answer,
        }
    }
}

fn number_in(value: &[u8]) -> io::Result<u64> {
    parsed(value).ok_or_else(|| damaged("a number is none"))
}

fn parsed<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    str::from_utf8(digits).ok()?.parse().ok()
}

fn damaged(how: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the archive is damaged or not ours: {how}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{
        ffi::OsStr,
        os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
        path::{Path, PathBuf},
        process::Command,
    };

    type Kept = (Vec<u8>, Member, Vec<u8>);

    /// A file that no name leads to and nobody has to remove.
    fn nameless() -> File {
        rustix::fs::memfd_create(c"archive", rustix::fs::MemfdFlags::CLOEXEC).unwrap().into()
    }

    fn holding(content: &[u8]) -> File {
        let mut file = nameless();
        file.write_all(content).unwrap();
        file.rewind().unwrap();
        file
    }

    fn member(size: u64) -> Member {
        let (uid, gid) = (nix::unistd::getuid().as_raw(), nix::unistd::getgid().as_raw());
        let modified = Timestamp { seconds: 1_700_000_000, nanos: 123_456_789 };
        Member { inode: 42, size, modified, mode: 0o640, uid, gid, xattrs: Vec::new() }
    }

    fn kept(path: &[u8], content: &[u8]) -> Kept {
        (path.to_vec(), member(content.len() as u64), content.to_vec())
    }

    fn written(members: &[Kept]) -> Vec<u8> {
        let mut writer = Writer::new(nameless(), 3).unwrap();
        for (path, member, content) in members {
            assert!(matches!(writer.add(path, &mut holding(content), member).unwrap(), Added::Whole));
        }
        bytes(writer.finish().unwrap())
    }

    fn bytes(mut file: File) -> Vec<u8> {
        let mut all = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut all).unwrap();
        all
    }

    fn members(archive: &[u8]) -> io::Result<Vec<Kept>> {
        let mut found = Vec::new();
        let count = read_from(archive, &mut |stored| {
            let mut content = Vec::new();
            stored.content.read_to_end(&mut content)?;
            found.push((stored.path.to_vec(), stored.member.clone(), content));
            Ok(())
        })?;
        assert_eq!(count, found.len() as u64);
        Ok(found)
    }

    fn compressed(tar: &[u8]) -> Vec<u8> {
        let mut out = Encoder::new(Vec::new(), 3).unwrap();
        out.include_checksum(true).unwrap();
        out.write_all(tar).unwrap();
        out.finish().unwrap()
    }

    fn deep_path() -> Vec<u8> {
        [[b'd'; 99].as_slice(); 10].join(&b'/')[..999].to_vec()
    }

    fn strange_members() -> Vec<Kept> {
        let mut all = vec![
            kept(&[b'n'; 255], b"long name"),
            kept(&deep_path(), b"long path"),
            kept(&[b'h'; 100], b"just in the header"),
            kept(&[b'h'; 101], b"just not"),
            kept(b"latin/\xe9t\xe9.jpg", b"not UTF-8"),
            kept("Gr\u{fc}\u{df}e \u{732b}.jpg".as_bytes(), b"UTF-8"),
            kept(b"-rf", b"leading dash"),
            kept(b"two\nlines=3 path=x\n", b"newlines"),
            kept(b"tab\tand\x7f", b"control"),
            kept(b"back\\slash *?", b"globs"),
        ];
        for size in [0, 1, 511, 512, 513, 3 << 20] {
            let content: Vec<u8> = (0..size).map(|i| u8::try_from(i * 7 % 251).unwrap()).collect();
            all.push(kept(format!("size-{size}").as_bytes(), &content));
        }
        let times = [(0, 0), (-1, 500_000_000), (-1, 0), (-86_400, 1), (1, 999_999_999), (1 << 33, 5)];
        for (i, (seconds, nanos)) in times.into_iter().enumerate() {
            let mut timed = kept(format!("time-{i}").as_bytes(), b"then");
            timed.1.modified = Timestamp { seconds, nanos };
            timed.1.mode = [0o600, 0o444, 0o755, 0o4711, 0o000, 0o666][i];
            timed.1.inode = u64::MAX - i as u64;
            all.push(timed);
        }
        all
    }

    #[test]
    fn everything_comes_back() {
        let mut all = strange_members();
        let mut rich = kept(b"rich", b"attributes");
        rich.1.xattrs = vec![
            (c"user.plain".into(), b"value".to_vec()),
            (c"user.empty".into(), Vec::new()),
            (c"user.a=b%25".into(), b"\0\n=\xff 12 path=x\n".to_vec()),
            (CString::new(b"user.\xff".to_vec()).unwrap(), vec![b'\n'; 64 << 10]),
        ];
        (rich.1.uid, rich.1.gid) = (u32::MAX, LARGEST_ID + 1);
        all.push(rich);
        assert!(members(&written(&all)).unwrap() == all);
        assert_eq!(members(&written(&[])).unwrap(), []);
    }

    #[test]
    fn what_is_not_read_is_skipped() {
        let archive = written(&strange_members());
        assert_eq!(read(holding(&archive), &mut |_| Ok(())).unwrap(), strange_members().len() as u64);
        let mut first = Vec::new();
        read_from(&*archive, &mut |stored| {
            stored.content.take(2).read_to_end(&mut first)?;
            Ok(())
        })
        .unwrap();
        assert!(first.starts_with(b"lolojujunoUTle"));
    }

    #[test]
    fn a_size_beyond_ustar_is_in_its_record() {
        let member = member(LARGEST_SIZE + 1);
        let (path, read) = described(&member_header(b"huge", &member), &records(b"huge", &member)).unwrap();
        assert_eq!((&path[..], read), (&b"huge"[..], member.clone()));
        let stated = b"size=8589934592\n";
        assert!(records(b"huge", &member).windows(stated.len()).any(|part| part == stated));
    }

    /// Gives some bytes and then fails as a bad disk does.
    struct Failing<'a>(&'a [u8]);

    impl Read for Failing<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.0.read(buffer)? {
                0 => Err(nix::errno::Errno::EIO.into()),
                n => Ok(n),
            }
        }
    }

    #[test]
    fn a_file_that_changes_or_fails_leaves_a_sound_archive() {
        let mut writer = Writer::new(nameless(), 3).unwrap();
        let mut add = |source: &mut dyn Read| writer.add_from(b"f", source, &member(600)).unwrap();
        assert!(matches!(add(&mut &[7; 100][..]), Added::Changed));
        assert!(matches!(add(&mut &[7; 601][..]), Added::Changed));
        assert!(matches!(add(&mut &[7; 600][..]), Added::Whole));
        assert!(matches!(add(&mut Failing(&[7; 513])), Added::Unreadable(_)));
        assert!(matches!(add(&mut File::open("/").unwrap()), Added::Unreadable(_)));
        let found = members(&bytes(writer.finish().unwrap())).unwrap();
        for ((_, _, content), real) in found.iter().zip([100, 600, 600, 513, 0]) {
            assert_eq!(content.len(), 600);
            assert!(content[..real].iter().all(|byte| *byte == 7) && content[real..].iter().all(|b| *b == 0));
        }
        assert_eq!(found.len(), 5);
    }

    #[test]
    fn a_full_disk_is_an_error() {
        let mut full = Writer::new(File::options().write(true).open("/dev/full").unwrap(), 3).unwrap();
        let added = full.add(b"f", &mut File::open("/dev/urandom").unwrap(), &member(4 << 20));
        assert_eq!(added.unwrap_err().raw_os_error(), Some(nix::errno::Errno::ENOSPC as i32));
        let full = Writer::new(File::options().write(true).open("/dev/full").unwrap(), 3).unwrap();
        full.finish().unwrap_err();
    }

    #[test]
    fn paths_that_lead_elsewhere_are_refused() {
        for path in [&b""[..], b"/etc", b"a/../b", b"..", b"a//b", b"a/", b"./a", b"a\0b"] {
            let mut writer = Writer::new(nameless(), 3).unwrap();
            writer.add(path, &mut holding(b""), &member(0)).unwrap_err();
            let mut forged = Vec::new();
            push_record(&mut forged, b"path", path);
            forged.extend_from_slice(&records(b"f", &member(0)));
            described(&member_header(b"f", &member(0)), &forged).unwrap_err();
        }
    }

    #[test]
    fn cut_or_extended_archives_are_errors() {
        let all = [kept(b"a", &[1; 700]), kept(b"b\n", b"two"), kept(b"c", b"")];
        let archive = written(&all);
        for length in 0..archive.len() {
            assert!(members(&archive[..length]).is_err(), "cut to {length}");
        }
        for more in [&b"\0"[..], b"garbage", b"\x50\x2a\x4d\x18\0\0\0\0", &archive] {
            assert!(members(&[&archive, more].concat()).is_err());
        }
        let tar = zstd::decode_all(&*archive).unwrap();
        for blocks in 0..tar.len() / BLOCK {
            assert!(members(&compressed(&tar[..blocks * BLOCK])).is_err(), "cut to {blocks} blocks");
        }
        assert!(members(&compressed(&[&tar[..], &END].concat())).is_err());
        assert_eq!(members(&compressed(&tar)).unwrap(), all);
    }

    #[test]
    fn every_flipped_byte_is_noticed_or_harmless() {
        let mut state = 1_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_be_bytes()[0]
        };
        let noise: Vec<u8> = (0..1200).map(|_| random()).collect();
        let all = [kept(b"noise", &noise), kept(b"\xff\n", b"second"), kept(b"c", &[0; 600])];
        let mut archive = written(&all);
        assert!(archive.len() > 1200);
        for place in 0..archive.len() {
            for flip in [1, 2, 4, 8, 16, 32, 64, 128, 255] {
                archive[place] ^= flip;
                assert!(members(&archive).map_or(true, |found| found == all), "byte {place} by {flip}");
                archive[place] ^= flip;
            }
        }
    }

    #[test]
    fn an_error_that_the_reader_swallows_is_still_one() {
        let mut archive = written(&[kept(b"a", &[1; 700]), kept(b"b", b"two")]);
        archive.truncate(archive.len() / 2);
        let swallow = &mut |stored: Stored<'_>| {
            let _ = stored.content.read_to_end(&mut Vec::new());
            Ok(())
        };
        read_from(&*archive, swallow).unwrap_err();
    }

    /// What GNU tar makes of an archive, in a folder that goes with the test.
    struct Unpacked(PathBuf);

    impl Unpacked {
        fn new(name: &str, tar: &[u8]) -> Self {
            let into = Self(std::env::temp_dir().join(format!("maint-{name}-{}", std::process::id())));
            std::fs::create_dir_all(into.0.join("out")).unwrap();
            std::fs::write(into.0.join("in.tar"), tar).unwrap();
            let done = Command::new("tar")
                .current_dir(&into.0)
                .args(["--warning=no-timestamp", "-xpf", "in.tar", "-C", "out"])
                .output()
                .unwrap();
            assert!(done.status.success() && done.stderr.is_empty(), "{done:?}");
            into
        }

        fn file(&self, path: &[u8]) -> PathBuf {
            self.0.join("out").join(OsStr::from_bytes(path))
        }
    }

    impl Drop for Unpacked {
        #[expect(clippy::disallowed_methods, reason = "the test's own folder")]
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn gnu_tar_unpacks_the_same_files() {
        let all = strange_members();
        let unpacked = Unpacked::new("archive", &zstd::decode_all(&*written(&all)).unwrap());
        for (path, member, content) in &all {
            let path: &Path = &unpacked.file(path);
            let found = path.metadata().unwrap();
            let modified = (member.modified.seconds, i64::from(member.modified.nanos));
            assert_eq!((found.mtime(), found.mtime_nsec()), modified, "{path:?}");
            assert_eq!(found.mode() & 0o7777, member.mode, "{path:?}");
            // Who is not root may not read all of them.
            if let Ok(read) = std::fs::read(path) {
                assert!(read == *content, "{path:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn every_moment_comes_back(seconds in any::<i64>(), nanos in 0..1_000_000_000_u32) {
            let time = Timestamp { seconds, nanos };
            prop_assert_eq!(timestamp_in(decimal(time).as_bytes()), Some(time));
        }

        #[test]
        fn every_record_comes_back(value in proptest::collection::vec(any::<u8>(), 0..1100)) {
            let mut records = Vec::new();
            push_record(&mut records, b"key", &value);
            records.extend_from_slice(b"rest");
            prop_assert_eq!(next_record(&records), Some((&b"key"[..], &value[..], &b"rest"[..])));
        }
    }
}
