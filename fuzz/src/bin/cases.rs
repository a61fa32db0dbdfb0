//! The targets without libFuzzer: `cases TARGET NUMBER [FIRST]` goes through that many pseudo-random inputs.

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |position: usize| arguments.get(position).and_then(|text| text.parse::<u64>().ok());
    let (Some(target), Some(cases)) = (arguments.get(1), number(2)) else {
        panic!("usage: cases TARGET NUMBER [FIRST]");
    };
    let first = number(3).unwrap_or_default();
    for seed in first..first + cases {
        let input = metahub_fuzz::case(target, seed);
        if std::panic::catch_unwind(|| metahub_fuzz::check(target, &input)).is_err() {
            println!("case {} of {target} fails", seed);
            std::process::exit(1);
        }
    }
}
