//! Streams and futures as values without Rust types.

use super::puppet::puppet;
use super::{BLOCKED, Puppet, Sink, completed, dropped};
use mintage::component::{Type, types::ComponentItem};
use mintage::{Engine, FutureAny, FutureReader, Store, StreamAny, StreamReader, Val};

fn store() -> Store<()> {
    Store::new(&Engine::default(), ())
}

fn call(store: &mut Store<()>, guest: Puppet, name: &str, params: &[Val]) -> mintage::Result<Val> {
    let func = guest.0.get_func(&mut *store, name).unwrap();
    let mut results = [Val::Bool(false)];
    func.call(store, params, &mut results)?;
    let [result] = results;
    Ok(result)
}

#[test]
fn vals_are_streams_and_futures() {
    let mut store = store();
    let guest = Puppet::new(&mut store, "stream", "u8");
    let reader = StreamReader::new(&mut store, vec![1u8, 2]).unwrap();
    let any = reader.try_into_stream_any(&mut store).unwrap();
    let val = Val::from(any.clone());
    assert_eq!(val, Val::Stream(any));
    let echoed = call(&mut store, guest, "echo", std::slice::from_ref(&val)).unwrap();
    assert_ne!(val, echoed);
    assert!(
        call(&mut store, guest, "echo", &[val]).is_err(),
        "it was given away"
    );
    let Val::U32(end) = call(&mut store, guest, "take", &[echoed]).unwrap() else {
        panic!("a handle");
    };
    assert_eq!(guest.read(&mut store, end, 100, 3), dropped(2));

    let (reader, writer) = guest.ends(&mut store);
    let Val::Stream(any) = call(&mut store, guest, "give", &[Val::U32(reader)]).unwrap() else {
        panic!("a stream");
    };
    assert!(any.clone().try_into_stream_reader::<u16>().is_err());
    let reader = StreamReader::<u8>::try_from_stream_any(any).unwrap();
    let sink = Sink::<u8>::new(5);
    reader.pipe(&mut store, sink.consumer()).unwrap();
    assert_eq!(guest.write(&mut store, writer, 100, 2), completed(2));
    assert_eq!(sink.take(), [1, 2]);

    let guest = Puppet::new(&mut store, "future", "string");
    let ready = std::future::ready(Ok::<_, mintage::Error>("abc".to_string()));
    let reader = FutureReader::new(&mut store, ready).unwrap();
    let any = reader.try_into_future_any(&mut store).unwrap();
    assert!(any.clone().try_into_future_reader::<u8>().is_err());
    let Val::U32(end) = call(&mut store, guest, "take", &[Val::Future(any)]).unwrap() else {
        panic!("a handle");
    };
    assert_eq!(guest.read(&mut store, end, 96, 1), 0);
    let text: String = guest.call(&mut store, "text", (96u32,));
    assert_eq!(text, "abc");
}

#[test]
fn types_are_compared_when_a_value_is_passed() {
    let mut store = store();
    let bytes = Puppet::new(&mut store, "stream", "u8");
    let words = Puppet::new(&mut store, "stream", "u32");
    let futures = Puppet::new(&mut store, "future", "u8");
    // One of the host, and one of a guest.
    let reader = StreamReader::new(&mut store, vec![1u8]).unwrap();
    let of_host = StreamAny::try_from_stream_reader(&mut store, reader).unwrap();
    let (reader, _) = bytes.ends(&mut store);
    let of_guest: StreamAny = bytes.call(&mut store, "give", (reader,));
    for any in [of_host, of_guest] {
        let error = call(&mut store, words, "take", &[Val::Stream(any.clone())]).unwrap_err();
        assert!(
            error.to_string().contains("expected `stream<u32>`"),
            "{error}"
        );
        assert!(call(&mut store, futures, "take", &[Val::Stream(any.clone())]).is_err());
        let end = call(&mut store, bytes, "take", &[Val::Stream(any)]).unwrap();
        assert!(matches!(end, Val::U32(_)));
    }
    let (reader, _) = futures.ends(&mut store);
    let mut future: FutureAny = futures.call(&mut store, "give", (reader,));
    assert!(
        format!("{future:?}").starts_with("FutureAny("),
        "{future:?}"
    );
    future.close(&mut store).unwrap();
    assert!(future.close(&mut store).is_err());
    let error = bytes
        .0
        .get_typed_func::<(FutureReader<u8>,), (u32,)>(&mut store, "take");
    let error = format!("{:#}", error.unwrap_err());
    assert!(error.contains("future<u8>"), "{error}");
    // The last copy closes the stream.
    let (reader, writer) = bytes.ends(&mut store);
    let any: StreamAny = bytes.call(&mut store, "give", (reader,));
    let copy = any.clone();
    drop(any);
    assert_eq!(bytes.write(&mut store, writer, 0, 1), BLOCKED);
    drop(copy);
    assert_eq!(bytes.wait(&mut store, writer).unwrap(), dropped(0));
}

#[test]
fn types_are_reflected() {
    let engine = Engine::default();
    let component = puppet(&engine, "stream", "", "string");
    let ty = component.component_type();
    let ComponentItem::ComponentFunc(take) = ty.get_export(&engine, "take").unwrap().ty else {
        panic!("a function");
    };
    let (_, end) = take.params().next().unwrap();
    let Type::Stream(stream) = end else {
        panic!("a stream");
    };
    assert_eq!(stream.ty(), Some(Type::String));
}
