//! The option `include_component_type`.

use mintage_bindgen::{Options, generate};
use quote::quote;
use wit_parser::Resolve;
use wit_parser::decoding::decode_world;

/// Returns the bytes of a constant in generated code.
fn bytes(file: &syn::File, name: &str) -> Option<Vec<u8>> {
    file.items.iter().find_map(|item| match item {
        syn::Item::Const(constant) if constant.ident == name => match &*constant.expr {
            syn::Expr::Lit(literal) => match &literal.lit {
                syn::Lit::ByteStr(bytes) => Some(bytes.value()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    })
}

#[test]
fn the_world_can_be_decoded() {
    const WIT: &str = "
        package a:b;
        interface i { f: func(x: u32) -> string; }
        world w { import i; export i; export run: func(); }
    ";
    let mut resolve = Resolve::default();
    let package = resolve.push_str("world.wit", WIT).unwrap();
    let world = resolve.select_world(&[package], None).unwrap();
    let mut options = Options::new(quote!(::mintage));
    options.include_component_type = true;
    let tokens = generate(&options, &mut resolve, world).unwrap();

    let file = syn::parse2(tokens).unwrap();
    let encoded = bytes(&file, "COMPONENT_TYPE").unwrap();
    let (resolve, world) = decode_world(&encoded).unwrap();
    let world = &resolve.worlds[world];
    assert_eq!(world.name, "w");
    assert_eq!((world.imports.len(), world.exports.len()), (1, 2));
}
