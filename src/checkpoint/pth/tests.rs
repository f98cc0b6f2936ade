#![allow(clippy::unwrap_used)]

use std::io::{Seek, Write};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;
use crate::checkpoint::{Checkpoint, Writing, check_extent};
use crate::quant::Format;

/// What PyTorch 2.15 wrote for
/// ```python
/// base = torch.arange(6).float().reshape(2, 3)
/// half = torch.nn.Parameter(torch.tensor([1.0, -2.0]).half())
/// state_dict = {"whole": base, "turned": base.t(), "tail": base[1:, 1:], "half": half}
/// torch.save({"state_dict": state_dict, "epoch": 3}, …)
/// ```
const PICKLE: &[u8] = b"\x80\x02}q\x00(X\n\x00\x00\x00state_dictq\x01}q\x02(X\x05\x00\x00\x00wholeq\x03ctorch._utils\n\
_rebuild_tensor_v2\nq\x04((X\x07\x00\x00\x00storageq\x05ctorch\nFloatStorage\nq\x06X\x01\x00\x00\x000q\x07X\x03\x00\x00\
\x00cpuq\x08K\x06tq\tQK\x00K\x02K\x03\x86q\nK\x03K\x01\x86q\x0b\x89ccollections\nOrderedDict\nq\x0c)Rq\rtq\x0eRq\x0fX\
\x06\x00\x00\x00turnedq\x10h\x04((h\x05h\x06h\x07h\x08K\x06tq\x11QK\x00K\x03K\x02\x86q\x12K\x01K\x03\x86q\x13\x89h\x0c)\
Rq\x14tq\x15Rq\x16X\x04\x00\x00\x00tailq\x17h\x04((h\x05h\x06h\x07h\x08K\x06tq\x18QK\x04K\x01K\x02\x86q\x19K\x03K\x01\
\x86q\x1a\x89h\x0c)Rq\x1btq\x1cRq\x1dX\x04\x00\x00\x00halfq\x1ectorch._utils\n_rebuild_parameter\nq\x1fh\x04((h\x05ctorch\
\nHalfStorage\nq X\x01\x00\x00\x001q!h\x08K\x02tq\"QK\x00K\x02\x85q#K\x01\x85q$\x89h\x0c)Rq%tq&Rq'\x88h\x0c)Rq(\x87q)Rq*\
uX\x05\x00\x00\x00epochq+K\x03u.";
const HALVES: &[u8] = b"\x00\x3c\x00\xc0";

fn floats() -> Vec<u8> {
    (0..6u8).flat_map(|n| f32::from(n).to_le_bytes()).collect()
}

fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, bytes) in entries {
        zip.start_file(format!("model/{name}"), options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn pytorchs_archive() -> Vec<u8> {
    archive(&[("data.pkl", PICKLE), ("byteorder", b"little"), ("data/0", &floats()), ("data/1", HALVES)])
}

/// Name, shape, format and bytes of each tensor, having asserted that reading them is safe.
type Tensors = Vec<(String, Vec<usize>, Format, Vec<u8>)>;

fn tensors_of(file: &[u8]) -> Result<Tensors> {
    let mut on_disk = tempfile::NamedTempFile::new().unwrap();
    on_disk.write_all(file).unwrap();
    on_disk.rewind().unwrap();
    let Contents { files, stored, .. } = read(Mapped::open(on_disk.path())?)?;
    let read = |stored: Stored| {
        check_extent(&stored, &files)?;
        let tensor = stored.read(&files);
        Ok((tensor.name.to_string(), tensor.shape.to_vec(), tensor.format, tensor.data.to_vec()))
    };
    stored.into_iter().map(read).collect()
}

fn failure(file: &[u8]) -> String {
    tensors_of(file).map(|_| "no failure").unwrap_err().to_string()
}

/// A pickled dict of one tensor `t` in storage `0`.
struct OneTensor<'a> {
    storage: &'a str,
    numel: i32,
    offset: i32,
    shape: &'a [i32],
    strides: &'a [i32],
}

const SOUND: OneTensor = OneTensor { storage: "FloatStorage", numel: 6, offset: 0, shape: &[2, 3], strides: &[3, 1] };

impl OneTensor<'_> {
    fn pickle(&self) -> Vec<u8> {
        let int = |n: &i32| [b"J".as_slice(), &n.to_le_bytes()].concat();
        let tuple = |items: &[i32]| [b"(".as_slice(), &items.iter().flat_map(int).collect::<Vec<_>>(), b"t"].concat();
        let storage = format!("ctorch\n{}\n", self.storage);
        [
            b"\x80\x02}(X\x01\0\0\0tctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storage".as_slice(),
            storage.as_bytes(),
            b"X\x01\0\0\x000X\x03\0\0\0cpu",
            &int(&self.numel),
            b"tQ",
            &int(&self.offset),
            &tuple(self.shape),
            &tuple(self.strides),
            b"\x89ccollections\nOrderedDict\n)RtRu.",
        ]
        .concat()
    }

    fn file(&self) -> Vec<u8> {
        archive(&[("data.pkl", &self.pickle()), ("data/0", &floats())])
    }
}

#[test]
fn views_of_a_shared_storage_read_as_pytorch_sees_them() {
    let f32s = |numbers: &[u8]| numbers.iter().flat_map(|&n| f32::from(n).to_le_bytes()).collect::<Vec<_>>();
    let expected = [
        ("whole".to_string(), vec![2, 3], Format::F32, f32s(&[0, 1, 2, 3, 4, 5])),
        ("turned".to_string(), vec![3, 2], Format::F32, f32s(&[0, 3, 1, 4, 2, 5])),
        ("tail".to_string(), vec![1, 2], Format::F32, f32s(&[4, 5])),
        ("half".to_string(), vec![2], Format::F16, HALVES.to_vec()),
    ];
    assert_eq!(tensors_of(&pytorchs_archive()).unwrap(), expected);
}

#[test]
fn the_stride_of_a_dimension_of_one_does_not_matter() {
    let odd = OneTensor { shape: &[1, 2, 3], strides: &[i32::MAX, 3, 1], ..SOUND };
    assert_eq!(tensors_of(&odd.file()).unwrap()[0].3, floats());
}

#[test]
fn a_pickle_that_names_os_system_is_refused_by_that_name() {
    for pickle in [
        b"\x80\x02cos\nsystem\nX\x04\0\0\0true\x85R.".as_slice(),
        b"\x80\x02}X\x01\0\0\0acos\nsystem\nX\x04\0\0\0true\x85Rs.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.",
    ] {
        let message = failure(&archive(&[("data.pkl", pickle)]));
        assert!(message.contains("names os.system") && message.contains("nothing was executed"), "{message}");
    }
}

#[test]
fn opcodes_that_build_instances_are_refused() {
    for opcode in [b'i', b'o', 0x81, 0x92, b'P', b'2', 0x82] {
        let message = failure(&archive(&[("data.pkl", &[0x80, 2, b'(', opcode, b'.'])]));
        assert!(message.contains("uses the pickle opcode"), "{message}");
    }
}

#[test]
fn a_truncated_pth_is_an_error_not_a_panic() {
    let file = pytorchs_archive();
    for length in 0..file.len() {
        assert!(tensors_of(&file[..length]).is_err(), "{length} bytes");
    }
}

#[test]
fn a_truncated_pickle_is_an_error_not_a_panic() {
    for length in 0..PICKLE.len() {
        assert!(pickle::state_dict(&PICKLE[..length], Path::new("x")).is_err(), "{length} bytes");
    }
}

#[test]
fn a_damaged_byte_never_panics() {
    let file = pytorchs_archive();
    for at in 0..file.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut file = file.clone();
            file[at] ^= flip;
            let _ = tensors_of(&file);
        }
    }
}

#[test]
fn a_tensor_outside_its_storage_is_refused() {
    assert!(tensors_of(&SOUND.file()).is_ok());
    for wrong in [
        OneTensor { offset: 1, ..SOUND },
        OneTensor { offset: i32::MAX, ..SOUND },
        OneTensor { shape: &[2, 4], ..SOUND },
        OneTensor { strides: &[4, 1], ..SOUND },
        OneTensor { strides: &[i32::MAX, 1], ..SOUND },
        OneTensor { numel: 5, ..SOUND },
        OneTensor { numel: 7, ..SOUND },
        OneTensor { shape: &[0, 3], offset: 7, ..SOUND },
    ] {
        let message = failure(&wrong.file());
        assert!(message.contains("the tensor t") && message.contains("exceeds its storage"), "{message}");
    }
}

#[test]
fn a_tensor_of_impossible_sizes_is_refused() {
    for wrong in [
        OneTensor { offset: -1, ..SOUND },
        OneTensor { numel: -1, ..SOUND },
        OneTensor { shape: &[-2, 3], ..SOUND },
        OneTensor { strides: &[-3, 1], ..SOUND },
        OneTensor { strides: &[1], ..SOUND },
        OneTensor { shape: &[1; 9], strides: &[1; 9], ..SOUND },
    ] {
        let message = failure(&wrong.file());
        assert!(message.contains("describes the tensor t wrongly"), "{message}");
    }
    // A stride of 0 repeats numbers without end.
    let huge = OneTensor { shape: &[i32::MAX; 8], strides: &[0; 8], ..SOUND };
    assert!(failure(&huge.file()).contains("cannot be stored so"));
    let empty = OneTensor { shape: &[0, i32::MAX, i32::MAX, i32::MAX], strides: &[0; 4], ..SOUND };
    assert_eq!(tensors_of(&empty.file()).unwrap()[0].3.len(), 0);
}

#[test]
fn a_missing_storage_is_named() {
    let message = failure(&archive(&[("data.pkl", &SOUND.pickle())]));
    assert!(message.contains("lacks its entry model/data/0"), "{message}");
}

#[test]
fn a_tensor_of_integers_is_refused_by_name_and_type() {
    let message = failure(&OneTensor { storage: "LongStorage", ..SOUND }.file());
    assert!(message.contains("the tensor t is int64"), "{message}");
}

#[test]
fn a_big_endian_archive_is_refused() {
    let file = archive(&[("data.pkl", &SOUND.pickle()), ("byteorder", b"big"), ("data/0", &floats())]);
    assert!(failure(&file).contains("big-endian"));
}

#[test]
fn a_compressed_entry_is_refused_by_name() {
    let mut file = SOUND.file();
    let central = file.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    // The compression method of the first entry: in its own header, and in the directory.
    file[8] = 8;
    file[central + 10] = 8;
    let message = failure(&file);
    assert!(message.contains("its entry model/data.pkl is compressed"), "{message}");
}

#[test]
fn a_zip_of_something_else_is_no_checkpoint() {
    assert!(failure(&archive(&[("photo.jpg", b"x")])).contains("without PyTorch's data.pkl"));
    assert!(failure(&archive(&[("data.pkl", b"\x80\x02K\x01.")])).contains("holds no dict of named tensors"));
    assert!(failure(&archive(&[("data.pkl", b"\x80\x02}.")])).contains("holds no dict of named tensors"));
}

#[test]
fn a_pth_of_before_pytorch_1_6_is_told_as_such() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.").unwrap();
    let message = Checkpoint::open(file.path()).unwrap_err().to_string();
    assert!(message.contains("before version 1.6"), "{message}");
}

#[test]
fn lengths_and_slots_without_bounds_cost_nothing() {
    for pickle in [
        b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7f".as_slice(),
        b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xff.",
        b"\x80\x04X\xff\xff\xff\xff.",
        b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\xffNr\xff\xff\xff\xff.",
        b"\x80\x04j\xff\xff\xff\xff.",
    ] {
        assert!(pickle::state_dict(pickle, Path::new("x")).is_err());
    }
}

#[test]
fn a_zip64_directory_that_claims_a_trillion_entries_is_refused() {
    let claim = (1u64 << 40).to_le_bytes();
    let mut file = SOUND.file();
    let (at, directory) = (file.len(), file.windows(4).position(|w| w == b"PK\x01\x02").unwrap());
    file.extend(b"PK\x06\x06");
    file.extend(44u64.to_le_bytes());
    file.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    file.extend(claim.iter().chain(&claim).chain(&u64::MAX.to_le_bytes()).chain(&(directory as u64).to_le_bytes()));
    file.extend(b"PK\x06\x07\0\0\0\0");
    file.extend((at as u64).to_le_bytes());
    file.extend([1, 0, 0, 0]);
    file.extend(b"PK\x05\x06\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0");
    assert!(failure(&file).contains("claims too much"));
}

#[test]
fn a_dict_inside_itself_and_deep_nesting_end() {
    let recursive = b"\x80\x02}q\x00(X\x01\0\0\0ah\x00X\x01\0\0\0bh\x00u.";
    assert!(pickle::state_dict(recursive, Path::new("x")).is_err());
    for part in [b"(", b"]", b"}", b")"] {
        let deep = [b"\x80\x02".as_slice(), &part.repeat(100_000), b"."].concat();
        assert!(pickle::state_dict(&deep, Path::new("x")).is_err());
        let nested = [b"\x80\x02)".as_slice(), &b"\x85".repeat(100_000), b"."].concat();
        assert!(pickle::state_dict(&nested, Path::new("x")).is_err());
    }
}

#[test]
fn a_memo_bomb_does_not_explode() {
    // A tuple of two of the tuple before it, a thousand times: 2^1000 elements to whoever unfolds it.
    let bomb = [b"\x80\x02)q\0".as_slice(), &b"h\0h\0\x86q\0".repeat(1000), b"."].concat();
    assert!(pickle::state_dict(&bomb, Path::new("x")).is_err());
}

#[test]
fn a_written_pth_holds_what_was_read_and_its_numbers_are_aligned() {
    let folder = tempfile::tempdir().unwrap();
    let [source, copy] = ["source.pth", "copy.pth"].map(|name| folder.path().join(name));
    std::fs::write(&source, pytorchs_archive()).unwrap();
    let checkpoint = Checkpoint::open(&source).unwrap();
    let mut bytes = Cursor::new(Vec::new());
    Writing::new(&checkpoint, &|_| true).unwrap().write_pth(&mut bytes, &copy).unwrap();
    let bytes = bytes.into_inner();
    assert_eq!(tensors_of(&bytes).unwrap(), tensors_of(&pytorchs_archive()).unwrap());
    let mut archive = ZipArchive::new(Cursor::new(&bytes)).unwrap();
    for index in 0..archive.len() {
        let entry = archive.by_index(index).unwrap();
        assert_eq!((entry.data_start().unwrap() % 64, entry.compression()), (0, CompressionMethod::Stored));
    }

    let mut bytes = Vec::new();
    Writing::new(&checkpoint, &|_| true).unwrap().write_safetensors(&mut bytes, &copy).unwrap();
    std::fs::write(&copy, &bytes).unwrap();
    let written = Checkpoint::open(&copy).unwrap();
    for (name, shape, format, data) in tensors_of(&pytorchs_archive()).unwrap() {
        let tensor = written.tensor(&name).unwrap();
        assert_eq!((tensor.shape, tensor.format, &tensor.data[..]), (&shape[..], format, &data[..]), "{name}");
    }
}

/// A pickled dict of `count` tensors that are all this one, named by `key`.
fn many(one: &OneTensor, count: usize, key: impl Fn(usize) -> Vec<u8>) -> Vec<u8> {
    let one = one.pickle();
    let start = one.iter().position(|&byte| byte == b'c').unwrap();
    let tensor = [&one[start..one.len() - 2], b"q\x01"].concat();
    let again: Vec<u8> = (1..count).flat_map(|index| [key(index), b"h\x01".to_vec()].concat()).collect();
    [b"\x80\x02}(", &key(0)[..], &tensor, &again, b"u."].concat()
}

#[test]
fn a_long_name_that_many_tensors_share_is_not_copied_for_each() {
    let name = [b"X\0\0\x10\0".as_slice(), &[b'n'; 1 << 20], b"q\0"].concat();
    let pickle = many(&SOUND, 100_000, |index| if index == 0 { name.clone() } else { b"h\0".to_vec() });
    assert!(failure(&archive(&[("data.pkl", &pickle), ("data/0", &floats())])).contains("longer names"));
    let short = many(&SOUND, 100_001, |index| if index == 0 { b"X\x01\0\0\0nq\0".to_vec() } else { b"h\0".to_vec() });
    assert!(failure(&archive(&[("data.pkl", &short), ("data/0", &floats())])).contains("more tensors"));
}

#[test]
fn a_small_file_whose_tensors_are_all_the_same_bytes_describes_no_large_model() {
    let key = |index: usize| [b"X\x05\0\0\0".as_slice(), format!("t{index:04}").as_bytes()].concat();
    let large = OneTensor { numel: 600, shape: &[600], strides: &[1], ..SOUND };
    let open = |count| {
        let on_disk = tempfile::NamedTempFile::new().unwrap();
        let file = archive(&[("data.pkl", &many(&large, count, key)), ("data/0", &floats().repeat(100))]);
        std::fs::write(on_disk.path(), file).unwrap();
        Checkpoint::open(on_disk.path()).map(|checkpoint| checkpoint.tensors().count())
    };
    assert_eq!(open(2).unwrap(), 2);
    let error = open(999).unwrap_err().to_string();
    assert!(error.contains("more bytes than the file"), "{error}");
}
