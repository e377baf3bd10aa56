//! One module for each option of `bindgen!`, with hosts that compile only if the option holds.

use mintage::{Component, Engine, HasSelf, Linker, Result};

/// The older spellings of flags.
mod older_spellings {
    mod all {
        mintage::bindgen!({
            inline: "package a:b; world w { import f: func() -> u32; export g: func(); }",
            async: true,
            trappable_imports: true,
        });

        impl WImports for super::super::Host {
            async fn f(&mut self) -> mintage::Result<u32> {
                Ok(1)
            }
        }

        async fn _call(world: &W, store: mintage::Store<()>) -> mintage::Result<()> {
            world.call_g(store).await
        }
    }

    mod by_name {
        mintage::bindgen!({
            inline: "
                package a:b;
                interface i {
                    resource r { m: func(); n: func(); }
                    f: func();
                    g: func();
                }
                world w { import i; import f: func(); }
            ",
            async: { only_imports: ["f", "[method]r.m", "[drop]r"] },
            trappable_imports: ["g", "[method]r.m"],
        });

        impl WImports for super::super::Host {
            async fn f(&mut self) {}
        }

        impl a::b::i::Host for super::super::Host {
            async fn f(&mut self) {}

            fn g(&mut self) -> mintage::Result<()> {
                Ok(())
            }
        }

        impl a::b::i::HostR for super::super::Host {
            async fn m(&mut self, _: mintage::Resource<a::b::i::R>) -> mintage::Result<()> {
                Ok(())
            }

            fn n(&mut self, _: mintage::Resource<a::b::i::R>) {}

            async fn drop(&mut self, _: mintage::Resource<a::b::i::R>) -> mintage::Result<()> {
                Ok(())
            }
        }
    }

    mod except {
        mintage::bindgen!({
            inline: "package a:b; world w { import f: func(); import g: func(); }",
            async: { except_imports: ["g"] },
        });

        impl WImports for super::super::Host {
            async fn f(&mut self) {}

            fn g(&mut self) {}
        }
    }
}

/// The most specific name counts, and `exact` names nothing around a function.
mod filters {
    mintage::bindgen!({
        inline: "
            package ns:pkg@1.2.3;
            interface i { f: func(); g: func(); h: func(); }
            interface j { f: func(); }
            world w {
                import i;
                import j;
                import k: interface { f: func(); }
                import ns: func();
                import other: func();
            }
        ",
        imports: {
            "ns:pkg": trappable,
            "ns:pkg/i": async,
            "ns:pkg/i.f": async | trappable,
            "ns:pkg/i@1.2.3.g": trappable,
            "k.f": trappable,
            "ns": async | exact,
            default: trappable,
        },
    });

    impl ns::pkg::i::Host for super::Host {
        async fn f(&mut self) -> mintage::Result<()> {
            Ok(())
        }

        fn g(&mut self) -> mintage::Result<()> {
            Ok(())
        }

        async fn h(&mut self) {}
    }

    impl ns::pkg::j::Host for super::Host {
        fn f(&mut self) -> mintage::Result<()> {
            Ok(())
        }
    }

    impl k::Host for super::Host {
        fn f(&mut self) -> mintage::Result<()> {
            Ok(())
        }
    }

    impl WImports for super::Host {
        async fn ns(&mut self) {}

        fn other(&mut self) -> mintage::Result<()> {
            Ok(())
        }
    }
}

/// Types and modules of the host in place of generated ones.
mod with {
    mod shared {
        mintage::bindgen!({
            inline: "
                package my:types;
                interface a { record t { x: u32 } resource r; }
                interface b { use a.{t}; f: func() -> t; }
                world w { import b; }
            ",
        });
    }

    macro_rules! mapped {
        ($module:ident, $name:literal, $($path:tt)*) => {
            mod $module {
                mintage::bindgen!({
                    inline: "
                        package my:types;
                        interface a { record t { x: u32 } resource r; }
                        interface b { use a.{t}; f: func() -> t; }
                        world w {
                            use a.{t, r};
                            import b;
                            import g: func(r: borrow<r>) -> t;
                        }
                    ",
                    with: { $name: $($path)* },
                });

                use super::shared::my::types::a as own;

                impl WImports for super::super::Host {
                    fn g(&mut self, _: mintage::Resource<own::R>) -> own::T {
                        // The module of a mapped interface is there all the same.
                        my::types::a::T { x: 1 }
                    }
                }
            }
        };
    }

    mapped!(interface, "my:types/a", super::shared::my::types::a);
    mapped!(package, "my:types", super::shared::my::types);
    mapped!(namespace, "my", super::shared::my);

    /// Resources, by their names now and in older versions, with private and generic types.
    mod resources {
        use mintage::Resource;

        pub(super) struct Own<T>(T);

        mintage::bindgen!({
            inline: "
                package a:b@1.0.0;
                interface i { resource r; resource s; resource t; }
                world w {
                    import i;
                    import j: interface { resource r; }
                    resource r;
                    import f: func(r: r);
                }
            ",
            with: {
                "a:b/i.r": Own<u8>,
                "a:b/i@1.0.0.s": Own<u16>,
                "a:b/i/t": Own<u32>,
                "j.r": Own<u64>,
                "r": Own<String>,
            },
        });

        fn _r(resource: Resource<a::b::i::R>) -> Resource<Own<u8>> {
            resource
        }

        fn _s(resource: Resource<a::b::i::S>) -> Resource<Own<u16>> {
            resource
        }

        fn _t(resource: Resource<a::b::i::T>) -> Resource<Own<u32>> {
            resource
        }

        fn _j(resource: Resource<j::R>) -> Resource<Own<u64>> {
            resource
        }

        fn _own(resource: Resource<R>) -> Resource<Own<String>> {
            resource
        }
    }
}

/// Errors of the host in place of error types, for all interfaces that use one.
mod trappable_error_type {
    pub struct MyError;

    mintage::bindgen!({
        inline: "
            package a:b@1.0.0;
            interface types { enum error { bad } }
            interface i {
                use types.{error};
                f: func() -> result<u8, error>;
                g: func() -> result<_, error>;
            }
            world w { import i; }
        ",
        imports: { "a:b/i.f": trappable },
        trappable_error_type: { "a:b/types@1.0.0.error" => MyError },
    });

    impl a::b::types::Host for super::Host {
        fn convert_error(&mut self, _: MyError) -> mintage::Result<a::b::types::Error> {
            Ok(a::b::types::Error::Bad)
        }
    }

    impl a::b::i::Host for super::Host {
        fn f(&mut self) -> Result<u8, MyError> {
            Err(MyError)
        }

        // It is not trappable.
        fn g(&mut self) -> Result<(), a::b::types::Error> {
            Err(a::b::types::Error::Bad)
        }
    }
}

/// Parameters that borrow, and types in two variants where they are results as well.
mod ownership {
    mintage::bindgen!({
        inline: "
            package a:b;
            interface i {
                record both { text: string }
                record only { parts: list<list<string>>, both: both }
                f: func(only: only) -> both;
            }
            world w { export i; }
        ",
        ownership: Borrowing { duplicate_if_necessary: true },
    });

    use exports::a::b::i::{BothParam, BothResult, Guest, Only};

    fn _call(guest: &Guest, store: mintage::Store<()>, text: &str) -> mintage::Result<BothResult> {
        let only = Only {
            parts: &[&[text]],
            both: BothParam { text },
        };
        guest.call_f(store, only)
    }

    mod without_duplicates {
        mintage::bindgen!({
            inline: "
                package a:b;
                interface i {
                    record both { text: string }
                    record only { parts: list<both> }
                    f: func(only: only) -> both;
                }
                world w { export i; }
            ",
            ownership: Borrowing { duplicate_if_necessary: false },
        });

        use exports::a::b::i::{Both, Guest, Only};

        fn _call(guest: &Guest, store: mintage::Store<()>, both: &Both) -> mintage::Result<Both> {
            guest.call_f(store, Only { parts: &[both] })
        }
    }
}

/// More traits for types; each is derived once.
mod additional_derives {
    mintage::bindgen!({
        inline: "
            package a:b;
            interface i {
                record r { x: u32, v: v }
                variant v { text(string), none }
                enum e { one, two }
                f: func(r: r, e: e);
            }
            world w { import i; }
        ",
        additional_derives: [Hash, Clone, PartialEq, Eq, std::cmp::PartialOrd],
    });

    fn is_hash<T: std::hash::Hash + PartialOrd + Clone + Eq>() {}

    #[test]
    fn they_are_derived() {
        is_hash::<a::b::i::R>();
        is_hash::<a::b::i::V>();
        is_hash::<a::b::i::E>();
    }
}

/// Data that is `Send` for the sake of other bindings.
mod require_store_data_send {
    mod base {
        mintage::bindgen!({
            inline: "package a:b; interface i { f: func(); } world w { import i; }",
            imports: { default: async },
        });
    }

    mintage::bindgen!({
        inline: "
            package a:b;
            interface i { f: func(); }
            interface j { g: func(); }
            world w { import i; import j; }
        ",
        with: { "a:b/i": base::a::b::i },
        require_store_data_send: true,
    });
}

/// The result type of the crate `anyhow`.
mod anyhow {
    mintage::bindgen!({
        inline: "
            package a:b;
            interface i {
                enum error { bad }
                resource r;
                f: func() -> u32;
                g: func();
                h: func() -> result<_, error>;
            }
            world w { import i; import j: func(); }
        ",
        anyhow: true,
        imports: { default: trappable, "j": async | trappable },
        trappable_error_type: { "a:b/i.error" => std::num::ParseIntError },
    });

    impl a::b::i::Host for super::Host {
        fn f(&mut self) -> ::anyhow::Result<u32> {
            ::anyhow::bail!("no")
        }

        fn g(&mut self) -> ::anyhow::Result<()> {
            Ok(())
        }

        fn h(&mut self) -> Result<(), std::num::ParseIntError> {
            "x".parse().map(|_: u8| ())
        }

        fn convert_error(
            &mut self,
            error: std::num::ParseIntError,
        ) -> ::anyhow::Result<a::b::i::Error> {
            Err(error.into())
        }
    }

    impl a::b::i::HostR for super::Host {
        fn drop(&mut self, _: mintage::Resource<a::b::i::R>) -> ::anyhow::Result<()> {
            Ok(())
        }
    }

    impl WImports for super::Host {
        async fn j(&mut self) -> ::anyhow::Result<()> {
            Ok(())
        }
    }
}

/// Without implementations for references, a host writes them.
mod skip_mut_forwarding_impls {
    mintage::bindgen!({
        inline: "package a:b; interface i { f: func(); } world w { import i; }",
        skip_mut_forwarding_impls: true,
    });

    impl<H: a::b::i::Host> a::b::i::Host for &mut H {
        fn f(&mut self) {
            H::f(self);
        }
    }
}

/// Interfaces without a world around them.
mod interfaces {
    mintage::bindgen!({
        path: "tests/it/bindgen/plugin.wit",
        interfaces: "import my:plugin/log@1.2.0;",
    });

    impl my::plugin::log::Host for super::Host {
        fn write(&mut self, _: my::plugin::log::Level, _: String) {}
    }
}

/// Code that the compiler reads from a file, as text, and with another name of the crate.
#[allow(
    dead_code,
    unused_qualifications,
    reason = "the code is a file, so lints see it"
)]
mod forms {
    mod engine {
        pub use mintage;
    }

    mintage::bindgen!({
        inline: "
            package a:b;
            interface i { enum e { one } flags f { x } use-both: func(e: e, f: f); }
            world w { import i; export i; }
        ",
        include_generated_code_from_file: true,
        wasmtime_crate: crate::bindgen::options::forms::engine::mintage,
    });

    #[test]
    fn code_is_text() {
        let text = mintage::bindgen!({
            inline: "package a:b; world w { export f: func(); }",
            stringify: true,
        });
        assert!(text.contains("pub fn call_f"), "{text}");
    }
}

/// Several paths, several versions of a package, and a world without functions.
mod packages {
    mod paths {
        mintage::bindgen!({
            path: ["tests/it/bindgen/plugin.wit", "tests/it/bindgen/other"],
            inline: "
                package c:d;
                world w { import my:plugin/log@1.2.0; import other:api/clock; }
            ",
        });

        impl other::api::clock::Host for super::super::Host {
            fn now(&mut self) -> u64 {
                0
            }
        }
    }

    mod versions {
        mintage::bindgen!({
            inline: "
                package c:d;
                package my:api@1.0.0 { interface i { f: func(); } }
                package my:api@2.0.0-rc.1 { interface i { f: func(x: u32); } }
                world w { import my:api/i@1.0.0; import my:api/i@2.0.0-rc.1; }
            ",
        });

        impl my::api1_0_0::i::Host for super::super::Host {
            fn f(&mut self) {}
        }

        impl my::api2_0_0_rc_1::i::Host for super::super::Host {
            fn f(&mut self, _: u32) {}
        }
    }

    mod empty {
        mintage::bindgen!("w" in "tests/it/bindgen/empty.wit");

        fn _is_a_type(world: W) -> W {
            world
        }
    }
}

/// Several imports of one interface.
mod implements {
    mintage::bindgen!({
        inline: "
            package a:b;
            interface store { get: func(key: string) -> option<string>; }
            world w { import hot: store; import cold: store; }
        ",
    });

    impl a::b::store::Host for super::Host {
        fn get(&mut self, key: String) -> Option<String> {
            Some(key)
        }
    }

    #[test]
    fn each_import_is_defined() -> mintage::Result<()> {
        let mut linker = mintage::Linker::<super::Host>::new(&mintage::Engine::default());
        W::add_to_linker::<_, mintage::HasSelf<_>>(&mut linker, |host| host)?;
        // What is defined cannot be defined again.
        for name in ["hot", "cold"] {
            let error = linker
                .instance(name)?
                .func_wrap("get", |_, ()| Ok(()))
                .unwrap_err();
            assert!(error.to_string().contains("already defined"), "{error}");
        }
        Ok(())
    }
}

/// One implementation for imports under any name, which are told apart.
mod named_imports {
    #[derive(Clone, Debug, PartialEq)]
    pub struct Id(String);

    mintage::bindgen!({
        inline: "
            package a:b@1.2.0;
            interface store {
                resource cache { size: func() -> u32; }
                get: func(key: u32) -> u32;
                set: func(key: u32);
            }
            world w { import store; export run: func() -> u32; }
        ",
        named_imports: { "a:b/store": Id },
        imports: { "a:b/store.set": async | store | trappable },
    });

    use named_imports::a::b::store;

    #[derive(Default)]
    struct Data {
        calls: Vec<(Id, u32)>,
    }

    impl store::Host for Data {
        fn get(&mut self, id: Id, key: u32) -> u32 {
            self.calls.push((id, key));
            key + 1
        }
    }

    impl store::HostCache for Data {
        fn size(&mut self, _: Id, _: mintage::Resource<store::Cache>) -> u32 {
            0
        }

        fn drop(&mut self, _: Id, _: mintage::Resource<store::Cache>) -> mintage::Result<()> {
            Ok(())
        }
    }

    impl<T: Send> store::HostWithStore<T> for mintage::HasSelf<Data> {
        async fn set(
            mut host: mintage::Access<'_, T, Self>,
            id: Id,
            key: u32,
        ) -> mintage::Result<()> {
            host.get().calls.push((id, key));
            Ok(())
        }
    }

    #[test]
    fn imports_are_told_apart() -> mintage::Result<()> {
        let mut config = mintage::Config::new();
        let engine = mintage::Engine::new(config.wasm_component_model_implements(true))?;
        let component = mintage::Component::new(
            &engine,
            r#"(component
                (type $store (instance
                    (export "get" (func (param "key" u32) (result u32)))
                    (export "set" (func (param "key" u32)))))
                (import "hot" (implements "a:b/store@1.2.0") (instance $hot (type $store)))
                (import "cold" (implements "a:b/store@1.2.0") (instance $cold (type $store)))
                (core func $get (canon lower (func $hot "get")))
                (core func $set (canon lower (func $cold "set")))
                (core module $m
                    (import "" "get" (func $get (param i32) (result i32)))
                    (import "" "set" (func $set (param i32)))
                    (func (export "run") (result i32)
                        (call $set (i32.const 5))
                        (call $get (i32.const 7))))
                (core instance $i (instantiate $m (with "" (instance
                    (export "get" (func $get)) (export "set" (func $set))))))
                (func (export "run") (result u32) (canon lift (core func $i "run"))))"#,
        )?;
        let mut linker = mintage::Linker::<Data>::new(&engine);
        let lookup = |name: &str| Ok(Id(name.to_uppercase()));
        store::add_to_linker::<_, mintage::HasSelf<_>>(&mut linker, &component, lookup, |x| x)?;
        let mut store = mintage::Store::new(&engine, Data::default());
        crate::async_calls::block_on(async {
            let world = W::instantiate_async(&mut store, &component, &linker).await?;
            assert_eq!(world.call_run(&mut store)?, 8);
            let calls = [(Id("COLD".to_string()), 5), (Id("HOT".to_string()), 7)];
            assert_eq!(store.data().calls, calls);
            Ok(())
        })
    }
}

/// Names of WIT that are words of Rust, or names in the generated code.
mod names {
    mintage::bindgen!({
        inline: "
            package a:b;
            interface crate {
                type t = u32;
                type d = string;
                record %result { %type: u32, store: %string }
                variant %string { %none, %some(t), %self }
                variant %option { ok(d) }
                resource box;
                resource guest;
                self: func(t: t, host: string, id: d) -> %result;
                store: func(store: option<t>, accessor: list<%option>) -> result<t, %string>;
            }
            world host {
                import crate;
                export crate;
                export new: func(store: u32, args: map<string, list<u8>>);
                export call: func(callee: u32) -> u32;
            }
        ",
        imports: { "a:b/crate.self": store | async, "a:b/crate.store": trappable },
    });

    fn _is_a_type(world: Host_) -> Host_ {
        world
    }
}

/// Unstable items, which a linker defines on demand.
mod unstable {
    mintage::bindgen!({
        inline: "
            package a:b;
            interface i {
                f: func();
                @unstable(feature = new-things)
                g: func();
            }
            world w {
                import i;
                @unstable(feature = world-things)
                import h: func();
            }
        ",
    });

    impl a::b::i::Host for super::Host {
        fn f(&mut self) {}

        fn g(&mut self) {}
    }

    impl WImports for super::Host {
        fn h(&mut self) {}
    }

    /// Links a component that imports the unstable functions.
    fn link(options: &LinkOptions) -> mintage::Result<()> {
        let engine = mintage::Engine::default();
        let component = mintage::Component::new(
            &engine,
            r#"(component
                (import "a:b/i" (instance (export "g" (func))))
                (import "h" (func)))"#,
        )?;
        let mut linker = mintage::Linker::<super::Host>::new(&engine);
        W::add_to_linker::<_, mintage::HasSelf<_>>(&mut linker, options, |host| host)?;
        linker.instantiate_pre(&component).map(|_| ())
    }

    #[test]
    fn features_are_enabled_one_by_one() -> mintage::Result<()> {
        let error = format!("{:#}", link(&LinkOptions::default()).unwrap_err());
        assert!(error.contains("a:b/i") && error.contains('h'), "{error}");
        let error = format!(
            "{:#}",
            link(LinkOptions::default().new_things(true)).unwrap_err()
        );
        assert!(!error.contains("a:b/i"), "{error}");
        link(LinkOptions::default().new_things(true).world_things(true))
    }

    mod chosen {
        mintage::bindgen!({
            inline: "
                package a:b;
                interface i {
                    @unstable(feature = one)
                    f: func();
                    @unstable(feature = two)
                    g: func();
                }
                world w { import i; }
            ",
            features: ["two"],
        });

        impl a::b::i::Host for super::super::Host {
            fn g(&mut self) {}
        }
    }
}

/// Debug output and names of errors, as hosts print them.
mod shown {
    mintage::bindgen!({
        inline: "
            package a:b;
            interface i {
                enum code {
                    /// It is not there.
                    not-found,
                    other,
                }
                enum plain { one-two }
                record parts { first-part: u32, second: option<plain> }
                variant failure { coded(plain), none }
                f: func(parts: parts) -> result<_, code>;
                g: func() -> result<_, failure>;
            }
            world w { import i; }
        ",
    });

    use a::b::i::{Code, Failure, Parts, Plain};

    #[test]
    fn values_are_shown() {
        let code = Code::NotFound;
        assert_eq!(
            (code.name(), code.message()),
            ("not-found", "It is not there.")
        );
        assert_eq!(code.to_string(), "not-found (error 0)");
        assert_eq!(format!("{:?}", Plain::OneTwo), "Plain::OneTwo");
        let parts = Parts {
            first_part: 1,
            second: None,
        };
        assert_eq!(
            format!("{parts:?}"),
            r#"Parts { first-part: 1, second: None }"#
        );
        let failure = Failure::Coded(Plain::OneTwo);
        assert_eq!(failure.to_string(), "Failure::Coded(Plain::OneTwo)");
        let error: Box<dyn std::error::Error> = Box::new(failure);
        assert!(error.downcast_ref::<Failure>().is_some());
    }
}

/// The host of all options.
pub struct Host;

#[test]
fn interfaces_are_linked_without_a_world() -> Result<()> {
    let engine = Engine::default();
    let mut linker = Linker::<Host>::new(&engine);
    interfaces::my::plugin::log::add_to_linker::<_, HasSelf<_>>(&mut linker, |host| host)?;
    let component = Component::new(
        &engine,
        r#"(component
            (import "my:plugin/log@1.2.0" (instance
                (type $level' (enum "info" "warning"))
                (export "level" (type $level (eq $level')))
                (export "write" (func (param "level" $level) (param "text" string))))))"#,
    )?;
    linker.instantiate_pre(&component).map(|_| ())
}
