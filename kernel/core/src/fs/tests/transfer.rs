use crate::fs::{BufferSink, BufferSource, Sink, Source};

#[test]
fn a_buffer_takes_what_it_has_room_for() {
    let mut buffer = [0; 5];
    let mut sink = BufferSink::new(&mut buffer);
    assert_eq!(sink.put(b"abc"), Ok(3));
    assert_eq!(sink.room(), 2);
    assert_eq!(sink.put(b"def"), Ok(2));
    assert_eq!(sink.put(b"g"), Ok(0));
    assert_eq!(&buffer, b"abcde");
}

#[test]
fn a_buffer_gives_what_it_has() {
    let mut source = BufferSource::new(b"abcde");
    let mut taken = [0; 3];
    assert_eq!(source.take(&mut taken), Ok(3));
    assert_eq!((&taken, source.left()), (b"abc", 2));
    assert_eq!(source.take(&mut taken), Ok(2));
    assert_eq!(&taken, b"dec");
    assert_eq!(source.take(&mut taken), Ok(0));
}
