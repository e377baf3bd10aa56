//! A component that passes a value through an adapter to a host function, and the result back.
//!
//! ```text
//! host -> front -> adapter -> back -> host function -> back -> adapter -> front -> host
//! ```
//!
//! Both components pass on what they receive: flat values as they are, spilled ones as pointers. So
//! each value crosses the adapter twice, and can be compared in two places.

use super::wit::{PRIMITIVES, WitType};
use mintage_environ::component::{ComponentTypes, FlatTypes, InterfaceType, Record, Variant};
use std::fmt::Write;

/// The string encodings of the Canonical ABI.
pub const ENCODINGS: [&str; 3] = ["utf8", "utf16", "latin1+utf16"];

/// The address of results, aligned for every type.
pub(crate) const RESULT: u32 = 1024;

/// The address of the first block that `realloc` returns.
pub(crate) const BLOCKS: u32 = 65536;

/// The most bytes that a result may have.
const RESULT_ROOM: u32 = BLOCKS - RESULT;

/// The component for values of one type.
///
/// It imports [`HOST`](Echo::HOST), which returns its argument. It exports
/// [`EXPORT`](Echo::EXPORT), of the same type, and [`FREED`](Echo::FREED), which returns how many
/// results were freed.
pub struct Echo {
    /// The type of the values.
    pub ty: WitType,
    /// The string encodings of the front and the back component.
    pub encodings: [&'static str; 2],
    text: String,
}

impl Echo {
    /// The name of the host function.
    pub const HOST: &str = "host";
    /// The name of the exported function.
    pub const EXPORT: &str = "echo";
    /// The name of the function that returns how many results were freed.
    pub const FREED: &str = "freed";

    /// Returns the component for values of a type, or `None` if the values are too large.
    pub fn new(ty: WitType, encodings: [&'static str; 2]) -> Option<Echo> {
        let text = text(&ty, encodings, None)?;
        Some(Echo {
            ty,
            encodings,
            text,
        })
    }

    /// Returns a component as [`new`](Self::new) does whose back component returns arbitrary bytes:
    /// a part of `words`, another one at each call.
    ///
    /// The rest of its memory is cleared before. Otherwise pointers into blocks of `realloc` would
    /// mean something else in each engine, since engines ask for different amounts of memory.
    pub fn corrupt(ty: WitType, encodings: [&'static str; 2], words: &[u32]) -> Option<Echo> {
        let text = text(&ty, encodings, Some(words))?;
        Some(Echo {
            ty,
            encodings,
            text,
        })
    }

    /// Returns the component in the text format.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the component with a `realloc` that uses more memory, as if the engine had asked for
    /// more.
    #[cfg(test)]
    pub(crate) fn with_larger_blocks(&self) -> Echo {
        let next = "(global.set $next (i32.add (local.get $start) (local.get $new)))";
        let larger = "(global.set $next
            (i32.add (local.get $start) (i32.mul (i32.const 3) (local.get $new))))";
        assert!(self.text.contains(next));
        Echo {
            ty: self.ty.clone(),
            encodings: self.encodings,
            text: self.text.replace(next, larger),
        }
    }
}

/// Types under construction, in the text format and for the Canonical ABI.
#[derive(Default)]
struct Definitions {
    types: ComponentTypes,
    text: String,
    /// Names of the types that components must import in order to use them.
    named: Vec<String>,
    count: usize,
}

impl Definitions {
    /// Defines `ty`, and returns its name in the text format.
    fn define(&mut self, ty: &WitType) -> (String, InterfaceType) {
        let field = |i: usize| Box::<str>::from(format!("f{i}"));
        let (text, id, must_be_named) = match ty {
            WitType::Primitive(name) => return (name.to_string(), primitive(name)),
            WitType::ErrorContext => {
                return ("error-context".to_string(), InterfaceType::ErrorContext);
            }
            WitType::List(element) => {
                let (text, element) = self.define(element);
                (
                    format!("(list {text})"),
                    self.types.intern_list(element),
                    false,
                )
            }
            WitType::FixedList(element, count) => {
                let (text, element) = self.define(element);
                let id = self.types.intern_fixed_length_list(element, *count as u32);
                (format!("(list {text} {count})"), id, false)
            }
            WitType::Map(key, value) => {
                let (text, value) = self.define(value);
                (
                    format!("(map {key} {text})"),
                    self.types.intern_map(primitive(key), value),
                    false,
                )
            }
            WitType::Option(payload) => {
                let (text, payload) = self.define(payload);
                (
                    format!("(option {text})"),
                    self.types.intern_option(payload),
                    false,
                )
            }
            WitType::Tuple(fields) => {
                let (texts, fields): (Vec<_>, Vec<_>) =
                    fields.iter().map(|ty| self.define(ty)).unzip();
                let id = self.types.intern_tuple(fields.into());
                (format!("(tuple {})", texts.join(" ")), id, false)
            }
            WitType::Record(fields) => {
                let (mut text, mut ids) = ("(record".to_string(), Vec::new());
                for (i, ty) in fields.iter().enumerate() {
                    let (name, id) = self.define(ty);
                    write!(text, " (field \"f{i}\" {name})").unwrap();
                    ids.push((field(i), id));
                }
                let id = self.types.intern_record(Record { fields: ids.into() });
                (text + ")", id, true)
            }
            WitType::Variant(cases) => {
                let (mut text, mut ids) = ("(variant".to_string(), Vec::new());
                for (i, case) in cases.iter().enumerate() {
                    let case = case.as_ref().map(|ty| self.define(ty));
                    let payload = case.as_ref().map_or("", |(name, _)| name);
                    write!(text, " (case \"f{i}\" {payload})").unwrap();
                    ids.push((field(i), case.map(|(_, id)| id)));
                }
                let id = self.types.intern_variant(Variant { cases: ids.into() });
                (text + ")", id, true)
            }
            WitType::Result(ok, error) => {
                let mut define = |ty: &Option<Box<WitType>>| ty.as_ref().map(|ty| self.define(ty));
                let (ok, error) = (define(ok), define(error));
                let ok_text = ok.as_ref().map_or("", |(name, _)| name);
                let error_text = error
                    .as_ref()
                    .map_or(String::new(), |(name, _)| format!("(error {name})"));
                let id = self.types.intern_result(
                    ok.as_ref().map(|ok| ok.1),
                    error.as_ref().map(|error| error.1),
                );
                (format!("(result {ok_text} {error_text})"), id, false)
            }
            WitType::Enum(count) => {
                let names: Box<[_]> = (0..*count).map(field).collect();
                let text = format!("(enum {})", quoted(&names));
                (text, self.types.intern_enum(names), true)
            }
            WitType::Flags(count) => {
                let names: Box<[_]> = (0..*count).map(field).collect();
                let text = format!("(flags {})", quoted(&names));
                (text, self.types.intern_flags(names), true)
            }
        };
        let name = format!("t{}", self.count);
        self.count += 1;
        if must_be_named {
            writeln!(
                self.text,
                "(type ${name}' {text}) (import \"{name}\" (type ${name} (eq ${name}')))"
            )
            .unwrap();
            self.named.push(name.clone());
        } else {
            writeln!(self.text, "(type ${name} {text})").unwrap();
        }
        (format!("${name}"), id)
    }
}

fn quoted(names: &[Box<str>]) -> String {
    names.iter().map(|name| format!("\"{name}\" ")).collect()
}

fn primitive(name: &str) -> InterfaceType {
    use InterfaceType as T;
    let all = [
        T::Bool,
        T::S8,
        T::U8,
        T::S16,
        T::U16,
        T::S32,
        T::U32,
        T::S64,
        T::U64,
        T::F32,
        T::F64,
        T::Char,
        T::String,
    ];
    all[PRIMITIVES
        .iter()
        .position(|&primitive| primitive == name)
        .unwrap()]
}

/// The address of the words of corrupt results.
pub(crate) const WORDS: u32 = 0x3f_0000;

/// The distance in bytes between the corrupt results of two calls.
pub(crate) const STRIDE: u32 = 136;

/// Returns the whole component in the text format. The front component uses the first encoding, the
/// back component the second one.
fn text(ty: &WitType, [front, back]: [&str; 2], words: Option<&[u32]>) -> Option<String> {
    let mut definitions = Definitions::default();
    let (name, id) = definitions.define(ty);
    if definitions.types.abi(id).size32 > RESULT_ROOM {
        return None;
    }
    let mut flat = FlatTypes::default();
    definitions.types.flatten(id, false, &mut flat);
    let flat: Vec<String> = flat.as_slice().iter().map(|ty| ty.to_string()).collect();
    let params = if flat.len() > 16 {
        "i32".to_string()
    } else {
        flat.join(" ")
    };
    let args: String = (0..params.split(' ').count())
        .map(|i| format!("(local.get {i}) "))
        .collect();
    let (result, host_type, body) = match &flat[..] {
        [result] => (
            result.clone(),
            format!("(param {params}) (result {result})"),
            format!("(call $host {args})"),
        ),
        _ => {
            let body = format!("(call $host {args} (i32.const {RESULT})) (i32.const {RESULT})");
            ("i32".into(), format!("(param {params} i32)"), body)
        }
    };
    // A single flat value is loaded from the words. Any other result is a pointer to them.
    let at =
        format!("(i32.add (i32.const {WORDS}) (i32.mul (i32.const {STRIDE}) (global.get $freed)))");
    let corrupt = match &result[..] {
        _ if flat.len() != 1 => at,
        "f32" => format!("(f32.load {at})"),
        "f64" => format!("(f64.load {at})"),
        ty => format!("({ty}.load {at})"),
    };
    let definitions_text = &definitions.text;
    let component = |encoding: &str, body: &str, data: &str| {
        format!(
            r#"(component
            {definitions_text}
            (import "host" (func $host (param "x" {name}) (result {name})))
            (core module $libc
                (memory (export "mem") 64)
                (global $next (export "next") (mut i32) (i32.const {BLOCKS}))
                (func (export "realloc") (param $old i32) (param $size i32) (param $align i32)
                  (param $new i32) (result i32)
                    (local $start i32)
                    (if (i32.le_u (local.get $new) (local.get $size))
                        (then (if (local.get $old) (then (return (local.get $old))))))
                    ;; The memory is not zero, so that bytes which an adapter does not write show.
                    (local.set $start (i32.and
                        (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
                        (i32.sub (i32.const 0) (local.get $align))))
                    (global.set $next (i32.add (local.get $start) (local.get $new)))
                    (memory.fill (local.get $start) (i32.const 0xa5) (local.get $new))
                    (memory.copy (local.get $start) (local.get $old) (local.get $size))
                    (local.get $start)))
            (core instance $libc (instantiate $libc))
            (core func $host (canon lower (func $host) (memory (core memory $libc "mem"))
                (realloc (core func $libc "realloc")) string-encoding={encoding}))
            (core module $m
                (import "" "host" (func $host {host_type}))
                (import "libc" "next" (global $next (mut i32)))
                (import "libc" "mem" (memory 64))
                (global $freed (mut i32) (i32.const 0))
                {data}
                (func (export "echo") (param {params}) (result {result}) {body})
                (func (export "post") (param {result})
                    (global.set $next (i32.const {BLOCKS}))
                    (global.set $freed (i32.add (global.get $freed) (i32.const 1))))
                (func (export "freed") (result i32) (global.get $freed)))
            (core instance $i (instantiate $m (with "" (instance (export "host" (func $host))))
              (with "libc" (instance $libc))))
            (func (export "echo") (param "x" {name}) (result {name})
                (canon lift (core func $i "echo") (memory (core memory $libc "mem")) (realloc
                  (core func $libc "realloc"))
                    (post-return (core func $i "post")) string-encoding={encoding}))
            (func (export "freed") (result u32) (canon lift (core func $i "freed"))))"#
        )
    };
    let back = match words {
        Some(words) => {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            let data: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
            let body = format!(
                "{body} drop
                    (memory.fill (i32.const 0) (i32.const 0) (global.get $next))
                    (memory.init $words (i32.const {WORDS}) (i32.const 0) (i32.const {}))
                    {corrupt}",
                bytes.len()
            );
            component(back, &body, &format!("(data $words \"{data}\")"))
        }
        None => component(back, &body, ""),
    };
    let front = component(front, &body, "");
    let with: String = definitions
        .named
        .iter()
        .map(|name| format!("(with \"{name}\" (type ${name}))"))
        .collect();
    Some(format!(
        r#"(component
        {definitions_text}
        (import "host" (func $host (param "x" {name}) (result {name})))
        (component $back {})
        (component $front {})
        (instance $b (instantiate $back {with} (with "host" (func $host))))
        (instance $f (instantiate $front {with} (with "host" (func $b "echo"))))
        (func (export "echo") (alias export $f "echo"))
        (func (export "freed") (alias export $b "freed")))"#,
        &back["(component".len()..back.len() - 1],
        &front["(component".len()..front.len() - 1],
    ))
}
