//! Frames, their descriptors, and what a hostile peer can do.

use super::*;
use std::io::{Read, Write};
use std::os::fd::AsFd;

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn frames_keep_their_borders_and_their_descriptors() {
    let (a, b) = FrameSocket::pair().unwrap();
    let (read, write) = crate::pipe::new().unwrap();
    a.send(b"one", &[]).unwrap();
    a.send(b"", &[write.as_fd()]).unwrap();
    a.send(&[7; 100_000], &[]).unwrap();
    assert_eq!(b.recv().unwrap().unwrap().0, b"one");
    let (bytes, mut fds) = b.recv().unwrap().unwrap();
    assert_eq!((bytes.len(), fds.len()), (0, 1));
    std::fs::File::from(fds.remove(0)).write_all(b"through").unwrap();
    drop(write);
    let mut text = String::new();
    std::fs::File::from(read).read_to_string(&mut text).unwrap();
    assert_eq!(text, "through");
    assert_eq!(b.recv().unwrap().unwrap().0, [7; 100_000]);
    drop(a);
    assert!(b.recv().unwrap().is_none());
}

#[test]
fn more_descriptors_than_one_call_carries() {
    let (a, b) = FrameSocket::pair().unwrap();
    let file = tempfile::tempfile().unwrap();
    let many = vec![file.as_fd(); 600];
    let sender = std::thread::scope(|s| {
        let sender = s.spawn(|| a.send(b"many", &many));
        let (bytes, fds) = b.recv().unwrap().unwrap();
        assert_eq!((bytes.as_slice(), fds.len()), (&b"many"[..], 600));
        for fd in &fds {
            assert!(rustix::io::fcntl_getfd(fd).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
        }
        sender.join().unwrap()
    });
    sender.unwrap();
    assert!(a.send(b"", &vec![file.as_fd(); MAX_DESCRIPTORS + 1]).is_err());
}

#[test]
fn a_length_over_the_maximum_is_refused_unread() {
    let (mut raw, b) = UnixStream::pair().unwrap();
    let b = FrameSocket::with_max(b, 1000);
    raw.write_all(&u32::MAX.to_be_bytes()).unwrap();
    assert_eq!(b.recv().unwrap_err().kind(), ErrorKind::InvalidData);
    assert_eq!(b.send(&[0; 1001], &[]).unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn an_end_inside_a_frame_is_an_error() {
    let (mut raw, b) = UnixStream::pair().unwrap();
    raw.write_all(&[0, 0, 0, 9, 1]).unwrap();
    drop(raw);
    assert_eq!(FrameSocket::from(b).recv().unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn timeouts_between_and_inside_frames_differ() {
    let (mut raw, b) = UnixStream::pair().unwrap();
    let b = FrameSocket::from(b);
    b.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
    assert_eq!(b.recv().unwrap_err().kind(), ErrorKind::WouldBlock);
    raw.write_all(&[0, 0]).unwrap();
    assert_eq!(b.recv().unwrap_err().kind(), ErrorKind::TimedOut);
}

#[test]
fn a_flood_of_descriptors_is_cut_and_closed() {
    let (a, b) = FrameSocket::pair().unwrap();
    let file = tempfile::tempfile().unwrap();
    let many = vec![file.as_fd(); DESCRIPTORS_PER_CALL];
    // A frame of ten bytes, each with a full load of descriptors.
    a.send_some(&10u32.to_be_bytes(), &[], &many).unwrap();
    let before = open_descriptors();
    std::thread::scope(|s| {
        s.spawn(|| (0..10).all(|_| a.send_some(b"x", &[], &many).is_ok()));
        assert_eq!(b.recv().unwrap_err().kind(), ErrorKind::InvalidData);
        drop(b);
    });
    // Other tests of this process open a few of their own.
    assert!(open_descriptors() < before + 700);
}

#[test]
fn the_decoder_takes_any_split() {
    let mut stream = encode(b"first");
    stream.extend(encode(b""));
    stream.extend(encode(&[5; 300]));
    for step in 1..stream.len() {
        let mut decoder = FrameDecoder::new(300);
        let mut frames = Vec::new();
        for piece in stream.chunks(step) {
            decoder.push(piece);
            while let Some(frame) = decoder.next_frame().unwrap() {
                frames.push(frame);
            }
        }
        assert_eq!(frames, [b"first".to_vec(), vec![], vec![5; 300]], "step {step}");
        assert!(!decoder.is_inside());
    }
    let mut decoder = FrameDecoder::new(299);
    decoder.push(&stream);
    decoder.next_frame().unwrap();
    decoder.next_frame().unwrap();
    assert_eq!(decoder.next_frame().unwrap_err().kind(), ErrorKind::InvalidData);
}
