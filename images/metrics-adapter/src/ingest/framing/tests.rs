use proptest::prelude::*;

use super::{Framing, LINE_BYTES_MAX, TooLong};

/// All lines of reads, and how it ended.
fn lines(reads: &[&[u8]]) -> (Vec<Vec<u8>>, Result<(), TooLong>) {
    let mut framing = Framing::default();
    let mut lines = Vec::new();
    let mut take = |bytes: &[u8]| {
        let split = bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        lines.extend(split.map(<[u8]>::to_vec));
    };
    for read in reads {
        if framing.read(read, &mut take).is_err() {
            return (lines, Err(TooLong));
        }
    }
    framing.finish(take);
    (lines, Ok(()))
}

#[test]
fn a_line_may_come_in_pieces_and_end_without_a_line_feed() {
    let reads: [&[u8]; 5] = [b"a:1", b"|c\nb:2|c\n", b"", b"c:3|", b"c"];
    let (lines, end) = lines(&reads);
    assert_eq!(lines, [&b"a:1|c"[..], b"b:2|c", b"c:3|c"]);
    assert_eq!(end, Ok(()));
}

#[test]
fn the_longest_line_is_taken_and_one_byte_more_is_not() {
    let longest = vec![b'x'; LINE_BYTES_MAX];
    let longer = vec![b'x'; LINE_BYTES_MAX + 1];
    let first = b"first\n".as_slice();
    for at in [1, 100, LINE_BYTES_MAX - 1, LINE_BYTES_MAX] {
        let (taken, end) = lines(&[first, &longest[..at], &longest[at..], b"\n"]);
        assert_eq!((taken.len(), end), (2, Ok(())), "split at {at}");
        let (taken, end) = lines(&[first, &longer[..at], &longer[at..], b"\n"]);
        assert_eq!((taken.len(), end), (1, Err(TooLong)), "split at {at}");
    }
    let one_read = [first, &longest, b"\n", first, &longer, b"\n", first].concat();
    let (taken, end) = lines(&[&one_read]);
    assert_eq!((taken.len(), end), (3, Err(TooLong)));
}

proptest! {
    #[test]
    fn where_reads_end_does_not_matter(
        text in "[a-c\n]{0,200}",
        cuts in prop::collection::vec(0..200_usize, 0..10),
    ) {
        let whole = lines(&[text.as_bytes()]);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
        cuts.sort_unstable();
        let mut reads = Vec::new();
        let mut start = 0;
        for cut in cuts.into_iter().chain([text.len()]) {
            reads.push(&text.as_bytes()[start..cut]);
            start = cut;
        }
        prop_assert_eq!(lines(&reads), whole);
    }
}
