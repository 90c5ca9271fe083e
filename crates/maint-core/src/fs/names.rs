//! The names of one chunk of a folder, in one piece of memory and in inode order.

use std::{ffi::CStr, ops::Range};

/// Names of files, with what the walk must know of each.
#[derive(Default)]
pub(super) struct Names {
    /// For each: inode (8 bytes), number (2), then the name and its NUL.
    text: Vec<u8>,
    /// Where each begins.
    starts: Vec<u32>,
}

/// Of a name of 255 bytes, and of one of one byte with its place.
const LONGEST_RECORD: usize = NUMBER.end + 256;
const SHORTEST_RECORD: usize = NUMBER.end + 2 + size_of::<u32>();

const INODE: Range<usize> = 0..8;
const NUMBER: Range<usize> = 8..10;

impl Names {
    /// Empties it and makes room for so many bytes. Room is taken anew and not grown: growing would hold
    /// the old and the new at once, and what is never written costs nothing.
    pub(super) fn begin(&mut self, bytes: usize) {
        self.text.clear();
        self.starts.clear();
        if self.text.capacity() < bytes {
            self.text = Vec::new();
            self.starts = Vec::new();
            self.text = Vec::with_capacity(bytes + LONGEST_RECORD);
            self.starts = Vec::with_capacity(bytes / SHORTEST_RECORD);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.starts.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.text.len() + self.starts.len() * size_of::<u32>()
    }

    pub(super) fn push(&mut self, name: &CStr, number: u16, inode: u64) {
        // A chunk ends long before its offsets do.
        let Ok(start) = u32::try_from(self.text.len()) else { return };
        self.starts.push(start);
        self.text.extend_from_slice(&inode.to_ne_bytes());
        self.text.extend_from_slice(&number.to_ne_bytes());
        self.text.extend_from_slice(name.to_bytes_with_nul());
    }

    pub(super) fn sort(&mut self) {
        let text = &self.text;
        self.starts.sort_unstable_by_key(|start| u64::from_ne_bytes(field(text, *start, INODE)));
    }

    /// Sorts by a part of the names.
    pub(super) fn sort_by_key(&mut self, key: impl Fn(&[u8]) -> &[u8]) {
        let mut starts = std::mem::take(&mut self.starts);
        starts.sort_unstable_by(|a, b| {
            let (a, b) = (self.name(*a).to_bytes(), self.name(*b).to_bytes());
            key(a).cmp(key(b)).then_with(|| a.cmp(b))
        });
        self.starts = starts;
    }

    /// The names and their inodes, in the order in which they came.
    pub(super) fn with_inodes(&self) -> impl Iterator<Item = (&CStr, u64)> {
        let inode = |start: &u32| u64::from_ne_bytes(field(&self.text, *start, INODE));
        self.starts.iter().map(move |start| (self.name(*start), inode(start)))
    }

    fn name(&self, start: u32) -> &CStr {
        // Every name was pushed with its NUL.
        CStr::from_bytes_until_nul(&self.text[start as usize + NUMBER.end..]).unwrap_or_default()
    }

    pub(super) fn get(&self, n: usize) -> (&CStr, u16) {
        let start = self.starts[n];
        (self.name(start), u16::from_ne_bytes(field(&self.text, start, NUMBER)))
    }
}

/// A number kept at `start`; it was written there by [`Names::push`].
fn field<const N: usize>(text: &[u8], start: u32, at: Range<usize>) -> [u8; N] {
    let start = start as usize;
    text[start + at.start..start + at.end].try_into().unwrap_or([0; N])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_in_inode_order_with_their_numbers() {
        let mut names = Names::default();
        for (name, number, inode) in [(c"c", 7, 30), (c"a", 1, u64::MAX), (c"b\n", 0, 2)] {
            names.push(name, number, inode);
        }
        names.sort();
        let all: Vec<_> = (0..names.len()).map(|n| names.get(n)).collect();
        assert_eq!(all, [(c"b\n", 0), (c"c", 7), (c"a", 1)]);
        names.begin(100);
        assert_eq!((names.len(), names.bytes()), (0, 0));
    }
}
