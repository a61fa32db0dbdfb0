//! The entries of `docs/images.md`: which tags each kind of machine asks for, and in which order.

use metahub::config::Config;
use metahub::images::Plan;
use metahub::oci::reference::{Repository, Tag};

use super::pages::blocks::configurations_of;
use super::selection::machine;

/// Repository and tag that are asked for, the machine (as rows of selection write it), and the tags that are asked for
/// in its place in their order, or the repository.
type Row = (&'static str, &'static str, &'static str);

const AS_IT_IS: &str = "as it is";
const NOTHING: &str = "nothing fits";

const ROWS: &[Row] = &[
    ("ollama/ollama:latest", "-/amd64", "latest"),
    ("ollama/ollama:latest", "-/amd64 nvcap:8.6", "latest"),
    ("ollama/ollama:latest", "-/amd64 gfx:gfx1151", "rocm latest"),
    ("ollama/ollama:0.9", "-/amd64", "0.9"),
    ("ollama/ollama:0.9", "-/amd64 gfx:gfx942", "0.9-rocm 0.9"),
    ("ollama/ollama:0.9", "-/amd64 gfx:gfx908", "0.9-rocm 0.9"),
    ("ollama/ollama:0.9", "-/amd64 gfx:gfx90a:xnack+", "0.9-rocm 0.9"),
    ("ollama/ollama:0.9", "-/amd64 gfx:gfx1151", "0.9-rocm 0.9"),
    ("ollama/ollama:0.9", "-/amd64 gfx:gfx906", "0.9"),
    ("ollama/ollama:0.9", "-/arm64 nvcap:8.7", "0.9"),
    ("ollama/ollama:0.9-rocm", "-/amd64", AS_IT_IS),
    ("ollama/ollama:rocm", "-/amd64", AS_IT_IS),
    ("vllm/vllm-openai:v0.10", "-/amd64 nvcap:9.0", AS_IT_IS),
    ("vllm/vllm-openai:v0.10", "-/amd64 gfx:gfx1201", "vllm/vllm-openai-rocm"),
    ("vllm/vllm-openai:v0.10", "-/amd64 gfx:gfx1030", AS_IT_IS),
    ("vllm/vllm-openai:v0.10", "-/arm64 gfx:gfx942", AS_IT_IS),
    ("huggingface/text-generation-inference:3.3", "-/amd64", "3.3-intel-cpu"),
    ("huggingface/text-generation-inference:3.3", "-/amd64 nvcap:8.9 cuda:12.6", "3.3 3.3-intel-cpu"),
    ("huggingface/text-generation-inference:3.3", "-/amd64 nvcap:12.0 cuda:12.8", "3.3 3.3-intel-cpu"),
    ("huggingface/text-generation-inference:3.3", "-/amd64 nvcap:8.9 cuda:12.2", "3.3-intel-cpu"),
    ("huggingface/text-generation-inference:3.3", "-/amd64 nvcap:7.5 cuda:12.8", "3.3-intel-cpu"),
    ("huggingface/text-generation-inference:3.3", "-/amd64 gfx:gfx942", "3.3-rocm 3.3-intel-cpu"),
    ("huggingface/text-generation-inference:3.3", "-/arm64 nvcap:9.0 cuda:13.0", NOTHING),
    ("huggingface/text-generation-inference:3.3-gaudi", "-/amd64", AS_IT_IS),
    ("huggingface/text-generation-inference:3.3-rocm", "-/amd64", AS_IT_IS),
    ("huggingface/text-embeddings-inference:1.9", "-/amd64", "cpu-1.9"),
    ("huggingface/text-embeddings-inference:1.9", "-/arm64", "cpu-arm64-1.9"),
    ("huggingface/text-embeddings-inference:1.9", "-/amd64 nvcap:7.5 cuda:12.9", "turing-1.9 cpu-1.9"),
    ("huggingface/text-embeddings-inference:1.9", "-/amd64 nvcap:8.0 cuda:12.9", "1.9 cpu-1.9"),
    ("huggingface/text-embeddings-inference:1.9", "-/amd64 nvcap:8.9 cuda:13.0", "89-1.9 86-1.9 1.9 cpu-1.9"),
    ("huggingface/text-embeddings-inference:1.9", "-/amd64 nvcap:9.0 cuda:12.9", "hopper-1.9 cpu-1.9"),
    ("huggingface/text-embeddings-inference:1.9", "-/amd64 nvcap:12.0 cuda:12.9", "120-1.9 cpu-1.9"),
    ("huggingface/text-embeddings-inference:1.9", "-/arm64 nvcap:12.1 cuda:13.0", "121-1.9 cpu-arm64-1.9"),
    ("huggingface/text-embeddings-inference:1.9", "-/amd64 nvcap:8.0 cuda:12.4", "cpu-1.9"),
    ("huggingface/text-embeddings-inference:hopper-1.9", "-/amd64", AS_IT_IS),
    ("huggingface/text-embeddings-inference:cuda-1.9", "-/amd64 nvcap:8.0", AS_IT_IS),
    ("ggml-org/llama.cpp:server", "-/amd64", "server"),
    ("ggml-org/llama.cpp:server", "-/amd64 nvcap:8.6 cuda:12.8", "server-cuda server"),
    ("ggml-org/llama.cpp:server", "-/amd64 nvcap:6.1 cuda:12.8", "server-cuda server"),
    ("ggml-org/llama.cpp:server", "-/arm64 nvcap:12.1 cuda:13.0", "server-cuda server"),
    ("ggml-org/llama.cpp:server", "-/amd64 nvcap:8.6 cuda:12.4", "server"),
    ("ggml-org/llama.cpp:light", "-/amd64 gfx:gfx1103", "light-rocm light"),
    ("ggml-org/llama.cpp:full", "-/arm64 vulkan", "full-vulkan full"),
    ("ggml-org/llama.cpp:server-b6000", "-/amd64 nvcap:8.6 cuda:12.8", AS_IT_IS),
    ("localai/localai:latest", "-/amd64", "latest"),
    (
        "localai/localai:latest",
        "-/amd64 nvcap:8.6 cuda:13.0",
        "latest-gpu-nvidia-cuda-13 latest-gpu-nvidia-cuda-12 latest",
    ),
    ("localai/localai:latest", "-/amd64 nvcap:8.6 cuda:12.8", "latest-gpu-nvidia-cuda-12 latest"),
    ("localai/localai:latest", "-/arm64 nvcap:8.7 l4t:36.4.3", "latest-nvidia-l4t-arm64 latest"),
    ("localai/localai:latest", "-/arm64 nvcap:8.7 l4t:35.4", "latest"),
    ("localai/localai:v3", "-/amd64 gfx:gfx1100", "v3-gpu-hipblas v3"),
    ("localai/localai:v3", "-/arm64 vulkan", "v3-gpu-vulkan v3"),
    ("pytorch/pytorch:2.9.0-runtime", "-/amd64", "2.9.0-runtime"),
    (
        "pytorch/pytorch:2.9.0-runtime",
        "-/amd64 nvcap:8.6 cuda:12.8",
        "2.9.0-cuda12.8-cudnn9-runtime 2.9.0-cuda12.6-cudnn9-runtime 2.9.0-runtime",
    ),
    ("pytorch/pytorch:2.9.0-devel", "-/amd64 nvcap:6.1 cuda:12.8", "2.9.0-cuda12.6-cudnn9-devel 2.9.0-devel"),
    ("pytorch/pytorch:2.9.0-cuda12.6-cudnn9-runtime", "-/amd64 nvcap:9.0 cuda:12.8", AS_IT_IS),
    ("pytorch/pytorch:latest", "-/amd64 nvcap:9.0 cuda:12.8", AS_IT_IS),
    ("tensorflow/tensorflow:latest", "-/amd64", "latest"),
    ("tensorflow/tensorflow:latest", "-/amd64 nvcap:8.0", "latest-gpu latest"),
    ("tensorflow/tensorflow:2.19.0-jupyter", "-/amd64 nvcap:8.0", "2.19.0-gpu-jupyter 2.19.0-jupyter"),
    ("tensorflow/tensorflow:latest-gpu", "-/amd64", AS_IT_IS),
    ("tensorflow/tensorflow:latest-gpu-jupyter", "-/amd64 nvcap:8.0", AS_IT_IS),
    ("dustynv/l4t-pytorch:latest", "-/arm64 nvcap:8.7 l4t:36.4.3", "r36.4.0 r36.2.0 latest"),
    ("dustynv/l4t-pytorch:latest", "-/arm64 nvcap:8.7 l4t:36.3", "r36.2.0 latest"),
    ("dustynv/l4t-pytorch:latest", "-/arm64 nvcap:7.2 l4t:35.4.1", "r35.4.1 latest"),
    ("dustynv/l4t-pytorch:latest", "-/arm64 nvcap:5.3 l4t:32.7.4", "r32.7.1 latest"),
    ("yanwk/comfyui-boot:slim", "-/amd64", "cpu slim"),
    ("yanwk/comfyui-boot:slim", "-/amd64 nvcap:8.9 cuda:13.0", "cu130-slim-v2 cu126-slim cpu slim"),
    ("yanwk/comfyui-boot:slim", "-/amd64 nvcap:6.1 cuda:13.0", "cu126-slim cpu slim"),
    ("yanwk/comfyui-boot:slim", "-/amd64 gfx:gfx1100", "rocm cpu slim"),
    ("yanwk/comfyui-boot:slim", "-/amd64 xpu", "xpu cpu slim"),
    ("yanwk/comfyui-boot:cpu", "-/amd64 nvcap:8.9", AS_IT_IS),
    ("immich-app/immich-machine-learning:release", "-/amd64", "release"),
    ("immich-app/immich-machine-learning:release", "-/amd64 nvcap:8.6", "release-cuda release"),
    ("immich-app/immich-machine-learning:release", "-/amd64 openvino", "release-openvino release"),
    ("immich-app/immich-machine-learning:release", "-/arm64 rknn", "release-rknn release"),
    ("immich-app/immich-machine-learning:release", "-/arm64 nvcap:8.7", "release"),
    ("blakeblackshear/frigate:stable", "-/amd64 nvcap:8.6", "stable-tensorrt stable"),
    ("blakeblackshear/frigate:stable", "-/arm64 nvcap:8.7 l4t:36.4.3", "stable-tensorrt-jp6 stable"),
    ("blakeblackshear/frigate:stable", "-/arm64 rknn", "stable-rk stable"),
    ("blakeblackshear/frigate:stable", "-/amd64 gfx:gfx1100", "stable-rocm stable"),
    ("blakeblackshear/frigate:stable", "-/arm64", "stable"),
    ("library/mongo:8.0", "- cpu:sandybridge", "8.0"),
    ("library/mongo:8.0", "- cpu:nehalem", NOTHING),
    ("library/mongo:8.0", "-/arm64/v8.2", "8.0"),
    ("library/mongo:8.0", "-/arm64", NOTHING),
    ("library/mongo:4.4", "- cpu:nehalem", AS_IT_IS),
    ("library/almalinux:10", "-/amd64", AS_IT_IS),
    ("library/almalinux:8", "-/amd64", AS_IT_IS),
    ("rockylinux/rockylinux:9-minimal", "-/amd64", AS_IT_IS),
];

/// The levels for which entries that name none are taken.
const ASSUMED: [(&str, &str); 9] = [
    ("library/almalinux:10", "amd64=v3,ppc64le=power9,"),
    ("library/almalinux:latest", "amd64=v3,ppc64le=power9,"),
    ("library/almalinux:10.1", "amd64=v3,ppc64le=power9,"),
    ("library/almalinux:10-kitten", "amd64=v3,ppc64le=power9,"),
    ("library/almalinux:9", "amd64=v2,ppc64le=power9,"),
    ("library/almalinux:8", ""),
    ("library/almalinux:100", ""),
    ("rockylinux/rockylinux:10", "amd64=v3,ppc64le=power9,"),
    ("rockylinux/rockylinux:9.6", "amd64=v2,ppc64le=power9,"),
];

fn entries() -> Vec<Config> {
    let parts = configurations_of("docs/images.md");
    parts.into_iter().map(|part| Config::parse(part.to_string().as_bytes(), &|_| None).unwrap()).collect()
}

fn split(name: &str) -> (Repository, Tag) {
    let (repository, tag) = name.split_once(':').unwrap();
    (Repository::parse(repository).unwrap(), Tag::parse(tag).unwrap())
}

/// The tags that a machine asks for.
fn asked(entries: &[Config], name: &str, machine_type: &str) -> String {
    let (repository, tag) = split(name);
    let rules = entries.iter().find_map(|config| config.images().of(&repository)).expect("an entry on the page");
    let machine = machine(machine_type);
    let Some(rule) = rules.rule(&tag) else {
        return rules.repository(&machine).map_or(AS_IT_IS, Repository::as_str).to_owned();
    };
    match rule.plan(&tag, &machine) {
        Plan::AsItIs => AS_IT_IS.to_owned(),
        Plan::NothingFits(message) => {
            assert!(message.starts_with(NOTHING), "{message}");
            NOTHING.to_owned()
        }
        Plan::Search(mut search) => {
            let tags = std::iter::from_fn(|| search.next(|_| None));
            tags.map(|tag| tag.as_str().to_owned()).collect::<Vec<_>>().join(" ")
        }
    }
}

#[test]
fn machines_ask_for_the_tags_of_their_variants() {
    let entries = entries();
    assert!(entries.len() >= 14, "only {} entries", entries.len());
    let found = ROWS.iter().map(|(name, machine, expected)| (asked(&entries, name, machine), name, machine, expected));
    let wrong = found.filter(|(found, .., expected)| found != *expected);
    let wrong: Vec<String> = wrong
        .map(|(found, name, machine, expected)| format!("{name} {machine}: {found}, and not {expected}"))
        .collect();
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), ROWS.len(), wrong.join("\n"));
}

#[test]
fn entries_without_a_level_have_an_assumed_one() {
    let entries = entries();
    for (name, expected) in ASSUMED {
        let (repository, tag) = split(name);
        let rules = entries.iter().find_map(|config| config.images().of(&repository)).expect("an entry on the page");
        let assumed = rules.rule(&tag).map(|rule| rule.assumed().text()).unwrap_or_default();
        assert_eq!(assumed, expected, "{name}");
    }
}
