//! Programs of about 200 bytes that print one line and exit: an image can really be run, on any machine, and no
//! compiler or base image is needed to make it.

/// Where the program is loaded: any page-aligned address above the kernel's lowest will do.
const BASE: u64 = 0x40_0000;
/// An ELF header and one program header; the code follows at once.
const HEADERS: u64 = 64 + 56;

/// Architectures that [`program`] can write machine code for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    Amd64,
    Arm64,
}

impl Architecture {
    /// The one that this process runs on.
    pub fn host() -> Self {
        if cfg!(target_arch = "aarch64") { Self::Arm64 } else { Self::Amd64 }
    }

    /// The name in image configurations and platforms.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    const fn elf_machine(self) -> u16 {
        match self {
            Self::Amd64 => 0x3e,
            Self::Arm64 => 0xb7,
        }
    }
}

/// A static executable that writes `text` to standard output and exits with 0.
pub fn program(architecture: Architecture, text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).expect("a short text");
    let code = match architecture {
        Architecture::Amd64 => amd64(length),
        Architecture::Arm64 => arm64(length),
    };
    let size = HEADERS + code.len() as u64 + text.len() as u64;

    let mut file = Vec::new();
    file.extend(b"\x7fELF\x02\x01\x01"); // 64 bits, little-endian, version 1
    file.resize(16, 0);
    file.extend(2_u16.to_le_bytes()); // executable
    file.extend(architecture.elf_machine().to_le_bytes());
    file.extend(1_u32.to_le_bytes());
    file.extend((BASE + HEADERS).to_le_bytes()); // entry point
    file.extend(64_u64.to_le_bytes()); // program headers follow the ELF header
    file.extend(0_u64.to_le_bytes()); // no sections
    file.extend(0_u32.to_le_bytes());
    for value in [64_u16, 56, 1, 64, 0, 0] {
        file.extend(value.to_le_bytes()); // sizes and counts of the headers
    }
    file.extend(1_u32.to_le_bytes()); // load …
    file.extend(5_u32.to_le_bytes()); // … readable and executable
    for value in [0, BASE, BASE, size, size, 0x1_0000] {
        file.extend(value.to_le_bytes()); // the whole file, aligned for 64 KiB pages
    }
    file.extend(code);
    file.extend(text.bytes());
    file
}

/// `write(1, text, length); exit(0)`, with the text right behind the code.
fn amd64(length: u16) -> Vec<u8> {
    let mut code = vec![0xb8, 1, 0, 0, 0]; // mov eax, 1 (write)
    code.extend([0xbf, 1, 0, 0, 0]); // mov edi, 1
    code.extend([0x48, 0x8d, 0x35, 16, 0, 0, 0]); // lea rsi, [rip + 16]: behind the 16 bytes that follow
    code.push(0xba); // mov edx, length
    code.extend(u32::from(length).to_le_bytes());
    code.extend([0x0f, 0x05]); // syscall
    code.extend([0x6a, 60, 0x58]); // push 60; pop rax (exit)
    code.extend([0x31, 0xff]); // xor edi, edi
    code.extend([0x0f, 0x05]); // syscall
    code.extend([0x0f, 0x0b]); // ud2: never reached, fills the 16 bytes
    code
}

/// The same for arm64, whose instructions are four bytes each.
fn arm64(length: u16) -> Vec<u8> {
    let instructions: [u32; 8] = [
        0xd280_0020,                            // mov x0, #1
        0x1000_0001 | (7 << 5),                 // adr x1, 7 instructions ahead: the text
        0xd280_0002 | (u32::from(length) << 5), // mov x2, #length
        0xd280_0808,                            // mov x8, #64 (write)
        0xd400_0001,                            // svc #0
        0xd280_0000,                            // mov x0, #0
        0xd280_0ba8,                            // mov x8, #93 (exit)
        0xd400_0001,                            // svc #0
    ];
    instructions.iter().flat_map(|instruction| instruction.to_le_bytes()).collect()
}
