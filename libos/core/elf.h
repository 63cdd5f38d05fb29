/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ELF64 x86-64 executables that lie in memory: what to map, what to relocate, how long the file is,
 * which ABI it wants, which function an address belongs to.
 *
 * Two kinds are accepted: with fixed addresses (ET_EXEC), and position-independent without shared
 * libraries (ET_DYN, "static PIE"), whose relocations are all of the kind base plus addend, in
 * ascending order, and only of words in writable segments: so text and constants can be mapped from
 * where the file lies. The pages that PT_GNU_RELRO names become a segment of their own, which is not
 * writable once it is relocated.
 *
 * The image is not trusted and need not be aligned. Every function takes it as pointer and length, reads
 * nothing outside, allocates nothing, and needs only string.h.
 */
#ifndef LIBOS_CORE_ELF_H
#define LIBOS_CORE_ELF_H

#include <stddef.h>
#include <stdint.h>

#define ELF_SEGMENTS_MAX	16	/* loadable segments of one program */
#define ELF_HEADERS_MAX		64	/* program headers of one file */
#define ELF_SECTIONS_MAX	4096	/* section headers of one file */
#define ELF_NAME_MAX		255	/* bytes of a symbol's name; longer ones are cut */
#define ELF_DYNAMIC_MAX		128	/* entries of a dynamic section */
#define ELF_RELOCS_MAX		(1u << 20)
#define ELF_ALIGN_MAX		(2u << 20)	/* bytes, of a segment */

#define ELF_X	1
#define ELF_W	2
#define ELF_R	4
#define ELF_RELRO 8	/* with ELF_R alone: has relocations, and is to be read-only when they are made */

/* Each error has its own text (elf_text). */
#define ELF_ERRORS(E) \
	E(ELF_OK,		"no error") \
	E(ELF_SHORT,		"too short for an ELF header") \
	E(ELF_MAGIC,		"not an ELF file") \
	E(ELF_CLASS,		"not a 64-bit little-endian ELF file") \
	E(ELF_MACHINE,		"not for x86-64") \
	E(ELF_VERSION,		"unknown ELF version") \
	E(ELF_TYPE_OBJECT,	"an object file, not yet linked") \
	E(ELF_TYPE,		"not an executable") \
	E(ELF_PHDR_SIZE,	"program headers of unknown size") \
	E(ELF_PHDR_COUNT,	"no program headers, or too many") \
	E(ELF_PHDR_PLACE,	"program headers outside the file") \
	E(ELF_INTERPRETER,	"asks for a dynamic linker: link with -static") \
	E(ELF_SEGMENT_COUNT,	"too many loadable segments") \
	E(ELF_SEGMENT_NONE,	"no loadable segment") \
	E(ELF_SEGMENT_FILE,	"a segment lies outside the file: truncated?") \
	E(ELF_SEGMENT_SIZE,	"a segment is larger in the file than in memory") \
	E(ELF_SEGMENT_WRAP,	"a segment wraps round the address space") \
	E(ELF_SEGMENT_WINDOW,	"a segment lies outside the addresses for programs") \
	E(ELF_SEGMENT_ALIGN,	"a segment's address and file offset differ within the page") \
	E(ELF_SEGMENT_WX,	"a segment is both writable and executable") \
	E(ELF_SEGMENT_RIGHTS,	"a segment is not readable") \
	E(ELF_SEGMENT_OVERLAP,	"two segments share a page") \
	E(ELF_ALIGNMENT,	"a segment's alignment is no power of two, or above 2 MiB") \
	E(ELF_ENTRY,		"the entry point is not in an executable segment") \
	E(ELF_PROTECT,		"the part to protect is not the beginning of one writable segment") \
	E(ELF_DYNAMIC_COUNT,	"more than one dynamic section") \
	E(ELF_DYNAMIC_PLACE,	"the dynamic section lies outside the file") \
	E(ELF_DYNAMIC_END,	"the dynamic section has no end or too many entries") \
	E(ELF_DYNAMIC_TWICE,	"the dynamic section tells its relocations twice") \
	E(ELF_NEEDED,		"needs shared libraries: link with -static-pie") \
	E(ELF_RELOC_TEXT,	"relocations of its text: compile with -fPIE") \
	E(ELF_RELOC_SIZE,	"relocations of unknown size, or a part of one") \
	E(ELF_RELOC_COUNT,	"too many relocations") \
	E(ELF_RELOC_PLACE,	"the table of relocations lies outside the file") \
	E(ELF_RELOC_KIND,	"a relocation that is not base plus addend: link with -static-pie") \
	E(ELF_RELOC_TARGET,	"a relocation of something that is not a word of data") \
	E(ELF_RELOC_ORDER,	"relocations that are not in ascending order") \
	E(ELF_SHDR_SIZE,	"section headers of unknown size") \
	E(ELF_SHDR_COUNT,	"too many section headers") \
	E(ELF_SHDR_PLACE,	"section headers outside the file") \
	E(ELF_SECTION_FILE,	"a section lies outside the file: truncated?") \
	E(ELF_NOTE_NONE,	"no Exo ABI note: link with exo-cc") \
	E(ELF_NOTE_BAD,		"malformed note") \
	E(ELF_SYMBOL_NONE,	"no symbol for this address")

enum elf_status {
#define ELF_ENUM(name, text) name,
	ELF_ERRORS(ELF_ENUM)
#undef ELF_ENUM
};

/* The text of a status; never NULL. */
const char *elf_text(enum elf_status status);

struct elf_segment {
	uint64_t vaddr, memsz;	/* bytes; memsz > 0, vaddr + memsz inside the window */
	uint64_t offset, filesz;	/* filesz <= memsz; offset equals vaddr within a page */
	uint32_t flags;		/* ELF_R and one or none of ELF_W, ELF_X, ELF_RELRO */
};

struct elf_image {
	uint64_t entry;
	uint64_t low, high;	/* page-rounded extent of all segments */
	int movable;		/* to all addresses here a base may be added, a multiple of align */
	uint64_t align;		/* a power of two, at least a page */
	uint64_t relocs_at;	/* place of the relocations in the file; read by elf_relocate */
	uint32_t relocs;
	unsigned count;
	struct elf_segment segment[ELF_SEGMENTS_MAX];	/* ascending addresses; no two share a page */
};

/*
 * Check an executable and list its segments. Addresses must lie in [low, high), both page-aligned;
 * those of a movable one in [0, high - low). On error *out is undefined. Cost: at most ELF_HEADERS_MAX
 * headers, ELF_DYNAMIC_MAX entries and ELF_RELOCS_MAX relocations.
 */
enum elf_status elf_load(struct elf_image *out, const void *image, size_t size, uint64_t low, uint64_t high);

/*
 * Make the relocations of the words between the addresses from and from + bytes (multiples of 8, in the
 * file's own numbers), of which `to` is a copy, for a program that lies `base` bytes above those
 * numbers. `image` is what elf_load accepted. Cost: one step for each relocation made, and a search for
 * the first.
 */
void elf_relocate(const struct elf_image *elf, const void *image, uint64_t base, void *to, uint64_t from,
		  size_t bytes);

/*
 * Length of the ELF file that begins at image: the largest end of its headers, segments and sections. Data
 * appended to the file lies behind it. *bytes is not rounded; it is at most size.
 */
enum elf_status elf_extent(const void *image, size_t size, size_t *bytes);

/* The note with name "Exo" and type 1: which kernel interface the program was built for. */
#define ELF_NOTE_EXO		"Exo"
#define ELF_NOTE_EXO_ABI	1

struct elf_abi {
	uint32_t major, minor;
	uint64_t features;
};

/* Find the Exo ABI note in the PT_NOTE segments. ELF_NOTE_NONE when there is none. */
enum elf_status elf_abi(const void *image, size_t size, struct elf_abi *abi);

/*
 * The note of type 2, which programs of libOSes with processes have: what they and their keeper say to each other, and
 * which of their writable pages are *wired*: upcall code writes them, so they are there at the first instruction.
 */
#define ELF_NOTE_EXO_PROCESS	2

struct elf_process {
	uint32_t major, minor;
	uint64_t wired, wired_end;	/* page-aligned, in the file's own numbers */
};

/* Find it in the PT_NOTE segments. ELF_NOTE_NONE when there is none. */
enum elf_status elf_process(const void *image, size_t size, struct elf_process *process);

struct elf_symbol {
	const char *name;	/* in the image; name_len bytes, not necessarily terminated */
	size_t name_len;
	uint64_t offset;	/* of the address from the symbol's start */
};

/*
 * The function or code label that addr belongs to. For a return address ask for addr - 1.
 * Cost: one pass over the symbol table. ELF_SYMBOL_NONE when nothing fits or the file is stripped.
 */
enum elf_status elf_symbol(const void *image, size_t size, uint64_t addr, struct elf_symbol *symbol);

#endif
