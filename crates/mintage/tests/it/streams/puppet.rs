//! A guest that does one step of a stream or future at a time, as the host says.

use crate::async_calls::block_on;
use crate::common::OPTIONS;
use mintage::component::{Lift, Lower};
use mintage::{
    Component, ComponentNamedList, Engine, FutureReader, Instance, Linker, Result, Store,
    StreamReader,
};

/// What a built-in returns that has to wait.
pub const BLOCKED: u32 = u32::MAX;

/// The payload of a copy of `count` values that has ended well. A future has none.
pub const fn completed(count: u32) -> u32 {
    count << 4
}

/// The payload of a copy of `count` values after which the other end is gone.
pub const fn dropped(count: u32) -> u32 {
    count << 4 | 1
}

/// The payload of a copy of `count` values that was cancelled.
pub const fn cancelled(count: u32) -> u32 {
    count << 4 | 2
}

/// Returns a component for ends of `kind` (`stream` or `future`) of the type `payload`, which
/// `defs` may define.
pub fn puppet(engine: &Engine, kind: &str, defs: &str, payload: &str) -> Component {
    let (length, length_param) = match kind {
        "stream" => ("(local.get 2)", "i32"),
        _ => ("", ""),
    };
    let fields = format!(
        r#"
        (import "" "new" (func $new (result i64)))
        (import "" "read" (func $read (param i32 i32 {length_param}) (result i32)))
        (import "" "write" (func $write (param i32 i32 {length_param}) (result i32)))
        (import "" "cancel-read" (func $cancel-read (param i32) (result i32)))
        (import "" "cancel-write" (func $cancel-write (param i32) (result i32)))
        (import "" "drop-reader" (func $drop-reader (param i32)))
        (import "" "drop-writer" (func $drop-writer (param i32)))
        (import "" "set-new" (func $set-new (result i32)))
        (import "" "set-poll" (func $set-poll (param i32 i32) (result i32)))
        (import "" "set-wait" (func $set-wait (param i32 i32) (result i32)))
        (import "" "join" (func $join (param i32 i32)))
        (global $set (mut i32) (i32.const 0))
        (func $joined (param i32)
            (if (i32.eqz (global.get $set)) (then (global.set $set (call $set-new))))
            (call $join (local.get 0) (global.get $set)))
        (func (export "new") (result i64) (call $new))
        (func (export "same") (param i32) (result i32) (local.get 0))
        (func (export "read") (param i32 i32 i32) (result i32)
            (call $read (local.get 0) (local.get 1) {length}))
        (func (export "write") (param i32 i32 i32) (result i32)
            (call $write (local.get 0) (local.get 1) {length}))
        (func (export "cancel-read") (param i32) (result i32) (call $cancel-read (local.get 0)))
        (func (export "cancel-write") (param i32) (result i32) (call $cancel-write (local.get 0)))
        (func (export "drop-reader") (param i32) (call $drop-reader (local.get 0)))
        (func (export "drop-writer") (param i32) (call $drop-writer (local.get 0)))
        ;; the code of the event in the low half, the payload in the high half
        (func (export "poll") (param i32) (result i64)
            (local $code i32)
            (call $joined (local.get 0))
            (local.set $code (call $set-poll (global.get $set) (i32.const 8)))
            (call $join (local.get 0) (i32.const 0))
            (i64.or (i64.extend_i32_u (local.get $code))
                (i64.shl (i64.extend_i32_u (i32.load (i32.const 12))) (i64.const 32))))
        (func (export "wait") (param i32) (result i32)
            (call $joined (local.get 0))
            (drop (call $set-wait (global.get $set) (i32.const 8)))
            (call $join (local.get 0) (i32.const 0))
            (i32.load (i32.const 12)))
        (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
        (func (export "store") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
        ;; a pointer and a length in memory, as a string
        (func (export "text") (param i32) (result i32) (local.get 0))
        (func (export "trap") unreachable)
        "#
    );
    let lifts = format!(
        r#"
        (func (export "new") (result u64) (canon lift (core func $i "new")))
        (func (export "take") (param "end" $t) (result u32) (canon lift (core func $i "same")))
        (func (export "give") (param "end" u32) (result $t) (canon lift (core func $i "same")))
        (func (export "echo") (param "end" $t) (result $t) (canon lift (core func $i "same")))
        (func (export "read") (param "end" u32) (param "at" u32) (param "len" u32) (result u32)
            (canon lift (core func $i "read")))
        (func (export "write") (param "end" u32) (param "at" u32) (param "len" u32) (result u32)
            (canon lift (core func $i "write")))
        (func (export "cancel-read") (param "end" u32) (result u32)
            (canon lift (core func $i "cancel-read")))
        (func (export "cancel-write") (param "end" u32) (result u32)
            (canon lift (core func $i "cancel-write")))
        (func (export "drop-reader") (param "end" u32) (canon lift (core func $i "drop-reader")))
        (func (export "drop-writer") (param "end" u32) (canon lift (core func $i "drop-writer")))
        (func (export "poll") (param "end" u32) (result u64) (canon lift (core func $i "poll")))
        (func (export "wait") async (param "end" u32) (result u32)
            (canon lift (core func $i "wait")))
        (func (export "load") (param "at" u32) (result u32) (canon lift (core func $i "load")))
        (func (export "store") (param "at" u32) (param "x" u32)
            (canon lift (core func $i "store")))
        (func (export "text") (param "at" u32) (result string)
            (canon lift (core func $i "text") {OPTIONS}))
        (func (export "trap") (canon lift (core func $i "trap")))
        "#
    );
    // The built-ins need the memory of the instance that uses them, so it is one before.
    let memory = r#"(core module $memory
        (memory (export "mem") 16)
        (global $next (mut i32) (i32.const 4096))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32)
            (global.set $next (i32.and
                (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
            (global.get $next)
            (global.set $next (i32.add (global.get $next) (local.get 3)))))
        (core instance $i (instantiate $memory))"#;
    let options = OPTIONS;
    let builtins = format!(
        r#"
        {defs}
        (type $t ({kind} {payload}))
        (core func $new (canon {kind}.new $t))
        (core func $read (canon {kind}.read $t async {options}))
        (core func $write (canon {kind}.write $t async {options}))
        (core func $cancel-read (canon {kind}.cancel-read $t))
        (core func $cancel-write (canon {kind}.cancel-write $t))
        (core func $drop-reader (canon {kind}.drop-readable $t))
        (core func $drop-writer (canon {kind}.drop-writable $t))
        (core func $set-new (canon waitable-set.new))
        (core func $set-poll (canon waitable-set.poll (memory (core memory $i "mem"))))
        (core func $set-wait (canon waitable-set.wait (memory (core memory $i "mem"))))
        (core func $join (canon waitable.join))
        "#
    );
    let text = format!(
        r#"(component
            {memory}
            {builtins}
            (core module $m (import "memory" "mem" (memory 16)) {fields})
            (core instance $p (instantiate $m
                (with "memory" (instance $i))
                (with "" (instance
                    (export "new" (func $new))
                    (export "read" (func $read))
                    (export "write" (func $write))
                    (export "cancel-read" (func $cancel-read))
                    (export "cancel-write" (func $cancel-write))
                    (export "drop-reader" (func $drop-reader))
                    (export "drop-writer" (func $drop-writer))
                    (export "set-new" (func $set-new))
                    (export "set-poll" (func $set-poll))
                    (export "set-wait" (func $set-wait))
                    (export "join" (func $join))))))
            {}
        )"#,
        lifts
            .replace("(core func $i ", "(core func $p ")
            .replace(r#"(core func $p "realloc")"#, r#"(core func $i "realloc")"#)
    );
    Component::new(engine, text).unwrap()
}

/// An instance of a [`puppet`].
#[derive(Clone, Copy)]
pub struct Puppet(pub Instance);

impl Puppet {
    /// Makes an instance whose ends are of `kind` and `payload`.
    pub fn new<T: 'static>(store: &mut Store<T>, kind: &str, payload: &str) -> Puppet {
        let component = puppet(&store.engine().clone(), kind, "", payload);
        Self::of(store, &component)
    }

    /// Makes an instance.
    pub fn of<T: 'static>(store: &mut Store<T>, component: &Component) -> Puppet {
        let linker = Linker::new(store.engine());
        Puppet(linker.instantiate(store, component).unwrap())
    }

    /// Calls a function.
    pub fn try_call<T, P, R>(self, store: &mut Store<T>, name: &str, params: P) -> Result<R>
    where
        T: 'static,
        P: ComponentNamedList + Lower + 'static,
        R: ComponentNamedList + Lift + 'static,
    {
        let func = self.0.get_typed_func::<P, R>(&mut *store, name)?;
        func.call(store, params)
    }

    /// Calls a function with one result.
    pub fn call<T, P, R>(self, store: &mut Store<T>, name: &str, params: P) -> R
    where
        T: 'static,
        P: ComponentNamedList + Lower + 'static,
        R: Lift + 'static,
        (R,): ComponentNamedList + Lift,
    {
        let (result,) = self.try_call::<T, P, (R,)>(store, name, params).unwrap();
        result
    }

    /// Makes a stream or future of the guest. Returns the handles of the readable and the writable
    /// end.
    pub fn ends<T: 'static>(self, store: &mut Store<T>) -> (u32, u32) {
        let ends: u64 = self.call(store, "new", ());
        (ends as u32, (ends >> 32) as u32)
    }

    pub fn take<T: 'static, V>(self, store: &mut Store<T>, reader: StreamReader<V>) -> u32
    where
        V: Lower + 'static,
    {
        self.call(store, "take", (reader,))
    }

    pub fn take_future<T: 'static, V>(self, store: &mut Store<T>, reader: FutureReader<V>) -> u32
    where
        V: Lower + 'static,
    {
        self.call(store, "take", (reader,))
    }

    pub fn give<T: 'static, V>(self, store: &mut Store<T>, end: u32) -> StreamReader<V>
    where
        V: Lift + 'static,
    {
        self.call(store, "give", (end,))
    }

    pub fn give_future<T: 'static, V>(self, store: &mut Store<T>, end: u32) -> FutureReader<V>
    where
        V: Lift + 'static,
    {
        self.call(store, "give", (end,))
    }

    pub fn read<T: 'static>(self, store: &mut Store<T>, end: u32, at: u32, len: u32) -> u32 {
        self.call(store, "read", (end, at, len))
    }

    pub fn write<T: 'static>(self, store: &mut Store<T>, end: u32, at: u32, len: u32) -> u32 {
        self.call(store, "write", (end, at, len))
    }

    pub fn cancel_read<T: 'static>(self, store: &mut Store<T>, end: u32) -> u32 {
        self.call(store, "cancel-read", (end,))
    }

    pub fn cancel_write<T: 'static>(self, store: &mut Store<T>, end: u32) -> u32 {
        self.call(store, "cancel-write", (end,))
    }

    pub fn drop_reader<T: 'static>(self, store: &mut Store<T>, end: u32) {
        self.try_call::<_, _, ()>(store, "drop-reader", (end,))
            .unwrap();
    }

    pub fn drop_writer<T: 'static>(self, store: &mut Store<T>, end: u32) {
        self.try_call::<_, _, ()>(store, "drop-writer", (end,))
            .unwrap();
    }

    /// Takes the event of an end. Returns its payload, if there is one.
    pub fn poll<T: 'static>(self, store: &mut Store<T>, end: u32) -> Option<u32> {
        let event: u64 = self.call(store, "poll", (end,));
        (event as u32 != 0).then_some((event >> 32) as u32)
    }

    /// Waits for the event of an end. Returns its payload.
    pub fn wait<T: Send + 'static>(self, store: &mut Store<T>, end: u32) -> Result<u32> {
        let func = self.0.get_typed_func::<_, (u32,)>(&mut *store, "wait")?;
        block_on(func.call_async(store, (end,))).map(|(payload,)| payload)
    }

    pub fn load<T: 'static>(self, store: &mut Store<T>, at: u32) -> u32 {
        self.call(store, "load", (at,))
    }

    pub fn store<T: 'static>(self, store: &mut Store<T>, at: u32, number: u32) {
        self.try_call::<_, _, ()>(store, "store", (at, number))
            .unwrap();
    }

    /// Stores bytes in the guest's memory.
    pub fn store_bytes<T: 'static>(self, store: &mut Store<T>, at: u32, bytes: &[u8]) {
        for (number, bytes) in bytes.chunks(4).enumerate() {
            let mut word = [0; 4];
            word[..bytes.len()].copy_from_slice(bytes);
            self.store(store, at + 4 * number as u32, u32::from_le_bytes(word));
        }
    }

    /// Returns bytes of the guest's memory.
    pub fn load_bytes<T: 'static>(self, store: &mut Store<T>, at: u32, len: u32) -> Vec<u8> {
        let words = (0..len.div_ceil(4)).map(|number| self.load(store, at + 4 * number));
        let mut bytes: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
        bytes.truncate(len as usize);
        bytes
    }
}
