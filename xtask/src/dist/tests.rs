use super::is_static;

/// An ELF header and program headers of the given kinds.
fn elf(kinds: &[u32]) -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01".to_vec();
    bytes.resize(64, 0);
    bytes[32] = 64;
    bytes[54] = 56;
    bytes[56] = u8::try_from(kinds.len()).expect("few headers");
    for kind in kinds {
        bytes.extend(kind.to_le_bytes());
        bytes.resize(bytes.len() + 52, 0);
    }
    bytes
}

#[test]
fn an_interpreter_makes_a_binary_dynamic() {
    assert!(is_static(&elf(&[1, 2, 6])));
    assert!(!is_static(&elf(&[6, 3, 1])));
}

#[test]
fn this_test_itself_is_dynamic() {
    let own = std::env::current_exe().expect("own path");
    assert!(!is_static(&std::fs::read(own).expect("own bytes")));
}

#[test]
fn what_is_no_elf_file_is_not_static() {
    let whole = elf(&[1, 2]);
    for bytes in [&b""[..], b"#!/bin/sh", &whole[..64], &whole[..122], &elf(&[])] {
        assert!(!is_static(bytes), "{bytes:?}");
    }
}

#[test]
fn absurd_offsets_are_refused() {
    let mut bytes = elf(&[1]);
    bytes[32..40].fill(0xff);
    assert!(!is_static(&bytes));
}
