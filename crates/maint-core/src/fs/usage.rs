//! How full a filesystem is, by the one denominator that `df` prints.

use super::Root;
use std::io;

/// Bytes of a filesystem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Bytes in use.
    pub used: u64,
    /// Bytes that anybody may still use; what is reserved for root is not among them.
    pub available: u64,
}

impl Usage {
    /// The filesystem that holds `root`.
    pub fn of(root: &Root) -> io::Result<Self> {
        let fs = nix::sys::statvfs::fstatvfs(root.top().handle())?;
        let unit: u64 = fs.fragment_size();
        let (blocks, free, available): (u64, u64, u64) =
            (fs.blocks(), fs.blocks_free(), fs.blocks_available());
        Ok(Self {
            used: blocks.saturating_sub(free).saturating_mul(unit),
            available: available.saturating_mul(unit),
        })
    }

    /// Used space in percent of what is used and available, to one decimal; 0 for a filesystem without
    /// blocks of its own.
    pub fn percent(self) -> f64 {
        let whole = u128::from(self.used) + u128::from(self.available);
        let tenths = (u128::from(self.used) * 1000).checked_div(whole).unwrap_or(0);
        f64::from(u32::try_from(tenths).unwrap_or(1000)) / 10.0
    }

    /// The same filesystem with so many bytes less in use.
    #[must_use]
    pub fn without(self, bytes: u64) -> Self {
        let bytes = bytes.min(self.used);
        Self { used: self.used - bytes, available: self.available.saturating_add(bytes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_blocks_are_no_denominator() {
        assert!((Usage { used: 500, available: 500 }.percent() - 50.0).abs() < 1e-9);
        assert!((Usage { used: 0, available: 0 }.percent()).abs() < 1e-9);
        assert!((Usage { used: 900, available: 100 }.without(400).percent() - 50.0).abs() < 1e-9);
    }
}
