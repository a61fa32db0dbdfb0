//! Prints what the configuration's types say, for `make schema`: the JSON Schema of `metahub.yaml`, or with the
//! argument `page` the page for people.

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("page") => print!("{}", metahub::config::page()),
        _ => println!("{:#}", metahub::config::schema()),
    }
}
