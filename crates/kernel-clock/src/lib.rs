//! Asks the kernel whether its clock is synchronised.

/// Whether something (an NTP or PTP client) keeps the kernel's clock right; `None` when the kernel does
/// not say.
#[must_use]
pub fn is_synchronised() -> Option<bool> {
    #[expect(unsafe_code, reason = "neither std nor nix nor rustix asks this")]
    // SAFETY: all fields of timex are integers, for which zero is a value; with `modes` 0 the call only
    // writes to the one struct that it is given.
    let status = unsafe {
        let mut answer: libc::timex = std::mem::zeroed();
        if libc::adjtimex(&raw mut answer) < 0 { None } else { Some(answer.status) }
    };
    status.map(|status| status & libc::STA_UNSYNC == 0)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_kernel_answers() {
        assert!(super::is_synchronised().is_some());
    }
}
