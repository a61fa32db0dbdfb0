//! Prints the JSON Schema of `metahub.yaml`: `make schema` keeps it in `docs/metahub.schema.json`.

fn main() {
    println!("{:#}", metahub::config::schema());
}
