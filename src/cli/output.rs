//! Standard output that outlives its reader.

use std::io::{self, Write};

/// A writer that keeps its first error and takes everything after it for written, so that a command whose reader went
/// away, or whose disk is full, still does all of its work: its verdict does not depend on whether it is read.
#[derive(Debug)]
pub(super) struct Output<W> {
    to: W,
    failed: Option<io::Error>,
}

impl<W: Write> Output<W> {
    pub(super) fn new(to: W) -> Self {
        Self { to, failed: None }
    }

    fn attempt(&mut self, write: impl FnOnce(&mut W) -> io::Result<()>) {
        if self.failed.is_none() {
            self.failed = write(&mut self.to).err();
        }
    }

    /// Flushes, and says why something could not be written; a reader that went away (`pcnbench list | head`) is no
    /// reason.
    pub(super) fn finish(mut self) -> Option<io::Error> {
        self.attempt(W::flush);
        self.failed.filter(|e| e.kind() != io::ErrorKind::BrokenPipe)
    }
}

impl<W: Write> Write for Output<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.attempt(|to| to.write_all(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.attempt(W::flush);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Room for this many bytes, then an error of this kind, once: what comes later would be written.
    struct Room(usize, Option<io::ErrorKind>, Vec<u8>);

    impl Write for Room {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let fitting = bytes.len().min(self.0);
            if fitting == 0
                && let Some(kind) = self.1.take()
            {
                self.0 = usize::MAX;
                return Err(kind.into());
            }
            self.0 -= fitting;
            self.2.extend(&bytes[..fitting]);
            Ok(fitting)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_first_error_is_kept_and_nothing_is_written_after_it() {
        for (kind, told) in [(io::ErrorKind::StorageFull, true), (io::ErrorKind::BrokenPipe, false)] {
            let mut room = Room(3, Some(kind), vec![]);
            let mut out = Output::new(&mut room);
            for _ in 0..3 {
                writeln!(out, "ab").unwrap();
            }
            out.flush().unwrap();
            assert_eq!(out.finish().map(|e| e.kind()), Some(kind).filter(|_| told));
            assert_eq!(room.2, b"ab\n");
        }
    }
}
