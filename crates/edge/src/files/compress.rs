//! Coded forms of files, prepared once and off the workers: one thread, a bounded queue. As a form is made once for each
//! version of a file and kept, it may cost more than what is compressed for one answer only.
//!
//! A full queue prepares nothing now: the file is sent as it is, and the next client that wants the coding asks again.

use super::asset::{Asset, Body, Stamp, Variant};
use super::cache::Cache;
use super::head;
use super::lookup::{PREPARED, read};
use model::policy::Coding;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Weak};

/// Files that may wait.
const WAITING: usize = 256;
/// Quality for brotli (of 11), zstd (of 22) and gzip (of 9): beyond these the time grows much faster than the gain.
const BROTLI: u32 = 9;
const ZSTD: i32 = 15;
const GZIP: u32 = 9;
/// Brotli's window: 4 MiB, as much as is prepared.
const WINDOW: u32 = 22;

/// One form to prepare.
struct Job {
    asset: Arc<Asset>,
    coding: Coding,
}

/// Way to the thread; it ends with the last of these.
#[derive(Debug)]
pub struct Compressor {
    queue: SyncSender<Job>,
}

impl Compressor {
    /// Starts the thread.
    ///
    /// # Errors
    /// Where there can be none.
    pub fn start(cache: Weak<Cache>) -> io::Result<Self> {
        let (queue, waiting) = sync_channel(WAITING);
        std::thread::Builder::new().name("compress".to_owned()).spawn(move || run(&waiting, &cache))?;
        Ok(Self { queue })
    }

    /// Asks for a form; [`Asset::prepared`] tells when it is there.
    pub fn prepare(&self, asset: &Arc<Asset>, coding: Coding) {
        if asset.ask(coding) {
            let job = Job { asset: Arc::clone(asset), coding };
            if self.queue.try_send(job).is_err() {
                asset.ask_again(coding);
            }
        }
    }
}

fn run(waiting: &Receiver<Job>, cache: &Weak<Cache>) {
    // Whoever waits for an answer goes first. Where that is not to be had it is not done.
    let _ = rustix::process::nice(10);
    for Job { asset, coding } in waiting {
        let made = make(&asset, coding).unwrap_or_else(|error| {
            tracing::warn!(%error, path = &*asset.path, "a file could not be compressed");
            None
        });
        asset.add(coding, made);
        if let Some(cache) = cache.upgrade() {
            cache.recharge(&asset);
        }
    }
}

/// `None`: it would not be smaller, or the file is no longer what it was.
fn make(asset: &Asset, coding: Coding) -> io::Result<Option<Variant>> {
    let plain = &asset.plain;
    if !PREPARED.contains(&plain.length) {
        return Ok(None);
    }
    let bytes: Arc<[u8]> = match &plain.body {
        Body::Memory(bytes) => Arc::clone(bytes),
        Body::Disk(file) => {
            let bytes = read(file, plain.length)?;
            if Stamp::of(&rustix::fs::fstat(file)?) != plain.stamp || bytes.len() as u64 != plain.length {
                return Ok(None);
            }
            bytes.into()
        }
    };
    let coded = compress(&bytes, coding)?;
    if coded.len() >= bytes.len() {
        return Ok(None);
    }
    let stamp = plain.stamp.with_size(coded.len() as u64);
    // Nothing of an inert folder is compressed.
    let facts =
        head::Facts { kind: &asset.kind, cache: &asset.cache, varies: true, inert: false, shown: true };
    let body = Body::Memory(coded.into());
    Ok(Some(head::variant(Some(coding), body, stamp, plain.stamp.modified(), &facts)))
}

/// The bytes in this coding.
fn compress(bytes: &[u8], coding: Coding) -> io::Result<Vec<u8>> {
    let out = Vec::with_capacity(bytes.len() / 3);
    match coding {
        Coding::Br => {
            let mut writer = brotli::CompressorWriter::new(out, 64 << 10, BROTLI, WINDOW);
            writer.write_all(bytes)?;
            Ok(writer.into_inner())
        }
        Coding::Zstd => zstd::bulk::compress(bytes, ZSTD),
        Coding::Gzip => {
            let mut writer = flate2::write::GzEncoder::new(out, flate2::Compression::new(GZIP));
            writer.write_all(bytes)?;
            writer.finish()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn what_is_compressed_comes_back() {
        let bytes: Vec<u8> = (0..20_000u32).flat_map(|n| (n % 251).to_string().into_bytes()).collect();
        for coding in [Coding::Br, Coding::Zstd, Coding::Gzip] {
            let coded = compress(&bytes, coding).unwrap();
            assert!(coded.len() < bytes.len() / 2, "{coding:?}");
            let mut back = Vec::new();
            match coding {
                Coding::Br => drop(brotli::Decompressor::new(&*coded, 4096).read_to_end(&mut back).unwrap()),
                Coding::Zstd => drop(zstd::Decoder::new(&*coded).unwrap().read_to_end(&mut back).unwrap()),
                Coding::Gzip => drop(flate2::read::GzDecoder::new(&*coded).read_to_end(&mut back).unwrap()),
            }
            assert_eq!(back, bytes, "{coding:?}");
        }
    }
}
