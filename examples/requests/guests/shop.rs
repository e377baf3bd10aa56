//! The service of a small shop. Its answers come from the database; two paths never answer.

wit_bindgen::generate!({ path: "../requests/wit", world: "service" });

use requests::service::database;

struct Shop;

impl Guest for Shop {
    fn handle(request: Request) -> Response {
        match request.path.as_str() {
            "/echo" => answer(200, request.body),
            "/total" => total(&request.body),
            "/spin" => loop {
                std::hint::spin_loop();
            },
            "/trap" => panic!("as asked"),
            "/never" => match database::get("never") {
                Some(value) => answer(200, value),
                None => answer(404, Vec::new()),
            },
            _ => answer(404, Vec::new()),
        }
    }
}

/// Adds the prices of the wares that the body names, one a line.
fn total(body: &[u8]) -> Response {
    let Ok(names) = std::str::from_utf8(body) else {
        return answer(400, b"the body is not UTF-8".to_vec());
    };
    let mut sum = 0u64;
    for name in names.lines() {
        let price = database::get(name).and_then(|value| String::from_utf8(value).ok());
        match price.and_then(|value| value.parse::<u64>().ok()) {
            Some(price) => sum += price,
            None => return answer(404, format!("there is no `{name}`").into_bytes()),
        }
    }
    answer(200, sum.to_string().into_bytes())
}

fn answer(status: u16, body: Vec<u8>) -> Response {
    Response { status, body }
}

export!(Shop);
